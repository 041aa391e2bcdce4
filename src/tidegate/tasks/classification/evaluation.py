"""Scores of a classifier, its rivals and a verdict, as an object that people and programs can read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tidegate.evaluate.class_verdict import class_verdict
from tidegate.evaluate.classify import class_scores, confusion, per_class
from tidegate.evaluate.leaderboard import Row, leaderboard

ORDER = "accuracy"
"""What the leaderboard is ordered by."""


@dataclass(frozen=True)
class ClassEvaluation:
    """metrics of the model; baselines: the same for each rival; verdict in words; table: a row for each, best first.

    confusion  how often each class (row) was taken for each (column), in the order of `classes`
    per_class  name -> precision, recall, f1, support
    sequences  how many were scored
    """

    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    verdict: str
    table: list[Row]
    beats: bool | None
    comparisons: list[dict[str, Any]]
    classes: tuple[str, ...]
    confusion: list[list[int]]
    per_class: dict[str, dict[str, float]]
    notes: list[str] = field(default_factory=list)
    sequences: int = 0

    def to_json(self) -> dict[str, Any]:
        """What `evaluate --json` prints."""
        return {
            "task": "classify",
            "metrics": self.metrics,
            "baselines": self.baselines,
            "verdict": self.verdict,
            "comparisons": self.comparisons,
            "sequences": self.sequences,
            "classes": list(self.classes),
            "confusion": self.confusion,
            "per_class": self.per_class,
            "notes": self.notes,
        }

    def _repr_html_(self) -> str:
        """For notebooks: the verdict and the table."""
        from tidegate.evaluate.report.tables import verdict_and_scores

        return verdict_and_scores(self.verdict, self.table)


def evaluate_classes(
    name: str, truth: np.ndarray, own: np.ndarray, rivals: Mapping[str, np.ndarray], classes: tuple[str, ...], notes: list[str]
) -> ClassEvaluation:
    """Scores of the model and its rivals from their probabilities [n, K]; truth int64 [n], -1 for a class that training never saw."""
    metrics = class_scores(truth, own)
    baselines = {rival: class_scores(truth, probabilities) for rival, probabilities in rivals.items()}
    predicted = own.argmax(1)
    judged = class_verdict(truth, predicted, {rival: probabilities.argmax(1) for rival, probabilities in rivals.items()})
    by_class = per_class(truth, predicted, len(classes))
    return ClassEvaluation(
        metrics=metrics,
        baselines=baselines,
        verdict=judged.text,
        table=leaderboard({name: metrics, **baselines}, ORDER),
        beats=True if judged.beats else False if judged.loses else None,
        comparisons=judged.table(),
        classes=classes,
        confusion=confusion(truth, predicted, len(classes)).tolist(),
        per_class={one: {score: values[number].item() for score, values in by_class.items()} for number, one in enumerate(classes)},
        notes=notes,
        sequences=len(truth),
    )
