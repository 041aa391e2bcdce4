"""A trained classifier: networks, scale, classes and settings together, and how it is kept in files."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tidegate.config import build_settings
from tidegate.config_classify import ClassConfig
from tidegate.data.labelled import LabelKind, LabelledSequences
from tidegate.data.scale import Scaler
from tidegate.data.sequence_batches import SequenceBatch, cut_batch
from tidegate.data.sequences import Sequences
from tidegate.evaluate.classify import apply_temperature, softmax
from tidegate.nn.classifier import Classification, ClassifierShape, SequenceClassifier, build_classifier

PREDICT_STEPS = 1 << 17
"""Steps that pass the network together when it is not training."""


@dataclass(frozen=True)
class ClassModel:
    """What a run keeps.

    classes       names, in the order of the probabilities
    channels      names
    networks      one, or the members of an ensemble, whose probabilities are averaged
    temperature   what the logits are divided by (Guo et al. 2017); 1 where nothing was held aside
    best_epochs   of each network the epoch, from 0, whose weights these are
    label_kind    what labels were in training: text, numbers or truth values
    """

    config: ClassConfig
    shape: ClassifierShape
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    scaler: Scaler
    networks: tuple[SequenceClassifier, ...]
    temperature: float
    best_epochs: tuple[int, ...]
    label_kind: LabelKind = "text"

    def probabilities(self, data: LabelledSequences) -> np.ndarray:
        """Float64 [n, K] of sequences on the scale of training."""
        return apply_temperature(joint_logits(self.networks, data.sequences, np.arange(len(data)), len(self.classes)), self.temperature)

    def evidence(self, data: LabelledSequences) -> list[np.ndarray] | None:
        """Where the networks look, of each sequence one weight for each of its steps, pooled steps or subsequences, oldest first; the
        mean of the networks. None where they have no attention."""
        shares = [evidence_of(network, data.sequences) for network in self.networks]
        present = [one for one in shares if one is not None]
        return [np.mean(weights, 0) for weights in zip(*present, strict=True)] if present else None

    def parameters(self) -> int:
        """Number of weights that are trained, of all networks; those of a solved output are not among them."""
        return sum(weight.numel() for network in self.networks for weight in network.parameters())

    def to_tensors(self) -> dict[str, Tensor]:
        """All that model.safetensors holds."""
        return {
            f"networks.{number}.{name}": value.detach().cpu().contiguous()
            for number, network in enumerate(self.networks)
            for name, value in network.state_dict().items()
        }

    def to_json(self) -> dict[str, Any]:
        """All that preparation.json holds: the channels and their scale, the classes, the shape of the networks, the temperature."""
        return {
            "channels": list(self.channels),
            "classes": list(self.classes),
            "shape": self.shape._asdict(),
            "networks": len(self.networks),
            "best_epochs": list(self.best_epochs),
            "temperature": self.temperature,
            "label_kind": self.label_kind,
            "scaler": self.scaler.to_json(),
        }

    @staticmethod
    def from_files(config_text: str, preparation_text: str, tensors: dict[str, np.ndarray], device: str) -> "ClassModel":
        """The model that was kept. Raises TidegateError for settings that this version does not know."""
        config = build_settings(json.loads(config_text), ClassConfig)
        tree = json.loads(preparation_text)
        shape = ClassifierShape(**tree["shape"])
        networks = []
        for number in range(tree["networks"]):
            network, prefix = build_classifier(shape, config.network), f"networks.{number}."
            weights = {name.removeprefix(prefix): torch.from_numpy(value) for name, value in tensors.items() if name.startswith(prefix)}
            network.load_state_dict(weights)
            networks.append(network.to(device).eval())
        return ClassModel(
            config,
            shape,
            tuple(tree["classes"]),
            tuple(tree["channels"]),
            Scaler.from_json(tree["scaler"]),
            tuple(networks),
            tree["temperature"],
            tuple(tree["best_epochs"]),
            tree["label_kind"],
        )


def joint_logits(networks: tuple[SequenceClassifier, ...], sequences: Sequences, numbers: np.ndarray, num_classes: int) -> np.ndarray:
    """Log of the networks' mean probabilities, float64 [len(numbers), K]; the logits themselves where there is one."""
    logits = [logits_of(network, sequences, numbers, num_classes) for network in networks]
    return logits[0] if len(logits) == 1 else np.log(np.mean([softmax(one) for one in logits], 0))


def run(network: nn.Module, batch: SequenceBatch) -> Tensor:
    """Logits [B, K]."""
    return classify(network, batch).logits_BK


def classify(network: nn.Module, batch: SequenceBatch) -> Classification:
    """What the network says of a batch."""
    device = next(network.parameters()).device
    return network(torch.from_numpy(batch.x_BTC).to(device), torch.from_numpy(batch.lengths_B).to(device))


def logits_of(network: nn.Module, sequences: Sequences, numbers: np.ndarray, num_classes: int) -> np.ndarray:
    """Logits float64 [len(numbers), K], in the order of `numbers`."""
    found = np.zeros((len(numbers), num_classes))
    for some, said in passes(network, sequences, numbers):
        found[some] = said.logits_BK.cpu().double().numpy()
    return found


def evidence_of(network: SequenceClassifier, sequences: Sequences) -> list[np.ndarray] | None:
    """The attention weights of each sequence, those of padding left out; None where the network has none."""
    found: dict[int, np.ndarray] = {}
    for some, said in passes(network, sequences, np.arange(len(sequences))):
        if said.weights_BT is None:
            return None
        own = network.own_weights(said.weights_BT, torch.from_numpy(sequences.lengths[some]))
        found |= {int(number): row.cpu().double().numpy() for number, row in zip(some, own, strict=True)}
    return [found[number] for number in range(len(sequences))]


def passes(network: nn.Module, sequences: Sequences, numbers: np.ndarray) -> Iterator[tuple[np.ndarray, Classification]]:
    """What the network says of the sequences, the longest first; beside it the places in `numbers`."""
    network.eval()
    lengths = sequences.lengths[numbers]
    places = np.argsort(-lengths, kind="stable")
    with torch.no_grad():
        while len(places):
            size = max(1, PREDICT_STEPS // max(1, int(lengths[places[0]])))  # the first is the longest
            some, places = places[:size], places[size:]
            yield some, classify(network, cut_batch(sequences, numbers[some]))
