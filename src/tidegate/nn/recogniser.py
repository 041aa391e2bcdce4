"""Recognisers: whole utterances of different lengths in, at each step a logit for the blank and for each token out, as CTC wants them.

Shape letters beyond the project's: Z bands, P planes, F filters. A frame of C channels has P planes of Z bands, one plane after the other
(log-mel energies, their deltas, the deltas of those). Several frames, `pooling` of them, become one step.

What stands in the padding of a batch does not matter, nor does how long it is, nor what else is in the batch: each frame is normalised
for itself, and each convolution sees zeros behind the end of an utterance.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tidegate.config_transcribe import BLSTMSettings, CausalLSTMSettings, RecogniserSettings
from tidegate.nn.lstm_unit import LSTMUnit, locked_dropout

BLANK = 0
"""Index of the logit of CTC's blank; token i of the vocabulary has i + 1."""


class RecogniserShape(NamedTuple):
    """What a recogniser is built for."""

    bands: int
    planes: int
    vocabulary: int
    """Tokens, the blank not among them."""


class Recognition(NamedTuple):
    """logits [B, T, V + 1], the blank first, and how many of the steps are each utterance's own, [B]; what lies behind means nothing.

    inner_BTH   hidden states of the last layer but one at the same steps (of the only layer, if there is one)
    """

    logits_BTV: Tensor
    lengths_B: Tensor
    inner_BTH: Tensor


class Stage(nn.Module):
    """A map from windows of frames to frames, [B, T, Z, P] -> [B, T', Z', P'], without any padding in time: output j sees the frames from
    j * stride - before to j * stride + after. With as many zeros before and after, T frames become T / stride, rounded up."""

    def __init__(self, before: int, after: int, stride: int, bands: int, planes: int) -> None:
        super().__init__()
        self.before, self.after, self.stride = before, after, stride
        self.bands, self.planes = bands, planes
        """Of what comes out."""


class Stacking(Stage):
    """Frames side by side (Sak et al. 2015): [B, T, Z, P] -> [B, T / stride, stride * Z, P]."""

    def __init__(self, bands: int, planes: int, stride: int) -> None:
        super().__init__(0, stride - 1, stride, stride * bands, planes)

    def forward(self, x_BTZP: Tensor) -> Tensor:
        """See Stage; frames that fill no whole step are left out."""
        steps = x_BTZP.shape[1] // self.stride
        return x_BTZP[:, : steps * self.stride].unflatten(1, (steps, self.stride)).flatten(2, 3)


class Convolution(Stage):
    """A convolution of 3 frames by 3 bands that halves the bands, layer normalisation of each frame (Ba et al. 2016), ReLU:
    [B, T, Z, P] -> [B, T', Z / 2, F].

    Its window lies around a frame; where it is causal it ends with the last frame of the step. With a stride of 2 both are the same.
    """

    def __init__(self, bands: int, planes: int, filters: int, stride: int, causal: bool) -> None:
        super().__init__(3 - stride if causal else 1, stride - 1 if causal else 1, stride, (bands + 1) // 2, filters)
        self.convolution = nn.Conv2d(planes, filters, 3, (stride, 2), (0, 1))
        self.norm = nn.LayerNorm([self.bands, self.planes])

    def forward(self, x_BTZP: Tensor) -> Tensor:
        """See Stage."""
        # In memory the filters of a band lie side by side, for the convolution as for the normalisation: no copies between them.
        weight = self.convolution.weight.contiguous(memory_format=torch.channels_last)
        x_BPTZ = x_BTZP.permute(0, 3, 1, 2)
        y_BFTZ = functional.conv2d(x_BPTZ, weight, self.convolution.bias, self.convolution.stride, self.convolution.padding)
        return self.norm(y_BFTZ.permute(0, 2, 3, 1)).relu()


STRIDES = {1: (1, 1), 2: (2, 1), 4: (2, 2)}
"""Of the two convolutions in time, for each pooling. The first strides first: what comes after it costs half."""


class Stem(nn.Module):
    """[B, T, C] -> [B, T / pooling, rounded up, features], zero at padding."""

    def __init__(self, shape: RecogniserShape, settings: RecogniserSettings, causal: bool) -> None:
        super().__init__()
        self.bands, self.planes, self.pooling = shape.bands, shape.planes, settings.pooling
        stages: list[Stage] = []
        bands, planes = shape.bands, shape.planes
        for stride in STRIDES[settings.pooling] if settings.stem == "conv" else (settings.pooling,):
            if settings.stem == "conv":
                stages.append(Convolution(bands, planes, settings.filters, stride, causal))
            else:
                stages.append(Stacking(bands, planes, stride))
            bands, planes = stages[-1].bands, stages[-1].planes
        self.stages = nn.ModuleList(stages)
        self.features = bands * planes

    def planes_of(self, x_BTC: Tensor) -> Tensor:
        """[B, T, C] -> [B, T, Z, P]. Raises ValueError where the channels are others than the network was built for."""
        if x_BTC.ndim != 3 or x_BTC.shape[2] != self.bands * self.planes:
            expected = f"[B, T, {self.bands * self.planes}], {self.bands} bands times {self.planes} planes"
            raise ValueError(f"frames have the shape {list(x_BTC.shape)}; expected {expected}")
        return x_BTC.unflatten(2, (self.planes, self.bands)).transpose(2, 3)

    def forward(self, x_BTC: Tensor, lengths_B: Tensor | None) -> Tensor:
        """lengths_B is None where there is no padding."""
        x_BTZP = zero_padding(self.planes_of(x_BTC), lengths_B)
        for stage in self.stages:
            assert isinstance(stage, Stage)
            x_BTZP = stage(functional.pad(x_BTZP, (0, 0, 0, 0, stage.before, stage.after)))
            lengths_B = None if lengths_B is None else divided(lengths_B, stage.stride)
            x_BTZP = zero_padding(x_BTZP, lengths_B)
        return x_BTZP.flatten(2)


class Recogniser(nn.Module):
    """A stem that finds edges in time and frequency, LSTM layers over it, a linear output; trained by CTC (Graves et al. 2006).

    shape     bands and planes of a frame, tokens
    settings  BLSTMSettings: both directions; CausalLSTMSettings: one, with the same logits as frames arrive (RecogniserStream)
    """

    def __init__(self, shape: RecogniserShape, settings: RecogniserSettings) -> None:
        super().__init__()
        self.shape, self.settings = shape, settings
        self.causal = isinstance(settings, CausalLSTMSettings)
        self.pooling = settings.pooling
        self.delay = settings.look_ahead // settings.pooling if isinstance(settings, CausalLSTMSettings) else 0
        """Steps that the LSTM is ahead of the output."""
        self.stem = Stem(shape, settings, self.causal)
        self.lstm = LSTMUnit(
            self.stem.features,
            settings.hidden,
            settings.layers,
            settings.input_dropout,
            settings.dropout,
            settings.recurrent_dropout,
            settings.weight_drop,
            not self.causal,
        )
        self.output = nn.Linear(self.lstm.features, shape.vocabulary + 1)
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x_BTC: Tensor, lengths_B: Tensor) -> Recognition:
        """x [B, T, C]; lengths [B], integers from 1 to T. Raises ValueError where lengths or channels do not fit."""
        steps = x_BTC.shape[1]
        if lengths_B.shape != x_BTC.shape[:1] or bool(((lengths_B < 1) | (lengths_B > steps)).any()):
            raise ValueError(f"lengths are {lengths_B.tolist()}; expected {x_BTC.shape[0]} of them, from 1 to {steps}")
        padded = bool((lengths_B < steps).any())
        features_BTI = self.stem(x_BTC, lengths_B if padded else None)
        lengths_B = divided(lengths_B, self.pooling)
        features_BTI = functional.pad(features_BTI, (0, 0, 0, self.delay))
        hidden = self.lstm.layer_by_layer(features_BTI, None, lengths_B + self.delay if padded else None)
        layers = [y_BTH[:, self.delay :] for y_BTH, _ in hidden]
        return Recognition(self.logits(layers[-1]), lengths_B, layers[-2] if len(layers) > 1 else layers[0])

    def logits(self, y_BTH: Tensor) -> Tensor:
        """The output [B, T, V + 1] of the LSTM's hidden states."""
        if self.training and self.settings.dropout:
            y_BTH = locked_dropout(y_BTH, self.settings.dropout)
        return self.output(y_BTH)

    def num_steps(self, lengths_B: Tensor) -> Tensor:
        """Steps of the output for so many frames: one for every `pooling`, rounded up."""
        return divided(lengths_B, self.pooling)

    def time_of(self, step: int) -> tuple[int, int]:
        """The frames that a step of the output stands for: the first, and the one behind the last."""
        return step * self.pooling, (step + 1) * self.pooling

    def step_labels(self, labels_BT: Tensor) -> Tensor:
        """Labels of steps from those of frames: that of the frame in a step's middle, 0 where an utterance has ended before it."""
        steps = -(-labels_BT.shape[1] // self.pooling)
        return functional.pad(labels_BT, (0, self.pooling))[:, self.pooling // 2 :: self.pooling][:, :steps]

    @property
    def reach(self) -> tuple[int, int]:
        """Frames that the stem sees for a step: so many before the first frame that it stands for, and after that frame. The LSTM sees
        more: all frames before, and those after that its second direction or `look_ahead` brings."""
        before, after, stride = 0, 0, 1
        for stage in self.stem.stages:
            assert isinstance(stage, Stage)
            before, after, stride = before + stage.before * stride, after + stage.after * stride, stride * stage.stride
        return before, after


def divided(lengths_B: Tensor, stride: int) -> Tensor:
    """Lengths after a stride, rounded up."""
    return (lengths_B + stride - 1) // stride


def zero_padding(x_BTZP: Tensor, lengths_B: Tensor | None) -> Tensor:
    """Zeros behind the end of each sequence, whatever stands there, NaN too."""
    if lengths_B is None:
        return x_BTZP
    outside_BT = torch.arange(x_BTZP.shape[1], device=x_BTZP.device) >= lengths_B.to(x_BTZP.device)[:, None]
    return x_BTZP.masked_fill(outside_BT[:, :, None, None], 0.0)


def build_recogniser(shape: RecogniserShape, settings: BLSTMSettings | CausalLSTMSettings) -> Recogniser:
    """The network that the settings name, with initial weights from torch's current random state."""
    return Recogniser(shape, settings)
