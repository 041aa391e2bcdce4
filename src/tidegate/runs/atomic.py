"""Files that a reader sees whole or not at all, however a writer ends."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidegate.errors import RunError

TEMPORARY = ".tmp"
_FULL = {errno.ENOSPC, errno.EDQUOT}


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file beside `path`, bring it to the disk, and give it the name: rename is atomic (POSIX).

    Raises RunError where that cannot be; the earlier file is then as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    with _explained(path, len(content)):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_new(temporary, content)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def append_line(path: Path, line: str) -> None:
    """Add one line. What a killed writer left of a line is cut off first; a line that does not fit is taken back. Raises RunError."""
    content = line.encode() + b"\n"
    with _explained(path, len(content)), path.open("ab", buffering=0) as file:
        end = _end_of_lines(path)
        file.truncate(end)
        try:
            while content:
                content = content[file.write(content) :]
        except OSError:
            file.truncate(end)
            raise


def read_lines(path: Path) -> list[str]:
    """The whole lines of a file; a last one without its end is left out."""
    content = path.read_bytes()  # read once: a writer may be at work
    return content[: content.rfind(b"\n") + 1].decode().split("\n")[:-1]


def remove_temporaries(folder: Path) -> None:
    """Remove what killed writers left in a folder and below."""
    for path in folder.rglob(f".*{TEMPORARY}"):
        path.unlink(missing_ok=True)


def is_temporary(path: Path) -> bool:
    """Whether a file is an unfinished one of `write_atomically`."""
    return path.name.startswith(".") and path.name.endswith(TEMPORARY)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _write_new(path: Path, content: bytes) -> None:
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    with os.fdopen(number, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _end_of_lines(path: Path) -> int:
    """Bytes up to and with the last line end. Only a half line, which a kill left, makes it read the file."""
    size = path.stat().st_size
    if size == 0:
        return 0
    with path.open("rb") as file:
        file.seek(size - 1)
        return size if file.read(1) == b"\n" else path.read_bytes().rfind(b"\n") + 1


@contextmanager
def _explained(path: Path, size: int) -> Iterator[None]:
    """An OSError in the block becomes a RunError with its cure."""
    try:
        yield
    except OSError as error:
        raise RunError(explain(path, error, size)) from error


def explain(path: Path, error: OSError, size: int = 0) -> str:
    """What went wrong while `path` was written, and what to do."""
    if error.errno in _FULL:
        left = f", {_free(path.parent):,} are free" if error.errno == errno.ENOSPC else ""
        what = "the disk is full" if error.errno == errno.ENOSPC else "the disk quota is used up"
        return (
            f"{path} cannot be written: {what} ({size:,} bytes are needed{left}). "
            f"What was saved before is intact. Free some space, or choose a folder elsewhere with --out."
        )
    return f"{path} cannot be written: {error.strerror or error}. Check the rights of the folder, or choose another one with --out."


def _free(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
