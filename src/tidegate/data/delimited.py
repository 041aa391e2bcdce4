"""Tables of delimited text (CSV and its relatives) as typed frames."""

import csv
import io
import re

import numpy as np
import polars as pl

from tidegate.data.table import check_names, named
from tidegate.errors import DataError

MISSING = ("", "NA", "N/A", "n/a", "na", "NaN", "nan", "NAN", "null", "NULL", "None", "none", "-", "--", "#N/A", "?", ".", "<NA>")
"""Words that mean 'no number' in a column of numbers."""

_DELIMITERS = ",;\t|"
_RARE_DELIMITERS = ":^~#! \x1f\x01"
_SAMPLE = 1 << 16
_BLOCK = 1 << 26
_NAMELESS = "\0"
"""A column without a name is called so and by its place until its values are known."""
_NUMBER = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$|^[-+]?(inf|Inf|INF|[Ii]nfinity)$"
_COMMA_NUMBER = r"^[-+]?\d*,\d+([eE][-+]?\d+)?$"


def read_delimited(data: bytes, source: str, ragged: bool = False) -> tuple[pl.DataFrame, list[str]]:
    """A frame with numbers as numbers and all else as text, and notes on what was recognised.

    data    UTF-8
    ragged  short lines are filled up (a series a line, each as long as it is); otherwise they are an error

    Raises DataError for a header alone, names that repeat, a line with too few or too many fields, a table without a header.
    """
    data, delimiter = _lines(data)
    delimiter = delimiter or find_delimiter(data)
    names = _header(data, delimiter, source)
    empty_lines = _check_lines(data, delimiter, len(names), source, ragged)
    text = _as_text(data, delimiter, source)
    text.columns = names
    frame = text.select(named([name for name in names if not name.startswith(_NAMELESS) or not _is_empty(text[name])]))
    full = frame.filter(_full_rows(frame, empty_lines))
    if not full.height:
        raise DataError(f"{source} has a line of column names but no row.")
    notes = [] if delimiter == "," else [f"delimiter {_name(delimiter)}"]
    if full.height < frame.height:
        notes.append(f"{frame.height - full.height} empty lines skipped")
    comma = delimiter != "," and any(_has_decimal_comma(full[name]) for name in full.columns)
    if comma:
        notes.append("decimal comma")
    return _with_names(_typed(full, comma), notes, ragged), notes


def _lines(data: bytes) -> tuple[bytes, str | None]:
    """The lines from the header on, each ended by a line feed, and the delimiter if a first line names it, as Excel writes it."""
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    data = data.lstrip(b"\r\n")
    named_first = re.match(rb'"?sep=([ -~\t])"?\r?\n', data, re.IGNORECASE)
    return (data[named_first.end() :].lstrip(b"\r\n"), named_first[1].decode()) if named_first else (data, None)


def _is_empty(column: pl.Series) -> bool:
    """Whether a column has no text at all, as the one after a delimiter at the end of each line."""
    return column.null_count() == len(column) or bool((column.drop_nulls().str.strip_chars() == "").all())


def _full_rows(frame: pl.DataFrame, empty_lines: np.ndarray) -> np.ndarray:
    """Which rows are no empty lines and no empty rows at the end, bool; a row of delimiters between others is one of missing values."""
    full = np.ones(frame.height, dtype=bool)
    full[empty_lines] = False
    seen = np.flatnonzero(~frame.select(pl.all_horizontal(pl.all().is_null())).to_series().to_numpy())
    full[seen[-1] + 1 if len(seen) else 0 :] = False
    return full


def _with_names(frame: pl.DataFrame, notes: list[str], ragged: bool) -> pl.DataFrame:
    """Nameless columns as column_1 and so on by their place; without one that numbers the rows, such as the index of a data frame,
    unless a line is a series, whose id may be a number."""
    for name in [name for name in frame.columns if name.startswith(_NAMELESS)]:
        place = int(name.removeprefix(_NAMELESS)) + 1
        if not ragged and frame.width > 1 and _counts_rows(frame[name]):
            notes.append(f"column {place}, which has no name and numbers the rows, is left out")
            frame = frame.drop(named([name]))
            continue
        given = f"column_{place}"
        while given in frame.columns:
            given += "_"
        notes.append(f"column {place} has no name and is called '{given}'")
        frame = frame.rename({name: given})
    return frame


def _counts_rows(column: pl.Series) -> bool:
    if not column.dtype.is_integer() or column.null_count() or column[0] not in (0, 1):
        return False
    return bool((column.diff().drop_nulls() == 1).all())


def _typed(frame: pl.DataFrame, comma: bool) -> pl.DataFrame:
    """Numbers as numbers. Columns without odd words are converted all at once, as a table may have thousands; the rest one by one."""
    floats = frame.select(pl.all().cast(pl.Float64, strict=False))
    missing = _counts(frame.null_count())
    clean = [name for name, count in _counts(floats.null_count()).items() if count == missing[name] < frame.height]
    ints = frame.select(named(clean).cast(pl.Int64, strict=False))
    whole = [name for name, count in _counts(ints.null_count()).items() if count == missing[name]]
    zeros = frame.select((named(whole).str.starts_with("0") & (named(whole).str.len_bytes() > 1)).any())
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


def text_kind(texts: pl.Series) -> str:
    """What a column of text is: "number" if each is a number or a word for a missing one; "mixed" if most of the different ones are, so
    that another one is a mistake; else "category". Whole numbers with leading zeros are names."""
    values = texts.drop_nulls().str.strip_chars().unique()
    odd = not_numbers(values).sum()
    if odd:
        return "mixed" if 2 * odd < len(values) and len(values) > 2 else "category"
    return "category" if values.str.contains(r"^0\d+$").any() else "number"


def not_numbers(texts: pl.Series) -> pl.Series:
    """Which texts are neither numbers nor words for a missing one, bool."""
    words = texts.str.strip_chars()
    return words.cast(pl.Float64, strict=False).is_null() & words.is_not_null() & ~words.is_in(MISSING)


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
    """Column names; a nameless column gets a name that starts with _NAMELESS."""
    line = data[: max(_SAMPLE, data.find(b"\n", _SAMPLE - 1) + 1)].lstrip(b"\r\n").decode("utf-8", errors="replace")
    names = [name.strip() for name in next(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter))]
    check_names(names, source)
    repeated = next((name for number, name in enumerate(names) if name and name in names[:number]), None)
    if repeated is not None:
        raise DataError(f"{source} has two columns named '{repeated}'; expected each name once. Rename one in the first line.")
    numbers = [name for name in names if re.match(_NUMBER, name)]
    if len(numbers) == len(names) and names != [str(number) for number in range(len(names))]:
        shown = ", ".join(names[:3])
        raise DataError(f"{source} has no line of column names: its first line holds numbers only ({shown}). Add one at the top.")
    return [name or f"{_NAMELESS}{number}" for number, name in enumerate(names)]


def _as_text(data: bytes, delimiter: str, source: str) -> pl.DataFrame:
    try:
        return pl.read_csv(data, separator=delimiter, infer_schema=False, truncate_ragged_lines=True)
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{source} cannot be read as a table of text: {str(error).splitlines()[0]}.") from None


def _check_lines(data: bytes, delimiter: str, width: int, source: str, ragged: bool) -> np.ndarray:
    """Numbers of the rows that are empty lines, int64. Raises DataError that names the first line with too few or too many fields;
    lines in quotes are none."""
    array = np.frombuffer(data if data.endswith(b"\n") else data + b"\n", dtype=np.uint8)
    quoted, open_fields, lines, empty = False, 0, 1, True
    rows, empty_rows = -1, [np.zeros(0, dtype=np.int64)]  # the header is row -1
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
            empty_rows.append(np.flatnonzero(blank) + rows)
            rows += len(ends)
            open_fields, empty = 0, True
        rest = block[ends[-1] + 1 :] if len(ends) else block
        open_fields += int(np.count_nonzero((block == ord(delimiter)) & outside)) - (int(marks[-1]) if len(ends) else 0)
        empty = empty and not (rest != 13).any()
        lines += int(np.count_nonzero(block == 10))
    if quoted:
        raise DataError(f"{source} has a quotation mark that is never closed; expected them in pairs.")
    return np.concatenate(empty_rows)


def _raise_ragged(source: str, line: int, fields: int, width: int, delimiter: str) -> None:
    cure = "Quote values that hold the delimiter, or mend the line."
    raise DataError(f"{source}, line {line}: {fields} fields, but the first line names {width} (delimiter {_name(delimiter)}). {cure}")


def _name(delimiter: str) -> str:
    return {"\t": "tab", " ": "space"}.get(delimiter, f"'{delimiter}'")
