"""The verdict on a classifier: which rivals are right less often, by how much, and whether that is more than noise, in words."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from tidegate.evaluate.classify import compare_classifiers
from tidegate.evaluate.verdict import SIGNIFICANCE

Outcome = Literal["beats", "ties", "loses"]


@dataclass(frozen=True)
class ClassComparison:
    """A model beside one rival on the same sequences.

    model, baseline    accuracy of each
    difference_points  100 (model - baseline): positive is better
    p                  of McNemar's exact test
    """

    rival: str
    outcome: Outcome
    model: float
    baseline: float
    difference_points: float
    p: float
    num: int
    metric: str = "accuracy"


@dataclass(frozen=True)
class ClassVerdict:
    """The words, and the rows behind them."""

    text: str
    rows: tuple[ClassComparison, ...]

    @property
    def beats(self) -> bool:
        """Whether every rival is beaten by more than noise."""
        return bool(self.rows) and all(row.outcome == "beats" for row in self.rows)

    @property
    def loses(self) -> bool:
        """Whether a rival is better by more than noise."""
        return any(row.outcome == "loses" for row in self.rows)

    def table(self) -> list[dict[str, str | float | int]]:
        """The rows as plain values."""
        return [asdict(row) for row in self.rows]


def class_verdict(truth: np.ndarray, predicted: np.ndarray, rivals: Mapping[str, np.ndarray]) -> ClassVerdict:
    """Compare the classes that a model and its rivals predict, int64 [n] each; truth is -1 for a class that nobody can know."""
    rows = tuple(_compare(name, truth, predicted, other) for name, other in rivals.items())
    return ClassVerdict(_words(rows, truth, predicted), rows)


def _compare(name: str, truth: np.ndarray, predicted: np.ndarray, other: np.ndarray) -> ClassComparison:
    own, reference = (float((one == truth).mean()) if len(truth) else math.nan for one in (predicted, other))
    p = compare_classifiers(truth, predicted, other)
    outcome: Outcome = "ties"
    if p < SIGNIFICANCE:
        outcome = "beats" if own > reference else "loses"
    return ClassComparison(name, outcome, own, reference, 100.0 * (own - reference), p, len(truth))


def _words(rows: tuple[ClassComparison, ...], truth: np.ndarray, predicted: np.ndarray) -> str:
    if not len(truth):
        return "There is no sequence to score it on."
    right = int((predicted == truth).sum())
    sentences = [f"Right on {right:,} of {len(truth):,} sequences ({100.0 * right / len(truth):.1f} %)."]
    ordered = sorted(rows, key=lambda row: row.difference_points)
    groups = {outcome: [row for row in ordered if row.outcome == outcome] for outcome in ("loses", "ties", "beats")}
    if groups["loses"]:
        its = "its" if len(groups["loses"]) == 1 else "their"
        sentences.append(f"LOSES to {_listed(groups['loses'])}; do not use this model in {its} place.")
    if groups["ties"]:
        signed = _joined([f"{row.rival} ({row.difference_points:+.1f} points)" for row in groups["ties"]])
        sentences.append(f"No better than {signed}: within noise on {len(truth):,} sequences.")
    if groups["beats"]:
        each = "each difference is" if len(groups["beats"]) > 1 else "the difference is"
        sentences.append(f"Beats {_listed(groups['beats'])}; {each} more than noise (McNemar, p < {SIGNIFICANCE:g}).")
    return " ".join(sentences)


def _listed(rows: list[ClassComparison]) -> str:
    return _joined([f"{row.rival} by {abs(row.difference_points):.1f} points" for row in rows])


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
