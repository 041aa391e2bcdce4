"""Losses over the values that were observed: a missing truth weighs nothing."""

from collections.abc import Callable

import torch
from torch import Tensor

from tidegate.config import TrainingSettings

Loss = Callable[[Tensor, Tensor], Tensor]
"""(forecast [B, N, C, Q], truth [B, N, C]) -> loss of each value [B, N, C, Q]."""


def absolute_error(forecast_BNCQ: Tensor, truth_BNC: Tensor) -> Tensor:
    """|y - f|: its minimum is the median."""
    return (truth_BNC[..., None] - forecast_BNCQ).abs()


def squared_error(forecast_BNCQ: Tensor, truth_BNC: Tensor) -> Tensor:
    """(y - f)^2: its minimum is the mean."""
    return (truth_BNC[..., None] - forecast_BNCQ) ** 2


def huber(forecast_BNCQ: Tensor, truth_BNC: Tensor) -> Tensor:
    """Huber 1964 with threshold 1, in scaled units: squared near zero, absolute beyond."""
    error = absolute_error(forecast_BNCQ, truth_BNC)
    return torch.where(error < 1.0, 0.5 * error**2, error - 0.5)


def pinball(levels: tuple[float, ...]) -> Loss:
    """max(q (y - f), (q - 1) (y - f)) for each level q (Koenker and Bassett 1978)."""

    def loss(forecast_BNCQ: Tensor, truth_BNC: Tensor) -> Tensor:
        error = truth_BNC[..., None] - forecast_BNCQ
        level_Q = torch.tensor(levels, dtype=error.dtype, device=error.device)
        return torch.maximum(level_Q * error, (level_Q - 1.0) * error)

    return loss


def observed_mean(loss: Loss, forecast_BNCQ: Tensor, truth_BNC: Tensor) -> tuple[Tensor, int]:
    """Mean loss over the observed values, and how many there are; 0 if there are none."""
    seen = truth_BNC.isfinite()
    count = int(seen.sum())
    if count == seen.numel():
        return loss(forecast_BNCQ, truth_BNC).mean(), count
    each = loss(forecast_BNCQ, truth_BNC.masked_fill(~seen, 0.0)).masked_fill(~seen[..., None], 0.0)
    return each.sum() / max(1, count * each.shape[-1]), count


def build_loss(settings: TrainingSettings) -> Loss:
    """The loss that the settings name."""
    if settings.loss == "quantile":
        return pinball(trained_levels(settings))
    return {"mae": absolute_error, "mse": squared_error, "huber": huber}[settings.loss]


def trained_levels(settings: TrainingSettings) -> tuple[float, ...]:
    """Quantiles that the network gives itself, the median among them; none for a point loss."""
    return tuple(sorted({*settings.quantiles, 0.5})) if settings.loss == "quantile" else ()
