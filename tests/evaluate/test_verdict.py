"""The verdict says what is so, and claims nothing on noise."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tidegate.evaluate.forecast import Backtest, metrics
from tidegate.evaluate.verdict import Metric, verdict


def _backtest(observed: np.ndarray, forecast: np.ndarray, series: np.ndarray | None = None, origin: np.ndarray | None = None) -> Backtest:
    """Windows one horizon apart, of one series unless said otherwise."""
    windows, horizon, targets = observed.shape
    series = np.zeros(windows, np.int64) if series is None else series
    return Backtest(
        observed=observed,
        forecast=forecast,
        quantiles=None,
        levels=(),
        series=series,
        origin=horizon * np.arange(windows) if origin is None else origin,
        ids=tuple(str(number) for number in range(series.max(initial=-1) + 1)),
        targets=tuple(f"y{number}" for number in range(targets)),
        mase_scale=np.ones((series.max(initial=-1) + 1, targets)),
    )


def _rivals(windows: int = 80, seed: int = 0) -> tuple[Backtest, dict[str, Backtest]]:
    """A model with errors of size 1, and rivals with errors of known size."""
    rng = np.random.default_rng(seed)
    observed = rng.normal(size=(windows, 6, 2)) * 10
    error = rng.normal(size=observed.shape)
    sizes = {"worse": 1.5, "twice": 2.0, "same": 1.0, "better": 0.5}
    rivals = {name: _backtest(observed, observed + size * rng.normal(size=observed.shape)) for name, size in sizes.items()}
    return _backtest(observed, observed + error), rivals


def test_beats_in_words() -> None:
    model, rivals = _rivals()
    told = verdict(model, {name: rivals[name] for name in ("worse", "twice")})
    by_name = {row.rival: row for row in told.rows}
    assert told.text == (
        f"Beats worse by {by_name['worse'].difference_percent:.1f} % and twice by {by_name['twice'].difference_percent:.1f} % in MAE over "
        "80 origins of 1 series; each difference is more than noise (Diebold-Mariano, p < 0.05)."
    )
    assert told.beats
    assert not told.loses
    assert by_name["twice"].difference_percent == pytest.approx(50, abs=5)


def test_a_loss_comes_first_and_plainly() -> None:
    model, rivals = _rivals()
    told = verdict(model, rivals)
    sentences = told.text.split(". ")
    assert sentences[0].startswith("LOSES to better by ")
    assert "in MAE over 80 origins of 1 series; do not use this model in its place" in sentences[0]
    assert sentences[1].startswith("No better than same: ")
    assert "which is within noise" in sentences[1]
    assert sentences[2].startswith("Beats worse by ")
    assert told.text.count("over 80 origins") == 1
    assert told.loses
    assert not told.beats


@pytest.mark.parametrize("metric", ["mae", "rmse", "mase"])
def test_rows_carry_the_scores_of_the_leaderboard(metric: Metric) -> None:
    model, rivals = _rivals()
    model = replace(model, mase_scale=np.array([[2.0, 5.0]]))
    for row in verdict(model, rivals, metric).rows:
        assert row.model == pytest.approx(metrics(model)[metric], rel=1e-12)
        rival = replace(rivals[row.rival], mase_scale=model.mase_scale)
        assert row.baseline == pytest.approx(metrics(rival)[metric], rel=1e-12)
        assert row.difference_percent == pytest.approx(100 * (1 - row.model / row.baseline))
        assert (row.statistic < 0) == (row.difference_percent > 0)
        assert (row.sample, row.num) == ("origins", 80)


def test_table_is_json() -> None:
    model, rivals = _rivals(windows=3)
    table = verdict(model, rivals).table()
    assert json.loads(json.dumps(table, allow_nan=False))[0]["p"] is None


def test_only_common_cells_are_compared() -> None:
    model, rivals = _rivals()
    patchy = rivals["twice"].forecast.copy()
    patchy[:40] = np.nan
    row = verdict(model, {"patchy": replace(rivals["twice"], forecast=patchy)}).rows[0]
    assert row.num == 40
    assert row.model == pytest.approx(metrics(model.select(slice(40, 80)))["mae"])
    nothing = verdict(model, {"none": replace(rivals["twice"], forecast=np.full_like(patchy, np.nan))})
    assert nothing.text.startswith("No better than none in MAE over 80 origins of 1 series: nothing to compare")


def test_few_origins_claim_nothing() -> None:
    model, rivals = _rivals(windows=7)
    told = verdict(model, {"twice": rivals["twice"]})
    assert told.rows[0].outcome == "ties"
    assert told.text.endswith("% better, but there are too few origins (7, of at least 8) to tell a difference from noise.")
    both = verdict(model, {"twice": rivals["twice"], "worse": rivals["worse"]})
    assert both.text.endswith(": too few origins (7, of at least 8) to tell a difference from noise.")


@pytest.mark.parametrize("origins", [1, 2, 5, 9])
def test_series_that_move_together_are_one_observation_at_each_origin(origins: int) -> None:
    """Forecasts of equal skill for 50 series that share most of their path: whichever is right by luck is so for all series at once."""
    rng, claims = np.random.default_rng(origins), 0
    series, origin = np.repeat(np.arange(50), origins), np.tile(12 * np.arange(origins), 50)
    for _ in range(50):
        shared, own = rng.normal(size=(origins, 12)), rng.normal(size=(50, origins, 12))
        observed = (np.sqrt(0.6) * shared + np.sqrt(0.4) * own).reshape(-1, 12, 1)
        pair = (_backtest(observed, np.full_like(observed, level), series, origin) for level in (0.2, -0.2))
        claims += verdict(next(pair), {"rival": next(pair)}).rows[0].outcome != "ties"
    assert claims <= 8, "5 % of 50 are 2.5; series taken as independent give 25 and more"


def test_series_without_a_common_clock_are_the_sample() -> None:
    rng = np.random.default_rng(4)
    observed = rng.normal(size=(120, 4, 1))
    series, origin = np.repeat(np.arange(60), 2), np.tile([0, 4], 60) + np.repeat(np.arange(60), 2)
    model = _backtest(observed, observed + rng.normal(size=observed.shape), series, origin)
    rival = _backtest(observed, observed + 2 * rng.normal(size=observed.shape), series, origin)
    told = verdict(replace(model, shared_clock=False), {"rival": rival})
    assert (told.rows[0].sample, told.rows[0].num, told.rows[0].outcome) == ("series", 60, "beats")
    assert "over 120 origins of 60 series, taking the series as independent;" in told.text
    clock = verdict(model, {"rival": rival})
    assert clock.rows[0].sample == "origins" and "independent" not in clock.text


def test_overlapping_origins_are_not_taken_for_independent() -> None:
    """One lucky stretch seen from 40 origins one step apart is one stretch: its p is far above that of origins taken as apart."""
    rng = np.random.default_rng(5)
    path = rng.normal(size=140)
    rows = np.arange(40)[:, None] + np.arange(100)
    observed, forecast, other = path[rows][:, :, None], np.zeros((40, 100, 1)), np.full((40, 100, 1), 0.4)
    apart = verdict(_backtest(observed, forecast), {"other": _backtest(observed, other)})
    near = np.arange(40)
    overlapping = verdict(_backtest(observed, forecast, None, near), {"other": _backtest(observed, other, None, near)})
    assert overlapping.rows[0].p > apart.rows[0].p


def test_a_sure_but_tiny_difference_counts_as_none() -> None:
    observed = np.random.default_rng(6).normal(size=(60, 3, 1)) + 10
    told = verdict(_backtest(observed, observed + 1.0), {"rival": _backtest(observed, observed + 1.002)})
    assert told.rows[0].p < 0.05
    assert (
        told.text == "No better than rival in MAE over 60 origins of 1 series: 0.2 % better, which is under 0.5 % and too little to matter."
    )


def test_edges() -> None:
    model, _ = _rivals()
    assert verdict(model, {}).text == "There is no rival to compare with."
    perfect = replace(model, forecast=model.observed)
    assert verdict(model, {"oracle": perfect}).text.startswith("LOSES to oracle by more than 1000 %")
    assert verdict(perfect, {"oracle": perfect}).rows[0].outcome == "ties"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["noisy mean", "own constant", "median", "regression"])
def test_on_white_noise_the_training_mean_is_never_beaten(seed: int, kind: str) -> None:
    """A model may be right by luck on white noise; the verdict must not call it better than the mean of the training part."""
    rng = np.random.default_rng(seed)
    path = rng.normal(size=2000)
    train, horizon, lookback = path[:1400], 12, 24
    origin = np.arange(1600, 2000 - horizon + 1, horizon)
    observed = path[origin[:, None] + np.arange(horizon)][:, :, None]
    mean = np.full_like(observed, train.mean())
    if kind == "noisy mean":
        forecast = mean + 0.05 * rng.normal(size=mean.shape)
    elif kind == "own constant":
        forecast = mean + 0.05 * rng.normal()
    elif kind == "median":
        forecast = np.full_like(mean, np.median(train))
    else:
        windows = np.lib.stride_tricks.sliding_window_view(train, lookback + horizon)
        weights = np.linalg.lstsq(windows[:, :lookback], windows[:, lookback:], rcond=None)[0]
        forecast = (path[origin[:, None] + np.arange(-lookback, 0)] @ weights)[:, :, None]
    for metric in ("mae", "rmse"):
        told = verdict(_backtest(observed, forecast, None, origin), {"mean": _backtest(observed, mean, None, origin)}, metric)
        assert told.rows[0].outcome != "beats"
        assert not told.beats
