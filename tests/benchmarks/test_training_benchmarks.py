"""The benchmarks that train, and that of the data's path, on tiny files."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmarks import data_path, data_path_parts, long_horizon, m4_weekly

TINY = ["--set", "training.max_steps=3", "--set", "network.hidden=8"]


def call(module: Any, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `--json` prints: one object, nothing else."""
    monkeypatch.setattr(sys, "argv", ["benchmark", *arguments, "--json"])
    module.main()
    found = json.loads(capsys.readouterr().out)
    assert {"machine", "versions", "command"} <= set(found)
    return found


@pytest.fixture
def hourly(tmp_path: Path) -> Path:
    """Two channels of 300 hours."""
    steps = np.arange(300)
    times = np.datetime64("2020-01-01T00:00:00", "us") + steps * np.timedelta64(3600, "s")
    noise = np.random.default_rng(0).standard_normal((2, 300))
    frame = pl.DataFrame({"date": times, "a": 50.0 + 10.0 * noise[0].cumsum(), "b": np.sin(steps / 4.0) + noise[1]})
    file = tmp_path / "hours.csv"
    frame.write_csv(file)
    return file


def test_long_horizon(hourly: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Scores are those of the protocol, worked out here from the file: population deviation, every window, each channel alike."""
    arguments = ["--data", str(hourly), "--horizon", "6", "--lookback", "24", "--border", "150,60,80", "--seeds", "2", *TINY]
    found = call(long_horizon, arguments, monkeypatch, capsys)
    values = pl.read_csv(hourly).select("a", "b").to_numpy()
    scaled = (values - values[:150].mean(0)) / values[:150].std(0)
    origins = np.arange(210, 290 - 6 + 1)
    error = scaled[origins[:, None] + np.arange(6)] - scaled[origins - 1][:, None]
    assert found["windows"] == len(origins)
    assert found["baselines"]["repeat_last"]["mse"] == pytest.approx((error**2).mean(), rel=1e-5)
    assert found["baselines"]["repeat_last"]["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
    assert found["network"] == "attention-cnn-lstm"
    assert [run["seed"] for run in found["seeds"]] == [0, 1]
    assert found["mse"] == pytest.approx(np.mean([run["mse"] for run in found["seeds"]]))
    assert set(found["baselines"]["ridge"]) == {"mse", "mae"}


def test_long_horizon_of_a_file_without_whole_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows are steps where the time column repeats itself; per cents are the default of unknown names."""
    file = tmp_path / "odd.csv"
    pl.DataFrame({"date": ["2020-01-01", "2020-01-01"] * 50, "a": np.arange(100.0) ** 1.5}).write_csv(file)
    found = call(long_horizon, ["--data", str(file), "--horizon", "2", "--lookback", "4", *TINY], monkeypatch, capsys)
    assert found["split"] == "70/10/20"
    assert found["windows"] == 20 - 2 + 1


@pytest.mark.parametrize(
    ("name", "border"), [("ETTh2.csv", (8640, 2880, 2880)), ("ETTm1.csv.gz", (34560, 11520, 11520)), ("x.csv", (70, 10, 20))]
)
def test_borders(name: str, border: tuple[int, ...]) -> None:
    assert long_horizon.default_border(Path(name)) == border


def test_long_horizon_on_ett(shared: Path) -> None:
    """The figures that are known of ETTh1 at 96: repeat-last 1.294, ridge 0.3655 at a lookback of 720."""
    from argparse import Namespace

    from tidegate.evaluate.baselines import repeat_last
    from tidegate.tasks.forecasting.backtest import history_of

    file = shared / "ett" / "ETTh1.csv"
    options = Namespace(data=file, horizon=96, lookback=720, network="lstm", border=None, set=[])
    material = long_horizon.gather_rows(options)
    test = material.test_set(2**62, stride=1)
    assert len(test) == 2880 - 96 + 1
    assert long_horizon.scores(test, lambda block: repeat_last(history_of(block)))["mse"] == pytest.approx(1.294, abs=5e-4)
    assert long_horizon.scores(test, long_horizon.ridge_of(material))["mse"] == pytest.approx(0.3655, abs=5e-4)


def write_rows(file: Path, rows: list[list[float]], width: int) -> None:
    """M4's layout: an id, then the values, then nothing up to the longest."""
    header = ",".join(f'"V{number + 1}"' for number in range(width + 1))
    lines = [",".join([f'"W{number + 1}"', *map(str, row), *[""] * (width - len(row))]) for number, row in enumerate(rows)]
    file.write_text("\n".join([header, *lines]) + "\n")


def test_m4_weekly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Series of different length; the rivals' scores are worked out here from the two files."""
    random = np.random.default_rng(1)
    whole = [(100.0 + random.standard_normal(length + 13).cumsum()).round(3).tolist() for length in (80, 120, 95)]
    past, future = [row[:-13] for row in whole], [row[-13:] for row in whole]
    write_rows(tmp_path / "train.csv", past, 120)
    write_rows(tmp_path / "test.csv", future, 13)
    arguments = ["--train", str(tmp_path / "train.csv"), "--test", str(tmp_path / "test.csv"), "--set", "data.lookback=20", *TINY]
    found = call(m4_weekly, arguments, monkeypatch, capsys)
    changes = [np.abs(np.diff(row)).mean() for row in past]
    mase = np.mean([np.abs(np.array(after) - row[-1]).mean() / change for after, row, change in zip(future, past, changes, strict=True)])
    smape = np.mean(
        [200 * (abs(np.array(after) - row[-1]) / (np.array(after) + row[-1])).mean() for after, row in zip(future, past, strict=True)]
    )
    assert found["baselines"]["repeat_last"]["mase"] == pytest.approx(mase, rel=1e-5)
    assert found["baselines"]["repeat_last"]["smape"] == pytest.approx(smape, rel=1e-5)
    assert set(found["baselines"]) == {"repeat_last", "drift", "ridge"}
    assert found["series"] == 3
    assert np.isfinite([found["mase"], found["smape"], found["mase_held_out"]]).all()


def test_m4_weekly_names_a_series_that_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(tmp_path / "train.csv", [list(range(200)), list(range(200))], 200)
    write_rows(tmp_path / "test.csv", [list(range(13))], 13)
    monkeypatch.setattr(sys, "argv", ["m4_weekly", "--train", str(tmp_path / "train.csv"), "--test", str(tmp_path / "test.csv")])
    with pytest.raises(SystemExit):
        m4_weekly.main()
    assert "series 'W2' has 0 values; expected 13" in capsys.readouterr().err


def test_data_path(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Its parts in Pythons of their own."""
    monkeypatch.setattr(data_path, "SERIES", (3,))
    found = call(data_path, ["--rows", "3000"], monkeypatch, capsys)["rows"][0]
    assert (found["series"], found["rows"], found["data_mb"]) == (3, 3000, 3000 * 4 / 1e6)
    assert found["rows_per_second"] > 0


def test_share_of_a_step(tmp_path: Path) -> None:
    file = tmp_path / "one.parquet"
    data_path_parts.write(str(file), "1", "2000")
    found = data_path_parts.step(str(file), "3")
    assert found["steps"] == 3
    assert 0 < found["share_outside"] < 0.5
