"""Fixed dilated convolutions and an output that is solved for: MiniRocket (Dempster, Schmidt and Webb 2021) as part of a network.

84 kernels of 9 taps, of which three are 2 and six are -1, at up to 32 dilations. Of each one's result the share of steps above a threshold
is a feature; the thresholds are quantiles of results on training sequences. A ridge regression of the classes on the features is the
output. Nothing here is found by gradients.

Shape letters beyond the project's: K classes, F features, J kernels, W taps.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tidegate.nn.ridge_output import Ridge, fit_ridge

TAPS = 9
KERNELS = list(combinations(range(TAPS), 3))
"""The places of the three taps that are 2."""
MOST_DILATIONS = 32
MOST_CHANNELS = 9
"""That one kernel looks at together."""
BLOCK_CELLS = 1 << 19
"""Results of convolutions that are compared with thresholds at a time: they stay in the cache."""


def dilations(steps: int, features: int) -> list[tuple[int, int]]:
    """Each dilation, and how many thresholds each kernel has there: spread evenly over the octaves from 1 to where a kernel spans all
    `steps`, as MiniRocket does; `features` for 84 kernels in all, rounded down."""
    thresholds = max(1, features // len(KERNELS))
    count = min(thresholds, MOST_DILATIONS)
    octaves = max(0.0, math.log2(max(1, steps - 1) / (TAPS - 1)))
    exact = np.logspace(0.0, octaves, count, base=2.0)
    found, often = np.unique((exact + 1e-6).astype(np.int64), return_counts=True)  # 2 ** log2(5) is a little less than 5
    often = often * thresholds // count
    np.add.at(often, np.arange(thresholds - often.sum()) % len(often), 1)
    return list(zip(found.tolist(), often.tolist(), strict=True))


class DilatedOutput(nn.Module):
    """[B, T, C] -> logits [B, K]. Before `fit` all logits are zero."""

    taps: Tensor
    thresholds: Tensor
    chosen: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, channels: int, classes: int, steps: int, features: int) -> None:
        super().__init__()
        self.dilations = dilations(steps, features)
        self.features = len(KERNELS) * sum(count for _, count in self.dilations)
        taps_JW = torch.full((len(KERNELS), TAPS), -1.0)
        for row, places in zip(taps_JW, KERNELS, strict=True):
            row[list(places)] = 2.0
        self.register_buffer("taps", taps_JW, persistent=False)
        self.register_buffer("thresholds", torch.zeros(self.features))
        self.register_buffer("chosen", torch.ones(len(self.dilations), len(KERNELS), channels))
        self.register_buffer("weight", torch.zeros(self.features, classes))
        self.register_buffer("bias", torch.zeros(classes))

    def forward(self, x_BTC: Tensor, inside_BT: Tensor) -> Tensor:
        """NaN is missing; what stands in the padding does not matter."""
        return self.shares(x_BTC, inside_BT) @ self.weight + self.bias

    def shares(self, x_BTC: Tensor, inside_BT: Tensor) -> Tensor:
        """Features [B, F]. Half of the kernels see zeros beyond the ends, the others only steps at which all their taps are inside."""
        x_BCT = bridged(x_BTC, inside_BT).transpose(1, 2).contiguous()
        size = max(1, BLOCK_CELLS // (max(len(KERNELS), TAPS * x_BCT.shape[1]) * max(1, x_BCT.shape[2])))
        blocks = [self._shares(x_BCT[begin : begin + size], inside_BT[begin : begin + size]) for begin in range(0, len(x_BCT), size)]
        return torch.cat(blocks) if blocks else x_BCT.new_zeros(0, self.features)

    def _shares(self, x_BCT: Tensor, inside_BT: Tensor) -> Tensor:
        found, padded = [], not bool(inside_BT.all())
        for number, thresholds_QJ in self._thresholds():
            y_BJT = self._slide(x_BCT, number)
            reach = self.dilations[number][0] * (TAPS // 2)
            for first in (0, 1):
                z_BJT, valid_BT = y_BJT[:, first::2], inside_BT
                if (number + first) % 2:
                    z_BJT, valid_BT = z_BJT[..., reach:-reach], _all_inside(inside_BT, reach)
                z_BJT = z_BJT.contiguous()
                if padded:
                    z_BJT = z_BJT.masked_fill(~valid_BT[:, None], -torch.inf)
                count_B1 = valid_BT.sum(1, keepdim=True).clamp(min=1)
                above_BJT = torch.empty_like(z_BJT)  # numbers for truth values: ten times as fast to add up
                for threshold_J in thresholds_QJ[:, first::2]:
                    torch.gt(z_BJT, threshold_J[:, None], out=above_BJT)
                    found.append(above_BJT.sum(2) / count_B1)
        return torch.cat(found, 1)

    def _thresholds(self) -> Iterator[tuple[int, Tensor]]:
        """Number of each dilation and its thresholds [Q, J]."""
        begin = 0
        for number, (_, count) in enumerate(self.dilations):
            end = begin + count * len(KERNELS)
            yield number, self.thresholds[begin:end].view(count, len(KERNELS))
            begin = end

    def _slide(self, x_BCT: Tensor, number: int, each: bool = False) -> Tensor:
        """Results of all kernels at one dilation, [B, J, T]: each of the sum of its channels. With `each`, of J sequences each by the
        kernel of its number only, [J, T]."""
        dilation = self.dilations[number][0]
        weight_JCW = self.chosen[number][:, :, None] * self.taps[:, None]
        reach = dilation * (TAPS // 2)
        padded = functional.pad(x_BCT, (reach, reach))
        steps = x_BCT.shape[2]
        shifted = torch.stack([padded[:, :, begin : begin + steps] for begin in range(0, TAPS * dilation, dilation)], 2)
        if each:
            return torch.einsum("jcwt,jcw->jt", shifted, weight_JCW)
        return weight_JCW.flatten(1) @ shifted.flatten(1, 2)  # a product of matrices: six times as fast as a dilated convolution

    @torch.no_grad()
    def fit(
        self, batches: Iterable[tuple[Tensor, Tensor]], labels: Tensor, samples: tuple[Tensor, Tensor], random: np.random.Generator
    ) -> Ridge:
        """Choose channels and thresholds and solve for the output; its logits are then the scores of the regression.

        batches  x [B, T, C] and inside [B, T] of all training sequences
        labels   int64 [n], their classes in the same order
        samples  x and inside of some of them, whose results the thresholds are taken from
        """
        self._choose(*samples, random)
        ridge = fit_ridge(torch.cat([self.shares(*batch).cpu() for batch in batches]), labels, len(self.bias))
        self.weight.copy_(ridge.weight_FK)
        self.bias.copy_(ridge.bias_K)
        return ridge

    def adjust(self, factor: float, shift_K: Tensor) -> None:
        """Multiply all logits, then add `shift_K`."""
        self.weight.mul_(factor)
        self.bias.mul_(factor).add_(shift_K)

    def _choose(self, x_BTC: Tensor, inside_BT: Tensor, random: np.random.Generator) -> None:
        """The channels that each kernel adds up, about as many octaves of them as there are, and the quantiles of its result on one of the
        sequences, by a sequence of low discrepancy (the golden ratio), as MiniRocket takes them."""
        x_BCT = bridged(x_BTC, inside_BT).transpose(1, 2)
        channels, kernels, begin = x_BCT.shape[1], len(KERNELS), 0
        for number, thresholds_QJ in self._thresholds():
            many = (2.0 ** random.uniform(0.0, math.log2(min(channels, MOST_CHANNELS) + 1), kernels)).astype(np.int64)
            ranks = random.random((kernels, channels)).argsort(1).argsort(1)
            self.chosen[number] = torch.from_numpy((ranks < many[:, None]).astype(np.float32))
            places = torch.from_numpy(random.integers(0, len(x_BCT), kernels)).to(x_BCT.device)
            y_JT = self._slide(x_BCT[places], number, each=True).masked_fill(~inside_BT[places], torch.inf).sort(1).values
            levels = (begin + 1 + np.arange(thresholds_QJ.numel())) * (math.sqrt(5.0) + 1.0) / 2.0 % 1.0
            begin += len(levels)
            rank_JQ = torch.from_numpy(levels.reshape(kernels, -1)).to(x_BCT.device) * (inside_BT[places].sum(1, keepdim=True) - 1).clamp(
                min=0
            )
            low_JQ = rank_JQ.long()
            low, high = y_JT.gather(1, low_JQ), y_JT.gather(1, rank_JQ.ceil().long())
            thresholds_QJ.copy_((low + (rank_JQ - low_JQ).float() * (high - low)).T)


def _all_inside(inside_BT: Tensor, reach: int) -> Tensor:
    """Whether all steps up to `reach` before and after one are inside, for the steps that have so many in the batch."""
    return inside_BT[:, : -2 * reach] & inside_BT[:, 2 * reach :]


def bridged(x_BTC: Tensor, inside_BT: Tensor) -> Tensor:
    """Missing values by linear interpolation, held beyond the first and the last that is there; zero where all are missing or padding."""
    present = ~x_BTC.isnan() & inside_BT[..., None]
    if bool(present.all()):
        return x_BTC
    steps = x_BTC.shape[1]
    place_BTC = torch.arange(steps, device=x_BTC.device)[:, None].expand_as(x_BTC)
    before = place_BTC.masked_fill(~present, -1).cummax(1).values
    after = place_BTC.masked_fill(~present, steps).flip(1).cummin(1).values.flip(1)
    before, after = torch.where(before < 0, after, before), torch.where(after == steps, before, after)
    known = x_BTC.masked_fill(~present, 0.0)
    low, high = known.gather(1, before.clamp(0, steps - 1)), known.gather(1, after.clamp(0, steps - 1))
    share = (place_BTC - before) / (after - before).clamp(min=1)
    return torch.where(present, known, low + share * (high - low)).masked_fill(~inside_BT[..., None], 0.0)
