"""Recordings to transcripts: what is said, how sure that is, and when."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from tidegate.data.speech.audio import audio_info, read_audio
from tidegate.data.speech.corpus import audio_below
from tidegate.data.speech.features import FeatureSettings, log_mel
from tidegate.data.speech.normalise import Statistics
from tidegate.decode.align import align
from tidegate.errors import DataError
from tidegate.tasks.computing import computing
from tidegate.tasks.transcription.evaluation import written
from tidegate.tasks.transcription.material import SpeechMaterial, feature_settings
from tidegate.tasks.transcription.model import SpeechModel


@dataclass(frozen=True)
class Spoken:
    """A token and when it is said, in seconds; confidence from 0 to 1."""

    token: str
    begin: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Transcript:
    """What is said in a recording. confidence: the mean of its tokens', 1 where nothing is said."""

    audio: str
    tokens: tuple[Spoken, ...]
    kind: str
    seconds: float

    @property
    def text(self) -> str:
        """The tokens as people write them."""
        return written([one.token for one in self.tokens], self.kind)

    @property
    def confidence(self) -> float:
        """See the class."""
        return float(np.mean([one.confidence for one in self.tokens])) if self.tokens else 1.0


TOGETHER = 256
"""Recordings that are heard together."""


def hear(model: SpeechModel, paths: Sequence[str | Path], speaker: Statistics | None = None) -> list[Transcript]:
    """The transcript of each recording. Where frames are normalised by speaker, all of them are taken for one speaker's, unless his
    statistics are given. Raises DataError for what cannot be read."""
    rate = feature_settings(model.config).rate
    return hear_samples(model, [str(path) for path in paths], (read_audio(path, rate)[0] for path in paths), speaker)


def hear_samples(
    model: SpeechModel, names: Sequence[str], samples: Iterable[np.ndarray], speaker: Statistics | None = None
) -> list[Transcript]:
    """The same of samples float32 [N] at the model's rate, of which one recording's are held at a time; the frames take a quarter of their
    memory. Raises DataError for those that are shorter than a frame."""
    settings = feature_settings(model.config)
    frames, seconds, heard = [], [], []
    with computing(model.config.training.threads):
        for name, one in zip(names, samples, strict=True):
            frames.append(log_mel(torch.from_numpy(one), settings))
            seconds.append(len(one) / settings.rate)
            check_long_enough(name, len(frames[-1]), settings)
        if speaker is None and model.normaliser.kind == "speaker" and frames:
            speaker = model.normaliser.of_speakers(("", one) for one in frames)[""]
        for first in range(0, len(frames), TOGETHER):
            some = slice(first, first + TOGETHER)
            log_probs = model.log_probs([model.normaliser.apply(one, speaker) for one in frames[some]])
            heard += [transcript(model, *facts) for facts in zip(names[some], log_probs, seconds[some], strict=True)]
    return heard


def hear_utterances(model: SpeechModel, material: SpeechMaterial, numbers: Sequence[int] | np.ndarray) -> list[Transcript]:
    """The same of utterances of a corpus, with frames as they are scored: where those are normalised by speaker, each by its own."""
    with computing(model.config.training.threads):
        log_probs = model.log_probs([material.normalised(int(number)) for number in numbers])
        paths = [material.corpus.utterances[number].audio for number in numbers]
        return [transcript(model, str(path), found, duration(path)) for path, found in zip(paths, log_probs, strict=True)]


def duration(path: Path) -> float:
    """Seconds of a recording by its header."""
    info = audio_info(path)
    return info.frames / info.rate


def check_long_enough(name: str, frames: int, settings: FeatureSettings) -> None:
    """Raise DataError where there is no frame."""
    if not frames:
        raise DataError(f"{name} is shorter than a frame of {settings.window_ms:g} ms. Give a longer recording.")


def recordings(sources: Sequence[str | Path]) -> list[Path]:
    """Files of audio: those given, and in the place of a folder all that it holds, sorted. Raises DataError for a folder that has none."""
    found = []
    for source in map(Path, sources):
        if not source.is_dir():
            found.append(source)
            continue
        names = audio_below(source)
        if not names:
            raise DataError(f"{source} holds no recording; expected audio files such as .wav, .flac, .ogg or .sph.")
        found += [source / name for name in names]
    return found


def transcript(model: SpeechModel, audio: str, log_probs_TV: np.ndarray, seconds: float) -> Transcript:
    """What log probabilities say, by the search of the model, aligned to its steps."""
    numbers, step, kind = model.search(log_probs_TV), model.step_seconds, model.config.data.tokens or "phones"
    spoken = tuple(
        Spoken(model.vocabulary[token.index - 1], min(token.begin * step, seconds), min(token.end * step, seconds), token.confidence)
        for token in align(log_probs_TV, numbers)
    )
    return Transcript(audio, spoken, kind, seconds)


def transcript_frame(heard: Sequence[Transcript]) -> pl.DataFrame:
    """A row a recording: audio, text, confidence, seconds."""
    return pl.DataFrame(
        {
            "audio": [one.audio for one in heard],
            "text": [one.text for one in heard],
            "confidence": [one.confidence for one in heard],
            "seconds": [one.seconds for one in heard],
        },
        schema={"audio": pl.String, "text": pl.String, "confidence": pl.Float64, "seconds": pl.Float64},
    )


def transcript_json(one: Transcript) -> dict[str, Any]:
    """A recording's transcript with its tokens and their times, as plain values."""
    facts = {"audio": one.audio, "text": one.text, "confidence": one.confidence, "seconds": one.seconds}
    return facts | {"tokens": [asdict(token) for token in one.tokens]}


def token_frame(heard: Sequence[Transcript]) -> pl.DataFrame:
    """A row a token: audio, token, begin, end (seconds), confidence."""
    rows = [(one.audio, token.token, token.begin, token.end, token.confidence) for one in heard for token in one.tokens]
    schema = {"audio": pl.String, "token": pl.String, "begin": pl.Float64, "end": pl.Float64, "confidence": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")
