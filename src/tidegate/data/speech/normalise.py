"""Normalisation of features: each channel less its mean, over its deviation, both of all training data, a speaker or an utterance."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from tidegate.errors import DataError, SettingsError

Normalisation = Literal["global", "speaker", "utterance", "none"]
Array = np.ndarray | Tensor
LEAST_DEVIATION = 1e-2
"""In the unit of the channel (0.04 dB of a log energy). A channel that varies less, as a band of digital silence, is only shifted."""


@dataclass(frozen=True)
class Statistics:
    """Of some frames: how many, and sums of each channel and of its squares, float64 [C]."""

    count: int
    total: np.ndarray
    squares: np.ndarray

    @staticmethod
    def of(frames_TC: Array) -> "Statistics":
        """Of the frames of one utterance."""
        values = np.asarray(frames_TC, np.float64)
        return Statistics(len(values), values.sum(0), np.square(values).sum(0))

    @staticmethod
    def of_all(utterances: Iterable[Array]) -> "Statistics":
        """Of several utterances together. Raises DataError where they have no frame."""
        parts = map(Statistics.of, utterances)
        return _with_frames(reduce(Statistics.merge, parts, _NOTHING))

    def merge(self, other: "Statistics") -> "Statistics":
        """Of both together."""
        return Statistics(self.count + other.count, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> np.ndarray:
        """[C]."""
        return self.total / max(1, self.count)

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviation [C]; 1 for a channel that varies less than LEAST_DEVIATION."""
        deviation = np.sqrt(np.maximum(self.squares / max(1, self.count) - self.mean**2, 0.0))
        return np.where(deviation < LEAST_DEVIATION, 1.0, deviation)


_NOTHING = Statistics(0, np.zeros(1), np.zeros(1))


def statistics_of_speakers(utterances: Iterable[tuple[str, Array]]) -> dict[str, Statistics]:
    """For each speaker the statistics over the utterances at hand, given as (speaker, frames [T, C]); no labels are needed.

    Those without a speaker ('') count as one: an unknown speaker is normalised by what is given together.
    """
    found: dict[str, Statistics] = {}
    for speaker, frames_TC in utterances:
        found[speaker] = found.get(speaker, _NOTHING).merge(Statistics.of(frames_TC))
    return found


@dataclass(frozen=True)
class Normaliser:
    """What is learnt from the training utterances, and how it is used.

    kind        global: by the training frames; speaker: by the statistics that are handed over (`statistics_of_speakers`);
                utterance: by its own frames; none: features as they are
    statistics  of all training frames, whatever the kind
    """

    kind: Normalisation
    statistics: Statistics

    @staticmethod
    def fit(kind: Normalisation, utterances: Iterable[Array]) -> "Normaliser":
        """From the training utterances, [T, C] each. Raises SettingsError for an unknown kind, DataError where there is no frame."""
        if kind not in get_args(Normalisation):
            raise SettingsError(f"Normalisation is '{kind}'; expected one of {', '.join(get_args(Normalisation))}.")
        return Normaliser(kind, Statistics.of_all(utterances))

    @property
    def live(self) -> bool:
        """Whether the first frame can be normalised before the last is there."""
        return self.kind in ("global", "none")

    def apply(self, frames_TC: Array, speaker: Statistics | None = None) -> Tensor:
        """Frames [T, C] float32, normalised; those given stay as they were.

        speaker: for the kind 'speaker', the statistics of who speaks. Raises DataError where they are missing or have no frame, and for
        another number of channels than in training.
        """
        frames = frames_TC if isinstance(frames_TC, Tensor) else torch.tensor(frames_TC)
        if frames.ndim != 2 or frames.shape[1] != len(self.statistics.total):
            raise DataError(f"Frames have the shape {tuple(frames.shape)}; expected {len(self.statistics.total)} channels, as in training.")
        if self.kind == "none" or len(frames) == 0:
            return frames.float()
        statistics = self._chosen(frames, speaker)
        mean, deviation = (torch.from_numpy(part).to(frames.device, torch.float32) for part in (statistics.mean, statistics.deviation))
        return (frames.float() - mean) / deviation

    def _chosen(self, frames_TC: Tensor, speaker: Statistics | None) -> Statistics:
        if self.kind == "global":
            return self.statistics
        if self.kind == "utterance":
            return Statistics.of(frames_TC.cpu())
        if speaker is None:
            raise DataError(
                "Features are normalised by speaker, but no statistics of a speaker are given. Gather them over the utterances."
            )
        return _with_frames(speaker)

    def to_json(self) -> dict[str, Any]:
        """Plain lists; float64 survives the way there and back."""
        statistics = self.statistics
        return {
            "kind": self.kind,
            "count": statistics.count,
            "total": statistics.total.tolist(),
            "squares": statistics.squares.tolist(),
        }

    @staticmethod
    def from_json(tree: dict[str, Any]) -> "Normaliser":
        """The inverse of to_json."""
        total, squares = (np.array(tree[name], np.float64) for name in ("total", "squares"))
        return Normaliser(tree["kind"], Statistics(tree["count"], total, squares))


def _with_frames(statistics: Statistics) -> Statistics:
    if statistics.count == 0:
        raise DataError("There is no frame to take statistics of: each recording is shorter than one frame. Give longer ones.")
    return statistics
