"""Output units: from the last hidden state to what is asked for."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class ForecastHead(nn.Module):
    """The last hidden state to all lead times at once, so that lead time 1 sees the newest observation.

    A linear map of the hidden state and the static features; where something is known of each lead time (covariates, the season before), a
    small network of that and a view of the hidden state is added. Both begin at zero: before training the forecast is the linear base.
    Q outputs of a value are made to rise (sorted: Chernozhukov et al. 2010), so that quantiles never cross.
    """

    def __init__(self, hidden: int, steps: int, static: int, horizon: int, channels: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.horizon, self.channels, self.outputs, self.dropout = horizon, channels, outputs, dropout
        self.all_leads = nn.Linear(hidden + static, horizon * channels * outputs)
        self.view, self.each_lead = None, None
        last = [self.all_leads]
        if steps:
            self.view = nn.Linear(hidden + static, VIEW)
            wide = nn.Linear(VIEW + steps, 2 * VIEW)
            last.append(nn.Linear(2 * VIEW, channels * outputs))
            self.each_lead = nn.Sequential(wide, nn.GELU(), last[1])
        for layer in last:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, hidden: Tensor, steps: Tensor, static_BE: Tensor) -> Tensor:
        """hidden [B, H] and steps [B, N, E], or [B*C, H] and [B*C, N, E] where channels are shared -> [B, N, C, Q]."""
        windows = static_BE.shape[0]
        rows = hidden.shape[0] // windows
        hidden = functional.dropout(hidden, self.dropout, self.training)
        hidden = torch.cat([hidden, static_BE.repeat_interleave(rows, 0)], 1)
        y = self.all_leads(hidden).view(-1, self.horizon, self.channels, self.outputs)
        if self.view is not None and self.each_lead is not None:
            view = self.view(hidden)[:, None].expand(-1, self.horizon, -1)
            y = y + self.each_lead(torch.cat([view, steps], 2)).view(y.shape)
        y = y.view(windows, rows, self.horizon, self.channels, self.outputs).transpose(1, 2).flatten(2, 3)
        return y if self.outputs == 1 else y.sort(-1).values


VIEW = 32
"""Width of the view of the hidden state that each lead time gets."""
