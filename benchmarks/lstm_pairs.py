"""Two callables in turn in one process, as rows of a table: what the parts of `lstm_speed` share."""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tidegate.nn import LSTM

Shape = tuple[int, int, int, int]
PUBLISHED: tuple[Shape, ...] = (
    (32, 96, 7, 128),
    (64, 100, 100, 64),
    (128, 96, 1, 128),
    (32, 96, 7, 256),
    (64, 100, 128, 512),
    (16, 300, 40, 320),
)
RANGE: tuple[Shape, ...] = (
    (8, 24, 1, 32),
    (8, 512, 16, 64),
    (256, 24, 1, 32),
    (256, 128, 128, 64),
    (8, 128, 8, 128),
    (256, 48, 32, 128),
    (32, 512, 64, 256),
    (8, 96, 128, 512),
    (128, 48, 16, 512),
    (8, 24, 128, 1024),
    (64, 48, 64, 1024),
)


def shape(text: str) -> Shape:
    """'B,T,I,H'."""
    batch, steps, inputs, hidden = (int(part) for part in text.split(","))
    return batch, steps, inputs, hidden


def seconds(call: Callable[[], object]) -> float:
    """Of one call."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def pair(own: Callable[[], object], other: Callable[[], object], budget: float) -> tuple[list[float], list[float]]:
    """Times of both, in turn, a tenth of the budget at a time."""
    for call in (own, other):
        call()
        call()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(10):
        for call, found in zip((own, other), times, strict=True):
            end = time.perf_counter() + budget / 10
            found.append(seconds(call))
            while time.perf_counter() < end:
                found.append(seconds(call))
    return times


def compare(
    part: str,
    name: str,
    own: Callable[[], object],
    other: Callable[[], object],
    budget: float,
    flops: float,
    peak: float,
    rival: str = "torch",
) -> dict[str, Any]:
    """A row of the table. The ratio is that of the best times, which other work on the machine disturbs least."""
    ours, theirs = pair(own, other, budget)
    row = {"part": part, "shape": name, "ms": 1e3 * min(ours), "median": 1e3 * statistics.median(ours), f"{rival} ms": 1e3 * min(theirs)}
    row |= {f"{rival} median": 1e3 * statistics.median(theirs), "ratio": min(theirs) / min(ours)}
    row["ratio of medians"] = statistics.median(theirs) / statistics.median(ours)
    return row | ({"GFLOP/s": flops / min(ours) / 1e9, "of peak": flops / min(ours) / 1e9 / peak} if flops else {})


def compare_forward(
    part: str, sizes: Shape, own: Callable[[], object], other: Callable[[], object], options: argparse.Namespace, peak: float
) -> dict[str, Any]:
    """A row of two forward passes, in inference_mode."""
    batch, steps, inputs, hidden = sizes
    flops = 8.0 * hidden * (inputs + hidden) * batch * steps
    with torch.inference_mode():
        return compare(part, f"{batch},{steps},{inputs},{hidden}", own, other, options.seconds, flops, peak)


def layers(inputs: int, hidden: int, count: int = 1, bidirectional: bool = False) -> tuple[LSTM, nn.LSTM]:
    """Ours and torch's, batch first."""
    kind: dict[str, Any] = {"num_layers": count, "batch_first": True, "bidirectional": bidirectional}
    return LSTM(inputs, hidden, **kind), nn.LSTM(inputs, hidden, **kind)


def trainer(layer: nn.LSTM, x: Any, gradient: torch.Tensor) -> Callable[[], None]:
    """Forward and backward, gradients of the weights."""

    def call() -> None:
        layer.zero_grad(set_to_none=True)
        y = layer(x)[0]
        (y if isinstance(y, torch.Tensor) else y.data).backward(gradient)

    return call
