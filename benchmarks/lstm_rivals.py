"""The LSTM layer beside ONNX Runtime, Keras, and torch.nn.LSTM on CUDA: parts of `lstm_speed` that need a package or a device."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from benchmarks.lstm_pairs import PUBLISHED, Shape, compare, compare_forward, layers


def onnx(options: argparse.Namespace, peak: float) -> list[dict[str, Any]]:
    """ONNX Runtime, inference; needs the packages onnx and onnxruntime."""
    return [onnx_row(sizes, options, peak) for sizes in options.shapes or PUBLISHED]


def onnx_row(sizes: Shape, options: argparse.Namespace, peak: float) -> dict[str, Any]:
    """Ours and ONNX Runtime's with the same weights, and how far apart their outputs are."""
    batch, steps, inputs, hidden = sizes
    own, _ = layers(inputs, hidden)
    session = onnx_session(own, sizes, options.threads)
    x = torch.randn(batch, steps, inputs)
    theirs = x.transpose(0, 1).contiguous().numpy()
    with torch.inference_mode():
        difference = float(np.abs(session.run(None, {"x": theirs})[0][:, 0].swapaxes(0, 1) - own(x)[0].numpy()).max())
    row = compare_forward("onnx", sizes, lambda: own(x), lambda: session.run(None, {"x": theirs}), options, peak)
    return {**row, "difference": difference}


def onnx_session(layer: nn.LSTM, sizes: Shape, threads: int) -> Any:
    """The layer in ONNX Runtime, time first: input x [T, B, I], output y [T, 1, B, H]."""
    import onnx.helper as make  # pyright: ignore[reportMissingImports]
    import onnxruntime  # pyright: ignore[reportMissingImports]
    from onnx import TensorProto, numpy_helper  # pyright: ignore[reportMissingImports]

    batch, steps, inputs, hidden = sizes

    def gates(name: str) -> torch.Tensor:
        """[1, 4H, ...], from torch's order i f g o to ONNX's i o f c."""
        weight = layer.get_parameter(name).detach()
        return weight.view(4, hidden, *weight.shape[1:])[[0, 3, 1, 2]].reshape(1, *weight.shape)

    biases = torch.cat([gates("bias_ih_l0"), gates("bias_hh_l0")], dim=1)
    arrays = {"W": gates("weight_ih_l0"), "R": gates("weight_hh_l0"), "B": biases}
    graph = make.make_graph(
        [make.make_node("LSTM", ["x", "W", "R", "B"], ["y"], hidden_size=hidden)],
        "lstm",
        [make.make_tensor_value_info("x", TensorProto.FLOAT, [steps, batch, inputs])],
        [make.make_tensor_value_info("y", TensorProto.FLOAT, [steps, 1, batch, hidden])],
        [numpy_helper.from_array(value.numpy(), name) for name, value in arrays.items()],
    )
    choices = onnxruntime.SessionOptions()
    choices.intra_op_num_threads = threads
    choices.add_session_config_entry("session.intra_op.allow_spinning", "0")  # or its threads would go on through our calls
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 14)], ir_version=8).SerializeToString()
    return onnxruntime.InferenceSession(model, choices, providers=["CPUExecutionProvider"])


def keras(options: argparse.Namespace, peak: float) -> list[dict[str, Any]]:
    """Keras on the backend that KERAS_BACKEND names (jax, tensorflow), inference; needs that installed."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    return [keras_row(sizes, options, peak) for sizes in options.shapes or PUBLISHED]


def keras_row(sizes: Shape, options: argparse.Namespace, peak: float) -> dict[str, Any]:
    """Ours and Keras's at one shape."""
    import keras  # pyright: ignore[reportMissingImports]

    batch, steps, inputs, hidden = sizes
    own, _ = layers(inputs, hidden)
    x = torch.randn(batch, steps, inputs)
    model = keras.Sequential([keras.layers.Input((steps, inputs)), keras.layers.LSTM(hidden, return_sequences=True)])
    array = x.numpy()
    return compare_forward("keras", sizes, lambda: own(x), lambda: model.predict_on_batch(array), options, peak)


def cuda(options: argparse.Namespace, peak: float) -> list[dict[str, Any]]:
    """Training on CUDA with `LSTM.persistent` beside torch.nn.LSTM: lengths in a padded batch, and float16 of more than small layers."""
    if not torch.cuda.is_available():
        sys.exit("lstm_speed: the part 'cuda' needs a CUDA device")
    rows = [cuda_row(sizes, torch.float32, True, 1, options) for sizes in ((64, 500, 40, 128), (64, 200, 40, 64))]
    wide = ((16, 1024, 768, 768), (30, 200, 40, 256), (200, 100, 40, 512))
    return rows + [cuda_row(sizes, torch.float16, False, count, options) for sizes in wide for count in (1, 2)]


def cuda_row(sizes: Shape, dtype: torch.dtype, ragged: bool, directions: int, options: argparse.Namespace) -> dict[str, Any]:
    """One shape; torch gets different lengths as a PackedSequence."""
    batch, steps, inputs, hidden = sizes
    own, other = (layer.to("cuda", dtype) for layer in layers(inputs, hidden, bidirectional=directions == 2))
    own.persistent = True
    x = torch.randn(batch, steps, inputs, device="cuda", dtype=dtype)
    many = torch.randint(1, steps + 1, (batch,)) if ragged else torch.full((batch,), steps)
    packed = pack_padded_sequence(x, many, True, enforce_sorted=False) if ragged else x

    def train(layer: nn.LSTM, outputs: Callable[[], torch.Tensor]) -> Callable[[], None]:
        def call() -> None:
            layer.zero_grad(set_to_none=True)
            outputs().float().sum().backward()
            torch.cuda.synchronize()

        return call

    def torchs() -> torch.Tensor:
        found = other(packed)[0]
        return found.data if isinstance(found, PackedSequence) else found

    ours = train(own, lambda: own(x, lengths=many if ragged else None)[0])
    name = f"{str(dtype).removeprefix('torch.')}, {directions} x {batch},{'1..' if ragged else ''}{steps},{inputs},{hidden}"
    return compare("cuda", name, ours, train(other, torchs), options.seconds, 0.0, 0.0)
