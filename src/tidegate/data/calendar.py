"""What a step of time is: the arithmetic between time stamps and the whole numbers of a regular grid.

Every time stamp on the grid has a period number; neighbours differ by one, whatever daylight saving or the length of
months does to the seconds between them. Inference of a frequency from data is in frequency.py.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Any, Literal

import numpy as np
import polars as pl

from tidegate.errors import DataError

Kind = Literal["integer", "date", "datetime"]
Unit = Literal["step", "us", "day", "business", "week", "month", "quarter", "year"]

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MONTHS = {"month": 1, "quarter": 3, "year": 12}
_DAYS = {"day": 1, "week": 7}
_WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_CODES = {"day": "d", "business": "b", "week": "w", "month": "mo", "quarter": "q", "year": "y"}
_LENGTHS = ((DAY, "d", "day"), (HOUR, "h", "h"), (MINUTE, "min", "min"), (SECOND, "s", "s"), (1000, "ms", "ms"), (1, "us", "us"))


@dataclass(frozen=True)
class Frequency:
    """A regular grid of time.

    kind    what the time column holds: whole numbers, dates, or dates with a time of day
    unit    what is counted; "step" for plain numbers, "us" for a fixed span in microseconds
    count   units in a step
    phase   where the grid sits, in whole numbers, microseconds, days or months since 1970, below the size of a step
    day     day of the month for months and longer; shorter months use their last day, so 31 means month ends
    clock   microseconds after midnight, for datetimes on a grid of days or longer
    zone    time zone of the column, None for naive times
    wall    the grid follows the clock on the wall of `zone`; False: seconds that pass

    Whole numbers may have a unit other than "step" (`--freq w` for numbered weeks): they count by one, and the unit
    only says what the seasons are.
    """

    kind: Kind
    unit: Unit
    count: int = 1
    phase: int = 0
    day: int = 1
    clock: int = 0
    zone: str | None = None
    wall: bool = False

    def periods(self, times: pl.Series) -> np.ndarray:
        """Period number of each time, int64 [len]. Raises DataError, which names the first time that is off the grid."""
        numbers = self.floor(times)
        wrong = np.flatnonzero(self.off_grid(times, numbers))
        if wrong.size:
            raise DataError(self.describe_off_grid(times[int(wrong[0])], int(numbers[wrong[0]])))
        return numbers

    def floor(self, times: pl.Series) -> np.ndarray:
        """Period number of the last grid point at or before each time, int64 [len]. Raises DataError for another kind of time."""
        return self._split(times)[0]

    def off_grid(self, times: pl.Series, numbers: np.ndarray) -> np.ndarray:
        """True where a time is not the grid point of its period number `numbers`, bool [len]."""
        rest = self._split(times)[1] != 0
        where = np.flatnonzero(rest)
        if where.size and self.wall:  # midnight may not exist on the day that daylight saving begins
            there = self.times(numbers[where]) == _as_kind(times, self)[where]
            rest[where] = ~there.to_numpy()
        return rest

    def times(self, periods: np.ndarray) -> pl.Series:
        """The time of each period number, [len]: Int64, Date, or Datetime in microseconds with the zone."""
        periods = np.asarray(periods, dtype=np.int64)
        if self.kind == "integer":
            return pl.Series("", periods * self._integer_step + self.phase)
        if self.unit == "us":
            return self._in_zone(periods * self.count + self.phase)
        days = self._days(periods)
        if self.kind == "date":
            return pl.Series("", days.astype(np.int32)).cast(pl.Date)
        return self._in_zone(days * DAY + self.clock)

    @property
    def text(self) -> str:
        """The frequency in words, such as 'hourly', '15 min', 'monthly (month ends)' or 'every step'."""
        words = _TEXTS[self.unit](self)
        if self.kind == "integer" and self.unit != "step":
            words = f"numbered steps, {words}"
        return f"{words}, {self.zone}" if self.zone else words

    @property
    def code(self) -> str:
        """The short form that `--freq` takes, such as 'h', '15min', 'me' or '5'."""
        if self.unit == "step":
            return str(self.count)
        if self.unit == "us":
            number, code, _ = _length(self.count)
        else:
            number, code = self.count, _CODES[self.unit]
            code = code[0] + "e" if self.unit in MONTHS and self.day == 31 and self.kind != "integer" else code
        return code if number == 1 else f"{number}{code}"

    @property
    def seasons(self) -> tuple[int, ...]:
        """Season lengths that are usual at this frequency, in steps, the shortest first."""
        if self.unit == "us":
            return _clock_seasons(self.count)
        year = {"week": 52, "month": 12, "quarter": 4}.get(self.unit, 0)
        if year:
            return (year // self.count,) if year % self.count == 0 and year > self.count else ()
        return {"day": (7,), "business": (5,)}.get(self.unit, ()) if self.count == 1 else ()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of `features`."""
        return tuple(f"{cycle}_{part}" for cycle in self._cycles for part in ("sin", "cos"))

    def features(self, periods: np.ndarray) -> np.ndarray:
        """Sine and cosine of time of day, weekday and day of year at the wall clock of the zone, float32 [len, F].

        Only the cycles that vary at this frequency; F is 0 for whole numbers and years.
        """
        periods = np.asarray(periods, dtype=np.int64)
        result = np.empty((len(periods), len(self.feature_names)), dtype=np.float32)
        if self._cycles:
            wall = self._wall(periods)
            for number, cycle in enumerate(self._cycles):
                angle = 2 * np.pi * _CYCLES[cycle](wall)
                result[:, 2 * number], result[:, 2 * number + 1] = np.sin(angle), np.cos(angle)
        return result

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> "Frequency":
        """The inverse of `to_json`. Raises DataError for unknown or missing keys."""
        if unknown := set(tree) - {field.name for field in fields(cls)}:
            raise DataError(f"Unknown key '{sorted(unknown)[0]}' in a stored frequency; it was written by a newer version of tidegate.")
        if "kind" not in tree or "unit" not in tree:
            raise DataError("A stored frequency needs the keys 'kind' and 'unit'.")
        return cls(**tree)

    def describe_off_grid(self, time: Any, number: int) -> str:
        """The words of the error for a time that lies between two grid points."""
        before, after = self.times(np.array([number, number + 1]))
        return f"the time {time} is off the grid ({self.text}): expected {before} or {after}. {self.off_grid_cure([time], [number])}"

    def off_grid_cure(self, times: Sequence[Any], numbers: Sequence[int]) -> str:
        """What to do about times that lie between two grid points, the first at or before them given by its number."""
        before, after = (self.times(np.array(numbers) + step).to_list() for step in (0, 1))
        hour = timedelta(hours=1)
        if self.zone == "UTC" and all(hour in (time - low, high - time) for time, low, high in zip(times, before, after, strict=True)):
            return (
                "It looks like daylight saving: the offset of the times changes by an hour. "
                "Write local dates alone, or local times without their offset."
            )
        return "Bring the times to one grid, or name the true step with --freq."

    @property
    def _integer_step(self) -> int:
        return self.count if self.unit == "step" else 1

    @property
    def _cycles(self) -> tuple[str, ...]:
        if self.kind == "integer" or self.unit == "year":
            return ()
        if self.unit in MONTHS:
            return ("month",) if self.count * MONTHS[self.unit] % 12 else ()
        length = self.count if self.unit == "us" else self.count * _DAYS.get(self.unit, 1) * DAY
        names = (("time_of_day", DAY), ("weekday", 7 * DAY), ("day_of_year", 365 * DAY))
        return tuple(name for name, cycle in names if length % cycle and length < cycle)

    def _split(self, times: pl.Series) -> tuple[np.ndarray, np.ndarray]:
        """Period number of the grid point at or before each time, and a rest that is 0 on the grid, both int64 [len]."""
        times = _as_kind(times, self)
        if self.kind == "integer":
            return np.divmod(times.to_numpy() - self.phase, self._integer_step)
        if self.zone and self.wall:
            times = times.dt.replace_time_zone(None)
        numbers = times.to_physical().cast(pl.Int64).to_numpy()
        if self.unit == "us":
            return np.divmod(numbers - self.phase, self.count)
        days, clock = (numbers, np.zeros_like(numbers)) if self.kind == "date" else np.divmod(numbers, DAY)
        periods, rest = self._split_days(days)
        # a time before the clock of its grid day belongs to the step before
        early = (rest == 0) & (clock < self.clock)
        return periods - early, rest | (clock - self.clock)

    def _split_days(self, days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Period numbers and rests of days since 1970, both int64 [len]."""
        if self.unit == "business":
            weeks, weekday = np.divmod(days + 3, 7)
            return np.divmod(weeks * 5 + np.minimum(weekday, 4) - self.phase, self.count)[0], np.maximum(weekday - 4, 0)
        if self.unit in _DAYS:
            return np.divmod(days - self.phase, self.count * _DAYS[self.unit])
        months = days.astype("M8[D]").astype("M8[M]").astype(np.int64)
        periods = (months - self.phase) // (self.count * MONTHS[self.unit])
        rest = days - self._days(periods)
        return periods - (rest < 0), rest

    def _days(self, periods: np.ndarray) -> np.ndarray:
        """Days since 1970 of each period number, int64 [len]."""
        if self.unit == "business":
            weeks, weekday = np.divmod(periods * self.count + self.phase, 5)
            return weeks * 7 + weekday - 3
        if self.unit in _DAYS:
            return periods * (self.count * _DAYS[self.unit]) + self.phase
        months = (periods * (self.count * MONTHS[self.unit]) + self.phase).astype("M8[M]")
        first = months.astype("M8[D]").astype(np.int64)
        last = (months + 1).astype("M8[D]").astype(np.int64) - 1
        return np.minimum(first + self.day - 1, last)

    def _in_zone(self, microseconds: np.ndarray) -> pl.Series:
        times = pl.Series("", microseconds).cast(pl.Datetime("us"))
        if self.zone is None:
            return times
        if not self.wall:
            return times.dt.replace_time_zone("UTC").dt.convert_time_zone(self.zone)
        zoned = times.dt.replace_time_zone(self.zone, ambiguous="earliest", non_existent="null")
        if zoned.null_count():
            later = times.dt.offset_by("1h")
            zoned = zoned.fill_null(later.dt.replace_time_zone(self.zone, ambiguous="earliest", non_existent="null"))
        return zoned

    def _wall(self, periods: np.ndarray) -> np.ndarray:
        """The time on the wall of each period number, datetime64[us] [len]."""
        times = self.times(periods).cast(pl.Datetime("us")) if self.kind == "date" else self.times(periods)
        if self.zone:
            times = times.dt.replace_time_zone(None)
        return times.to_physical().to_numpy().astype("M8[us]")


def _as_kind(times: pl.Series, frequency: Frequency) -> pl.Series:
    """`times` with the type and zone of the frequency. Raises DataError where that cannot be."""
    dtype = times.dtype
    if frequency.kind == "integer" and dtype.is_integer():
        return times.cast(pl.Int64)
    if frequency.kind == "date" and dtype == pl.Date:
        return times
    if frequency.kind == "date" and isinstance(dtype, pl.Datetime) and dtype.time_zone is None and (times.dt.truncate("1d") == times).all():
        return times.cast(pl.Date)
    if frequency.kind == "datetime":
        if dtype == pl.Date and frequency.zone is None:
            return times.cast(pl.Datetime("us"))
        if isinstance(dtype, pl.Datetime) and (dtype.time_zone is None) == (frequency.zone is None):
            times = times.dt.cast_time_unit("us")
            return times.dt.convert_time_zone(frequency.zone) if frequency.zone else times
    expected = f"{frequency.kind} times" + (f" with a time zone ({frequency.zone})" if frequency.zone else "")
    raise DataError(f"The time column holds {dtype}; expected {expected}, as the frequency is {frequency.text}.")


def _length(count: int) -> tuple[int, str, str]:
    """A number of microseconds as a count of the largest unit that fits: (count, code, word)."""
    size, code, word = next(entry for entry in _LENGTHS if count % entry[0] == 0)
    return count // size, code, word


def _clock_text(frequency: Frequency) -> str:
    number, _, word = _length(frequency.count)
    if word == "day":
        return f"every {number * 24} h"
    return "hourly" if (number, word) == (1, "h") else f"{number} {word}"


def _every(count: int, one: str, many: str) -> str:
    return one if count == 1 else f"every {count} {many}"


def _month_text(frequency: Frequency) -> str:
    words = _every(frequency.count, {"month": "monthly", "quarter": "quarterly", "year": "yearly"}[frequency.unit], f"{frequency.unit}s")
    if frequency.kind == "integer" or frequency.day == 1:
        return words
    return f"{words} ({'month ends' if frequency.day == 31 else f'day {frequency.day}'})"


_TEXTS = {
    "step": lambda frequency: _every(frequency.count, "every step", "steps"),
    "us": _clock_text,
    "day": lambda frequency: _every(frequency.count, "daily", "days"),
    "business": lambda frequency: _every(frequency.count, "business days", "business days"),
    "week": lambda frequency: (
        _every(frequency.count, "weekly", "weeks") + ("" if frequency.kind == "integer" else f" ({_WEEKDAYS[(frequency.phase + 3) % 7]})")
    ),
    "month": _month_text,
    "quarter": _month_text,
    "year": _month_text,
}


def _clock_seasons(count: int) -> tuple[int, ...]:
    """Day and week from 5 minutes on, hour and day below, minute and hour below a minute; where they are whole numbers of steps."""
    if count < MINUTE:
        cycles = (MINUTE, HOUR) if count >= SECOND else ()
    else:
        cycles = (DAY, 7 * DAY) if count >= 5 * MINUTE else (HOUR, DAY)
    return tuple(cycle // count for cycle in cycles if cycle % count == 0 and cycle > count)


def _day_of_year(wall: np.ndarray) -> np.ndarray:
    year = wall.astype("M8[Y]")
    return (wall - year).astype(np.int64) / (365.2425 * DAY)


_CYCLES = {
    "time_of_day": lambda wall: wall.astype(np.int64) % DAY / DAY,
    "weekday": lambda wall: (wall.astype("M8[D]").astype(np.int64) + 3) % 7 / 7,
    "day_of_year": _day_of_year,
    "month": lambda wall: wall.astype("M8[M]").astype(np.int64) % 12 / 12,
}
