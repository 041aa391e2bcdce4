"""LSTM: torch.nn.LSTM with a native kernel on the CPU. Same parameters, names, shapes and results; the fallback is torch itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import peek_interpreter_stack
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from tidegate.nn.native import DTYPES, library
from tidegate.nn.native_layer import Layout, Means, Wanted, Weights, dense_rows, layer_backward, layer_forward
from tidegate.nn.persistent import Sizes, persistent_layer, processors_of, sizes_for

States = tuple[Tensor, Tensor]


class LSTM(nn.LSTM):
    """A drop-in for torch.nn.LSTM: constructor, parameters, state_dict and results are those of its parent.

    On the CPU, float32 and float64 layers run on the native kernel (`tidegate.nn.backend()` tells whether it is there), sequences of
    different lengths included; projections, other types, other devices and double backward run on torch's own code. Unlike
    its parent it also takes the lengths of a padded batch as a tensor.

    bfloat16  set it to True, and float32 numbers are rounded to bfloat16 before they are multiplied, forward and backward; sums, states,
              weights and gradients stay float32. Faster where the processor has such products (`nn.has_bfloat16()`); elsewhere, and for
              other types, nothing changes
    persistent  set it to True, and a layer on CUDA asks for cuDNN's persistent kernel in ways that torch does not: lengths without packing,
              float16 one direction at a time in padded sizes (see nn/persistent.py). Off, because its speed was not measured yet
    """

    bfloat16: bool = False
    persistent: bool = False

    def forward(  # type: ignore[override]
        self, input: Tensor | PackedSequence, hx: States | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor | PackedSequence, States]:
        """As torch.nn.LSTM; see there for shapes and errors.

        lengths [B], integers from 0 to T: the steps of each sequence of a padded batch. Outputs after a sequence's end are zero, its last
        states are those of its last step (of its initial state where the length is 0), and the second direction begins there.
        Raises ValueError where lengths do not fit.
        """
        self._update_flat_weights()  # weights may have been replaced, as torch.func.functional_call does
        if lengths is not None:
            if isinstance(input, PackedSequence) or input.ndim != 3:
                raise ValueError("lengths belong to a padded batch of three dimensions; a PackedSequence has its own")
            lengths = _checked(lengths, input, self.batch_first)
        if not self._runs_native(input):
            sizes = self._persistent_sizes(input, lengths)
            if sizes is not None and isinstance(input, Tensor):
                return self._padded(input, hx, lengths, sizes)
            if lengths is None or isinstance(input, PackedSequence):
                return super().forward(input, hx)
            return _by_packing(super().forward, input, hx, lengths, self.batch_first)
        if isinstance(input, PackedSequence):
            return self._packed(input, hx)
        return self._padded(input, hx, lengths)

    def _runs_native(self, input: Tensor | PackedSequence) -> bool:
        x = input.data if isinstance(input, PackedSequence) else input
        weights = self._flat_weights
        return (
            x.dtype in DTYPES
            and x.device.type == "cpu"
            and x.ndim in (2, 3)
            and x.numel() > 0
            and self.proj_size == 0
            and all(weight is not None and weight.dtype == x.dtype and weight.device.type == "cpu" for weight in weights)
            and (torch.compiler.is_compiling() or _plain_call(x))
            and _is_there()
        )

    def _persistent_sizes(self, input: Tensor | PackedSequence, lengths: Tensor | None) -> Sizes | None:
        """What to ask cuDNN for; None: torch's plain call."""
        if not self.persistent or isinstance(input, PackedSequence) or input.device.type != "cuda":
            return None
        special = self.proj_size > 0 or input.numel() == 0 or torch.is_autocast_enabled("cuda") or not _plain_call(input)
        if special or torch.compiler.is_compiling():
            return None
        return sizes_for(input.dtype, self.hidden_size, lengths is not None, torch.is_grad_enabled(), processors_of(input.device))

    def _padded(self, x: Tensor, hx: States | None, lengths: Tensor | None, sizes: Sizes | None = None) -> tuple[Tensor, States]:
        batched = x.ndim == 3
        if not batched:
            x = x.unsqueeze(0 if self.batch_first else 1)
            if hx is not None:
                if hx[0].ndim != 2 or hx[1].ndim != 2:
                    raise RuntimeError(
                        f"For unbatched 2-D input, hx and cx should also be 2-D but got ({hx[0].ndim}-D, {hx[1].ndim}-D) tensors"
                    )
                hx = (hx[0].unsqueeze(1), hx[1].unsqueeze(1))
        elif hx is not None and (hx[0].ndim != 3 or hx[1].ndim != 3):
            raise RuntimeError(f"For batched 3-D input, hx and cx should also be 3-D but got ({hx[0].ndim}-D, {hx[1].ndim}-D) tensors")
        self._check(x, hx, None)
        steps, batch = (x.shape[1], x.shape[0]) if self.batch_first else (x.shape[0], x.shape[1])
        y, (h, c) = self._layers(x, hx, Layout(lengths, None, self.batch_first, batch, steps), sizes)
        if batched:
            return y, (h, c)
        return y.squeeze(0 if self.batch_first else 1), (h.squeeze(1), c.squeeze(1))

    def _packed(self, input: PackedSequence, hx: States | None) -> tuple[PackedSequence, States]:
        x, sizes, order, back = input
        if hx is not None and order is not None:
            hx = self.permute_hidden(hx, order)
        self._check(x, hx, sizes)
        batch = int(sizes[0])
        lengths = (sizes[:, None] > torch.arange(batch)).sum(0)
        layout = Layout(lengths, sizes.cumsum(0) - sizes, self.batch_first, batch, len(sizes))
        y, states = self._layers(x, hx, layout)
        return PackedSequence(y, sizes, order, back), self.permute_hidden(states, back)

    def _check(self, x: Tensor, hx: States | None, sizes: Tensor | None) -> None:
        """Raise what torch.nn.LSTM raises for sizes and types that do not fit."""
        self.check_input(x, sizes)
        if hx is not None:
            self.check_forward_args(x, hx, sizes)
            for state in hx:
                if state.dtype != x.dtype:
                    raise RuntimeError(f"hx has the type {state.dtype}, expected the input's {x.dtype}")

    def _layers(self, x: Tensor, hx: States | None, layout: Layout, sizes: Sizes | None = None) -> tuple[Tensor, States]:
        """All layers: by the native kernel, or in `sizes` by cuDNN's persistent one."""
        directions = 2 if self.bidirectional else 1
        last: list[States] = []
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = nn.functional.dropout(x, self.dropout)
            first = layer * directions
            h0, c0 = (None, None) if hx is None else (hx[0][first:][:directions], hx[1][first:][:directions])
            weights = self._weights_of(layer, directions)
            if sizes is None:
                x, h, c = _native(x, h0, c0, weights, layout, self.bfloat16)
            else:
                x, h, c = persistent_layer(x, h0, c0, weights, layout, sizes)
            last.append((h, c))
        if self.num_layers == 1:
            return x, last[0]
        return x, (torch.cat([h for h, _ in last]), torch.cat([c for _, c in last]))

    def _weights_of(self, layer: int, directions: int) -> list[Tensor | None]:
        """Four a direction: w_ih, w_hh, b_ih, b_hh."""
        each = 4 if self.bias else 2
        weights: list[Tensor | None] = []
        for direction in range(directions):
            first = (layer * directions + direction) * each
            found = self._flat_weights[first : first + each]
            weights += [None if weight is None else weight.contiguous() for weight in found] + [None] * (4 - each)
        return weights


@contextmanager
def rounded_products(network: nn.Module, rounded: bool = True) -> Iterator[None]:
    """Inside the block the LSTM layers of a network multiply bfloat16, or float32; see `LSTM.bfloat16`."""
    layers = [layer for layer in network.modules() if isinstance(layer, LSTM)]
    before = [layer.bfloat16 for layer in layers]
    for layer in layers:
        layer.bfloat16 = rounded
    try:
        yield
    finally:
        for layer, was in zip(layers, before, strict=True):
            layer.bfloat16 = was


@torch.compiler.assume_constant_result
def _is_there() -> bool:
    return library() is not None


def _plain_call(x: Tensor) -> bool:
    """Whether this is a call with real numbers in plain tensors, which has an address in memory: not autocast, tracing, or a function
    transform such as vmap."""
    transformed = peek_interpreter_stack() is not None
    traced = torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]  # documented, but torch's hints do not export it
    return type(x) in (Tensor, nn.Parameter) and not (transformed or torch.is_autocast_enabled("cpu") or traced)


def _checked(lengths: Tensor, x: Tensor, batch_first: bool) -> Tensor:
    batch, steps = (x.shape[0], x.shape[1]) if batch_first else (x.shape[1], x.shape[0])
    lengths = torch.as_tensor(lengths)
    if lengths.shape != (batch,) or lengths.is_floating_point() or lengths.is_complex():
        raise ValueError(f"lengths have the shape {tuple(lengths.shape)} and type {lengths.dtype}; expected ({batch},) and integers")
    lengths = lengths.to("cpu", torch.int64).contiguous()
    if batch and (int(lengths.min()) < 0 or int(lengths.max()) > steps):
        raise ValueError(f"lengths from {int(lengths.min())} to {int(lengths.max())}; expected 0 to {steps}, the steps of the input")
    return lengths


def _native(
    x: Tensor, h0: Tensor | None, c0: Tensor | None, weights: list[Tensor | None], layout: Layout, bfloat16: bool
) -> tuple[Tensor, Tensor, Tensor]:
    h0, c0 = (None if state is None else state.contiguous() for state in (h0, c0))
    x = dense_rows(x)
    if torch.compiler.is_compiling():
        from tidegate.nn.native_op import compiled_layer

        return compiled_layer(x, h0, c0, weights, layout, bfloat16)
    means = Means(torch.get_num_threads(), bfloat16)
    if torch.is_grad_enabled() and any(part is not None and part.requires_grad for part in (x, h0, c0, *weights)):
        return _Layer.apply(x, h0, c0, layout, means, *weights)  # type: ignore[return-value]
    return layer_forward(x, h0, c0, weights, layout, means, False)[:3]


class _Layer(torch.autograd.Function):
    """One layer with gradients. The kernel's reserve is used up by the first backward; a second one makes it anew."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, x: Tensor, h0: Tensor | None, c0: Tensor | None, layout: Layout, means: Means, *weights: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        y, h_n, c_n, ctx.reserve = layer_forward(x, h0, c0, weights, layout, means, True)
        ctx.layout, ctx.means = layout, means
        ctx.save_for_backward(x, h0, c0, y, *weights)
        ctx.set_materialize_grads(False)
        return y, h_n, c_n

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Any, ...]:  # type: ignore[override]
        x, h0, c0, y, *weights = ctx.saved_tensors
        need = ctx.needs_input_grad
        wanted = Wanted(need[0], need[1], need[2], any(need[5:]))
        if torch.is_grad_enabled():
            return _twice_differentiable(x, h0, c0, weights, ctx.layout, given, need)
        reserve, ctx.reserve = ctx.reserve, None
        if reserve is None:
            reserve = layer_forward(x, h0, c0, weights, ctx.layout, ctx.means, True)[3]
        dx, dh0, dc0, dw = layer_backward(x, h0, c0, weights, ctx.layout, ctx.means, y, reserve, given, wanted)  # type: ignore[arg-type]
        return dx, dh0, dc0, None, None, *dw


def _twice_differentiable(
    x: Tensor,
    h0: Tensor | None,
    c0: Tensor | None,
    weights: Weights,
    layout: Layout,
    given: tuple[Tensor | None, ...],
    need: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """The gradients by torch's own LSTM, so that they can be differentiated again."""
    outputs = torch_layer(x, h0, c0, weights, layout)
    pairs = [(output, gradient) for output, gradient in zip(outputs, given, strict=True) if gradient is not None]
    places = [0, 1, 2, *range(5, 5 + len(weights))]
    sources = [source for place, source in zip(places, (x, h0, c0, *weights), strict=True) if need[place]]
    found = torch.autograd.grad([p[0] for p in pairs], sources, [p[1] for p in pairs], create_graph=True, allow_unused=True)  # type: ignore[arg-type]
    result: list[Tensor | None] = [None] * len(need)
    for place, gradient in zip([place for place in places if need[place]], found, strict=True):
        result[place] = gradient
    return tuple(result)


def torch_layer(x: Tensor, h0: Tensor | None, c0: Tensor | None, weights: Weights, layout: Layout) -> tuple[Tensor, Tensor, Tensor]:
    """The same layer by torch alone: y in x's layout, h_n, c_n [D, B, H]."""
    assert weights[1] is not None
    directions, hidden = len(weights) // 4, weights[1].shape[1]
    inputs, batch_first, lengths = x, layout.batch_first, layout.lengths
    inside = None
    if layout.offsets is not None and lengths is not None:
        rows = layout.offsets[None, :] + torch.arange(layout.batch)[:, None]
        inside = torch.arange(layout.steps)[None, :] < lengths[:, None]
        inputs, batch_first = x[rows.where(inside, 0)], True
    twin = nn.LSTM(x.shape[-1], hidden, bias=weights[2] is not None, batch_first=batch_first, bidirectional=directions == 2, device="meta")
    named = dict(zip(twin._flat_weights_names, [weight for weight in weights if weight is not None], strict=True))
    zeros = x.new_zeros(directions, layout.batch, hidden)
    states = (zeros if h0 is None else h0, zeros if c0 is None else c0)

    def run(inputs: Tensor | PackedSequence, states: States | None) -> tuple[Any, States]:
        return torch.func.functional_call(twin, named, (inputs, states))

    y, (h, c) = run(inputs, states) if lengths is None else _by_packing(run, inputs, states, lengths, batch_first)
    if inside is not None:
        step, sequence = inside.T.nonzero(as_tuple=True)
        y = y[sequence, step]
    return y, h, c


def _by_packing(
    run: Callable[[PackedSequence, States | None], tuple[Any, States]], x: Tensor, hx: States | None, lengths: Tensor, batch_first: bool
) -> tuple[Tensor, States]:
    """What `lengths` asks for, by a function that takes a PackedSequence, which has no sequence of length 0."""
    steps = x.shape[1] if batch_first else x.shape[0]
    packed = pack_padded_sequence(x, lengths.clamp(min=1), batch_first, enforce_sorted=False)
    y, (h, c) = run(packed, hx)
    y, _ = pad_packed_sequence(y, batch_first, total_length=steps)
    present = (lengths > 0).to(y.device)
    if bool(present.all()):
        return y, (h, c)
    h0, c0 = hx if hx is not None else (torch.zeros_like(h), torch.zeros_like(c))
    y = torch.where(present[:, None, None] if batch_first else present[None, :, None], y, 0.0)
    return y, (torch.where(present[None, :, None], h, h0), torch.where(present[None, :, None], c, c0))
