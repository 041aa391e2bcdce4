"""Scaling: there and back, from the training part only, equal to pandas."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.panels import panel
from tidegate.data import scale
from tidegate.data.scale import Scaler, fit_scaler, fit_static_scaler
from tidegate.data.sequences import Channel, Sequences

KINDS = ["standard", "min-max", "robust", "mean-absolute", "none"]
SCOPES = ["series", "global"]


def random_panel(seed: int, lengths: tuple[int, ...] = (30, 7, 50)) -> Sequences:
    random = np.random.default_rng(seed)
    arrays = [random.normal(10 * (number + 1), number + 1, (length, 2)) for number, length in enumerate(lengths)]
    for array in arrays:
        array[random.random(array.shape) < 0.1] = np.nan
    return panel(arrays, ("target", "past"))


def oracle(frame: pd.DataFrame, kind: str) -> tuple[Any, Any]:
    if kind == "standard":
        return frame.mean(), frame.std(ddof=0)
    if kind == "min-max":
        return frame.min(), frame.max() - frame.min()
    if kind == "robust":
        return frame.median(), 0.7413 * (frame.quantile(0.75) - frame.quantile(0.25))
    if kind == "mean-absolute":
        return 0 * frame.mean(), frame.abs().mean()
    return 0 * frame.mean(), 0 * frame.mean() + 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("block", [5, 500_000])
def test_equal_to_pandas_and_from_the_training_part_only(kind: str, scope: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "BLOCK_ROWS", block)
    sequences = random_panel(0)
    ends = sequences.offsets[:-1] + np.array([20, 5, 41])
    frames = [pd.DataFrame(sequences.values[a:b].astype(float)) for a, b in zip(sequences.offsets, ends, strict=False)]
    groups = frames if scope == "series" else [pd.concat(frames)]
    scaler = fit_scaler(sequences, ends, kind, scope)  # pyright: ignore[reportArgumentType]
    assert scaler.shift.shape == (len(groups), 2)
    for number, frame in enumerate(groups):
        shift, width = oracle(frame, kind)
        np.testing.assert_allclose(scaler.shift[number], shift, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(scaler.scale[number], width, rtol=1e-5)
    for begin, end in zip(ends, sequences.offsets[1:], strict=True):
        sequences.values[begin:end] = 1e6
    again = fit_scaler(sequences, ends, kind, scope)  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(again.shift, scaler.shift)
    np.testing.assert_array_equal(again.scale, scaler.scale)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KINDS), st.sampled_from(SCOPES), st.integers(0, 999))
def test_there_and_back(kind: str, scope: str, seed: int) -> None:
    sequences = random_panel(seed)
    scaler = fit_scaler(sequences, sequences.ends, kind, scope)  # pyright: ignore[reportArgumentType]
    scaler = Scaler.from_json(json.loads(json.dumps(scaler.to_json())))
    values = sequences.values[:21].reshape(3, 7, 2)
    series = np.array([0, 2, 1])
    back = scaler.invert(scaler.apply(values, series, [0, 1]), series, [0, 1])
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, values, rtol=1e-4, atol=1e-4)
    one = scaler.invert(scaler.apply(values[..., 1:], series, [1]), series, [1])
    np.testing.assert_allclose(one, values[..., 1:], rtol=1e-4, atol=1e-4)
    quantiles = np.stack([values, values + 1], -1)
    np.testing.assert_allclose(scaler.invert(quantiles, series, [0, 1])[..., 0], scaler.invert(values, series, [0, 1]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scope", SCOPES)
def test_what_does_not_vary_is_only_shifted(kind: str, scope: str) -> None:
    arrays = [
        np.stack([np.full(9, 5.0), np.full(9, np.nan), np.zeros(9)], 1),
        np.stack([np.full(9, 5.0), np.full(9, np.nan), np.zeros(9)], 1),
    ]
    sequences = panel(arrays, ("target", "past", "past"))
    scaler = fit_scaler(sequences, sequences.ends, kind, scope)  # pyright: ignore[reportArgumentType]
    assert np.isfinite(scaler.shift).all()
    assert (scaler.scale[:, 1:] == 1).all()
    assert (scaler.scale[:, 0] == (5 if kind == "mean-absolute" else 1)).all()


def test_a_series_without_a_training_part_stays_as_it_is() -> None:
    sequences = random_panel(1)
    ends = sequences.offsets[:-1] + np.array([20, 0, 40])
    for kind in ("standard", "robust"):
        scaler = fit_scaler(sequences, ends, kind, "series")
        assert scaler.shift[1].tolist() == [0, 0] and scaler.scale[1].tolist() == [1, 1]
        assert (scaler.shift[[0, 2]] != 0).all()


@pytest.mark.parametrize("block", [5, 500_000])
def test_change_is_the_error_of_repeating_the_last_value(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of targets; a covariate beside them is scaled as by 'standard'. Reach 3: over 1, 2 and 3 steps, within the training part."""
    monkeypatch.setattr(scale, "BLOCK_ROWS", block)
    sequences = random_panel(2)
    ends = sequences.offsets[:-1] + np.array([20, 5, 41])
    scaler = fit_scaler(sequences, ends, "change", "series", reach=3)
    standard = fit_scaler(sequences, ends, "standard", "series")
    np.testing.assert_array_equal(scaler.shift, standard.shift)
    np.testing.assert_array_equal(scaler.scale[:, 1], standard.scale[:, 1])
    everything = []
    for number, (begin, end) in enumerate(zip(sequences.offsets, ends, strict=False)):
        part = sequences.values[begin:end, 0].astype(float)
        changes = np.concatenate([np.abs(part[lag:] - part[:-lag]) for lag in (1, 2, 3)])
        everything.append(changes)
        assert scaler.scale[number, 0] == pytest.approx(np.nanmean(changes), rel=1e-5)
    whole = fit_scaler(sequences, ends, "change", "global", reach=3)
    assert whole.scale[0, 0] == pytest.approx(np.nanmean(np.concatenate(everything)), rel=1e-5)


def test_categories_stay_as_they_are() -> None:
    sequences = panel([np.stack([np.arange(9.0), np.arange(9.0) % 3], 1)], ("target", "past"), categories={1: ("a", "b", "c")})
    scaler = fit_scaler(sequences, sequences.ends, "standard", "series")
    assert scaler.shift[0].tolist() == [4, 0] and scaler.scale[0, 1] == 1


def test_large_numbers_keep_their_small_changes() -> None:
    sequences = panel([1e6 + np.arange(100.0) % 7])
    scaler = fit_scaler(sequences, sequences.ends, "standard", "series")
    assert scaler.scale[0, 0] == pytest.approx((np.arange(100.0) % 7).std(), rel=1e-3)


def test_static_numbers() -> None:
    static = np.array([[1.0, 5.0], [3.0, 5.0], [np.nan, 5.0], [5.0, 5.0]])
    sequences = panel([np.zeros(3)] * 4, static=static)
    scaler = fit_static_scaler(sequences)
    assert scaler.shift[0].tolist() == [3, 5]
    assert scaler.scale[0].tolist() == pytest.approx([static[[0, 1, 3], 0].std(), 1])
    assert isinstance(sequences.static_channels[0], Channel)


@pytest.mark.parametrize("kind", ["standard", "min-max", "robust", "mean-absolute", "change"])
@pytest.mark.parametrize("unit", [1e-13, 1e-30, 1.0, 1e20])
def test_whatever_the_unit_it_is_scaled_alike(kind: str, unit: float) -> None:
    values = 5 + np.random.default_rng(0).normal(size=60)
    sequences, plain = panel([unit * values]), panel([values])
    scaler = fit_scaler(sequences, sequences.ends, kind, "series", 3)  # pyright: ignore[reportArgumentType]
    expected = fit_scaler(plain, plain.ends, kind, "series", 3)  # pyright: ignore[reportArgumentType]
    assert scaler.scale[0, 0] == pytest.approx(unit * float(expected.scale[0, 0]), rel=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-13, 1e-42, -3e7])
def test_a_constant_is_only_shifted_whatever_its_size(value: float) -> None:
    sequences = panel([np.full(1000, value)])
    for kind in ("standard", "min-max", "robust", "change"):
        assert fit_scaler(sequences, sequences.ends, kind, "series", 3).scale[0, 0] == 1.0
