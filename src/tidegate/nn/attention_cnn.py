"""The attention CNN unit of Li, Ning and Guo 2019: features of overlapping subsequences, and how much each matters.

The lookback of L steps is cut into S subsequences of s steps, each r steps after the one before (r = s - overlap); the newest one
ends at the forecast origin, and the (L - s) mod r oldest steps, which fill no subsequence, are left out. The paper's text
fixes neither the layers nor the normaliser of the attention; this is our reading (docs/attention-cnn-lstm.md).
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Attention = Literal["softmax", "sigmoid", "none"]


class Slide(nn.Conv1d):
    """A convolution without padding, [B, L, I] -> [B, n, F], as the matrix product that it is. For few channels that takes half the time of
    the convolutions in torch's CPU library, forward and backward, and steps stay in the order in which they lie in memory."""

    def __init__(self, inputs: int, features: int, kernel: int, stride: int) -> None:
        super().__init__(inputs, features, kernel, stride)

    def forward(self, input: Tensor) -> Tensor:
        """Features of each place of the kernel, the oldest first."""
        (kernel,), (stride,) = self.kernel_size, self.stride
        places = (input.shape[1] - kernel) // stride + 1
        if kernel == stride:
            pieces = input[:, : places * kernel].unflatten(1, (places, kernel)).flatten(2)
        else:
            last = stride * (places - 1) + 1
            pieces = torch.cat([input[:, step : step + last : stride] for step in range(kernel)], 2)
        return functional.linear(pieces, self.weight.transpose(1, 2).flatten(1), self.bias)


class AttentionCNN(nn.Module):
    """[B, L, I] -> weighted features [B, S, F] and attention weights [B, S] (mean near 1).

    Two convolutions without padding see exactly one subsequence: the first has `kernel` steps and a stride that divides r, the second
    covers the rest of the subsequence and moves on by r. Neighbouring subsequences share the first convolution's work, and
    each feature vector is what the subsequence gives by itself (`apart` is the twin that proves it).
    """

    def __init__(self, inputs: int, filters: int, features: int, length: int, overlap: int, kernel: int, attention: Attention) -> None:
        super().__init__()
        self.length, self.step, self.attention = length, length - overlap, attention
        stride = first_stride(length, self.step, kernel)
        rest = (length - kernel) // stride + 1
        self.trunk = nn.Sequential(
            Slide(inputs, filters, kernel, stride), nn.GELU(), Slide(filters, features, rest, self.step // stride), nn.GELU()
        )
        self.branch = None
        if attention != "none":
            few = max(4, filters // 4)
            self.branch = nn.Sequential(Slide(inputs, few, kernel, stride), nn.Tanh(), Slide(few, 1, rest, self.step // stride))

    def forward(self, x_BLI: Tensor) -> tuple[Tensor, Tensor]:
        """Features of all subsequences, the oldest first, times their weights; and the weights."""
        skip = (x_BLI.shape[1] - self.length) % self.step
        x_BLI = x_BLI[:, skip:]
        return self._merge(self.trunk(x_BLI), None if self.branch is None else self.branch(x_BLI))

    def apart(self, x_BLI: Tensor) -> tuple[Tensor, Tensor]:
        """The same by convolving each subsequence by itself: slower by the overlap, equal by construction."""
        skip = (x_BLI.shape[1] - self.length) % self.step
        pieces = x_BLI[:, skip:].unfold(1, self.length, self.step).transpose(2, 3)
        features = torch.cat([self.trunk(piece) for piece in pieces.unbind(1)], 1)
        scores = None if self.branch is None else torch.cat([self.branch(piece) for piece in pieces.unbind(1)], 1)
        return self._merge(features, scores)

    def _merge(self, features_BSF: Tensor, scores_BS1: Tensor | None) -> tuple[Tensor, Tensor]:
        if scores_BS1 is None:
            return features_BSF, torch.ones_like(features_BSF[..., 0])
        scores_BS = scores_BS1[..., 0]
        if self.attention == "softmax":
            weights_BS = scores_BS.softmax(1) * scores_BS.shape[1]
        else:
            weights_BS = 2.0 * scores_BS.sigmoid()
        return features_BSF * weights_BS[..., None], weights_BS


def first_stride(length: int, step: int, kernel: int) -> int:
    """The largest stride up to `kernel` by which the first convolution can move so that both the subsequence's remaining steps and
    the way to the next subsequence are whole numbers of strides."""
    return next(stride for stride in range(min(kernel, step), 0, -1) if step % stride == 0 and (length - kernel) % stride == 0)


def subsequence_spans(lookback: int, length: int, overlap: int) -> list[tuple[int, int]]:
    """First and last step of each subsequence, counted back from the forecast origin (1 is the newest observation), oldest first."""
    step = length - overlap
    skip = (lookback - length) % step
    return [(lookback - start, lookback - start - length + 1) for start in range(skip, lookback - length + 1, step)]
