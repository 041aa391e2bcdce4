"""What is on disk after kill -9 in the middle of a write, and on a disk that is really full."""

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tidegate.errors import RunError
from tidegate.runs.folder import RunFolder

WRITER = """
import sys
import numpy as np
from tidegate.runs.folder import RunFolder
run = RunFolder.resume(sys.argv[1]) or RunFolder.create(sys.argv[1])
print("ready", flush=True)
for number in range(1_000_000):
    run.write_tensors("checkpoint/state.safetensors", {"w": np.full(300_000, number, np.float32)}, {"number": str(number)})
    run.append_line("metrics.jsonl", f"{number} " + "x" * 2000)
    run.set_data({"number": number})
"""


def look(path: Path) -> None:
    """Every file that is there is whole."""
    run = RunFolder(path, {"state": "training"})
    if run.exists("checkpoint/state.safetensors"):
        content = run.read_tensors("checkpoint/state.safetensors")["w"]
        assert content.shape == (300_000,)
        assert (content == content[0]).all()
    assert all(len(line.split(" ")[1]) == 2000 for line in run.read_lines("metrics.jsonl"))


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path, chance = tmp_path / "run", random.Random(0)
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == b"ready\n"
                until = time.monotonic() + chance.uniform(0.0, 0.25)
                while time.monotonic() < until:
                    look(path)
            finally:
                process.kill()
        look(path)
        assert RunFolder.resume(path) is not None
        assert not list(path.rglob("*.tmp"))


FULL_DISK = """
import sys
import numpy as np
from tidegate.errors import RunError
from tidegate.runs.folder import RunFolder

run = RunFolder.create(sys.argv[1] + "/run")
run.write_tensors("model.safetensors", {"w": np.ones(1_000, np.float32)})
try:
    run.write_tensors("model.safetensors", {"w": np.zeros(500_000, np.float32)})
except RunError as error:
    print("write:", error)
assert run.read_tensors("model.safetensors")["w"].sum() == 1_000
assert not list(run.path.rglob("*.tmp"))
count = 0
try:
    for count in range(100_000):
        run.append_line("metrics.jsonl", "x" * 50)
except RunError as error:
    print("append:", error)
assert run.read_text("metrics.jsonl") == ("x" * 50 + "\\n") * count
try:
    run.seal()
except RunError as error:
    print("seal:", error)
assert not RunFolder.resume(run.path).finished
try:
    RunFolder.create(sys.argv[1] + "/another")
except RunError as error:
    print("create:", error)
"""


def in_own_mount(folder: Path, command: list[str]) -> list[str]:
    """A command line that runs with a tmpfs of 512 KiB on `folder`, which nothing outside sees."""
    return ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=512k none "$0" && exec "$@"', str(folder), *command]


def test_a_full_disk_is_said_and_harms_nothing(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run(in_own_mount(tmp_path, ["true"]), capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount a tmpfs in a namespace of its own")
    command = in_own_mount(tmp_path, [sys.executable, "-c", FULL_DISK, str(tmp_path)])
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    said = [line.split(":")[0] for line in result.stdout.splitlines()]
    assert said == ["write", "append", "seal", "create"]
    assert result.stdout.count("the disk is full") == 4
    assert "bytes are needed, " in result.stdout


def test_a_full_quota_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    def refuse(number: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    run = RunFolder.create(tmp_path / "run")
    run.write_text("config.json", "kept")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(RunError, match="quota is used up"):
        run.write_text("config.json", "lost")
    monkeypatch.undo()
    assert run.read_text("config.json") == "kept"
    assert sorted(path.name for path in run.path.iterdir()) == ["config.json", "run.json"]
