"""What the report of a classifier shows, gathered from material, model and scores."""

import json
import shlex
from collections.abc import Sequence
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.evaluate.classify import BINS, confidence_bins
from tidegate.evaluate.report.data import Bin, Calibration, ClassReport, ClassRow, Epoch, Example, Tuning
from tidegate.evaluate.report.page import render
from tidegate.runs.card import ClassCard, model_card
from tidegate.tasks.classification.evaluation import ClassEvaluation
from tidegate.tasks.classification.material import ClassMaterial
from tidegate.tasks.classification.model import ClassModel

RIGHT, WRONG, MISTAKES = 4, 2, 6
"""Right and wrong sequences shown as evidence, and surest mistakes shown."""


def report_page(
    material: ClassMaterial,
    model: ClassModel,
    evaluation: ClassEvaluation,
    probabilities: np.ndarray,
    weights: Sequence[np.ndarray] | None,
    history: Sequence[Epoch],
    run: str,
    tuning: Tuning | None = None,
) -> str:
    """report.html.

    probabilities  float64 [n, K] of material.test
    weights        of each of its sequences the attention, each weight over an equal part of the sequence; None: the network has none
    history        epochs of all members of the ensemble, one after the other
    run            the run folder as it was given, for the commands
    """
    rows = [_class_row(name, evaluation.per_class[name]) for name in evaluation.classes]
    data = ClassReport(
        title=f"{material.data.source}: {len(model.classes)} classes",
        verdict=evaluation.verdict,
        beats=evaluation.beats,
        model=model.config.network.name,
        facts=facts(material, model, evaluation),
        notes=[*material.notes, *evaluation.notes],
        leaderboard=evaluation.table,
        history=[{**epoch, "epoch": epoch["epoch"] + 1} for epoch in first_member(history)],  # people count from 1, as the log does
        members=len(model.networks),
        confusion={"classes": evaluation.classes, "counts": evaluation.confusion},
        classes=rows,
        calibration=Calibration(
            bins=calibration_bins(material.test.labels, probabilities),
            ece=evaluation.metrics.get("ece"),
            temperature=model.temperature if len(material.validation) else None,
        ),
        evidence=[] if weights is None else _examples(material, probabilities, weights, evidence_of(material.test.labels, probabilities)),
        mistakes=_examples(material, probabilities, weights, surest_mistakes(material.test.labels, probabilities)),
        tuning=tuning,
        config=json.loads(model.config.to_json()),
        commands=[f"tidegate predict {shlex.quote(run)} NEW_DATA --out classes.csv", f"tidegate evaluate {shlex.quote(run)} NEW_DATA"],
    )
    return render(data)


def model_card_of(run: Path, material: ClassMaterial, model: ClassModel, evaluation: ClassEvaluation) -> str:
    """README.md of the run in this folder."""
    return model_card(
        ClassCard(
            title=run.name,
            network=model.config.network.name,
            verdict=evaluation.verdict,
            classes=model.classes,
            channels=model.channels,
            facts=facts(material, model, evaluation),
            leaderboard=evaluation.table,
            folder=str(run),
            notes=[*material.notes, *evaluation.notes],
        )
    )


def facts(material: ClassMaterial, model: ClassModel, evaluation: ClassEvaluation) -> list[tuple[str, Any]]:
    """The table at the head of the report and in the card."""
    data, test = material.data, material.test
    lengths = np.concatenate([data.sequences.lengths, test.sequences.lengths])
    found = [
        ("data", data.source),
        *([("test data", test.source)] if test.source != data.source else []),
        ("classes", len(model.classes)),
        ("channels", len(model.channels)),
        ("steps", f"{lengths.min():,}" if lengths.min() == lengths.max() else f"{lengths.min():,} to {lengths.max():,}"),
        ("train, validation, test", f"{len(material.train):,} / {len(material.validation):,} / {evaluation.sequences:,}"),
        ("trained weights", model.parameters()),
    ]
    return found + ([("networks", len(model.networks))] if len(model.networks) > 1 else [])


def first_member(history: Sequence[Epoch]) -> list[Epoch]:
    """The epochs up to where the count begins again, with the next network."""
    following = takewhile(lambda pair: pair[1]["epoch"] > pair[0]["epoch"], pairwise(history))
    return [*history[:1], *(epoch for _, epoch in following)]


def calibration_bins(truth: np.ndarray, probabilities: np.ndarray) -> list[Bin]:
    """What the predictions of each bin of the ECE say, and how often they are right.

    truth int64 [n], -1 counts as wrong; probabilities [n, K].
    """
    confidence, right = probabilities.max(1), probabilities.argmax(1) == truth
    numbers = confidence_bins(confidence)
    bins = []
    for inside in (numbers == number for number in range(BINS)):
        count = int(inside.sum())
        means = [float(values[inside].mean()) if count else None for values in (confidence, right)]
        bins.append(Bin(count=count, confidence=means[0], accuracy=means[1]))
    return bins


def surest_mistakes(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Numbers of the wrong sequences with the highest probability, the surest first."""
    wrong = np.flatnonzero(probabilities.argmax(1) != truth)
    return wrong[np.argsort(-probabilities[wrong].max(1), kind="stable")][:MISTAKES]


def evidence_of(truth: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Numbers of a few sequences: right ones of each class in turn, and the wrong ones that the model is least sure of."""
    predicted, sure = probabilities.argmax(1), probabilities.max(1)
    right, wrong = np.flatnonzero(predicted == truth), np.flatnonzero(predicted != truth)
    doubtful = wrong[np.argsort(sure[wrong], kind="stable")][:WRONG]
    by_class = right[np.argsort(truth[right], kind="stable")]
    labels = truth[by_class]
    turn = np.arange(len(labels)) - np.searchsorted(labels, labels)  # how many of the class come before
    chosen = by_class[np.lexsort((labels, turn))][: RIGHT + WRONG - len(doubtful)]
    return np.concatenate([chosen, doubtful])


def _examples(
    material: ClassMaterial, probabilities: np.ndarray, weights: Sequence[np.ndarray] | None, numbers: np.ndarray
) -> list[Example]:
    """The sequences with these numbers, in the data's own units."""
    test, scaler = material.test, material.scaler
    offsets = test.sequences.offsets
    examples = []
    for number in map(int, numbers):
        label, predicted = int(test.labels[number]), int(probabilities[number].argmax())
        values = test.sequences.values[offsets[number] : offsets[number + 1]] * scaler.scale + scaler.shift
        example = Example(
            title=f"sequence {test.sequences.ids[number]}",
            channels=[channel.name for channel in test.sequences.channels],
            values=values.T.tolist(),
            truth=test.classes[label] if label >= 0 else None,
            predicted=test.classes[predicted],
            probability=float(probabilities[number, predicted]),
        )
        if weights is not None:
            example["weights"] = weights[number].tolist()
        examples.append(example)
    return examples


def _class_row(name: str, scores: dict[str, float]) -> ClassRow:
    return ClassRow(name=name, support=int(scores["support"]), precision=scores["precision"], recall=scores["recall"], f1=scores["f1"])
