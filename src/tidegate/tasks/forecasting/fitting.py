"""Training a forecaster from material that is gathered."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from tidegate.config import AttentionCNNLSTMSettings, Config, TrainingSettings
from tidegate.data.windows import Batch, Origins, OriginSet, Windows
from tidegate.nn.forecaster import ForecastNetwork, build_network
from tidegate.tasks.computing import computing
from tidegate.tasks.forecasting.material import Material
from tidegate.tasks.forecasting.model import ForecastModel, batch_loss, conformal_residuals, empty_sequences
from tidegate.tasks.training import Listener, Saver
from tidegate.train.events import Event, Stopped
from tidegate.train.loop import INTERRUPTED, Checkpoint, Job, fit
from tidegate.train.loss import build_loss
from tidegate.train.lr_finder import find_learning_rate


class EpochBatches:
    """The training batches of one epoch: which windows, in which order, follows from seed and epoch alone."""

    def __init__(self, windows: Windows, origins: Origins, settings: TrainingSettings, epoch: int) -> None:
        random = np.random.default_rng((settings.seed, epoch))
        self._numbers = origins.draw(settings.windows_per_epoch, random)
        self._origins, self._source, self._size = origins, windows, settings.batch_size or 1
        self.windows = len(self._numbers)

    def __len__(self) -> int:
        return -(-self.windows // self._size)

    def __getitem__(self, number: int) -> Batch:
        return self._source.batch(*self._origins.locate(self._numbers[number * self._size : (number + 1) * self._size]))


class OriginBatches:
    """The windows of a set of origins, in batches."""

    def __init__(self, origins: OriginSet, size: int) -> None:
        self._origins, self._size = origins, size
        self.windows = len(origins)

    def __len__(self) -> int:
        return -(-self.windows // self._size)

    def __getitem__(self, number: int) -> Batch:
        return self._origins.batch(number * self._size, (number + 1) * self._size)


def new_network(material: Material, config: Config) -> ForecastNetwork:
    """The network with initial weights that follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        network = build_network(material.shape, config.network)
    if config.network.linear_base == "ridge":
        network.fix_linear(torch.from_numpy(material.ridge.weights))
    return network.to(config.training.device)


@dataclass(frozen=True)
class Fitted:
    """A trained model, or one whose training was interrupted."""

    model: ForecastModel
    interrupted: bool


def fit_model(
    material: Material,
    config: Config,
    *,
    listen: Listener,
    save: Saver | None = None,
    checkpoint: Checkpoint | None = None,
    interrupted: Callable[[], bool] = lambda: False,
    residuals: np.ndarray | None = None,
) -> Fitted:
    """Train as `config` (nothing open) says, telling `listen` of each event. Intervals come from the validation part, or are given."""
    with computing(config.training.threads):
        network = new_network(material, config)
        ended = Stopped("", 0, 0, 0.0, 0.0)
        for event in training_events(material, config, network, save, checkpoint, interrupted):
            listen(event)
            ended = event if isinstance(event, Stopped) else ended
        if residuals is None:
            levels = tuple(sorted({*config.training.quantiles, 0.5}))
            residuals = conformal_residuals(network, material.validation_set(config.training.validation_windows), levels)
    schema = empty_sequences(material.sequences.channels, material.sequences.static_channels, material.sequences.frequency)
    id_type = str(material.table.schema[config.data.id]) if config.data.id else "String"
    model = ForecastModel(config, material.shape, schema, material.prepared.preparation, network, residuals, ended.best_epoch, id_type)
    return Fitted(model, ended.reason == INTERRUPTED)


def training_events(
    material: Material,
    config: Config,
    network: ForecastNetwork,
    save: Saver | None,
    checkpoint: Checkpoint | None,
    interrupted: Callable[[], bool],
) -> Iterator[Event]:
    """The loop on this material."""
    settings = config.training
    loss = build_loss(settings)
    origins = material.training_origins()
    job = Job(
        network,
        lambda net, batch: batch_loss(loss, net, batch),
        lambda epoch: EpochBatches(material.windows, origins, settings, epoch),
        OriginBatches(material.validation_set(settings.validation_windows), 2 * (settings.batch_size or 1)),
        settings,
        settings.device,
        save,
        interrupted,
    )
    with torch.random.fork_rng(devices=[]):
        yield from fit(job, checkpoint)


def with_learning_rate(material: Material, config: Config) -> tuple[Config, list[str]]:
    """The config with the learning rate found, where it is 'auto', and a line that says so."""
    if config.training.learning_rate != "auto":
        return config, []
    settings = config.training.model_copy(update={"learning_rate": 1e-3})
    loss, origins = build_loss(settings), material.training_origins()
    batches = EpochBatches(material.windows, origins, settings, 0)
    endless = (batches[number % len(batches)] for number in itertools.count())
    with computing(settings.threads), torch.random.fork_rng(devices=[]):
        curve = find_learning_rate(new_network(material, config), lambda net, batch: batch_loss(loss, net, batch), endless, settings)
    found = config.model_copy(update={"training": settings.model_copy(update={"learning_rate": curve.suggestion})})
    return found, [f"learning rate: {curve.suggestion:.2g}, from the finder"]


def without_attention(config: Config) -> Config:
    """The same network without its attention branch."""
    assert isinstance(config.network, AttentionCNNLSTMSettings)
    return config.model_copy(update={"network": config.network.model_copy(update={"attention": "none"})})
