"""Classes while a sequence is still arriving."""

from typing import Any

import numpy as np
import torch

from tidegate.config_classify import LSTMClassifierSettings
from tidegate.errors import DataError, SettingsError
from tidegate.evaluate.classify import apply_temperature, softmax
from tidegate.nn.classifier import ClassifierState, LSTMClassifier
from tidegate.tasks.classification.model import ClassModel


class ClassStream:
    """The class probabilities after each new step of B sequences that advance together; the last ones are those of the whole sequences.

    Early probabilities are what the network says of a sequence that ends there: it was trained on whole ones.
    """

    def __init__(self, model: ClassModel, streams: int = 1) -> None:
        networks = [network for network in model.networks if isinstance(network, LSTMClassifier)]
        settings = model.config.network
        if not networks or not isinstance(settings, LSTMClassifierSettings) or settings.bidirectional:
            name = settings.name
            raise SettingsError(
                f"A classifier of the network '{name}' as it is set reads each sequence as a whole. For probabilities step by step train "
                "the network 'lstm' in one direction (--network lstm)."
            )
        if streams < 1:
            raise SettingsError(f"streams is {streams}; expected at least 1.")
        self.classes, self.streams = model.classes, streams
        self._model, self._networks = model, networks
        self._states: list[ClassifierState | None] = [None] * len(networks)
        self._shift, self._scale = model.scaler.shift[0], model.scaler.scale[0]

    def step(self, x: Any) -> np.ndarray:
        """Probabilities [B, K] after one more step x [B, C] in the data's own units, NaN is missing; [K] for one stream's [C]. Raises
        DataError for another shape."""
        values = np.asarray(x, np.float32)
        single = values.ndim == 1 and self.streams == 1
        if (values[None] if single else values).shape != (self.streams, len(self._shift)):
            raise DataError(f"x has the shape {list(values.shape)}; expected [{self.streams}, {len(self._shift)}]: streams, channels.")
        scaled = torch.from_numpy(((values[None] if single else values) - self._shift) / self._scale)
        logits = []
        with torch.no_grad():
            for number, network in enumerate(self._networks):
                network.eval()
                device = next(network.parameters()).device
                said, self._states[number] = network.step(scaled.to(device), self._states[number])
                logits.append(said.cpu().double().numpy())
        joint = logits[0] if len(logits) == 1 else np.log(np.mean([softmax(one) for one in logits], 0))
        found = apply_temperature(joint, self._model.temperature)
        return found[0] if single else found

    def reset(self) -> None:
        """Begin anew: all streams at their first step."""
        self._states = [None] * len(self._networks)
