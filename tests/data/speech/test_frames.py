"""Features kept in a file: the same as computed, used again, and made anew when they are not what they should be."""

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.speech.signals import voice
from tidegate.data.speech.features import FeatureSettings, log_mel
from tidegate.data.speech.frames import Frames, build_frames
from tidegate.data.speech.masking import speed
from tidegate.errors import DataError

SETTINGS = FeatureSettings(rate=8000, bands=8)
SIGNALS = [voice(8000, seconds, number) for number, seconds in enumerate([0.3, 0.1, 0.01, 0.25, 0.2, 0.15, 0.12, 0.3, 0.05, 0.1, 0.2])]
IDS = [f"a/{number}" for number in range(len(SIGNALS))]


class Source:
    """The signals, and which were asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, number: int) -> np.ndarray:
        self.asked.append(number)
        return SIGNALS[number]


def build(path: Path | None, source: Callable[[int], np.ndarray] | None = None, **changes: Any) -> Frames:
    return build_frames(path, changes.pop("ids", IDS), source or Source(), changes.pop("settings", SETTINGS), **changes)


def assert_right(frames: Frames) -> None:
    assert len(frames) == len(IDS) and frames.ids == tuple(IDS)
    for number, signal in enumerate(SIGNALS):
        assert np.array_equal(frames[number], log_mel(torch.tensor(signal), SETTINGS).numpy())
    assert frames.lengths.tolist() == [len(frames[number]) for number in range(len(frames))]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_frames_are_the_features_whatever_the_threads(tmp_path: Path, threads: int) -> None:
    heard: list[int] = []
    frames = build(tmp_path / "new" / "train.frames", threads=threads, listen=heard.append)
    assert_right(frames)
    assert heard == list(range(1, len(IDS) + 1))
    assert_right(build(None, threads=threads))
    assert os.listdir(tmp_path / "new") == ["train.frames"]


@pytest.mark.parametrize("kept", [True, False])
def test_frames_are_views_that_cannot_be_written(tmp_path: Path, kept: bool) -> None:
    frames = build(tmp_path / "f" if kept else None)
    assert frames.values.dtype == np.float32 and frames.values.shape == (frames.offsets[-1], 8)
    assert np.shares_memory(frames[0], frames.values) and type(frames[0]) is np.ndarray
    with pytest.raises(ValueError, match="read-only"):
        frames[0][0, 0] = 1.0
    assert np.array_equal(frames[-1], frames[len(IDS) - 1])
    with pytest.raises(IndexError, match="utterance 11 of 11"):
        frames[len(IDS)]


def test_a_file_is_used_again_for_the_same_only(tmp_path: Path) -> None:
    path, source = tmp_path / "f", Source()
    build(path, source, key="k")
    whole = path.read_bytes()
    assert sorted(source.asked) == list(range(len(IDS)))
    again = Source()
    assert_right(build(path, again, key="k", threads=1))
    assert again.asked == []
    others = (
        {"key": "other"},
        {"key": "k", "settings": replace(SETTINGS, bands=9)},
        {"key": "k", "ids": [*IDS[:-1], "b"]},
        {"key": "k", "speed": 1.1},
    )
    for change in others:
        path.write_bytes(whole)
        fresh = Source()
        build(path, fresh, **change)
        assert len(fresh.asked) == len(IDS), change


def test_speed_is_that_of_the_samples() -> None:
    frames = build(None, speed=1.1)
    for number, signal in enumerate(SIGNALS):
        assert np.array_equal(frames[number], log_mel(torch.tensor(speed(signal, 1.1, 8000)), SETTINGS).numpy())


def cut(data: bytes) -> bytes:
    return data[:-1]


def cut_to_frames(data: bytes) -> bytes:
    return data[: 32 * 20]


def emptied(data: bytes) -> bytes:
    return b""


def lengthened(data: bytes) -> bytes:
    return data[:32] + data


def flipped(data: bytes) -> bytes:
    return data[:100] + bytes([data[100] ^ 1]) + data[101:]


def exchanged_lengths(data: bytes) -> bytes:
    place = data.index(b'"lengths": [') + 12
    assert data[place : place + 5] == b"28, 8"
    return data[:place] + b"27, 9" + data[place + 5 :]


def foreign(data: bytes) -> bytes:
    return b"a text that someone put there, of some length"


@pytest.mark.parametrize("damage", [cut, cut_to_frames, emptied, lengthened, flipped, exchanged_lengths, foreign])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "f"
    build(path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    source = Source()
    assert_right(build(path, source))
    assert len(source.asked) == len(IDS) and path.read_bytes() == whole


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.data.speech.test_frames import SIGNALS, build
def samples(number):
    if number == 10:
        left = os.listdir(sys.argv[1])
        assert len(left) == 1 and left[0].endswith(".tmp"), left
        os.kill(os.getpid(), signal.SIGKILL)
    return SIGNALS[number]
build(Path(sys.argv[1]) / "f", samples)
"""


def test_a_killed_writer_leaves_nothing_that_counts(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=root, capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    assert len(os.listdir(tmp_path)) == 1 and not (tmp_path / "f").exists()
    assert_right(build(tmp_path / "f"))
    assert os.listdir(tmp_path) == ["f"], "what it left is removed"


def test_two_at_once_compute_once(tmp_path: Path) -> None:
    first, second = Source(), Source()
    begun, go_on = threading.Event(), threading.Event()

    def slow(number: int) -> np.ndarray:
        begun.set()
        assert go_on.wait(20)
        return first(number)

    found: list[Frames] = []
    writer = threading.Thread(target=lambda: found.append(build(tmp_path / "f", slow)))
    writer.start()
    assert begun.wait(20)
    waiter = threading.Thread(target=lambda: found.append(build(tmp_path / "f", second)))
    waiter.start()
    waiter.join(0.2)
    assert waiter.is_alive() and second.asked == []
    go_on.set()
    writer.join(20)
    waiter.join(20)
    assert len(found) == 2 and second.asked == []
    assert_right(found[1])


def test_a_file_system_without_locks_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int, how: int) -> None:
        raise OSError("no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    other = tmp_path / ".f.12345678.tmp"
    other.write_bytes(b"another writer is at work")
    assert_right(build(tmp_path / "f"))
    assert other.exists()


def test_an_error_leaves_no_file_and_the_former_one_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "f"
    build(path)
    before = path.read_bytes()

    def broken(number: int) -> np.ndarray:
        return np.full(4000, np.nan, np.float32) if number == 6 else SIGNALS[number]

    with pytest.raises(DataError, match="'a/6': its samples give features that are not finite.*Mend the recording, or leave it out"):
        build(path, broken, key="other")
    assert os.listdir(tmp_path) == ["f"] and path.read_bytes() == before

    def missing(number: int) -> np.ndarray:
        raise FileNotFoundError(2, "No such file or directory", "a/0.wav")

    with pytest.raises(DataError, match=r"'a/0' cannot be read: .*a/0.wav'.*Mend the recording"):
        build(path, missing, key="other")
    with pytest.raises(DataError, match="Samples are int16"):
        build(None, lambda number: np.zeros(900, np.int16))


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot hold the features: .*Check the rights of the folder.*or choose another folder"):
        build(tmp_path / "file" / "f")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="folder cannot hold the features: Is a directory"):
        build(tmp_path / "folder")


@pytest.mark.parametrize("kept", [True, False])
def test_no_utterance_and_no_frame(tmp_path: Path, kept: bool) -> None:
    path = tmp_path / "f" if kept else None
    assert len(build(path, ids=[])) == 0
    short = build(path, lambda number: np.zeros(3, np.float32), ids=["a", "b"])
    assert short.lengths.tolist() == [0, 0] and short[1].shape == (0, 8)
