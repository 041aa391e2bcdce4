"""What training a run is, whatever the task: begin it or go on with it, keep epochs and checkpoints, finish it."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from tidegate.config import RunSettings, build_settings
from tidegate.errors import RunError, TrainingError
from tidegate.nn.native import backend, has_bfloat16
from tidegate.runs.folder import RunFolder
from tidegate.runs.manifest import environment
from tidegate.runs.plain import json_text
from tidegate.tasks.computing import resolve_device
from tidegate.train.events import EpochEnded, Event, Said
from tidegate.train.loop import Checkpoint, Progress

STATE = "checkpoint/state.safetensors"
Listener = Callable[[Event], None]
Saver = Callable[[Checkpoint], None]
C = TypeVar("C", bound=RunSettings)


@dataclass(frozen=True)
class Hooks:
    """How a training is followed, kept and stopped."""

    listen: Listener
    save: Saver | None = None
    checkpoint: Checkpoint | None = None
    interrupted: Callable[[], bool] = lambda: False


class Training(ABC, Generic[C]):
    """The training of one task, step by step in the order in which `train_run` calls them."""

    task: str

    def go_on(self, begun: C) -> None:
        """Called first where a stopped run goes on: the settings that it was begun with, for what reading the data needs of them."""

    @abstractmethod
    def read(self) -> dict[str, Any]:
        """Read the data. Where it lay, for run.json: path, sha256, rows."""

    @abstractmethod
    def prepare(self, asked: C) -> tuple[C, list[str]]:
        """Make of the data what training needs; the settings, complete but for what training itself finds, and what to say of it."""

    def choose(self, config: C) -> tuple[C, list[str]]:
        """Find what is still open in the settings, such as the learning rate."""
        return config, []

    @abstractmethod
    def fit(self, config: C, hooks: Hooks) -> bool:
        """Train. Whether it was interrupted."""

    @abstractmethod
    def finish(self, folder: RunFolder, listen: Listener) -> None:
        """Write the model, its scores, the report and the card, and seal the run."""


def train_run(
    training: Training[C],
    asked: C,
    out: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    listen: Listener = lambda event: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> tuple[RunFolder, bool]:
    """Train in the folder `out`; with `resume` go on where a stopped run was. The folder, and whether training was interrupted; a run
    that is finished already stays as it is.

    Raises TidegateError; nothing that was saved is lost by one.
    """
    out = Path(out)
    folder = RunFolder.resume(out) if resume else None
    if folder is None:
        RunFolder.check(out, overwrite=overwrite)
    elif folder.task != training.task:
        raise RunError(f"{out} holds a run of the task '{folder.task}'; expected '{training.task}'. Choose another --out.")
    elif folder.finished:
        listen(Said(f"{out} is finished already"))
        return folder, False
    with ExitStack() as held:
        if folder is not None:
            held.enter_context(folder.training())
            if folder.exists("config.json"):
                training.go_on(begun_with(folder, type(asked)))
        data = training.read()
        if folder is not None:
            check_unchanged(folder, data)
        config, notes = training.prepare(asked)
        if folder is not None and folder.exists("config.json"):
            stored = stored_config(folder, asked, config)
            if stored != config:  # what is not asked for again is as it was: the parts of the data follow from it
                _, notes = training.prepare(stored)
            config = stored
            notes.extend(changed_since(folder))
        else:
            config, found = training.choose(config)
            notes.extend(found)
        if folder is None:
            threads, lstm = config.training.threads, str(backend())
            folder = RunFolder.create(out, task=training.task, data=data, threads=threads, lstm=lstm, overwrite=overwrite)
            held.enter_context(folder.training())
        for note in notes:
            listen(Said(note))
        if config.training.device == "cpu":
            listen(Said(f"LSTM backend: {backend()}{_said_of(config.training.precision)}"))
        return folder, _train_in(folder, training, config, listen, interrupted)


def _said_of(precision: str) -> str:
    if precision == "float32":
        return ""
    return ", products of bfloat16" if has_bfloat16() else ", products of float32: this processor or backend has none of bfloat16"


def _train_in(folder: RunFolder, training: Training[C], config: C, listen: Listener, interrupted: Callable[[], bool]) -> bool:
    """Train, or go on from the checkpoint, and keep all of it. Where an error leaves nothing to go on with, no half a run stays: one that
    was to be replaced is then back in its place."""
    try:
        if not folder.exists("config.json"):
            folder.write_text("config.json", config.to_json())
        hooks = Hooks(
            listen=lambda event: log_epoch(folder, event, listen),
            save=lambda checkpoint: save_checkpoint(folder, checkpoint),
            checkpoint=restore_checkpoint(folder),
            interrupted=interrupted,
        )
        if training.fit(config, hooks):
            return True
    except Exception as error:
        if not folder.exists(STATE) or (isinstance(error, TrainingError) and folder.manifest["replaces"]):
            folder.abandon()
        raise
    training.finish(folder, listen)
    return False


def check_unchanged(folder: RunFolder, data: dict[str, Any]) -> None:
    """Raise RunError if the data, or the test data, is not what the stopped run began with."""
    tests = folder.data.get("test"), data.get("test")
    if (tests[0] is None) != (tests[1] is None):
        words = f"{tests[0]['path'] or 'test data'}" if tests[0] else "no test data"
        raise RunError(f"{folder.path} was begun with {words}. Give the same command (--test), or another --out.")
    for before, now in ((folder.data, data), tests):
        if before and now and before.get("sha256") != now["sha256"]:
            raise RunError(
                f"{now['path'] or 'The data'} has changed since this run began, so training cannot go on exactly. "
                "Bring the data back, or train again in another folder."
            )


def changed_since(folder: RunFolder) -> list[str]:
    """A line where another version of torch, or something else, computes the rest of a stopped run: exact resume needs the same."""
    before = folder.manifest["environment"]
    here = environment(lstm=str(backend()))
    changes = [f"{name} {before[name]}, now {here[name]}" for name in ("torch", "lstm") if before.get(name) not in (None, here[name])]
    if not changes:
        return []
    return [f"begun with {'; '.join(changes)}: training goes on the same to rounding, not to the bit"]


def begun_with(folder: RunFolder, kind: type[C]) -> C:
    """The settings that a run began with."""
    return build_settings(json.loads(folder.read_text("config.json")), kind)


def stored_config(folder: RunFolder, asked: C, here: C) -> C:
    """The settings that the stopped run began with. Raises RunError if a setting that was asked for differs (as `here` has it, which is
    complete for the data: a frequency, say, has several names)."""
    stored = begun_with(folder, type(asked))
    resolve_device(stored.training.device)
    differing = _differences(asked.model_dump(exclude_unset=True), here.model_dump(), stored.model_dump())
    if differing:
        raise RunError(f"{folder.path} was begun with other settings: {'; '.join(differing)}. Give the same command, or another --out.")
    return stored


def _differences(asked: dict[str, Any], here: dict[str, Any], there: dict[str, Any], prefix: str = "") -> list[str]:
    """What was asked for and is not what is stored. 'auto' leaves the choice open, and so does None where something follows from the data;
    where nothing does, as with clip_norm, None is what was asked for."""
    found = []
    for key, value in asked.items():
        if isinstance(value, dict):
            found += _differences(value, here[key], there.get(key) or {}, f"{prefix}{key}.")
        elif value != "auto" and (value is not None or here[key] is None) and here[key] != there.get(key):
            found.append(f"{prefix}{key} is {there.get(key)!r} there, {here[key]!r} here")
    return found


def log_epoch(folder: RunFolder, event: Event, listen: Listener) -> None:
    """Keep each epoch in metrics.jsonl, then pass the event on."""
    if isinstance(event, EpochEnded):
        folder.append_line("metrics.jsonl", json_text(asdict(event)))
    listen(event)


def save_checkpoint(folder: RunFolder, checkpoint: Checkpoint) -> None:
    """Keep a checkpoint, and how many epochs are in metrics.jsonl with it."""
    facts = {"progress": json.dumps(asdict(checkpoint.progress)), "lines": str(len(folder.read_lines("metrics.jsonl")))}
    folder.write_tensors(STATE, checkpoint.tensors, facts)


def restore_checkpoint(folder: RunFolder) -> Checkpoint | None:
    """The last checkpoint; metrics.jsonl is cut back to it."""
    if not folder.exists(STATE):
        folder.keep_lines("metrics.jsonl", 0)
        return None
    facts = folder.read_metadata(STATE)
    progress = Progress(**json.loads(facts["progress"]))
    folder.keep_lines("metrics.jsonl", int(facts.get("lines", progress.epoch)))  # a run of an earlier version does not say
    return Checkpoint({name: torch.from_numpy(value) for name, value in folder.read_tensors(STATE).items()}, progress)
