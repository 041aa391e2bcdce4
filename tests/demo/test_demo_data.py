"""The data that ships with the package."""

from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

import tidegate
from tidegate.demo.make_bike_sharing import make


def test_it_is_bike_sharing_with_its_gaps() -> None:
    table = pl.read_parquet(tidegate.demo_data())
    assert table.columns == ["when", "cnt", "temp", "hum", "windspeed", "weathersit", "holiday", "workingday"]
    assert len(table) == 17_379
    assert table["cnt"].sum() == 3_292_679
    assert len(table.upsample("when", every="1h")) - len(table) == 165
    assert table["when"].is_unique().all()
    assert tidegate.demo_data().stat().st_size < 200_000


def test_it_is_what_the_script_makes(shared: Path) -> None:
    assert_frame_equal(pl.read_parquet(tidegate.demo_data()), make(shared / "bike_sharing" / "hour.csv.gz"))


def test_both_ways_to_write_a_date_are_read(tmp_path: Path) -> None:
    head = "dteday,hr,cnt,temp,hum,windspeed,weathersit,holiday,workingday\n"
    (tmp_path / "a.csv").write_text(head + "1/31/2011,5,16,0.24,0.81,0,1,0,1\n")
    (tmp_path / "b.csv").write_text(head + "2011-01-31,5,16,0.24,0.81,0,1,0,1\n")
    assert str(make(tmp_path / "a.csv")["when"][0]) == "2011-01-31 05:00:00"
    assert_frame_equal(make(tmp_path / "a.csv"), make(tmp_path / "b.csv"))
