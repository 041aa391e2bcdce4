"""The layer in the form that cuDNN's persistent kernel takes is torch's layer. The form is computed on the CPU; kernels need a device."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tidegate.nn import LSTM
from tidegate.nn.lstm import torch_layer
from tidegate.nn.native_layer import Layout
from tidegate.nn.persistent import MOST_ROWS, PROCESSORS, Sizes, persistent_layer, sizes_for

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


def weights_of(inputs: int, hidden: int, directions: int, bias: bool) -> list[Tensor | None]:
    layer = nn.LSTM(inputs, hidden, bias=bias, bidirectional=directions == 2, dtype=torch.float64)
    found = list(layer.parameters())
    if bias:
        return [*found]
    return [weight for number in range(directions) for weight in (found[2 * number], found[2 * number + 1], None, None)]


def random_lengths(steps: int, batch: int, empty: bool) -> Tensor:
    lengths = torch.randint(1, steps + 1, (batch,))
    if empty:
        lengths[0] = 0
    return lengths


def assert_equal_layers(x: Tensor, states: list[Tensor | None], weights: list[Tensor | None], layout: Layout, sizes: Sizes) -> None:
    """Outputs, last states, and the gradients of a random weighing of them."""
    own = persistent_layer(x, states[0], states[1], weights, layout, sizes)
    other = torch_layer(x, states[0], states[1], weights, layout)
    sources = [source for source in (x, *states, *weights) if source is not None]
    probes = [torch.randn_like(part) for part in other]
    for mine, torchs in zip(own, other, strict=True):
        torch.testing.assert_close(mine, torchs, rtol=0, atol=1e-11)
    gradients = [
        torch.autograd.grad([(part * probe).sum() for part, probe in zip(parts, probes, strict=True)], sources) for parts in (own, other)
    ]
    for mine, torchs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, torchs, rtol=0, atol=1e-10)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([1, 3, 8, 9]),
    st.sampled_from([1, 2, 7]),
    st.sampled_from([1, 4, 5]),
    st.sampled_from([1, 3, 6]),
    st.sampled_from([Sizes(), Sizes(4, 8, 8), Sizes(4, 2)]),
    st.tuples(*[st.booleans()] * 6),
    st.integers(0, 999),
)
def test_it_is_torchs_layer(batch: int, steps: int, inputs: int, hidden: int, sizes: Sizes, flags: tuple[bool, ...], seed: int) -> None:
    two, bias, batch_first, ragged, empty, given_states = flags
    torch.manual_seed(seed)
    shape = (batch, steps) if batch_first else (steps, batch)
    x = torch.randn(*shape, inputs, dtype=torch.float64, requires_grad=True)
    directions = 1 + two
    states: list[Tensor | None] = [None, None]
    if given_states:
        states = [torch.randn(directions, batch, hidden, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    lengths = random_lengths(steps, batch, empty) if ragged else None
    layout = Layout(lengths, None, batch_first, batch, steps)
    assert_equal_layers(x, states, weights_of(inputs, hidden, directions, bias), layout, sizes)


def test_what_is_behind_an_end_is_not_read() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 6, 2, dtype=torch.float64)
    lengths, weights = torch.tensor([6, 2, 0]), weights_of(2, 5, 2, True)
    layout = Layout(lengths, None, True, 3, 6)
    expected = torch_layer(x, None, None, weights, layout)
    for row, length in enumerate(lengths):
        x[row, length:] = float("nan")
    x.requires_grad_()
    found = persistent_layer(x, None, None, weights, layout, Sizes())
    for mine, torchs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, torchs, rtol=0, atol=1e-12)
    assert bool(torch.autograd.grad(found[0].sum(), x)[0].isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_an_ended_cell_stays_to_the_last_bit(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    weights = [None if weight is None else 9 * weight.to(dtype) for weight in weights_of(3, 4, 1, True)]
    x, lengths = torch.randn(90, 4, 3, dtype=dtype), torch.tensor([7, 1, 20, 0])
    c0 = torch.randn(1, 4, 4, dtype=dtype)
    with torch.no_grad():
        _, _, short = persistent_layer(x[:20], None, c0, weights, Layout(lengths, None, False, 4, 20), Sizes())
        _, _, long = persistent_layer(x, None, c0, weights, Layout(lengths, None, False, 4, 90), Sizes())
    assert torch.equal(long, short) and torch.equal(long[:, 3], c0[:, 3])


@pytest.mark.parametrize(
    ("dtype", "hidden", "ragged", "gradients", "processors", "sizes"),
    [
        (torch.float32, 128, True, True, 132, Sizes()),
        (torch.float32, 128, False, True, 132, None),  # the plain call takes the small kernel by itself
        (torch.float32, 192, True, False, 132, Sizes()),
        (torch.float32, 192, True, True, 132, None),
        (torch.float64, 64, True, True, 132, None),
        (torch.bfloat16, 256, False, True, 132, None),
        (torch.float16, 256, False, True, 132, Sizes(128, 8, 128)),
        (torch.float16, 1000, False, True, 132, Sizes(128, 8, 128)),
        (torch.float16, 1025, False, True, 132, None),
        (torch.float16, 260, False, True, 132, None),  # 384 units would be twice the work
        (torch.float16, 256, True, True, 0, None),
        (torch.float16, 256, True, True, PROCESSORS - 1, None),
    ],
)
def test_what_is_asked_for(dtype: torch.dtype, hidden: int, ragged: bool, gradients: bool, processors: int, sizes: Sizes | None) -> None:
    assert sizes_for(dtype, hidden, ragged, gradients, processors) == sizes


def test_the_calls_have_the_sizes_that_the_kernel_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    plain = torch.lstm

    def lstm(x: Tensor, states: tuple[Tensor, Tensor], weights: list[Tensor], *more: Any) -> tuple[Tensor, Tensor, Tensor]:
        seen.append((x.shape[1], x.shape[2], states[0].shape[2]))
        return plain(x, states, weights, *more)

    monkeypatch.setattr(torch, "lstm", lstm)
    weights, layout = weights_of(7, 250, 2, True), Layout(torch.tensor([2] * 130), None, True, 130, 2)
    sizes = sizes_for(torch.float16, 250, True, True, PROCESSORS)
    assert sizes is not None
    persistent_layer(torch.randn(130, 2, 7, dtype=torch.float64), None, None, weights, layout, sizes)
    assert seen == [(MOST_ROWS, 128, 256), (8, 128, 256)] * 2


@pytest.mark.parametrize("ragged", [False, True])
def test_whole_stacks_go_through_it(monkeypatch: pytest.MonkeyPatch, ragged: bool) -> None:
    torch.manual_seed(0)
    layer = LSTM(3, 4, 2, batch_first=True, bidirectional=True, dtype=torch.float64)
    x = torch.randn(5, 6, 3, dtype=torch.float64)
    h0, c0 = torch.randn(4, 5, 4, dtype=torch.float64), torch.randn(4, 5, 4, dtype=torch.float64)
    lengths = random_lengths(6, 5, True) if ragged else None
    expected = layer(x, (h0, c0), lengths)
    monkeypatch.setattr(LSTM, "_runs_native", lambda self, input: False)
    monkeypatch.setattr(LSTM, "_persistent_sizes", lambda self, input, lengths: Sizes(4, 2))
    monkeypatch.setattr(nn.LSTM, "forward", None)
    found = layer(x, (h0, c0), lengths)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(layer(x[0], (h0[:, 0], c0[:, 0]))[0], layer(x[:1], (h0[:, :1], c0[:, :1]))[0][0])


def test_nothing_changes_off_cuda() -> None:
    torch.manual_seed(0)
    layer = LSTM(3, 4, batch_first=True)
    asked = copy.deepcopy(layer)
    asked.persistent = True
    x, lengths = torch.randn(2, 5, 3), torch.tensor([5, 2])
    assert torch.equal(layer(x, lengths=lengths)[0], asked(x, lengths=lengths)[0])


@on_cuda
@pytest.mark.gpu
@pytest.mark.parametrize(
    ("dtype", "hidden", "tolerance"), [(torch.float32, 96, 1e-5), (torch.float16, 96, 5e-3), (torch.float16, 256, 5e-3)]
)
@pytest.mark.parametrize("ragged", [False, True])
def test_a_device_computes_the_same(dtype: torch.dtype, hidden: int, tolerance: float, ragged: bool) -> None:
    torch.manual_seed(0)
    layer = LSTM(40, hidden, 2, batch_first=True, bidirectional=True).to("cuda", dtype)
    asked = copy.deepcopy(layer)
    asked.persistent = True
    x = torch.randn(30, 50, 40, device="cuda", dtype=dtype)
    lengths = random_lengths(50, 30, False) if ragged else None
    found = []
    for one in (layer, asked):
        y, (h, c) = one(x, lengths=lengths)
        (y.float().sum() + h.float().sum() + c.float().sum()).backward()
        found.append((y, h, c, *(parameter.grad for parameter in one.parameters())))
    for own, other in zip(*found, strict=True):
        scale = 1.0 + float(other.detach().abs().max())
        torch.testing.assert_close(own.detach(), other.detach(), rtol=0, atol=tolerance * scale)
