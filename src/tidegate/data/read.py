"""Any table that people bring, as a `Table`: files of text, Parquet, JSON lines, .tsf, and data frames."""

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import narwhals as nw
import numpy as np
import polars as pl

from tidegate.data.delimited import read_delimited, to_number
from tidegate.data.encoding import read_text
from tidegate.data.table import Table, frame_table
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
    table = _read_path(Path(source).expanduser(), layout) if isinstance(source, str | Path) else _read_frame(source)
    return _rows_to_long(table) if layout == "rows" and table.columns != ["unique_id", "ds", "y"] else table


def _read_path(path: Path, layout: str) -> Table:
    try:
        if path.is_dir():
            return _read_directory(path)
        with path.open("rb") as file:
            magic = file.read(4)
        return _read_parquet(path) if magic == b"PAR1" else _read_text_file(path, layout)
    except FileNotFoundError:
        raise DataError(f"No such file: {path}.{_near(path)}") from None
    except (PermissionError, IsADirectoryError) as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None


def _near(path: Path) -> str:
    """The files beside a missing one that are spelled nearly the same."""
    names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    near = get_close_matches(path.name, names, n=1)
    return f" Did you mean '{path.parent / near[0]}'?" if near else ""


def _read_text_file(path: Path, layout: str) -> Table:
    name = path.name.removesuffix(".gz").lower()
    data, notes = read_text(path, western=name.endswith(".tsf"))
    if name.endswith(".tsf"):
        frame, more = read_tsf(data, path.name)
    elif name.endswith((".jsonl", ".ndjson", ".json")) or data.lstrip()[:1] == b"{":
        frame, more = _read_json(data, path.name), ["JSON lines"]
    else:
        frame, more = read_delimited(data, path.name, ragged=layout == "rows")
    return frame_table(frame, path.name, "file", path, notes + more)


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


def _read_parquet(path: Path) -> Table:
    try:
        part = pl.scan_parquet(path, glob=False, hive_partitioning=False, parallel="none", cache=False)
        schema, height = dict(part.collect_schema()), _height(part)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path} is a damaged Parquet file: {str(error).splitlines()[0]}.") from None
    if not height:
        raise DataError(f"{path.name} has columns ({', '.join(list(schema)[:5])}) but no row.")
    return Table(path.name, "file", ((part, height),), schema, path, on_disk=True)


def _read_directory(path: Path) -> Table:
    """A directory of Parquet files; folders named KEY=VALUE become columns."""
    files = sorted(file for pattern in _PARQUET for file in path.rglob(pattern) if not _hidden(file.relative_to(path)))
    if not files:
        raise DataError(f"{path} is a directory without Parquet files; give a file, or a directory of *.parquet.")
    hive = any("=" in part for part in files[0].relative_to(path).parts[:-1])
    try:
        schema = dict(pl.scan_parquet(files, hive_partitioning=hive, missing_columns="insert", extra_columns="ignore").collect_schema())
        parts = tuple(_part(file, path, schema, hive) for file in files)
        heights = [_height(part) for part in parts]
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: its Parquet files do not fit together: {str(error).splitlines()[0]}.") from None
    kept = tuple((part, height) for part, height in zip(parts, heights, strict=True) if height)
    if not kept:
        raise DataError(f"{path}: its {len(files)} Parquet files have no row.")
    notes = (f"{len(files)} Parquet files{', Hive partitions' if hive else ''}",)
    return Table(path.name, "file", kept, schema, path, notes, on_disk=True)


def _part(file: Path, root: Path, schema: dict[str, pl.DataType], hive: bool) -> pl.LazyFrame:
    """One file with the columns and types of the whole directory, the Hive keys from its path."""
    part = pl.scan_parquet(file, glob=False, hive_partitioning=False, parallel="none", cache=False)
    own = part.collect_schema()
    keys = dict(folder.split("=", 1) for folder in file.relative_to(root).parts[:-1] if "=" in folder) if hive else {}
    columns = []
    for name, dtype in schema.items():
        if name in own:
            columns.append(pl.col(name).cast(dtype))
        elif name in keys and keys[name] != "__HIVE_DEFAULT_PARTITION__":
            columns.append(pl.lit(unquote(keys[name])).cast(pl.String).cast(dtype).alias(name))
        else:
            columns.append(pl.lit(None, dtype=dtype).alias(name))
    return part.select(columns)


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _height(part: pl.LazyFrame) -> int:
    return int(part.select(pl.len()).collect().item())


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
    result = _to_polars(frame)
    if not result.width or not result.height:
        raise DataError(f"The data frame has {result.width} columns and {result.height} rows; expected at least one of each.")
    names = [str(name) for name in result.columns]
    result.columns = names
    return frame_table(result.rechunk(), "data frame", kind)


def _with_index(source: Any) -> Any:
    """A pandas frame with an index of names or times as a column, and periods as the times they begin; any other as it is."""
    index = getattr(source, "index", None)
    if not hasattr(source, "reset_index") or index is None or not hasattr(index, "names"):
        return source
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
    if (dtype.is_integer() and not column.null_count()) or (isinstance(dtype, nw.Datetime) and dtype.time_zone is None):
        return pl.Series(name, column.to_numpy())
    return pl.Series(name, column.to_list(), strict=False)


def _rows_to_long(table: Table) -> Table:
    """A series per row, its id first, as unique_id, ds and y; what is empty after a series' last value is dropped."""
    frame = table.frame()
    names = frame.columns[1:]
    if not names:
        raise DataError(f"{table.source} has one column; expected a series per row: its id, then its values.")
    _check_header_of_rows(names, table.source)
    values = _numbers(frame.select(names), table.source)
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
