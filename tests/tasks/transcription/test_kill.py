"""Ctrl-C and kill -9 in the middle of a training, and what --resume makes of it."""

import json
import signal
from pathlib import Path

import pytest

from benchmarks.kill_resume import CALL, kill_once, start
from tests.tasks.transcription.tiny import COMMAND, config, write_corpus
from tidegate.cli import app
from tidegate.tasks.transcription.verbs import train

SETTINGS = ("training.max_epochs=50", "training.checkpoint_seconds=0.01", "network.dropout=0.2", "training.speeds=[0.9,1.0]")
MORE = [*(part for key in SETTINGS for part in ("--set", key)), "--quiet"]


def words(corpus: Path, out: Path, *more: str) -> list[str]:
    return ["train", "transcribe", str(corpus), "--out", str(out), *COMMAND, *MORE, *more]


def log(run: Path) -> list[int]:
    """The epochs in metrics.jsonl."""
    path = run / "metrics.jsonl"
    return [json.loads(line)["epoch"] for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A corpus, and a run of it that was interrupted by Ctrl-C, went on, and was killed."""
    folder = tmp_path_factory.mktemp("kill")
    corpus, run = write_corpus(folder / "corpus"), folder / "R"
    process = start([*CALL, *words(corpus, run)])
    while len(log(run)) < 3:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    said = process.communicate()
    assert process.returncode == 130, said
    assert 3 <= len(log(run)) < 50
    found = kill_once([*CALL, *words(corpus, run, "--resume")], lambda: len(log(run)) > 8, run)
    assert found is not None and found[1].startswith("training"), found
    return corpus, run


def test_errors_on_resume_lose_nothing(killed: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    corpus, run = killed
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "lock"}
    audio = next((corpus / "train").rglob("*.wav"))
    content = audio.read_bytes()
    audio.write_bytes(content[:-2] + b"\1\1")
    for more, said in (
        (("--resume",), "has changed since this run began"),
        ((), "holds a run that has not finished"),
        (("--overwrite",), "--overwrite replaces finished ones only"),
    ):
        assert app.run(words(corpus, run, *more)) == 2
        assert said in capsys.readouterr().err
    audio.write_bytes(content)
    for more, said in (
        (("--seed", "1"), "training.seed is 0 there, 1 here"),
        (("--set", "network.hidden=9"), "network.hidden is 8 there, 9 here"),
        (("--set", "decoding.order=3"), "decoding.order is 2 there, 3 here"),
        (("--test-speakers", "anna"), "has changed since this run began"),
    ):
        assert app.run(words(corpus, run, "--resume", *more)) == 2
        assert said in capsys.readouterr().err, said
    kept = {path: content for path, content in before.items() if path.suffix != ".tmp"}
    assert {path: path.read_bytes() for path in kept} == kept


def test_what_is_not_said_again_is_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus, run, stopped = write_corpus(tmp_path / "corpus"), tmp_path / "R", iter([False, True])
    first = config(data={"tokens": "words", "test_speakers": ["anna"], "kind": "folder"})
    assert train(corpus, first, run, interrupted=lambda: next(stopped)).interrupted
    plain = ["train", "transcribe", str(corpus), "--out", str(run), "--resume", "--quiet", *COMMAND]
    assert app.run([*plain, "--tokens", "characters"]) == 2, "another corpus, as it were"
    assert "has changed since this run began" in capsys.readouterr().err
    assert app.run(plain) == 0
    assert not train(corpus, first, tmp_path / "whole").interrupted
    for name in ("model.safetensors", "scores.json", "config.json"):
        assert (run / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_stopped_and_killed_training_goes_on_to_the_same_bits(killed: tuple[Path, Path], tmp_path: Path) -> None:
    corpus, run = killed
    assert app.run(words(corpus, tmp_path / "whole")) == 0
    assert app.run(words(corpus, run, "--resume")) == 0
    for name in ("model.safetensors", "preparation.json", "scores.json", "config.json"):
        assert (run / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert log(run) == list(range(50))
    assert not list(run.rglob("*.tmp")) and not (run / "checkpoint").exists()
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert app.run(words(corpus, run, "--resume")) == 0
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before, "a finished run is left as it is"
    assert app.run(words(corpus, run)) == 2
    assert app.run(words(corpus, run, "--overwrite", "--max-epochs", "1", "--set", "training.max_epochs=1")) == 0
    assert log(run) == [0]
