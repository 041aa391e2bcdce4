"""The ridge regression."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge as TheirRidge

from tidegate.evaluate import normal_equations
from tidegate.evaluate import ridge as module
from tidegate.evaluate.ridge import Cleaned, Ridge, fit_ridge

FIRST = np.array([0])
NONE = np.zeros(0, np.int64)


def _waves(steps: int = 400, seed: int = 0) -> np.ndarray:
    """Two targets with a season of 12 and noise, [T, 2]."""
    rng = np.random.default_rng(seed)
    wave = np.sin(2 * np.pi * np.arange(steps) / 12)
    return np.stack([wave, 50 + 5 * wave], axis=1) + rng.normal(size=(steps, 2)) * [0.1, 0.5]


def _windows(values: np.ndarray, origins: np.ndarray, lookback: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Lookback and lead times less the last value, [W * C, L] and [W * C, N]."""
    rows = origins[:, None] + np.arange(-lookback, horizon)
    cells = values[rows].transpose(0, 2, 1).reshape(-1, lookback + horizon)
    cells = cells - cells[:, lookback - 1, None]
    return cells[:, :lookback], cells[:, lookback:]


def test_weights_equal_scikit_learn() -> None:
    values = _waves()
    train, validation = np.arange(24, 295), np.arange(300, 390)
    ours = fit_ridge(values, FIRST, train, validation, 24, 6, scale=np.ones((1, 2)))
    past, future = _windows(values, train, 24, 6)
    assert ours.num_windows == len(past)
    unit = (past**2).sum() / 24
    theirs = TheirRidge(alpha=ours.penalty * unit, fit_intercept=False).fit(past, future)
    np.testing.assert_allclose(ours.weights, theirs.coef_.T, rtol=1e-6, atol=1e-9)


def test_the_penalty_is_the_best_on_validation() -> None:
    values = _waves(seed=3)
    train, validation = np.arange(24, 60), np.arange(66, 390)
    ours = fit_ridge(values, FIRST, train, validation, 24, 6, scale=np.ones((1, 2)))
    past, future = _windows(values, train, 24, 6)
    past_later, future_later = _windows(values, validation, 24, 6)

    def error(penalty: float) -> float:
        fitted = TheirRidge(alpha=penalty * (past**2).sum() / 24, fit_intercept=False).fit(past, future)
        return float(((fitted.predict(past_later) - future_later) ** 2).mean())

    tried = {penalty: error(penalty) for penalty in module.PENALTIES}
    assert ours.penalty is not None
    assert error(ours.penalty) <= min(tried.values()) * (1 + 1e-9)
    assert ours.penalty > 1e-3


def test_forecasts_are_the_last_value_plus_a_linear_map() -> None:
    values = _waves()
    fitted = fit_ridge(values, FIRST, np.arange(24, 295), np.arange(300, 390), 24, 6)
    origin = np.array([320, 400])
    forecast = fitted.predict(values, np.zeros(2, np.int64), origin)
    assert forecast.shape == (2, 6, 2)
    past = values[320 - 24 : 320, 1]
    np.testing.assert_allclose(forecast[0, :, 1], past[-1] + (past - past[-1]) @ fitted.weights, rtol=1e-12)


def test_units_do_not_matter() -> None:
    values, train, validation = _waves(), np.arange(24, 295), np.arange(300, 390)
    other = values * [1000.0, 0.01] + [5.0, -7.0]
    first = fit_ridge(values, FIRST, train, validation, 24, 6)
    second = fit_ridge(other, FIRST, train, validation, 24, 6)
    np.testing.assert_allclose(first.weights, second.weights, rtol=1e-6, atol=1e-9)
    where = (np.zeros(1, np.int64), np.array([400]))
    np.testing.assert_allclose(first.predict(values, *where) * [1000.0, 0.01] + [5.0, -7.0], second.predict(other, *where), rtol=1e-6)


def test_beats_the_seasonal_naive_on_waves() -> None:
    values = _waves()
    origin = np.arange(300, 390)
    fitted = fit_ridge(values, FIRST, np.arange(24, 250), np.arange(256, 295), 24, 6)
    observed = values[origin[:, None] + np.arange(6)]
    naive = values[origin[:, None] + np.arange(6) - 12]
    error = np.abs(fitted.predict(values, np.zeros(90, np.int64), origin) - observed).mean(axis=(0, 1))
    assert (error < 0.85 * np.abs(naive - observed).mean(axis=(0, 1))).all()


def test_missing_values_hardly_matter() -> None:
    values = _waves(800)
    train, validation, origin = np.arange(24, 595), np.arange(600, 690), np.arange(700, 790)
    observed = values[origin[:, None] + np.arange(6)]
    holes = values.copy()
    holes[np.random.default_rng(9).random(values.shape) < 0.1] = np.nan
    whole = fit_ridge(values, FIRST, train, validation, 24, 6).predict(values, np.zeros(90, np.int64), origin)
    fitted = fit_ridge(holes, FIRST, train, validation, 24, 6)
    broken = fitted.predict(holes, np.zeros(90, np.int64), origin)
    assert np.isfinite(broken).all()
    assert fitted.num_windows > 0.95 * 2 * len(train)
    assert np.abs(broken - observed).mean() < 1.5 * np.abs(whole - observed).mean()


def test_windows_without_targets_are_left_out() -> None:
    values = _waves(200)
    values[100:150] = np.nan
    fitted = fit_ridge(values, FIRST, np.arange(24, 140), NONE, 24, 6)
    num_seen = sum(1 for origin in range(24, 140) if np.isfinite(values[origin : origin + 6, 0]).mean() >= 0.5)
    assert fitted.num_windows == 2 * num_seen < 2 * 116


def test_series_of_different_length_share_one_map_and_see_only_themselves() -> None:
    lengths = [10, 60, 200]
    first = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    values = np.concatenate([_waves(length, seed)[:, :1] * 10.0**seed for seed, length in enumerate(lengths)])
    train = np.concatenate([np.arange(begin + 1, begin + length - 12) for begin, length in zip(first, lengths, strict=True) if length > 13])
    ends = first + np.array(lengths)
    fitted = fit_ridge(values, first, train, ends[1:] - 6, 24, 6)
    forecast = fitted.predict(values, first, ends)
    assert np.isfinite(forecast).all()
    spoiled = values.copy()
    spoiled[: lengths[0]] = -1e9
    np.testing.assert_array_equal(fitted.predict(spoiled, first, ends)[1:], forecast[1:])
    early = (first[1:2], first[1:2] + 5)
    np.testing.assert_array_equal(fitted.predict(spoiled, *early), fitted.predict(values, *early))
    past = np.concatenate([np.full(14, values[0, 0]), values[:10, 0]])
    np.testing.assert_allclose(forecast[0, :, 0], past[-1] + (past - past[-1]) @ fitted.weights)


def test_what_comes_after_the_training_and_validation_part_changes_nothing() -> None:
    values, changed = _waves(), _waves()
    changed[300:] = np.nan
    train, validation = np.arange(24, 200), np.arange(210, 295)
    first, second = (fit_ridge(data, FIRST, train, validation, 24, 6) for data in (values, changed))
    np.testing.assert_array_equal(first.weights, second.weights)
    where = (np.zeros(1, np.int64), np.array([300]))
    np.testing.assert_array_equal(first.predict(values, *where), second.predict(changed, *where))


@pytest.mark.parametrize("level", [0.0, 7.0])
def test_a_constant_series_goes_on(level: float) -> None:
    values = np.full((100, 1), level)
    fitted = fit_ridge(values, FIRST, np.arange(10, 80), np.arange(85, 95), 10, 5)
    np.testing.assert_array_equal(fitted.predict(values, np.zeros(1, np.int64), np.array([100])), np.full((1, 5, 1), level))


def test_without_windows_it_repeats_the_last_value() -> None:
    values = np.array([[1.0], [4.0], [np.nan]])
    fitted = fit_ridge(values, FIRST, NONE, NONE, 5, 2)
    assert (fitted.num_windows, fitted.penalty) == (0, None)
    np.testing.assert_array_equal(fitted.predict(values, np.zeros(1, np.int64), np.array([3])), np.full((1, 2, 1), 4.0))


def test_a_lookback_without_values_gives_the_value_before_it() -> None:
    values = np.array([[3.0]] + [[np.nan]] * 5)
    forecast = Ridge(np.ones((2, 1)), 1.0, 1).predict(values, np.zeros(1, np.int64), np.array([6]))
    np.testing.assert_array_equal(forecast, [[[3.0]]])


def test_blocks_and_thinning(monkeypatch: pytest.MonkeyPatch) -> None:
    values, train, validation = _waves(), np.arange(24, 295, 2), np.arange(300, 390)
    whole = fit_ridge(values, FIRST, train, validation, 24, 6)
    monkeypatch.setattr(normal_equations, "BLOCK_ORIGINS", 17)
    np.testing.assert_allclose(fit_ridge(values, FIRST, train, validation, 24, 6).weights, whole.weights, rtol=1e-7, atol=1e-10)
    monkeypatch.setattr(normal_equations, "MAX_WINDOWS", 100)
    assert fit_ridge(values, FIRST, train, validation, 24, 6).num_windows == 100


@pytest.mark.parametrize("level", [0.0, 1e5])
def test_the_short_way_gives_the_same_equations(level: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three series, one too short for a run; holes in the second; series begin inside the first windows."""
    values = level + np.concatenate([_waves(300, 1), _waves(40, 2), _waves(500, 3)])
    values[[600, 601, 777], [0, 0, 1]] = np.nan
    first = np.array([0, 300, 340])
    origins = np.concatenate([np.arange(5, 295), np.arange(310, 335), np.arange(341, 835)])
    arguments = (values, first, np.array([[1.0, 2.0], [1.0, 0.0], [0.5, 1.0]]), origins, 24, 6)
    runs, others = normal_equations._split(values, first, origins, 24, 6)
    assert [(run[0], run[-1]) for run in runs] == [(24, 294), (364, 594), (626, 771), (802, 834)]
    np.testing.assert_array_equal(np.sort(np.concatenate([*runs, others])), origins)
    short = normal_equations.accumulate(*arguments)
    monkeypatch.setattr(normal_equations, "_split", lambda *_: ([], origins))
    long = normal_equations.accumulate(*arguments)
    assert short.count == long.count
    assert short.power == pytest.approx(long.power, rel=1e-9)
    np.testing.assert_allclose(short.gram, long.gram, rtol=1e-9, atol=1e-9 * np.abs(long.gram).max())
    np.testing.assert_allclose(short.cross, long.cross, rtol=1e-9, atol=1e-9 * np.abs(long.cross).max())


def test_many_runs_are_thinned_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    first = 100 * np.arange(10)
    values = np.concatenate([_waves(100, seed) for seed in range(10)])
    origins = np.concatenate([np.arange(begin + 24, begin + 95) for begin in first])
    monkeypatch.setattr(normal_equations, "MAX_RUN_WINDOWS", 2 * 71 * 4)
    assert normal_equations.accumulate(values, first, np.ones((10, 2)), origins, 24, 6).count == 2 * 71 * 4


def test_etth1(shared: Path) -> None:
    """Look-back 720, horizon 96, z-scored by the training part, all stride-1 test windows: at most 0.367."""
    values = np.genfromtxt(shared / "ett" / "ETTh1.csv", delimiter=",", skip_header=1)[:14400, 1:]
    values = (values - values[:8640].mean(axis=0)) / values[:8640].std(axis=0)
    fitted = fit_ridge(values, FIRST, np.arange(720, 8640 - 95), np.arange(8640, 11520 - 95), 720, 96)
    origin = np.arange(11520, 14400 - 95)
    error = fitted.predict(values, np.zeros(len(origin), np.int64), origin) - values[origin[:, None] + np.arange(96)]
    assert np.mean(error**2) == pytest.approx(0.3655, abs=2e-4)


def test_a_cleaned_lookback_is_read_in_place_of_the_observed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the values had been so, the last one and those before the series begins too; other windows see what was observed."""
    monkeypatch.setattr(module, "BLOCK_ORIGINS", 2)
    values, first = _waves(120), np.array([0, 0, 0, 50])
    ridge, origin = fit_ridge(values, FIRST, np.arange(24, 90), NONE, 24, 6), np.array([60, 61, 62, 58])
    spiky = values.copy()
    spiky[[50, 59], 1] = 1e4
    window, row = np.array([0, 0, 1, 1, 3]), np.array([50, 59, 50, 59, 50])
    cleaned = Cleaned(window, row - origin[window] + 24, np.ones(5, np.int64), values[row, 1])
    said = ridge.predict(spiky, first, origin, cleaned)
    plain, dirty = ridge.predict(values, first, origin), ridge.predict(spiky, first, origin)
    np.testing.assert_allclose(said[:2], plain[:2], rtol=1e-12)
    np.testing.assert_array_equal(said[2], dirty[2])
    np.testing.assert_allclose(said[3], plain[3], rtol=1e-12, err_msg="the first value stands for those before it, as cleaned")
