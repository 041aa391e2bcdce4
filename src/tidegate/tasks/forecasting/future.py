"""Covariates that are known ahead, in a table of their own: its rows come below those of the data.

Each table is parsed by itself before the two are joined, so that each may write its times, ids and numbers in its own way, and an error
names the table and row where it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from tidegate.config import DataSettings
from tidegate.data.channels import find_channels
from tidegate.data.columns import Columns, find_columns
from tidegate.data.grid import periods_of
from tidegate.data.read import read_table
from tidegate.data.scan import ROWS, Keys
from tidegate.data.sequences import Sequences
from tidegate.data.table import Table, frame_table, named
from tidegate.data.times import TimeFormat, find_time_format
from tidegate.errors import DataError


@dataclass(frozen=True)
class Parsed:
    """A table in the terms of the model. rows: id (text, "" where there is none), period, number of the row in its table;
    frame: the columns themselves, id as text, times on the grid, numbers as float32, categories as text."""

    source: str
    rows: pl.DataFrame
    frame: pl.DataFrame

    def where(self, keep: pl.Series) -> "Parsed":
        """Only these rows."""
        return Parsed(self.source, self.rows.filter(keep), self.frame.filter(keep))


def with_future(table: Table, future: Any, data: DataSettings, schema: Sequences, say: Callable[[str], None]) -> Table:
    """The table with the rows of `future` below it, their targets missing.

    data, schema  what the model was trained with; say: takes a note on what was left out

    Rows of `future` that are not after the last target of their series are left out; after it, they take the place of the table's own.
    Raises DataError if a declared column is absent from either table, or a row of one cannot be used.
    """
    if not data.future:
        raise DataError("This model was trained without known-future covariates, so it takes no future table. Leave it out.")
    columns, _ = find_columns(table, data, schema)
    below = future if isinstance(future, Table) else read_table(future)
    for name in (columns.id, columns.time, *columns.future):
        if name is not None:
            below.require(name, "known-future covariates")
    above = _parse(table, columns, data, schema)
    ahead = _parse(below, Columns(columns.id, columns.time, (), (), columns.future, ()), data, schema)
    ahead = _of_known_series(ahead, above, say)
    if columns.time is not None:
        ahead = _after_the_last_target(ahead, above, columns.targets, say)
        _check_once(ahead)
        above = above.where(~_is_in(above, ahead))
    frame = pl.concat([above.frame, ahead.frame], how="diagonal")
    if columns.id is not None:  # whole numbers again, so that series stay in their order
        frame = frame.with_columns(frame[columns.id].cast(table.schema[columns.id]))
    return frame_table(frame, table.source, table.kind, table.path, table.notes)


def _parse(table: Table, columns: Columns, data: DataSettings, schema: Sequences) -> Parsed:
    form = None if columns.time is None else _time_format(table, columns.time, data.time_format, schema)
    keys = Keys(columns.id, columns.time, form, table.source)
    readers, static, _ = find_channels(table, columns, schema)
    first_row = 0
    rows, frames = [], []
    for chunk in table.chunks(columns.all, ROWS):
        found = {"id": pl.repeat("", chunk.height, eager=True), "period": pl.repeat(0, chunk.height, dtype=pl.Int64, eager=True)}
        parsed: list[pl.Series] = []
        if columns.id is not None:
            found["id"] = keys.id_texts(_whole_ids(chunk, columns.id), first_row)
            parsed.append(found["id"].alias(columns.id))
        if columns.time is not None:
            periods = periods_of(schema.frequency, keys, chunk, first_row)
            found["period"] = pl.Series(periods)
            parsed.append(schema.frequency.times(periods).alias(columns.time))
        for reader in (*readers, *static):
            name = reader.channel.name
            category = reader.channel.categories is not None
            parsed.append(chunk[name].cast(pl.String) if category else pl.Series(name, reader.read(chunk[name], first_row)))
        rows.append(pl.DataFrame(found | {"row": np.arange(first_row, first_row + chunk.height)}))
        frames.append(pl.DataFrame(parsed))
        first_row += chunk.height
    return Parsed(table.source, pl.concat(rows), pl.concat(frames))


def _time_format(table: Table, time: str, given: str | None, schema: Sequences) -> TimeFormat:
    """How this table writes its times: as was said of the training data, or in a way of its own."""
    form = find_time_format(table, time, given, schema.frequency.kind)
    if given is not None and form.how != "as is":
        first = next(iter(table.chunks([time], 1))).to_series()
        if form.parse(first).null_count() > first.null_count():
            return find_time_format(table, time, None, schema.frequency.kind)
    return form


def _whole_ids(chunk: pl.DataFrame, name: str) -> pl.DataFrame:
    """Ids such as 7.0, which pandas makes of 7, as whole numbers."""
    ids = chunk[name]
    whole = ids.dtype.is_float() and bool((ids == ids.round()).all())
    return chunk.with_columns(ids.cast(pl.Int64)) if whole else chunk


def _of_known_series(ahead: Parsed, above: Parsed, say: Callable[[str], None]) -> Parsed:
    known = ahead.rows["id"].is_in(above.rows["id"].unique().implode())
    strange = ahead.rows.filter(~known)["id"].unique(maintain_order=True).to_list()
    if not strange:
        return ahead
    shown = ", ".join(f"'{name}'" for name in strange[:5]) + (", ..." if len(strange) > 5 else "")
    if not known.any():
        raise DataError(f"{ahead.source}: no series of {above.source} is in it, only {shown}. Its ids must be those of the data.")
    say(f"{ahead.source}: rows of series that {above.source} does not have are left out: {shown}")
    return ahead.where(known)


def _after_the_last_target(ahead: Parsed, above: Parsed, targets: tuple[str, ...], say: Callable[[str], None]) -> Parsed:
    absent = np.isnan(above.frame.select(named(targets)).to_numpy())
    seen = pl.Series(np.logical_not(np.logical_and.reduce(absent, axis=1)))
    last = above.rows.filter(seen).group_by("id").agg(pl.col("period").max().alias("last"))
    after = ahead.rows.join(last, on="id", how="left", maintain_order="left").select(
        (pl.col("last").is_null() | (pl.col("period") > pl.col("last"))).alias("after")
    )["after"]
    if not after.all():
        count = len(after) - int(after.sum())
        say(f"{ahead.source}: {count} of {len(after)} rows are not after the last target of their series and are left out")
    return ahead.where(after)


def _check_once(ahead: Parsed) -> None:
    """Raise DataError where a series has a time twice."""
    twice = ahead.rows.select("id", "period").is_duplicated()
    if not twice.any():
        return
    first = ahead.rows.filter(twice)[0]
    same = ahead.rows.join(first.select("id", "period"), on=["id", "period"])["row"].sort()
    whose = f" of series '{first['id'][0]}'" if first["id"][0] else ""
    numbers = ", ".join(str(row + 1) for row in same[:5])
    raise DataError(f"{ahead.source}: rows {numbers}{whose} have the same time. Keep one row for each time.")


def _is_in(above: Parsed, ahead: Parsed) -> pl.Series:
    """Whether a row has a series and time that the future table has too."""
    both = ahead.rows.select("id", "period", pl.lit(True).alias("there"))
    return above.rows.join(both, on=["id", "period"], how="left", maintain_order="left")["there"].fill_null(False)
