"""One LSTM layer on CUDA, asked for so that cuDNN's persistent kernel computes it, which keeps the recurrent weights in registers over
all steps.

torch chooses cuDNN's kernel by the call (get_algo in its aten/src/ATen/native/cudnn/RNN.cpp): never the persistent one for a packed batch;
in float16 beyond small layers only for one layer in one direction whose sizes are multiples of 128 and whose batch is one of 8. So
sequences of different lengths go padded, and hold their state behind their ends; and each direction goes by itself, in sizes padded with
zeros that change no result. Shape letters: B sequences, T steps, I inputs, H hidden.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from tidegate.nn.native_layer import Layout, Weights

SMALL, SMALL_FORWARD = 128, 192
"""The most hidden units of the persistent kernel of any type but float64: with gradients, and without."""
MULTIPLE, LARGEST, ROWS, MOST_ROWS = 128, 1024, 8, 128
"""What the one of float16 takes: sizes in these multiples, so many hidden units, batches in multiples and of so many sequences."""
WORTH = 1.25
"""Hidden units are padded to the next multiple up to so many times as many: their products grow by the square."""
PROCESSORS = 98
HOLD = 1e4
"""An input of the gates at which the sigmoid is 0 or 1 to the last bit, in float16 too."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of a call: inputs and hidden units in multiples of `width`, sequences in multiples of `rows` and at most `most_rows`."""

    width: int = 1
    rows: int = 1
    most_rows: int | None = None

    def hidden(self, count: int) -> int:
        """Hidden units that are computed for so many."""
        return _up(count, self.width)


def sizes_for(dtype: torch.dtype, hidden: int, ragged: bool, gradients: bool, processors: int) -> Sizes | None:
    """What to ask for so that the persistent kernel runs where torch's plain call would not take it; None: the plain call.

    ragged      whether sequences have different lengths
    gradients   whether a backward pass follows
    processors  multiprocessors of a device that has the kernel of float16 (see `processors_of`), else 0
    """
    if dtype == torch.float64:
        return None
    if hidden <= (SMALL if gradients else SMALL_FORWARD):
        return Sizes() if ragged else None
    wanted = Sizes(MULTIPLE, ROWS, MOST_ROWS)
    fits = wanted.hidden(hidden) <= min(LARGEST, WORTH * hidden)
    return wanted if dtype == torch.float16 and processors >= PROCESSORS and fits else None


def processors_of(device: torch.device) -> int:
    """Multiprocessors of a CUDA device that has the persistent kernel of float16 (from compute capability 8.0 on, but not 8.6); else 0."""
    found = torch.cuda.get_device_properties(device)
    return found.multi_processor_count if found.major >= 8 and found.minor != 6 else 0


def persistent_layer(
    x: Tensor, h0: Tensor | None, c0: Tensor | None, weights: Weights, layout: Layout, sizes: Sizes
) -> tuple[Tensor, Tensor, Tensor]:
    """y in x's layout, which is not packed, h_n, c_n [D, B, H]; weights as in native_layer. What is computed is torch.nn.LSTM's."""
    assert weights[1] is not None and layout.offsets is None
    x_TBI = x.transpose(0, 1) if layout.batch_first else x
    lengths_B = None if layout.lengths is None else layout.lengths.to(x.device)
    directions, hidden = len(weights) // 4, weights[1].shape[1]
    zeros = x.new_zeros(directions, layout.batch, hidden)
    h0, c0 = (zeros if h0 is None else h0), (zeros if c0 is None else c0)
    if lengths_B is not None:
        ended_TB1 = (torch.arange(layout.steps, device=x.device)[:, None] >= lengths_B)[:, :, None]
        x_TBI = torch.cat([x_TBI.masked_fill(ended_TB1, 0.0), ended_TB1.to(x.dtype)], -1)
        weights = [weight if number % 4 else _holding(weight) for number, weight in enumerate(weights)]
    outputs, states = [], []
    for direction in range(directions):
        own = weights[4 * direction :][:4]
        turned_TBI = _turned(x_TBI, lengths_B) if direction else x_TBI
        y_TBH, h_BH, c_BH = _one_direction(turned_TBI, h0[direction], c0[direction], own, sizes)
        if lengths_B is not None:
            h_BH = _at(y_TBH, lengths_B - 1).where((lengths_B > 0)[:, None], h0[direction])
            y_TBH = y_TBH.masked_fill(ended_TB1, 0.0)
        outputs.append(_turned(y_TBH, lengths_B) if direction else y_TBH)
        states.append((h_BH, c_BH))
    y = torch.cat(outputs, -1)
    return y.transpose(0, 1) if layout.batch_first else y, torch.stack([h for h, _ in states]), torch.stack([c for _, c in states])


def _holding(weight: Tensor | None) -> Tensor:
    """w_ih with a column for the mark of a sequence's end: it shuts the input gate and opens the forget gate, so that the cell stays."""
    assert weight is not None
    shut, other = weight.new_full((len(weight) // 4,), HOLD), weight.new_zeros(len(weight) // 2)
    return torch.cat([weight, torch.cat([-shut, shut, other])[:, None]], -1)


def _turned(x_TBI: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Each sequence from its last step to its first; what is behind its end stays there."""
    if lengths_B is None:
        return x_TBI.flip(0)
    steps_T1 = torch.arange(len(x_TBI), device=x_TBI.device)[:, None]
    places_TB = (lengths_B - 1 - steps_T1).where(steps_T1 < lengths_B, steps_T1)
    return x_TBI.gather(0, places_TB[:, :, None].expand_as(x_TBI))


def _at(y_TBH: Tensor, steps_B: Tensor) -> Tensor:
    """[B, H]: one step of each sequence, the first where it is negative."""
    return y_TBH.gather(0, steps_B.clamp(min=0)[None, :, None].expand(1, *y_TBH.shape[1:]))[0]


def _one_direction(x_TBI: Tensor, h_BH: Tensor, c_BH: Tensor, weights: Weights, sizes: Sizes) -> tuple[Tensor, Tensor, Tensor]:
    """One direction in padded sizes, the padding cut off again."""
    batch, hidden = h_BH.shape
    more = sizes.hidden(hidden) - hidden
    inputs = _up(x_TBI.shape[2], sizes.width) - x_TBI.shape[2]
    rows = _up(batch, sizes.rows) - batch
    x_TBI = pad(x_TBI, (0, inputs, 0, rows))
    states = pad(torch.stack([h_BH, c_BH]), (0, more, 0, rows))
    columns = (inputs, more, None, None)
    flat = [_widened(weight, more, width) for weight, width in zip(weights, columns, strict=True) if weight is not None]
    each = sizes.most_rows or x_TBI.shape[1]
    parts = [_call(x, state, flat) for x, state in zip(x_TBI.split(each, 1), states.split(each, 1), strict=True)]
    y, h, c = (torch.cat(found, 1) for found in zip(*parts, strict=True))
    return y[:, :batch, :hidden], h[0, :batch, :hidden], c[0, :batch, :hidden]


def _widened(weight: Tensor, hidden: int, columns: int | None) -> Tensor:
    """A weight [4H, columns] or bias [4H] with so many more hidden units and columns of zeros: their cells and outputs stay zero."""
    gates = weight.unflatten(0, (4, -1))
    return pad(gates, (0, hidden) if columns is None else (0, columns, 0, hidden)).flatten(0, 1)


def _call(x_TBI: Tensor, states_2BH: Tensor, weights: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """One layer in one direction by torch, which wants contiguous states; with a backward pass in evaluation too."""
    h, c = (state[None].contiguous() for state in states_2BH)
    gradients = torch.is_grad_enabled()
    return torch.lstm(x_TBI.contiguous(), (h, c), weights, len(weights) == 4, 1, 0.0, gradients, False, False)


def _up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple
