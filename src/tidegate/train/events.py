"""What the training loop tells whoever listens: the progress bar, the log file, the tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Said:
    """A fact for people: what was derived, recognised, left out."""

    text: str


@dataclass(frozen=True)
class Started:
    """Training begins or goes on; `epoch` and `step` count what is already done."""

    epoch: int
    step: int
    max_epochs: int
    steps_per_epoch: int
    parameters: int
    windows: int
    device: str
    threads: int


@dataclass(frozen=True)
class Stepped:
    """One update of the weights. `seconds` is the training time so far, `loss` this batch's."""

    epoch: int
    step: int
    loss: float
    gradient_norm: float
    learning_rate: float
    windows_per_second: float
    seconds: float


@dataclass(frozen=True)
class EpochEnded:
    """One pass over the epoch's windows and over the validation windows; without these the validation losses are NaN."""

    epoch: int
    step: int
    train_loss: float
    validation_loss: float
    learning_rate: float
    best: bool
    best_loss: float
    seconds: float


@dataclass(frozen=True)
class Saved:
    """A checkpoint is on disk; a kill from here on loses what comes after."""

    epoch: int
    step: int


@dataclass(frozen=True)
class Stopped:
    """Training has ended; the weights of `best_epoch` are restored: the last one, and `best_loss` NaN, where nothing was validated."""

    reason: str
    epoch: int
    best_epoch: int
    best_loss: float
    seconds: float


@dataclass(frozen=True)
class TrialStarted:
    """A trial of a search for settings begins; `done` of `trials` have ended before it, those of other processes included."""

    number: int
    done: int
    trials: int


@dataclass(frozen=True)
class TrialEnded:
    """A trial has ended: complete, pruned or failed. `value` is its validation loss, `why` says what ended it early."""

    number: int
    state: str
    value: float | None
    best: bool
    best_value: float | None
    params: Mapping[str, Any]
    why: str
    done: int
    trials: int
    seconds: float


Event = Said | Started | Stepped | EpochEnded | Saved | Stopped | TrialStarted | TrialEnded
