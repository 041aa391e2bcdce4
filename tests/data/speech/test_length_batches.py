"""Batches of utterances: each comes once, limits hold, padding is small, and chance follows from seed and epoch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.speech.length_batches import growing, length_batches, pad
from tidegate.errors import DataError, SettingsError


def realistic(count: int, seed: int) -> np.ndarray:
    """Lengths like TIMIT's, in frames: about 300, most between 150 and 600."""
    return np.random.default_rng(seed).lognormal(np.log(300), 0.35, count).astype(np.int64)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(0, 500), max_size=150),
    st.integers(1, 2000),
    st.none() | st.integers(1, 9),
    st.none() | st.integers(0, 99),
)
def test_each_once_and_within_the_limits(lengths: list[int], frames: int, most: int | None, seed: int | None) -> None:
    array = np.array(lengths, np.int64)
    batches = length_batches(array, frames, None if seed is None else np.random.default_rng(seed), most)
    assert sorted(np.concatenate([np.zeros(0, np.int64), *batches])) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * array[batch].max() <= frames
        assert len(batch) >= 1 and (most is None or len(batch) <= most)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.sampled_from([10_000, 20_000]))
def test_little_is_padding(seed: int, frames: int) -> None:
    lengths = realistic(2000, seed)
    batches = length_batches(lengths, frames, np.random.default_rng(seed))
    padded = np.array([len(batch) * lengths[batch].max() for batch in batches])
    assert padded.max() <= frames
    assert 1.0 - lengths.sum() / padded.sum() < 0.12
    assert np.mean(padded > 0.8 * frames) > 0.9, "batches are full"


def test_batches_are_shuffled_and_differ() -> None:
    lengths = realistic(1000, 0)
    one, other = (length_batches(lengths, 10_000, np.random.default_rng(seed)) for seed in (0, 1))
    assert {tuple(sorted(batch)) for batch in one}.isdisjoint({tuple(sorted(batch)) for batch in other})
    middles = np.array([np.median(lengths[batch]) for batch in one])
    assert abs(np.corrcoef(middles, np.arange(len(middles)))[0, 1]) < 0.5


def test_the_first_epochs_grow_and_an_epoch_is_a_function_of_its_seed() -> None:
    lengths = realistic(300, 0)
    for epoch in (0, 1):
        assert np.all(np.diff(lengths[np.concatenate(growing(epoch, lengths, 9000, 7, epochs=2))]) >= 0)
    epochs = [growing(epoch, lengths, 9000, 7, epochs=2) for epoch in range(4)]
    again = [growing(epoch, lengths, 9000, 7, epochs=2) for epoch in range(4)]
    for one, other in zip(epochs, again, strict=True):
        assert all(map(np.array_equal, one, other))
    assert not np.array_equal(np.concatenate(epochs[2]), np.concatenate(epochs[3]))
    assert not np.array_equal(np.concatenate(epochs[2]), np.concatenate(growing(2, lengths, 9000, 8, epochs=2)))
    assert np.any(np.diff(lengths[np.concatenate(growing(0, lengths, 9000, 7, epochs=0))]) < 0)


def test_padding_is_zero_behind_each() -> None:
    random = np.random.default_rng(0)
    parts = [random.normal(size=(steps, 3)).astype(np.float32) for steps in (4, 0, 7)]
    parts[0].flags.writeable = False
    x_BTC, lengths_B = pad([parts[0], parts[1], torch.tensor(parts[2])])
    assert x_BTC.shape == (3, 7, 3) and x_BTC.dtype == torch.float32
    assert lengths_B.dtype == torch.int64 and lengths_B.tolist() == [4, 0, 7]
    for row, part in zip(x_BTC.numpy(), parts, strict=True):
        assert np.array_equal(row[: len(part)], part) and not row[len(part) :].any()


def test_bad_input() -> None:
    for limits in ((0, None), (10, 0)):
        with pytest.raises(SettingsError, match="is 0; expected 1 or more"):
            length_batches(np.array([3]), limits[0], None, limits[1])
    with pytest.raises(DataError, match=r"shapes none; expected one or more"):
        pad([])
    with pytest.raises(DataError, match=r"shapes \(2, 3\), \(2, 4\); expected.*the same channels"):
        pad([np.zeros((2, 3)), np.zeros((2, 4))])
    with pytest.raises(DataError, match=r"shapes \(2,\)"):
        pad([np.zeros(2)])
