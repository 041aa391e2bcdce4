"""Tables of delimited text (CSV and its relatives) as typed frames."""

import csv
import io
import re

import numpy as np
import polars as pl

from tidegate.errors import DataError

MISSING = ("", "NA", "N/A", "n/a", "na", "NaN", "nan", "NAN", "null", "NULL", "None", "none", "-", "--", "#N/A", "?", ".", "<NA>")
"""Words that mean 'no number' in a column of numbers."""

_DELIMITERS = ",;\t|"
_RARE_DELIMITERS = ":^~#! \x1f\x01"
_SAMPLE = 1 << 16
_BLOCK = 1 << 26
_NUMBER = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$|^[-+]?(inf|Inf|INF|[Ii]nfinity)$"
_COMMA_NUMBER = r"^[-+]?\d*,\d+([eE][-+]?\d+)?$"


def read_delimited(data: bytes, source: str, ragged: bool = False) -> tuple[pl.DataFrame, list[str]]:
    """A frame with numbers as numbers and all else as text, and notes on what was recognised.

    data    UTF-8
    ragged  short lines are filled up (a series a line, each as long as it is); otherwise they are an error

    Raises DataError for a header alone, names that repeat, a line with too few or too many fields, a table without a header.
    """
    data = data.lstrip(b"\r\n")
    delimiter = find_delimiter(data)
    names = _header(data, delimiter, source)
    _check_lines(data, delimiter, len(names), source, ragged)
    text = _as_text(data, delimiter, source)
    text.columns = names
    frame = text.select([name for name in names if name and not name.startswith("\0")])
    full = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    if not full.height:
        raise DataError(f"{source} has a line of column names but no row.")
    notes = [] if delimiter == "," else [f"delimiter {_name(delimiter)}"]
    if full.height < frame.height:
        notes.append(f"{frame.height - full.height} empty lines skipped")
    comma = delimiter != "," and any(_has_decimal_comma(full[name]) for name in full.columns)
    if comma:
        notes.append("decimal comma")
    return _typed(full, comma), notes


def _typed(frame: pl.DataFrame, comma: bool) -> pl.DataFrame:
    """Numbers as numbers. Columns without odd words are converted all at once, as a table may have thousands; the rest one by one."""
    floats = frame.select(pl.all().cast(pl.Float64, strict=False))
    missing = _counts(frame.null_count())
    clean = [name for name, count in _counts(floats.null_count()).items() if count == missing[name] < frame.height]
    ints = frame.select(pl.col(clean).cast(pl.Int64, strict=False))
    whole = [name for name, count in _counts(ints.null_count()).items() if count == missing[name]]
    zeros = frame.select((pl.col(whole).str.starts_with("0") & (pl.col(whole).str.len_bytes() > 1)).any()) if whole else pl.DataFrame()
    names = {name for name, found in _counts(zeros).items() if found}
    ints_found, floats_found = set(whole), set(clean)
    columns = []
    for column in frame:
        if column.name in names:
            columns.append(column)
        elif column.name in ints_found:
            columns.append(ints[column.name])
        elif column.name in floats_found:
            columns.append(floats[column.name].fill_nan(None))
        else:
            columns.append(to_number(column, comma))
    return pl.DataFrame(columns)


def _counts(row: pl.DataFrame) -> dict[str, int]:
    return dict(zip(row.columns, row.row(0), strict=True)) if row.width else {}


def find_delimiter(data: bytes) -> str:
    """The delimiter that splits the header and most of the first lines into the same number of fields, at least two."""
    lines = data[:_SAMPLE].decode("utf-8", errors="replace").splitlines()
    lines = [line for line in (lines[:-1] if len(data) > _SAMPLE and len(lines) > 1 else lines)[:100] if line.strip()]
    for candidates in (_DELIMITERS, _RARE_DELIMITERS):
        scores = {}
        for delimiter in candidates:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
            if widths and widths[0] > 1:
                scores[delimiter] = (sum(width == widths[0] for width in widths) / len(widths), widths[0])
        best = max(scores, key=lambda delimiter: scores[delimiter], default=None)
        if best and (candidates is _DELIMITERS or scores[best][0] == 1.0):
            return best
    return ","


def to_number(column: pl.Series, comma: bool = False) -> pl.Series:
    """A column of text as Int64 or Float64, if each of its values is a number or a word for a missing one; else as it is.

    Whole numbers with leading zeros are text: '007' is a name.
    """
    sample = column.head(1000).drop_nulls()
    if len(sample) and not _numbers(sample, comma).any() and not sample.is_in(MISSING).all():
        return column
    whole = column.cast(pl.Int64, strict=False)
    if whole.null_count() == column.null_count() < len(column):
        zeros = column.str.starts_with("0") & (column.str.len_bytes() > 1)
        return column if zeros.any() else whole
    number = _cast(column, comma)
    lost = column.filter(number.is_null() & column.is_not_null())
    if not lost.str.strip_chars().is_in(MISSING).all():
        return column
    kept = number.drop_nulls()
    if len(kept) and not kept.dtype.is_float():
        return number
    texts = column.filter(number.is_not_null())
    if len(kept) and texts.str.contains(r"^\s*[-+]?\d{1,18}\s*$").all():
        padded = texts.str.strip_chars().str.contains(r"^0\d")
        return column if padded.any() else number.cast(pl.Int64)
    return number.fill_nan(None)


def _cast(column: pl.Series, comma: bool) -> pl.Series:
    """Each text as a float, null where it is none."""
    number = column.cast(pl.Float64, strict=False)
    if number.null_count() == column.null_count():
        return number
    text = column.str.strip_chars()
    if comma:
        point = text.str.replace(",", ".", literal=True)
        text = point.zip_with(text.str.contains(_COMMA_NUMBER).fill_null(False), text)
    return text.cast(pl.Float64, strict=False).alias(column.name)


def _numbers(sample: pl.Series, comma: bool) -> pl.Series:
    text = sample.str.strip_chars()
    return text.str.contains(_NUMBER) | (text.str.contains(_COMMA_NUMBER) if comma else pl.Series([False]))


def _has_decimal_comma(column: pl.Series) -> bool:
    sample = column.head(1000).drop_nulls().str.strip_chars()
    commas = sample.str.contains(_COMMA_NUMBER)
    return bool(commas.any()) and bool((commas | sample.str.contains(_NUMBER) | sample.is_in(MISSING)).all())


def _header(data: bytes, delimiter: str, source: str) -> list[str]:
    """Column names; a nameless column gets a name that starts with a zero byte, and is left out."""
    line = data[: max(_SAMPLE, data.find(b"\n", _SAMPLE - 1) + 1)].lstrip(b"\r\n").decode("utf-8", errors="replace")
    names = [name.strip() for name in next(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter))]
    repeated = next((name for number, name in enumerate(names) if name and name in names[:number]), None)
    if repeated is not None:
        raise DataError(f"{source} has two columns named '{repeated}'; expected each name once. Rename one in the first line.")
    numbers = [name for name in names if re.match(_NUMBER, name)]
    if len(numbers) == len(names) and names != [str(number) for number in range(len(names))]:
        shown = ", ".join(names[:3])
        raise DataError(f"{source} has no line of column names: its first line holds numbers only ({shown}). Add one at the top.")
    return [name or f"\0{number}" for number, name in enumerate(names)]


def _as_text(data: bytes, delimiter: str, source: str) -> pl.DataFrame:
    try:
        return pl.read_csv(data, separator=delimiter, infer_schema=False, truncate_ragged_lines=True)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{source} cannot be read as a table of text: {str(error).splitlines()[0]}.") from None


def _check_lines(data: bytes, delimiter: str, width: int, source: str, ragged: bool) -> None:
    """Raise DataError that names the first line with too few or too many fields; lines in quotes and empty lines are none."""
    array = np.frombuffer(data if data.endswith(b"\n") else data + b"\n", dtype=np.uint8)
    quoted, open_fields, lines, empty = False, 0, 1, True
    quotes = b'"' in data
    for start in range(0, len(array), _BLOCK):
        block = array[start : start + _BLOCK]
        outside = np.ones(len(block), dtype=bool)
        if quotes:
            parity = np.bitwise_xor.accumulate(block == ord('"')) ^ quoted
            quoted = bool(parity[-1])
            outside = ~parity
        ends = np.flatnonzero((block == 10) & outside)
        marks = np.searchsorted(np.flatnonzero((block == ord(delimiter)) & outside), ends)
        fields = np.diff(marks, prepend=0) + 1
        lengths = np.diff(ends, prepend=-1) - 1
        if len(ends):
            fields[0] += open_fields
            blank = (lengths == 0) | ((lengths == 1) & (block[ends - 1] == 13))
            blank[0] &= empty
            wrong = np.flatnonzero(~blank & ((fields > width) if ragged else (fields != width)))
            if wrong.size:
                first = int(wrong[0])
                line = lines + int(np.count_nonzero(block[: ends[first]] == 10))
                _raise_ragged(source, line, int(fields[first]), width, delimiter)
            open_fields, empty = 0, True
        rest = block[ends[-1] + 1 :] if len(ends) else block
        open_fields += int(np.count_nonzero((block == ord(delimiter)) & outside)) - (int(marks[-1]) if len(ends) else 0)
        empty = empty and not len(rest)
        lines += int(np.count_nonzero(block == 10))
    if quoted:
        raise DataError(f"{source} has a quotation mark that is never closed; expected them in pairs.")


def _raise_ragged(source: str, line: int, fields: int, width: int, delimiter: str) -> None:
    cure = "Quote values that hold the delimiter, or mend the line."
    raise DataError(f"{source}, line {line}: {fields} fields, but the first line names {width} (delimiter {_name(delimiter)}). {cure}")


def _name(delimiter: str) -> str:
    return {"\t": "tab", " ": "space"}.get(delimiter, f"'{delimiter}'")
