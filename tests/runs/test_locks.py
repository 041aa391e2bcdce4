"""One process at a time trains a run."""

import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.errors import RunError
from tidegate.runs.folder import RunFolder

TRAIN = """
import sys
from tidegate.runs.folder import RunFolder
with RunFolder.resume(sys.argv[1]).training():
    print("holds", flush=True)
    sys.stdin.readline()
"""


def elsewhere(path: Path) -> "subprocess.Popen[str]":
    """Another process that trains a run until it is told to end or killed."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", TRAIN, str(path)], **pipes)
    assert process.stdout is not None and process.stdout.readline() == "holds\n"
    return process


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    process = elsewhere(run.path)
    (run.path / ".metrics.jsonl.77.tmp").write_text("what the other process is writing")
    again = RunFolder.resume(run.path)
    assert again is not None
    with pytest.raises(RunError, match="Another process is training .*run"), again.training():
        pass
    assert (run.path / ".metrics.jsonl.77.tmp").exists(), "its unfinished files are left alone"
    process.kill()
    process.communicate()
    with again.training():
        again.write_text("config.json", "{}")
        again.seal()
    assert sorted(path.name for path in run.path.iterdir()) == ["config.json", "run.json"]
    assert list(RunFolder.open(run.path).manifest["files"]) == ["config.json"]


def test_a_run_that_another_process_has_just_finished(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    other = RunFolder.resume(run.path)
    assert other is not None
    run.seal()
    with pytest.raises(RunError, match="has just finished"), other.training():
        pass
    assert [path.name for path in run.path.iterdir()] == ["run.json"]
