"""Files of the UCR/UEA archive of time series classification (Dau et al. 2019, Bagnall et al. 2018, https://timeseriesclassification.com).

    .ts          dimensions between colons, values between commas, the label last
    .arff        the same for Weka: values between commas; several dimensions in quotes, a \\n between them
    .tsv, .txt   one dimension: the label first, then values between tabs, commas or spaces

A sequence a line. In .arff, .tsv and .txt all lines are filled up to the longest, so that missing values at the end of a line are
no part of its sequence; in .ts they are.
"""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tidegate.data.archive_arff import read_arff
from tidegate.data.archive_text import MISSING, ArchiveText, read_label, read_sequences, records, short, without_padding
from tidegate.data.archive_ts import contradictions, read_ts
from tidegate.data.encoding import read_text
from tidegate.data.labelled import LabelledSequences, label_rows
from tidegate.data.read import reading
from tidegate.errors import DataError

_TABLE_HINT = "A table with a line of column names needs --id and --label"


def read_archive(path: str | Path) -> LabelledSequences:
    """The sequences of a .ts, .arff, .tsv or .txt file of the archive, which may be gzipped, with ids from '1'.

    `?` and NaN are missing. Raises DataError that names the file, and the line where there is one.
    """
    path = Path(path)
    reader = _READERS.get(_suffix(path))
    if reader is None:
        raise DataError(f"{path} is no file of the UCR/UEA archive by its name; expected .ts, .arff, .tsv or .txt (or these with .gz).")
    with reading(path) as found:
        data, notes = _text(found.read_bytes(), path)
    lines = data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    source = path.name
    raw = reader(lines, source)
    if not raw.lines:
        raise DataError(f"{source} has no sequence; expected one a line.")
    values, lengths = read_sequences(raw, source)
    if raw.padded:
        values, lengths = without_padding(values, lengths)
    notes += raw.notes + contradictions(raw.facts, values, lengths)
    return label_rows(values, lengths, raw.labels, source=source, lines=np.array(raw.lines), notes=notes)


def is_archive(path: Path) -> bool:
    """Whether a file is one of the archive: by its name, and .tsv and .txt by a first line without column names."""
    suffix = _suffix(path)
    if suffix not in (".tsv", ".txt"):
        return suffix in _READERS
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            line = file.readline().decode("utf-8", errors="replace")
    except (OSError, EOFError):
        return False
    words = _split_label(line, _separator(line))[1].replace("\t", " ").replace(",", " ").split()
    return bool(words) and all(word.lower() in MISSING or _is_number(word) for word in words)


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _text(data: bytes, path: Path) -> tuple[bytes, list[str]]:
    """As UTF-8, and notes; comments of the archive are in any encoding."""
    try:
        return read_text(data, path)
    except DataError:
        return read_text(data, path, western=True)


def _read_rows(lines: list[str], source: str) -> ArchiveText:
    cut = list(records(lines, 0, "#"))
    separator = _separator(cut[0][1]) if cut else None
    raw = ArchiveText(separator=separator or " ", empty=True)
    for number, line in cut:
        text, values = _split_label(line, separator)
        if not values:
            raise DataError(f"{source}, line {number}: '{short(line)}'; expected a label, then values. {_TABLE_HINT}.")
        raw.add(number, read_label(text), [values])
    return raw


def _separator(line: str) -> str | None:
    """Tab or comma; None for any number of spaces."""
    return next((separator for separator in "\t," if separator in line), None)


def _split_label(line: str, separator: str | None) -> tuple[str, str]:
    """The label and the rest."""
    if separator is None:
        line, separator = " ".join(line.split()), " "
    label, _, values = line.rstrip("\r\n").partition(separator)
    return label, values


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


_READERS: dict[str, Callable[[list[str], str], ArchiveText]] = {".ts": read_ts, ".arff": read_arff, ".tsv": _read_rows, ".txt": _read_rows}
