"""What a training has to say at its end, read from the run's own files."""

import json
import math
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from tidegate.evaluate.leaderboard import leaderboard
from tidegate.evaluate.report.data import Tuning
from tidegate.runs.folder import RunFolder


@dataclass(frozen=True)
class Summary:
    """metrics of the model, baselines: those of each rival, table: a row for each, best first; seconds of training."""

    task: str
    folder: Path
    metrics: dict[str, float] = field(default_factory=dict)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    verdict: str = ""
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    table: list[dict[str, Any]] = field(default_factory=list)
    interrupted: bool = False
    tuning: Tuning | None = None


def summary_of(folder: RunFolder) -> Summary:
    """The summary of a finished run."""
    kept = json.loads(folder.read_text("scores.json"))
    epochs = [json.loads(line) for line in folder.read_lines("metrics.jsonl")]
    name = json.loads(folder.read_text("config.json"))["network"]["name"]
    metric = next((row["metric"] for row in kept["comparisons"]), "mae")  # what leaderboard.csv is ordered by
    return Summary(
        task=folder.task,
        folder=folder.path,
        metrics=_numbers(kept["metrics"]),
        baselines={rival: _numbers(scored) for rival, scored in kept["baselines"].items()},
        verdict=kept["verdict"],
        seconds=_seconds(epochs),
        notes=kept["notes"],
        table=leaderboard({name: kept["metrics"], **kept["baselines"]}, metric),
    )


def _seconds(epochs: list[dict[str, Any]]) -> float:
    """Of all networks: those of an ensemble come one after the other, and each begins with epoch 0."""
    last = [epoch for epoch, following in pairwise(epochs) if following["epoch"] <= epoch["epoch"]]
    return sum((epoch["seconds"] for epoch in [*last, *epochs[-1:]]), 0.0)


def _numbers(scored: dict[str, float | None]) -> dict[str, float]:
    """Scores as they were before JSON, which has null for NaN."""
    return {name: math.nan if value is None else value for name, value in scored.items()}
