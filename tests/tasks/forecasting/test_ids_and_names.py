"""The columns of a forecast: ids of the type that came in, and no two of one name."""

import json
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

import tidegate as tg
from tests.tasks.forecasting.test_forecaster import forecaster
from tests.tasks.forecasting.tiny import one_series, panel
from tidegate.errors import SettingsError


def numbered(dtype: type[pl.DataType] = pl.Int64) -> pl.DataFrame:
    """A panel whose series are 9, 10 and 11."""
    numbers = pl.col("unique_id").replace_strict({"a": 9, "b": 10, "c": 11}, return_dtype=dtype)
    return panel().with_columns(numbers)


@pytest.mark.parametrize("dtype", [pl.Int64, pl.UInt8])
def test_whole_numbers_stay_whole_numbers(dtype: type[pl.DataType], tmp_path: Path) -> None:
    data = tmp_path / "panel.parquet"
    numbered(dtype).write_parquet(data)
    model = forecaster().fit(data)
    frame = model.predict()
    assert frame["unique_id"].dtype == dtype
    assert frame["unique_id"].unique(maintain_order=True).to_list() == [9, 10, 11]
    again = tg.load(model.save(tmp_path / "R"))
    assert again.predict().equals(frame)
    joined = numbered(dtype).join(frame, on="unique_id", how="semi")
    assert len(joined) == len(numbered(dtype)), "they join with the data without a cast"
    named = again.predict(panel())
    assert named["unique_id"].to_list()[0] == "a", "other data may have names"
    zeros = numbered(dtype).with_columns(("00" + pl.col("unique_id").cast(pl.String)).alias("unique_id"))
    assert again.predict(zeros)["unique_id"][0] == "0010"


def test_pandas_gets_numbers_back() -> None:
    data = numbered()
    frame = pd.DataFrame({name: data[name].to_list() for name in data.columns})
    said = forecaster().fit(frame).predict()
    assert said["unique_id"].dtype == frame["unique_id"].dtype


def test_a_run_folder_that_says_nothing_of_it_gives_text(tmp_path: Path) -> None:
    model = forecaster().fit(numbered())
    run = model.save(tmp_path / "R")
    tree = json.loads((run / "preparation.json").read_text())
    assert tree.pop("id_type") == "Int64"
    (run / "preparation.json").write_text(json.dumps(tree))
    manifest = json.loads((run / "run.json").read_text())
    del manifest["files"]["preparation.json"]
    (run / "run.json").write_text(json.dumps(manifest))
    assert tg.load(run).predict(numbered())["unique_id"].dtype == pl.String


@pytest.mark.parametrize(
    ("other", "columns"),
    [
        ("y_q10", {"target": ["y", "y_q10"]}),
        ("y_q90", {"target": "y", "id": "y_q90"}),
        ("step", {"target": ["y", "step"]}),
    ],
)
def test_two_columns_of_one_name_are_refused(other: str, columns: dict[str, str]) -> None:
    data = one_series().with_columns(pl.lit(1.0).alias(other))
    data = data.drop("ds") if other == "step" else data.with_columns(pl.lit("a").alias(other)) if "id" in columns else data
    with pytest.raises(SettingsError, match=f"two columns named '{other}'.*Rename the column in the data, or give other --quantiles"):
        forecaster().fit(data, **columns)


def test_other_quantiles_make_it_well() -> None:
    data = one_series().with_columns((pl.col("y") * 2).alias("y_q10"))
    frame = forecaster(quantiles=(0.2, 0.8)).fit(data, target=["y", "y_q10"]).predict()
    assert frame.columns == ["ds", "y", "y_q20", "y_q80", "y_q10", "y_q10_q20", "y_q10_q80"]
