"""The rule by which one channel is cleaned, and the codes for 'missing' that the rule finds in the training part."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

_BLOCK = 1 << 20
_NINES = [10.0**digits - 1 for digits in range(2, 8)] + [99.9, 99.99, 999.9, 999.99, 9999.9]
_FILLS = [32767.0, 65535.0, 1e20, 1e30, 9.96921e36]
_NEGATIVE = [200.0, 777.0, 888.0, 7777.0, 8888.0, 32768.0]
CODES = np.array(sorted(_NINES + _FILLS + [-code for code in _NINES + _FILLS + _NEGATIVE]))
"""Numbers in use as 'missing': nines (weather and older statistics), -200 (UCI Air Quality), ends of 16-bit integers, NetCDF's
fill values."""


@dataclass(frozen=True)
class CleanRule:
    """How one channel is cleaned. `window` is the half-width k in steps; `tested` is False where only sentinels are replaced."""

    window: int = 12
    threshold: float = 6.0
    seasons: tuple[int, ...] = ()
    sentinels: tuple[float, ...] = ()
    tested: bool = True

    @property
    def longest(self) -> int:
        """Outliers in a row that are replaced; more of them are a change of level, which the newest values are to tell."""
        return max(1, self.window // 4)

    @classmethod
    def fit(
        cls,
        values_R: np.ndarray,
        offsets: np.ndarray | None = None,
        train_ends: np.ndarray | None = None,
        *,
        window: int = 12,
        threshold: float = 6.0,
        seasons: Sequence[int] = (),
        sentinels: Sequence[float] | None = None,
    ) -> "CleanRule":
        """A rule for one channel, from the training part only: series i is trained on rows offsets[i] to train_ends[i].

        Without offsets it is one series, without train_ends every row is of the training part. Sentinels are found unless
        given. A column with at most two distinct values (a flag, say) is not tested for outliers.
        """
        offsets, train_ends = whole_series(values_R, offsets, train_ends)
        found = find_sentinels(_training(values_R, offsets, train_ends)) if sentinels is None else tuple(map(float, sentinels))
        tested = _has_three_values(_training(values_R, offsets, train_ends), found)
        return cls(int(window), float(threshold), tuple(sorted({int(m) for m in seasons if m > 1})), found, tested)

    def to_json(self) -> dict[str, Any]:
        """A tree of plain values, as in preparation.json."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> "CleanRule":
        """The inverse of `to_json`."""
        return cls(tree["window"], tree["threshold"], tuple(tree["seasons"]), tuple(tree["sentinels"]), tree["tested"])


def whole_series(values_R: np.ndarray, offsets: np.ndarray | None, train_ends: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Offsets int64 [n+1] and training ends int64 [n], with the defaults filled in: one series, all of it training part."""
    offsets = np.array([0, len(values_R)]) if offsets is None else offsets
    train_ends = offsets[1:] if train_ends is None else train_ends
    return np.asarray(offsets, dtype=np.int64), np.asarray(train_ends, dtype=np.int64)


def is_any_of(values: np.ndarray, sentinels: Iterable[float]) -> np.ndarray:
    """Where `values` equal a sentinel as it is written in their own type (99.9 in float32 is 99.9000015), bool."""
    mask = np.zeros(values.shape, dtype=bool)
    for sentinel in sentinels:
        mask |= values == values.dtype.type(sentinel)
    return mask


def find_sentinels(blocks: Iterable[np.ndarray]) -> tuple[float, ...]:
    """Codes for 'missing' among the cells of one channel, given in blocks (1-D, NaN is missing).

    A number of `CODES` is one if it lies outside all other values, farther away than these are wide, or farther than half their
    interquartile range if it is negative and they are not. A single cell may be a true extreme, so it takes two, and three for the
    two digits of 99, which much is counted up to. One is enough of -999, -9999 and the like, and of 1e20, which nothing is by chance.
    """
    counts, low, high = np.zeros(len(CODES), dtype=np.int64), np.inf, -np.inf
    samples: list[np.ndarray] = []
    for block in blocks:
        block = block[np.isfinite(block)]
        code = _code_of(block)
        counts += np.bincount(code[code >= 0], minlength=len(CODES))
        rest = block[code < 0]
        if len(rest):
            low, high = min(low, float(rest.min())), max(high, float(rest.max()))
            samples.append(rest[:: max(1, len(rest) >> 12)])
    if not low < high:
        return ()
    middle = float(np.subtract(*np.percentile(np.concatenate(samples).astype(np.float64), [75, 25])))
    return tuple(float(CODES[i]) for i in np.flatnonzero(counts) if _stands_apart(float(CODES[i]), int(counts[i]), low, high, middle))


def _stands_apart(code: float, count: int, low: float, high: float, middle: float) -> bool:
    alone = code <= -999.0 or code >= 1e20
    if count < (1 if alone else 3 if abs(code) < 100 else 2):
        return False
    gap = max(low - code, code - high)
    return gap > high - low or (count > 1 and code < 0 <= low and gap > middle / 2)


def _code_of(values: np.ndarray) -> np.ndarray:
    """Number in CODES of each value, -1 for others, int64."""
    codes = CODES.astype(values.dtype)
    place = np.minimum(np.searchsorted(codes, values), len(codes) - 1)
    return np.where(codes[place] == values, place, -1)


def _training(values_R: np.ndarray, offsets: np.ndarray, train_ends: np.ndarray) -> Iterator[np.ndarray]:
    """The training cells in blocks of about a million."""
    first = 0
    while first < len(train_ends):
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + _BLOCK, side="right")) - 1)
        if last == first + 1:
            for row in range(offsets[first], train_ends[first], _BLOCK):
                yield np.asarray(values_R[row : min(row + _BLOCK, train_ends[first])])
        else:
            rows = np.arange(offsets[first], offsets[last])
            ends = np.repeat(train_ends[first:last], np.diff(offsets[first : last + 1]))
            yield np.asarray(values_R[offsets[first] : offsets[last]])[rows < ends]
        first = last


def _has_three_values(blocks: Iterable[np.ndarray], sentinels: tuple[float, ...]) -> bool:
    seen: np.ndarray = np.zeros(0)
    for block in blocks:
        block = block[np.isfinite(block) & ~is_any_of(block, sentinels)]
        if len(block):
            low, high = block.min(), block.max()
            between = block[(block != low) & (block != high)][:1]
            seen = np.unique(np.concatenate([seen, [low, high], between]))
        if len(seen) > 2:
            return True
    return False
