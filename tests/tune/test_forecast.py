"""tune forecast, from the table to the kept run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import tidegate.tune
from tidegate.cli import app
from tidegate.config import Config, build_config
from tidegate.errors import RunError, SettingsError, TrainingError
from tidegate.runs.folder import RunFolder
from tidegate.tasks.forecasting.verbs import train
from tidegate.train.events import Event, Said, TrialEnded

NETWORK = {"name": "attention-cnn-lstm", "filters": 4, "hidden": 8}


def small(network: dict[str, Any] = NETWORK, **training: Any) -> Config:
    """A search that takes a fraction of a second for each trial."""
    settings = {"max_epochs": 3, "threads": 1, "windows_per_epoch": 256, **training}
    return build_config({"data": {"horizon": 6, "season": [24]}, "network": network, "training": settings})


@pytest.fixture(scope="module")
def tuned(table: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    out = tmp_path_factory.mktemp("runs") / "R"
    return out, tidegate.tune.forecast(table, small(), out, trials=6)


def test_the_best_is_kept_as_a_run(tuned: tuple[Path, Any]) -> None:
    out, summary = tuned
    trials, best = summary.tuning["trials"], summary.tuning["best"]
    assert len(trials) == 6
    assert {trial["state"] for trial in trials} <= {"complete", "pruned"}
    assert trials[best]["value"] == min(trial["value"] for trial in trials if trial["state"] == "complete")
    folder = RunFolder.open(out, task="forecast")
    config = json.loads(folder.read_text("config.json"))
    assert config["training"]["learning_rate"] == trials[best]["params"]["training.learning_rate"]
    assert config["network"]["hidden"] == 8
    epochs = [json.loads(line) for line in folder.read_lines("metrics.jsonl")]
    assert min(epoch["validation_loss"] for epoch in epochs) == trials[best]["value"], "the same training as in the trial"
    assert "ridge" in summary.baselines
    assert (out.with_name("R.study") / "journal.log").is_file()


def test_the_report_shows_the_search(tuned: tuple[Path, Any]) -> None:
    page = (tuned[0] / "report.html").read_text(encoding="utf-8")
    assert "6 trials (" in page
    assert "judged on validation origins only" in page
    assert "Importance" in page
    assert "training.learning_rate" in page


def test_training_from_its_config_gives_the_same_weights(tuned: tuple[Path, Any], table: Path, tmp_path: Path) -> None:
    out, _ = tuned
    words = ["train", "forecast", str(table), "--config", str(out / "config.json"), "--out", str(tmp_path / "again"), "--quiet"]
    assert app.run(words) == 0
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()


def test_done_is_done(tuned: tuple[Path, Any], table: Path) -> None:
    out, first = tuned
    before = (out / "run.json").read_bytes()
    said: list[Event] = []
    summary = tidegate.tune.forecast(table, small(), out, trials=6, listen=said.append)
    assert (summary.metrics, summary.tuning) == (first.metrics, first.tuning)
    assert said == [Said(f"{out} is finished already")]
    assert (out / "run.json").read_bytes() == before


def test_a_finished_run_is_not_replaced_unasked(tuned: tuple[Path, Any], table: Path, tmp_path: Path) -> None:
    out, _ = tuned
    with pytest.raises(RunError, match="--overwrite"):
        tidegate.tune.forecast(table, small(), out, trials=7)
    train(table, small(), tmp_path / "T")
    with pytest.raises(RunError, match="--overwrite"):
        tidegate.tune.forecast(table, small(), tmp_path / "T", trials=2)
    assert not (tmp_path / "T.study").exists()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("x")
    with pytest.raises(RunError):
        tidegate.tune.forecast(table, small(), tmp_path / "notes", trials=2, overwrite=True)
    assert not (tmp_path / "notes.study").exists()


def test_more_trials_and_other_settings(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "R"
    tidegate.tune.forecast(table, small(max_epochs=1), out, trials=1)
    summary = tidegate.tune.forecast(table, small(max_epochs=1), out, trials=3, overwrite=True)
    assert summary.tuning is not None
    assert [trial["number"] for trial in summary.tuning["trials"]] == [0, 1, 2]
    assert summary.tuning["trials"][0].get("params", {})["network.layers"] == 1
    with pytest.raises(RunError, match=r"begun with other data or settings \(training.max_epochs\)"):
        tidegate.tune.forecast(table, small(max_epochs=2), out, trials=3, overwrite=True)


def test_a_limit_on_the_trial_becomes_a_number_of_steps(table: Path, tmp_path: Path) -> None:
    config = small(max_epochs=500, patience=500)
    summary = tidegate.tune.forecast(table, config, tmp_path / "R", trials=1, trial_time_limit=0.5)
    training = json.loads((tmp_path / "R" / "config.json").read_text())["training"]
    assert training["time_limit"] is None
    assert training["max_steps"] >= 1
    lines = (tmp_path / "R" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == training["max_steps"]
    assert summary.tuning is not None


def test_the_time_limit_is_that_of_the_study(table: Path, tmp_path: Path) -> None:
    ended: list[Event] = []
    config = small(max_epochs=3, time_limit=1.0)
    begin = time.monotonic()
    summary = tidegate.tune.forecast(table, config, tmp_path / "R", trials=1000, listen=ended.append)
    assert time.monotonic() - begin < 60.0
    assert summary.tuning is not None
    assert 1 <= len(summary.tuning["trials"]) < 1000
    assert sum(isinstance(event, TrialEnded) for event in ended) == len(summary.tuning["trials"])


def test_a_search_in_which_nothing_works_says_why(table: Path, tmp_path: Path) -> None:
    config = small(network=NETWORK | {"linear_base": "none"}, learning_rate=1e30, clip_norm=None, schedule="constant", optimiser="adam")
    with pytest.raises(TrainingError, match=r"No trial has ended with a loss \(trial 0: The .* became"):
        tidegate.tune.forecast(table, config, tmp_path / "R", trials=2)
    assert not (tmp_path / "R").exists()


def test_nothing_left_open(tuned: tuple[Path, Any], table: Path, tmp_path: Path) -> None:
    config = build_config(json.loads((tuned[0] / "config.json").read_text()))
    with pytest.raises(SettingsError, match="Nothing is left to be tuned"):
        tidegate.tune.forecast(table, config, tmp_path / "R")
    with pytest.raises(SettingsError, match="above 0"):
        tidegate.tune.forecast(table, small(), tmp_path / "R", trials=0)
    assert not list(tmp_path.iterdir())


def test_without_optuna(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("tidegate.tune.find_spec", lambda name: None)
    assert app.run(["tune", "forecast", str(table), "--horizon", "6", "--out", str(tmp_path / "R")]) == 2
    assert "pip install 'tidegate[tune]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def words(table: Path, out: Path) -> list[str]:
    """The command, small."""
    settings = ["network.filters=4", "network.hidden=8", "training.threads=1", "training.windows_per_epoch=512"]
    given = [word for setting in settings for word in ("--set", setting)]
    return [
        "tune",
        "forecast",
        str(table),
        "--horizon",
        "6",
        "--season",
        "24",
        "--max-epochs",
        "4",
        "--trials",
        "6",
        "--out",
        str(out),
        *given,
    ]


def begin(call: list[str]) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-u", "-c", "from tidegate.cli.app import main; main()"]
    return subprocess.Popen([*program, *call], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def read_until(process: subprocess.Popen[str], start: str) -> None:
    assert process.stderr is not None
    while not process.stderr.readline().startswith(start):
        assert process.poll() is None


@pytest.mark.slow
def test_killed_in_the_middle_and_started_again(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = words(table, tmp_path / "R")
    journal = tmp_path / "R.study" / "journal.log"
    for begun in (2, 5):
        process = begin(call)
        while not journal.exists() or journal.read_text().count('"user_attr":{"worker":') < begun:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (tmp_path / "R").exists()
    process = begin(call)
    read_until(process, "training:")
    read_until(process, "epoch 1/")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert json.loads((tmp_path / "R" / "run.json").read_text())["state"] == "training"
    capsys.readouterr()
    assert app.run([*call, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    states = [trial["state"] for trial in found["tuning"]["trials"]]
    assert sum(state in ("complete", "pruned") for state in states) == 6
    assert set(states) <= {"complete", "pruned", "failed"}
    assert states.count("failed") == 2
    assert RunFolder.open(tmp_path / "R").finished


@pytest.mark.slow
def test_a_second_process_joins(table: Path, tmp_path: Path) -> None:
    call = words(table, tmp_path / "R")
    pair = [begin(call), begin(call)]
    texts = [process.communicate() for process in pair]
    assert [process.returncode for process in pair] == [0, 0], texts
    trials = [line.split(",")[0] for _, err in texts for line in err.splitlines() if line.startswith("trial ")]
    assert sorted(trials) == [f"trial {number}" for number in range(6)]
    assert sum("training with its settings" in err for _, err in texts) == 1
    assert texts[0][0] == texts[1][0]


def test_an_interrupt_is_said(table: Path, tmp_path: Path) -> None:
    process = begin(words(table, tmp_path / "R"))
    read_until(process, "trial 0,")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert f"what was done is saved in {tmp_path / 'R.study'}; the same command goes on" in out
    assert "Traceback" not in err
