"""The LSTM as its six equations: the specification that every faster path is tested against."""

import torch
from torch import Tensor

State = tuple[Tensor, Tensor]


def lstm_cell(x_BI: Tensor, state: State, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor) -> State:
    """One step of Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000.

    weight_ih [4H, I], weight_hh [4H, H], bias [4H]: the gates i, f, g, o one below the other, as in torch.nn.LSTM (whose two
    biases are summed here). Returns hidden and cell state, each [B, H].
    """
    h_BH, c_BH = state
    i, f, g, o = (x_BI @ weight_ih.T + h_BH @ weight_hh.T + bias).chunk(4, dim=1)
    input_gate = torch.sigmoid(i)
    forget_gate = torch.sigmoid(f)
    candidate = torch.tanh(g)
    output_gate = torch.sigmoid(o)
    c_BH = forget_gate * c_BH + input_gate * candidate
    h_BH = output_gate * torch.tanh(c_BH)
    return h_BH, c_BH


def lstm(x_BTI: Tensor, state: State, weight_ih: Tensor, weight_hh: Tensor, bias: Tensor) -> tuple[Tensor, State]:
    """The cell, step after step: all hidden states [B, T, H] and the last state."""
    hidden = []
    for x_BI in x_BTI.unbind(1):
        state = lstm_cell(x_BI, state, weight_ih, weight_hh, bias)
        hidden.append(state[0])
    return torch.stack(hidden, 1), state
