"""The best path: groupby as the oracle, streams cut anywhere, and what is refused."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.decode.greedy import GreedyStream, Token, check_log_probs, greedy


def _log_probs(rng: np.random.Generator, num_frames: int, columns: int) -> np.ndarray:
    """Few different rows, so that symbols often repeat."""
    logits = rng.normal(size=(4, columns))[rng.integers(0, 4, num_frames)] * 2.0
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _oracle(log_probs: np.ndarray) -> list[Token]:
    tokens, begin = [], 0
    for symbol, frames in itertools.groupby(log_probs.argmax(axis=1).tolist()):
        end = begin + len(list(frames))
        if symbol:
            tokens.append(Token(symbol, begin, end, max(float(np.exp(row[symbol])) for row in log_probs[begin:end])))
        begin = end
    return tokens


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10_000), num_frames=st.integers(0, 30), columns=st.integers(2, 5), data=st.data())
def test_any_pieces_give_the_best_path(seed: int, num_frames: int, columns: int, data: st.DataObject) -> None:
    log_probs = _log_probs(np.random.default_rng(seed), num_frames, columns)
    expected = _oracle(log_probs)
    assert greedy(log_probs) == expected
    cuts = sorted(data.draw(st.lists(st.integers(0, num_frames), max_size=8)))
    stream, tokens = GreedyStream(), []
    for begin, end in itertools.pairwise([0, *cuts, num_frames]):
        tokens += stream.feed(log_probs[begin:end])
        assert stream.partial() == _oracle(log_probs[:end])
    assert tokens + stream.finish() == expected == stream.partial()


def test_by_hand() -> None:
    """A token goes on over frames, a blank between makes it two, and a stream gives it when the next symbol has come."""
    log_probs = np.log([[0.2, 0.7, 0.1], [0.1, 0.9, 0.0 + 1e-9], [0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.3, 0.5]])
    tokens = greedy(log_probs)
    assert [(token.index, token.begin, token.end) for token in tokens] == [(1, 0, 2), (1, 3, 4), (2, 4, 5)]
    assert [token.confidence for token in tokens] == pytest.approx([0.9, 0.6, 0.5])
    stream = GreedyStream()
    assert [len(stream.feed(row[None])) for row in log_probs] == [0, 0, 1, 0, 1]
    assert stream.finish() == tokens[-1:]


def test_confidence_is_a_probability_in_float32() -> None:
    log_probs = np.array([[-80.0, 6e-8]], np.float32)
    assert greedy(log_probs)[0].confidence == 1.0


def test_what_is_no_table_of_log_probabilities_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\), expected \[T, V \+ 1\]"):
        greedy(np.zeros(3))
    with pytest.raises(ValueError, match="at least one token"):
        greedy(np.zeros((3, 1)))
    with pytest.raises(ValueError, match="frame 1 sum to 2, expected 1; are these logits"):
        check_log_probs(np.log([[0.5, 0.5], [1.0, 1.0]]))
    with pytest.raises(ValueError, match="sum to nan"):
        greedy(np.full((2, 3), np.nan))
    stream = GreedyStream()
    stream.finish()
    with pytest.raises(ValueError, match="begin another GreedyStream"):
        stream.feed(np.log([[0.5, 0.5]]))
