"""Recordings anywhere below a folder, each with a transcript of the same name beside it: .phn or .lab for phones, .txt for text."""

from pathlib import Path, PurePosixPath

from tidegate.data.speech.audio import AUDIO_SUFFIXES, audio_info
from tidegate.data.speech.corpus import Found, Part, TokenKind, Utterance, files_below, parts_by_prompt
from tidegate.data.speech.transcript import Spans, read_phn, read_transcript, tokens_of
from tidegate.errors import DataError

_PARTS: dict[str, Part] = {"train": "train", "dev": "dev", "valid": "dev", "validation": "dev", "val": "dev", "test": "test"}


def read_audio_folder(root: Path, tokens: TokenKind | None) -> Found:
    """Parts are the folders train, dev (valid, validation, val) and test, if there are, else by prompt (`parts_by_prompt`).

    tokens  None: phones if half of the recordings have label files, else characters

    Speakers are the first folders below the root, or below the part's, if there are two or more.
    """
    files = files_below(root)
    by_key = {_key(PurePosixPath(name)): name for name in reversed(files)}  # of names that differ in case the first
    audio = [PurePosixPath(name) for name in files if PurePosixPath(name).suffix.lower() in AUDIO_SUFFIXES]
    labels = {path: _beside(path, (".phn", ".lab"), by_key) for path in audio}
    kind = tokens or ("phones" if 2 * sum(name is not None for name in labels.values()) >= len(audio) else "characters")
    has_parts = _has_parts(audio)
    used = [path for path in audio if _part(path)] if has_parts else audio
    speakers = _speakers(used, has_parts)
    utterances, faults = [], {}
    names: set[str] = set()
    for path in used:
        stem = str(path.with_suffix(""))
        name = str(path) if stem in names else stem
        names.add(name)
        part = (_part(path) if has_parts else None) or "train"
        said, text, spans, fault = _transcript(root, path, kind, labels[path], _beside(path, (".txt",), by_key))
        if name != stem:
            fault = f"{root / path} has the name of another recording beside it; expected one each. Rename or remove one."
        if fault:
            faults[name] = fault
        utterances.append(Utterance(name, root / path, said, text, speakers.get(path, ""), part, spans))
    notes = [f"transcripts are read as {kind}"]
    if has_parts:
        notes.append("parts are the folders " + ", ".join(sorted({path.parts[0] for path in used})))
        if len(used) < len(audio):
            notes.append(f"{len(audio) - len(used):,} recordings lie in no folder of a part and are not used")
        return Found(utterances, faults, kind, notes)
    utterances, words = parts_by_prompt(utterances)
    return Found(utterances, faults, kind, [*notes, words], own_parts=False)


def _beside(path: PurePosixPath, suffixes: tuple[str, ...], by_key: dict[tuple[str, str], str]) -> str | None:
    """The file of the same name in any case with the first of the endings."""
    names = (by_key.get(_key(path.with_suffix(suffix))) for suffix in suffixes)
    return next((name for name in names if name is not None), None)


def _key(path: PurePosixPath) -> tuple[str, str]:
    """A folder, and the name of a file in it whatever its case."""
    return str(path.parent), path.name.lower()


def _transcript(
    root: Path, path: PurePosixPath, kind: TokenKind, label_file: str | None, text_file: str | None
) -> tuple[tuple[str, ...], str, Spans | None, str]:
    """Tokens, text, spans, and a fault or ''. The text is read for phones too, since it tells the prompt."""
    said: tuple[str, ...] = ()
    text, spans, fault = "", None, ""
    try:
        text = read_transcript(root / text_file) if text_file else ""
        if kind != "phones" and text_file:
            said = tokens_of(text, kind, str(root / text_file))
    except DataError as error:
        fault = str(error) if kind != "phones" else ""
    if kind != "phones":
        missing = f"{root / path} has no transcript; expected a .txt of the same name beside it. Write it, or leave the recording out."
        return said, text, None, fault if text_file else missing
    if label_file is None:
        return (), text, None, f"{root / path} has no labels; expected a .phn or .lab of the same name beside it. Leave it out."
    try:
        said, spans = read_phn(root / label_file, _rate(root / path) if label_file.lower().endswith(".lab") else None)
    except DataError as error:
        fault = str(error)
    return said, text, spans, fault


def _rate(path: Path) -> int | None:
    """The rate of a recording; None where it is bad, which is found out later."""
    try:
        return audio_info(path).rate
    except DataError:
        return None


def _part(path: PurePosixPath) -> Part | None:
    return _PARTS.get(path.parts[0].lower()) if len(path.parts) > 1 else None


def _has_parts(audio: list[PurePosixPath]) -> bool:
    """Whether the top folders are parts: training and another one, or the test part alone."""
    found = {_part(path) for path in audio}
    return ("train" in found and len(found - {None}) > 1) or found == {"test"}


def _speakers(audio: list[PurePosixPath], has_parts: bool) -> dict[PurePosixPath, str]:
    place = 1 if has_parts else 0
    folders = {path: path.parts[place] for path in audio if len(path.parts) > place + 1}
    return folders if len(set(folders.values())) > 1 else {}
