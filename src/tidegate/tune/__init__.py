"""The search for settings: a study that survives its processes, the space of a network, and what joins them to a task.

Needs the extra `tune` (Optuna), which is imported when `forecast` is first asked for.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from tidegate.errors import SettingsError

if TYPE_CHECKING:
    from tidegate.tune.forecasting import forecast

__all__ = ["forecast"]


def __getattr__(name: str) -> Any:
    """Import `forecast` when it is first asked for. Raises SettingsError where Optuna is missing."""
    if name != "forecast":
        raise AttributeError(f"module 'tidegate.tune' has no attribute '{name}'")
    if find_spec("optuna") is None:
        raise SettingsError("Tuning needs Optuna, which is not installed. Install it: pip install 'tidegate[tune]'.")
    return import_module("tidegate.tune.forecasting").forecast
