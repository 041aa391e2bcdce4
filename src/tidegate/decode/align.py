"""Where each token of a known string lies: CTC's forced alignment."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from tidegate.decode.greedy import BLANK, Token, check_log_probs


def frames_needed(tokens: Sequence[int]) -> int:
    """The fewest frames that CTC can emit a string in: one for each token and a blank between equal neighbours.

    Graves et al. 2006, section 3.1. A loss over fewer frames is infinite.
    """
    return len(tokens) + sum(left == right for left, right in pairwise(tokens))


def align(log_probs_TV: np.ndarray, tokens: Sequence[int]) -> list[Token]:
    """The likeliest path among those that spell `tokens` (indices 1 to V), as the frames of each token.

    Viterbi over the 2 U + 1 symbols of the string with blanks between (Graves et al. 2006, section 4.1, maxima for its sums). Frames of
    blank belong to no token. Raises ValueError for what is no table of log probabilities, a token that it has no column for, fewer
    frames than `frames_needed`, and a string of probability 0.
    """
    check_log_probs(log_probs_TV)
    check_tokens(tokens, log_probs_TV.shape[1])
    needed = frames_needed(tokens)
    if len(log_probs_TV) < needed:
        raise ValueError(
            f"{len(log_probs_TV)} frames for {len(tokens)} tokens, expected at least {needed}; take longer audio or less pooling"
        )
    if not len(tokens):
        return []
    states = _best_states(log_probs_TV.astype(np.float64), spelled(tokens), skippable(tokens))
    begins = np.searchsorted(states, 2 * np.arange(len(tokens)) + 1)
    ends = np.searchsorted(states, 2 * np.arange(len(tokens)) + 2)
    return [
        Token(token, int(begin), int(end), float(min(1.0, np.exp(log_probs_TV[begin:end, token].max()))))
        for token, begin, end in zip(map(int, tokens), begins, ends, strict=True)
    ]


def check_tokens(tokens: Sequence[int], columns: int) -> None:
    """Raise ValueError for a token that is none of the columns 1 to V."""
    for token in tokens:
        if not 1 <= token < columns:
            raise ValueError(f"a token is {token}, expected 1 to {columns - 1}; 0 is the blank")


def spelled(tokens: Sequence[int]) -> np.ndarray:
    """The string with blanks before, between and after, int64 [2 U + 1]: the states of CTC's paths."""
    symbols = np.full(2 * len(tokens) + 1, BLANK, np.int64)
    symbols[1::2] = tokens
    return symbols


def skippable(tokens: Sequence[int]) -> np.ndarray:
    """Which of the states can be entered from two before, bool [2 U + 1]: tokens that differ from the one before."""
    states = np.zeros(2 * len(tokens) + 1, bool)
    states[3::2] = np.asarray(tokens[1:], np.int64) != np.asarray(tokens[:-1], np.int64)
    return states


def _best_states(log_probs_TV: np.ndarray, symbols_S: np.ndarray, skippable_S: np.ndarray) -> np.ndarray:
    """The states of the best path, int64 [T]."""
    num_frames, num_states = len(log_probs_TV), len(symbols_S)
    emitted_TS = log_probs_TV[:, symbols_S]
    steps_TS = np.zeros((num_frames, num_states), np.int8)
    ways = np.full((3, num_states), -np.inf)
    best_S = np.full(num_states, -np.inf)
    best_S[:2] = emitted_TS[0, :2]
    for frame in range(1, num_frames):
        ways[0] = best_S
        ways[1, 1:] = best_S[:-1]
        ways[2, 2:] = np.where(skippable_S[2:], best_S[:-2], -np.inf)
        steps_TS[frame] = ways.argmax(axis=0)
        best_S = ways.max(axis=0) + emitted_TS[frame]
    state = num_states - 1 if best_S[-1] > best_S[-2] else num_states - 2
    if np.isneginf(best_S[state]):
        raise ValueError("the string has probability 0, expected a path; a token has probability 0 in every frame it could lie in")
    states = np.empty(num_frames, np.int64)
    for frame in range(num_frames - 1, -1, -1):
        states[frame] = state
        state -= int(steps_TS[frame, state])
    return states
