"""Which workers of a study live: each holds a lock that the kernel lets go of when the process ends, after kill -9 too.

A worker holds a lock on a file of its own for as long as it lives. Another worker that can lock that file knows that its owner is
dead. No clock is compared and no process id, so it also works between containers, and between machines that share a file system
with locks (NFS version 4).
"""

import fcntl
import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidegate.runs.locks import locked


@contextmanager
def worker(folder: Path) -> Iterator[Path]:
    """A file in `folder` that stays locked inside the block; other processes see by it that this one lives."""
    path = folder / f"{secrets.token_hex(8)}.worker"
    with locked(path):
        yield path
        path.unlink(missing_ok=True)


def name_worker(path: Path) -> str:
    """How a worker is named in a study: its machine and its file."""
    return f"{platform.node()}:{path.resolve()}"


def is_dead(name: str) -> bool:
    """Whether the process of a worker has ended. One on another machine whose file cannot be seen here counts as alive."""
    host, _, path = name.partition(":")
    try:
        with Path(path).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return host == platform.node()
    except BlockingIOError:
        return False
    return True


def forget(name: str) -> None:
    """Remove the file that a dead worker left."""
    Path(name.partition(":")[2]).unlink(missing_ok=True)


def is_near(name: str) -> bool:
    """Whether the end of a worker can be seen from here."""
    host, _, path = name.partition(":")
    return host == platform.node() or Path(path).exists()
