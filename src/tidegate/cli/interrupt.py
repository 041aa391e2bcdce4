"""Ctrl-C: the first one asks the work to stop where it can save, the second one ends it."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible(silent: bool) -> Iterator[Callable[[], bool]]:
    """A function that says whether SIGINT has come; a second SIGINT raises KeyboardInterrupt."""
    asked = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        if not silent:
            sys.stderr.write("\ninterrupted: saving; once more to stop at once\n")

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = signal.signal(signal.SIGINT, handle)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
