"""Does training that is killed with SIGKILL, again and again, end with the same bits as training that is not?

One training runs undisturbed. Then the same command with --resume is started and killed until the kills are used up, at moments that
take turns: before the first checkpoint, while a checkpoint is being written, at a random time, and during the final writing. After
these four, or where a run ended before its kill, it is resumed until it is done and compared, and the next one begins in a new folder.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.common import arguments, show, show_json

CALL = (sys.executable, "-c", "from tidegate.cli.app import main; main()")
MODES = ("before a checkpoint", "while one is written", "a random time", "the final writing")
SETTINGS = {
    "network.hidden": 16,
    "network.layers": 2,
    "network.recurrent_dropout": 0.2,
    "network.weight_drop": 0.1,
    "network.layer_dropout": 0.1,
    "training.windows_per_epoch": 1500,
    "training.batch_size": 16,
    "training.max_epochs": 5,
    "training.patience": 1000,
    "training.checkpoint_seconds": 0.1,
}


@dataclass(frozen=True)
class Kill:
    """One kill: after so many seconds of its process, and what was on disk then."""

    run: int
    mode: str
    seconds: float
    found: str


@dataclass(frozen=True)
class Outcome:
    """kills in order; same: for each finished run, whether its weights equal the undisturbed run's to the byte; its seconds."""

    kills: list[Kill]
    same: list[bool]
    seconds: float

    @property
    def verdict(self) -> str:
        """In words."""
        ended = f"{len(self.kills)} kills, {len(self.same)} finished runs"
        return f"{ended}: all weights identical to the bit" if all(self.same) else f"{ended}: {self.same.count(False)} WITH OTHER WEIGHTS"


def write_table(path: Path, steps: int = 1500) -> None:
    """A noisy daily wave with gaps and spikes, hourly, as CSV."""
    random_numbers = np.random.default_rng(0)
    y = 10 + 3 * np.sin(np.arange(steps) * 2 * np.pi / 24) + random_numbers.normal(0, 0.5, steps)
    y[random_numbers.integers(0, steps, 10)] += 50
    times = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 1) + pl.duration(hours=steps - 1), "1h", eager=True)
    frame = pl.DataFrame({"ds": times, "y": y, "x": random_numbers.normal(size=steps)})
    frame.filter(pl.int_range(pl.len()) % 97 != 5).write_csv(path, datetime_format="%Y-%m-%d %H:%M")


def words(table: Path, out: Path, network: str, more: tuple[str, ...] = ()) -> list[str]:
    """The command line of one training."""
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    options = ["--past", "x", "--horizon", "6", "--lookback", "48", "--network", network, "--out", str(out), "--quiet"]
    return [*CALL, "train", "forecast", str(table), *options, *settings, *more]


def start(command: list[str]) -> subprocess.Popen[str]:
    """The training, with this process's way to find modules."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finish(command: list[str]) -> float:
    """Run to the end; seconds. Raises RuntimeError with what was said if it fails."""
    begin = time.monotonic()
    process = start(command)
    _, error = process.communicate()
    if process.returncode:
        raise RuntimeError(f"exit status {process.returncode}: {error}")
    return time.monotonic() - begin


def moment(mode: str, out: Path, seconds: float, chance: random.Random) -> Callable[[], bool]:
    """A function that says whether the moment has come, for a training that starts now and takes so many seconds undisturbed."""
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} if out.exists() else {}

    def written(path: Path) -> bool:
        return path.exists() and path.stat().st_mtime_ns != before.get(path)

    if mode == "while one is written":
        return lambda: any(path not in before for path in (out / "checkpoint").glob("*.tmp"))
    if mode == "a random time":
        until = time.monotonic() + chance.uniform(0.0, seconds)
        return lambda: time.monotonic() >= until
    sign = out / ("config.json" if mode == "before a checkpoint" else "model.safetensors")
    least = chance.uniform(0.0, 0.02 * seconds)
    seen: list[float] = []

    def due() -> bool:
        if not seen and written(sign):
            seen.append(time.monotonic())
        return bool(seen) and time.monotonic() >= seen[0] + least

    return due


def found(out: Path) -> str:
    """What is on disk, in words."""
    if not (out / "run.json").exists():
        return "nothing yet"
    state = json.loads((out / "run.json").read_text())["state"]
    names = [name for name in ("config.json", "checkpoint/state.safetensors", "model.safetensors", "report.html") if (out / name).exists()]
    half = sorted(path.name for path in out.rglob("*.tmp"))
    epochs = len((out / "metrics.jsonl").read_text().splitlines()) if (out / "metrics.jsonl").exists() else 0
    last = names[-1] if names else "run.json"
    return f"{state}, {epochs} epochs, {last}" + (f", half of {half[0]}" if half else "")


def kill_once(command: list[str], due: Callable[[], bool], out: Path) -> tuple[float, str] | None:
    """Start, wait for the moment, kill -9. Seconds and what is on disk, or None if its work was done before, whether or not the process
    had ended too."""
    begin = time.monotonic()
    process = start(command)
    while process.poll() is None and not due():
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    took = time.monotonic() - begin
    _, error = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"exit status {process.returncode}: {error}")
    said = found(out)
    return None if process.returncode == 0 or said.startswith("finished") else (took, said)


def kill_and_resume(
    folder: Path, kills: int, seed: int = 0, network: str = "attention-cnn-lstm", listen: Callable[[Kill], None] = lambda kill: None
) -> Outcome:
    """Kill trainings `kills` times and compare all that end with an undisturbed one. Raises RuntimeError if a training fails."""
    table, chance = folder / "table.csv", random.Random(seed)
    write_table(table)
    seconds = finish(words(table, folder / "undisturbed", network))
    expected = (folder / "undisturbed" / "model.safetensors").read_bytes()
    done: list[Kill] = []
    same: list[bool] = []
    while len(done) < kills or not same:
        out = folder / f"run{len(same)}"
        command = words(table, out, network, ("--resume",))
        for mode in MODES[: kills - len(done)]:
            killed = kill_once(command, moment(mode, out, seconds, chance), out)
            if killed is None:
                break
            done.append(Kill(len(same), mode, *killed))
            listen(done[-1])
        finish(command)
        same.append((out / "model.safetensors").read_bytes() == expected)
    return Outcome(done, same, seconds)


def main() -> None:
    """Measure and print."""
    parser = arguments("kill_resume", "Training that is killed again and again, beside training that is not: the same bits?")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--network", default="attention-cnn-lstm")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = kill_and_resume(Path(folder), options.kills, options.seed, options.network)
    rows = [{"kill": number + 1, **vars(kill)} for number, kill in enumerate(outcome.kills)]
    facts = {"verdict": outcome.verdict, "seconds": outcome.seconds}
    if options.json:
        show_json("kill_resume", {"rows": rows, "identical": all(outcome.same), **facts})
    else:
        show("kill_resume", rows, facts)
    sys.exit(0 if all(outcome.same) else 1)


if __name__ == "__main__":
    main()
