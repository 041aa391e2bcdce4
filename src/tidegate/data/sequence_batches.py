"""Whole sequences in batches: padded to the longest of their batch, together with sequences of about their length.

Shape letters: B sequences, T steps of the longest, C channels.
"""

from typing import NamedTuple

import numpy as np

from tidegate.data.sequences import Sequences

LIKE_LENGTH_BATCHES = 20
"""Sequences are sorted by length among those of so many batches, drawn at random: padding stays small and chance large."""


class SequenceBatch(NamedTuple):
    """What a network sees of some sequences. x_BTC float32, NaN is missing; steps from lengths_B on are zero; numbers_B: which they are.
    Where sequences are mixed, partners_B is the place in the batch of the other one and shares_B float32 the share of the first."""

    x_BTC: np.ndarray
    lengths_B: np.ndarray
    numbers_B: np.ndarray
    partners_B: np.ndarray | None = None
    shares_B: np.ndarray | None = None


def cut_batch(sequences: Sequences, numbers_B: np.ndarray) -> SequenceBatch:
    """The sequences with these numbers, padded with zeros."""
    begins, lengths = sequences.offsets[numbers_B], sequences.lengths[numbers_B]
    x_BTC = np.empty((len(numbers_B), int(lengths.max(initial=0)), sequences.values.shape[1]), np.float32)
    for row, begin, length in zip(x_BTC, begins.tolist(), lengths.tolist(), strict=True):
        row[:length] = sequences.values[begin : begin + length]
        row[length:] = 0.0
    return SequenceBatch(x_BTC, lengths, numbers_B)


def batches_in_order(numbers: np.ndarray, lengths: np.ndarray, size: int) -> list[np.ndarray]:
    """Numbers of sequences in batches of `size`, the short ones first: for evaluation, where the order does not matter."""
    ordered = numbers[np.argsort(lengths[numbers], kind="stable")]
    return [ordered[begin : begin + size] for begin in range(0, len(ordered), size)]


def batches_at_random(numbers: np.ndarray, lengths: np.ndarray, size: int, random: np.random.Generator) -> list[np.ndarray]:
    """One epoch: each number once, in batches of `size` (the last of a block may be smaller) of sequences of about one length."""
    shuffled = random.permutation(numbers)
    if len(np.unique(lengths[numbers])) <= 1:
        return [shuffled[begin : begin + size] for begin in range(0, len(shuffled), size)]
    block = size * LIKE_LENGTH_BATCHES
    batches = []
    for begin in range(0, len(shuffled), block):
        batches += batches_in_order(shuffled[begin : begin + block], lengths, size)
    return [batches[number] for number in random.permutation(len(batches))]


def hold_aside(labels: np.ndarray, fraction: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the sequences to train on, and of those held aside: of each class about that fraction, at least one where it has two or
    more, none where it has one. Sequences without a label (-1) are in neither. Both ascending."""
    held = folds_aside(labels, fraction, random)[0]
    return np.setdiff1d(np.flatnonzero(labels >= 0), held), held


def folds_aside(labels: np.ndarray, fraction: float, random: np.random.Generator) -> list[np.ndarray]:
    """The numbers that each of about 1 / fraction networks holds aside, as `hold_aside` says, ascending. They share sequences only where
    a class has fewer of them than there are folds; together they leave out what the rounding of the fraction does."""
    order = [random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels[labels >= 0])]
    counts = [min(max(1, round(fraction * len(members))), len(members) - 1) if fraction else 0 for members in order]
    folds = []
    for number in range(round(1 / fraction) if fraction else 1):
        places = [(number * count + np.arange(count)) % len(members) for members, count in zip(order, counts, strict=True)]
        held = [members[place] for members, place in zip(order, places, strict=True)]
        folds.append(np.sort(np.concatenate(held)) if held else np.zeros(0, np.int64))
    return folds
