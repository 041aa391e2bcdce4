"""What `data_path` runs in a Python of its own, so that each part's peak memory is its own. Prints one JSON object."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from tidegate.config import Config, build_config
from tidegate.data.windows import Batch
from tidegate.tasks.computing import computing
from tidegate.tasks.forecasting.fitting import EpochBatches, new_network
from tidegate.tasks.forecasting.material import gather
from tidegate.tasks.forecasting.model import batch_loss, to_inputs
from tidegate.tasks.forecasting.verbs import train
from tidegate.train.events import Stepped
from tidegate.train.loop import Batches, Job, fit
from tidegate.train.loss import build_loss

HORIZON = 24
SERIES_AT_ONCE = 100
MB = 1e6


def peak() -> float:
    """The most memory that this process has held, in MB. Of its own: getrusage counts what its parent held before the fork, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / MB


def settings(**training: Any) -> Config:
    """The library's defaults."""
    return build_config({"data": {"horizon": HORIZON}, "training": training})


def write(file: str, series: str, length: str) -> dict[str, Any]:
    """An hourly table (unique_id, ds, y): a daily season, a walk and noise; in pieces of some series, joined without holding all."""
    count, steps = int(series), int(length)
    pieces = []
    for number, first in enumerate(range(0, count, SERIES_AT_ONCE)):
        pieces.append(Path(file).with_suffix(f".{number}"))
        _some_series(first, min(SERIES_AT_ONCE, count - first), steps).write_parquet(pieces[-1])
    pl.scan_parquet(pieces).sink_parquet(file)
    for piece in pieces:
        piece.unlink()
    return {"rows": count * steps}


def _some_series(first: int, count: int, steps: int) -> pl.DataFrame:
    random = np.random.default_rng(first)
    season = 10.0 * np.sin(2.0 * np.pi * np.arange(steps) / 24.0)
    values = season + 0.2 * random.standard_normal((count, steps)).cumsum(1) + random.standard_normal((count, steps))
    hours = np.datetime64("2015-01-01T00:00:00", "us") + np.arange(steps) * np.timedelta64(3600, "s")
    ids = np.array([f"series-{first + number:05d}" for number in range(count)], dtype=object)
    columns = {"unique_id": np.repeat(ids, steps), "ds": np.tile(hours, count), "y": values.ravel().astype(np.float32)}
    return pl.DataFrame(columns)


def read(file: str) -> dict[str, Any]:
    """A file to windows, and an epoch of batches."""
    before = peak()
    begin = time.perf_counter()
    material = gather(file, settings())
    gathered = time.perf_counter()
    batches = EpochBatches(material.windows, material.training_origins(), material.config.training, 0)
    for number in range(len(batches)):
        to_inputs(batches[number], torch.device("cpu"))
    end = time.perf_counter()
    size = material.sequences.values.nbytes / MB
    above = peak() - before - size
    rows = material.table.height
    return {
        "series": len(material.sequences),
        "rows": rows,
        "rows_per_second": rows / (end - begin),
        "seconds_to_windows": gathered - begin,
        "windows_per_second": batches.windows / (end - gathered),
        "data_mb": size,
        "above_data_mb": above,
        "above_in_sizes": above / size,
    }


def train_large(file: str, run: str, steps: str) -> dict[str, Any]:
    """A whole run with a budget of steps: training, tests, report."""
    begin = time.perf_counter()
    summary = train(file, settings(max_steps=int(steps)), run)
    rows = pl.scan_parquet(file).select(pl.len()).collect().item()
    return {
        "what": f"{rows:,} rows",
        "data_mb": rows * 4 / MB,
        "peak_mb": peak(),
        "seconds": time.perf_counter() - begin,
        "mae": summary.metrics["mae"],
        "ridge_mae": summary.baselines["ridge"]["mae"],
    }


class Timed(Batches[Batch]):
    """Batches that say how long they took to be gathered."""

    def __init__(self, batches: Batches[Batch], add: Callable[[float], None]) -> None:
        self._batches, self._add, self.windows = batches, add, batches.windows

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, number: int) -> Batch:
        begin = time.perf_counter()
        batch = self._batches[number]
        self._add(time.perf_counter() - begin)
        return batch


class TimedNetwork(nn.Module):
    """A network that notes when its forward pass begins, so that the conversion to tensors before it can be told from it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.began = network, 0.0

    def forward(self, *inputs: Any) -> Any:
        self.began = time.perf_counter()
        return self.network(*inputs)


def step(file: str, steps: str) -> dict[str, Any]:
    """The share of a step that is neither network nor optimiser: gathering a batch and making tensors of it."""
    material = gather(file, settings(max_steps=int(steps), max_epochs=10_000))
    config = material.config
    spent = {"gather": 0.0, "tensors": 0.0}
    loss = build_loss(config.training)

    def add(seconds: float) -> None:
        spent["gather"] += seconds

    def timed_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        begin = time.perf_counter()
        result = batch_loss(loss, network, batch)
        assert isinstance(network, TimedNetwork)
        spent["tensors"] += network.began - begin
        return result

    origins = material.training_origins()
    network = TimedNetwork(new_network(material, config))
    job = Job(
        network,
        timed_loss,
        lambda epoch: Timed(EpochBatches(material.windows, origins, config.training, epoch), add),
        EpochBatches(material.windows, origins, config.training.model_copy(update={"windows_per_epoch": 1}), 0),
        config.training,
    )
    total, done = _time_steps(job, config)
    outside = spent["gather"] + spent["tensors"]
    return {
        "steps": done,
        "batch": config.training.batch_size,
        "lookback": material.windows.lookback,
        "ms_a_step": 1e3 * total / done,
        "ms_gather": 1e3 * spent["gather"] / done,
        "ms_tensors": 1e3 * spent["tensors"] / done,
        "share_outside": outside / total,
    }


def _time_steps(job: Job[Batch], config: Config) -> tuple[float, int]:
    """Seconds of all steps, validation left out, and their number."""
    total, done, last = 0.0, 0, time.perf_counter()
    with computing(config.training.threads):
        for event in fit(job):
            now = time.perf_counter()
            if isinstance(event, Stepped):
                total, done = total + now - last, done + 1
            last = now
    return total, done


PARTS: dict[str, Callable[..., dict[str, Any]]] = {"write": write, "read": read, "train": train_large, "step": step}

if __name__ == "__main__":
    print(json.dumps(PARTS[sys.argv[1]](*sys.argv[2:])))
