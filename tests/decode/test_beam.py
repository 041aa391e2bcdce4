"""Prefix beam search: the sum over all paths of every string as the oracle, with and without a language model."""

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.decode.beam import beam_search, text_score
from tidegate.decode.greedy import greedy
from tidegate.decode.ngram import NGram


def _log_probs(seed: int, num_frames: int, columns: int, sharpness: float = 1.0) -> np.ndarray:
    return np.log(np.random.default_rng(seed).dirichlet(np.full(columns, 1.0 / sharpness), num_frames))


def _all_strings(log_probs: np.ndarray) -> dict[tuple[int, ...], float]:
    """The log probability of every string that has one."""
    totals: defaultdict[tuple[int, ...], float] = defaultdict(float)
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        string = tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)
        totals[string] += math.exp(log_probs[np.arange(len(path)), path].sum())
    return {string: math.log(total) for string, total in totals.items()}


def _model(seed: int, num_tokens: int, order: int) -> NGram:
    rng = np.random.default_rng(seed)
    return NGram.train([rng.integers(1, num_tokens + 1, 5).tolist() for _ in range(4)], num_tokens, order)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), num_frames=st.integers(0, 5), columns=st.integers(2, 4))
def test_equals_the_sum_over_all_paths(seed: int, num_frames: int, columns: int) -> None:
    log_probs = _log_probs(seed, num_frames, columns)
    expected = _all_strings(log_probs)
    found = beam_search(log_probs, beam=2000, prune=-math.inf, sure_blank=1.0)
    assert {hypothesis.tokens: hypothesis.score for hypothesis in found} == pytest.approx(expected, abs=1e-9)
    assert [hypothesis.score for hypothesis in found] == sorted((hypothesis.score for hypothesis in found), reverse=True)
    assert all(hypothesis.acoustic == hypothesis.score for hypothesis in found)
    assert {string: text_score(log_probs, string) for string in expected} == pytest.approx(expected, abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    num_frames=st.integers(1, 5),
    order=st.integers(1, 4),
    weight=st.floats(0.0, 2.0),
    bonus=st.floats(-1.0, 1.0),
)
def test_equals_the_combined_score_of_all_strings(seed: int, num_frames: int, order: int, weight: float, bonus: float) -> None:
    log_probs, lm = _log_probs(seed, num_frames, 4), _model(seed, 3, order)
    acoustic = _all_strings(log_probs)

    def combined(string: tuple[int, ...]) -> float:
        model = sum(lm.log_prob(string[:place], token) for place, token in enumerate(string)) + lm.log_prob(string, 0)
        return acoustic[string] + weight * model + bonus * len(string)

    found = beam_search(log_probs, 2000, lm, weight, bonus, prune=-math.inf, sure_blank=1.0)
    expected = {string: combined(string) for string in acoustic}
    assert {hypothesis.tokens: hypothesis.score for hypothesis in found} == pytest.approx(expected, abs=1e-9)
    assert {hypothesis.tokens: hypothesis.acoustic for hypothesis in found} == pytest.approx(acoustic, abs=1e-9)


def test_many_paths_beat_the_best_one() -> None:
    """Two frames of blank 0.4 and token 0.3, 0.3: silence is the best path at 0.16, a 1 has three paths and 0.33. Graves 2006, 3.2."""
    log_probs = np.log([[0.4, 0.3, 0.3]] * 2)
    assert greedy(log_probs) == []
    best = beam_search(log_probs)[0]
    assert best.tokens in ((1,), (2,))
    assert math.exp(best.score) == pytest.approx(0.3 * 0.3 + 2 * 0.3 * 0.4)


def test_the_language_model_decides_between_equals() -> None:
    lm = NGram.train([[1, 2], [1, 2], [2, 3]], 3)
    log_probs = np.log([[0.04, 0.9, 0.03, 0.03], [0.9, 0.04, 0.03, 0.03], [0.02, 0.02, 0.48, 0.48]])
    assert beam_search(log_probs, lm=lm)[0].tokens == (1, 2)
    other = NGram.train([[1, 3], [1, 3], [2, 3]], 3)
    assert beam_search(log_probs, lm=other)[0].tokens == (1, 3)


@pytest.mark.parametrize("sharpness", [1.0, 10.0])
def test_beam_is_at_least_as_good_as_the_best_path(sharpness: float) -> None:
    """And what the search has summed is no more than the string has."""
    better = 0
    for seed in range(10):
        log_probs = np.maximum(_log_probs(seed, 40, 12, sharpness), -60.0)
        best = beam_search(log_probs)[0]
        of_greedy = text_score(log_probs, [token.index for token in greedy(log_probs)])
        full = text_score(log_probs, best.tokens)
        assert best.acoustic <= full + 1e-9
        assert full >= of_greedy - 1e-9
        better += full > of_greedy + 1e-9
    assert better >= 3


def test_the_defaults_lose_nothing_on_spikes() -> None:
    """Sure blanks and improbable tokens are passed over; the string and nearly all of its probability stay."""
    rng, tokens = np.random.default_rng(0), np.random.default_rng(1).integers(1, 30, 20)
    logits = rng.normal(size=(120, 30))
    logits[:, 0] += 14.0
    spikes = 5 * np.arange(20) + 3
    logits[spikes, 0] -= 14.0
    logits[spikes, tokens] += 8.0
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert (log_probs[:, 0] > np.log(0.999)).mean() > 0.5
    fast, whole = beam_search(log_probs)[0], beam_search(log_probs, prune=-math.inf, sure_blank=1.0)[0]
    assert fast.tokens == whole.tokens == tuple(tokens)
    assert fast.score == pytest.approx(whole.score, abs=1e-2)


def test_a_prefix_that_comes_back_is_the_same_prefix() -> None:
    """A prefix may drop out while a longer one stays, and come back: in one of these draws a string would else be listed twice."""
    for seed in range(60):
        found = beam_search(np.maximum(_log_probs(seed, 10, 4, sharpness=3.0), -25.0), beam=8, prune=-math.inf)
        assert len({hypothesis.tokens for hypothesis in found}) == len(found) == 8


def test_something_is_always_found() -> None:
    """Where nothing passes the threshold, the likeliest token is tried: blank is impossible here."""
    with np.errstate(divide="ignore"):
        log_probs = np.log([[0.0, 0.6, 0.4], [0.0, 0.3, 0.7]])
    assert [hypothesis.tokens for hypothesis in beam_search(log_probs, prune=0.0)] == [(1, 2), (1,)]
    assert {hypothesis.tokens for hypothesis in beam_search(log_probs)} == {(1, 2), (2, 1), (1,), (2,)}


def test_a_sure_blank_begins_no_token() -> None:
    log_probs = np.log([[0.9992, 0.0005, 0.0003]])
    assert [hypothesis.tokens for hypothesis in beam_search(log_probs)] == [()]
    assert [hypothesis.tokens for hypothesis in beam_search(log_probs, sure_blank=1.0)] == [(), (1,), (2,)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_text_score_equals_torch(dtype: type) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        num_frames, length = int(rng.integers(1, 40)), int(rng.integers(0, 12))
        log_probs = _log_probs(int(rng.integers(1000)), num_frames, 6).astype(dtype)
        tokens = rng.integers(1, 6, length).tolist()
        loss = torch.nn.functional.ctc_loss(
            torch.from_numpy(log_probs).double()[:, None],
            torch.tensor([tokens], dtype=torch.long),
            torch.tensor([num_frames]),
            torch.tensor([length]),
            reduction="none",
        )
        assert text_score(log_probs, tokens) == pytest.approx(-float(loss), rel=1e-10)


def test_bad_input() -> None:
    log_probs = _log_probs(0, 3, 3)
    with pytest.raises(ValueError, match="the beam is 0, expected at least 1"):
        beam_search(log_probs, beam=0)
    with pytest.raises(ValueError, match="the language model has 3 tokens, expected 2"):
        beam_search(log_probs, lm=_model(0, 3, 2))
    with pytest.raises(ValueError, match="are these logits"):
        beam_search(np.exp(log_probs))
    with pytest.raises(ValueError, match="a token is 3, expected 1 to 2"):
        text_score(log_probs, [3])
    assert text_score(log_probs, [1, 1, 1]) == -math.inf
