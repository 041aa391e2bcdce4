"""How torch computes while a task works."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from tidegate.errors import SettingsError


@contextmanager
def computing(threads: int | None) -> Iterator[None]:
    """Inside the block torch uses so many threads, and denormal numbers, which slow an LSTM up to 27 times, are flushed to zero."""
    before, flushed = torch.get_num_threads(), _flushes_denormals()
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_flush_denormal(flushed)


def _flushes_denormals() -> bool:
    """Whether this thread's arithmetic turns denormal numbers into zero; torch can set that, not tell it."""
    return bool(np.array([2e-308]) / np.array([4.0]) == 0.0)


def resolve_device(device: str) -> str:
    """'auto': a GPU if torch sees one. Raises SettingsError for a device that is not there."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SettingsError(f"device '{device}' cannot be used: {str(error).splitlines()[0].rstrip('.')}. Use --device cpu.") from None
    return device
