"""The work behind `clean.py`: rolling median and MAD over pieces of series, and the mean of the nearest good neighbours.

Pieces of different series are laid out in one padded array with k missing cells around each, so that a window never reaches
into another series and 100,000 short series cost no more than one long one. Sorting the windows of all cells gives their
medians and a lower bound of their MADs, which rules nearly all of them out; the rest is computed in full. P pieces, M cells.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tidegate.data.clean_rule import CleanRule, is_any_of

OUTLIER, SENTINEL = 1, 2

_MAD_TO_DEVIATION = 1.4826
"""The standard deviation of a normal distribution is 1.4826 MAD."""
_PIECE = 1 << 16
"""Rows of a long series that are worked on at a time, and of short ones together."""
_SLICE = 1 << 13
"""Windows sorted at a time: 25 x 8192 float32 stay in the second-level cache."""
_ROUNDING = 1 - 1e-9
"""Slack of the test that rules cells out, for rounding in float64."""


@dataclass(frozen=True)
class Pieces:
    """P pieces of series, all int64 [P], in rows of `values_R`.

    first, stop             what is read
    keep_first, keep_stop   what is asked for
    start                   where the piece's series begins
    train_end               where its training part ends
    """

    first: np.ndarray
    stop: np.ndarray
    keep_first: np.ndarray
    keep_stop: np.ndarray
    start: np.ndarray
    train_end: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def take(self, which: slice) -> "Pieces":
        """Some of the pieces."""
        return Pieces(
            self.first[which],
            self.stop[which],
            self.keep_first[which],
            self.keep_stop[which],
            self.start[which],
            self.train_end[which],
        )


@dataclass(frozen=True)
class Replacements:
    """Cells to change, sorted by piece and row: number of the piece, row (int64), value (float64), reason (uint8)."""

    piece: np.ndarray
    row: np.ndarray
    value: np.ndarray
    reason: np.ndarray


@dataclass(frozen=True)
class _Layout:
    """Pieces in one padded array: `cells` [L] (NaN: missing, sentinel or padding); of each row of a piece its `position` in it,
    its `row` and its `piece`, int64 [M]; `sentinel` and `keep`, bool [M]."""

    cells: np.ndarray
    position: np.ndarray
    row: np.ndarray
    piece: np.ndarray
    sentinel: np.ndarray
    keep: np.ndarray


def cut(offsets: np.ndarray, train_ends: np.ndarray, window: int) -> Pieces:
    """Whole series in pieces of at most `_PIECE` rows, each with 2k rows of its series on both sides."""
    lengths = np.diff(offsets)
    counts = np.maximum(-(-lengths // _PIECE), 1)
    series = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(series)) - np.repeat(np.cumsum(counts) - counts, counts)
    start, end = offsets[series], offsets[series + 1]
    keep_first = start + number * _PIECE
    keep_stop = np.minimum(keep_first + _PIECE, end)
    first, stop = np.maximum(keep_first - 2 * window, start), np.minimum(keep_stop + 2 * window, end)
    return Pieces(first, stop, keep_first, keep_stop, start, train_ends[series])


def replace_cells(values_R: np.ndarray, pieces: Pieces, rule: CleanRule) -> Replacements:
    """The cells of the kept rows of all pieces that change."""
    parts = [_replace_in_batch(values_R, batch, rule, first) for first, batch in _batches(pieces)]
    if not parts:
        parts = [Replacements(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.uint8))]
    return Replacements(
        np.concatenate([part.piece for part in parts]),
        np.concatenate([part.row for part in parts]),
        np.concatenate([part.value for part in parts]),
        np.concatenate([part.reason for part in parts]),
    )


def outlier_rows(values_R: np.ndarray, pieces: Pieces, rule: CleanRule) -> np.ndarray:
    """Rows of outliers among the kept rows of all pieces, int64, those that nothing can replace too."""
    rows = [np.zeros(0, dtype=np.int64)]
    for _, batch in _batches(pieces):
        laid = _lay_out(values_R, batch, rule)
        rows.append(laid.row[_outliers(values_R, laid, batch, rule) & laid.keep])
    return np.concatenate(rows)


def _batches(pieces: Pieces) -> Iterator[tuple[int, Pieces]]:
    """Pieces that together have about `_PIECE` rows, and the number of the first."""
    total = np.cumsum(pieces.stop - pieces.first)
    first = 0
    while first < len(pieces):
        limit = (total[first - 1] if first else 0) + _PIECE
        last = max(first + 1, int(np.searchsorted(total, limit, side="right")))
        yield first, pieces.take(slice(first, last))
        first = last


def _lay_out(values_R: np.ndarray, pieces: Pieces, rule: CleanRule) -> _Layout:
    lengths = pieces.stop - pieces.first
    piece = np.repeat(np.arange(len(pieces)), lengths)
    place = np.arange(len(piece))
    row = place + np.repeat(pieces.first - (np.cumsum(lengths) - lengths), lengths)
    position = place + rule.window * (piece + 1)
    raw = values_R[row]
    sentinel = is_any_of(raw, rule.sentinels)
    cells = np.full(len(piece) + rule.window * (len(pieces) + 1), np.nan, dtype=raw.dtype)
    cells[position] = np.where(sentinel | ~np.isfinite(raw), np.nan, raw)
    keep = (row >= pieces.keep_first[piece]) & (row < pieces.keep_stop[piece])
    return _Layout(cells, position, row, piece, sentinel, keep)


def _outliers(values_R: np.ndarray, laid: _Layout, pieces: Pieces, rule: CleanRule) -> np.ndarray:
    """Which rows of the pieces are outliers, bool [M]. Right for rows with k rows of context or the end of their series."""
    flags = np.zeros(len(laid.row), dtype=bool)
    if not rule.tested or not len(flags):
        return flags
    candidates, limits = _far_from_median(laid.cells, rule)
    number = np.searchsorted(laid.position, candidates)
    unlike = _far_from_season(values_R, laid, pieces, rule, number, limits)
    flags[number[unlike]] = True
    return flags


def _far_from_median(cells: np.ndarray, rule: CleanRule) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the cells that are far from their window's median, and their limits (threshold times deviation)."""
    windows = sliding_window_view(cells, 2 * rule.window + 1)
    seen = np.concatenate([[0], np.cumsum(~np.isnan(cells))])
    counts = seen[2 * rule.window + 1 :] - seen[: -2 * rule.window - 1]
    positions, limits = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    for first in range(0, len(windows), _SLICE):
        centre = cells[first + rule.window : first + rule.window + len(windows[first : first + _SLICE])]
        index, limit = _test_windows(windows[first : first + _SLICE], counts[first : first + _SLICE], centre, rule)
        positions.append(index + first + rule.window)
        limits.append(limit)
    return np.concatenate(positions), np.concatenate(limits)


def _test_windows(windows: np.ndarray, counts: np.ndarray, centre: np.ndarray, rule: CleanRule) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the windows whose centre is far from the median, and the limits.

    The nearest h = (n+1)/2 of n sorted cells to the median lie side by side and go beyond cell q or beyond cell q+h, so MAD is
    at least the smaller distance of these two from the median, for any q.
    """
    index = np.flatnonzero((counts > rule.window) & ~np.isnan(centre))
    if not len(index):
        return index, np.zeros(0)
    windows, counts = np.sort(windows if len(index) == len(windows) else windows[index], axis=1), counts[index]
    x = centre[index].astype(np.float64)
    median = _middle(windows, counts)
    quarter = counts // 4
    below, above = _pick(windows, quarter), _pick(windows, quarter + (counts + 1) // 2)
    factor = rule.threshold * _MAD_TO_DEVIATION
    distance = np.abs(x - median)
    maybe = np.flatnonzero(distance > factor * _ROUNDING * np.minimum(median - below, above - median))
    deviations = np.sort(np.abs(windows[maybe] - median[maybe, None]), axis=1)
    mad = _middle(deviations, counts[maybe])
    far = (mad > 0) & (distance[maybe] > factor * mad)
    return index[maybe[far]], factor * mad[far]


def _pick(rows: np.ndarray, column: np.ndarray) -> np.ndarray:
    """rows[i, column[i]] in float64."""
    if len(column) and (column == column[0]).all():
        return rows[:, column[0]].astype(np.float64)
    return rows[np.arange(len(rows)), column].astype(np.float64)


def _middle(rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Median of the first counts[i] cells of each sorted row."""
    return 0.5 * _pick(rows, (counts - 1) // 2) + 0.5 * _pick(rows, counts // 2)


def _far_from_season(
    values_R: np.ndarray, laid: _Layout, pieces: Pieces, rule: CleanRule, number: np.ndarray, limits: np.ndarray
) -> np.ndarray:
    """Which of the candidates lie beyond their limit from every value one season before, bool.

    Where there are seasons but none can be looked up (all missing, or before the series' begin), nothing speaks for a
    candidate being odd rather than seasonal, and it is no outlier.
    """
    if not rule.seasons:
        return np.ones(len(number), dtype=bool)
    row, piece, x = laid.row[number], laid.piece[number], values_R[laid.row[number]].astype(np.float64)
    far, known = np.ones(len(row), dtype=bool), np.zeros(len(row), dtype=bool)
    for season in rule.seasons:
        early = row - season < pieces.start[piece]
        other = np.where(early, row + season, row - season)
        exists = np.flatnonzero(~early | (other < pieces.train_end[piece]))
        values = values_R[other[exists]]
        good = np.isfinite(values) & ~is_any_of(values, rule.sentinels)
        exists, values = exists[good], values[good].astype(np.float64)
        known[exists] = True
        far[exists] &= np.abs(x[exists] - values) > limits[exists]
    return far & known


def _replace_in_batch(values_R: np.ndarray, pieces: Pieces, rule: CleanRule, first: int) -> Replacements:
    laid = _lay_out(values_R, pieces, rule)
    outlier = _outliers(values_R, laid, pieces, rule)
    good = ~np.isnan(laid.cells)
    good[laid.position[outlier]] = False
    odd = np.zeros(len(laid.cells), dtype=bool)
    odd[laid.position[outlier]] = True
    outlier &= _run_lengths(odd)[laid.position] <= rule.longest
    number = np.flatnonzero((outlier | laid.sentinel) & laid.keep)
    value = _neighbours_mean(laid.cells, good, laid.position[number], rule.window)
    absent = np.zeros(len(laid.cells), dtype=bool)
    absent[laid.position] = np.isnan(laid.cells[laid.position])
    value[laid.sentinel[number] & (_run_lengths(absent)[laid.position[number]] > rule.window)] = np.nan
    change = laid.sentinel[number] | ~np.isnan(value)
    number, value = number[change], value[change]
    reason = np.where(laid.sentinel[number], SENTINEL, OUTLIER).astype(np.uint8)
    return Replacements(laid.piece[number] + first, laid.row[number], value, reason)


def _neighbours_mean(cells: np.ndarray, good: np.ndarray, position: np.ndarray, window: int) -> np.ndarray:
    """Mean of the nearest good cells on both sides within `window` steps; the one there is; NaN if there is none."""
    sides = np.full((2, len(position)), np.nan)
    steps = np.arange(1, window + 1)
    for side, direction in zip(sides, (-1, 1), strict=True):
        for part in range(0, len(position), _PIECE):
            where = position[part : part + _PIECE, None] + direction * steps
            found = good[where]
            hit = np.flatnonzero(found.any(axis=1))
            side[part + hit] = cells[where[hit, found[hit].argmax(axis=1)]]
    before, after = sides
    mean = 0.5 * before + 0.5 * after
    return np.where(np.isnan(before), after, np.where(np.isnan(after), before, mean))


def _run_lengths(mask: np.ndarray) -> np.ndarray:
    """Of each True cell the length of the run of True cells it is in, 0 elsewhere. Runs end at the padding between pieces."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.view(np.int8), [0]])))
    lengths = np.zeros(len(mask), dtype=np.int64)
    lengths[mask] = np.repeat(edges[1::2] - edges[::2], edges[1::2] - edges[::2])
    return lengths
