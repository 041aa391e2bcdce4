"""Training batches changed by chance: what stays, what changes, and that the same chance changes the same."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.config_classify import ClassTrainingSettings
from tidegate.data.augment import at_another_pace, augment, mixed
from tidegate.data.sequence_batches import SequenceBatch

EVERY: dict[str, dict[str, Any]] = {
    "jitter": {"jitter": 0.1},
    "magnitude": {"magnitude": 0.2},
    "warp": {"warp": 1.0},
    "crop": {"crop": 0.3},
    "mixup": {"mixup": 0.4},
    "all": {"jitter": 0.1, "magnitude": 0.2, "warp": 0.5, "crop": 0.3, "mixup": 0.4},
}


def batch_of(lengths: list[int], seed: int = 0, missing: bool = False) -> SequenceBatch:
    random = np.random.default_rng(seed)
    x = random.normal(size=(len(lengths), max(lengths), 2)).astype(np.float32)
    if missing:
        x[0, 1, 1] = np.nan
    for row, length in zip(x, lengths, strict=True):
        row[length:] = 0.0
    return SequenceBatch(x, np.array(lengths), np.arange(len(lengths)) + 7)


def changed(batch: SequenceBatch, seed: int = 0, **settings: float) -> SequenceBatch:
    return augment(batch, ClassTrainingSettings.model_validate(settings), np.random.default_rng(seed))


def test_nothing_changes_where_nothing_is_asked() -> None:
    batch = batch_of([9, 4])
    assert np.array_equal(changed(batch).x_BTC, batch.x_BTC)


@pytest.mark.parametrize("name", EVERY)
def test_chance_follows_from_its_seed_and_the_batch_stays_what_it_was(name: str) -> None:
    batch = batch_of([30, 30, 12, 30, 1])
    before = batch.x_BTC.copy()
    one, again, other = (changed(batch, seed, **EVERY[name]) for seed in (1, 1, 2))
    assert np.array_equal(one.x_BTC, again.x_BTC) and not np.array_equal(one.x_BTC, other.x_BTC)
    assert not np.array_equal(one.x_BTC, before) and np.array_equal(batch.x_BTC, before)
    assert one.x_BTC.dtype == np.float32 and one.x_BTC.shape == before.shape
    assert np.array_equal(one.lengths_B, batch.lengths_B) and np.array_equal(one.numbers_B, batch.numbers_B)
    assert not one.x_BTC[2, 12:].any() and not one.x_BTC[4, 1:].any()


@given(st.integers(1, 50), st.integers(0, 2**32 - 1), st.floats(0.0, 0.99), st.floats(0.0, 1.0))
def test_another_pace_keeps_the_order_and_the_range(length: int, seed: int, crop: float, warp: float) -> None:
    ramp = np.arange(length, dtype=np.float32)[None, :, None]
    found = at_another_pace(ramp, np.array([length]), warp, crop, np.random.default_rng(seed))[0, :, 0]
    assert found.min() >= -1e-3 and found.max() <= length - 1 + 1e-3
    assert (np.diff(found) > 0).all()
    if not crop:
        np.testing.assert_allclose(found[[0, -1]], ramp[0, [0, -1], 0], atol=1e-4)


def test_no_pace_leaves_every_step_and_every_gap() -> None:
    batch = batch_of([20, 9], missing=True)
    found = at_another_pace(batch.x_BTC, batch.lengths_B, 0.0, 0.0, np.random.default_rng(0))
    np.testing.assert_allclose(found, batch.x_BTC, rtol=1e-4, atol=1e-4)


def test_a_missing_value_spreads_to_its_neighbours_at_most() -> None:
    batch = batch_of([20, 9], missing=True)
    for name, settings in EVERY.items():
        missing = np.isnan(changed(batch, **settings).x_BTC)
        assert missing.any() and missing.sum() <= 8, name


def test_only_sequences_of_the_same_length_are_mixed() -> None:
    batch = batch_of([8, 8, 8, 5])
    found = mixed(batch, 1.0, np.random.default_rng(3))
    assert found.partners_B is not None and found.shares_B is not None
    assert found.shares_B[3] == 1.0 and np.array_equal(found.x_BTC[3], batch.x_BTC[3])
    assert (found.shares_B >= 0.5).all() and (found.shares_B[:3] < 1.0).any()
    share = found.shares_B[:3, None, None]
    expected = share * batch.x_BTC[:3] + (1.0 - share) * batch.x_BTC[found.partners_B[:3]]
    same = found.partners_B[:3] < 3
    np.testing.assert_allclose(found.x_BTC[:3][same], expected[same], rtol=1e-6)
