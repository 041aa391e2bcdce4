"""The naive rivals, by hand and on real data."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.evaluate import baselines
from tidegate.evaluate.baselines import History, drift, mean_before, moving_average, repeat_last, seasonal_naive

NAN = np.nan


def mean(history: History, trained: float = NAN) -> np.ndarray:
    """The training mean, the same for all windows and targets."""
    return baselines.mean(history, np.full((len(history.origin), history.values.shape[1]), trained))


ALL: dict[str, Callable[[History], np.ndarray]] = {
    "mean": mean,
    "repeat_last": repeat_last,
    "seasonal_naive": partial(seasonal_naive, season=3),
    "drift": drift,
    "moving_average": partial(moving_average, window=4),
}


def _history(values: list[float], horizon: int = 3, origin: int | None = None) -> History:
    """One series, one target, one window."""
    origin = len(values) if origin is None else origin
    return History(np.array(values)[:, None], np.zeros(1, np.int64), np.array([origin]), horizon)


def _forecast(baseline: Callable[[History], np.ndarray], history: History) -> list[float]:
    return baseline(history)[0, :, 0].tolist()


def test_mean_is_that_of_the_training_part() -> None:
    assert _forecast(partial(mean, trained=7.0), _history([1, NAN, 3, 5, 100, 100])) == [7, 7, 7]


def test_mean_of_an_unknown_training_part_is_that_of_the_past() -> None:
    assert _forecast(mean, _history([NAN, NAN, NAN, NAN, 4, 6, 50], origin=6)) == [5, 5, 5]


def test_means_before_rows() -> None:
    values = np.array([1.0, NAN, 3.0, 5.0, 8.0, 2.0])[:, None]
    means = mean_before(values, np.array([0, 4, 0, 0, 4, 4]), np.array([4, 6, 1, 3, 5, 4]))
    np.testing.assert_array_equal(means[:, 0], [3, 5, 1, 2, 8, NAN])
    assert mean_before(values, np.zeros(0, np.int64), np.zeros(0, np.int64)).shape == (0, 1)


def test_repeat_last_steps_over_missing_values() -> None:
    assert _forecast(repeat_last, _history([1, 2, 7, NAN, NAN])) == [7, 7, 7]


def test_seasonal_naive_repeats_the_season_beyond_its_length() -> None:
    assert _forecast(partial(seasonal_naive, season=3), _history([9, 9, 1, 2, 3], horizon=7)) == [1, 2, 3, 1, 2, 3, 1]


def test_seasonal_naive_looks_for_the_same_place_in_earlier_seasons() -> None:
    values = [10, 20, 30, 11, NAN, 31, 12, NAN, NAN]
    assert _forecast(partial(seasonal_naive, season=3), _history(values)) == [12, 20, 31]


def test_seasonal_naive_without_a_full_season_falls_back_to_the_last_value() -> None:
    assert _forecast(partial(seasonal_naive, season=5), _history([1, 2], horizon=6)) == [2, 2, 2, 1, 2, 2]


def test_drift_goes_through_first_and_last_value() -> None:
    assert _forecast(drift, _history([1, 5, 2, 4])) == [5, 6, 7]
    assert _forecast(drift, _history([NAN, 1, NAN, 5, NAN])) == [9, 11, 13]
    assert _forecast(drift, _history([2])) == [2, 2, 2]


def test_moving_average_leaves_missing_values_out() -> None:
    average = partial(moving_average, window=3)
    assert _forecast(average, _history([9, 1, NAN, 3])) == [2, 2, 2]
    assert _forecast(average, _history([4, NAN, NAN, NAN])) == [4, 4, 4]
    assert _forecast(average, _history([1, 3])) == [2, 2, 2]


@pytest.mark.parametrize("name", ALL)
def test_series_do_not_see_each_other_and_channels_are_apart(name: str) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, 2)).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = NAN
    together = History(values, np.array([0, 12, 12, 12]), np.array([12, 20, 30, 14]), 7)
    forecast = ALL[name](together)
    assert forecast.shape == (4, 7, 2)
    assert forecast.dtype == np.float32
    for window, (begin, origin) in enumerate([(0, 12), (12, 20), (12, 30), (12, 14)]):
        for target in range(2):
            alone = _history(values[begin:origin, target].tolist(), 7, origin - begin)
            np.testing.assert_allclose(forecast[window, :, target], ALL[name](alone)[0, :, 0], rtol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_nothing_observed_gives_missing(name: str) -> None:
    assert np.isnan(ALL[name](_history([NAN, NAN, NAN]))).all()


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.one_of(st.floats(-1e3, 1e3), st.just(NAN)), min_size=6, max_size=30),
    changed=st.floats(-1e6, 1e6),
    name=st.sampled_from(sorted(ALL)),
)
def test_what_comes_after_the_origin_changes_nothing(values: list[float], changed: float, name: str) -> None:
    origin = 5
    other = values[:origin] + [changed] * (len(values) - origin)
    first = ALL[name](_history(values, origin=origin))
    np.testing.assert_array_equal(first, ALL[name](_history(other, origin=origin)))
    if not np.isnan(values[:origin]).all():
        assert np.isfinite(first).all()


def test_blocks_do_not_change_the_moving_average(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).normal(size=(50, 1))
    origin = np.arange(10, 50)
    history = History(values, np.zeros(40, np.int64), origin, 2)
    whole = moving_average(history, 6)
    monkeypatch.setattr(baselines, "_BLOCK_WINDOWS", 7)
    np.testing.assert_array_equal(whole, moving_average(history, 6))
    np.testing.assert_allclose(whole[5, 0, 0], values[9:15].mean())


def test_repeat_last_on_etth1(shared: Path) -> None:
    """Horizon 96, z-scored by the training part, all stride-1 test windows: the floor that the long-horizon tables start from."""
    values = np.genfromtxt(shared / "ett" / "ETTh1.csv", delimiter=",", skip_header=1)[:14400, 1:]
    values = (values - values[:8640].mean(axis=0)) / values[:8640].std(axis=0)
    origin = np.arange(11520, 14400 - 95)
    history = History(values, np.zeros(len(origin), np.int64), origin, 96)
    error = repeat_last(history) - values[origin[:, None] + np.arange(96)]
    assert np.mean(error**2) == pytest.approx(1.294, abs=5e-4)
    assert np.mean(np.abs(error)) == pytest.approx(0.713, abs=5e-4)
