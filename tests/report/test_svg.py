import re

from tidegate.evaluate.report.scales import Scale
from tidegate.evaluate.report.svg import MOST_POINTS, Frame, chart

SCALE = Scale(0.0, 10.0, ((0.0, "0"), (10.0, "10")))


def strokes(drawn: str) -> list[int]:
    """Points of each stroke of the line."""
    found = re.search(r'class="line[^"]*" d="([^"]*)"', drawn)
    return [part.count(" ") for part in found[1].split("M") if part] if found else []


def test_gap_breaks_the_line_and_a_value_alone_is_a_dot() -> None:
    drawn = Frame(0, 6, SCALE).line(range(7), [1, 2, None, 3, float("nan"), 4, 5], "a")
    assert strokes(drawn) == [2, 2]
    assert drawn.count("h.01") == 1
    assert "nan" not in drawn.lower()


def test_line_of_nothing_is_nothing() -> None:
    assert Frame(0, 1, SCALE).line([], [], "a") == ""
    assert Frame(0, 1, SCALE).line([0, 1], [None, None], "a") == ""


def test_values_are_placed_by_the_scale() -> None:
    assert 'd="M0 100L1000 0"' in Frame(0, 1, SCALE, height=100).line([0, 1], [0, 10], "a")


def test_band_breaks_where_either_side_is_missing() -> None:
    drawn = Frame(0, 4, SCALE).band(range(5), [1, 1, None, 1, 1], [2, 2, 2, 2, 2], "")
    assert drawn.count("Z") == 2
    assert Frame(0, 4, SCALE).band(range(5), [1], [2], "").count("Z") == 1
    assert Frame(0, 4, SCALE).band([], [], [], "") == ""


def test_long_line_is_thinned_but_keeps_its_extremes() -> None:
    values: list[float] = [5.0] * 50_000
    values[31_234], values[40_001] = 10.0, 0.0
    drawn = Frame(0, 49_999, SCALE, height=100).line(range(50_000), values, "a")
    assert sum(strokes(drawn)) <= MOST_POINTS + 2
    assert re.search(r"[ML][\d.]+ 0(?=[LM\"])", drawn)
    assert re.search(r"[ML][\d.]+ 100(?=[LM\"])", drawn)


def test_far_value_stays_within_bounds() -> None:
    assert Frame(0, 1, SCALE, height=100).place_y(1e200) == -200


def test_chart_escapes_and_limits_readouts() -> None:
    drawn = chart(Frame(0, 999, SCALE), [], label='"><b>', readouts=[(x, f"<i>{x}") for x in range(1000)])
    assert "<b>" not in drawn
    assert "<i>" not in drawn
    assert 100 < drawn.count('class="r"') <= 160
