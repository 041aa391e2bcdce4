"""Live recognition: a recogniser of one direction that is fed frames as they arrive."""

from copy import deepcopy

import torch
from torch import Tensor
from torch.nn import functional

from tidegate.nn.lstm import LSTM
from tidegate.nn.recogniser import Recogniser, Stage
from tidegate.nn.streaming import LSTMSession


class RecogniserStream:
    """One utterance on its way through a recogniser: the same logits as `Recogniser.forward` gives in evaluation mode, whatever pieces the
    frames come in.

    network  a recogniser with CausalLSTMSettings, on the CPU. It is copied: what happens to it later does not change the stream

    A stream belongs to one thread at a time. Raises ValueError for a recogniser of two directions or on another device.
    """

    def __init__(self, network: Recogniser) -> None:
        if not network.causal:
            raise ValueError("a recogniser of two directions waits for the end of an utterance; build it with CausalLSTMSettings")
        self.network = deepcopy(network).eval()
        self._sessions = [LSTMSession(layer) for layer in self.network.lstm.layers if isinstance(layer, LSTM)]
        self.reset()

    @property
    def latency(self) -> int:
        """Frames after the first one of a step that must arrive before its logits come out: pooling - 1 + look_ahead."""
        return (self.network.delay + 1) * self.network.pooling - 1

    def reset(self) -> None:
        """Begin an utterance: zeros before its first frame, no state."""
        self._waiting: list[Tensor | None] = [None] * len(self.network.stem.stages)
        self._ahead = self.network.delay
        self._ended = False
        for session in self._sessions:
            session.reset()

    @torch.inference_mode()
    def feed(self, x_TC: Tensor) -> Tensor:
        """The next frames [T, C] to the logits [T', V + 1] of all steps that they complete; T may be 0, and T' often is.
        Raises ValueError for other channels than the network has, and after `finish`."""
        return self._answer(self._stem(x_TC, last=False))

    @torch.inference_mode()
    def finish(self) -> Tensor:
        """The logits [T', V + 1] that were still waiting for frames, now that none will come. Raises ValueError if called again."""
        stem = self.network.stem
        features_TI = self._stem(self.network.output.weight.new_zeros(0, stem.bands * stem.planes), last=True)
        self._ended = True
        return self._answer(functional.pad(features_TI, (0, 0, 0, self.network.delay)))

    def _stem(self, x_TC: Tensor, last: bool) -> Tensor:
        """Features of the steps that are complete now; each stage keeps the frames that it still needs."""
        if self._ended:
            raise ValueError("the utterance is finished; begin the next one by reset()")
        x_BTZP = self.network.stem.planes_of(x_TC[None])
        for number, stage in enumerate(self.network.stem.stages):
            assert isinstance(stage, Stage)
            kept = self._waiting[number]
            if kept is None:
                kept = x_BTZP.new_zeros(1, stage.before, *x_BTZP.shape[2:])
            x_BTZP = torch.cat([kept, x_BTZP], 1)
            unfinished = (x_BTZP.shape[1] - stage.before) % stage.stride
            if last and unfinished:
                x_BTZP = functional.pad(x_BTZP, (0, 0, 0, 0, 0, stage.stride - unfinished))
            steps = max(0, (x_BTZP.shape[1] - stage.before - stage.after - 1) // stage.stride + 1)
            self._waiting[number] = x_BTZP[:, steps * stage.stride :]
            x_BTZP = stage(x_BTZP) if steps else x_BTZP.new_zeros(1, 0, stage.bands, stage.planes)
        return x_BTZP[0].flatten(1)

    def _answer(self, features_TI: Tensor) -> Tensor:
        """Logits of as many steps, but for those that the LSTM is ahead."""
        hidden = []
        for step_1I in features_TI.split(1) if len(features_TI) else ():
            for session in self._sessions:
                step_1I = session.step(step_1I)
            hidden.append(step_1I)
        skipped = min(self._ahead, len(hidden))
        self._ahead -= skipped
        if len(hidden) == skipped:
            return features_TI.new_zeros(0, self.network.output.out_features)
        return self.network.logits(torch.cat(hidden[skipped:])[None])[0]
