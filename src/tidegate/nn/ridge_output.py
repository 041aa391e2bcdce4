"""Ridge regression of classes on features, with the penalty that leaving one sequence out chooses.

Shape letters: n sequences, F features, K classes.
"""

from typing import NamedTuple

import torch
from torch import Tensor

PENALTIES = torch.logspace(-3, 5, 17, dtype=torch.float64)
"""Of features of unit variance, tried in turn."""
MOST_LEFT_OUT = 3000
"""Sequences that the penalty is chosen on: the eigenvalues of their products take seconds."""
LEAST_DEVIATION = 1e-4
"""A feature that varies by less is left out: it is a share of steps, and one step in ten thousand is chance."""


class Ridge(NamedTuple):
    """scores = x weight + bias, 1 for the class and -1 for the others. `left_out` [m, K] are those of the sequences at `places`, each by a
    regression that did not see it."""

    weight_FK: Tensor
    bias_K: Tensor
    penalty: float
    left_out: Tensor
    places: Tensor


def fit_ridge(x_nF: Tensor, labels: Tensor, classes: int) -> Ridge:
    """Minimise |y - x w - b|^2 + penalty |w|^2 over standardised features, the mean free of penalty, by the dual: n is at most some
    thousands and F is about ten thousand. The error of leaving one out is in closed form (Golub, Heath and Wahba 1979)."""
    x_nF = x_nF.double()
    mean_F, deviation_F = x_nF.mean(0), x_nF.std(0, correction=0)
    gain_F = torch.where(deviation_F < LEAST_DEVIATION, 0.0, 1.0 / deviation_F)
    x_nF = (x_nF - mean_F) * gain_F
    y_nK = 2.0 * torch.nn.functional.one_hot(labels, classes).double() - 1.0
    places = torch.linspace(0, len(labels) - 1, min(len(labels), MOST_LEFT_OUT), dtype=torch.float64).round().long()
    penalty, left_out, dual_nK = _choose(x_nF[places], y_nK[places])
    mean_K = y_nK.mean(0)
    if len(places) < len(labels):
        gram_nn = x_nF @ x_nF.T
        gram_nn.diagonal().add_(penalty)
        dual_nK = torch.cholesky_solve(y_nK - mean_K, torch.linalg.cholesky(gram_nn))
    weight_FK = (x_nF.T @ dual_nK) * gain_F[:, None]
    return Ridge(weight_FK.float(), (mean_K - mean_F @ weight_FK).float(), penalty, left_out, places)


def _choose(x_mF: Tensor, y_mK: Tensor) -> tuple[float, Tensor, Tensor]:
    """The penalty with the least squared error of leaving one out, the scores [m, K] of those left out, and the dual solution."""
    x_mF, mean_K = x_mF - x_mF.mean(0), y_mK.mean(0)
    values, vectors = torch.linalg.eigh(x_mF @ x_mF.T)
    rest_mK = y_mK - mean_K
    turned_mK = vectors.T @ rest_mK
    best: tuple[float, float, Tensor, Tensor] | None = None
    for penalty in PENALTIES.tolist():
        inverse_m = 1.0 / (values.clamp(min=0.0) + penalty)
        dual_mK = vectors @ (turned_mK * inverse_m[:, None])
        # The mean is free of penalty: the constant direction, whose eigenvalue is zero, is no part of what is left of each.
        left_m = (vectors.square() @ inverse_m - 1.0 / (len(y_mK) * penalty)).clamp(min=1e-12)
        error_mK = dual_mK / left_m[:, None]
        loss = float(error_mK.square().mean())
        if best is None or loss < best[0]:
            best = loss, penalty, y_mK - error_mK, dual_mK
    assert best is not None
    return best[1], best[2], best[3]
