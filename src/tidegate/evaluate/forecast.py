"""Scores of forecasts beside what was observed.

Letters: W windows, N lead times, C targets, Q quantiles, n series, G groups. A cell is one window, lead time and target;
it counts where both the observed value and the forecast are present (not NaN). Every score is computed for each target over
all its cells, in original units, and then averaged over the targets that have one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

Sums = Mapping[str, np.ndarray]
"""Sums over cells by name, float64 [G, C] each; what every score is made of."""

_BLOCK_CELLS = 1 << 18
"""Cells looked at together: 2 MiB in float64, so that the temporary arrays stay in the processor's cache."""


@dataclass(frozen=True)
class Backtest:
    """Forecasts from W origins and what came.

    observed    [W, N, C], NaN is missing
    forecast    [W, N, C], NaN where there is none
    quantiles   [W, N, C, Q] or None
    levels      the Q levels, ascending, such as (0.1, 0.9)
    series      int64 [W], number of each window's series
    origin      int64 [W], period number of each window's first lead time
    ids         n names of series
    targets     C names
    mase_scale  float [n, C], see `mase_scale`
    shared_clock  whether one period number is one time in all series; False where each series counts its own steps
    """

    observed: np.ndarray
    forecast: np.ndarray
    quantiles: np.ndarray | None
    levels: tuple[float, ...]
    series: np.ndarray
    origin: np.ndarray
    ids: tuple[str, ...]
    targets: tuple[str, ...]
    mase_scale: np.ndarray
    shared_clock: bool = True

    def __post_init__(self) -> None:
        windows, _, targets = self.observed.shape
        expected = {
            "forecast": (self.forecast, self.observed.shape),
            "series": (self.series, (windows,)),
            "origin": (self.origin, (windows,)),
            "mase_scale": (self.mase_scale, (len(self.ids), targets)),
        }
        if self.quantiles is not None:
            expected["quantiles"] = (self.quantiles, (*self.observed.shape, len(self.levels)))
        for name, (array, shape) in expected.items():
            if array.shape != shape:
                raise ValueError(f"{name} has shape {array.shape}, expected {shape}")

    def select(self, windows: np.ndarray | slice) -> "Backtest":
        """The same backtest with some of its windows only."""
        return replace(
            self,
            observed=self.observed[windows],
            forecast=self.forecast[windows],
            quantiles=None if self.quantiles is None else self.quantiles[windows],
            series=self.series[windows],
            origin=self.origin[windows],
        )

    def at_lead_time(self, number: int) -> "Backtest":
        """The same backtest with one lead time only, counted from 0."""
        part = slice(number, number + 1)
        return replace(
            self,
            observed=self.observed[:, part],
            forecast=self.forecast[:, part],
            quantiles=None if self.quantiles is None else self.quantiles[:, part],
        )


# Scores. y observed, f forecast, e = f - y; the mean goes over cells.


def mae(sums: Sums) -> np.ndarray:
    """Mean absolute error, mean |e|. Hyndman and Koehler 2006, 'Another look at measures of forecast accuracy', 2.1."""
    return _ratio(sums["absolute"], sums["count"])


def rmse(sums: Sums) -> np.ndarray:
    """Root mean squared error, sqrt(mean e^2). Hyndman and Koehler 2006, 2.1."""
    return np.sqrt(_ratio(sums["squared"], sums["count"]))


def mape(sums: Sums) -> np.ndarray:
    """Mean absolute percentage error, mean |e| / |y|, as a fraction; cells with y = 0 are left out. Hyndman and Koehler 2006, 2.2."""
    return _ratio(sums["relative"], sums["relative_count"])


def smape(sums: Sums) -> np.ndarray:
    """Symmetric MAPE, mean 2|e| / (|y| + |f|), as a fraction from 0 to 2; 0 where y = f = 0.

    Makridakis, Spiliotis and Assimakopoulos 2020, 'The M4 Competition', eq. 1 (there in per cent).
    """
    return _ratio(sums["symmetric"], sums["count"])


def mase(sums: Sums) -> np.ndarray:
    """Mean absolute scaled error, mean |e| / s, s the series' in-sample seasonal naive MAE (`mase_scale`).

    Series whose s is 0 or unknown are left out. Hyndman and Koehler 2006, eq. 3, seasonal as in the M4 Competition.
    """
    return _ratio(sums["scaled"], sums["scaled_count"])


def r2(sums: Sums) -> np.ndarray:
    """Coefficient of determination, 1 - sum e^2 / sum (y - mean y)^2; NaN where y does not vary.

    Wright 1921; the mean is that of the cells scored, as in scikit-learn's r2_score.
    """
    return 1.0 - _ratio(sums["squared"], sums["spread"])


def bias(sums: Sums) -> np.ndarray:
    """Mean error, mean e: forecast minus observed. Hyndman and Athanasopoulos 2021, 'Forecasting', 5.8, sign turned."""
    return _ratio(sums["signed"], sums["count"])


def pinball(sums: Sums) -> np.ndarray:
    """Pinball loss, mean over cells and levels of max(q (y - f_q), (q - 1) (y - f_q)). Koenker and Bassett 1978, eq. 1.4."""
    return _ratio(sums["pinball"], sums["quantile_count"])


def coverage(sums: Sums) -> np.ndarray:
    """Share of cells with f_low <= y <= f_high, for the outermost pair of levels q and 1 - q. Christoffersen 1998, 2."""
    return _ratio(sums["inside"], sums["quantile_count"])


_POINT_SCORES: dict[str, Callable[[Sums], np.ndarray]] = {
    "mae": mae,
    "rmse": rmse,
    "mape": mape,
    "smape": smape,
    "mase": mase,
    "r2": r2,
    "bias": bias,
}


def metrics(backtest: Backtest) -> dict[str, float]:
    """All scores of a backtest by name, averaged over targets; NaN where nothing can be scored.

    mae rmse mape smape mase r2 bias, and with quantiles pinball and coverage_80 (the number is the nominal per cent).
    """
    return {name: float(_mean(values[0])) for name, values in _scores(backtest, _one_group(backtest), 1).items()}


def by_target(backtest: Backtest) -> dict[str, dict[str, float]]:
    """The scores of each target: name of the target -> name of the score -> value."""
    scores = _scores(backtest, _one_group(backtest), 1)
    return {target: {name: float(values[0, i]) for name, values in scores.items()} for i, target in enumerate(backtest.targets)}


def by_series(backtest: Backtest) -> dict[str, np.ndarray]:
    """The scores of each series, averaged over targets: name of the score -> float64 [n] in the order of `ids`, NaN where none."""
    scores = _scores(backtest, backtest.series, len(backtest.ids))
    return {name: _mean(values) for name, values in scores.items()}


def by_lead_time(backtest: Backtest) -> dict[str, np.ndarray]:
    """The scores at each lead time, averaged over targets: name of the score -> float64 [N]."""
    steps = [metrics(backtest.at_lead_time(number)) for number in range(backtest.observed.shape[1])]
    return {name: np.array([step[name] for step in steps]) for name in steps[0]} if steps else {}


def mse(backtest: Backtest) -> float:
    """Mean squared error, mean e^2, averaged over targets: the figure of the long-horizon tables (there on z-scored values)."""
    sums = _grouped(_window_sums(backtest), _one_group(backtest), 1)
    return float(_mean(_ratio(sums["squared"], sums["count"])[0]))


def mase_scale(values: np.ndarray, offsets: np.ndarray, train_ends: np.ndarray, season: int) -> np.ndarray:
    """The in-sample MAE of the seasonal naive forecast of each series: mean |y_t - y_(t-season)| over its training part.

    values [R, C] observed targets, NaN missing; offsets int64 [n+1]; train_ends int64 [n], the flat row after each training
    part. A series whose training part holds no pair of values a season apart is scaled with season 1, and is NaN where that
    has none either. Returns float64 [n, C]. Hyndman and Koehler 2006, eq. 3.
    """
    scale = np.full((len(offsets) - 1, values.shape[1]), np.nan)
    for number, (begin, end) in enumerate(zip(offsets[:-1], train_ends, strict=True)):
        part = values[begin:end].astype(np.float64)
        seasonal = _mean_change(part, season)
        scale[number] = np.where(np.isnan(seasonal), _mean_change(part, 1), seasonal)
    return scale


def coverage_name(levels: tuple[float, ...]) -> str | None:
    """'coverage_80' for levels whose outermost symmetric pair is 0.1 and 0.9; None where there is no such pair."""
    pair = _outer_pair(levels)
    return None if pair is None else f"coverage_{round(100 * (levels[pair[1]] - levels[pair[0]]), 6):g}"


def _scores(backtest: Backtest, codes: np.ndarray, groups: int) -> dict[str, np.ndarray]:
    """Every score, float64 [G, C], of windows grouped by `codes` [W]."""
    sums = _grouped(_window_sums(backtest), codes, groups)
    scores = {name: score(sums) for name, score in _POINT_SCORES.items()}
    if backtest.quantiles is not None and backtest.levels:
        scores["pinball"] = pinball(sums)
        name = coverage_name(backtest.levels)
        if name is not None:
            scores[name] = coverage(sums)
    return scores


def _window_sums(backtest: Backtest) -> dict[str, np.ndarray]:
    """Sums over the lead times of each window, float64 [W, C], block by block."""
    windows, steps, targets = backtest.observed.shape
    size = max(1, _BLOCK_CELLS // max(1, steps * targets))
    blocks = [_sum_cells(backtest.select(slice(begin, begin + size))) for begin in range(0, max(windows, 1), size)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _sum_cells(part: Backtest) -> dict[str, np.ndarray]:
    """The sums of one block, float64 [W, C]."""
    observed, forecast = part.observed.astype(np.float64), part.forecast.astype(np.float64)
    valid = ~(np.isnan(observed) | np.isnan(forecast))
    observed, forecast = np.where(valid, observed, 0.0), np.where(valid, forecast, 0.0)
    error = forecast - observed
    absolute, size = np.abs(error), np.abs(observed)
    count = valid.sum(axis=1, dtype=np.float64)
    total = absolute.sum(axis=1)
    scale = part.mase_scale[part.series]
    scaled = np.isfinite(scale) & (scale > 0)
    center = _ratio(observed.sum(axis=1), count)[:, None]
    sums = {
        "count": count,
        "observed": observed.sum(axis=1),
        "spread": np.where(valid, (observed - center) ** 2, 0.0).sum(axis=1),
        "absolute": total,
        "squared": (error * error).sum(axis=1),
        "signed": error.sum(axis=1),
        "relative": _quotient(absolute, size).sum(axis=1),
        "relative_count": (valid & (size > 0)).sum(axis=1, dtype=np.float64),
        "symmetric": 2.0 * _quotient(absolute, size + np.abs(forecast)).sum(axis=1),
        "scaled": np.where(scaled, _quotient(total, np.where(scaled, scale, 0.0)), 0.0),
        "scaled_count": np.where(scaled, count, 0.0),
    }
    return sums | _sum_quantiles(part)


def _sum_quantiles(part: Backtest) -> dict[str, np.ndarray]:
    """The sums of one block that quantiles give; nothing without them."""
    if part.quantiles is None or not part.levels:
        return {}
    missing = np.isnan(part.observed) | np.isnan(part.quantiles).any(axis=-1)
    loss = np.zeros(part.observed.shape)
    for number, level in enumerate(part.levels):
        above = part.observed.astype(np.float64) - part.quantiles[..., number]
        loss += np.maximum(level * above, (level - 1.0) * above)
    sums = {
        "pinball": np.where(missing, 0.0, loss / len(part.levels)).sum(axis=1),
        "quantile_count": (~missing).sum(axis=1, dtype=np.float64),
    }
    pair = _outer_pair(part.levels)
    if pair is not None:
        low, high = part.quantiles[..., pair[0]], part.quantiles[..., pair[1]]
        sums["inside"] = (~missing & (low <= part.observed) & (part.observed <= high)).sum(axis=1, dtype=np.float64)
    return sums


def _grouped(sums: dict[str, np.ndarray], codes: np.ndarray, groups: int) -> dict[str, np.ndarray]:
    """Sums of windows [W, C] added up by group, [G, C].

    The spread about a group's own mean is the windows' spreads plus that of their means (Chan, Golub and LeVeque 1983, eq. 2.1).
    """
    grouped = {name: _add_up(values, codes, groups) for name, values in sums.items()}
    means = _ratio(sums["observed"], sums["count"])
    group_means = _ratio(grouped["observed"], grouped["count"])
    between = np.where(sums["count"] > 0, sums["count"] * (means - group_means[codes]) ** 2, 0.0)
    grouped["spread"] += _add_up(between, codes, groups)
    return grouped


def _add_up(values: np.ndarray, codes: np.ndarray, groups: int) -> np.ndarray:
    total = np.zeros((groups, values.shape[1]))
    if groups == 1:
        total[0] = values.sum(axis=0)
    else:
        np.add.at(total, codes, values)
    return total


def _one_group(backtest: Backtest) -> np.ndarray:
    return np.zeros(len(backtest.observed), np.int64)


def _outer_pair(levels: tuple[float, ...]) -> tuple[int, int] | None:
    """Places of the outermost levels q < 0.5 and 1 - q that are both there."""
    for low, level in sorted(enumerate(levels), key=lambda item: item[1]):
        for high, other in enumerate(levels):
            if level < 0.5 and abs(level + other - 1.0) < 1e-9:
                return low, high
    return None


def _mean_change(part: np.ndarray, season: int) -> np.ndarray:
    """Mean |y_t - y_(t-season)| by column, [C]; NaN where no pair is observed."""
    change = np.abs(part[season:] - part[:-season])
    return _mean(change.T)


def _quotient(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, 0 where below is 0."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, NaN where below is 0."""
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis without its NaN; NaN where nothing is left."""
    present = ~np.isnan(values)
    return _ratio(np.where(present, values, 0.0).sum(axis=-1), present.sum(axis=-1, dtype=np.float64))
