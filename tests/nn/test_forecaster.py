"""Forecasting networks: step by step, alone and in a batch, missing values, covariates, what lead time 1 sees."""

import itertools
from typing import Any

import pytest
import torch

from tidegate.config import AttentionCNNLSTMSettings, LSTMSettings
from tidegate.nn.forecaster import ForecastNetwork, ForecastState, Inputs, Shape, build_network

LOOKBACK, HORIZON = 16, 5
COVARIATES = {"past": (0, 3), "known": (0, 2), "static": (0, 4)}


def network(
    name: str, targets: int = 2, covariates: bool = False, outputs: int = 1, indicator: bool = True, **changes: Any
) -> ForecastNetwork:
    """A small network whose every weight differs from zero, in evaluation mode."""
    torch.manual_seed(0)
    shape = Shape(LOOKBACK, HORIZON, targets, outputs=outputs, indicator=indicator, **(COVARIATES if covariates else {}))
    if name == "lstm":
        built = build_network(shape, LSTMSettings(hidden=8, **changes))
    else:
        built = build_network(shape, AttentionCNNLSTMSettings(hidden=8, filters=4, subsequence=6, overlap=3, kernel=2, **changes))
    with torch.no_grad():
        for weight in built.parameters():
            weight += 0.3 * torch.randn_like(weight)
    return built.eval()


def inputs(windows: int, targets: int = 2, covariates: bool = False, missing: float = 0.0, seed: int = 1) -> Inputs:
    """Random inputs, categories as their numbers, a share of them missing."""
    torch.manual_seed(seed)

    def numbers(kinds: tuple[int, ...], *size: int) -> torch.Tensor:
        columns = [torch.randint(0, kind, size).float() if kind else torch.randn(size) for kind in kinds]
        return torch.stack(columns, -1) if columns else torch.zeros(*size, 0)

    chosen = COVARIATES if covariates else dict.fromkeys(COVARIATES, ())
    whole = Inputs(
        5.0 + 2.0 * torch.randn(windows, LOOKBACK, targets).cumsum(1),
        numbers(chosen["past"], windows, LOOKBACK),
        numbers(chosen["known"], windows, LOOKBACK + HORIZON),
        numbers(chosen["static"], windows),
    )
    return Inputs(*(part.masked_fill(torch.rand_like(part) < missing, torch.nan) for part in whole))


def rows(given: Inputs, begin: int, end: int) -> Inputs:
    return Inputs(*(part[begin:end] for part in given))


NETWORKS = ("lstm", "attention-cnn-lstm")
CHANNELS = ("shared", "joint")
SCALINGS = ("last", "standard", "none")


@pytest.mark.parametrize(("scaling", "linear", "channels"), list(itertools.product(SCALINGS, ("learned", "none"), CHANNELS)))
@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("covariates", [False, True])
def test_lstm_step_by_step_equals_at_once(scaling: str, linear: str, channels: str, missing: float, covariates: bool) -> None:
    built = network("lstm", covariates=covariates, window_scaling=scaling, linear_base=linear, channels=channels, layers=2)
    given = inputs(3, covariates=covariates, missing=missing)
    whole = built(given)
    state: ForecastState | None = built.initial_state(given.target_BLC)
    said = None
    for step in range(LOOKBACK):
        known = given.known_BTK[:, step : step + 1 + HORIZON]
        said = built(Inputs(given.target_BLC[:, step : step + 1], given.past_BLP[:, step : step + 1], known, given.static_BK), state)
        state = said.state
    assert said is not None
    assert whole.forecast_BNCQ.isfinite().all()
    torch.testing.assert_close(said.forecast_BNCQ, whole.forecast_BNCQ, rtol=1e-5, atol=1e-5)
    assert state is not None and whole.state is not None
    torch.testing.assert_close(state, whole.state, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_lstm_goes_on_in_pieces(scaling: str) -> None:
    built, given = network("lstm", window_scaling=scaling), inputs(2, missing=0.2)
    state = built.initial_state(given.target_BLC)
    nothing = given.known_BTK
    first = built(Inputs(given.target_BLC[:, :7], given.past_BLP[:, :7], nothing, given.static_BK), state)
    second = built(Inputs(given.target_BLC[:, 7:], given.past_BLP[:, 7:], nothing, given.static_BK), first.state)
    torch.testing.assert_close(second.forecast_BNCQ, built(given).forecast_BNCQ, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "channels", "scaling"), list(itertools.product(NETWORKS, CHANNELS, SCALINGS)))
def test_one_origin_alone_equals_the_same_in_a_batch(name: str, channels: str, scaling: str) -> None:
    built = network(name, targets=3, covariates=True, outputs=3, channels=channels, window_scaling=scaling)
    given = inputs(6, targets=3, covariates=True, missing=0.1)
    given.target_BLC[2] = torch.nan
    given.target_BLC[3] = 7.0
    whole = built(given)
    for number in range(6):
        alone = built(rows(given, number, number + 1))
        torch.testing.assert_close(alone.forecast_BNCQ[0], whole.forecast_BNCQ[number], rtol=1e-5, atol=1e-5)
        if whole.attention_BCS is not None:
            torch.testing.assert_close(alone.attention_BCS[0], whole.attention_BCS[number], rtol=1e-5, atol=1e-5)
    assert whole.forecast_BNCQ.isfinite().all()
    assert (whole.forecast_BNCQ.diff(dim=-1) >= 0).all(), "quantiles never cross"


@pytest.mark.parametrize("name", NETWORKS)
def test_a_shared_channel_does_not_see_the_others(name: str) -> None:
    built, given = network(name, targets=3, covariates=True), inputs(2, targets=3, covariates=True)
    before = built(given).forecast_BNCQ
    one = network(name, targets=1, covariates=True)
    one.load_state_dict(built.state_dict())
    torch.testing.assert_close(
        one(given._replace(target_BLC=given.target_BLC[..., 1:2])).forecast_BNCQ, before[:, :, 1:2], rtol=1e-5, atol=1e-5
    )
    given.target_BLC[..., 0] += 1.0
    after = built(given).forecast_BNCQ
    assert torch.equal(after[:, :, 1:], before[:, :, 1:])
    assert not torch.allclose(after[:, :, 0], before[:, :, 0])
    joint = network(name, targets=3, covariates=True, channels="joint", window_scaling="none", linear_base="none")
    before = joint(given).forecast_BNCQ
    given.target_BLC[..., 0] += 1.0
    assert not torch.allclose(joint(given).forecast_BNCQ[:, :, 1:], before[:, :, 1:])


@pytest.mark.parametrize(
    ("name", "channels", "scaling", "linear"), list(itertools.product(NETWORKS, CHANNELS, SCALINGS, ("learned", "none")))
)
def test_the_newest_observation_changes_lead_time_1(name: str, channels: str, scaling: str, linear: str) -> None:
    built, given = network(name, channels=channels, window_scaling=scaling, linear_base=linear), inputs(4)
    before = built(given).forecast_BNCQ[:, 0]
    given.target_BLC[:, -1] += 1.0
    assert ((built(given).forecast_BNCQ[:, 0] - before).abs() > 1e-5).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_newest_observation_reaches_lead_time_1_through_the_lstm(name: str) -> None:
    built, given = network(name, window_scaling="none", linear_base="none"), inputs(4)
    given.target_BLC.requires_grad_()
    built(given).forecast_BNCQ[:, 0].sum().backward()
    assert given.target_BLC.grad is not None
    newest = given.target_BLC.grad[:, -1].abs()
    assert (newest > 1e-6).all()
    assert (newest > given.target_BLC.grad[:, 0].abs()).float().mean() > 0.5, "the newest counts for more than the oldest"


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_known_ahead_counts(name: str) -> None:
    built, given = network(name, covariates=True), inputs(3, covariates=True)
    before = built(given).forecast_BNCQ
    given.known_BTK[:, LOOKBACK + 2, 0] += 1.0
    after = built(given).forecast_BNCQ
    changed = (after != before).any(3).any(2).any(0)
    assert changed.tolist() == [False, False, True, False, False]
    given.static_BK[:, 1] = (given.static_BK[:, 1] + 1) % 4
    assert not torch.allclose(built(given).forecast_BNCQ, after)
    past = built(given).forecast_BNCQ
    given.past_BLP[:, -1, 1] = (given.past_BLP[:, -1, 1] + 1) % 3
    assert not torch.allclose(built(given).forecast_BNCQ, past)


@pytest.mark.parametrize(("name", "scaling"), list(itertools.product(NETWORKS, ("last", "standard"))))
def test_window_scaling_is_undone(name: str, scaling: str) -> None:
    built, given = network(name, window_scaling=scaling), inputs(3, missing=0.2)
    given.target_BLC[:, 0] = 3.0
    before = built(given).forecast_BNCQ
    shifted = built(given._replace(target_BLC=given.target_BLC + 100.0)).forecast_BNCQ
    torch.testing.assert_close(shifted, before + 100.0, rtol=1e-4, atol=1e-3)
    if scaling == "standard":
        larger = built(given._replace(target_BLC=given.target_BLC * 1000.0)).forecast_BNCQ
        torch.testing.assert_close(larger / 1000.0, before, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", NETWORKS)
def test_missing_values_are_said(name: str) -> None:
    with_indicator, without = (network(name, indicator=indicator) for indicator in (True, False))
    given = inputs(3)
    filled = given.target_BLC.clone()
    filled[:, 7] = filled[:, 6]
    given.target_BLC[:, 7] = torch.nan
    same = given._replace(target_BLC=filled)
    torch.testing.assert_close(without(given).forecast_BNCQ[..., 0], without(same).forecast_BNCQ[..., 0])
    assert not torch.allclose(with_indicator(given).forecast_BNCQ, with_indicator(same).forecast_BNCQ)
    given.target_BLC[:] = torch.nan
    assert with_indicator(given).forecast_BNCQ.isfinite().all()


def test_dropout_on_the_last_hidden_state_in_training_only() -> None:
    built, given = network("lstm", dropout=0.5), inputs(2)
    before = built(given).forecast_BNCQ
    assert torch.equal(built(given).forecast_BNCQ, before)
    built.train()
    assert not torch.allclose(built(given).forecast_BNCQ, before)


def test_first_forecasts_are_near_the_last_value() -> None:
    torch.manual_seed(0)
    built = build_network(Shape(LOOKBACK, HORIZON, 1), LSTMSettings(hidden=32)).eval()
    given = inputs(8, targets=1)
    error = built(given).forecast_BNCQ[..., 0] - given.target_BLC[:, -1:]
    assert error.abs().max() < 0.5
