"""Periods and times are inverses on every kind of grid, and the grid that data lies on is found."""

import datetime
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.calendar import DAY, HOUR, MINUTE, Frequency, Kind, Unit
from tidegate.data.frequency import frequency_of, infer_frequency, parse_frequency
from tidegate.errors import DataError, SettingsError

ZONES: list[str | None] = [None, "UTC", "Europe/Berlin", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe", "America/Santiago"]


@st.composite
def grids(draw: st.DrawFn, kinds: tuple[Kind, ...] = ("integer", "date", "datetime"), zones: list[str | None] = ZONES) -> Frequency:
    """Any grid that the package can make."""
    kind = draw(st.sampled_from(kinds))
    if kind == "integer":
        count = draw(st.integers(1, 50))
        return Frequency("integer", "step", count, draw(st.integers(0, count - 1)))
    zone = draw(st.sampled_from(zones)) if kind == "datetime" else None
    units: list[Unit] = ["day", "week", "month", "quarter", "year", "business", "us"]
    unit = draw(st.sampled_from(units if kind == "datetime" else units[:-1]))
    if unit == "us":
        count = draw(st.sampled_from([1, 1000, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, 7 * HOUR]))
        return Frequency("datetime", "us", count, draw(st.integers(0, count - 1)), zone=zone)
    count = 1 if unit == "business" else draw(st.integers(1, 3))
    size = count * {"day": 1, "business": 1, "week": 7, "month": 1, "quarter": 3, "year": 12}[unit]
    day = draw(st.integers(1, 31)) if unit in ("month", "quarter", "year") else 1
    clock = draw(st.sampled_from([0, 0, HOUR, 12 * HOUR])) if kind == "datetime" else 0
    return Frequency(kind, unit, count, draw(st.integers(0, size - 1)), day, clock, zone, wall=zone is not None)


def limits(grid: Frequency) -> tuple[int, int]:
    """Periods from about 1950 to 2090."""
    if grid.kind == "integer":
        return -(10**6), 10**6
    if grid.unit == "us":
        return -20 * 365 * DAY // grid.count, 120 * 365 * DAY // grid.count
    per_year = {"day": 365, "business": 261, "week": 52, "month": 12, "quarter": 4, "year": 1}[grid.unit] / grid.count
    return int(-20 * per_year), int(120 * per_year)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_periods_and_times_are_inverses(data: st.DataObject) -> None:
    grid = data.draw(grids())
    low, high = limits(grid)
    number = min(400, high - low)
    first = data.draw(st.integers(low, high - number))
    periods = np.arange(first, first + number)
    times = grid.times(periods)
    assert times.null_count() == 0
    assert (grid.periods(times) == periods).all()
    assert Frequency.from_json(json.loads(json.dumps(grid.to_json()))) == grid
    features = grid.features(periods)
    assert features.shape == (number, len(grid.feature_names))
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_grid_is_found_again_from_its_times(data: st.DataObject) -> None:
    grid = data.draw(grids())
    low, high = limits(grid)
    number = min(200, high - low)
    first = data.draw(st.integers(low, high - number))
    times = grid.times(np.arange(first, first + number))
    steps = times.to_physical().cast(pl.Int64).diff().drop_nulls()
    found = infer_frequency(times, dict(steps.value_counts().iter_rows()))
    assert (np.diff(found.periods(times)) == 1).all()
    assert (found.times(found.periods(times)) == times).all()
    again = frequency_of(parse_frequency(found.code), times)
    assert again == found


@pytest.mark.parametrize(
    ("code", "first", "step", "text", "seasons"),
    [
        ("h", "2020-01-01 00:30", "1h", "hourly", (24, 168)),
        ("30min", "2020-01-01 00:00", "30m", "30 min", (48, 336)),
        ("15min", "2020-01-01 00:00", "15m", "15 min", (96, 672)),
        ("10min", "2020-01-01 00:00", "10m", "10 min", (144, 1008)),
        ("5min", "2020-01-01 00:00", "5m", "5 min", (288, 2016)),
        ("min", "2020-01-01 00:00", "1m", "1 min", (60, 1440)),
        ("s", "2020-01-01 00:00", "1s", "1 s", (60, 3600)),
        ("d", "2020-01-01 00:00", "1d", "daily", (7,)),
        ("w", "2020-01-05 00:00", "1w", "weekly (Sundays)", (52,)),
        ("mo", "2020-01-01 00:00", "1mo", "monthly", (12,)),
        ("q", "2020-02-01 00:00", "1q", "quarterly", (4,)),
        ("y", "1990-01-01 00:00", "1y", "yearly", ()),
    ],
)
def test_names_and_seasons(code: str, first: str, step: str, text: str, seasons: tuple[int, ...]) -> None:
    start = datetime.datetime.fromisoformat(first)
    times = pl.Series([start]).dt.offset_by("0h")
    times = pl.concat(
        [
            times.dt.offset_by(
                f"{number * int(step[:-2] or step[0]) if step[-2:] == 'mo' else number * int(step[:-1])}"
                f"{step[-2:] if step[-2:] == 'mo' else step[-1]}"
            )
            for number in range(60)
        ]
    )
    counts = dict(times.to_physical().cast(pl.Int64).diff().drop_nulls().value_counts().iter_rows())
    found = infer_frequency(times, counts)
    assert (found.code, found.text, found.seasons) == (code, text, seasons)


def test_month_ends_are_month_ends() -> None:
    times = pl.date_range(datetime.date(2019, 12, 31), datetime.date(2024, 12, 31), "1mo", eager=True).dt.month_end()
    found = infer_frequency(times, {31: 30, 30: 20, 28: 4})
    assert found.text == "monthly (month ends)"
    assert str(found.times(found.periods(times)[-1:] + 2)[0]) == "2025-02-28"
    quarters = times.gather_every(3)
    assert infer_frequency(quarters, {92: 10, 91: 5, 90: 4}).text == "quarterly (month ends)"


def test_gaps_do_not_hide_the_step() -> None:
    times = pl.Series(np.delete(np.arange(1000), [5, 6, 7, 100])) * HOUR
    found = infer_frequency(times.cast(pl.Datetime("us")), {HOUR: 990, 2 * HOUR: 1, 4 * HOUR: 1})
    assert found.text == "hourly"
    assert np.diff(found.periods(times.cast(pl.Datetime("us")))).max() == 4


def test_three_days_a_week_make_a_daily_grid() -> None:
    days = np.array([week * 7 + day for week in range(60) for day in (4, 6, 8)])
    found = infer_frequency(pl.Series(days).cast(pl.Date), {2: 120, 3: 59})
    assert (found.unit, found.count) in (("business", 1), ("day", 1))


def test_hours_of_daylight_saving() -> None:
    grid = Frequency("datetime", "us", HOUR, zone="Europe/Berlin")
    start = pl.Series(["2024-03-31 00:00"]).str.to_datetime("%Y-%m-%d %H:%M").dt.replace_time_zone("Europe/Berlin")
    times = grid.times(grid.periods(start)[0] + np.arange(4))
    assert times.dt.hour().to_list() == [0, 1, 3, 4]
    days = Frequency("datetime", "day", zone="Europe/Berlin", wall=True)
    midnights = days.times(days.periods(start)[0] + np.arange(3))
    assert midnights.dt.hour().to_list() == [0, 0, 0]
    assert midnights.to_physical().diff().to_list()[1:] == [23 * HOUR, 24 * HOUR]


def test_features_turn_with_the_clock_on_the_wall() -> None:
    grid = Frequency("datetime", "us", HOUR, zone="Asia/Shanghai")
    six = pl.Series(["2024-01-01 06:00"]).str.to_datetime("%Y-%m-%d %H:%M").dt.replace_time_zone("Asia/Shanghai")
    features = dict(zip(grid.feature_names, grid.features(grid.periods(six))[0], strict=True))
    assert features["time_of_day_sin"] == pytest.approx(1.0)
    assert features["weekday_cos"] == pytest.approx(1.0)
    assert Frequency("integer", "step").feature_names == ()
    assert Frequency("date", "month").feature_names == ("month_sin", "month_cos")


def test_a_time_off_the_grid_is_named() -> None:
    grid = Frequency("datetime", "us", HOUR)
    with pytest.raises(DataError, match=r"2020-01-01 00:30:00 is off the grid \(hourly\).*expected 2020-01-01 00:00:00 or 2020-01-01 01"):
        grid.periods(pl.Series([datetime.datetime(2020, 1, 1, 0, 30)]))
    with pytest.raises(DataError, match="expected datetime times with a time zone"):
        Frequency("datetime", "us", HOUR, zone="UTC").periods(pl.Series([datetime.datetime(2020, 1, 1)]))
    with pytest.raises(DataError, match="off the grid"):
        Frequency("date", "business").periods(pl.Series([datetime.date(2024, 6, 1)]))


@pytest.mark.parametrize(
    ("text", "code"),
    [("1h", "h"), ("15T", "15min"), ("MS", "mo"), ("M", "mo"), ("W-SUN", "w"), ("1mo", "mo"), ("QE", "q"), ("A", "y"), ("5", "5")],
)
def test_names_of_other_libraries(text: str, code: str) -> None:
    assert parse_frequency(text) == parse_frequency(code)


@pytest.mark.parametrize(
    ("text", "words"), [("hr", "Did you mean"), ("", "not a frequency"), ("0h", "not a frequency"), ("5m", "minutes or months")]
)
def test_a_wrong_frequency_is_explained(text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        parse_frequency(text)


def test_numbered_steps_take_their_seasons_from_the_frequency() -> None:
    weeks = frequency_of(parse_frequency("w"), pl.Series([1, 2, 3]))
    assert weeks.seasons == (52,)
    assert weeks.kind == "integer"
    assert (weeks.periods(pl.Series([1, 2, 3])) == [1, 2, 3]).all()
    assert frequency_of(parse_frequency("5"), pl.Series([3, 8, 13])).times(np.array([0, 1])).to_list() == [3, 8]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_floor_is_the_last_grid_point_before(data: st.DataObject) -> None:
    grid = data.draw(grids(("datetime",), [None]).filter(lambda grid: grid.unit != "us"))
    low, high = limits(grid)
    periods = np.arange(low, low + min(50, high - low))
    later = grid.times(periods).dt.offset_by(f"{data.draw(st.integers(0, 23))}h")
    assert (grid.floor(later) == periods).all()
    earlier = grid.times(periods).dt.offset_by("-1us")
    assert (grid.floor(earlier) == periods - 1).all()
    assert grid.off_grid(earlier, grid.floor(earlier)).all()


def test_a_grid_may_follow_the_clock_on_the_wall() -> None:
    naive = pl.datetime_range(datetime.datetime(2024, 3, 1), datetime.datetime(2024, 12, 1), "6h", eager=True)
    times = naive.dt.replace_time_zone("Europe/Berlin")
    steps = dict(times.to_physical().cast(pl.Int64).diff().drop_nulls().value_counts().iter_rows())
    found = infer_frequency(times, steps)
    assert found.wall
    assert (np.diff(found.periods(times)) == 1).all()
