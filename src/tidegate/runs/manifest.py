"""run.json: what a run folder is, in which state, and the checksum of each of its files."""

import hashlib
import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tidegate import __version__
from tidegate.errors import RunError
from tidegate.runs.atomic import is_temporary

MANIFEST = "run.json"
CHECKPOINT = "checkpoint"
FORMAT_VERSION = 1
STATES = ("training", "finished")
FREE_TO_EDIT = ("README.md",)
"""Files for people alone: nothing depends on them, so a change is no damage."""

_KEYS = ("format_version", "task", "state", "files", "data", "environment")


def new_manifest(task: str, data: dict[str, Any], threads: int | None, lstm: str | None, replaces: str | None) -> dict[str, Any]:
    """The manifest of a run that begins. `replaces` is the name, beside the folder, of the run that goes when this one is finished."""
    return {
        "format_version": FORMAT_VERSION,
        "tidegate": __version__,
        "task": task,
        "state": "training",
        "created": now(),
        "finished": None,
        "replaces": replaces,
        "data": data,
        "environment": environment(threads, lstm),
        "files": {},
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder. Raises RunError if there is none, if it is damaged, or of a newer format."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise RunError(f"{folder} holds no Tidegate run: it has no {MANIFEST}. Give the folder that 'tidegate train --out' made.") from None
    except NotADirectoryError:
        raise RunError(f"{folder} is a file; expected the folder that 'tidegate train --out' made.") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}. Check the rights of the folder.") from None
    except ValueError:
        raise RunError(_damaged(path)) from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format_version"), int):
        raise RunError(_damaged(path))
    if manifest["format_version"] > FORMAT_VERSION:
        raise RunError(
            f"{folder} is a run of a newer format: {manifest['format_version']}, written by Tidegate {manifest.get('tidegate', '?')}; "
            f"this is Tidegate {__version__}, which reads up to format {FORMAT_VERSION}. Upgrade Tidegate."
        )
    if any(key not in manifest for key in _KEYS) or manifest["state"] not in STATES or not isinstance(manifest["files"], dict):
        raise RunError(_damaged(path))
    return manifest


def seal_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Checksum and size of each file of a finished run; the checkpoint and the manifest itself are left out."""
    return {
        name: {"sha256": checksum(folder / name), "bytes": (folder / name).stat().st_size}
        for name in _kept(folder)
        if (folder / name).is_file()
    }


def foreign_files(folder: Path, manifest: dict[str, Any]) -> list[str]:
    """Files in the folder of a finished run that the run did not write."""
    return [name for name in _kept(folder) if name not in manifest["files"]]


def _kept(folder: Path) -> list[str]:
    """Names of the files in a run folder, without the manifest, the checkpoint, and what a killed writer left."""
    paths = (path for path in sorted(folder.rglob("*")) if (path.is_symlink() or not path.is_dir()) and not is_temporary(path))
    names = (path.relative_to(folder) for path in paths)
    return [name.as_posix() for name in names if name.as_posix() != MANIFEST and name.parts[0] != CHECKPOINT]


def verify_files(folder: Path, files: dict[str, dict[str, Any]]) -> None:
    """Raise RunError for the first sealed file that is missing or changed."""
    for name, facts in files.items():
        path = folder / name
        if name in FREE_TO_EDIT:
            continue
        if not path.is_file():
            raise RunError(f"{path} is missing; run.json says it belongs to the run. Bring it back from a copy, or train again.")
        size = path.stat().st_size
        if size != facts["bytes"]:
            raise RunError(f"{path} is damaged: {size:,} bytes, expected {facts['bytes']:,}. {_CURE}")
        if checksum(path) != facts["sha256"]:
            raise RunError(f"{path} is damaged: its SHA-256 is not the one in run.json. {_CURE}")


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def environment(threads: int | None = None, lstm: str | None = None) -> dict[str, Any]:
    """Versions, machine and what computes the LSTM layers, for the record."""
    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "numpy", "polars")},
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "threads": threads,
        "lstm": lstm,
    }


def now() -> str:
    """The time in UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


_CURE = "Bring it back from a copy, or train again."


def _damaged(path: Path) -> str:
    return f"{path} is damaged: it is not the manifest of a Tidegate run. {_CURE}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
