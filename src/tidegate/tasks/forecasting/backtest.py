"""The model and its naive rivals at the same origins."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tidegate.config import Config, DataSettings
from tidegate.data.sequences import Sequences
from tidegate.data.windows import OriginSet
from tidegate.evaluate import baselines
from tidegate.evaluate.baselines import History
from tidegate.evaluate.forecast import Backtest, mase_scale
from tidegate.evaluate.ridge import Cleaned, Ridge
from tidegate.evaluate.statistical import statistical as statistical_rivals
from tidegate.tasks.forecasting.material import Material
from tidegate.tasks.forecasting.model import ForecastModel, Predictions


class Frame(Protocol):
    """Puts forecasts [W, N, C], and quantiles [W, N, C, Q] at `levels`, beside what was observed."""

    def __call__(self, forecast: np.ndarray, quantiles: np.ndarray | None = None, levels: tuple[float, ...] = ()) -> Backtest: ...


@dataclass(frozen=True)
class Trained:
    """What the training part says of the series with these n ids: `mean` of each target, and `mase_scale`, float64 [n, C]."""

    ids: tuple[str, ...]
    mean: np.ndarray
    mase_scale: np.ndarray

    def places(self, ids: tuple[str, ...]) -> np.ndarray:
        """The row of each of these series, int64; -1 for one that training never saw."""
        rows = {name: row for row, name in enumerate(self.ids)}
        return np.array([rows.get(name, -1) for name in ids], np.int64)


@dataclass(frozen=True)
class Rivals:
    """What the baselines need besides the windows: how long a season is, how far a moving average reaches, the fitted ridge, and what
    the training part says of its series."""

    seasons: tuple[int, ...]
    average: int
    ridge: Ridge
    trained: Trained

    @property
    def main_season(self) -> int:
        """The season that MASE is scaled by; 1 where there is none."""
        return _main_season(self.seasons)


def _main_season(seasons: tuple[int, ...]) -> int:
    return seasons[0] if seasons else 1


def fit_rivals(material: Material) -> Rivals:
    """The rivals, from the training part; the ridge's penalty from the validation part."""
    return _rivals(material.config, material.ridge, fit_trained(material))


def fit_trained(material: Material) -> Trained:
    """The means and MASE scales of the training part, of the series that have one."""
    sequences, ends = material.sequences, material.parts.train
    values, starts = material.prepared.observed_targets(), sequences.offsets[:-1]
    scale = mase_scale(values, sequences.offsets, ends, _main_season(material.config.data.season or ()))
    rows = np.flatnonzero(ends > starts)
    return Trained(tuple(sequences.ids[row] for row in rows), baselines.mean_before(values, starts[rows], ends[rows]), scale[rows])


def rival_tensors(rivals: Rivals) -> dict[str, np.ndarray]:
    """All that baselines.safetensors holds; the rows of mean and mase_scale are the series of preparation.json."""
    return {"ridge": rivals.ridge.weights, "mean": rivals.trained.mean, "mase_scale": rivals.trained.mase_scale}


def kept_rivals(tensors: dict[str, np.ndarray], model: ForecastModel, own: Material | None = None) -> Rivals:
    """The rivals as a run kept them. A folder may hold the ridge alone: then `own`, the material of training if that is what is
    evaluated, tells the rest, and without it no series counts as known."""
    if "mean" in tensors:
        trained = Trained(model.preparation.ids, tensors["mean"], tensors["mase_scale"])
    elif own is not None:
        trained = fit_trained(own)
    else:
        nothing = np.zeros((0, len(model.schema.targets)))
        trained = Trained((), nothing, nothing)
    return _rivals(model.config, Ridge(tensors["ridge"], None, 1), trained)


def _rivals(config: Config, ridge: Ridge, trained: Trained) -> Rivals:
    seasons = config.data.season or ()
    return Rivals(seasons, seasons[0] if seasons else config.data.horizon, ridge, trained)


def history_of(origins: OriginSet) -> History:
    """The baselines' view of windows."""
    prepared = origins.windows.prepared
    first = prepared.sequences.offsets[origins.series]
    return History(prepared.observed_targets(), first, origins.origin, origins.windows.horizon)


def cleaned_lookbacks(origins: OriginSet) -> Cleaned:
    """What the network reads in place of the observed targets before each origin: the ridge reads the same."""
    targets, lookback = origins.windows.target_columns, origins.windows.lookback
    inside = (origins.overlay_step < lookback) & np.isin(origins.overlay_column, targets)
    column = origins.overlay_column[inside] - targets[0]
    return Cleaned(origins.overlay_window[inside], origins.overlay_step[inside], column, origins.overlay_value[inside])


def run_rivals(rivals: Rivals, origins: OriginSet, history: History) -> dict[str, np.ndarray]:
    """Forecasts [W, N, C] by name. Only the ridge reads lookbacks as cleaned; the naive rivals are what their definitions say."""
    places = rivals.trained.places(origins.windows.sequences.ids)[origins.series]
    trained = _rows_of(rivals.trained.mean, places)
    found = {"mean": baselines.mean(history, trained), "repeat_last": baselines.repeat_last(history)}
    for number, season in enumerate(rivals.seasons):
        found["seasonal_naive" if number == 0 else f"seasonal_naive_{season}"] = baselines.seasonal_naive(history, season)
    found["drift"] = baselines.drift(history)
    found["moving_average"] = baselines.moving_average(history, rivals.average)
    found["ridge"] = rivals.ridge.predict(history.values, history.first, history.origin, cleaned_lookbacks(origins))
    return found


def scales_at(rivals: Rivals, origins: OriginSet, values: np.ndarray) -> np.ndarray:
    """MASE scale of each series, float64 [n, C]: of the training part; of what lies before its first origin where training never saw it."""
    sequences = origins.windows.sequences
    places = rivals.trained.places(sequences.ids)
    ends = sequences.offsets[:-1].copy()
    order = np.argsort(-origins.origin, kind="stable")
    ends[origins.series[order]] = origins.origin[order]  # of several origins of a series the earliest comes last, and stays
    ends = np.where(places < 0, ends, sequences.offsets[:-1])
    own = mase_scale(values, sequences.offsets, ends, rivals.main_season)
    return np.where(places[:, None] < 0, own, _rows_of(rivals.trained.mase_scale, places))


def _rows_of(table: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The rows at these places; NaN where a place is -1."""
    return np.vstack([table, np.full((1, table.shape[1]), np.nan)])[places]


def shares_clock(sequences: Sequences, data: DataSettings) -> bool:
    """Whether one period number is one time in all series: not where each numbers its own steps, as in a table with a series a row or
    without times. Series of one length count as recorded together even there, and those of a wide table are."""
    numbered = data.layout == "rows" or (data.layout == "long" and data.time is None)
    return not numbered or len(np.unique(sequences.lengths)) <= 1


def backtest_frame(origins: OriginSet, rivals: Rivals, data: DataSettings) -> Frame:
    """What puts forecasts at these origins beside what was observed there."""
    windows = origins.windows
    sequences, values = windows.sequences, windows.prepared.observed_targets()
    rows = origins.origin[:, None] + np.arange(windows.horizon)
    last = sequences.offsets[origins.series + 1] - 1
    observed = values[np.minimum(rows, last[:, None])]
    observed[rows > last[:, None]] = np.nan
    scale, clock = scales_at(rivals, origins, values), shares_clock(sequences, data)
    periods = windows.periods(origins.series, origins.origin)

    def frame(forecast: np.ndarray, quantiles: np.ndarray | None = None, levels: tuple[float, ...] = ()) -> Backtest:
        return Backtest(observed, forecast, quantiles, levels, origins.series, periods, sequences.ids, sequences.targets, scale, clock)

    return frame


def backtest(
    model: ForecastModel, rivals: Rivals, origins: OriginSet, statistical: bool = False
) -> tuple[Backtest, dict[str, Backtest], Predictions]:
    """The model's backtest, the rivals' by name, and what the model said."""
    frame = backtest_frame(origins, rivals, model.config.data)
    said = model.predict(origins, attention=True)
    history = history_of(origins)
    found = run_rivals(rivals, origins, history)
    if statistical:
        found |= statistical_rivals(history, rivals.seasons)
    others = {name: frame(forecast) for name, forecast in found.items()}
    return frame(said.point, said.quantiles, said.levels), others, said
