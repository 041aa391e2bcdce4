"""The grid of cells that values are put into, and what can go wrong there: times between the cells, two rows for one cell."""

from itertools import pairwise

import numpy as np
import polars as pl

from tidegate.data.calendar import DAY, Frequency
from tidegate.data.columns import Columns
from tidegate.data.scan import ROWS, Keys
from tidegate.data.table import Table
from tidegate.errors import DataError

_ABSENT = 0x7FD1DE9A
"""A quiet NaN that no file holds: the mark of a cell to which no row has come yet."""
_BLOCK = 1 << 20
_PARTS = ("time", "hour", "hours", "hr", "minute", "day", "month", "mnth", "quarter", "week", "时间", "小时", "月", "日")
_LARGEST_GRID = 100
"""Cells a row at which a step is taken for wrong; below _BLOCK cells it does not matter."""


def check_grid_size(cells: int, table: Table, frequency: Frequency) -> None:
    """Raise DataError for a grid that is far larger than the table: the step must be wrong."""
    if cells > max(_BLOCK, _LARGEST_GRID * table.height):
        raise DataError(
            f"{table.source}: {table.height} rows would need {cells} steps ({frequency.text}); times are mostly gaps. "
            "Give the true frequency with --freq, or bring the rows to a coarser one."
        )


def empty_grid(shape: tuple[int, ...]) -> np.ndarray:
    """float32 cells, each marked as absent (a NaN)."""
    values = np.empty(shape, dtype=np.float32)
    values.view(np.uint32).fill(_ABSENT)
    return values


def free_cells(values: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Whether no row has come yet to each of the `cells` (rows of `values` [R, C]), bool [len]."""
    return values.view(np.uint32)[cells, 0] == _ABSENT


def clear_marks(values: np.ndarray) -> None:
    """Every NaN of the grid as the ordinary one, so that equal data has equal bytes."""
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        np.copyto(block, np.float32(np.nan), where=np.isnan(block))


def periods_of(frequency: Frequency, keys: Keys, chunk: pl.DataFrame, first_row: int) -> np.ndarray:
    """Period numbers of a chunk's rows, int64 [rows]. Raises DataError that names the row of a time off the grid."""
    times = keys.times(chunk, first_row)
    numbers = frequency.floor(times)
    wrong = np.flatnonzero(frequency.off_grid(times, numbers))
    if wrong.size:
        row = int(wrong[0])
        words = frequency.describe_off_grid(times[row], int(numbers[row]))
        raise DataError(f"{keys.source}, row {first_row + row + 1}, column '{keys.time}': {words}")
    return numbers


def number_rows(codes: np.ndarray, placed: np.ndarray) -> np.ndarray:
    """The number of each row within its series, int64 [rows]; `placed` [n] counts the rows so far."""
    order = np.argsort(codes, kind="stable")
    sorted_codes = codes[order]
    starts = np.flatnonzero(np.diff(sorted_codes, prepend=-1))
    lengths = np.diff(starts, append=len(codes))
    numbers = np.empty(len(codes), dtype=np.int64)
    numbers[order] = np.arange(len(codes)) - np.repeat(starts, lengths) + placed[sorted_codes]
    placed[sorted_codes[starts]] += lengths
    return numbers


def check_free(
    free: np.ndarray, cells: np.ndarray, table: Table, columns: Columns, keys: Keys, chunk: pl.DataFrame, first_row: int
) -> None:
    """Raise DataError, with both rows, if the cell of a row was filled before (`free` [rows]) or twice in this chunk."""
    row = _first_repeat(cells) if free.all() else int(np.argmin(free))
    if row is not None:
        code = int(keys.codes(chunk[row : row + 1], first_row + row)[0])
        _raise_duplicate(table, columns, keys, code, keys.times(chunk[row : row + 1], first_row + row))


def _first_repeat(cells: np.ndarray) -> int | None:
    """The first row whose cell an earlier row of the chunk has."""
    if (cells[1:] > cells[:-1]).all():
        return None
    order = np.argsort(cells, kind="stable")
    repeats = order[1:][cells[order[1:]] == cells[order[:-1]]]
    return int(repeats.min()) if repeats.size else None


def _raise_duplicate(table: Table, columns: Columns, keys: Keys, code: int, time: pl.Series) -> None:
    rows: list[int] = []
    first_row = 0
    for chunk in table.chunks(keys.names, ROWS):
        same = (keys.times(chunk, first_row) == time[0]).to_numpy() & (keys.codes(chunk, first_row) == code)
        rows += (np.flatnonzero(same) + first_row + 1).tolist()
        first_row += chunk.height
    series = f"series '{keys.ids[code]}'" if columns.id else "the series"
    shown = ", ".join(str(row) for row in rows[:5]) + (", ..." if len(rows) > 5 else "")
    cure = _duplicate_cure(table, columns, time)
    raise DataError(f"{table.source}: {series} has the time {time[0]} more than once (rows {shown}).{cure}")


def _duplicate_cure(table: Table, columns: Columns, time: pl.Series) -> str:
    if isinstance(time.dtype, pl.Datetime) and time.dtype.time_zone is None:
        at = time[0]
        if at.month in (3, 4, 10, 11) and at.weekday() == 6 and at.hour <= 3 and time.to_physical()[0] % DAY:
            return " It looks like the hour that repeats when daylight saving ends: write times in UTC or with their offset (+02:00)."
    part = next((name for name in table.columns if name.casefold() in _PARTS and name not in columns.all), None)
    if part is not None and not _has_clock(time):
        return f" The time seems to lie in two columns, '{columns.time}' and '{part}': join them into one first."
    texts = [name for name in table.columns if name not in columns.all and table.schema[name] in (pl.String, pl.Categorical)]
    if columns.id is None:
        hint = f", such as --id {texts[0]}" if texts else ""
        return f" If these are several series, name the column that tells them apart with --id{hint}; else keep one row."
    return " Keep one row for each time."


def _has_clock(time: pl.Series) -> bool:
    return isinstance(time.dtype, pl.Datetime) and bool(time.to_physical()[0] % DAY)


def blocks_of_series(offsets: np.ndarray) -> list[tuple[int, int]]:
    """Series first to last in groups of about a million cells, so that work on them needs little memory."""
    marks = np.searchsorted(offsets[:-1], np.arange(0, int(offsets[-1]), _BLOCK))
    edges = np.unique(np.concatenate([[0], marks, [len(offsets) - 1]])).tolist()
    return list(pairwise(edges))
