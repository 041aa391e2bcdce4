"""What a training run writes into its folder, and what a stopped one finds there."""

import json

import numpy as np
import polars as pl

from tidegate.data.windows import OriginSet
from tidegate.errors import DataError, SettingsError
from tidegate.evaluate.leaderboard import leaderboard_csv
from tidegate.evaluate.report.data import Tuning
from tidegate.runs.card import ForecastCard, model_card
from tidegate.runs.folder import RunFolder
from tidegate.runs.plain import json_text
from tidegate.tasks.computing import computing, resolve_device
from tidegate.tasks.forecasting.backtest import Rivals, backtest, backtest_frame, fit_rivals, rival_tensors
from tidegate.tasks.forecasting.evaluation import WITHOUT_ATTENTION, Evaluation, evaluate_backtests
from tidegate.tasks.forecasting.fitting import fit_model, without_attention
from tidegate.tasks.forecasting.material import Material
from tidegate.tasks.forecasting.model import ForecastModel, filled_notes
from tidegate.tasks.forecasting.report import cleaning_rows, facts, report_page
from tidegate.tasks.training import Listener
from tidegate.train.events import Said

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
        ForecastCard(
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


def load_model(folder: RunFolder, device: str = "cpu") -> ForecastModel:
    """The model of a finished run. Raises SettingsError for a device that is not there."""
    device = resolve_device(device)
    tensors = folder.read_tensors("model.safetensors")
    return ForecastModel.from_files(folder.read_text("config.json"), folder.read_text("preparation.json"), tensors, device)
