"""What the report shows of a run, gathered from material, model and scores."""

import json
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from tidegate.config import AttentionCNNLSTMSettings
from tidegate.data.clean import REASONS
from tidegate.data.windows import OriginSet
from tidegate.evaluate.report.data import Attention, Cleaning, CleaningPicture, Epoch, Forecast, ForecastReport, Replacement, Tuning
from tidegate.evaluate.report.page import render
from tidegate.nn.attention_cnn import subsequence_spans
from tidegate.tasks.forecasting.evaluation import WITHOUT_ATTENTION, Evaluation
from tidegate.tasks.forecasting.material import Material
from tidegate.tasks.forecasting.model import ForecastModel, Predictions

FORECASTS, PAST_SHOWN, ROWS_SHOWN, PICTURES = 6, 3, 200, 4


def report_page(
    material: Material,
    model: ForecastModel,
    scores: Evaluation,
    origins: OriginSet,
    said: Predictions,
    history: Sequence[Epoch],
    run: str,
    tuning: Tuning | None = None,
) -> str:
    """report.html. run: the run folder as it was given, for the commands."""
    network = model.config.network
    both = None
    if WITHOUT_ATTENTION in scores.baselines:
        both = {"with_attention": scores.metrics, "without_attention": scores.baselines[WITHOUT_ATTENTION], "note": "one seed each"}
    data = ForecastReport(
        title=f"{', '.join(material.sequences.targets)}: {material.config.data.horizon} steps ahead",
        verdict=scores.verdict,
        beats=scores.beats,
        model=network.name,
        facts=facts(material, model, scores),
        notes=[*material.notes, *scores.notes],
        leaderboard=scores.table,
        history=[{**epoch, "epoch": epoch["epoch"] + 1} for epoch in history],  # people count from 1, as the log does
        forecasts=example_forecasts(origins, said),
        lead_times=scores.lead_times,
        targets=[{"name": target, **row} for target, row in scores.targets.items()] if len(scores.targets) > 1 else [],
        cleaning=cleaning(material) if material.config.data.clean else None,
        attention=attention(model, origins, said) if isinstance(network, AttentionCNNLSTMSettings) else None,
        tuning=tuning,
        ablation=both,  # pyright: ignore[reportArgumentType]
        config=json.loads(model.config.to_json()),
        commands=[f"tidegate predict {shlex.quote(run)} --out forecast.csv", f"tidegate evaluate {shlex.quote(run)}"],
    )
    return render(data)


def facts(material: Material, model: ForecastModel, scores: Evaluation) -> list[tuple[str, Any]]:
    """The table at the head of the report and in the card."""
    sequences, parts = material.sequences, material.parts
    starts = sequences.offsets[:-1]
    counts = [
        int((end - begin).sum()) for begin, end in ((starts, parts.train), (parts.train, parts.validation), (parts.validation, parts.test))
    ]
    span = sequences.frequency.times(np.array([sequences.starts.min(), (sequences.starts + sequences.lengths - 1).max()]))
    return [
        ("data", material.table.source),
        ("series", len(sequences)),
        ("steps", int(sequences.lengths.sum())),
        ("frequency", sequences.frequency.text),
        ("from", str(span[0])),
        ("to", str(span[1])),
        ("train, validation, test", " / ".join(f"{count:,}" for count in counts)),
        ("lookback and horizon", f"{model.shape.lookback} and {model.shape.horizon} steps"),
        ("weights", model.parameters()),
        ("test origins", scores.origins),
    ]


def example_forecasts(origins: OriginSet, said: Predictions) -> list[Forecast]:
    """A few forecasts beside what happened, spread over time, series and targets."""
    sequences, windows = origins.windows.sequences, origins.windows
    if not len(origins):
        return []
    chosen = np.unique(np.linspace(0, len(origins) - 1, FORECASTS).astype(int))
    return [_example(origins, said, int(number), place % len(sequences.targets), windows.lookback) for place, number in enumerate(chosen)]


def _example(origins: OriginSet, said: Predictions, number: int, target: int, lookback: int) -> Forecast:
    sequences, horizon = origins.windows.sequences, origins.windows.horizon
    series, origin = int(origins.series[number]), int(origins.origin[number])
    begin = max(int(sequences.offsets[series]), origin - min(lookback, PAST_SHOWN * horizon))
    values = sequences.values[begin : min(origin + horizon, int(sequences.offsets[series + 1])), target]
    period = int(origins.windows.periods(origins.series[number : number + 1], origins.origin[number : number + 1])[0])
    times = [str(time) for time in sequences.frequency.times(np.arange(period - (origin - begin), period + horizon))]
    low, high = said.quantiles[number, :, target, 0], said.quantiles[number, :, target, -1]
    name = f"{sequences.ids[series]}: " if sequences.ids[series] else ""
    interval = f"{100 * (said.levels[-1] - said.levels[0]):g} % interval"
    return Forecast(
        title=f"{name}{sequences.targets[target]} from {times[origin - begin]}",
        times=times,
        past=values[: origin - begin].tolist(),
        observed=values[origin - begin :].tolist(),
        forecast=said.point[number, :, target].tolist(),
        lower=low.tolist() if len(said.levels) > 1 else None,
        upper=high.tolist() if len(said.levels) > 1 else None,
        interval=interval,
    )


def cleaning_rows(material: Material, most: int | None = None) -> list[Replacement]:
    """The replacements on record, the first `most`."""
    record, sequences = material.prepared.record, material.sequences
    count = len(record) if most is None else min(most, len(record))
    series = np.searchsorted(sequences.offsets, record.row[:count], side="right") - 1
    times = sequences.frequency.times(sequences.starts[series] + record.row[:count] - sequences.offsets[series])
    return [
        Replacement(
            series=sequences.ids[series[number]],
            channel=sequences.channels[record.column[number]].name,
            time=str(times[number]),
            observed=float(record.observed[number]),
            replacement=None if np.isnan(record.replacement[number]) else float(record.replacement[number]),
            reason=REASONS[int(record.reason[number])],
        )
        for number in range(count)
    ]


def cleaning(material: Material) -> Cleaning:
    """What cleaning replaced: counts, rows, and pictures of the largest changes."""
    record = material.prepared.record
    reasons, counts = np.unique(record.reason, return_counts=True)
    by_reason = {REASONS[int(reason)]: int(count) for reason, count in zip(reasons, counts, strict=True)}
    largest = np.argsort(
        -np.abs(record.observed - record.replacement) / material.prepared.scaler.scale.max(0)[record.column], kind="stable"
    )
    rows = cleaning_rows(material, ROWS_SHOWN)
    return Cleaning(
        total=len(record), by_reason=by_reason, rows=rows, examples=[_picture(material, int(one)) for one in largest[:PICTURES]]
    )


def _picture(material: Material, number: int) -> CleaningPicture:
    record, sequences = material.prepared.record, material.sequences
    row, column = int(record.row[number]), int(record.column[number])
    series = int(np.searchsorted(sequences.offsets, row, side="right")) - 1
    begin, end = max(row - 24, int(sequences.offsets[series])), min(row + 25, int(sequences.offsets[series + 1]))
    observed = sequences.values[begin:end, column].astype(float)
    inside = np.flatnonzero((record.row >= begin) & (record.row < end) & (record.column == column))
    cleaned = observed.copy()
    cleaned[record.row[inside] - begin] = record.replacement[inside]
    periods = sequences.starts[series] + np.arange(begin, end) - sequences.offsets[series]
    times = [str(time) for time in sequences.frequency.times(periods)]
    name = f"{sequences.ids[series]}: " if sequences.ids[series] else ""
    title = f"{name}{sequences.channels[column].name} at {times[row - begin]}"
    return CleaningPicture(title=title, times=times, observed=observed.tolist(), cleaned=cleaned.tolist())


def attention(model: ForecastModel, origins: OriginSet, said: Predictions) -> Attention | None:
    """Mean attention over the lookback, and that of a few forecasts. Weights are shares: they add up to about 1."""
    network = model.config.network
    assert isinstance(network, AttentionCNNLSTMSettings) and network.subsequence and network.overlap is not None
    if said.attention is None or network.attention == "none":
        return None
    shares = said.attention.mean(1) / said.attention.shape[-1]
    chosen = np.unique(np.linspace(0, len(origins) - 1, FORECASTS).astype(int))
    periods = origins.windows.periods(origins.series[chosen], origins.origin[chosen])
    times = origins.windows.sequences.frequency.times(periods)
    return Attention(
        spans=subsequence_spans(model.shape.lookback, network.subsequence, network.overlap),
        weights=shares.mean(0).tolist(),
        examples=[row.tolist() for row in shares[chosen]],
        titles=[str(time) for time in times],
    )
