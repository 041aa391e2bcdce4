"""The check of a table: each kind of trouble is found where it was put, and good data is left in peace."""

import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tidegate.cli.check import run, show_report
from tidegate.config import DataSettings
from tidegate.data.check import CheckReport, Finding, check
from tidegate.data.check_leak import check_leaks
from tidegate.data.read import read_table
from tidegate.errors import DataError, SettingsError

NOTHING: frozenset[str] = frozenset()


def hours(total: int) -> list[datetime]:
    return [datetime(2020, 1, 1) + timedelta(hours=step) for step in range(total)]


def wave(total: int = 480, seed: int = 0) -> np.ndarray:
    return np.round(100 + 20 * np.sin(np.arange(total) / 24 * 2 * np.pi) + np.random.default_rng(seed).normal(0, 2, total), 2)


def frame(total: int = 480, **columns: Any) -> pl.DataFrame:
    """Clean hourly data with other columns beside it or in place of it."""
    return pl.DataFrame({"ds": hours(total), "y": wave(total), **columns})


def look(source: Any, **values: Any) -> CheckReport:
    given = DataSettings(**{"horizon": 24, **values})
    report = check(read_table(source, given.layout), given)
    json.dumps(report.to_json(), allow_nan=False)
    return report


def only(report: CheckReport, code: str) -> Finding:
    """The one finding of that code."""
    found = [finding for finding in report.findings if finding.code == code]
    assert len(found) == 1, report.findings
    return found[0]


def codes(report: CheckReport) -> set[str]:
    return {finding.code for finding in report.findings}


def changed(values: np.ndarray, at: int | slice | list[int], value: float) -> np.ndarray:
    values = values.copy()
    values[at] = value
    return values


def test_good_data_has_no_findings_and_its_facts_are_told() -> None:
    report = look(frame())
    assert report.findings == ()
    assert report.ok
    facts = report.facts
    assert (facts["rows"], facts["series"], facts["frequency"], facts["seasons"]) == (480, 1, "hourly", [24, 168])
    assert (facts["first"], facts["last"]) == ("2020-01-01 00:00:00", "2020-01-20 23:00:00")
    assert (facts["time"], facts["targets"]) == ("ds", ["y"])


def test_a_gap_is_found_with_its_place() -> None:
    finding = only(look(frame().filter(~pl.int_range(pl.len()).is_between(100, 104))), "gaps")
    assert (finding.level, finding.count) == ("note", 5)
    assert finding.examples == ("5 steps from 2020-01-05 04:00:00",)


def test_duplicates_are_an_error_with_both_rows() -> None:
    data = pl.concat([frame(), frame()[[7, 9]]])
    finding = only(look(data), "duplicates")
    assert (finding.level, finding.count, finding.where) == ("error", 2, "ds")
    assert finding.examples == ("2020-01-01 07:00:00: rows 8 and 481", "2020-01-01 09:00:00: rows 10 and 482")
    assert "--id" in finding.message


def test_the_repeated_hour_of_daylight_saving_is_named() -> None:
    times = [datetime(2020, 10, 20) + timedelta(hours=step) for step in range(300)]
    again = times.index(datetime(2020, 10, 25, 2))
    data = pl.DataFrame({"ds": [*times[: again + 1], *times[again:]], "y": wave(301)})
    assert "daylight saving" in only(look(data), "duplicates").message
    assert "daylight saving" not in only(look(pl.concat([frame(), frame()[[7]]])), "duplicates").message


def test_the_same_times_in_two_series_are_no_duplicates() -> None:
    data = pl.concat([frame().with_columns(unique_id=pl.lit(name)) for name in "ab"])
    report = look(data)
    assert report.findings == ()
    assert report.facts["series"] == 2


def test_a_series_that_starts_when_another_ends_repeats_nothing() -> None:
    later = frame().with_columns(pl.col("ds") + timedelta(hours=479), unique_id=pl.lit("b"))
    assert look(pl.concat([frame().with_columns(unique_id=pl.lit("a")), later])).findings == ()


def test_mostly_repeated_times_are_told_once_and_values_looked_at_by_row() -> None:
    data = frame(y=changed(wave(), [5, 6, 200], -999)).with_columns(pl.col("ds").dt.date())
    report = look(data)
    assert only(report, "duplicates").count == 460
    assert "another column" in only(report, "duplicates").message
    assert only(report, "sentinel").count == 3


def test_unsorted_rows_are_a_note() -> None:
    finding = only(look(frame()[[*range(10), 11, 10, *range(12, 480)]]), "unsorted")
    assert (finding.level, finding.count, finding.examples) == ("note", 1, ("row 12",))


def test_missing_values_are_a_note_with_rows() -> None:
    finding = only(look(frame(y=changed(wave(), [3, 50], np.nan))), "missing")
    assert (finding.level, finding.count, finding.where) == ("note", 2, "y")
    assert finding.examples[0] == "row 4, 2020-01-01 03:00:00"


def test_infinities_are_an_error() -> None:
    finding = only(look(frame(y=changed(wave(), 3, np.inf))), "infinite")
    assert (finding.level, finding.count) == ("error", 1)


def test_a_target_without_numbers_is_an_error() -> None:
    assert only(look(frame(y=[None] * 480)), "no-numbers").level == "error"
    assert only(look(frame(x=[None] * 480), past=("x",)), "no-numbers").level == "warning"


def test_constant_and_empty_series_are_named() -> None:
    parts = [frame(y=np.full(480, 5.0)), frame(), frame(y=np.full(480, np.nan))]
    report = look(pl.concat([part.with_columns(unique_id=pl.lit(name)) for part, name in zip(parts, "abc", strict=True)]))
    assert only(report, "constant").examples == ("series 'a'",)
    assert only(report, "empty-series").examples == ("series 'c'",)


def test_sentinels_are_found_and_are_no_outliers() -> None:
    report = look(frame(y=changed(wave(), [5, 6, 200], -999)))
    finding = only(report, "sentinel")
    assert (finding.level, finding.count, finding.where) == ("warning", 3, "y")
    assert "−999" in finding.message
    assert "outliers" not in codes(report)


def test_sentinels_that_come_after_the_training_part_are_said_with_the_cure() -> None:
    report = look(frame(y=changed(wave(), [400, 450], -999)))
    finding = only(report, "late-sentinel")
    assert (finding.level, finding.count, finding.where) == ("warning", 2, "y")
    assert "--set data.sentinels=[-999]" in finding.message and "sentinel" not in codes(report)
    assert "late-sentinel" not in codes(look(frame(y=changed(wave(), [40, 450], -999))))
    named = look(frame(y=changed(wave(), [400, 450], -999)), sentinels=(-999.0,))
    assert "late-sentinel" not in codes(named) and only(named, "sentinel").count == 2
    other = frame(y=changed(wave(), [400, 450], -999), x=changed(wave(), [4, 50], -9999.0))
    assert "[-9999,-999]" in only(look(other, past=("x",)), "late-sentinel").message
    assert "late-sentinel" in codes(look(frame(y=changed(wave(), [300, 310], -999)), split="60/20/20"))


def test_known_covariates_have_sentinels_but_no_outliers() -> None:
    report = look(frame(x=changed(changed(wave(seed=1), [5, 6, 200], -999), 300, 900.0)), future=("x",))
    assert "Cleaning takes it as missing" in only(report, "sentinel").message
    assert "outliers" not in codes(report)


def test_many_outliers_are_a_warning_with_the_cure() -> None:
    days = pl.Series([datetime(2018, 1, 1) + timedelta(days=day) for day in range(1000)])
    y = np.round(100 + np.random.default_rng(0).normal(0, 1, 1000), 2)
    ends = (days.dt.month_end() == days).to_numpy()
    finding = only(look(pl.DataFrame({"ds": days, "y": np.where(ends, 2 * y, y)})), "outliers")
    assert (finding.level, finding.count) == ("warning", int(ends.sum()))
    assert "--clean off" in finding.message and "--season" in finding.message
    assert only(look(frame(y=changed(wave(), 200, 900.0))), "outliers").level == "note"


def test_a_single_cell_is_an_outlier_and_no_code() -> None:
    report = look(frame(y=changed(wave(), 200, 9999.0)))
    assert only(report, "outliers").count == 1 and "sentinel" not in codes(report)


def test_an_extreme_that_repeats_may_be_a_sentinel() -> None:
    finding = only(look(frame(y=changed(wave(), [5, 60, 200], 1234.5))), "maybe-sentinel")
    assert finding.count == 3
    assert "data.sentinels=[1234.5]" in finding.message
    assert "maybe-sentinel" not in codes(look(frame(y=changed(wave(), [5, 200], 1234.5))))
    assert "maybe-sentinel" not in codes(look(frame(y=changed(wave(), [5, 60, 200], 60.0))))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 479), st.floats(200, 1000), st.integers(0, 2**32 - 1))
def test_an_outlier_is_found_with_place_and_size(at: int, size: float, seed: int) -> None:
    values = wave(480, seed)
    report = look(frame(y=changed(values, at, values[at] + size)))
    finding = only(report, "outliers")
    assert finding.examples[0].startswith(f"row {at + 1}, {hours(480)[at]}: ")
    assert finding.count <= 2


def test_neighbours_are_of_the_same_series() -> None:
    small, large = frame(y=changed(wave(), 479, 900.0)), frame(y=100 * wave(seed=1))
    data = pl.concat([part.with_columns(unique_id=pl.lit(name)) for part, name in ((small, "a"), (large, "b"))])
    finding = only(look(data), "outliers")
    before = f"{wave()[478]:.4g}"
    assert finding.examples == (f"row 480, series 'a', 2020-01-20 23:00:00: 900, neighbours {before}",)


def test_regular_peaks_are_no_outliers() -> None:
    assert "outliers" not in codes(look(frame(y=changed(wave(), slice(18, None, 24), 400.0))))


@pytest.mark.parametrize(("steps", "level"), [(73, None), (72, "error")])
def test_a_history_too_short_for_the_horizon(steps: int, level: str | None) -> None:
    report = look(frame(steps), season=(24,))
    assert ("too-short" in codes(report)) == (level is not None)
    if level:
        assert only(report, "too-short").level == level


def test_one_short_series_among_long_ones_is_a_warning() -> None:
    data = pl.concat([frame(), frame(50)], how="vertical").with_columns(unique_id=pl.Series(["a"] * 480 + ["b"] * 50))
    finding = only(look(data), "too-short")
    assert (finding.level, finding.examples) == ("warning", ("series 'b': 50 steps",))


def test_a_season_longer_than_half_the_history_is_said() -> None:
    assert "168" in only(look(frame(200)), "few-seasons").message


def test_text_in_a_number_column_is_an_error(tmp_path: Path) -> None:
    rows = [f"{time:%Y-%m-%d %H:%M},{value}" for time, value in zip(hours(480), wave(), strict=True)]
    rows[4] = f"{hours(480)[4]:%Y-%m-%d %H:%M},oops"
    file = tmp_path / "text.csv"
    file.write_text("ds,y\n" + "\n".join(rows))
    finding = only(look(file), "text")
    assert (finding.level, finding.count, finding.examples) == ("error", 1, ("row 5: 'oops'",))


def test_a_decimal_comma_is_recognised_as_such() -> None:
    data = frame().with_columns(pl.col("y").cast(pl.String))
    data = data.with_columns(pl.when(pl.int_range(pl.len()) == 9).then(pl.lit("1,5")).otherwise("y").alias("y"))
    finding = only(look(data), "text")
    assert "decimal comma" in finding.message


def test_a_text_covariate_is_a_category() -> None:
    report = look(frame(sky=["clear", "rain"] * 240), past=("sky",))
    assert (only(report, "category").count, report.ok) == (2, True)


def test_text_is_what_training_takes_it_for(tmp_path: Path) -> None:
    texts = [f"{value:.2f}" for value in wave(seed=1)]
    assert "category" not in codes(look(frame(x=texts), past=("x",)))
    padded = look(frame(x=[f"{9 + step % 5:04d}" for step in range(480)]), past=("x",))
    assert only(padded, "category").count == 5 and padded.ok
    few = look(frame(x=[*["101"] * 240, *["10A"] * 240]), past=("x",))
    assert only(few, "category").count == 2 and few.ok
    chosen = look(frame(x=pl.Series(["1", "2"] * 240, dtype=pl.Categorical)), past=("x",))
    assert only(chosen, "category").count == 2
    mixed = look(frame(x=[*texts[:-1], "oops"]), past=("x",))
    assert only(mixed, "text").level == "error"


def test_rows_of_the_future_miss_no_target() -> None:
    data = frame(y=changed(wave(), slice(450, None), np.nan), x=wave(seed=1))
    assert "missing" not in codes(look(data, future=("x",)))
    assert only(look(data, past=("x",)), "missing").count == 30
    inner = look(data.with_columns(y=pl.Series(changed(data["y"].to_numpy(), 5, np.nan))), future=("x",))
    assert only(inner, "missing").count == 1
    assert only(look(data.with_columns(x=pl.Series(changed(wave(), 470, np.nan))), future=("x",)), "missing").where == "x"


def test_the_target_is_not_guessed_to_be_the_time() -> None:
    report = look(pl.DataFrame({"y": range(480), "x": wave(seed=1)}))
    assert (report.facts["time"], report.facts["targets"]) == (None, ["y"])
    assert look(pl.DataFrame({"n": range(480), "y": wave()})).facts["time"] == "n"
    assert look(pl.DataFrame({"unique_id": range(480), "y": wave()})).facts["id"] == "unique_id"


def test_a_nameless_index_of_dates_is_taken_for_the_time(tmp_path: Path) -> None:
    file = tmp_path / "index.csv"
    file.write_text("".join([",y\n", *(f"{time:%Y-%m-%d %H:%M},{value}\n" for time, value in zip(hours(480), wave(), strict=True))]))
    report = look(file)
    assert (report.facts["time"], report.facts["frequency"]) == ("column_1", "hourly")
    assert "--time column_1" in only(report, "guessed-time").message
    assert look(file, time="column_1").findings == ()


def test_offsets_that_follow_daylight_saving_are_named() -> None:
    texts = [f"2020-03-{day}T00:00:00+0{1 if day < 30 else 2}:00" for day in range(10, 32)]
    finding = only(look(pl.DataFrame({"ds": texts, "y": wave(22)}), horizon=1), "off-grid")
    assert "daylight saving" in finding.message and "local dates" in finding.message


def test_times_that_cannot_be_read_are_an_error_with_rows() -> None:
    texts = [f"{time:%Y-%m-%d %H:%M}" for time in hours(480)]
    texts[8] = "yesterday"
    finding = only(look(frame(ds=texts)), "unparsable-time")
    assert (finding.level, finding.count, finding.examples) == ("error", 1, ("row 9: 'yesterday'",))


def test_an_open_order_of_day_and_month_is_an_error() -> None:
    finding = only(
        look(pl.DataFrame({"ds": ["01/02/2020", "02/02/2020", "03/02/2020", "04/02/2020"], "y": [1.0, 2.0, 1.0, 2.0]})), "time-format"
    )
    assert "--time-format" in finding.message


def test_times_off_the_grid_are_an_error() -> None:
    times = hours(480)
    times[20] += timedelta(minutes=7)
    finding = only(look(frame(ds=times)), "off-grid")
    assert (finding.level, finding.count, finding.examples) == ("error", 1, ("row 21: 2020-01-01 20:07:00",))
    assert "daylight saving" not in finding.message


def test_rows_without_a_series_are_an_error() -> None:
    finding = only(look(frame(unique_id=[None, *["a"] * 479])), "missing-id")
    assert (finding.level, finding.examples) == ("error", ("row 1",))


def test_without_names_the_time_and_the_targets_are_guessed() -> None:
    report = look(frame().rename({"ds": "Zeit", "y": "Last"}))
    assert (report.facts["time"], report.facts["targets"], report.ok) == ("Zeit", ["Last"], True)
    assert {"guessed-time", "guessed-target"} == codes(report)


def test_a_wide_table_is_a_series_a_column() -> None:
    data = frame(b=changed(wave(seed=1), 30, np.nan)).rename({"y": "a"})
    report = look(data, layout="wide")
    assert report.facts["series"] == 2
    assert only(report, "missing").examples == ("row 31, series 'b', 2020-01-02 06:00:00",)


def test_a_missing_column_and_a_column_with_two_roles_raise() -> None:
    with pytest.raises(DataError, match="Did you mean 'y'"):
        look(frame(), target=("Y",))
    with pytest.raises(SettingsError, match="one role"):
        look(frame(), target=("y",), past=("y",))


@pytest.mark.parametrize("ahead", [1, 5, 24])
def test_a_covariate_that_copies_the_future_is_found(ahead: int) -> None:
    y = np.cumsum(np.random.default_rng(0).normal(0, 1, 480))
    x = 3 - 2 * np.roll(y, -ahead)
    used = only(look(frame(y=y, x=x), past=("x",)), "copies-future")
    assert (used.level, used.where, used.count) == ("error", "x", ahead)
    assert only(look(frame(y=y, x=x)), "copies-future").level == "warning"


def test_a_known_future_covariate_that_is_the_target_is_found() -> None:
    y = wave()
    assert only(look(frame(x=2 * y), future=("x",)), "copies-future").level == "error"
    assert only(look(frame(x=np.roll(y, 3)), future=("x",)), "copies-future").level == "error"
    assert only(look(frame(x=2 * y), past=("x",)), "copies-target").level == "warning"


def test_honest_covariates_are_left_in_peace() -> None:
    rng = np.random.default_rng(3)
    y = wave() + np.cumsum(rng.normal(0, 1, 480))
    past = np.roll(y, 2) + rng.normal(0, 0.1, 480)
    noisy_forecast = y + rng.normal(0, 3, 480)
    assert not check_leaks(
        {"y": y},
        {"past": past, "near": y + rng.normal(0, 0.5, 480), "forecast": noisy_forecast},
        frozenset({"past"}),
        frozenset({"forecast"}),
        24,
    )


def test_a_target_that_repeats_itself_has_no_copies() -> None:
    y = np.sin(np.arange(480) / 24 * 2 * np.pi)
    assert not check_leaks({"y": y}, {"x": np.cos(np.arange(480) / 24 * 2 * np.pi)}, frozenset({"x"}), NOTHING, 24)


def test_parts_that_add_up_to_the_target_are_found(shared: Path) -> None:
    report = look(shared / "bike_sharing" / "hour.csv.gz", target=("cnt",), time="instant", future=("casual", "registered"))
    finding = only(report, "adds-up-to-target")
    assert (finding.level, finding.where) == ("error", "casual + registered")


def test_the_codes_of_real_sensors_are_found(shared: Path) -> None:
    report = look(shared / "air_quality_uci" / "AirQualityUCI.csv.gz")
    cells = {finding.where: finding.count for finding in report.findings if finding.code == "sentinel"}
    assert len(cells) == 13
    assert (cells["CO(GT)"], cells["NMHC(GT)"], cells["T"]) == (1683, 8443, 366)
    weather = look(shared / "weather_mpi" / "weather.csv.gz")
    assert sum(finding.count for finding in weather.findings if finding.code == "sentinel") == 81
    assert only(weather, "duplicates").examples == ("2020-05-12 06:00:00: rows 19044 and 19045",)


def test_a_good_real_table_has_no_error(shared: Path) -> None:
    report = look(shared / "ett" / "ETTh1.csv", target=("OT",), time="date")
    assert codes(report) == {"outliers"}
    assert only(report, "outliers").count < 20


def test_the_text_names_every_finding(tmp_path: Path) -> None:
    report = look(frame(y=changed(wave(), [5, 6, 200], -999)).vstack(frame()[[7]]))
    out = io.StringIO()
    show_report(report, Console(file=out, width=300))
    text = out.getvalue()
    for finding in report.findings:
        assert finding.message in text
    assert "1 error, 1 warning" in text
    assert "hourly, seasons 24, 168" in text


def test_the_verb_prints_json_and_says_whether_there_are_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.parquet", tmp_path / "坏.parquet"
    frame().write_parquet(good)
    frame(y=[None] * 480).write_parquet(bad)
    assert run(str(good), DataSettings(horizon=1), as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    assert run(str(bad), DataSettings(horizon=1), as_json=True) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["errors"], answer["source"]) == (1, "坏.parquet")
    assert run(str(bad), DataSettings(horizon=1), quiet=True) == 1
    assert capsys.readouterr().out == ""
    assert run(str(bad), DataSettings(horizon=1)) == 1
    assert "no number at all" in capsys.readouterr().out
