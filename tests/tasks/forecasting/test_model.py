"""Intervals of a trained forecaster: conformal quantiles by hand, and never crossing whatever the residuals are."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tasks.forecasting.tiny import config, one_series
from tidegate.config import build_config
from tidegate.tasks.forecasting.fitting import fit_model
from tidegate.tasks.forecasting.material import Material, gather
from tidegate.tasks.forecasting.model import ForecastModel, _conformal, conformal_residuals


@pytest.fixture(scope="module")
def trained() -> tuple[Material, ForecastModel]:
    asked = config(data={"horizon": 6, "lookback": 24}, network={"name": "lstm"}, training={"quantiles": (0.1, 0.3, 0.9)})
    material = gather(one_series(), build_config(asked))
    return material, fit_model(material, material.config, listen=lambda event: None).model


def test_quantiles_never_cross_whatever_the_residuals(trained: tuple[Material, ForecastModel]) -> None:
    material, model = trained
    assert model.levels == (0.1, 0.3, 0.5, 0.9)
    origins = material.test_set(100)
    point = model.predict(origins).point
    random = np.random.default_rng(0)
    for _ in range(20):
        residuals = random.normal(0, 1, (6, 1, 4)).astype(np.float32)
        residuals[..., 2] = 0.0
        said = replace(model, residuals=residuals).predict(origins)
        assert (np.diff(said.quantiles, axis=-1) >= 0).all()
        np.testing.assert_array_equal(said.point, point, err_msg="the point forecast is not moved")
        np.testing.assert_array_equal(said.quantiles[..., 2], point)


def test_a_quantile_network_that_has_hardly_learned_is_calibrated() -> None:
    asked = config(data={"horizon": 6, "lookback": 24}, training={"loss": "quantile", "max_steps": 4})
    material = gather(one_series(600), build_config(asked))
    model = fit_model(material, material.config, listen=lambda event: None).model
    origins = material.validation_set(1000)
    said = model.predict(origins)
    rows = origins.origin[:, None] + np.arange(6)
    observed = material.sequences.values[rows][:, :, 0]
    inside = (observed >= said.quantiles[..., 0, 0]) & (observed <= said.quantiles[..., 0, -1])
    assert inside.mean() == pytest.approx(0.8, abs=0.06)


def test_residuals_that_are_not_known_leave_the_point_and_no_interval(trained: tuple[Material, ForecastModel]) -> None:
    material, model = trained
    origins = material.test_set(3)
    residuals = np.full((6, 1, 4), np.nan, np.float32)
    residuals[..., 2] = 0.0
    said = replace(model, residuals=residuals).predict(origins)
    np.testing.assert_array_equal(said.point, model.predict(origins).point)
    np.testing.assert_array_equal(said.quantiles[..., 2], said.point)
    assert np.isnan(said.quantiles[..., [0, 1, 3]]).all(), "no interval of width zero"


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60), st.sampled_from([0.05, 0.1, 0.25, 0.8, 0.9, 0.975]), st.integers(0, 5))
def test_the_conformal_residual_by_hand(errors: list[float], level: float, missing: int) -> None:
    column = np.array([*errors, *[np.nan] * missing])[:, None, None]
    side = sorted(errors) if level > 0.5 else sorted(errors, reverse=True)
    share = max(level, 1.0 - level)
    rank = min(int(np.ceil(share * (len(errors) + 1))), len(errors))
    assert _conformal(column, level)[0, 0] == side[rank - 1]


def test_enough_of_new_residuals_lie_inside() -> None:
    """Split conformal: on average over draws, at least as many as the level says."""
    random = np.random.default_rng(0)
    inside = []
    for _ in range(300):
        errors = random.standard_t(3, 50)[:, None, None]
        low, high = _conformal(errors, 0.1)[0, 0], _conformal(errors, 0.9)[0, 0]
        new = random.standard_t(3, 200)
        inside.append(((new >= low) & (new <= high)).mean())
    assert np.mean(inside) == pytest.approx(0.8, abs=0.025)


def test_the_median_has_no_residual_and_few_residuals_count_together(trained: tuple[Material, ForecastModel]) -> None:
    material, model = trained
    assert (model.residuals[..., 2] == 0).all()
    few = conformal_residuals(model.network, material.validation_set(7), model.levels)
    assert (few == few[:1]).all(), "the same at each lead time"
    none = material.windows.at(np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert len(none) == 0
