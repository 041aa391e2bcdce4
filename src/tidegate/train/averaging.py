"""A moving average of the weights: it generalises better than the last of them, and sooner."""

import copy

import torch
from torch import Tensor, nn


class MovingAverage(nn.Module):
    """A twin of a network, `module`, that `update` moves on; after n updates the decay is (1 + n) / (4 + n), at most `decay`.

    torch's AveragedModel does the same, but goes through the modules by name at every step: most of a millisecond, which a small network's
    step feels. Both networks stay on their device from here on.
    """

    n_averaged: Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.module = copy.deepcopy(network)
        self.decay = decay
        self.register_buffer("n_averaged", torch.tensor(0))
        self._pairs = list(zip(self.module.parameters(), network.parameters(), strict=True))
        self._state = list(zip(self.module.buffers(), network.buffers(), strict=True))

    @torch.no_grad()
    def update(self) -> None:
        """Move the weights on towards what the network's are now; its other state is taken as it is."""
        count = int(self.n_averaged)
        share = 1.0 - min(self.decay, (1 + count) / (4 + count)) if count else 1.0
        for average, weight in self._pairs:
            average.lerp_(weight, share)
        for kept, now in self._state:
            kept.copy_(now)
        self.n_averaged += 1
