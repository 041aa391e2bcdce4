"""kill -9 and Ctrl-C in the middle of a training, and what --resume makes of it."""

import json
import shutil
import signal
import sys
from pathlib import Path

import pytest

from benchmarks import kill_resume
from benchmarks.kill_resume import Outcome, finish, kill_and_resume, kill_once, start, words
from tidegate.cli import app

NETWORK = "attention-cnn-lstm"


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    folder = tmp_path_factory.mktemp("kill")
    return folder, kill_and_resume(folder, 4, network=NETWORK)


def arguments(table: Path, out: Path, *more: str) -> list[str]:
    return words(table, out, NETWORK, more)[len(kill_resume.CALL) :]


def test_four_kills_and_the_same_bits(outcome: tuple[Path, Outcome]) -> None:
    _, told = outcome
    assert told.same and all(told.same), told
    assert len(told.kills) == 4
    assert all(kill.found.startswith(("training", "nothing")) for kill in told.kills), told


@pytest.mark.parametrize(("state", "counts"), [("training", True), ("finished", False)])
def test_a_kill_that_comes_after_the_work_is_none(tmp_path: Path, state: str, counts: bool) -> None:
    (tmp_path / "half.json").write_text(json.dumps({"state": state}))
    code = f"import os, time; os.chdir({str(tmp_path)!r}); os.replace('half.json', 'run.json'); time.sleep(600)"
    killed = kill_once([sys.executable, "-c", code], (tmp_path / "run.json").exists, tmp_path)
    assert (killed is not None) == counts, killed


def test_every_epoch_is_in_the_log_once(outcome: tuple[Path, Outcome]) -> None:
    folder, _ = outcome
    logs = [[json.loads(line) for line in (folder / run / "metrics.jsonl").read_text().splitlines()] for run in ("undisturbed", "run0")]
    for log in logs:
        assert [row["epoch"] for row in log] == list(range(5))
    assert [row["validation_loss"] for row in logs[0]] == [row["validation_loss"] for row in logs[1]]
    assert not list((folder / "run0").rglob("*.tmp")) and not (folder / "run0" / "checkpoint").exists()


def test_a_finished_run_is_left_as_it_is(outcome: tuple[Path, Outcome], capsys: pytest.CaptureFixture[str]) -> None:
    folder, _ = outcome
    before = {path: path.stat().st_mtime_ns for path in (folder / "run0").rglob("*")}
    assert app.run(arguments(folder / "table.csv", folder / "run0", "--resume")) == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "run0").rglob("*")} == before
    assert capsys.readouterr().err == ""


def test_ctrl_c_saves_and_resume_ends_with_the_same_bits(
    outcome: tuple[Path, Outcome], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = outcome
    table, out = tmp_path / "table.csv", tmp_path / "R"
    shutil.copy(folder / "table.csv", table)
    process = start(words(table, out, NETWORK))
    while not (out / "metrics.jsonl").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    said = process.communicate()
    assert process.returncode == 130, said
    assert json.loads((out / "run.json").read_text())["state"] == "training"

    content = table.read_bytes()
    table.write_bytes(content.replace(b",", b",1", 1))
    kept = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for change, words_of_error in (
        (("--resume",), "has changed since this run began"),
        ((), "holds a run that has not finished"),
        (("--overwrite",), "--overwrite replaces finished ones only"),
    ):
        assert app.run(arguments(table, out, *change)) == 2
        assert words_of_error in capsys.readouterr().err
    table.write_bytes(content)
    for change, words_of_error in (
        (("--seed", "1"), "training.seed is 0 there, 1 here"),
        (("--set", "network.hidden=1"), "network.hidden is 16 there, 1 here"),
        (("--clean", "off"), "data.clean is True there, False here"),
    ):
        assert app.run(arguments(table, out, "--resume", *change)) == 2
        assert words_of_error in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == kept, "nothing was lost by an error"

    begun = tmp_path / "begun"
    shutil.copytree(out, begun)
    manifest = json.loads((begun / "run.json").read_text())
    manifest["environment"]["lstm"] = "native (another)"
    (begun / "run.json").write_text(json.dumps(manifest))
    assert app.run([argument for argument in arguments(table, begun, "--resume") if argument != "--quiet"]) == 0
    assert "begun with lstm native (another), now" in "".join(capsys.readouterr())

    finish(words(table, out, NETWORK, ("--resume", "--freq", "1h")))
    assert (out / "model.safetensors").read_bytes() == (folder / "undisturbed" / "model.safetensors").read_bytes()
