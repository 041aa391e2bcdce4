"""Time columns as whole numbers, dates or time stamps: which format a text has, and how it is read."""

import re
from dataclasses import dataclass
from typing import Any

import polars as pl

from tidegate.data.calendar import Kind
from tidegate.data.table import Table
from tidegate.errors import DataError, SettingsError

_DATES = (
    (r"\d{4}-\d{1,2}-\d{1,2}", ("%Y-%m-%d",)),
    (r"\d{4}/\d{1,2}/\d{1,2}", ("%Y/%m/%d",)),
    (r"\d{4}\.\d{1,2}\.\d{1,2}", ("%Y.%m.%d",)),
    (r"\d{4}年\d{1,2}月\d{1,2}日", ("%Y年%m月%d日",)),
    (r"\d{14}", ("%Y%m%d%H%M%S",)),
    (r"\d{12}", ("%Y%m%d%H%M",)),
    (r"\d{10}", ("%Y%m%d%H",)),
    (r"\d{8}", ("%Y%m%d",)),
    (r"\d{1,2}/\d{1,2}/\d{4}", ("%d/%m/%Y", "%m/%d/%Y")),
    (r"\d{1,2}-\d{1,2}-\d{4}", ("%d-%m-%Y", "%m-%d-%Y")),
    (r"\d{1,2}\.\d{1,2}\.\d{4}", ("%d.%m.%Y",)),
    (r"\d{1,2}/\d{1,2}/\d{2}", ("%d/%m/%y", "%m/%d/%y")),
    (r"\d{1,2}-\d{1,2}-\d{2}", ("%d-%m-%y", "%m-%d-%y")),
    (r"\d{1,2}\.\d{1,2}\.\d{2}", ("%d.%m.%y",)),
    (r"\d{1,2}-[A-Za-z]{3,9}-\d{4}", ("%d-%b-%Y",)),
    (r"\d{1,2} [A-Za-z]{3,9} \d{4}", ("%d %b %Y",)),
    (r"\d{1,2}-[A-Za-z]{3,9}-\d{2}", ("%d-%b-%y",)),
    (r"[A-Za-z]{3,9} \d{1,2}, \d{4}", ("%b %d, %Y",)),
    (r"\d{4}-\d{1,2}", ("%Y-%m",)),
    (r"\d{4}/\d{1,2}", ("%Y/%m",)),
    (r"\d{4}年\d{1,2}月", ("%Y年%m月",)),
    (r"\d{1,2}/\d{4}", ("%m/%Y",)),
    (r"[A-Za-z]{3,9} \d{4}", ("%b %Y",)),
    (r"[A-Za-z]{3,9}-\d{4}", ("%b-%Y",)),
    (r"[A-Za-z]{3,9}-\d{2}", ("%b-%y",)),
)
_CLOCKS = (
    (r"\d{1,2}:\d{2}:\d{2}[.]\d+", "%H:%M:%S%.f"),
    (r"\d{1,2}:\d{2}:\d{2}", "%H:%M:%S"),
    (r"\d{1,2}:\d{2}", "%H:%M"),
    (r"\d{1,2}\.\d{2}\.\d{2}", "%H.%M.%S"),
    (r"\d{1,2}时\d{1,2}分", "%H时%M分"),
    (r"\d{1,2}", "%H"),
)
_DIGITS = ((14, "%Y%m%d%H%M%S"), (12, "%Y%m%d%H%M"), (10, "%Y%m%d%H"), (8, "%Y%m%d"), (6, "%Y%m"))
_QUARTER = r"^(?:(\d{4})[- ]?[Qq]([1-4])|[Qq]([1-4])[- /](\d{4}))$"
_UNIX = {"unix": "s", "unix-ms": "ms", "unix-us": "us"}
_HAS_CLOCK = re.compile(r"%[-_0]?[HIklTRXcsp]")
_MICROSECONDS = {"s": 1_000_000, "ms": 1000, "us": 1}
_CODES = "YCyqmbBhdeaAwuUWGgVjDxFvHkIlPpMSfRTXrZzsctn%"
"""The letters of strptime in polars (https://docs.rs/chrono/latest/chrono/format/strftime/)."""
_EXAMPLE = "--time-format '%d/%m/%Y %H:%M'"


@dataclass(frozen=True)
class TimeFormat:
    """How a time column is read.

    how     "as is" (times of the file's own type), "integer", "digits" (201607 as a number), "unix", "quarter" or "format"
    format  for "format" and "digits": as in strptime; for "unix": the unit
    """

    how: str
    format: str = ""

    def read(self, column: pl.Series, source: str, first_row: int = 0) -> pl.Series:
        """The times as Int64, Date, or Datetime in microseconds. Raises DataError that names the first row without a time."""
        times = self.parse(column)
        if times.null_count():
            row = int(times.is_null().arg_max() or 0)
            place = f"{source}, row {first_row + row + 1}, column '{column.name}'"
            if column[row] is None:
                raise DataError(f"{place}: no time. Remove the row, or fill the time in.")
            raise DataError(f"{place}: '{column[row]}' is no time{self._expected}. If that is its format, say so with {_EXAMPLE}.")
        return times

    def parse(self, column: pl.Series) -> pl.Series:
        """The same with null where a value is no time."""
        if self.how == "as is":
            return column.dt.cast_time_unit("us") if isinstance(column.dtype, pl.Datetime) else column
        if self.how == "integer":
            whole = column.cast(pl.Int64, strict=False)
            return whole if column.dtype.is_integer() else whole.set(whole.cast(pl.Float64) != column, None)
        if self.how == "unix":
            number = column.cast(pl.Int64, strict=False) * _MICROSECONDS[self.format]
            return number.cast(pl.Datetime("us"))
        if column.dtype.is_numeric():
            column = column.cast(pl.Int64, strict=False)
        text = column.cast(pl.String).str.strip_chars()
        return _quarters(text) if self.how == "quarter" else _strptime(text, self.format)

    @property
    def _expected(self) -> str:
        return f" (expected {self.format})" if self.how in ("format", "digits") else ""


def find_time_format(table: Table, column: str, given: str | None, kind: Kind | None) -> TimeFormat:
    """How the column of a table is to be read.

    given  the user's --time-format, used for text and numbers
    kind   what the times must be, where that is known

    Raises DataError if the first value is no time, or if the order of day and month is open in all of the column.
    """
    dtype = table.schema[column]
    if dtype == pl.Date or isinstance(dtype, pl.Datetime):
        return TimeFormat("as is")
    if not (dtype.is_numeric() or dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)):
        raise DataError(f"{table.source}, column '{column}' holds {dtype}; expected time stamps, dates, whole numbers or text.")
    if given in _UNIX:
        return TimeFormat("unix", _UNIX[given])
    if given is not None:
        return _check_format(TimeFormat("format", given))
    sample = next(iter(table.chunks([column], 2000))).to_series().drop_nulls()
    if not len(sample):
        raise DataError(f"{table.source}, column '{column}': the first rows have no time; expected one in each row.")
    if dtype.is_numeric():
        return _of_numbers(sample, kind, f"{table.source}, column '{column}'")
    texts = sample.cast(pl.String).str.strip_chars()
    longest = texts[int(texts.str.len_bytes().arg_max() or 0)]  # midnights may lack the time of day
    formats = [form for form in _of_text(longest, texts) or _of_text(texts[0], texts) if not form.parse(texts.head(1)).null_count()]
    if not formats:
        raise DataError(
            f"{table.source}, row 1, column '{column}': '{sample[0]}' is no time that is recognised. "
            f"Give its format, such as {_EXAMPLE}; join a date and a time that lie in two columns first."
        )
    return formats[0] if len(formats) == 1 else _decide(table, column, formats)


def _of_numbers(sample: pl.Series, kind: Kind | None, place: str) -> TimeFormat:
    if sample.dtype.is_float() and not (sample == sample.round()).all():
        raise DataError(f"{place}: {sample[0]} is no time; expected time stamps, dates or whole numbers.")
    whole = sample.cast(pl.Int64)
    for digits, form in _DIGITS:
        if kind != "integer" and len(whole) > 1 and ((whole >= 18 * 10 ** (digits - 2)) & (whole < 22 * 10 ** (digits - 2))).all():
            jumps = digits != 6 or bool((whole.unique().sort().diff() == 89).any())
            if jumps and not _strptime(whole.cast(pl.String), form).null_count():
                return TimeFormat("digits", form)
    return TimeFormat("integer")


def _of_text(text: str, sample: pl.Series) -> list[TimeFormat]:
    """The formats that a value may have, day before month first; `sample` tells whether seconds have fractions."""
    if re.match(_QUARTER, text):
        return [TimeFormat("quarter")]
    for pattern, dates in _DATES:
        match = re.match(pattern + r"(?![\d年月日])", text) or re.match(pattern + "$", text)
        clock = _clock(text[match.end() :], sample) if match else None
        if clock is not None:
            return [TimeFormat("format", date + clock) for date in dates]
    return []


def _clock(text: str, sample: pl.Series) -> str | None:
    """The format of what follows the date; None if it is no time of day."""
    if not text:
        return ""
    separator = re.match(r"T| +", text)
    if not separator:
        return None
    rest = text[separator.end() :]
    for pattern, form in _CLOCKS:
        match = re.match(pattern, rest)
        if match:
            if form == "%H:%M:%S" and sample.str.contains(r":\d\d\.\d+").any():
                form += "%.f"
            tail = _tail(rest[match.end() :])
            if tail is not None:
                return separator[0] + (form.replace("%H", "%I") if "%p" in tail else form) + tail
    return None


def _tail(text: str) -> str | None:
    """The format of what follows the time of day: am or pm, a zone, or nothing."""
    match = re.fullmatch(r"( ?)(?:([AaPp][Mm])|(Z|[+-]\d{2}:?\d{2})|(UTC))?", text)
    if not match:
        return None
    return match[1] + ("%p" if match[2] else "%#z" if match[3] else "UTC" if match[4] else "")


def _decide(table: Table, column: str, formats: list[TimeFormat]) -> TimeFormat:
    """Day before month or month before day, by the values that only one of them can read."""
    failed: dict[TimeFormat, tuple[int, Any]] = {}
    differ = False
    row = 0
    for chunk in table.chunks([column]):
        values = chunk.to_series()
        readings = [form.parse(values) for form in formats]
        for form, times in zip(formats, readings, strict=True):
            lost = times.is_null() & values.is_not_null()
            if lost.any() and form not in failed:
                first = int(lost.arg_max() or 0)
                failed[form] = (row + first, values[first])
        differ = differ or not (readings[0] == readings[1]).all()
        row += len(values)
    open_formats = [form for form in formats if form not in failed]
    if len(open_formats) == 1 or (open_formats and not differ):
        return open_formats[0]
    first = next(iter(table.chunks([column], 1))).item()
    if open_formats:
        words = " or ".join(f"--time-format '{form.format}'" for form in formats)
        raise DataError(f"{table.source}, column '{column}': in times such as '{first}' the day or the month may come first. Give {words}.")
    row, value = max(failed.values())
    raise DataError(
        f"{table.source}, row {row + 1}, column '{column}': '{value}' is no time of the form {formats[0].format} or {formats[1].format}. "
        f"Mend it, or give the format, such as {_EXAMPLE}."
    )


def _check_format(form: TimeFormat) -> TimeFormat:
    try:
        _strptime(pl.Series(["2000-01-01"]), form.format)
    except pl.exceptions.PolarsError as error:
        words = str(error).splitlines()[0]
        raise SettingsError(f"--time-format '{form.format}': {words}. Expected one such as '%d/%m/%Y %H:%M'.") from None
    codes = re.findall(r"%[-_0:#.]*[369]?([A-Za-z%])", form.format)
    if not codes or not set(codes) <= set(_CODES):
        raise SettingsError(f"--time-format '{form.format}': expected codes such as '%d/%m/%Y %H:%M', or unix, unix-ms.")
    return form


def _strptime(text: pl.Series, form: str) -> pl.Series:
    """Times by format: dates where it has no time of day. A missing day is the first, missing minutes are 0; a text without
    its time of day is midnight, as R and spreadsheets write it."""
    clock = _HAS_CLOCK.search(form)
    if not re.search(r"%[-_0]?[deDFjxcvs]", form):
        text, form = text + "-01", form + "-%d"
    if clock and not re.search(r"%[-_0]?[MTRXcs]", form):
        text, form = text + ":00", form + ":%M"
    if not clock:
        return text.str.to_date(form, strict=False, cache=False)
    times = text.str.to_datetime(form, strict=False, time_unit="us", cache=False)
    date = form[: clock.start()].rstrip(" T")
    if times.null_count() > text.null_count() and date.endswith(("d", "Y", "y", "日")):
        midnight = text.str.to_datetime(date, strict=False, time_unit="us", cache=False)
        zone = times.dtype.time_zone if isinstance(times.dtype, pl.Datetime) else None
        times = times.fill_null(midnight.dt.replace_time_zone(zone) if zone else midnight)
    return times.dt.replace_time_zone("UTC") if form.endswith("UTC") else times


def _quarters(text: pl.Series) -> pl.Series:
    """2020Q1 or Q1 2020 as the first day of the quarter."""
    parts = text.str.extract_groups(_QUARTER).struct.unnest().cast(pl.Int32, strict=False)
    groups = [parts[name] for name in parts.columns]
    year, quarter = pl.coalesce(groups[0], groups[3]), pl.coalesce(groups[1], groups[2])
    return pl.select(pl.date(year, (quarter - 1) * 3 + 1, 1)).to_series()
