"""Splits by per cent, fraction, count and date."""

import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.data.panels import frequency, panel
from tidegate.data.calendar import Frequency
from tidegate.data.split import split_parts
from tidegate.errors import DataError, SettingsError


def ends(split: str, lengths: list[int], horizon: int = 2, **more: Any) -> list[list[int]]:
    """Lengths of train, validation and test, by series."""
    sequences = panel([np.zeros(length) for length in lengths], **more)
    parts = split_parts(sequences, split, horizon)
    edges = np.stack([sequences.offsets[:-1], parts.train, parts.validation, parts.test])
    return np.diff(edges, axis=0).T.tolist()


@pytest.mark.parametrize("split", ["70/10/20", "0.7/0.1/0.2", "70.0/10/20", " 70 / 10 / 20 "])
def test_shares(split: str) -> None:
    assert ends(split, [100, 50]) == [[70, 10, 20], [35, 5, 10]]


def test_shares_leave_no_row_out_and_validation_and_test_a_horizon() -> None:
    for length in range(60, 90):
        for split in ("70/10/20", "33.3/33.3/33.4", "60/25/15"):
            train, validation, test = ends(split, [length], horizon=13)[0]
            assert train + validation + test == length
            assert validation >= 13 and test >= 13
    assert ends("70/10/20", [20], horizon=6) == [[8, 6, 6]]


def test_counts() -> None:
    assert ends("50/20/20", [100, 90]) == [[50, 20, 20], [50, 20, 20]]
    assert ends("50/20/10", [75]) == [[50, 20, 5]]
    assert ends("8640/2880/2880", [17420], horizon=96) == [[8640, 2880, 2880]]


DAYS = frequency("d", [datetime.date(2020, 1, 1)])


def day(text: str) -> int:
    return int(DAYS.periods(pl.Series([datetime.date.fromisoformat(text)]))[0])


def test_dates() -> None:
    starts = [day("2020-01-01"), day("2020-03-01")]
    assert ends("2020-04-01/2020-04-11", [120, 60], frequency=DAYS, starts=starts) == [[91, 10, 19], [31, 10, 19]]
    assert ends("2020-01-31 00:00/2020-02-10", [60], frequency=DAYS, starts=starts[:1]) == [[30, 10, 20]]


def test_dates_with_a_time_of_day_and_a_zone() -> None:
    zone = pl.Series([datetime.datetime(2024, 1, 1)]).dt.replace_time_zone("Asia/Shanghai")
    hourly = frequency("h", zone)  # pyright: ignore[reportArgumentType]
    start = int(hourly.periods(zone)[0])
    assert ends("2024-01-03/2024-01-04", [96], frequency=hourly, starts=[start]) == [[48, 24, 24]], "dates as the clock there shows them"
    assert ends("2024-01-03 12:00/2024-01-04", [96], frequency=hourly, starts=[start]) == [[60, 12, 24]]


def test_short_series_are_named() -> None:
    sequences = panel([np.zeros(100), np.zeros(5), np.zeros(3), np.zeros(0)])
    parts = split_parts(sequences, "70/10/20", 3)
    assert parts.short == ("id1",) and parts.unusable == ("id2", "id3")
    trained = parts.train - sequences.offsets[:-1]
    assert trained.tolist() == [70, 5, 0, 0]
    assert (parts.train[1:] == parts.test[1:]).all(), "nothing of a short series is tested on"


def test_by_date_a_short_series_trains_on_what_lies_before_the_first_date_only() -> None:
    starts = [day("2020-01-01"), day("2020-01-01")]
    sequences = panel([np.zeros(100), np.zeros(40)], frequency=DAYS, starts=starts)
    parts = split_parts(sequences, "2020-02-01/2020-03-01", 5)
    assert (parts.train - sequences.offsets[:-1]).tolist() == [31, 31]
    assert parts.short == ("id1",)


@pytest.mark.parametrize(
    "split", ["70/30", "a/b/c", "70/-10/40", "70/0/30", "", "2020-01-01/x", "nan/1/1", "inf/1/1", "2020-13-41/2020-14-01"]
)
def test_splits_that_cannot_be_read(split: str) -> None:
    with pytest.raises(SettingsError, match="split '.*70/10/20|no two dates"):
        ends(split, [100], frequency=DAYS)


def test_dates_that_do_not_fit() -> None:
    with pytest.raises(SettingsError, match="test part must begin after"):
        ends("2020-04-11/2020-04-01", [120], frequency=DAYS)
    with pytest.raises(SettingsError, match="time column holds integers"):
        ends("2020-04-01/2020-04-11", [120], frequency=Frequency("integer", "step"))
    with pytest.raises(DataError, match="Too short a history"):
        ends("2030-04-01/2030-04-11", [120], frequency=DAYS, starts=[day("2020-01-01")])


def test_all_too_short() -> None:
    with pytest.raises(
        DataError, match=r"the longest of 2 series has 12 steps.*horizon of 5.*Give a horizon of at most 3, or more history"
    ):
        ends("70/10/20", [12, 9], horizon=5)
    with pytest.raises(DataError, match=r"the series has 100 steps; split 8640/2880/2880 leaves 100 for training, 0 for validation"):
        ends("8640/2880/2880", [100], horizon=5)
