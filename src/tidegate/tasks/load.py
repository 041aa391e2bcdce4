"""The estimator that was kept in a run folder, whatever its task."""

from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.runs.folder import RunFolder

if TYPE_CHECKING:
    from tidegate.tasks.classification.classifier import Classifier
    from tidegate.tasks.forecasting.forecaster import Forecaster
    from tidegate.tasks.transcription.transcriber import Transcriber


def load(path: str | Path, device: str = "cpu") -> "Forecaster | Classifier | Transcriber":
    """The Forecaster, Classifier or Transcriber that was kept in a run folder. Raises RunError if it is missing, unfinished, damaged or of
    a newer format; SettingsError for a device that is not there."""
    folder = RunFolder.open(path)
    if folder.task == "classify":
        from tidegate.tasks.classification.classifier import classifier_in

        return classifier_in(folder, device)
    if folder.task == "transcribe":
        from tidegate.tasks.transcription.transcriber import transcriber_in

        return transcriber_in(folder, device)
    from tidegate.tasks.forecasting.forecaster import forecaster_in

    return forecaster_in(folder, device)
