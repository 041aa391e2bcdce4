"""Normalisation of features: each channel less its mean, over its deviation, both of all training data, a speaker or an utterance.

Those of a speaker or an utterance may be of loud frames alone: how much of somebody's recordings is pause, and how quiet it is there, says
nothing of how he speaks, but moves mean and deviation of all frames together.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from tidegate.errors import DataError, SettingsError

Normalisation = Literal["global", "speaker", "utterance", "none"]
Array = np.ndarray | Tensor
LOUDEST = 0.95
"""Quantile of the loudness of an utterance's frames from which the others are measured."""
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


class Loud(NamedTuple):
    """The frames of an utterance that are within `within_db` of its loudest twentieth, by the mean of their first `statics` channels, which
    are natural logarithms of powers."""

    statics: int
    within_db: float

    def of(self, frames_TC: Array) -> np.ndarray:
        """Of [T, C] those, float64; at least one where there is any."""
        values = np.asarray(frames_TC, np.float64)
        if not len(values):
            return values
        loudness_T = values[:, : self.statics].mean(1)
        return values[loudness_T > np.quantile(loudness_T, LOUDEST) - self.within_db * math.log(10.0) / 10.0]


@dataclass(frozen=True)
class Normaliser:
    """What is learnt from the training utterances, and how it is used.

    kind        global: by the training frames; speaker: by the statistics that are handed over (`of_speakers`);
                utterance: by its own frames; none: features as they are
    statistics  of all training frames, whatever the kind
    loud        which frames the statistics of a speaker or an utterance are of; None: all
    """

    kind: Normalisation
    statistics: Statistics
    loud: Loud | None = None

    @staticmethod
    def fit(kind: Normalisation, utterances: Iterable[Array], loud: Loud | None = None) -> "Normaliser":
        """From the training utterances, [T, C] each. Raises SettingsError for an unknown kind, DataError where there is no frame."""
        if kind not in get_args(Normalisation):
            raise SettingsError(f"Normalisation is '{kind}'; expected one of {', '.join(get_args(Normalisation))}.")
        return Normaliser(kind, Statistics.of_all(utterances), loud)

    def of_utterance(self, frames_TC: Array) -> Statistics:
        """The statistics of an utterance that count."""
        return Statistics.of(frames_TC if self.loud is None else self.loud.of(frames_TC))

    def of_speakers(self, utterances: Iterable[tuple[str, Array]]) -> dict[str, Statistics]:
        """For each speaker the statistics over the utterances at hand, given as (speaker, frames [T, C]); no labels are needed.

        Those without a speaker ('') count as one: an unknown speaker is normalised by what is given together.
        """
        found: dict[str, Statistics] = {}
        for speaker, frames_TC in utterances:
            found[speaker] = found.get(speaker, _NOTHING).merge(self.of_utterance(frames_TC))
        return found

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
            return self.of_utterance(frames_TC.cpu())
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
            "loud": self.loud and self.loud._asdict(),
        }

    @staticmethod
    def from_json(tree: dict[str, Any]) -> "Normaliser":
        """The inverse of to_json."""
        total, squares = (np.array(tree[name], np.float64) for name in ("total", "squares"))
        loud = tree.get("loud")  # models of before there was a choice have none
        return Normaliser(tree["kind"], Statistics(tree["count"], total, squares), loud and Loud(**loud))


def _with_frames(statistics: Statistics) -> Statistics:
    if statistics.count == 0:
        raise DataError("There is no frame to take statistics of: each recording is shorter than one frame. Give longer ones.")
    return statistics
