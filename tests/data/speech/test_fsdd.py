"""The Free Spoken Digit Dataset by the names of its files."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tidegate.data.speech.corpus import read_corpus
from tidegate.data.speech.fsdd import DIGIT_PHONES, DIGITS
from tidegate.errors import DataError


def write(root: Path, speakers: tuple[str, ...] = ("george", "theo"), takes: int = 10) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(0).integers(-9_000, 9_000, 800).astype(np.int16)
    for digit in (0, 7):
        for speaker in speakers:
            for take in range(takes):
                soundfile.write(root / f"{digit}_{speaker}_{take}.wav", samples, 8_000)
    return root


def test_phones() -> None:
    assert len({phone for phones in DIGIT_PHONES for phone in phones}) == 19
    assert dict(zip(DIGITS, DIGIT_PHONES, strict=True))["seven"] == ("s", "eh", "v", "ah", "n")


@pytest.mark.parametrize("place", [".", "recordings"])
def test_parts(tmp_path: Path, place: str) -> None:
    write(tmp_path / place)
    corpus = read_corpus(tmp_path)
    assert (corpus.kind, corpus.token_kind, corpus.vocabulary()) == ("fsdd", "words", ("seven", "zero"))
    for utterance in corpus.utterances:
        digit, speaker, take = utterance.audio.stem.split("_")
        assert utterance.tokens == (DIGITS[int(digit)],) and utterance.text == DIGITS[int(digit)]
        assert utterance.speaker == speaker
        assert utterance.part == ("test" if int(take) < 5 else "dev" if int(take) < 8 else "train")
        assert utterance.id == (f"recordings/{utterance.audio.stem}" if place == "recordings" else utterance.audio.stem)
    assert len(corpus.utterances) == 40
    assert any("speakers are in training and test: george, theo" in note for note in corpus.notes)


def test_tokens(tmp_path: Path) -> None:
    write(tmp_path)
    assert read_corpus(tmp_path, tokens="phones").utterances[-1].tokens == ("s", "eh", "v", "ah", "n")
    assert read_corpus(tmp_path, tokens="characters").utterances[-1].tokens == tuple("seven")


def test_test_speaker(tmp_path: Path) -> None:
    write(tmp_path)
    corpus = read_corpus(tmp_path, test_speakers=["theo"])
    assert {utterance.speaker for utterance in corpus.part("test")} == {"theo"} and len(corpus.part("test")) == 20
    assert {utterance.speaker for utterance in (*corpus.part("train"), *corpus.part("dev"))} == {"george"}
    assert not any("speakers are in training and test" in note for note in corpus.notes)


def test_other_names(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "0_george_1.wav").rename(tmp_path / "george_0_1.wav")
    (tmp_path / "README.md").write_text("digits")
    with pytest.raises(DataError, match=r"george_0_1\.wav is not called DIGIT_SPEAKER_INDEX\.wav"):
        read_corpus(tmp_path)
    corpus = read_corpus(tmp_path, on_bad="skip")
    assert corpus.kind == "fsdd" and len(corpus.utterances) == 39 and len(corpus.problems) == 1


def test_real(shared: Path) -> None:
    folder = shared / "speech" / "fsdd"
    if not folder.is_dir():
        pytest.skip("needs the Free Spoken Digit Dataset")
    corpus = read_corpus(folder)
    assert Counter(utterance.part for utterance in corpus.utterances) == {"train": 2_520, "dev": 180, "test": 300}
    assert corpus.vocabulary() == tuple(sorted(DIGITS)) and not corpus.problems
