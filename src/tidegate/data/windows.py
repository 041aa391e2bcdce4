"""Windows by index arithmetic: no window exists before it is in a batch.

A window is a pair (series, origin): the lookback ends before row `origin`, the horizon begins there. Shape letters: B windows, L lookback,
N horizon, T = L + N, C targets, P past covariates, K known covariates (declared ones, then the calendar's).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tidegate.data.preparation import Prepared, Record, overlay
from tidegate.data.sequences import Sequences

BLOCK_PERIODS = 100_000
"""Periods whose calendar is worked out at a time: the dates and all features of two million take 150 MB."""


class Batch(NamedTuple):
    """What a network sees and what it should say, scaled, float32; NaN is missing. truth_BNC is NaN where nothing is known."""

    target_BLC: np.ndarray
    past_BLP: np.ndarray
    known_BTK: np.ndarray
    static_BK: np.ndarray
    truth_BNC: np.ndarray
    series_B: np.ndarray


@dataclass(frozen=True)
class Origins:
    """Every `stride`-th row from first[i] on, count[i] of them in series i; numbered from 0 through all series. int64 [n] each."""

    first: np.ndarray
    count: np.ndarray
    stride: int = 1

    def __len__(self) -> int:
        return int(self.count.sum())

    def locate(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Series and flat row of the origins with these numbers."""
        ends = np.cumsum(self.count)
        series = np.searchsorted(ends, numbers, side="right")
        return series, self.first[series] + self.stride * (numbers - (ends - self.count)[series])

    def of_whole_series(self, most: int) -> "Origins":
        """Those of so many whole series that they are at most `most`; of a series with more than that its newest. The series follow each
        other in steps of the golden ratio, which spreads any number of them. The rows of all origins can take more memory than the data."""
        if len(self) <= most:
            return self
        some = np.flatnonzero(self.count)
        order = some[np.argsort(np.arange(len(some)) * 0.6180339887498949 % 1.0)]
        count = np.minimum(self.count, most)
        count[order[max(1, int(np.searchsorted(np.cumsum(count[order]), most, side="right"))) :]] = 0
        return Origins(self.first + self.stride * (self.count - count), count, self.stride)

    def spread(self, most: int) -> np.ndarray:
        """Numbers of at most so many origins, evenly spread over all."""
        total = len(self)
        return np.arange(total) if total <= most else (np.arange(most) * total) // most

    def draw(self, most: int, random: np.random.Generator) -> np.ndarray:
        """Numbers of min(most, all) origins in random order: one from each of as many equal shares of all of them, so that no
        order of all windows is ever held, and all of them come once where they fit."""
        total = len(self)
        size = min(total, most)
        edges = (np.arange(size + 1) * total) // size
        return random.permutation(random.integers(edges[:-1], edges[1:]))


def origins_between(
    sequences: Sequences, begin: np.ndarray, end: np.ndarray, lookback: int, horizon: int, stride: int = 1, last_first: bool = False
) -> Origins:
    """Origins from row begin[i] on whose horizon ends by row end[i], with `least_past` rows before them. `last_first` lines the strides
    up with the end, not the beginning."""
    starts = sequences.offsets[:-1]
    first = np.maximum(begin, starts + least_past(end - starts, lookback, horizon))
    room = end - horizon - first
    count = np.where(room >= 0, room // stride + 1, 0)
    if last_first:
        first = np.where(count > 0, first + room % stride, first)
    return Origins(first, count, stride)


def least_past(rows: np.ndarray, lookback: int, horizon: int) -> np.ndarray:
    """How much of its lookback a window has at least, in a part of so many rows: all of it, or half of the rows, or what a single
    horizon leaves of them; one row."""
    return np.minimum(lookback, np.maximum(np.minimum(rows // 2, rows - horizon), 1))


class Windows:
    """Batches of windows of prepared sequences."""

    def __init__(self, prepared: Prepared, lookback: int, horizon: int, calendar: tuple[str, ...]) -> None:
        self.prepared, self.lookback, self.horizon = prepared, lookback, horizon
        self.sequences = prepared.sequences
        roles = [self.sequences.columns(role) for role in ("target", "past", "future")]
        self.target_columns, self.past_columns, self.future_columns = roles
        self._first_period = int(self.sequences.starts.min()) - lookback
        self._calendar = _calendar(self.sequences, self._first_period, horizon, calendar) if calendar else np.zeros((0, 0), np.float32)

    def batch(self, series_B: np.ndarray, origin_B: np.ndarray) -> Batch:
        """Windows for training: inputs and truth as cleaned within the training part. origin_B are flat rows."""
        values_BTC = self._gather(origin_B, series_B)
        first = origin_B - self.lookback
        window, number = self.record.within(np.maximum(first, self.sequences.offsets[series_B]), origin_B + self.horizon)
        if len(window):
            column = self.record.column[number]
            values_BTC[window, self.record.row[number] - first[window], column] = self.record.replacement[number]
        return self._scaled(values_BTC, origin_B, series_B)

    def at(self, series_M: np.ndarray, origin_M: np.ndarray) -> "OriginSet":
        """Windows for evaluation and prediction: each as its data looked at its origin, with the truth as observed."""
        return OriginSet(self, series_M, origin_M, *overlay(self.prepared, series_M, origin_M, self.lookback, self.horizon))

    def _scaled(self, values_BTC: np.ndarray, origin_B: np.ndarray, series_B: np.ndarray) -> Batch:
        def scaled(begin: int, end: int, columns: list[int]) -> np.ndarray:
            return self.prepared.scaler.apply(values_BTC[:, begin:end, columns], series_B, columns)

        steps = self.lookback + self.horizon
        known, calendar = scaled(0, steps, self.future_columns), self._calendar_of(origin_B, series_B)
        return Batch(
            scaled(0, self.lookback, self.target_columns),
            scaled(0, self.lookback, self.past_columns),
            np.concatenate([known, calendar], 2) if known.shape[2] else calendar,
            self.prepared.static[series_B],
            scaled(self.lookback, steps, self.target_columns),
            series_B,
        )

    @cached_property
    def record(self) -> Record:
        """What is replaced in training windows."""
        return self.prepared.training_record()

    def periods(self, series_B: np.ndarray, origin_B: np.ndarray) -> np.ndarray:
        """Period numbers of the origins."""
        return self.sequences.starts[series_B] + origin_B - self.sequences.offsets[series_B]

    def _gather(self, origin_B: np.ndarray, series_B: np.ndarray) -> np.ndarray:
        """Values of the windows [B, T, C]; NaN outside the series."""
        steps, values = self.lookback + self.horizon, self.sequences.values
        first, low, high = origin_B - self.lookback, self.sequences.offsets[series_B], self.sequences.offsets[series_B + 1]
        inside = (first >= low) & (first + steps <= high)
        if inside.all():
            return _cut(values, first, steps)
        whole, across = np.flatnonzero(inside), np.flatnonzero(~inside)
        gathered = np.empty((len(origin_B), steps, values.shape[1]), values.dtype)
        gathered[whole] = _cut(values, first[whole], steps)
        rows = first[across, None] + np.arange(steps)
        cells = values[np.clip(rows, low[across, None], high[across, None] - 1)]
        cells[(rows < low[across, None]) | (rows >= high[across, None])] = np.nan
        gathered[across] = cells
        return gathered

    def _calendar_of(self, origin_B: np.ndarray, series_B: np.ndarray) -> np.ndarray:
        steps = self.lookback + self.horizon
        if not self._calendar.size:
            return np.zeros((len(origin_B), steps, 0), np.float32)
        return _cut(self._calendar, self.periods(series_B, origin_B) - self.lookback - self._first_period, steps)


def _cut(table_RC: np.ndarray, first_B: np.ndarray, steps: int) -> np.ndarray:
    """`steps` rows from each of first_B on, [B, T, C]: each window is one block of memory, copied as a whole."""
    channels = table_RC.shape[1]
    if not len(first_B):
        return np.empty((0, steps, channels), table_RC.dtype)
    blocks = sliding_window_view(table_RC.reshape(-1), steps * channels)[::channels]
    return blocks[first_B].reshape(len(first_B), steps, channels)


def _calendar(sequences: Sequences, first: int, horizon: int, cycles: tuple[str, ...]) -> np.ndarray:
    """Features of the calendar's cycles for every period from `first` to a horizon after the data, float32 [periods, F]."""
    frequency = sequences.frequency
    last = int((sequences.starts + np.diff(sequences.offsets)).max()) + horizon
    columns = [number for number, name in enumerate(frequency.feature_names) if name.rsplit("_", 1)[0] in cycles]
    features = np.empty((max(0, last - first), len(columns)), np.float32)
    for begin in range(first, last, BLOCK_PERIODS):
        periods = np.arange(begin, min(begin + BLOCK_PERIODS, last))
        features[periods - first] = frequency.features(periods)[:, columns]
    return features


@dataclass(frozen=True)
class OriginSet:
    """M windows as their data looked at their origins. series, origin (flat rows): int64 [M]; the overlay arrays, sorted by window,
    hold the values that differ from the observed ones: window number, step within L + N, column, value."""

    windows: Windows
    series: np.ndarray
    origin: np.ndarray
    overlay_window: np.ndarray
    overlay_step: np.ndarray
    overlay_column: np.ndarray
    overlay_value: np.ndarray

    def __len__(self) -> int:
        return len(self.series)

    def batch(self, begin: int, end: int) -> Batch:
        """Windows begin to end."""
        series_B = self.series[begin:end]
        origin_B = self.origin[begin:end]
        values_BTC = self.windows._gather(origin_B, series_B)
        low, high = np.searchsorted(self.overlay_window, (begin, end))
        window, step = self.overlay_window[low:high] - begin, self.overlay_step[low:high]
        values_BTC[window, step, self.overlay_column[low:high]] = self.overlay_value[low:high]
        return self.windows._scaled(values_BTC, origin_B, series_B)
