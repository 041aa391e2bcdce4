"""The run folder: everything that is needed to use a model again, safe against a kill at any moment."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from tidegate.errors import RunError
from tidegate.runs.atomic import (
    TEMPORARY,
    append_line,
    explain,
    is_temporary,
    read_lines,
    remove_temporaries,
    sync_folder,
    write_atomically,
)
from tidegate.runs.locks import locked_at_once
from tidegate.runs.manifest import CHECKPOINT, MANIFEST, foreign_files, new_manifest, now, read_manifest, seal_files, verify_files
from tidegate.runs.tensors import SafetensorError, metadata_from_bytes, tensors_from_bytes, tensors_to_bytes

LOCK = f"{CHECKPOINT}/lock"
"""What a training process holds; it lies where nothing is sealed, and goes with the checkpoint."""


class RunFolder:
    """A run on disk. Made by `create`, `open` or `resume`.

    Every file appears whole or not at all. While a run trains, run.json says so; `seal` writes the checksums and marks it finished,
    and from then on nothing in it is written.

    A finished run that is to be replaced is first moved aside, to `.NAME.replaced` in the same parent folder, and removed when the
    one in its place is sealed. After a kill in between, `resume` goes on with the new run; to have the old one back, remove the new
    folder and rename the old one.
    """

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        task: str = "forecast",
        data: Mapping[str, Any] | None = None,
        threads: int | None = None,
        lstm: str | None = None,
        overwrite: bool = False,
    ) -> "RunFolder":
        """Begin a run in a new or empty folder; parents are made.

        `data` says where the training data lay: path, sha256, rows. `overwrite` replaces a finished run and nothing else.
        Raises RunError if the folder cannot be written, or holds something; a run that was to be replaced is then in its place.
        """
        path = Path(path)
        real = path.resolve()  # a link that leads to the folder leads nowhere once the folder is moved aside
        moved = False
        try:
            if is_occupied(real):
                _refuse_or_accept(path, overwrite)
                _move_aside(real)
                moved = True
            real.mkdir(parents=True, exist_ok=True)
            remove_temporaries(real)
            replaces = _aside(real).name if overwrite and _aside(real).exists() else None
            folder = cls(path, new_manifest(task, dict(data or {}), threads, lstm, replaces))
            folder._write_manifest()
        except BaseException as error:
            if moved:
                _bring_back(real)
            if isinstance(error, OSError):
                raise RunError(explain(path, error)) from error
            raise
        return folder

    @staticmethod
    def check(path: str | Path, *, overwrite: bool = False) -> None:
        """Raise RunError if `create` would refuse this folder; nothing is changed. For before long work."""
        path = Path(path)
        try:
            if is_occupied(path):
                _refuse_or_accept(path, overwrite)
            above = next(place for place in (path, *path.resolve().parents) if place.exists())
            probe = above / f".{path.name}.check{TEMPORARY}"
            write_atomically(probe, b"")
            probe.unlink()
        except OSError as error:
            raise RunError(explain(path, error)) from error

    @classmethod
    def open(cls, path: str | Path, *, task: str | None = None) -> "RunFolder":
        """A finished run, its checksums verified. Raises RunError if it is missing, unfinished, damaged, newer, or of another task."""
        path = Path(path)
        if not path.exists():
            kept = f" An earlier run of that name is kept in {_aside(path)}; rename it to have it back." if _aside(path).exists() else ""
            raise RunError(f"No such run folder: {path}.{kept} Give the folder that 'tidegate train --out' made.")
        manifest = read_manifest(path)
        if manifest["state"] != "finished":
            raise RunError(f"The training of {path} has not finished. Go on with it: the same 'tidegate train' command with --resume.")
        if task is not None and manifest["task"] != task:
            raise RunError(f"{path} holds a run of the task '{manifest['task']}'; expected '{task}'.")
        verify_files(path, manifest["files"])
        return cls(path, manifest)

    @classmethod
    def resume(cls, path: str | Path) -> "RunFolder | None":
        """An unfinished or finished run to go on with, what a kill left over tidied up; None where nothing was begun.

        Raises RunError if the folder holds something else, or is damaged or newer.
        """
        path = Path(path)
        if not is_occupied(path):
            return None
        folder = cls(path, read_manifest(path))
        try:
            if folder.finished:
                verify_files(path, folder.manifest["files"])
                folder._tidy()
            with locked_at_once(path / LOCK) if not folder.finished else nullcontext(True) as free:
                if free:  # else they are those of a process that is at work
                    remove_temporaries(path)
        except OSError as error:
            raise RunError(explain(path, error)) from error
        return folder

    @staticmethod
    def task_of(path: str | Path) -> str | None:
        """The task of a run, finished or not; None where there is no folder. Raises RunError if it is no run, damaged or newer."""
        return read_manifest(Path(path))["task"] if Path(path).exists() else None

    @property
    def finished(self) -> bool:
        """Whether the run is sealed."""
        return self.manifest["state"] == "finished"

    @property
    def task(self) -> str:
        """forecast, classify and so on."""
        return self.manifest["task"]

    @property
    def data(self) -> dict[str, Any]:
        """Where the training data lay: path, sha256, rows; `test`, the same of test data, where a file was given."""
        return self.manifest["data"]

    def set_data(self, data: Mapping[str, Any]) -> None:
        """Say where the training data lay, before the run is sealed."""
        self._must_be_open()
        self.manifest["data"] = dict(data)
        self._write_manifest()

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write a file, atomically. Raises RunError (a full disk, no rights) and leaves the earlier file as it was."""
        self._must_be_open()
        write_atomically(self._place(name), content)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file in UTF-8, atomically."""
        self.write_bytes(name, text.encode())

    def write_tensors(self, name: str, tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
        """Write NumPy arrays or torch tensors as safetensors, atomically; the same content gives the same bytes."""
        self.write_bytes(name, tensors_to_bytes(tensors, metadata))

    def append_line(self, name: str, text: str) -> None:
        """Add one line to a text file such as metrics.jsonl."""
        self._must_be_open()
        append_line(self._place(name), text)

    def keep_lines(self, name: str, count: int) -> None:
        """Cut a text file down to its first `count` lines: on resume, those up to the checkpoint."""
        if self.exists(name):
            lines = self.read_lines(name)[:count]
            self.write_text(name, "".join(f"{line}\n" for line in lines))

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        self._must_be_open()
        self._place(name).unlink(missing_ok=True)

    def exists(self, name: str) -> bool:
        """Whether the run has a file."""
        return self._place(name).is_file()

    def read_bytes(self, name: str) -> bytes:
        """A file's content. Raises RunError if it is missing."""
        path = self._place(name)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise RunError(f"{path} is missing; a Tidegate run has one. Bring it back from a copy, or train again.") from None
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror}.") from None

    def read_text(self, name: str) -> str:
        """A text file's content."""
        return self.read_bytes(name).decode()

    def read_lines(self, name: str) -> list[str]:
        """A text file's whole lines; none if it is missing."""
        return read_lines(self._place(name)) if self.exists(name) else []

    def read_tensors(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of a safetensors file. Raises RunError if it is missing or damaged."""
        try:
            return tensors_from_bytes(self.read_bytes(name))
        except SafetensorError as error:
            raise RunError(f"{self._place(name)} is damaged: {error}. Bring it back from a copy, or train again.") from None

    def read_metadata(self, name: str) -> dict[str, str]:
        """The metadata of a safetensors file. Raises RunError if it is missing or damaged."""
        try:
            return metadata_from_bytes(self.read_bytes(name))
        except SafetensorError as error:
            raise RunError(f"{self._place(name)} is damaged: {error}. Bring it back from a copy, or train again.") from None

    def seal(self) -> None:
        """Mark the run finished, with a checksum for each file; then the checkpoint and the run it replaces are removed."""
        self._must_be_open()
        remove_temporaries(self.path)
        self.manifest |= {"state": "finished", "finished": now(), "files": seal_files(self.path)}
        try:
            self._write_manifest()
        except RunError:
            self.manifest |= {"state": "training", "finished": None, "files": {}}
            raise
        self._tidy()

    @contextmanager
    def training(self) -> Iterator[None]:
        """Inside the block no other process can train this run. Raises RunError where one does so already, or has just finished it."""
        with locked_at_once(self.path / LOCK) as held:
            if not held:
                raise RunError(f"Another process is training {self.path}. Wait until it has ended, or choose another folder with --out.")
            if read_manifest(self.path)["state"] == "finished":
                shutil.rmtree(self.path / CHECKPOINT, ignore_errors=True)
                raise RunError(f"Another process has just finished {self.path}. It is ready to be used.")
            yield

    def abandon(self) -> None:
        """Remove an unfinished run; the one that it was to replace is back in its place."""
        self._must_be_open()
        real = self.path.resolve()
        shutil.rmtree(real)
        if self.manifest["replaces"]:
            _bring_back(real)

    def _tidy(self) -> None:
        """Remove what a finished run needs no more. What cannot be removed does no harm, so it is no error; `resume` tries again."""
        shutil.rmtree(self.path / CHECKPOINT, ignore_errors=True)
        if self.manifest.get("replaces"):
            shutil.rmtree(_aside(self.path), ignore_errors=True)

    def _write_manifest(self) -> None:
        write_atomically(self.path / MANIFEST, (json.dumps(self.manifest, indent=2, ensure_ascii=False) + "\n").encode())

    def _must_be_open(self) -> None:
        if self.finished:
            raise RunError(f"{self.path} is finished, and a finished run is not changed. Write to another folder.")

    def _place(self, name: str) -> Path:
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts or name == MANIFEST:
            raise ValueError(f"'{name}' is no file of a run")
        return self.path / relative


def is_occupied(path: str | Path) -> bool:
    """Whether a path is a file, or a folder with something in it that is not a killed writer's. Raises OSError."""
    path = Path(path)
    if not path.is_dir():
        return path.exists()
    return any(not is_temporary(entry) for entry in path.iterdir())


def _refuse_or_accept(path: Path, overwrite: bool) -> None:
    """Raise RunError unless `path` holds a run that may be replaced."""
    if not path.is_dir():
        raise RunError(f"{path} is a file; a run needs a folder. Choose another one with --out.")
    if not (path / MANIFEST).is_file():
        raise RunError(f"{path} is not empty and holds no Tidegate run, so it is not replaced. Choose another folder with --out.")
    manifest = read_manifest(path)
    if manifest["state"] != "finished":
        rule = ", and --overwrite replaces finished ones only" if overwrite else ""
        raise RunError(f"{path} holds a run that has not finished{rule}. Go on with it by --resume, or remove it, or choose another --out.")
    if not overwrite:
        raise RunError(f"{path} holds a finished run. Replace it with --overwrite, or choose another folder with --out.")
    if foreign := foreign_files(path, manifest):
        shown = ", ".join(foreign[:5]) + (f" and {len(foreign) - 5} more" if len(foreign) > 5 else "")
        raise RunError(
            f"{path} holds files that the run did not write ({shown}), and to replace the run would remove them. "
            "Move them elsewhere, or choose another folder with --out."
        )


def _aside(path: Path) -> Path:
    """Where a run waits while another one is made in its place."""
    real = path.resolve()
    return real.with_name(f".{real.name}.replaced")


def _move_aside(real: Path) -> None:
    """Move a finished run aside. What lies there was itself to be replaced by it, and goes."""
    shutil.rmtree(_aside(real), ignore_errors=True)
    real.rename(_aside(real))
    sync_folder(real.parent)


def _bring_back(real: Path) -> None:
    """Remove what lies in the place of a run that was moved aside, and bring that back."""
    if real.exists():
        shutil.rmtree(real)
    if _aside(real).exists():
        _aside(real).rename(real)
