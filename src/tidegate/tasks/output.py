"""What comes out, as a table: where it can be written, and of whose kind it is."""

import io
import os
from pathlib import Path
from typing import Any, cast

import narwhals as nw
import polars as pl
from narwhals.typing import EagerAllowed

from tidegate.errors import SettingsError
from tidegate.runs.atomic import write_atomically

INTEGERS = {str(dtype): dtype for dtype in (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)}
WRITERS = (".csv", ".parquet", ".pq", ".jsonl", ".ndjson")


def check_output(path: Path) -> None:
    """Raise SettingsError for a file type that cannot be written, before any work is done."""
    if path.suffix.lower() not in WRITERS:
        raise SettingsError(f"{path}: expected a name that ends in {', '.join(WRITERS)}.")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise SettingsError(f"{path}: there is no folder {folder}. Make it first.")
    if not os.access(folder, os.W_OK):
        raise SettingsError(f"{path}: the folder {folder} is not writable.")


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """CSV, Parquet or JSON lines by the name's ending; the file appears whole or not at all."""
    suffix = path.suffix.lower()
    if suffix == ".csv":
        content = frame.write_csv(datetime_format=_time_format(frame)).encode()
    elif suffix in (".parquet", ".pq"):
        content = _parquet(frame)
    else:
        content = frame.write_ndjson().encode()
    write_atomically(path, content)


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def _time_format(frame: pl.DataFrame) -> str | None:
    """Seconds, and parts of them only where there are some; the offset where the times have a zone."""
    times = [column for column in frame if isinstance(column.dtype, pl.Datetime)]
    if not times:
        return None
    parts = any((column.dt.microsecond() != 0).any() for column in times)
    zone = any(getattr(column.dtype, "time_zone", None) for column in times)
    return "%Y-%m-%d %H:%M:%S" + ("%.6f" if parts else "") + ("%:z" if zone else "")


def same_kind(frame: pl.DataFrame, kind: str) -> Any:
    """The frame as one of the library whose frame came in; files and others give polars."""
    if kind in ("file", "polars"):
        return frame
    columns = {name: frame[name].to_list() for name in frame.columns}
    return nw.from_dict(columns, backend=cast(EagerAllowed, kind)).to_native()


def as_ids(texts: pl.Series, id_type: str) -> pl.Series:
    """Ids as the whole numbers that they were in training, if these are such ('007' is none); else as texts."""
    dtype = INTEGERS.get(id_type)
    numbers = texts if dtype is None else texts.cast(dtype, strict=False)
    same = numbers.cast(pl.String).eq_missing(texts).all()
    return numbers if same else texts
