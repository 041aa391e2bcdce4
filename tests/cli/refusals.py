"""What tests of commands that must fail have in common."""

from collections.abc import Callable
from pathlib import Path

Refused = Callable[..., str]


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of every file."""
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}
