"""Exit statuses, and errors as text and as JSON."""

import json
import signal
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from tidegate.cli import app
from tidegate.cli.interrupt import interruptible
from tidegate.errors import DataError


def json_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one JSON object on standard output; standard error is empty."""
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A stand-in for tidegate.tasks.forecasting.verbs, whose functions a test sets."""
    module = ModuleType("tidegate.tasks.forecasting.verbs")
    monkeypatch.setitem(sys.modules, "tidegate.tasks.forecasting.verbs", module)
    return module


def raising(error: BaseException) -> Any:
    def function(*args: object, **kwargs: object) -> None:
        raise error

    return function


WRONG = {
    "train forecast": "Missing argument 'DATA'. See 'tidegate train forecast --help'.",
    "train forecast a.csv b.csv": "Got unexpected extra argument(s) (b.csv). See 'tidegate train forecast --help'.",
    "train forecast a.csv --horizn 3": "No such option: --horizn",
    "train forecast a.csv --horizon three": "Invalid value for '--horizon'",
    "train forecast a.csv --clean maybe": "'maybe'",
    "forecast": "No such command 'forecast'",
    "train forecast a.csv": "The horizon is missing. Give --horizon N, the number of steps to forecast.",
    "train forecast a.csv --horizon 0": "data.horizon: Input should be greater than 0 (given: 0).",
    "train forecast a.csv --horizon 3 --network lstn": "Unknown network 'lstn'. Did you mean 'lstm'?",
    "train forecast a.csv --horizon 3 --loss mea": "training.loss: Input should be 'mae', 'mse', 'huber' or 'quantile' (given: 'mea').",
    "train forecast a.csv --horizon 3 --season a": "--season 'a': expected numbers separated by commas.",
    "train forecast a.csv --horizon 3 --set hidden=3": "--set hidden=3: expected SECTION.KEY=VALUE, such as network.hidden=128.",
    "train forecast a.csv --horizon 3 --set network.hiden=3": "Unknown setting 'network.hiden'. Did you mean 'hidden'?",
    "train forecast a.csv --horizon 3 --config none.toml": "No such file: none.toml.",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_arguments(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(words.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert WRONG[words] in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", WRONG)
def test_wrong_arguments_as_json(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([*words.split(), "--json"]) == 2
    assert WRONG[words] in json_of(capsys)["error"]["message"]


def test_an_error_of_a_task(tasks: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    tasks.evaluate = raising(DataError("load.csv, line 7: 3 fields, expected 2."))  # type: ignore[attr-defined]
    assert app.run(["evaluate", "run"]) == 2
    assert capsys.readouterr() == ("", "error: load.csv, line 7: 3 fields, expected 2.\n")
    assert app.run(["evaluate", "run", "--json"]) == 2
    assert json_of(capsys) == {"error": {"kind": "DataError", "message": "load.csv, line 7: 3 fields, expected 2."}}


def test_a_bug_is_no_user_error(tasks: ModuleType) -> None:
    tasks.evaluate = raising(ZeroDivisionError())  # type: ignore[attr-defined]
    with pytest.raises(ZeroDivisionError):
        app.run(["evaluate", "run"])


def test_an_interrupted_training_says_how_to_go_on(tasks: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    tasks.train = raising(KeyboardInterrupt())  # type: ignore[attr-defined]
    words = ["train", "forecast", "a.csv", "--horizon", "3", "--out", "R"]
    assert app.run(words) == 130
    assert "saved in R; the same command with --resume goes on" in capsys.readouterr().out
    assert app.run([*words, "--json"]) == 130
    assert json_of(capsys) == {"task": "forecast", "run": "R", "state": "interrupted"}


def test_the_first_interrupt_asks_and_the_second_ends() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible(silent=True) as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--help"], ["train"], ["train", "--help"], ["train", "forecast", "--help"]):
        assert app.run(words) == 0
        assert "Usage: tidegate" in capsys.readouterr().out
    assert app.run(["--version"]) == 0
    assert capsys.readouterr().out == "tidegate 0.1.0\n"


def test_a_terminal_without_unicode(tmp_path: Any) -> None:
    code = "from tidegate.cli.app import main; main()"
    words = ["train", "forecast", "负荷.csv", "--horizon", "3", "--config", "设置.toml"]
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONPATH": ":".join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr == "error: No such file: \\u8bbe\\u7f6e.toml. Give a .toml or .json file with the tree of config.json.\n"
