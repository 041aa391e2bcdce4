"""Speech while it is spoken: samples in as they arrive, tokens out as soon as they are complete."""

from copy import deepcopy

import numpy as np
import torch

from tidegate.data.speech.features import DELTA_WINDOW, FeatureStream
from tidegate.decode.greedy import GreedyStream, Token
from tidegate.errors import DataError, SettingsError
from tidegate.nn.recogniser import Recogniser
from tidegate.nn.recogniser_stream import RecogniserStream
from tidegate.tasks.transcription.evaluation import written
from tidegate.tasks.transcription.hearing import Spoken, Transcript, check_long_enough, transcript
from tidegate.tasks.transcription.material import feature_settings
from tidegate.tasks.transcription.model import SpeechModel

LIVE = "-"
"""What stands for the file's name in the transcript of live audio."""


class LiveTranscriber:
    """One recording on its way through a recogniser of one direction, whatever pieces its samples come in.

    Tokens while it lasts are those of the best path. `finish` gives what `hear` gives of the whole recording: the search with the
    language model over all log probabilities.

    model  with the network causal-lstm, frames normalised by the whole training part. It is copied to the CPU: what happens to it later
           does not change the stream

    A transcriber belongs to one thread at a time. Raises SettingsError for a network of two directions, and for another normalisation.
    """

    def __init__(self, model: SpeechModel) -> None:
        why = why_not_live(model)
        if why:
            raise SettingsError(f"{why} For live use train the network 'causal-lstm' (--network causal-lstm).")
        self._model, self._settings = model, feature_settings(model.config)
        self.rate = self._settings.rate
        """Samples a second that `feed` expects."""
        self._features, self._network = FeatureStream(self._settings), RecogniserStream(_on_cpu(model.network))
        self._begin()

    @property
    def latency_seconds(self) -> float:
        """Seconds of sound from the begin of a step of the output until its log probabilities are there: the window of its first frame,
        and the frames after that which pooling, look-ahead and slopes wait for. A token is complete once a later step says something
        else. The time of computing comes on top."""
        frames = self._network.latency + DELTA_WINDOW * self._settings.deltas
        return (self._settings.window_ms + frames * self._settings.hop_ms) / 1000

    def feed(self, samples: np.ndarray) -> list[Spoken]:
        """The tokens that these samples complete. samples: floats [N] of one channel at `rate` Hz, full scale at -1 and 1; N may be 0.
        Raises DataError for other ones."""
        values = np.asarray(samples)
        if values.ndim != 1 or values.dtype.kind != "f":
            raise DataError(
                f"Samples are {values.dtype} of shape {values.shape}; expected floats from -1 to 1 of one channel, shape (N,). "
                "Divide 16-bit samples by 32768; of several channels take one or their mean."
            )
        if not np.isfinite(values).all():
            raise DataError("Samples hold a number that is not finite; expected floats from -1 to 1.")
        self._samples += len(values)
        return self._hear(self._features.feed(torch.from_numpy(values.astype(np.float32))))

    def partial(self) -> str:
        """What is said so far, the token that may still go on included."""
        return self._text(self._tokens.partial())

    def rest(self) -> list[Spoken]:
        """The tokens that were still waiting, now that no sample will come; `finish` comes next. Raises DataError where all samples were
        shorter than a frame."""
        spoken = self._hear(self._features.finish())
        check_long_enough("The recording", self._frames, self._settings)
        spoken += self._tokens_in(_log_softmax(self._network.finish()))
        self._rested = True
        return spoken + self._spoken(self._tokens.finish())

    def finish(self) -> Transcript:
        """The transcript of all that was fed; the next samples begin another recording. Raises DataError where they were shorter than a
        frame."""
        try:
            if not self._rested:
                self.rest()
            return transcript(self._model, LIVE, np.concatenate(self._log_probs), self._samples / self.rate)
        finally:
            self._network.reset()
            self._begin()

    def _begin(self) -> None:
        self._tokens, self._rested = GreedyStream(), False
        self._log_probs: list[np.ndarray] = []
        self._samples = self._frames = 0

    def _hear(self, frames_TC: torch.Tensor) -> list[Spoken]:
        self._frames += len(frames_TC)
        if not len(frames_TC):
            return []
        return self._tokens_in(_log_softmax(self._network.feed(self._model.normaliser.apply(frames_TC))))

    def _tokens_in(self, log_probs_TV: np.ndarray) -> list[Spoken]:
        self._log_probs.append(log_probs_TV)
        return self._spoken(self._tokens.feed(log_probs_TV))

    def _spoken(self, tokens: list[Token]) -> list[Spoken]:
        step, names = self._model.step_seconds, self._model.vocabulary
        return [Spoken(names[token.index - 1], token.begin * step, token.end * step, token.confidence) for token in tokens]

    def _text(self, tokens: list[Token]) -> str:
        return written(self._model.named([token.index for token in tokens]), self._model.config.data.tokens or "phones")


def why_not_live(model: SpeechModel) -> str:
    """Why a model hears whole recordings only, in a sentence; '' where it does not."""
    if not model.network.causal:
        return f"The network '{model.config.network.name}' hears whole recordings only: its second direction begins at their end."
    if not model.normaliser.live:
        return f"Frames normalised by {model.normaliser.kind} can be heard only once a recording is whole (data.normalisation)."
    return ""


def _log_softmax(logits_TV: torch.Tensor) -> np.ndarray:
    return logits_TV.float().log_softmax(1).numpy()


def _on_cpu(network: Recogniser) -> Recogniser:
    return network if next(network.parameters()).is_cpu else deepcopy(network).cpu()
