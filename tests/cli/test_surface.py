"""The public surface: verbs, options, Python names; and what stays out of import."""

import subprocess
import sys
from typing import Any

import pytest
import typer.main

import tidegate
from tidegate.cli.app import app

TALK = {"--json", "--quiet", "--help"}
COLUMNS = {"--target", "--time", "--id", "--past", "--future", "--static", "--layout", "--horizon", "--lookback", "--season", "--freq"}
COLUMNS |= {"--time-format", "--config", "--set"}
SETTINGS = {"--split", "--clean", "--network", "--loss", "--quantiles", "--seed", "--max-epochs", "--time-limit", "--device"}
CLASSES = {
    "--label",
    "--id",
    "--time",
    "--channels",
    "--network",
    "--seed",
    "--max-epochs",
    "--time-limit",
    "--device",
    "--config",
    "--set",
}
SPEECH = {"--kind", "--tokens", "--on-bad", "--test-speakers", "--network", "--seed", "--max-epochs", "--time-limit", "--device"}
SPEECH |= {"--config", "--set"}
VERBS = {
    "check": {"data", "--label"} | COLUMNS | TALK,
    "train forecast": {"data", "--out", "--resume", "--overwrite"} | COLUMNS | SETTINGS | TALK,
    "train classify": {"data", "--test", "--out", "--resume", "--overwrite"} | CLASSES | TALK,
    "train transcribe": {"corpus", "--out", "--resume", "--overwrite"} | SPEECH | TALK,
    "evaluate": {"run", "data", "--origins", "--statistical", "--minirocket", "--convention"} | TALK,
    "predict": {"run", "data", "--future", "--out", "--refit", "--timestamps", "--rate"} | TALK,
    "tune forecast": {"data", "--out", "--trials", "--storage", "--trial-time-limit", "--resume", "--overwrite"}
    | COLUMNS
    | SETTINGS
    | TALK,
    "demo": {"--out"} | TALK,
}
HEAVY = ("torch", "polars", "numpy", "pandas", "pyarrow", "narwhals", "safetensors", "matplotlib", "optuna", "scipy", "sklearn")


def leaves(command: Any, path: str = "") -> dict[str, Any]:
    """Verbs by their words."""
    if not hasattr(command, "commands"):
        return {path.strip(): command}
    return {words: leaf for name, below in command.commands.items() for words, leaf in leaves(below, f"{path} {name}").items()}


def surface(command: Any) -> set[str]:
    context = typer.Context(command)
    return {parameter.opts[0] for parameter in command.get_params(context)}


def test_verbs_and_options() -> None:
    assert {words: surface(leaf) for words, leaf in leaves(typer.main.get_command(app)).items()} == VERBS


def test_verbs_are_in_the_order_of_use() -> None:
    command: Any = typer.main.get_command(app)
    assert command.list_commands(typer.Context(command)) == ["check", "train", "evaluate", "predict", "tune", "demo"]


def test_public_names() -> None:
    names = ["Classifier", "DataError", "Forecaster", "RunError", "SettingsError", "TidegateError", "TrainingError"]
    names += ["Transcriber", "__version__"]
    names += ["demo_data", "load"]
    assert tidegate.__all__ == names
    assert dir(tidegate) == names
    with pytest.raises(AttributeError, match="no attribute 'Forcaster'"):
        _ = tidegate.Forcaster


def test_each_public_name_can_be_had() -> None:
    assert all(getattr(tidegate, name) is not None for name in tidegate.__all__)


def modules_after(code: str) -> set[str]:
    """Names of the modules that are loaded after some code."""
    tail = "\nimport sys\nsys.stderr.write(' '.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True)
    return set(result.stderr.split())


def test_import_is_light() -> None:
    assert not modules_after("import tidegate") & {*HEAVY, "pydantic", "rich", "typer", "tidegate.config"}


@pytest.mark.parametrize("words", ["", "train", "tune", *VERBS])
def test_help_is_light(words: str) -> None:
    code = f"from tidegate.cli.app import run; assert run({[*words.split(), '--help']!r}) == 0"
    assert not modules_after(code) & {*HEAVY, "pydantic", "rich", "tidegate.config", "tidegate.cli.verbs"}


def test_no_package_data_is_missing() -> None:
    assert tidegate.demo_data().is_file()
    assert (tidegate.demo_data().parent / "ATTRIBUTION.md").is_file()
