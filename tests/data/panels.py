"""Small Sequences for tests."""

from collections.abc import Sequence

import numpy as np

from tidegate.data.calendar import Frequency
from tidegate.data.frequency import frequency_of, parse_frequency
from tidegate.data.sequences import Channel, Role, Sequences


def panel(
    series: Sequence[np.ndarray],
    roles: Sequence[Role] = ("target",),
    frequency: Frequency | None = None,
    starts: Sequence[int] | None = None,
    static: np.ndarray | None = None,
    categories: dict[int, tuple[str, ...]] | None = None,
) -> Sequences:
    """Sequences of arrays [T, C]; a channel a role, named by its number."""
    values = np.concatenate([np.asarray(one, np.float32).reshape(len(one), len(roles)) for one in series])
    offsets = np.cumsum([0, *map(len, series)]).astype(np.int64)
    channels = tuple(Channel(f"c{number}", role, (categories or {}).get(number)) for number, role in enumerate(roles))
    static = np.zeros((len(series), 0), np.float32) if static is None else static.astype(np.float32)
    static_channels = tuple(Channel(f"s{number}", "past") for number in range(static.shape[1]))
    begin = np.zeros(len(series), np.int64) if starts is None else np.array(starts, np.int64)
    ids = tuple(f"id{number}" for number in range(len(series)))
    return Sequences(
        values, offsets, ids, channels, frequency or Frequency("integer", "step"), begin, static, static_channels, offsets[1:].copy()
    )


def frequency(code: str, times: Sequence[object]) -> Frequency:
    """The frequency of a code such as 'h', its grid taken from times."""
    import polars as pl

    step = parse_frequency(code)
    return frequency_of(step, pl.Series(times))
