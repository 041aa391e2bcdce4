"""A table of its own for the covariates that are known ahead: written in its own way, overlapping, incomplete."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import tidegate as tg
from tests.tasks.forecasting.test_forecaster import forecaster, values
from tests.tasks.forecasting.tiny import covariates, hours
from tidegate.errors import DataError
from tidegate.tasks.forecasting.reuse import predict_with
from tidegate.train.events import Said

DATA = covariates()
HEAD, TAIL = DATA[:314], DATA[314:].select("ds", "promo", "day")


@pytest.fixture(scope="module")
def model() -> tg.Forecaster:
    return forecaster().fit(DATA, past=["temp", "weather"], future=["promo", "day"])


@pytest.fixture(scope="module")
def panel_model() -> tg.Forecaster:
    return forecaster().fit(two(DATA), future=["promo"], id="site")


def two(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows as two series, with whole numbers for ids."""
    return pl.concat([frame.with_columns(pl.lit(site).alias("site")) for site in (9, 10)])


def told(model: tg.Forecaster, data: Any, future: Any) -> tuple[pl.DataFrame, list[str]]:
    """The forecast, and what was said."""
    said: list[str] = []
    assert model._model is not None
    frame = predict_with(model._model, data, future, False, lambda event: said.append(event.text) if isinstance(event, Said) else None)
    return frame, said


def written(frame: pl.DataFrame, path: Path, form: str) -> Path:
    frame.write_csv(path, datetime_format=form)
    return path


def test_each_table_writes_its_times_in_its_own_way(model: tg.Forecaster, tmp_path: Path) -> None:
    expected = values(model.predict(DATA))
    HEAD.write_parquet(tmp_path / "head.parquet")
    forms = ("%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y %H:%M")
    files = [written(TAIL, tmp_path / f"{number}.csv", form) for number, form in enumerate(forms)]
    TAIL.write_parquet(tmp_path / "tail.parquet")
    frame = pd.DataFrame({"ds": pd.to_datetime(TAIL["ds"].to_list()), "promo": TAIL["promo"].to_list(), "day": TAIL["day"].to_list()})
    csv = written(HEAD, tmp_path / "head.csv", "%Y-%m-%dT%H:%M:%S")
    for data in (HEAD, tmp_path / "head.parquet", csv):
        for future in (*files, tmp_path / "tail.parquet", frame):
            np.testing.assert_array_equal(values(model.predict(data, future)), expected)


def test_a_time_format_that_was_given_for_the_data_only(tmp_path: Path) -> None:
    data = written(HEAD, tmp_path / "head.csv", "%d/%m/%Y %H:%M")
    model = forecaster(data={"time_format": "%d/%m/%Y %H:%M"}).fit(data, future=["promo"])
    same = model.predict(None, written(TAIL, tmp_path / "same.csv", "%d/%m/%Y %H:%M"))
    assert model.predict(None, written(TAIL, tmp_path / "other.csv", "%Y-%m-%d %H:%M")).equals(same)


def test_numbers_as_text_and_ids_as_fractions(panel_model: tg.Forecaster) -> None:
    expected = values(panel_model.predict(two(DATA)))
    tail = two(TAIL)
    text = tail.with_columns(pl.col("promo").cast(pl.String), pl.col("site").cast(pl.String))
    floats = tail.with_columns(pl.col("site").cast(pl.Float64))
    for future in (tail, text, floats):
        np.testing.assert_array_equal(values(panel_model.predict(two(HEAD), future)), expected)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("yesterday,1,work", r"future.csv, row 2, column 'ds': 'yesterday' is no time"),
        ("2024-01-14 03:30,1,work", r"future.csv, row 2, column 'ds': .*03:30"),
        ("2024-01-14 03:00,lots,work", r"future.csv, row 2, column 'promo': 'lots' is no number"),
        ("2024-01-14 02:00,0,work", r"future.csv: rows 1, 2 have the same time"),
    ],
)
def test_errors_name_the_future_table_and_its_rows(model: tg.Forecaster, tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "future.csv").write_text(f"ds,promo,day\n2024-01-14 02:00,0,work\n{rows}\n")
    with pytest.raises(DataError, match=message):
        model.predict(HEAD, tmp_path / "future.csv")


def test_rows_up_to_the_last_target_are_left_out(model: tg.Forecaster) -> None:
    expected = values(model.predict(DATA))
    frame, said = told(model, HEAD, DATA.select("ds", "promo", "day"))
    np.testing.assert_array_equal(values(frame), expected)
    assert "data frame: 314 of 320 rows are not after the last target of their series and are left out" in said
    assert not [text for text in told(model, HEAD, TAIL)[1] if "left out" in text]


def test_after_the_last_target_the_future_table_counts(model: tg.Forecaster) -> None:
    other = TAIL.with_columns((1.0 - pl.col("promo")).alias("promo"))
    np.testing.assert_array_equal(values(model.predict(DATA, other)), values(model.predict(HEAD, other)))
    assert not np.array_equal(values(model.predict(DATA, other)), values(model.predict(DATA)))


def test_each_series_has_its_own_last_target(panel_model: tg.Forecaster) -> None:
    short = two(HEAD).filter((pl.col("site") == 9) | (pl.col("ds") < hours(311)[310]))
    frame, said = told(panel_model, short, two(DATA).select("site", "ds", "promo"))
    assert frame["ds"].to_list() == hours(320)[314:] + hours(316)[310:]
    assert "624 of 640 rows are not after" in " ".join(said)


def test_series_that_the_data_does_not_have(panel_model: tg.Forecaster) -> None:
    strange = two(TAIL).with_columns(pl.col("site") + 1)
    with pytest.raises(DataError, match=r"of series '9'; the data gives 0"):
        panel_model.predict(two(HEAD), strange)
    more = pl.concat([two(TAIL), strange.filter(pl.col("site") == 11)])
    frame, said = told(panel_model, two(HEAD), more)
    assert len(frame) == 12
    assert any("rows of series that data frame does not have are left out: '11'" in text for text in said)
    with pytest.raises(DataError, match=r"no series of data frame is in it, only '19', '20'"):
        panel_model.predict(two(HEAD), two(TAIL).with_columns(pl.col("site") + 10))


def test_missing_steps_are_named(model: tg.Forecaster) -> None:
    with pytest.raises(DataError, match=r"Needed from 2024-01-14 02:00:00 to 2024-01-14 07:00:00; missing: 2024-01-14 04:00:00\. Add"):
        model.predict(HEAD, TAIL.filter(pl.col("ds") != datetime.datetime(2024, 1, 14, 4)))
    with pytest.raises(DataError, match=r"gives 0\. Needed .*missing: 2024-01-14 02:00:00, .* and 1 more\."):
        model.predict(HEAD, HEAD.select("ds", "promo", "day"))
    with pytest.raises(DataError, match=r"gives 6\. Needed .*missing: all values of promo\."):
        model.predict(HEAD, TAIL.with_columns(pl.lit(None, pl.Float64).alias("promo")))


def test_the_data_needs_every_column_that_was_declared(model: tg.Forecaster) -> None:
    with pytest.raises(DataError, match=r"no column 'promo' \(--future\)"):
        model.predict(HEAD.drop("promo"), TAIL)
    with pytest.raises(DataError, match=r"no column 'temp' \(--past\)"):
        model.predict(HEAD.drop("temp"), TAIL)


def test_missing_covariates_are_said(model: tg.Forecaster) -> None:
    assert not [text for text in told(model, HEAD, TAIL)[1] if "missing values" in text]
    hole = pl.int_range(pl.len()) == 300
    for name in ("temp", "promo"):
        data = HEAD.with_columns(pl.when(hole).then(None).otherwise(pl.col(name)).alias(name))
        said = " ".join(told(model, data, TAIL)[1])
        assert "missing values in covariates, which training did not have: their mean in training stands in" in said
        assert "missing values in the lookback" not in said


def test_a_wide_table() -> None:
    data = pl.DataFrame({"when": hours(320), "north": DATA["y"], "south": DATA["y"] * 10, "promo": DATA["promo"]})
    model = forecaster(data={"layout": "wide"}).fit(data, time="when", future=["promo"])
    head, tail = data[:314], data[314:].select(pl.col("when").dt.strftime("%Y-%m-%d %H:%M"), "promo")
    assert model.predict(head, tail).equals(model.predict(data))
