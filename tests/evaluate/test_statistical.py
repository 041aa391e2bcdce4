"""AutoETS and AutoTheta."""

import sys

import numpy as np
import pytest

from tidegate.errors import SettingsError
from tidegate.evaluate.baselines import History, seasonal_naive
from tidegate.evaluate.statistical import statistical

NAMES = ("auto_ets", "auto_theta")


def _history(values: np.ndarray, origins: list[int], horizon: int) -> History:
    num = len(origins)
    return History(values, np.zeros(num, np.int64), np.array(origins), horizon)


def _wave(steps: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (50 + 0.5 * np.arange(steps) + 5 * np.sin(2 * np.pi * np.arange(steps) / 4) + 0.5 * rng.normal(size=steps))[:, None]


def test_beat_the_seasonal_naive_on_a_wave_with_trend() -> None:
    pytest.importorskip("statsforecast")
    values, origins = _wave(100), [80, 88, 92]
    observed = values[np.array(origins)[:, None] + np.arange(8)]
    history = _history(values, origins, 8)
    naive = np.abs(seasonal_naive(history, 4) - observed).mean()
    forecasts = statistical(history, (4,))
    assert tuple(forecasts) == NAMES
    for forecast in forecasts.values():
        assert np.abs(forecast - observed).mean() < naive


def test_gaps_short_and_constant_series_and_the_future() -> None:
    pytest.importorskip("statsforecast")
    values = np.concatenate([_wave(60), np.full((60, 1), 3.0)], axis=1)
    values[[10, 11, 47, 48, 49], 0] = np.nan
    spoiled = values.copy()
    spoiled[50:] = -1e9
    forecasts, others = (statistical(_history(data, [5, 50], 4), (4, 40)) for data in (values, spoiled))
    for name in NAMES:
        np.testing.assert_array_equal(forecasts[name], others[name])
        np.testing.assert_array_equal(forecasts[name][0, :, 0], np.full(4, values[4, 0]))
        np.testing.assert_array_equal(forecasts[name][:, :, 1], np.full((2, 4), 3.0))
        assert np.abs(forecasts[name][1, :, 0] - values[50:54, 0]).mean() < 2.5


def test_without_statsforecast_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast.models", None)
    with pytest.raises(SettingsError, match=r"pip install 'tidegate\[baselines\]'"):
        statistical(_history(_wave(20), [15], 2))
