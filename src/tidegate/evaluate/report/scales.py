"""Axes: which stretch of values is shown, and where its ticks are."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.formatting import exponent_of, finite, fixed, format_number, power_of_ten

SMALLEST = 1e-290
"""Values within so little are the same: the steps between their ticks would not be numbers."""
Ticks = tuple[tuple[float, str], ...]
Stamp = tuple[str | None, ...]
"""Year, month, day, hour, minute as written."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STAMP = re.compile(r"(\d{4})-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d))?)?")


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` on 0 (bottom) to 1 (top), linear or logarithmic; `factor` is the '×10⁹' of the labels, `empty`
    says that there is nothing to show."""

    low: float
    high: float
    ticks: Ticks
    factor: str = ""
    log: bool = False
    empty: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value; below 0 or above 1 if it is off the scale."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def known(values: Iterable[Any]) -> list[float]:
    """The values that are finite numbers."""
    return [number for value in values if (number := finite(value)) is not None]


def linear_scale(values: Iterable[Any], *, zero: bool = False, count: int = 4) -> Scale:
    """A linear scale that shows all values with a little air, from zero if asked; constant input gets a stretch too."""
    numbers = known(values)
    if not numbers:
        return Scale(0.0, 1.0, (), empty=True)
    low, high = min(numbers), max(numbers)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    size = max(abs(low), abs(high))
    if high - low <= max(size * 1e-12, SMALLEST):
        air = size * 0.05 if size > SMALLEST else 1.0
        low, high = low - (0.0 if zero and low == 0.0 else air), high + air
    air = (high - low) * 0.06
    low, high = low - (0.0 if zero and low == 0.0 else air), high + (0.0 if zero and high == 0.0 else air)
    ticks, factor = _linear_ticks(low, high, count)
    return Scale(low, high, ticks, factor)


def loss_scale(values: Iterable[Any], *, ratio: float = 20.0) -> Scale:
    """A logarithmic scale if all values are positive and the largest is over `ratio` times the smallest, else a linear one."""
    numbers = known(values)
    if not numbers or min(numbers) <= 0.0 or max(numbers) < ratio * min(numbers) or max(numbers) / min(numbers) > 1e12:
        return linear_scale(numbers)
    low, high = min(numbers) / 1.15, max(numbers) * 1.15
    steps = (1, 2, 5) if high / low < 200 else (1,)
    every = max(1, math.ceil((exponent_of(high) - exponent_of(low)) / 5))
    exponents = range(exponent_of(low), exponent_of(high) + 1)
    values_at = [step * 10.0**exponent for exponent in exponents if exponent % every == 0 for step in steps]
    ticks = tuple((value, format_number(value, 2)) for value in values_at if low <= value <= high)
    return Scale(low, high, ticks, log=True)


def nice_step(span: float, count: int) -> float:
    """1, 2, 2.5 or 5 times a power of ten, near a `count`-th of the span."""
    rough = span / max(1, count)
    base = 10.0 ** exponent_of(rough)
    return next((base * factor for factor in (1.0, 2.0, 2.5, 5.0) if base * factor >= rough * 0.999), base * 10.0)


def time_ticks(times: Sequence[str], most: int = 6) -> list[tuple[int, str]]:
    """Positions in `times` that get a label, and the label: starts of years, months, days or hours if the times are ISO stamps,
    else round numbers or evenly spaced labels as they are."""
    stamps = [_STAMP.match(time) for time in times]
    if times and all(stamps):
        parts = [stamp.groups() for stamp in stamps if stamp]
        for level in range(1, 6):
            places = _turns(parts, level)
            if len(places) >= 3:
                kept = _thin(parts, places, level, most)
                return [(place, _stamp_label(parts[place], level, parts[place - 1] if place else None)) for place in kept]
    if times and all(re.fullmatch(r"-?\d{1,15}", time) for time in times):
        return _whole_number_ticks([int(time) for time in times], most)
    places = range(0, len(times), max(1, math.ceil(len(times) / most)))
    return [(place, shorten(times[place], 16)) for place in places]


def count_ticks(first: int, last: int, most: int = 6) -> list[tuple[int, str]]:
    """Whole numbers between first and last for an axis of epochs, lead times or trials."""
    step = max(1, round(nice_step(max(1, last - first), most)))
    inside = [value for value in range(first, last + 1) if value % step == 0 or value == first]
    if len(inside) > 1 and inside[1] - first < step * 0.6:
        inside.pop(1)
    return [(value, fixed(value, 0)) for value in inside]


def shorten(text: str, most: int) -> str:
    """The text, its end cut off if it is longer than so many characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _linear_ticks(low: float, high: float, count: int) -> tuple[Ticks, str]:
    step = nice_step(high - low, count)
    exponent = exponent_of(max(abs(low), abs(high)))
    shift = exponent if exponent >= 6 or exponent < -3 else 0
    halves = round(step / 10.0 ** exponent_of(step), 1) == 2.5
    decimals = min(12, max(0, shift - exponent_of(step) + halves))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = tuple((number * step, fixed(number * step / 10.0**shift, decimals)) for number in range(first, last + 1))
    return ticks, power_of_ten(shift) if shift else ""


def _turns(stamps: list[Stamp], level: int) -> list[int]:
    """Where year (level 1), month (2), day (3), hour (4) or minute (5) changes."""
    if any(stamp[level - 1] is None for stamp in stamps):
        return []
    return [
        place for place, stamp in enumerate(stamps) if (stamp[:level] != stamps[place - 1][:level] if place else _is_start(stamp, level))
    ]


def _is_start(stamp: Stamp, level: int) -> bool:
    """Whether the finer parts are at their beginning: the first of a month at midnight starts a month."""
    return all(part in (None, start) for part, start in zip(stamp[level:], ("01", "01", "00", "00")[level - 1 :], strict=True))


def _stamp_label(stamp: Stamp, level: int, before: Stamp | None) -> str:
    year, month, day, hour, minute = stamp
    name = _MONTHS[(int(month or 1) - 1) % 12]
    if level == 1:
        return str(year)
    if level == 2:
        return f"{name} {year}" if before is None or before[0] != year else name
    whole_day = f"{int(day or 1)} {name}"
    if level == 3 or (before is not None and before[:3] != stamp[:3]) or (hour, minute) == ("00", "00"):
        return whole_day
    return f"{hour}:{minute}"


def _thin(stamps: list[Stamp], places: list[int], level: int, most: int) -> list[int]:
    """At most so many places: every second, third, sixth month or hour, every fifth minute and so on; else every k-th place."""
    for step in {2: (1, 2, 3, 6), 4: (1, 2, 3, 6, 12), 5: (1, 5, 10, 15, 30)}.get(level, ()):
        kept = [place for place in places if (int(stamps[place][level - 1] or 0) - (level == 2)) % step == 0]
        if 2 <= len(kept) <= most:
            return kept
    return places[:: max(1, math.ceil(len(places) / most))]


def _whole_number_ticks(times: list[int], most: int) -> list[tuple[int, str]]:
    step = max(1, round(nice_step(max(1, times[-1] - times[0]), most)))
    places = [place for place, time in enumerate(times) if time % step == 0] or [0]
    return [(place, str(times[place])) for place in places[:: max(1, math.ceil(len(places) / (most + 1)))]]
