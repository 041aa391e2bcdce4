"""What comes after an origin changes neither the forecast there nor anything fitted before it; white noise is not claimed to be beaten."""

import json
from typing import Any

import numpy as np
import polars as pl
import pytest

import tidegate as tg
from tests.tasks.forecasting.tiny import config, hours, wave
from tidegate.config import build_config
from tidegate.data.read import read_table
from tidegate.runs.tensors import tensors_to_bytes
from tidegate.tasks.forecasting.backtest import backtest, fit_rivals
from tidegate.tasks.forecasting.fitting import fit_model
from tidegate.tasks.forecasting.material import Material, gather
from tidegate.tasks.forecasting.model import ForecastModel, Predictions

STEPS, HORIZON, LOOKBACK = 240, 6, 24
TEST = 192
"""The test part of 60/20/20 per cent begins here; validation at 144."""


def spiky(seed: int) -> pl.DataFrame:
    """Two hourly series with spikes (some near the ends of the parts), gaps and runs of -999."""
    random = np.random.default_rng(seed)
    frames = []
    for name in "ab":
        y, x = wave(STEPS, seed), wave(STEPS, seed + 1)
        y[[*random.integers(0, STEPS, 6), 142, 190, 191]] += random.choice([-80.0, 80.0], 9)
        x[[*random.integers(0, STEPS, 6), 143, 188]] += 90.0
        y[random.integers(0, STEPS, 4)] = np.nan
        y[30:33] = x[60:90] = -999.0
        frames.append(pl.DataFrame({"unique_id": name, "ds": hours(STEPS), "y": y, "x": x}))
    return pl.concat(frames)


def perturbed(frame: pl.DataFrame, origin: int, seed: int) -> pl.DataFrame:
    """The same with other values from `origin` on in both series, spikes and sentinels among them."""
    random = np.random.default_rng(seed)
    after = pl.int_range(pl.len()).over("unique_id") >= origin
    strange = {name: random.choice([-999.0, 300.0, 0.0, 11.0], len(frame)) for name in ("y", "x")}
    return frame.with_columns(pl.when(after).then(pl.Series(strange[name])).otherwise(pl.col(name)).alias(name) for name in strange)


def settings(network: str, seed: int, linear_base: str = "ridge", **training: Any) -> Any:
    sections = config(
        data={"target": ["y"], "past": ["x"], "horizon": HORIZON, "lookback": LOOKBACK, "split": "60/20/20"},
        training={"seed": seed, **training},
        network={"name": network, "linear_base": linear_base},
    )
    return build_config(sections)


def trained(frame: pl.DataFrame, network: str, seed: int, linear_base: str = "ridge", **training: Any) -> tuple[Material, ForecastModel]:
    material = gather(frame, settings(network, seed, linear_base, **training))
    return material, fit_model(material, material.config, listen=lambda event: None).model


def bits(model: ForecastModel) -> tuple[bytes, str]:
    return tensors_to_bytes(model.to_tensors(), {}), json.dumps(model.to_json())


NETWORKS = ("lstm", "attention-cnn-lstm")


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("seed", range(3))
def test_the_test_part_changes_nothing_that_is_fitted(network: str, seed: int) -> None:
    frame = spiky(seed)
    material, model = trained(frame, network, seed)
    rivals = fit_rivals(material)
    before = bits(model)
    changed = perturbed(frame, TEST, seed + 10)
    again, other = trained(changed, network, seed)
    assert bits(other) == before, "weights, intervals and preparation to the bit"
    assert again.config == material.config, "and everything that was derived"
    np.testing.assert_array_equal(fit_rivals(again).ridge.weights, rivals.ridge.weights)
    assert len(again.prepared.record) != len(material.prepared.record), "though the change would be seen by who looks"


@pytest.mark.parametrize("seed", range(3))
def test_the_validation_part_changes_no_preparation_and_no_gradient(seed: int) -> None:
    """Without the choice of the best epoch (one epoch) and of the ridge's penalty, the weights follow from the training part alone."""
    frame = spiky(seed)
    material, model = trained(frame, "lstm", seed, "learned", max_epochs=1)
    again, other = trained(perturbed(frame, 144, seed + 10), "lstm", seed, "learned", max_epochs=1)
    assert again.prepared.preparation.to_json() == material.prepared.preparation.to_json()
    for name, value in model.network.state_dict().items():
        assert other.network.state_dict()[name].equal(value), name
    np.testing.assert_array_equal(again.windows.record.replacement, material.windows.record.replacement)


def said_at(model: ForecastModel, frame: pl.DataFrame, origin: int) -> Predictions:
    """Forecasts at step `origin` of both series, of the material of the run with this data."""
    material = gather(frame, model.config)
    return model.predict(material.windows.at(np.array([0, 1]), material.sequences.offsets[:2] + origin))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("seed", range(3))
def test_what_comes_after_an_origin_does_not_change_the_forecast_there(network: str, seed: int) -> None:
    frame = spiky(seed)
    _, model = trained(frame, network, seed)
    for origin in (144, 150, 190, 191, 192, 193, 215, 234):
        before = said_at(model, frame, origin)
        after = said_at(model, perturbed(frame, origin, seed + origin), origin)
        np.testing.assert_array_equal(after.point, before.point)
        np.testing.assert_array_equal(after.quantiles, before.quantiles)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_backtest_says_what_a_forecast_at_that_time_would_have_said(network: str) -> None:
    frame = spiky(7)
    model = tg.Forecaster(HORIZON, lookback=LOOKBACK, network=network, config=config(data={"split": "60/20/20"}))
    model.fit(frame, past=["x"])
    material, fitted = model._own_material(), model._fitted()
    origins = material.test_set(100)
    own, _, said = backtest(fitted, fit_rivals(material), origins)
    assert len(origins) == 2 * 8
    for number in range(0, 16, 3):
        series, origin = int(origins.series[number]), int(origins.origin[number] - material.sequences.offsets[origins.series[number]])
        past = frame.filter(pl.int_range(pl.len()).over("unique_id") < origin)
        alone = model.predict(past).filter(pl.col("unique_id") == "ab"[series])
        np.testing.assert_allclose(alone["y"].to_numpy(), said.point[number, :, 0], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(alone["y_q10"].to_numpy(), said.quantiles[number, :, 0, 0], rtol=1e-5, atol=1e-5)
    observed = frame.filter(pl.col("unique_id") == "a")["y"].to_numpy()
    first = own.observed[0, :, 0]
    np.testing.assert_allclose(first, observed[TEST : TEST + HORIZON].astype(np.float32), equal_nan=True)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("channels", ["shared", "joint"])
def test_one_origin_alone_equals_the_same_in_a_batch(network: str, channels: str) -> None:
    frame = spiky(3).with_columns((pl.col("y") * 3).shift(2).alias("z"))
    sections = config(
        data={"target": ["y", "z"], "past": ["x"], "horizon": HORIZON, "lookback": LOOKBACK},
        network={"name": network, "channels": channels},
    )
    material = gather(frame, build_config(sections))
    model = fit_model(material, material.config, listen=lambda event: None).model
    random = np.random.default_rng(0)
    series = random.integers(0, 2, 40)
    rows = material.sequences.offsets[series] + random.integers(1, STEPS, 40)
    whole = model.predict(material.windows.at(series, rows), attention=True)
    assert np.isfinite(whole.point).all()
    for number in range(40):
        alone = model.predict(material.windows.at(series[number : number + 1], rows[number : number + 1]), attention=True)
        np.testing.assert_allclose(alone.point[0], whole.point[number], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(alone.quantiles[0], whole.quantiles[number], rtol=1e-5, atol=1e-5)
        if whole.attention is not None and alone.attention is not None:
            np.testing.assert_allclose(alone.attention[0], whole.attention[number], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_newest_observation_changes_lead_time_1(network: str) -> None:
    frame = pl.DataFrame({"ds": hours(STEPS), "y": wave(STEPS)})
    model = tg.Forecaster(HORIZON, lookback=LOOKBACK, network=network, config=config()).fit(frame)
    newest = pl.int_range(pl.len()) == STEPS - 1
    after = model.predict(frame.with_columns(pl.when(newest).then(pl.col("y") + 1.0).otherwise(pl.col("y")).alias("y")))
    assert abs(after["y"][0] - model.predict()["y"][0]) > 1e-3


@pytest.mark.parametrize("seed", range(5))
def test_white_noise_is_never_claimed_to_be_beaten(seed: int) -> None:
    random = np.random.default_rng(seed)
    frame = pl.DataFrame({"ds": range(1500), "y": random.normal(50.0, 10.0, 1500)})
    network = NETWORKS[seed % 2]
    training = {"seed": seed, "max_epochs": 6, "windows_per_epoch": 1000, "learning_rate": 0.003}
    scores = tg.Forecaster(4, lookback=24, network=network, config=config(training=training, data={"season": []})).fit(frame).evaluate()
    outcome = {row["rival"]: row["outcome"] for row in scores.comparisons}
    assert outcome["mean"] != "beats", scores.verdict
    assert outcome["repeat_last"] == "beats", "it is no dummy: what can be beaten is beaten"
    assert not scores.beats
    claimed = scores.verdict.split("Beats ")
    assert len(claimed) == 1 or " mean " not in f" {claimed[1]}"


def test_a_table_read_twice_gives_the_same_material() -> None:
    frame = spiky(1)
    one, other = (gather(frame, settings("lstm", 0)) for _ in range(2))
    assert one.config == other.config
    np.testing.assert_array_equal(one.sequences.values, other.sequences.values)
    assert read_table(frame).checksum() == one.table.checksum()
