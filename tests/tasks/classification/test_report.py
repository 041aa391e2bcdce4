"""What the report and the card of a classifier are made of."""

import re
from pathlib import Path

import numpy as np
import pytest

from tidegate.config_classify import ClassConfig
from tidegate.data.labelled import LabelledSequences, from_arrays
from tidegate.evaluate.classify import class_scores
from tidegate.tasks.classification.evaluation import ClassEvaluation, evaluate_classes
from tidegate.tasks.classification.fitting import new_network, shape_of
from tidegate.tasks.classification.material import ClassMaterial, gather_labelled
from tidegate.tasks.classification.model import ClassModel
from tidegate.tasks.classification.report import (
    calibration_bins,
    evidence_of,
    facts,
    first_member,
    model_card_of,
    report_page,
    surest_mistakes,
)

CLASSES = ["<high>", "low", "mid"]


def levels(count: int, seed: int, labels: list[str]) -> LabelledSequences:
    """Sequences of 5 to 9 steps around 1000, with a channel of noise."""
    random = np.random.default_rng(seed)
    X = [1000 + random.normal(size=(5 + number % 5, 2)) for number in range(count)]
    return from_arrays(X, [labels[number % len(labels)] for number in range(count)], channels=["level", "noise"], source=f"part {seed}.csv")


@pytest.fixture(scope="module")
def material() -> ClassMaterial:
    config = ClassConfig.model_validate({"network": {"name": "lstm", "hidden": 4}, "training": {"device": "cpu", "threads": 1}})
    return gather_labelled(levels(30, 0, CLASSES), config, levels(12, 1, [*CLASSES, "never seen"]))


@pytest.fixture(scope="module")
def model(material: ClassMaterial) -> ClassModel:
    networks = (new_network(material, material.config), new_network(material, material.config))
    return ClassModel(
        material.config, shape_of(material), material.data.classes, ("level", "noise"), material.scaler, networks, 1.25, (0, 0)
    )


@pytest.fixture(scope="module")
def probabilities(material: ClassMaterial) -> np.ndarray:
    """Right on all but those that nobody can be right on and the first."""
    labels = np.where(material.test.labels < 0, 2, material.test.labels)
    labels[0] = (labels[0] + 1) % 3
    sure = np.linspace(0.5, 0.95, len(labels))[:, None]
    return np.where(np.eye(3)[labels] > 0, sure, (1 - sure) / 2)


@pytest.fixture(scope="module")
def evaluation(material: ClassMaterial, model: ClassModel, probabilities: np.ndarray) -> ClassEvaluation:
    even = np.full((len(material.test), 3), 1 / 3)
    return evaluate_classes("lstm", material.test.labels, probabilities, {"majority": even}, model.classes, ["a note of the scores"])


def epochs(counts: list[int]) -> list:
    return [{"epoch": epoch, "train_loss": 1.0, "validation_loss": 1 / (1 + epoch)} for count in counts for epoch in range(count)]


def test_page_shows_what_was_given(
    material: ClassMaterial, model: ClassModel, probabilities: np.ndarray, evaluation: ClassEvaluation
) -> None:
    weights = [np.full(length, 1 / length) for length in material.test.sequences.lengths]
    page = report_page(material, model, evaluation, probabilities, weights, epochs([4, 3]), "runs/my run")
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == ["Scores", "Training", "Classes", "Calibration", "Evidence", "Surest mistakes", "Notes and settings"]
    assert "4 epochs; the best validation loss is 0.25, after epoch 4. This is the first of 2 networks" in page
    assert "tidegate predict &#x27;runs/my run&#x27; NEW_DATA --out classes.csv" in page
    assert "&lt;high&gt;" in page and "<high>" not in page
    assert "never seen" in page and "a note of the scores" in page
    assert "A temperature of 1.25" in page
    assert "true: a class that training never saw" in page
    values = [float(value.replace(",", "")) for value in re.findall(r">step \d+  ([\d.,]+)<", page)]
    assert len(values) > 50 and min(values) > 990, "in the data's own units"
    titles = re.findall(r"<h2>(.*?)</h2>", report_page(material, model, evaluation, probabilities, None, [], "run"))
    assert "Evidence" not in titles and "Surest mistakes" in titles


def test_card_and_facts(material: ClassMaterial, model: ClassModel, evaluation: ClassEvaluation) -> None:
    found = dict(facts(material, model, evaluation))
    assert found["train, validation, test"] == "24 / 6 / 12"
    assert (found["steps"], found["classes"], found["networks"]) == ("5 to 9", 3, 2)
    assert (found["data"], found["test data"]) == ("part 0.csv", "part 1.csv")
    text = model_card_of(Path("runs/levels"), material, model, evaluation)
    assert "# levels\n" in text and "**&lt;high&gt;**, **low**, **mid**" in text and "level, noise" in text


def test_bins_are_those_of_the_calibration_error() -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(3), 500)
    truth = random.integers(-1, 3, 500)
    bins = calibration_bins(truth, probabilities)
    assert sum(one["count"] for one in bins) == 500 and len(bins) == 15
    gaps = [one["count"] / 500 * abs((one["accuracy"] or 0) - (one["confidence"] or 0)) for one in bins if one["count"]]
    assert sum(gaps) == pytest.approx(class_scores(truth, probabilities)["ece"])
    edge = np.linspace(0, 1, 16)[9]
    assert calibration_bins(np.array([0]), np.array([[edge, 1 - edge, 0]]))[8] == {"count": 1, "confidence": edge, "accuracy": 1.0}
    assert calibration_bins(truth[:0], probabilities[:0])[0] == {"count": 0, "confidence": None, "accuracy": None}


def test_history_is_that_of_the_first_member() -> None:
    assert [epoch["epoch"] for epoch in first_member(epochs([3, 2, 5]))] == [0, 1, 2]
    assert len(first_member(epochs([4]))) == 4
    assert len(first_member(epochs([1, 1]))) == 1
    assert first_member([]) == []


def test_examples_are_the_surest_mistakes_and_right_ones_of_each_class() -> None:
    truth = np.array([0, 0, 0, 1, 1, 1, 2, -1])
    predicted = np.array([0, 0, 1, 1, 1, 1, 0, 2])
    sure = np.array([0.9, 0.6, 0.7, 0.8, 0.5, 0.9, 0.6, 0.99])
    probabilities = np.where(np.eye(3)[predicted] > 0, sure[:, None], (1 - sure[:, None]) / 2)
    assert surest_mistakes(truth, probabilities).tolist() == [7, 2, 6]
    assert evidence_of(truth, probabilities).tolist() == [0, 3, 1, 4, 6, 2]
    assert evidence_of(truth[:2], probabilities[:2]).tolist() == [0, 1]
    assert evidence_of(truth[:0], probabilities[:0]).tolist() == []
