"""Forecasts as a table: the input's own column names, one row a series and time."""

import io
import os
from pathlib import Path
from typing import Any, cast

import narwhals as nw
import numpy as np
import polars as pl
from narwhals.typing import EagerAllowed

from tidegate.config import DataSettings
from tidegate.data.windows import OriginSet
from tidegate.errors import SettingsError
from tidegate.runs.atomic import write_atomically
from tidegate.tasks.model import Predictions

INTEGERS = {str(dtype): dtype for dtype in (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64)}
WRITERS = (".csv", ".parquet", ".pq", ".jsonl", ".ndjson")


def forecast_frame(origins: OriginSet, said: Predictions, data: DataSettings, id_type: str) -> pl.DataFrame:
    """Id (if there is one; of the type that polars calls `id_type`), time, then a column a target and TARGET_q10, TARGET_q90 and so on."""
    sequences, horizon = origins.windows.sequences, origins.windows.horizon
    columns: dict[str, pl.Series] = {}
    if (name := _id_name(data)) is not None:
        ids = np.array(sequences.ids, dtype=object)[np.repeat(origins.series, horizon)]
        columns[name] = _as_ids(pl.Series(name, ids, dtype=pl.String), id_type)
    periods = origins.windows.periods(origins.series, origins.origin)
    name = _time_name(data)
    columns[name] = sequences.frequency.times((periods[:, None] + np.arange(horizon)).ravel()).alias(name)
    for number, target in enumerate(sequences.targets):
        columns[target] = pl.Series(target, said.point[..., number].ravel())
        for place, level in enumerate(said.levels):
            if level != 0.5:
                label = quantile_name(target, level)
                columns[label] = pl.Series(label, said.quantiles[..., number, place].ravel())
    return pl.DataFrame(list(columns.values()))


def _id_name(data: DataSettings) -> str | None:
    return data.id or (None if data.layout == "long" else "unique_id")


def _time_name(data: DataSettings) -> str:
    return data.time or "step"


def _as_ids(texts: pl.Series, id_type: str) -> pl.Series:
    """Ids as the whole numbers that they were in training, if these are such ('007' is none); else as texts."""
    dtype = INTEGERS.get(id_type)
    numbers = texts if dtype is None else texts.cast(dtype, strict=False)
    same = numbers.cast(pl.String).eq_missing(texts).all()
    return numbers if same else texts


def check_names(data: DataSettings, targets: tuple[str, ...], quantiles: tuple[float, ...]) -> None:
    """Raise SettingsError where a forecast would have two columns of one name."""
    names = [name for name in (_id_name(data), _time_name(data), *targets) if name is not None]
    names += [quantile_name(target, level) for target in targets for level in quantiles if level != 0.5]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        example = quantile_name(targets[0], next(iter(quantiles), 0.1))
        raise SettingsError(
            f"A forecast would have two columns named '{twice[0]}': it has the id, the time, each target, and a column such as '{example}' "
            "for each quantile. Rename the column in the data, or give other --quantiles."
        )


def quantile_name(target: str, level: float) -> str:
    """TARGET_q10 for 0.1, TARGET_q2.5 for 0.025."""
    return f"{target}_q{100 * level:g}" if 100 * level >= 10 else f"{target}_q{100 * level:02g}"


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
