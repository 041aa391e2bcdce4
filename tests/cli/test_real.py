"""The verbs on a small real file, as a user types them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tidegate.cli import app

SMALL = ["--network", "lstm", "--set", "network.hidden=4", "--lookback", "24", "--set", "training.threads=1"]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty days of hours with a daily wave, in Chinese."""
    path = tmp_path_factory.mktemp("data") / "负荷.csv"
    hours, noise = np.arange(960), np.random.default_rng(0).normal(size=960)
    when = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 2, 9, 23), "1h", eager=True)
    pl.DataFrame({"时间": when, "负荷": 10 + 3 * np.sin(hours / 24 * 2 * np.pi) + 0.3 * noise}).write_csv(path)
    return path


@pytest.fixture(scope="module")
def run(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    out = tmp_path_factory.mktemp("runs") / "R"
    words = [
        "train",
        "forecast",
        str(table),
        "--target",
        "负荷",
        "--time",
        "时间",
        "--horizon",
        "6",
        "--max-epochs",
        "2",
        "--out",
        str(out),
    ]
    assert app.run([*words, *SMALL, "--quiet"]) == 0
    return out


def test_check(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["check", str(table), "--target", "负荷", "--time", "时间", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["task"] == "check"


def test_check_says_no(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "twice.csv"
    path.write_text("ds,y\n2024-01-01,1\n2024-01-01,2\n2024-01-02,3\n")
    assert app.run(["check", str(path)]) == 1
    assert "error" in capsys.readouterr().out


def test_evaluate(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["evaluate", str(run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"task", "metrics", "baselines", "verdict", "table"} <= set(found)
    assert {"mae", "rmse", "mape", "smape", "mase", "r2", "bias", "pinball", "coverage_80"} <= set(found["metrics"])
    assert {"mean", "repeat_last", "seasonal_naive", "drift", "moving_average", "ridge"} <= set(found["baselines"])
    assert app.run(["evaluate", str(run), "--origins", "2"]) == 0
    assert "mae ↓" in capsys.readouterr().out


def test_predict(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["predict", str(run), "--out", str(tmp_path / "F.csv")]) == 0
    frame = pl.read_csv(tmp_path / "F.csv", try_parse_dates=True)
    assert frame.columns == ["时间", "负荷", "负荷_q10", "负荷_q90"]
    assert str(frame["时间"][0]) == "2024-02-10 00:00:00"
    assert len(frame) == 6
    capsys.readouterr()
    assert app.run(["predict", str(run), "--quiet"]) == 0
    assert capsys.readouterr().out == (tmp_path / "F.csv").read_text(encoding="utf-8")


def test_nothing_is_overwritten_unasked(run: Path, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    words = ["train", "forecast", str(table), "--target", "负荷", "--time", "时间", "--horizon", "6", "--out", str(run), *SMALL]
    assert app.run(words) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before


def test_an_interrupt_saves_and_resume_goes_on(table: Path, tmp_path: Path) -> None:
    words = ["train", "forecast", str(table), "--target", "负荷", "--time", "时间", "--horizon", "6", "--out", str(tmp_path / "R"), *SMALL]
    words += ["--set", "training.patience=1000", "--max-epochs", "100"]
    call = [sys.executable, "-u", "-c", "from tidegate.cli.app import main; main()"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([*call, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    while not process.stderr.readline().startswith("epoch 3/"):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert "the same command with --resume goes on" in out
    assert "Traceback" not in err
    saved = json.loads((tmp_path / "R" / "run.json").read_text())
    assert saved["state"] == "training"
    assert (tmp_path / "R" / "checkpoint").is_dir()
    for _ in ("goes on to the end", "is done already"):
        assert app.run([*words, "--resume", "--quiet"]) == 0
    lines = (tmp_path / "R" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == list(range(100))


def test_an_option_given_twice(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pl.read_csv(table).with_columns((pl.col("负荷") * 2).alias("b"))
    frame.write_csv(tmp_path / "two.csv")
    assert app.run(["check", str(tmp_path / "two.csv"), "--time", "时间", "--target", "负荷", "--target", "b", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["facts"]["targets"] == ["负荷", "b"]
