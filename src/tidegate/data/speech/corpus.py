"""A corpus of speech on disk as utterances in three parts; which kind it is, and which of its files are of use."""

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from tidegate.data.read import reading
from tidegate.data.speech.audio import AUDIO_SUFFIXES, AudioInfo, audio_info
from tidegate.data.speech.transcript import clean_text
from tidegate.errors import DataError, SettingsError, did_you_mean

Part = Literal["train", "dev", "test"]
TokenKind = Literal["phones", "characters", "words"]
CorpusKind = Literal["timit", "folder", "manifest", "fsdd"]
OnBad = Literal["refuse", "skip"]

EVERY = 10
"""One prompt of so many goes into each part that is held out."""
FEW_PROMPTS = 30
"""Below this many, as of digits and commands, each prompt is in all parts: a part that lacks one would not be like the others."""
FEW_TAKES = 3
"""With fewer recordings of each than this, prompts are too rare to be in all parts."""
MANIFEST_SUFFIXES = frozenset({".csv", ".tsv", ".json", ".jsonl"})
_SHOWN = 12


@dataclass(frozen=True)
class Utterance:
    """A recording and what is said in it.

    id       unique in the corpus: the path below the root without its suffix, with '/'
    audio    the file
    tokens   what is said, of the chosen kind
    text     the words as written; '' if not known
    speaker  '' if not known
    part     what it is for
    spans    begin and end of each token in samples, the end not included; None if not known
    """

    id: str
    audio: Path
    tokens: tuple[str, ...]
    text: str
    speaker: str
    part: Part
    spans: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True)
class Problem:
    """A file that was left out, and why, in a sentence or two."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Corpus:
    """Utterances sorted by id, the files that were left out, and notes on what was recognised and what is odd."""

    root: Path
    kind: CorpusKind
    token_kind: TokenKind
    utterances: tuple[Utterance, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    def part(self, name: Part) -> tuple[Utterance, ...]:
        """The utterances of a part."""
        return tuple(utterance for utterance in self.utterances if utterance.part == name)

    def vocabulary(self) -> tuple[str, ...]:
        """Tokens of the training part, sorted: number i is logit i + 1 of a network, 0 being the blank."""
        return tuple(sorted({token for utterance in self.part("train") for token in utterance.tokens}))


@dataclass(frozen=True)
class Found:
    """What the reader of a kind of corpus gives: all utterances, those with a fault too, so that no fault moves another's part.

    faults     why an utterance is of no use, by id; it may then lack tokens
    own_parts  whether the corpus itself says what each part is
    """

    utterances: list[Utterance]
    faults: dict[str, str]
    token_kind: TokenKind
    notes: list[str]
    own_parts: bool = True


def read_corpus(
    path: str | Path,
    kind: CorpusKind | None = None,
    tokens: TokenKind | None = None,
    on_bad: OnBad = "refuse",
    test_speakers: Iterable[str] = (),
    scored_only: bool = False,
) -> Corpus:
    """The utterances of a corpus.

    path           a folder, or a manifest: a file of CSV or JSON lines
    kind           None: recognised
    tokens         None: phones of TIMIT, words of FSDD, characters of a manifest; of a folder phones if half of its recordings have
                   label files, else characters
    on_bad         "skip": recordings that cannot be used become problems; "refuse": they are an error
    test_speakers  the test part is all that these say, and what of it others say becomes training; none: as the corpus has it
    scored_only    a corpus to score a model on that exists: the test part alone; all of a corpus that names no parts

    A development part that the corpus lacks is every tenth prompt of training. Raises DataError for what cannot be read or used,
    for a part without utterances, and for unknown speakers; SettingsError for an unknown kind, and where soundfile is missing.
    """
    given = (("kind", kind, CorpusKind), ("tokens", tokens, TokenKind), ("on_bad", on_bad, OnBad))
    for name, value, known in given:
        if value is not None and value not in get_args(known):
            raise SettingsError(f"{name} is '{value}'.{did_you_mean(str(value), get_args(known))}")
    with reading(Path(path)) as root:
        is_folder = stat.S_ISDIR(root.stat().st_mode)
    chosen = kind or recognise(root)
    if is_folder == (chosen == "manifest"):
        expected = "a file of CSV or JSON lines" if is_folder else "the folder of the corpus"
        raise DataError(f"{root} is a {'folder' if is_folder else 'file'}, to be read as {_NAMES[chosen]}; expected {expected}.")
    found = _readers()[chosen](root, tokens)
    if not found.utterances:
        raise DataError(f"{root} holds no recording; expected audio files such as .wav, .flac, .ogg or .sph. Give the folder above them.")
    if scored_only:
        found = _scored(found)
    utterances, moved = _with_test_speakers(sorted(found.utterances, key=lambda utterance: utterance.id), tuple(test_speakers))
    utterances, made = (utterances, []) if scored_only else _with_dev(utterances)
    utterances, faults, beyond = _check_audio(utterances, found.faults)
    problems = [Problem(utterance.audio, faults[utterance.id]) for utterance in utterances if utterance.id in faults]
    if problems and on_bad == "refuse":
        count = f"{len(problems):,} of {len(utterances):,} recordings cannot be used" if len(problems) > 1 else "No other recording is bad"
        raise DataError(f"{problems[0].reason} {count}: to leave such out, give --on-bad skip.")
    good = tuple(utterance for utterance in utterances if utterance.id not in faults)
    corpus = Corpus(root if is_folder else root.parent, chosen, found.token_kind, good, tuple(problems))
    _check_parts(corpus, ("test",) if scored_only else get_args(Part))
    notes = [f"read as {_NAMES[chosen]}", *found.notes, *moved, *made, *beyond, *_oddities(corpus)]
    return replace(corpus, notes=tuple(notes))


def recognise(root: Path) -> CorpusKind:
    """The kind of corpus by names of files alone. Raises DataError for a file that is no manifest."""
    from tidegate.data.speech.fsdd import is_fsdd
    from tidegate.data.speech.timit import is_timit

    if root.is_file():
        if root.suffix.lower() in MANIFEST_SUFFIXES:
            return "manifest"
        raise DataError(f"{root} is a file; expected the folder of a corpus, or a manifest: .csv, .tsv, .json or .jsonl.")
    audio = audio_below(root)
    if is_timit(audio):
        return "timit"
    return "fsdd" if is_fsdd(audio) else "folder"


def files_below(root: Path) -> list[str]:
    """All files below a folder, relative to it, with '/', sorted; hidden ones are passed over, links to folders followed once.

    Raises DataError for a folder that cannot be listed.
    """
    files: list[str] = []
    seen: set[tuple[int, int]] = set()

    def refuse(error: OSError) -> None:
        raise error

    with reading(root):
        for folder, folders, names in os.walk(root, onerror=refuse, followlinks=True):
            facts = os.stat(folder)
            if (facts.st_dev, facts.st_ino) in seen:
                folders.clear()
                continue
            seen.add((facts.st_dev, facts.st_ino))
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            place = Path(folder).relative_to(root)
            files += [(place / name).as_posix() for name in names if not name.startswith(".")]
    return sorted(files)


def audio_below(root: Path) -> list[str]:
    """Those of `files_below` that are audio by their names."""
    return [name for name in files_below(root) if os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES]


def parts_by_prompt(utterances: Sequence[Utterance], held: tuple[Part, ...] = ("test", "dev")) -> tuple[list[Utterance], str]:
    """Utterances sorted by id with parts given by what is said, so that no part repeats what another has; and a note.

    Prompts are numbered in the order of their names. Every tenth from the first goes into the first part that is held out, the one
    after each into the second, the rest is for training. Where there are few prompts, recordings are numbered so within each.
    """
    utterances = sorted(utterances, key=lambda utterance: utterance.id)
    prompts = prompts_of(utterances)
    order = {name: number for number, name in enumerate(sorted(set(prompts)))}
    within = len(order) < FEW_PROMPTS and len(utterances) >= FEW_TAKES * len(order)
    takes: Counter[str] = Counter()
    result = []
    for utterance, prompt in zip(utterances, prompts, strict=True):
        place = (takes[prompt] if within else order[prompt]) % EVERY
        takes[prompt] += 1
        result.append(replace(utterance, part=held[place] if place < len(held) else "train"))
    what = f"recording of each of {len(order)} prompts, which all parts share" if within else f"of {len(order):,} prompts, each in one part"
    words = f"every tenth {what}, is for {held[0]}" + (f", the one after it for {held[1]}" if len(held) > 1 else "")
    return result, words


def prompts_of(utterances: Sequence[Utterance]) -> list[str]:
    """The name of the prompt that each utterance is a recording of.

    Utterances of one text are of one prompt; where the text is not known, those of the same tokens. Where all files are called
    PROMPT_TAKE, those of one PROMPT are as well: takes may lack a transcript, or be labelled differently. Names of files count only
    if texts do not contradict them, as those of SPEAKER_NUMBER do.
    """
    texts = [clean_text(utterance.text) for utterance in utterances]
    names = [utterance.id.rpartition("/")[2].rpartition("_")[0] for utterance in utterances]
    by_name = all(names) and len(set(names)) > 1 and _agree(names, texts)
    groups: dict[tuple[str, str], tuple[str, str]] = {}

    def head(key: tuple[str, str]) -> tuple[str, str]:
        while groups.setdefault(key, key) != key:
            groups[key] = groups[groups[key]]
            key = groups[key]
        return key

    keys = []
    for utterance, text, name in zip(utterances, texts, names, strict=True):
        said = ("text", text) if text else ("tokens", " ".join(utterance.tokens)) if utterance.tokens else ("id", utterance.id)
        keys.append(said)
        if by_name:
            groups[head(said)] = head(("name", name))
    least: dict[tuple[str, str], str] = {}
    labels = names if by_name else [utterance.id for utterance in utterances]
    for key, label in zip(keys, labels, strict=True):
        least[head(key)] = min(label, least.get(head(key), label))
    return [least[head(key)] for key in keys]


def _agree(names: Sequence[str], texts: Sequence[str]) -> bool:
    """Whether at least half of the names that stand for several known texts stand for the same one."""
    said: dict[str, list[str]] = {}
    for name, text in zip(names, texts, strict=True):
        if text:
            said.setdefault(name, []).append(text)
    several = [len(set(found)) == 1 for found in said.values() if len(found) > 1]
    return 2 * sum(several) >= len(several)


def _with_test_speakers(utterances: list[Utterance], names: tuple[str, ...]) -> tuple[list[Utterance], list[str]]:
    if not names:
        return utterances, []
    known = {utterance.speaker.casefold(): utterance.speaker for utterance in utterances if utterance.speaker}
    if not known:
        raise DataError(f"Test speakers are given ({', '.join(names)}), but the corpus names no speaker. Leave them out.")
    for name in names:
        if name.casefold() not in known:
            raise DataError(f"There is no speaker '{name}'.{did_you_mean(name, sorted(known.values()))}")
    chosen = {known[name.casefold()] for name in names}
    rest: dict[Part, Part] = {"train": "train", "dev": "dev", "test": "train"}
    moved = [replace(it, part="test" if it.speaker in chosen else rest[it.part]) for it in utterances]
    return moved, [f"test speakers as asked for: {_listed(sorted(chosen))}"]


def _with_dev(utterances: list[Utterance]) -> tuple[list[Utterance], list[str]]:
    """A development part of every tenth prompt of training, if there is none."""
    train = [utterance for utterance in utterances if utterance.part == "train"]
    if len(train) < 2 or any(utterance.part == "dev" for utterance in utterances):
        return utterances, []
    parted, words = parts_by_prompt(train, ("dev",))
    others = [utterance for utterance in utterances if utterance.part != "train"]
    return sorted(parted + others, key=lambda utterance: utterance.id), [f"there was no dev part: in training, {words}"]


def _check_audio(utterances: list[Utterance], faults: dict[str, str]) -> tuple[list[Utterance], dict[str, str], list[str]]:
    """Utterances with the silence at their ends labelled, faults with those of the audio, and a note on labels beyond the audio."""
    headers = [None if it.id in faults else _header(it.audio) for it in utterances]  # 0.1 ms each; threads gain nothing
    faults = faults | {it.id: header for it, header in zip(utterances, headers, strict=True) if isinstance(header, str)}
    padded, beyond = [], []
    for utterance, header in zip(utterances, headers, strict=True):
        if isinstance(header, AudioInfo) and utterance.spans:
            end = utterance.spans[-1][1]
            if end > header.frames:
                beyond.append(utterance.id)
            elif utterance.tokens[-1] == "h#" and end < header.frames:  # TIMIT's last label may end a little before the audio
                utterance = replace(utterance, spans=(*utterance.spans[:-1], (utterance.spans[-1][0], header.frames)))
        padded.append(utterance)
    return padded, faults, [f"labels end after the audio in {len(beyond):,}: {_listed(beyond)}"] if beyond else []


def _header(path: Path) -> AudioInfo | str:
    try:
        return audio_info(path)
    except DataError as error:
        return str(error)


def _scored(found: Found) -> Found:
    """Those of the test part; all where the corpus names no part."""
    if not found.own_parts:
        whole: list[Utterance] = [replace(it, part="test") for it in found.utterances]
        return replace(found, utterances=whole, notes=[*found.notes[:-1], "the corpus names no parts: all of it is scored"])
    some = [it for it in found.utterances if it.part == "test"]
    return replace(found, utterances=some, faults={it.id: found.faults[it.id] for it in some if it.id in found.faults})


def _check_parts(corpus: Corpus, parts: Sequence[Part]) -> None:
    counts = Counter(utterance.part for utterance in corpus.utterances)
    for name in parts:
        if not counts[name]:
            rest = ", ".join(f"{other} {counts[other]:,}" for other in get_args(Part) if other != name)
            left = f"; {len(corpus.problems):,} were left out, first: {corpus.problems[0].reason}" if corpus.problems else ""
            cure = "Add recordings, mend those left out, or name test speakers"
            raise DataError(f"{corpus.root}: no utterance is for {name} ({rest}{left}). Expected some in each part. {cure}.")


def _oddities(corpus: Corpus) -> list[str]:
    """What the reader of a score should know: voices and sentences that were heard before, tokens that were not."""
    from tidegate.data.speech.timit import count_notes

    train, test = corpus.part("train"), corpus.part("test")
    notes = count_notes(corpus) if corpus.kind == "timit" and train else []
    shared = sorted({it.speaker for it in train} & {it.speaker for it in test} - {""})
    if shared:
        notes.append(f"speakers are in training and test: {_listed(shared)}; scores are for known voices")
    elif train and not any(it.speaker for it in corpus.utterances):
        notes.append("speakers are not known; training and test may share them")
    texts = {clean_text(it.text) for it in train} - {""}
    repeated = sum(clean_text(it.text) in texts for it in test)
    if repeated and corpus.kind != "fsdd":  # digits are the same in all parts
        notes.append(f"{repeated:,} of {len(test):,} test utterances say what training has too")
    seen = set(corpus.vocabulary())
    for name in ("dev", "test") if train else ():
        counts = Counter(token for it in corpus.part(name) for token in it.tokens if token not in seen)
        if counts:
            words = _listed([f"'{token}' ({number:,})" for token, number in counts.most_common()])
            notes.append(f"{name} has tokens that training never has: {words}; they always count as errors")
    return notes


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")


def _readers() -> dict[CorpusKind, Callable[[Path, TokenKind | None], Found]]:
    from tidegate.data.speech.audio_folder import read_audio_folder  # here, because readers need the types of this file
    from tidegate.data.speech.fsdd import read_fsdd
    from tidegate.data.speech.manifest import read_manifest
    from tidegate.data.speech.timit import read_timit

    return {"timit": read_timit, "folder": read_audio_folder, "manifest": read_manifest, "fsdd": read_fsdd}


_NAMES: dict[CorpusKind, str] = {
    "timit": "TIMIT",
    "folder": "a folder of recordings with transcripts beside them",
    "manifest": "a manifest",
    "fsdd": "the Free Spoken Digit Dataset",
}
