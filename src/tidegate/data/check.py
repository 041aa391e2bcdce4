"""What is wrong or odd with a table, before anything is trained.

Bad data does not raise here: it is what the report is for. Only what makes a check impossible raises: no such file or column.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from tidegate.config import DataSettings
from tidegate.data.calendar import Frequency
from tidegate.data.check_leak import check_leaks
from tidegate.data.check_time import Timeline, check_times
from tidegate.data.check_values import Context, check_values, find_codes, read_numbers, without_codes
from tidegate.data.columns import ID_NAMES, TARGET_NAMES, TIME_NAMES, Columns, find_columns
from tidegate.data.findings import MOST_EXAMPLES, CheckReport, Finding, make_report, plural
from tidegate.data.sequences import Sequences
from tidegate.data.split import split_parts
from tidegate.data.table import Table, frame_table, named
from tidegate.data.times import find_time_format
from tidegate.errors import DataError, TidegateError

__all__ = ["CheckReport", "Finding", "check"]

_TRAIN_SHARE = 0.7
_MOST_TARGETS = 30
"""With more columns of numbers and no target named, a table is taken for a wide one: a column per series."""


def check(table: Table, settings: DataSettings) -> CheckReport:
    """Rows, series, span and frequency of a table, and what is wrong or odd with it.

    Without a target, column y or target, else all columns of numbers are looked at; without a time column, the one that looks
    like it. Raises DataError for a column that does not exist or cannot be used, SettingsError for one with two roles.
    """
    settings, findings = _guess(table, settings)
    columns, notes = find_columns(table, settings)
    rows = table.height
    if settings.layout == "wide":
        table, columns = _long(table, columns)
    extra = [name for name, dtype in table.schema.items() if dtype.is_numeric() and name not in columns.all]
    frame = table.frame(list(dict.fromkeys([*columns.all, *extra])))
    timeline, found = check_times(frame, table, columns, settings, rows)
    findings += found
    values: dict[str, np.ndarray] = {}
    for name in columns.values:
        numbers = read_numbers(frame[name], name in columns.targets, findings)
        if numbers is not None:
            values[name] = _on_grid(numbers, timeline)
    targets = [values[name] for name in columns.targets if name in values]
    ends = _ends(timeline, targets) if columns.future else timeline.offsets[1:]
    codes = sorted({code for numbers in values.values() for code in find_codes(numbers, settings)})
    context = Context(timeline, settings, ends, _train_ends(timeline, ends, settings), tuple(codes))
    for name, numbers in values.items():
        role = "target" if name in columns.targets else "future" if name in columns.future else "past"
        findings += check_values(name, numbers, role, context)
    findings += _too_short(timeline, targets, settings)
    findings += _leaks(frame, timeline, columns, values, extra, settings)
    facts = {"rows": rows} | _facts(columns, timeline) | {"notes": [*table.notes, *notes]}
    return make_report(table.source, facts, findings)


def _guess(table: Table, settings: DataSettings) -> tuple[DataSettings, list[Finding]]:
    """The settings with a time column and targets where none were given and none has a usual name."""
    findings: list[Finding] = []
    if settings.time is None and not any(name in table.schema for name in TIME_NAMES):
        name = _likely_time(table, settings)
        if name:
            settings = settings.model_copy(update={"time": name})
            words = f"It looks like the time and is taken for it. Say --time {name} to train."
            findings.append(Finding("note", "guessed-time", words, name))
    if settings.target is None and settings.layout == "long" and not any(name in table.schema for name in TARGET_NAMES):
        used = {settings.time, settings.id, *settings.past, *settings.future, *settings.static, *TIME_NAMES, *ID_NAMES}
        targets = tuple(name for name, dtype in table.schema.items() if dtype.is_numeric() and name not in used)
        if targets:
            wide = len(targets) > _MOST_TARGETS
            settings = settings.model_copy(update={"layout": "wide"} if wide else {"target": targets})
            cure = "Each is taken for a series: say --layout wide to train." if wide else "All are looked at: say --target to train."
            words = f"No target is named among {plural(len(targets), 'column')} of numbers. {cure}"
            findings.append(Finding("note", "guessed-target", words, "", len(targets), targets[:MOST_EXAMPLES]))
    return settings, findings


def _likely_time(table: Table, settings: DataSettings) -> str | None:
    """The first column of times, or of text that reads as times; else a first column that numbers the rows."""
    declared = {settings.id, *settings.past, *settings.future, *settings.static}
    for given, usual in ((settings.target, TARGET_NAMES if settings.layout == "long" else ()), (settings.id, ID_NAMES)):
        declared.update(given if isinstance(given, tuple) else [given] if given else [name for name in usual if name in table.schema][:1])
    for name, dtype in table.schema.items():
        if name in declared:
            continue
        if dtype == pl.Date or isinstance(dtype, pl.Datetime):
            return name
        if dtype == pl.String and _reads_as_time(table, name, settings.time_format):
            return name
    first, dtype = next(iter(table.schema.items()))
    return first if dtype.is_integer() and first not in declared and _counts_up(table, first) else None


def _counts_up(table: Table, name: str) -> bool:
    """Whether whole numbers go up by one from row to row."""
    sample = next(table.chunks([name], 2000)).to_series()
    return len(sample) > 2 and bool((sample.diff().drop_nulls() == 1).all()) and not sample.null_count()


def _reads_as_time(table: Table, name: str, form: str | None) -> bool:
    sample = next(table.chunks([name], 2000))
    try:
        times = find_time_format(frame_table(sample), name, form, None).parse(sample[name])
    except DataError as error:
        return "day or the month first" in str(error)
    return 2 * times.null_count() < len(times)


def _long(table: Table, columns: Columns) -> tuple[Table, Columns]:
    """A wide table as a long one: columns unique_id and y, and the time."""
    keep = [name for name in (columns.time, *columns.past, *columns.future) if name]
    frame = table.frame([*keep, *columns.targets])
    frame = frame.unpivot(named(columns.targets), index=named(keep), variable_name="unique_id", value_name="y")
    long = frame_table(frame, table.source, table.kind, table.path, table.notes)
    return long, Columns("unique_id", columns.time, ("y",), columns.past, columns.future, ())


def _on_grid(numbers: np.ndarray, timeline: Timeline) -> np.ndarray:
    """Values of the rows on the steps of the grid, float64 [R], NaN where there is no row."""
    if not len(numbers):
        return np.full(len(timeline.row), np.nan)
    return np.where(timeline.row >= 0, numbers[timeline.row], np.nan)


def _ends(timeline: Timeline, targets: Iterable[np.ndarray]) -> np.ndarray:
    """Where each series ends: after its last target, as what follows is the future that covariates are known of, int64 [n]."""
    ends = timeline.offsets[:-1].copy()
    for values in targets:
        seen = np.flatnonzero(~np.isnan(values))
        np.maximum.at(ends, np.searchsorted(timeline.offsets, seen, side="right") - 1, seen + 1)
    return ends


def _train_ends(timeline: Timeline, ends: np.ndarray, settings: DataSettings) -> np.ndarray:
    """Where the training part of each series ends, int64 [n]; all rows where no split fits, as then there is no training."""
    count = len(timeline.ids)
    frequency = timeline.frequency or Frequency("integer", "step")
    nothing, static = np.zeros((len(timeline.row), 0), dtype=np.float32), np.zeros((count, 0), dtype=np.float32)
    sequences = Sequences(nothing, timeline.offsets, timeline.ids, (), frequency, timeline.starts, static, (), ends)
    try:
        return split_parts(sequences, settings.split, settings.horizon).train
    except TidegateError:
        return timeline.offsets[1:]


def _too_short(timeline: Timeline, targets: Iterable[np.ndarray], settings: DataSettings) -> list[Finding]:
    """Series that cannot be trained, validated and tested on (a horizon each, and one step more), by the steps up to their last value."""
    lengths = np.zeros(len(timeline.ids), dtype=np.int64)
    for values in targets:
        seen = np.flatnonzero(~np.isnan(values))
        series = np.searchsorted(timeline.offsets, seen, side="right") - 1
        np.maximum.at(lengths, series, seen - timeline.offsets[series] + 1)
    need = 3 * settings.horizon + 1
    short = np.flatnonzero(lengths < need)
    if not lengths.any():
        return []  # no number at all: that is said elsewhere
    if not len(short):
        return _few_seasons(timeline, lengths, settings)
    every = len(short) == len(lengths)
    level = "error" if every else "warning"
    subject = "The series is" if len(lengths) == 1 else f"{'All' if every else len(short)} of {len(lengths):,} series are"
    cure = "Give more history, or a shorter --horizon." if every else "They are padded, and learnt from as far as they go."
    words = f"{subject} too short: a horizon of {settings.horizon} needs at least {need} steps. {cure}"
    examples = tuple(f"series '{timeline.ids[i]}': {lengths[i]} steps" for i in short[:MOST_EXAMPLES])
    return [Finding(level, "too-short", words, "", len(short), examples)]


def _few_seasons(timeline: Timeline, lengths: np.ndarray, settings: DataSettings) -> list[Finding]:
    seasons = settings.season or (timeline.frequency.seasons if timeline.frequency else ())
    long = [season for season in seasons if 2 * season > lengths.max(initial=0)]
    if not long:
        return []
    words = f"No series has two seasons of {long[0]} steps ({int(lengths.max())} at most), so that season cannot be learnt."
    return [Finding("warning", "few-seasons", words, "", len(lengths))]


def _leaks(
    frame: pl.DataFrame, timeline: Timeline, columns: Columns, values: dict[str, np.ndarray], extra: list[str], settings: DataSettings
) -> list[Finding]:
    """Columns that give the target away, judged on the training part of the longest series."""
    if not len(timeline.ids):
        return []
    series = int(np.argmax(np.diff(timeline.offsets)))
    first, stop = timeline.offsets[series], timeline.offsets[series + 1]
    part = slice(first, first + int((stop - first) * _TRAIN_SHARE))
    rows = timeline.row[part]

    def taken(name: str) -> np.ndarray:
        if name in values:
            return without_codes(values[name][part], settings)
        numbers = frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        return without_codes(np.where(rows >= 0, numbers[rows], np.nan), settings)

    targets = {name: taken(name) for name in columns.targets if name in values}
    covariates = [name for name in columns.past + columns.future if name in values]
    others = {name: taken(name) for name in [*covariates, *extra]}
    return check_leaks(targets, others, frozenset(covariates), frozenset(columns.future), settings.horizon)


def _facts(columns: Columns, timeline: Timeline) -> dict[str, Any]:
    """What the table is, in plain values."""
    steps = np.diff(timeline.offsets)
    grid = timeline.frequency
    span: list[str] = []
    if grid and len(steps):
        ends = [int(timeline.starts.min()), int((timeline.starts + steps).max()) - 1]
        span = [str(time) for time in grid.times(np.array(ends))]
    return {
        "series": len(timeline.ids),
        "steps": {"least": int(steps.min(initial=steps.max(initial=0))), "most": int(steps.max(initial=0))},
        "time": columns.time,
        "id": columns.id,
        "targets": list(columns.targets),
        "past": list(columns.past),
        "future": list(columns.future),
        "static": list(columns.static),
        "first": span[0] if span else None,
        "last": span[1] if span else None,
        "frequency": grid.text if grid else None,
        "seasons": list(grid.seasons) if grid else [],
    }
