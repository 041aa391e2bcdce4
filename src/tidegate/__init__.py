"""Tidegate: from sequences to trained, tested and kept LSTM models.

The public names are imported on first use, so that `import tidegate` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.demo import demo_data
    from tidegate.errors import DataError, RunError, SettingsError, TidegateError, TrainingError
    from tidegate.tasks.classification.classifier import Classifier
    from tidegate.tasks.forecasting.forecaster import Forecaster
    from tidegate.tasks.load import load
    from tidegate.tasks.transcription.transcriber import Transcriber

__version__ = "0.1.0"

_PLACES = {
    "Classifier": "tidegate.tasks.classification.classifier",
    "Forecaster": "tidegate.tasks.forecasting.forecaster",
    "Transcriber": "tidegate.tasks.transcription.transcriber",
    "load": "tidegate.tasks.load",
    "demo_data": "tidegate.demo",
    "TidegateError": "tidegate.errors",
    "DataError": "tidegate.errors",
    "SettingsError": "tidegate.errors",
    "RunError": "tidegate.errors",
    "TrainingError": "tidegate.errors",
}

__all__ = [
    "Classifier",
    "DataError",
    "Forecaster",
    "RunError",
    "SettingsError",
    "TidegateError",
    "TrainingError",
    "Transcriber",
    "__version__",
    "demo_data",
    "load",
]


def __getattr__(name: str) -> Any:
    """Import a public name where it is first asked for."""
    if name not in _PLACES:
        raise AttributeError(f"module 'tidegate' has no attribute '{name}'")
    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
