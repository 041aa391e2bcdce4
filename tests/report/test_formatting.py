import numpy as np
import pytest

from tidegate.formatting import finite, format_column, format_number, format_share


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12.3456, "12.35"),
        (-0.00123456, "−0.001235"),
        (17420, "17,420"),
        (17423.7, "17,420"),
        (1.5e9, "1.5×10⁹"),
        (2.5e-9, "2.5×10⁻⁹"),
        (9.9999e6, "1×10⁷"),
        (0.0, "0"),
        (-0.0, "0"),
        (None, "–"),
        (float("nan"), "–"),
        (float("-inf"), "–"),
        (np.float32(0.5), "0.5"),
        ("5", "–"),
    ],
)
def test_number_is_written_to_significant_digits(value: object, text: str) -> None:
    assert format_number(value) == text


def test_column_has_the_same_decimals() -> None:
    assert format_column([41.23, 140.182, None, -3.0]) == ["41.23", "140.18", "–", "−3.00"]
    assert format_column([1e9, 1e-9]) == ["1×10⁹", "1×10⁻⁹"]
    assert format_column([]) == []
    assert format_column([0.0, None]) == ["0", "–"]


def test_share_is_per_cent() -> None:
    assert format_share(0.1234) == "12.3 %"
    assert format_share(None) == "–"


def test_finite_refuses_what_no_drawing_can_place() -> None:
    assert finite(1e308) is None
    assert finite("x") is None
    assert finite(np.float64(2)) == 2.0
