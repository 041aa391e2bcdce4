"""The layer as an operator of torch, for torch.compile: one opaque node forward and one backward.

Eager code does not come here: an operator costs microseconds at each call that the direct way does not.
"""

import torch
from torch import Tensor

from tidegate.nn.native_layer import Layout, Means, Wanted, layer_backward, layer_forward

Weights = list[Tensor | None]


@torch.library.custom_op("tidegate::lstm_layer", mutates_args=())
def lstm_layer(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Weights,
    lengths: Tensor | None,
    offsets: Tensor | None,
    batch_first: bool,
    batch: int,
    steps: int,
    bfloat16: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `layer_forward`."""
    layout = Layout(lengths, offsets, batch_first, batch, steps)
    return layer_forward(x, h0, c0, weights, layout, Means(torch.get_num_threads(), bfloat16), False)[:3]


@torch.library.custom_op("tidegate::lstm_layer_backward", mutates_args=())
def lstm_layer_backward(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Weights,
    lengths: Tensor | None,
    offsets: Tensor | None,
    batch_first: bool,
    batch: int,
    steps: int,
    bfloat16: bool,
    dy: Tensor | None,
    dh_n: Tensor | None,
    dc_n: Tensor | None,
) -> list[Tensor]:
    """Gradients of x, h0, c0 and the weights, those that are given. The forward pass is done again: the graph keeps nothing of it."""
    layout, means = Layout(lengths, offsets, batch_first, batch, steps), Means(torch.get_num_threads(), bfloat16)
    y, _, _, reserve = layer_forward(x, h0, c0, weights, layout, means, True)
    wanted = Wanted(True, h0 is not None, c0 is not None, True)
    dx, dh0, dc0, dw = layer_backward(x, h0, c0, weights, layout, means, y, reserve, (dy, dh_n, dc_n), wanted)
    found = [gradient for gradient in (dx, dh0, dc0, *dw) if gradient is not None]
    return [gradient.clone() if any(gradient is other for other in found[:number]) else gradient for number, gradient in enumerate(found)]


@lstm_layer.register_fake
def _(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Weights,
    lengths: Tensor | None,
    offsets: Tensor | None,
    batch_first: bool,
    batch: int,
    steps: int,
    bfloat16: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    assert weights[1] is not None
    directions, hidden = len(weights) // 4, weights[1].shape[1]
    state = x.new_empty(directions, batch, hidden)
    return x.new_empty(*x.shape[:-1], directions * hidden), state, torch.empty_like(state)


@lstm_layer_backward.register_fake
def _(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Weights,
    lengths: Tensor | None,
    offsets: Tensor | None,
    batch_first: bool,
    batch: int,
    steps: int,
    bfloat16: bool,
    dy: Tensor | None,
    dh_n: Tensor | None,
    dc_n: Tensor | None,
) -> list[Tensor]:
    return [x.new_empty(part.shape) for part in (x, h0, c0, *weights) if part is not None]


def _keep(ctx: torch.autograd.function.FunctionCtx, inputs: tuple, output: tuple[Tensor, Tensor, Tensor]) -> None:
    x, h0, c0, weights, lengths, offsets, *ctx.rest = inputs  # type: ignore[attr-defined]
    ctx.save_for_backward(x, h0, c0, lengths, offsets, *weights)


def _gradients(ctx: torch.autograd.function.FunctionCtx, *given: Tensor | None) -> tuple:
    x, h0, c0, lengths, offsets, *weights = ctx.saved_tensors  # type: ignore[attr-defined]
    found = lstm_layer_backward(x, h0, c0, weights, lengths, offsets, *ctx.rest, *given)  # type: ignore[attr-defined]
    each = iter(found)
    dx, dh0, dc0, *dw = (None if part is None else next(each) for part in (x, h0, c0, *weights))
    return dx, dh0, dc0, dw, None, None, None, None, None, None


lstm_layer.register_autograd(_gradients, setup_context=_keep)


def compiled_layer(
    x: Tensor, h0: Tensor | None, c0: Tensor | None, weights: Weights, layout: Layout, bfloat16: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The layer as a node of the graph that is being compiled."""
    return lstm_layer(x, h0, c0, weights, layout.lengths, layout.offsets, layout.batch_first, layout.batch, layout.steps, bfloat16)
