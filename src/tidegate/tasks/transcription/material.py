"""From a corpus to what training a recogniser needs: frames on one scale, token strings as numbers, and the parts they belong to."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from tidegate.config_transcribe import CausalLSTMSettings, TranscribeConfig
from tidegate.data.speech.audio import audio_info, read_audio
from tidegate.data.speech.corpus import Corpus, Part, Problem, Utterance
from tidegate.data.speech.features import FeatureSettings
from tidegate.data.speech.frames import Frames, build_frames
from tidegate.data.speech.normalise import Loud, Normaliser, Statistics
from tidegate.data.speech.phones import FOLD_39, FOLD_48
from tidegate.decode.align import frames_needed
from tidegate.decode.ngram import highest_order
from tidegate.errors import DataError, SettingsError
from tidegate.tasks.computing import resolve_device

HIGHEST_RATE = 16_000
"""Samples a second: speech is intelligible below 8 kHz, and networks need no more."""
UPDATES, LEAST_EPOCHS, MOST_EPOCHS = 4000, 20, 40
"""Of the weights, and the epochs that make them, where the settings leave that open."""
LEAST_FRAMES, MOST_FRAMES = 1000, 3000
"""Of a batch, likewise: with fewer, more updates."""
NAMED = 5
"""Recordings that are left out are named in the notes up to so many."""
ASKED = 100
"""Recordings whose headers tell the rate of a corpus."""
SPEEDS = (0.9, 1.0, 1.1)
"""Of training utterances where there are several voices."""
TEMPO = 0.15
"""Share by which training utterances are stretched or squeezed where there is one voice, whose pitch is as it is."""
FEW_TOKENS, JOINED, CUT, PAUSES = 3, 6, 0.2, 20
"""With fewer tokens an utterance, training says up to so many utterances one after the other, and changes their ends: cuts off up to this
share, adds up to so many frames."""


@dataclass(frozen=True)
class SpeechMaterial:
    """What a recogniser is trained and tested on.

    frames      of each speed the frames of all utterances, in the order of `corpus.utterances`, not normalised; the first is speed 1
    normaliser  fitted on the training part
    speakers    statistics of each speaker, where frames are normalised by speaker: for each part of its own, so that nothing of what is
                scored is in what is trained on
    targets     of each utterance the numbers of its tokens, 1 to V; those that training never has are left out
    spans       of each training utterance begin and end of each token in seconds, [U, 2]; None where they are not known
    """

    config: TranscribeConfig
    corpus: Corpus
    vocabulary: tuple[str, ...]
    features: FeatureSettings
    frames: tuple[Frames, ...]
    normaliser: Normaliser
    speakers: dict[tuple[Part, str], Statistics]
    targets: tuple[np.ndarray, ...]
    spans: tuple[np.ndarray | None, ...]
    notes: list[str]

    @property
    def batch_frames(self) -> int:
        """At most so many frames in a batch."""
        assert self.config.training.batch_frames is not None
        return self.config.training.batch_frames

    def numbers(self, part: Part) -> np.ndarray:
        """Of the utterances of a part, ascending."""
        return np.array([number for number, it in enumerate(self.corpus.utterances) if it.part == part], dtype=np.int64)

    def references(self, numbers: Sequence[int] | np.ndarray) -> list[tuple[str, ...]]:
        """What is said in these utterances."""
        return [self.corpus.utterances[number].tokens for number in numbers]

    def normalised(self, number: int, speed: int = 0) -> torch.Tensor:
        """The frames [T, C] that the network sees of an utterance."""
        return self.normaliser.apply(self.frames[speed][number], self.speaker_of(number))

    def speaker_of(self, number: int) -> Statistics | None:
        """Statistics of who says an utterance, where frames are normalised by them."""
        it = self.corpus.utterances[number]
        return self.speakers.get((it.part, it.speaker))


def feature_settings(config: TranscribeConfig) -> FeatureSettings:
    """What a frame is, by settings in which the rate is not open."""
    data = config.data
    assert data.rate is not None
    return FeatureSettings(rate=data.rate, bands=data.bands, deltas=data.deltas, window_ms=data.window_ms, hop_ms=data.hop_ms)


def complete(config: TranscribeConfig, corpus: Corpus, threads: int) -> TranscribeConfig:
    """The settings with all that follows from the corpus. Raises SettingsError for a device that is not there."""
    data, speakers = config.data, {it.speaker for it in corpus.utterances}
    live = isinstance(config.network, CausalLSTMSettings)
    found = {
        "kind": corpus.kind,
        "tokens": corpus.token_kind,
        "rate": data.rate or common_rate(corpus.part("train")),
        "normalisation": data.normalisation or ("speaker" if len(speakers) > 1 and "" not in speakers and not live else "global"),
    }
    settings, single = config.training, single_words(corpus.part("train"))
    speeds = settings.speeds or (SPEEDS if len({it.speaker for it in corpus.part("train")}) > 1 else (1.0,))
    derived = {
        "threads": settings.threads or threads,
        "device": resolve_device(settings.device),
        "joined": settings.joined or (JOINED if single else 1),
        "cut": settings.cut if settings.cut is not None else CUT * single,
        "pauses": settings.pauses if settings.pauses is not None else PAUSES * single,
        "speeds": speeds,
        "tempo": settings.tempo if settings.tempo is not None else TEMPO * (set(speeds) == {1.0}),
    }
    training = settings.model_copy(update=derived)
    return config.model_copy(update={"data": data.model_copy(update=found), "training": training})


def single_words(utterances: Sequence[Utterance]) -> bool:
    """Whether utterances are so short that they have been cut out of their surroundings."""
    return sum(len(it.tokens) for it in utterances) < FEW_TOKENS * len(utterances)


def common_rate(utterances: Sequence[Utterance]) -> int:
    """The rate of most of some recordings, at most HIGHEST_RATE."""
    some = utterances[:: max(1, len(utterances) // ASKED)]
    rates = Counter(audio_info(it.audio).rate for it in some)
    return min(HIGHEST_RATE, rates.most_common(1)[0][0])


def gather_speech(corpus: Corpus, config: TranscribeConfig, listen: Callable[[int], None] | None = None) -> SpeechMaterial:
    """The material of a corpus by settings that are complete. Raises DataError for recordings that cannot be read or are too short for
    what is said in them, unless they are to be skipped."""
    corpus, notes = _with_phone_set(corpus, config)
    features = feature_settings(config)
    unread: dict[Path, str] = {}
    key = corpus_checksum(corpus) if config.data.cache is not None else ""
    frames = tuple(_frames(corpus, config, features, speed, unread, listen, key) for speed in every_speed(config))
    corpus, frames = _long_enough(corpus, config, frames, unread)
    train = [number for number, it in enumerate(corpus.utterances) if it.part == "train"]
    loud = None if config.data.loud_db is None else Loud(features.statics, config.data.loud_db)
    normaliser = Normaliser.fit(config.data.normalisation or "global", (frames[0][number] for number in train), loud)
    speakers = _speakers(corpus, frames[0], normaliser)
    vocabulary = corpus.vocabulary()
    _check_order(config, len(vocabulary))
    indices = {token: number for number, token in enumerate(vocabulary, 1)}
    targets = tuple(np.array([indices[token] for token in it.tokens if token in indices], dtype=np.int64) for it in corpus.utterances)
    notes = [*corpus.notes, *notes, *_left_out(corpus)]
    spans = tuple(_seconds(it) if it.part == "train" else None for it in corpus.utterances)
    return SpeechMaterial(
        _with_pace(config, frames[0], train), corpus, vocabulary, features, frames, normaliser, speakers, targets, spans, notes
    )


def _check_order(config: TranscribeConfig, tokens: int) -> None:
    order, highest = config.decoding.order, highest_order(tokens)
    if config.decoding.beam > 1 and order > highest:
        raise SettingsError(
            f"decoding.order is {order}, but of {tokens:,} tokens n-grams of at most {highest} can be counted. Choose that."
        )


def gather_scored(corpus: Corpus, config: TranscribeConfig, normaliser: Normaliser, vocabulary: tuple[str, ...]) -> SpeechMaterial:
    """The material to score a model on that exists: the test part alone, as it is, on the model's scale. Raises DataError for recordings
    that cannot be read, unless they are to be skipped."""
    corpus = replace(corpus, utterances=corpus.part("test"))
    corpus, notes = _with_phone_set(corpus, config)
    features = feature_settings(config)
    unread: dict[Path, str] = {}
    plain = config.model_copy(update={"data": config.data.model_copy(update={"cache": None})})
    frames = (_frames(corpus, plain, features, 1.0, unread, None),)
    corpus, frames = _long_enough(corpus, config, frames, unread, parts=("test",))
    speakers = _speakers(corpus, frames[0], normaliser)
    notes = [*corpus.notes, *notes, *_left_out(corpus)]
    return SpeechMaterial(config, corpus, vocabulary, features, frames, normaliser, speakers, (), (), notes)


def _seconds(it: Utterance) -> np.ndarray | None:
    return None if it.spans is None else np.array(it.spans, np.float64) / audio_info(it.audio).rate


def _speakers(corpus: Corpus, frames: Frames, normaliser: Normaliser) -> dict[tuple[Part, str], Statistics]:
    found: dict[tuple[Part, str], Statistics] = {}
    if normaliser.kind != "speaker":
        return found
    for part in get_args(Part):
        numbers = [number for number, it in enumerate(corpus.utterances) if it.part == part]
        known = normaliser.of_speakers((corpus.utterances[number].speaker, frames[number]) for number in numbers)
        found |= {(part, speaker): statistics for speaker, statistics in known.items()}
    return found


def _with_pace(config: TranscribeConfig, frames: Frames, train: Sequence[int]) -> TranscribeConfig:
    """The settings with frames of a batch and the number of epochs, where they are open."""
    training, heard = config.training, int(frames.lengths[np.array(train)].sum())
    batch = training.batch_frames or min(MOST_FRAMES, max(LEAST_FRAMES, heard * MOST_EPOCHS // UPDATES))
    epochs = min(MOST_EPOCHS, max(LEAST_EPOCHS, -(-UPDATES // max(1, round(heard / batch)))))
    found = {"batch_frames": batch, "max_epochs": training.max_epochs or epochs}
    return config.model_copy(update={"training": training.model_copy(update=found)})


def corpus_checksum(corpus: Corpus) -> str:
    """SHA-256 of all that a recogniser learns from: the recordings' bytes, what is said, by whom, and for which part."""
    digest = hashlib.sha256()
    for it in corpus.utterances:
        digest.update(repr((it.id, it.tokens, it.speaker, it.part)).encode())
        with it.audio.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _with_phone_set(corpus: Corpus, config: TranscribeConfig) -> tuple[Corpus, list[str]]:
    """A TIMIT corpus in the set of phones that is trained on; references are scored in 39 whatever that is."""
    if corpus.kind != "timit" or corpus.token_kind != "phones" or config.data.phone_set == 61:
        return corpus, []
    fold = FOLD_48 if config.data.phone_set == 48 else FOLD_39
    folded = []
    for it in corpus.utterances:
        pairs = [(fold.get(token, token), place) for place, token in enumerate(it.tokens)]
        kept = [(token, place) for token, place in pairs if token is not None]
        spans = it.spans and tuple(it.spans[place] for _, place in kept)
        folded.append(replace(it, tokens=tuple(token for token, _ in kept), spans=spans))
    return replace(corpus, utterances=tuple(folded)), [f"trained on {config.data.phone_set} phones"]


def every_speed(config: TranscribeConfig) -> list[float]:
    """The speeds of `SpeechMaterial.frames`."""
    return [1.0, *sorted(set(config.training.speeds or ()) - {1.0})]


def _frames(
    corpus: Corpus,
    config: TranscribeConfig,
    features: FeatureSettings,
    speed: float,
    unread: dict[Path, str],
    listen: Callable[[int], None] | None,
    key: str = "",
) -> Frames:
    """Frames of all utterances, from the cache where there is one. Only training utterances are played at other speeds. A header does not
    tell all: recordings that turn out to be bad, where such are to be skipped, have no frames, and `unread` gets the reason."""
    utterances = corpus.utterances
    path = None
    if config.data.cache is not None:
        folder = Path(config.data.cache).expanduser()
        name = hashlib.sha256(repr((str(corpus.root.resolve()), features, speed, key)).encode()).hexdigest()[:16]
        path = folder / f"{name}.frames"

    def samples(number: int) -> np.ndarray:
        if speed != 1.0 and utterances[number].part != "train":
            return np.zeros(0, np.float32)
        try:
            return read_audio(utterances[number].audio, features.rate)[0]
        except DataError as error:
            if config.data.on_bad == "refuse":
                raise
            unread[utterances[number].audio] = str(error)
            return np.zeros(0, np.float32)

    threads = config.training.threads or 1
    found = build_frames(path, [it.id for it in utterances], samples, features, key=key, speed=speed, listen=listen, threads=threads)
    if path is not None and speed == 1.0:
        for number in np.flatnonzero(found.lengths == 0):
            samples(int(number))  # those of the cache do not say why there are none
    return found


def _long_enough(
    corpus: Corpus,
    config: TranscribeConfig,
    frames: tuple[Frames, ...],
    unread: dict[Path, str],
    parts: Sequence[Part] = get_args(Part),
) -> tuple[Corpus, tuple[Frames, ...]]:
    """Without the training utterances that are too short for CTC: it needs a step for each token, and one between two that are alike."""
    pooling, bad = config.network.pooling, []
    indices = {token: number for number, token in enumerate(corpus.vocabulary())}
    for number, it in enumerate(corpus.utterances):
        shortest = min(int(one.lengths[number]) for one in (frames if it.part == "train" else frames[:1]))
        steps = -(-shortest // pooling)
        needed = frames_needed([indices[token] for token in it.tokens]) if it.part == "train" else 1
        if it.audio in unread:
            bad.append(Problem(it.audio, unread[it.audio]))
        elif steps < max(1, needed):
            seconds = frames[0].lengths[number] * feature_settings(config).hop_seconds
            said = f"{len(it.tokens)} tokens in {seconds:.2f} s" if it.part == "train" else f"{seconds:.2f} s"
            cure = "Give whole recordings, or a network with less pooling (--set network.pooling=1)"
            bad.append(Problem(it.audio, f"{it.audio} is too short: {said}, {steps} steps of the network, {needed} needed. {cure}."))
    if not bad:
        return corpus, frames
    if config.data.on_bad == "refuse":
        rest = f" {len(bad):,} recordings are too short." if len(bad) > 1 else ""
        raise DataError(f"{bad[0].reason}{rest} To leave such out, give --on-bad skip.")
    left = {problem.path for problem in bad}
    kept = np.array([number for number, it in enumerate(corpus.utterances) if it.audio not in left], dtype=np.int64)
    return _without(corpus, bad, parts), tuple(_taken(one, kept) for one in frames)


def _taken(frames: Frames, numbers: np.ndarray) -> Frames:
    parts = [frames[int(number)] for number in numbers]
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return Frames(np.concatenate(parts), offsets, tuple(frames.ids[number] for number in numbers))


def _without(corpus: Corpus, bad: list[Problem], parts: Sequence[Part]) -> Corpus:
    left = {problem.path for problem in bad}
    utterances = tuple(it for it in corpus.utterances if it.audio not in left)
    for part in parts:
        if bad and not any(it.part == part for it in utterances):
            raise DataError(f"{corpus.root}: no utterance is left for {part}. First of {len(bad):,} left out: {bad[0].reason}")
    return replace(corpus, utterances=utterances, problems=(*corpus.problems, *bad))


def _left_out(corpus: Corpus) -> list[str]:
    count = len(corpus.problems)
    if not count:
        return []
    more = f", {count - NAMED:,} more in scores.json" if count > NAMED else ""
    return [f"{count:,} recordings are left out{more}:", *(problem.reason for problem in corpus.problems[:NAMED])]
