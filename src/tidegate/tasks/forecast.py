"""The verbs of forecasting: train, evaluate, predict. Each works on a run folder."""

import json
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tidegate.config import Config
from tidegate.data.assemble import assemble
from tidegate.data.read import read_table
from tidegate.errors import TrainingError
from tidegate.evaluate.leaderboard import leaderboard
from tidegate.evaluate.report.data import Tuning
from tidegate.nn.native import backend
from tidegate.runs.folder import RunFolder
from tidegate.tasks.backtest import backtest, kept_rivals
from tidegate.tasks.evaluation import Evaluation, evaluate_backtests
from tidegate.tasks.fitting import Listener, computing, fit_model, with_learning_rate
from tidegate.tasks.keeping import (
    STATE,
    changed_since,
    check_unchanged,
    evaluation_notes,
    evaluation_origins,
    finish,
    load_model,
    log_epoch,
    restore_checkpoint,
    save_checkpoint,
    stored_config,
)
from tidegate.tasks.material import Material, gather_from
from tidegate.tasks.output import check_output, write_frame
from tidegate.tasks.reuse import open_new, predict_with, reopen, training_data
from tidegate.train.events import Said


@dataclass(frozen=True)
class Summary:
    """What `train` has to say at its end."""

    folder: Path
    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    verdict: str
    seconds: float
    notes: list[str]
    table: list[dict[str, Any]]
    interrupted: bool = False
    tuning: Tuning | None = None


def train(
    source: Any,
    config: Config,
    out: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    listen: Listener = lambda event: None,
    interrupted: Callable[[], bool] = lambda: False,
    tuning: Tuning | None = None,
) -> Summary:
    """Train on a table and keep all of it in the folder `out`; with `resume` go on where a stopped run was. `tuning`: the search that
    found the settings, for the report.

    Raises TidegateError; nothing that was saved is lost by one.
    """
    out = Path(out)
    folder = RunFolder.resume(out) if resume else None
    if folder is None:
        RunFolder.check(out, overwrite=overwrite)
    elif folder.finished:
        listen(Said(f"{out} is finished already"))
        return _summary(folder)
    with ExitStack() as held:
        if folder is not None:
            held.enter_context(folder.training())
        table = read_table(source, layout=config.data.layout)
        checksum = table.checksum()
        if folder is not None:
            check_unchanged(folder, table, checksum)
        material = gather_from(table, assemble(table, config.data), config)
        if folder is not None and folder.exists("config.json"):
            config = stored_config(folder, config, material)
            material.notes.extend(changed_since(folder))
        else:
            config, found = with_learning_rate(material, material.config)
            material.notes.extend(found)
        if folder is None:
            place = None if material.table.path is None else str(material.table.path.resolve())
            data = {"path": place, "sha256": checksum, "rows": material.table.height}
            threads, lstm = config.training.threads, str(backend())
            folder = RunFolder.create(out, data=data, threads=threads, lstm=lstm, overwrite=overwrite)
            held.enter_context(folder.training())
        for note in material.notes:
            listen(Said(note))
        if config.training.device == "cpu":
            listen(Said(f"LSTM backend: {backend()}"))
        return _train_in(folder, material, config, listen, interrupted, tuning)


def _train_in(
    folder: RunFolder,
    material: Material,
    config: Config,
    listen: Listener,
    interrupted: Callable[[], bool],
    tuning: Tuning | None,
) -> Summary:
    """Train, or go on from the checkpoint, and keep all of it. Where an error leaves nothing to go on with, no half a run stays: one that
    was to be replaced is then back in its place."""
    try:
        if not folder.exists("config.json"):
            folder.write_text("config.json", config.to_json())
        fitted = fit_model(
            material,
            config,
            listen=lambda event: log_epoch(folder, event, listen),
            save=lambda checkpoint: save_checkpoint(folder, checkpoint),
            checkpoint=restore_checkpoint(folder),
            interrupted=interrupted,
        )
    except Exception as error:
        if not folder.exists(STATE) or (isinstance(error, TrainingError) and folder.manifest["replaces"]):
            folder.abandon()
        raise
    if fitted.interrupted:
        return Summary(folder.path, {}, {}, "", 0.0, [], [], interrupted=True)
    scores = finish(folder, material, fitted.model, listen, tuning)
    return _summary(folder, scores)


def evaluate(run: str | Path, source: Any = None, *, origins: int | None = None, statistical: bool = False) -> Evaluation:
    """Scores beside the rivals: on the run's own test part, or on every origin of `source`; `origins`: only the last so many."""
    folder = RunFolder.open(run, task="forecast")
    model = load_model(folder)
    material = reopen(folder, model) if source is None else open_new(source, model)
    rivals = kept_rivals(folder.read_tensors("baselines.safetensors"), model, material if source is None else None)
    chosen = evaluation_origins(material, origins)
    with computing(model.config.training.threads):
        own, others, _ = backtest(model, rivals, chosen, statistical)
    notes = [*([] if source is None else material.notes), *evaluation_notes(material, chosen, model, rivals)]
    return evaluate_backtests(model.config.network.name, own, others, model.config, notes)


def predict(
    run: str | Path,
    source: Any = None,
    *,
    future: Any = None,
    out: str | Path | None = None,
    refit: bool = False,
    listen: Listener = lambda event: None,
) -> pl.DataFrame:
    """Forecasts of the steps after the last row of each series: of the training data, or of `source`, for series known or new.

    `future` is a table of known-future covariates; `refit` trains on all rows first. Written to `out` if given.
    """
    if out is not None:
        check_output(Path(out))
    folder = RunFolder.open(run, task="forecast")
    model = load_model(folder)
    frame = predict_with(model, _training_source(folder, listen) if source is None else source, future, refit, listen)
    if out is not None:
        write_frame(frame, Path(out))
    return frame


def _training_source(folder: RunFolder, listen: Listener) -> Path:
    path, same = training_data(folder)
    if not same:
        listen(Said(f"{path} has changed since training; the forecast starts after its last row"))
    return path


def _summary(folder: RunFolder, scores: Evaluation | None = None) -> Summary:
    """The summary of a finished run, from its files."""
    kept = json.loads(folder.read_text("scores.json")) if scores is None else scores.to_json()
    epochs = [json.loads(line) for line in folder.read_lines("metrics.jsonl")]
    name = json.loads(folder.read_text("config.json"))["network"]["name"]
    metric = next((row["metric"] for row in kept["comparisons"]), "mae")  # what leaderboard.csv is ordered by
    table = scores.table if scores else leaderboard({name: kept["metrics"], **kept["baselines"]}, metric)
    seconds = epochs[-1]["seconds"] if epochs else 0.0
    baselines = {rival: _numbers(scored) for rival, scored in kept["baselines"].items()}
    return Summary(folder.path, _numbers(kept["metrics"]), baselines, kept["verdict"], seconds, kept["notes"], table)


def _numbers(scored: dict[str, float | None]) -> dict[str, float]:
    """Scores as they were before JSON, which has null for NaN."""
    return {name: math.nan if value is None else value for name, value in scored.items()}
