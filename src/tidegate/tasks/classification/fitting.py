"""Training a classifier from material that is gathered."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tidegate.config_classify import ClassConfig, ClassNetworkSettings, ConvLSTMClassifierSettings
from tidegate.data.augment import augment
from tidegate.data.sequence_batches import SequenceBatch, batches_at_random, batches_in_order, cut_batch
from tidegate.data.sequences import Sequences
from tidegate.evaluate.classify import fit_temperature, softmax
from tidegate.nn.classifier import ClassifierShape, ConvLSTMClassifier, SequenceClassifier, build_classifier
from tidegate.nn.dilated import KERNELS
from tidegate.tasks.classification.material import ClassMaterial
from tidegate.tasks.classification.model import ClassModel, joint_logits, logits_of, run
from tidegate.tasks.computing import computing, resolve_device
from tidegate.tasks.training import Listener, Saver
from tidegate.train.events import Stopped
from tidegate.train.loop import INTERRUPTED, Checkpoint, Job, fit
from tidegate.train.lr_finder import find_learning_rate


class SequenceBatches:
    """Batches of the sequences with these numbers, cut when they are asked for, and changed by `change` (batch, its place)."""

    def __init__(
        self, sequences: Sequences, numbers: list[np.ndarray], change: Callable[[SequenceBatch, int], SequenceBatch] | None = None
    ) -> None:
        self._sequences, self._numbers, self._change, self._table_NTC = sequences, numbers, change, table_of(sequences)
        self.windows = sum(map(len, numbers))

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, number: int) -> SequenceBatch:
        some = self._numbers[number]
        if self._table_NTC is None:
            batch = cut_batch(self._sequences, some)
        else:
            x_BTC = self._table_NTC.index_select(0, torch.from_numpy(some)).numpy()
            batch = SequenceBatch(x_BTC, self._sequences.lengths[some], some)
        return self._change(batch, number) if self._change else batch


def table_of(sequences: Sequences) -> Tensor | None:
    """All sequences as [n, T, C] in the memory that they are in, of which torch's threads gather a batch together; None where they are not
    all of one length, or that memory is not to be written to, as torch wants it."""
    values, lengths = sequences.values, sequences.lengths
    steps = int(lengths.max(initial=0))
    whole = steps > 0 and len(values) == steps * len(sequences) and bool((lengths == steps).all())
    return (
        torch.from_numpy(values).view(len(sequences), steps, -1) if whole and values.flags.writeable and values.flags.c_contiguous else None
    )


def epoch_batches(material: ClassMaterial, config: ClassConfig, size: int, epoch: int) -> SequenceBatches:
    """The training batches of one epoch: which sequences, in which order and how they are changed, follows from seed and epoch alone."""
    sequences, seed = material.data.sequences, config.training.seed
    numbers = batches_at_random(material.train, sequences.lengths, size, np.random.default_rng((seed, epoch)))
    return SequenceBatches(
        sequences, numbers, lambda batch, place: augment(batch, config.training, np.random.default_rng((seed, epoch, place)))
    )


def complete(config: ClassConfig, material: ClassMaterial) -> ClassConfig:
    """The settings with nothing left open: what is None follows from the material."""
    settings = config.training
    network = build_classifier(shape_of(material), config.network).settings
    config = config.model_copy(update={"network": network})
    batch_size = settings.batch_size or default_batch_size(len(material.train), config.network)
    members = settings.members or default_members(config, material)
    found = {
        "batch_size": batch_size,
        "members": members,
        "label_smoothing": default_smoothing(config) if settings.label_smoothing is None else settings.label_smoothing,
        "max_epochs": settings.max_epochs or default_epochs(config, material, batch_size, members),
        "device": resolve_device(settings.device),
        "threads": settings.threads or torch.get_num_threads(),
    }
    return config.model_copy(update={"training": settings.model_copy(update=found)})


MEMBERS = 5
"""As in InceptionTime (Ismail Fawaz et al. 2020)."""
UPDATES = 600
"""Of the weights of a network, where the data is small."""
LEAST_EPOCHS = 20
MOST_WORK = 120_000_000
"""Of all networks together, as `epoch_work` counts: at 2 microseconds each on two cores four minutes."""


def default_smoothing(config: ClassConfig) -> float:
    """A tenth keeps the networks for the archive from being too sure of the few sequences they see."""
    return 0.1 if isinstance(config.network, ConvLSTMClassifierSettings) else 0.0


def default_members(config: ClassConfig, material: ClassMaterial) -> int:
    """Five of the networks for the archive, and fewer where they could not pass over the data `LEAST_EPOCHS` times each; one of others."""
    if not isinstance(config.network, ConvLSTMClassifierSettings):
        return 1
    return min(MEMBERS, max(1, MOST_WORK // (LEAST_EPOCHS * epoch_work(config, material))))


def default_epochs(config: ClassConfig, material: ClassMaterial, batch_size: int, members: int) -> int:
    """As many as make `UPDATES`, at least `LEAST_EPOCHS`, at most what `MOST_WORK` allows."""
    wanted = max(LEAST_EPOCHS, -(-UPDATES // -(-len(material.train) // batch_size)))
    return max(1, min(wanted, MOST_WORK // (members * epoch_work(config, material))))


def epoch_work(config: ClassConfig, material: ClassMaterial) -> int:
    """Steps of all training sequences, times the layers that each of them passes; what comes after the pooling counts for less."""
    steps, network = max(1, int(material.data.sequences.lengths[material.train].sum())), config.network
    if not isinstance(network, ConvLSTMClassifierSettings):
        return steps * network.layers
    coarse = max(0, network.blocks - network.fine_blocks) + network.recurrent * network.layers
    return round(steps * (min(network.blocks, network.fine_blocks) + coarse / (network.pool or 1)))


def shape_of(material: ClassMaterial) -> ClassifierShape:
    """What a network is built for."""
    sequences = material.data.sequences
    steps = int(sequences.lengths[material.known].max())
    return ClassifierShape(len(sequences.channels), len(material.data.classes), steps, material.has_gaps)


def new_network(material: ClassMaterial, config: ClassConfig) -> SequenceClassifier:
    """The network with initial weights that follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        return build_classifier(shape_of(material), config.network).to(config.training.device)


def with_learning_rate(material: ClassMaterial, config: ClassConfig) -> tuple[ClassConfig, list[str]]:
    """The config with the learning rate found, where it is 'auto', and a line that says so."""
    if config.training.learning_rate != "auto":
        return config, []
    settings = config.training.model_copy(update={"learning_rate": 1e-3})
    part, size = material.of_member(0), settings.batch_size or default_batch_size(len(material.train), config.network)
    epochs = (epoch_batches(part, config, size, epoch) for epoch in itertools.count())
    endless = (batches[number] for batches in epochs for number in range(len(batches)))
    with computing(settings.threads), torch.random.fork_rng(devices=[]):
        curve = find_learning_rate(new_network(part, config), class_loss(part, config), endless, settings)
    found = config.model_copy(update={"training": settings.model_copy(update={"learning_rate": curve.suggestion})})
    return found, [f"learning rate: {curve.suggestion:.2g}, from the finder"]


@dataclass(frozen=True)
class FittedClasses:
    """A trained model, or one whose training was interrupted."""

    model: ClassModel
    interrupted: bool


def fit_classes(
    material: ClassMaterial,
    config: ClassConfig,
    *,
    listen: Listener,
    save: Saver | None = None,
    checkpoint: Checkpoint | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> FittedClasses:
    """Train as `config` (nothing open) says, telling `listen` of each event; the temperature comes from what was held aside.

    Then what is solved for is solved for again, with what was held aside. A checkpoint holds the networks of the ensemble that are trained
    already, too.
    """
    networks, best_epochs = _trained_members(material, config, checkpoint)
    stopped = False
    with computing(config.training.threads), torch.random.fork_rng(devices=[]):
        while len(networks) < (config.training.members or 1) and not stopped:
            member, part = _of_member(config, len(networks)), material.of_member(len(networks))
            network = new_network(material, member)
            if checkpoint is None:
                begin = time.monotonic()
                fit_dilated(network, part, member)
                member = _with_less_time(member, 2.0 * (time.monotonic() - begin))  # now, and once more at the end
            before = _member_tensors(networks, best_epochs)
            keep = None if save is None else lambda kept, before=before, save=save: save(Checkpoint(kept.tensors | before, kept.progress))
            ended = Stopped("", 0, 0, 0.0, 0.0)
            for event in fit(_job(part, member, network, keep, interrupted), checkpoint):
                listen(event)
                ended = event if isinstance(event, Stopped) else ended
            networks.append(network)
            best_epochs.append(ended.best_epoch)
            stopped, checkpoint = ended.reason == INTERRUPTED, None
        members = tuple(networks)
        temperature = 1.0
        if not stopped:
            share_outputs(members, material)
            temperature = fit_temperature(*_held_aside(members, material))
            solve_again(members, material, config)
    channels = tuple(channel.name for channel in material.data.sequences.channels)
    best, kind = tuple(best_epochs), material.data.label_kind
    model = ClassModel(config, shape_of(material), material.data.classes, channels, material.scaler, members, temperature, best, kind)
    return FittedClasses(model, stopped)


MOST_SOLVED = 8000
"""Sequences that the solved output is found with, drawn at random from more: its matrices take 3 GB then."""
DILATED = 0x64696C61
"""Beside the seed for what is drawn for the fixed convolutions."""


def fit_dilated(network: SequenceClassifier, material: ClassMaterial, config: ClassConfig) -> None:
    """Where the network has fixed convolutions: their thresholds, and their output, with scores as sharp as those of sequences left out
    allow (Guo et al. 2017)."""
    if not isinstance(network, ConvLSTMClassifier) or network.dilated is None:
        return
    sequences, random = material.data.sequences, np.random.default_rng((config.training.seed, DILATED))
    numbers = np.sort(random.permutation(material.train)[:MOST_SOLVED]) if len(material.train) > MOST_SOLVED else material.train
    batches = batches_in_order(numbers, sequences.lengths, 64)
    labels = material.data.labels[np.concatenate(batches)]
    samples = random.permutation(material.train)[: len(KERNELS)]
    ridge = network.dilated.fit(
        (_tensors(cut_batch(sequences, numbers), config) for numbers in batches),
        torch.from_numpy(labels),
        _tensors(cut_batch(sequences, samples), config),
        random,
    )
    sharpness = 1.0 / fit_temperature(ridge.left_out.numpy(), labels[ridge.places.numpy()])
    # What weighs classes in a loss adds the log of their weights to the logits of a probability (Menon et al. 2021).
    weights = class_weights(labels, len(material.data.classes)) if config.training.class_weights == "balanced" else np.ones(1)
    network.dilated.adjust(sharpness, torch.from_numpy(np.log(np.maximum(weights, 1e-6))).to(network.share))


def _tensors(batch: SequenceBatch, config: ClassConfig) -> tuple[Tensor, Tensor]:
    """x [B, T, C] and inside [B, T]."""
    inside_BT = np.arange(batch.x_BTC.shape[1]) < batch.lengths_B[:, None]
    device = config.training.device
    return torch.from_numpy(batch.x_BTC).to(device), torch.from_numpy(inside_BT).to(device)


def share_outputs(members: tuple[SequenceClassifier, ...], material: ClassMaterial) -> None:
    """Where networks have two outputs, set the share of each in all of them to what makes the sequences held aside likeliest."""
    trained, solved = [np.zeros(0)], [np.zeros(0)]
    both = [network for network in members if isinstance(network, ConvLSTMClassifier) and network.dilated is not None]
    for number, network in enumerate(both):
        numbers = material.of_member(number).validation
        truth = material.data.labels[numbers]
        for share, found in ((1.0, trained), (0.0, solved)):
            network.share.fill_(share)
            logits = logits_of(network, material.data.sequences, numbers, len(material.data.classes))
            found.append(softmax(logits)[np.arange(len(truth)), truth])
    share = best_share(np.concatenate(trained), np.concatenate(solved))
    for network in both:
        network.share.fill_(share)


def solve_again(members: tuple[SequenceClassifier, ...], material: ClassMaterial, config: ClassConfig) -> None:
    """The output that is solved for anew, from all that is not scored: once shares and temperature are found, what each network held
    aside is free to learn from."""
    whole = replace(material, train=material.known)
    for number, network in enumerate(members if len(material.validation) else ()):
        fit_dilated(network, whole, _of_member(config, number))


SHARE_PRIOR = 5.0
"""Sequences that speak for each output before any is seen: a few held aside do not decide."""


def best_share(one: np.ndarray, other: np.ndarray) -> float:
    """The share s of the first in s p + (1 - s) q that makes the true classes likeliest, p and q [n] being what each says of them; the
    logarithm is concave in s. Under the prior (s (1 - s))^SHARE_PRIOR, 1/2 without sequences."""
    low, high = 0.0, 1.0
    for _ in range(40):
        share = (low + high) / 2.0
        mixed = np.maximum(share * one + (1.0 - share) * other, 1e-12)
        rise = float(((one - other) / mixed).sum()) + SHARE_PRIOR * (1.0 / share - 1.0 / (1.0 - share))
        low, high = (share, high) if rise > 0.0 else (low, share)
    return (low + high) / 2.0


def _held_aside(members: tuple[SequenceClassifier, ...], material: ClassMaterial) -> tuple[np.ndarray, np.ndarray]:
    """Logits of what no weight was found with, and the true classes: of each fold those of the networks that hold it aside."""
    num_classes, logits, truth = len(material.data.classes), [], []
    folds = max(1, len(material.folds))
    for number in range(min(folds, len(members))):
        numbers = material.of_member(number).validation
        logits.append(joint_logits(members[number::folds], material.data.sequences, numbers, num_classes))
        truth.append(material.data.labels[numbers])
    return np.concatenate(logits), np.concatenate(truth)


def _job(
    material: ClassMaterial, config: ClassConfig, network: SequenceClassifier, save: Saver | None, interrupted: Callable[[], bool]
) -> Job[SequenceBatch]:
    settings = config.training
    size = settings.batch_size or default_batch_size(len(material.train), config.network)
    sequences = material.data.sequences
    judged = material.validation if settings.keep == "best" else material.validation[:0]
    return Job(
        network,
        class_loss(material, config),
        lambda epoch: epoch_batches(material, config, size, epoch),
        SequenceBatches(sequences, batches_in_order(judged, sequences.lengths, 4 * size)),
        settings,
        settings.device,
        save,
        interrupted,
    )


def _of_member(config: ClassConfig, number: int) -> ClassConfig:
    """The settings that one network of the ensemble is trained with: the first has the seed itself; all have the same share of the time."""
    settings = config.training
    seed = settings.seed if not number else int(np.random.SeedSequence((settings.seed, number)).generate_state(1)[0])
    share = None if settings.time_limit is None else settings.time_limit / (settings.members or 1)
    return config.model_copy(update={"training": settings.model_copy(update={"seed": seed, "time_limit": share})})


def _with_less_time(config: ClassConfig, seconds: float) -> ClassConfig:
    """The settings after so many seconds of the time limit are spent."""
    limit = config.training.time_limit
    left = None if limit is None else max(limit - seconds, 1e-9)
    return config.model_copy(update={"training": config.training.model_copy(update={"time_limit": left})})


MEMBER = "members."
"""Before the names of what a checkpoint holds of the networks that are trained already."""


def _member_tensors(networks: list[SequenceClassifier], best_epochs: list[int]) -> dict[str, Tensor]:
    tensors = {f"{MEMBER}best_epochs": torch.tensor(best_epochs, dtype=torch.int64)} if networks else {}
    for number, network in enumerate(networks):
        tensors |= {f"{MEMBER}{number}.{name}": value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    return tensors


def _trained_members(
    material: ClassMaterial, config: ClassConfig, checkpoint: Checkpoint | None
) -> tuple[list[SequenceClassifier], list[int]]:
    """The networks that a checkpoint says are trained, and their best epochs."""
    tensors = {} if checkpoint is None else checkpoint.tensors
    best_epochs = tensors[f"{MEMBER}best_epochs"].tolist() if f"{MEMBER}best_epochs" in tensors else []
    networks = []
    for number in range(len(best_epochs)):
        network, prefix = new_network(material, config), f"{MEMBER}{number}."
        network.load_state_dict({name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)})
        networks.append(network)
    return networks, best_epochs


def default_batch_size(sequences: int, network: ClassNetworkSettings) -> int:
    """64, but at least eight batches in an epoch, of at least 4; of at least 16 where the batch's own statistics normalise it."""
    return min(64, max(16 if isinstance(network, ConvLSTMClassifierSettings) else 4, sequences // 8))


def class_loss(material: ClassMaterial, config: ClassConfig) -> Callable[[nn.Module, SequenceBatch], tuple[Tensor, int]]:
    """Mean cross-entropy of a batch and how many sequences it is over. Smoothing and weights hold for training, where the network is in
    its training mode; what is held aside is judged by the plain log loss."""
    settings = config.training
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
        truth = truth_B if batch.partners_B is None else _mixed_truth(truth_B, batch, logits_BK)
        return functional.cross_entropy(logits_BK, truth, weight, label_smoothing=settings.label_smoothing or 0.0), len(truth_B)

    return loss


def _mixed_truth(truth_B: Tensor, batch: SequenceBatch, logits_BK: Tensor) -> Tensor:
    """The probability of each class, [B, K], where sequences are mixed."""
    assert batch.partners_B is not None and batch.shares_B is not None
    truth_BK = functional.one_hot(truth_B, logits_BK.shape[1]).to(logits_BK)
    share_B1 = torch.from_numpy(batch.shares_B).to(logits_BK)[:, None]
    return share_B1 * truth_BK + (1.0 - share_B1) * truth_BK[torch.from_numpy(batch.partners_B).to(truth_B.device)]


def class_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """By which the loss of each class is multiplied so that all count the same; their mean over the sequences is 1. float64 [K]."""
    counts = np.bincount(labels, minlength=num_classes)
    return np.where(counts > 0, len(labels) / np.maximum(counts, 1) / np.count_nonzero(counts), 0.0)
