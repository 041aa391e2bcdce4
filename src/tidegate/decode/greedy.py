"""The best path of CTC: the likeliest symbol of each frame, repeats merged, blanks dropped. Graves et al. 2006, section 3.2."""

from dataclasses import dataclass, replace

import numpy as np

BLANK = 0
_TOTAL_TOLERANCE = 0.02
"""How far the probabilities of a frame may be from 1 in sum: float16 errs by less over some thousand tokens; logits are far off."""


@dataclass(frozen=True)
class Token:
    """A token where it was heard.

    index       1 to V
    begin, end  frames, the end exclusive
    confidence  the highest probability that the token has in any of its frames, 0 to 1. CTC's networks emit a token as a spike; what
                its other frames say is how wide the spike is, not how sure the network was.
    """

    index: int
    begin: int
    end: int
    confidence: float


def greedy(log_probs_TV: np.ndarray) -> list[Token]:
    """The best path's tokens, in order of time.

    Raises ValueError for what is no [T, V + 1] table of log probabilities.
    """
    stream = GreedyStream()
    return stream.feed(log_probs_TV) + stream.finish()


class GreedyStream:
    """`greedy` over frames that come in pieces of any size: the same tokens, to the bit."""

    def __init__(self) -> None:
        self._done: list[Token] = []
        self._open: Token | None = None
        self._frames = 0
        self._finished = False

    def feed(self, log_probs_TV: np.ndarray) -> list[Token]:
        """The tokens that these frames complete: those after which another symbol has come; frames are counted from the first fed.

        Raises ValueError for what is no [T, V + 1] table of log probabilities, and after `finish`.
        """
        if self._finished:
            raise ValueError("frames came after finish(), expected none; begin another GreedyStream")
        check_log_probs(log_probs_TV)
        complete: list[Token] = []
        for token in _runs(log_probs_TV, self._frames):
            if self._open is not None and self._open.index == token.index:
                self._open = replace(self._open, end=token.end, confidence=max(self._open.confidence, token.confidence))
                continue
            complete.extend(self._close())
            self._open = None if token.index == BLANK else token
        self._frames += len(log_probs_TV)
        return complete

    def partial(self) -> list[Token]:
        """All tokens so far, also the last one where it may still go on."""
        return [*self._done, *([] if self._open is None else [self._open])]

    def finish(self) -> list[Token]:
        """The token that was still open, if there is one; nothing can be fed after."""
        self._finished = True
        return self._close()

    def _close(self) -> list[Token]:
        closed = [] if self._open is None else [self._open]
        self._done.extend(closed)
        self._open = None
        return closed


def check_log_probs(log_probs_TV: np.ndarray) -> None:
    """Raise ValueError where an array is no [T, V + 1] table of log probabilities of a blank and at least one token."""
    if log_probs_TV.ndim != 2 or log_probs_TV.shape[1] < 2:
        raise ValueError(f"log_probs_TV has shape {log_probs_TV.shape}, expected [T, V + 1]: the blank and at least one token")
    totals = np.exp(log_probs_TV.astype(np.float64)).sum(axis=1)
    wrong = ~(np.abs(totals - 1.0) <= _TOTAL_TOLERANCE)
    if wrong.any():
        frame = int(wrong.argmax())
        raise ValueError(f"the probabilities of frame {frame} sum to {totals[frame]:g}, expected 1; are these logits? Take log_softmax.")


def _runs(log_probs_TV: np.ndarray, first_frame: int) -> list[Token]:
    """Runs of frames with the same likeliest symbol, blanks among them; of equals the first symbol."""
    if len(log_probs_TV) == 0:
        return []
    symbols, tops = log_probs_TV.argmax(axis=1), log_probs_TV.max(axis=1)
    begins = np.concatenate([[0], np.flatnonzero(np.diff(symbols)) + 1])
    ends = np.concatenate([begins[1:], [len(symbols)]])
    confidences = np.exp(np.maximum.reduceat(tops, begins).astype(np.float64)).clip(max=1.0)
    return [
        Token(int(symbols[begin]), first_frame + int(begin), first_frame + int(end), float(confidence))
        for begin, end, confidence in zip(begins, ends, confidences, strict=True)
    ]
