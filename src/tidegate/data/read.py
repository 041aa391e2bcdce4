"""Any table that people bring, as a `Table`: files of text, Parquet, JSON lines, .tsf, and data frames."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import narwhals as nw
import numpy as np
import polars as pl

from tidegate.data.delimited import read_delimited, to_number
from tidegate.data.encoding import read_text
from tidegate.data.table import Table, check_names, frame_table, named
from tidegate.data.tsf import read_tsf
from tidegate.errors import DataError

_PARQUET = ("*.parquet", "*.pq", "*.parq")


def read_table(source: str | Path | Any, layout: str = "long") -> Table:
    """A table from a path or a data frame.

    source  CSV with any delimiter, JSON lines, .tsf (each may be gzipped; UTF-8, UTF-16 with mark or GB18030), Parquet as
            a file, a directory or a Hive-partitioned directory, or any frame that narwhals reads
    layout  "rows": a series per row, its id first; the table is then long, with unique_id, ds (1, 2, ...) and y

    Raises DataError that names the file, and the line where there is one.
    """
    table = _read_path(Path(source), layout) if isinstance(source, str | Path) else _read_frame(source)
    check_names(table.columns, table.source)
    return _rows_to_long(table) if layout == "rows" and table.columns != ["unique_id", "ds", "y"] else table


def _read_path(path: Path, layout: str) -> Table:
    with reading(path) as path:
        if path.is_dir():
            return _read_directory(path)
        with path.open("rb", buffering=0) as file:
            magic = file.read(4)
            if file.seekable():
                if magic == b"PAR1":
                    return _read_parquet(path, path, path)
                file.seek(0)
                return _read_text_file(file.readall(), path, path, layout)
            # a pipe can be read once, so all of it is taken into memory, and it is nowhere to be found again
            data = magic + file.readall()
            return _read_parquet(data, path, None) if data[:4] == b"PAR1" else _read_text_file(data, path, None, layout)


@contextmanager
def reading(path: Path) -> Iterator[Path]:
    """The path with ~ expanded. Whatever keeps it from being read becomes a DataError with its cure."""
    try:
        path = path.expanduser()
        yield path
    except FileNotFoundError:
        raise DataError(f"No such file: {path}.{_near(path)}") from None
    except NotADirectoryError:
        folder = next(parent for parent in path.parents if parent.exists())
        raise DataError(f"No such file: {path}. {folder} is a file, not a folder.") from None
    except (OSError, RuntimeError) as error:  # RuntimeError: no home for ~name
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None


def _near(path: Path) -> str:
    """The files beside a missing one that are spelled nearly the same."""
    names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, names, n=1)
    return f" Did you mean '{path.parent / near[0]}'?" if near else ""


def _read_text_file(raw: bytes, path: Path, kept: Path | None, layout: str) -> Table:
    name = path.name.removesuffix(".gz").lower()
    data, notes = read_text(raw, path, western=name.endswith(".tsf"))
    if name.endswith(".tsf"):
        frame, more = read_tsf(data, path.name)
    elif name.endswith((".jsonl", ".ndjson", ".json")) or data.lstrip()[:1] == b"{":
        frame, more = _read_json(data, path.name), ["JSON lines"]
    else:
        frame, more = read_delimited(data, path.name, ragged=layout == "rows")
    return frame_table(frame, path.name, "file", kept, notes + more)


def _read_json(data: bytes, source: str) -> pl.DataFrame:
    """JSON lines, or one array of objects. Raises DataError with the first line that is no object."""
    try:
        if data.lstrip()[:1] == b"[":
            frame = pl.DataFrame(json.loads(data), infer_schema_length=None)
        else:
            frame = pl.read_ndjson(data, infer_schema_length=None)
    except (pl.exceptions.PolarsError, ValueError, TypeError):
        frame = _read_json_lines(data, source)
    if not frame.width or not frame.height:
        raise DataError(f"{source} has no row; expected a JSON object on each line.")
    return frame


def _read_json_lines(data: bytes, source: str) -> pl.DataFrame:
    """The slow way, for what the fast one refuses, such as NaN."""
    rows = []
    for number, line in enumerate(data.decode("utf-8").splitlines(), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f"{source}, line {number}: no JSON ({error}); expected an object on each line.") from None
            if not isinstance(row, dict):
                example = '{"ds": "2020-01-01", "y": 1.5}'
                raise DataError(f"{source}, line {number}: {type(row).__name__}; expected an object such as {example}.")
            rows.append(row)
    try:
        return pl.DataFrame(rows, infer_schema_length=None)
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise DataError(f"{source}: a column holds values of different types ({str(error).splitlines()[0]}).") from None


def _read_parquet(source: Path | bytes, path: Path, kept: Path | None) -> Table:
    part = pl.scan_parquet(source, glob=False, hive_partitioning=False, parallel="none", cache=False)
    schema, height = _size(part, path)
    if not height:
        raise DataError(f"{path.name} has columns ({', '.join(list(schema)[:5])}) but no row.")
    return Table(path.name, "file", ((part, height),), schema, kept, on_disk=True)


def _size(part: pl.LazyFrame, path: Path) -> tuple[dict[str, pl.DataType], int]:
    """Columns and rows of a Parquet file. Raises DataError if it is damaged."""
    try:
        return dict(part.collect_schema()), int(part.select(pl.len()).collect().item())
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path} is a damaged Parquet file: {str(error).splitlines()[0]}.") from None


def _read_directory(path: Path) -> Table:
    """A directory of Parquet files; folders named KEY=VALUE become columns."""
    files = sorted(file for pattern in _PARQUET for file in path.rglob(pattern) if not _hidden(file.relative_to(path)))
    if not files:
        raise DataError(f"{path} is a directory without Parquet files; give a file, or a directory of *.parquet.")
    full: list[_File] = []
    for file in files:
        part = pl.scan_parquet(file, glob=False, hive_partitioning=False, parallel="none", cache=False)
        schema, height = _size(part, file)
        if height:
            full.append(_File(file.relative_to(path), part, schema, height, _hive_keys(file.relative_to(path))))
    if not full:
        raise DataError(f"{path}: its {len(files)} Parquet files have no row.")
    schema, notes = _common_schema(full, path)
    keys = list(dict.fromkeys(key for file in full for key in file.keys))
    schema |= {key: _key_type([file.keys.get(key) for file in full]) for key in keys if key not in schema}
    notes = [f"{len(files)} Parquet files{', Hive partitions' if keys else ''}", *notes]
    parts = tuple((file.part.select(_columns(file, schema)), file.height) for file in full)
    return Table(path.name, "file", parts, schema, path, tuple(notes), on_disk=True)


@dataclass(frozen=True)
class _File:
    """One Parquet file of a directory: its path in there, its own columns, its rows, and the Hive keys of its folders."""

    name: Path
    part: pl.LazyFrame
    schema: dict[str, pl.DataType]
    height: int
    keys: dict[str, str | None]


def _common_schema(files: list[_File], root: Path) -> tuple[dict[str, pl.DataType], list[str]]:
    """The columns of all files, each with a type that holds its values in every file, and notes on those that some files lack."""
    schema: dict[str, pl.DataType] = {}
    origin: dict[str, _File] = {}
    for file in files:
        for name, dtype in file.schema.items():
            common = common_type(schema.get(name, dtype), dtype)
            if common is None:
                given = f"{root / file.name}, column '{name}' holds {dtype}, but in {origin[name].name} it holds {schema[name]}"
                raise DataError(f"{given}; expected one type in all files. Write one of them anew with the other's type.")
            if common != schema.get(name):
                schema[name], origin[name] = common, file
    notes = []
    for name in schema:
        count = sum(name in file.schema for file in files)
        if count < len(files):
            notes.append(f"column '{name}' is in {count} of {len(files)} files, and missing in the others")
    return schema, notes


def common_type(one: pl.DataType, other: pl.DataType) -> pl.DataType | None:
    """The type that holds the values of both without loss of meaning; None if there is none, as for numbers and text."""
    types = [dtype for dtype in (one, other) if dtype != pl.Null]
    if one == other or len(types) < 2:
        return types[0] if types else one
    if one.is_numeric() and other.is_numeric():
        return pl.concat([pl.Series(dtype=dtype).to_frame("") for dtype in types], how="vertical_relaxed").dtypes[0]
    if all(isinstance(dtype, pl.String | pl.Categorical | pl.Enum) for dtype in types):
        return pl.String()
    zones = [dtype.time_zone if isinstance(dtype, pl.Datetime) else None for dtype in types if isinstance(dtype, pl.Date | pl.Datetime)]
    return pl.Datetime("us", zones[0]) if len(zones) == 2 and zones[0] == zones[1] else None


def _hive_keys(path: Path) -> dict[str, str | None]:
    pairs = (folder.split("=", 1) for folder in path.parts[:-1] if "=" in folder)
    return {key: None if value == "__HIVE_DEFAULT_PARTITION__" else unquote(value) for key, value in pairs}


def _key_type(values: list[str | None]) -> pl.DataType:
    """Whole numbers and dates by their look; text else, as are numbers with leading zeros, which are names."""
    texts = [value for value in values if value is not None]
    if texts and all(re.fullmatch(r"0|-?[1-9]\d{0,17}", text) for text in texts):
        return pl.Int64()
    dates = pl.Series(texts, dtype=pl.String).str.to_date("%Y-%m-%d", strict=False)
    return pl.Date() if texts and not dates.null_count() else pl.String()


def _columns(file: _File, schema: dict[str, pl.DataType]) -> list[pl.Expr]:
    """The columns of the whole directory, in their types, from one file."""
    columns = []
    for name, dtype in schema.items():
        if name in file.schema:
            columns.append(named([name]).as_expr() if file.schema[name] == dtype else named([name]).cast(dtype))
        else:
            text = pl.Series([file.keys.get(name)], dtype=pl.String)
            value = text.str.to_date() if dtype == pl.Date else text.cast(dtype)
            columns.append(pl.lit(value.item(), dtype=dtype).alias(name))
    return columns


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _read_frame(source: Any) -> Table:
    try:
        frame = nw.from_native(_with_index(source))
    except nw.exceptions.DuplicateError as error:
        raise DataError(f"The data frame: {str(error).splitlines()[-1].strip(' -')}; expected each column name once.") from None
    except TypeError:
        raise DataError(f"A {type(source).__name__} is no table; expected a path or a data frame (pandas, polars, pyarrow, ...).") from None
    kind = str(frame.implementation).lower()
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    check_names([str(name) for name in frame.columns], "data frame")
    result = _to_polars(frame)
    if not result.width or not result.height:
        raise DataError(f"The data frame has {result.width} columns and {result.height} rows; expected at least one of each.")
    names = [str(name) for name in result.columns]
    result.columns = names
    return frame_table(result.rechunk(), "data frame", kind)


def _with_index(source: Any) -> Any:
    """A pandas frame with an index of names or times as a column, and periods as the times they begin; any other as it is."""
    if not hasattr(source, "reset_index") or not hasattr(source, "columns") or not hasattr(source.index, "names"):
        return source
    twice = [name for name in source.index.names if name is not None and name in source.columns]
    if twice:
        source = source.reset_index(level=twice, drop=True)
    index = source.index
    timed = str(getattr(index, "dtype", "")).startswith(("datetime", "period"))
    if timed or any(name is not None for name in index.names):
        source = source.reset_index()
    periods = [name for name, dtype in source.dtypes.items() if str(dtype).startswith("period")]
    return source.assign(**{name: source[name].dt.to_timestamp() for name in periods}) if periods else source


def _to_polars(frame: "nw.DataFrame[Any]") -> pl.DataFrame:
    try:
        return frame.to_polars()
    except (ImportError, ValueError, TypeError):
        # pandas to polars goes through pyarrow, which is not among our requirements and refuses columns of mixed types
        return pl.DataFrame([_column(frame[name], name) for name in frame.columns])


def _column(column: "nw.Series[Any]", name: str) -> pl.Series:
    dtype = column.dtype
    if dtype.is_float():
        return pl.Series(name, column.to_numpy()).fill_nan(None)
    if dtype.is_integer() and not column.null_count():
        return pl.Series(name, column.to_numpy())
    if isinstance(dtype, nw.Datetime) and dtype.time_zone is None:
        return pl.Series(name, column.to_numpy().astype("datetime64[us]"))  # polars knows no seconds
    return pl.Series(name, column.to_list(), strict=False)


def _rows_to_long(table: Table) -> Table:
    """A series per row, its id first, as unique_id, ds and y; what is empty after a series' last value is dropped."""
    frame = table.frame()
    names = frame.columns[1:]
    if not names:
        raise DataError(f"{table.source} has one column; expected a series per row: its id, then its values.")
    _check_header_of_rows(names, table.source)
    values = _numbers(frame.select(named(names)), table.source)
    seen = ~np.isnan(values)
    lengths = np.where(seen.any(axis=1), len(names) - np.argmax(seen[:, ::-1], axis=1), 0)
    kept = np.arange(len(names)) < lengths[:, None]
    which, step = np.nonzero(kept)
    ids = frame[frame.columns[0]].cast(pl.String)
    long = pl.DataFrame([ids[which].alias("unique_id"), pl.Series("ds", step + 1), pl.Series("y", values[kept]).fill_nan(None)])
    return frame_table(long, table.source, table.kind, table.path, [*table.notes, f"a series per row: {frame.height} series"])


def _check_header_of_rows(names: list[str], source: str) -> None:
    """Raise DataError if the line of column names is a series itself: numbers that do not count the steps."""
    numbers = pl.Series(names).cast(pl.Float64, strict=False)
    if not numbers.null_count() and (numbers.diff().drop_nulls() != 1.0).any():
        shown = ", ".join(names[:3])
        raise DataError(f"{source} has no line of column names: its first line is a series ({shown}, ...). Add one at the top.")


def _numbers(frame: pl.DataFrame, source: str) -> np.ndarray:
    """All cells as float64, NaN where empty. Raises DataError that names the first cell that is no number."""
    odd = [name for name, dtype in frame.schema.items() if not dtype.is_numeric()]
    frame = frame.with_columns(to_number(frame[name].cast(pl.String)) for name in odd)
    for name in odd:
        lost = frame[name].cast(pl.Float64, strict=False).is_null() & frame[name].is_not_null()
        if lost.any():
            row = int(lost.arg_max() or 0)
            given = f"{source}, row {row + 1}, column '{name}': '{frame[name][row]}' is no number"
            raise DataError(f"{given}; expected a series per row: its id, then its values.")
    return frame.select(pl.all().cast(pl.Float64).fill_null(np.nan)).to_numpy()
