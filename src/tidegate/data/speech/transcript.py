"""Transcripts as tokens: characters or words of a text, phones of a label file."""

import re
import unicodedata
from pathlib import Path

from tidegate.data.read import reading
from tidegate.errors import DataError

Spans = tuple[tuple[int, int], ...]
_HTK_PER_SECOND = 10_000_000
"""HTK counts time in units of 100 ns (Young et al., The HTK Book, on label files)."""
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2019\u02bc\uff07", "'"))
_EMOJI_MARKS = "\ufe0e\ufe0f"
_BARE_APOSTROPHE = re.compile(r"(?<!\S)'+(?!\S)")


def tokens_of(text: str, kind: str, source: str = "A transcript") -> tuple[str, ...]:
    """Tokens of a text: its characters, a space among them between words, or its words.

    Letters of any script with their accents (NFC, lower case by case folding), digits and apostrophes are kept. Dashes, slashes,
    underscores and ellipses count as spaces, since they part words; all else is dropped.

    kind    "characters" or "words"; a text without spaces, such as a Chinese one, is one word
    source  where the text stands, for messages

    Raises DataError where nothing is left, ValueError for "phones": a text does not tell them.
    """
    if kind not in ("characters", "words"):
        raise ValueError(f"Tokens of a text are 'characters' or 'words', not '{kind}'.")
    clean = clean_text(text)
    if not clean:
        given = f"'{text.strip()[:40]}' has no letter or digit" if text.strip() else "is empty"
        raise DataError(f"{source} {given}; expected what is said. Write it down, or leave the recording out.")
    return tuple(clean) if kind == "characters" else tuple(clean.split())


def clean_text(text: str) -> str:
    """What of a text becomes tokens, with single spaces; '' if nothing does."""
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold()).translate(_APOSTROPHES)
    kept, after_letter = [], False
    for char in folded:
        category = unicodedata.category(char)
        if category[0] in "LN" or (after_letter and category in ("Mn", "Mc") and char not in _EMOJI_MARKS):
            kept.append(char)  # marks: accents, and vowel signs that have no letter of their own
            after_letter = True
            continue
        after_letter = False
        if char == "'":
            kept.append(char)
        elif char.isspace() or category in ("Pd", "Pc") or char in "/\u2026":
            kept.append(" ")
    words = _BARE_APOSTROPHE.sub("", "".join(kept)).split()
    return unicodedata.normalize("NFC", " ".join(words))


def read_transcript(path: Path) -> str:
    """A text file in UTF-8 (with or without mark), lines joined by spaces. Raises DataError for another encoding."""
    return " ".join(_read_utf8(path).split())


def read_phn(path: Path, rate: int | None = None) -> tuple[tuple[str, ...], Spans | None]:
    """Labels of a label file, and begin and end of each in samples; None where the file gives no times.

    .phn    as of TIMIT: a line 'begin end label' for each, in samples, the end not included
    .lab    as of HTK: the same in units of 100 ns, for which `rate` in Hz is needed (else no times are given); or labels alone

    Labels are taken as they are. Raises DataError, naming the line, for times that are no numbers, end before they begin, or overlap;
    and for a file without labels, or not in UTF-8.
    """
    path = Path(path)
    lines = [(number, line.split()) for number, line in enumerate(_read_utf8(path).splitlines(), 1) if line.strip()]
    if not lines:
        raise DataError(f"{path} is empty; expected labels. Label the recording, or leave it out.")
    is_lab = path.suffix.lower() == ".lab"
    if is_lab and not _is_timed(lines[0][1]):
        return _labels_alone(lines, path), None
    labels = tuple(_label(words, number, path, 2 if is_lab else 3) for number, words in lines)
    times = _times(lines, path)
    if not is_lab:
        return labels, times
    if rate is None:
        return labels, None
    return labels, tuple((round(begin * rate / _HTK_PER_SECOND), round(end * rate / _HTK_PER_SECOND)) for begin, end in times)


def _read_utf8(path: Path) -> str:
    with reading(path) as found:
        data = found.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        cure = "Save it as UTF-8, such as with `iconv -t UTF-8 -f ENCODING`"
        raise DataError(f"{path}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8. {cure}.") from None


def _is_timed(words: list[str]) -> bool:
    """Whether a line begins with two times and a label; three numbers are labels, as of spoken digits."""
    return len(words) >= 3 and _is_whole(words[0]) and _is_whole(words[1]) and not _is_whole(words[2])


def _is_whole(word: str) -> bool:
    return word.isascii() and word.removeprefix("-").isdigit()


def _labels_alone(lines: list[tuple[int, list[str]]], path: Path) -> tuple[str, ...]:
    for number, words in lines:
        if _is_timed(words) or (len(lines) > 1 and len(words) > 1):
            expected = "expected a label a line, all labels on one line, or 'begin end label' on each, times being whole numbers"
            raise DataError(f"{path}, line {number}: '{' '.join(words)[:60]}'; {expected}.")
    return tuple(word for _, words in lines for word in words)


def _label(words: list[str], number: int, path: Path, most: int) -> str:
    """The third word. HTK may have scores and higher levels behind it, TIMIT has nothing."""
    whole = len(words) >= 3 and _is_whole(words[0]) and _is_whole(words[1])
    if not whole or (most == 3 and len(words) > 3):
        raise DataError(f"{path}, line {number}: '{' '.join(words)[:60]}'; expected 'begin end label', times being whole numbers.")
    return words[2]


def _times(lines: list[tuple[int, list[str]]], path: Path) -> Spans:
    before = 0
    spans = []
    for number, words in lines:
        begin, end = int(words[0]), int(words[1])
        if end <= begin or begin < before:
            fault = f"ends at {end}, and begins at {begin}" if end <= begin else f"begins at {begin}, before {before}"
            expected = "expected labels one after the other, each longer than nothing. Mend the file, or leave the recording out"
            raise DataError(f"{path}, line {number}: '{words[2]}' {fault}; {expected}.")
        spans.append((begin, end))
        before = end
    return tuple(spans)
