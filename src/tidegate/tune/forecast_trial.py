"""One trial of a forecaster: train as the settings say, tell the validation loss after each epoch."""

import math
from collections.abc import Mapping
from typing import Any

from tidegate.config import Config
from tidegate.errors import SettingsError, TrainingError
from tidegate.tasks.computing import computing
from tidegate.tasks.forecasting.fitting import new_network, training_events, with_learning_rate
from tidegate.tasks.forecasting.material import Material
from tidegate.tasks.training import Listener
from tidegate.train.events import EpochEnded, Stepped, Stopped
from tidegate.train.loop import INTERRUPTED
from tidegate.tune.space import turn, turned_material
from tidegate.tune.study import Attempt, Halted, Outcome


def try_settings(
    asked: Config, material: Material, params: Mapping[str, Any], attempt: Attempt, time_limit: float | None, listen: Listener
) -> Outcome:
    """The best validation loss, and the complete settings that give it again: where `time_limit` (seconds) ended the trial, they have
    the number of steps that it got to instead. Raises TrainingError at a loss that is not finite, Halted where the attempt is to stop."""
    try:
        config = turn(asked, material, params)
    except SettingsError as error:
        raise TrainingError(f"these settings do not fit each other: {error}") from error
    material = turned_material(material, config)
    config, _ = with_learning_rate(material, config)
    step, stopped = 0, None
    limited = config.model_copy(update={"training": config.training.model_copy(update={"time_limit": time_limit})})
    with computing(config.training.threads):
        network = new_network(material, limited)
        for event in training_events(material, limited, network, None, None, attempt.stop):
            match event:
                case Stepped():
                    step = event.step
                    listen(event)
                case EpochEnded():
                    attempt.report(event.epoch, event.validation_loss)
                case Stopped():
                    stopped = event
    assert stopped is not None
    if stopped.reason.startswith("time limit"):
        config = config.model_copy(update={"training": config.training.model_copy(update={"max_steps": step})})
    outcome = Outcome(stopped.best_loss, {"config": config.model_dump(mode="json"), "steps": step, "best_epoch": stopped.best_epoch})
    if stopped.reason == INTERRUPTED:
        raise Halted(outcome if math.isfinite(stopped.best_loss) else None)
    return outcome
