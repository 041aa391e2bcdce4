"""A rival that is not naive: MiniRocket of aeon (extra `baselines`), fitted anew to the training sequences."""

from itertools import pairwise
from typing import Any

import numpy as np

from tidegate.errors import SettingsError
from tidegate.evaluate.classify import apply_temperature, fit_temperature

LEAST_STEPS = 9
"""The length of its convolutions."""
MOST_LEFT_OUT = 2000
"""Training sequences that tell how sharp its scores are, spread evenly."""


def minirocket(
    values: np.ndarray,
    offsets: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    asked: np.ndarray,
    asked_offsets: np.ndarray,
    *,
    seed: int = 0,
    threads: int = 1,
) -> np.ndarray:
    """Probabilities float64 [n, K] of the sequences `asked`, after fitting to those before; letters as in class_baselines.py.

    Some ten thousand shares of steps above thresholds, and a ridge classifier on them (Dempster, Schmidt and Webb 2021). All
    sequences are made a rectangle: gaps interpolated, ends held, padded to the longest. Its scores become probabilities by the
    temperature that suits training sequences left out. Raises SettingsError where aeon cannot be imported.
    """
    steps = max(LEAST_STEPS, int(np.diff(offsets).max()), int(np.diff(asked_offsets).max()))
    rocket = _classifier()(random_state=seed, n_jobs=threads)
    x_nCL = rectangle(values, offsets, steps)
    rocket.fit(x_nCL, labels)
    some = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), MOST_LEFT_OUT)).round().astype(np.int64))
    known = np.searchsorted(rocket.classes_, labels[some])
    left_out = _left_out(np.asarray(rocket.pipeline_[:-1].transform(x_nCL[some]), np.float64), known, float(rocket.estimator_.alpha_))
    scores = rocket.pipeline_.decision_function(rectangle(asked, asked_offsets, steps))
    scores = np.stack([-scores, scores], 1) if scores.ndim == 1 else scores
    found = np.zeros((len(scores), num_classes))
    found[:, rocket.classes_] = apply_temperature(scores, fit_temperature(left_out, known))
    return found


def rectangle(values: np.ndarray, offsets: np.ndarray, steps: int) -> np.ndarray:
    """float32 [n, C, steps]: gaps interpolated, ends held, sequences padded with their last value; zero for a channel without a value."""
    result = np.zeros((len(offsets) - 1, values.shape[1], steps), np.float32)
    for number, (begin, end) in enumerate(pairwise(offsets)):
        for channel, column in enumerate(values[begin:end].T):
            present = np.flatnonzero(~np.isnan(column))
            if len(present):
                result[number, channel] = np.interp(np.arange(steps), present, column[present])
    return result


def _left_out(x_nF: np.ndarray, labels: np.ndarray, penalty: float) -> np.ndarray:
    """Scores [n, K] of each sequence by the ridge classifier of all others, whose fit follows from that of all: what it misses by is the
    residual over one minus the leverage (Rifkin and Lippert 2007, 'Notes on regularized least squares')."""
    target_nK = np.where(labels[:, None] == np.arange(labels.max() + 1), 1.0, -1.0)
    x_nF = x_nF - x_nF.mean(0)
    residual_nn = penalty * np.linalg.inv(x_nF @ x_nF.T + penalty * np.eye(len(x_nF)))  # one minus the ridge's projection
    leverage_n = 1.0 - np.diag(residual_nn) + 1.0 / len(x_nF)
    return target_nK - residual_nn @ (target_nK - target_nK.mean(0)) / (1.0 - leverage_n)[:, None]


def _classifier() -> Any:
    try:
        from aeon.classification.convolution_based import MiniRocketClassifier
    except ImportError as error:  # also where its numba refuses this NumPy
        raise SettingsError(
            f"MiniRocket needs aeon, which cannot be imported: {error}. Install it with: pip install 'tidegate[baselines]'."
        ) from None
    return MiniRocketClassifier
