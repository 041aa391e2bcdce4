"""Scores of classification, calibration and McNemar's test: scikit-learn, SciPy and counting by hand as oracles."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from sklearn import metrics

from tidegate.evaluate.classify import (
    PROBABILITY_FLOOR,
    apply_temperature,
    class_scores,
    compare_classifiers,
    confusion,
    fit_temperature,
    per_class,
    softmax,
)

NAN = math.nan


def _drawn(seed: int, num: int, num_classes: int, unknown: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Classes and somewhat skilful probabilities."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(-1 if unknown else 0, num_classes, num)
    logits = rng.normal(size=(num, num_classes)) + 1.5 * (truth[:, None] == np.arange(num_classes))
    return truth, softmax(logits)


@pytest.mark.parametrize("num_classes", [2, 3, 7])
def test_scores_equal_scikit_learn(num_classes: int) -> None:
    truth, probabilities = _drawn(num_classes, 300, num_classes)
    ours, predicted = class_scores(truth, probabilities), probabilities.argmax(axis=1)
    score = probabilities[:, 1] if num_classes == 2 else probabilities
    expected = {
        "accuracy": metrics.accuracy_score(truth, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, predicted),
        "f1_macro": metrics.f1_score(truth, predicted, average="macro"),
        "log_loss": metrics.log_loss(truth, probabilities),
        "roc_auc": metrics.roc_auc_score(truth, score, multi_class="ovr", average="macro"),
    }
    assert {name: ours[name] for name in expected} == pytest.approx(expected, rel=1e-12)
    assert list(ours) == [*expected, "ece"]


def test_tables_equal_scikit_learn() -> None:
    truth, probabilities = _drawn(0, 200, 4)
    predicted = probabilities.argmax(axis=1)
    np.testing.assert_array_equal(confusion(truth, predicted, 4), metrics.confusion_matrix(truth, predicted))
    assert confusion(truth, predicted, 4).dtype == np.int64
    theirs = metrics.precision_recall_fscore_support(truth, predicted)
    ours = per_class(truth, predicted, 4)
    assert list(ours) == ["precision", "recall", "f1", "support"]
    for one, other in zip(ours.values(), theirs, strict=True):
        np.testing.assert_allclose(one, np.asarray(other), rtol=1e-12)


def test_by_hand() -> None:
    """Class 1 is never predicted, class 2 never occurs, and the last sequence is of a class that training never saw."""
    truth = np.array([0, 0, 1, -1])
    probabilities = np.array([[0.9, 0.05, 0.05], [0.2, 0.2, 0.6], [0.5, 0.25, 0.25], [1.0, 0.0, 0.0]])
    predicted = probabilities.argmax(axis=1)
    np.testing.assert_array_equal(confusion(truth, predicted, 3), [[1, 0, 1], [1, 0, 0], [0, 0, 0]])
    table = per_class(truth, predicted, 3)
    np.testing.assert_allclose(table["precision"], [1 / 3, NAN, 0])
    np.testing.assert_allclose(table["recall"], [1 / 2, 0, NAN])
    np.testing.assert_allclose(table["f1"], [2 / 5, 0, 0])
    np.testing.assert_array_equal(table["support"], [2, 1, 0])
    assert class_scores(truth, probabilities) == pytest.approx(
        {
            "accuracy": 1 / 4,
            "balanced_accuracy": (1 / 2 + 0 + 0) / 3,
            "f1_macro": (2 / 5 + 0 + 0 + 0) / 4,
            "log_loss": (-math.log(0.9 * 0.2 * 0.25) + 23 * math.log(2)) / 4,
            "roc_auc": (1 / 2 + 1) / 2,
            "ece": ((1 - 0.9) + 0.6 + 0.5 + 1.0) / 4,
        }
    )


def test_unknown_classes_are_one_class_that_is_never_predicted() -> None:
    truth, probabilities = _drawn(5, 200, 3, unknown=True)
    predicted, ours = probabilities.argmax(axis=1), class_scores(truth, probabilities)
    assert ours["accuracy"] == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert ours["balanced_accuracy"] == pytest.approx(metrics.recall_score(truth, predicted, average="macro"))
    assert ours["f1_macro"] == pytest.approx(metrics.f1_score(truth, predicted, average="macro"))
    known = truth >= 0
    rest = class_scores(truth[known], probabilities[known])
    assert ours["roc_auc"] == rest["roc_auc"]
    share = known.mean()
    assert ours["log_loss"] == pytest.approx(share * rest["log_loss"] - (1 - share) * math.log(PROBABILITY_FLOOR))


@pytest.mark.parametrize("num_classes", [2, 3])
def test_a_perfect_predictor(num_classes: int) -> None:
    truth = np.arange(12) % num_classes
    scores = class_scores(truth, np.eye(num_classes)[truth])
    assert scores == {"accuracy": 1, "balanced_accuracy": 1, "f1_macro": 1, "log_loss": 0, "roc_auc": 1, "ece": 0}


@pytest.mark.parametrize("num_classes", [2, 3])
def test_a_constant_predictor(num_classes: int) -> None:
    """Class 0 is half of the data, and is what the predictor says, at its frequency."""
    truth = np.concatenate([np.zeros(6, np.int64), 1 + np.arange(6) % (num_classes - 1)])
    frequencies = np.bincount(truth) / 12
    scores = class_scores(truth, np.tile(frequencies, (12, 1)))
    entropy = -(frequencies * np.log(frequencies)).sum()
    expected = {
        "accuracy": 0.5,
        "balanced_accuracy": 1 / num_classes,
        "f1_macro": 2 / 3 / num_classes,
        "log_loss": entropy,
        "roc_auc": 0.5,
        "ece": 0,
    }
    assert scores == pytest.approx(expected, abs=1e-12)


def test_where_scores_are_undefined() -> None:
    assert all(math.isnan(value) for value in class_scores(np.zeros(0, np.int64), np.zeros((0, 3))).values())
    alone = class_scores(np.zeros(4, np.int64), np.tile([0.7, 0.3], (4, 1)))
    assert math.isnan(alone["roc_auc"]) and alone["balanced_accuracy"] == 1
    unknown = class_scores(np.array([-1, -1]), np.tile([0.7, 0.3], (2, 1)))
    assert unknown["accuracy"] == unknown["balanced_accuracy"] == unknown["f1_macro"] == 0
    assert math.isnan(unknown["roc_auc"])
    single = class_scores(np.array([0, 0]), np.ones((2, 1)))
    assert single["accuracy"] == 1 and single["log_loss"] == 0 and math.isnan(single["roc_auc"])


def test_a_class_that_does_not_occur_is_left_out_of_the_area() -> None:
    truth, probabilities = _drawn(1, 60, 4)
    kept = truth < 3
    expected = np.mean([float(metrics.roc_auc_score(truth[kept] == number, probabilities[kept, number])) for number in range(3)])
    assert class_scores(truth[kept], probabilities[kept])["roc_auc"] == pytest.approx(expected)


def test_the_area_of_two_classes_is_that_of_the_second() -> None:
    """Probabilities of class 1 keep their order where those of class 0 are all rounded to 1."""
    small = np.array([1e-20, 2e-20, 3e-20])
    assert class_scores(np.array([0, 0, 1]), np.stack([1 - small, small], axis=1))["roc_auc"] == 1


def test_calibration_error_by_its_definition() -> None:
    truth, probabilities = _drawn(2, 500, 3)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    total = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert class_scores(truth, probabilities)["ece"] == pytest.approx(total, rel=1e-12)


def test_a_bin_holds_its_upper_edge() -> None:
    """10/15 lies in the tenth bin with 0.65, whose gaps of 0.35 and -2/3 cancel in part; 0.68 lies in the next."""
    tops = np.array([10 / 15, 0.65, 0.68])
    error = class_scores(np.array([1, 0, 0]), np.stack([tops, 1 - tops], axis=1))["ece"]
    assert error == pytest.approx((abs(0.35 - 2 / 3) + 0.32) / 3)


def test_the_log_loss_has_one_floor_for_all_types() -> None:
    certain = np.array([[1.0, 0.0], [1.0, 1e-30]])
    for dtype in (np.float32, np.float64):
        assert class_scores(np.ones(2, np.int64), certain.astype(dtype))["log_loss"] == pytest.approx(23 * math.log(2))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), num=st.integers(1, 40), num_classes=st.integers(2, 6), unknown=st.booleans())
def test_names_of_classes_do_not_matter(seed: int, num: int, num_classes: int, unknown: bool) -> None:
    """Classes in another order give the same scores, and the same rows and columns in that order."""
    truth, probabilities = _drawn(seed, num, num_classes, unknown)
    order = np.random.default_rng(seed).permutation(num_classes)
    place = np.argsort(order)
    renamed, shuffled = np.where(truth < 0, -1, place[truth]), probabilities[:, order]
    assert class_scores(renamed, shuffled) == pytest.approx(class_scores(truth, probabilities), rel=1e-9, nan_ok=True)
    predicted, theirs = probabilities.argmax(axis=1), shuffled.argmax(axis=1)
    np.testing.assert_array_equal(confusion(renamed, theirs, num_classes), confusion(truth, predicted, num_classes)[np.ix_(order, order)])
    for name, values in per_class(truth, predicted, num_classes).items():
        np.testing.assert_array_equal(per_class(renamed, theirs, num_classes)[name], values[order])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), num=st.integers(1, 40), num_classes=st.integers(1, 6))
def test_scores_stay_in_their_range(seed: int, num: int, num_classes: int) -> None:
    scores = class_scores(*_drawn(seed, num, num_classes, unknown=True))
    assert all(math.isnan(value) or 0 <= value <= 1 for name, value in scores.items() if name != "log_loss")
    assert 0 <= scores["log_loss"] <= -math.log(PROBABILITY_FLOOR)


@pytest.mark.parametrize(
    ("truth", "probabilities", "message"),
    [
        ([0, 1], [[0.5, 0.5]], r"truth has shape \(2,\) beside \(1, 2\)"),
        ([2], [[0.5, 0.5]], "from 2 to 2, expected -1 .unknown. to 1"),
        ([0, 1], [[0.5, 0.5], [2.0, 3.0]], "row 1 .* sums to 5, expected 1"),
        ([0], [[1.5, -0.5]], "no number below 0"),
        ([0], [[NAN, 1.0]], "sums to nan"),
    ],
)
def test_what_is_refused(truth: list[int], probabilities: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        class_scores(np.array(truth), np.array(probabilities))


def test_softmax_of_huge_logits() -> None:
    np.testing.assert_array_equal(softmax(np.array([[1e4, 0.0], [-1e4, -1e4]])), [[1, 0], [0.5, 0.5]])
    np.testing.assert_allclose(softmax(np.log([[0.2, 0.3, 0.5]]) + 700), [[0.2, 0.3, 0.5]])
    assert softmax(np.zeros((2, 3), np.float32)).dtype == np.float64


def _loss(log_sharpness: float, logits: np.ndarray, truth: np.ndarray) -> float:
    """The negative log posterior, with the prior that `fit_temperature` names: b - log b for Gamma(2, 1) of b."""
    sharpness = math.exp(log_sharpness)
    of_truth = softmax(sharpness * logits)[np.arange(len(truth)), truth]
    return -np.log(of_truth).sum() + sharpness - log_sharpness


@pytest.mark.parametrize("stretch", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("num", [3, 50, 2000])
def test_temperature_equals_scipy(num: int, stretch: float) -> None:
    truth, probabilities = _drawn(num, num, 4)
    logits = stretch * np.log(probabilities)
    theirs = float(np.asarray(optimize.fminbound(_loss, -10, 10, args=(logits, truth), xtol=1e-9)))
    assert fit_temperature(logits, truth) == pytest.approx(math.exp(-theirs), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_temperature_is_found_again(temperature: float) -> None:
    """Classes drawn from softmax(z / T); the standard error of log T over 20000 sequences is about 0.01."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20000, 5)) * 2 * temperature
    shares = softmax(logits / temperature).cumsum(axis=1)
    truth = (rng.random((20000, 1)) > shares).sum(axis=1).clip(max=4)
    found = fit_temperature(logits, truth)
    assert math.log(found) == pytest.approx(math.log(temperature), abs=0.03)
    before, after = class_scores(truth, softmax(logits)), class_scores(truth, apply_temperature(logits, found))
    assert after["accuracy"] == before["accuracy"]
    assert after["log_loss"] <= before["log_loss"] + 1e-9
    assert after["ece"] < 0.02


def test_temperature_without_a_mistake_stays_in_bounds() -> None:
    """Few sequences say little; many that are right without confidence say that the network is too shy."""
    sure, shy = np.array([[5.0, 0.0]]), np.array([[0.5, 0.0]])
    assert 0.8 < fit_temperature(np.repeat(sure, 5, axis=0), np.zeros(5, np.int64)) < 1
    assert 0.05 < fit_temperature(np.repeat(shy, 500, axis=0), np.zeros(500, np.int64)) < 0.2


@pytest.mark.parametrize("size", [1e-20, 1.0, 1e20])
def test_temperature_of_extreme_logits(size: float) -> None:
    rng = np.random.default_rng(4)
    logits, truth = size * rng.normal(size=(40, 3)), rng.integers(0, 3, 40)
    found = fit_temperature(logits, truth)
    assert math.isfinite(found) and found > 0
    assert class_scores(truth, apply_temperature(logits, found))["log_loss"] < 1.5 * math.log(3)


def test_temperature_of_nothing_is_one() -> None:
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, np.int64)) == pytest.approx(1, abs=1e-12)
    assert fit_temperature(np.ones((3, 2)), np.array([-1, -1, -1])) == pytest.approx(1, abs=1e-12)
    assert fit_temperature(np.ones((3, 2)), np.array([0, 1, 0])) == pytest.approx(1, abs=1e-12)


def test_unknown_classes_do_not_change_the_temperature() -> None:
    truth, probabilities = _drawn(3, 80, 3, unknown=True)
    logits, known = np.log(probabilities), truth >= 0
    assert fit_temperature(logits, truth) == fit_temperature(logits[known], truth[known])


def test_temperature_refuses_what_it_cannot_use() -> None:
    with pytest.raises(ValueError, match="NaN or infinite"):
        fit_temperature(np.array([[NAN, 1.0]]), np.array([0]))
    for temperature in (0.0, -1.0, NAN):
        with pytest.raises(ValueError, match="expected more than 0"):
            apply_temperature(np.zeros((1, 2)), temperature)


@settings(max_examples=100, deadline=None)
@given(
    logits=st.lists(st.lists(st.floats(-1e3, 1e3, width=32), min_size=3, max_size=3), min_size=1, max_size=10),
    truth=st.integers(0, 2),
    shift=st.floats(-1e3, 1e3),
)
def test_temperature_leaves_the_likeliest_class_alone(logits: list[list[float]], truth: int, shift: float) -> None:
    """And does not see what is added to all logits of a sequence."""
    table = np.array(logits)
    classes = np.full(len(table), truth)
    found = fit_temperature(table, classes)
    probabilities = apply_temperature(table, found)
    top = np.take_along_axis(probabilities, table.argmax(axis=1)[:, None], axis=1)[:, 0]
    np.testing.assert_array_equal(top, probabilities.max(axis=1))
    assert fit_temperature(table + shift, classes) == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (3, 9), (9, 3), (7, 7), (0, 20), (150, 100), (40_000, 40_500)])
def test_mcnemar_equals_the_binomial_test(only_a: int, only_b: int) -> None:
    """One sequence that both get right and one that neither does change nothing."""
    truth = np.ones(only_a + only_b + 2, np.int64)
    first = np.concatenate([np.ones(only_a), np.zeros(only_b), [1, 0]]).astype(np.int64)
    second = np.concatenate([np.zeros(only_a), np.ones(only_b), [1, 0]]).astype(np.int64)
    expected = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert compare_classifiers(truth, first, second) == pytest.approx(expected, rel=1e-7)


def test_mcnemar_takes_both_as_wrong_on_unknown_classes() -> None:
    truth = np.array([0, 0, 0, 0, 0, 0, -1])
    for other in (np.ones(7, np.int64), np.array([1, 1, 1, 1, 1, 1, -1])):
        assert compare_classifiers(truth, np.zeros(7, np.int64), other) == pytest.approx(2 / 2**6)
    with pytest.raises(ValueError, match="predicted has shape"):
        compare_classifiers(truth, np.zeros(7, np.int64), np.zeros(1, np.int64))
