"""The model and its naive rivals at the same origins."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tidegate.config import Config
from tidegate.data.windows import OriginSet
from tidegate.evaluate import baselines
from tidegate.evaluate.baselines import History
from tidegate.evaluate.forecast import Backtest, mase_scale
from tidegate.evaluate.ridge import Ridge
from tidegate.evaluate.statistical import statistical as statistical_rivals
from tidegate.tasks.material import Material
from tidegate.tasks.model import ForecastModel, Predictions


class Frame(Protocol):
    """Puts forecasts [W, N, C], and quantiles [W, N, C, Q] at `levels`, beside what was observed."""

    def __call__(self, forecast: np.ndarray, quantiles: np.ndarray | None = None, levels: tuple[float, ...] = ()) -> Backtest: ...


@dataclass(frozen=True)
class Rivals:
    """What the baselines need besides the windows: how long a season is, how far a moving average reaches, and the fitted ridge."""

    seasons: tuple[int, ...]
    average: int
    ridge: Ridge

    @property
    def main_season(self) -> int:
        """The season that MASE is scaled by; 1 where there is none."""
        return self.seasons[0] if self.seasons else 1


def fit_rivals(material: Material) -> Rivals:
    """The rivals, from the training part; the ridge's penalty from the validation part."""
    seasons = material.config.data.season or ()
    return Rivals(seasons, seasons[0] if seasons else material.config.data.horizon, material.ridge)


def kept_rivals(tensors: dict[str, np.ndarray], config: Config) -> Rivals:
    """The rivals as a run kept them."""
    seasons = config.data.season or ()
    return Rivals(seasons, seasons[0] if seasons else config.data.horizon, Ridge(tensors["ridge"], None, 1))


def history_of(origins: OriginSet) -> History:
    """The baselines' view of windows."""
    prepared = origins.windows.prepared
    first = prepared.sequences.offsets[origins.series]
    return History(prepared.observed_targets(), first, origins.origin, prepared.train_ends[origins.series], origins.windows.horizon)


def run_rivals(rivals: Rivals, history: History) -> dict[str, np.ndarray]:
    """Forecasts [W, N, C] by name."""
    found = {"mean": baselines.mean(history), "repeat_last": baselines.repeat_last(history)}
    for number, season in enumerate(rivals.seasons):
        found["seasonal_naive" if number == 0 else f"seasonal_naive_{season}"] = baselines.seasonal_naive(history, season)
    found["drift"] = baselines.drift(history)
    found["moving_average"] = baselines.moving_average(history, rivals.average)
    found["ridge"] = rivals.ridge.predict(history.values, history.first, history.origin)
    return found


def backtest_frame(origins: OriginSet, season: int) -> Frame:
    """What puts forecasts at these origins beside what was observed there."""
    windows = origins.windows
    sequences, prepared = windows.sequences, windows.prepared
    values = prepared.observed_targets()
    rows = origins.origin[:, None] + np.arange(windows.horizon)
    last = sequences.offsets[origins.series + 1] - 1
    observed = values[np.minimum(rows, last[:, None])]
    observed[rows > last[:, None]] = np.nan
    scale = mase_scale(values, sequences.offsets, prepared.train_ends, season)
    periods = windows.periods(origins.series, origins.origin)

    def frame(forecast: np.ndarray, quantiles: np.ndarray | None = None, levels: tuple[float, ...] = ()) -> Backtest:
        return Backtest(observed, forecast, quantiles, levels, origins.series, periods, sequences.ids, sequences.targets, scale)

    return frame


def backtest(
    model: ForecastModel, rivals: Rivals, origins: OriginSet, statistical: bool = False
) -> tuple[Backtest, dict[str, Backtest], Predictions]:
    """The model's backtest, the rivals' by name, and what the model said."""
    frame = backtest_frame(origins, rivals.main_season)
    said = model.predict(origins, attention=True)
    history = history_of(origins)
    found = run_rivals(rivals, history)
    if statistical:
        found |= statistical_rivals(history, rivals.seasons)
    others = {name: frame(forecast) for name, forecast in found.items()}
    return frame(said.point, said.quantiles, said.levels), others, said
