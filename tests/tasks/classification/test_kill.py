"""kill -9 in the middle of a training, and what --resume makes of it."""

import json
from pathlib import Path

from benchmarks.kill_resume import CALL, kill_once
from tests.tasks.classification.tiny import COMMAND, write_pair
from tidegate.cli import app

MORE = ["--max-epochs", "20", "--set", "training.members=2", "--set", "training.checkpoint_seconds=0.01", "--set", "network.dropout=0.2"]


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    own, test = write_pair(tmp_path)

    def words(name: str, *more: str) -> list[str]:
        options = ["--test", str(test), "--out", str(tmp_path / name), "--quiet", *COMMAND, *MORE]
        return ["train", "classify", str(own), *options, *more]

    def in_the_second_network() -> bool:
        log = tmp_path / "R" / "metrics.jsonl"
        return log.exists() and log.read_bytes().count(b"\n") > 22

    assert app.run(words("whole")) == 0
    killed = kill_once([*CALL, *words("R")], in_the_second_network, tmp_path / "R")
    assert killed is not None and killed[1].startswith("training"), killed
    assert app.run(words("R", "--resume")) == 0
    assert (tmp_path / "R" / "model.safetensors").read_bytes() == (tmp_path / "whole" / "model.safetensors").read_bytes()
    epochs = [json.loads(line)["epoch"] for line in (tmp_path / "R" / "metrics.jsonl").read_text().splitlines()]
    assert epochs == [*range(20), *range(20)]
    assert not list((tmp_path / "R").rglob("*.tmp")) and not (tmp_path / "R" / "checkpoint").exists()
