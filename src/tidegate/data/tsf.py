"""The .tsf format of the Monash time series archive (Godahewa et al. 2021, https://forecastingdata.org): a series a line."""

import numpy as np
import polars as pl

from tidegate.data.frequency import frequency_of, parse_frequency
from tidegate.errors import DataError

_FREQUENCIES = {
    "4_seconds": "4s",
    "secondly": "s",
    "minutely": "min",
    "10_minutes": "10min",
    "half_hourly": "30min",
    "hourly": "h",
    "daily": "d",
    "weekly": "w",
    "monthly": "mo",
    "quarterly": "q",
    "yearly": "y",
}
_TRUNCATED = {"month": "1mo", "quarter": "1q", "year": "1y"}
_TYPES = ("string", "numeric", "date")


def read_tsf(data: bytes, source: str) -> tuple[pl.DataFrame, list[str]]:
    """A long frame with unique_id, ds, y and the other attributes, and notes.

    Series start at their own time; months, quarters and years are moved to their first day, weeks keep the weekday of the
    first series. Without start or frequency the steps are numbered from 1. Raises DataError with the line that is wrong.
    """
    lines = data.decode("utf-8").splitlines()
    begin = next((number for number, line in enumerate(lines) if line.strip().lower() == "@data"), None)
    if begin is None:
        raise DataError(f"{source} has no line '@data'; expected a .tsf file of the Monash archive.")
    attributes, facts = _head(lines[:begin], source)
    rows = [(number + 1, line.strip()) for number, line in enumerate(lines) if number > begin and line.strip() and line[0] != "#"]
    if not rows:
        raise DataError(f"{source} has no series after '@data'.")
    words = {name: [] for name, _ in attributes}
    values = []
    for number, line in rows:
        parts = line.split(":")
        if len(parts) != len(attributes) + 1:
            raise DataError(f"{source}, line {number}: {len(parts)} fields between colons; expected {len(attributes) + 1}.")
        values.append(_values(parts[-1], source, number))
        for (name, _), word in zip(attributes, parts, strict=False):
            words[name].append(word)
    series = pl.DataFrame(words, schema=dict.fromkeys(words, pl.String))
    frequency = facts.get("frequency", "")
    step = _FREQUENCIES.get(frequency)
    times = _times(series, attributes, [len(part) for part in values], step, source)
    notes = [f"Monash .tsf, {frequency or 'no frequency'}"]
    if frequency and step is None:
        notes.append(
            f"the frequency '{frequency}' is none of {', '.join(_FREQUENCIES)}: steps are numbered from 1, their times are not used"
        )
    return _long(series, attributes, times, values), notes


def _head(lines: list[str], source: str) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Attributes (name, type) in order, and the other @ lines by name."""
    attributes, facts = [], {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or not words[0].startswith("@"):
            continue
        if words[0].lower() != "@attribute":
            facts[words[0][1:].lower()] = " ".join(words[1:]).lower()
        elif len(words) != 3 or words[2].lower() not in _TYPES:
            raise DataError(f"{source}, line {number}: '{line.strip()}'; expected @attribute NAME string, numeric or date.")
        else:
            attributes.append((words[1], words[2].lower()))
    return attributes, facts


def _values(text: str, source: str, number: int) -> np.ndarray:
    try:
        return np.array(text.replace("?", "nan").split(","), dtype=np.float64)
    except ValueError as error:
        raise DataError(f"{source}, line {number}: {error}; expected numbers or ? between commas.") from None


def _times(series: pl.DataFrame, attributes: list[tuple[str, str]], lengths: list[int], step: str | None, source: str) -> pl.Series:
    """The time of each value of each series, one after the other."""
    within = np.concatenate([np.arange(length) for length in lengths])
    start = next((name for name, kind in attributes if kind == "date"), None)
    if start is None or step is None:
        return pl.Series("ds", within + 1)
    times = series[start].str.to_datetime("%Y-%m-%d %H-%M-%S", strict=False)
    if times.null_count():
        wrong = series[start].filter(times.is_null())[0]
        raise DataError(f"{source}: the start '{wrong}' of a series is no time; expected one like 1979-01-31 00-00-00.")
    unit = parse_frequency(step)
    if unit.unit in _TRUNCATED:
        times = times.dt.truncate(_TRUNCATED[unit.unit])
    if unit.unit != "us" and (times.dt.truncate("1d") == times).all():
        times = times.cast(pl.Date)
    grid = frequency_of(unit, times.head(1))
    return grid.times(np.repeat(grid.floor(times), lengths) + within).alias("ds")


def _long(series: pl.DataFrame, attributes: list[tuple[str, str]], times: pl.Series, values: list[np.ndarray]) -> pl.DataFrame:
    """unique_id, ds, y and the attributes that are neither name nor start, a row a value."""
    if "series_name" in series.columns:
        names = series["series_name"].alias("unique_id")
    else:
        names = pl.Series("unique_id", [f"T{number + 1}" for number in range(series.height)])
    others = [
        series[name].cast(pl.Float64, strict=False) if kind == "numeric" else series[name]
        for name, kind in attributes
        if kind != "date" and name != "series_name"
    ]
    which = np.repeat(np.arange(len(values)), [len(part) for part in values])
    wide = pl.DataFrame([names, *others])[which]
    return wide.insert_column(1, times).insert_column(2, pl.Series("y", np.concatenate(values)).fill_nan(None))
