"""Run folders: rules of overwriting, damage, versions, and what a reader sees."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tidegate.errors import RunError
from tidegate.runs.folder import RunFolder


def finished(path: Path, weight: float = 1.0) -> RunFolder:
    run = RunFolder.create(path, data={"path": "load.csv", "sha256": "00", "rows": 3})
    run.write_text("config.json", "{}\n")
    run.write_tensors("model.safetensors", {"w": np.full((2, 3), weight, np.float32)})
    run.write_tensors("checkpoint/state.safetensors", {"w": np.zeros(3)})
    run.append_line("metrics.jsonl", '{"epoch": 1}')
    run.seal()
    return run


def change_manifest(path: Path, **changes: object) -> None:
    manifest = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(manifest | changes))


def test_a_finished_run_comes_back_whole(tmp_path: Path) -> None:
    finished(tmp_path / "parent" / "run")
    run = RunFolder.open(tmp_path / "parent" / "run", task="forecast")
    assert run.finished
    assert run.data == {"path": "load.csv", "sha256": "00", "rows": 3}
    assert run.read_text("config.json") == "{}\n"
    assert run.read_lines("metrics.jsonl") == ['{"epoch": 1}']
    np.testing.assert_array_equal(run.read_tensors("model.safetensors")["w"], np.ones((2, 3)))
    assert sorted(run.manifest["files"]) == ["config.json", "metrics.jsonl", "model.safetensors"]
    assert run.manifest["environment"]["torch"].startswith(torch.__version__.split("+")[0])
    assert not (run.path / "checkpoint").exists()


def test_tensors_keep_shape_order_type_and_metadata(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    arrays = {
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "scalar": np.float64(2.5).reshape(()),
        "torch": torch.arange(4.0)[::2],
    }
    metadata = {f"key{number}": str(number) for number in range(20)}
    run.write_tensors("a.safetensors", arrays, metadata)
    run.write_tensors("b.safetensors", arrays, metadata)
    assert run.read_bytes("a.safetensors") == run.read_bytes("b.safetensors")
    assert list(run.read_metadata("a.safetensors").items()) == sorted(metadata.items())
    back = run.read_tensors("a.safetensors")
    np.testing.assert_array_equal(back["fortran"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(back["torch"], [0.0, 2.0])
    assert back["scalar"].shape == ()
    assert back["scalar"] == 2.5


def test_create_refuses_a_folder_with_something_in_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(RunError, match="not empty and holds no Tidegate run.*--out"):
            RunFolder.create(tmp_path, overwrite=overwrite)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_create_refuses_a_finished_run_without_overwrite(tmp_path: Path) -> None:
    finished(tmp_path / "run")
    with pytest.raises(RunError, match="finished run.*--overwrite"):
        RunFolder.create(tmp_path / "run")
    RunFolder.open(tmp_path / "run")


def test_overwrite_replaces_no_unfinished_run(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run").write_text("checkpoint/state", "hours of work")
    with pytest.raises(RunError, match="not finished.*--resume"):
        RunFolder.create(tmp_path / "run", overwrite=True)
    assert (tmp_path / "run" / "checkpoint" / "state").read_text() == "hours of work"


def test_create_takes_an_empty_folder_and_what_a_kill_left_of_one(tmp_path: Path) -> None:
    (tmp_path / ".run.json.0123.tmp").write_text("{")
    RunFolder.create(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_the_replaced_run_goes_only_when_the_new_one_is_sealed(tmp_path: Path) -> None:
    finished(tmp_path / "run", weight=1.0)
    new = RunFolder.create(tmp_path / "run", overwrite=True)
    kept = tmp_path / ".run.replaced"
    assert RunFolder.open(kept).read_tensors("model.safetensors")["w"][0, 0] == 1.0
    with pytest.raises(RunError, match="not finished.*--resume"):
        RunFolder.open(tmp_path / "run")
    again = RunFolder.resume(new.path)
    assert again is not None
    assert kept.exists()
    again.seal()
    assert not kept.exists()


def test_a_kill_between_moving_aside_and_making_loses_nothing(tmp_path: Path) -> None:
    finished(tmp_path / "run").path.rename(tmp_path / ".run.replaced")
    with pytest.raises(RunError, match=r"kept in .*\.run\.replaced"):
        RunFolder.open(tmp_path / "run")
    RunFolder.create(tmp_path / "run", overwrite=True).seal()
    assert not (tmp_path / ".run.replaced").exists()


def test_abandon_brings_the_replaced_run_back(tmp_path: Path) -> None:
    finished(tmp_path / "run", weight=7.0)
    RunFolder.create(tmp_path / "run", overwrite=True).abandon()
    assert RunFolder.open(tmp_path / "run").read_tensors("model.safetensors")["w"][0, 0] == 7.0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_resume(tmp_path: Path) -> None:
    assert RunFolder.resume(tmp_path / "run") is None
    run = RunFolder.create(tmp_path / "run")
    run.write_text("a", "1")
    (run.path / ".a.77.tmp").write_text("half")
    again = RunFolder.resume(run.path)
    assert again is not None
    assert not again.finished
    assert again.read_text("a") == "1"
    assert not (run.path / ".a.77.tmp").exists()
    again.seal()
    done = RunFolder.resume(run.path)
    assert done is not None
    assert done.finished


def test_resume_refuses_a_folder_that_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="holds no Tidegate run"):
        RunFolder.resume(tmp_path)


def test_lines_survive_a_half_line(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    run.append_line("metrics.jsonl", "one")
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write("tw")
    assert run.read_lines("metrics.jsonl") == ["one"]
    run.append_line("metrics.jsonl", "two")
    run.append_line("metrics.jsonl", "three")
    assert run.read_text("metrics.jsonl") == "one\ntwo\nthree\n"
    run.keep_lines("metrics.jsonl", 2)
    assert run.read_lines("metrics.jsonl") == ["one", "two"]
    assert run.read_lines("missing.jsonl") == []


def test_a_finished_run_is_not_written(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    for act in (
        lambda: run.write_text("a", "b"),
        lambda: run.append_line("a", "b"),
        lambda: run.remove("config.json"),
        run.seal,
        run.abandon,
    ):
        with pytest.raises(RunError, match="is finished"):
            act()
    RunFolder.open(run.path)


@pytest.mark.parametrize("name", ["../outside", "/etc/hosts", "run.json"])
def test_names_stay_inside(tmp_path: Path, name: str) -> None:
    run = RunFolder.create(tmp_path / "run")
    with pytest.raises(ValueError, match="no file of a run"):
        run.write_text(name, "x")


def test_open_names_the_damaged_file(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    path = run.path / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"model\.safetensors is damaged: its SHA-256"):
        RunFolder.open(run.path)
    path.write_bytes(content[:-4])
    with pytest.raises(RunError, match=r"model\.safetensors is damaged: \d+ bytes, expected"):
        RunFolder.open(run.path)
    path.unlink()
    with pytest.raises(RunError, match=r"model\.safetensors is missing"):
        RunFolder.open(run.path)


def test_the_card_may_be_edited(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    run.write_text("README.md", "card")
    run.seal()
    (run.path / "README.md").write_text("a better card")
    RunFolder.open(run.path)


def test_open_refuses_a_newer_format(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    change_manifest(run.path, format_version=2, tidegate="9.0.0")
    with pytest.raises(RunError, match=r"newer format: 2, written by Tidegate 9\.0\.0.*Upgrade"):
        RunFolder.open(run.path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format_version": 1}', '{"format_version": "1"}', "\x00\xff"])
def test_open_names_a_damaged_manifest(tmp_path: Path, text: str) -> None:
    run = finished(tmp_path / "run")
    (run.path / "run.json").write_text(text)
    with pytest.raises(RunError, match=r"run\.json is damaged"):
        RunFolder.open(run.path)


def test_open_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="No such run folder"):
        RunFolder.open(tmp_path / "none")
    with pytest.raises(RunError, match="holds no Tidegate run"):
        RunFolder.open(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="is a file"):
        RunFolder.open(tmp_path / "file")
    finished(tmp_path / "run")
    with pytest.raises(RunError, match="task 'forecast'; expected 'classify'"):
        RunFolder.open(tmp_path / "run", task="classify")


def test_damaged_tensors_are_named(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    run.write_bytes("model.safetensors", b"\x08\x00\x00\x00\x00\x00\x00\x00not json")
    with pytest.raises(RunError, match=r"model\.safetensors is damaged"):
        run.read_tensors("model.safetensors")
    with pytest.raises(RunError, match=r"model\.safetensors is damaged"):
        run.read_metadata("model.safetensors")
    with pytest.raises(RunError, match=r"other\.safetensors is missing"):
        run.read_tensors("other.safetensors")


@pytest.mark.parametrize("begin", [RunFolder.check, RunFolder.create])
def test_it_says_where_it_cannot_write(tmp_path: Path, begin: Callable[[Path], object]) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="file is a file"):
        begin(tmp_path / "file")
    with pytest.raises(RunError, match=r"cannot be written: (Not a directory|File exists).*--out"):
        begin(tmp_path / "file" / "run")
    with pytest.raises(RunError, match=r"cannot be written: .*--out"):
        begin(Path("/proc/no/such/run"))


def test_check_changes_nothing(tmp_path: Path) -> None:
    RunFolder.check(tmp_path / "some" / "run")
    assert list(tmp_path.iterdir()) == []
    finished(tmp_path / "run")
    RunFolder.check(tmp_path / "run", overwrite=True)
    RunFolder.open(tmp_path / "run")
    with pytest.raises(RunError, match="finished run.*--overwrite"):
        RunFolder.check(tmp_path / "run")
