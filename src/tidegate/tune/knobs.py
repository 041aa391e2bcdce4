"""The settings that a study may turn, as plain data: any task describes its space with these."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna import Trial


@dataclass(frozen=True)
class Real:
    """A number between two ends, both included; `log`: drawn evenly on a logarithmic scale."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Choice:
    """One of a few plain values."""

    values: tuple[Any, ...]


Knob = Real | Choice
Space = Mapping[str, Knob]
"""Knobs by the name of the setting, such as training.learning_rate."""


def draw(trial: Trial, space: Space) -> dict[str, Any]:
    """A value for each knob, as the study's sampler has it."""
    return {name: _draw(trial, name, knob) for name, knob in space.items()}


def _draw(trial: Trial, name: str, knob: Knob) -> Any:
    if isinstance(knob, Choice):
        return trial.suggest_categorical(name, knob.values)
    return trial.suggest_float(name, knob.low, knob.high, log=knob.log)
