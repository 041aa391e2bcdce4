"""What --overwrite replaces, through a link too, and what it leaves alone."""

from pathlib import Path

import pytest

from tests.runs.test_folder import finished
from tidegate.errors import RunError
from tidegate.runs import folder as module
from tidegate.runs.folder import RunFolder


def weight(path: Path) -> float:
    return float(RunFolder.open(path).read_tensors("model.safetensors")["w"][0, 0])


def test_a_run_behind_a_link_is_replaced(tmp_path: Path) -> None:
    finished(tmp_path / "disk" / "run", weight=1.0)
    link = tmp_path / "latest"
    link.symlink_to(tmp_path / "disk" / "run")
    new = RunFolder.create(link, overwrite=True)
    new.write_text("config.json", "{}")
    new.seal()
    assert link.is_symlink() and RunFolder.open(link).finished
    assert sorted(path.name for path in (tmp_path / "disk").iterdir()) == ["run"]


def test_a_run_behind_a_link_comes_back_when_the_one_in_its_place_is_abandoned(tmp_path: Path) -> None:
    finished(tmp_path / "disk" / "run", weight=7.0)
    (tmp_path / "latest").symlink_to(tmp_path / "disk" / "run")
    RunFolder.create(tmp_path / "latest", overwrite=True).abandon()
    assert weight(tmp_path / "latest") == 7.0


def test_the_old_run_comes_back_where_its_successor_cannot_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(tmp_path / "run", weight=7.0)

    def fail(path: Path, content: bytes) -> None:
        raise RunError("the disk is full")

    monkeypatch.setattr(module, "write_atomically", fail)
    with pytest.raises(RunError, match="full"):
        RunFolder.create(tmp_path / "run", overwrite=True)
    assert weight(tmp_path / "run") == 7.0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_files_that_the_run_did_not_write_are_not_removed(tmp_path: Path) -> None:
    run = finished(tmp_path / "run").path
    (run / "data").mkdir()
    for name in ("notes.txt", "data/load.csv"):
        (run / name).write_text("mine")
    for act in (RunFolder.check, RunFolder.create):
        with pytest.raises(RunError, match=r"did not write \(data/load.csv, notes.txt\).*Move them elsewhere"):
            act(run, overwrite=True)
    assert (run / "notes.txt").read_text() == "mine"
    for name in ("notes.txt", "data/load.csv"):
        (run / name).unlink()
    (run / ".config.json.77.tmp").write_text("what a killed writer left")
    RunFolder.check(run, overwrite=True)
