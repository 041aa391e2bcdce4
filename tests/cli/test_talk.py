"""What people and programs see: scores, summaries, progress."""

import io
import json
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from tidegate.cli import app
from tidegate.cli.output import say_json
from tidegate.cli.progress import Log, Watch, describe, duration, listening
from tidegate.cli.show import aim, leaderboard
from tidegate.runs.plain import plain
from tidegate.train.events import EpochEnded, Said, Saved, Started, Stepped, Stopped

Scores = dict[str, float]
METRICS: Scores = {"mae": 1.5, "rmse": 2.0, "r2": float("nan"), "coverage_80": 0.81}
BASELINES: dict[str, Scores] = {
    "ridge": {"mae": 1.25, "rmse": 3.0, "r2": 0.5, "coverage_80": float("nan")},
    "mean": {"mae": 4.0, "rmse": 5.0},
}
TABLE: list[dict[str, Any]] = [
    {"rank": 1, "name": "ridge"} | BASELINES["ridge"],
    {"rank": 2, "name": "lstm"} | METRICS,
    {"rank": 3, "name": "mean"} | BASELINES["mean"],
]


@dataclass
class Result:
    """Stands for a Summary and for an Evaluation."""

    folder: Path = Path("R")
    metrics: dict[str, float] = field(default_factory=lambda: METRICS)
    baselines: dict[str, dict[str, float]] = field(default_factory=lambda: BASELINES)
    verdict: str = "It loses to ridge."
    seconds: float = 2.5
    notes: list[str] = field(default_factory=lambda: ["season: 24 [derived]"])
    table: list[dict[str, Any]] = field(default_factory=lambda: TABLE)
    interrupted: bool = False
    tuning: Any = None
    task: str = "forecast"

    def to_json(self) -> dict[str, Any]:
        return {"task": "forecast", "metrics": self.metrics, "origins": np.int64(7)}


STRICT = [{name: None if value != value else value for name, value in row.items()} for row in TABLE]


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module: Any = ModuleType("tidegate.tasks.forecasting.verbs")
    module.calls = []

    def train(data: Any, config: Any, out: Path, *, resume: bool, overwrite: bool, listen: Any, interrupted: Any) -> Result:
        module.calls.append((data, config.data.horizon, out, resume, overwrite))
        for event in EVENTS:
            listen(event)
        return Result(out)

    def predict(run: Path, data: Any, *, future: Any, out: str | None, refit: bool, listen: Any) -> pl.DataFrame:
        module.calls.append((run, data, future, out, refit))
        return pl.DataFrame({"站点": ["a"], "when": [datetime(2024, 1, 1, 1)], "负荷": [float("nan")]})

    module.train, module.predict = train, predict
    module.evaluate = lambda run, data, *, origins, statistical: Result()
    monkeypatch.setitem(sys.modules, "tidegate.tasks.forecasting.verbs", module)
    return module


EVENTS = [
    Said("season: 24 [derived]"),
    Started(0, 0, 2, 10, 1234, 2560, "cpu", 2),
    Stepped(0, 1, 0.9, 1.0, 0.001, 500.0, 1.0),
    Stepped(0, 5, 0.8, 1.0, 0.001, 500.0, 3.0),
    EpochEnded(0, 10, 0.75, 0.7, 0.001, True, 0.7, 5.5),
    Saved(0, 10),
    Stopped("all epochs done", 2, 0, 0.7, 200.0),
]


def test_train_for_people(tasks: Any, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "forecast", "data/ett h1.csv.gz", "--horizon", "3", "--resume", "--overwrite"]
    assert app.run(words) == 0
    assert tasks.calls == [("data/ett h1.csv.gz", 3, Path("runs/ett h1"), True, True)]
    out, err = capsys.readouterr()
    assert "It loses to ridge." in out
    assert "tidegate predict 'runs/ett h1' --out forecast.csv" in out
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["ridge", "lstm", "mean"]
    assert err.splitlines() == [
        "note: season: 24 [derived]",
        "training: 1,234 parameters, 2,560 windows an epoch, at most 2 epochs, cpu with 2 threads",
        "epoch 1/2: train 0.7500, validation 0.7000 (best), 6 s, at most 8 s left",
        "stopped: all epochs done; best epoch 1, validation 0.7000, 3 min 20 s",
    ]


def test_train_for_programs(tasks: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["train", "forecast", "a.csv", "--horizon", "3", "--out", "R", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {
        "task": "forecast", "run": "R", "table": STRICT, "verdict": "It loses to ridge.", "seconds": 2.5, "notes": ["season: 24 [derived]"],
        "metrics": METRICS | {"r2": None}, "baselines": {"ridge": BASELINES["ridge"] | {"coverage_80": None}, "mean": BASELINES["mean"]},
    }  # fmt: skip


@pytest.mark.parametrize("words", [["train", "forecast", "a.csv", "--horizon", "3"], ["evaluate", "R"], ["predict", "R", "--out", "f.csv"]])
def test_quiet(tasks: Any, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([*words, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_evaluate(tasks: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["evaluate", "R"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("note: season: 24 [derived]\n")
    assert "mae ↓" in out
    assert "coverage_80 →0.8" in out
    assert app.run(["evaluate", "R", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {"task": "forecast", "metrics": METRICS | {"r2": None}, "origins": 7, "table": STRICT}


def test_predict(tasks: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["predict", "R", "new.csv", "--out", "f.csv", "--future", "w.csv", "--refit"]) == 0
    assert tasks.calls == [(Path("R"), "new.csv", "w.csv", "f.csv", True)]
    assert capsys.readouterr().out == "1 rows in f.csv\n"
    assert app.run(["predict", "R"]) == 0
    assert capsys.readouterr().out == "站点,when,负荷\na,2024-01-01 01:00:00,NaN\n"
    assert app.run(["predict", "R", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["forecast"] == [{"站点": "a", "when": "2024-01-01T01:00:00", "负荷": None}]
    assert (found["rows"], found["columns"], found["out"]) == (1, ["站点", "when", "负荷"], None)


def test_a_narrow_terminal_gets_fewer_metrics() -> None:
    file = io.StringIO()
    Console(file=file, width=40).print(leaderboard(TABLE, BASELINES, 40))
    head = file.getvalue().splitlines()[0].split()
    assert head == ["mae", "↓", "rmse", "↓", "r2", "↑"]
    assert "…" not in file.getvalue()


def test_aims() -> None:
    assert [aim(name) for name in ("mae", "r2", "bias", "coverage_80", "coverage_95", "other")] == ["↓", "↑", "→0", "→0.8", "→0.95", ""]
    assert [aim(name) for name in ("per", "per_no_silence", "cer", "wer", "sentences_right")] == ["↓", "↓", "↓", "↓", "↑"]


def test_json_is_strict(capsys: pytest.CaptureFixture[str]) -> None:
    value = {
        "a": np.float32("nan"),
        "b": np.arange(2),
        "c": (1, True, None),
        "d": Path("x"),
        "e": np.int64(3),
        "f": float("inf"),
        "g": {"h": "负"},
    }
    say_json(value)
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": None, "b": [0, 1], "c": [1, True, None], "d": "x", "e": 3, "f": None, "g": {"h": "负"}}
    assert "负" in out
    assert plain(np.bool_(True)) is True


def test_a_log_gets_a_line_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now, file = [0.0], io.StringIO()
    monkeypatch.setattr("tidegate.cli.progress.time.monotonic", lambda: now[0])
    log = Log(Watch(), file)
    log(Started(0, 0, 2, 100, 10, 25600, "cpu", 2))
    for step in range(1, 101):
        now[0] += 0.1
        log(Stepped(0, step, 0.5, 1.0, 0.001, 2560.0, now[0]))
    assert file.getvalue().splitlines()[1:] == [
        "epoch 1/2, step 51, loss 0.5000, 2,560 windows/s, at most 15 s left",
    ]


class Terminal(io.StringIO):
    """Takes text, and says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar() -> None:
    file, watch = Terminal(), Watch()
    with listening(False, watch, file) as listen:
        for event in EVENTS[:4]:
            listen(event)
        assert watch.best is None
        assert watch.seconds_left == pytest.approx(7.5)
        for event in EVENTS[4:]:
            listen(event)
    text = file.getvalue()
    assert "note: season: 24 [derived]" in text
    assert "epoch 1/2: train 0.7500, validation 0.7000 (best)" in text
    assert watch.best == 0.7
    assert watch.stopped is not None


def test_silence() -> None:
    file, watch = io.StringIO(), Watch()
    with listening(True, watch, file) as listen:
        for event in EVENTS:
            listen(event)
    assert file.getvalue() == ""
    assert watch.stopped is not None


def test_time_left_is_that_of_the_nearest_limit() -> None:
    for limits, left in {(None, None): 7.5, (4.0, None): 1.0, (1.0, None): 0.0, (None, 7): 1.0, (60.0, 100): 7.5}.items():
        watch = Watch(*limits)
        for event in EVENTS[:4]:
            watch.see(event)
        assert watch.seconds_left == pytest.approx(left)


def test_duration() -> None:
    assert [duration(value) for value in (0.4, 42.0, 200.0, 7500.0)] == ["0 s", "42 s", "3 min 20 s", "2 h 05 min"]


def test_where_nothing_is_validated_no_loss_of_it_is_shown() -> None:
    nan = float("nan")
    words = [describe(event, Watch()) for event in (EpochEnded(0, 5, 0.25, nan, 1e-3, True, nan, 2.0), Stopped("all done", 1, 0, nan, 2.0))]
    assert words == ["epoch 1: train 0.2500, 2 s", "stopped: all done; 2 s"]


def test_stopped_before_an_epoch_has_ended() -> None:
    words = describe(Stopped("interrupted", 0, -1, float("inf"), 3.0), Watch())
    assert words == "stopped: interrupted, before the first epoch has ended; 3 s"
