"""The native LSTM, torch's and the equations say the same: outputs, states and gradients, whatever the shape, lengths and layout."""

import copy
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from tidegate.nn import LSTM, backend
from tidegate.nn import lstm as lstm_module
from tidegate.nn.native import library
from tidegate.nn.reference import lstm as equations

ISAS = ("avx512", "avx2", "baseline")
"""Of which each has float32 and float64; bfloat16 beside them: test_bfloat16.py."""
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-11}
"""Relative to the largest value: sums of some hundred products in another order."""

needs_native = pytest.mark.skipif(backend().name != "native", reason=f"needs the native kernel: {backend().detail}")


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set that this processor has."""
    native = library()
    if native is None:
        pytest.skip(f"needs the native kernel: {backend().detail}")
    before = backend().detail
    if native.set_isa(request.param.encode()):
        pytest.skip(f"this processor has no {request.param}")
    yield request.param
    native.set_isa(before.encode())


@pytest.mark.skipif(os.environ.get("TIDEGATE_NATIVE") != "required", reason="TIDEGATE_NATIVE=required, as in .ci/run, asks for the kernel")
def test_the_kernel_is_there_where_it_must_be() -> None:
    assert backend().name == "native", backend()


def assert_same(own: Tensor, other: Tensor, what: str = "") -> None:
    assert own.shape == other.shape, what
    size = 1.0 + float(other.detach().abs().max()) if other.numel() else 1.0
    torch.testing.assert_close(own, other, rtol=0, atol=TOLERANCE[own.dtype] * size, msg=lambda text: f"{what}: {text}")


def twins(*arguments: object, dtype: torch.dtype = torch.float32, **more: object) -> tuple[LSTM, nn.LSTM]:
    """The same layer, native and torch's."""
    other = nn.LSTM(*arguments, **more).to(dtype)  # type: ignore[arg-type]
    own = LSTM(*arguments, **more).to(dtype)  # type: ignore[arg-type]
    own.load_state_dict(other.state_dict())
    return own, other


def results(layer: nn.LSTM, x: Tensor, hx: tuple[Tensor, Tensor] | None, lengths: Tensor | None, seed: int = 0) -> dict[str, Tensor]:
    """Outputs, states, and the gradients of a random weighing of all of them; torch gets lengths as a PackedSequence."""
    x = x.detach().clone().requires_grad_()
    hx = None if hx is None else (hx[0].detach().clone().requires_grad_(), hx[1].detach().clone().requires_grad_())
    steps = x.shape[1] if layer.batch_first else x.shape[0]
    if lengths is None:
        y, (h, c) = layer(x, hx)
    elif isinstance(layer, LSTM):
        y, (h, c) = layer(x, hx, lengths)
    else:
        y, (h, c) = layer(pack_padded_sequence(x, lengths, layer.batch_first, enforce_sorted=False), hx)
        y, _ = pad_packed_sequence(y, layer.batch_first, total_length=steps)
    generator = torch.Generator().manual_seed(seed)
    score = sum((part * torch.rand(part.shape, generator=generator, dtype=part.dtype)).sum() for part in (y, h, c))
    sources = {"x": x, **dict(layer.named_parameters())} | ({} if hx is None else {"h0": hx[0], "c0": hx[1]})
    found = torch.autograd.grad(score, list(sources.values()))  # type: ignore[arg-type]
    return {"y": y.detach(), "h": h.detach(), "c": c.detach()} | {f"d{name}": grad for name, grad in zip(sources, found, strict=True)}


def assert_equal_results(own: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert own.keys() == other.keys()
    for name in own:
        assert_same(own[name], other[name], name)


@st.composite
def cases(draw: st.DrawFn) -> dict:
    sizes = st.sampled_from([1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 50, 64, 65, 70])
    return {
        "batch": draw(st.sampled_from([1, 2, 3, 5, 7, 8, 13, 19])),
        "steps": draw(st.sampled_from([1, 2, 3, 9, 40])),
        "inputs": draw(sizes),
        "hidden": draw(sizes),
        "layers": draw(st.integers(1, 2)),
        "bias": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
        "bidirectional": draw(st.booleans()),
        "dtype": draw(st.sampled_from([torch.float32, torch.float64])),
        "states": draw(st.booleans()),
        "varied": draw(st.booleans()),
        "threads": draw(st.sampled_from([1, 2, 3, 5, 8])),
        "seed": draw(st.integers(0, 999)),
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cases())
def test_it_equals_torch(isa: str, case: dict) -> None:
    torch.manual_seed(case["seed"])
    kind = {name: case[name] for name in ("bias", "batch_first", "bidirectional")}
    own, other = twins(case["inputs"], case["hidden"], case["layers"], dtype=case["dtype"], **kind)
    batch, steps = case["batch"], case["steps"]
    shape = (batch, steps) if case["batch_first"] else (steps, batch)
    x = torch.randn(*shape, case["inputs"], dtype=case["dtype"])
    places = case["layers"] * (2 if case["bidirectional"] else 1)
    hx = (torch.randn(2, places, batch, case["hidden"], dtype=case["dtype"])).unbind(0) if case["states"] else None
    lengths = torch.randint(1, steps + 1, (batch,)) if case["varied"] else None
    before = torch.get_num_threads()
    torch.set_num_threads(case["threads"])
    try:
        assert_equal_results(results(own, x, hx, lengths), results(other, x, hx, lengths))  # type: ignore[arg-type]
    finally:
        torch.set_num_threads(before)


@needs_native
def test_it_equals_the_equations() -> None:
    torch.manual_seed(0)
    layer = LSTM(3, 20, batch_first=True)
    x, zero = torch.randn(4, 30, 3), torch.zeros(4, 20)
    w_ih, w_hh, b_ih, b_hh = layer.parameters()
    expected, (h, c) = equations(x, (zero, zero), w_ih, w_hh, b_ih + b_hh)
    y, (h_n, c_n) = layer(x)
    for own, other in ((y, expected), (h_n[0], h), (c_n[0], c)):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [None, [4, 1, 3]])
def test_gradients_by_finite_differences(isa: str, bidirectional: bool, lengths: list[int] | None) -> None:
    torch.manual_seed(1)
    layer = LSTM(2, 3, batch_first=True, bidirectional=bidirectional).double()
    places = 2 if bidirectional else 1
    x = torch.randn(3, 4, 2, dtype=torch.double, requires_grad=True)
    h0, c0 = (torch.randn(places, 3, 3, dtype=torch.double, requires_grad=True) for _ in range(2))
    names = [name for name, _ in layer.named_parameters()]

    def function(x: Tensor, h0: Tensor, c0: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(names, weights, strict=True))
        y, (h, c) = torch.func.functional_call(layer, given, (x, (h0, c0), None if lengths is None else torch.tensor(lengths)))
        return y, h, c

    weights = [weight.detach().clone().requires_grad_() for weight in layer.parameters()]
    assert torch.autograd.gradcheck(function, (x, h0, c0, *weights), eps=1e-6, atol=1e-6)
    assert torch.autograd.gradgradcheck(function, (x, h0, c0, *weights), eps=1e-6, atol=1e-5, fast_mode=True)


@needs_native
@pytest.mark.parametrize("enforce_sorted", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_sequences(enforce_sorted: bool, bidirectional: bool) -> None:
    torch.manual_seed(2)
    own, other = twins(5, 18, 2, bidirectional=bidirectional)
    lengths = torch.tensor([9, 7, 7, 4, 1] if enforce_sorted else [4, 9, 1, 7, 7])
    x = torch.randn(9, 5, 5)
    states = torch.randn(4 if bidirectional else 2, 5, 18)
    found = []
    for layer in (own, other):
        source = x.clone().requires_grad_()
        y, (h, c) = layer(pack_padded_sequence(source, lengths, enforce_sorted=enforce_sorted), (states, 2 * states))
        assert isinstance(y, PackedSequence)
        score = y.data.square().sum() + h.sum() + (c * torch.arange(18)).sum()
        found.append([y.data, h, c, *torch.autograd.grad(score, [source, *layer.parameters()], create_graph=False)])
    for one, two in zip(*found, strict=True):
        assert_same(one, two)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("turned_off", [False, True])
def test_sequences_of_no_steps(batch_first: bool, turned_off: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if turned_off:
        monkeypatch.setattr(lstm_module, "library", lambda: None)
    torch.manual_seed(3)
    layer = LSTM(2, 5, bidirectional=True, batch_first=batch_first)
    lengths = torch.tensor([0, 3, 0, 2])
    x = torch.randn((4, 3, 2) if batch_first else (3, 4, 2), requires_grad=True)
    h0, c0 = (torch.randn(2, 4, 5, requires_grad=True) for _ in range(2))
    y, (h, c) = layer(x, (h0, c0), lengths)
    by_sequence = y if batch_first else y.transpose(0, 1)
    assert (by_sequence[0] == 0).all() and (by_sequence[3, 2] == 0).all() and (by_sequence[1, 2] != 0).all()
    assert torch.equal(h[:, 0], h0[:, 0]) and torch.equal(c[:, 2], c0[:, 2])
    dx, dh0, dc0 = torch.autograd.grad((h * 2).sum() + c.sum() + y.sum(), [x, h0, c0])
    along = dx if batch_first else dx.transpose(0, 1)
    assert (along[0] == 0).all() and (along[3, 2] == 0).all()
    assert (dh0[:, 0] == 2).all() and (dc0[:, 2] == 1).all()


@needs_native
def test_strided_inputs_are_read_where_they_lie() -> None:
    torch.manual_seed(4)
    own, other = twins(6, 10, batch_first=True)
    wide = torch.randn(5, 22, 13)
    for x in (wide[:, ::2, 3:9], wide[:, 4:15, :12:2], wide.transpose(0, 1)[:5, :, :6], wide[:1, :11, :6].expand(5, 11, 6)):
        assert_equal_results(results(own, x, None, None), results(other, x, None, None))


@needs_native
def test_gradients_that_are_views() -> None:
    torch.manual_seed(5)
    own, other = twins(3, 7, batch_first=True)
    x = torch.randn(4, 6, 3)
    for pick in (
        lambda y: y.sum(),
        lambda y: y[:, -1].sum(),
        lambda y: y.transpose(1, 2).flip(1).square().sum(),
        lambda y: y[..., :2].sum(),
    ):
        found = [torch.autograd.grad(pick(layer(x)[0]), list(layer.parameters())) for layer in (own, other)]
        for one, two in zip(*found, strict=True):
            assert_same(one, two)


@needs_native
def test_one_sequence_without_a_batch() -> None:
    own, other = twins(3, 7, 2)
    x, states = torch.randn(5, 3), torch.randn(2, 2, 7)
    for hx in (None, states.unbind(0)):
        (y, (h, c)), (z, (hh, cc)) = own(x, hx), other(x, hx)
        assert_same(y, z)
        assert_same(h, hh)
        assert_same(c, cc)


@needs_native
def test_nothing_but_what_is_asked_for_has_a_gradient() -> None:
    own, other = twins(3, 7)
    x = torch.randn(5, 2, 3, requires_grad=True)
    found = []
    for layer in (own, other):
        w_ih, w_hh, *_ = layer.parameters()
        w_ih.requires_grad_(False)
        layer(x.detach())[1][1].sum().backward()
        assert w_ih.grad is None and w_hh.grad is not None
        found.append(w_hh.grad)
    assert_same(found[0], found[1])
    frozen = LSTM(3, 7).requires_grad_(False)
    assert frozen(x)[0].requires_grad and not frozen(x.detach())[0].requires_grad


@needs_native
def test_a_second_backward_gives_the_same() -> None:
    layer, x = LSTM(3, 7), torch.randn(5, 2, 3)
    score = layer(x)[0].square().sum()
    first = torch.autograd.grad(score, list(layer.parameters()), retain_graph=True)
    second = torch.autograd.grad(score, list(layer.parameters()))
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))


@needs_native
def test_a_changed_output_is_noticed() -> None:
    layer = LSTM(3, 7)
    y = layer(torch.randn(5, 2, 3))[0]
    y.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@needs_native
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_goes_where_torch_lets_it_go(bad: float) -> None:
    torch.manual_seed(6)
    own, other = twins(3, 20, batch_first=True)
    x = torch.randn(4, 6, 3)
    x[1, 2, 0] = bad
    (y, (h, c)), (z, (hh, cc)) = own(x), other(x)
    for one, two in ((y, z), (h, hh), (c, cc)):
        assert torch.equal(one.isnan(), two.isnan())
        torch.testing.assert_close(one, two, rtol=0, atol=1e-6, equal_nan=True)


@needs_native
def test_large_and_small_numbers() -> None:
    own, other = twins(1, 16, batch_first=True)
    x = torch.tensor([-1e30, -1e3, -50.0, -1e-20, 0.0, 1e-20, 30.0, 1e4, 1e30]).reshape(9, 1, 1)
    torch.testing.assert_close(own(x)[0], other(x)[0], rtol=0, atol=1e-6)


@needs_native
def test_the_same_bits_every_time() -> None:
    layer, x = LSTM(9, 33, 2, bidirectional=True), torch.randn(40, 12, 9)
    runs = [results(layer, x, None, None) for _ in range(5)]
    assert all(torch.equal(run[name], runs[0][name]) for run in runs for name in run)


@needs_native
@pytest.mark.parametrize("batch", [4, 32])
def test_the_same_bits_on_a_busy_machine(batch: int) -> None:
    """There fewer threads share out the same parts: those of a team (few sequences), and groups of sequences."""
    layer, x = LSTM(9, 150, batch_first=True), torch.randn(batch, 30, 9)
    expected = results(layer, x, None, None)
    with ExitStack() as running:
        for _ in range(2 * torch.get_num_threads()):
            process = running.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            running.callback(process.kill)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            found = results(layer, x, None, None)
            assert all(torch.equal(found[name], expected[name]) for name in found)


@needs_native
def test_more_weights_than_are_read_at_once(isa: str) -> None:
    own, other = twins(5, 650, batch_first=True)
    x = torch.randn(13, 4, 5)
    assert_equal_results(results(own, x, None, None), results(other, x, None, None))


@needs_native
def test_copies_and_states_of_torch() -> None:
    own, other = twins(3, 7, 2, bidirectional=True)
    assert isinstance(own, nn.LSTM) and repr(own) == repr(other)
    assert list(own.state_dict()) == list(other.state_dict())
    other.load_state_dict(own.state_dict())
    x = torch.randn(5, 2, 3)
    assert torch.equal(copy.deepcopy(own)(x)[0], own(x)[0])


@needs_native
def test_dropout_between_layers() -> None:
    torch.manual_seed(7)
    layer, x = LSTM(3, 40, 2, dropout=0.5, batch_first=True), torch.randn(6, 5, 3)
    torch.manual_seed(8)
    first = layer(x)[0]
    torch.manual_seed(8)
    assert torch.equal(layer(x)[0], first)
    assert not torch.equal(layer(x)[0], first)
    layer.eval()
    assert torch.equal(layer(x)[0], layer(x)[0])


@pytest.mark.filterwarnings("ignore:LSTM with projections:UserWarning")
@pytest.mark.parametrize("kind", ["projection", "half", "empty"])
def test_what_torch_computes(kind: str) -> None:
    more = {"proj_size": 4} if kind == "projection" else {}
    own, other = twins(3, 7, dtype=torch.bfloat16 if kind == "half" else torch.float32, **more)
    x = torch.randn(5, 0 if kind == "empty" else 2, 3).to(own.get_parameter("weight_hh_l0").dtype)
    torch.testing.assert_close(own(x)[0], other(x)[0])


BAD = [
    (torch.randn(5, 2, 4), None),
    (torch.randn(5, 2, 3, 1), None),
    (torch.randn(5, 2, 3).double(), None),
    (torch.randn(5, 2, 3), (torch.zeros(2, 2, 7), torch.zeros(2, 2, 7))),
    (torch.randn(5, 2, 3), (torch.zeros(1, 3, 7), torch.zeros(1, 3, 7))),
    (torch.randn(5, 2, 3), (torch.zeros(1, 2, 7), torch.zeros(1, 2, 8))),
    (torch.randn(5, 2, 3), (torch.zeros(2, 7), torch.zeros(2, 7))),
    (torch.randn(5, 3), (torch.zeros(1, 1, 7), torch.zeros(1, 1, 7))),
    (torch.randint(3, (5, 2, 3)), None),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_what_does_not_fit_is_refused_as_torch_refuses_it(number: int) -> None:
    own, other = twins(3, 7)
    x, hx = BAD[number]
    with pytest.raises((RuntimeError, ValueError)) as expected:
        other(x, hx)
    with pytest.raises(expected.type):
        own(x, hx)


def test_lengths_that_do_not_fit() -> None:
    layer, x = LSTM(3, 7, batch_first=True), torch.randn(2, 5, 3)
    for lengths in (torch.tensor([1, 2, 3]), torch.tensor([1.0, 2.0]), torch.tensor([6, 1]), torch.tensor([-1, 1])):
        with pytest.raises(ValueError, match="lengths"):
            layer(x, None, lengths)
    with pytest.raises(ValueError, match="PackedSequence"):
        layer(pack_padded_sequence(x, torch.tensor([5, 2]), True), None, torch.tensor([5, 2]))


@needs_native
def test_several_threads_at_once() -> None:
    own, other = twins(5, 33, 2, bidirectional=True)
    x = torch.randn(30, 9, 5)
    expected = results(other, x, None, None)
    found: list[dict[str, Tensor]] = []
    threads = [threading.Thread(target=lambda: found.extend(results(own, x, None, None) for _ in range(10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    for result in found:
        assert result["y"].shape == expected["y"].shape
        assert_same(result["y"], expected["y"])
        assert_same(result["dweight_hh_l0"], expected["dweight_hh_l0"])


FORK = """
import os, torch
from tidegate.nn import LSTM
layer, x = LSTM(9, 64), torch.randn(50, 32, 9)
y = layer(x)[0]
y.sum().backward()
child = os.fork()
if child == 0:
    torch.set_num_threads(1)
    z = layer(x)[0]
    z.sum().backward()
    os._exit(0 if torch.allclose(z, y, atol=1e-6) else 3)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@needs_native
def test_a_forked_process() -> None:
    assert subprocess.run([sys.executable, "-c", FORK], timeout=60).returncode == 0


@needs_native
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
@pytest.mark.parametrize("as_operator", [False, True])
def test_compiled(as_operator: bool) -> None:
    """torch.compile leaves LSTMs out of its graph, unless it is told to look into them: then ours is a single operator of it."""
    torch.manual_seed(9)
    own, other = twins(3, 20, 2, bidirectional=True, batch_first=True)
    x = torch.randn(4, 6, 3, requires_grad=True)
    compiled = torch.compile(lambda x: own(x)[0].square().sum(), fullgraph=as_operator, backend="aot_eager")
    with torch._dynamo.config.patch(allow_rnn=as_operator):
        one = torch.autograd.grad(compiled(x), [x, *own.parameters()])
    two = torch.autograd.grad(other(x)[0].square().sum(), [x, *other.parameters()])
    for a, b in zip(one, two, strict=True):
        assert_same(a, b)


@needs_native
def test_the_operator_keeps_its_promises() -> None:
    from tidegate.nn.native_op import lstm_layer

    layer = LSTM(3, 5, batch_first=True).double()
    weights = [weight.detach().clone().requires_grad_() for weight in layer.parameters()]
    x = torch.randn(2, 4, 3, dtype=torch.double, requires_grad=True)
    torch.library.opcheck(lstm_layer, (x, None, None, weights, None, None, True, 2, 4, False))


BACKEND = "import torch; from tidegate.nn import backend, LSTM; LSTM(3, 4)(torch.randn(5, 2, 3)); print(backend())"


@pytest.mark.parametrize(("wanted", "said"), [("torch", "torch (TIDEGATE_LSTM=torch)"), ("mmx", "torch (TIDEGATE_LSTM=mmx, which")])
def test_the_environment_chooses(wanted: str, said: str) -> None:
    result = subprocess.run([sys.executable, "-c", BACKEND], env=os.environ | {"TIDEGATE_LSTM": wanted}, capture_output=True, text=True)
    assert result.stdout.startswith(said), result


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lstm_module, "library", lambda: None)
    own, other = twins(3, 7, batch_first=True)
    x, lengths = torch.randn(4, 6, 3), torch.tensor([6, 2, 1, 5])
    assert_equal_results(results(own, x, None, lengths), results(other, x, None, lengths))
