"""Losses, the optimiser's state, and the learning-rate finder."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tidegate.config import TrainingSettings
from tidegate.errors import TrainingError
from tidegate.train.loop import Job
from tidegate.train.loss import absolute_error, build_loss, huber, observed_mean, pinball, squared_error, trained_levels
from tidegate.train.lr_finder import find_learning_rate
from tidegate.train.optimiser import build_optimiser, clear_gradients, clip_gradients, learning_rate, optimiser_tensors, restore_optimiser

Build = Callable[..., Job[tuple[Tensor, Tensor]]]


def test_losses_by_hand() -> None:
    forecast, truth = torch.tensor([0.0, 0.0, 0.0])[:, None, None, None], torch.tensor([0.5, -2.0, 3.0])[:, None, None]
    assert absolute_error(forecast, truth).flatten().tolist() == [0.5, 2.0, 3.0]
    assert squared_error(forecast, truth).flatten().tolist() == [0.25, 4.0, 9.0]
    assert huber(forecast, truth).flatten().tolist() == [0.125, 1.5, 2.5]
    both = pinball((0.1, 0.9))(forecast.expand(-1, -1, -1, 2), truth)
    np.testing.assert_allclose(both.reshape(3, 2), [[0.05, 0.45], [1.8, 0.2], [0.3, 2.7]], rtol=1e-6)


@pytest.mark.parametrize(("name", "twin"), [("mae", nn.L1Loss()), ("mse", nn.MSELoss()), ("huber", nn.HuberLoss())])
def test_losses_equal_torch(name: Any, twin: nn.Module) -> None:
    torch.manual_seed(0)
    forecast, truth = 2 * torch.randn(4, 5, 2, 1), 2 * torch.randn(4, 5, 2)
    loss, count = observed_mean(build_loss(TrainingSettings(loss=name)), forecast, truth)
    torch.testing.assert_close(loss, twin(forecast[..., 0], truth))
    assert count == 40


@given(st.floats(0.02, 0.98))
def test_the_least_pinball_loss_is_at_the_quantile(level: float) -> None:
    sample = torch.linspace(0, 1, 1001)
    grid = torch.linspace(0, 1, 201)
    losses = [pinball((level,))(at.expand(1001, 1, 1, 1), sample[:, None, None]).mean().item() for at in grid]
    assert grid[int(np.argmin(losses))].item() == pytest.approx(level, abs=0.006)


@pytest.mark.parametrize("name", ["mae", "mse", "huber", "quantile"])
def test_missing_truth_is_left_out(name: Any) -> None:
    torch.manual_seed(0)
    settings = TrainingSettings(loss=name)
    loss, outputs = build_loss(settings), max(1, len(trained_levels(settings)))
    forecast, truth = torch.randn(6, 4, 2, outputs, requires_grad=True), torch.randn(6, 4, 2)
    truth[1, 2, 0] = truth[5] = torch.nan
    value, count = observed_mean(loss, forecast, truth)
    seen = truth.isfinite()
    assert count == int(seen.sum()) == 39
    torch.testing.assert_close(value, loss(forecast, truth)[seen].mean())
    value.backward()
    assert forecast.grad is not None
    assert forecast.grad.isfinite().all()
    assert not forecast.grad[~seen].any()
    nothing, count = observed_mean(loss, forecast, torch.full_like(truth, torch.nan))
    assert (nothing.item(), count) == (0.0, 0)


def test_quantile_loss_has_the_median() -> None:
    assert trained_levels(TrainingSettings(loss="quantile", quantiles=(0.9, 0.1))) == (0.1, 0.5, 0.9)
    assert trained_levels(TrainingSettings(loss="quantile", quantiles=(0.5,))) == (0.5,)
    assert trained_levels(TrainingSettings(loss="mae")) == ()


def test_biases_do_not_decay() -> None:
    network = nn.Linear(3, 2)
    with torch.no_grad():
        network.bias.fill_(1.0)
    optimiser = build_optimiser(network, TrainingSettings(optimiser="adamw", weight_decay=0.5, learning_rate=0.1))
    before = network.weight.detach().clone()
    for weight in network.parameters():
        weight.grad = torch.zeros_like(weight)
    optimiser.step()
    torch.testing.assert_close(network.weight.detach(), before * 0.95)
    assert (network.bias == 1.0).all()


def test_weights_without_decay_are_updated_together_and_numbered_as_with_it() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    plain, decayed = (build_optimiser(network, TrainingSettings(weight_decay=decay)) for decay in (0.0, 0.1))
    assert [len(group["params"]) for group in plain.param_groups] == [4]
    orders = [[id(weight) for group in one.param_groups for weight in group["params"]] for one in (plain, decayed)]
    assert orders[0] == orders[1], "a checkpoint's state is numbered by it"


@given(st.floats(1e-3, 1e3), st.integers(0, 99), st.sampled_from([None, 1e-2, 1.0, 30.0]))
def test_gradients_are_clipped_as_torch_does(size: float, seed: int, most: float | None) -> None:
    random = torch.Generator().manual_seed(seed)
    pair = [[nn.Parameter(torch.zeros(shape)) for shape in ((7, 5), (5,), (1,))] for _ in range(2)]
    for own, other in zip(*pair, strict=True):
        own.grad = size * torch.randn(own.shape, generator=random)
        other.grad = own.grad.clone()
    pair[0][1].grad = pair[1][1].grad = None
    norm = nn.utils.clip_grad_norm_(pair[1], most or math.inf)
    assert clip_gradients(pair[0], most) == norm.item()
    assert all(torch.equal(*grads) for grads in zip(*[[w.grad for w in some if w.grad is not None] for some in pair], strict=True))
    clear_gradients(pair[0])
    assert all(weight.grad is None for weight in pair[0])


def test_the_norm_of_gradients_that_are_not_finite_is_told() -> None:
    for value in (math.nan, math.inf):
        weight = nn.Parameter(torch.zeros(2))
        weight.grad = torch.tensor([1.0, value])
        assert not math.isfinite(clip_gradients([weight], 1.0))


def test_the_optimiser_comes_back() -> None:
    torch.manual_seed(0)
    settings, networks = TrainingSettings(), [nn.Linear(3, 2), nn.Linear(3, 2)]
    networks[1].load_state_dict(networks[0].state_dict())
    first, second = (build_optimiser(network, settings) for network in networks)
    x = torch.randn(4, 3)

    def step(network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        optimiser.zero_grad()
        (network(x) ** 2).sum().backward()
        optimiser.step()

    step(networks[0], first)
    networks[1].load_state_dict(networks[0].state_dict())
    kept = {name: value.clone() for name, value in optimiser_tensors(first).items()}
    restore_optimiser(second, kept)
    for _ in range(3):
        step(networks[0], first)
        step(networks[1], second)
    assert torch.equal(networks[0].weight, networks[1].weight)


def test_schedules() -> None:
    cosine = TrainingSettings(learning_rate=1.0)
    assert [learning_rate(cosine, done, 0) for done in (0.0, 0.5, 1.0, 2.0)] == pytest.approx([1.0, 0.5, 0.0, 0.0])
    assert learning_rate(TrainingSettings(learning_rate=1.0, schedule="plateau"), 0.9, 3) == 0.125
    assert learning_rate(TrainingSettings(learning_rate=1.0, schedule="constant"), 0.9, 3) == 1.0


def endless(job: Job[Any]) -> Any:
    batches = job.training(0)
    number = 0
    while True:
        yield batches[number % len(batches)]
        number += 1


def test_the_finder_puts_the_weights_back(build: Build) -> None:
    job = build()
    before = {name: value.clone() for name, value in job.network.state_dict().items()}
    curve = find_learning_rate(job.network, job.loss, endless(job), job.settings)
    assert all(torch.equal(value, before[name]) for name, value in job.network.state_dict().items())
    assert list(curve.rates) == sorted(curve.rates)
    assert len(curve.rates) == len(curve.losses) > 10
    assert 1e-4 < curve.suggestion < 0.1
    assert curve.suggestion == pytest.approx(curve.rates[int(np.argmin(curve.losses))] / 10)
    again = find_learning_rate(job.network, job.loss, endless(job), job.settings)
    assert again == curve


def test_the_finder_stops_where_the_loss_runs_away(build: Build) -> None:
    job = build(clip_norm=None)
    curve = find_learning_rate(job.network, job.loss, endless(job), job.settings, lowest=1e-4, highest=1e6)
    assert len(curve.rates) < 80
    assert all(math.isfinite(loss) for loss in curve.losses)


def test_the_finder_names_a_loss_that_is_not_finite(build: Build) -> None:
    job = build()

    def broken(network: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, int]:
        return job.loss(network, batch)[0] * math.nan, 1

    with pytest.raises(TrainingError, match="first batch"):
        find_learning_rate(job.network, broken, endless(job), job.settings)
