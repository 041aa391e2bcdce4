"""A trained recogniser: network, scale, tokens, language model and settings together, and how it is kept in files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tidegate.config import build_settings
from tidegate.config_transcribe import TranscribeConfig
from tidegate.data.speech.features import FeatureSettings
from tidegate.data.speech.length_batches import length_batches, pad
from tidegate.data.speech.normalise import Normaliser
from tidegate.decode.beam import beam_search
from tidegate.decode.greedy import Token, greedy
from tidegate.decode.ngram import NGram
from tidegate.nn.recogniser import Recogniser, RecogniserShape, build_recogniser
from tidegate.tasks.transcription.material import feature_settings

PREDICT_FRAMES = 12_000
"""Frames that pass the network together when it is not training."""


@dataclass(frozen=True)
class SpeechModel:
    """What a run keeps.

    vocabulary   tokens; number i is logit i + 1, 0 is the blank
    lm           of the training transcripts; None where only the best path is taken
    lm_weight, token_bonus   by which beam search weighs it, found on the development part
    best_epoch   the epoch, from 0, whose weights these are
    """

    config: TranscribeConfig
    shape: RecogniserShape
    vocabulary: tuple[str, ...]
    normaliser: Normaliser
    network: Recogniser
    best_epoch: int
    lm: NGram | None = None
    lm_weight: float = 0.0
    token_bonus: float = 0.0

    def log_probs(self, frames: Sequence[Tensor]) -> list[np.ndarray]:
        """Log probabilities [T', V + 1] float32 of each utterance, given its normalised frames [T, C]."""
        return log_probs_of(self.network, frames)

    def best_path(self, log_probs_TV: np.ndarray) -> list[Token]:
        """The tokens of the likeliest path, with their steps."""
        return greedy(log_probs_TV)

    def search(self, log_probs_TV: np.ndarray) -> list[int]:
        """Numbers of the tokens that beam search with the language model finds; those of the best path where the beam is 1."""
        if self.config.decoding.beam == 1:
            return [token.index for token in greedy(log_probs_TV)]
        found = beam_search(log_probs_TV, self.config.decoding.beam, self.lm, self.lm_weight, self.token_bonus)
        return list(found[0].tokens)

    def named(self, numbers: Sequence[int]) -> tuple[str, ...]:
        """Tokens from their numbers, 1 to V."""
        return tuple(self.vocabulary[number - 1] for number in numbers)

    @property
    def features(self) -> FeatureSettings:
        """What a frame is."""
        return feature_settings(self.config)

    @property
    def step_seconds(self) -> float:
        """Seconds from one step of the output to the next."""
        return self.features.hop_seconds * self.network.pooling

    def parameters(self) -> int:
        """Number of weights that are trained."""
        return sum(weight.numel() for weight in self.network.parameters())

    def to_tensors(self) -> dict[str, Tensor]:
        """All that model.safetensors holds."""
        return {name: value.detach().cpu().contiguous() for name, value in self.network.state_dict().items()}

    def to_json(self) -> dict[str, Any]:
        """All that preparation.json holds."""
        return {
            "vocabulary": list(self.vocabulary),
            "shape": self.shape._asdict(),
            "normaliser": self.normaliser.to_json(),
            "best_epoch": self.best_epoch,
            "lm_weight": self.lm_weight,
            "token_bonus": self.token_bonus,
            "language_model": None if self.lm is None else self.lm.to_json(),
        }

    @staticmethod
    def from_files(config_text: str, preparation_text: str, tensors: dict[str, np.ndarray], device: str) -> "SpeechModel":
        """The model that was kept. Raises TidegateError for settings that this version does not know."""
        config = build_settings(json.loads(config_text), TranscribeConfig)
        tree = json.loads(preparation_text)
        shape = RecogniserShape(**tree["shape"])
        network = build_recogniser(shape, config.network)
        network.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})
        return SpeechModel(
            config,
            shape,
            tuple(tree["vocabulary"]),
            Normaliser.from_json(tree["normaliser"]),
            network.to(device).eval(),
            tree["best_epoch"],
            None if tree["language_model"] is None else NGram.from_json(tree["language_model"]),
            tree["lm_weight"],
            tree["token_bonus"],
        )


def log_probs_of(network: Recogniser, frames: Sequence[Tensor]) -> list[np.ndarray]:
    """See `SpeechModel.log_probs`; utterances of about one length pass together."""
    network.eval()
    device = next(network.parameters()).device
    found: dict[int, np.ndarray] = {}
    lengths = np.array([len(one) for one in frames], dtype=np.int64)
    with torch.no_grad():
        for batch in length_batches(lengths, PREDICT_FRAMES, None):
            x_BTC, lengths_B = pad([frames[int(number)] for number in batch])
            said = network(x_BTC.to(device), lengths_B)
            logs_BTV = said.logits_BTV.float().log_softmax(2).cpu().numpy()
            found |= {int(number): logs_BTV[row, : int(said.lengths_B[row])] for row, number in enumerate(batch)}
    return [found[number] for number in range(len(frames))]
