"""How training is shown: a bar on a terminal, a line now and then in a log, nothing at all."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from tidegate.train.events import EpochEnded, Event, Said, Saved, Started, Stepped, Stopped, TrialEnded, TrialStarted

Listener = Callable[[Event], None]
LOG_SECONDS = 5.0
"""A log gets a line every so many seconds at most, besides one for each epoch."""


class Watch:
    """What the events add up to: pace, best loss, time left, why training stopped. The limits are the budget's, in seconds and steps;
    `samples` is what training counts: windows, or sequences."""

    def __init__(self, time_limit: float | None = None, max_steps: int | None = None, samples: str = "windows") -> None:
        self._time_limit, self._max_steps, self.samples = time_limit, max_steps, samples
        self.started: Started | None = None
        self.first: Stepped | None = None
        self.step: Stepped | None = None
        self.best: float | None = None
        self.stopped: Stopped | None = None
        self.steps_per_epoch = 0.0
        """The mean so far: epochs may differ."""

    def see(self, event: Event) -> None:
        """Take an event in."""
        match event:
            case Started():
                self.started, self.first, self.step = event, None, None
                self.steps_per_epoch = event.step / event.epoch if event.epoch else float(event.steps_per_epoch)
            case Stepped():
                self.first, self.step = self.first or event, event
            case EpochEnded():
                self.steps_per_epoch = event.step / (event.epoch + 1)
                self.best = None if math.isnan(event.best_loss) else event.best_loss
            case Stopped():
                self.stopped = event

    @property
    def total(self) -> int:
        """Steps of all epochs, or as many as may be done."""
        steps = round(self.started.max_epochs * self.steps_per_epoch) if self.started else 0
        return min(steps, self._max_steps or steps)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the budget is used up, at the pace so far; None before there is one."""
        if not self.first or not self.step or self.step.step == self.first.step:
            return None
        pace = (self.step.seconds - self.first.seconds) / (self.step.step - self.first.step)
        left = max(0, self.total - self.step.step) * pace
        return left if self._time_limit is None else max(0.0, min(left, self._time_limit - self.step.seconds))

    @property
    def loss_text(self) -> str:
        """Loss of this step, best so far, speed."""
        if not self.step:
            return ""
        best = "" if self.best is None else f", best {self.best:.4f}"
        return f"loss {self.step.loss:.4f}{best}, {self.step.windows_per_second:,.0f} {self.samples}/s"

    @property
    def left_text(self) -> str:
        """Time left; early stopping may make it shorter."""
        return "" if self.seconds_left is None else f"at most {duration(self.seconds_left)} left"


class Log:
    """A listener that writes plain lines."""

    def __init__(self, watch: Watch, file: TextIO) -> None:
        self._watch, self._file = watch, file
        self._last = time.monotonic()

    def __call__(self, event: Event) -> None:
        self._watch.see(event)
        if isinstance(event, Stepped):
            if time.monotonic() - self._last < LOG_SECONDS or not self._watch.started:
                return
            parts = (
                f"epoch {event.epoch + 1}/{self._watch.started.max_epochs}, step {event.step}",
                self._watch.loss_text,
                self._watch.left_text,
            )
            self._write(", ".join(part for part in parts if part))
        elif line := describe(event, self._watch):
            self._write(line)

    def _write(self, line: str) -> None:
        self._last = time.monotonic()
        self._file.write(f"{line}\n")
        self._file.flush()


class Bar:
    """A listener that keeps a bar at the foot of a terminal, with the lines of the epochs above it."""

    def __init__(self, watch: Watch, progress: Progress) -> None:
        self._watch, self._progress = watch, progress
        self._task = None
        self._trial = ""

    def __call__(self, event: Event) -> None:
        self._watch.see(event)
        if isinstance(event, Started):
            self._begin(event)
        if isinstance(event, TrialStarted):
            self._begin_trial(event)
        if isinstance(event, Stepped) and self._task is not None and self._trial:
            words = f"{self._trial}, epoch {event.epoch + 1}"
            self._progress.update(self._task, description=words, loss=self._watch.loss_text)
        elif isinstance(event, Stepped) and self._task is not None and self._watch.started:
            words = f"epoch {event.epoch + 1}/{self._watch.started.max_epochs}"
            self._progress.update(
                self._task, completed=event.step, description=words, loss=self._watch.loss_text, left=self._watch.left_text
            )
        if isinstance(event, Stopped) and self._task is not None:
            self._progress.update(self._task, visible=False)
        if line := describe(event, self._watch):
            self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _begin_trial(self, event: TrialStarted) -> None:
        """The bar counts the trials that are done."""
        if self._task is None:
            self._task = self._progress.add_task("trials", total=event.trials, loss="", left="")
        self._trial = f"trial {event.number} ({event.done} of {event.trials} done)"
        self._progress.update(self._task, completed=event.done, description=self._trial)

    def _begin(self, event: Started) -> None:
        self._trial = ""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task("epoch", total=self._watch.total, completed=event.step, loss="", left="")


def describe(event: Event, watch: Watch) -> str | None:
    """An event in one line; None for those that get none."""
    match event:
        case Said():
            return f"note: {event.text}"
        case Started():
            resumed = f", going on from epoch {event.epoch + 1}, step {event.step}" if event.step else ""
            words = f"training: {event.parameters:,} parameters, {event.windows:,} {watch.samples} an epoch"
            return f"{words}, at most {counted(event.max_epochs, 'epoch')}, {event.device} with {counted(event.threads, 'thread')}{resumed}"
        case EpochEnded():
            epochs = f"/{watch.started.max_epochs}" if watch.started else ""
            judged = f", validation {event.validation_loss:.4f}{' (best)' if event.best else ''}"
            losses = f"train {event.train_loss:.4f}{'' if math.isnan(event.validation_loss) else judged}"
            left = f", {watch.left_text}" if watch.left_text else ""
            return f"epoch {event.epoch + 1}{epochs}: {losses}, {duration(event.seconds)}{left}"
        case Stopped() if event.best_epoch < 0:
            return f"stopped: {event.reason}, before the first epoch has ended; {duration(event.seconds)}"
        case Stopped() if math.isnan(event.best_loss):
            return f"stopped: {event.reason}; {duration(event.seconds)}"
        case Stopped():
            return (
                f"stopped: {event.reason}; best epoch {event.best_epoch + 1}, validation {event.best_loss:.4f}, {duration(event.seconds)}"
            )
        case TrialEnded():
            return _describe_trial(event)
        case Saved() | Stepped() | TrialStarted():
            return None


def _describe_trial(event: TrialEnded) -> str:
    """What a trial tried, and what came of it."""
    loss = "" if event.value is None else f", validation {event.value:.4f}"
    best = " (best)" if event.best else "" if event.best_value is None else f", best {event.best_value:.4f}"
    why = f" ({event.why})" if event.why else ""
    numbers = {name.split(".")[-1]: f"{value:.3g}" if isinstance(value, float) else value for name, value in event.params.items()}
    tried = ", ".join(f"{name} {value}" for name, value in numbers.items())
    return f"trial {event.number}, {event.done} of {event.trials} done: {event.state}{why}{loss}{best}, {duration(event.seconds)}; {tried}"


def counted(number: int, noun: str) -> str:
    """'1 epoch', '2 epochs'."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """'42 s', '3 min 20 s', '2 h 05 min'."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = int(seconds) // 60
    return f"{minutes} min {int(seconds) % 60:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


@contextmanager
def listening(silent: bool, watch: Watch | None = None, file: TextIO | None = None) -> Iterator[Listener]:
    """A listener for the place that standard error leads to: a terminal, or a log; `silent` only watches."""
    watch, stream = watch or Watch(), sys.stderr if file is None else file
    if silent:
        yield watch.see
    elif not stream.isatty():
        yield Log(watch, stream)
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[loss]}"), TextColumn("{task.fields[left]}"))
        with Progress(*columns, console=Console(file=stream), transient=True, refresh_per_second=4) as progress:
            yield Bar(watch, progress)
