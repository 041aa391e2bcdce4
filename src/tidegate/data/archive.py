"""Files of the UCR/UEA archive of time series classification (Dau et al. 2019, Bagnall et al. 2018, https://timeseriesclassification.com).

    .ts          dimensions between colons, values between commas, the label last
    .arff        the same for Weka: values between commas; several dimensions in quotes, a \\n between them
    .tsv, .txt   one dimension: the label first, then values between tabs, commas or spaces

A sequence a line. In .arff, .tsv and .txt all lines are filled up to the longest, so that missing values at the end of a line are
no part of its sequence; in .ts they are.
"""

import gzip
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import polars as pl

from tidegate.data.encoding import read_text
from tidegate.data.labelled import LabelledSequences, label_rows, label_text
from tidegate.errors import DataError, did_you_mean

_BLOCK = 1 << 24
"""Characters whose numbers are read at a time: as texts they need ten times the memory."""
_MISSING = ("?", "nan")
_TAGS = ("problemname", "timestamps", "missing", "univariate", "dimensions", "dimension", "equallength", "serieslength", "classlabel")
_KNOWN_TAGS = (*_TAGS, "targetlabel")
_FLAGS = ("timestamps", "missing", "univariate", "equallength", "classlabel", "targetlabel")
_COUNTS = ("dimensions", "dimension", "serieslength")
_ATTRIBUTE = re.compile(r"@attribute\s+('[^']*'|\"[^\"]*\"|[^\s{]+)\s*(.*)", re.IGNORECASE)
_NUMERIC = ("numeric", "real", "integer")
_TABLE_HINT = "A table with a line of column names needs --id and --label"


@dataclass
class _Raw:
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
        self.lines.append(line)
        self.labels.append(label)
        self.dimensions += dimensions


def read_archive(path: str | Path) -> LabelledSequences:
    """The sequences of a .ts, .arff, .tsv or .txt file of the archive, which may be gzipped, with ids from '1'.

    `?` and NaN are missing. Raises DataError that names the file, and the line where there is one.
    """
    path = Path(path)
    reader = _READERS.get(_suffix(path))
    if reader is None:
        raise DataError(f"{path} is no file of the UCR/UEA archive by its name; expected .ts, .arff, .tsv or .txt (or these with .gz).")
    data, notes = _text(_bytes(path), path)
    lines = data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    source = path.name
    raw = reader(lines, source)
    if not raw.lines:
        raise DataError(f"{source} has no sequence; expected one a line.")
    values, lengths = _sequences(raw, source)
    if raw.padded:
        values, lengths = _without_padding(values, lengths)
    notes += raw.notes + _contradictions(raw.facts, values, lengths)
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
    return bool(words) and all(word.lower() in _MISSING or _is_number(word) for word in words)


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _bytes(path: Path) -> bytes:
    try:
        return path.expanduser().read_bytes()
    except FileNotFoundError:
        near = get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else [], n=1)
        raise DataError(f"No such file: {path}." + (f" Did you mean '{path.parent / near[0]}'?" if near else "")) from None
    except (OSError, RuntimeError) as error:  # RuntimeError: no home for ~name
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None


def _text(data: bytes, path: Path) -> tuple[bytes, list[str]]:
    """As UTF-8, and notes; comments of the archive are in any encoding."""
    try:
        return read_text(data, path)
    except DataError:
        return read_text(data, path, western=True)


# --- .ts


def _read_ts(lines: list[str], source: str) -> _Raw:
    facts, begin, notes = _ts_head(lines, source)
    labelled = facts["classlabel"][0] == "true"
    declared = {label_text(word) or "" for word in facts["classlabel"][1:]}
    said = next((tag for tag in ("dimensions", "dimension") if tag in facts), None)
    count = int(facts[said][0]) if said else 1 if facts.get("univariate") == ["true"] else 0
    raw = _Raw(count, padded=False, facts=facts, notes=notes)
    for number, line in _records(lines, begin, "#"):
        parts = line.split(":")
        label = _label(parts.pop()) if labelled else None
        raw.count = raw.count or len(parts)
        if len(parts) != raw.count:
            why = f"@{said} {count}" if said else "@univariate true" if count else "as in the first line"
            given = f"{len(parts)} dimensions between colons{' before the label' if labelled else ''}"
            raise DataError(f"{source}, line {number}: {given}; expected {raw.count} ({why}).")
        _check_label(label, declared, f"{source}, line {number}")
        raw.add(number, label, parts)
    return raw


def _ts_head(lines: list[str], source: str) -> tuple[dict[str, list[str]], int, list[str]]:
    """The words of each @ line by its name in lower case, the number of the line '@data', and notes."""
    facts: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        tag = words[0].lower().removeprefix("@")
        if not words[0].startswith("@"):
            raise DataError(f"{source}, line {number}: '{_short(line)}' before a line '@data'; expected lines that begin with @ or #.")
        if tag == "data":
            return facts, number, _check_ts_head(facts, source)
        facts[tag] = words[1:]
        _check_fact(tag, words[1:], f"{source}, line {number}")
    raise DataError(f"{source} has no line '@data'; expected a .ts file of the UCR/UEA archive.")


def _check_fact(tag: str, words: list[str], place: str) -> None:
    """Raise DataError for an @ line that cannot be read, or says that the file holds something else."""
    said = f"{place}: '@{' '.join([tag, *words[:3]])}'"
    if tag in _FLAGS:
        if not words or words[0].lower() not in ("true", "false"):
            raise DataError(f"{said}; expected @{tag} true or false.")
        words[0] = words[0].lower()
    if tag in _COUNTS and not (len(words) == 1 and words[0].isdecimal() and int(words[0])):
        raise DataError(f"{said}; expected a whole number above 0.")
    if tag == "timestamps" and words[0] == "true":
        raise DataError(f"{said}: values with time stamps are not read. Give the data as a long table: id, time, channels, label.")
    if tag == "targetlabel" and words[0] == "true":
        raise DataError(f"{said}: the file holds a number to be predicted, not a class; expected a file with @classLabel.")


def _check_ts_head(facts: dict[str, list[str]], source: str) -> list[str]:
    unknown = [tag for tag in facts if tag not in _KNOWN_TAGS]
    if "classlabel" not in facts:
        near = get_close_matches("classlabel", unknown, n=1)
        cure = f" Is '@{near[0]}' meant?" if near else ""
        raise DataError(f"{source} has no line '@classLabel'; expected '@classLabel true A B ...', or '@classLabel false'.{cure}")
    return [f"unknown lines of the header are ignored: {', '.join(f'@{tag}' for tag in unknown)}"] if unknown else []


def _contradictions(facts: dict[str, list[str]], values: np.ndarray, lengths: np.ndarray) -> list[str]:
    """Notes on what a .ts header says otherwise than the data is; the data counts."""
    notes = []
    shortest, longest = int(lengths.min()), int(lengths.max())
    length = facts.get("serieslength")
    if length and not shortest == longest == int(length[0]):
        notes.append(f"the header says @seriesLength {length[0]}, but sequences have {shortest} to {longest} steps")
    elif facts.get("equallength") == ["true"] and shortest < longest:
        notes.append(f"the header says @equalLength true, but sequences have {shortest} to {longest} steps")
    missing = int(np.count_nonzero(np.isnan(values)))
    if facts.get("missing") == ["false"] and missing:
        notes.append(f"the header says @missing false, but {missing:,} values are missing")
    return notes


# --- .arff


def _read_arff(lines: list[str], source: str) -> _Raw:
    width, relational, declared, begin = _arff_head(lines, source)
    raw = _Raw(0 if relational else 1, width=width)
    for number, line in _records(lines, begin, "%"):
        if relational:
            end = line.find(line[0], 1) if line[0] in "'\"" else -1
            if end < 0:
                raise DataError(f"{source}, line {number}: '{_short(line)}'; expected dimensions in quotes, a comma, and the label.")
            parts, text = line[1:end].split("\\n"), line[end + 1 :].lstrip().removeprefix(",")
        else:
            head, _, text = line.rpartition(",")
            parts = [head]
        raw.count = raw.count or len(parts)
        if len(parts) != raw.count:
            raise DataError(f"{source}, line {number}: {len(parts)} dimensions; expected {raw.count}, as in the first line.")
        label = _label(text)
        _check_label(label, declared, f"{source}, line {number}")
        raw.add(number, label, parts)
    return raw


def _arff_head(lines: list[str], source: str) -> tuple[int, bool, set[str], int]:
    """Values of a dimension, whether there may be several (a relational attribute), the classes, and the number of the line '@data'."""
    outer: list[tuple[int, str]] = []
    inner: list[tuple[int, str]] = []
    inside = relational = False
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        lower = text.lower()
        if lower.startswith("@data"):
            kinds = outer[:-1] if not relational else inner
            odd = next((place for place, kind in kinds if kind.lower().split()[0] not in _NUMERIC), None)
            if odd is not None:
                raise DataError(f"{source}, line {odd}: '{_short(lines[odd - 1])}'; expected numeric attributes, and the classes last.")
            if not outer or not outer[-1][1].startswith("{") or len(outer) != (2 if relational else len(kinds) + 1) or not kinds:
                raise DataError(f"{source}: its last attribute names no classes; expected numeric attributes, then one such as {{A,B}}.")
            words = outer[-1][1].strip("{} \t").split(",")
            return len(kinds), relational, {_label(word) or "" for word in words}, number
        if lower.startswith("@end"):
            inside = False
        elif lower.startswith("@attribute"):
            match = _ATTRIBUTE.fullmatch(text)
            if match is None or not match[2]:
                raise DataError(f"{source}, line {number}: '{_short(line)}'; expected @attribute NAME numeric, relational or {{A,B}}.")
            (inner if inside else outer).append((number, match[2].strip()))
            if match[2].strip().lower() == "relational":
                inside = relational = True
        elif text and not lower.startswith(("%", "@relation")):
            raise DataError(f"{source}, line {number}: '{_short(line)}' before a line '@data'; expected @relation, @attribute or %.")
    raise DataError(f"{source} has no line '@data'; expected an .arff file of the UCR/UEA archive.")


# --- .tsv and .txt


def _read_rows(lines: list[str], source: str) -> _Raw:
    records = list(_records(lines, 0, "#"))
    separator = _separator(records[0][1]) if records else None
    raw = _Raw(separator=separator or " ", empty=True)
    for number, line in records:
        text, values = _split_label(line, separator)
        if not values:
            raise DataError(f"{source}, line {number}: '{_short(line)}'; expected a label, then values. {_TABLE_HINT}.")
        raw.add(number, _label(text), [values])
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


# --- what all have in common


def _records(lines: list[str], begin: int, comment: str) -> Iterator[tuple[int, str]]:
    """Number and text of the lines with data, from the line after `begin`."""
    for number, line in enumerate(lines[begin:], start=begin + 1):
        text = line.strip(" \r")
        if text.strip() and not text.startswith(comment):
            yield number, text


def _label(text: str) -> str | None:
    text = text.strip().strip("'\"")
    return None if text.lower() in _MISSING else label_text(text)


def _check_label(label: str | None, declared: set[str], place: str) -> None:
    if declared and label is not None and label not in declared:
        raise DataError(f"{place}: the label '{_short(label)}' is not in the header.{did_you_mean(label, sorted(declared))}")


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= 40 else f"{text[:40]}..."


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _sequences(raw: _Raw, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Values float32 [R, C] and lengths int64 [n]."""
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


def _numbers(raw: _Raw, place: Callable[[int], str]) -> tuple[np.ndarray, np.ndarray]:
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
        known = (*_MISSING, "") if empty else _MISSING
        lost = found.is_null() & ~texts.str.to_lowercase().is_in(known)
        if lost.any():
            word = int(odd[int(lost.arg_max() or 0)])
            raise DataError(f"{place(word)}: '{_short(words[word])}' is no number; expected numbers, ? or NaN.")
        numbers = numbers.scatter(odd, found.fill_null(np.nan))
    values = numbers.cast(pl.Float32).to_numpy()
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        word = int(infinite[0])
        given = f"the value {words[word]} is not finite in 32-bit floating point"
        raise DataError(f"{place(word)}: {given}. Write ? (missing), or scale the values.")
    return values


def _blocks(texts: list[str]) -> Iterator[tuple[int, int]]:
    """Runs of texts of about `_BLOCK` characters."""
    ends = np.cumsum([len(text) for text in texts])
    start = 0
    while start < len(texts):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _BLOCK, "right")))
        yield start, stop
        start = stop


def _without_padding(values: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without the steps after the last one that has a value."""
    seen = np.any(~np.isnan(values), axis=1)
    if seen[np.cumsum(lengths) - 1].all():
        return values, lengths
    starts = np.cumsum(lengths) - lengths
    within = np.arange(len(values)) - np.repeat(starts, lengths)
    kept = np.maximum.reduceat(np.where(seen, within + 1, 0), starts)
    return values[within < np.repeat(kept, lengths)], kept


_READERS: dict[str, Callable[[list[str], str], _Raw]] = {".ts": _read_ts, ".arff": _read_arff, ".tsv": _read_rows, ".txt": _read_rows}
