"""Tables with a column per series: one grid of time for all of them."""

from dataclasses import replace

import numpy as np
import polars as pl

from tidegate.data.calendar import Frequency
from tidegate.data.channels import Reader
from tidegate.data.columns import Columns
from tidegate.data.grid import check_free, check_grid_size, periods_of
from tidegate.data.scan import Keys, Scan
from tidegate.data.sequences import Channel, Sequences
from tidegate.data.table import Table, named
from tidegate.errors import DataError

_CELLS = 1 << 21
TARGET = "y"
"""Name of the one target channel, as in a long table."""


def fill_wide(
    table: Table, columns: Columns, readers: list[Reader], keys: Keys, scan: Scan, frequency: Frequency
) -> tuple[Sequences, list[str]]:
    """Sequences with the target columns as series, in the order of the table, and notes.

    Past and future columns belong to every series. A series begins at its first value; one without any is left out.
    """
    start, steps = _span(table, scan, frequency)
    series = [reader for reader in readers if reader.channel.role == "target"]
    shared = [reader for reader in readers if reader.channel.role != "target"]
    check_grid_size(steps, table, frequency)
    values = np.full((len(series), steps, 1 + len(shared)), np.nan, dtype=np.float32)
    _fill(values, start, table, columns, series, shared, replace(keys, ids=("",)), frequency)
    seen = ~np.isnan(values[:, :, 0])
    first = np.where(seen.any(axis=1), seen.argmax(axis=1), steps)
    kept = np.flatnonzero(first < steps)
    notes = []
    if len(kept) < len(series):
        empty = [series[number].channel.name for number in np.flatnonzero(first == steps)]
        notes.append(f"{len(empty)} of {len(series)} columns have no value and are left out: {', '.join(empty[:5])}")
        if not len(kept):
            raise DataError(f"{table.source}: no column has a number; expected a column per series.")
    offsets = np.concatenate([[0], np.cumsum(steps - first[kept])])
    flat = _close_up(values, first, kept, offsets)
    channels = (Channel(TARGET, "target"), *(reader.channel for reader in shared))
    ids = tuple(series[number].channel.name for number in kept)
    static = np.empty((len(ids), 0), dtype=np.float32)
    return Sequences(flat, offsets, ids, channels, frequency, start + first[kept], static, (), offsets[1:].copy()), notes


def _span(table: Table, scan: Scan, frequency: Frequency) -> tuple[int, int]:
    """First period and number of steps."""
    if scan.low is None or scan.high is None:
        return 0, table.height
    start, last = int(frequency.floor(scan.low)[0]), int(frequency.floor(scan.high)[0])
    return start, last - start + 1


def _fill(
    values: np.ndarray,
    start: int,
    table: Table,
    columns: Columns,
    series: list[Reader],
    shared: list[Reader],
    keys: Keys,
    frequency: Frequency,
) -> None:
    """Put every chunk in its place in `values` [n, T, C]."""
    free = np.ones(values.shape[1], dtype=bool)
    row = 0
    for chunk in table.chunks(columns.all, max(1, _CELLS // len(columns.all))):
        cells = periods_of(frequency, keys, chunk, row) - start if columns.time else np.arange(row, row + chunk.height)
        check_free(free[cells], cells, table, columns, keys, chunk, row)
        free[cells] = False
        values[:, cells, 0] = _block(chunk, series, row)
        for number, reader in enumerate(shared, start=1):
            values[:, cells, number] = reader.read(chunk[reader.channel.name], row)
        row += chunk.height


def _block(chunk: pl.DataFrame, series: list[Reader], first_row: int) -> np.ndarray:
    """The series of a chunk, float32 [n, rows]; one by one only where there is something to say."""
    chosen = chunk.select(named([reader.channel.name for reader in series]))
    if all(dtype.is_numeric() for dtype in chosen.dtypes):
        block = chosen.select(pl.all().cast(pl.Float32, strict=False).fill_null(np.nan)).to_numpy().T
        if not np.isinf(block).any():
            return block
    return np.stack([reader.read(chunk[reader.channel.name], first_row) for reader in series])


def _close_up(values: np.ndarray, first: np.ndarray, kept: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The kept series without what lies before their first value, one after the other [R, C]; in the same memory."""
    flat = values.reshape(-1, values.shape[2])
    if offsets[-1] == len(flat):
        return flat
    steps = values.shape[1]
    for place, number in enumerate(kept):
        flat[offsets[place] : offsets[place + 1]] = flat[number * steps + first[number] : (number + 1) * steps]
    return flat[: offsets[-1]]
