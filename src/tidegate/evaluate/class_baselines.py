"""Naive rivals of a classifier: what any network has to beat.

Each is fitted on sequences of different length with missing values, and is plain arrays after that: `to_tensors` names them and
`from_tensors` takes them back, for the run folder. Letters: R rows, C channels, n sequences, K classes, F features, L steps.

values float32 [R, C], NaN is missing; offsets int64 [n+1], sequence i has the rows offsets[i] to offsets[i+1]; labels int64 [n]
from 0 to K - 1. `predict` gives probabilities float64 [n, K].
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Protocol, Self

import numpy as np

from tidegate.evaluate.classify import softmax

PENALTY = 1.0
"""Of the squared weights beside the summed log loss, halved: scikit-learn's default for standardised features."""
MAX_STEPS = 4096
"""Longest series that neighbours are compared over; the longest of the UCR archive has 2844 steps."""
MAX_LEFT_OUT = 2000
"""Training sequences whose own nearest neighbour is looked up to see how far to trust one; the share is then known to 1 %."""
_BLOCK_CELLS = 1 << 22
"""Distances computed together: 32 MiB in float64."""
_MAX_ITERATIONS = 1000
_TOLERANCE = 1e-5
"""Of the gradient of the mean loss: the loss is then within 1e-6 of its least on the archive's sets."""
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
_NOISE = 1e-6
"""A feature that varies by less than this share of its channel's size is constant: z-normalised series have means of 1e-9."""


class ClassBaseline(Protocol):
    """What the rivals have in common."""

    @classmethod
    def fit(cls, values: np.ndarray, offsets: np.ndarray, labels: np.ndarray, num_classes: int) -> Self: ...

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Self: ...

    def to_tensors(self) -> dict[str, np.ndarray]: ...

    def predict(self, values: np.ndarray, offsets: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class _Arrays:
    """A fitted rival whose fields are all arrays."""

    def to_tensors(self) -> dict[str, np.ndarray]:
        """The arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Self:
        """The rival that `to_tensors` was called on. Raises KeyError where an array is absent."""
        return cls(**{field.name: tensors[field.name] for field in fields(cls)})


@dataclass(frozen=True, eq=False)
class Majority(_Arrays):
    """How often each class occurs in the training part, `frequencies` float64 [K], whatever the sequence."""

    frequencies: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray, offsets: np.ndarray, labels: np.ndarray, num_classes: int) -> Self:
        """Count the labels. Raises ValueError for labels that do not fit."""
        _check(values, offsets, labels, num_classes)
        return cls(np.bincount(labels, minlength=num_classes) / len(labels))

    def predict(self, values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """The frequencies, once for each sequence."""
        return np.tile(self.frequencies, (len(offsets) - 1, 1))


@dataclass(frozen=True, eq=False)
class SummaryLogistic(_Arrays):
    """Multinomial logistic regression on what `summaries` says of each sequence, standardised; p = softmax(x W + b).

    center, gain    float64 [F]: mean of each feature in the training part, and one over its deviation (0 where it does not vary)
    weights, bias   float64 [F, K] and [K]

    A feature that a sequence does not have (all of a channel missing) counts as the training mean.
    """

    center: np.ndarray
    gain: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray, offsets: np.ndarray, labels: np.ndarray, num_classes: int) -> Self:
        """The least of sum -log p + PENALTY |W|^2 / 2, which is convex. Raises ValueError for labels that do not fit."""
        _check(values, offsets, labels, num_classes)
        features = summaries(values, offsets)
        center, spread = _moments(features)
        varies = spread > _NOISE * _sizes(values[offsets[0] : offsets[-1]])
        gain = np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)
        weights, bias = _fit_logistic(_standardise(features, center, gain), labels, num_classes)
        return cls(center, gain, weights, bias)

    def predict(self, values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Probabilities [n, K]."""
        return softmax(_standardise(summaries(values, offsets), self.center, self.gain) @ self.weights + self.bias)


@dataclass(frozen=True, eq=False)
class NearestNeighbour(_Arrays):
    """The class of the nearest training sequence by Euclid, after all are brought to the training part's median length.

    series          float32 [n, L, C], the training part, standardised
    labels          int64 [n]
    center, scale   float64 [C], mean and deviation of each channel in the training part
    votes           float64 [K, K]: row k holds the probabilities that a neighbour of class k stands for

    A channel is standardised by the training part, so that its unit does not matter, but no series is z-normalised for itself: its
    level and size may be what tells the classes apart. Test errors as given and z-normalised: JapaneseVowels 0.04 and 0.41,
    PowerCons 0.02 and 0.07, DodgerLoopDay 0.41 and 0.46, but BasicMotions 0.43 and 0.28. On sets that the UCR archive gives
    z-normalised, with one channel, its published error ('ED', DataSummary.csv of 2018) comes out.

    A series of another length is interpolated linearly, as are gaps; the ends are held, and a channel without a value is at its
    training mean. The neighbour's class gets the share of training sequences (at most 2000) whose own nearest neighbour is of
    their class, by Laplace's rule of succession, but always the most; the others share the rest evenly.
    """

    series: np.ndarray
    labels: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    votes: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray, offsets: np.ndarray, labels: np.ndarray, num_classes: int) -> Self:
        """Keep the training part, and see how far to trust a neighbour. Raises ValueError for labels that do not fit."""
        _check(values, offsets, labels, num_classes)
        steps = min(max(round(float(np.median(np.diff(offsets)))), 1), MAX_STEPS)
        series = _resample(values, offsets, steps)
        center, spread = _moments(series.reshape(-1, values.shape[1]))
        scale = np.where(spread > _NOISE * np.abs(center), spread, 1.0)
        series = _fit_in(series, center, scale)
        left_out = np.unique(np.linspace(0, len(series) - 1, min(len(series), MAX_LEFT_OUT)).round().astype(np.int64))
        nearest = _nearest(series, series[left_out], left_out) if len(series) > 1 else left_out[:0]
        num_right = int((labels[nearest] == labels[left_out[: len(nearest)]]).sum())
        return cls(series, labels.astype(np.int64), center, scale, _votes((num_right + 1) / (len(nearest) + 2), num_classes))

    def predict(self, values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """Probabilities [n, K]; the neighbour's class has the highest."""
        series = _fit_in(_resample(values, offsets, self.series.shape[1]), self.center, self.scale)
        return self.votes[self.labels[_nearest(self.series, series)]]


CLASS_BASELINES: dict[str, type[ClassBaseline]] = {
    "majority": Majority,
    "summary_logistic": SummaryLogistic,
    "nearest_neighbour": NearestNeighbour,
}
"""The rivals by the names they have in tables."""


def summaries(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Features of each sequence, float64 [n, 10 C + 1]: ten of each channel, then the log of the length; NaN where undefined.

    Mean, standard deviation, minimum, quartiles, maximum, slope of the least-squares line (rise from the first to the last step),
    mean absolute change from one step to the next, and autocorrelation at lag 1 (mean product over neighbours by the variance).
    Missing values are skipped; changes and products go over pairs of neighbours that are both present.
    """
    columns = [_summarise(values[:, channel].astype(np.float64), offsets) for channel in range(values.shape[1])]
    return np.concatenate([*columns, np.log(np.maximum(np.diff(offsets), 1))[:, None]], axis=1)


def _summarise(column: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The ten features of one channel [R], float64 [n, 10]; all sequences at once."""
    lengths = np.diff(offsets)
    series = np.repeat(np.arange(len(lengths)), lengths)
    column = column[offsets[0] : offsets[-1]]
    time = np.arange(len(column)) - np.repeat(offsets[:-1] - offsets[0], lengths)

    def means(cells: np.ndarray, of: np.ndarray) -> np.ndarray:
        """Mean of cells by their series `of`, [n]."""
        return _ratio(np.bincount(of, cells, len(lengths)), np.bincount(of, minlength=len(lengths)))

    present = ~np.isnan(column)
    value, owner = column[present], series[present]
    mean = means(value, owner)
    centered = value - mean[owner]
    variance = means(centered * centered, owner)
    lag = time[present] - means(time[present], owner)[owner]
    slope = _ratio(means(lag * centered, owner), means(lag * lag, owner)) * (lengths - 1)
    paired = np.flatnonzero((np.diff(owner) == 0) & (np.diff(time[present]) == 1))
    change = means(np.abs(value[paired + 1] - value[paired]), owner[paired])
    product = means(centered[paired + 1] * centered[paired], owner[paired])
    tail = [slope, change, _ratio(product, variance)]
    return np.column_stack([mean, np.sqrt(variance), _quantiles(value, owner, len(lengths)), *tail])


def _quantiles(value: np.ndarray, owner: np.ndarray, num: int) -> np.ndarray:
    """Minimum, quartiles and maximum of the values of each owner, [num, 5], linear between ranks; NaN where there is no value."""
    ordered = value[np.lexsort((value, owner))]
    counts = np.bincount(owner, minlength=num)
    some = counts > 0
    place = (counts[some, None] - 1) * np.array(_QUANTILES)
    low = np.floor(place).astype(np.int64)
    first = (np.cumsum(counts) - counts)[some, None]
    below, above = ordered[first + low], ordered[first + np.ceil(place).astype(np.int64)]
    result = np.full((num, len(_QUANTILES)), np.nan)
    result[some] = below + (place - low) * (above - below)
    return result


def _sizes(values: np.ndarray) -> np.ndarray:
    """What each feature's variation is small beside, [F]: the channel's root mean square; 1 for autocorrelations and the length."""
    mean, spread = _moments(values)
    sizes = np.repeat(np.hypot(mean, spread)[:, None], 10, axis=1)
    sizes[:, -1] = 1.0
    return np.append(sizes, 1.0)


def _standardise(features: np.ndarray, center: np.ndarray, gain: np.ndarray) -> np.ndarray:
    standard = (features - center) * gain
    return np.where(np.isnan(standard), 0.0, standard)


def _fit_logistic(features: np.ndarray, labels: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights [F, K] and bias [K] that are the least of sum -log p + PENALTY |W|^2 / 2, by L-BFGS (Liu and Nocedal 1989)."""
    import torch  # a run that only loads or scores the rivals does not need it here

    x, y = torch.from_numpy(features), torch.from_numpy(labels.astype(np.int64))
    weights = torch.zeros(features.shape[1], num_classes, dtype=torch.float64, device="cpu", requires_grad=True)
    bias = torch.zeros(num_classes, dtype=torch.float64, device="cpu", requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights, bias],
        max_iter=_MAX_ITERATIONS,
        tolerance_grad=_TOLERANCE,
        tolerance_change=1e-4 * _TOLERANCE,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        penalty = PENALTY / (2 * len(features)) * weights.square().sum()
        value = torch.nn.functional.cross_entropy(x @ weights + bias, y) + penalty
        value.backward()
        return value

    with torch.enable_grad():
        optimiser.step(loss)
    return weights.detach().numpy(), bias.detach().numpy()


def _resample(values: np.ndarray, offsets: np.ndarray, steps: int) -> np.ndarray:
    """All sequences over as many steps, float32 [n, L, C], the first step on the first and the last on the last.

    Linear between the values that are present, which fills gaps too; beyond them the nearest is held. NaN where a channel of a
    sequence has no value at all.
    """
    result = np.full((len(offsets) - 1, steps, values.shape[1]), np.nan, np.float32)
    missing = np.isnan(values)
    for number, (begin, end) in enumerate(pairwise(offsets)):
        holes = missing[begin:end]
        if end - begin == steps and not holes.any():
            result[number] = values[begin:end]
            continue
        grid = np.linspace(0, max(end - begin - 1, 0), steps)
        for channel in range(values.shape[1]):
            present = np.flatnonzero(~holes[:, channel])
            if len(present):
                result[number, :, channel] = np.interp(grid, present, values[begin + present, channel])
    return result


def _fit_in(series: np.ndarray, center: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Series [n, L, C] standardised in place; channels without a value at the mean."""
    series -= center.astype(np.float32)
    series /= scale.astype(np.float32)
    np.nan_to_num(series, copy=False, nan=0.0)
    return series


def _nearest(series: np.ndarray, asked: np.ndarray, own: np.ndarray | None = None) -> np.ndarray:
    """Number of the series [n, L, C] nearest to each of `asked` [m, L, C], the first of equals; never the one that `own` [m] names.

    |a - b|^2 = |a|^2 - 2 a b + |b|^2, where |a|^2 is the same for all b: one product of matrices for each block.
    """
    known = series.reshape(len(series), -1).astype(np.float64)
    half_squares = np.einsum("nd,nd->n", known, known) / 2.0
    nearest = np.zeros(len(asked), np.int64)
    size = max(1, _BLOCK_CELLS // len(known))
    for begin in range(0, len(asked), size):
        block = asked[begin : begin + size]
        distance = half_squares - block.reshape(len(block), -1).astype(np.float64) @ known.T
        if own is not None:
            distance[np.arange(len(block)), own[begin : begin + size]] = np.inf
        nearest[begin : begin + size] = distance.argmin(axis=1)
    return nearest


def _votes(trust: float, num_classes: int) -> np.ndarray:
    """One-hot rows smoothed so that the class itself has `trust`, [K, K]; at least 1 % of a row is its own, so that it leads."""
    if num_classes == 1:
        return np.ones((1, 1))
    smoothing = min((1.0 - trust) * num_classes / (num_classes - 1), 0.99)
    return (1.0 - smoothing) * np.eye(num_classes) + smoothing / num_classes


def _check(values: np.ndarray, offsets: np.ndarray, labels: np.ndarray, num_classes: int) -> None:
    if values.ndim != 2 or labels.shape != (len(offsets) - 1,):
        raise ValueError(f"values {values.shape}, offsets {offsets.shape} and labels {labels.shape}, expected [R, C], [n+1] and [n]")
    if not len(labels):
        raise ValueError("there is no training sequence, expected at least one")
    if not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(f"the labels go from {labels.min()} to {labels.max()}, expected 0 to {num_classes - 1}")


def _moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation by column without NaN, float64; 0 and 0 where a column has no value."""
    present = ~np.isnan(rows)
    count = np.maximum(present.sum(axis=0), 1)
    mean = np.where(present, rows, 0.0).sum(axis=0, dtype=np.float64) / count
    centered = np.where(present, rows - mean, 0.0)
    return mean, np.sqrt((centered * centered).sum(axis=0) / count)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, NaN where below is 0 or unknown."""
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
