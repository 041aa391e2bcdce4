import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.evaluate.report.scales import count_ticks, linear_scale, loss_scale, time_ticks


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True) | st.none(), max_size=6), st.booleans())
def test_scale_shows_every_finite_value(values: list[float | None], zero: bool) -> None:
    scale = linear_scale(values, zero=zero)
    assert scale.low < scale.high
    assert len(scale.ticks) <= 12
    for value in values:
        if value is not None and abs(value) < 1e300:
            assert -1e-6 <= scale(value) <= 1 + 1e-6


@pytest.mark.parametrize(
    ("values", "labels", "factor"), [([0, 1], "0.0 0.5 1.0", ""), ([1e9, 1.4e9], "1.0 1.2 1.4", "×10⁹"), ([0, 2e-9], "0 1 2", "×10⁻⁹")]
)
def test_ticks_are_round_and_powers_are_set_apart(values: list[float], labels: str, factor: str) -> None:
    scale = linear_scale(values)
    assert " ".join(text for _, text in scale.ticks) == labels
    assert scale.factor == factor


def test_constant_values_lie_in_the_middle() -> None:
    assert linear_scale([7.0, 7.0])(7.0) == pytest.approx(0.5)
    assert linear_scale([0.0])(0.0) == pytest.approx(0.5)
    assert linear_scale([0.0, 5e-324])(0.0) == pytest.approx(0.5)


def test_loss_is_logarithmic_only_where_it_spans_much_and_is_positive() -> None:
    assert loss_scale([0.1, 100.0]).log
    assert len(loss_scale([0.1, 100.0]).ticks) >= 3
    assert not loss_scale([0.5, 1.0]).log
    assert not loss_scale([-1.0, 100.0]).log
    assert loss_scale([None, float("nan")]).empty


def test_time_ticks_are_starts_of_days_hours_months() -> None:
    hours = [f"2020-01-{1 + hour // 24:02d} {hour % 24:02d}:00" for hour in range(5, 101)]
    assert time_ticks(hours) == [(19, "2 Jan"), (43, "3 Jan"), (67, "4 Jan"), (91, "5 Jan")]
    assert time_ticks(hours[:15]) == [(1, "06:00"), (4, "09:00"), (7, "12:00"), (10, "15:00"), (13, "18:00")]
    months = [f"{2000 + month // 12}-{month % 12 + 1:02d}-01" for month in range(18)]
    assert [text for _, text in time_ticks(months)] == ["Jan 2000", "Apr", "Jul", "Oct", "Jan 2001", "Apr"]


def test_time_ticks_of_whole_numbers_and_of_words() -> None:
    assert time_ticks([str(step) for step in range(3, 43)]) == [(7, "10"), (17, "20"), (27, "30"), (37, "40")]
    assert time_ticks(["甲", "乙"]) == [(0, "甲"), (1, "乙")]
    assert time_ticks([]) == []


@pytest.mark.parametrize(("first", "last"), [(1, 1), (1, 2), (1, 24), (0, 719), (5, 7)])
def test_count_ticks_are_whole_and_few(first: int, last: int) -> None:
    values = [value for value, _ in count_ticks(first, last)]
    assert values[0] == first
    assert 1 <= len(values) <= 9
    assert values[-1] <= last
