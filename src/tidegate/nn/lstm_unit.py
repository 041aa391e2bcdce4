"""The LSTM unit of the networks: stacked layers with the regularisation that suits them."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from tidegate.nn.init import initialise_lstm
from tidegate.nn.lstm import LSTM
from tidegate.nn.reference import State


def locked_dropout(x_BTI: Tensor, rate: float) -> Tensor:
    """Dropout with one mask for all steps of a sequence (Gal and Ghahramani 2016). [B, T, I] in and out."""
    mask_B1I = functional.dropout(torch.ones_like(x_BTI[:, :1]), rate)
    return x_BTI * mask_B1I


class LSTMUnit(nn.Module):
    """Stacked LSTM layers in one or both directions (D), [B, T, I] -> [B, T, D*H].

    input_dropout, layer_dropout   one mask over time, on the inputs and between layers
    recurrent_dropout              on the hidden state that goes to the next step, one mask over time. The mask is shared by the sequences
                                   of a batch: it is then a mask on the columns of the recurrent weights, and the fused kernels still run
    weight_drop                    on single recurrent weights, one mask over time (DropConnect; Merity et al. 2018)
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        layers: int = 1,
        input_dropout: float = 0.0,
        layer_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        weight_drop: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        self.features = hidden * (1 + bidirectional)
        widths = [inputs] + [self.features] * (layers - 1)
        self.layers = nn.ModuleList(LSTM(width, hidden, batch_first=True, bidirectional=bidirectional) for width in widths)
        self.input_dropout, self.layer_dropout = input_dropout, layer_dropout
        self.recurrent_dropout, self.weight_drop = recurrent_dropout, weight_drop
        for layer in self.layers:
            assert isinstance(layer, LSTM)
            initialise_lstm(layer)

    def forward(self, x_BTI: Tensor, state: list[State] | None = None, lengths_B: Tensor | None = None) -> tuple[Tensor, list[State]]:
        """All hidden states of the top layer and the last states of each layer, [D, B, H] each; `state` as an earlier call returned it.

        lengths_B  steps of each sequence, behind which outputs are zero; None: all T.
        """
        last = []
        for layer in self.layer_by_layer(x_BTI, state, lengths_B):
            x_BTI = layer[0]
            last.append(layer[1])
        return x_BTI, last

    def layer_by_layer(
        self, x_BTI: Tensor, state: list[State] | None = None, lengths_B: Tensor | None = None
    ) -> Iterator[tuple[Tensor, State]]:
        """All hidden states [B, T, D*H] and the last states of each layer, from the lowest to the top one; see `forward`."""
        for number, layer in enumerate(self.layers):
            rate = self.layer_dropout if number else self.input_dropout
            if self.training and rate:
                x_BTI = locked_dropout(x_BTI, rate)
            given = (x_BTI, state[number] if state else None, lengths_B)
            dropped = self._dropped(layer)
            x_BTI, states = functional_call(layer, dropped, given) if dropped else layer(*given)
            yield x_BTI, states

    def _dropped(self, layer: nn.Module) -> dict[str, Tensor]:
        """The recurrent weights as this batch sees them; none where they are as they are."""
        if not (self.training and (self.recurrent_dropout or self.weight_drop)):
            return {}
        dropped = {}
        for name, weight in layer.named_parameters():
            if name.startswith("weight_hh"):
                weight = functional.dropout(weight, self.weight_drop)
                dropped[name] = weight * functional.dropout(torch.ones_like(weight[:1]), self.recurrent_dropout)
        return dropped
