"""Paired tests: is the difference of two forecasts' losses more than noise?"""

import math

import numpy as np


def diebold_mariano(loss_a: np.ndarray, loss_b: np.ndarray, horizon: int) -> tuple[float, float]:
    """Diebold-Mariano test with the correction of Harvey, Leybourne and Newbold.

    loss_a, loss_b [M] are the losses at M forecast origins in order of time; `horizon` is the number of origins that a forecast
    reaches over (1 where forecasts do not overlap): autocovariances up to horizon - 1 are allowed for. Returns the statistic
    (negative: a is better) and the two-sided p value of Student's t with M - 1 degrees of freedom; NaN, NaN for M < 2.

    Diebold and Mariano 1995, 'Comparing predictive accuracy', eq. 1; Harvey, Leybourne and Newbold 1997, 'Testing the equality of
    prediction mean squared errors', eq. 9. Where the rectangular window gives no positive variance, Bartlett's is taken.
    """
    difference = np.asarray(loss_a, np.float64) - np.asarray(loss_b, np.float64)
    num = len(difference)
    if num < 2:
        return math.nan, math.nan
    horizon = min(max(horizon, 1), num)
    centered = difference - difference.mean()
    covariance = np.array([centered[lag:] @ centered[: num - lag] / num for lag in range(horizon)])
    variance = 2.0 * covariance.sum() - covariance[0]
    if variance <= 0.0:
        variance = 2.0 * (covariance * (1.0 - np.arange(horizon) / horizon)).sum() - covariance[0]
    correction = math.sqrt((num + 1 - 2 * horizon + horizon * (horizon - 1) / num) / num)
    return _student(difference.mean(), variance / num, num - 1, correction)


def fixed_smoothing(loss_a: np.ndarray, loss_b: np.ndarray) -> tuple[float, float]:
    """The Diebold-Mariano statistic with a variance that stays honest when losses at successive origins depend on each other.

    The long-run variance is the mean square of the B = 0.4 M^(2/3) lowest cosine coefficients of the differences, and the p value
    is Student's t with B degrees of freedom. Lazarus, Lewis, Stock and Watson 2018, 'HAR inference', eq. 10 and 4; shown for
    Diebold-Mariano in small samples by Coroneo and Iacone 2020. Returns as `diebold_mariano`.
    """
    difference = np.asarray(loss_a, np.float64) - np.asarray(loss_b, np.float64)
    num = len(difference)
    if num < 4:
        return math.nan, math.nan
    terms = max(2, round(0.4 * num ** (2 / 3)))
    place = (np.arange(num) + 0.5) / num
    centered = difference - difference.mean()
    coefficients = [math.sqrt(2.0 / num) * (np.cos(math.pi * order * place) @ centered) for order in range(1, terms + 1)]
    return _student(difference.mean(), float(np.mean(np.square(coefficients))) / num, terms)


def student_t_p(statistic: float, freedom: float) -> float:
    """Two-sided p value of Student's t: the regularised incomplete beta function I_x(v/2, 1/2) at x = v / (v + t^2).

    Abramowitz and Stegun 1964, 26.7.1 and 26.5.8, in the continued fraction of DLMF 8.17.22.
    """
    if math.isnan(statistic):
        return math.nan
    if math.isinf(statistic):
        return 0.0
    return _incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + statistic * statistic))


def _student(mean: float, variance: float, freedom: int, correction: float = 1.0) -> tuple[float, float]:
    """Statistic and p value; a difference that never varies is certain, none at all is p = 1."""
    if variance > (1e-12 * mean) ** 2:
        statistic = float(mean) / math.sqrt(variance) * correction
    else:
        statistic = math.copysign(math.inf, mean) if mean != 0.0 else 0.0
    return statistic, student_t_p(statistic, freedom)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    if x <= 0.0 or x >= 1.0:
        return min(max(x, 0.0), 1.0)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _beta_fraction(a, b, x) / a
    return 1.0 - front * _beta_fraction(b, a, 1.0 - x) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of DLMF 8.17.22, evaluated from the front (Lentz's method)."""
    upper, lower = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    fraction = lower
    for term in range(1, 1000):
        even = term * (b - term) * x / ((a + 2 * term - 1) * (a + 2 * term))
        odd = -(a + term) * (a + b + term) * x / ((a + 2 * term) * (a + 2 * term + 1))
        change = 1.0
        for numerator in (even, odd):
            lower = 1.0 / (1.0 + numerator * lower)
            upper = 1.0 + numerator / upper
            change *= upper * lower
        fraction *= change
        if abs(1.0 - change) < 1e-15:
            break
    return fraction
