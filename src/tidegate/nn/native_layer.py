"""One LSTM layer by the native kernel: tensors in, tensors out, no autograd.

Weights come as four tensors a direction, in torch's order w_ih [4H, I], w_hh [4H, H], b_ih, b_hh [4H]; biases may be None. Shape letters:
B sequences, T steps, I inputs, H hidden, D directions.
"""

import ctypes
import threading
from collections.abc import Iterable, Sequence
from ctypes import byref, c_void_p
from dataclasses import dataclass

import torch
from torch import Tensor

from tidegate.nn.native import BFLOAT16, DTYPES, Library, Problem, Strides, has_bfloat16, library

Weights = Sequence[Tensor | None]


@dataclass(frozen=True)
class Layout:
    """How a layer's sequences lie in memory.

    lengths  int64 [B]: steps of each sequence; None: all
    offsets  int64 [T]: rows before each step in a packed tensor [sum of lengths, I]; None: padded, [B, T, I] or [T, B, I]
    batch    number of sequences
    steps    of the longest sequence, or of the padded tensor
    """

    lengths: Tensor | None
    offsets: Tensor | None
    batch_first: bool
    batch: int
    steps: int

    def strides(self, x: Tensor) -> Strides:
        """Elements from one step, and from one sequence, to the next in a tensor of this layout."""
        if self.offsets is not None:
            return Strides(x.stride(0), x.stride(0))
        return Strides(x.stride(1), x.stride(0)) if self.batch_first else Strides(x.stride(0), x.stride(1))


@dataclass(frozen=True)
class Means:
    """How a layer is computed.

    threads   at most so many
    bfloat16  whether float32 numbers are rounded to bfloat16 before they are multiplied (sums stay float32), where the processor has that
    """

    threads: int
    bfloat16: bool = False

    def dtype(self, x: Tensor) -> int:
        """The kernel's number of the type that x is computed with."""
        return BFLOAT16 if self.bfloat16 and x.dtype == torch.float32 and has_bfloat16() else DTYPES[x.dtype]


@dataclass(frozen=True)
class Wanted:
    """Which gradients are to be found."""

    x: bool
    h0: bool
    c0: bool
    weights: bool


def dense_rows(x: Tensor) -> Tensor:
    """x with the features of a step side by side in memory."""
    return x if x.stride(-1) == 1 else x.contiguous()


def layer_forward(
    x: Tensor, h0: Tensor | None, c0: Tensor | None, weights: Weights, layout: Layout, means: Means, training: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Outputs in x's layout, D*H wide; last states h_n, c_n [D, B, H]; and what `layer_backward` needs (empty unless `training`).

    x has dense rows; h0, c0 [D, B, H] and weights are contiguous.
    """
    directions, hidden = len(weights) // 4, _hidden(weights)
    y = x.new_empty(*x.shape[:-1], directions * hidden)
    h_n, c_n = (x.new_empty(directions, layout.batch, hidden) for _ in range(2))
    problem = _problem(x, y, hidden, directions, layout, means)
    reserve = RESERVES.take(_native().reserve_size(byref(problem)), x.dtype) if training else x.new_empty(0)
    kept = reserve if training else None
    _succeed(_native().forward(byref(problem), _addresses(weights), *map(_address, (x, h0, c0, y, h_n, c_n, kept))))
    return y, h_n, c_n, reserve


def layer_backward(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Weights,
    layout: Layout,
    means: Means,
    y: Tensor,
    reserve: Tensor,
    given: tuple[Tensor | None, Tensor | None, Tensor | None],
    wanted: Wanted,
) -> tuple[Tensor | None, Tensor | None, Tensor | None, list[Tensor | None]]:
    """Gradients of x, h0, c0 and the weights from those of y, h_n and c_n (None: zero). The reserve is used up."""
    directions, hidden = len(weights) // 4, _hidden(weights)
    problem = _problem(x, y, hidden, directions, layout, means)
    dy, dh_n, dc_n = given
    if dy is not None:
        dy = dense_rows(dy)
        problem.dy = layout.strides(dy)
    dx = x.new_empty(x.shape) if wanted.x else None
    if dx is not None:
        problem.dx = layout.strides(dx)
    dh0, dc0 = (x.new_empty(directions, layout.batch, hidden) if want else None for want in (wanted.h0, wanted.c0))
    gradients = [torch.empty_like(w) if w is not None and wanted.weights and n % 4 < 3 else None for n, w in enumerate(weights)]
    ends = [state if state is None else state.contiguous() for state in (dh_n, dc_n)]  # kept until the call has ended
    pointers = map(_address, (x, h0, c0, y, reserve, dy, *ends, dx, dh0, dc0))
    three = [gradient for number, gradient in enumerate(gradients) if number % 4 < 3]
    _succeed(_native().backward(byref(problem), _addresses(weights), *pointers, _addresses(three)))
    both_biases = [gradients[number - 1] if number % 4 == 3 else gradient for number, gradient in enumerate(gradients)]
    RESERVES.give_back(reserve)
    return dx, dh0, dc0, both_biases


class Reserves:
    """Memory for what a backward pass needs, kept from one training step to the next: fresh memory of this size comes from the system page
    by page, each cleared first, which took a sixth of a step at H 1024. At most `most` bytes are kept, those given back last, none of them
    small."""

    def __init__(self, most: int) -> None:
        self._most, self._kept, self._lock = most, list[Tensor](), threading.Lock()

    def take(self, size: int, dtype: torch.dtype) -> Tensor:
        """A tensor of at least `size` elements, and less than twice as many."""
        with self._lock:
            for number, kept in enumerate(self._kept):
                if kept.dtype == dtype and size <= kept.numel() < 2 * size:
                    return self._kept.pop(number)
        return torch.empty(size, dtype=dtype)

    def give_back(self, reserve: Tensor) -> None:
        """Keep a tensor that nobody else holds."""
        if reserve.nbytes < SMALL:
            return
        with self._lock:
            self._kept.append(reserve)
            while sum(kept.nbytes for kept in self._kept) > self._most:
                self._kept.pop(0)


SMALL = 1 << 20
"""Bytes below which memory comes from what the process has already."""
RESERVES = Reserves(1 << 28)
"""Shared by all layers and threads."""


def _native() -> Library:
    found = library()
    assert found is not None, "asked for before a layer is run"
    return found


def _hidden(weights: Weights) -> int:
    assert weights[1] is not None
    return weights[1].shape[1]


def _problem(x: Tensor, y: Tensor, hidden: int, directions: int, layout: Layout, means: Means) -> Problem:
    sizes = (means.dtype(x), directions, layout.batch, layout.steps, x.shape[-1], hidden, means.threads)
    return Problem(*sizes, _address(layout.lengths), _address(layout.offsets), layout.strides(x), layout.strides(y))


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _addresses(tensors: Iterable[Tensor | None]) -> "ctypes.Array[c_void_p]":
    found = [_address(tensor) for tensor in tensors]
    return (c_void_p * len(found))(*found)


def _succeed(status: int) -> None:
    if status == 1:
        raise MemoryError("no memory for the work space of an LSTM layer: a smaller batch or shorter sequences need less")
    assert status == 0, f"the native LSTM refused its arguments ({status})"
