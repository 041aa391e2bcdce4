"""Products of bfloat16: the kernel's equal those of a twin in plain PyTorch that rounds the same numbers, forward and backward."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tidegate.nn import LSTM, has_bfloat16
from tidegate.nn.lstm import rounded_products
from tidegate.nn.native import library

needs_bfloat16 = pytest.mark.usefixtures("products")


@pytest.fixture(scope="module", params=["amx", "avx512_bf16"])
def products(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each instruction set of this processor that has products of bfloat16."""
    native = library()
    if native is None:
        pytest.skip("needs the native kernel")
    before: bytes = native.isa()  # type: ignore[assignment]
    if native.set_isa(request.param.encode()):
        pytest.skip(f"this processor or build has no {request.param}")
    yield
    native.set_isa(before)


def rounded(x: Tensor) -> Tensor:
    return x.bfloat16().float()


class RoundedProduct(torch.autograd.Function):
    """x [n, k] times w [m, k] transposed; each of the three products, forward and backward, is of rounded numbers."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x, w)
        return rounded(x) @ rounded(w).T

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        x, w = ctx.saved_tensors
        return rounded(dy) @ rounded(w), rounded(dy).T @ rounded(x)


def twin(lstm: nn.LSTM, x: Tensor, h: Tensor, c: Tensor, lengths: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """The equations of one layer, sequence by sequence: y [B, T, D H], h and c [D, B, H]."""
    directions = []
    for d, suffix in enumerate(("_l0", "_l0_reverse")[: h.shape[0]]):
        w_ih, w_hh, b_ih, b_hh = (getattr(lstm, name + suffix) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        rows, hs, cs = [], [], []
        for b, length in enumerate(lengths):
            state, cell = h[d, b : b + 1], c[d, b : b + 1]
            outputs: list[Tensor] = [x.new_zeros(1, lstm.hidden_size)] * x.shape[1]
            for t in range(length)[:: -1 if d else 1]:
                gates = RoundedProduct.apply(x[b, t : t + 1], w_ih) + RoundedProduct.apply(state, w_hh) + b_ih + b_hh  # type: ignore[operator]
                i, f, g, o = gates.chunk(4, 1)
                cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
                state = o.sigmoid() * cell.tanh()
                outputs[t] = state
            rows.append(torch.cat(outputs))
            hs.append(state)
            cs.append(cell)
        directions.append((torch.stack(rows), torch.cat(hs), torch.cat(cs)))
    ys, hs, cs = zip(*directions, strict=True)
    return torch.cat(ys, 2), torch.stack(hs), torch.stack(cs)


def gradients(lstm: LSTM, x: Tensor, states: tuple[Tensor, Tensor], outputs: tuple[Tensor, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    score = sum((part * torch.rand(part.shape, generator=generator)).sum() for part in outputs)
    sources = [x, *states, *lstm.parameters()]
    found = torch.autograd.grad(score, sources, allow_unused=True)  # type: ignore[arg-type]
    return [torch.zeros_like(source) if grad is None else grad for source, grad in zip(sources, found, strict=True)]


def distance(own: Tensor, other: Tensor) -> float:
    """Of two tensors, relative to the size of the second."""
    return float(((own - other).norm() / other.norm().clamp(min=1e-6)).detach())


def assert_like_twin(lstm: LSTM, x: Tensor, states: tuple[Tensor, ...], lengths: Tensor, most: float, farthest: float) -> Tensor:
    """Outputs differ by at most `most`, gradients are at most so far from each other; returns y."""
    y, (h, c) = lstm(x, states, lengths)  # type: ignore[arg-type]
    expected = twin(lstm, x, *states, lengths.tolist())  # type: ignore[arg-type]
    for own, other in zip((y, h, c), expected, strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=most)
    for own, other in zip(gradients(lstm, x, states, (y, h, c)), gradients(lstm, x, states, expected), strict=True):  # type: ignore[arg-type]
        assert distance(own, other) < farthest
    return y.detach()


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@needs_bfloat16
@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([1, 2, 3, 7, 19]),
    st.sampled_from([1, 2, 5]),
    st.sampled_from([1, 2, 15, 16, 33, 49, 70]),
    st.sampled_from([1, 3, 8, 16, 17, 50, 64]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([1, 2, 5]),
    st.integers(0, 99),
)
def test_it_equals_a_twin_that_rounds(
    batch: int, steps: int, inputs: int, hidden: int, both: bool, varied: bool, threads: int, seed: int
) -> None:
    """As nearly as a small layer can: a sum that ends in another last bit is rounded to another bfloat16 now and then, 2^-8 of it away. How
    exact larger ones are is asked below."""
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    lstm = LSTM(inputs, hidden, batch_first=True, bidirectional=both)
    lstm.bfloat16 = True
    x = torch.randn(batch, steps, inputs, requires_grad=True)
    states = tuple(torch.randn(1 + both, batch, hidden, requires_grad=True) for _ in range(2))
    lengths = torch.randint(0, steps + 1, (batch,)) if varied else torch.full((batch,), steps)
    y = assert_like_twin(lstm, x, states, lengths, 1e-3, 2.0**-7)
    with torch.no_grad():
        without = lstm(x, states, lengths)[0]  # type: ignore[arg-type]
    torch.testing.assert_close(without, y, rtol=0, atol=1e-3)


@needs_bfloat16
@pytest.mark.parametrize(("batch", "steps", "inputs", "hidden"), [(40, 27, 150, 33), (35, 2, 300, 70)])
def test_more_rows_and_inputs_than_fit_at_once(batch: int, steps: int, inputs: int, hidden: int) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    lstm = LSTM(inputs, hidden, batch_first=True)
    lstm.bfloat16 = True
    x = torch.randn(batch, steps, inputs, requires_grad=True)
    states = tuple(torch.randn(1, batch, hidden, requires_grad=True) for _ in range(2))
    lengths = torch.arange(batch) % (steps + 1)
    assert_like_twin(lstm, x, states, lengths, 2e-3, 1.5e-3)


@needs_bfloat16
def test_gradients_of_the_inputs_alone() -> None:
    torch.manual_seed(0)
    lstm, x = LSTM(70, 48, batch_first=True), torch.randn(37, 21, 70, requires_grad=True)
    lstm.bfloat16 = True
    (both,) = torch.autograd.grad(lstm(x)[0].square().sum(), [x])
    lstm.requires_grad_(False)
    (alone,) = torch.autograd.grad(lstm(x)[0].square().sum(), [x])
    assert torch.equal(alone, both)


@needs_bfloat16
@pytest.mark.parametrize("hidden", [256, 1344])
def test_weights_that_are_shared_by_threads(hidden: int) -> None:
    torch.set_num_threads(4)
    torch.manual_seed(0)
    lstm = LSTM(60, hidden, batch_first=True)
    x, states = torch.randn(5, 3, 60, requires_grad=True), (torch.zeros(1, 5, hidden), torch.zeros(1, 5, hidden))
    states = tuple(state.requires_grad_() for state in states)
    lstm.bfloat16 = True
    y, (h, c) = lstm(x, states)  # type: ignore[arg-type]
    expected = twin(lstm, x, *states, [3] * 5)  # type: ignore[arg-type]
    for own, other in zip(gradients(lstm, x, states, (y, h, c)), gradients(lstm, x, states, expected), strict=True):  # type: ignore[arg-type]
        assert distance(own, other) < 4e-4


@needs_bfloat16
def test_rounding_is_what_was_asked_for() -> None:
    """Float32 differs by more than the tests above let pass, and doubles are never rounded."""
    torch.manual_seed(0)
    lstm, x = LSTM(20, 64), torch.randn(9, 4, 20)
    exact, exact_double = lstm(x)[0], LSTM.double(lstm)(x.double())[0]
    lstm.float()
    with rounded_products(lstm):
        assert distance(lstm(x)[0], exact) > 1e-3
        assert torch.equal(lstm.double()(x.double())[0], exact_double)
    assert torch.equal(lstm.float()(x)[0], exact)


@needs_bfloat16
def test_the_same_bits_every_time() -> None:
    torch.manual_seed(0)
    lstm, x = LSTM(30, 300, batch_first=True), torch.randn(12, 20, 30)
    lstm.bfloat16 = True
    first, second = (torch.autograd.grad(lstm(x)[0].square().sum(), list(lstm.parameters())) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@needs_bfloat16
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_compiled() -> None:
    torch.manual_seed(0)
    lstm, x = LSTM(5, 40), torch.randn(6, 3, 5)
    lstm.bfloat16 = True
    compiled = torch.compile(lstm, backend="aot_eager")
    assert torch.equal(compiled(x)[0], lstm(x)[0])


def test_other_instruction_sets_stay_at_float32() -> None:
    native = library()
    if native is None:
        pytest.skip("needs the native kernel")
    lstm, x = LSTM(5, 40), torch.randn(6, 3, 5)
    before: bytes = native.isa()  # type: ignore[assignment]
    native.set_isa(b"baseline")
    try:
        assert not has_bfloat16()
        exact = lstm(x)[0]
        with rounded_products(lstm):
            assert torch.equal(lstm(x)[0], exact)
    finally:
        native.set_isa(before)
