"""The strong rival: one ridge regression from the lookback to all lead times, shared by all series and targets.

A window's last observed value is subtracted from it and from what follows, so that the forecast is the last value plus a linear
map of how the lookback differs from it; there is no intercept, and the forecast does not depend on units. Such a map is the
'NLinear' of Zeng et al. 2023, 'Are Transformers effective for time series forecasting?', section 4, here with a penalty
(Hoerl and Kennard 1970) and solved exactly. On ETTh1 (look-back 720, horizon 96, z-scored) its test MSE is 0.3655.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tidegate.evaluate.baselines import last_value
from tidegate.evaluate.forecast import mase_scale
from tidegate.evaluate.normal_equations import BLOCK_ORIGINS, Equations, accumulate, cut, fill_gaps, series_of

PENALTIES = tuple(10.0**power for power in range(-6, 5))
"""In units of the mean diagonal of the normal equations; half a decade to either side of the best of them is tried too."""


class Cleaned(NamedTuple):
    """What lookbacks show instead of the observed values: window (ascending), step within L, target, value; one entry a cell."""

    window: np.ndarray
    step: np.ndarray
    target: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class Ridge:
    """A fitted ridge regression.

    weights         float64 [L, N]
    penalty         in units of the mean diagonal of the normal equations; None where there was nothing to choose on
    num_windows     training windows it was fitted on; with 0 it repeats the last value
    """

    weights: np.ndarray
    penalty: float | None
    num_windows: int

    def predict(self, values: np.ndarray, first: np.ndarray, origin: np.ndarray, cleaned: Cleaned | None = None) -> np.ndarray:
        """Forecasts [W, N, C] in the type of `values`.

        values [R, C], NaN missing; first int64 [W], flat row where the window's series begins; origin int64 [W], flat row of the
        first lead time. A lookback that reaches before the series or has gaps is filled as in training. A lookback without any
        value gives the last value before it, and NaN where there is none. cleaned: cells of the lookbacks that are read otherwise.
        """
        lookback, horizon = self.weights.shape
        forecast = np.empty((len(origin), horizon, values.shape[1]), values.dtype)
        for begin in range(0, len(origin), BLOCK_ORIGINS):
            part = slice(begin, begin + BLOCK_ORIGINS)
            past = cut(values, first[part], origin[part], lookback, 0)
            if cleaned is not None:
                _lay_over(past.reshape(-1, values.shape[1], lookback), cleaned, begin, origin[part] - first[part])
            past = fill_gaps(past)
            before = last_value(values, first[part], origin[part]).reshape(-1, 1)
            last = np.where(np.isnan(past[:, -1:]), before, past[:, -1:])
            change = np.where(np.isnan(past), 0.0, past - last)
            steps = last + change @ self.weights
            forecast[part] = steps.reshape(-1, values.shape[1], horizon).transpose(0, 2, 1)
        return forecast


def _lay_over(past_WCL: np.ndarray, cleaned: Cleaned, begin: int, known: np.ndarray) -> None:
    """Put the cleaned cells of the windows from `begin` on in place. known [W]: rows between the series' first and the origin; what
    lies before them is missing, so that it is filled with the first value as cleaned."""
    windows, _, lookback = past_WCL.shape
    np.copyto(past_WCL, np.nan, where=np.arange(lookback) < lookback - known[:, None, None])
    low, high = np.searchsorted(cleaned.window, (begin, begin + windows))
    part = slice(low, high)
    past_WCL[cleaned.window[part] - begin, cleaned.target[part], cleaned.step[part]] = cleaned.value[part]


def fit_ridge(
    values: np.ndarray,
    first: np.ndarray,
    train_origins: np.ndarray,
    validation_origins: np.ndarray,
    lookback: int,
    horizon: int,
    scale: np.ndarray | None = None,
) -> Ridge:
    """Fit on the windows of `train_origins`; the penalty with the least squared error on `validation_origins` is taken.

    values              [R, C] targets, NaN missing
    first               int64 [n], flat rows where series begin, ascending
    train_origins       int64, flat rows of first lead times; all `horizon` rows from there belong to the training part
    validation_origins  the same for validation; where empty, the last fifth of the training windows is held out for the choice
    scale               [n, C] unit of each series and target, so that large series do not outweigh small ones; None: the mean
                        absolute change over a horizon, up to the last training row (on the last 13 weeks of M4 Weekly's
                        training file, as observed, MASE 2.337; 3.351 with the standard deviation, which a trend inflates)

    A lookback that reaches before its series is filled with the first value, gaps with the value before. Training windows with
    less than half of the lead times observed are left out. Memory: (L + N)^2 and a block of windows, in float64.
    """
    train, validation = np.sort(train_origins), np.sort(validation_origins)
    unit = _scales(values, first, train, validation, horizon) if scale is None else np.asarray(scale, np.float64)

    def equations(origins: np.ndarray) -> Equations:
        return accumulate(values, first, unit, origins, lookback, horizon)

    if len(validation):
        fitted = equations(train)
        penalty = _choose(fitted, equations(validation))
    else:
        held_out = len(train) - len(train) // 5
        kept, held = equations(train[:held_out]), equations(train[held_out:])
        fitted, penalty = kept + held, _choose(kept, held)
    weights = _solve(fitted, 1.0 if penalty is None else penalty)
    return Ridge(weights, penalty, fitted.count)


def _scales(values: np.ndarray, first: np.ndarray, train: np.ndarray, validation: np.ndarray, horizon: int) -> np.ndarray:
    """Mean absolute change over a horizon [n, C], of each series that has windows, up to its last training row.

    A series that has validation windows only goes up to its first one.
    """
    scale = np.full((len(first), values.shape[1]), np.nan)
    ends = np.zeros(len(first), np.int64)
    ends[series_of(first, validation)[::-1]] = validation[::-1]
    ends[series_of(first, train)] = train + horizon
    for number in np.flatnonzero(ends):
        scale[number] = mase_scale(values, np.array([first[number], ends[number]]), ends[number, None], horizon)[0]
    return scale


def _choose(fitted: Equations, validation: Equations) -> float | None:
    """The penalty with the least squared error on the validation windows; None where there are none."""
    if validation.count == 0 or not np.trace(fitted.gram):
        return None
    errors = {penalty: _squared_error(validation, _solve(fitted, penalty)) for penalty in PENALTIES}
    best = min(errors, key=errors.__getitem__)
    for penalty in (best / np.sqrt(10.0), best * np.sqrt(10.0)):
        errors[penalty] = _squared_error(validation, _solve(fitted, penalty))
    return float(min(errors, key=errors.__getitem__))


def _squared_error(equations: Equations, weights: np.ndarray) -> float:
    """Squared error of weights W on the windows of some normal equations, tr(W'X'X W) - 2 tr(W'X'Y) + tr(Y'Y): nothing is predicted."""
    return float((weights * (equations.gram @ weights - 2.0 * equations.cross)).sum()) + equations.power


def _solve(equations: Equations, penalty: float) -> np.ndarray:
    """Weights [L, N] of one penalty, one linear solve for all lead times; zero where nothing varies."""
    size = np.trace(equations.gram) / len(equations.gram)
    if not size:
        return np.zeros_like(equations.cross)
    return np.linalg.solve(equations.gram + penalty * size * np.eye(len(equations.gram)), equations.cross)
