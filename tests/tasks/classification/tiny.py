"""Small labelled sequences and small settings, so that a training takes a fraction of a second."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tidegate.config import build_settings
from tidegate.config_classify import ClassConfig

NETWORK = {"name": "lstm", "hidden": 8, "pooling": "mean"}
TRAINING = {"max_epochs": 3, "members": 1, "batch_size": 8, "learning_rate": 0.02, "threads": 1, "device": "cpu"}
COMMAND = ["--network", "lstm", "--max-epochs", "3", "--device", "cpu"]
COMMAND += [part for key in ("network.hidden=8", "network.pooling=mean", "training.members=1") for part in ("--set", key)]
COMMAND += [part for key in ("training.batch_size=8", "training.learning_rate=0.02", "training.threads=1") for part in ("--set", key)]
"""The same as words of a command line."""


def settings(**changes: Any) -> dict[str, Any]:
    """The tree of small settings: sections as keywords, over the small ones."""
    base: dict[str, Any] = {"network": NETWORK, "training": TRAINING, "data": {}}
    return {section: {**base[section], **changes.get(section, {})} for section in base}


def config(**changes: Any) -> ClassConfig:
    return build_settings(settings(**changes), ClassConfig)


def waves(count: int = 24, seed: int = 0, steps: int = 20, channels: int = 1, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """X [n, T, C] and y [n]: sines with noise, class k with k + 1 cycles in 10 steps; only the first channel tells."""
    random = np.random.default_rng(seed)
    y = np.arange(count) % classes
    phase = random.uniform(0, 2 * np.pi, (count, 1))
    X = random.normal(0, 0.2, (count, steps, channels))
    X[:, :, 0] += np.sin((y[:, None] + 1) * 2 * np.pi * np.arange(steps) / 10 + phase)
    return np.round(X, 4), y


def ragged(count: int = 24, seed: int = 0, channels: int = 1, classes: int = 2, gaps: bool = False) -> tuple[list[np.ndarray], np.ndarray]:
    """The same as arrays of 12 to 20 steps."""
    X, y = waves(count, seed, 20, channels, classes)
    random = np.random.default_rng(seed + 100)
    parts = [values[: random.integers(12, 21)].copy() for values in X]
    for values in parts if gaps else []:
        values[random.integers(1, len(values)), 0] = np.nan
    return parts, y


def names(y: np.ndarray) -> list[str]:
    return [("slow", "fast", "faster", "fastest")[label] for label in y]


def long_table(
    X: Any, labels: Any = None, *, id: str = "id", label: str = "label", ids: list[Any] | None = None, channels: str = "xyz"
) -> pl.DataFrame:
    """A row a step, with a column `time`; without labels no such column."""
    frames = []
    for number, values in enumerate(X):
        columns: dict[str, Any] = {id: [number + 1 if ids is None else ids[number]] * len(values), "time": range(len(values))}
        columns |= {channels[column]: values[:, column] for column in range(values.shape[1])}
        columns |= {} if labels is None else {label: [labels[number]] * len(values)}
        frames.append(pl.DataFrame(columns, strict=False))
    return pl.concat(frames)


def write_ts(path: Path, X: Any, labels: list[str], header: str | None = None) -> Path:
    """A .ts file of the archive; '?' is a missing label."""
    classes = " ".join(sorted(set(labels) - {"?"}))
    lines = [header if header is not None else f"@problemName tiny\n@classLabel true {classes}\n@data"]
    for values, label in zip(X, labels, strict=True):
        dimensions = [",".join("?" if value != value else f"{value:.4f}" for value in column) for column in values.T]
        lines.append(":".join([*dimensions, label]))
    path.write_text("\n".join(lines) + "\n")
    return path


def write_pair(folder: Path, labels: list[str] | None = None) -> tuple[Path, Path]:
    """waves_TRAIN.ts and waves_TEST.ts; `labels` of the twelve test sequences."""
    (X, y), (Z, z) = waves(24, 0), waves(12, 1)
    return write_ts(folder / "waves_TRAIN.ts", X, names(y)), write_ts(folder / "waves_TEST.ts", Z, labels or names(z))
