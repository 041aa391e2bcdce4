"""Language models over tokens: n-grams with Witten-Bell or modified Kneser-Ney smoothing, interpolated, fast to look up.

Tokens are 1 to V, as in the columns of log probabilities. 0 ends a sequence; V + 1 stands before its beginning and is never predicted.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np

Smoothing = Literal["witten-bell", "kneser-ney"]
END = 0
MAX_ORDER = 5
_FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)
"""Where the counts of counts give none that can be used, as in most lower orders over a few dozen phones; KenLM's --discount_fallback."""
_KEPT_CELLS = 1 << 24
"""Log probabilities kept for looking up, 128 MiB; beyond that they are computed anew."""


def highest_order(num_tokens: int) -> int:
    """The longest n-grams that can be counted of so many tokens: their numbers have to fit into 62 bits."""
    return max((order for order in range(1, MAX_ORDER + 1) if (num_tokens + 2) ** order < 1 << 62), default=1)


class NGram:
    """p(token | the last order - 1 tokens), and p(end); made by `train` or `from_json`.

    A state is a number for the part of a context that the model tells apart: `start`, then `step` by `step`; `scores(state)` holds
    the log probabilities of all that can follow. Natural logarithms throughout.
    """

    def __init__(self, ngrams: np.ndarray, counts: np.ndarray, num_tokens: int, smoothing: Smoothing) -> None:
        """Take counted n-grams of the full order: ngrams int64 [n, order], V + 1 before the beginning; counts int64 [n]."""
        self.order, self.num_tokens, self.smoothing = ngrams.shape[1], num_tokens, smoothing
        self._ngrams, self._counts = ngrams, counts
        self._states: dict[tuple[int, ...], int] = {}
        self._contexts: list[tuple[int, ...]] = []
        self._followers: list[np.ndarray] = []
        self._shares: list[np.ndarray] = []
        self._backoffs: list[float] = []
        self._rows: dict[int, np.ndarray] = {}
        self._steps: dict[tuple[int, int], int] = {}
        for length in range(1, self.order + 1):
            self._add_order(*_order(ngrams, counts, length, num_tokens + 1, smoothing))
        self.start = self._state_of((num_tokens + 1,))

    @staticmethod
    def train(sequences: Iterable[Sequence[int]], num_tokens: int, order: int = 2, smoothing: Smoothing = "witten-bell") -> "NGram":
        """Count and smooth sequences of tokens 1 to `num_tokens`; every token gets a probability, also one that never occurs.

        witten-bell  c(h w) / (c(h) + t(h)) + t(h) / (c(h) + t(h)) p(w | h'), t(h) the different tokens after h and h' the context less
                     its oldest token: Witten and Bell 1991, method C, interpolated. For a few dozen tokens.
        kneser-ney   modified, interpolated: Chen and Goodman 1998, 'An empirical study of smoothing techniques'. For large vocabularies.
        Below the unigrams lies 1 / (V + 1) for each token and the end.
        Raises ValueError for no sequence, a token out of range, and an order that is not 1 to 5 or too high for so many tokens.
        """
        if not 1 <= order <= highest_order(num_tokens):
            raise ValueError(f"the order is {order} for {num_tokens} tokens, expected 1 to {MAX_ORDER}, and less for very many tokens")
        if smoothing not in get_args(Smoothing):
            raise ValueError(f"smoothing is '{smoothing}', expected one of {', '.join(get_args(Smoothing))}")
        begin = (num_tokens + 1,) * (order - 1)
        padded = [np.array([*begin, *sequence, END], np.int64) for sequence in sequences]
        if not padded:
            raise ValueError("no sequence to train an n-gram model on, expected at least one")
        _check_range(padded, order, num_tokens)
        windows = np.concatenate([np.lib.stride_tricks.sliding_window_view(sequence, order) for sequence in padded])
        ngrams, counts = _unique(windows, np.ones(len(windows), np.int64), num_tokens + 2)
        return NGram(ngrams, counts, num_tokens, smoothing)

    def step(self, state: int, token: int) -> int:
        """The state after a token 1 to V."""
        found = self._steps.get((state, token))
        if found is None:
            found = self._state_of((*self._contexts[state], token))
            self._steps[state, token] = found
        return found

    def scores(self, state: int) -> np.ndarray:
        """Log probabilities of what follows, float64 [V + 1], not to be written to: the end at 0, token i at i."""
        row = self._rows.get(state)
        if row is None:
            if len(self._rows) * (self.num_tokens + 1) >= _KEPT_CELLS:
                self._rows.clear()
            row = np.log(self._probabilities(self._contexts[state]))
            self._rows[state] = row
        return row

    def log_prob(self, context: Sequence[int], token: int) -> float:
        """Of a token, or of the end (0), after all the tokens that the sequence has so far: none of them at its beginning."""
        whole = (self.num_tokens + 1, *context)
        return float(self.scores(self._state_of(whole))[token])

    def perplexity(self, sequences: Iterable[Sequence[int]]) -> float:
        """exp of the mean -log p of tokens and ends; NaN without a sequence."""
        total, num = 0.0, 0
        for sequence in sequences:
            state = self.start
            for token in sequence:
                total += float(self.scores(state)[token])
                state = self.step(state, token)
            total += float(self.scores(state)[END])
            num += len(sequence) + 1
        return math.exp(-total / num) if num else math.nan

    def to_json(self) -> dict[str, Any]:
        """The counts as plain lists; what is computed from them is the same to the bit."""
        return {
            "order": self.order,
            "num_tokens": self.num_tokens,
            "smoothing": self.smoothing,
            "ngrams": self._ngrams.ravel().tolist(),
            "counts": self._counts.tolist(),
        }

    @staticmethod
    def from_json(tree: dict[str, Any]) -> "NGram":
        """The inverse of to_json."""
        ngrams = np.array(tree["ngrams"], np.int64).reshape(-1, tree["order"])
        return NGram(ngrams, np.array(tree["counts"], np.int64), tree["num_tokens"], tree["smoothing"])

    def _state_of(self, context: tuple[int, ...]) -> int:
        """The state of the longest end of a context that something follows in the training sequences; the empty one always is."""
        context = context[len(context) - min(len(context), self.order - 1) :]
        while context not in self._states:
            context = context[1:]
        return self._states[context]

    def _probabilities(self, context: tuple[int, ...]) -> np.ndarray:
        state = self._states[context]
        if context:
            lower = self._probabilities(self._contexts[self._state_of(context[1:])])
        else:
            lower = np.full(self.num_tokens + 1, 1.0 / (self.num_tokens + 1))
        row = self._backoffs[state] * lower
        row[self._followers[state]] += self._shares[state]
        return row

    def _add_order(self, ngrams: np.ndarray, shares: np.ndarray, firsts: np.ndarray, backoffs: np.ndarray) -> None:
        """Take an order's n-grams, sorted, and the row at which each context begins."""
        bounds = [*firsts.tolist(), len(ngrams)]
        for number, (begin, end) in enumerate(pairwise(bounds)):
            context = tuple(ngrams[begin, :-1].tolist())
            self._states[context] = len(self._contexts)
            self._contexts.append(context)
            self._followers.append(ngrams[begin:end, -1])
            self._shares.append(shares[begin:end])
            self._backoffs.append(float(backoffs[number]))


def _order(
    ngrams: np.ndarray, counts: np.ndarray, length: int, begin: int, smoothing: Smoothing
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """An order of the model: n-grams [n, length], their shares [n], the first row of each context [h], its backoff weight [h]."""
    ngrams, counts = _counted(ngrams, counts, length, begin, smoothing)
    begins = np.ones(len(ngrams), bool)
    begins[1:] = (ngrams[1:, :-1] != ngrams[:-1, :-1]).any(axis=1)
    firsts = np.flatnonzero(begins)
    sizes = np.diff(firsts, append=len(ngrams))
    totals = np.add.reduceat(counts, firsts).astype(np.float64)
    if smoothing == "witten-bell":
        return ngrams, counts / np.repeat(totals + sizes, sizes), firsts, sizes / (totals + sizes)
    discounts = _discounts(counts)[np.minimum(counts, 3)]
    return ngrams, (counts - discounts) / np.repeat(totals, sizes), firsts, np.add.reduceat(discounts, firsts) / totals


def _counted(ngrams: np.ndarray, counts: np.ndarray, length: int, begin: int, smoothing: Smoothing) -> tuple[np.ndarray, np.ndarray]:
    """n-grams of a length and how often they occur; for Kneser-Ney below the full order, how many different tokens stand before them.

    Nothing can stand before a sequence's beginning, so what starts there keeps its count. More than one such symbol says no more than
    one does: those n-grams are left out, and their context is the one symbol.
    """
    order, base = ngrams.shape[1], begin + 1
    short, short_counts = _unique(ngrams[:, order - length :], counts, base)
    if smoothing == "kneser-ney" and length < order:
        longer, _ = _unique(ngrams[:, order - length - 1 :], counts, base)
        _, different = _unique(longer[:, 1:], np.ones(len(longer), np.int64), base)
        short_counts = np.where(short[:, 0] == begin, short_counts, different)
    if length > 2:
        kept = short[:, 1] != begin
        return short[kept], short_counts[kept]
    return short, short_counts


def _unique(ngrams: np.ndarray, counts: np.ndarray, base: int) -> tuple[np.ndarray, np.ndarray]:
    """Different rows, sorted, and the sum of their counts."""
    places = base ** np.arange(ngrams.shape[1] - 1, -1, -1, dtype=np.int64)
    codes, inverse = np.unique(ngrams @ places, return_inverse=True)
    sums = np.zeros(len(codes), np.int64)
    np.add.at(sums, inverse, counts)
    return codes[:, None] // places % base, sums


def _discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken off n-grams counted 1, 2, and 3 or more times, at 1, 2 and 3. Chen and Goodman 1998."""
    once, twice, thrice, four = (int((counts == number).sum()) for number in (1, 2, 3, 4))
    if min(once, twice, thrice, four) > 0:
        share = once / (once + 2 * twice)
        found = (1 - 2 * share * twice / once, 2 - 3 * share * thrice / twice, 3 - 4 * share * four / thrice)
        if all(0.0 < discount <= number for number, discount in enumerate(found, start=1)):
            return np.array([0.0, *found])
    return np.array([0.0, *_FALLBACK_DISCOUNTS])


def _check_range(padded: list[np.ndarray], order: int, num_tokens: int) -> None:
    for number, sequence in enumerate(padded):
        tokens = sequence[order - 1 : -1]
        if len(tokens) and not 1 <= tokens.min() <= tokens.max() <= num_tokens:
            raise ValueError(f"sequence {number} has tokens from {tokens.min()} to {tokens.max()}, expected 1 to {num_tokens}")
