"""Scores equal those of utilsforecast and scikit-learn, with missing values too."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import utilsforecast.losses as losses
from sklearn import metrics as sklearn_metrics

from tidegate.evaluate import forecast
from tidegate.evaluate.forecast import Backtest, by_lead_time, by_series, by_target, mase_scale, metrics, mse

LEVELS = (0.1, 0.5, 0.9)
SEASON = 4
TRAIN = 40


def _history(missing: bool) -> np.ndarray:
    """Training values of three series, [3 * TRAIN, 2]."""
    rng = np.random.default_rng(5)
    values = np.cumsum(rng.normal(size=(3 * TRAIN, 2)), axis=0) + 20
    if missing:
        values[rng.random(values.shape) < 0.2] = np.nan
    return values


def _backtest(missing: bool = False, offset: float = 10.0) -> Backtest:
    """Three series, four windows each in mixed order, five lead times, two targets; some observed values are 0."""
    rng = np.random.default_rng(4)
    shape = (12, 5, 2)
    observed = rng.normal(size=shape) + offset * np.array([1.0, -3.0])
    observed[rng.random(shape) < 0.1] = 0.0
    center = observed + rng.normal(size=shape)
    quantiles = np.sort(center[..., None] + rng.normal(size=(*shape, 3)), axis=-1)
    if missing:
        observed[rng.random(shape) < 0.2] = np.nan
        observed[:, :, 1][2] = np.nan
    offsets = np.arange(4) * TRAIN
    return Backtest(
        observed=observed,
        forecast=quantiles[..., 1].copy(),
        quantiles=quantiles,
        levels=LEVELS,
        series=np.arange(12) % 3,
        origin=100 + 5 * (np.arange(12) // 3),
        ids=("a", "b", "c"),
        targets=("u", "v"),
        mase_scale=mase_scale(_history(missing), offsets, offsets[1:], SEASON),
    )


def _frame(backtest: Backtest, target: int, group: str) -> pd.DataFrame:
    """The cells of one target as utilsforecast wants them; `group` 'all' makes them one series."""
    windows, steps, _ = backtest.observed.shape
    series = np.repeat(np.array(backtest.ids)[backtest.series], steps)
    frame = pd.DataFrame(
        {
            "unique_id": series if group == "series" else "all",
            "ds": np.arange(windows * steps),
            "y": backtest.observed[:, :, target].ravel(),
            "m": backtest.forecast[:, :, target].ravel(),
        }
    )
    assert backtest.quantiles is not None
    for number, level in enumerate(backtest.levels):
        frame[f"m{level}"] = backtest.quantiles[:, :, target, number].ravel()
    frame["m-lo-80"], frame["m-hi-80"] = frame["m0.1"], frame["m0.9"]
    return frame.dropna().reset_index(drop=True)


THEIRS = {
    "mae": (losses.mae, 1.0),
    "rmse": (losses.rmse, 1.0),
    "mape": (losses.mape, 1.0),
    "smape": (losses.smape, 2.0),
    "bias": (losses.bias, 1.0),
    "coverage_80": (partial(losses.coverage, level=80), 1.0),
}


@pytest.mark.parametrize("name", THEIRS)
@pytest.mark.parametrize("missing", [False, True])
def test_scores_of_a_target_equal_utilsforecast(name: str, missing: bool) -> None:
    backtest = _backtest(missing)
    loss, factor = THEIRS[name]
    theirs = []
    for number, target in enumerate(backtest.targets):
        theirs.append(factor * loss(_frame(backtest, number, "all"), models=["m"])["m"].iloc[0])
        assert by_target(backtest)[target][name] == pytest.approx(theirs[-1], rel=1e-12)
    assert metrics(backtest)[name] == pytest.approx(np.mean(theirs), rel=1e-12)


@pytest.mark.parametrize("name", THEIRS)
@pytest.mark.parametrize("missing", [False, True])
def test_scores_of_series_equal_utilsforecast(name: str, missing: bool) -> None:
    backtest = _backtest(missing)
    loss, factor = THEIRS[name]
    theirs = [loss(_frame(backtest, number, "series"), models=["m"]).sort_values("unique_id")["m"] for number in range(2)]
    expected = factor * np.mean(theirs, axis=0)
    np.testing.assert_allclose(by_series(backtest)[name], expected, rtol=1e-12)


@pytest.mark.parametrize("missing", [False, True])
def test_pinball_equals_utilsforecast(missing: bool) -> None:
    backtest = _backtest(missing)
    columns = {"m": [f"m{level}" for level in LEVELS]}
    theirs = [losses.mqloss(_frame(backtest, t, "all"), columns, np.array(LEVELS))["m"].iloc[0] for t in range(2)]
    assert metrics(backtest)["pinball"] == pytest.approx(np.mean(theirs), rel=1e-12)


def test_mase_equals_utilsforecast() -> None:
    backtest = _backtest()
    expected = []
    for target in range(2):
        train = pd.DataFrame({"unique_id": np.repeat(["a", "b", "c"], TRAIN), "ds": np.tile(np.arange(TRAIN), 3)})
        train["y"] = _history(False)[:, target]
        expected.append(losses.mase(_frame(backtest, target, "series"), ["m"], SEASON, train)["m"].to_numpy())
    np.testing.assert_allclose(by_series(backtest)["mase"], np.mean(expected, axis=0), rtol=1e-12)
    assert metrics(backtest)["mase"] == pytest.approx(np.mean(expected), rel=1e-12)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("offset", [10.0, 1e6])
def test_scores_equal_scikit_learn(missing: bool, offset: float) -> None:
    backtest = _backtest(missing, offset)
    r2, absolute, squared, pinball = [], [], [], []
    for number in range(2):
        frame = _frame(backtest, number, "all")
        r2.append(sklearn_metrics.r2_score(frame["y"], frame["m"]))
        absolute.append(sklearn_metrics.mean_absolute_error(frame["y"], frame["m"]))
        squared.append(sklearn_metrics.mean_squared_error(frame["y"], frame["m"]))
        pinball.append(np.mean([sklearn_metrics.mean_pinball_loss(frame["y"], frame[f"m{q}"], alpha=q) for q in LEVELS]))
    ours = metrics(backtest)
    assert ours["r2"] == pytest.approx(np.mean(r2), rel=1e-9)
    assert ours["mae"] == pytest.approx(np.mean(absolute), rel=1e-12)
    assert ours["rmse"] == pytest.approx(np.mean(np.sqrt(squared)), rel=1e-12)
    assert mse(backtest) == pytest.approx(np.mean(squared), rel=1e-12)
    assert ours["pinball"] == pytest.approx(np.mean(pinball), rel=1e-12)


def test_r2_of_series_and_lead_times_uses_their_own_mean() -> None:
    backtest = _backtest(missing=True)
    for number, value in enumerate(by_series(backtest)["r2"]):
        part = backtest.select(backtest.series == number)
        frames = [_frame(part, target, "all") for target in range(2)]
        assert value == pytest.approx(np.mean([sklearn_metrics.r2_score(frame["y"], frame["m"]) for frame in frames]), rel=1e-9)
    for number, value in enumerate(by_lead_time(backtest)["r2"]):
        frames = [_frame(backtest.at_lead_time(number), target, "all") for target in range(2)]
        assert value == pytest.approx(np.mean([sklearn_metrics.r2_score(frame["y"], frame["m"]) for frame in frames]), rel=1e-9)


def test_lead_times_average_to_the_whole() -> None:
    backtest = _backtest()
    steps = by_lead_time(backtest)
    assert all(len(values) == 5 for values in steps.values())
    for name in ("mae", "bias", "smape", "mase", "pinball", "coverage_80"):
        assert steps[name].mean() == pytest.approx(metrics(backtest)[name], rel=1e-12)


def test_blocks_do_not_change_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    backtest = _backtest(missing=True)
    whole = metrics(backtest)
    monkeypatch.setattr(forecast, "_BLOCK_CELLS", 20)
    assert metrics(backtest) == pytest.approx(whole, rel=1e-12)


def test_smape_is_zero_where_both_are_zero_and_two_at_most() -> None:
    backtest = _plain([0.0, 1.0, 4.0], [0.0, -1.0, 4.0])
    assert metrics(backtest)["smape"] == pytest.approx(2 / 3)


def test_a_missing_forecast_is_left_out() -> None:
    assert metrics(_plain([1.0, 2.0, 3.0], [2.0, np.nan, 3.0]))["mae"] == 0.5


def test_what_cannot_be_scored_is_nan() -> None:
    constant = metrics(_plain([2.0, 2.0], [1.0, 2.0]))
    assert np.isnan(constant["r2"])
    assert constant["mae"] == 0.5
    nothing = metrics(_plain([np.nan, np.nan], [1.0, 2.0]))
    assert all(np.isnan(value) for value in nothing.values())
    zeros = metrics(_plain([0.0, 0.0], [1.0, 2.0]))
    assert np.isnan(zeros["mape"])
    no_windows = _plain([1.0], [1.0]).select(slice(0, 0))
    assert np.isnan(metrics(no_windows)["mae"])


def test_a_target_without_scores_does_not_count_in_the_average() -> None:
    backtest = _backtest()
    observed = backtest.observed.copy()
    observed[:, :, 1] = np.nan
    half = replace(backtest, observed=observed)
    assert metrics(half)["mae"] == by_target(backtest)["u"]["mae"]
    assert np.isnan(by_target(half)["v"]["mae"])


def test_without_quantiles_there_is_no_pinball() -> None:
    assert set(metrics(_plain([1.0], [1.0]))) == {"mae", "rmse", "mape", "smape", "mase", "r2", "bias"}


@pytest.mark.parametrize(
    ("levels", "name"),
    [
        ((0.1, 0.9), "coverage_80"),
        ((0.05, 0.1, 0.9, 0.95), "coverage_90"),
        ((0.025, 0.5, 0.975), "coverage_95"),
        ((0.5,), None),
        ((0.1,), None),
    ],
)
def test_coverage_is_named_by_the_outermost_pair(levels: tuple[float, ...], name: str | None) -> None:
    assert forecast.coverage_name(levels) == name


def test_mase_scale_sees_the_training_part_only_and_falls_back_to_season_one() -> None:
    values = np.array([[1.0], [3.0], [2.0], [100.0], [5.0], [5.0], [np.nan], [7.0]])
    scale = mase_scale(values, np.array([0, 4, 6, 8]), np.array([3, 6, 8]), season=2)
    np.testing.assert_array_equal(scale, [[1.0], [0.0], [np.nan]])


def test_series_that_never_change_are_left_out_of_mase() -> None:
    backtest = replace(_plain([1.0, 2.0], [2.0, 2.0]), mase_scale=np.array([[0.0]]))
    assert np.isnan(metrics(backtest)["mase"])


def test_a_wrong_shape_is_named() -> None:
    with pytest.raises(ValueError, match=r"origin has shape \(1,\), expected \(12,\)"):
        replace(_backtest(), origin=np.zeros(1, np.int64))


def _plain(observed: list[float], predicted: list[float]) -> Backtest:
    """One series, one target, one lead time, a window for each value."""
    num = len(observed)
    shape = (num, 1, 1)
    return Backtest(
        observed=np.reshape(np.array(observed), shape),
        forecast=np.reshape(np.array(predicted), shape),
        quantiles=None,
        levels=(),
        series=np.zeros(num, np.int64),
        origin=np.arange(num),
        ids=("a",),
        targets=("y",),
        mase_scale=np.ones((1, 1)),
    )
