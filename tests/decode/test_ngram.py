"""N-gram models: probabilities that sum to 1, the papers' formulas written out, and the way through JSON."""

import json
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.decode.ngram import NGram, Smoothing, _discounts

SMOOTHINGS: tuple[Smoothing, ...] = ("witten-bell", "kneser-ney")


def _sequences(seed: int, num: int, num_tokens: int, longest: int = 12) -> list[list[int]]:
    """Drawn from a chain, so that contexts tell something."""
    rng = np.random.default_rng(seed)
    chain = rng.dirichlet(np.full(num_tokens, 0.3), num_tokens + 1)
    sequences = []
    for length in rng.integers(0, longest + 1, num):
        sequence = [0]
        for _ in range(length):
            sequence.append(1 + int(rng.choice(num_tokens, p=chain[sequence[-1]])))
        sequences.append(sequence[1:])
    return sequences


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    num=st.integers(1, 20),
    num_tokens=st.integers(1, 5),
    order=st.integers(1, 5),
    smoothing=st.sampled_from(SMOOTHINGS),
    context=st.lists(st.integers(1, 5), max_size=6),
)
def test_probabilities_sum_to_one(seed: int, num: int, num_tokens: int, order: int, smoothing: Smoothing, context: list[int]) -> None:
    """In every context, seen or not; and stepping there gives the same."""
    model = NGram.train(_sequences(seed, num, num_tokens), num_tokens, order, smoothing)
    context = [1 + token % num_tokens for token in context]
    state = model.start
    for token in context:
        state = model.step(state, token)
    scores = model.scores(state)
    assert scores.shape == (num_tokens + 1,)
    assert np.isfinite(scores).all()
    assert np.exp(scores).sum() == pytest.approx(1.0, abs=1e-12)
    assert scores.tolist() == [model.log_prob(context, token) for token in range(num_tokens + 1)]


def _witten_bell(sequences: list[list[int]], num_tokens: int, history: Sequence[int], token: int) -> float:
    """The recursion as in the paper, over plain counts; -1 is the beginning."""
    if not history:
        lower, grams = 1 / (num_tokens + 1), [(following,) for sequence in sequences for following in (*sequence, 0)]
    else:
        lower, grams = _witten_bell(sequences, num_tokens, history[1:], token), _grams(sequences, len(history) + 1)
    followers = Counter(gram[-1] for gram in grams if gram[:-1] == tuple(history))
    if not followers:
        return lower
    return (followers[token] + len(followers) * lower) / (followers.total() + len(followers))


def _grams(sequences: list[list[int]], length: int) -> list[tuple[int, ...]]:
    found = []
    for sequence in sequences:
        whole = (-1, *sequence, 0)
        found += [whole[begin : begin + length] for begin in range(len(whole) - length + 1)]
    return found


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_witten_bell_by_hand(order: int) -> None:
    sequences = _sequences(order, 30, 4)
    model = NGram.train(sequences, 4, order)
    for context in [(), (1,), (2, 3), (3, 3, 3), (4, 1, 2, 1), (1, 2, 3, 4, 1)]:
        history = (-1, *context)[max(0, len(context) + 2 - order) :] if order > 1 else ()
        for token in range(5):
            assert math.exp(model.log_prob(context, token)) == pytest.approx(_witten_bell(sequences, 4, history, token), rel=1e-12)


def _kneser_ney(sequences: list[list[int]], num_tokens: int, order: int, history: tuple[int, ...], token: int) -> float:
    """The recursion as in the paper; below the highest order different left neighbours are counted, but not left of the beginning."""
    length = len(history) + 1
    grams = Counter(_grams(sequences, length) if length > 1 else [(found,) for sequence in sequences for found in (*sequence, 0)])
    if length < order:
        left = Counter(gram[1:] for gram in set(_grams(sequences, length + 1)))
        grams = Counter({gram: count if gram[0] == -1 else left[gram] for gram, count in grams.items()})
    ones = [sum(count == number for count in grams.values()) for number in (1, 2, 3, 4)]
    discounts = [0.5, 1.0, 1.5]
    if min(ones):
        share = ones[0] / (ones[0] + 2 * ones[1])
        estimates = [number - (number + 1) * share * ones[number] / ones[number - 1] for number in (1, 2, 3)]
        if all(0 < estimate <= number for number, estimate in enumerate(estimates, 1)):
            discounts = estimates
    following = {gram[-1]: count for gram, count in grams.items() if gram[:-1] == history}
    lower = _kneser_ney(sequences, num_tokens, order, history[1:], token) if history else 1 / (num_tokens + 1)
    if not following:
        return lower
    taken = {name: discounts[min(count, 3) - 1] for name, count in following.items()}
    return (following.get(token, 0) - taken.get(token, 0.0) + sum(taken.values()) * lower) / sum(following.values())


@pytest.mark.parametrize(("order", "num_tokens", "num"), [(2, 9, 60), (3, 4, 60), (4, 3, 20)])
def test_kneser_ney_by_hand(order: int, num_tokens: int, num: int) -> None:
    sequences = _sequences(5, num, num_tokens)
    model = NGram.train(sequences, num_tokens, order, "kneser-ney")
    for context in [(), (1,), (2, 3), (3, 3, 3), (1, 2, 1, 2), (3, 1, 2, 2)]:
        history = (-1, *context)[max(0, len(context) + 2 - order) :]
        for token in range(num_tokens + 1):
            expected = _kneser_ney(sequences, num_tokens, order, history, token)
            assert math.exp(model.log_prob(context, token)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([1] * 8 + [2] * 4 + [3] * 2 + [4], (1 - 8 / 16, 2 - 3 * 0.5 * 2 / 4, 3 - 4 * 0.5 / 2)),
        ([1] * 8 + [2] * 4 + [3] * 2 + [9], (0.5, 1.0, 1.5)),
        ([1] + [2] * 4 + [3] * 40 + [4], (0.5, 1.0, 1.5)),
    ],
    ids=["estimates", "nothing counted four times", "negative estimates"],
)
def test_discounts(counts: list[int], expected: tuple[float, ...]) -> None:
    assert _discounts(np.array(counts)).tolist() == pytest.approx([0.0, *expected])


def test_kneser_ney_gives_little_to_a_token_with_one_neighbour() -> None:
    """'Francisco': 2 is frequent but only after 1; 3 is rarer but stands after everything."""
    sequences = [[1, 2]] * 30 + [[4, 3], [5, 3], [6, 3], [7, 3]]
    plain, kneser_ney = (NGram.train(sequences, 8, 2, smoothing) for smoothing in SMOOTHINGS)
    unseen = (8,)
    assert plain.log_prob(unseen, 2) > plain.log_prob(unseen, 3)
    assert kneser_ney.log_prob(unseen, 2) < kneser_ney.log_prob(unseen, 3)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_a_longer_context_fits_a_chain_better(smoothing: Smoothing) -> None:
    train, test = _sequences(1, 400, 8)[:300], _sequences(1, 400, 8)[300:]
    one, two, three = (NGram.train(train, 8, order, smoothing).perplexity(test) for order in (1, 2, 3))
    assert two < 0.85 * one
    assert three < 1.1 * two
    assert NGram.train([[]], 3, 2, smoothing).perplexity([[1]]) > 1.0
    assert math.isnan(NGram.train(train, 8).perplexity([]))


def test_perplexity_by_hand() -> None:
    model = NGram.train([[1, 2], [1]], 2)
    logs = [model.log_prob((), 1), model.log_prob((1,), 2), model.log_prob((1, 2), 0), model.log_prob((), 0)]
    assert model.perplexity([[1, 2], []]) == pytest.approx(math.exp(-sum(logs) / 4))


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_json_keeps_every_bit(smoothing: Smoothing) -> None:
    model = NGram.train(_sequences(2, 50, 6), 6, 3, smoothing)
    other = NGram.from_json(json.loads(json.dumps(model.to_json())))
    for context in ((), (1,), (2, 3), (6, 6)):
        assert [other.log_prob(context, token) for token in range(7)] == [model.log_prob(context, token) for token in range(7)]
    assert (other.order, other.num_tokens, other.smoothing) == (3, 6, smoothing)


def test_lookup_over_a_large_vocabulary_stays_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are dropped when too many are kept."""
    model = NGram.train(_sequences(3, 50, 6), 6, 3)
    expected = {context: model.log_prob(context, 2) for context in ((), (1,), (2, 3), (4, 4))}
    monkeypatch.setattr("tidegate.decode.ngram._KEPT_CELLS", 14)
    fresh = NGram.from_json(model.to_json())
    assert {context: fresh.log_prob(context, 2) for context in expected} == expected
    assert len(fresh._rows) <= 2


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="no sequence to train"):
        NGram.train([], 3)
    with pytest.raises(ValueError, match="sequence 1 has tokens from 0 to 2, expected 1 to 3"):
        NGram.train([[1], [0, 2]], 3)
    with pytest.raises(ValueError, match="sequence 0 has tokens from 4 to 4"):
        NGram.train([[4]], 3)
    for order in (0, 6):
        with pytest.raises(ValueError, match=f"the order is {order} for 3 tokens, expected 1 to 5"):
            NGram.train([[1]], 3, order)
    with pytest.raises(ValueError, match="the order is 5 for 10000 tokens"):
        NGram.train([[1]], 10_000, 5)
    with pytest.raises(ValueError, match="smoothing is 'none', expected one of witten-bell, kneser-ney"):
        NGram.train([[1]], 3, 2, "none")  # type: ignore[arg-type]
