"""Normal equations of windows, in little memory: what a ridge regression is solved from.

Letters: L lookback, N lead times, D = L + N, M windows. A window's last observed value is subtracted from all of it.
"""

from dataclasses import dataclass

import numpy as np

BLOCK_ORIGINS = 256
MAX_WINDOWS = 60_000
"""Windows (origins times targets) at most, spread evenly; more of them hardly change the weights. 720 by 720 takes a second."""
MAX_RUN_WINDOWS = 2_000_000
"""The same for windows that go the short way."""
_LEAST_OBSERVED = 0.5
"""Share of a window's lead times that must be observed; the others are interpolated."""


@dataclass
class Equations:
    """Normal equations of windows: X'X [L, L], X'Y [L, N], Y'Y's trace, and how many windows went in."""

    gram: np.ndarray
    cross: np.ndarray
    power: float = 0.0
    count: int = 0

    def __add__(self, other: "Equations") -> "Equations":
        return Equations(self.gram + other.gram, self.cross + other.cross, self.power + other.power, self.count + other.count)


def accumulate(values: np.ndarray, first: np.ndarray, scale: np.ndarray, origins: np.ndarray, lookback: int, horizon: int) -> Equations:
    """Normal equations of the windows of all targets at some origins.

    values [R, C], NaN missing; first int64 [n], flat rows where series begin, ascending; scale [n, C], what windows are divided by;
    origins int64, flat rows of first lead times, ascending. Long runs of complete windows one step apart go the short way.
    """
    runs, others = _split(values, first, origins, lookback, horizon)
    runs = _thin_runs(runs, MAX_RUN_WINDOWS // values.shape[1])
    others = others[_spread(len(others), MAX_WINDOWS // values.shape[1])]
    size = lookback + horizon
    gram, num_windows = np.zeros((size, size)), 0
    for run in runs:
        unit = scale[series_of(first, run[:1])[0]]
        for target in np.flatnonzero(np.isfinite(unit) & (unit > 0)):
            path = values[run[0] - lookback : run[-1] + horizon, target].astype(np.float64)
            gram += _run_gram((path - path.mean()) / unit[target], size)
            num_windows += len(run)
    total = _less_last(gram, lookback, num_windows)
    for begin in range(0, len(others), BLOCK_ORIGINS):
        block = others[begin : begin + BLOCK_ORIGINS]
        series = series_of(first, block)
        windows = cut(values, first[series], block, lookback, horizon)
        past, future = _usable(windows, scale[series].reshape(-1, 1), lookback)
        total += Equations(past.T @ past, past.T @ future, float((future * future).sum()), len(past))
    return total


def _split(values: np.ndarray, first: np.ndarray, origins: np.ndarray, lookback: int, horizon: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Runs of at least D origins one step apart whose windows are complete, and all other origins."""
    runs, others = [], []
    for piece in _pieces(origins):
        whole = np.zeros(len(piece), bool)
        if len(piece) >= lookback + horizon:
            begin = max(piece[0] - lookback, 0)
            holes = np.concatenate([[0], np.cumsum(np.isnan(values[begin : piece[-1] + horizon]).any(axis=1))])
            inside = piece - lookback >= first[series_of(first, piece)]
            start = np.maximum(piece - lookback - begin, 0)
            whole = inside & (holes[piece + horizon - begin] == holes[start])
        found = [run for run in _pieces(piece[whole]) if len(run) >= lookback + horizon]
        runs += found
        others.append(np.setdiff1d(piece, np.concatenate(found)) if found else piece)
    return runs, np.concatenate(others) if others else origins


def _spread(num: int, most: int) -> np.ndarray:
    """At most `most` (at least one) of `num` places, evenly spread."""
    return np.arange(num) if num <= most else np.linspace(0, num - 1, max(most, 1)).round().astype(np.int64)


def _thin_runs(runs: list[np.ndarray], most: int) -> list[np.ndarray]:
    """Whole runs, evenly spread, with about `most` windows in all; one run at least."""
    total = sum(len(run) for run in runs)
    return runs if total <= most else [runs[place] for place in _spread(len(runs), len(runs) * most // total)]


def _pieces(origins: np.ndarray) -> list[np.ndarray]:
    """Ascending origins, cut where they are not one step apart."""
    return [piece for piece in np.split(origins, np.flatnonzero(np.diff(origins) != 1) + 1) if len(piece)]


def _run_gram(path: np.ndarray, size: int) -> np.ndarray:
    """Z'Z [D, D] of all M windows Z [M, D] one step apart along a path of M + D - 1 values.

    From a row to the next one every sum loses its first term and gains one: with z the path, G[i+1, j+1] = G[i, j] - z_i z_j +
    z_(M+i) z_(M+j). This takes (M + D) D operations in place of M D^2.
    """
    num = len(path) - size + 1
    gram = np.zeros((size, size))
    gram[0] = np.correlate(path, path[:num], "valid")
    for row in range(size - 1):
        left, right = path[row] * path[row : size - 1], path[num + row] * path[num + row : num + size - 1]
        gram[row + 1, row + 1 :] = gram[row, row:-1] - left + right
    return gram + np.triu(gram, 1).T


def _less_last(gram: np.ndarray, lookback: int, num_windows: int) -> Equations:
    """Normal equations of windows less their last value, from Z'Z of the windows as they are."""
    last = gram[:, lookback - 1]
    gram = gram - last[:, None] - last + last[lookback - 1]
    power = float(np.trace(gram[lookback:, lookback:]))
    return Equations(gram[:lookback, :lookback], gram[:lookback, lookback:], power, num_windows)


def cut(values: np.ndarray, first: np.ndarray, origins: np.ndarray, lookback: int, horizon: int) -> np.ndarray:
    """Windows float64 [W * C, L + N]; rows before the series begins repeat its first row."""
    rows = origins[:, None] + np.arange(-lookback, horizon)
    cells = values[np.maximum(rows, first[:, None])]
    return np.ascontiguousarray(cells.transpose(0, 2, 1), np.float64).reshape(-1, lookback + horizon)


def _usable(windows: np.ndarray, unit: np.ndarray, lookback: int) -> tuple[np.ndarray, np.ndarray]:
    """Lookback [M, L] and lead times [M, N] of the windows that can be learned from, less the last value, in the series' unit."""
    holes = np.isnan(windows).any(axis=1)
    usable = (unit[:, 0] > 0) & np.isfinite(unit[:, 0])
    if holes.any():
        broken = windows[holes]
        seen = np.isfinite(broken)
        usable[holes] &= seen[:, :lookback].any(axis=1) & (seen[:, lookback:].mean(axis=1) >= _LEAST_OBSERVED)
        past = fill_gaps(broken[:, :lookback])
        windows[holes] = np.concatenate([past, _interpolate(past[:, -1:], broken[:, lookback:])], axis=1)
    if not usable.all():
        windows, unit = windows[usable], unit[usable]
    windows = (windows - windows[:, lookback - 1 : lookback]) / unit
    return windows[:, :lookback], windows[:, lookback:]


def fill_gaps(past: np.ndarray) -> np.ndarray:
    """Missing values of [M, L] become the value before, at the left end the first one; rows without any value stay NaN."""
    present = ~np.isnan(past)
    if present.all():
        return past
    before = np.maximum.accumulate(np.where(present, np.arange(past.shape[1]), -1), axis=1)
    return np.take_along_axis(past, np.where(before < 0, present.argmax(axis=1)[:, None], before), axis=1)


def _interpolate(last: np.ndarray, future: np.ndarray) -> np.ndarray:
    """Missing values of [M, N] on the line between their neighbours, `last` [M, 1] being the left one; at the right end held."""
    cells = np.concatenate([last, future], axis=1)
    present, place = ~np.isnan(cells), np.arange(cells.shape[1])
    left = np.maximum.accumulate(np.where(present, place, 0), axis=1)
    right = np.minimum.accumulate(np.where(present, place, len(place))[:, ::-1], axis=1)[:, ::-1]
    right = np.where(right == len(place), left, right)
    below, above = np.take_along_axis(cells, left, axis=1), np.take_along_axis(cells, right, axis=1)
    share = (place - left) / np.maximum(right - left, 1)
    return (below + share * (above - below))[:, 1:]


def series_of(first: np.ndarray, origins: np.ndarray) -> np.ndarray:
    """Number of the series that each origin's last past row lies in."""
    return np.searchsorted(first, origins - 1, side="right") - 1
