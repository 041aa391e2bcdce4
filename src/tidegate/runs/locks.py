"""Locks that a process holds until it ends, however it ends: the kernel lets go of them, after kill -9 too."""

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidegate.errors import RunError
from tidegate.runs.atomic import explain

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file; waits for whoever holds it. Raises RunError if the file cannot be made."""
    with _lock_file(path) as number:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield


@contextmanager
def locked_at_once(path: Path) -> Iterator[bool]:
    """Hold the lock of a file, or say False where another process has it. Raises RunError if the file cannot be made.

    On a file system without locks nobody can be kept out: that is no reason to refuse work, so it counts as held.
    """
    with _lock_file(path) as number:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield True


@contextmanager
def _lock_file(path: Path) -> Iterator[int]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise RunError(explain(path, error)) from error
    with file:
        yield file.fileno()
