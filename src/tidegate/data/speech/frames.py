"""The features of many utterances, computed once and kept in one file that is mapped into memory.

The file: float32 frames of all utterances one after another; a JSON object (what they are of, how long each is, their CRC-32); its
length and its own CRC-32 in 4 bytes each, and 8 bytes that end every such file. It gets its name when it is whole, and a damaged one is
made anew.
"""

import fcntl
import hashlib
import json
import os
import secrets
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from tidegate.data.speech.features import FeatureSettings, log_mel
from tidegate.data.speech.masking import speed as at_speed
from tidegate.errors import DataError

FORMAT = 1
"""Part of the key; raised when the same settings give other numbers."""
END = b"TGFRAME\n"
AHEAD = 8
"""Utterances computed but not yet written, at most."""
READ_BYTES = 1 << 24


@dataclass(frozen=True)
class Frames:
    """values float32 [sum of T, C], read-only; offsets int64 [n + 1]: where each of n utterances begins, and the end; ids, n of them."""

    values: np.ndarray
    offsets: np.ndarray
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, number: int) -> np.ndarray:
        """Features [T, C] of an utterance, not copied."""
        if not -len(self) <= number < len(self):
            raise IndexError(f"utterance {number} of {len(self)}")
        number %= len(self)
        return self.values[self.offsets[number] : self.offsets[number + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """Frames of each utterance, int64 [n]."""
        return np.diff(self.offsets)


def build_frames(
    path: Path | None,
    ids: Sequence[str],
    samples: Callable[[int], np.ndarray],
    settings: FeatureSettings,
    *,
    key: str = "",
    speed: float = 1.0,
    listen: Callable[[int], None] | None = None,
    threads: int = 2,
) -> Frames:
    """The features of all utterances: those in the file if it holds just these, else computed, and kept there if a path is given.

    ids      of the utterances, in the order of the result
    samples  gives those of utterance i, [N] from -1 to 1 at the settings' rate; called from several threads at once
    key      what else the features depend on, such as a checksum of the recordings; with another key they are computed anew
    speed    each utterance is played so many times as fast (`masking.speed`)
    listen   told after each computed utterance how many there are
    threads  that compute; the result does not depend on it

    Reading a file checks its CRC-32, about a second for two gigabytes. Processes that want the same file at once wait for one of them.
    Raises DataError where a recording cannot be read or gives features that are not finite, or where the file cannot be written.
    """
    ids = tuple(ids)

    def compute(number: int) -> np.ndarray:
        try:
            samples_N = at_speed(samples(number), speed, settings.rate)
        except OSError as error:
            raise DataError(f"'{ids[number]}' cannot be read: {error}. Mend the recording, or leave it out.") from error
        values_TC = log_mel(torch.tensor(samples_N), settings).numpy()
        if not np.isfinite(values_TC).all():
            raise DataError(f"'{ids[number]}': its samples give features that are not finite. Mend the recording, or leave it out.")
        return values_TC

    with closing(_in_order(compute, len(ids), threads, listen)) as computed:
        if path is None:
            return _in_memory(list(computed), ids, settings.channels)
        content = {"format": FORMAT, "settings": asdict(settings), "speed": float(speed), "ids": ids, "key": key}
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        with _explained(path), _one_at_a_time(path.parent) as alone:
            frames = read_frames(path, digest, ids)
            if frames is None:
                if alone:
                    _remove_temporaries(path)
                _write(path, computed, settings.channels, digest)
                frames = read_frames(path, digest, ids, checked=False)
        if frames is None:
            raise DataError(f"{path} does not hold what was just written there. Check the disk, or choose another folder.")
        return frames


def read_frames(path: Path, digest: str, ids: Sequence[str], checked: bool = True) -> Frames | None:
    """The features of a file; None where it is absent, of another digest, cut short, or (if checked) not what was written."""
    try:
        with path.open("rb") as file:
            tail = _tail(file)
            if tail is None or tail["digest"] != digest or (checked and _checksum(file, tail["bytes"]) != tail["crc32"]):
                return None
    except FileNotFoundError:
        return None
    offsets = np.concatenate([[0], np.cumsum(tail["lengths"])]).astype(np.int64)
    shape = (int(offsets[-1]), int(tail["channels"]))
    # A map of no bytes is not allowed.
    values = np.memmap(path, "<f4", "r", shape=shape).view(np.ndarray) if shape[0] else np.zeros(shape, np.float32)
    return Frames(values, offsets, tuple(ids))


def _in_order(
    compute: Callable[[int], np.ndarray], count: int, threads: int, listen: Callable[[int], None] | None
) -> Generator[np.ndarray, None, None]:
    """compute(0), compute(1), ...: a few ahead in threads, as reading, resampling and transforms leave the interpreter's lock alone."""
    waiting: deque[Future[np.ndarray]] = deque()
    submitted = 0
    with ThreadPoolExecutor(threads) as pool:
        try:
            for done in range(count):
                while submitted < min(count, done + AHEAD):
                    waiting.append(pool.submit(compute, submitted))
                    submitted += 1
                yield waiting.popleft().result()
                if listen is not None:
                    listen(done + 1)
        finally:
            for future in waiting:
                future.cancel()


def _in_memory(parts: list[np.ndarray], ids: tuple[str, ...], channels: int) -> Frames:
    values = np.concatenate([np.zeros((0, channels), np.float32), *parts])
    values.flags.writeable = False
    return Frames(values, np.cumsum([0, *map(len, parts)]).astype(np.int64), ids)


def _write(path: Path, parts: Iterator[np.ndarray], channels: int, digest: str) -> None:
    """Beside `path` first, and on the disk before it gets the name: a killed writer leaves nothing that is taken for whole."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    lengths, checksum = [], 0
    try:
        with temporary.open("xb") as file:
            for values_TC in parts:
                data = np.ascontiguousarray(values_TC, "<f4").data
                checksum = zlib.crc32(data, checksum)
                lengths.append(len(values_TC))
                file.write(data)
            tail = {"digest": digest, "channels": channels, "bytes": file.tell(), "crc32": checksum, "lengths": lengths}
            text = json.dumps(tail).encode()
            file.write(text + len(text).to_bytes(4, "little") + zlib.crc32(text).to_bytes(4, "little") + END)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    with _opened(path.parent) as folder:
        os.fsync(folder)


def _tail(file: BinaryIO) -> dict[str, Any] | None:
    """The JSON object; None where the file does not end with a whole one."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 16))
    length, checksum, end = (file.read(count) for count in (4, 4, 8))
    begin = size - 16 - int.from_bytes(length, "little")
    if end != END or begin < 0:
        return None
    file.seek(begin)
    text = file.read(size - 16 - begin)
    if zlib.crc32(text) != int.from_bytes(checksum, "little"):
        return None
    return json.loads(text)


def _checksum(file: BinaryIO, size: int) -> int:
    file.seek(0)
    checksum = 0
    while size > 0 and (data := file.read(min(size, READ_BYTES))):
        checksum = zlib.crc32(data, checksum)
        size -= len(data)
    return checksum


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    number = os.open(folder, os.O_RDONLY)
    try:
        yield number
    finally:
        os.close(number)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock, which ends with the process that holds it. False where the file system has none, as NFS for folders."""
    folder.mkdir(parents=True, exist_ok=True)
    with _opened(folder) as number:
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
            locked = True
        except OSError:
            locked = False
        yield locked


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """An OSError in the block becomes a DataError with its cure."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path} cannot hold the features: {error.strerror or error}. Check the rights of the folder and the space on its disk, "
            f"or choose another folder."
        ) from error


def _remove_temporaries(path: Path) -> None:
    """Remove what killed writers of `path` left."""
    for left in path.parent.iterdir():
        if left.name.startswith(f".{path.name}.") and left.name.endswith(".tmp"):
            left.unlink()
