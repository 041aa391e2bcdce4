"""What the formats of the UCR/UEA archive have in common: a file cut into texts, and those read as numbers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from tidegate.data.labelled import number_text
from tidegate.errors import DataError, did_you_mean

BLOCK = 1 << 24
"""Characters whose numbers are read at a time: as texts they need ten times the memory."""
MISSING = ("?", "nan")


@dataclass
class ArchiveText:
    """A file cut into texts: a label and `count` dimensions a sequence.

    dimensions  n * count texts of values between separators
    lines       line number of each sequence
    count       dimensions of a sequence
    padded      missing values at the end are no part of a sequence
    width       values of each dimension, where the header says so
    empty       whether nothing between separators is a missing value
    facts       what the header of a .ts file says of its data
    """

    count: int = 1
    separator: str = ","
    padded: bool = True
    width: int | None = None
    empty: bool = False
    facts: dict[str, list[str]] = field(default_factory=dict)
    labels: list[str | None] = field(default_factory=list)
    dimensions: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, line: int, label: str | None, dimensions: list[str]) -> None:
        """One sequence: its line number, its label, and a text for each dimension."""
        self.lines.append(line)
        self.labels.append(label)
        self.dimensions += dimensions


def records(lines: list[str], begin: int, comment: str) -> Iterator[tuple[int, str]]:
    """Number and text of the lines with data, from the line after `begin`."""
    for number, line in enumerate(lines[begin:], start=begin + 1):
        text = line.strip(" \r")
        if text.strip() and not text.startswith(comment):
            yield number, text


def read_label(text: str) -> str | None:
    """A label without its quotes; None where it is missing."""
    text = text.strip().strip("'\"")
    return None if text.lower() in MISSING else number_text(text)


def check_label(label: str | None, declared: set[str], place: str) -> None:
    """Raise DataError for a label that is none of those that the header declares, if it declares any."""
    if declared and label is not None and label not in declared:
        raise DataError(f"{place}: the label '{short(label)}' is not in the header.{did_you_mean(label, sorted(declared))}")


def short(text: str) -> str:
    """At most 40 characters, for messages."""
    text = text.strip()
    return text if len(text) <= 40 else f"{text[:40]}..."


def read_sequences(raw: ArchiveText, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Values float32 [R, C] and lengths int64 [n]. Raises DataError for words that are no number, and lengths that do not fit."""
    flat, counts = _numbers(raw, lambda text: f"{source}, line {raw.lines[text // raw.count]}")
    counts = counts.reshape(-1, raw.count)
    lengths = counts[:, 0]
    differ = np.flatnonzero((counts != lengths[:, None]).any(axis=1))
    if differ.size:
        first = int(differ[0])
        other = int(np.argmax(counts[first] != lengths[first]))
        given = f"dimension 1 has {lengths[first]} values, dimension {other + 1} has {counts[first, other]}"
        raise DataError(f"{source}, line {raw.lines[first]}: {given}; expected the same number in each.")
    wrong = np.flatnonzero(lengths != raw.width) if raw.width is not None else np.zeros(0)
    if wrong.size:
        first = int(wrong[0])
        raise DataError(f"{source}, line {raw.lines[first]}: {lengths[first]} values; expected {raw.width}, as in the header.")
    if raw.count == 1:
        return flat[:, None], lengths
    starts = np.cumsum(lengths) - lengths
    which = np.repeat(np.arange(len(lengths)), lengths)
    within = np.arange(int(lengths.sum())) - starts[which]
    cells = starts[which] * raw.count + within
    return flat[cells[:, None] + lengths[which][:, None] * np.arange(raw.count)], lengths


def _numbers(raw: ArchiveText, place: Callable[[int], str]) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of all texts one after the other, float32, and how many each text has, int64."""
    values, counts = [], []
    for start, stop in _blocks(raw.dimensions):
        fields = pl.Series(raw.dimensions[start:stop], dtype=pl.String).str.split(raw.separator)
        counts.append(fields.list.len().cast(pl.Int64).to_numpy())
        words = fields.explode()
        owners = start + np.repeat(np.arange(stop - start), counts[-1])
        values.append(_floats(words, raw.empty, lambda word, texts=owners: place(int(texts[word]))))
    return np.concatenate(values), np.concatenate(counts)


def _floats(words: pl.Series, empty: bool, place: Callable[[int], str]) -> np.ndarray:
    """Words as float32. Raises DataError for one that is no number, or not finite."""
    numbers = words.cast(pl.Float64, strict=False)
    odd = np.flatnonzero(numbers.is_null().to_numpy())
    if odd.size:
        texts = words[odd].str.strip_chars()
        found = texts.cast(pl.Float64, strict=False)
        known = (*MISSING, "") if empty else MISSING
        lost = found.is_null() & ~texts.str.to_lowercase().is_in(known)
        if lost.any():
            word = int(odd[int(lost.arg_max() or 0)])
            raise DataError(f"{place(word)}: '{short(words[word])}' is no number; expected numbers, ? or NaN.")
        numbers = numbers.scatter(odd, found.fill_null(np.nan))
    values = numbers.cast(pl.Float32).to_numpy()
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        word = int(infinite[0])
        given = f"the value {words[word]} is not finite in 32-bit floating point"
        raise DataError(f"{place(word)}: {given}. Write ? (missing), or scale the values.")
    return values


def _blocks(texts: list[str]) -> Iterator[tuple[int, int]]:
    """Runs of texts of about `BLOCK` characters."""
    ends = np.cumsum([len(text) for text in texts])
    start = 0
    while start < len(texts):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + BLOCK, "right")))
        yield start, stop
        start = stop


def without_padding(values: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without the steps after the last one that has a value."""
    seen = np.any(~np.isnan(values), axis=1)
    if seen[np.cumsum(lengths) - 1].all():
        return values, lengths
    starts = np.cumsum(lengths) - lengths
    within = np.arange(len(values)) - np.repeat(starts, lengths)
    kept = np.maximum.reduceat(np.where(seen, within + 1, 0), starts)
    return values[within < np.repeat(kept, lengths)], kept
