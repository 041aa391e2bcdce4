"""A table that is read in pieces, whatever it came from."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from polars import selectors

from tidegate.errors import DataError, did_you_mean

_BLOCK = 1 << 22
_QUERIES = 32
"""A chunk of Parquet is read in so many pieces of columns: one at a time needs half the memory of all at once, at the same speed."""


@dataclass(frozen=True)
class Table:
    """A table in parts, each a lazy frame of known height: slices of one frame in memory, or Parquet files on disk.

    source  file name for messages, or "data frame"
    kind    what came in: "file", "pandas", "polars", "pyarrow", ...
    parts   lazy frames with their heights, one after the other
    schema  type of each column
    path    where the file or directory lies; None for a frame
    notes   what was recognised on reading, such as "GB18030" or "delimiter ';'"
    on_disk whether the parts are read from disk, piece by piece
    """

    source: str
    kind: str
    parts: tuple[tuple[pl.LazyFrame, int], ...]
    schema: dict[str, pl.DataType]
    path: Path | None = None
    notes: tuple[str, ...] = ()
    on_disk: bool = False

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in order."""
        return list(self.schema)

    @property
    def height(self) -> int:
        """Number of rows."""
        return sum(height for _, height in self.parts)

    def chunks(self, columns: Sequence[str], rows: int = 1_000_000) -> Iterator[pl.DataFrame]:
        """The columns in frames of at most `rows` rows, in order; Parquet is never in memory as a whole."""
        size = -(-len(columns) // _QUERIES) if self.on_disk else max(len(columns), 1)
        groups = [columns[start : start + size] for start in range(0, len(columns), size)]
        for part, height in self.parts:
            for start in range(0, height, rows):
                pieces = [self._collect(part.select(named(group)).slice(start, rows)) for group in groups]
                yield pl.concat(pieces, how="horizontal") if len(pieces) > 1 else pieces[0]

    def frame(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The whole table, or some of its columns."""
        return self._collect(pl.concat([part.select(named(columns or self.columns)) for part, _ in self.parts]))

    def _collect(self, query: pl.LazyFrame) -> pl.DataFrame:
        try:
            return query.collect()
        except pl.exceptions.PolarsError as error:
            raise DataError(f"{self.source} cannot be read to its end: {str(error).splitlines()[0]} (is a file damaged?).") from None

    def require(self, column: str, role: str) -> None:
        """Raise DataError if there is no such column."""
        if column not in self.schema:
            raise DataError(f"{self.source} has no column '{column}' ({role}).{did_you_mean(column, self.columns)}")

    def checksum(self) -> str:
        """SHA-256 of a file's bytes, of a directory's names and bytes, or of a frame's names, types and values."""
        digest = hashlib.sha256()
        if self.path is None:
            _add_frame(digest, self)
        elif self.path.is_dir():
            for file in sorted(path for path in self.path.rglob("*") if path.is_file()):
                digest.update(file.relative_to(self.path).as_posix().encode() + b"\0" + str(file.stat().st_size).encode() + b"\0")
                _add_file(digest, file)
        else:
            _add_file(digest, self.path)
        return digest.hexdigest()


def named(columns: Sequence[str]) -> selectors.Selector:
    """Columns by their names as they are: alone, polars takes '*' for all columns and '^y$' for a pattern."""
    return selectors.by_name(*columns)


def check_names(columns: Sequence[str], source: str) -> None:
    """Raise DataError for a name of a form that polars takes for a pattern wherever it works with a single column."""
    for name in columns:
        if name.startswith("^") and name.endswith("$"):
            raise DataError(f"{source} has a column named '{name}', which reads as a pattern for names. Rename it, such as {name[1:-1]!r}.")


def frame_table(
    frame: pl.DataFrame, source: str = "data frame", kind: str = "polars", path: Path | None = None, notes: Sequence[str] = ()
) -> Table:
    """A table over a frame in memory."""
    return Table(source, kind, ((frame.lazy(), frame.height),), dict(frame.schema), path, tuple(notes))


def _add_file(digest: "hashlib._Hash", path: Path) -> None:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)


def _add_frame(digest: "hashlib._Hash", table: Table) -> None:
    """The same for the same content, however the frame is laid out in memory."""
    for name, dtype in table.schema.items():
        digest.update(f"{name}\0{dtype}\0{table.height}\0".encode())
        for chunk in table.chunks([name]):
            column = chunk.to_series()
            digest.update(np.packbits(column.is_null().to_numpy()).tobytes())
            if not (dtype.is_numeric() or dtype.is_temporal()):
                column = column.cast(pl.String)
                digest.update(column.str.len_bytes().fill_null(0).to_numpy().tobytes())
                digest.update(column.str.join("").item().encode())
            else:
                digest.update(column.to_physical().fill_null(0).to_numpy().tobytes())
