"""How fast does the well-known Keras example train: by Tidegate, by Keras on each of its back ends, and by plain PyTorch?

The example: 64 sequences a batch, 100 steps, 100 features, an LSTM of 64 units, a dense layer to 10 classes, softmax cross-entropy from
logits, Adam at 0.001, accuracy. The second shape: 128 sequences a batch, 96 steps, one feature, 128 units. The data is generated.

All train in turn, an epoch at a time, so the ratio holds on a noisy machine; the median of the rounds counts. Tidegate is its training
loop on its own batches, with what it does by default: weights averaged, gradients clipped, their norm and the loss looked at after each
step. Keras is `compile` and `fit` in a process of its own for each back end, by the Python of --peers. PyTorch is a loop over shuffled
batches with loss and accuracy summed up, denormal numbers flushed. 'step alone' is Tidegate's network on one batch without the loop. All
have the same number of threads, and what compiles has compiled before the clock runs.

`--precision bfloat16` lets each round products in its own way: Tidegate by its setting, PyTorch by autocast, Keras by its policy
mixed_bfloat16. Weights and their updates are float32 everywhere.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks import keras_peer
from benchmarks.common import arguments, show, show_json
from benchmarks.keras_peer import CLASSES, Shape, generated
from benchmarks.lstm_pairs import shape
from tidegate.config import build_settings
from tidegate.config_classify import ClassConfig
from tidegate.data.labelled import from_arrays
from tidegate.nn import backend
from tidegate.nn.lstm import rounded_products
from tidegate.tasks.classification.fitting import SequenceBatches, class_loss, complete, epoch_batches, new_network
from tidegate.tasks.classification.material import ClassMaterial, gather_labelled
from tidegate.tasks.computing import computing
from tidegate.train.events import EpochEnded, Event
from tidegate.train.loop import Job, fit

EXAMPLE: Shape = (64, 100, 100, 64)
LONG: Shape = (128, 96, 1, 128)
BACKENDS = ("jax", "tensorflow", "torch")
PRECISIONS = FLOAT, ROUNDED = ("float32", "bfloat16")
Epoch = Callable[[], float]
"""Trains for one epoch and returns how many seconds it took."""


def recipe(sizes: Shape, precision: str = FLOAT) -> ClassConfig:
    """The example in Tidegate's settings; nothing is held aside, so that all train on the same sequences."""
    batch, _, _, units = sizes
    training = {"learning_rate": 1e-3, "schedule": "constant", "batch_size": batch, "members": 1, "max_epochs": 100_000}
    tree = {
        "data": {"test": 0.0, "validation": 0.0},
        "network": {"name": "lstm", "hidden": units, "dropout": 0.0},
        "training": {**training, "precision": precision},
    }
    return build_settings(tree, ClassConfig)


def own_material(sizes: Shape, batches: int, precision: str = FLOAT) -> tuple[ClassMaterial, ClassConfig]:
    """The generated data as `fit` of a Classifier takes it."""
    config = recipe(sizes, precision)
    material = gather_labelled(from_arrays(*generated(sizes, batches)), config)
    return material, complete(config, material)


def own_events(material: ClassMaterial, config: ClassConfig) -> Iterator[Event]:
    """Training without an end, as tasks/classification/fitting.py sets it up."""
    size = config.training.batch_size
    assert size is not None
    job = Job(
        new_network(material, config),
        class_loss(material, config),
        lambda epoch: epoch_batches(material, config, size, epoch),
        SequenceBatches(material.data.sequences, []),
        config.training,
    )
    return fit(job)


def own_epoch(sizes: Shape, batches: int, precision: str) -> Epoch:
    """Tidegate's training loop."""
    events = own_events(*own_material(sizes, batches, precision))

    def epoch() -> float:
        begin = time.perf_counter()
        next(event for event in events if isinstance(event, EpochEnded))
        return time.perf_counter() - begin

    return epoch


def step_alone(sizes: Shape, batches: int, precision: str) -> Epoch:
    """Forward, loss, backward and update of Tidegate's network on one batch, over and over."""
    material, config = own_material(sizes, batches, precision)
    network, loss = new_network(material, config), class_loss(material, config)
    batch = epoch_batches(material, config, sizes[0], 0)[0]
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)

    def epoch() -> float:
        begin = time.perf_counter()
        with rounded_products(network, precision == ROUNDED):
            for _ in range(batches):
                value, _ = loss(network, batch)
                optimiser.zero_grad()
                value.backward()
                optimiser.step()
        return time.perf_counter() - begin

    return epoch


class PlainNetwork(nn.Module):
    """What the example is in PyTorch."""

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.lstm, self.output = nn.LSTM(features, units, batch_first=True), nn.Linear(units, CLASSES)

    def forward(self, x_BTC: Tensor) -> Tensor:
        """Logits [B, K]."""
        return self.output(self.lstm(x_BTC)[0][:, -1])


def torch_epoch(sizes: Shape, batches: int, precision: str) -> Epoch:
    """A plain PyTorch loop."""
    batch, _, features, units = sizes
    x, y = (torch.from_numpy(array) for array in generated(sizes, batches))
    network = PlainNetwork(features, units)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)

    def epoch() -> float:
        begin = time.perf_counter()
        total, right = 0.0, torch.zeros(())
        for some in torch.randperm(len(x)).split(batch):
            truth = y[some]
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == ROUNDED):
                logits = network(x[some])
            loss = functional.cross_entropy(logits.float(), truth)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item()
            right += (logits.argmax(1) == truth).sum()
        return time.perf_counter() - begin

    return epoch


class KerasPeer:
    """Keras on one back end, in a process of its own. Raises ProcessError where there is none."""

    def __init__(self, python: str, name: str, sizes: Shape, batches: int, threads: int, precision: str) -> None:
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}
        self._process = subprocess.Popen(
            [python, keras_peer.__file__, ",".join(map(str, sizes)), str(batches), str(threads), precision],
            env={**os.environ, **quiet, "KERAS_BACKEND": name},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.version = self._answer()["keras"]

    def epoch(self) -> float:
        """One epoch of `fit`."""
        assert self._process.stdin is not None
        print(1, file=self._process.stdin, flush=True)
        return self._answer()["seconds"]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"absent": f"its process ended with status {self._process.wait()}"}
        if "absent" in answer:
            self.close()
            raise ProcessError(answer["absent"])
        return answer


class ProcessError(Exception):
    """A back end is not there, or failed."""


def measure(sizes: Shape, options: argparse.Namespace) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The table of one shape, Tidegate first, and why a back end is left out."""
    epochs: dict[str, Epoch] = {
        "Tidegate": own_epoch(sizes, options.batches, options.precision),
        "step alone": step_alone(sizes, options.batches, options.precision),
        "PyTorch": torch_epoch(sizes, options.batches, options.precision),
    }
    for epoch in epochs.values():
        epoch()  # Keras's processes have done so when they are ready
    absent: dict[str, str] = {}
    with ExitStack() as peers:
        for name in options.keras:
            try:
                peer = KerasPeer(options.peers, name, sizes, options.batches, options.threads, options.precision)
            except ProcessError as error:
                absent[f"Keras on {name}"] = str(error)
                continue
            peers.callback(peer.close)
            epochs[f"Keras {peer.version} on {name}"] = peer.epoch
        times = rounds(epochs, options.rounds)
    own = statistics.median(times["Tidegate"])
    return [row(sizes, name, found, own, options.batches) for name, found in times.items()], absent


SLOW = 10.0
"""Seconds of an epoch over which two rounds are enough."""


def rounds(epochs: dict[str, Epoch], count: int) -> dict[str, list[float]]:
    """Seconds of an epoch of each, in turn."""
    times: dict[str, list[float]] = {name: [] for name in epochs}
    for _ in range(count):
        for name, epoch in epochs.items():
            if len(times[name]) < 2 or times[name][0] < SLOW:
                times[name].append(epoch())
    return times


def row(sizes: Shape, name: str, found: list[float], own: float, batches: int) -> dict[str, Any]:
    """Medians, and how many times as long as Tidegate it takes."""
    middle = statistics.median(found)
    figures = {"ms a step": 1e3 * middle / batches, "best": 1e3 * min(found) / batches, "ms an epoch": 1e3 * middle}
    return {"shape": ",".join(map(str, sizes)), "who": name, **figures, "times Tidegate": middle / own, "rounds": len(found)}


def ratios(rows: list[dict[str, Any]]) -> dict[str, str]:
    """How many times as fast as each kind of rival Tidegate is, by shape."""
    found = {}
    for sizes in dict.fromkeys(line["shape"] for line in rows):
        times = {line["who"]: line["times Tidegate"] for line in rows if line["shape"] == sizes}
        fastest = min((value for name, value in times.items() if name.startswith("Keras")), default=None)
        words = "" if fastest is None else f"{fastest:.2f} times as fast as the fastest Keras, "
        found[sizes] = f"{words}{times['PyTorch']:.2f} times as fast as PyTorch"
    return found


def main() -> None:
    """Measure and print."""
    parser = arguments("keras_example", "The Keras example by Tidegate, Keras and plain PyTorch, in turn.")
    parser.add_argument("--peers", default=sys.executable, help="Python of an environment with keras and its back ends (default: this one)")
    parser.add_argument("--keras", nargs="*", default=BACKENDS, help=f"which back ends (default: {' '.join(BACKENDS)})")
    parser.add_argument("--shapes", type=shape, nargs="+", default=(EXAMPLE, LONG), help="B,T,features,units each (default: the two)")
    parser.add_argument("--batches", type=int, default=25, help="in an epoch (default: 25)")
    parser.add_argument("--rounds", type=int, default=7, help="epochs of each that count (default: 7)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=PRECISIONS, default=FLOAT, help="of products, by all (default: float32)")
    options = parser.parse_args()
    rows, left_out = [], {}
    with computing(options.threads):
        for sizes in options.shapes:
            found, absent = measure(sizes, options)
            rows, left_out = rows + found, left_out | absent
    facts = {
        "backend": str(backend()),
        "threads": options.threads,
        "precision": options.precision,
        "batches": options.batches,
        **ratios(rows),
    }
    if options.json:
        show_json("keras_example", {"rows": rows, "left_out": left_out, **facts})
    else:
        show("keras_example", rows, facts | {"left out": "; ".join(f"{name}: {why}" for name, why in left_out.items()) or "nothing"})


if __name__ == "__main__":
    main()
