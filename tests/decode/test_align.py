"""Forced alignment: every path of tiny cases as the oracle."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tidegate.decode.align import align, frames_needed


def _log_probs(seed: int, num_frames: int, columns: int) -> np.ndarray:
    return np.log(np.random.default_rng(seed).dirichlet(np.ones(columns), num_frames))


def _spells(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10_000), num_frames=st.integers(1, 6), tokens=st.lists(st.integers(1, 2), max_size=4))
def test_equals_the_best_of_all_paths(seed: int, num_frames: int, tokens: list[int]) -> None:
    assume(num_frames >= frames_needed(tokens))
    log_probs = _log_probs(seed, num_frames, 3)
    paths = (path for path in itertools.product(range(3), repeat=num_frames) if _spells(path) == tuple(tokens))
    best = max(paths, key=lambda path: log_probs[np.arange(num_frames), path].sum())
    found = np.zeros(num_frames, int)
    aligned = align(log_probs, tokens)
    for token in aligned:
        found[token.begin : token.end] = token.index
        assert token.confidence == pytest.approx(np.exp(log_probs[token.begin : token.end, token.index]).max())
    assert tuple(found) == best
    assert [token.index for token in aligned] == tokens


@pytest.mark.parametrize("tokens", [[1], [1, 1], [1, 2, 1], [2, 2, 2, 1, 1]])
def test_frames_needed_is_the_length_of_the_shortest_path(tokens: Sequence[int]) -> None:
    shortest = next(
        num for num in itertools.count() if any(_spells(path) == tuple(tokens) for path in itertools.product(range(3), repeat=num))
    )
    assert frames_needed(tokens) == shortest
    assert [token.index for token in align(_log_probs(0, shortest, 3), tokens)] == tokens
    with pytest.raises(ValueError, match=f"{shortest - 1} frames for {len(tokens)} tokens, expected at least {shortest}"):
        align(_log_probs(0, shortest - 1, 3), tokens)


def test_long_strings_are_found_where_they_were_put() -> None:
    """More states than a byte counts."""
    tokens = np.random.default_rng(1).integers(1, 6, 300).tolist()
    begins = 3 * np.arange(300)
    table = np.full((900, 6), 0.02)
    table[:, 0] = 0.9
    table[begins] = 0.02
    table[begins, tokens] = 0.9
    aligned = align(np.log(table), tokens)
    assert [(token.index, token.begin, token.end) for token in aligned] == [
        (token, begin, begin + 1) for token, begin in zip(tokens, begins.tolist(), strict=True)
    ]


def test_bad_input() -> None:
    log_probs = _log_probs(0, 4, 3)
    assert align(log_probs, []) == [] == align(log_probs[:0], [])
    for token in (0, 3, -1):
        with pytest.raises(ValueError, match=f"a token is {token}, expected 1 to 2; 0 is the blank"):
            align(log_probs, [1, token])
    with pytest.raises(ValueError, match="are these logits"):
        align(log_probs + 1.0, [1])
    with pytest.raises(ValueError, match="probability 0"):
        align(np.array([[0.0, -math.inf]] * 3), [1])
