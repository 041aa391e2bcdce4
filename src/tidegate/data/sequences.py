"""The one container for all three tasks: many sequences of different length, one after the other in one array."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tidegate.data.calendar import Frequency

Role = Literal["target", "past", "future"]


@dataclass(frozen=True)
class Channel:
    """One column of `Sequences.values`. A category is kept as its number in `categories` (NaN: missing or never seen)."""

    name: str
    role: Role
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Sequences:
    """Sequences on a regular grid of time.

    values      float32 [R, C], R the sum of all lengths, one column a channel; NaN is missing
    offsets     int64 [n+1]: sequence i has rows offsets[i] to offsets[i+1]
    ids         n names
    channels    C channels, targets first, then past covariates, then known-future covariates
    frequency   what a step is
    starts      int64 [n]: the period number (see Frequency) of each first row
    static      float32 [n, K], one column a `static_channels` entry; NaN is missing
    ends        int64 [n]: rows after ends[i] (up to offsets[i+1]) hold known-future covariates only; the forecast
                origin at the end of the data is ends[i], and equals offsets[i+1] where nothing is known of the future
    """

    values: np.ndarray
    offsets: np.ndarray
    ids: tuple[str, ...]
    channels: tuple[Channel, ...]
    frequency: Frequency
    starts: np.ndarray
    static: np.ndarray
    static_channels: tuple[Channel, ...]
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each sequence up to its end, int64 [n]."""
        return self.ends - self.offsets[:-1]

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the target channels."""
        return tuple(channel.name for channel in self.channels if channel.role == "target")

    def columns(self, role: Role) -> list[int]:
        """Column numbers of the channels with a role."""
        return [number for number, channel in enumerate(self.channels) if channel.role == role]

    def with_values(self, values: np.ndarray) -> "Sequences":
        """The same sequences with other values of the same shape."""
        return replace(self, values=values)
