"""What the demo replaces, and what not. The training itself is in tests of the command."""

from pathlib import Path
from typing import Any

import pytest

from tidegate.data.read import read_table
from tidegate.demo import demo_data
from tidegate.errors import RunError
from tidegate.runs.folder import RunFolder
from tidegate.tasks.forecasting import demo


def run_of(path: Path, checksum: str, seal: bool = True) -> None:
    run = RunFolder.create(path, data={"path": "x", "sha256": checksum, "rows": 3})
    run.write_text("config.json", "{}")
    if seal:
        run.seal()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """How `train` was called."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(demo, "train", lambda data, config, out, **more: found.append(more))
    return found


def run(out: Path) -> Any:
    return demo.run_demo(out, listen=lambda event: None)


def test_a_finished_run_of_other_data_is_not_replaced(tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    run_of(tmp_path / "R", "00")
    with pytest.raises(RunError, match="finished run of other data.*--out"):
        run(tmp_path / "R")
    assert not calls
    assert RunFolder.open(tmp_path / "R").finished


def test_an_earlier_demo_is_replaced_and_a_stopped_one_goes_on(tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    own = read_table(demo_data()).checksum()
    run_of(tmp_path / "R", own)
    run_of(tmp_path / "S", own, seal=False)
    for name in ("R", "S", "T"):
        run(tmp_path / name)
    assert [(call["resume"], call["overwrite"]) for call in calls] == [(False, True), (True, True), (False, True)]
