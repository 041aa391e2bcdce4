"""What the benchmarks that train have in common: settings from the command line, progress on standard error, and seeds in turn."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tidegate.config import Config, set_key
from tidegate.tasks.forecasting.fitting import fit_model, with_learning_rate
from tidegate.tasks.forecasting.material import Material
from tidegate.tasks.forecasting.model import ForecastModel
from tidegate.train.events import EpochEnded, Event, Stopped


def say(text: str) -> None:
    """A line of progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def apply_settings(tree: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """The tree with each KEY=VALUE applied, in place."""
    for assignment in assignments:
        set_key(tree, assignment)
    return tree


def train_seeds(material: Material, seeds: int) -> Iterator[tuple[ForecastModel, dict[str, Any]]]:
    """A model for each of `seeds` seeds in turn, and what to say of its training."""
    config, notes = with_learning_rate(material, material.config)
    for note in notes:
        say(note)
    first = config.training.seed
    for seed in range(first, first + seeds):
        seeded = config.model_copy(update={"training": config.training.model_copy(update={"seed": seed})})
        yield _train(material, seeded)


def _train(material: Material, config: Config) -> tuple[ForecastModel, dict[str, Any]]:
    seed = config.training.seed
    epochs: list[EpochEnded] = []
    begin = time.perf_counter()
    model = fit_model(material, config, listen=_listener(seed, epochs)).model
    seconds = time.perf_counter() - begin
    facts = {"seed": seed, "seconds": seconds, "epochs": len(epochs), "best_epoch": model.best_epoch, "parameters": model.parameters()}
    return model, facts


def _listener(seed: int, epochs: list[EpochEnded]) -> Callable[[Event], None]:
    def listen(event: Event) -> None:
        if isinstance(event, EpochEnded):
            epochs.append(event)
            losses = f"training {event.train_loss:.4f}, validation {event.validation_loss:.4f}{' (best)' if event.best else ''}"
            say(f"seed {seed}, epoch {event.epoch}: {losses}, {event.seconds:.0f} s")
        elif isinstance(event, Stopped):
            say(f"seed {seed}: {event.reason}")

    return listen


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, standard deviation (of the sample; 0 for one value), least and largest."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return {"mean": float(np.mean(values)), "deviation": deviation, "least": float(min(values)), "largest": float(max(values))}
