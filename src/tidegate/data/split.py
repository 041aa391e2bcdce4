"""Train, validation and test parts by time, within each series."""

import math
import re
from dataclasses import dataclass

import numpy as np
import polars as pl

from tidegate.data.sequences import Sequences
from tidegate.errors import DataError, SettingsError


@dataclass(frozen=True)
class Parts:
    """Where the parts of each series end, as flat row numbers, int64 [n]. Training is offsets[i] to train[i], validation up to
    validation[i], test up to test[i]. A series too short to be tested has all its rows in training (the three ends are equal);
    one too short for a single training window has an empty training part."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    short: tuple[str, ...]
    """Ids of the series that are too short to be validated and tested on."""
    unusable: tuple[str, ...]
    """Ids of those too short for a training window."""


def split_parts(sequences: Sequences, split: str, horizon: int) -> Parts:
    """Per cents ('70/10/20'; validation and test have at least one horizon) or fractions ('0.7/0.1/0.2'), counts of steps
    ('8640/2880/2880': what comes after is left out), or the two dates at which validation and test begin ('2017-01-01/2017-07-01').

    Raises SettingsError if `split` cannot be read, DataError if every series is too short.
    """
    lengths = sequences.lengths
    numbers = _numbers(split)
    if numbers is None:
        train, validation, test = _by_dates(sequences, split)
    elif any(math.isclose(sum(numbers), whole) for whole in (1.0, 100.0)):
        shares = [number / sum(numbers) for number in numbers]
        train, validation, test = _by_shares(lengths, shares, horizon)
    else:
        train = np.minimum(int(numbers[0]), lengths)
        validation = np.minimum(train + int(numbers[1]), lengths)
        test = np.minimum(validation + int(numbers[2]), lengths)
    fits = (train > horizon) & (validation - train >= horizon) & (test - validation >= horizon)
    if not fits.any():
        raise DataError(_too_short(sequences, split, horizon, (train, validation - train, test - validation)))
    whole = train if numbers is None else lengths
    usable = fits | (whole > horizon)
    only_training = np.where(usable, whole, 0)
    starts = sequences.offsets[:-1]
    names = np.array(sequences.ids, dtype=object)
    ends = (starts + np.where(fits, end, only_training) for end in (train, validation, test))
    return Parts(*ends, short=tuple(names[usable & ~fits]), unusable=tuple(names[~usable]))


def _numbers(split: str) -> list[float] | None:
    parts = split.split("/")
    if len(parts) == 3:
        try:
            numbers = [float(part) for part in parts]
        except ValueError:
            numbers = []
        if len(numbers) == 3 and all(0 < number < math.inf for number in numbers):
            return numbers
    elif len(parts) == 2 and all(re.match(r"\s*\d{4}-\d{2}-\d{2}", part) for part in parts):
        return None
    raise SettingsError(
        f"split '{split}' cannot be read. Give per cents such as 70/10/20, steps such as 8640/2880/2880, "
        "or the dates at which validation and test begin, such as 2017-01-01/2017-07-01."
    )


def _by_shares(lengths: np.ndarray, shares: list[float], horizon: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    train, test = (np.floor(np.round(lengths * share, 6)).astype(np.int64) for share in (shares[0], shares[2]))
    test = np.maximum(test, horizon)
    train = np.minimum(train, lengths - test - horizon)
    return np.maximum(train, 0), np.maximum(lengths - test, 0), lengths


def _by_dates(sequences: Sequences, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    first, second = split.split("/")
    try:
        begins = pl.Series([first.strip(), second.strip()]).str.to_datetime(time_unit="us").to_numpy()
    except pl.exceptions.PolarsError:
        raise SettingsError(f"split '{split}' holds no two dates. Give them as 2017-01-01/2017-07-01.") from None
    if begins[1] <= begins[0]:
        raise SettingsError(f"split '{split}': the test part must begin after the validation part.")
    low = int(sequences.starts.min())
    high = int((sequences.starts + sequences.lengths).max())
    if sequences.frequency.kind == "integer":
        raise SettingsError(f"split '{split}' gives dates, but the time column holds integers. Give per cents or counts of steps.")
    times = sequences.frequency.times(np.arange(low, high))
    times = times.dt.replace_time_zone(None) if isinstance(times.dtype, pl.Datetime) else times
    times = times.cast(pl.Datetime("us")).to_numpy()
    marks = low + np.searchsorted(times, begins)
    train, validation = (np.clip(mark - sequences.starts, 0, sequences.lengths) for mark in marks)
    return train, validation, sequences.lengths


def _too_short(sequences: Sequences, split: str, horizon: int, parts: tuple[np.ndarray, ...]) -> str:
    steps = int(sequences.lengths.max(initial=0))
    name = f"the longest of {len(sequences)} series has" if len(sequences) > 1 else "the series has"
    train, validation, test = (int(part.max(initial=0)) for part in parts)
    return (
        f"Too short a history: {name} {steps} steps; split {split} leaves {train} for training, {validation} for validation and {test} for "
        f"testing, but a horizon of {horizon} needs more than {horizon}, then {horizon} and {horizon}. "
        f"Give a horizon of at most {max(1, (steps - 1) // 3)}, or more history."
    )
