"""Scaling of channels by statistics of the training part; invertible."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tidegate.data.sequences import Sequences

Scope = Literal["series", "global"]
Scaling = Literal["standard", "min-max", "robust", "mean-absolute", "change", "none"]
BLOCK_ROWS = 500_000
LAGS = 4
"""How many numbers of steps, from 1 to the reach, changes are measured over."""


@dataclass(frozen=True)
class Scaler:
    """scaled = (value - shift) / scale. shift, scale float32 [n, C], or [1, C] where all series share them; reach: see `fit_scaler`."""

    shift: np.ndarray
    scale: np.ndarray
    kind: Scaling = "none"
    scope: Scope = "global"
    reach: int = 1

    @staticmethod
    def identity(channels: int) -> "Scaler":
        """Leaves everything as it is."""
        return Scaler(np.zeros((1, channels), np.float32), np.ones((1, channels), np.float32))

    def apply(self, values: np.ndarray, series: np.ndarray, columns: list[int]) -> np.ndarray:
        """values [B, T, K] of the given series [B] and columns (K of them), scaled."""
        shift, scale = self._of(series, columns)
        return (values - shift) / scale

    def invert(self, values: np.ndarray, series: np.ndarray, columns: list[int]) -> np.ndarray:
        """values [B, T, K] or [B, T, K, Q] back in the units of the table."""
        shift, scale = self._of(series, columns)
        if values.ndim == 4:
            shift, scale = shift[..., None], scale[..., None]
        return values * scale + shift

    def _of(self, series: np.ndarray, columns: list[int]) -> tuple[np.ndarray, np.ndarray]:
        rows = np.zeros_like(series) if self.scope == "global" else series
        return self.shift[rows][:, None, columns], self.scale[rows][:, None, columns]

    def to_json(self) -> dict[str, Any]:
        """Plain lists; float32 survives the way there and back."""
        return {"kind": self.kind, "scope": self.scope, "reach": self.reach, "shift": self.shift.tolist(), "scale": self.scale.tolist()}

    @staticmethod
    def from_json(tree: dict[str, Any]) -> "Scaler":
        """The inverse of to_json."""
        shift, scale = (np.array(tree[name], np.float32) for name in ("shift", "scale"))
        return Scaler(shift, scale, tree["kind"], tree["scope"], tree["reach"])


def fit_scaler(sequences: Sequences, ends: np.ndarray, kind: Scaling, scope: Scope, reach: int = 1) -> Scaler:
    """Statistics of each channel over the rows offsets[i] to ends[i] of each series.

    standard: mean and deviation; min-max: to 0..1; robust: median and 0.7413 times the interquartile range (the deviation of a
    normal distribution); mean-absolute: divided by the mean of |x|; change: mean, and the mean absolute change over 1 to `reach` steps,
    which is what repeating the last value errs by (targets only; covariates as standard). Categories stay as they are. A channel that is
    constant or missing in a series is only shifted.
    """
    count, channels = len(sequences), sequences.values.shape[1]
    shift, scale = np.zeros((count, channels)), np.ones((count, channels))
    numbers = [column for column, channel in enumerate(sequences.channels) if channel.categories is None]
    if kind != "none" and numbers:
        if kind in ("standard", "mean-absolute", "change"):
            shift[:, numbers], scale[:, numbers] = _moments(sequences, ends, numbers, kind, scope)
            targets = [column for column in sequences.columns("target") if column in numbers]
            if kind == "change" and targets:
                scale[:, targets] = _changes(sequences, ends, targets, scope, reach)
        else:
            shift[:, numbers], scale[:, numbers] = _order_statistics(sequences, ends, numbers, kind, scope)
    shift = np.nan_to_num(shift)
    scale = np.where(np.isfinite(scale) & (scale > _least_scale(shift)), scale, 1.0)
    if scope == "global":
        shift, scale = shift[:1], scale[:1]
    return Scaler(shift.astype(np.float32), scale.astype(np.float32), kind, scope, reach)


def _least_scale(shift: np.ndarray) -> np.ndarray:
    """A scale up to this is rounding: what float32 tells apart near the shift; whatever the unit, not below its smallest normal number."""
    kind = np.finfo(np.float32)
    return np.maximum(kind.eps * np.abs(shift), kind.tiny)


def fit_static_scaler(sequences: Sequences) -> Scaler:
    """Standard scaling of the static numbers over the series; categories stay as they are."""
    scaler = Scaler.identity(sequences.static.shape[1])
    for column, channel in enumerate(sequences.static_channels):
        values = sequences.static[:, column].astype(np.float64)
        values = values[np.isfinite(values)]
        if channel.categories is None and len(values):
            scaler.shift[0, column] = values.mean()
            scaler.scale[0, column] = values.std() if values.std() > 0 else 1.0
    return scaler


def _moments(sequences: Sequences, ends: np.ndarray, columns: list[int], kind: str, scope: str) -> tuple[np.ndarray, np.ndarray]:
    """Two passes in float64 over blocks of rows: sums, then sums of squares about the mean."""
    trained = int((ends - sequences.offsets[:-1]).sum())

    def total(power: int, about: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        sums, counts = np.zeros((len(sequences), len(columns))), np.zeros((len(sequences), len(columns)))
        for first in range(0, trained, BLOCK_ROWS):
            rows, which = _rows(sequences, ends, first, min(first + BLOCK_ROWS, trained))
            block = sequences.values[rows][:, columns].astype(np.float64)
            if about is not None:
                block -= about[which]
            block = np.abs(block) ** power if about is not None or (power == 1 and kind == "mean-absolute") else block
            seen = np.isfinite(block)
            filled = np.where(seen, block, 0.0)
            for column in range(len(columns)):
                sums[:, column] += np.bincount(which, filled[:, column], len(sequences))
                counts[:, column] += np.bincount(which, seen[:, column], len(sequences))
        if scope == "global":
            sums[:], counts[:] = sums.sum(0), counts.sum(0)
        return sums, counts

    sums, counts = total(1, None)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sums / counts
        if kind == "mean-absolute":
            return np.zeros_like(mean), mean
        return mean, np.sqrt(total(2, mean)[0] / counts)


def _changes(sequences: Sequences, ends: np.ndarray, columns: list[int], scope: str, reach: int) -> np.ndarray:
    """Mean |x_(t+k) - x_t| over a few k from 1 to `reach` [n, C], both within the training part."""
    trained = int((ends - sequences.offsets[:-1]).sum())
    sums, counts = np.zeros((len(sequences), len(columns))), np.zeros((len(sequences), len(columns)))
    for first in range(0, trained, BLOCK_ROWS):
        rows, which = _rows(sequences, ends, first, min(first + BLOCK_ROWS, trained))
        for lag in np.unique(np.linspace(1, reach, LAGS).round().astype(np.int64)):
            both = rows + lag < ends[which]
            before, series = rows[both], which[both]
            for place, column in enumerate(columns):
                change = np.abs(sequences.values[before + lag, column].astype(np.float64) - sequences.values[before, column])
                seen = np.isfinite(change)
                sums[:, place] += np.bincount(series[seen], change[seen], len(sequences))
                counts[:, place] += np.bincount(series[seen], minlength=len(sequences))
    if scope == "global":
        sums[:], counts[:] = sums.sum(0), counts.sum(0)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _order_statistics(sequences: Sequences, ends: np.ndarray, columns: list[int], kind: str, scope: str) -> tuple[np.ndarray, np.ndarray]:
    levels = (0.0, 0.0, 1.0) if kind == "min-max" else (0.5, 0.25, 0.75)
    factor = 1.0 if kind == "min-max" else 0.7413
    groups: list[slice | np.ndarray] = [slice(first, last) for first, last in zip(sequences.offsets, ends, strict=False)]
    if scope == "global":
        groups = [_rows(sequences, ends, 0, int((ends - sequences.offsets[:-1]).sum()))[0]]
    shift, scale = np.full((len(sequences), len(columns)), np.nan), np.full((len(sequences), len(columns)), np.nan)
    for number, rows in enumerate(groups):
        for place, column in enumerate(columns):
            values = sequences.values[rows, column]
            values = values[np.isfinite(values)]
            if len(values):
                centre, low, high = np.quantile(values.astype(np.float64), levels)
                shift[number, place], scale[number, place] = centre, factor * (high - low)
    return shift, scale


def _rows(sequences: Sequences, ends: np.ndarray, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Flat numbers of the training rows first to last, counted through all series, and the series of each."""
    after = np.cumsum(ends - sequences.offsets[:-1])
    number = np.arange(first, last)
    which = np.searchsorted(after, number, side="right")
    return number + (ends - after)[which], which
