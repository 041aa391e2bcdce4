"""The first pass over a table: which series there are, where each begins and ends, and how far apart its times are."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from tidegate.data.table import Table
from tidegate.data.times import TimeFormat
from tidegate.errors import DataError

ROWS = 1 << 17
"""Rows in a chunk: small beside the data, large beside the cost of a call."""

_SAMPLE = 512
_FIRST_SAMPLE = 20_000
_KEPT_STEPS = 1000
_MOST_ROWS = 1_000_000


@dataclass(frozen=True)
class Keys:
    """Reads the series and the time of each row, chunk by chunk. `ids` is empty on the first pass."""

    id: str | None
    time: str | None
    format: TimeFormat | None
    source: str
    ids: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The columns it needs."""
        return [name for name in (self.id, self.time) if name]

    def id_texts(self, chunk: pl.DataFrame, first_row: int) -> pl.Series:
        """The ids of a chunk. Raises DataError for a row without one."""
        ids = chunk[self.id or ""].cast(pl.String)
        if ids.null_count():
            row = first_row + int(ids.is_null().arg_max() or 0)
            raise DataError(f"{self.source}, row {row + 1}, column '{self.id}': no id. Fill it in.")
        return ids

    @cached_property
    def _codes(self) -> pl.Enum:
        return pl.Enum(self.ids)

    def codes(self, chunk: pl.DataFrame, first_row: int) -> np.ndarray:
        """The place of each row's id in `ids`, int64 [rows]."""
        if self.id is None:
            return np.zeros(chunk.height, dtype=np.int64)
        return encode_runs(self.id_texts(chunk, first_row), self._codes)

    def times(self, chunk: pl.DataFrame, first_row: int) -> pl.Series:
        """The times of a chunk. Raises DataError for a row without one."""
        assert self.time is not None
        assert self.format is not None
        return self.format.read(chunk[self.time], self.source, first_row)


def encode_runs(texts: pl.Series, dtype: pl.DataType) -> np.ndarray:
    """Codes of texts, int64 [len]; where equal texts follow each other only the first of each run is looked up."""
    run = texts.rle_id()
    if len(run) and run[-1] * 4 < len(run):
        number = run.to_numpy()
        heads = np.flatnonzero(np.diff(number, prepend=np.uint32(1) if number[0] == 0 else 0))
        return texts[heads].cast(dtype).to_physical().cast(pl.Int64).to_numpy()[number]
    return texts.cast(dtype).to_physical().cast(pl.Int64).to_numpy()


@dataclass(frozen=True)
class Scan:
    """What the first pass found.

    ids      names of the n series, sorted (numbers by size)
    rows     rows of each series, int64 [n]
    low      first time of each series, [n]; None without a time column
    high     last time of each series
    sample   some of the times
    steps    how often each difference between neighbours of one series occurs
    sorted   whether rows of each series are in the order of time
    """

    ids: tuple[str, ...]
    rows: np.ndarray
    low: pl.Series | None
    high: pl.Series | None
    sample: pl.Series | None
    steps: dict[int, int]
    sorted: bool


def scan_series(table: Table, keys: Keys) -> Scan:
    """Read ids and times once. Memory: three numbers a series."""
    if keys.time is None:
        return _without_times(table, keys)
    state = _State()
    for first_row, chunk, codes, names in _coded(table, keys):
        times = keys.times(chunk, first_row)
        state.dtype = times.dtype
        state.add(codes, times.to_physical().cast(pl.Int64).to_numpy(), names)
    order, ids = _sorted_ids(table, keys, state.ids)
    low, high = (pl.Series(bound[order]).cast(state.dtype) for bound in (state.low, state.high))
    sample = pl.Series(np.unique(np.concatenate([*state.samples, state.low[:_FIRST_SAMPLE], state.high[:_FIRST_SAMPLE]]))).cast(state.dtype)
    rows = state.rows[order]
    steps = state.steps if state.sorted else _steps_of_some(table, replace(keys, ids=ids), rows)
    return Scan(ids, rows, low, high, sample, steps, state.sorted)


def _steps_of_some(table: Table, keys: Keys, rows: np.ndarray) -> dict[int, int]:
    """Steps between neighbours in time, of as many series as a million rows allow: unsorted rows have no neighbours in a chunk."""
    order = np.random.default_rng(0).permutation(len(rows))
    chosen = np.zeros(len(rows), dtype=bool)
    chosen[order[: max(1, int(np.searchsorted(np.cumsum(rows[order]), _MOST_ROWS)))]] = True
    codes, times = [], []
    first_row = 0
    for chunk in table.chunks(keys.names, ROWS):
        code = keys.codes(chunk, first_row)
        kept = chosen[code]
        codes.append(code[kept])
        times.append(keys.times(chunk, first_row).to_physical().cast(pl.Int64).to_numpy()[kept])
        first_row += chunk.height
    state = _State()
    state.add(np.concatenate(codes), np.concatenate(times), list(keys.ids))
    return state.steps


def _without_times(table: Table, keys: Keys) -> Scan:
    if keys.id is None:
        return Scan(("",), np.array([table.height]), None, None, None, {}, True)
    rows = np.zeros(0, dtype=np.int64)
    names: list[str] = []
    for _, _, codes, all_names in _coded(table, keys):
        names = all_names
        counts = np.bincount(codes, minlength=len(names))
        counts[: len(rows)] += rows
        rows = counts
    order, ids = _sorted_ids(table, keys, names)
    return Scan(ids, rows[order], None, None, None, {}, True)


def _coded(table: Table, keys: Keys) -> Iterator[tuple[int, pl.DataFrame, np.ndarray, list[str]]]:
    """First row, chunk, code of each row by the order in which ids appear, and all ids so far."""
    categories = pl.Categories.random()
    anchor = pl.Series([], dtype=pl.Categorical(categories))  # polars forgets the codes with the last series that has them
    names = [""] if keys.id is None else []
    first_row = 0
    for chunk in table.chunks(keys.names, ROWS):
        if keys.id is None:
            codes = np.zeros(chunk.height, dtype=np.int64)
        else:
            codes = encode_runs(keys.id_texts(chunk, first_row), anchor.dtype)
            if len(codes) and codes.max() >= len(names):
                names = categories.to_series().to_list()
        yield first_row, chunk, codes, names
        first_row += chunk.height


def _sorted_ids(table: Table, keys: Keys, names: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    ids = pl.Series(names, dtype=pl.String)
    numeric = keys.id is not None and table.schema[keys.id].is_integer()
    order = (ids.cast(pl.Int128) if numeric else ids).arg_sort().to_numpy()
    return order, tuple(ids[order])


class _State:
    """What is known of each series so far."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.rows = np.zeros(0, dtype=np.int64)
        self.low = np.zeros(0, dtype=np.int64)
        self.high = np.zeros(0, dtype=np.int64)
        self.samples: list[np.ndarray] = []
        self.steps: dict[int, int] = {}
        self.sorted = True
        self.dtype: pl.DataType = pl.Int64()

    def add(self, codes: np.ndarray, times: np.ndarray, ids: list[str]) -> None:
        """Take in a chunk: code and time of each row, both int64 [rows]."""
        self.ids = ids
        self._grow(len(ids))
        stride = max(1, len(times) // (_SAMPLE if self.samples else _FIRST_SAMPLE))
        self.samples.append(np.unique(times[::stride]))
        codes, times = self._in_order(codes, times)
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        which = codes[starts]
        low, high = np.minimum.reduceat(times, starts), np.maximum.reduceat(times, starts)
        steps = np.diff(times)
        steps[starts[1:] - 1] = 0
        known = self.rows[which] > 0
        self.sorted = self.sorted and not (known & (low < self.high[which])).any()
        self._count((low - self.high[which])[known])
        self._count(steps)
        self.low[which] = np.minimum(self.low[which], low)
        self.high[which] = np.maximum(self.high[which], high)
        self.rows[which] += np.diff(starts, append=len(codes))

    def _grow(self, size: int) -> None:
        more = size - len(self.rows)
        if more:
            limits = np.iinfo(np.int64)
            self.rows = np.concatenate([self.rows, np.zeros(more, dtype=np.int64)])
            self.low = np.concatenate([self.low, np.full(more, limits.max)])
            self.high = np.concatenate([self.high, np.full(more, limits.min)])

    def _in_order(self, codes: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows by series and time; as they are if each series stands together and is sorted."""
        same = codes[1:] == codes[:-1]
        backward = times[1:] < times[:-1]
        together = np.count_nonzero(~same) < np.count_nonzero(np.bincount(codes))
        if together and not (same & backward).any():
            return codes, times
        order = np.argsort(codes, kind="stable")
        codes, times = codes[order], times[order]
        if ((times[1:] < times[:-1]) & (codes[1:] == codes[:-1])).any():
            self.sorted = False
            order = np.lexsort((times, codes))
            codes, times = codes[order], times[order]
        return codes, times

    def _count(self, steps: np.ndarray) -> None:
        """Add positive steps to the tally; the usual case is that nearly all are the same."""
        steps = steps[steps > 0]
        if not steps.size:
            return
        usual = max(self.steps, key=lambda step: self.steps[step]) if self.steps else int(steps[0])
        equal = int(np.count_nonzero(steps == usual))
        self.steps[usual] = self.steps.get(usual, 0) + equal
        if equal < steps.size:
            values, counts = np.unique(steps[steps != usual], return_counts=True)
            kept = np.argsort(-counts, kind="stable")[:_KEPT_STEPS]
            for value, count in zip(values[kept].tolist(), counts[kept].tolist(), strict=True):
                self.steps[value] = self.steps.get(value, 0) + count
