"""Where a study is kept: a journal file that any number of processes may write, or a database."""

import json
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from tidegate.errors import RunError, SettingsError
from tidegate.runs.atomic import append_line, explain
from tidegate.runs.locks import locked

_BEGINNING = b'{"op_code":'
"""Of each line of a journal; a killed writer may have left less."""
_ONE_AT_A_TIME = threading.RLock()
"""What `quiet` changes and puts back is the whole process's."""


@dataclass(frozen=True)
class Place:
    """Where a study lies.

    text   the journal's path, or the database's URL
    name   the study's name in it
    locks  folder of the lock files
    """

    text: str
    name: str
    locks: Path

    @property
    def is_file(self) -> bool:
        """Whether this is a journal file."""
        return "://" not in self.text

    @property
    def is_missing(self) -> bool:
        """Whether no study can have been begun here yet."""
        return self.is_file and not Path(self.text).exists()

    def open(self) -> BaseStorage:
        """The storage; a journal file is made if it is not there. Raises RunError or SettingsError where it cannot be used."""
        if not self.is_file:
            return _database(self.text)
        path = Path(self.text)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return JournalStorage(Journal(path, self.locks / "journal.lock"))
        except OSError as error:
            raise RunError(explain(path, error)) from error
        except (ValueError, KeyError) as error:
            raise RunError(f"{path} is no journal of a study: {error}. Give another --storage, or remove the file.") from error


def place_of(out: Path, storage: str | None) -> Place:
    """The study of the run folder `out`: in OUT.study/journal.log, or in the journal file or database that `storage` names."""
    folder = out.with_name(f"{out.name}.study")
    if storage is None:
        return Place(str(folder / "journal.log"), out.name, folder / "locks")
    if "://" in storage:
        return Place(storage, out.name, folder / "locks")
    path = Path(storage)
    if path.is_dir():
        raise SettingsError(
            f"--storage {storage} is a folder. Give a journal file, such as {path / 'journal.log'}, or the URL of a database."
        )
    _check_journal(path)
    return Place(storage, out.name, path.with_name(f"{path.name}.locks"))


def _check_journal(path: Path) -> None:
    """Raise RunError for a file that is no journal, before anything is made beside it or half a line is cut off."""
    if not path.exists():
        return
    try:
        with path.open("rb") as file:
            first = file.read(len(_BEGINNING))
    except OSError as error:
        raise RunError(explain(path, error)) from error
    if not _BEGINNING.startswith(first):
        raise RunError(f"{path} is no journal of a study. Give another --storage, or remove the file.")


class Journal(JournalFileBackend):
    """Optuna's journal file, safe against a kill in the middle of a line: the next writer cuts off half a line, and the lock of a
    killed writer is free at once (Optuna's own lock files stay, and are broken after 30 s)."""

    def __init__(self, path: Path, lock: Path) -> None:
        super().__init__(str(path))
        self._path, self._lock_path = path, lock

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add a line for each operation and bring them to the disk. Raises RunError where the disk is full."""
        with locked(self._lock_path):
            for log in logs:
                append_line(self._path, json.dumps(log, separators=(",", ":")))
            with self._path.open("rb") as file:
                os.fsync(file.fileno())


def _database(url: str) -> BaseStorage:
    try:
        return RDBStorage(url)
    except Exception as error:  # SQLAlchemy and each database's driver have errors of their own
        reason = str(error).splitlines()[0]
        raise SettingsError(f"--storage {url} cannot be opened: {reason} Give a path, or a URL such as sqlite:///study.db.") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Inside the block Optuna says nothing but errors, and warns of nothing (what is new or will change in it)."""
    with _ONE_AT_A_TIME:
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", category=UserWarning)
                warnings.filterwarnings("ignore", category=FutureWarning)
                yield
        finally:
            optuna.logging.set_verbosity(before)
