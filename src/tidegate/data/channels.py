"""Columns of a table as channels of float32: numbers, and categories by their place in a sorted list."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from tidegate.data.columns import Columns
from tidegate.data.delimited import not_numbers, text_kind
from tidegate.data.sequences import Channel, Role, Sequences
from tidegate.data.table import Table
from tidegate.errors import DataError

_SHOWN = 5


@dataclass(frozen=True)
class Reader:
    """Reads one column of a table, chunk by chunk, as the values of a channel."""

    channel: Channel
    source: str
    role: str

    def read(self, column: pl.Series, first_row: int, series: Callable[[int], str] | None = None) -> np.ndarray:
        """float32 [len], NaN where missing.

        first_row  the number of the chunk's first row in the table, for messages
        series     the id of a row of the chunk, for messages

        Raises DataError that names the row for text in a column of numbers and for infinities.
        """
        if self.channel.categories is not None:
            texts = column.cast(pl.String)
            codes = texts.cast(pl.Enum(self.channel.categories), strict=False).to_physical()
            return codes.cast(pl.Float32).fill_null(np.nan).to_numpy()
        numbers = self._numbers(column, first_row)
        values = numbers.cast(pl.Float32, strict=False).fill_null(np.nan).fill_nan(np.nan).to_numpy()
        wrong = np.isinf(values)
        if wrong.any():
            row = int(np.argmax(wrong))
            whose = f" of series '{series(row)}'" if series and series(row) else ""
            raise DataError(
                f"{self._place(first_row + row)}: the value {column[row]}{whose} is not finite in 32-bit floating point. "
                "Leave the cell empty (missing), or scale the column."
            )
        return values

    def _numbers(self, column: pl.Series, first_row: int) -> pl.Series:
        if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
            return column.cast(pl.Float64) if column.dtype.is_integer() else column
        texts = column.cast(pl.String)
        numbers = texts.str.strip_chars().cast(pl.Float64, strict=False)
        wrong = not_numbers(texts)
        if wrong.any():
            row = int(wrong.arg_max() or 0)
            raise DataError(f"{self._place(first_row + row)}: '{texts[row]}' is no number ({self.role} needs numbers).{_cure(texts[row])}")
        return numbers

    def _place(self, row: int) -> str:
        return f"{self.source}, row {row + 1}, column '{self.channel.name}'"


def find_channels(table: Table, columns: Columns, like: Sequences | None) -> tuple[list[Reader], list[Reader], list[str]]:
    """Readers of the channels (targets, past, future) and of the static columns, and notes on categories.

    Text is a category, unless all of it reads as numbers. With `like`, categories are those of `like`; a text that is not among
    them is missing and said. Raises DataError for a word among numbers, which is a mistake.
    """
    known = {} if like is None else {channel.name: channel for channel in like.channels + like.static_channels}
    notes: list[str] = []
    roles: tuple[tuple[tuple[str, ...], Role], ...] = ((columns.targets, "target"), (columns.past, "past"), (columns.future, "future"))
    readers = [_reader(table, name, role, known.get(name), notes) for names, role in roles for name in names]
    static = [_reader(table, name, "future", known.get(name), notes, "static") for name in columns.static]
    return readers, static, notes


def _reader(table: Table, name: str, role: Role, known: Channel | None, notes: list[str], said: str = "") -> Reader:
    said = said or role
    if known is not None:
        if known.categories is not None:
            unseen = sorted(set(_texts(table, name)) - set(known.categories))
            if unseen:
                shown = ", ".join(unseen[:_SHOWN]) + (", ..." if len(unseen) > _SHOWN else "")
                notes.append(f"column '{name}' has {len(unseen)} categories that training has not seen, taken as missing: {shown}")
        return Reader(Channel(name, role, known.categories), table.source, said)
    dtype = table.schema[name]
    if role == "target" or dtype.is_numeric() or dtype == pl.Null:
        return Reader(Channel(name, role), table.source, said)
    if dtype == pl.Boolean:
        return Reader(Channel(name, role, ("false", "true")), table.source, said)
    categories = sorted(_texts(table, name))
    if dtype == pl.String:
        values = pl.Series(categories, dtype=pl.String)
        kind = text_kind(values)
        if kind == "mixed":
            odd = values.filter(not_numbers(values))[0]
            place = f"{table.source}, row {_row_of(table, name, odd)}, column '{name}'"
            raise DataError(f"{place}: '{odd}' among numbers ({said} column).{_cure(odd)}")
        if kind == "number":
            return Reader(Channel(name, role), table.source, said)
    notes.append(f"column '{name}': category with {len(categories)} values")
    return Reader(Channel(name, role, tuple(categories)), table.source, said)


def _texts(table: Table, name: str) -> set[str]:
    found: set[str] = set()
    for chunk in table.chunks([name]):
        found.update(chunk.to_series().cast(pl.String).drop_nulls().unique())
    return found


def _row_of(table: Table, name: str, text: str) -> int:
    """The number, from 1, of the first row with a text."""
    row = 0
    for chunk in table.chunks([name]):
        match = (chunk.to_series().cast(pl.String) == text).arg_max()
        if match is not None and chunk.to_series()[match] == text:
            return row + match + 1
        row += chunk.height
    return row


def _cure(text: str) -> str:
    if pl.Series([text]).str.contains(r"^\s*[-+]?\d+,\d+\s*$")[0]:
        return " It looks like a decimal comma: write a point, or use ';' between columns."
    return " Mend the cell, or leave it empty (missing)."
