"""The first pass over a table: bounds and steps of each series, in any order of rows."""

import numpy as np
import polars as pl
import pytest

from tidegate.data import scan
from tidegate.data.read import read_table
from tidegate.data.scan import Keys, scan_series
from tidegate.data.times import TimeFormat

KEYS = Keys("id", "t", TimeFormat("integer"), "data frame")
FRAME = pl.DataFrame(
    {
        "id": ["b"] * 20 + ["a"] * 10 + ["c"] * 2,
        "t": [*range(100, 200, 5), *range(0, 100, 10), 7, 14],
    }
)
STEPS = {5: 19, 10: 9, 7: 1}


@pytest.mark.parametrize("order", ["by series", "by time", "shuffled"])
@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_bounds_and_steps(order: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "ROWS", rows)
    frame = {"by series": FRAME, "by time": FRAME.sort("t"), "shuffled": FRAME.sample(fraction=1.0, shuffle=True, seed=3)}[order]
    found = scan_series(read_table(frame), KEYS)
    assert found.ids == ("a", "b", "c")
    assert found.rows.tolist() == [10, 20, 2]
    assert found.low is not None
    assert found.high is not None
    assert found.low.to_list() == [0, 100, 7]
    assert found.high.to_list() == [90, 195, 14]
    assert {step: count for step, count in found.steps.items() if count} == STEPS
    assert found.sorted == (order != "shuffled")


def test_rows_are_counted_without_a_time_column() -> None:
    found = scan_series(read_table(FRAME), Keys("id", None, None, "data frame"))
    assert found.ids == ("a", "b", "c")
    assert found.rows.tolist() == [10, 20, 2]
    assert found.low is None


def test_codes_of_runs_equal_codes_of_rows() -> None:
    names = np.array(["x", "y", "z"])
    for pattern in (np.repeat([0, 2, 1, 0], 50), np.tile([0, 1, 2], 40)):
        codes = scan.encode_runs(pl.Series(names[pattern]), pl.Enum(["x", "y", "z"]))
        assert codes.tolist() == pattern.tolist()
