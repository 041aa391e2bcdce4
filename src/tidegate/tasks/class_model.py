"""A trained classifier: network, scale, classes and settings together, and how its weights are found."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tidegate.config_classify import ClassConfig
from tidegate.data.labelled import LabelledSequences
from tidegate.data.scale import Scaler
from tidegate.data.sequence_batches import SequenceBatch, batches_at_random, batches_in_order, cut_batch
from tidegate.data.sequences import Sequences
from tidegate.evaluate.classify import apply_temperature, fit_temperature
from tidegate.tasks.class_material import ClassMaterial
from tidegate.tasks.fitting import Listener, Saver, computing
from tidegate.train.events import Stopped
from tidegate.train.loop import INTERRUPTED, Checkpoint, Job, fit

PREDICT_STEPS = 1 << 17
"""Steps that pass the network together when it is not training."""


@dataclass(frozen=True)
class ClassModel:
    """What a run keeps.

    classes      names, in the order of the probabilities
    channels     names
    temperature  what the logits are divided by (Guo et al. 2017); 1 where nothing was held aside
    best_epoch   the epoch, from 0, whose weights these are
    """

    config: ClassConfig
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    scaler: Scaler
    network: nn.Module
    temperature: float
    best_epoch: int

    def probabilities(self, data: LabelledSequences) -> np.ndarray:
        """Float64 [n, K] of sequences on the scale of training."""
        return apply_temperature(logits_of(self.network, data.sequences, np.arange(len(data)), len(self.classes)), self.temperature)


class SequenceBatches:
    """Batches of the sequences with these numbers, cut when they are asked for."""

    def __init__(self, sequences: Sequences, numbers: list[np.ndarray]) -> None:
        self._sequences, self._numbers = sequences, numbers
        self.windows = sum(map(len, numbers))

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: int) -> SequenceBatch:
        return cut_batch(self._sequences, self._numbers[number])


def epoch_batches(material: ClassMaterial, size: int, epoch: int) -> SequenceBatches:
    """The training batches of one epoch: which sequences, in which order, follows from seed and epoch alone."""
    sequences = material.data.sequences
    random = np.random.default_rng((material.config.training.seed, epoch))
    return SequenceBatches(sequences, batches_at_random(material.train, sequences.lengths, size, random))


@dataclass(frozen=True)
class FittedClasses:
    """A trained model, or one whose training was interrupted."""

    model: ClassModel
    interrupted: bool


def fit_classes(
    material: ClassMaterial,
    network: nn.Module,
    *,
    listen: Listener,
    save: Saver | None = None,
    checkpoint: Checkpoint | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> FittedClasses:
    """Train `network` in place, telling `listen` of each event; the temperature comes from what was held aside."""
    config = material.config
    settings = config.training
    size = settings.batch_size or default_batch_size(len(material.train))
    sequences = material.data.sequences
    job = Job(
        network.to(settings.device),
        class_loss(material),
        lambda epoch: epoch_batches(material, size, epoch),
        SequenceBatches(sequences, batches_in_order(material.validation, sequences.lengths, 4 * size)),
        settings,
        settings.device,
        save,
        interrupted,
    )
    ended = Stopped("", 0, 0, 0.0, 0.0)
    with computing(settings.threads), torch.random.fork_rng(devices=[]):
        for event in fit(job, checkpoint):
            listen(event)
            ended = event if isinstance(event, Stopped) else ended
        held = logits_of(network, sequences, material.validation, len(material.data.classes))
    temperature = fit_temperature(held, material.data.labels[material.validation])
    channels = tuple(channel.name for channel in sequences.channels)
    model = ClassModel(config, material.data.classes, channels, material.scaler, network, temperature, ended.best_epoch)
    return FittedClasses(model, ended.reason == INTERRUPTED)


def default_batch_size(sequences: int) -> int:
    """64, but at least eight batches in an epoch, of at least 4."""
    return min(64, max(4, sequences // 8))


def class_loss(material: ClassMaterial) -> Callable[[nn.Module, SequenceBatch], tuple[Tensor, int]]:
    """Mean cross-entropy of a batch and how many sequences it is over. Smoothing and weights hold for training, where the network is in
    its training mode; what is held aside is judged by the plain log loss."""
    settings = material.config.training
    labels = torch.from_numpy(material.data.labels)
    weights: Tensor | None = None
    if settings.class_weights == "balanced":
        weights = torch.from_numpy(class_weights(material.data.labels[material.train], len(material.data.classes)))

    def loss(network: nn.Module, batch: SequenceBatch) -> tuple[Tensor, int]:
        logits_BK = run(network, batch)
        truth_B = labels[torch.from_numpy(batch.numbers_B)].to(logits_BK.device)
        if not network.training:
            return functional.cross_entropy(logits_BK, truth_B), len(truth_B)
        weight = None if weights is None else weights.to(logits_BK)
        return functional.cross_entropy(logits_BK, truth_B, weight, label_smoothing=settings.label_smoothing), len(truth_B)

    return loss


def class_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """By which the loss of each class is multiplied so that all count the same; their mean over the sequences is 1. float64 [K]."""
    counts = np.bincount(labels, minlength=num_classes)
    return np.where(counts > 0, len(labels) / np.maximum(counts, 1) / np.count_nonzero(counts), 0.0)


def run(network: nn.Module, batch: SequenceBatch) -> Tensor:
    """Logits [B, K]."""
    device = next(network.parameters()).device
    return network(torch.from_numpy(batch.x_BTC).to(device), torch.from_numpy(batch.lengths_B).to(device)).logits_BK


def logits_of(network: nn.Module, sequences: Sequences, numbers: np.ndarray, num_classes: int) -> np.ndarray:
    """Logits float64 [len(numbers), K], in the order of `numbers`."""
    network.eval()
    found = np.zeros((len(numbers), num_classes))
    lengths = sequences.lengths[numbers]
    places = np.argsort(-lengths, kind="stable")
    with torch.no_grad():
        while len(places):
            size = max(1, PREDICT_STEPS // max(1, int(lengths[places[0]])))  # the first is the longest
            some, places = places[:size], places[size:]
            found[some] = run(network, cut_batch(sequences, numbers[some])).double().cpu().numpy()
    return found
