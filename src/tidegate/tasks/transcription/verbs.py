"""The verbs of transcription: train, evaluate, predict. Each works on a run folder."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import torch

from tidegate.config import build_settings
from tidegate.config_transcribe import TranscribeConfig
from tidegate.data.speech.corpus import Corpus, read_corpus
from tidegate.errors import RunError
from tidegate.runs.folder import RunFolder
from tidegate.tasks.output import check_output, write_frame
from tidegate.tasks.summary import Summary, summary_of
from tidegate.tasks.training import Hooks, Listener, Training, train_run
from tidegate.tasks.transcription.evaluation import SpeechEvaluation
from tidegate.tasks.transcription.fitting import fit_speech
from tidegate.tasks.transcription.hearing import (
    Transcript,
    hear,
    hear_utterances,
    recordings,
    token_frame,
    transcript_frame,
)
from tidegate.tasks.transcription.keeping import finish, kept_constant, load_model, score_part
from tidegate.tasks.transcription.material import SpeechMaterial, complete, corpus_checksum, gather_scored, gather_speech
from tidegate.tasks.transcription.model import SpeechModel


class SpeechTraining(Training[TranscribeConfig]):
    """The training of a recogniser on a corpus."""

    task = "transcribe"

    def __init__(self, source: str | Path, asked: TranscribeConfig) -> None:
        self._source, self._asked = source, asked
        self._corpus: Corpus | None = None
        self._material: SpeechMaterial | None = None
        self._model: SpeechModel | None = None

    @property
    def material(self) -> SpeechMaterial:
        """What is trained on; there after `prepare`."""
        assert self._material is not None
        return self._material

    def go_on(self, begun: TranscribeConfig) -> None:
        """What the corpus is, where it is not said again, is as it was: parts and tokens follow from it."""
        data = self._asked.data
        again = {name: getattr(data, name) for name in data.model_fields_set}
        self._asked = self._asked.model_copy(update={"data": begun.data.model_copy(update=again)})

    def read(self) -> dict[str, Any]:
        """See Training."""
        self._corpus = open_corpus(self._source, self._asked)
        return described(self._source, self._corpus)

    def prepare(self, asked: TranscribeConfig) -> tuple[TranscribeConfig, list[str]]:
        """See Training."""
        assert self._corpus is not None
        config = complete(asked, self._corpus, torch.get_num_threads())
        self._material = gather_speech(self._corpus, config)
        return self._material.config, self._material.notes

    def fit(self, config: TranscribeConfig, hooks: Hooks) -> bool:
        """See Training."""
        fitted = fit_speech(
            self.material, config, listen=hooks.listen, save=hooks.save, checkpoint=hooks.checkpoint, interrupted=hooks.interrupted
        )
        self._model = fitted.model
        return fitted.interrupted

    def finish(self, folder: RunFolder, listen: Listener) -> None:
        """See Training."""
        assert self._model is not None
        finish(folder, self.material, self._model)


def open_corpus(source: str | Path, config: TranscribeConfig) -> Corpus:
    """The corpus as the settings say what it is. Raises DataError, SettingsError."""
    data = config.data
    return read_corpus(source, data.kind, data.tokens, data.on_bad, data.test_speakers)


def described(source: str | Path, corpus: Corpus) -> dict[str, Any]:
    """Where a corpus lay, for run.json."""
    path = str(Path(source).expanduser().resolve())
    return {"path": path, "sha256": corpus_checksum(corpus), "rows": len(corpus.utterances)}


def train(
    source: str | Path,
    config: TranscribeConfig,
    out: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    listen: Listener = lambda event: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Summary:
    """Train on a corpus of speech and keep all of it in the folder `out`; with `resume` go on where a stopped run was.

    Raises TidegateError; nothing that was saved is lost by one.
    """
    training = SpeechTraining(source, config)
    folder, stopped = train_run(training, config, out, resume=resume, overwrite=overwrite, listen=listen, interrupted=interrupted)
    return Summary(training.task, folder.path, interrupted=True) if stopped else summary_of(folder)


def evaluate(run: str | Path, source: str | Path | None = None, convention: str | None = None) -> SpeechEvaluation:
    """Scores beside the rivals on the run's own test part, or on another corpus: its test part, or all of it if it names no parts. Phones
    are scored by `convention`; None: that of the run."""
    folder = RunFolder.open(run, task="transcribe")
    model = with_convention(load_model(folder), convention)
    material = reopen(folder, model) if source is None else other_material(source, model)
    return score_part(material, model, kept_constant(folder), material.notes)[0]


def with_convention(model: SpeechModel, convention: str | None) -> SpeechModel:
    """The model with another convention of scoring phones. Raises SettingsError for one that is not known."""
    if convention is None:
        return model
    tree = model.config.model_dump()
    return replace(model, config=build_settings(tree | {"decoding": tree["decoding"] | {"convention": convention}}, TranscribeConfig))


def reopen(folder: RunFolder, model: SpeechModel) -> SpeechMaterial:
    """The material that a run was trained and tested on. Raises RunError if the corpus is gone or has changed."""
    path = Path(folder.data["path"])
    if not path.exists():
        raise RunError(f"The corpus of {folder.path} lay at {path} and is not there. Give the corpus that is to be used.")
    corpus = open_corpus(path, model.config)
    if corpus_checksum(corpus) != folder.data["sha256"]:
        raise RunError(
            f"{path} has changed since {folder.path} was trained, so its test part is not what it was. "
            f"Give the corpus that is to be evaluated on: tidegate evaluate {folder.path} {path}"
        )
    return gather_scored(corpus, model.config, model.normaliser, model.vocabulary)


def other_material(source: str | Path, model: SpeechModel) -> SpeechMaterial:
    """What is scored of another corpus, on the scale and in the tokens of a model. Bad recordings are left out, and named."""
    data = model.config.data.model_copy(update={"kind": None, "test_speakers": (), "on_bad": "skip"})
    config = model.config.model_copy(update={"data": data})
    corpus = read_corpus(source, None, data.tokens, "skip", scored_only=True)
    return gather_scored(corpus, config, model.normaliser, model.vocabulary)


def transcripts(run: str | Path, audio: Sequence[str | Path] = ()) -> list[Transcript]:
    """What is said in recordings, and in all of a folder; without any, in the run's own test part."""
    folder = RunFolder.open(run, task="transcribe")
    model = load_model(folder)
    if audio:
        return hear(model, recordings(audio))
    material = reopen(folder, model)
    return hear_utterances(model, material, material.numbers("test"))


def predict(
    run: str | Path,
    audio: Sequence[str | Path] = (),
    *,
    out: str | Path | None = None,
    timestamps: bool = False,
) -> pl.DataFrame:
    """What is said in recordings: a row for each with text and confidence; with `timestamps` a row for each token with its begin and
    end in seconds. Without recordings those of the run's own test part. Written to `out` if given."""
    if out is not None:
        check_output(Path(out))
    frame = frame_of(transcripts(run, audio), timestamps)
    if out is not None:
        write_frame(frame, Path(out))
    return frame


def frame_of(heard: Sequence[Transcript], timestamps: bool) -> pl.DataFrame:
    """See `predict`."""
    return token_frame(heard) if timestamps else transcript_frame(heard)
