"""Keras's side of `keras_example`: a program of its own in an environment that has Keras, so that it imports nothing of Tidegate.

    KERAS_BACKEND=jax PYTHON benchmarks/keras_peer.py BATCH,STEPS,FEATURES,UNITS BATCHES THREADS [float32|bfloat16]

It writes one line of JSON when it is ready (`absent` if Keras or the back end is not installed), and then one for each line that it reads:
after the number of epochs to train, how many seconds they took.
"""

import json
import os
import sys
import time
from typing import Any

import numpy as np

Shape = tuple[int, int, int, int]
CLASSES = 10


def generated(shape: Shape, batches: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences float32 [n, T, C] and classes int64 [n]: noise around a curve for each class and feature, the same at each call."""
    batch, steps, features, _ = shape
    random = np.random.default_rng(0)
    y = random.permutation(batch * batches) % CLASSES
    curves = random.standard_normal((CLASSES, steps, features), np.float32).cumsum(1) / np.float32(np.sqrt(steps))
    return curves[y] + random.standard_normal((len(y), steps, features), np.float32), y


def main() -> None:
    """Build the model, say that it is ready, train as often as asked."""
    shape, batches, threads = tuple(int(part) for part in sys.argv[1].split(",")), int(sys.argv[2]), int(sys.argv[3])
    if hasattr(os, "sched_setaffinity"):  # JAX takes a thread for each processor that it may use
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    try:
        limit_threads(os.environ["KERAS_BACKEND"], threads)
        import keras  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        print(json.dumps({"absent": str(error)}), flush=True)
        return
    if sys.argv[4:] == ["bfloat16"]:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    train = trainer(keras, shape, batches)  # type: ignore[arg-type]
    train(1)
    print(json.dumps({"keras": keras.__version__}), flush=True)
    for line in sys.stdin:
        print(json.dumps(train(int(line))), flush=True)


def limit_threads(backend: str, threads: int) -> None:
    """By the back end's own setting, where it has one."""
    if backend == "tensorflow":
        import tensorflow  # pyright: ignore[reportMissingImports, reportMissingModuleSource]

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    elif backend == "torch":
        import torch

        torch.set_num_threads(threads)
    else:
        import jax  # pyright: ignore[reportMissingImports] # noqa: F401


def trainer(keras: Any, shape: Shape, batches: int) -> Any:
    """The example: a function that trains for so many epochs and says how long they took, from the first batch to the last metric."""
    batch, steps, features, units = shape
    x, y = generated(shape, batches)
    model = keras.Sequential([keras.layers.Input((steps, features)), keras.layers.LSTM(units), keras.layers.Dense(CLASSES)])
    model.compile(
        optimizer=keras.optimizers.Adam(0.001),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    times: list[float] = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            times.append(time.perf_counter())

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            times.append(time.perf_counter())

    clock = Clock()

    def train(epochs: int) -> dict[str, float]:
        times.clear()
        history = model.fit(x, y, batch_size=batch, epochs=epochs, verbose=0, callbacks=[clock]).history
        return {"seconds": times[-1] - times[0], **{name: float(values[-1]) for name, values in history.items()}}

    return train


if __name__ == "__main__":
    main()
