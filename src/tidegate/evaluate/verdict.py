"""The verdict: which rivals a model beats, by how much, on what data, and whether that is more than noise, in words."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from tidegate.evaluate.forecast import Backtest
from tidegate.evaluate.significance import diebold_mariano, fixed_smoothing

Metric = Literal["mae", "rmse", "mase"]
Outcome = Literal["beats", "ties", "loses"]

SIGNIFICANCE = 0.05
SMALLEST_PERCENT = 0.5
"""A difference under this many per cent counts as none, however certain: no one would choose by it."""
_FEWEST = 8
"""With a sample smaller than this there is no test: where losses depend on each other, 5 origins claim too much."""
_BLOCK_CELLS = 1 << 18


@dataclass(frozen=True)
class Comparison:
    """A model beside one rival, on the cells where both have a forecast.

    model, baseline     the metric of each
    difference_percent  100 (1 - model / baseline): positive is better
    statistic, p        of the paired test; NaN where there is none. Negative statistic: the model is better
    sample, num         what the test takes as its sample, and how many of them
    """

    rival: str
    metric: Metric
    outcome: Outcome
    model: float
    baseline: float
    difference_percent: float
    statistic: float
    p: float
    sample: Literal["origins", "series"]
    num: int


@dataclass(frozen=True)
class Judgement:
    """The words, and the rows behind them, each with its outcome; of any task."""

    text: str
    rows: tuple[Any, ...]

    @property
    def beats(self) -> bool:
        """Whether every rival is beaten by more than noise."""
        return bool(self.rows) and all(row.outcome == "beats" for row in self.rows)

    @property
    def loses(self) -> bool:
        """Whether any rival is better by more than noise."""
        return any(row.outcome == "loses" for row in self.rows)

    def table(self) -> list[dict[str, str | float | int | None]]:
        """The rows as plain values for JSON: None for what is not a finite number."""
        return [{key: _plain(value) for key, value in asdict(row).items()} for row in self.rows]


@dataclass(frozen=True)
class Verdict(Judgement):
    """That of a forecaster."""

    rows: tuple[Comparison, ...]


def verdict(model: Backtest, baselines: Mapping[str, Backtest], metric: Metric = "mae") -> Verdict:
    """Compare a model with each rival on the same windows. mae and mase compare absolute errors, rmse squared ones.

    The sample is origins, and the loss of one the mean over its lead times, targets and series: series that share a clock move
    together, so many of them at few origins are few observations. Only where they share none, and have fewer than 8 origins
    each, are the series the sample, which takes them as independent. A difference is more than noise if two tests say so at 5 %:
    Diebold-Mariano with Harvey's correction, which allows for forecasts that overlap, and for origins the same statistic with
    a variance that allows for any further dependence between them (the larger p value is given). Differences under 0.5 % count
    as none, and a sample of fewer than 8 tells nothing.
    """
    sample, codes = _sample(model)
    rows = tuple(_compare(model, rival, name, metric, sample, codes) for name, rival in baselines.items())
    return Verdict(_words(rows, model), rows)


def _sample(model: Backtest) -> tuple[Literal["origins", "series"], np.ndarray]:
    """What is sampled, and the number of each window's sample member, [W]; origins in order of time."""
    if not model.shared_clock:
        series, members, counts = np.unique(model.series, return_inverse=True, return_counts=True)
        if counts.max(initial=0) < _FEWEST <= len(series):
            return "series", members.reshape(-1)
    return "origins", np.unique(model.origin, return_inverse=True)[1].reshape(-1)


def _compare(
    model: Backtest, rival: Backtest, name: str, metric: Metric, sample: Literal["origins", "series"], codes: np.ndarray
) -> Comparison:
    own, other, count = _losses(model, rival, metric)
    score, reference = _overall(own, count, metric), _overall(other, count, metric)
    difference = _percent(score, reference)
    loss_own, loss_other = _by_member(own, count, codes), _by_member(other, count, codes)
    present = ~np.isnan(loss_own)
    reach = _overlap(model) if sample == "origins" else 1
    statistic, p = _test(loss_own[present], loss_other[present], sample, reach)
    outcome: Outcome = "ties"
    if p < SIGNIFICANCE and abs(difference) >= SMALLEST_PERCENT and (difference > 0) == (statistic < 0):
        outcome = "beats" if difference > 0 else "loses"
    return Comparison(name, metric, outcome, score, reference, difference, statistic, p, sample, int(present.sum()))


def _losses(model: Backtest, rival: Backtest, metric: Metric) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Summed loss of the model and of the rival, and number of cells, by window and target: float64 [W, C] each."""
    windows, steps, targets = model.observed.shape
    own, other, count = np.zeros((windows, targets)), np.zeros((windows, targets)), np.zeros((windows, targets))
    size = max(1, _BLOCK_CELLS // max(1, steps * targets))
    for begin in range(0, windows, size):
        part = slice(begin, begin + size)
        observed = model.observed[part].astype(np.float64)
        errors = np.abs(model.forecast[part] - observed), np.abs(rival.forecast[part] - observed)
        valid = ~(np.isnan(errors[0]) | np.isnan(errors[1]))
        count[part] = valid.sum(axis=1)
        for error, total in zip(errors, (own, other), strict=True):
            total[part] = np.where(valid, error * error if metric == "rmse" else error, 0.0).sum(axis=1)
    if metric == "mase":
        scale = model.mase_scale[model.series]
        known = np.isfinite(scale) & (scale > 0)
        scale = np.where(known, scale, 1.0)
        own, other, count = np.where(known, own / scale, 0.0), np.where(known, other / scale, 0.0), np.where(known, count, 0.0)
    return own, other, count


def _overall(loss: np.ndarray, count: np.ndarray, metric: Metric) -> float:
    """The metric of all windows, averaged over targets as in `metrics`."""
    by_target = _ratio(loss.sum(axis=0), count.sum(axis=0))
    return _mean(np.sqrt(by_target) if metric == "rmse" else by_target)


def _by_member(loss: np.ndarray, count: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Mean loss of each member of the sample, [M]: over its cells for each target, then over targets."""
    shape = (int(codes.max(initial=-1)) + 1, loss.shape[1])
    losses, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(losses, codes, loss)
    np.add.at(counts, codes, count)
    means = _ratio(losses, counts)
    present = ~np.isnan(means)
    return _ratio(np.where(present, means, 0.0).sum(axis=1), present.sum(axis=1, dtype=np.float64))


def _overlap(model: Backtest) -> int:
    """How many origins in a row fall within one horizon: 1 where forecasts do not overlap."""
    origins = np.unique(model.origin)
    within = np.searchsorted(origins, origins + model.observed.shape[1], side="left") - np.arange(len(origins))
    return int(within.max(initial=1))


def _test(own: np.ndarray, other: np.ndarray, sample: str, reach: int) -> tuple[float, float]:
    """Statistic and p of the paired test; of the two tests for origins the one that is less sure."""
    if len(own) < _FEWEST:
        return math.nan, math.nan
    results = [diebold_mariano(own, other, reach)]
    if sample == "origins":
        results.append(fixed_smoothing(own, other))
    return max(results, key=lambda result: result[1])


def _percent(score: float, reference: float) -> float:
    if math.isnan(score) or math.isnan(reference):
        return math.nan
    if reference == 0.0:
        return 0.0 if score == 0.0 else -math.inf
    return 100.0 * (1.0 - score / reference)


def _words(rows: tuple[Comparison, ...], model: Backtest) -> str:
    """One to three sentences: what it loses to, what it is no better than, what it beats."""
    if not rows:
        return "There is no rival to compare with."
    ordered = sorted(rows, key=lambda row: (math.isnan(row.difference_percent), row.difference_percent))
    groups = {outcome: [row for row in ordered if row.outcome == outcome] for outcome in ("loses", "ties", "beats")}
    sentences = []
    if groups["loses"]:
        sentences.append(f"LOSES to {_listed(groups['loses'])}{{where}}; do not use this model in {_its(groups['loses'])} place.")
    if groups["ties"]:
        sentences.append(_tie_words(groups["ties"]))
    if groups["beats"]:
        each = "each difference is" if len(groups["beats"]) > 1 else "the difference is"
        sentences.append(f"Beats {_listed(groups['beats'])}{{where}}; {each} more than noise (Diebold-Mariano, p < {SIGNIFICANCE:g}).")
    taken = ", taking the series as independent" if rows[0].sample == "series" else ""
    where = f" in {rows[0].metric.upper()} over {_extent(model)}{taken}"
    first = sentences[0].replace("{where}", where)
    return " ".join([first, *(sentence.replace("{where}", "") for sentence in sentences[1:])])


def _tie_words(rows: list[Comparison]) -> str:
    """'No better than mean: 0.4 % better, which is within noise.'"""
    if len(rows) == 1:
        return f"No better than {rows[0].rival}{{where}}: {_signed(rows[0])}, {_why(rows[0])}."
    names = _joined([f"{row.rival} ({_signed(row)})" for row in rows])
    reasons = dict.fromkeys(_why(row).removeprefix("which is ").removeprefix("but there are ") for row in rows)
    return f"No better than {names}{{where}}: {' or '.join(reasons)}."


def _why(row: Comparison) -> str:
    """Why a difference counts as none."""
    if math.isnan(row.p):
        return f"but there are too few {row.sample} ({row.num}, of at least {_FEWEST}) to tell a difference from noise"
    if row.p < SIGNIFICANCE and abs(row.difference_percent) < SMALLEST_PERCENT:
        return f"which is under {SMALLEST_PERCENT:g} % and too little to matter"
    return "which is within noise"


def _listed(rows: list[Comparison]) -> str:
    """'ridge by 12.3 % and drift by 20.1 %'."""
    return _joined([f"{row.rival} by {_size(row)} %" for row in rows])


def _signed(row: Comparison) -> str:
    if math.isnan(row.difference_percent):
        return "nothing to compare"
    return f"{_size(row)} % {'better' if row.difference_percent > 0 else 'worse'}"


def _size(row: Comparison) -> str:
    size = abs(row.difference_percent)
    return f"{size:.1f}" if size < 1000 else "more than 1000"


def _its(rows: list[Comparison]) -> str:
    return "its" if len(rows) == 1 else "their"


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _extent(model: Backtest) -> str:
    """'80 origins of 1 series'."""
    origins = len(np.unique(model.origin) if model.shared_clock else model.origin)
    series = len(np.unique(model.series))
    return f"{origins} origin{'' if origins == 1 else 's'} of {series} series"


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def _mean(values: np.ndarray) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if len(present) else math.nan


def _plain(value: str | float | int) -> str | float | int | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
