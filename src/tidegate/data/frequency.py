"""Which grid of time a column lies on: from the words of `--freq`, or from the most common step of the data."""

import math
import re
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl

from tidegate.data.calendar import DAY, HOUR, MINUTE, MONTHS, SECOND, Frequency, Kind, Unit
from tidegate.errors import DataError, SettingsError, did_you_mean


class Step(NamedTuple):
    """A step without its place in time."""

    unit: Unit
    count: int


_CLOCKS = {"us": 1, "ms": 1000, "s": SECOND, "sec": SECOND, "t": MINUTE, "min": MINUTE, "h": HOUR, "hour": HOUR, "hourly": HOUR}
_NAMES: dict[str, Unit] = {
    **dict.fromkeys(("d", "day", "daily"), "day"),
    **dict.fromkeys(("b", "bd", "business"), "business"),
    **dict.fromkeys(("w", "week", "weekly"), "week"),
    **dict.fromkeys(("mo", "ms", "me", "month", "monthly"), "month"),
    **dict.fromkeys(("q", "qs", "qe", "quarter", "quarterly"), "quarter"),
    **dict.fromkeys(("y", "a", "ys", "ye", "as", "year", "yearly"), "year"),
}
_FINEST = 12
"""A grid may be so many times finer than the most common step: Monday, Wednesday and Friday make a daily grid."""
_MONTH_DAYS = 30.436875
"""Mean days in a month of the Gregorian calendar, 365.2425 / 12."""


def parse_frequency(text: str) -> Step:
    """The step that `--freq` names: h, 30min, s, d, b, w, mo, me, q, qe, y, ye, with a count in front, or a bare number of
    whole steps. Names of pandas and polars work (1h, 15T, MS, W-SUN, 1mo). Raises SettingsError for anything else."""
    match = re.fullmatch(r"\s*(\d*)\s*([A-Za-z]*)(-[A-Za-z]{3})?\s*", text)
    number, name = (match[1], match[2]) if match else ("", "")
    count = int(number or 1)
    if match and count and number and not name:
        return Step("step", count)
    if name == "m":
        raise SettingsError(f"--freq {text}: 'm' may be minutes or months; write {number}min or {number}mo.")
    name = "mo" if name in ("M", "MS") else name.casefold()
    if count and name in _CLOCKS:
        return Step("us", count * _CLOCKS[name])
    if count and name in _NAMES:
        return Step(_NAMES[name], count)
    known = ["h", "30min", "15min", "s", "d", "b", "w", "mo", "me", "q", "qe", "y", "ye", "5"]
    raise SettingsError(f"--freq {text}: not a frequency.{did_you_mean(text, known)}")


def frequency_of(step: Step, times: pl.Series) -> Frequency:
    """The grid of a known step that the `times` lie on. Raises DataError where the column cannot have such a step."""
    times = times.drop_nulls()
    kind = kind_of(times.dtype)
    if kind == "integer":
        phase = int(times[0]) % step.count if step.unit == "step" and len(times) else 0
        return Frequency("integer", step.unit, step.count, phase)
    if step.unit == "step":
        given = f"the frequency is {step.count} whole steps, but the time column holds {times.dtype}"
        raise DataError(f"{given.capitalize()}; expected h, d, mo or the like.")
    if step.unit == "us":
        if kind == "date":
            if step.count % DAY:
                raise DataError("The time column holds dates without a time of day; expected a frequency of days or longer.")
            return _anchored(Frequency("date", "day", step.count // DAY), times)
        zone = _zone(times)
        passing = _anchored(Frequency("datetime", "us", step.count, zone=zone), times)
        wall = _anchored(replace(passing, wall=True), times) if zone else passing
        return min(passing, wall, key=lambda grid: _misses(grid, times))
    zone = _zone(times)
    return _anchored(Frequency(kind, step.unit, step.count, zone=zone, wall=zone is not None), times)


def infer_frequency(times: pl.Series, steps: dict[int, int]) -> Frequency:
    """The frequency of a column: its most common step, or the largest span that divides the common ones if that fits better.

    times   a sample of the column's times, in any order
    steps   how often each difference between neighbours occurs: whole numbers, days for dates, microseconds for datetimes
    """
    common = min(steps, key=lambda step: (-steps[step], step))
    best = _grid_of_step(times, common)
    if misses := _misses(best, times):
        usual = [step for step, count in steps.items() if count >= 0.02 * steps[common]]
        divisor = math.gcd(*usual)
        if common // _FINEST <= divisor < common:
            finer = _grid_of_step(times, divisor)
            best = finer if _misses(finer, times) < misses else best
    return _business(best, times) if best.unit == "day" and best.count == 1 else best


def _grid_of_step(times: pl.Series, step: int) -> Frequency:
    """The grid with a step of so many whole numbers, days or microseconds that most times lie on."""
    kind = kind_of(times.dtype)
    if kind == "integer":
        return frequency_of(Step("step", step), times)
    day = 1 if kind == "date" else DAY
    candidates = _long_steps(round(step / day)) if step % day == 0 or step > 27 * day else []
    grids = [frequency_of(candidate, times) for candidate in candidates]
    if kind == "datetime":
        grids.append(frequency_of(Step("us", step), times))
    return min(grids, key=lambda grid: _misses(grid, times))


def kind_of(dtype: pl.DataType) -> Kind:
    """What a time column of this type holds. Raises DataError for text and fractions."""
    if dtype.is_integer():
        return "integer"
    if dtype == pl.Date:
        return "date"
    if isinstance(dtype, pl.Datetime):
        return "datetime"
    raise DataError(f"A time column must hold time stamps, dates or whole numbers; given {dtype}.")


def _long_steps(days: int) -> list[Step]:
    """What a step of so many days may be, the likeliest first."""
    months = round(days / _MONTH_DAYS)
    steps = []
    if months and abs(days - months * _MONTH_DAYS) <= 3:
        if months % 12 == 0:
            steps.append(Step("year", months // 12))
        else:
            steps.append(Step("quarter", 1) if months == 3 else Step("month", months))
    steps.append(Step("week", days // 7) if days % 7 == 0 else Step("day", days))
    return [step for step in steps if step.count]


def _business(daily: Frequency, times: pl.Series) -> Frequency:
    """Business days, where ten or more daily times all avoid the weekend; else the grid as it is."""
    weekend = daily._wall(daily.floor(times)).astype("M8[D]").astype(np.int64)
    if len(times) < 10 or ((weekend + 3) % 7 >= 5).any():
        return daily
    return _anchored(replace(daily, unit="business"), times)


def _anchored(grid: Frequency, times: pl.Series) -> Frequency:
    """The grid shifted to where most of the times lie."""
    if not len(times):
        return grid
    local = times.cast(pl.Datetime("us")) if grid.kind == "date" else times.dt.cast_time_unit("us")
    if grid.zone and grid.wall:
        local = local.dt.replace_time_zone(None)
    numbers = local.to_physical().to_numpy()
    if grid.unit == "us":
        return replace(grid, phase=_mode(numbers % grid.count))
    clock = _mode(numbers % DAY)
    days = numbers // DAY
    if grid.unit == "business":
        weeks, weekday = np.divmod(days + 3, 7)
        return replace(grid, clock=clock, phase=_mode((weeks * 5 + np.minimum(weekday, 4)) % grid.count))
    if grid.unit not in MONTHS:
        return replace(grid, clock=clock, phase=_mode(days % (grid.count * (7 if grid.unit == "week" else 1))))
    months = days.astype("M8[D]").astype("M8[M]")
    phase = _mode(months.astype(np.int64) % (grid.count * MONTHS[grid.unit]))
    return replace(grid, clock=clock, phase=phase, day=_day_of_month(days, months))


def _day_of_month(days: np.ndarray, months: np.ndarray) -> int:
    """The day that fits: 31 where all are the last of their month, else the most common, or the largest if shorter months clip it."""
    first = months.astype("M8[D]").astype(np.int64)
    last = (months + 1).astype("M8[D]").astype(np.int64) - 1
    if (days == last).all():
        return 31
    number = days - first + 1
    largest = int(number.max())
    return largest if (number == np.minimum(largest, last - first + 1)).all() else _mode(number)


def _misses(grid: Frequency, times: pl.Series) -> int:
    return int(np.count_nonzero(grid.off_grid(times, grid.floor(times))))


def _mode(numbers: np.ndarray) -> int:
    values, counts = np.unique(numbers, return_counts=True)
    return int(values[np.argmax(counts)])


def _zone(times: pl.Series) -> str | None:
    return times.dtype.time_zone if isinstance(times.dtype, pl.Datetime) else None
