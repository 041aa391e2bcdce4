"""The quick tour of the README, typed word by word on a small table."""

import runpy
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.test_readme import blocks
from tidegate.cli import app

SMALL = ["network.hidden=8", "training.max_epochs=2", "training.windows_per_epoch=256", "training.threads=1"]
MORE = {
    "train": [part for setting in SMALL for part in ("--set", setting)],
    "tune": [*(part for setting in SMALL for part in ("--set", setting)), "--trials", "2"],
}


def write_load(path: Path, begin: int, rows: int) -> None:
    """Hours with a daily wave; hour 0 is 2024-01-01 00:00."""
    hours = np.arange(begin, begin + rows)
    times = np.datetime64("2024-01-01", "us") + hours * np.timedelta64(1, "h")
    load = 10 + 3 * np.sin(hours / 24 * 2 * np.pi) + np.random.default_rng(begin).normal(0, 0.3, rows)
    pl.DataFrame({"when": times, "load": load}).write_csv(path, datetime_format="%Y-%m-%d %H:%M")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with load.csv and newer.csv, as the current one."""
    write_load(tmp_path / "load.csv", 0, 400)
    write_load(tmp_path / "newer.csv", 400, 300)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split("#")[0].split() for block in blocks("README.md") for line in block.splitlines() if line.startswith("tidegate ")]
    assert [words[1] for words in lines] == ["check", "train", "evaluate", "predict", "predict", "tune"]
    begins = []
    for words in lines:
        assert app.run([*words[1:], *MORE.get(words[1], [])]) == 0, capsys.readouterr().err
        if words[1] == "predict":
            frame = pl.read_csv(here / "forecast.csv", try_parse_dates=True)
            assert len(frame) == 24
            begins.append(str(frame["when"][0]))
    assert begins == ["2024-01-17 16:00:00", "2024-01-30 04:00:00"]
    for run in ("load", "tuned"):
        assert (here / "runs" / run / "report.html").is_file()


def test_the_python_lines(here: Path) -> None:
    (snippet,) = (block for block in blocks("README.md") if block.startswith("import tidegate"))
    (here / "tour.py").write_text(snippet)
    said = runpy.run_path(str(here / "tour.py"))
    assert len(said["forecast"]) == 24
    assert "ridge" in said["scores"].baselines
    assert (here / "runs" / "load" / "run.json").is_file()


def test_the_lstm_lines(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = (block for block in blocks("README.md") if block.startswith("import torch"))
    (here / "layer.py").write_text(snippet)
    said = runpy.run_path(str(here / "layer.py"))
    assert said["y"].shape == (32, 96, 128) and said["h"].shape == (1, 32, 128)
    assert (said["y"][0, int(said["lengths"][0]) :] == 0).all()
    np.testing.assert_allclose(said["now"], said["y"][0, :1].detach(), rtol=0, atol=1e-6)
    assert capsys.readouterr().out.startswith(("native (", "torch ("))
