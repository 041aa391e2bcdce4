"""Batches of utterances of about one length, limited by frames rather than by number, so that each costs about the same.

Shape letters: B utterances, T frames of the longest, C channels.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tidegate.errors import DataError, SettingsError

SPREAD = 0.1
"""Lengths are compared up to this share, by chance: batches differ from epoch to epoch, and padding stays small."""


def length_batches(
    lengths: np.ndarray, frames_per_batch: int, random: np.random.Generator | None, most: int | None = None
) -> list[np.ndarray]:
    """Numbers of the utterances, each once, in batches in random order; the same for the same state of `random`.

    lengths           frames of each utterance, int [n]
    frames_per_batch  greatest number of frames of a batch with its padding; a longer utterance is a batch by itself
    random            None: by rising length, utterances and batches, for evaluation
    most              greatest number of utterances of a batch

    Raises SettingsError for limits below 1.
    """
    for name, limit in (("frames_per_batch", frames_per_batch), ("most", most)):
        if limit is not None and limit < 1:
            raise SettingsError(f"{name} is {limit}; expected 1 or more.")
    if random is None:
        return _cut(np.argsort(lengths, kind="stable"), lengths, frames_per_batch, most)
    about = lengths * random.uniform(1.0 - SPREAD, 1.0 + SPREAD, len(lengths))
    batches = _cut(np.argsort(about, kind="stable"), lengths, frames_per_batch, most)
    return [batches[number] for number in random.permutation(len(batches))]


def growing(
    epoch: int, lengths: np.ndarray, frames_per_batch: int, seed: int, epochs: int = 1, most: int | None = None
) -> list[np.ndarray]:
    """The batches of an epoch, counted from 0: in the first `epochs` by rising length, as early CTC training is unstable on long utterances
    (SortaGrad, Amodei et al. 2016), then in random order. A function of its arguments alone."""
    random = None if epoch < epochs else np.random.default_rng((seed, epoch))
    return length_batches(lengths, frames_per_batch, random, most)


def pad(utterances: Sequence[np.ndarray | Tensor]) -> tuple[Tensor, Tensor]:
    """Utterances [T_i, C] as one batch: x_BTC float32 with zeros at the end, lengths_B int64. Raises DataError for none, or for channels
    that differ."""
    arrays = [np.asarray(utterance, np.float32) for utterance in utterances]
    channels = {array.shape[1:] for array in arrays}
    if len(channels) != 1 or len(next(iter(channels))) != 1:
        shapes = ", ".join(str(array.shape) for array in arrays[:6]) or "none"
        raise DataError(f"A batch of utterances of the shapes {shapes}; expected one or more of [T, C], all with the same channels.")
    lengths = [len(array) for array in arrays]
    x_BTC = np.zeros((len(arrays), max(lengths), arrays[0].shape[1]), np.float32)
    for row, array in zip(x_BTC, arrays, strict=True):
        row[: len(array)] = array
    return torch.from_numpy(x_BTC), torch.tensor(lengths, dtype=torch.int64)


def _cut(order: np.ndarray, lengths: np.ndarray, frames: int, most: int | None) -> list[np.ndarray]:
    """As many in a row as fit."""
    batches, begin, longest = [], 0, 0
    for place, length in enumerate(lengths[order].tolist()):
        longest = max(longest, length)
        count = place - begin + 1
        if count > 1 and (count * longest > frames or (most is not None and count > most)):
            batches.append(order[begin:place])
            begin, longest = place, length
    return [*batches, order[begin:]] if len(order) else []
