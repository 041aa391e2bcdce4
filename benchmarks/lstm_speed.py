"""How fast is tidegate.nn.LSTM beside torch.nn.LSTM at its best? Both run in turn in one process, so the ratio holds on a noisy machine.

torch.nn.LSTM is given inference_mode where no gradient is wanted, and flushes denormal numbers except where the question is what they
cost. Floating-point operations are counted as 8 H (I + H) B T forward and three times that for training, of which 8 H I B T (the
gradient of the inputs) is not asked for, as in a first layer. The peak is a loop of multiplications and additions in registers, timed in
the same run. Threads: 2, or those of --threads.
"""

import argparse
import copy
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from benchmarks.common import arguments, show, show_json
from benchmarks.long_horizon import SETTINGS, gather_rows
from benchmarks.lstm_pairs import PUBLISHED, RANGE, Shape, compare, compare_forward, layers, pair, seconds, shape, trainer
from benchmarks.lstm_rivals import cuda, keras, onnx
from tidegate.demo import demo_data
from tidegate.nn import LSTMSession, backend
from tidegate.nn import lstm as lstm_module
from tidegate.nn.native import library
from tidegate.tasks.forecasting.demo import demo_config
from tidegate.tasks.forecasting.fitting import new_network, training_events
from tidegate.tasks.forecasting.material import Material, gather
from tidegate.train.events import Stepped

SECTIONS = ("training", "inference", "lengths", "streaming", "denormals", "busy", "network")


def main() -> None:
    """Measure and print."""
    parser = arguments("lstm_speed", "How fast is tidegate.nn.LSTM beside torch.nn.LSTM at its best?")
    which = f"which parts: {', '.join(SECTIONS)}, bfloat16, onnx, keras, cuda (default: the first {len(SECTIONS)})"
    parser.add_argument("sections", nargs="*", default=SECTIONS, help=which)
    parser.add_argument("--shapes", type=shape, nargs="+", help="B,T,I,H each (default: the published ones, and the ends of the range)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each side of each pair (default: 2)")
    parser.add_argument("--data", type=Path, help="ETTh1.csv, for the part 'network'")
    options = parser.parse_args()
    if options.data is not None and not options.data.is_file():
        parser.error(f"no such file: {options.data}")
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    peak = measure_peak(options.threads)
    rows = [row for section in options.sections for row in PARTS[section](options, peak)]
    facts = {"backend": str(backend()), "threads": options.threads, "peak": f"{peak:.0f} GFLOP/s", **means(rows)}
    if options.json:
        show_json("lstm_speed", {"rows": rows, "peak_gflops": peak, **facts})
    else:
        show("lstm_speed", rows, facts)


def means(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Geometric mean and least of the ratios of each part."""
    found = {}
    for part in dict.fromkeys(row["part"] for row in rows):
        ratios = [row["ratio"] for row in rows if row["part"] == part and row.get("ratio")]
        if ratios:
            found[part] = f"{statistics.geometric_mean(ratios):.2f} times as fast in the geometric mean, {min(ratios):.2f} at least"
    return found


def measure_peak(threads: int) -> float:
    """GFLOP/s of multiplications and additions on that many threads; the best of some."""
    native, rounds = library(), 4_000_000
    if native is None:
        return float("nan")
    loop = native.peak_loop
    loop(rounds, threads)
    return max(loop(rounds, threads) / seconds(lambda: loop(rounds, threads)) for _ in range(12)) / 1e9


def training(options: argparse.Namespace, peak: float) -> list[dict[str, Any]]:
    """Forward and backward at each shape."""
    rows = []
    for batch, steps, inputs, hidden in options.shapes or PUBLISHED + RANGE:
        own, other = layers(inputs, hidden)
        x, gradient = torch.randn(batch, steps, inputs), torch.randn(batch, steps, hidden)
        flops = 24.0 * hidden * (inputs + hidden) * batch * steps
        name = f"{batch},{steps},{inputs},{hidden}"
        rows.append(compare("training", name, trainer(own, x, gradient), trainer(other, x, gradient), options.seconds, flops, peak))
    return rows


def inference(options: argparse.Namespace, peak: float) -> list[dict[str, Any]]:
    """Forward alone, in inference_mode."""
    return [inference_row(sizes, options, peak) for sizes in options.shapes or PUBLISHED + RANGE]


def inference_row(sizes: Shape, options: argparse.Namespace, peak: float) -> dict[str, Any]:
    """Ours and torch's at one shape."""
    batch, steps, inputs, hidden = sizes
    own, other = layers(inputs, hidden)
    x = torch.randn(batch, steps, inputs)
    return compare_forward("inference", sizes, lambda: own(x), lambda: other(x), options, peak)


def bfloat16(options: argparse.Namespace, peak: float) -> list[dict[str, Any]]:
    """Our own layer with products of bfloat16 beside that with products of float32, at H >= 256: training, and inference."""
    rows = []
    for batch, steps, inputs, hidden in options.shapes or [sizes for sizes in PUBLISHED + RANGE if sizes[3] >= 256]:
        exact, _ = layers(inputs, hidden)
        rounded = copy.deepcopy(exact)
        rounded.bfloat16 = True
        x, gradient = torch.randn(batch, steps, inputs), torch.randn(batch, steps, hidden)
        name, flops = f"{batch},{steps},{inputs},{hidden}", 8.0 * hidden * (inputs + hidden) * batch * steps
        kept = (options.seconds, 3.0 * flops, peak, "float32")
        rows.append(compare("bfloat16", f"training {name}", trainer(rounded, x, gradient), trainer(exact, x, gradient), *kept))
        with torch.inference_mode():
            kept = (options.seconds, flops, peak, "float32")
            rows.append(compare("bfloat16", f"inference {name}", lambda own=rounded, x=x: own(x), lambda own=exact, x=x: own(x), *kept))
    return rows


def lengths(options: argparse.Namespace, peak: float) -> list[dict[str, Any]]:
    """B 64, lengths 1 to 500, I 40, H 128, packed for torch and for us: forward, and forward with backward."""
    torch.manual_seed(0)
    own, other = layers(40, 128)
    many = torch.randint(1, 501, (64,))
    packed = pack_padded_sequence(torch.randn(64, 500, 40), many, True, enforce_sorted=False)
    gradient = torch.randn(int(many.sum()), 128)
    flops = 8.0 * 128 * 168 * float(many.sum())
    with torch.inference_mode():
        forward = compare("lengths", "forward, 64,1..500,40,128", lambda: own(packed), lambda: other(packed), options.seconds, flops, peak)
    calls = trainer(own, packed, gradient), trainer(other, packed, gradient)
    return [forward, compare("lengths", "training, 64,1..500,40,128", *calls, options.seconds, 3 * flops, peak)]


def streaming(options: argparse.Namespace, peak: float) -> list[dict[str, Any]]:
    """One step at I 8, H 128 for one stream and for eight at once."""
    return [row for streams in (1, 8) for row in streaming_rows(streams, options)]


def streaming_rows(streams: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """A session that is fed tensors, and the same fed arrays."""
    layer = nn.LSTM(8, 128)
    session, x = LSTMSession(layer, streams), torch.randn(streams, 8)
    array, sequence, state = x.numpy(), x[None], (torch.zeros(1, streams, 128), torch.zeros(1, streams, 128))
    rows = []
    with torch.inference_mode():
        for kind, step in {"tensor": lambda: session.step(x), "array": lambda: session.step(array)}.items():
            ours, theirs = pair(step, lambda: layer(sequence, state), min(options.seconds, 1.0))
            worst = float(np.quantile(ours, 0.99))
            row = {"part": "streaming", "shape": f"{streams} of 8,128, {kind}", "median": 1e3 * statistics.median(ours)}
            row |= {"torch median": 1e3 * statistics.median(theirs), "99 % ms": 1e3 * worst}
            rows.append(row | {"ratio": statistics.median(theirs) / statistics.median(ours)})
    return rows


def denormals(options: argparse.Namespace, peak: float) -> list[dict[str, Any]]:
    """A loss of the last step alone, without flushing denormal numbers: B 128, T 96, I 1, H 128."""
    own, other = layers(1, 128)
    x = torch.randn(128, 96, 1)

    def last(layer: nn.LSTM) -> Callable[[], None]:
        def call() -> None:
            layer.zero_grad(set_to_none=True)
            layer(x)[0][:, -1].sum().backward()

        return call

    torch.set_flush_denormal(False)
    try:
        return [compare("denormals", "128,96,1,128", last(own), last(other), options.seconds, 24.0 * 128 * 129 * 128 * 96, peak)]
    finally:
        torch.set_flush_denormal(True)


@contextmanager
def spinning(count: int = 1) -> Any:
    """Other processes that never rest."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        time.sleep(0.3)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def busy(options: argparse.Namespace, peak: float) -> list[dict[str, Any]]:
    """Training throughput with one other process spinning, as a share of the idle machine's; and a streaming step then."""
    rows = []
    for batch, steps, inputs, hidden in options.shapes or PUBLISHED:
        own, other = layers(inputs, hidden)
        x, gradient = torch.randn(batch, steps, inputs), torch.randn(batch, steps, hidden)
        calls = trainer(own, x, gradient), trainer(other, x, gradient)
        rates = {}
        for state, scene in (("idle", nullcontext()), ("busy", spinning())):
            with scene:
                rates[state] = [1.0 / statistics.fmean(found) for found in pair(*calls, max(2.0, options.seconds))]
        row = {"part": "busy", "shape": f"{batch},{steps},{inputs},{hidden}", "share kept": rates["busy"][0] / rates["idle"][0]}
        rows.append(row | {"torch keeps": rates["busy"][1] / rates["idle"][1], "ratio": rates["busy"][0] / rates["busy"][1]})
    session, x = LSTMSession(nn.LSTM(8, 128)), torch.randn(1, 8)
    with spinning():
        times = [seconds(lambda: session.step(x)) for _ in range(50_000)]
    middle = statistics.median(times)
    return [*rows, {"part": "busy", "shape": "streaming", "median": 1e3 * middle, "99 % ms": 1e3 * float(np.quantile(times, 0.99))}]


def network(options: argparse.Namespace, peak: float) -> list[dict[str, Any]]:
    """A training step of whole forecast networks, batches and update included: the demo's, and with --data ETTh1.csv the one of
    `long_horizon` (horizon 96, lookback 720, all columns) and the plain LSTM."""
    materials = {"demo": gather(demo_data(), demo_config())}
    if options.data is not None:
        for name in SETTINGS:
            asked = argparse.Namespace(data=options.data, border=None, horizon=96, lookback=None, network=name, set=[])
            materials[f"{options.data.stem}, {name}"] = gather_rows(asked)
    return [step_row(name, material, options) for name, material in materials.items()]


def step_row(name: str, material: Material, options: argparse.Namespace) -> dict[str, Any]:
    """The same training twice, each a step in turn."""
    rate = {"learning_rate": 1e-3, "max_epochs": 1000, "patience": 1000}
    config = material.config.model_copy(update={"training": material.config.training.model_copy(update=rate)})
    runs = [training_events(material, config, new_network(material, config), None, None, lambda: False) for _ in range(2)]
    times: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + 4 * options.seconds
    while time.perf_counter() < end:
        for events, found, native in zip(runs, times, (True, False), strict=True):
            with nullcontext() if native else patch.object(lstm_module, "library", lambda: None):
                begin = time.perf_counter()
                if isinstance(next(events), Stepped):
                    found.append(time.perf_counter() - begin)
    ours, theirs = (statistics.median(found) for found in times)
    row = {"part": "network", "shape": name, "median": 1e3 * ours, "torch median": 1e3 * theirs}
    return row | {"ratio": theirs / ours, "ratio of best": min(times[1]) / min(times[0])}


PARTS: dict[str, Callable[[argparse.Namespace, float], list[dict[str, Any]]]] = {
    "training": training,
    "inference": inference,
    "lengths": lengths,
    "streaming": streaming,
    "denormals": denormals,
    "busy": busy,
    "network": network,
    "bfloat16": bfloat16,
    "onnx": onnx,
    "keras": keras,
    "cuda": cuda,
}

if __name__ == "__main__":
    main()
