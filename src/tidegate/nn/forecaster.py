"""Forecasting networks: a lookback of targets and covariates in, all lead times out at once.

Shape letters: B windows, L lookback, N horizon, C targets, P past covariates, K known covariates, Q outputs for each value (1, or the
quantiles), S subsequences, H hidden, E covariate features. With shared channels the B windows of C targets are B*C sequences.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from tidegate.config import AttentionCNNLSTMSettings, CommonNetworkSettings, LSTMSettings
from tidegate.nn.attention_cnn import AttentionCNN
from tidegate.nn.covariates import CovariateUnit
from tidegate.nn.heads import ForecastHead
from tidegate.nn.lstm_unit import LSTMUnit
from tidegate.nn.reference import State
from tidegate.nn.window_scaling import Anchor, find_anchor, last_observed


class Shape(NamedTuple):
    """What a network is built for. past, known, static: an entry a column, 0 for numbers, else how many categories."""

    lookback: int
    horizon: int
    targets: int
    past: tuple[int, ...] = ()
    known: tuple[int, ...] = ()
    static: tuple[int, ...] = ()
    outputs: int = 1
    indicator: bool = False
    """Feed a missing-value indicator beside each number; set where training data has missing values."""
    seasons: tuple[int, ...] = ()
    """Where covariates are known ahead, each lead time also sees the same place of the last season: the value, and its covariates."""


class Inputs(NamedTuple):
    """What a network sees; NaN is missing. With a state given, L is the number of steps since that state."""

    target_BLC: Tensor
    past_BLP: Tensor
    known_BTK: Tensor
    """T = L + N: over the lookback and over the horizon."""
    static_BK: Tensor


class ForecastState(NamedTuple):
    """What an LSTM carries on: the window's anchor, the state of each layer, and the last L scaled targets and known covariates (for the
    linear base and for the seasons)."""

    anchor: Anchor
    lstm: list[State] | None
    recent_BLC: Tensor
    recent_known_BLE: Tensor


class Forecast(NamedTuple):
    """forecast [B, N, C, Q] in the units of the input; state (None if the network is not causal); attention [B, C or 1, S] or None."""

    forecast_BNCQ: Tensor
    state: ForecastState | None = None
    attention_BCS: Tensor | None = None


class ForecastNetwork(nn.Module):
    """What the networks share: window scaling, missing values, covariates, and the output unit on the last hidden state."""

    def __init__(self, shape: Shape, settings: CommonNetworkSettings) -> None:
        super().__init__()
        self.shape, self.settings = shape, settings
        self.shared = settings.channels == "shared"
        self.past = CovariateUnit(shape.past, shape.indicator)
        self.known = CovariateUnit(shape.known, shape.indicator)
        self.static = CovariateUnit(shape.static, shape.indicator)
        channels = 1 if self.shared else shape.targets
        self.inputs = channels * (1 + shape.indicator) + self.past.features + self.known.features
        self.seasons = [_last_season(season, shape) for season in shape.seasons if season <= shape.lookback]
        steps = self.known.features + len(self.seasons) * (self.known.features + channels) if self.known.features else 0
        self.head = ForecastHead(settings.hidden, steps, self.static.features, shape.horizon, channels, shape.outputs, settings.dropout)
        self.linear = None
        if settings.linear_base != "none":
            self.linear = nn.Linear(shape.lookback, shape.horizon)
            nn.init.zeros_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)
            self.linear.requires_grad_(settings.linear_base == "learned")

    def fix_linear(self, weight_LN: Tensor) -> None:
        """Set the linear base to the forecast `last + (x - last) weight`, whatever shift and scale the windows have."""
        assert self.linear is not None
        with torch.no_grad():
            self.linear.weight.copy_(weight_LN.T)
            self.linear.weight[:, -1] += 1.0 - weight_LN.sum(0)

    def encode(self, x_BLI: Tensor, state: list[State] | None) -> tuple[Tensor, list[State] | None, Tensor | None]:
        """Last hidden state [B, H], the state to carry on (None if not causal), attention [B, S] or None."""
        raise NotImplementedError

    def initial_state(self, target_BLC: Tensor) -> ForecastState:
        """The state before the first step, for feeding a window step by step: scaled by the whole window's anchor."""
        anchor = find_anchor(target_BLC, self.settings.window_scaling)
        batch, _, channels = target_BLC.shape
        recent = [target_BLC.new_zeros(batch, self.shape.lookback, width) for width in (channels, self.known.features)]
        return ForecastState(anchor, None, *recent)

    def forward(self, inputs: Inputs, state: ForecastState | None = None) -> Forecast:
        """The forecast of the N steps that follow the last one given."""
        start = state or self.initial_state(inputs.target_BLC)
        z_BLC = (inputs.target_BLC - start.anchor.shift) / start.anchor.scale
        missing_BLC = z_BLC.isnan()
        z_BLC = last_observed(torch.cat([start.recent_BLC[:, -1:], z_BLC], 1))[:, 1:]
        steps = z_BLC.shape[1]
        known_BTE = self.known(inputs.known_BTK)
        hidden, lstm_state, attention = self.encode(self._sequences(inputs, z_BLC, missing_BLC, known_BTE[:, :steps]), start.lstm)
        recent_BLC = torch.cat([start.recent_BLC[:, steps:], z_BLC], 1)
        recent_known_BLE = torch.cat([start.recent_known_BLE[:, steps:], known_BTE[:, :steps]], 1)
        each_step = self._each_step(known_BTE[:, steps:], recent_BLC, recent_known_BLE)
        y_BNCQ = self.head(hidden, each_step, self.static(inputs.static_BK))
        if self.linear is not None:
            y_BNCQ = y_BNCQ + self.linear(recent_BLC.transpose(1, 2)).transpose(1, 2)[..., None]
        forecast = y_BNCQ * start.anchor.scale[..., None] + start.anchor.shift[..., None]
        after = None if lstm_state is None else ForecastState(start.anchor, lstm_state, recent_BLC, recent_known_BLE)
        if attention is not None:
            attention = attention.view(z_BLC.shape[0], -1, attention.shape[-1])
        return Forecast(forecast, after, attention)

    def _each_step(self, known_BNE: Tensor, recent_BLC: Tensor, recent_known_BLE: Tensor) -> Tensor:
        """What is known of each lead time: its covariates, and the value and covariates one season before; [B*C or B, N, E]."""
        rows = recent_BLC.shape[2] if self.shared else 1
        if not known_BNE.shape[2]:
            return known_BNE.repeat_interleave(rows, 0)
        covariates = torch.cat([known_BNE, *(recent_known_BLE[:, place] for place in self.seasons)], 2).repeat_interleave(rows, 0)
        values = [recent_BLC[:, place] for place in self.seasons]
        if self.shared:
            values = [value.transpose(1, 2).reshape(-1, self.shape.horizon, 1) for value in values]
        return torch.cat([covariates, *values], 2)

    def _sequences(self, inputs: Inputs, z_BLC: Tensor, missing_BLC: Tensor, known_BLE: Tensor) -> Tensor:
        """Targets, indicators and covariates side by side: [B*C, L, I] with shared channels, else [B, L, I]."""
        steps, channels = z_BLC.shape[1:]
        parts = [z_BLC, missing_BLC.to(z_BLC.dtype)] if self.shape.indicator else [z_BLC]
        covariates = [self.past(inputs.past_BLP), known_BLE]
        if self.shared:
            parts = [part.transpose(1, 2).reshape(-1, steps, 1) for part in parts]
            covariates = [
                part.repeat_interleave(channels, 0) if part.shape[2] else part.new_zeros(len(parts[0]), steps, 0) for part in covariates
            ]
        return torch.cat([*parts, *covariates], 2)


def _last_season(season: int, shape: Shape) -> list[int]:
    """For each lead time the step of the lookback that lies a whole number of seasons, the least possible, before it."""
    return [shape.lookback + lead - season * (lead // season + 1) for lead in range(shape.horizon)]


def _lstm_unit(inputs: int, settings: CommonNetworkSettings) -> LSTMUnit:
    return LSTMUnit(
        inputs,
        settings.hidden,
        settings.layers,
        settings.input_dropout,
        settings.layer_dropout,
        settings.recurrent_dropout,
        settings.weight_drop,
    )


class LSTMForecaster(ForecastNetwork):
    """An LSTM over every step of the lookback; causal, so it also runs step by step with its state carried on."""

    def __init__(self, shape: Shape, settings: LSTMSettings) -> None:
        super().__init__(shape, settings)
        self.lstm = _lstm_unit(self.inputs, settings)

    def encode(self, x_BLI: Tensor, state: list[State] | None) -> tuple[Tensor, list[State] | None, Tensor | None]:
        """See ForecastNetwork."""
        hidden_BLH, state = self.lstm(x_BLI, state)
        return hidden_BLH[:, -1], state, None


class AttentionCNNLSTMForecaster(ForecastNetwork):
    """The four-part model of Li, Ning and Guo 2019. Its attention weighs all subsequences against each other, so it takes a whole lookback
    at once and has no state to carry on."""

    def __init__(self, shape: Shape, settings: AttentionCNNLSTMSettings) -> None:
        super().__init__(shape, settings)
        assert settings.subsequence and settings.overlap is not None and settings.kernel, "derived before a network is built"
        self.cnn = AttentionCNN(
            self.inputs, settings.filters, settings.hidden, settings.subsequence, settings.overlap, settings.kernel, settings.attention
        )
        self.lstm = _lstm_unit(settings.hidden, settings)

    def encode(self, x_BLI: Tensor, state: list[State] | None) -> tuple[Tensor, list[State] | None, Tensor | None]:
        """See ForecastNetwork."""
        features_BSF, weights_BS = self.cnn(x_BLI)
        hidden_BSH, _ = self.lstm(features_BSF)
        return hidden_BSH[:, -1], None, weights_BS


def build_network(shape: Shape, settings: LSTMSettings | AttentionCNNLSTMSettings) -> ForecastNetwork:
    """The network that the settings name, with initial weights from torch's current random state."""
    if isinstance(settings, LSTMSettings):
        return LSTMForecaster(shape, settings)
    return AttentionCNNLSTMForecaster(shape, settings)
