"""Anything that holds labelled sequences, as `LabelledSequences`: archive files, folders of a class each, long tables."""

from collections.abc import Sequence as Listed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from tidegate.data.archive import is_archive, read_archive
from tidegate.data.channels import Reader
from tidegate.data.columns import ID_NAMES, TIME_NAMES, check_roles, some_names, usual_column
from tidegate.data.labelled import LabelKind, LabelledSequences, label_rows, number_text
from tidegate.data.read import read_table
from tidegate.data.scan import Keys, encode_runs
from tidegate.data.sequences import Channel
from tidegate.data.table import Table
from tidegate.data.times import find_time_format
from tidegate.errors import DataError, SettingsError

_IDS = (*ID_NAMES, "id")
_TIMES = (*TIME_NAMES, "time")
_LABELS = ("label", "class", "target")
_FILES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_PARQUET = (".parquet", ".pq", ".parq")
_SHOWN = 5


def read_labelled(
    source: str | Path | Any,
    *,
    label: str | None = None,
    id: str | None = None,
    time: str | None = None,
    channels: Listed[str] | None = None,
    need_label: bool = True,
) -> LabelledSequences:
    """Labelled sequences from a path or a data frame.

    source    a file of the UCR/UEA archive (.ts, .arff, .tsv, .txt); a folder with a folder of CSV files for each class, a file
              a sequence; or a long table, a row a step: any file or frame that `read_table` reads
    label     column with the label, the same in all rows of a sequence (or empty); None: 'label', 'class' or 'target' if there
              is one, else there are no labels
    id        column that tells sequences apart; None: 'unique_id', 'item_id' or 'id'
    time      column to sort the rows of a sequence by; None: 'ds', 'timestamp' or 'time' if there is one, else rows are in order
    channels  columns with values; None: all other columns of numbers
    need_label  false: a table without the column `label` has no labels, rather than an error, and that it has none is not noted

    What is not used is in the notes. Raises DataError that names the file and the line, row or sequence; SettingsError for a column
    with two roles, and for columns where the format has none.
    """
    if channels is not None:
        channels = (channels,) if isinstance(channels, str) else tuple(channels)
    given = {"--id": id, "--label": label, "--time": time, "--channels": channels}
    if isinstance(source, str | Path):
        path = _expanded(source)
        if path.is_dir() and (folders := _class_folders(path)):
            _refuse(given, ("--id", "--label"), f"{path.name} is a folder of classes: names of folders are labels, names of files are ids")
            return _read_folder(path, folders, time, channels)
        if is_archive(path):
            _refuse(given, tuple(given), f"{path.name} is a file of the UCR/UEA archive, which names no columns")
            return read_archive(path)
    table = read_table(source)
    if not need_label and label is not None and label not in table.schema:
        label = None
    return _read_long(table, label, id, time, channels, need_label)


def labelled_kind(source: Any) -> Literal["archive", "folder"] | None:
    """What a path leads to that can be nothing but labelled sequences: a file of the archive, or a folder of classes."""
    if not isinstance(source, str | Path):
        return None
    path = _expanded(source)
    try:
        if path.is_dir():
            return "folder" if any("=" not in name for name in _class_folders(path)) else None
    except (DataError, OSError):  # whoever reads it says why it cannot be
        return None
    return "archive" if is_archive(path) else None


def _expanded(source: str | Path) -> Path:
    try:
        return Path(source).expanduser()
    except RuntimeError:  # no home for ~name: read_table says so
        return Path(source)


def _refuse(given: dict[str, Any], options: tuple[str, ...], why: str) -> None:
    for option in options:
        if given[option] is not None:
            raise SettingsError(f"{option} {given[option]}: {why}. Leave it out.")


# --- long tables


@dataclass(frozen=True)
class _Columns:
    id: str
    label: str | None
    time: str | None
    channels: tuple[str, ...]

    @property
    def all(self) -> list[str]:
        return [name for name in (self.id, self.label, self.time, *self.channels) if name]


def _read_long(
    table: Table, label: str | None, id: str | None, time: str | None, channels: Listed[str] | None, need_label: bool
) -> LabelledSequences:
    columns, notes = _find_columns(table, label, id, time, channels, need_label)
    frame = table.frame(columns.all)
    texts = Keys(columns.id, None, None, table.source).id_texts(frame, 0)
    ids = texts.unique(maintain_order=True)
    codes = encode_runs(texts, pl.Enum(ids))
    values = _values(frame, columns.channels, table.source, texts)
    times = _times(table, frame, columns.time) if columns.time else None
    order, more = _order(codes, times, len(ids))
    if order is not None:
        values, codes = values[order], codes[order]
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    lengths = np.diff(starts, append=len(codes))
    labels = _labels(frame[columns.label], ids, starts, order, table.source) if columns.label else [None] * len(ids)
    data = label_rows(
        values,
        lengths,
        labels,
        ids=ids.to_list(),
        channels=columns.channels,
        source=table.source,
        notes=[*table.notes, *notes, *more],
    )
    kind = "text" if columns.label is None else _kind_of(frame[columns.label].dtype)
    id_type = str(table.schema[columns.id])
    return replace(data, label_kind=kind, id_name=columns.id, id_type=id_type, label_name=columns.label, frame_kind=table.kind)


def _find_columns(
    table: Table, label: str | None, id: str | None, time: str | None, channels: Listed[str] | None, need_label: bool
) -> tuple[_Columns, list[str]]:
    taken = [name for name in (label, id, time, *(channels or ())) if name]
    id = usual_column(table, id, _IDS, taken)
    if id is None:
        cure = f"Say with --id which column tells sequences apart; columns: {some_names(table.columns)}."
        raise DataError(f"{table.source} has no column {_or(_IDS)}. {cure}")
    label = usual_column(table, label, _LABELS, [*taken, id])
    time = usual_column(table, time, _TIMES, [*taken, id])
    if channels is None:
        channels = [name for name, dtype in table.schema.items() if dtype.is_numeric() and name not in (id, label, time)]
    columns = _Columns(id, label, time, tuple(channels))
    _check_columns(table, columns)
    notes = []
    if label is None and need_label:
        notes.append(f"no label column: none is given, and there is no {_or(_LABELS)}")
    if time is None:
        notes.append("no time column: rows of a sequence are in the order of the table")
    ignored = [name for name in table.columns if name not in columns.all]
    if ignored:
        notes.append(f"undeclared columns are ignored: {some_names(ignored)}")
    return columns, notes


def _kind_of(dtype: pl.DataType) -> LabelKind:
    return "truth" if dtype == pl.Boolean else "number" if dtype.is_numeric() else "text"


def _or(names: tuple[str, ...]) -> str:
    return f"{', '.join(repr(name) for name in names[:-1])} or {names[-1]!r}"


def _check_columns(table: Table, columns: _Columns) -> None:
    roles = {"--id": [columns.id], "--label": [columns.label], "--time": [columns.time], "--channels": columns.channels}
    check_roles(table, roles)
    if not columns.channels:
        raise DataError(f"{table.source} has no column of numbers beside id, label and time; expected a channel or more.")
    for name in columns.channels:
        dtype = table.schema[name]
        if not (dtype.is_numeric() or dtype in (pl.Boolean, pl.String, pl.Null)):
            raise DataError(f"{table.source}, column '{name}' holds {dtype}; expected numbers.")


def _values(frame: pl.DataFrame, channels: Listed[str], source: str, ids: pl.Series | None = None) -> np.ndarray:
    """The channels of all rows, float32 [R, C]. Raises DataError that names the row of what is no finite number."""
    values = np.empty((frame.height, len(channels)), dtype=np.float32)
    series = None if ids is None else lambda row: ids[row]
    for number, name in enumerate(channels):
        values[:, number] = Reader(Channel(name, "past"), source, "channel").read(frame[name], 0, series)
    return values


def _times(table: Table, frame: pl.DataFrame, column: str) -> np.ndarray:
    """What rows are sorted by, int64 or float64 [R]. Raises DataError for a row without a time."""
    times = frame[column]
    if times.dtype.is_float() or isinstance(times.dtype, pl.Decimal):  # seconds since the beginning, say: any number has an order
        numbers = times.cast(pl.Float64)
        lost = numbers.is_null() | numbers.is_nan()
        if lost.any():
            row = int(lost.arg_max() or 0)
            raise DataError(f"{table.source}, row {row + 1}, column '{column}': no time. Remove the row, or fill the time in.")
        return numbers.to_numpy()
    return find_time_format(table, column, None, None).read(times, table.source).to_physical().cast(pl.Int64).to_numpy()


def _order(codes: np.ndarray, times: np.ndarray | None, count: int) -> tuple[np.ndarray | None, list[str]]:
    """Rows by sequence and time, int64 [R]; None if they are so. Notes on rows that are not where they are expected."""
    same = codes[1:] == codes[:-1]
    together = int(np.count_nonzero(~same)) == count - 1  # codes count up by first appearance
    if times is None:
        if together:
            return None, []
        return np.argsort(codes, kind="stable"), ["rows of a sequence do not all stand together: they are joined in the order of the table"]
    order, notes = None, []
    if not together or (same & (times[1:] < times[:-1])).any():
        order = np.lexsort((times, codes))
        codes, times = codes[order], times[order]
        if (np.diff(order)[codes[1:] == codes[:-1]] < 0).any():
            notes.append("rows are not in the order of time; they are sorted")
    twice = int(np.count_nonzero((codes[1:] == codes[:-1]) & (times[1:] == times[:-1])))
    if twice:
        notes.append(f"{twice:,} rows have the time of another row of their sequence; they stay in the order of the table")
    return order, notes


def _labels(column: pl.Series, ids: pl.Series, starts: np.ndarray, order: np.ndarray | None, source: str) -> list[str | None]:
    """The label of each sequence. Raises DataError for a sequence with two."""
    texts = (column.fill_nan(None) if column.dtype.is_float() else column).cast(pl.String)
    name_of = str.strip if column.dtype == pl.String else number_text
    names = {text: name_of(text) or None for text in texts.unique().drop_nulls()}
    labels = [name for name in dict.fromkeys(names.values()) if name is not None]
    places: dict[str | None, int] = {name: number for number, name in enumerate(labels)}
    numbers = pl.Series([places.get(name, -1) for name in names.values()], dtype=pl.Int64)
    codes = texts.replace_strict(pl.Series(list(names), dtype=pl.String), numbers, default=-1, return_dtype=pl.Int64).to_numpy()
    sorted_codes = codes if order is None else codes[order]
    highest = np.maximum.reduceat(sorted_codes, starts)
    lowest = np.minimum.reduceat(np.where(sorted_codes < 0, len(labels), sorted_codes), starts)
    wrong = np.flatnonzero(lowest < highest)
    if wrong.size:
        first = int(wrong[0])
        rows = np.arange(starts[first], starts[first + 1] if first + 1 < len(starts) else len(codes))
        rows = rows if order is None else np.sort(order[rows])
        rows = rows[codes[rows] >= 0]
        other = rows[codes[rows] != codes[rows[0]]][0]
        two = f"'{labels[codes[rows[0]]]}' in row {rows[0] + 1}, but '{labels[codes[other]]}' in row {other + 1}"
        given = f"{source}, column '{column.name}': the label of sequence '{ids[first]}' is {two}"
        raise DataError(f"{given}; expected one in all its rows. Is --id the right column?")
    return [labels[number] if number >= 0 else None for number in highest.tolist()]


# --- folders


def _class_folders(path: Path) -> dict[str, list[Path]]:
    """The files of each class, both in order of their names. Raises DataError for a folder that holds no table of any form."""
    try:
        folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith((".", "_")))
        files = {folder.name: sorted(file for file in folder.iterdir() if _is_table(file)) for folder in folders}
        parquet = any(file.suffix in _PARQUET for file in path.rglob("*"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None
    files = {name: found for name, found in files.items() if found}
    if not files and not parquet:
        raise DataError(f"{path} holds neither folders with CSV files (a folder a class, a file a sequence) nor Parquet files.")
    return files


def _is_table(file: Path) -> bool:
    return file.is_file() and not file.name.startswith((".", "_")) and file.name.lower().endswith(_FILES)


def _read_folder(path: Path, folders: dict[str, list[Path]], time: str | None, channels: Listed[str] | None) -> LabelledSequences:
    tables = [_read_file(file, name) for name, files in folders.items() for file in files]
    times = [usual_column(table, time, _TIMES, list(channels or ())) for table in tables]
    names = _folder_channels(tables, times, channels)
    parts, odd = [], []
    for table, used in zip(tables, times, strict=True):
        frame = table.frame()
        values = _values(frame, names, table.source)
        if used:
            table.require(used, "--time")
            order, more = _order(np.zeros(frame.height, dtype=np.int64), _times(table, frame, used), 1)
            values = values if order is None else values[order]
            odd += [f"{table.source}: {note}" for note in more]
        parts.append(values)
    notes = [f"a folder a class: {len(folders)} classes, {len(tables):,} files"]
    ignored = list(dict.fromkeys(name for table in tables for name in table.columns if name not in (*names, *times)))
    if ignored:
        notes.append(f"undeclared columns are ignored: {some_names(ignored)}")
    if len(odd) > _SHOWN:
        odd = [*odd[:_SHOWN], f"and {len(odd) - _SHOWN:,} more files of this kind"]
    return label_rows(
        np.concatenate(parts),
        np.array([len(part) for part in parts], dtype=np.int64),
        [number_text(name) for name, files in folders.items() for _ in files],
        ids=[table.source for table in tables],
        channels=names,
        source=path.resolve().name,
        notes=notes + odd,
    )


def _read_file(file: Path, folder: str) -> Table:
    """A table that is called by its folder and its name."""
    try:
        return replace(read_table(file), source=f"{folder}/{file.name}")
    except DataError as error:
        raise DataError(f"In the folder {folder}: {error}") from None


def _folder_channels(tables: list[Table], times: list[str | None], channels: Listed[str] | None) -> tuple[str, ...]:
    """The channels of all files: those given, or each column that holds numbers in one. Raises DataError for a file that lacks one."""
    if channels is not None:
        for table in tables:
            for name in channels:
                table.require(name, "--channels")
        return tuple(channels)
    origin: dict[str, str] = {}
    for table in tables:
        for name, dtype in table.schema.items():
            if dtype.is_numeric() and name not in times:
                origin.setdefault(name, table.source)
    if not origin:
        raise DataError(f"{tables[0].source} has no column of numbers; expected a channel or more.")
    for table in tables:
        lacking = next((name for name in origin if name not in table.schema), None)
        if lacking is not None:
            raise DataError(f"{table.source} has no column '{lacking}', which {origin[lacking]} has; expected the same in each file.")
    return tuple(origin)
