"""`train transcribe`, `evaluate` and `predict` on a small corpus, as a user types them, and each bad input."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile

from tests.cli.refusals import Refused
from tests.tasks.classification.tiny import COMMAND as CLASSES
from tests.tasks.classification.tiny import write_pair
from tests.tasks.transcription.tiny import COMMAND, RATE, pcm, settings, whistle, write_corpus, write_wav
from tidegate.cli import app
from tidegate.data.speech.audio import read_audio
from tidegate.tasks.transcription.transcriber import Transcriber

LEARNT = {
    "network": {"hidden": 24},
    "training": {"max_epochs": 30, "batch_frames": 200, "time_masks": 0, "frequency_masks": 0, "average": 0.9},
}
CALL = [sys.executable, "-c", "from tidegate.cli.app import main; main()"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the corpus `corpus`, and the runs R of it, by blstm, and L, by causal-lstm, which has learnt something."""
    folder = tmp_path_factory.mktemp("trained")
    corpus = write_corpus(folder / "corpus", train=10, held=2)
    assert app.run(["train", "transcribe", str(corpus), "--out", str(folder / "R"), "--quiet", *COMMAND]) == 0
    Transcriber(network="causal-lstm", config=settings(**LEARNT)).fit(corpus).save(folder / "L")
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it that is the current folder; the runs know where the corpus lay first."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_train_for_people(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["train", "transcribe", "corpus", *COMMAND]) == 0
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert "note: parts are the folders dev, test, train" in lines and "note: transcripts are read as characters" in lines
    assert any(line.startswith("training: ") and ", 30 utterances an epoch, at most 2 epochs, cpu with 1 thread" in line for line in lines)
    assert [line.split(":")[0] for line in lines if line.startswith("epoch")] == ["epoch 1/2", "epoch 2/2"]
    assert any(line.startswith("note: language model: weight ") for line in lines)
    assert out.splitlines()[1].split() == ["cer", "↓", "wer", "↓"]
    assert {line.split()[0] for line in out.splitlines()[2:5]} == {"blstm", "best_path", "constant"}
    assert " % errors in " in out and " characters of 6 utterances" in out
    assert out.splitlines()[-3:] == [
        "report    runs/corpus/report.html",
        "next      tidegate predict runs/corpus --out transcripts.csv",
        "          tidegate evaluate runs/corpus",
    ]
    assert app.run(["predict", "runs/corpus", "--out", "transcripts.csv"]) == 0
    assert "6 rows in transcripts.csv" in capsys.readouterr().out
    assert pl.read_csv("transcripts.csv").columns == ["audio", "text", "confidence", "seconds"]


def test_train_for_programs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "transcribe", "corpus", "--out", "J", "--json", *COMMAND, "--tokens", "words", "--seed", "3"]
    words += ["--time-limit", "100", "--kind", "folder", "--on-bad", "skip", "--config", "more.json"]
    Path("more.json").write_text('{"data": {"deltas": 1}, "training": {"seed": 8}}')
    assert app.run([*words, "--test-speakers", "anna", "--network", "causal-lstm"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    found = json.loads(out)
    assert (found["task"], found["run"]) == ("transcribe", "J")
    assert set(found["metrics"]) == {"wer", "sentences_right"} and set(found["baselines"]) == {"best_path", "constant"}
    kept = json.loads(Path("J/config.json").read_text())
    assert kept["data"]["tokens"] == "words" and kept["data"]["test_speakers"] == ["anna"] and kept["network"]["name"] == "causal-lstm"
    assert (kept["training"]["time_limit"], kept["data"]["on_bad"], kept["data"]["deltas"]) == (100, "skip", 1)
    assert kept["training"]["seed"] == 3 and kept["data"]["normalisation"] == "global" and kept["data"]["rate"] == RATE
    assert app.run([*words, "--test-speakers", "anna", "--network", "causal-lstm", "--resume"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == found["metrics"]


def test_evaluate(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["evaluate", "L", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["task"] == "transcribe" and set(found["metrics"]) == {"cer", "wer"} and found["convention"] is None
    assert set(found["baselines"]) == {"best_path", "constant"} and len(found["table"]) == 3
    errors = found["errors"]
    assert errors["utterances"] == 6 and errors["tokens"] > 12
    edits = errors["substitutions"] + errors["deletions"] + errors["insertions"]
    assert found["metrics"]["cer"] == edits / errors["tokens"] < found["baselines"]["constant"]["cer"]
    assert set(found["by_speaker"]) == {"anna", "bert", "carl"}
    assert app.run(["evaluate", "L", "corpus", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == found["metrics"], "the same corpus, given by its name"
    other = write_corpus(here / "other", ("dora", "emil"), train=2, held=2, seed=9)
    assert app.run(["evaluate", "L", str(other), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["by_speaker"]) == {"dora", "emil"}
    assert app.run(["evaluate", "L"]) == 0
    out = capsys.readouterr().out
    assert "cer ↓" in out and f"in {errors['tokens']} characters of 6 utterances" in out


def test_phones_have_a_convention(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Labels beside the recordings: one a letter."""
    for text in Path("corpus").rglob("*.txt"):
        letters = text.read_text().strip().replace(" ", "_")
        text.with_suffix(".lab").write_text("\n".join("h#" if letter == "_" else letter for letter in letters) + "\n")
    assert app.run(["train", "transcribe", "corpus", "--out", "P", *COMMAND]) == 0
    out = capsys.readouterr().out
    assert "per ↓" in out and "per_no_silence ↓" in out and " phones of 6 utterances" in out and "scored as 'kaldi'" in out
    assert app.run(["evaluate", "P", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["metrics"]) == {"per", "per_no_silence"} and found["convention"] == "kaldi"


def test_predict(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["predict", "R"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("audio,text,confidence,seconds\n") and printed.count("\n") == 7
    files = sorted(str(path) for path in Path("corpus/test").rglob("*.wav"))
    assert app.run(["predict", "R", *files, "--out", "F.csv"]) == 0
    assert capsys.readouterr() == ("6 rows in F.csv\n", "")
    assert pl.read_csv("F.csv")["audio"].to_list() == files
    assert app.run(["predict", "R", "corpus/test", files[0], "--out", "G.parquet", "--quiet"]) == 0
    assert pl.read_parquet("G.parquet")["audio"].to_list() == [*files, files[0]]
    assert app.run(["predict", "L", "corpus/test", "--timestamps"]) == 0
    assert capsys.readouterr().out.startswith("audio,token,begin,end,confidence\ncorpus/test/anna/12.wav,")
    assert app.run(["predict", "L", *files, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["task"], found["rows"], found["out"]) == ("transcribe", 6, None)
    one = found["transcripts"][0]
    assert set(one) == {"audio", "text", "confidence", "seconds", "tokens"} and one["audio"] == files[0]
    assert "".join(token["token"] for token in one["tokens"]).strip() == one["text"]
    assert all(0 <= token["begin"] < token["end"] <= one["seconds"] for token in one["tokens"])


def test_the_test_part_is_heard_as_it_is_scored(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Frames of R are normalised by speaker: each test speaker by his own, though `predict` names none."""
    assert json.loads(Path("R/config.json").read_text())["data"]["normalisation"] == "speaker"
    assert app.run(["predict", "R", "--json"]) == 0
    heard = {
        Path(one["audio"]).stem + one["audio"].split("/")[-2]: one["text"] for one in json.loads(capsys.readouterr().out)["transcripts"]
    }
    truth = {path.stem + path.parent.name: path.read_text().strip() for path in Path("corpus/test").rglob("*.txt")}
    assert app.run(["evaluate", "R", "--json"]) == 0
    errors = json.loads(capsys.readouterr().out)["errors"]
    from tidegate.evaluate.speech import total_errors

    total = total_errors([list(truth[key]) for key in truth], [list(heard[key]) for key in truth])
    assert abs(total.edits - sum(errors[name] for name in ("substitutions", "deletions", "insertions"))) <= 2  # spaces at the ends


def test_another_corpus_is_scored_as_it_is(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Recordings without parts, or with a test part alone, are all scored; those that cannot be used are left out."""
    for name in ("plain", "parted/test"):
        for number in range(4):
            write_wav(here / name / f"{number}.wav", whistle("abba", number))
            Path(name, f"{number}.txt").write_text("abba")
    write_wav(here / "plain/bad.wav", np.zeros(4000, np.float32))
    Path("plain/bad.txt").write_text("abba")
    Path("table.csv").write_text("path,text,split\n" + "".join(f"plain/{number}.wav,abba,test\n" for number in range(4)))
    capsys.readouterr()
    for name, left in (("plain", True), ("parted", False), ("table.csv", False)):
        assert app.run(["evaluate", "R", name, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["errors"]["utterances"] == 4
        assert any("digital silence" in note for note in found["notes"]) == left


def test_conventions_are_of_transcripts_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["evaluate", "R", "--convention", "kladi"]) == 2
    assert "decoding.convention" in capsys.readouterr().err
    assert app.run(["evaluate", "R", "--convention", "no-silence", "--json"]) == 0


@pytest.mark.parametrize("words", [["train", "transcribe", "corpus", *COMMAND], ["evaluate", "R"], ["predict", "R", "--out", "f.csv"]])
def test_quiet(here: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([*words, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_skip_goes_on_and_names_what_was_left_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("corpus/train/anna/00.wav").write_bytes(b"")
    Path("corpus/train/anna/01.txt").write_text(" \n")
    write_wav(here / "corpus/train/bert/02.wav", whistle("a")[:500])
    assert app.run(["train", "transcribe", "corpus", "--out", "S", "--on-bad", "skip", *COMMAND]) == 0
    said = capsys.readouterr().err
    assert "3 recordings are left out:" in said and "corpus/train/anna/00.wav is empty (0 bytes)" in said and "02.wav is too short" in said
    assert [one["path"][-11:] for one in json.loads(Path("S/scores.json").read_text())["left_out"]] == [
        "anna/00.wav",
        "anna/01.wav",
        "bert/02.wav",
    ]
    assert json.loads(Path("S/run.json").read_text())["data"]["rows"] == 40
    assert app.run(["evaluate", "S"]) == 0
    assert "recordings are left out" in capsys.readouterr().out


def wav(path: str, samples: np.ndarray, rate: int = RATE) -> None:
    write_wav(Path(path), samples, rate)


def sphere(path: str, cut: int) -> None:
    """A SPHERE file that was cut off."""
    soundfile.write(path, whistle("ab"), RATE, format="NIST", subtype="PCM_16")
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[:-cut])


def manifest(*lines: str) -> None:
    Path("m.csv").write_text("\n".join(lines) + "\n")


BAD = "corpus/train/anna/00"
TRAIN: dict[str, tuple[Callable[[], object], str, list[str], list[str]]] = {
    "a missing corpus": (lambda: None, "corpsu", [], ["No such file", "corpsu", "Did you mean", "corpus"]),
    "no audio": (lambda: Path("empty").mkdir(), "empty", [], ["empty holds no recording; expected audio files such as .wav"]),
    "an empty WAV": (lambda: Path(f"{BAD}.wav").write_bytes(b""), "corpus", [], [f"{BAD}.wav is empty (0 bytes)", "--on-bad skip"]),
    "a text called .wav": (lambda: Path(f"{BAD}.wav").write_text("hello\n" * 9), "corpus", [], [f"{BAD}.wav is damaged, or no audio"]),
    "a truncated SPHERE": (lambda: sphere(f"{BAD}.wav", 99), "corpus", [], [f"{BAD}.wav is cut off", "bytes are there"]),
    "no transcripts": (
        lambda: [path.unlink() for path in Path("corpus").rglob("*.txt")],
        "corpus",
        [],
        ["corpus/dev/anna/10.wav has no transcript; expected a .txt", "42 of 42 recordings cannot be used"],
    ),
    "no transcripts, skipped": (
        lambda: [path.unlink() for path in Path("corpus").rglob("*.txt")],
        "corpus",
        ["--on-bad", "skip"],
        ["corpus: no utterance is for train", "42 were left out, first: "],
    ),
    "an empty transcript": (lambda: Path(f"{BAD}.txt").write_text("\n"), "corpus", [], [f"{BAD}.txt is empty; expected what is said"]),
    "a manifest without its columns": (
        lambda: manifest("file,text", f"{BAD}.wav,ab"),
        "m.csv",
        [],
        ["m.csv has no column 'path', needed for characters"],
    ),
    "a manifest with a missing file": (
        lambda: manifest("path,text,split", f"{BAD}.wav,ab,train", "none.wav,ab,test"),
        "m.csv",
        [],
        ["m.csv, line 3: there is no file", "none.wav"],
    ),
    "a manifest with an unknown split": (
        lambda: manifest("path,text,split", f"{BAD}.wav,ab,train", "corpus/train/anna/01.wav,ab,validate"),
        "m.csv",
        [],
        ["m.csv, line 3: the split is 'validate'; expected train, dev or test"],
    ),
    "too short for its tokens": (
        lambda: Path(f"{BAD}.txt").write_text("ab " * 40),
        "corpus",
        [],
        [f"{BAD}.wav is too short: 119 tokens in ", "steps of the network, 119 needed", "--set network.pooling=1", "--on-bad skip"],
    ),
    "silence": (lambda: wav(f"{BAD}.wav", np.zeros(4000)), "corpus", [], [f"{BAD}.wav is digital silence: all 4,000 samples are 0"]),
    "a rate of 3 kHz": (
        lambda: wav(f"{BAD}.wav", whistle("ab"), 3000),
        "corpus",
        [],
        [f"{BAD}.wav has a rate of 3,000 Hz; expected 4,000"],
    ),
    "an unknown kind": (
        lambda: None,
        "corpus",
        ["--kind", "timt"],
        ["data.kind", "'timit', 'folder', 'manifest' or 'fsdd'", "given: 'timt'"],
    ),
    "an unknown kind of tokens": (lambda: None, "corpus", ["--tokens", "letters"], ["data.tokens", "'phones', 'characters' or 'words'"]),
    "an unknown way with bad ones": (lambda: None, "corpus", ["--on-bad", "ignore"], ["data.on_bad", "'skip' or 'refuse'"]),
    "another kind": (lambda: None, "corpus", ["--kind", "timit"], ["corpus has no recording in the shape of TIMIT", "TRAIN/DRn/SPEAKER"]),
    "phones of texts": (lambda: None, "corpus", ["--tokens", "phones"], ["corpus/dev/anna/10.wav has no labels; expected a .phn or .lab"]),
    "an unknown test speaker": (
        lambda: None,
        "corpus",
        ["--test-speakers", "anna,brt"],
        ["There is no speaker 'brt'. Did you mean 'bert'?"],
    ),
    "an empty test speaker": (lambda: None, "corpus", ["--test-speakers", "anna,"], ["--test-speakers 'anna,' has an empty name"]),
    "an unknown network": (lambda: None, "corpus", ["--network", "lstm"], ["Unknown network 'lstm'. Did you mean 'blstm'?"]),
    "an unknown device": (lambda: None, "corpus", ["--set", "training.device=abacus"], ["device 'abacus' cannot be used"]),
    "a setting of another task": (lambda: None, "corpus", ["--set", "data.horizon=3"], ["Unknown setting 'data.horizon'"]),
    "a folder that holds a run": (lambda: None, "corpus", ["--out", "R"], ["R holds a finished run. Replace it with --overwrite"]),
    "a loss that explodes": (
        lambda: None,
        "corpus",
        ["--out", "R", "--overwrite", "--set", "training.learning_rate=1e38", "--set", "training.clip_norm=null"],
        ["smaller learning_rate"],
    ),
}


@pytest.mark.parametrize("name", TRAIN)
def test_corpora_and_options_that_cannot_be_trained_with(name: str, here: Path, refused: Refused) -> None:
    write, corpus, options, parts = TRAIN[name]
    write()
    said = refused("train", "transcribe", corpus, *COMMAND, "--quiet", *options)
    for part in parts:
        assert part in said, said


def test_bad_recordings_are_not_predicted(here: Path, refused: Refused) -> None:
    wav("short.wav", whistle("a")[:150])
    Path("text.wav").write_text("hello\n" * 20)
    (here / "none").mkdir()
    said = {
        "missing.wav": "No such file",
        "short.wav": "short.wav is shorter than a frame of 25 ms. Give a longer recording",
        "text.wav": "text.wav is damaged, or no audio",
        "none": "none holds no recording",
    }
    for file, words in said.items():
        assert words in refused("predict", "R", file)
        assert words in refused("predict", "L", "corpus/test/anna/12.wav", file, "--out", "F.csv")
    assert "expected a name that ends in .csv" in refused("predict", "R", "--out", "F.xlsx")
    assert "No such run folder" in refused("predict", "none2", "short.wav")
    assert "No such file" in refused("evaluate", "R", "corpsu")


def test_a_run_whose_corpus_is_gone_or_has_changed(here: Path, trained: Path, refused: Refused) -> None:
    manifest = json.loads(Path("R/run.json").read_text())
    manifest["data"]["path"] = str(here / "corpus")
    Path("R/run.json").write_text(json.dumps(manifest))
    Path(f"{BAD}.txt").write_text("dab\n")
    for verb in ("evaluate", "predict"):
        assert "corpus has changed since R was trained" in refused(verb, "R")
    shutil.rmtree("corpus")
    assert "is not there" in refused("evaluate", "R")
    assert app.run(["predict", "R", str(trained / "corpus/test/anna/12.wav")]) == 0, "which needs no corpus"


def test_runs_and_options_of_other_tasks(here: Path, refused: Refused) -> None:
    own, _ = write_pair(here)
    assert app.run(["train", "classify", str(own), "--out", "C", "--quiet", *CLASSES]) == 0
    others = (["--origins", "3"], ["--statistical"], ["--minirocket"])
    for words in (*(["evaluate", "R", *option] for option in others), ["predict", "R", "--refit"]):
        assert f"{words[2]} has no use here: this run's task is 'transcribe'. Leave it out." in refused(*words)
    assert "--timestamps has no use here: this run's task is 'classify'" in refused("predict", "C", "--timestamps")
    assert "--rate has no use here: this run's task is 'classify'" in refused("predict", "C", "--rate", "8000")
    assert "--rate has no use here: files tell their rate themselves" in refused("predict", "R", "corpus/test", "--rate", "8000")
    said = refused("predict", "C", "a.csv", "b.csv", "c.csv", "d.csv")
    assert "4 files are given (a.csv, b.csv, c.csv, ...); this run's task is 'classify', which takes one" in said
    assert "No such file" in refused("predict", "C", "-")
    assert "task 'classify'; expected 'transcribe'" in refused("train", "transcribe", "corpus", "--out", "C", "--resume", *COMMAND)
    assert "task 'transcribe'; expected 'classify'" in refused("train", "classify", str(own), "--out", "R", "--resume", *CLASSES)


def live(words: list[str], data: bytes) -> tuple[int, str, str]:
    """A command in a process of its own with these bytes on standard input."""
    done = subprocess.run(
        [*CALL, *words], input=data, capture_output=True, timeout=60, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_standard_input_is_heard_as_a_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("corpus/test/bert/13.wav")
    assert app.run(["predict", "L", str(file)]) == 0
    expected = capsys.readouterr().out.replace(str(file), "-")
    assert len(expected.splitlines()[1].split(",")[1]) > 1, "something is heard"
    status, out, err = live(["predict", "L", "-"], file.read_bytes())
    assert (status, err) == (0, "")
    said, found = out.split("\n\n")
    assert found.splitlines()[0] == expected.splitlines()[0]
    row, told = (line.splitlines()[1].split(",") for line in (found, expected))
    assert row[:2] == told[:2] and np.allclose([float(one) for one in row[2:]], [float(one) for one in told[2:]], atol=1e-5)
    rows = [line.split(" ", 2) for line in said.splitlines()]
    assert rows and all(0 <= float(begin) < float(end) for begin, end, _ in rows)


class Standard:
    """Stands for standard input: bytes that come in small pieces, then Ctrl-C or the end."""

    def __init__(self, data: bytes, piece: int = 333, interrupted: bool = False) -> None:
        self.data, self.piece, self.interrupted, self.buffer = data, piece, interrupted, self

    def isatty(self) -> bool:
        return False

    def read1(self, count: int) -> bytes:
        if not self.data and self.interrupted:
            signal.raise_signal(signal.SIGINT)
        found, self.data = self.data[: min(count, self.piece)], self.data[min(count, self.piece) :]
        return found


Listen = Callable[..., int]


@pytest.fixture
def listen(here: Path, monkeypatch: pytest.MonkeyPatch) -> Listen:
    def run(words: list[str], data: bytes, interrupted: bool = False) -> int:
        monkeypatch.setattr(sys, "stdin", Standard(data, interrupted=interrupted))
        return app.run(words)

    return run


def heard(run: str, file: str, capsys: pytest.CaptureFixture[str]) -> dict:
    assert app.run(["predict", run, file, "--json"]) == 0
    return json.loads(capsys.readouterr().out)["transcripts"][0]


def same(one: dict, other: dict) -> bool:
    """Equal but for the name and for rounding."""
    assert [token["token"] for token in one["tokens"]] == [token["token"] for token in other["tokens"]]
    for first, second in zip(one["tokens"], other["tokens"], strict=True):
        assert [first[name] for name in ("begin", "end", "confidence")] == pytest.approx(
            [second[name] for name in ("begin", "end", "confidence")], abs=1e-5
        )
    return one["text"] == other["text"] and one["seconds"] == pytest.approx(other["seconds"])


@pytest.mark.parametrize("run", ["L", "R"])
def test_every_form_of_standard_input(run: str, listen: Listen, capsys: pytest.CaptureFixture[str]) -> None:
    """WAV and raw PCM, of the run's rate and of others, in small pieces: the transcript of the file."""
    samples = whistle("cad ba", 4)
    high = whistle("cad ba", 4, rate=16000)
    wav("own.wav", samples)
    wav("high.wav", high, 16000)
    soundfile.write("stereo.wav", np.stack([samples, 0.5 * samples], 1), RATE, subtype="FLOAT")
    cases = [("own.wav", Path("own.wav").read_bytes(), []), ("own.wav", pcm(samples), []), ("own.wav", pcm(samples), ["--rate", "8000"])]
    cases += [("high.wav", Path("high.wav").read_bytes(), []), ("high.wav", pcm(high), ["--rate", "16000"])]
    cases += [("stereo.wav", Path("stereo.wav").read_bytes(), [])]
    for file, data, more in cases:
        expected = heard(run, file, capsys)
        assert listen(["predict", run, "-", "--json", *more], data) == 0
        out, err = capsys.readouterr()
        found = json.loads(out)
        assert err == "" and found["rows"] == 1 and same(found["transcripts"][0], expected)


def test_a_network_of_two_directions_says_that_it_waits(listen: Listen, capsys: pytest.CaptureFixture[str]) -> None:
    assert listen(["predict", "R", "-", "--timestamps", "--out", "T.csv"], pcm(whistle("abba"))) == 0
    out, err = capsys.readouterr()
    assert err.count("\n") == 1 and "'blstm' hears whole recordings only" in err
    assert out.endswith(" rows in T.csv\n") and pl.read_csv("T.csv").columns == ["audio", "token", "begin", "end", "confidence"]
    assert listen(["predict", "R", "-", "--quiet", "--out", "T.csv"], pcm(whistle("abba"))) == 0
    assert capsys.readouterr() == ("", "")


def test_standard_input_that_is_no_audio(here: Path, listen: Listen, capfd: pytest.CaptureFixture[str]) -> None:
    wav("own.wav", whistle("ab"))
    header = Path("own.wav").read_bytes()
    flac = b"fLaC" + bytes(100)
    cases: list[tuple[bytes, list[str], str]] = [
        (b"", [], "Standard input is empty (0 bytes); expected audio: WAV, or raw PCM of 16 bits"),
        (header[:30], [], "Standard input is cut off within its WAV header"),
        (header[:6], [], "Standard input is cut off within its WAV header"),
        (header[:44], [], "Standard input is cut off: 0 of "),
        (header[:40] + bytes(4), [], "Standard input has a header, but no sample"),
        (bytes(4000), [], "Standard input is digital silence: all 2,000 samples are 0"),
        (pcm(whistle("ab"))[:200], [], "The recording is shorter than a frame of 25 ms"),
        (flac, [], "Standard input is FLAC; expected WAV, or raw PCM of 16 bits"),
        (header, ["--rate", "16000"], "The rate is 16,000 Hz (--rate), but standard input is WAV of 8,000 Hz"),
        (pcm(whistle("ab")), ["--rate", "3000"], "Standard input has a rate of 3,000 Hz; expected 4,000 to 384,000 Hz"),
        (pcm(whistle("ab")), ["--out", "x.xlsx"], "expected a name that ends in .csv"),
        (b"RIFF\0\0\0\0AVI LIST", [], "Standard input is RIFF, but no WAV"),
    ]
    for data, more, words in cases:
        capfd.readouterr()
        assert listen(["predict", "L", "-", "--quiet", *more], data) == 2, words
        out, err = capfd.readouterr()
        assert out == "" and err.startswith("error: ") and words in err and err.count("\n") == 1, err
    assert listen(["predict", "L", "-", "own.wav"], b"") == 2
    assert "Standard input (-) and files are given; expected either" in capfd.readouterr().err
    assert listen(["predict", "L", "-", "--json"], b"") == 2
    assert json.loads(capfd.readouterr().out)["error"]["kind"] == "DataError"


@pytest.mark.parametrize("run", ["L", "R"])
@pytest.mark.parametrize(("cut", "words"), [(0, ""), (9, "Standard input is cut off: "), (1, "Standard input ends within a sample")])
def test_sound_that_is_cut_off_is_transcribed_and_then_said(
    run: str, cut: int, words: str, listen: Listen, capsys: pytest.CaptureFixture[str]
) -> None:
    wav("own.wav", whistle("cad ba", 4))
    whole = Path("own.wav").read_bytes() if cut != 1 else pcm(whistle("cad ba", 4))
    frame_bytes = 2
    data = whole[: len(whole) - cut]
    kept = data[: len(data) - len(data) % frame_bytes]
    wav("kept.wav", np.frombuffer(kept[44:] if cut != 1 else kept, "<i2").astype(np.float32) / 32768)
    expected = heard(run, "kept.wav", capsys)
    assert listen(["predict", run, "-", "--json"], data) == (2 if cut else 0)
    found = json.loads(capsys.readouterr().out)
    assert same(found["transcripts"][0], expected)
    assert (words in found["error"]["message"]) if cut else ("error" not in found)
    assert listen(["predict", run, "-", "--out", "T.csv", "--quiet"], data) == (2 if cut else 0)
    out, err = capsys.readouterr()
    assert out == "" and pl.read_csv("T.csv")["text"][0] == expected["text"]
    assert (err.startswith("error: ") and words in err) if cut else err == ""


def test_ctrl_c_ends_it_with_what_was_heard(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tokens come while the sender still holds the other end open."""
    samples = np.concatenate([whistle("cad ba dab", 4)] * 4)
    wav("own.wav", samples)
    expected = heard("L", "own.wav", capsys)
    process = subprocess.Popen(
        [*CALL, "predict", "L", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdin and process.stdout
    process.stdin.write(pcm(samples))
    process.stdin.flush()
    first = process.stdout.readline().decode()
    assert float(first.split()[0]) >= 0
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err == b""
    assert out.decode().splitlines()[-1].split(",")[1] == expected["text"]


@pytest.mark.parametrize("run", ["L", "R"])
def test_ctrl_c_keeps_what_came_before(run: str, here: Path, listen: Listen, capsys: pytest.CaptureFixture[str]) -> None:
    data = pcm(whistle("cad ba dab", 4))
    wav("own.wav", whistle("cad ba dab", 4))
    expected = heard(run, "own.wav", capsys)
    assert listen(["predict", run, "-", "--json"], data, interrupted=True) == 130
    assert same(json.loads(capsys.readouterr().out)["transcripts"][0], expected)
    assert listen(["predict", run, "-", "--quiet"], b"", interrupted=True) == 130
    assert capsys.readouterr() == ("", "")
    assert listen(["predict", "L", "-"], b"", interrupted=True) == 130
    assert capsys.readouterr() == ("interrupted: nothing was heard\n", "")
    assert listen(["predict", run, "-", "--json"], b"RIFF", interrupted=True) == 130
    assert json.loads(capsys.readouterr().out) == {"task": "transcribe", "run": run, "state": "interrupted"}


def test_the_stream_reads_what_read_audio_reads(tmp_path: Path) -> None:
    from tidegate.data.speech.audio_stream import AudioStream

    samples = whistle("abc")
    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"):
        for channels in (1, 3):
            for form in ("WAV", "WAVEX"):
                path = tmp_path / "x.wav"
                soundfile.write(path, np.stack([samples / (place + 1) for place in range(channels)], 1), RATE, subtype=subtype, format=form)
                stream = AudioStream(Standard(path.read_bytes(), 777).read1, 16000)
                found = np.concatenate(list(stream))
                np.testing.assert_array_equal(found, read_audio(path)[0])
                assert stream.rate == RATE and found.dtype == np.float32
