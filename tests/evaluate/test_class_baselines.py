"""The naive rivals of a classifier, by hand, beside scikit-learn and on the archive's data."""

import gzip
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from tidegate.evaluate import class_baselines as module
from tidegate.evaluate.class_baselines import CLASS_BASELINES, Majority, NearestNeighbour, SummaryLogistic, summaries
from tidegate.evaluate.classify import class_scores
from tidegate.runs.tensors import tensors_from_bytes, tensors_to_bytes

NAN = math.nan
Packed = tuple[np.ndarray, np.ndarray]


def _packed(*sequences: list[float] | np.ndarray) -> Packed:
    """Values and offsets of sequences [T] or [T, C]."""
    arrays = [array if array.ndim == 2 else array[:, None] for array in (np.asarray(sequence, np.float32) for sequence in sequences)]
    return np.concatenate(arrays), np.concatenate([[0], np.cumsum([len(array) for array in arrays])])


def _ragged(seed: int, num: int = 40, missing: float = 0.1, channels: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sequences of 1 to 30 steps in three classes that differ in level and in frequency, with gaps."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, num)
    sequences = []
    for label in labels:
        time = np.arange(rng.integers(1, 31))[:, None]
        sequence = label + np.sin((1 + label) * 0.4 * time + np.arange(channels)) + 0.2 * rng.normal(size=(len(time), channels))
        sequence[rng.random(sequence.shape) < missing] = NAN
        sequences.append(sequence)
    return *_packed(*sequences), labels


def test_majority_gives_the_frequencies() -> None:
    values, offsets = _packed([1], [2, 3], [4], [NAN])
    rival = Majority.fit(values, offsets, np.array([0, 2, 2, 2]), 4)
    np.testing.assert_array_equal(rival.predict(values, offsets[:3]), [[0.25, 0, 0.75, 0]] * 2)


def test_summaries_by_hand() -> None:
    values, offsets = _packed([1, 3, 2, 6])
    mean, deviation = 3, math.sqrt((4 + 0 + 1 + 9) / 4)
    slope = (-1.5 * 1 - 0.5 * 3 + 0.5 * 2 + 1.5 * 6) / 5
    correlation = ((-2 * 0 + 0 * -1 + -1 * 3) / 3) / deviation**2
    expected = [mean, deviation, 1, 1.75, 2.5, 3.75, 6, 3 * slope, (2 + 1 + 4) / 3, correlation, math.log(4)]
    np.testing.assert_allclose(summaries(values, offsets), [expected])


def test_summaries_skip_missing_values() -> None:
    values, offsets = _packed([1, 3, NAN, 6, 5])
    mean = 15 / 4
    lag = np.array([0, 1, 3, 4]) - 2
    slope = (lag * [1, 3, 6, 5]).sum() / (lag**2).sum()
    deviation = np.std([1, 3, 6, 5])
    correlation = ((1 - mean) * (3 - mean) + (6 - mean) * (5 - mean)) / 2 / deviation**2
    quantiles = np.quantile([1, 3, 5, 6], [0, 0.25, 0.5, 0.75, 1])
    expected = [mean, deviation, *quantiles, 4 * slope, (2 + 1) / 2, correlation, math.log(5)]
    np.testing.assert_allclose(summaries(values, offsets), [expected])


def test_summaries_where_little_is_there() -> None:
    """A single value, nothing observed, no step at all, and a level that does not move."""
    table = summaries(*_packed([7], [NAN, NAN], [], [0.1] * 7))
    np.testing.assert_allclose(table[0], [7, 0, 7, 7, 7, 7, 7, NAN, NAN, NAN, 0])
    np.testing.assert_allclose(table[1:3], [[NAN] * 10 + [math.log(2)], [NAN] * 10 + [0]])
    level = float(np.float32(0.1))
    np.testing.assert_allclose(table[3], [level, 0, *[level] * 5, 0, 0, NAN, math.log(7)], atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_sequences_and_channels_do_not_see_each_other(seed: int) -> None:
    values, offsets, _ = _ragged(seed, num=6, missing=0.3)
    together = summaries(values, offsets)
    for number, (begin, end) in enumerate(pairwise(offsets)):
        for channel in range(2):
            alone = summaries(values[begin:end, channel : channel + 1], np.array([0, end - begin]))
            columns = [*range(10 * channel, 10 * channel + 10), 20]
            np.testing.assert_allclose(alone[0], together[number, columns], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(summaries(values, offsets[2:5]), summaries(values[offsets[2] : offsets[4]], offsets[2:5] - offsets[2]))


@pytest.mark.parametrize("penalty", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("num_classes", [2, 3])
def test_logistic_regression_equals_scikit_learn(penalty: float, num_classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To 1e-5, with both optimisers run to a small gradient. With two classes ours has twice the weights, each of half the size."""
    monkeypatch.setattr(module, "PENALTY", penalty)
    monkeypatch.setattr(module, "_TOLERANCE", 1e-9)
    values, offsets, labels = _ragged(0, num=120)
    labels = labels % num_classes
    rival = SummaryLogistic.fit(values, offsets, labels, num_classes)
    features = summaries(values, offsets)
    center, deviation = np.nanmean(features, axis=0), np.nanstd(features, axis=0)
    features = np.nan_to_num((features - center) / deviation)
    strength = 1 / penalty if num_classes > 2 else 2 / penalty
    theirs = LogisticRegression(C=strength, tol=1e-10, max_iter=10000).fit(features, labels)
    np.testing.assert_allclose(rival.predict(values, offsets), theirs.predict_proba(features), atol=1e-5)


def test_the_tolerance_is_small_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    values, offsets, labels = _ragged(1, num=120)
    usual = SummaryLogistic.fit(values, offsets, labels, 3).predict(values, offsets)
    monkeypatch.setattr(module, "_TOLERANCE", 1e-9)
    exact = SummaryLogistic.fit(values, offsets, labels, 3).predict(values, offsets)
    losses = [class_scores(labels, probabilities)["log_loss"] for probabilities in (usual, exact)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)
    np.testing.assert_allclose(usual, exact, atol=5e-3)


def test_features_that_do_not_vary_say_nothing() -> None:
    """z-normalised series have means and deviations that differ by rounding only; so have series of one length."""
    rng = np.random.default_rng(0)
    cells = rng.normal(size=(30, 50)).astype(np.float32)
    cells = (cells - cells.mean(axis=1, keepdims=True)) / cells.std(axis=1, keepdims=True)
    packed = _packed(*cells)
    rival = SummaryLogistic.fit(*packed, np.arange(30) % 2, 2)
    np.testing.assert_array_equal(np.flatnonzero(rival.gain == 0), [0, 1, 10])
    np.testing.assert_array_equal(rival.weights[[0, 1, 10]], 0)


def test_labels_in_another_order_give_the_same_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TOLERANCE", 1e-9)
    values, offsets, labels = _ragged(2, num=60)
    order = np.array([2, 0, 1])
    for rival in CLASS_BASELINES.values():
        first = rival.fit(values, offsets, labels, 3).predict(values, offsets)
        second = rival.fit(values, offsets, order[labels], 3).predict(values, offsets)
        np.testing.assert_allclose(second[:, order], first, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units_do_not_matter(scale: float) -> None:
    values, offsets, labels = _ragged(3, num=60)
    other = (values * np.array([scale, 1])).astype(np.float32)
    for rival in (SummaryLogistic, NearestNeighbour):
        first = rival.fit(values, offsets, labels, 3).predict(values, offsets)
        second = rival.fit(other, offsets, labels, 3).predict(other, offsets)
        np.testing.assert_allclose(second, first, atol=1e-3)


def test_neighbours_equal_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Series of one length with one channel: standardised or not, the neighbours are the same. Blocks change nothing."""
    rng = np.random.default_rng(0)
    known, asked, labels = rng.normal(size=(50, 20)), rng.normal(size=(70, 20)), rng.integers(0, 4, 50)
    rival = NearestNeighbour.fit(*_packed(*known), labels, 4)
    probabilities = rival.predict(*_packed(*asked))
    theirs = KNeighborsClassifier(1).fit(known, labels).predict(asked)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), theirs)
    monkeypatch.setattr(module, "_BLOCK_CELLS", 50 * 7)
    again = NearestNeighbour.fit(*_packed(*known), labels, 4)
    np.testing.assert_array_equal(again.votes, rival.votes)
    np.testing.assert_array_equal(again.predict(*_packed(*asked)), probabilities)


def test_series_are_brought_to_one_length() -> None:
    """Lengths 3, 3 and 5, median 3; a gap is interpolated, ends are held, and a channel without a value is at the mean."""
    values, offsets = _packed([0, 1, 2], [NAN, 4, NAN], [8, 7, 6, NAN, 4])
    np.testing.assert_allclose(module._resample(values, offsets, 3)[:, :, 0], [[0, 1, 2], [4, 4, 4], [8, 6, 4]])
    np.testing.assert_allclose(module._resample(values, offsets, 5)[0, :, 0], [0, 0.5, 1, 1.5, 2])
    rival = NearestNeighbour.fit(values, offsets, np.array([0, 1, 2]), 3)
    assert rival.series.shape == (3, 3, 1)
    mean, deviation = np.mean([0, 1, 2, 4, 4, 4, 8, 6, 4]), np.std([0, 1, 2, 4, 4, 4, 8, 6, 4])
    np.testing.assert_allclose(rival.series[2, :, 0] * deviation + mean, [8, 6, 4], rtol=1e-6)
    asked = _packed([NAN, NAN], [8.5, 4], [0])
    np.testing.assert_array_equal(rival.predict(*asked).argmax(axis=1), [1, 2, 0])


def test_long_series_are_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STEPS", 10)
    rival = NearestNeighbour.fit(*_packed(np.arange(100), np.arange(100)[::-1]), np.array([0, 1]), 2)
    assert rival.series.shape == (2, 10, 1)


@pytest.mark.parametrize("limit", [1000, 4])
def test_a_neighbour_is_trusted_as_far_as_training_sequences_trust_theirs(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points on a line; only the one of class 1 at 0.1, among those of class 0, has a neighbour of another class, as has its own."""
    monkeypatch.setattr(module, "MAX_LEFT_OUT", limit)
    points = [0, 0.11, 5, 5.1, 10, 10.1, 20, 20.1]
    labels = np.array([0, 1, 1, 1, 2, 2, 2, 2])
    rival = NearestNeighbour.fit(*_packed(*([point] for point in points)), labels, 3)
    looked_up = np.linspace(0, 7, min(8, limit)).round().astype(int)
    num_right = np.isin(looked_up, [2, 3, 4, 5, 6, 7]).sum()
    trust = (num_right + 1) / (len(looked_up) + 2)
    rest = (1 - trust) / 2
    np.testing.assert_allclose(rival.predict(*_packed([4.9], [30.0])), [[rest, trust, rest], [rest, rest, trust]])


def test_a_useless_neighbour_still_leads() -> None:
    """Every training sequence's neighbour is of another class."""
    points = np.repeat(np.arange(50), 2) + np.tile([0.0, 0.1], 50)
    rival = NearestNeighbour.fit(*_packed(*points[:, None]), np.arange(100) % 2, 2)
    probabilities = rival.predict(*_packed([3.0], [3.1]))
    np.testing.assert_allclose(probabilities, [[0.505, 0.495], [0.495, 0.505]])


@pytest.mark.parametrize("name", CLASS_BASELINES)
@pytest.mark.parametrize("seed", range(3))
def test_probabilities_and_round_trip(name: str, seed: int) -> None:
    """Gaps, a channel that is missing throughout, lengths from 0, a class that training lacks; the tensors give the same to the bit."""
    values, offsets, labels = _ragged(seed, missing=0.4, channels=3)
    values[:, 2] = NAN
    rival = CLASS_BASELINES[name].fit(values, offsets, labels, 5)
    others, places, _ = _ragged(seed + 100, missing=0.4, channels=3)
    places = np.concatenate([places, places[-1:]])
    probabilities = rival.predict(others, places)
    assert probabilities.shape == (41, 5) and probabilities.dtype == np.float64
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)
    kept = tensors_from_bytes(tensors_to_bytes(rival.to_tensors()))
    np.testing.assert_array_equal(type(rival).from_tensors(kept).predict(others, places), probabilities)
    again = CLASS_BASELINES[name].fit(values, offsets, labels, 5)
    assert tensors_to_bytes(again.to_tensors()) == tensors_to_bytes(rival.to_tensors())


@pytest.mark.parametrize("name", CLASS_BASELINES)
def test_one_sequence_and_one_class(name: str) -> None:
    values, offsets = _packed([1, 2, 3])
    one = CLASS_BASELINES[name].fit(values, offsets, np.array([0]), 1)
    np.testing.assert_array_equal(one.predict(values, offsets), [[1]])
    two = CLASS_BASELINES[name].fit(values, offsets, np.array([1]), 2)
    assert np.isfinite(two.predict(values, offsets)).all()
    assert two.predict(values[:0], np.array([0])).shape == (0, 2)


@pytest.mark.parametrize("name", CLASS_BASELINES)
def test_what_is_refused(name: str) -> None:
    fit, (values, offsets) = CLASS_BASELINES[name].fit, _packed([1, 2], [3])
    with pytest.raises(ValueError, match="expected at least one"):
        fit(values[:0], offsets[:1], np.zeros(0, np.int64), 2)
    with pytest.raises(ValueError, match="from -1 to 0, expected 0 to 1"):
        fit(values, offsets, np.array([-1, 0]), 2)
    with pytest.raises(ValueError, match=r"expected \[R, C\]"):
        fit(values, offsets, np.array([0]), 2)


@pytest.mark.parametrize("name", ["summary_logistic", "nearest_neighbour"])
def test_better_than_the_majority_where_there_is_something_to_learn(name: str) -> None:
    values, offsets, labels = _ragged(7, num=200)
    others, places, truth = _ragged(8, num=200)
    naive, rival = (CLASS_BASELINES[key].fit(values, offsets, labels, 3).predict(others, places) for key in ("majority", name))
    assert class_scores(truth, rival)["accuracy"] > class_scores(truth, naive)["accuracy"] + 0.3
    assert class_scores(truth, rival)["log_loss"] < 0.6 * class_scores(truth, naive)["log_loss"]


@pytest.mark.parametrize(
    ("name", "majority", "nearest"),
    [
        ("CBF", 0.6644, 0.1478),
        ("ECG5000", 0.4162, 0.0751),
        ("Earthquakes", 0.2518, 0.2878),
        ("MedicalImages", 0.4855, 0.3158),
        ("FordA", 0.4841, 0.3348),
        ("ElectricDevices", 0.7463, 0.4492),
    ],
)
def test_published_error_rates(shared: Path, name: str, majority: float, nearest: float) -> None:
    """'Default rate' and 'ED (w=0)' of the archive's DataSummary.csv (2018), to its four places.

    Its default rate is the share outside the most frequent class of the test part, ours that of the training part's: never less.
    """
    (values, offsets, labels), (others, places, truth) = (_archive(shared, name, part) for part in ("TRAIN", "TEST"))
    num_classes = int(labels.max()) + 1
    naive = Majority.fit(values, offsets, labels, num_classes).predict(others, places)
    assert 1 - class_scores(truth, naive)["accuracy"] >= majority - 5e-5
    rival = NearestNeighbour.fit(values, offsets, labels, num_classes).predict(others, places)
    assert 1 - class_scores(truth, rival)["accuracy"] == pytest.approx(nearest, abs=5.1e-5)


def _archive(shared: Path, name: str, part: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with gzip.open(shared / "ucr_pkg" / f"{name}_{part}.tsv.gz", "rt") as file:
        table = np.loadtxt(file)
    labels = np.unique(table[:, 0], return_inverse=True)[1]
    num, steps = table[:, 1:].shape
    return table[:, 1:].astype(np.float32).reshape(-1, 1), np.arange(num + 1) * steps, labels
