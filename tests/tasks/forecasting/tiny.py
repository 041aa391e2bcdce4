"""Small data and small settings, so that a training takes a fraction of a second."""

import datetime
from typing import Any

import numpy as np
import polars as pl

NETWORK = {"hidden": 8}
TRAINING = {"max_epochs": 2, "windows_per_epoch": 200, "validation_windows": 100, "batch_size": 32, "threads": 1}
HOUR = datetime.datetime(2024, 1, 1)


def config(**changes: Any) -> dict[str, Any]:
    """Settings for an estimator: sections as keywords, over the small ones."""
    base = {"network": dict(NETWORK), "training": dict(TRAINING), "data": {"season": [24]}}
    return {section: {**base[section], **changes.get(section, {})} for section in base}


def wave(steps: int, seed: int = 0, noise: float = 0.3) -> np.ndarray:
    """A daily wave with noise."""
    random = np.random.default_rng(seed)
    return 10 + 3 * np.sin(np.arange(steps) * 2 * np.pi / 24) + noise * random.normal(size=steps)


def hours(steps: int, start: datetime.datetime = HOUR) -> list[datetime.datetime]:
    return [start + datetime.timedelta(hours=step) for step in range(steps)]


def one_series(steps: int = 300, seed: int = 0) -> pl.DataFrame:
    """Columns ds, y."""
    return pl.DataFrame({"ds": hours(steps), "y": wave(steps, seed)})


def panel(lengths: tuple[int, ...] = (200, 150, 260), seed: int = 0) -> pl.DataFrame:
    """Columns unique_id, ds, y; series a, b, c and so on, of different size."""
    frames = [
        one_series(length, seed + number).with_columns(pl.lit("abcdefgh"[number]).alias("unique_id"), pl.col("y") * 10.0**number)
        for number, length in enumerate(lengths)
    ]
    return pl.concat(frames).select("unique_id", "ds", "y")


def covariates(steps: int = 320, horizon: int = 6, seed: int = 0) -> pl.DataFrame:
    """Columns ds, y, temp and weather (past; weather is text), promo and day (future; day is text).

    In the last `horizon` rows only what is known ahead is there.
    """
    random = np.random.default_rng(seed)
    promo = (random.random(steps) < 0.2).astype(float)
    y = wave(steps, seed) + 5 * promo
    frame = pl.DataFrame(
        {
            "ds": hours(steps),
            "y": y,
            "temp": random.normal(size=steps),
            "weather": random.choice(["sun", "rain", "fog"], steps),
            "promo": promo,
            "day": [("work", "rest")[time.weekday() >= 5] for time in hours(steps)],
        }
    )
    known = pl.int_range(pl.len()) < steps - horizon
    return frame.with_columns(pl.when(known).then(pl.col(name)).alias(name) for name in ("y", "temp", "weather"))
