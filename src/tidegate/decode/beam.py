"""Prefix beam search: the string of tokens that all its paths together make likeliest, with a language model if there is one.

Graves and Jaitly 2014, 'Towards end-to-end speech recognition', algorithm 1; Hannun et al. 2014, 'First-pass large vocabulary
continuous speech recognition using bi-directional recurrent DNNs', algorithm 1. Letters beside the package's: K prefixes in the beam.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tidegate.decode.align import check_tokens, skippable, spelled
from tidegate.decode.greedy import BLANK, check_log_probs
from tidegate.decode.ngram import END, NGram

PRUNE = -9.2
"""ln of 1e-4: a token is tried in frames that give it as much. Networks that are nearly sure leave one or two tokens a frame."""
SURE_BLANK = 0.999
"""A blank more probable than this begins no token; in trained networks most frames are such."""


@dataclass(frozen=True)
class Hypothesis:
    """A string and how good it is, in natural logarithms.

    tokens    1 to V
    score     acoustic + lm_weight * log p(tokens and the end) of the language model + token_bonus * U
    acoustic  log probability of those of the string's paths that the search has followed: at most `text_score`, and equal to it where
              the beam has room for all prefixes and nothing is pruned
    """

    tokens: tuple[int, ...]
    score: float
    acoustic: float


def beam_search(
    log_probs_TV: np.ndarray,
    beam: int = 16,
    lm: NGram | None = None,
    lm_weight: float = 0.5,
    token_bonus: float = 0.0,
    prune: float = PRUNE,
    sure_blank: float = SURE_BLANK,
) -> list[Hypothesis]:
    """The best strings, at most `beam`, best first.

    beam         prefixes kept after each frame
    lm           over the same tokens; what it gives a token is added once, when the token is, and its end at the end
    lm_weight    of its log probabilities beside the acoustic ones
    token_bonus  added for each token, against the language model's liking for short strings
    prune        log probability that a token needs in a frame to be tried there; the likeliest always is, and -inf tries all
    sure_blank   probability of blank above which a frame begins no token; 1 looks at every frame

    Raises ValueError for what is no [T, V + 1] table of log probabilities, a beam below 1, and a model over another vocabulary.
    """
    check_log_probs(log_probs_TV)
    if beam < 1:
        raise ValueError(f"the beam is {beam}, expected at least 1")
    if lm is not None and lm.num_tokens != log_probs_TV.shape[1] - 1:
        raise ValueError(
            f"the language model has {lm.num_tokens} tokens, expected {log_probs_TV.shape[1] - 1}, one for each column but the blank"
        )
    log_probs_TV = log_probs_TV.astype(np.float64)
    tried_TV = log_probs_TV >= np.minimum(prune, log_probs_TV.max(axis=1, keepdims=True, initial=-np.inf))
    tried_TV[:, BLANK] = False
    tried_TV[np.exp(log_probs_TV[:, BLANK]) > sure_blank] = False
    trie = _Trie(log_probs_TV.shape[1], lm, lm_weight, token_bonus)
    held = _Beam.first(trie)
    for log_probs_V, tried_V in zip(log_probs_TV, tried_TV, strict=True):
        tried = tried_V.nonzero()[0]
        held = held.extended(log_probs_V, tried, beam, trie) if len(tried) else held.stayed(log_probs_V)
    return _ranked(held, trie)


def text_score(log_probs_TV: np.ndarray, tokens: Sequence[int]) -> float:
    """Natural logarithm of the probability of a string, summed over all its paths; -inf where it has none.

    The forward algorithm, Graves et al. 2006, section 4.1. Raises ValueError for what is no table of log probabilities and a token
    that it has no column for.
    """
    check_log_probs(log_probs_TV)
    check_tokens(tokens, log_probs_TV.shape[1])
    emitted_TS = log_probs_TV.astype(np.float64)[:, spelled(tokens)]
    if not len(emitted_TS):
        return -np.inf if len(tokens) else 0.0
    skips_S = np.where(skippable(tokens), 0.0, -np.inf)
    forward = np.full(emitted_TS.shape[1] + 2, -np.inf)  # two cells before the first state, for those that nothing leads to
    forward[2:4] = emitted_TS[0, :2]
    for emitted_S in emitted_TS[1:]:
        forward[2:] = np.logaddexp(np.logaddexp(forward[2:], forward[1:-1]), forward[:-2] + skips_S) + emitted_S
    return float(np.logaddexp(forward[-1], forward[-2]))


class _Trie:
    """All prefixes ever held; a prefix has one number, also when it comes back after it was dropped. 0 is the empty one."""

    def __init__(self, columns: int, lm: NGram | None, lm_weight: float, token_bonus: float) -> None:
        self.strings: list[tuple[int, ...]] = [()]
        self._numbers: dict[tuple[int, int], int] = {}
        self._states = [0 if lm is None else lm.start]
        self._rows: dict[int, np.ndarray] = {}
        self._plain = np.full(columns, token_bonus)
        self._lm, self._lm_weight, self._token_bonus = lm, lm_weight, token_bonus

    def child(self, parent: int, token: int) -> int:
        """The number of a prefix with one more token."""
        number = self._numbers.get((parent, token))
        if number is None:
            number = self._numbers[parent, token] = len(self.strings)
            self.strings.append((*self.strings[parent], token))
            self._states.append(0 if self._lm is None else self._lm.step(self._states[parent], token))
        return number

    def gains(self, number: int) -> np.ndarray:
        """What language model and bonus add to a prefix's score for one more token, float64 [V + 1]."""
        if self._lm is None:
            return self._plain
        state = self._states[number]
        row = self._rows.get(state)
        if row is None:
            row = self._rows[state] = self._lm_weight * self._lm.scores(state) + self._token_bonus
        return row

    def end(self, number: int) -> float:
        """What the language model adds for the end."""
        return 0.0 if self._lm is None else self._lm_weight * float(self._lm.scores(self._states[number])[END])


@dataclass(frozen=True)
class _Beam:
    """K prefixes. Paths of a prefix end in a blank or in its last token, and are summed apart: `blank` and `token`.

    node    int64 [K]           number in the trie
    parent  int64 [K]           that of the prefix without its last token, -1 for the empty prefix
    last    int64 [K]           last token, 0 for the empty prefix
    blank   float64 [K]         log probability
    token   float64 [K]         log probability
    extra   float64 [K]         what language model and bonus add to the score
    gains   float64 [K, V + 1]  what they add for one more token
    """

    node: np.ndarray
    parent: np.ndarray
    last: np.ndarray
    blank: np.ndarray
    token: np.ndarray
    extra: np.ndarray
    gains: np.ndarray

    @staticmethod
    def first(trie: _Trie) -> "_Beam":
        """The empty prefix."""
        one, zero = np.zeros(1, np.int64), np.zeros(1)
        return _Beam(one, one - 1, one, zero, zero - np.inf, zero, trie.gains(0)[None])

    def stayed(self, log_probs_V: np.ndarray) -> "_Beam":
        """After a frame that begins no token."""
        blank = np.logaddexp(self.blank, self.token) + log_probs_V[BLANK]
        return _Beam(self.node, self.parent, self.last, blank, self.token + log_probs_V[self.last], self.extra, self.gains)

    def extended(self, log_probs_V: np.ndarray, tried: np.ndarray, beam: int, trie: _Trie) -> "_Beam":
        """After a frame in which the tokens `tried` [C] may begin.

        A token begins after any path of the prefix, but where it is the prefix's last one only after a blank: else it goes on.
        """
        stay = self.stayed(log_probs_V)
        total = np.logaddexp(self.blank, self.token)
        grown = np.where(self.last[:, None] == tried, self.blank[:, None], total[:, None]) + log_probs_V[tried]
        self._merge(grown, stay.token, tried)
        extra = self.extra[:, None] + self.gains[:, tried]
        scores = np.concatenate([np.logaddexp(stay.blank, stay.token) + self.extra, (grown + extra).ravel()])
        best = _highest(scores, beam)
        kept = best[best < len(self.node)]
        rows, columns = np.divmod(best[best >= len(self.node)] - len(self.node), len(tried))
        parents, lasts = self.node[rows], tried[columns]
        nodes = [trie.child(parent, last) for parent, last in zip(parents.tolist(), lasts.tolist(), strict=True)]
        return _Beam(
            np.concatenate([self.node[kept], np.array(nodes, np.int64)]),
            np.concatenate([self.parent[kept], parents]),
            np.concatenate([self.last[kept], lasts]),
            np.concatenate([stay.blank[kept], np.full(len(nodes), -np.inf)]),
            np.concatenate([stay.token[kept], grown[rows, columns]]),
            np.concatenate([self.extra[kept], extra[rows, columns]]),
            np.concatenate([self.gains[kept], [trie.gains(node) for node in nodes]]) if nodes else self.gains[kept],
        )

    def _merge(self, grown: np.ndarray, token: np.ndarray, tried: np.ndarray) -> None:
        """Move into `token` [K] the paths of `grown` [K, C] that lead to a prefix the beam already holds: both arrays are changed."""
        children, parents = (self.parent[:, None] == self.node).nonzero()
        if len(children) == 0:
            return
        columns = np.searchsorted(tried, self.last[children]).clip(max=len(tried) - 1)
        met = tried[columns] == self.last[children]
        children, parents, columns = children[met], parents[met], columns[met]
        token[children] = np.logaddexp(token[children], grown[parents, columns])
        grown[parents, columns] = -np.inf


def _highest(scores: np.ndarray, num: int) -> np.ndarray:
    """Places of the highest scores, in no order; impossible ones are left out."""
    best = np.argpartition(scores, len(scores) - num)[-num:] if len(scores) > num else np.arange(len(scores))
    return best[scores[best] > -np.inf]


def _ranked(held: _Beam, trie: _Trie) -> list[Hypothesis]:
    acoustic = np.logaddexp(held.blank, held.token)
    numbers = held.node.tolist()
    scores = acoustic + held.extra + np.array([trie.end(number) for number in numbers])
    return [
        Hypothesis(trie.strings[numbers[place]], float(scores[place]), float(acoustic[place]))
        for place in np.argsort(-scores, kind="stable")
    ]
