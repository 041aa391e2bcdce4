"""Streaming: an LSTM that is fed one step at a time, as samples arrive."""

import weakref
from ctypes import c_void_p
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from tidegate.nn.native import DTYPES, Library, library

Array = TypeVar("Array", np.ndarray, Tensor)


class LSTMSession:
    """The state of one or several streams beside a copy of an LSTM's weights, ready for one step after the other.

    lstm     torch.nn.LSTM (or tidegate.nn.LSTM) on the CPU: any number of layers, one direction, no projection. Its weights are copied:
             what happens to them later does not change the session
    streams  B sequences that advance together

    A session belongs to one thread at a time. Raises ValueError for an LSTM that cannot be streamed.
    """

    def __init__(self, lstm: nn.LSTM, streams: int = 1) -> None:
        if lstm.bidirectional or lstm.proj_size:
            raise ValueError("a stream has no end to begin the second direction at, and projections are not streamed; give a plain LSTM")
        if streams < 1:
            raise ValueError(f"streams is {streams}; expected at least 1")
        weight = lstm.get_parameter("weight_hh_l0")
        if weight.device.type != "cpu":
            raise ValueError(f"the LSTM is on {weight.device}; streaming runs on the CPU: give lstm.cpu()")
        self.streams, self.inputs, self.hidden, self.layers = streams, lstm.input_size, lstm.hidden_size, lstm.num_layers
        self.dtype = weight.dtype
        self._shape = (streams, self.inputs)
        self._numpy = torch.zeros(0, dtype=self.dtype).numpy().dtype
        self._native = library() if self.dtype in DTYPES else None
        if self._native is None:
            self._twin = _twin(lstm)
            self._state = self._zeros()
            return
        # Arrays pass through buffers whose addresses are known: to ask an array for its address takes longer than to copy it.
        self._in, self._out = np.empty(self._shape, self._numpy), np.empty((streams, self.hidden), self._numpy)
        self._in_place, self._out_place = self._in.ctypes.data, self._out.ctypes.data
        self._session = _new(self._native, lstm, streams)
        self._step = self._native.session_step
        weakref.finalize(self, self._native.session_free, self._session)

    def step(self, x: Array) -> Array:
        """One step: x [B, I] to the top layer's hidden state [B, H], of the kind that came in; without the first axis both where a single
        stream is given [I]. Raises ValueError where shape or type do not fit."""
        if isinstance(x, np.ndarray):
            if x.dtype != self._numpy or (x.shape != self._shape and not self._is_single(x.shape)):
                raise ValueError(f"x has the type {x.dtype} and shape {x.shape}; expected {self._numpy} and {self._shape}: streams, inputs")
            if self._native is None:
                y = self._by_torch(torch.from_numpy(x)).numpy()
            else:
                self._in[...] = x
                self._step(self._session, self._in_place, self._out_place)
                y = self._out.copy()
            return y if x.ndim == 2 else y[0]
        if x.dtype is not self.dtype or not x.is_cpu or (x.shape != self._shape and not self._is_single(x.shape)):
            raise ValueError(
                f"x has the type {x.dtype} and shape {tuple(x.shape)} on {x.device}; expected {self.dtype} and {self._shape} on the CPU"
            )
        if self._native is None:
            z = self._by_torch(x.detach())
        else:
            x, z = x.contiguous(), torch.empty(self.streams, self.hidden, dtype=self.dtype)
            self._step(self._session, x.data_ptr(), z.data_ptr())
        return z if x.ndim == 2 else z[0]

    @property
    def state(self) -> tuple[Tensor, Tensor]:
        """Copies of the hidden and cell states of all layers, [layers, B, H] each, as torch.nn.LSTM takes and returns them."""
        if self._native is None:
            return self._state[0].clone(), self._state[1].clone()
        h, c = self._zeros()
        self._native.session_get(self._session, h.data_ptr(), c.data_ptr())
        return h, c

    @state.setter
    def state(self, value: tuple[Tensor, Tensor]) -> None:
        expected = (self.layers, self.streams, self.hidden)
        for part in value:
            if tuple(part.shape) != expected:
                raise ValueError(f"the state has the shape {tuple(part.shape)}; expected {expected}")
        h, c = (part.detach().to("cpu", self.dtype).contiguous() for part in value)
        if self._native is None:
            self._state = (h.clone(), c.clone())
        else:
            self._native.session_set(self._session, h.data_ptr(), c.data_ptr())

    def reset(self) -> None:
        """Begin anew: all states zero."""
        self.state = self._zeros()

    def _zeros(self) -> tuple[Tensor, Tensor]:
        h, c = torch.zeros(2, self.layers, self.streams, self.hidden, dtype=self.dtype)
        return h, c

    def _is_single(self, shape: tuple[int, ...]) -> bool:
        return self.streams == 1 and shape == (self.inputs,)

    def _by_torch(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y, self._state = self._twin(x.view(1, self.streams, self.inputs), self._state)
        return y[0]


def _weights(lstm: nn.LSTM, layer: int) -> list[Tensor | None]:
    """Four: w_ih, w_hh, b_ih, b_hh."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[: 4 if lstm.bias else 2]
    return [*(getattr(lstm, f"{name}_l{layer}").detach().contiguous() for name in names), *[None] * (4 - len(names))]


def _new(native: Library, lstm: nn.LSTM, streams: int) -> int:
    weights = [weight for layer in range(lstm.num_layers) for weight in _weights(lstm, layer)]
    pointers = (c_void_p * len(weights))(*(None if weight is None else weight.data_ptr() for weight in weights))
    dtype = DTYPES[lstm.get_parameter("weight_hh_l0").dtype]
    session = native.session_new(dtype, lstm.num_layers, streams, lstm.input_size, lstm.hidden_size, pointers)
    if not session:
        raise MemoryError("no memory for the session's weights")
    return session


def _twin(lstm: nn.LSTM) -> nn.LSTM:
    """A copy on torch's own code, with time first."""
    twin = nn.LSTM(lstm.input_size, lstm.hidden_size, lstm.num_layers, lstm.bias, dtype=lstm.get_parameter("weight_hh_l0").dtype)
    twin.load_state_dict(lstm.state_dict())
    return twin.eval()
