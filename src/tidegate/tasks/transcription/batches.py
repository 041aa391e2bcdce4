"""Training utterances in batches: of about one length, changed by chance and joined; a function of seed and epoch alone."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tidegate.config_transcribe import TranscribeConfig
from tidegate.data.speech.corpus import Part
from tidegate.data.speech.length_batches import growing, length_batches, pad
from tidegate.data.speech.masking import MaskSettings, add_noise, mask, other_ends, stretch
from tidegate.tasks.transcription.material import SpeechMaterial, every_speed

NO_TOKEN = 0
"""Label of a frame that lies in no token, or nobody knows in which."""


class SpeechBatch(NamedTuple):
    """x_BTC float32, zeros behind lengths_B; targets: of each utterance the numbers of its tokens; labels: the number of the token in
    which a frame lies, NO_TOKEN where that is not known, and behind lengths_B."""

    x_BTC: Tensor
    lengths_B: Tensor
    targets: tuple[np.ndarray, ...]
    labels_BT: Tensor


class TrainingBatches:
    """One epoch of the training part. An item is one utterance, or several of a speaker one after the other."""

    def __init__(self, material: SpeechMaterial, epoch: int) -> None:
        self._material, self._settings = material, material.config.training
        self._seed = (self._settings.seed, epoch)
        random = np.random.default_rng(self._seed)
        self._items = joined(material, "train", random)
        self._speeds = _drawn_speeds(material.config, len(material.corpus.utterances), random)
        lengths = np.array([sum(self._length(number) for number in item) for item in self._items])
        settings = self._settings
        self._batches = growing(epoch, lengths, material.batch_frames, settings.seed, settings.sorted_epochs, settings.batch_size)
        self.windows = len(self._items)

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, number: int) -> SpeechBatch:
        random = np.random.default_rng((*self._seed, number))
        items = [self._items[place] for place in self._batches[number]]
        seen = [self._seen(item, random) for item in items]
        x_BTC, lengths_B = pad([frames for frames, _ in seen])
        labels_BT = np.full(x_BTC.shape[:2], NO_TOKEN, np.int64)
        for labels_T, (_, found_T) in zip(labels_BT, seen, strict=True):
            labels_T[: len(found_T)] = found_T
        targets = tuple(target_of(self._material, item) for item in items)
        return SpeechBatch(x_BTC, lengths_B, targets, torch.from_numpy(labels_BT))

    def _labels(self, number: int) -> np.ndarray:
        """Of each frame of an utterance the token in which its middle lies."""
        material, features = self._material, self._material.features
        spans, length = material.spans[number], self._length(number)
        if spans is None:
            return np.full(length, NO_TOKEN, np.int64)
        speed = every_speed(material.config)[self._speeds[number]]
        seconds = speed * (np.arange(length) * features.hop + 0.5 * features.window) / features.rate
        place = np.searchsorted(spans[:, 0], seconds, side="right") - 1
        return np.where((place >= 0) & (seconds < spans[place, 1]), material.targets[number][place], NO_TOKEN)

    def _length(self, number: int) -> int:
        frames = self._material.frames[self._speeds[number]]
        return int(frames.offsets[number + 1] - frames.offsets[number])

    def _seen(self, item: list[int], random: np.random.Generator) -> tuple[Tensor, np.ndarray]:
        """Frames [T, C] as the network sees them, and their labels [T]."""
        material, settings = self._material, self._settings
        masks = MaskSettings(
            settings.time_masks, settings.time_width, settings.time_share, settings.frequency_masks, settings.frequency_width
        )
        parts, labels = [], []
        for number in item:
            frames, labels_T = torch.from_numpy(np.array(material.frames[self._speeds[number]][number])), self._labels(number)
            if settings.tempo:
                factor = float(random.uniform(1.0 - settings.tempo, 1.0 + settings.tempo))
                frames, nearest_T = stretch(frames, factor, material.features.statics, material.features.deltas)
                labels_T = labels_T[nearest_T]
            if settings.cut or settings.pauses:
                frames, labels_T = self._with_other_ends(frames, labels_T, random)
            if settings.noise_db is not None:
                frames = add_noise(frames, material.features, random, settings.noise_db)
            parts.append(material.normaliser.apply(frames, material.speaker_of(number)))
            labels.append(labels_T)
        frames, labels_T = torch.cat(parts), np.concatenate(labels)
        if material.normaliser.kind != "none":
            return mask(frames, masks, random, material.features.deltas), labels_T
        mean = torch.from_numpy(material.normaliser.statistics.mean).float()  # what is hidden becomes the mean
        return mask(frames - mean, masks, random, material.features.deltas) + mean, labels_T

    def _with_other_ends(self, frames: Tensor, labels_T: np.ndarray, random: np.random.Generator) -> tuple[Tensor, np.ndarray]:
        ends = other_ends(frames, self._material.features.statics, random, self._settings.cut or 0.0, self._settings.pauses or 0)
        found_T = np.full(len(ends.numbers_T), NO_TOKEN, np.int64)
        found_T[ends.spoken] = labels_T[ends.numbers_T[ends.spoken]]
        return frames[ends.numbers_T], found_T


class PartBatches:
    """Utterances as they are, the short ones first: for validation and scores."""

    def __init__(self, material: SpeechMaterial, numbers: np.ndarray) -> None:
        self._material, self.numbers = material, numbers
        lengths = material.frames[0].lengths[numbers]
        self.batches = length_batches(lengths, 2 * material.batch_frames, None)
        self.windows = len(numbers)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> SpeechBatch:
        some = self.numbers[self.batches[number]]
        x_BTC, lengths_B = pad([self._material.normalised(int(one)) for one in some])
        unknown_BT = torch.full(x_BTC.shape[:2], NO_TOKEN)
        return SpeechBatch(x_BTC, lengths_B, tuple(self._material.targets[one] for one in some), unknown_BT)


def target_of(material: SpeechMaterial, item: Sequence[int]) -> np.ndarray:
    """What is said in an item; between characters of two utterances there is a space, as between words."""
    vocabulary, targets = material.vocabulary, [material.targets[one] for one in item]
    if material.corpus.token_kind != "characters" or " " not in vocabulary:
        return np.concatenate(targets)
    space = np.array([vocabulary.index(" ") + 1], dtype=np.int64)
    return np.concatenate([part for one in targets for part in (space, one)][1:])


def joined(material: SpeechMaterial, part: Part, random: np.random.Generator) -> list[list[int]]:
    """Each utterance of a part once, in items of one utterance to as many of a speaker as the settings say."""
    numbers, most = material.numbers(part).tolist(), material.config.training.joined or 1
    if most == 1:
        return [[number] for number in numbers]
    by_speaker: dict[str, list[int]] = {}
    for number in random.permutation(numbers).tolist():
        by_speaker.setdefault(material.corpus.utterances[number].speaker, []).append(number)
    items = []
    for speaker in sorted(by_speaker):
        waiting = by_speaker[speaker]
        while waiting:
            count = int(random.integers(1, most, endpoint=True))
            items.append(waiting[:count])
            waiting = waiting[count:]
    return items


def _drawn_speeds(config: TranscribeConfig, count: int, random: np.random.Generator) -> np.ndarray:
    """Of each utterance the number of its speed in `material.frames`."""
    every, drawn = every_speed(config), sorted(set(config.training.speeds or (1.0,)))
    allowed = np.array([every.index(speed) for speed in drawn])
    return random.choice(allowed, count)
