"""Classification networks: whole sequences of different lengths in, a logit for each class out.

Shape letters beyond the project's: K classes, F features, D directions. A batch is padded at the end; what stands in the padding does not
matter, and neither does how long it is. In evaluation mode it doesn't matter either what else is in the batch.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tidegate.config_classify import (
    AttentionCNNLSTMClassifierSettings,
    ClassifierSettings,
    ConvLSTMClassifierSettings,
    LSTMClassifierSettings,
    Pooling,
)
from tidegate.nn.attention_cnn import AttentionCNN
from tidegate.nn.covariates import CovariateUnit
from tidegate.nn.dilated import DilatedOutput
from tidegate.nn.lstm import LSTM
from tidegate.nn.lstm_unit import LSTMUnit
from tidegate.nn.multi_scale import MultiScaleStem, kernel_lengths
from tidegate.nn.reference import State


class ClassifierShape(NamedTuple):
    """What a network is built for."""

    channels: int
    classes: int
    steps: int
    """The longest sequence of the training data. Others may be longer; kernels and pooling are chosen by it."""
    indicator: bool = False
    """Feed a missing-value indicator beside each channel; set where training data has missing values."""


class ClassifierState(NamedTuple):
    """What a causal classifier carries on: the states of each LSTM layer, [1, B, H] each, and what its pooling has gathered."""

    lstm: list[State]
    pooled: tuple[Tensor, ...]


class Classification(NamedTuple):
    """logits [B, K]; weights, zero at padding, of steps [B, T], of pooled steps, or of subsequences [B, S] (the newest last), or None."""

    logits_BK: Tensor
    weights_BT: Tensor | None = None


def _lstm_unit(inputs: int, settings: ClassifierSettings, bidirectional: bool, steps: int) -> LSTMUnit:
    """Layers with the initial weights that the settings name; `steps` of the longest sequence."""
    unit = LSTMUnit(
        inputs,
        settings.hidden,
        settings.layers,
        settings.input_dropout,
        settings.layer_dropout,
        settings.recurrent_dropout,
        settings.weight_drop,
        bidirectional,
    )
    for layer in unit.layers:
        assert isinstance(layer, LSTM)
        if settings.init == "torch":
            layer.reset_parameters()
        elif settings.init == "chrono":
            _chrono(layer, steps)
    return unit


def _chrono(lstm: nn.LSTM, steps: int) -> None:
    size = lstm.hidden_size
    with torch.no_grad():
        for name, bias in lstm.named_parameters():
            if name.startswith("bias_ih"):
                memory = torch.empty(size).uniform_(1.0, max(steps - 1.0, 1.0 + 1e-3)).log()
                bias[:size] = -memory
                bias[size : 2 * size] = memory


class TimePooling(nn.Module):
    """[B, T, F] -> [B, F] over the steps of each sequence, at once or step by step. Attention is additive (Bahdanau et al. 2015) without a
    query; the mean is attention with equal scores."""

    def __init__(self, kind: Pooling, features: int) -> None:
        super().__init__()
        self.kind = kind
        self.scores = nn.Sequential(nn.Linear(features, features), nn.Tanh(), nn.Linear(features, 1)) if kind == "attention" else None

    def forward(self, y_BTF: Tensor, last_BF: Tensor, inside_BT: Tensor) -> tuple[Tensor, Tensor | None]:
        """The pooled features (zero for an empty sequence) and, of attention, the weights; last_BF are the features of 'last'."""
        if self.kind == "last":
            return last_BF, None
        if self.kind == "max":
            y_BTF = y_BTF.masked_fill(~inside_BT[..., None], -torch.inf)
            return y_BTF.amax(1).masked_fill(~inside_BT.any(1, keepdim=True), 0.0), None
        lowest = torch.finfo(y_BTF.dtype).min
        weights_BT = self._score(y_BTF).masked_fill(~inside_BT, lowest).softmax(1) * inside_BT
        return (weights_BT[:, None] @ y_BTF)[:, 0], weights_BT if self.kind == "attention" else None

    def step(self, y_BF: Tensor, gathered: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The pooled features of all steps up to this one; () before the first. Softmax as it grows: the highest score so far, the sum of
        exponentials below it, and the sum of features times those (Milakov and Gimelshein 2018)."""
        if self.kind == "last":
            return y_BF, ()
        if self.kind == "max":
            highest = torch.maximum(y_BF, gathered[0]) if gathered else y_BF
            return highest, (highest,)
        score_B1 = self._score(y_BF)[:, None]
        top, total, weighted = gathered or (score_B1, torch.zeros_like(score_B1), torch.zeros_like(y_BF))
        higher = torch.maximum(top, score_B1)
        before, now = (top - higher).exp(), (score_B1 - higher).exp()
        total, weighted = total * before + now, weighted * before + y_BF * now
        return weighted / total, (higher, total, weighted)

    def _score(self, y: Tensor) -> Tensor:
        return torch.zeros_like(y[..., 0]) if self.scores is None else self.scores(y)[..., 0]


class Batch(NamedTuple):
    """Sequences without NaN, zero at padding. lengths_B is None where none is padded, which all parts are faster for."""

    x_BTI: Tensor
    lengths_B: Tensor | None
    inside_BT: Tensor
    """True at the steps of a sequence, false at its padding."""


class SequenceClassifier(nn.Module):
    """What the networks share: padding and missing values taken out of the way, and the linear output."""

    output: nn.Linear

    def __init__(self, shape: ClassifierShape, settings: ClassifierSettings) -> None:
        super().__init__()
        self.shape, self.settings = shape, settings
        self.values = CovariateUnit((0,) * shape.channels, shape.indicator)

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Features [B, F] for the output, and weights or None, as in Classification."""
        raise NotImplementedError

    def forward(self, x_BTC: Tensor, lengths_B: Tensor) -> Classification:
        """x [B, T, C], NaN is missing; lengths [B], integers from 0 to T. Raises ValueError where lengths do not fit."""
        steps = x_BTC.shape[1]
        lengths_B = lengths_B.to(x_BTC.device)
        least, most = (int(end) for end in lengths_B.aminmax()) if len(lengths_B) else (steps, steps)
        if lengths_B.shape != x_BTC.shape[:1] or least < 0 or most > steps:
            raise ValueError(f"lengths are {lengths_B.tolist()}; expected {x_BTC.shape[0]} of them, from 0 to {steps}")
        inside_BT = torch.arange(steps, device=x_BTC.device) < lengths_B[:, None]
        padded = least < steps
        if padded:
            x_BTC = x_BTC.masked_fill(~inside_BT[..., None], 0.0)
        features_BF, weights_BT = self.encode(Batch(self.values(x_BTC), lengths_B if padded else None, inside_BT))
        return Classification(self._classify(features_BF), weights_BT)

    def num_weights(self, lengths_B: Tensor) -> Tensor:
        """How many of its weights each sequence has, the others being those of padding: one for each step."""
        return lengths_B

    def own_weights(self, weights_BT: Tensor, lengths_B: Tensor) -> list[Tensor]:
        """The weights of each sequence without those of padding, oldest first."""
        return [row[:count] for row, count in zip(weights_BT, self.num_weights(lengths_B).tolist(), strict=True)]

    def _classify(self, features_BF: Tensor) -> Tensor:
        return self.output(functional.dropout(features_BF, self.settings.dropout, self.training))


def _linear_output(features: int, shape: ClassifierShape, settings: ClassifierSettings) -> nn.Linear:
    output = nn.Linear(features, shape.classes)
    if settings.init != "torch":
        nn.init.xavier_uniform_(output.weight)
        nn.init.zeros_(output.bias)
    return output


class LSTMClassifier(SequenceClassifier):
    """An LSTM over every step. With one direction it is causal: `step` gives the same logits as samples arrive.

    Keras's LSTM(64), Dense(10) is ClassifierShape(100, 10, steps), LSTMClassifierSettings(hidden=64, dropout=0.0).
    """

    def __init__(self, shape: ClassifierShape, settings: LSTMClassifierSettings) -> None:
        super().__init__(shape, settings)
        self.lstm = _lstm_unit(self.values.features, settings, settings.bidirectional, shape.steps)
        self.pooling = TimePooling(settings.pooling, self.lstm.features)
        self.output = _linear_output(self.lstm.features, shape, settings)

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """See SequenceClassifier."""
        y_BTF, states = self.lstm(batch.x_BTI, None, batch.lengths_B)
        return self.pooling(y_BTF, last_hidden(states), batch.inside_BT)

    def step(self, x_BC: Tensor, state: ClassifierState | None = None) -> tuple[Tensor, ClassifierState]:
        """Logits [B, K] for the sequences up to this step, as `forward` gives them, and the state for the next; None before the first step.
        Raises ValueError for a network of two directions."""
        if self.lstm.features != self.settings.hidden:
            raise ValueError("a network of two directions reads each sequence from its end; build it with bidirectional=False")
        y_B1F, lstm = self.lstm(self.values(x_BC)[:, None], state.lstm if state else None)
        pooled_BF, gathered = self.pooling.step(y_B1F[:, 0], state.pooled if state else ())
        return self._classify(pooled_BF), ClassifierState(lstm, gathered)


class ConvLSTMClassifier(SequenceClassifier):
    """Convolutions of several lengths find shapes, an LSTM over them finds their order. To the output go the LSTM's pooled hidden states
    beside the mean of the convolutions' features over time, which alone would be InceptionTime's network (`recurrent=False`).

    Fixed dilated convolutions have an output of their own, solved for before training begins (`dilated.fit`). Logits in training mode are
    those of the output that is trained; else of the mean of both outputs' probabilities, of which the trained one has `share`."""

    share: Tensor

    def __init__(self, shape: ClassifierShape, settings: ConvLSTMClassifierSettings) -> None:
        pool = settings.pool or -(-shape.steps // LSTM_STEPS)
        settings = settings.model_copy(update={"kernel": kernel_lengths(settings.kernel, shape.steps)[0], "pool": pool})
        super().__init__(shape, settings)
        self.pool = settings.pool or 1
        kernels = kernel_lengths(settings.kernel, shape.steps)
        self.stem = MultiScaleStem(self.values.features, settings.filters, kernels, settings.blocks, self.pool, settings.fine_blocks)
        features = self.stem.features
        self.lstm, self.pooling = None, None
        if settings.recurrent:
            self.lstm = _lstm_unit(self.stem.features, settings, settings.bidirectional, -(-shape.steps // self.pool))
            self.pooling = TimePooling(settings.pooling, self.lstm.features)
            features += self.lstm.features
        self.output = _linear_output(features, shape, settings)
        self.dilated = None
        if settings.dilated_features:
            self.dilated = DilatedOutput(shape.channels, shape.classes, shape.steps, settings.dilated_features)
            self.register_buffer("share", torch.tensor(0.5))

    def forward(self, x_BTC: Tensor, lengths_B: Tensor) -> Classification:
        """See SequenceClassifier."""
        trained = super().forward(x_BTC, lengths_B)
        solved_BK = None if self.training else self.solved(x_BTC, lengths_B)
        if solved_BK is None:
            return trained
        trained_BK = trained.logits_BK.log_softmax(1) + self.share.log()
        return trained._replace(logits_BK=torch.logaddexp(trained_BK, solved_BK.log_softmax(1) + (1.0 - self.share).log()))

    def num_weights(self, lengths_B: Tensor) -> Tensor:
        """One for each pooled step."""
        return (lengths_B + self.pool - 1) // self.pool

    def solved(self, x_BTC: Tensor, lengths_B: Tensor) -> Tensor | None:
        """Logits [B, K] of the output that is solved for; None where the network has none."""
        if self.dilated is None:
            return None
        return self.dilated(x_BTC, torch.arange(x_BTC.shape[1], device=x_BTC.device) < lengths_B.to(x_BTC.device)[:, None])

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """See SequenceClassifier; the weights are those of pooled steps, `pool` steps each."""
        padded = batch.lengths_B is not None
        y_BFT = self.stem(batch.x_BTI.transpose(1, 2), batch.inside_BT[:, None] if padded else None)
        inside_BT = batch.inside_BT[:, :: self.pool]
        mean_BF = y_BFT.sum(2) / inside_BT.sum(1, keepdim=True).clamp(min=1)
        if self.lstm is None or self.pooling is None:
            return mean_BF, None
        lengths_B = None if batch.lengths_B is None else self.num_weights(batch.lengths_B)
        y_BTF, states = self.lstm(y_BFT.transpose(1, 2), None, lengths_B)
        pooled_BF, weights_BT = self.pooling(y_BTF, last_hidden(states), inside_BT)
        return torch.cat([pooled_BF, mean_BF], 1), weights_BT


LSTM_STEPS = 128
"""An LSTM still learns well over so many steps, and they take less time than the convolutions before them."""


class AttentionCNNLSTMClassifier(SequenceClassifier):
    """The model of Li, Ning and Guo 2019 with classes for an output.

    Subsequences are counted from the end of each sequence. Those that would hold padding are left out, of the attention too; a
    sequence shorter than one subsequence is one, with zeros before it.
    """

    def __init__(self, shape: ClassifierShape, settings: AttentionCNNLSTMClassifierSettings) -> None:
        length = settings.subsequence or min(shape.steps, max(4, 2 * shape.steps // 31))
        overlap = length // 2 if settings.overlap is None else settings.overlap
        kernel = settings.kernel or max(1, length // 4)
        if overlap >= length or kernel > length:
            raise ValueError(f"overlap {overlap} and kernel {kernel}; expected less than, and at most, the {length} steps of a subsequence")
        super().__init__(shape, settings.model_copy(update={"subsequence": length, "overlap": overlap, "kernel": kernel}))
        self.cnn = AttentionCNN(self.values.features, settings.filters, settings.hidden, length, overlap, kernel, settings.attention)
        self.lstm = _lstm_unit(settings.hidden, settings, False, (shape.steps - length) // self.cnn.step + 1)
        self.output = _linear_output(settings.hidden, shape, settings)

    def num_weights(self, lengths_B: Tensor) -> Tensor:
        """One for each subsequence."""
        return ((lengths_B - self.cnn.length) // self.cnn.step + 1).clamp(min=1)

    def own_weights(self, weights_BT: Tensor, lengths_B: Tensor) -> list[Tensor]:
        """See SequenceClassifier; here the newest weight stands last."""
        return [row[len(row) - count :] for row, count in zip(weights_BT, self.num_weights(lengths_B).tolist(), strict=True)]

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """See SequenceClassifier."""
        x_BTI, lengths_B = batch.x_BTI, batch.lengths_B
        if lengths_B is not None:
            x_BTI = shifted(x_BTI, x_BTI.shape[1] - lengths_B)
        x_BTI = functional.pad(x_BTI, (0, 0, max(0, self.cnn.length - x_BTI.shape[1]), 0))
        features_BSF, weights_BS = self.cnn(x_BTI)
        if lengths_B is None:
            return last_hidden(self.lstm(features_BSF)[1]), weights_BS
        counts_B = self.num_weights(lengths_B)
        places = weights_BS.shape[1]
        weights_BS = weights_BS * (torch.arange(places, 0, -1, device=weights_BS.device) <= counts_B[:, None])
        if self.cnn.attention == "softmax":
            share_B1 = counts_B[:, None] / weights_BS.sum(1, keepdim=True)
            features_BSF, weights_BS = features_BSF * share_B1[..., None], weights_BS * share_B1
        _, states = self.lstm(shifted(features_BSF, counts_B - places), None, counts_B)
        return last_hidden(states), weights_BS


def shifted(x_BTI: Tensor, steps_B: Tensor) -> Tensor:
    """Each sequence of the batch moved towards the end by so many steps (towards the beginning where negative), zeros behind it."""
    steps = x_BTI.shape[1]
    source_BT = torch.arange(steps, device=x_BTI.device) - steps_B[:, None]
    moved = x_BTI.gather(1, source_BT.clamp(0, steps - 1)[..., None].expand_as(x_BTI))
    return moved.masked_fill(((source_BT < 0) | (source_BT >= steps))[..., None], 0.0)


def last_hidden(states: list[State]) -> Tensor:
    """The top layer's last hidden states, directions side by side: [B, D*H]."""
    return states[-1][0].transpose(0, 1).flatten(1)


Settings = LSTMClassifierSettings | ConvLSTMClassifierSettings | AttentionCNNLSTMClassifierSettings


def build_classifier(shape: ClassifierShape, settings: Settings) -> SequenceClassifier:
    """The network that the settings name, with initial weights from torch's current random state."""
    if isinstance(settings, LSTMClassifierSettings):
        return LSTMClassifier(shape, settings)
    if isinstance(settings, ConvLSTMClassifierSettings):
        return ConvLSTMClassifier(shape, settings)
    return AttentionCNNLSTMClassifier(shape, settings)
