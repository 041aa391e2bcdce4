"""The quick tour of the README, typed word by word on small tables."""

import runpy
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.tasks.transcription.tiny import COMMAND as SPEECH
from tests.tasks.transcription.tiny import whistle, write_corpus, write_wav
from tests.test_readme import blocks
from tidegate.cli import app

SMALL = ["network.hidden=8", "training.max_epochs=2", "training.windows_per_epoch=256", "training.threads=1"]
MORE = {
    "train": [part for setting in SMALL for part in ("--set", setting)],
    "tune": [*(part for setting in SMALL for part in ("--set", setting)), "--trials", "2"],
}


CLASSES = [
    "--network",
    "lstm",
    "--set",
    "network.hidden=8",
    "--max-epochs",
    "2",
    "--set",
    "training.members=1",
    "--set",
    "training.threads=1",
]


def write_load(path: Path, begin: int, rows: int) -> None:
    """Hours with a daily wave; hour 0 is 2024-01-01 00:00."""
    hours = np.arange(begin, begin + rows)
    times = np.datetime64("2024-01-01", "us") + hours * np.timedelta64(1, "h")
    load = 10 + 3 * np.sin(hours / 24 * 2 * np.pi) + np.random.default_rng(begin).normal(0, 0.3, rows)
    pl.DataFrame({"when": times, "load": load}).write_csv(path, datetime_format="%Y-%m-%d %H:%M")


def write_steps(path: Path, recordings: int) -> None:
    """Recordings of 20 to 30 steps with one channel, slow or fast."""
    random = np.random.default_rng(recordings)
    parts = []
    for number in range(recordings):
        steps = int(random.integers(20, 31))
        pace = np.sin(np.arange(steps) * (0.3, 1.0)[number % 2]) + random.normal(0, 0.1, steps)
        parts.append(pl.DataFrame({"recording": [number] * steps, "activity": [("walk", "run")[number % 2]] * steps, "pace": pace}))
    pl.concat(parts).write_csv(path)


def write_archive(path: Path, sequences: int) -> None:
    """A .ts file of two classes."""
    random = np.random.default_rng(sequences)
    head = "@problemName Pace\n@univariate true\n@classLabel true 1 2\n@data\n"
    rows = [np.sin(np.arange(25) * (0.3, 1.0)[number % 2]) + random.normal(0, 0.1, 25) for number in range(sequences)]
    path.write_text(head + "".join(f"{','.join(f'{x:.4f}' for x in row)}:{number % 2 + 1}\n" for number, row in enumerate(rows)))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all files of the tour, as the current one."""
    write_load(tmp_path / "load.csv", 0, 400)
    write_load(tmp_path / "newer.csv", 400, 300)
    for name, recordings in (("steps", 60), ("labelled", 20), ("new", 12)):
        write_steps(tmp_path / f"{name}.csv", recordings)
    write_archive(tmp_path / "GunPoint_TRAIN.ts", 30)
    write_archive(tmp_path / "GunPoint_TEST.ts", 20)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command_lines(number: int) -> list[list[str]]:
    """The words of the lines of one block of commands, by its place."""
    found = [block for block in blocks("README.md") if block.startswith("tidegate ")]
    return [line.split("#")[0].split() for line in found[number].splitlines() if line.startswith("tidegate ")]


def test_every_command_of_forecasts(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = command_lines(0)
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


def test_every_command_of_classes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = command_lines(1)
    assert [words[1] for words in lines] == ["check", "train", "train", "evaluate", "predict"]
    for words in lines:
        assert app.run([*words[1:], *(CLASSES if words[1] == "train" else [])]) == 0, capsys.readouterr().err
    frame = pl.read_csv(here / "classes.csv")
    assert frame.columns == ["recording", "activity", "p_run", "p_walk"] and len(frame) == 12
    for run in ("steps", "GunPoint_TRAIN"):
        assert (here / "runs" / run / "report.html").is_file()


def test_the_python_lines_of_classes(here: Path) -> None:
    (snippet,) = (block for block in blocks("README.md") if block.startswith("import numpy"))
    (here / "classes.py").write_text(snippet)
    said = runpy.run_path(str(here / "classes.py"))
    assert list(said["labels"][:2]) != [] and set(said["labels"]) <= {"walk", "run"}
    assert said["probabilities"].shape == (100, 2) and said["now"].shape == (2,)


def test_the_python_lines(here: Path) -> None:
    (snippet,) = (block for block in blocks("README.md") if "tg.Forecaster" in block)
    (here / "tour.py").write_text(snippet)
    said = runpy.run_path(str(here / "tour.py"))
    assert len(said["forecast"]) == 24
    assert "ridge" in said["scores"].baselines
    assert (here / "runs" / "load" / "run.json").is_file()


def test_every_command_of_speech(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """But the one that needs a microphone."""
    write_corpus(here / "recordings")
    write_wav(here / "new.wav", whistle("cad"))
    lines = command_lines(2)
    assert [words[1] for words in lines] == ["train", "train", "evaluate", "predict"]
    for words in lines:
        assert app.run([*words[1:], *(SPEECH if words[1] == "train" else [])]) == 0, capsys.readouterr().err
    assert "audio,token,begin,end,confidence\n" in capsys.readouterr().out
    for run in ("speech", "live"):
        assert (here / "runs" / run / "report.html").is_file()


def test_the_python_lines_of_speech(here: Path) -> None:
    write_corpus(here / "recordings")
    write_wav(here / "new.wav", whistle("cad"))
    (snippet,) = (block for block in blocks("README.md") if "tg.Transcriber" in block)
    (here / "spoken.py").write_text(snippet.replace('network="causal-lstm"', 'network="causal-lstm", max_epochs=1'))
    said = runpy.run_path(str(here / "spoken.py"))
    assert said["texts"].columns == ["audio", "text", "confidence", "seconds"]
    assert set(said["scores"].metrics) == {"cer", "wer"} and said["stream"].rate == 8000


def test_the_lstm_lines(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (snippet,) = (block for block in blocks("README.md") if block.startswith("import torch"))
    (here / "layer.py").write_text(snippet)
    said = runpy.run_path(str(here / "layer.py"))
    assert said["y"].shape == (32, 96, 128) and said["h"].shape == (1, 32, 128)
    assert (said["y"][0, int(said["lengths"][0]) :] == 0).all()
    np.testing.assert_allclose(said["now"], said["y"][0, :1].detach(), rtol=0, atol=1e-6)
    assert capsys.readouterr().out.startswith(("native (", "torch ("))
