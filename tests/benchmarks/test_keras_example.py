"""The benchmark of the Keras example on a tiny shape, with a stand-in for Keras: who is measured, and that the figures fit together."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import keras_example
from benchmarks.keras_example import EXAMPLE, PlainNetwork, own_material, recipe
from benchmarks.keras_peer import generated
from tidegate.tasks.classification.fitting import new_network

KERAS = """
import os, types

if os.environ["KERAS_BACKEND"] == "jax":
    raise ModuleNotFoundError("No module named 'jax'")
__version__ = "0"
layers = types.SimpleNamespace(Input=lambda shape: shape, LSTM=lambda units: units, Dense=lambda units: units)
optimizers = types.SimpleNamespace(Adam=lambda rate: rate)
losses = types.SimpleNamespace(SparseCategoricalCrossentropy=lambda from_logits: from_logits)


class Callback:
    pass


callbacks = types.SimpleNamespace(Callback=Callback)


def set_global_policy(name):
    global __version__
    __version__ = name


mixed_precision = types.SimpleNamespace(set_global_policy=set_global_policy)


class Sequential:
    def __init__(self, layers):
        assert layers == [(3, 2), 4, 10]

    def compile(self, optimizer, loss, metrics):
        assert (optimizer, loss, metrics) == (0.001, True, ["accuracy"])

    def fit(self, x, y, batch_size, epochs, verbose, callbacks):
        assert (x.shape, y.shape, batch_size) == ((10, 3, 2), (10,), 5)
        for epoch in range(epochs):
            callbacks[0].on_epoch_begin(epoch)
            callbacks[0].on_epoch_end(epoch)
        return types.SimpleNamespace(history={"loss": [1.0], "accuracy": [0.5]})
"""


Found = Callable[..., dict[str, Any]]


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Found:
    """What `--json` prints where Keras is a stand-in whose JAX is absent and whose TensorFlow fails."""
    for name, text in {"keras": KERAS, "jax": "", "tensorflow": "raise RuntimeError", "torch": "def set_num_threads(count): pass"}.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def run(*more: str) -> dict[str, Any]:
        arguments = ["--shapes", "5,3,2,4", "--batches", "2", "--rounds", "3", "--threads", "1", "--json", *more]
        monkeypatch.setattr("sys.argv", ["keras_example", *arguments])
        threads = torch.get_num_threads()
        keras_example.main()
        assert torch.get_num_threads() == threads
        return json.loads(capsys.readouterr().out)

    return run


def test_what_it_prints(found: Found) -> None:
    printed = found()
    rows = {row["who"]: row for row in printed["rows"]}
    assert {"machine", "versions", "command"} <= set(printed)
    assert list(rows) == ["Tidegate", "step alone", "PyTorch", "Keras 0 on torch"]
    assert printed["left_out"] == {"Keras on jax": "No module named 'jax'", "Keras on tensorflow": "its process ended with status 1"}
    for row in rows.values():
        assert (row["shape"], row["rounds"]) == ("5,3,2,4", 3)
        assert 0 < row["best"] <= row["ms a step"] == pytest.approx(row["ms an epoch"] / 2)
        assert row["times Tidegate"] == pytest.approx(row["ms a step"] / rows["Tidegate"]["ms a step"])
    plain, keras = (rows[name]["times Tidegate"] for name in ("PyTorch", "Keras 0 on torch"))
    assert printed["5,3,2,4"] == f"{keras:.2f} times as fast as the fastest Keras, {plain:.2f} times as fast as PyTorch"


def test_all_round_to_bfloat16_where_that_is_asked_for(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    rounded, plain, forward = [], [], PlainNetwork.forward
    monkeypatch.setattr(PlainNetwork, "forward", lambda self, x: plain.append(forward(self, x)) or plain[-1])
    monkeypatch.setattr(keras_example, "rounded_products", lambda network, on: rounded.append(on) or nullcontext())
    printed = found("--precision", "bfloat16")
    assert printed["precision"] == "bfloat16"
    assert printed["rows"][-1]["who"] == "Keras mixed_bfloat16 on torch"
    assert set(rounded) == {True} and {product.dtype for product in plain} == {torch.bfloat16}
    assert own_material((5, 7, 3, 4), 4, "bfloat16")[1].training.precision == "bfloat16"


def test_all_train_the_same_thing() -> None:
    """As many sequences, steps and weights."""
    material, config = own_material((5, 7, 3, 4), 4)
    assert (len(material.train), len(material.validation), len(material.test)) == (20, 0, 0)
    assert (config.training.batch_size, config.training.members) == (5, 1)
    own, plain = new_network(material, config), PlainNetwork(3, 4)
    assert sorted(weight.shape for weight in own.parameters()) == sorted(weight.shape for weight in plain.parameters())


def test_the_recipe() -> None:
    config = recipe(EXAMPLE)
    assert (config.network.name, config.network.hidden, config.network.dropout) == ("lstm", 64, 0.0)
    assert (config.training.learning_rate, config.training.schedule, config.training.optimiser) == (1e-3, "constant", "adam")


def test_the_data_is_the_same_at_each_call() -> None:
    first, second = generated((5, 7, 3, 4), 4), generated((5, 7, 3, 4), 4)
    assert all(np.array_equal(*pair) for pair in zip(first, second, strict=True))
    assert first[0].shape == (20, 7, 3) and first[0].dtype == np.float32
    assert set(first[1]) <= set(range(10))
