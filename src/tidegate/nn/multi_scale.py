"""The convolutional stem of sequence classifiers: kernels of several lengths side by side, after InceptionTime (Ismail Fawaz et al. 2020).

Shape letters beyond the project's: I, O channels in and out, F filters of a branch, W taps of a kernel, Z frequencies. Steps lie last, as
convolutions want them. `inside` [B, 1, T] is true at the steps of a sequence and false at its padding, or None where there is no padding.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

RESIDUAL_EVERY = 3
"""Blocks that a shortcut bridges, as in InceptionTime."""


def kernel_lengths(widest: int, steps: int) -> tuple[int, int, int]:
    """Three odd lengths, each about half of the one before; the first at most `widest` and `steps`. (39, 19, 9) in full."""
    first = max(1, (min(widest, steps) + 1) // 2 * 2 - 1)
    return first, first // 2 | 1, first // 4 | 1


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation whose statistics leave padding out; padding is zero afterwards."""

    def forward(self, input: Tensor, inside: Tensor | None = None) -> Tensor:
        """[B, F, T] in and out."""
        if inside is None:
            return self._normalised(input)
        if not self.training:
            return super().forward(input).masked_fill(~inside, 0.0)
        rows_NF = input.transpose(1, 2).flatten(0, 1)
        places_N = inside.flatten().nonzero()[:, 0]
        y_NF = torch.zeros_like(rows_NF).index_copy(0, places_N, self._normalised(rows_NF.index_select(0, places_N)))
        return y_NF.view(len(input), -1, self.num_features).transpose(1, 2)

    def _normalised(self, input: Tensor) -> Tensor:
        """By the batch's own statistics in training, but a single step has none: that one by the running ones."""
        if self.training and input.numel() == self.num_features:
            return functional.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(input)


class MultiScaleBlock(nn.Module):
    """[B, I, T] -> [B, 4F, T]: three lengths of kernel over a bottleneck of F channels, and beside them a maximum over three steps.

    InceptionTime takes that maximum over all I channels and then reduces them to F; here they are reduced first, which takes a quarter
    of the time of what is otherwise as slow as all three convolutions.
    """

    def __init__(self, inputs: int, filters: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.filters, self.has_bottleneck = filters, inputs > filters
        self.narrow = nn.Conv1d(inputs, filters * (1 + self.has_bottleneck), 1, bias=False)
        channels = min(inputs, filters)
        self.convolutions = nn.ModuleList(nn.Conv1d(channels, filters, kernel, bias=False) for kernel in kernels)
        self.norm = MaskedBatchNorm((len(kernels) + 1) * filters)

    def forward(self, x_BIT: Tensor, inside: Tensor | None) -> Tensor:
        """x must be zero at padding; so is what comes out."""
        narrow = self.narrow(x_BIT)
        peaks_BFT = narrow[:, : self.filters]
        if inside is None:
            peaks_BFT = functional.max_pool1d(peaks_BFT, 3, 1, 1)
        else:
            peaks_BFT = functional.max_pool1d(peaks_BFT.masked_fill(~inside, -torch.inf), 3, 1, 1).masked_fill(~inside, 0.0)
        weights = [convolution.get_parameter("weight") for convolution in self.convolutions]
        slides_BFT = convolve(narrow[:, self.filters :] if self.has_bottleneck else x_BIT, weights)
        return self.norm(torch.cat([slides_BFT, peaks_BFT], 1), inside).relu()


class MultiScaleStem(nn.Module):
    """[B, I, T] -> [B, 4F, T / pool, rounded up], never below zero, and zero at padding: blocks one after the other, with a shortcut around
    every three. After the first `fine` blocks the maximum of every `pool` steps goes on: what comes after costs `pool` times less."""

    def __init__(self, inputs: int, filters: int, kernels: tuple[int, ...], blocks: int, pool: int = 1, fine: int | None = None) -> None:
        super().__init__()
        self.features, self.pool = (len(kernels) + 1) * filters, pool
        self.fine = blocks if fine is None else min(fine, blocks)
        self.blocks = nn.ModuleList(MultiScaleBlock(self.features if number else inputs, filters, kernels) for number in range(blocks))
        groups = range(blocks // RESIDUAL_EVERY)
        self.shortcuts = nn.ModuleList(nn.Conv1d(self.features if number else inputs, self.features, 1, bias=False) for number in groups)
        self.norms = nn.ModuleList(MaskedBatchNorm(self.features) for _ in groups)

    def forward(self, x_BIT: Tensor, inside: Tensor | None = None) -> Tensor:
        """x must be zero at padding."""
        begin, pool = x_BIT, self.pool
        for number, block in enumerate(self.blocks, 1):
            x_BIT = block(x_BIT, inside)
            ends = number % RESIDUAL_EVERY == 0
            if number == self.fine and pool > 1:
                # Features are never below zero, so padding, which is zero, never is the maximum. The shortcut takes the first step of each.
                x_BIT, begin = functional.max_pool1d(x_BIT, pool, ceil_mode=True), begin[:, :, ::pool]
                inside = None if inside is None else inside[:, :, ::pool]
            if ends:
                group = number // RESIDUAL_EVERY - 1
                x_BIT = (x_BIT + self.norms[group](self.shortcuts[group](begin), inside)).relu()
                begin = x_BIT
        return x_BIT


def convolve(x_BIT: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """[B, I, T] and kernels [F, I, W] of odd lengths -> [B, O, T], all centred at the same step, zeros beyond both ends.

    Many channels on the CPU go through the Fourier transform: all three kernels of a block, 32 channels each, take a third of the time of
    direct convolutions, forward and backward.
    """
    plain = x_BIT.is_cpu and not torch.compiler.is_compiling() and not torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
    kinds = {x_BIT.dtype, *(weight.dtype for weight in weights)}
    if plain and len(kinds) == 1 and x_BIT.dtype in (torch.float32, torch.float64) and x_BIT.shape[1] >= FEW_CHANNELS and x_BIT.numel():
        return by_fourier(x_BIT, weights)
    return directly(x_BIT, weights)


FEW_CHANNELS = 8
"""Below this many, direct convolutions are faster."""


def directly(x_BIT: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """The specification of `convolve`."""
    return torch.cat([functional.conv1d(x_BIT, weight, padding=weight.shape[2] // 2) for weight in weights], 1)


def by_fourier(x_BIT: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """`convolve` by the Fourier transform; differentiable once."""
    widest = max(weight.shape[2] for weight in weights)
    beside = [(widest - weight.shape[2]) // 2 for weight in weights]
    padded = [functional.pad(weight, (zeros, zeros)) for weight, zeros in zip(weights, beside, strict=True)]
    result = _Fourier.apply(x_BIT, torch.cat(padded))
    assert isinstance(result, Tensor)
    return result


class _Fourier(torch.autograd.Function):
    """y[t] = sum over taps w of weight[w] x[t + w - half]: at each frequency a product of matrices, in both directions.

    Autograd through torch.fft gives the same, but transforms twice as many complex numbers in rfft's backward.
    """

    @staticmethod
    def forward(ctx: Any, x_BIT: Tensor, weight_OIW: Tensor) -> Tensor:  # type: ignore[override]
        steps, taps = x_BIT.shape[2], weight_OIW.shape[2]
        size = -(-max(steps + taps // 2, taps) // 64) * 64  # what wraps around meets zeros; multiples of 64 transform fast
        placed_OIN = functional.pad(weight_OIW, (0, size - taps)).roll(-(taps // 2), 2)
        x_ZBI, weight_ZIO = _spectrum(x_BIT, size), _spectrum(placed_OIN, size).transpose(1, 2)
        ctx.sizes = steps, taps, size
        ctx.save_for_backward(x_ZBI, weight_ZIO)
        return _signal(x_ZBI @ weight_ZIO.conj(), size)[..., :steps]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given_BOT: Tensor) -> tuple[Tensor | None, Tensor | None]:  # type: ignore[override]
        x_ZBI, weight_ZIO = ctx.saved_tensors
        steps, taps, size = ctx.sizes
        given_ZBO = _spectrum(given_BOT, size)
        dx = _signal(given_ZBO @ weight_ZIO.transpose(1, 2), size)[..., :steps] if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return dx, None
        placed_OIN = _signal(given_ZBO.conj().transpose(1, 2) @ x_ZBI, size)
        return dx, placed_OIN.roll(taps // 2, 2)[..., :taps]


def _spectrum(x_BIT: Tensor, size: int) -> Tensor:
    """[B, I, T] -> [Z, B, I]."""
    return torch.fft.rfft(x_BIT, size).permute(2, 0, 1).contiguous()


def _signal(y_ZBO: Tensor, size: int) -> Tensor:
    """[Z, B, O] -> [B, O, size]."""
    return torch.fft.irfft(y_ZBO.permute(1, 2, 0), size)
