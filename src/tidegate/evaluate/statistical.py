"""Two statistical rivals, fitted anew to the past of every window: AutoETS and AutoTheta of statsforecast (extra `baselines`)."""

import numpy as np

from tidegate.errors import SettingsError
from tidegate.evaluate.baselines import History, repeat_last

MOST_STEPS = 1000
"""Newest steps of the past that they are fitted to: ten times as many take ten times as long and hardly forecast better."""

_FEWEST_STEPS = 8
"""A shorter past is too short for a model of three or four parameters; the last value is repeated."""


def statistical(history: History, seasons: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
    """Forecasts [W, N, C] in the type of the values, by name: 'auto_ets' and 'auto_theta'.

    The shortest season is used where the past holds two of it, else none. Gaps are interpolated; after a gap at the end the
    forecast begins at the last observed value. Takes about a second for each window and target of 1,000 steps with season 24.
    Raises SettingsError where statsforecast is not installed.

    AutoETS: Hyndman et al. 2002, 'A state space framework for automatic forecasting'. AutoTheta: Fiorucci et al. 2016, 'Models
    for optimising the theta method'.
    """
    models = _models()
    forecasts = {name: np.array(repeat_last(history)) for name in models}
    for window, (first, origin) in enumerate(zip(history.first, history.origin, strict=True)):
        past = history.values[max(first, origin - MOST_STEPS) : origin].astype(np.float64)
        for target in range(past.shape[1]):
            series, gap = _observed(past[:, target])
            if len(series) < _FEWEST_STEPS or np.ptp(series) == 0.0:
                continue
            season = min(seasons, default=1)
            season = season if len(series) >= 2 * season else 1
            for name, model in models.items():
                steps = model(season_length=season).forecast(y=series, h=history.horizon + gap)["mean"]
                forecasts[name][window, :, target] = steps[gap:]
    return forecasts


def _models() -> dict[str, type]:
    try:
        from statsforecast.models import AutoETS, AutoTheta
    except ImportError:
        raise SettingsError(
            "AutoETS and AutoTheta need statsforecast, which is not installed. Install it with: pip install 'tidegate[baselines]'."
        ) from None
    return {"auto_ets": AutoETS, "auto_theta": AutoTheta}


def _observed(past: np.ndarray) -> tuple[np.ndarray, int]:
    """From the first to the last observed value, gaps interpolated, and how many steps are missing after it."""
    places = np.flatnonzero(~np.isnan(past))
    if len(places) == 0:
        return past[:0], 0
    span = np.arange(places[0], places[-1] + 1)
    return np.interp(span, places, past[places]), len(past) - 1 - int(places[-1])
