"""MiniRocket as a rival: aeon's own answers, as probabilities, for sequences as they come."""

import sys

import numpy as np
import pytest

from tidegate.errors import SettingsError
from tidegate.evaluate.classify import class_scores
from tidegate.evaluate.minirocket import _left_out, minirocket, rectangle


def waves(count: int, seed: int, classes: int = 3, channels: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noisy waves of 20 to 40 steps, some missing, whose class is their frequency: values [R, C], offsets, labels."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    lengths = random.integers(20, 41, count)
    parts = []
    for label, steps in zip(labels, lengths, strict=True):
        phase = random.uniform(0, 6, channels)
        part = np.sin(np.arange(steps)[:, None] * (0.4 + 0.4 * label) + phase) + random.normal(0, 0.3, (steps, channels))
        part[random.random((steps, channels)) < 0.05] = np.nan
        parts.append(part)
    return np.concatenate(parts).astype(np.float32), np.concatenate([[0], lengths.cumsum()]), labels.astype(np.int64)


@pytest.mark.parametrize(("classes", "channels"), [(2, 1), (3, 1), (3, 2)])
def test_it_tells_frequencies_apart_and_knows_how_surely(classes: int, channels: int) -> None:
    pytest.importorskip("aeon", reason="needs the extra `baselines`")
    values, offsets, labels = waves(60, 0, classes, channels)
    asked, asked_offsets, truth = waves(90, 1, classes, channels)
    found = minirocket(values, offsets, labels, classes, asked, asked_offsets)
    assert found.shape == (90, classes) and found.dtype == np.float64
    np.testing.assert_allclose(found.sum(1), 1.0)
    scores = class_scores(truth, found)
    assert scores["accuracy"] > 0.9
    assert scores["log_loss"] < 0.3, "that of one class in two or three by chance is 0.7 or 1.1"
    assert np.array_equal(found, minirocket(values, offsets, labels, classes, asked, asked_offsets))


def test_it_answers_as_aeon_does() -> None:
    aeon = pytest.importorskip("aeon.classification.convolution_based", reason="needs the extra `baselines`")
    values, offsets, labels = waves(45, 2)
    asked, asked_offsets, _ = waves(60, 3)
    asked += np.random.default_rng(0).normal(0, 1.0, asked.shape).astype(np.float32)  # so noisy that some are taken for others
    rocket = aeon.MiniRocketClassifier(random_state=7)
    rocket.fit(rectangle(values, offsets, 40), labels)
    expected = rocket.predict(rectangle(asked, asked_offsets, 40))
    found = minirocket(values, offsets, labels, 3, asked, asked_offsets, seed=7)
    assert np.array_equal(found.argmax(1), expected)
    assert 0.0 < found.max(1).mean() < 0.95


def test_a_class_that_training_never_saw_is_impossible() -> None:
    pytest.importorskip("aeon", reason="needs the extra `baselines`")
    values, offsets, labels = waves(30, 4)
    found = minirocket(values, offsets, np.where(labels == 2, 3, labels), 5, *waves(9, 5)[:2])
    assert not found[:, [2, 4]].any() and (found[:, [0, 1, 3]] > 0).all()


def test_short_sequences_are_padded_to_its_convolutions() -> None:
    pytest.importorskip("aeon", reason="needs the extra `baselines`")
    values = np.random.default_rng(0).normal(size=(40, 1)).astype(np.float32)
    found = minirocket(values, np.arange(0, 41, 4), np.arange(10) % 2, 2, values, np.arange(0, 41, 4))
    assert found.shape == (10, 2)


def test_what_is_left_out_is_what_the_others_say() -> None:
    random = np.random.default_rng(0)
    x, labels, penalty = random.normal(size=(12, 30)), np.arange(12) % 3, 2.5
    found = _left_out(x, labels, penalty)
    target = np.where(labels[:, None] == np.arange(3), 1.0, -1.0)
    for out in range(12):
        rest = np.arange(12) != out
        center, level = x[rest].mean(0), target[rest].mean(0)
        weights = np.linalg.solve(
            (x[rest] - center).T @ (x[rest] - center) + penalty * np.eye(30), (x[rest] - center).T @ (target[rest] - level)
        )
        np.testing.assert_allclose(found[out], (x[out] - center) @ weights + level, atol=1e-9)


def test_gaps_are_interpolated_and_the_end_is_held() -> None:
    values = np.array([[np.nan], [1.0], [np.nan], [3.0], [5.0], [6.0]], np.float32)
    np.testing.assert_allclose(rectangle(values, np.array([0, 4, 6]), 5)[:, 0], [[1, 1, 2, 3, 3], [5, 6, 6, 6, 6]])
    assert not rectangle(np.full((3, 1), np.nan, np.float32), np.array([0, 3]), 3).any()


def test_without_aeon_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aeon.classification.convolution_based", None)
    with pytest.raises(SettingsError, match=r"MiniRocket needs aeon, which cannot be imported: .*pip install 'tidegate\[baselines\]'"):
        minirocket(*waves(6, 0), 3, *waves(3, 1)[:2])
