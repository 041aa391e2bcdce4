"""`train classify`, `evaluate`, `predict` and `check` on small files of every form, as a user types them, and each bad input."""

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.cli.refusals import Refused
from tests.tasks.classification.tiny import COMMAND, long_table, names, ragged, waves, write_pair, write_ts
from tests.tasks.forecasting.tiny import one_series
from tidegate.cli import app

METRICS = {"accuracy", "balanced_accuracy", "f1_macro", "log_loss", "roc_auc", "ece"}
RIVALS = {"majority", "summary_logistic", "nearest_neighbour"}


def write_table(path: Path, label: str = "label") -> Path:
    """A long CSV."""
    X, y = ragged(channels=2)
    long_table(X, names(y), label=label).write_csv(path)
    return path


def write_folder(path: Path) -> Path:
    """A folder a class, a CSV a sequence."""
    X, y = ragged(16)
    for number, (values, name) in enumerate(zip(X, names(y), strict=True)):
        (path / name).mkdir(parents=True, exist_ok=True)
        pl.DataFrame({"x": values[:, 0]}).write_csv(path / name / f"{number:02}.csv")
    return path


def write_tsv(path: Path) -> Path:
    """The archive's: a label, then values, filled up with NaN."""
    X, y = ragged(16)
    rows = ["\t".join([str(label + 1), *map(str, values[:, 0]), *["NaN"] * (20 - len(values))]) for values, label in zip(X, y, strict=True)]
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with waves_TRAIN.ts, waves_TEST.ts and the run R trained on them."""
    folder = tmp_path_factory.mktemp("trained")
    own, test = write_pair(folder)
    assert app.run(["train", "classify", str(own), "--test", str(test), "--out", str(folder / "R"), "--quiet", *COMMAND]) == 0
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it that is the current folder."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_train_for_people(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["train", "classify", "waves_TRAIN.ts", "--test", "waves_TEST.ts", *COMMAND, "--set", "training.members=2"]) == 0
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert [line for line in lines if line.startswith("note: network")] == ["note: network 1 of 2", "note: network 2 of 2"]
    started = [line for line in lines if line.startswith("training: ")]
    assert len(started) == 2 and all(", 20 sequences an epoch, at most 3 epochs, cpu with 1 thread" in line for line in started)
    assert [line.split(":")[0] for line in lines if line.startswith("epoch")] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"] * 2
    assert sum(line.startswith("stopped: all 3 epochs done") for line in lines) == 2
    assert out.splitlines()[1].split() == [
        "accuracy",
        "↑",
        "balanced_accuracy",
        "↑",
        "f1_macro",
        "↑",
        "log_loss",
        "↓",
        "roc_auc",
        "↑",
        "ece",
        "↓",
    ]
    assert {line.split()[0] for line in out.splitlines()[2:6]} == {*RIVALS, "lstm"}
    assert "Right on " in out and " of 12 sequences" in out
    assert out.splitlines()[-3:] == [
        "report    runs/waves_TRAIN/report.html",
        "next      tidegate predict runs/waves_TRAIN --out classes.csv",
        "          tidegate evaluate runs/waves_TRAIN",
    ]
    assert app.run(["predict", "runs/waves_TRAIN", "--out", "classes.csv"]) == 0
    assert app.run(["evaluate", "runs/waves_TRAIN"]) == 0
    assert pl.read_csv("classes.csv").columns == ["id", "label", "p_fast", "p_slow"]
    assert "12 rows in classes.csv" in capsys.readouterr().out


def test_train_for_programs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["train", "classify", "waves_TRAIN.ts", "--out", "J", "--json", *COMMAND]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    found = json.loads(out)
    assert (found["task"], found["run"]) == ("classify", "J")
    assert set(found["metrics"]) == METRICS and set(found["baselines"]) == RIVALS and len(found["table"]) == 4
    assert found["seconds"] > 0 and found["verdict"].startswith("Right on ")
    assert app.run(["train", "classify", "waves_TRAIN.ts", "--out", "J", "--json", "--resume", *COMMAND]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == found["metrics"]


def test_evaluate(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["evaluate", "R", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["task"] == "classify" and set(found["metrics"]) == METRICS and set(found["baselines"]) == RIVALS
    assert found["sequences"] == 12 and found["classes"] == ["fast", "slow"] and np.sum(found["confusion"]) == 12
    assert set(found["per_class"]["slow"]) == {"precision", "recall", "f1", "support"} and len(found["table"]) == 4
    assert app.run(["evaluate", "R", "waves_TEST.ts", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == found["metrics"]
    assert app.run(["evaluate", "R"]) == 0
    out = capsys.readouterr().out
    assert "accuracy ↑" in out and found["verdict"][:20] in out and "minirocket" not in out
    if importlib.util.find_spec("aeon"):
        assert app.run(["evaluate", "R", "--minirocket"]) == 0
        assert "minirocket" in capsys.readouterr().out


def test_predict(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["predict", "R"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("id,label,p_fast,p_slow\n1,") and printed.count("\n") == 13
    assert app.run(["predict", "R", "waves_TEST.ts", "--out", "F.csv"]) == 0
    assert capsys.readouterr() == ("12 rows in F.csv\n", "") and Path("F.csv").read_text() == printed
    assert app.run(["predict", "R", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["task"], found["rows"], found["out"]) == ("classify", 12, None)
    assert found["columns"] == ["id", "label", "p_fast", "p_slow"] and list(found["classes"][0]) == found["columns"]


@pytest.mark.parametrize(
    "words", [["train", "classify", "waves_TRAIN.ts", *COMMAND], ["evaluate", "R"], ["predict", "R", "--out", "f.csv"]]
)
def test_quiet(here: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([*words, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("form", "classes"), [("long.csv", ["fast", "slow"]), ("folder", ["fast", "slow"]), ("waves.tsv", ["1", "2"])])
def test_every_form_of_data(here: Path, form: str, classes: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    data = {"long.csv": write_table, "folder": write_folder, "waves.tsv": write_tsv}[form](here / form)
    assert app.run(["check", form, "--json", *(["--label", "label"] if form == "long.csv" else [])]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert checked["ok"] and list(checked["facts"]["classes"]) == classes
    assert app.run(["train", "classify", str(data), "--out", "S", "--quiet", *COMMAND]) == 0
    assert app.run(["evaluate", "S", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == classes
    assert app.run(["predict", "S", form, "--out", "F.parquet", "--quiet"]) == 0
    frame = pl.read_parquet("F.parquet")
    assert frame.columns == ["id", "label", *(f"p_{name}" for name in classes)]
    assert len(frame) == checked["facts"]["sequences"]


def test_options_name_the_columns(here: Path) -> None:
    write_table(here / "long.csv", "kind")
    words = [
        "train",
        "classify",
        "long.csv",
        "--label",
        "kind",
        "--id",
        "id",
        "--time",
        "time",
        "--channels",
        "y,x",
        "--out",
        "S",
        "--quiet",
    ]
    assert app.run([*words, *COMMAND]) == 0
    assert app.run(["predict", "S", "long.csv", "--out", "F.csv", "--quiet"]) == 0
    assert pl.read_csv("F.csv").columns == ["id", "kind", "p_fast", "p_slow"]
    kept = json.loads(Path("S/config.json").read_text())["data"]
    assert (kept["label"], kept["id"], kept["time"], kept["channels"]) == ("kind", "id", "time", ["y", "x"])


def test_settings_of_a_file(here: Path) -> None:
    assert app.run(["train", "classify", "waves_TRAIN.ts", "--config", "R/config.json", "--seed", "4", "--out", "S", "--quiet"]) == 0
    kept = json.loads(Path("S/config.json").read_text())
    assert kept["training"]["seed"] == 4 and kept["network"] == json.loads(Path("R/config.json").read_text())["network"]


def test_check_tells_facts_and_findings(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["check", "waves_TRAIN.ts"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "waves_TRAIN.ts",
        "sequences 24 of 20 steps",
        "channels 1: value",
        "classes 2; fast: 12, slow: 12",
        "",
        "0 errors, 0 warnings, 0 notes",
    ]
    X = waves(14)[0]
    X[3] = X[1]
    write_ts(here / "odd.ts", X, [*["a"] * 10, *["b"] * 2, "c", "?"])
    assert app.run(["check", "odd.ts"]) == 1
    out = capsys.readouterr().out
    for part in (
        "1 sequence of 14 have no label",
        "odd.ts, line 17",
        "class 'c'",
        "Class 'a' has 10 sequences, class 'c' 1",
        "equal to another",
    ):
        assert part in out, out
    assert "1 error, 3 warnings, 0 notes" in out
    assert app.run(["check", "odd.ts", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {finding["code"] for finding in found["findings"]} == {"no-label", "single-sequence", "imbalance", "twins"}
    assert app.run(["check", "odd.ts", "--quiet"]) == 1
    assert capsys.readouterr() == ("", "")


def test_check_refuses_options_of_forecasts(here: Path, refused: Refused) -> None:
    write_table(here / "long.csv")
    assert "--horizon has no use here: waves_TRAIN.ts is checked as labelled sequences" in refused(
        "check", "waves_TRAIN.ts", "--horizon", "3"
    )
    assert "--time-format has no use here" in refused("check", "long.csv", "--label", "label", "--time-format", "%d")
    assert "no column 'kind' (--label)" in refused("check", "long.csv", "--label", "kind")


def test_a_class_that_training_never_saw(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No error: said, and counted as wrong."""
    write_ts(here / "new.ts", waves(6)[0], [*["slow", "fast"] * 2, "strange", "other"])
    note = "note: 2 sequences of new.ts are of a class that training never saw ('other', 'strange'): each counts as wrong"
    assert app.run(["train", "classify", "waves_TRAIN.ts", "--test", "new.ts", "--out", "S", *COMMAND]) == 0
    assert note in capsys.readouterr().err.splitlines()
    for words in (["evaluate", "S"], ["evaluate", "R", "new.ts"]):
        assert app.run(words) == 0
        assert note in capsys.readouterr().out.splitlines()


def test_one_sample_in_a_class(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No error: trained on, and said."""
    write_ts(here / "one.ts", waves(12)[0], [*["slow", "fast"] * 5, "slow", "rare"])
    assert app.run(["train", "classify", "one.ts", "--out", "S", *COMMAND]) == 0
    assert "note: 1 class with one sequence only ('rare'): it is trained on, and none is held aside" in capsys.readouterr().err.splitlines()
    assert json.loads(Path("S/preparation.json").read_text())["classes"] == ["fast", "rare", "slow"]


def ts(folder: Path, name: str, labels: list[str], channels: int = 1, header: str | None = None) -> None:
    write_ts(folder / name, waves(len(labels), channels=channels)[0], labels, header)


TWO = ["slow", "fast"] * 6
TRAIN: dict[str, tuple[Callable[[Path], object], str, list[str], list[str]]] = {
    "one class only": (
        lambda folder: ts(folder, "a.ts", ["slow"] * 12),
        "a.ts",
        [],
        ["a.ts: all 12 sequences are of class 'slow'; expected two classes or more"],
    ),
    "labels missing": (
        lambda folder: ts(folder, "a.ts", [*TWO[:-2], "?", "?"]),
        "a.ts",
        [],
        ["a.ts, line 14: no label (2 of 12 sequences have none). Label them, or leave them out"],
    ),
    "no label at all": (
        lambda folder: long_table(waves(8)[0]).write_csv(folder / "a.csv"),
        "a.csv",
        [],
        ["a.csv: no sequence has a label. Name the column that holds it with --label"],
    ),
    "no label in test data": (
        lambda folder: ts(folder, "b.ts", ["?"] * 8),
        "waves_TRAIN.ts",
        ["--test", "b.ts"],
        ["b.ts: no sequence has a label. Give labelled data to score on"],
    ),
    "a label that is not there": (
        lambda folder: write_table(folder / "a.csv"),
        "a.csv",
        ["--label", "lable"],
        ["a.csv has no column 'lable' (--label)", "Did you mean 'label'?"],
    ),
    "a channel that is not there": (
        lambda folder: write_table(folder / "a.csv"),
        "a.csv",
        ["--channels", "x,z"],
        ["a.csv has no column 'z' (--channels)"],
    ),
    "two labels in a sequence": (
        lambda folder: (
            long_table(waves(2)[0], [["u"] * 19 + ["v"], ["w"] * 20])
            .explode("label")
            .unique(maintain_order=True)
            .write_csv(folder / "a.csv")
        ),
        "a.csv",
        [],
        ["a.csv, column 'label': the label of sequence '1' is 'u'", "Is --id the right column?"],
    ),
    "a column in a file that names none": (
        lambda folder: None,
        "waves_TRAIN.ts",
        ["--label", "kind"],
        ["--label kind: waves_TRAIN.ts is a file of the UCR/UEA archive, which names no columns"],
    ),
    "channel counts that differ in test data": (
        lambda folder: ts(folder, "b.ts", TWO, channels=2),
        "waves_TRAIN.ts",
        ["--test", "b.ts"],
        ["b.ts has 2 channels (channel_1, channel_2), but training had 1 channel (value)", "Give data with the same channels"],
    ),
    "channel counts that differ in a file": (
        lambda folder: (folder / "a.ts").write_text("@classLabel true a b\n@data\n1,2,3:4,5,6:a\n1,2,3:b\n"),
        "a.ts",
        [],
        ["a.ts, line 4"],
    ),
    "an unreadable header": (
        lambda folder: ts(folder, "a.ts", TWO, header="@classLabel perhaps slow fast\n@data"),
        "a.ts",
        [],
        ["a.ts, line 1: '@classlabel perhaps slow fast'; expected @classlabel true or false"],
    ),
    "no @data": (lambda folder: ts(folder, "a.ts", TWO, header="@classLabel true slow fast"), "a.ts", [], ["a.ts", "@data"]),
    "a value that is no number": (
        lambda folder: (folder / "a.ts").write_text("@classLabel true a b\n@data\n1,2,3:a\n1,x,3:b\n"),
        "a.ts",
        [],
        ["a.ts, line 4", "'x'"],
    ),
    "no such file": (lambda folder: None, "waves_TRIAN.ts", [], ["No such file", "Did you mean", "waves_TRAIN.ts"]),
    "no such test file": (lambda folder: None, "waves_TRAIN.ts", ["--test", "none.ts"], ["No such file", "none.ts"]),
    "an unknown network": (lambda folder: None, "waves_TRAIN.ts", ["--network", "lstn"], ["Unknown network 'lstn'. Did you mean 'lstm'?"]),
    "a setting of forecasts": (
        lambda folder: None,
        "waves_TRAIN.ts",
        ["--set", "data.horizon=3"],
        ["Unknown setting 'data.horizon'"],
    ),
    "an option of forecasts": (lambda folder: None, "waves_TRAIN.ts", ["--horizon", "3"], ["No such option: --horizon"]),
    "a folder that holds a run": (
        lambda folder: None,
        "waves_TRAIN.ts",
        ["--out", "R"],
        ["R holds a finished run. Replace it with --overwrite"],
    ),
    "a loss that explodes": (
        lambda folder: None,
        "waves_TRAIN.ts",
        ["--out", "R", "--overwrite", "--set", "training.learning_rate=1e38", "--set", "training.clip_norm=null"],
        ["smaller learning_rate"],
    ),
}


@pytest.mark.parametrize("name", TRAIN)
def test_data_and_options_that_cannot_be_trained_with(name: str, here: Path, refused: Refused) -> None:
    write, data, options, parts = TRAIN[name]
    write(here)
    said = refused("train", "classify", data, *COMMAND, "--quiet", *options)
    for part in parts:
        assert part in said, said


def test_options_of_the_other_task(refused: Refused) -> None:
    for words in (["evaluate", "R", "--origins", "3"], ["evaluate", "R", "--statistical"]):
        assert f"{words[2]} has no use here: this run's task is 'classify'. Leave it out." in refused(*words)
    for words in (["predict", "R", "--future", "waves_TEST.ts"], ["predict", "R", "--refit"]):
        assert f"{words[2]} has no use here: this run's task is 'classify'. Leave it out." in refused(*words)


def test_new_data_that_does_not_fit_the_model(here: Path, refused: Refused) -> None:
    ts(here, "two.ts", TWO, channels=2)
    ts(here, "bare.ts", ["?"] * 4)
    long_table(waves(4)[0]).write_csv(here / "x.csv")
    for verb in ("evaluate", "predict"):
        assert "two.ts has 2 channels (channel_1, channel_2), but training had 1 channel (value)" in refused(verb, "R", "two.ts")
        assert "x.csv has no column 'value' (--channels)" in refused(verb, "R", "x.csv")
        assert "No such file" in refused(verb, "R", "none.ts")
        assert "No such run folder" in refused(verb, "none")
    assert "bare.ts: no sequence has a label. Give labelled data to score on" in refused("evaluate", "R", "bare.ts")
    assert "expected a name that ends in .csv" in refused("predict", "R", "--out", "F.xlsx")


def test_runs_of_the_other_task(here: Path, refused: Refused) -> None:
    one_series(120).write_csv(here / "load.csv", datetime_format="%Y-%m-%d %H:%M")
    small = [
        "--horizon",
        "6",
        "--lookback",
        "12",
        "--network",
        "lstm",
        "--set",
        "network.hidden=4",
        "--set",
        "training.max_steps=1",
        "--quiet",
    ]
    said = refused("train", "forecast", "load.csv", "--out", "R", "--resume", *small)
    assert "R holds a run of the task 'classify'; expected 'forecast'" in said
    assert app.run(["train", "forecast", "load.csv", "--out", "Q", *small]) == 0
    assert "task 'forecast'; expected 'classify'" in refused("train", "classify", "waves_TRAIN.ts", "--out", "Q", "--resume", *COMMAND)


def test_errors_as_json(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ts(here, "a.ts", ["slow"] * 12)
    assert app.run(["train", "classify", "a.ts", "--json", *COMMAND]) == 2
    out, err = capfd.readouterr()
    assert err == "" and json.loads(out)["error"]["kind"] == "DataError"


def test_a_real_set_is_learnt(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """GunPoint, 50 training and 150 test sequences of 150 steps."""
    own, test = (shared / "tsc" / f"GunPoint_{part}.ts" for part in ("TRAIN", "TEST"))
    if not (own.is_file() and test.is_file()):
        pytest.skip("needs GunPoint of the UCR archive in the shared data folder")
    small = ["--network", "conv-lstm", "--max-epochs", "8", "--set", "network.hidden=8", "--set", "network.filters=4"]
    small += [
        "--set",
        "network.blocks=1",
        "--set",
        "training.members=1",
        "--set",
        "training.threads=1",
        "--set",
        "training.learning_rate=0.01",
    ]
    assert app.run(["train", "classify", str(own), "--test", str(test), "--out", str(tmp_path / "R"), "--json", *small]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"]["accuracy"] > found["baselines"]["majority"]["accuracy"] + 0.1
