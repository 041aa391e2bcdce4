"""The paired tests: formulas, and how often they cry wolf."""

import numpy as np
import pytest
from scipy import stats

from tidegate.evaluate.significance import diebold_mariano, fixed_smoothing, student_t_p


@pytest.mark.parametrize("freedom", [1, 2, 5, 29, 300])
@pytest.mark.parametrize("statistic", [0.0, 0.3, 1.0, -2.5, 8.0])
def test_p_value_equals_scipy(freedom: int, statistic: float) -> None:
    assert student_t_p(statistic, freedom) == pytest.approx(2 * stats.t.sf(abs(statistic), freedom), rel=1e-9)


def test_without_overlap_it_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random(20), rng.random(20) + 0.2
    theirs = stats.ttest_rel(first, second)
    assert diebold_mariano(first, second, 1) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)


def test_overlap_and_correction_by_hand() -> None:
    """Eq. 9 of Harvey, Leybourne and Newbold for M = 4, h = 2: d = 1, 2, 4, 5; mean 3, gamma_0 = 2.5, gamma_1 = 0.75."""
    statistic, p = diebold_mariano(np.array([1.0, 2.0, 4.0, 5.0]), np.zeros(4), 2)
    assert statistic == pytest.approx(np.sqrt((4 + 1 - 4 + 2 / 4) / 4) * 3 / np.sqrt((2.5 + 2 * 0.75) / 4))
    assert p == pytest.approx(2 * stats.t.sf(statistic, 3))


def test_sides_and_edges() -> None:
    noise = np.random.default_rng(1).random(30)
    assert diebold_mariano(noise, noise + 1 + 0.1 * noise, 1)[0] < 0
    assert diebold_mariano(noise, noise, 1) == (0.0, 1.0)
    assert diebold_mariano(noise, noise + 1.0, 1) == (-np.inf, 0.0)
    assert np.isnan(diebold_mariano(noise[:1], noise[:1], 1)).all()
    assert np.isnan(fixed_smoothing(noise[:3], noise[:3])).all()
    alternating = np.array([1.0, -1.0] * 8)
    assert np.isfinite(diebold_mariano(alternating + 0.1, np.zeros(16), 2)).all()


@pytest.mark.parametrize("num", [12, 40, 120])
@pytest.mark.parametrize("dependence", [0.0, 0.5])
def test_size_under_dependent_losses(num: int, dependence: float) -> None:
    """With no true difference at most about 5 % are called significant, though losses at successive origins depend (AR(1))."""
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(1500, num + 50))
    differences = np.zeros_like(noise)
    for step in range(1, num + 50):
        differences[:, step] = dependence * differences[:, step - 1] + noise[:, step]
    p = np.array([fixed_smoothing(row, np.zeros(num))[1] for row in differences[:, 50:]])
    assert 0.03 < (p < 0.05).mean() < 0.09
    if dependence:
        plain = np.array([diebold_mariano(row, np.zeros(num), 1)[1] for row in differences[:, 50:]])
        assert (plain < 0.05).mean() > 0.2


def test_power() -> None:
    rng = np.random.default_rng(3)
    found = [fixed_smoothing(rng.normal(size=80) - 0.5, np.zeros(80))[1] < 0.05 for _ in range(200)]
    assert np.mean(found) > 0.9
