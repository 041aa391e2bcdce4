"""Batches of whole sequences: each comes once, as it is, and what is held aside is a fair share."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data.calendar import Frequency
from tidegate.data.sequence_batches import LIKE_LENGTH_BATCHES, batches_at_random, batches_in_order, cut_batch, hold_aside
from tidegate.data.sequences import Channel, Sequences

STEPS = Frequency("integer", "step")


def sequences_of(lengths: list[int]) -> Sequences:
    """Sequence i holds the values 100 i, 100 i + 1, ... in one channel, and their negatives in another."""
    each = [(100.0 * number + np.arange(length))[:, None] * [1.0, -1.0] for number, length in enumerate(lengths)]
    values = np.concatenate([np.zeros((0, 2)), *each]).astype(np.float32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    channels, ids = (Channel("a", "past"), Channel("b", "past")), tuple(map(str, range(len(lengths))))
    starts, static = np.zeros(len(lengths), np.int64), np.zeros((len(lengths), 0), np.float32)
    return Sequences(values, offsets, ids, channels, STEPS, starts, static, (), offsets[1:])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.data())
def test_a_batch_holds_the_sequences_and_zeros(lengths: list[int], data: st.DataObject) -> None:
    sequences = sequences_of(lengths)
    numbers = np.array(data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1)))
    batch = cut_batch(sequences, numbers)
    assert batch.x_BTC.shape == (len(numbers), max(lengths[number] for number in numbers), 2)
    for row, number in enumerate(numbers):
        own = sequences.values[sequences.offsets[number] : sequences.offsets[number + 1]]
        assert batch.lengths_B[row] == len(own)
        np.testing.assert_array_equal(batch.x_BTC[row, : len(own)], own)
        assert not batch.x_BTC[row, len(own) :].any()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=400), st.integers(1, 9), st.integers(0, 5))
def test_an_epoch_has_each_sequence_once(lengths: list[int], size: int, seed: int) -> None:
    numbers = np.flatnonzero(np.array(lengths) % 3)
    for batches in (
        batches_at_random(numbers, np.array(lengths), size, np.random.default_rng(seed)),
        batches_in_order(numbers, np.array(lengths), size),
    ):
        assert all(1 <= len(batch) <= size for batch in batches)
        assert sorted(np.concatenate([np.zeros(0, np.int64), *batches])) == numbers.tolist()


def test_sequences_of_about_one_length_go_together() -> None:
    lengths = np.random.default_rng(0).integers(1, 500, 64 * LIKE_LENGTH_BATCHES)
    batches = batches_at_random(np.arange(len(lengths)), lengths, 64, np.random.default_rng(1))
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded < 1.1 * lengths.sum()
    middles = [np.median(lengths[batch]) for batch in batches]
    assert not np.all(np.diff(middles) >= 0), "the batches come in random order"


@given(st.lists(st.integers(-1, 4), max_size=200), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9]), st.integers(0, 3))
def test_what_is_held_aside_is_a_share_of_each_class(labels: list[int], fraction: float, seed: int) -> None:
    found = np.array(labels, np.int64)
    train, held = hold_aside(found, fraction, np.random.default_rng(seed))
    assert sorted([*train, *held]) == np.flatnonzero(found >= 0).tolist()
    for label in set(labels) - {-1}:
        members, own = labels.count(label), int((found[held] == label).sum())
        assert own < members and abs(own - fraction * members) <= 1
        assert own >= 1 or members == 1 or not fraction


def test_no_sequences() -> None:
    batch = cut_batch(sequences_of([]), np.zeros(0, np.int64))
    assert batch.x_BTC.shape == (0, 0, 2)
