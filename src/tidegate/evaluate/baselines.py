"""Naive rivals: forecasts that any model has to beat.

Each takes a `History` and returns [W, N, C] in the type of its values (mean, repeat_last and moving_average: a read-only view
that takes the memory of one lead time). Only rows before a window's origin are looked at. Missing values are stepped over; a
forecast is NaN only where the series has no observed value before the origin.
Definitions: Hyndman and Athanasopoulos 2021, 'Forecasting: principles and practice', 5.2, unless a docstring says otherwise.
"""

from dataclasses import dataclass

import numpy as np

_BLOCK_WINDOWS = 2048
"""Windows forecast together, so that index arrays stay small."""


@dataclass(frozen=True)
class History:
    """What was observed, and where to forecast from. W windows, C targets.

    values     [R, C] observed targets of all series one after the other, NaN missing
    first      int64 [W], flat row where the window's series begins
    origin     int64 [W], flat row of the first lead time (may be the row after the last)
    horizon    number of lead times N
    """

    values: np.ndarray
    first: np.ndarray
    origin: np.ndarray
    horizon: int


def mean(history: History, trained: np.ndarray) -> np.ndarray:
    """The mean of the training part, `trained` [W, C]; where that is NaN, the mean of everything before the origin."""
    level = np.array(trained, np.float64)
    unknown = np.isnan(level).any(axis=1)
    before = mean_before(history.values, history.first[unknown], history.origin[unknown])
    level[unknown] = np.where(np.isnan(level[unknown]), before, level[unknown])
    return _constant(history, level)


def repeat_last(history: History) -> np.ndarray:
    """The last observed value, for every lead time."""
    return _constant(history, last_value(history.values, history.first, history.origin))


def seasonal_naive(history: History, season: int) -> np.ndarray:
    """The last observed value of the same place in the season; where that place was never observed, the last value."""
    steps = np.arange(min(season, history.horizon))
    rows = history.origin[:, None] + steps - season
    phase = np.stack([last_value(history.values, history.first, rows[:, step] + 1, season) for step in steps], axis=1)
    last = last_value(history.values, history.first, history.origin)[:, None]
    phase = np.where(np.isnan(phase), last, phase).astype(history.values.dtype)
    return phase[:, np.arange(history.horizon) % season]


def drift(history: History) -> np.ndarray:
    """The straight line through the first and the last observed value, carried on."""
    values, first, origin = history.values, history.first, history.origin
    end = _last_row(values, first, origin, 1)
    begin = _first_row(values, first, origin)
    last, initial = _take(values, end), _take(values, begin)
    slope = np.divide(last - initial, end - begin, out=np.zeros_like(last), where=end > begin)
    steps = origin[:, None, None] + np.arange(history.horizon)[:, None] - end[:, None, :]
    return (last[:, None, :] + slope[:, None, :] * steps).astype(history.values.dtype)


def moving_average(history: History, window: int) -> np.ndarray:
    """The mean of the observed values in the last `window` steps; the last value where none of them was observed."""
    level = np.full((len(history.origin), history.values.shape[1]), np.nan)
    back = np.arange(-window, 0)
    for begin in range(0, len(level), _BLOCK_WINDOWS):
        part = slice(begin, begin + _BLOCK_WINDOWS)
        rows = history.origin[part, None] + back
        inside = (rows >= history.first[part, None])[:, :, None]
        cells = history.values[np.maximum(rows, 0)].astype(np.float64)
        level[part] = _mean_of(np.where(inside, cells, np.nan), axis=1)
    last = last_value(history.values, history.first, history.origin)
    return _constant(history, np.where(np.isnan(level), last, level))


def last_value(values: np.ndarray, first: np.ndarray, end: np.ndarray, step: int = 1) -> np.ndarray:
    """The last observed value at the rows end - 1, end - 1 - step, ... down to `first`: float64 [W, C], NaN where none."""
    return _take(values, _last_row(values, first, end, step))


def _last_row(values: np.ndarray, first: np.ndarray, end: np.ndarray, step: int) -> np.ndarray:
    """Flat rows of `last_value`, int64 [W, C]; -1 where no value was observed."""
    return _search(values, end - 1, first, -step)


def _first_row(values: np.ndarray, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Flat row of the first observed value from `first` to before `end`, int64 [W, C]; -1 where none."""
    return _search(values, first, end - 1, 1)


def _search(values: np.ndarray, start: np.ndarray, bound: np.ndarray, step: int) -> np.ndarray:
    """The first row with a value on the way from `start` by `step` up to and with `bound`, for each column; -1 where none."""
    row = np.repeat(start[:, None], values.shape[1], axis=1)
    limit = np.repeat(bound[:, None], values.shape[1], axis=1)
    window, column = np.divmod(np.arange(row.size), row.shape[1])
    while len(window):
        here = row[window, column]
        gone = (here - limit[window, column]) * np.sign(step) > 0
        row[window[gone], column[gone]] = -1
        window, column, here = window[~gone], column[~gone], here[~gone]
        missing = np.isnan(values[here, column])
        window, column = window[missing], column[missing]
        row[window, column] += step
    return row


def _take(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """values[rows] column by column, float64 [W, C]; NaN where the row is -1."""
    if len(values) == 0:
        return np.full(rows.shape, np.nan)
    taken = np.take_along_axis(values, np.maximum(rows, 0), axis=0).astype(np.float64)
    return np.where(rows < 0, np.nan, taken)


def mean_before(values: np.ndarray, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Mean of the observed values from each first [W] to before each end [W], float64 [W, C]; NaN where there is none.

    A row is summed once, however many windows of its series lie after it.
    """
    means = np.full((len(first), values.shape[1]), np.nan)
    order = np.argsort(first, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(first[order])) + 1) if len(order) else ():
        stops, places = np.unique(end[part], return_inverse=True)
        edges = np.concatenate([first[part[:1]], stops])
        pieces = [_sum_of(values[begin:stop], axis=0) for begin, stop in zip(edges[:-1], stops, strict=True)]
        total, count = (np.cumsum(sums, axis=0) for sums in zip(*pieces, strict=True))
        means[part] = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)[places.reshape(-1)]
    return means


def _sum_of(cells: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum over an axis without its NaN, in float64, and how many there are."""
    present = ~np.isnan(cells)
    return np.where(present, cells, 0).sum(axis=axis, dtype=np.float64), present.sum(axis=axis)


def _mean_of(cells: np.ndarray, axis: int) -> np.ndarray:
    """Mean over an axis without its NaN, in float64; NaN where nothing is left."""
    total, count = _sum_of(cells, axis)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def _constant(history: History, level: np.ndarray) -> np.ndarray:
    """A level [W, C] for every lead time: [W, N, C]."""
    windows, targets = level.shape
    return np.broadcast_to(level.astype(history.values.dtype)[:, None], (windows, history.horizon, targets))
