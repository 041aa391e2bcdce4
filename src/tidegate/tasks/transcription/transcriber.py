"""The estimator: the same job as `tidegate train transcribe`, in Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch

from tidegate.config import build_settings, name_network
from tidegate.config_transcribe import TranscribeConfig
from tidegate.errors import DataError, SettingsError
from tidegate.evaluate.speech import constant_rival
from tidegate.runs.folder import RunFolder
from tidegate.tasks.estimator import copy_run, kept_history, names_of, note_epoch, plain_tree, put, save_run, settings_tree
from tidegate.tasks.transcription.evaluation import SpeechEvaluation
from tidegate.tasks.transcription.fitting import fit_speech
from tidegate.tasks.transcription.hearing import Transcript, hear, hear_utterances, recordings
from tidegate.tasks.transcription.keeping import finish, kept_constant, load_model, score_part
from tidegate.tasks.transcription.live import LiveTranscriber
from tidegate.tasks.transcription.material import SpeechMaterial, complete, gather_speech
from tidegate.tasks.transcription.model import SpeechModel
from tidegate.tasks.transcription.verbs import described, frame_of, open_corpus, other_material, reopen


class Transcriber:
    """What is said in recordings, by an LSTM network trained with CTC, tested against naive rivals. Needs the extra `speech`.

    network      'blstm', or 'causal-lstm' for live use; None: that of `config`
    max_epochs, time_limit (seconds), seed, device   None: those of `config`
    config       all other settings: a TranscribeConfig, or its tree of plain values; arguments given here win over it

    The constructor only stores these; `fit` does the work. After `fit` or `load`: `vocabulary` are the tokens, `notes` says what was
    recognised, `history` has a dict an epoch, `config` is complete.
    """

    def __init__(
        self,
        *,
        network: str | None = None,
        max_epochs: int | None = None,
        time_limit: float | None = None,
        seed: int | None = None,
        device: str | None = None,
        config: TranscribeConfig | dict[str, Any] | None = None,
    ) -> None:
        self.network, self.max_epochs, self.time_limit, self.seed, self.device = network, max_epochs, time_limit, seed, device
        self.config, self._asked = config, config
        self.notes: list[str] = []
        self.history: list[dict[str, Any]] = []
        self._model: SpeechModel | None = None
        self._material: SpeechMaterial | None = None
        self._constant: tuple[str, ...] = ()
        self._data: dict[str, Any] = {}
        self._folder: RunFolder | None = None

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Tokens that the model knows: phones, characters or words."""
        return self._fitted().vocabulary

    def fit(
        self,
        corpus: str | Path,
        *,
        kind: str | None = None,
        tokens: str | None = None,
        on_bad: str | None = None,
        test_speakers: str | Sequence[str] | None = None,
    ) -> Self:
        """Train on a folder of recordings with transcripts, on TIMIT or FSDD, or on a manifest.

        kind           'timit', 'fsdd', 'folder' or 'manifest'; None: recognised
        tokens         'phones', 'characters' or 'words'; None: as the corpus has it
        on_bad         'refuse', or 'skip': recordings that cannot be used are left out, which `notes` says
        test_speakers  the test part is all that these say; None: as the corpus has it

        Raises TidegateError.
        """
        config = self._settings({"kind": kind, "tokens": tokens, "on_bad": on_bad, "test_speakers": names_of(test_speakers)})
        known = open_corpus(corpus, config)
        place = described(corpus, known)
        material = gather_speech(known, complete(config, known, torch.get_num_threads()))
        config = material.config
        history: list[dict[str, Any]] = []
        notes = list(material.notes)
        model = fit_speech(material, config, listen=lambda event: note_epoch(event, history)).model
        self._model, self._material, self._folder, self._data, self.history = model, material, None, place, history
        self._constant = constant_rival(material.references(material.numbers("train")))
        self.config, self.notes = config, notes
        return self

    def predict(self, audio: Any = None, timestamps: bool = False) -> Any:
        """What is said in a recording, in several, or in all of a folder, as a polars data frame: a row for each with audio, text,
        confidence and seconds; with `timestamps` a row for each token with its begin and end in seconds.

        audio  a path, or several; None: the recordings of the test part

        Raises DataError for what cannot be read.
        """
        return frame_of(self._heard(audio), timestamps)

    def evaluate(self, corpus: str | Path | None = None) -> SpeechEvaluation:
        """Scores of the model and its rivals: on the test part, or on that of another corpus."""
        model = self._fitted()
        material = self._own_material() if corpus is None else other_material(corpus, model)
        return score_part(material, model, self._constant, material.notes)[0]

    def stream(self) -> LiveTranscriber:
        """Tokens while someone speaks; for the network 'causal-lstm'. Raises SettingsError for others."""
        return LiveTranscriber(self._fitted())

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Keep all of it in a run folder: model, settings, scores, report. Returns the folder."""
        if self._folder is not None:
            return copy_run(self._folder, Path(path), overwrite)
        model, material = self._fitted(), self._own_material()
        return save_run(
            path, "transcribe", self._data, model.config, self.history, lambda folder: finish(folder, material, model), overwrite
        )

    def _heard(self, audio: Any) -> list[Transcript]:
        model = self._fitted()
        if audio is not None:
            paths = [audio] if isinstance(audio, str | Path) else list(audio)
            if not all(isinstance(path, str | Path) for path in paths):
                raise DataError("Recordings are given as paths of files or folders; samples in memory go to stream().feed().")
            return hear(model, recordings(paths))
        material = self._own_material()
        return hear_utterances(model, material, material.numbers("test"))

    def _settings(self, data: dict[str, Any]) -> TranscribeConfig:
        tree = settings_tree(self._asked, TranscribeConfig)
        given = {"max_epochs": self.max_epochs, "time_limit": self.time_limit, "seed": self.seed, "device": self.device}
        put(tree, "data", data)
        put(tree, "training", given)
        name_network(tree, self.network, TranscribeConfig)
        return build_settings(plain_tree(tree), TranscribeConfig)

    def _fitted(self) -> SpeechModel:
        if self._model is None:
            raise SettingsError("This Transcriber is not fitted yet. Call fit(corpus) first, or tidegate.load(path).")
        return self._model

    def _own_material(self) -> SpeechMaterial:
        model = self._fitted()
        if self._material is None:
            assert self._folder is not None
            self._material = reopen(self._folder, model)
        return self._material


def transcriber_in(folder: RunFolder, device: str) -> Transcriber:
    """The transcriber that a finished run holds."""
    model = load_model(folder, device)
    transcriber = Transcriber(config=model.config)
    transcriber._model, transcriber._folder, transcriber._constant = model, folder, kept_constant(folder)
    transcriber.history, transcriber.notes = kept_history(folder)
    return transcriber
