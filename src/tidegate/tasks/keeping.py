"""What a training run writes into its folder, and what a stopped one finds there."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl
import torch

from tidegate.config import Config, build_config
from tidegate.data.table import Table
from tidegate.data.windows import OriginSet
from tidegate.errors import DataError, RunError, SettingsError
from tidegate.evaluate.leaderboard import leaderboard_csv
from tidegate.evaluate.report.data import Tuning
from tidegate.nn.native import backend
from tidegate.runs.card import Card, model_card
from tidegate.runs.folder import RunFolder
from tidegate.runs.manifest import environment
from tidegate.runs.plain import json_text
from tidegate.tasks.backtest import Rivals, backtest, backtest_frame, fit_rivals, rival_tensors
from tidegate.tasks.derive import resolve_device
from tidegate.tasks.evaluation import WITHOUT_ATTENTION, Evaluation, evaluate_backtests
from tidegate.tasks.fitting import Listener, computing, fit_model, without_attention
from tidegate.tasks.material import Material
from tidegate.tasks.model import ForecastModel, filled_notes
from tidegate.tasks.report import cleaning_rows, facts, report_page
from tidegate.train.events import EpochEnded, Event, Said
from tidegate.train.loop import Checkpoint, Progress

STATE = "checkpoint/state.safetensors"
CLEANING = {
    "series": pl.String,
    "channel": pl.String,
    "time": pl.String,
    "observed": pl.Float64,
    "replacement": pl.Float64,
    "reason": pl.String,
}


def finish(folder: RunFolder, material: Material, model: ForecastModel, listen: Listener, tuning: Tuning | None = None) -> Evaluation:
    """Write the model, test it beside its rivals, write scores, report and card, and seal the run."""
    folder.write_tensors("model.safetensors", model.to_tensors())
    folder.write_text("preparation.json", json_text(model.to_json()) + "\n")
    rows = cleaning_rows(material)
    folder.write_text("cleaning.csv", pl.DataFrame(rows, schema=CLEANING).write_csv())
    rivals = fit_rivals(material)
    folder.write_tensors("baselines.safetensors", rival_tensors(rivals))
    origins = material.test_set(model.config.training.evaluation_windows)
    with computing(model.config.training.threads):
        own, others, said = backtest(model, rivals, origins)
        if model.config.training.compare_without_attention:
            listen(Said("training the same network without its attention branch, to compare"))
            plain = fit_model(material, without_attention(model.config), listen=lambda event: None).model
            other = plain.predict(origins)
            frame = backtest_frame(origins, rivals, model.config.data)
            others[WITHOUT_ATTENTION] = frame(other.point, other.quantiles, other.levels)
    notes = evaluation_notes(material, origins, model, rivals)
    scores = evaluate_backtests(model.config.network.name, own, others, model.config, notes)
    history = [json.loads(line) for line in folder.read_lines("metrics.jsonl")]
    folder.write_text("leaderboard.csv", leaderboard_csv(scores.table))
    kept = scores.to_json() | {"data_notes": material.notes}
    folder.write_text("scores.json", json_text(kept, indent=1) + "\n")
    folder.write_text("report.html", report_page(material, model, scores, origins, said, history, str(folder.path), tuning))
    folder.write_text("README.md", card(folder, material, model, scores))
    folder.seal()
    return scores


def evaluation_origins(material: Material, last: int | None) -> OriginSet:
    """The origins to evaluate at; `last`: only so many of each series. Raises SettingsError or DataError where there are none."""
    if last is not None and last < 1:
        raise SettingsError(f"origins {last}: expected at least 1.")
    chosen = material.test_set(material.config.training.evaluation_windows, last=last)
    if not len(chosen):
        horizon = material.config.data.horizon
        raise DataError(
            f"{material.table.source}: no origin to evaluate at, since no series has {horizon} steps (the horizon) after its first half. "
            "Give longer series."
        )
    return chosen


def evaluation_notes(material: Material, origins: OriginSet, model: ForecastModel, rivals: Rivals) -> list[str]:
    """What the reader of scores should know."""
    notes = []
    possible = len(material.test_set(2**62)) if len(origins) == material.config.training.evaluation_windows else len(origins)
    if possible > len(origins):
        notes.append(f"tested at {len(origins):,} of {possible:,} origins, evenly spread (training.evaluation_windows)")
    unseen = int((rivals.trained.places(material.sequences.ids)[np.unique(origins.series)] < 0).sum())
    if unseen:
        notes.append(
            f"{unseen} series whose training part is not known: the rival 'mean' is the mean up to each origin, and MASE is scaled by "
            "what lies before the first origin"
        )
    return notes + filled_notes(model, origins)


def card(folder: RunFolder, material: Material, model: ForecastModel, scores: Evaluation) -> str:
    """README.md of the run."""
    data = material.config.data
    return model_card(
        Card(
            title=folder.path.name,
            targets=material.sequences.targets,
            horizon=model.shape.horizon,
            network=model.config.network.name,
            verdict=scores.verdict,
            frequency=material.sequences.frequency.text,
            lookback=model.shape.lookback,
            facts=facts(material, model, scores),
            leaderboard=scores.table,
            future=data.future,
            folder=str(folder.path),
            notes=[*material.notes, *scores.notes],
        )
    )


def check_unchanged(folder: RunFolder, table: Table, checksum: str) -> None:
    """Raise RunError if the data is not what the stopped run began with."""
    if folder.data.get("sha256") != checksum:
        raise RunError(
            f"{table.source} has changed since this run began, so training cannot go on exactly. "
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


def stored_config(folder: RunFolder, asked: Config, material: Material) -> Config:
    """The settings that the stopped run began with. Raises RunError if a setting that was asked for differs (as `material` has it: a
    frequency, say, has several names)."""
    stored = build_config(json.loads(folder.read_text("config.json")))
    resolve_device(stored.training.device)
    given, here, there = (asked.model_dump(exclude_unset=True), material.config.model_dump(), stored.model_dump())
    differing = _differences(given, here, there)
    if differing:
        raise RunError(f"{folder.path} was begun with other settings: {'; '.join(differing)}. Give the same command, or another --out.")
    return stored


def _differences(asked: dict[str, Any], here: dict[str, Any], there: dict[str, Any], prefix: str = "") -> list[str]:
    """What was asked for and is not what is stored; None and 'auto' leave the choice open."""
    found = []
    for key, value in asked.items():
        if isinstance(value, dict):
            found += _differences(value, here[key], there.get(key) or {}, f"{prefix}{key}.")
        elif value is not None and value != "auto" and here[key] != there.get(key):
            found.append(f"{prefix}{key} is {there.get(key)!r} there, {here[key]!r} here")
    return found


def log_epoch(folder: RunFolder, event: Event, listen: Listener) -> None:
    """Keep each epoch in metrics.jsonl, then pass the event on."""
    if isinstance(event, EpochEnded):
        folder.append_line("metrics.jsonl", json_text(asdict(event)))
    listen(event)


def save_checkpoint(folder: RunFolder, checkpoint: Checkpoint) -> None:
    folder.write_tensors(STATE, checkpoint.tensors, {"progress": json.dumps(asdict(checkpoint.progress))})


def restore_checkpoint(folder: RunFolder) -> Checkpoint | None:
    """The last checkpoint; metrics.jsonl is cut back to it."""
    if not folder.exists(STATE):
        folder.keep_lines("metrics.jsonl", 0)
        return None
    progress = Progress(**json.loads(folder.read_metadata(STATE)["progress"]))
    folder.keep_lines("metrics.jsonl", progress.epoch)
    return Checkpoint({name: torch.from_numpy(value) for name, value in folder.read_tensors(STATE).items()}, progress)


def load_model(folder: RunFolder, device: str = "cpu") -> ForecastModel:
    """The model of a finished run. Raises SettingsError for a device that is not there."""
    device = resolve_device(device)
    tensors = folder.read_tensors("model.safetensors")
    return ForecastModel.from_files(folder.read_text("config.json"), folder.read_text("preparation.json"), tensors, device)
