"""The verdict on a classifier: which rivals are right less often, by how much, and whether that is more than noise, in words."""

import math
from collections.abc import Mapping

import numpy as np

from tidegate.evaluate.classify import compare_classifiers
from tidegate.evaluate.points import PointsComparison, PointsVerdict, outcome_of, sentences


def class_verdict(truth: np.ndarray, predicted: np.ndarray, rivals: Mapping[str, np.ndarray]) -> PointsVerdict:
    """Compare the classes that a model and its rivals predict, int64 [n] each; truth is -1 for a class that nobody can know. By McNemar's
    exact test."""
    rows = tuple(_compare(name, truth, predicted, other) for name, other in rivals.items())
    return PointsVerdict(_words(rows, truth, predicted), rows)


def _compare(name: str, truth: np.ndarray, predicted: np.ndarray, other: np.ndarray) -> PointsComparison:
    own, reference = (float((one == truth).mean()) if len(truth) else math.nan for one in (predicted, other))
    p = compare_classifiers(truth, predicted, other)
    return PointsComparison(name, outcome_of(p, own > reference), own, reference, 100.0 * (own - reference), p, len(truth), "accuracy")


def _words(rows: tuple[PointsComparison, ...], truth: np.ndarray, predicted: np.ndarray) -> str:
    if not len(truth):
        return "There is no sequence to score it on."
    right = int((predicted == truth).sum())
    first = f"Right on {right:,} of {len(truth):,} sequences ({100.0 * right / len(truth):.1f} %)."
    return " ".join([first, *sentences(rows, f"{len(truth):,} sequences", "McNemar")])
