"""What the estimators of all tasks do alike."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tidegate.config import RunSettings
from tidegate.errors import RunError, SettingsError
from tidegate.nn.native import backend
from tidegate.runs.atomic import explain
from tidegate.runs.folder import RunFolder
from tidegate.runs.plain import json_text
from tidegate.train.events import EpochEnded, Event


def settings_tree(config: RunSettings | Mapping[str, Any] | None, kind: type[RunSettings]) -> dict[str, Any]:
    """The tree of what `config` sets. Raises SettingsError for anything else than settings of this kind or a mapping."""
    if isinstance(config, kind):
        return config.model_dump(exclude_unset=True)
    if not isinstance(config, Mapping | None):
        raise SettingsError(f"config is {config!r}; expected a {kind.__name__}, or a dict with data, network and training.")
    return dict(config or {})


def plain_tree(tree: dict[str, Any]) -> dict[str, Any]:
    """A tree of settings with NumPy's numbers as plain ones."""
    return json.loads(json.dumps(tree, default=_plain_value))


def names_of(names: str | Sequence[str] | None) -> list[str] | None:
    """One name or several as a list; None where none is given."""
    return [names] if isinstance(names, str) else list(names) if names is not None else None


def put(tree: dict[str, Any], section: str, values: dict[str, Any]) -> None:
    """Put what is not None into a section of a tree of settings, in place."""
    given = {key: value for key, value in values.items() if value is not None}
    there = tree.get(section, {})
    if given and isinstance(there, Mapping):  # anything else is refused with the other settings
        tree[section] = {**there, **given}


def _plain_value(value: Any) -> Any:
    """What JSON does not know: a NumPy number or array as what it stands for. Raises SettingsError for anything else."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise SettingsError(f"config holds {value!r}, a {type(value).__name__}; expected numbers, text, truth values, lists and dicts.")


def note_epoch(event: Event, history: list[dict[str, Any]]) -> None:
    """Keep an epoch as a run keeps it: a loss that there is not is None."""
    if isinstance(event, EpochEnded):
        history.append(json.loads(json_text(asdict(event))))


def save_run(
    path: str | Path,
    task: str,
    data: dict[str, Any],
    config: RunSettings,
    history: Sequence[Mapping[str, Any]],
    finish: Callable[[RunFolder], Any],
    overwrite: bool,
) -> Path:
    """What was trained in memory as a run folder, whole or not at all: settings, epochs, and what `finish` writes."""
    threads, lstm = config.training.threads, str(backend())
    folder = RunFolder.create(path, task=task, data=data, threads=threads, lstm=lstm, overwrite=overwrite)
    try:
        folder.write_text("config.json", config.to_json())
        for epoch in history:
            folder.append_line("metrics.jsonl", json_text(epoch))
        finish(folder)
    except BaseException:
        folder.abandon()  # the model is still in memory, and half a run could not be resumed
        raise
    return Path(path)


def kept_history(folder: RunFolder) -> tuple[list[dict[str, Any]], list[str]]:
    """The epochs of a run, and its notes on the data."""
    epochs = [json.loads(line) for line in folder.read_lines("metrics.jsonl")]
    return epochs, json.loads(folder.read_text("scores.json"))["data_notes"]


def copy_run(folder: RunFolder, path: Path, overwrite: bool) -> Path:
    """The same run in another folder, whole or not at all. A run that it replaces is moved aside, as `.NAME.replaced`, and removed last.
    Raises RunError where the folder cannot be written."""
    RunFolder.check(path, overwrite=overwrite)
    if path.exists() and path.samefile(folder.path):
        return path
    place = path.resolve()
    copy, aside = place.with_name(f".{place.name}.copy"), place.with_name(f".{place.name}.replaced")
    shutil.rmtree(copy, ignore_errors=True)
    try:
        shutil.copytree(folder.path, copy)
    except OSError as error:
        shutil.rmtree(copy, ignore_errors=True)
        if isinstance(error, shutil.Error):  # of one file or several: (from, to, why) each
            raise RunError(f"{path} cannot be written: {error.args[0][0][2]}.") from error
        raise RunError(explain(path, error)) from error
    if place.exists():
        shutil.rmtree(aside, ignore_errors=True)
        place.rename(aside)
    copy.rename(place)
    shutil.rmtree(aside, ignore_errors=True)
    return path
