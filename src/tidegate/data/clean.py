"""Outliers and sentinels: found by a rolling median and MAD test, replaced by the mean of their neighbours.

The test is Hampel's (Pearson, 'Outliers in process modeling and identification', IEEE Trans. Control Systems Technology 10(1),
2002): a cell is far if it lies more than `threshold` robust standard deviations (1.4826 MAD) from the median of the 2k+1 cells
around it. A regular daily peak is far in this sense too, so a cell must also be as far from the values one season before.
Windows with fewer than k other observed cells or with MAD 0 are not tested.

Cleaning is local, exactly: a cleaned cell depends on raw cells of its past and of the next 2k steps, no others. What a forecast
origin may see, the past cleaned without a look beyond the origin, therefore differs from the series cleaned as a whole in its
last 2k cells only; `clean_tails` gives those differences.

Shapes: R rows of all series one after the other, T steps of one series. NaN is missing and stays missing.
"""

from dataclasses import dataclass

import numpy as np

from tidegate.data.clean_rule import CleanRule, whole_series
from tidegate.data.hampel import OUTLIER, SENTINEL, Pieces, Replacements, cut, outlier_rows, replace_cells

__all__ = [
    "OUTLIER",
    "REASONS",
    "SENTINEL",
    "Changes",
    "CleanRule",
    "Tails",
    "clean_series",
    "clean_tail",
    "clean_tails",
    "find_changes",
    "find_outliers",
]

REASONS = {OUTLIER: "outlier", SENTINEL: "sentinel"}


@dataclass(frozen=True)
class Changes:
    """What cleaning changes in one channel: row `index` (int64, ascending) held `observed` and gets `replacement` (NaN: becomes
    missing) for a `reason` (uint8, see REASONS)."""

    index: np.ndarray
    observed: np.ndarray
    replacement: np.ndarray
    reason: np.ndarray

    def __len__(self) -> int:
        return len(self.index)

    def apply(self, values_R: np.ndarray) -> None:
        """Write the replacements into `values_R`, in place."""
        values_R[self.index] = self.replacement

    def undo(self, values_R: np.ndarray) -> None:
        """Write the observed values back, in place."""
        values_R[self.index] = self.observed


@dataclass(frozen=True)
class Tails:
    """Cells before forecast origins whose value differs from the series cleaned as a whole when nothing after the origin is known.

    origin       number of the origin, int64, ascending
    position     row of the cell, int64, ascending within an origin, in origin-2k .. origin-1
    replacement  its value, cleaned without the future
    """

    origin: np.ndarray
    position: np.ndarray
    replacement: np.ndarray


def find_changes(values_R: np.ndarray, rule: CleanRule, offsets: np.ndarray | None = None, train_ends: np.ndarray | None = None) -> Changes:
    """What to change in one channel of many series (series i is rows offsets[i] to offsets[i+1]; without offsets: one series).

    Outliers and sentinels become the mean of the nearest good cells on both sides within k steps, or the one there is. With
    none, an outlier stays and a sentinel becomes missing; so do sentinels in a run of absent cells longer than k. Outliers in a
    row of more than `rule.longest` are a change of level and stay. In the first
    season, where there is no season before, the season after stands in if it lies before train_ends[i] (default: the end).
    Works piece by piece: extra memory is some MB and the changes. Raw values in, so apply the changes afterwards.
    """
    offsets, train_ends = whole_series(values_R, offsets, train_ends)
    cells = replace_cells(values_R, cut(offsets, train_ends, rule.window), rule)
    return Changes(cells.row, values_R[cells.row], cells.value.astype(values_R.dtype), cells.reason)


def clean_series(values_T: np.ndarray, rule: CleanRule, train_end: int | None = None) -> tuple[np.ndarray, Changes]:
    """A cleaned copy of one series, and what changed. See `find_changes`."""
    changes = find_changes(values_T, rule, train_ends=None if train_end is None else np.array([train_end]))
    cleaned = np.array(values_T)
    changes.apply(cleaned)
    return cleaned, changes


def find_outliers(values_T: np.ndarray, rule: CleanRule, train_end: int | None = None) -> np.ndarray:
    """Where one series has outliers, bool [T]; those that no neighbour can replace too."""
    offsets, train_ends = whole_series(values_T, None, None if train_end is None else np.array([train_end]))
    mask = np.zeros(len(values_T), dtype=bool)
    mask[outlier_rows(values_T, cut(offsets, train_ends, rule.window), rule)] = True
    return mask


def clean_tails(
    values_R: np.ndarray,
    origins: np.ndarray,
    rule: CleanRule,
    offsets: np.ndarray | None = None,
    train_ends: np.ndarray | None = None,
) -> Tails:
    """For each forecast origin (int64, the row of the first forecast step), where cleaning the past alone differs from cleaning all.

    `values_R` is raw. An origin has at least a row of its series before it; at its series' end, offsets[i+1], nothing differs.
    Exact for origins at or after the training part's end; before it, cells of the first season may differ earlier too.
    """
    offsets, train_ends = whole_series(values_R, offsets, train_ends)
    origins = np.asarray(origins, dtype=np.int64)
    series = np.searchsorted(offsets, origins - 1, side="right") - 1
    k, start, end, train_end = rule.window, offsets[series], offsets[series + 1], train_ends[series]
    first, keep = np.maximum(origins - 4 * k, start), np.maximum(origins - 2 * k, start)
    past = Pieces(first, origins, keep, origins, start, np.minimum(train_end, origins))
    whole = Pieces(first, np.minimum(origins + 2 * k, end), keep, origins, start, train_end)
    return _difference(values_R, replace_cells(values_R, past, rule), replace_cells(values_R, whole, rule))


def clean_tail(values_T: np.ndarray, origin: int, rule: CleanRule, train_end: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Positions and replacements of `clean_tails` for one origin of one series."""
    tails = clean_tails(values_T, np.array([origin]), rule, train_ends=None if train_end is None else np.array([train_end]))
    return tails.position, tails.replacement


def _difference(values_R: np.ndarray, past: Replacements, whole: Replacements) -> Tails:
    """Cells that `past` and `whole` (same pieces) leave with different values; a cell in neither keeps its raw value."""
    keys = [cells.piece * (len(values_R) + 1) + cells.row for cells in (past, whole)]
    union = np.union1d(*keys)
    piece, row = np.divmod(union, len(values_R) + 1)
    raw = values_R[row]
    sides = []
    for key, cells in zip(keys, (past, whole), strict=True):
        side = raw.copy()
        side[np.searchsorted(union, key)] = cells.value
        sides.append(side)
    differs = (sides[0] != sides[1]) & ~(np.isnan(sides[0]) & np.isnan(sides[1]))
    return Tails(piece[differs], row[differs], sides[0][differs])
