"""Numbers as people read them: significant digits, a real minus sign, a dash for what is missing."""

import math
from collections.abc import Sequence
from typing import Any

MISSING = "–"
LARGEST = 1e300
"""Beyond this a span of two values overflows; such a value counts as missing."""
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def finite(value: Any) -> float | None:
    """The value as a float, or None if it is missing, infinite, beyond 1e300 or no number."""
    if value is None or isinstance(value, str | bytes):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and abs(number) < LARGEST else None


def power_of_ten(exponent: int) -> str:
    """'×10⁹' for 9."""
    return "×10" + str(exponent).translate(_SUPERSCRIPTS)


def exponent_of(value: float) -> int:
    """The power of ten of the leading digit: 0 for 4.2, -3 for 0.0042; 0 for 0."""
    return math.floor(math.log10(abs(value))) if value else 0


def fixed(value: float, decimals: int) -> str:
    """With so many decimals, thousands set apart by commas, and never '−0'."""
    text = f"{value:,.{max(0, decimals)}f}"
    return text.lstrip("-") if not text.strip("-0.,") else text.replace("-", "−")


def format_number(value: Any, digits: int = 4) -> str:
    """A number to `digits` significant digits ('12.35', '17,420', '1.5×10⁹'), whole numbers below 1e15 in full, '–' for none."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15:
        return fixed(value, 0)
    number = finite(value)
    if number is None:
        return MISSING
    number = float(f"{number:.{digits - 1}e}")
    exponent = exponent_of(number)
    if number and not -4 <= exponent < 7:
        return _trim(fixed(number / 10.0**exponent, digits - 1)) + power_of_ten(exponent)
    return _trim(fixed(number, digits - 1 - exponent))


def format_column(values: Sequence[Any], digits: int = 4) -> list[str]:
    """The numbers of one table column with the same decimals, so that the points align; each by itself if they span too much."""
    sizes = [abs(number) for number in map(finite, values) if number]
    if not sizes or max(sizes) >= 1e7 or max(sizes) < 1e-4 or max(sizes) / min(sizes) > 1e5:
        return [format_number(value, digits) for value in values]
    room = digits + 1 - max(1, exponent_of(max(sizes)) + 1)
    decimals = max(0, min(digits - 1 - exponent_of(min(sizes)), room))
    return [MISSING if (number := finite(value)) is None else fixed(number, decimals) for value in values]


def format_share(value: Any, digits: int = 3) -> str:
    """A fraction as per cent: '12.3 %'."""
    number = finite(value)
    return MISSING if number is None else f"{format_number(number * 100, digits)} %"


def _trim(text: str) -> str:
    """Without zeros after the point that say nothing."""
    return text.rstrip("0").rstrip(".") if "." in text else text
