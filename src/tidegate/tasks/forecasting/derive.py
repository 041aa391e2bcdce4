"""What the user left open, derived from the data, and said."""

from typing import Any

import numpy as np
import torch

from tidegate.config import AttentionCNNLSTMSettings, Config
from tidegate.data.sequences import Sequences
from tidegate.data.split import Parts
from tidegate.errors import SettingsError
from tidegate.nn.attention_cnn import first_stride
from tidegate.tasks.computing import resolve_device
from tidegate.tasks.forecasting.output import check_names

CYCLE_DAYS = {"time_of_day": 1, "weekday": 7, "day_of_year": 365, "month": 365}
LONG_LOOKBACK = 720
"""Steps that an LSTM over 30 subsequences still learns from well, and a ridge regression in a second."""
SUBSEQUENCES = 30
"""About so many subsequences make a lookback: an LSTM over 30 steps is fast, and from the oldest one to the output the way is short."""


def derive(config: Config, sequences: Sequences, parts: Parts) -> tuple[Config, list[str]]:
    """The config with nothing open, and a line for each thing that was derived. Raises SettingsError for settings that do not fit."""
    notes: list[str] = []
    data = config.data
    check_names(data, sequences.targets, config.training.quantiles)
    data_changes: dict[str, Any] = {}
    if data.lookback is None:
        data_changes["lookback"] = derive_lookback(data.horizon, data.season or (), sequences, parts)
        notes.append(f"lookback: {data_changes['lookback']} steps")
    else:
        _check_lookback(data.lookback, sequences, parts)
    lookback = data.lookback or data_changes["lookback"]
    if data.calendar is None or isinstance(data.calendar, bool):
        cycles = () if data.calendar is False else derive_calendar(sequences, parts)
        data_changes["calendar"] = cycles
        if cycles:
            notes.append(f"calendar: {', '.join(cycle.replace('_', ' ') for cycle in cycles)} as known inputs")
    else:
        _check_cycles(data.calendar, sequences)
    if data.scaling is None:
        data_changes["scaling"] = "change" if len(sequences) > 1 else "standard"
        notes.append(f"scaling: {data_changes['scaling']}")
    network = config.network
    attends = isinstance(network, AttentionCNNLSTMSettings) and network.attention != "none"
    if config.training.compare_without_attention and not attends:
        raise SettingsError(
            "training.compare_without_attention needs a network with attention: give --network attention-cnn-lstm, and an "
            "attention of softmax or sigmoid."
        )
    if isinstance(network, AttentionCNNLSTMSettings):
        network = derive_subsequences(network, lookback, data.season or ())
        notes.append(f"subsequences: {network.subsequence} steps with an overlap of {network.overlap}")
    training_changes: dict[str, Any] = {"threads": config.training.threads or torch.get_num_threads()}
    if config.training.batch_size is None:
        rows = len(sequences.targets) if network.channels == "shared" else 1
        training_changes["batch_size"] = max(16, 256 // rows)
    training_changes["device"] = resolve_device(config.training.device)
    changed = {
        "data": data.model_copy(update=data_changes),
        "network": network,
        "training": config.training.model_copy(update=training_changes),
    }
    return config.model_copy(update=changed), notes


def derive_lookback(horizon: int, seasons: tuple[int, ...], sequences: Sequences, parts: Parts) -> int:
    """Four of the longest season, but where that is more than LONG_LOOKBACK as many whole ones as fit in it, at least two; at least three
    horizons; at most half of what the median series has to train on."""
    longest = max(seasons, default=1)
    wanted = max(3 * horizon, longest * min(4, max(2, LONG_LOOKBACK // longest)), 8)
    trained = parts.train - sequences.offsets[:-1]
    room = int(np.median(trained[trained > 0])) // 2 if (trained > 0).any() else wanted
    return max(2, min(wanted, room))


def _check_lookback(lookback: int, sequences: Sequences, parts: Parts) -> None:
    """Raise SettingsError for a lookback that no training part has the length of: all windows would be padding in part."""
    longest = int((parts.train - sequences.offsets[:-1]).max())
    if lookback > longest:
        whose = "the longest training part has" if len(sequences) > 1 else "the training part has"
        raise SettingsError(
            f"lookback {lookback}: {whose} {longest} steps, and no window can be longer. "
            f"Give a --lookback of at most {longest}, or leave it out, and it is derived."
        )


def derive_calendar(sequences: Sequences, parts: Parts) -> tuple[str, ...]:
    """The cycles of the time column that the training part covers at least twice."""
    frequency = sequences.frequency
    cycles = list(dict.fromkeys(name.rsplit("_", 1)[0] for name in frequency.feature_names))
    if not cycles:
        return ()
    trained = parts.train - sequences.offsets[:-1]
    longest = int(np.argmax(trained))
    ends = frequency.times(sequences.starts[longest] + np.array([0, int(trained[longest])]))
    days = (ends[1] - ends[0]).total_seconds() / 86_400
    return tuple(cycle for cycle in cycles if days >= 2 * CYCLE_DAYS[cycle])


def derive_subsequences(settings: AttentionCNNLSTMSettings, lookback: int, seasons: tuple[int, ...]) -> AttentionCNNLSTMSettings:
    """Subsequences that overlap by half, whose step divides the shortest season or is a multiple of it where one is near."""
    length, overlap = settings.subsequence, settings.overlap
    if length is None:
        step = overlap or _step_near(lookback / SUBSEQUENCES, seasons)
        length = min(step + (step if overlap is None else overlap), lookback)
    if overlap is None:
        overlap = length // 2
    if length > lookback:
        raise SettingsError(
            f"subsequence {length} is longer than the lookback of {lookback} steps. Give a shorter one, or a longer --lookback."
        )
    if overlap >= length:
        raise SettingsError(f"overlap {overlap} must be shorter than the subsequence of {length} steps.")
    kernel = settings.kernel or max(1, length // 4)
    if kernel > length:
        raise SettingsError(f"kernel {kernel} is longer than the subsequence of {length} steps.")
    first_stride(length, length - overlap, kernel)
    return settings.model_copy(update={"subsequence": length, "overlap": overlap, "kernel": kernel})


def _step_near(wanted: float, seasons: tuple[int, ...]) -> int:
    season = min(seasons, default=0)
    fits = [step for step in range(2, max(3, round(2 * wanted) + 1)) if season and (season % step == 0 or step % season == 0)]
    return min(fits, key=lambda step: abs(np.log(step / wanted))) if fits and wanted >= 1 else max(2, round(wanted))


def _check_cycles(cycles: tuple[str, ...], sequences: Sequences) -> None:
    known = {name.rsplit("_", 1)[0] for name in sequences.frequency.feature_names}
    for cycle in cycles:
        if cycle not in known:
            raise SettingsError(f"calendar: this time column has no cycle '{cycle}'. It has: {', '.join(sorted(known)) or 'none'}.")
