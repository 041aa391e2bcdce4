"""TIMIT (Garofolo et al. 1993, LDC93S1) and corpora of its shape: TRAIN|TEST/DRn/SPEAKER/SENTENCE.{WAV,PHN,TXT}.

Any case of letters, any folders above; the place counts from the file upwards, never by a word somewhere in the whole path.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tidegate.data.speech.audio import AUDIO_SUFFIXES, audio_info
from tidegate.data.speech.corpus import Corpus, Found, Part, TokenKind, Utterance, files_below
from tidegate.data.speech.phones import CORE_TEST, DEVELOPMENT, FOLD_39, PHONES_61
from tidegate.data.speech.transcript import Spans, read_phn, read_transcript, tokens_of
from tidegate.errors import DataError

UTTERANCES: dict[Part, int] = {"train": 3696, "dev": 400, "test": 192}
"""Without the sentences SA1 and SA2, which all speakers say."""
SCORED_PHONES: dict[Part, int] = {"dev": 15057, "test": 7215}
"""Phones of the reference with 39 classes, q dropped, silences kept (Kaldi's and ESPnet's results)."""
_PLACE = re.compile(r"(?:.*/)?(train|test)/(dr[0-9]+)/([^/]+)/([^/.]+)((?:\.[^/.]+)+)", re.IGNORECASE)
_SPEAKER = re.compile(r"[fm][a-z]{3}[0-9]")
_EVERY = 10


@dataclass
class _Sentence:
    """The files of one sentence, relative to the root."""

    side: str
    speaker: str
    audio: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


def is_timit(audio: list[str]) -> bool:
    """Whether audio files, relative to the root, lie in TRAIN/DRn/SPEAKER and TEST/DRn/SPEAKER."""
    return {match[1].lower() for name in audio if (match := _PLACE.fullmatch(name))} == {"train", "test"}


def read_timit(root: Path, tokens: TokenKind | None) -> Found:
    """Phones (None): the labels of .PHN files as they are. Characters, words: of .TXT files.

    The parts: dev the 50 speakers of TEST that are customary, test the 24 of the core test; the other speakers of TEST are not used.
    A corpus without any of these has all of TEST for test, and every tenth speaker of TRAIN for dev. SA sentences are left out.
    """
    kind = tokens or "phones"
    sentences, notes = _sentences(root)
    sides = {side: sorted({it.speaker for it in sentences if it.side == side}) for side in ("train", "test")}
    parts, words = _parts_of(sides["train"], sides["test"])
    both = set(sides["train"]) & set(sides["test"])
    utterances, faults = [], {}
    for sentence in sentences:
        part = parts.get((sentence.side, sentence.speaker))
        if part is None:
            continue
        utterance, fault = _utterance(root, sentence, part, kind)
        if sentence.speaker in both and sentence.side == "train":
            fault = f"{utterance.audio}: speaker {sentence.speaker} is in TRAIN and in TEST; expected either. Remove one of the folders."
        if fault:
            faults[utterance.id] = fault
        utterances.append(utterance)
    unknown = Counter(token for it in utterances for token in it.tokens if kind == "phones" and token not in FOLD_39)
    if unknown:
        notes.append(
            f"labels beside TIMIT's {len(PHONES_61)}: " + ", ".join(f"{label} ({count:,})" for label, count in unknown.most_common(12))
        )
    return Found(utterances, faults, kind, [*words, *notes])


def count_notes(corpus: Corpus) -> list[str]:
    """How many utterances and scored phones each part has beside what is published, if it has customary speakers."""
    tested = {it.speaker for it in corpus.part("test")}
    if not tested or not tested <= set(CORE_TEST):
        return []
    notes = []
    for part, expected in UTTERANCES.items():
        found = len(corpus.part(part))
        notes.append(f"{part}: {found:,} utterances" + ("" if found == expected else f"; the full corpus has {expected:,}"))
    for part, expected in SCORED_PHONES.items() if corpus.token_kind == "phones" else ():
        found = sum(FOLD_39.get(token, token) is not None for it in corpus.part(part) for token in it.tokens)
        notes.append(f"{part}: {found:,} phones to score" + ("" if found == expected else f"; published scores count {expected:,}"))
    return notes


def _sentences(root: Path) -> tuple[list[_Sentence], list[str]]:
    """All sentences but SA with audio, by side, speaker and name, and notes."""
    files = files_below(root)
    found: dict[tuple[str, str, str], _Sentence] = {}
    elsewhere = 0
    for name in files:
        match, last = _PLACE.fullmatch(name), "." + name.rpartition(".")[2].lower()
        if match is None:
            elsewhere += last in AUDIO_SUFFIXES
            continue
        side, _, speaker, stem, rest = (part.lower() for part in match.groups())
        if re.fullmatch("sa[0-9]+", stem):
            continue
        sentence = found.setdefault((side, speaker, stem), _Sentence(side, speaker))
        if last in AUDIO_SUFFIXES:
            sentence.audio.append(name)
        elif rest == ".phn":
            sentence.labels.append(name)
        elif rest == ".txt":
            sentence.texts.append(name)
    sentences = [sentence for _, sentence in sorted(found.items()) if sentence.audio]
    if not sentences:
        expected = "expected TRAIN/DRn/SPEAKER/SENTENCE.WAV and the same below TEST"
        raise DataError(f"{root} has no recording in the shape of TIMIT; {expected}. Give the folder that holds TRAIN and TEST.")
    return sentences, _layout_notes(list(found.values()), elsewhere)


def _layout_notes(sentences: list[_Sentence], elsewhere: int) -> list[str]:
    notes = []
    silent = [sentence.labels or sentence.texts for sentence in sentences if not sentence.audio]
    if any(silent):
        notes.append(f"{len(silent):,} sentences have no recording, first {next(names for names in silent if names)[0]}")
    twice = [sentence.audio for sentence in sentences if len(sentence.audio) > 1]
    if twice:
        notes.append(f"{len(twice):,} sentences have several recordings, of which one is used, first {' and '.join(twice[0][:2])}")
    odd = sorted({sentence.speaker for sentence in sentences if not _SPEAKER.fullmatch(sentence.speaker)})
    if odd:
        notes.append(f"{len(odd):,} folders are not called as TIMIT's speakers are (m or f, three letters, a digit), first {odd[0]}")
    if elsewhere:
        notes.append(f"{elsewhere:,} recordings lie outside TRAIN|TEST/DRn/SPEAKER and are not used")
    return notes


def _parts_of(train: Sequence[str], test: Sequence[str]) -> tuple[dict[tuple[str, str], Part], list[str]]:
    """The part of each (side, speaker) that is used, and notes."""
    core = [name for name in test if name in CORE_TEST]
    named = [name for name in test if name in DEVELOPMENT]
    notes = []
    if core and len(core) < len(CORE_TEST):
        notes.append(f"{len(core)} of the {len(CORE_TEST)} speakers of the core test are here")
    if not core:
        core = [name for name in test if name not in named]
        if not core:  # TEST holds none but speakers for development
            core, named = list(test), []
        notes.append(f"no speaker of the core test is here: test is the other {len(core):,} of TEST")
    dev = [("test", name) for name in named]
    if dev and len(dev) < len(DEVELOPMENT):
        notes.append(f"{len(dev)} of the {len(DEVELOPMENT)} speakers for development are here")
    if not dev and len(train) > 1:
        dev = [("train", name) for name in train[::_EVERY]]
        notes.append(f"no speaker for development is used: dev is every tenth of TRAIN, {len(dev):,}")
    parts: dict[tuple[str, str], Part] = {("train", name): "train" for name in train}
    parts.update({("test", name): "test" for name in core})
    parts.update(dict.fromkeys(dev, "dev"))
    unused = len(test) - sum(side == "test" for side, _ in parts)
    if unused:
        notes.append(f"{unused:,} other speakers of TEST are not used")
    return parts, notes


def _utterance(root: Path, sentence: _Sentence, part: Part, kind: TokenKind) -> tuple[Utterance, str]:
    """A sentence with its transcript, and a fault or ''."""
    audio = _readable(root, sentence.audio)
    folder, _, file = audio.rpartition("/")
    labels, written = (_nearest(names, folder) for names in (sentence.labels, sentence.texts))
    said: tuple[str, ...] = ()
    text, spans, fault = "", None, ""
    try:
        text = _text(root / written) if written else ""
        if kind != "phones" and written:
            said = tokens_of(text, kind, str(root / written))
    except DataError as error:
        fault = "" if kind == "phones" else str(error)
    needed, suffix = (labels, ".PHN") if kind == "phones" else (written, ".TXT")
    if needed is None:
        fault = f"{root / audio} has no {suffix} beside it; expected its transcript. Copy it, or leave the recording out."
    elif kind == "phones":
        try:
            said, spans = _phones(root / needed)
        except DataError as error:
            fault = str(error)
    name = f"{folder}/{file.partition('.')[0]}"
    return Utterance(name, root / audio, said, text, sentence.speaker, part, spans), fault


def _readable(root: Path, names: Sequence[str]) -> str:
    """Of several files of a recording, such as SX1.WAV and SX1.WAV.wav, the first by shortness of its ending that can be read."""
    names = sorted(names, key=lambda name: (name.rpartition("/")[2].count("."), name))
    for name in names if len(names) > 1 else ():
        try:
            audio_info(root / name)
        except DataError:
            continue
        return name
    return names[0]


def _nearest(names: Sequence[str], folder: str) -> str | None:
    """The file in the recording's own folder, else the first."""
    return next((name for name in names if name.rpartition("/")[0] == folder), names[0] if names else None)


def _text(path: Path) -> str:
    """A .TXT file's sentence, without the first and last sample before it."""
    return re.sub(r"^[0-9]+ [0-9]+ ", "", read_transcript(path))


def _phones(path: Path) -> tuple[tuple[str, ...], Spans | None]:
    labels, spans = read_phn(path)
    return tuple(label.lower() for label in labels), spans
