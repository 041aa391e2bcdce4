"""Each bad input at the command line: an error of a line or two with place and cure, exit status 2, nothing written or overwritten."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.cli.refusals import Refused
from tests.tasks.forecasting.tiny import covariates, one_series, panel
from tidegate.cli import app

SMALL = ["--lookback", "12", "--network", "lstm", "--set", "network.hidden=4", "--max-epochs", "1"]
SMALL += ["--set", "training.windows_per_epoch=64", "--set", "training.threads=1", "--quiet"]


def csv(frame: pl.DataFrame) -> str:
    return frame.write_csv(datetime_format="%Y-%m-%d %H:%M")


GOOD = csv(one_series(120))
LINES = GOOD.splitlines()


def changed(line: int, text: str) -> str:
    """The good table with another text in a line (1 is the header)."""
    return "\n".join([*LINES[: line - 1], text, *LINES[line:]]) + "\n"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The folder that commands name by '@'."""
    return tmp_path


TABLES: dict[str, tuple[str, str | bytes, list[str], list[str]]] = {
    "an empty file": ("load.csv", "", [], ["load.csv is empty"]),
    "only a header": ("load.csv", "ds,y\n", [], ["load.csv", "no row"]),
    "binary": ("load.csv", b"ds,y\n\0\1\2", [], ["load.csv is a binary file", "expected CSV"]),
    "a wrong encoding": ("load.csv", "ds,température\n1,2\n".encode("latin-1"), [], ["load.csv", "line 1", "save it as UTF-8"]),
    "a ragged line": ("load.csv", changed(7, "2024-01-01 05:00,3,4"), [], ["load.csv, line 7: 3 fields", "names 2"]),
    "a missing column": ("load.csv", GOOD, ["--target", "Y"], ["load.csv has no column 'Y' (--target)", "Did you mean 'y'?"]),
    "a missing time column": ("load.csv", GOOD, ["--time", "date"], ["no column 'date' (--time)", "Known: ds, y"]),
    "an unparsable time": (
        "load.csv",
        changed(9, "yesterday,3"),
        [],
        ["load.csv, row 8, column 'ds': 'yesterday' is no time", "--time-format"],
    ),
    "duplicate times": ("load.csv", changed(9, LINES[7]), [], ["load.csv", "2024-01-01 06:00", "more than once (rows 7, 8)", "--id"]),
    "duplicate times in a series": (
        "load.csv",
        csv(pl.concat([panel(), panel()[:1]])),
        [],
        ["load.csv", "series 'a' has the time 2024-01-01 00:00", "more than once", "Keep one row"],
    ),
    "no number at all": ("load.csv", csv(one_series(120).with_columns(y=pl.lit(None))), [], ["load.csv", "target 'y' has no number"]),
    "text among numbers": ("load.csv", changed(9, "2024-01-01 07:00,broken"), [], ["load.csv, row 8, column 'y': 'broken' is no number"]),
    "infinity": ("load.csv", changed(9, "2024-01-01 07:00,inf"), [], ["load.csv, row 8, column 'y'", "inf", "not finite"]),
    "too short a history": (
        "load.csv",
        csv(one_series(17)),
        [],
        ["17 steps", "horizon of 6", "Give a horizon of at most 5, or more history"],
    ),
    "a panel too short": ("load.csv", csv(panel((9, 17))), [], ["longest of 2 series has 17 steps", "horizon of at most 5"]),
    "day or month first": (
        "load.csv",
        "ds,y\n" + "".join(f"{1 + n % 12:02}/{1 + n // 12:02}/2024,{n}\n" for n in range(60)),
        [],
        ["load.csv, column 'ds'", "the day or the month", "first", "--time-format '%d/%m/%Y'"],
    ),
    "a horizon of 0": ("load.csv", GOOD, ["--horizon", "0"], ["data.horizon", "greater than 0", "given: 0"]),
    "a negative lookback": ("load.csv", GOOD, ["--lookback", "-3"], ["data.lookback", "greater than 0"]),
    "a split of two": ("load.csv", GOOD, ["--split", "80/20"], ["split '80/20'", "70/10/20"]),
    "an unknown device": ("load.csv", GOOD, ["--device", "abacus"], ["device 'abacus' cannot be used", "--device cpu"]),
    "an unknown setting": (
        "load.csv",
        GOOD,
        ["--set", "training.learning_rat=1"],
        ["training.learning_rat", "Did you mean 'learning_rate'?"],
    ),
    "an unknown cycle": ("load.csv", GOOD, ["--set", 'data.calendar=["moon"]'], ["no cycle 'moon'", "time_of_day"]),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(name: str, refused: Refused, tmp_path: Path) -> None:
    file, content, options, parts = TABLES[name]
    (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    said = refused("train", "forecast", f"@/{file}", "--horizon", "6", "--out", "@/run", *SMALL, *options)
    for part in parts:
        assert part in said, said
    assert not (tmp_path / "run").exists()


def test_the_good_table_is_good(tmp_path: Path) -> None:
    (tmp_path / "load.csv").write_text(GOOD)
    assert app.run(["train", "forecast", str(tmp_path / "load.csv"), "--horizon", "6", "--out", str(tmp_path / "run"), *SMALL]) == 0


def test_no_such_file(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "load.csv").write_text(GOOD)
    said = refused("train", "forecast", "@/laod.csv", "--horizon", "6", "--out", "@/run", *SMALL)
    assert "No such file" in said and "Did you mean" in said and "load.csv" in said


@pytest.mark.parametrize("verb", [["check"], ["train", "forecast"]])
def test_paths_that_cannot_be(refused: Refused, tmp_path: Path, verb: list[str]) -> None:
    (tmp_path / "load.csv").write_text(GOOD)
    assert "load.csv is a file, not a folder" in refused(*verb, "@/load.csv/x.csv", "--horizon", "6")
    assert "File name too long" in refused(*verb, f"@/{'a' * 300}", "--horizon", "6")


def test_parquet_files_that_do_not_fit_together(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    one_series(60).write_parquet(tmp_path / "parts" / "a.parquet")
    one_series(60).with_columns(pl.col("y").cast(pl.String)).write_parquet(tmp_path / "parts" / "b.parquet")
    said = refused("check", "@/parts", "--horizon", "6")
    assert "b.parquet, column 'y' holds String, but in a.parquet" in said and "expected one type" in said


def test_errors_as_json(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "load.csv").write_text("")
    words = ["train", "forecast", str(tmp_path / "load.csv"), "--horizon", "6", "--json"]
    assert app.run(words) == 2
    out, err = capfd.readouterr()
    assert err == ""
    error = json.loads(out)["error"]
    assert error["kind"] == "DataError" and "is empty" in error["message"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with known.csv (known-future covariates) and the run R trained on it, load.csv and the run Q trained on that."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "load.csv").write_text(GOOD)
    covariates(130).write_csv(folder / "known.csv", datetime_format="%Y-%m-%d %H:%M")
    more = ["--horizon", "6", *SMALL]
    assert app.run(["train", "forecast", str(folder / "known.csv"), "--future", "promo", "--out", str(folder / "R"), *more]) == 0
    assert app.run(["train", "forecast", str(folder / "load.csv"), "--out", str(folder / "Q"), *more]) == 0
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_future_covariates_absent(runs: Path, refused: Refused) -> None:
    head = covariates(130)[:124]
    head.write_csv(runs / "head.csv", datetime_format="%Y-%m-%d %H:%M")
    said = refused("predict", "@/R", "@/head.csv", "--out", "@/F.csv")
    assert "Known-future covariates (promo) are needed for the 6 steps after the last target" in said
    assert "--future FILE" in said
    assert not (runs / "F.csv").exists()
    covariates(130)[124:].select("ds", "promo").write_csv(runs / "future.csv", datetime_format="%Y-%m-%d %H:%M")
    words = [
        "predict",
        str(runs / "R"),
        str(runs / "head.csv"),
        "--future",
        str(runs / "future.csv"),
        "--out",
        str(runs / "F.csv"),
        "--quiet",
    ]
    assert app.run(words) == 0
    assert len(pl.read_csv(runs / "F.csv")) == 6
    assert "no column 'promo'" in refused("predict", "@/R", "@/head.csv", "--future", "@/load.csv", "--out", "@/G.csv")
    assert "without known-future covariates" in refused("predict", "@/Q", "@/load.csv", "--future", "@/future.csv")


def test_outputs_that_cannot_be(runs: Path, refused: Refused) -> None:
    assert "expected a name that ends in .csv, .parquet" in refused("predict", "@/Q", "--out", "@/F.xlsx")
    assert "there is no folder" in refused("predict", "@/Q", "--out", "@/none/F.csv")


def test_a_folder_that_holds_something(runs: Path, refused: Refused) -> None:
    words = ["train", "forecast", "@/load.csv", "--horizon", "6", *SMALL]
    assert "holds a finished run. Replace it with --overwrite" in refused(*words, "--out", "@/Q")
    (runs / "photos").mkdir()
    (runs / "photos" / "cat.png").write_bytes(b"cat")
    for more in ([], ["--overwrite"]):
        assert "is not empty and holds no Tidegate run" in refused(*words, "--out", "@/photos", *more)
    assert "is a file; a run needs a folder" in refused(*words, "--out", "@/load.csv", "--overwrite")
    manifest = json.loads((runs / "Q" / "run.json").read_text())
    (runs / "Q" / "run.json").write_text(json.dumps(manifest | {"state": "training", "files": {}}))
    assert "--overwrite replaces finished ones only" in refused(*words, "--out", "@/Q", "--overwrite")
    assert "has not finished" in refused("predict", "@/Q")


def test_a_failing_overwrite_leaves_the_old_run(runs: Path, refused: Refused) -> None:
    words = ["train", "forecast", "@/load.csv", "--out", "@/Q", "--overwrite", *SMALL]
    assert "greater than 0" in refused(*words, "--horizon", "0")
    assert "no column" in refused(*words, "--horizon", "6", "--target", "z")
    scores = ["--set", "training.learning_rate=1e30", "--set", "training.clip_norm=null", "--set", "training.max_epochs=5"]
    said = refused(*words, "--horizon", "6", "--loss", "mse", *scores)
    assert "step 1 " in said and "epoch 1, batch" in said and "smaller learning_rate" in said
    assert app.run(["predict", str(runs / "Q"), "--out", str(runs / "F.csv"), "--quiet"]) == 0


def test_a_folder_that_cannot_be_made(runs: Path, refused: Refused) -> None:
    """The same for root too: a file stands where a folder of the path should be."""
    said = refused("train", "forecast", "@/load.csv", "--horizon", "6", "--out", "@/load.csv/R", *SMALL)
    assert "load.csv" in said and "--out" in said


def test_runs_that_cannot_be_used(runs: Path, refused: Refused) -> None:
    assert "No such run folder" in refused("evaluate", "@/none")
    weights = (runs / "Q" / "model.safetensors").read_bytes()
    (runs / "Q" / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    assert "model.safetensors" in refused("predict", "@/Q")
    (runs / "Q" / "model.safetensors").write_bytes(weights)
    manifest = json.loads((runs / "Q" / "run.json").read_text())
    (runs / "Q" / "run.json").write_text(json.dumps(manifest | {"format_version": 99}))
    assert "upgrade tidegate" in refused("predict", "@/Q").lower()


def test_data_that_has_changed_or_is_gone(runs: Path, refused: Refused, trained: Path) -> None:
    run, data = runs / "Q", trained / "load.csv"
    content = data.read_text()
    try:
        data.write_text(changed(5, "2024-01-01 03:00,9.5"))
        said = refused("evaluate", "@/Q")
        assert "has changed since" in said and f"tidegate evaluate {run}" in said
        data.unlink()
        assert "is not there. Give the data" in refused("predict", "@/Q")
    finally:
        data.write_text(content)


def test_new_data_that_does_not_fit_the_model(runs: Path, refused: Refused) -> None:
    (runs / "other.csv").write_text("day,sales\n2024-01-01,3\n2024-01-02,4\n")
    assert "no column" in refused("predict", "@/Q", "@/other.csv")
    (runs / "off.csv").write_text(changed(9, "2024-01-01 07:17,3"))
    assert "off the grid" in refused("predict", "@/Q", "@/off.csv")
    (runs / "short.csv").write_text("\n".join(LINES[:4]) + "\n")
    assert "no origin to evaluate at" in refused("evaluate", "@/Q", "@/short.csv")
    assert "at least 1" in refused("evaluate", "@/Q", "--origins", "0")


def mounted(options: str, folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command with a tmpfs of its own on `folder`: read-only, or small. Skips where that is not allowed."""
    folder.mkdir()
    inside = ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o {options} none "$0" && exec "$@"', str(folder)]
    if shutil.which("unshare") is None or subprocess.run([*inside, "true"], capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a tmpfs in a namespace of its own")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    call = [*inside, sys.executable, "-c", "from tidegate.cli.app import main; main()", *words]
    return subprocess.run(call, capture_output=True, text=True, env=environment)


def test_a_full_disk(runs: Path) -> None:
    words = ["train", "forecast", str(runs / "load.csv"), "--horizon", "6", "--out", str(runs / "small" / "R"), *SMALL]
    done = mounted("size=400k", runs / "small", *words, "--set", "network.hidden=200")
    assert done.returncode == 2, done
    assert "the disk is full" in done.stderr and "Traceback" not in done.stderr and done.stderr.count("\n") <= 2


@pytest.mark.parametrize("verb", ["train", "predict"])
def test_a_folder_that_is_not_writable(runs: Path, verb: str) -> None:
    out = runs / "closed" / ("R" if verb == "train" else "F.csv")
    train = ["train", "forecast", str(runs / "load.csv"), "--horizon", "6", "--out", str(out), *SMALL]
    done = mounted("ro", runs / "closed", *(train if verb == "train" else ["predict", str(runs / "Q"), "--out", str(out), "--quiet"]))
    assert done.returncode == 2, done
    assert "closed" in done.stderr and ("not writable" in done.stderr or "Check the rights of the folder" in done.stderr), done
    assert "Traceback" not in done.stderr and done.stderr.count("\n") <= 2


def test_a_full_disk_under_a_forecast(runs: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused) -> None:
    import errno

    (runs / "F.csv").write_text("an older forecast")

    def refuse(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    said = refused("predict", "@/Q", "--out", "@/F.csv", "--quiet")
    assert "the disk is full" in said and "F.csv" in said


def test_gaps_and_missing_values_are_no_error(tmp_path: Path) -> None:
    frame = one_series(150).filter(~pl.int_range(pl.len()).is_in([40, 41, 90]))
    frame = frame.with_columns(pl.when(pl.int_range(pl.len()) % 11 != 0).then("y").alias("y"))
    frame.write_csv(tmp_path / "load.csv", datetime_format="%Y-%m-%d %H:%M")
    words = ["train", "forecast", str(tmp_path / "load.csv"), "--horizon", "6", "--out", str(tmp_path / "R"), *SMALL]
    assert app.run(words) == 0
    assert app.run(["predict", str(tmp_path / "R"), "--out", str(tmp_path / "F.parquet"), "--quiet"]) == 0
    assert np.isfinite(pl.read_parquet(tmp_path / "F.parquet")["y"].to_numpy()).all()
