"""The Free Spoken Digit Dataset: DIGIT_SPEAKER_INDEX.wav (https://github.com/Jakobovski/free-spoken-digit-dataset)."""

import re
from pathlib import Path

from tidegate.data.speech.corpus import Found, Part, TokenKind, Utterance, audio_below
from tidegate.data.speech.transcript import tokens_of

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGIT_PHONES = tuple(
    tuple(phones.split())
    for phones in ("z ih r ow", "w ah n", "t uw", "th r iy", "f ao r", "f ay v", "s ih k s", "s eh v ah n", "ey t", "n ay n")
)
"""ARPABET of the CMU pronouncing dictionary, without stress: 19 phones."""
TEST_BELOW = 5
"""Takes 0 to 4 are the test set (the data set's README)."""
DEV_BELOW = 8
_NAME = re.compile(r"([0-9])_([^/]+)_([0-9]+)\.wav", re.IGNORECASE)


def is_fsdd(audio: list[str]) -> bool:
    """Whether audio files, relative to the root, are those of the data set: by the names of more than half in one folder."""
    here = _recordings(audio)
    return 2 * sum(_NAME.fullmatch(name.rpartition("/")[2]) is not None for name in here) > len(here)


def read_fsdd(root: Path, tokens: TokenKind | None) -> Found:
    """Digits as words (None), characters or phones. Takes 0 to 4 are for test, 5 to 7 for dev, the rest for training.

    A file of another name has a fault.
    """
    kind = tokens or "words"
    utterances, faults = [], {}
    for name in _recordings(audio_below(root)):
        match = _NAME.fullmatch(name.rpartition("/")[2])
        audio, stem = root / name, name.rpartition(".")[0]
        if match is None:
            utterances.append(Utterance(name, audio, (), "", "", "train"))
            faults[name] = f"{audio} is not called DIGIT_SPEAKER_INDEX.wav, such as 7_jackson_32.wav: rename it, or take it out."
            continue
        digit, take = int(match[1]), int(match[3])
        part: Part = "test" if take < TEST_BELOW else "dev" if take < DEV_BELOW else "train"
        word = DIGITS[digit]
        said = DIGIT_PHONES[digit] if kind == "phones" else tokens_of(word, kind)
        utterances.append(Utterance(stem, audio, said, word, match[2], part))
    return Found(utterances, faults, kind, ["takes 0 to 4 are for test, 5 to 7 for dev, the rest for training"])


def _recordings(audio: list[str]) -> list[str]:
    """The files in the folder itself, or, where it has none, in its subfolder `recordings`."""
    here = [name for name in audio if "/" not in name]
    return here or [name for name in audio if re.fullmatch(r"recordings/[^/]+", name)]
