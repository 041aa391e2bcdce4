"""A trained forecaster: network, preparation and settings together, and how it is kept in files."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tidegate.config import Config, build_config
from tidegate.data.calendar import Frequency
from tidegate.data.preparation import Preparation
from tidegate.data.sequences import Channel, Sequences
from tidegate.data.windows import Batch, OriginSet
from tidegate.nn.forecaster import ForecastNetwork, Inputs, Shape, build_network
from tidegate.train.loss import Loss, observed_mean

PREDICT_WINDOWS = 512
"""Windows that pass the network together when it is not training."""


@dataclass(frozen=True)
class Predictions:
    """point [M, N, C]; quantiles [M, N, C, Q] at `levels`, ascending; attention [M, C or 1, S] or None. Original units, float32."""

    point: np.ndarray
    quantiles: np.ndarray
    levels: tuple[float, ...]
    attention: np.ndarray | None


@dataclass(frozen=True)
class ForecastModel:
    """What a run keeps.

    schema     the training sequences without their values: channels, categories, frequency
    residuals  float32 [N, C, Q]: what is added, in scaled units, for each quantile: to the point forecast, or to the network's own
               quantile. NaN where the validation part cannot tell: the network's own quantile stays as it is, any other is NaN
    best_epoch the epoch, from 0, whose weights these are
    id_type    the type of the column that names the series, as polars calls it; String where there is none
    """

    config: Config
    shape: Shape
    schema: Sequences
    preparation: Preparation
    network: ForecastNetwork
    residuals: np.ndarray
    best_epoch: int
    id_type: str = "String"

    @property
    def levels(self) -> tuple[float, ...]:
        """Quantile levels of `predict`, ascending, the median among them."""
        return tuple(sorted({*self.config.training.quantiles, 0.5}))

    def predict(self, origins: OriginSet, attention: bool = False) -> Predictions:
        """Forecasts at the given origins."""
        parts = [self._predict(origins, begin, attention) for begin in range(0, len(origins), PREDICT_WINDOWS)]
        weights = [part[2] for part in parts if part[2] is not None]
        point = np.concatenate([part[0] for part in parts])
        quantiles = np.concatenate([part[1] for part in parts])
        return Predictions(point, quantiles, self.levels, np.concatenate(weights) if weights else None)

    def _predict(self, origins: OriginSet, begin: int, attention: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        batch = origins.batch(begin, begin + PREDICT_WINDOWS)
        self.network.eval()
        with torch.no_grad():
            forecast = self.network(to_inputs(batch, device_of(self.network)))
        scaled = forecast.forecast_BNCQ.cpu().numpy()
        middle = self.levels.index(0.5)
        own = scaled.shape[-1] == len(self.levels)
        scaled = scaled + (np.nan_to_num(self.residuals) if own else self.residuals)
        scaled[..., : middle + 1] = np.minimum.accumulate(scaled[..., middle::-1], -1)[..., ::-1]
        scaled[..., middle:] = np.maximum.accumulate(scaled[..., middle:], -1)
        columns = origins.windows.target_columns
        values = origins.windows.prepared.scaler.invert(scaled, batch.series_B, columns).astype(np.float32)
        weights = forecast.attention_BCS.cpu().numpy() if attention and forecast.attention_BCS is not None else None
        return values[..., middle], values, weights

    def parameters(self) -> int:
        """Number of weights."""
        return sum(weight.numel() for weight in self.network.parameters())

    def to_tensors(self) -> dict[str, Tensor]:
        """All that model.safetensors holds."""
        tensors = {f"network.{name}": value.detach().cpu().contiguous() for name, value in self.network.state_dict().items()}
        return tensors | {"residuals": torch.from_numpy(self.residuals)}

    def to_json(self) -> dict[str, Any]:
        """All that preparation.json holds: the channels, the step of time, the fitted steps, the shape of the network."""
        schema = self.schema
        return {
            "frequency": schema.frequency.to_json(),
            "channels": [_channel_json(channel) for channel in schema.channels],
            "static_channels": [_channel_json(channel) for channel in schema.static_channels],
            "shape": self.shape._asdict(),
            "best_epoch": self.best_epoch,
            "id_type": self.id_type,
            **self.preparation.to_json(),
        }

    @staticmethod
    def from_files(config_text: str, preparation_text: str, tensors: dict[str, np.ndarray], device: str) -> "ForecastModel":
        """The model that was kept. Raises TidegateError for settings that this version does not know."""
        config = build_config(json.loads(config_text))
        tree = json.loads(preparation_text)
        fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in tree["shape"].items()}
        shape = Shape(**fields)
        network = build_network(shape, config.network)
        weights = {name.removeprefix("network."): torch.from_numpy(value) for name, value in tensors.items() if name.startswith("network.")}
        network.load_state_dict(weights)
        network = network.to(device).eval()
        preparation = Preparation.from_json(tree)
        id_type = tree.get("id_type", "String")  # a folder may not say
        return ForecastModel(config, shape, schema_of(tree), preparation, network, tensors["residuals"], tree["best_epoch"], id_type)


def schema_of(tree: dict[str, Any]) -> Sequences:
    """Sequences without values, as preparation.json describes them."""
    channels = tuple(_channel(entry) for entry in tree["channels"])
    static = tuple(_channel(entry) for entry in tree["static_channels"])
    return empty_sequences(channels, static, Frequency.from_json(tree["frequency"]))


def empty_sequences(channels: tuple[Channel, ...], static: tuple[Channel, ...], frequency: Frequency) -> Sequences:
    """No sequence, with these channels."""
    none = np.zeros(0, np.int64)
    return Sequences(
        np.zeros((0, len(channels)), np.float32),
        np.zeros(1, np.int64),
        (),
        channels,
        frequency,
        none,
        np.zeros((0, len(static)), np.float32),
        static,
        none,
    )


def _channel_json(channel: Channel) -> dict[str, Any]:
    return {"name": channel.name, "role": channel.role, "categories": None if channel.categories is None else list(channel.categories)}


def _channel(tree: dict[str, Any]) -> Channel:
    return Channel(tree["name"], tree["role"], None if tree["categories"] is None else tuple(tree["categories"]))


def device_of(network: nn.Module) -> torch.device:
    """Where the weights are."""
    return next(network.parameters()).device


def to_inputs(batch: Batch, device: torch.device) -> Inputs:
    """The network's part of a batch, as tensors."""
    arrays = (batch.target_BLC, batch.past_BLP, batch.known_BTK, batch.static_BK)
    return Inputs(*(torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(device) for array in arrays))


def filled_notes(model: ForecastModel, origins: OriginSet) -> list[str]:
    """A line each if the targets of a lookback or the numbers among its covariates are missing and the network was never shown that."""
    if model.shape.indicator:
        return []
    past, known = (np.array([not categories for categories in kinds], bool) for kinds in (model.shape.past, model.shape.known))
    targets = covariates = False
    for begin in range(0, len(origins), PREDICT_WINDOWS):
        batch = origins.batch(begin, begin + PREDICT_WINDOWS)
        targets = targets or bool(np.isnan(batch.target_BLC).any())
        covariates = covariates or bool(np.isnan(batch.past_BLP[..., past]).any() or np.isnan(batch.known_BTK[..., known]).any())
    notes = []
    if targets:
        notes.append("missing values in the lookback, which training did not have: the last value before each stands in")
    if covariates:
        notes.append("missing values in covariates, which training did not have: their mean in training stands in")
    return notes


def batch_loss(loss: Loss, network: nn.Module, batch: Batch) -> tuple[Tensor, int]:
    """Mean loss over the batch's observed values, and how many there are."""
    device = device_of(network)
    truth = torch.from_numpy(np.ascontiguousarray(batch.truth_BNC, np.float32)).to(device)
    return observed_mean(loss, network(to_inputs(batch, device)).forecast_BNCQ, truth)


def conformal_residuals(network: ForecastNetwork, origins: OriginSet, levels: tuple[float, ...]) -> np.ndarray:
    """Split conformal prediction (Vovk et al. 2005; Lei et al. 2018), each side by itself: for each level the quantile of the residuals on
    validation origins, in scaled units, for each lead time and target; [N, C, Q], 0 at the median. Where the network gives quantiles
    itself, each level's residuals are taken from its own output (conformalised quantile regression, Romano et al. 2019). With fewer than 40
    residuals at a lead time, those of all lead times count together.
    """
    errors = np.concatenate([_residuals(network, origins, begin) for begin in range(0, len(origins), PREDICT_WINDOWS)])
    if np.isfinite(errors).sum(0).min() < 40:
        errors = np.broadcast_to(errors.reshape(-1, 1, *errors.shape[2:]), (errors.shape[0] * errors.shape[1], *errors.shape[1:]))
    own = errors.shape[-1] == len(levels)
    return np.stack([_conformal(errors[..., number if own else 0], level) for number, level in enumerate(levels)], -1).astype(np.float32)


def _residuals(network: ForecastNetwork, origins: OriginSet, begin: int) -> np.ndarray:
    """Truth minus each of the network's outputs, [B, N, C, outputs]."""
    batch = origins.batch(begin, begin + PREDICT_WINDOWS)
    network.eval()
    with torch.no_grad():
        forecast = network(to_inputs(batch, device_of(network))).forecast_BNCQ
    return batch.truth_BNC[..., None] - forecast.cpu().numpy()


def _conformal(errors_MNC: np.ndarray, level: float) -> np.ndarray:
    """The residual that a new one lies below with probability `level`: the ceil(q (n+1))-th smallest of n (q < 1/2: mirrored)."""
    if level == 0.5:
        return np.zeros(errors_MNC.shape[1:])
    if level < 0.5:
        return -_conformal(-errors_MNC, 1.0 - level)
    ordered = np.sort(errors_MNC, 0)
    count = np.isfinite(errors_MNC).sum(0)
    rank = np.minimum(np.ceil(level * (count + 1)), count).astype(np.int64) - 1
    return np.take_along_axis(ordered, np.maximum(rank, 0)[None], 0)[0]
