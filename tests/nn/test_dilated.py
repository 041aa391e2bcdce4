"""Fixed dilated convolutions against MiniRocket's definition, written out; gaps, padding, and the regression on them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tidegate.nn.dilated import KERNELS, DilatedOutput, bridged, dilations
from tidegate.nn.ridge_output import MOST_LEFT_OUT, fit_ridge


def made(steps: int, channels: int = 2, count: int = 20) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(count, steps, channels), torch.ones(count, steps, dtype=torch.bool)


def fitted(steps: int, channels: int = 2, features: int = 84 * 3) -> DilatedOutput:
    output = DilatedOutput(channels, 2, steps, features)
    x, inside = made(steps, channels)
    output.fit([(x, inside)], torch.arange(len(x)) % 2, (x, inside), np.random.default_rng(0))
    return output


def by_definition(output: DilatedOutput, x_TC: np.ndarray) -> np.ndarray:
    """The features of one sequence, step by step."""
    found, begin = [], 0
    for number, (dilation, count) in enumerate(output.dilations):
        thresholds = output.thresholds[begin : begin + count * 84].view(count, 84).numpy()
        begin += count * 84
        for parity in (0, 1):
            for threshold in thresholds:
                for kernel in range(parity, 84, 2):
                    line = x_TC @ output.chosen[number, kernel].numpy()
                    values = []
                    for step in range(len(line)):
                        places = step + dilation * (np.arange(9) - 4)
                        inside = (places >= 0) & (places < len(line))
                        if (number + kernel) % 2 == 0 or inside.all():
                            taps = np.where(np.isin(np.arange(9), KERNELS[kernel]), 2.0, -1.0)
                            values.append((taps * np.where(inside, line[places.clip(0, len(line) - 1)], 0.0)).sum())
                    found.append(np.mean(np.array(values) > threshold[kernel]) if values else 0.0)
    return np.array(found)


@pytest.mark.parametrize("steps", [5, 9, 40])
def test_features_are_what_the_paper_defines(steps: int) -> None:
    output = fitted(steps)
    x, inside = made(steps)
    found = output.shares(x, inside)[0].numpy()
    expected = by_definition(output, x[0].numpy())
    # A sum that rounds to the threshold may lie on either side of it.
    assert (np.abs(found - expected) > 1e-6).mean() < 0.01
    assert np.abs(found - expected).max() <= 2.0 / max(1, steps - 8)


@pytest.mark.parametrize("steps", [1, 9, 24, 150, 1460])
@pytest.mark.parametrize("features", [1, 84, 9996])
def test_dilations_reach_from_one_step_to_the_whole_sequence(steps: int, features: int) -> None:
    found = dilations(steps, features)
    assert sum(count for _, count in found) == max(1, features // 84)
    assert found[0][0] == 1 and all(8 * dilation < max(9, steps) for dilation, _ in found)


def test_dilations_of_minirocket() -> None:
    """Those of aeon 1.0 for 24 steps and 9,996 features."""
    assert dilations(24, 9996) == [(1, 79), (2, 40)]


@pytest.mark.parametrize("reach", [3, 5, 6, 7, 11, 49, 355])
def test_the_widest_kernel_spans_all_steps(reach: int) -> None:
    assert dilations(8 * reach + 1, 9996)[-1][0] == reach


def test_the_features_differ_between_sequences_that_differ_and_are_shares() -> None:
    output = fitted(40)
    shares = output.shares(*made(40))
    assert shares.min() >= 0 and shares.max() <= 1 and shares.std(0).mean() > 0.02
    assert torch.allclose(shares.mean(), torch.tensor(0.5), atol=0.1)


def test_padding_does_not_matter() -> None:
    output = fitted(40)
    x, inside = made(40)
    inside[3, 20:] = False
    inside[4, 5:] = False
    alone = torch.cat(
        [output(x[number : number + 1, :length], inside[number : number + 1, :length]) for number, length in ((3, 20), (4, 5))]
    )
    for fill in (0.0, torch.nan, 1e9):
        longer = torch.nn.functional.pad(x.masked_fill(~inside[..., None], fill), (0, 0, 0, 7), value=fill)
        torch.testing.assert_close(output(longer, torch.nn.functional.pad(inside, (0, 7)))[3:5], alone, rtol=1e-4, atol=1e-4)


@settings(deadline=None)
@given(st.lists(st.one_of(st.floats(-5, 5, width=32), st.just(float("nan"))), min_size=1, max_size=12))
def test_gaps_are_bridged_as_numpy_interpolates(values: list[float]) -> None:
    line = np.array(values, np.float32)
    present = np.flatnonzero(~np.isnan(line))
    expected = np.interp(np.arange(len(line)), present, line[present]) if len(present) else np.zeros(len(line))
    x = torch.from_numpy(np.concatenate([line, [9.0]]).astype(np.float32))[None, :, None]
    inside = torch.arange(len(line) + 1)[None] < len(line)
    found = bridged(x, inside)[0, :, 0].numpy()
    np.testing.assert_allclose(found[:-1], expected, atol=1e-5)
    assert found[-1] == 0.0 or not np.isnan(line).any()


def test_it_is_kept_with_the_network() -> None:
    output, other = fitted(40), DilatedOutput(2, 2, 40, 84 * 3)
    x, inside = made(40)
    assert not other(x, inside).any()
    other.load_state_dict(output.state_dict())
    assert torch.equal(other(x, inside), output(x, inside))


def test_it_tells_classes_apart() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(60) % 2
    time = np.arange(50)
    waves = np.sin(time * (0.3 + 0.2 * labels[:, None]) + random.uniform(0, 6, (60, 1))) + random.normal(0, 0.3, (60, 50))
    x, inside = torch.from_numpy(waves[..., None].astype(np.float32)), torch.ones(60, 50, dtype=torch.bool)
    output = DilatedOutput(1, 2, 50, 1000)
    output.fit([(x[:20], inside[:20]), (x[20:40], inside[20:40])], torch.from_numpy(labels[:40]), (x[:30], inside[:30]), random)
    assert (output(x[40:], inside[40:]).argmax(1).numpy() == labels[40:]).mean() >= 0.95


def test_leaving_one_out_is_what_it_says() -> None:
    torch.manual_seed(0)
    x, labels = torch.randn(30, 50), torch.arange(30) % 3
    x[:, :3] += 2.0 * torch.nn.functional.one_hot(labels, 3)
    ridge = fit_ridge(x, labels, 3)
    z = ((x - x.mean(0)) / x.std(0, correction=0)).double()
    y = 2.0 * torch.nn.functional.one_hot(labels, 3).double() - 1.0
    for number in (0, 7, 29):
        rest = torch.arange(30) != number
        mean_x, mean_y = z[rest].mean(0), y[rest].mean(0)
        centred = z[rest] - mean_x
        penalised = centred.T @ centred + ridge.penalty * torch.eye(50, dtype=torch.float64)
        weight = torch.linalg.solve(penalised, centred.T @ (y[rest] - mean_y))
        torch.testing.assert_close(ridge.left_out[number], (z[number] - mean_x) @ weight + mean_y)
    assert (x @ ridge.weight_FK + ridge.bias_K).argmax(1).eq(labels).float().mean() > 0.8


def test_many_sequences_are_solved_for_at_the_chosen_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    x, labels = torch.randn(40, 60), torch.arange(40) % 2
    x[:, 0] += 3.0 * labels
    whole = fit_ridge(x, labels, 2)
    monkeypatch.setattr("tidegate.nn.ridge_output.MOST_LEFT_OUT", 39)
    monkeypatch.setattr("tidegate.nn.ridge_output.PENALTIES", torch.tensor([whole.penalty], dtype=torch.float64))
    part = fit_ridge(x, labels, 2)
    assert len(part.places) == 39 and MOST_LEFT_OUT > 1000
    torch.testing.assert_close(part.weight_FK, whole.weight_FK, rtol=1e-4, atol=1e-6)


def test_a_constant_feature_has_no_weight() -> None:
    x = torch.randn(20, 4)
    x[:, 2] = 0.25
    ridge = fit_ridge(x, torch.arange(20) % 2, 2)
    assert not ridge.weight_FK[2].any() and ridge.weight_FK.isfinite().all()
