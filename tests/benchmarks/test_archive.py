"""The benchmark of the archive's sets, on tiny files."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import archive

CHANGES = ("training.max_epochs=1", "training.members=1", "network.filters=2", "network.dilated_features=84")
TINY = [word for change in CHANGES for word in ("--set", change)]


def write_pair(folder: Path, name: str, gap: bool = False) -> None:
    """Two classes that their level tells apart."""
    random = np.random.default_rng(0)
    for part, count in (("TRAIN", 20), ("TEST", 10)):
        labels = np.arange(count) % 2
        values = random.normal(labels[:, None], 0.1, (count, 12))
        lines = ["\t".join([f"{label + 1}", *(f"{value:.4f}" for value in row)]) for label, row in zip(labels, values, strict=True)]
        if gap:
            words = lines[0].split("\t")
            lines[0] = "\t".join([*words[:3], "NaN", *words[4:-2], "NaN", "NaN"])
        (folder / f"{name}_{part}.tsv").write_text("\n".join(lines) + "\n")


def call(given: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    monkeypatch.setattr(sys, "argv", ["archive", *given, "--json", *TINY])
    archive.main()
    return json.loads(capsys.readouterr().out)


def test_one_pair_with_seeds_and_without_the_lstm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pair(tmp_path, "Levels")
    files = ["--train", str(tmp_path / "Levels_TRAIN.tsv"), "--test", str(tmp_path / "Levels_TEST.tsv")]
    found = call([*files, "--seeds", "2", "--without-lstm"], monkeypatch, capsys)
    (only,) = found["sets"]
    assert only["name"] == "Levels" and [run["seed"] for run in only["seeds"]] == [0, 1]
    assert only["accuracy"] == pytest.approx(np.mean([run["accuracy"] for run in only["seeds"]])) == found["mean_accuracy"]
    assert only["seconds"] > 0
    assert only["baselines"]["majority"] == 0.5 and only["baselines"]["summary_logistic"] == 1.0
    assert {"nearest_neighbour", "without_lstm"} <= set(only["baselines"])
    assert set(found["mean_rank"]) == {"tidegate", *only["baselines"]}


def test_a_folder_and_a_choice_of_its_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_pair(tmp_path, "One")
    write_pair(tmp_path, "Two", gap=True)
    (tmp_path / "Alone_TRAIN.tsv").write_text("1\t2.0\n")
    (tmp_path / "README.md").write_text("about")
    assert [name for name, _, _ in archive.pairs_in(tmp_path)] == ["One", "Two"]
    found = call(["--folder", str(tmp_path)], monkeypatch, capsys)
    assert [one["name"] for one in found["sets"]] == ["One", "Two"]
    found = call(["--folder", str(tmp_path), "--sets", "Two"], monkeypatch, capsys)
    assert [one["name"] for one in found["sets"]] == ["Two"]


def test_a_table_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_pair(tmp_path, "One")
    monkeypatch.setattr(sys, "argv", ["archive", "--folder", str(tmp_path), *TINY])
    archive.main()
    printed = capsys.readouterr()
    assert "mean rank" in printed.out and "nearest_neighbour" in printed.out
    assert "One: accuracy" in printed.err
    assert ("aeon is not installed" in printed.out) == (not archive.HAS_AEON)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "give --train and --test, or --folder"),
        (["--train", "a_TRAIN.ts"], "give --train and --test, or --folder"),
        (["--folder", "nowhere"], "no folder nowhere"),
        (["--folder", "FOLDER", "--sets", "Three"], "no set Three; there are One"),
        (["--folder", "FOLDER", "--seeds", "0"], "--seeds must be at least 1"),
        (["--folder", "FOLDER", "--set", "training.member=1"], "members"),
    ],
)
def test_what_is_asked_wrongly_is_said(
    given: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pair(tmp_path, "One")
    monkeypatch.setattr(sys, "argv", ["archive", *(str(tmp_path) if word == "FOLDER" else word for word in given)])
    with pytest.raises(SystemExit):
        archive.main()
    assert said in capsys.readouterr().err


def test_equals_share_their_rank() -> None:
    sets = [{"accuracy": 0.9, "baselines": {"a": 0.9, "b": 0.5}}, {"accuracy": 0.4, "baselines": {"a": 0.8, "b": 0.6}}]
    assert archive.mean_ranks(sets) == {"tidegate": 2.25, "a": 1.25, "b": 2.5}
