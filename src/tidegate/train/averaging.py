"""A moving average of the weights: it generalises better than the last of them, and sooner."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged_twin(network: nn.Module, decay: float) -> AveragedModel:
    """A twin of the network that `update_parameters(network)` moves on; after n updates the decay is (1 + n) / (4 + n), at most `decay`."""

    @torch.no_grad()
    def move(averages: tuple[Tensor, ...] | list[Tensor], weights: tuple[Tensor, ...] | list[Tensor], count: Tensor | int) -> None:
        share = 1.0 - min(decay, (1 + int(count)) / (4 + int(count)))
        for average, weight in zip(averages, weights, strict=True):
            average.lerp_(weight, share)

    return AveragedModel(network, multi_avg_fn=move)
