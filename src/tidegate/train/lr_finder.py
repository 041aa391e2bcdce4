"""The learning-rate finder (Smith 2017): raise the rate step by step and see where the loss falls fastest."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from tidegate.config import LoopSettings
from tidegate.errors import TrainingError
from tidegate.train.optimiser import build_optimiser

B = TypeVar("B")


@dataclass(frozen=True)
class RateCurve:
    """Learning rates, the smoothed loss at each, and the rate to use."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestion: float


def find_learning_rate(
    network: nn.Module,
    loss: Callable[[nn.Module, B], tuple[Tensor, int]],
    batches: Iterator[B],
    settings: LoopSettings,
    lowest: float = 1e-5,
    highest: float = 1.0,
    steps: int = 80,
) -> RateCurve:
    """Train for up to `steps` batches while the rate grows from `lowest` to `highest`; the network's weights are put back.

    Ends early where the loss is four times the best. The suggestion is a tenth of the rate at the lowest smoothed loss. Raises
    TrainingError where the loss of the first batch is not finite.
    """
    before = {name: value.detach().clone() for name, value in network.state_dict().items()}
    optimiser = build_optimiser(network, settings)
    network.train()
    torch.manual_seed(settings.seed)
    rates, losses, mean = [], [], 0.0
    for number, batch in zip(range(steps), batches, strict=False):
        rate = lowest * (highest / lowest) ** (number / (steps - 1))
        for group in optimiser.param_groups:
            group["lr"] = rate
        value, _ = loss(network, batch)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm or math.inf)
        mean = 0.9 * mean + 0.1 * value.item()
        smooth = mean / (1.0 - 0.9 ** (number + 1))
        if not math.isfinite(smooth) or (losses and smooth > 4.0 * min(losses)):
            break
        rates.append(rate)
        losses.append(smooth)
        optimiser.step()
    network.load_state_dict(before)
    if not losses:
        raise TrainingError(
            "The loss of the first batch is not finite, whatever the learning_rate. Look at the data with `tidegate check`."
        )
    lowest_at = min(range(len(losses)), key=losses.__getitem__)
    return RateCurve(tuple(rates), tuple(losses), rates[lowest_at] / 10.0)
