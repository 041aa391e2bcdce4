"""The equations, torch.nn.LSTM and the LSTM unit say the same; the unit's regularisation and its first weights."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tidegate.nn.lstm_unit import LSTMUnit, locked_dropout
from tidegate.nn.reference import lstm, lstm_cell


def torch_lstm(inputs: int, hidden: int, seed: int) -> nn.LSTM:
    torch.manual_seed(seed)
    return nn.LSTM(inputs, hidden, batch_first=True).double()


def summed(layer: nn.LSTM) -> tuple[Tensor, Tensor, Tensor]:
    """Leaf copies of the weights, the two biases as one."""
    bias = layer.get_parameter("bias_ih_l0") + layer.get_parameter("bias_hh_l0")
    weights = (layer.get_parameter("weight_ih_l0"), layer.get_parameter("weight_hh_l0"), bias)
    return tuple(weight.detach().clone().requires_grad_() for weight in weights)  # type: ignore[return-value]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(1, 9), st.integers(1, 5), st.integers(1, 7), st.integers(0, 99))
def test_the_equations_equal_torch(batch: int, steps: int, inputs: int, hidden: int, seed: int) -> None:
    layer = torch_lstm(inputs, hidden, seed)
    weights = summed(layer)
    x = torch.randn(batch, steps, inputs, dtype=torch.double, requires_grad=True)
    twin = x.detach().clone().requires_grad_()
    start = (torch.randn(batch, hidden, dtype=torch.double), torch.randn(batch, hidden, dtype=torch.double))
    y, (h, c) = layer(x, (start[0][None], start[1][None]))
    z, (hidden_state, cell_state) = lstm(twin, start, *weights)
    torch.testing.assert_close(z, y, rtol=0, atol=1e-6)
    torch.testing.assert_close(hidden_state, h[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(cell_state, c[0], rtol=0, atol=1e-6)
    probe = torch.randn_like(y)
    ((y * probe).sum() + c.sum()).backward()
    ((z * probe).sum() + cell_state.sum()).backward()
    torch.testing.assert_close(twin.grad, x.grad, rtol=0, atol=1e-6)
    for own, name in zip(weights, ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"), strict=True):
        torch.testing.assert_close(own.grad, layer.get_parameter(name).grad, rtol=0, atol=1e-6)


def test_the_equations_equal_torch_in_single_precision() -> None:
    layer = torch_lstm(3, 8, 0).float()
    weight_ih, weight_hh, bias = (weight.detach().float() for weight in summed(layer))
    x, zero = torch.randn(4, 30, 3), torch.zeros(4, 8)
    torch.testing.assert_close(lstm(x, (zero, zero), weight_ih, weight_hh, bias)[0], layer(x)[0], rtol=0, atol=1e-6)


def test_a_cell_by_hand() -> None:
    one = torch.ones(1, 1, dtype=torch.double)
    weight = torch.tensor([[1.0], [2.0], [3.0], [4.0]], dtype=torch.double)
    h, c = lstm_cell(one, (one, one), weight, 0 * weight, torch.zeros(4, dtype=torch.double))
    sigmoid = torch.sigmoid(weight[:, 0])
    expected = sigmoid[1] * 1.0 + sigmoid[0] * torch.tanh(weight[2, 0])
    assert c.item() == pytest.approx(expected.item(), abs=1e-12)
    assert h.item() == pytest.approx((sigmoid[3] * torch.tanh(expected)).item(), abs=1e-12)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_unit_equals_torch_and_goes_on_from_a_state(layers: int) -> None:
    torch.manual_seed(0)
    unit = LSTMUnit(3, 5, layers)
    whole = nn.LSTM(3, 5, layers, batch_first=True)
    for number, layer in enumerate(unit.layers):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            whole.get_parameter(f"{name}_l{number}").data.copy_(layer.get_parameter(f"{name}_l0"))
    x = torch.randn(2, 11, 3)
    y, (h, c) = whole(x)
    own, state = unit(x)
    torch.testing.assert_close(own, y, rtol=0, atol=1e-6)
    torch.testing.assert_close(torch.cat([one[0] for one in state]), h, rtol=0, atol=1e-6)
    torch.testing.assert_close(torch.cat([one[1] for one in state]), c, rtol=0, atol=1e-6)
    first, state = unit(x[:, :4])
    second, _ = unit(x[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), y, rtol=0, atol=1e-6)


def test_locked_dropout_has_one_mask_for_all_steps() -> None:
    torch.manual_seed(0)
    y = locked_dropout(torch.ones(16, 7, 50), 0.4)
    assert (y == y[:, :1]).all()
    assert sorted(y.unique().tolist()) == pytest.approx([0.0, 1 / 0.6])
    assert not torch.equal(y[0], y[1])
    assert (y == 0).float().mean().item() == pytest.approx(0.4, abs=0.06)


KINDS = ["input_dropout", "layer_dropout", "recurrent_dropout", "weight_drop"]


@pytest.mark.parametrize("kind", KINDS)
def test_regularisation_acts_in_training_only(kind: str) -> None:
    torch.manual_seed(0)
    plain = LSTMUnit(3, 16, 2)
    unit = LSTMUnit(3, 16, 2, **{kind: 0.5})  # pyright: ignore[reportArgumentType]
    unit.load_state_dict(plain.state_dict())
    x = torch.randn(4, 9, 3)
    before = plain(x)[0]
    dropped = unit(x)[0]
    assert not torch.allclose(dropped, before)
    assert not torch.allclose(unit(x)[0], dropped)
    unit.eval()
    assert torch.equal(unit(x)[0], before)
    if kind == "recurrent_dropout":
        assert torch.equal(dropped[:, 0], before[:, 0]), "nothing is carried over before the first step"


@pytest.mark.parametrize("kind", ["recurrent_dropout", "weight_drop"])
def test_gradients_pass_the_recurrent_mask(kind: str) -> None:
    torch.manual_seed(1)
    unit = LSTMUnit(2, 8, **{kind: 0.5})  # pyright: ignore[reportArgumentType]
    unit(torch.randn(3, 6, 2))[0].sum().backward()
    gradient = unit.layers[0].get_parameter("weight_hh_l0").grad
    assert gradient is not None
    none = gradient == 0
    if kind == "recurrent_dropout":
        assert (none == none[:1]).all(), "whole columns are dropped: a hidden unit, for every gate"
    assert 0.2 < none.float().mean().item() < 0.8


def test_recurrent_dropout_is_dropout_on_the_hidden_state() -> None:
    torch.manual_seed(2)
    unit = LSTMUnit(2, 6, recurrent_dropout=0.5)
    layer = unit.layers[0]
    x = torch.randn(3, 5, 2)
    torch.manual_seed(7)
    y, _ = unit(x)
    torch.manual_seed(7)
    nn.functional.dropout(layer.get_parameter("weight_hh_l0"), 0.0)
    mask = nn.functional.dropout(torch.ones(1, 6), 0.5)
    bias = layer.get_parameter("bias_ih_l0") + layer.get_parameter("bias_hh_l0")
    h = c = torch.zeros(3, 6)
    for step in range(5):
        h, c = lstm_cell(x[:, step], (h * mask, c), layer.get_parameter("weight_ih_l0"), layer.get_parameter("weight_hh_l0"), bias)
        torch.testing.assert_close(y[:, step], h, rtol=0, atol=1e-6)


def test_first_weights() -> None:
    torch.manual_seed(0)
    unit = LSTMUnit(7, 16, 2)
    for layer, inputs in zip(unit.layers, (7, 16), strict=True):
        for block in layer.get_parameter("weight_hh_l0").split(16):
            torch.testing.assert_close(block @ block.T, torch.eye(16), rtol=0, atol=1e-5)
        limit = (6 / (inputs + 16)) ** 0.5
        for block in layer.get_parameter("weight_ih_l0").split(16):
            assert 0.8 * limit < block.abs().max().item() <= limit
        bias = layer.get_parameter("bias_ih_l0") + layer.get_parameter("bias_hh_l0")
        assert torch.equal(bias, torch.cat([torch.zeros(16), torch.ones(16), torch.zeros(32)]))
