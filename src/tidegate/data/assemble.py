"""From a table to Sequences: the columns by role, a grid of time, and every value in its place on it.

A table is read twice and never held as a whole: first ids and times, to size the grid; then the values, each put straight
into its cell. A cell without a row stays NaN.
"""

from dataclasses import dataclass, replace

import numpy as np

from tidegate.config import DataSettings
from tidegate.data.calendar import Frequency
from tidegate.data.channels import Reader, find_channels
from tidegate.data.columns import Columns, find_columns
from tidegate.data.frequency import frequency_of, infer_frequency, parse_frequency
from tidegate.data.grid import blocks_of_series, check_free, check_grid_size, clear_marks, empty_grid, free_cells, number_rows, periods_of
from tidegate.data.scan import ROWS, Keys, Scan, scan_series
from tidegate.data.sequences import Sequences
from tidegate.data.table import Table
from tidegate.data.times import TimeFormat, find_time_format
from tidegate.data.wide import fill_wide
from tidegate.errors import DataError


@dataclass(frozen=True)
class Facts:
    """What the data is, for people.

    steps      cells of the grid up to the ends of the series
    gaps       steps without a row
    missing    missing values by channel, gaps included
    first/last times of the whole table as text
    """

    rows: int
    series: int
    steps: int
    shortest: int
    longest: int
    gaps: int
    missing: dict[str, int]
    first: str
    last: str
    frequency: str
    sorted: bool


@dataclass(frozen=True)
class Assembled:
    """Sequences, the settings with what was found filled in, notes for people, and facts."""

    sequences: Sequences
    settings: DataSettings
    notes: list[str]
    facts: Facts


def assemble(table: Table, settings: DataSettings, like: Sequences | None = None) -> Assembled:
    """Put a table on a regular grid of time.

    like  the sequences of training, for new data of a trained model: their channels, categories and frequency are used

    Raises DataError for data that cannot be used, SettingsError for settings that contradict each other.
    """
    columns, notes = find_columns(table, settings, like)
    readers, static, more = find_channels(table, columns, like)
    notes = [*table.notes, *notes, *more]
    kind = like.frequency.kind if like is not None else "integer" if (settings.frequency or "").isdigit() else None
    form = find_time_format(table, columns.time, settings.time_format, kind) if columns.time else None
    keys = Keys(columns.id, columns.time, form, table.source)
    scan = scan_series(table, keys)
    frequency = _frequency(table, columns, scan, settings, like)
    if settings.layout == "wide":
        sequences, dropped = fill_wide(table, columns, readers, keys, scan, frequency)
        notes += dropped
    else:
        sequences = _fill_long(table, columns, readers, static, replace(keys, ids=scan.ids), scan, frequency)
    sequences, missing = _find_ends(sequences, bool(columns.future))
    _check_targets(table, sequences, notes)
    if not scan.sorted:
        notes.append("rows are not in the order of time; they are sorted")
    facts = _facts(sequences, missing, scan)
    notes.append(f"frequency: {frequency.text}" + ("" if settings.frequency or like else " (found in the data)"))
    if like is None and facts.gaps > facts.rows:
        share = facts.gaps / (facts.gaps + facts.rows)
        notes.append(f"{share:.0%} of the {frequency.text} steps have no row and count as missing; a longer step is given with --freq")
    found = _settle(settings, columns, form, frequency, facts)
    return Assembled(sequences, found, notes, facts)


def _frequency(table: Table, columns: Columns, scan: Scan, settings: DataSettings, like: Sequences | None) -> Frequency:
    if like is not None:
        if scan.sample is None and like.frequency.kind != "integer":
            trained = f"the model was trained on times ({like.frequency.text})"
            raise DataError(f"{table.source} has no time column, but {trained}. Name it with --time.")
        return like.frequency
    step = parse_frequency(settings.frequency) if settings.frequency else None
    if scan.sample is None:
        return Frequency("integer", step.unit, 1 if step.unit == "step" else step.count) if step else Frequency("integer", "step")
    try:
        if step is not None:
            return frequency_of(step, scan.sample)
        if scan.steps:
            return infer_frequency(scan.sample, scan.steps)
    except DataError as error:
        raise DataError(f"{table.source}, column '{columns.time}': {error}") from None
    raise DataError(f"{table.source}: no series has two different times, so the frequency is open. Give it with --freq, such as --freq h.")


def _fill_long(
    table: Table, columns: Columns, readers: list[Reader], static: list[Reader], keys: Keys, scan: Scan, frequency: Frequency
) -> Sequences:
    starts, offsets = _grid(table, columns, scan, frequency)
    values = empty_grid((int(offsets[-1]), len(readers)))
    statics = np.full((len(scan.ids), len(static)), np.nan, dtype=np.float32)
    placed = np.zeros(len(scan.ids), dtype=np.int64)
    row = 0
    for chunk in table.chunks(columns.all, ROWS):
        codes = keys.codes(chunk, row)
        within = periods_of(frequency, keys, chunk, row) - starts[codes] if columns.time else number_rows(codes, placed)
        cells = offsets[codes] + within
        check_free(free_cells(values, cells), cells, table, columns, keys, chunk, row)
        for number, reader in enumerate(readers):
            values[cells, number] = reader.read(chunk[reader.channel.name], row, lambda place, codes=codes: scan.ids[codes[place]])
        for number, reader in enumerate(static):
            _set_static(statics[:, number], codes, reader.read(chunk[reader.channel.name], row), reader, scan.ids, row)
        row += chunk.height
    clear_marks(values)
    channels, static_channels = (tuple(reader.channel for reader in group) for group in (readers, static))
    return Sequences(values, offsets, scan.ids, channels, frequency, starts, statics, static_channels, offsets[1:].copy())


def _grid(table: Table, columns: Columns, scan: Scan, frequency: Frequency) -> tuple[np.ndarray, np.ndarray]:
    """First period of each series, int64 [n], and offsets of their cells, int64 [n+1]."""
    if scan.low is None or scan.high is None:
        return np.zeros(len(scan.ids), dtype=np.int64), np.concatenate([[0], np.cumsum(scan.rows)])
    try:
        starts, last = frequency.floor(scan.low), frequency.floor(scan.high)
    except DataError as error:
        raise DataError(f"{table.source}, column '{columns.time}': {error}") from None
    offsets = np.concatenate([[0], np.cumsum(last - starts + 1)])
    check_grid_size(int(offsets[-1]), table, frequency)
    return starts, offsets


def _set_static(known: np.ndarray, codes: np.ndarray, given: np.ndarray, reader: Reader, ids: tuple[str, ...], first_row: int) -> None:
    """Take in the values of a static column. Raises DataError if one changes within a series."""
    rows = np.flatnonzero(~np.isnan(given))
    first = rows[::-1]
    fresh = np.isnan(known[codes[first]])
    known[codes[first][fresh]] = given[first][fresh]
    wrong = rows[given[rows] != known[codes[rows]]]
    if wrong.size:
        row = int(wrong[0])
        raise DataError(
            f"{reader.source}, row {first_row + row + 1}: the static column '{reader.channel.name}' changes within series "
            f"'{ids[codes[row]]}'. Declare it with --past or --future instead."
        )


def _find_ends(sequences: Sequences, future: bool) -> tuple[Sequences, np.ndarray]:
    """The ends of the series, and the missing values of each channel up to there, int64 [C].

    With known-future channels a series ends after its last row with a target; what follows is the future.
    """
    targets = sequences.columns("target")
    ends = sequences.ends.copy()
    missing = np.zeros(len(sequences.channels), dtype=np.int64)
    for first, last in blocks_of_series(sequences.offsets):
        begin, starts = sequences.offsets[first], sequences.offsets[first:last]
        absent = np.isnan(sequences.values[begin : sequences.offsets[last]])
        if future:
            seen = np.logical_not(absent[:, targets].all(axis=1))
            end = np.maximum.reduceat(np.where(seen, np.arange(1, len(absent) + 1), 0), starts - begin)
            ends[first:last] = np.maximum(begin + end, starts)
            after = np.arange(begin, begin + len(absent)) >= np.repeat(ends[first:last], np.diff(sequences.offsets[first : last + 1]))
            absent[after] = False
        missing += absent.sum(axis=0)
    return replace(sequences, ends=ends), missing


def _check_targets(table: Table, sequences: Sequences, notes: list[str]) -> None:
    """Raise DataError for a target without any number; name the series that have none."""
    targets = sequences.columns("target")
    seen = np.zeros((len(sequences), len(targets)), dtype=bool)
    for first, last in blocks_of_series(sequences.offsets):
        begin = sequences.offsets[first]
        block = ~np.isnan(sequences.values[begin : sequences.offsets[last]][:, targets])
        seen[first:last] = np.logical_or.reduceat(block, sequences.offsets[first:last] - begin, axis=0)
    for number, column in enumerate(targets):
        if not seen[:, number].any():
            raise DataError(f"{table.source}: the target '{sequences.channels[column].name}' has no number in any row; expected some.")
    empty = np.flatnonzero(~seen.any(axis=1))
    if empty.size:
        shown = ", ".join(f"'{sequences.ids[number]}'" for number in empty[:5]) + (", ..." if empty.size > 5 else "")
        notes.append(f"{empty.size} of {len(sequences)} series have no target value at all: {shown}")


def _facts(sequences: Sequences, missing: np.ndarray, scan: Scan) -> Facts:
    lengths = sequences.lengths
    first, last = sequences.frequency.times(np.array([sequences.starts.min(), (sequences.starts + np.diff(sequences.offsets)).max() - 1]))
    rows = int(scan.rows.sum())
    cells = rows
    if scan.low is not None and scan.high is not None:
        cells = int((sequences.frequency.floor(scan.high) - sequences.frequency.floor(scan.low) + 1).sum())
    return Facts(
        rows=rows,
        series=len(sequences),
        steps=int(lengths.sum()),
        shortest=int(lengths.min()),
        longest=int(lengths.max()),
        gaps=cells - rows,
        missing={channel.name: int(count) for channel, count in zip(sequences.channels, missing, strict=True)},
        first=str(first),
        last=str(last),
        frequency=sequences.frequency.text,
        sorted=scan.sorted,
    )


def _settle(settings: DataSettings, columns: Columns, form: TimeFormat | None, frequency: Frequency, facts: Facts) -> DataSettings:
    """The settings with what was found: columns, frequency, season, and the order of day and month."""
    season = settings.season
    if season is None:
        season = tuple(length for length in frequency.seasons if 2 * length <= facts.longest)
    found: dict[str, object] = {"time": columns.time, "id": columns.id, "frequency": frequency.code, "season": season}
    if settings.layout != "wide":
        found["target"] = columns.targets
    if form is not None and form.how == "format" and form.format.startswith(("%d", "%m")):
        found["time_format"] = form.format
    return settings.model_copy(update=found)
