"""Checks of series and times: names that are missing, times that cannot be read, duplicates, order, frequency, gaps.

M rows that have a series and a time, R steps of the regular grid, n series.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from tidegate.config import DataSettings
from tidegate.data.calendar import Frequency
from tidegate.data.columns import Columns
from tidegate.data.findings import MOST_EXAMPLES, Finding, plural
from tidegate.data.frequency import frequency_of, infer_frequency, parse_frequency
from tidegate.data.table import Table
from tidegate.data.times import find_time_format
from tidegate.errors import DataError
from tidegate.formatting import format_share

_SAMPLE = 200_000
_MOST_REPEATS = 0.1
"""Share of repeated times from which the time column cannot be what the rows differ by; values are then looked at row by row."""
_LARGEST_GRID = 50
"""A grid with more steps than so many times the rows is not laid out: the frequency cannot be right."""


@dataclass(frozen=True)
class Timeline:
    """Where the rows of a table lie on the grid.

    ids        n names, sorted
    row        row of the table of each grid step, -1 where there is none, int64 [R]
    offsets    int64 [n+1]: series i has steps offsets[i] to offsets[i+1]
    starts     period number of each first step, int64 [n]
    frequency  None where there is no time column, or none that can be used; steps are then rows in their order
    height     rows of the table; a wide one becomes long by repeating them for each series
    """

    ids: tuple[str, ...]
    row: np.ndarray
    offsets: np.ndarray
    starts: np.ndarray
    frequency: Frequency | None
    height: int

    def place(self, step: int) -> str:
        """Where a grid step is, in words: "row 7, series 'a', 2011-01-01 03:00:00"."""
        series = int(np.searchsorted(self.offsets, step, side="right")) - 1
        words = [f"row {self.row[step] % self.height + 1}"] if self.row[step] >= 0 else []
        words += [f"series '{self.ids[series]}'"] if self.ids[series] else []
        if self.frequency:
            period = self.starts[series] + step - self.offsets[series]
            time = str(self.frequency.times(np.array([period]))[0])
            words.append(f"step {time}" if self.frequency.kind == "integer" else time)
        return ", ".join(words)


def check_times(frame: pl.DataFrame, table: Table, columns: Columns, settings: DataSettings, height: int) -> tuple[Timeline, list[Finding]]:
    """The timeline of a frame in long layout, and what is odd about it. `table` is what the time column is read from,
    `height` its rows before a wide one was made long."""
    findings: list[Finding] = []
    ids, codes = _codes(frame, columns.id, findings)
    times = _read_times(frame, table, columns.time, settings, findings)
    rows = np.flatnonzero(codes >= 0)
    if times is None:
        return _row_order(ids, codes[rows], rows, height), findings
    rows = np.flatnonzero((codes >= 0) & times.is_not_null().to_numpy())
    times, codes = times[rows], codes[rows]
    if not len(rows):
        return _row_order(ids, codes, rows, height), findings
    stamps = times.to_physical().cast(pl.Int64).to_numpy()
    _check_order(codes, stamps, findings)
    order = np.lexsort((stamps, codes))
    repeats = _check_duplicates(ids, rows[order], codes[order], times[order], stamps[order], columns.id, findings)
    if repeats > _MOST_REPEATS * len(rows):
        return _row_order(ids, codes, rows, height), findings
    grid = _find_grid(times, codes[order], stamps[order], settings, findings)
    if grid is None:
        return _row_order(ids, codes[order], rows[order], height), findings
    return _lay_out(ids, codes[order], rows[order], times[order], grid, height, findings), findings


def _codes(frame: pl.DataFrame, column: str | None, findings: list[Finding]) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the series, and the number of the series of each row (-1: no name), int64 [rows]."""
    if column is None:
        return ("",), np.zeros(frame.height, dtype=np.int64)
    names = frame[column].cast(pl.String)
    missing = np.flatnonzero(names.is_null().to_numpy())
    if len(missing):
        examples = tuple(f"row {row + 1}" for row in missing[:MOST_EXAMPLES])
        findings.append(
            Finding(
                "error",
                "missing-id",
                f"{plural(len(missing), 'row names', 'rows name')} no series. Fill the column, or remove them.",
                column,
                len(missing),
                examples,
            )
        )
    codes = names.rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1
    return tuple(names.drop_nulls().unique().sort()), codes


def _read_times(frame: pl.DataFrame, table: Table, column: str | None, settings: DataSettings, findings: list[Finding]) -> pl.Series | None:
    """The times, null where there is none; None where no time column can be read."""
    if column is None:
        return None
    try:
        times = find_time_format(table, column, settings.time_format, None).parse(frame[column])
    except DataError as error:
        findings.append(Finding("error", "time-format", str(error), column))
        return None
    wrong = np.flatnonzero(times.is_null().to_numpy())
    if len(wrong):
        examples = tuple(f"row {row + 1}: {_quoted(frame[column][int(row)])}" for row in wrong[:MOST_EXAMPLES])
        cure = "Mend or remove them, or give their format with --time-format."
        findings.append(
            Finding(
                "error",
                "unparsable-time",
                f"{plural(len(wrong), 'row has', 'rows have')} no time that can be read. {cure}",
                column,
                len(wrong),
                examples,
            )
        )
    return times


def _check_order(codes: np.ndarray, stamps: np.ndarray, findings: list[Finding]) -> None:
    """Rows that are earlier than the row before them in their series."""
    order = np.argsort(codes, kind="stable")
    back = (np.diff(stamps[order]) < 0) & (np.diff(codes[order]) == 0)
    if back.any():
        first = int(order[np.argmax(back) + 1])
        words = f"{plural(int(back.sum()), 'row is', 'rows are')} earlier than the row before in their series. Rows are sorted on reading."
        findings.append(Finding("note", "unsorted", words, "", int(back.sum()), (f"row {first + 1}",)))


def _check_duplicates(
    ids: tuple[str, ...],
    rows: np.ndarray,
    codes: np.ndarray,
    times: pl.Series,
    stamps: np.ndarray,
    id_column: str | None,
    findings: list[Finding],
) -> int:
    """How many rows repeat a time of their series; all sorted by series and time."""
    again = np.flatnonzero((np.diff(stamps) == 0) & (np.diff(codes) == 0)) + 1
    if not len(again):
        return 0
    examples = []
    for i in again[:MOST_EXAMPLES]:
        series = f"series '{ids[codes[i]]}', " if ids[codes[i]] else ""
        examples.append(f"{series}{times[int(i)]}: rows {rows[i - 1] + 1} and {rows[i] + 1}")
    if _is_repeated_hour(times[again]):
        cure = "It looks like the hour that repeats when daylight saving ends: give times in UTC, or with their offset."
    elif id_column is None:
        cure = (
            "Keep one row of each; if a column names the series, give it with --id; if the time of day is in another column, join the two."
        )
    else:
        cure = "Keep one row of each, or add them up; if the time of day is in another column, join the two."
    words = f"{plural(len(again), 'row repeats', 'rows repeat')} a time of their series. {cure}"
    findings.append(Finding("error", "duplicates", words, times.name, len(again), tuple(examples)))
    return len(again)


def _is_repeated_hour(times: pl.Series) -> bool:
    """Whether naive times all lie in the small hours of Sundays of autumn: October and November, March and April in the south."""
    if not isinstance(times.dtype, pl.Datetime) or times.dtype.time_zone is not None:
        return False
    autumn = times.dt.month().is_in([3, 4, 10, 11]) & (times.dt.weekday() == 7) & (times.dt.hour() <= 3)
    return bool(autumn.all())


def _find_grid(
    times: pl.Series, codes: np.ndarray, stamps: np.ndarray, settings: DataSettings, findings: list[Finding]
) -> Frequency | None:
    """The frequency given, or the one of the most common step. `codes` and `stamps` are sorted, `times` need not be."""
    steps = np.diff(stamps[:_SAMPLE])[np.diff(codes[:_SAMPLE]) == 0]
    steps = steps[steps > 0]
    try:
        if settings.frequency:
            return frequency_of(parse_frequency(settings.frequency), times)
        if not len(steps):
            raise DataError(
                "No series has two different times, so there is no frequency. Give --id if there are several series, or --freq."
            )
        values, counts = np.unique(steps, return_counts=True)
        return infer_frequency(times.head(_SAMPLE).unique(), dict(zip(values.tolist(), counts.tolist(), strict=True)))
    except DataError as error:
        findings.append(Finding("error", "frequency", str(error)))
        return None


def _lay_out(
    ids: tuple[str, ...], codes: np.ndarray, rows: np.ndarray, times: pl.Series, grid: Frequency, height: int, findings: list[Finding]
) -> Timeline:
    """Rows sorted by series and time, put on the grid; what repeats a step is left out."""
    periods = grid.floor(times)
    off = np.flatnonzero(grid.off_grid(times, periods))
    if len(off):
        examples = tuple(f"row {rows[i] + 1}: {times[int(i)]}" for i in off[:MOST_EXAMPLES])
        cure = grid.off_grid_cure(times[off].to_list(), periods[off].tolist())
        words = f"{len(off):,} of {len(times):,} times are off the grid ({grid.text}). {cure}"
        findings.append(Finding("error", "off-grid", words, "", len(off), examples))
    fresh = np.concatenate([[True], (np.diff(periods) > 0) | (np.diff(codes) > 0)])
    codes, rows, periods = codes[fresh], rows[fresh], periods[fresh]
    first = np.searchsorted(codes, np.arange(len(ids)))
    last = np.searchsorted(codes, np.arange(len(ids)), side="right") - 1
    present = last >= first
    ids = tuple(name for name, found in zip(ids, present, strict=True) if found)
    first, last = first[present], last[present]
    lengths = periods[last] - periods[first] + 1
    if lengths.sum() > _LARGEST_GRID * len(rows) + 1_000_000:
        words = f"The times are too far apart for steps that are {grid.text}: {int(lengths.sum()):,} for {len(rows):,} rows. Give --freq."
        findings.append(Finding("error", "frequency", words))
        return _row_order(ids, np.cumsum(np.diff(codes, prepend=codes[0]) > 0), rows, height)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    series = np.cumsum(np.diff(codes, prepend=codes[0]) > 0)
    row = np.full(offsets[-1], -1, dtype=np.int64)
    row[offsets[series] + periods - periods[first][series]] = rows
    timeline = Timeline(ids, row, offsets, periods[first], grid, height)
    _check_gaps(timeline, findings)
    return timeline


def _check_gaps(timeline: Timeline, findings: list[Finding]) -> None:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (timeline.row < 0).view(np.int8), [0]])))
    first, lengths = edges[::2], edges[1::2] - edges[::2]
    if not len(first):
        return
    total = int(lengths.sum())
    longest = np.argsort(-lengths, kind="stable")[:MOST_EXAMPLES]
    examples = tuple(f"{plural(int(lengths[i]), 'step')} from {timeline.place(int(first[i]))}" for i in longest)
    share = total / len(timeline.row)
    words = f"{plural(len(first), 'gap')}, {plural(total, 'step')} in all ({format_share(share)}): missing, masked, never filled silently."
    findings.append(Finding("warning" if share > 0.2 else "note", "gaps", words, "", total, examples))


def _row_order(ids: tuple[str, ...], codes: np.ndarray, rows: np.ndarray, height: int) -> Timeline:
    """Steps are the rows of each series in their order. `codes` and `rows` belong together."""
    order = np.lexsort((rows, codes))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))]).astype(np.int64)
    return Timeline(ids, rows[order], offsets, np.zeros(len(ids), dtype=np.int64), None, height)


def _quoted(value: object) -> str:
    return "empty" if value is None else f"'{value}'"
