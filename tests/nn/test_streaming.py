"""A session, fed step by step, says what the LSTM says of the whole sequence."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tidegate.nn import LSTM, LSTMSession
from tidegate.nn import streaming as streaming_module


@pytest.fixture(params=["native", "torch"])
def computed_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "torch":
        monkeypatch.setattr(streaming_module, "library", lambda: None)
    elif streaming_module.library() is None:
        pytest.skip("needs the native kernel")
    return request.param


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("streams", "layers", "inputs", "hidden", "bias"), [(1, 1, 8, 128, True), (3, 2, 5, 17, False), (9, 1, 1, 1, True)]
)
def test_steps_equal_the_whole(
    computed_by: str, dtype: torch.dtype, streams: int, layers: int, inputs: int, hidden: int, bias: bool
) -> None:
    torch.manual_seed(0)
    layer = nn.LSTM(inputs, hidden, layers, bias).to(dtype)
    x = torch.randn(12, streams, inputs, dtype=dtype)
    whole, (h, c) = layer(x)
    session = LSTMSession(layer, streams)
    tolerance = {"rtol": 0, "atol": 1e-6 if dtype == torch.float32 else 1e-12}
    for step in range(12):
        own = session.step(x[step]) if step % 2 else torch.from_numpy(session.step(x[step].numpy()))
        torch.testing.assert_close(own, whole[step].detach(), **tolerance)
    for own, other in zip(session.state, (h, c), strict=True):
        torch.testing.assert_close(own, other.detach(), **tolerance)


def test_a_state_is_set_and_reset(computed_by: str) -> None:
    layer = LSTM(2, 5)
    session, other = LSTMSession(layer), LSTMSession(layer)
    x = torch.randn(2)
    first = session.step(x)
    session.step(x)
    other.state = session.state
    assert torch.equal(other.step(x), session.step(x))
    session.reset()
    assert torch.equal(session.step(x), first)
    with pytest.raises(ValueError, match="expected"):
        session.state = (torch.zeros(1, 1, 4), torch.zeros(1, 1, 5))


def test_weights_are_copied(computed_by: str) -> None:
    layer = LSTM(2, 5)
    session, x = LSTMSession(layer), torch.randn(1, 2)
    expected = LSTMSession(layer).step(x)
    with torch.no_grad():
        layer.get_parameter("weight_ih_l0").zero_()
    assert torch.equal(session.step(x), expected)


@pytest.mark.parametrize(
    "x",
    [torch.zeros(3), torch.zeros(2, 2), torch.zeros(2, dtype=torch.float64), np.zeros(2), np.zeros((1, 3), np.float32)],
)
def test_what_does_not_fit_is_refused(computed_by: str, x: Any) -> None:
    with pytest.raises(ValueError, match="x has the"):
        LSTMSession(LSTM(2, 5)).step(x)


@pytest.mark.parametrize("more", [{"bidirectional": True}, {"proj_size": 2}])
def test_what_cannot_be_streamed(more: dict) -> None:
    with pytest.raises(ValueError, match="plain LSTM"):
        LSTMSession(nn.LSTM(2, 5, **more))
    with pytest.raises(ValueError, match="at least 1"):
        LSTMSession(nn.LSTM(2, 5), 0)
