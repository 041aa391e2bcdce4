"""Networks: plain torch modules that know nothing of training and nothing of tables.

`LSTM` (a drop-in for torch.nn.LSTM), `LSTMSession` (streaming) and `backend` and `has_bfloat16` (what computes them) are imported
on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidegate.nn.lstm import LSTM
    from tidegate.nn.native import Backend, backend, has_bfloat16
    from tidegate.nn.streaming import LSTMSession

_PLACES = {
    "LSTM": "tidegate.nn.lstm",
    "LSTMSession": "tidegate.nn.streaming",
    "Backend": "tidegate.nn.native",
    "backend": "tidegate.nn.native",
    "has_bfloat16": "tidegate.nn.native",
}

__all__ = ["LSTM", "Backend", "LSTMSession", "backend", "has_bfloat16"]


def __getattr__(name: str) -> Any:
    """Import a public name where it is first asked for."""
    if name not in _PLACES:
        raise AttributeError(f"module 'tidegate.nn' has no attribute '{name}'")
    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value
