"""Corpora in the shape of TIMIT: small SPHERE files of seeded noise under its real names of folders and speakers."""

import io
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tidegate.data.speech.corpus import Corpus, Part, Utterance, read_corpus
from tidegate.data.speech.phones import CORE_TEST, DEVELOPMENT, PHONES_61
from tidegate.data.speech.timit import count_notes
from tidegate.errors import DataError, SettingsError

TRAIN = ("FCJF0", "MDPK0", "MGRL0")
TEST = ("FAKS0", "MDAB0", "FELC0", "MJSW0", "MABW0")
"""Development, core test twice, development, and one that is in neither."""
SENTENCES = ("SA1", "SX37", "SI1027")
LABELS = ("h#", "sh", "q", "dcl", "d", "ix", "h#")


@cache
def audio(form: str) -> bytes:
    file = io.BytesIO()
    samples = np.random.default_rng(0).integers(-9_000, 9_000, 1_600).astype(np.int16)
    soundfile.write(file, samples, 16_000, format=form, subtype="PCM_16")
    return file.getvalue()


def write_sentence(folder: Path, name: str, suffixes: tuple[str, str, str] = (".WAV", ".PHN", ".TXT"), form: str = "NIST") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / (name + suffixes[0])).write_bytes(audio(form))
    lines = [f"{200 * number} {200 * number + 200} {label}\n" for number, label in enumerate(LABELS)]
    (folder / (name + suffixes[1])).write_text("".join(lines))
    (folder / (name + suffixes[2])).write_text(f"0 1600 {folder.name} says {name}.\n")


def write_corpus(root: Path, test: tuple[str, ...] = TEST, train: tuple[str, ...] = TRAIN, lower: bool = False) -> Path:
    for side, speakers in (("TRAIN", train), ("TEST", test)):
        for number, speaker in enumerate(speakers):
            place = f"{side}/DR{number % 8 + 1}/{speaker}"
            for sentence in SENTENCES:
                suffixes = (".wav", ".phn", ".txt") if lower else (".WAV", ".PHN", ".TXT")
                names = (place.lower(), sentence.lower()) if lower else (place, sentence)
                write_sentence(root / names[0], names[1], suffixes, "WAV" if lower else "NIST")
    return root


def parts(corpus: Corpus) -> dict[str, str]:
    """The part of each speaker."""
    return {utterance.speaker: utterance.part for utterance in corpus.utterances}


EXPECTED = {"fcjf0": "train", "mdpk0": "train", "mgrl0": "train", "faks0": "dev", "mjsw0": "dev", "mdab0": "test", "felc0": "test"}


def test_parts_and_tokens(tmp_path: Path) -> None:
    corpus = read_corpus(write_corpus(tmp_path))
    assert (corpus.kind, corpus.token_kind, corpus.problems) == ("timit", "phones", ())
    assert parts(corpus) == EXPECTED
    assert [utterance.id for utterance in corpus.utterances] == sorted(utterance.id for utterance in corpus.utterances)
    assert Counter(utterance.part for utterance in corpus.utterances) == {"train": 6, "dev": 4, "test": 4}
    first = corpus.part("train")[0]
    assert (first.id, first.speaker, first.tokens, first.text) == ("TRAIN/DR1/FCJF0/SI1027", "fcjf0", LABELS, "FCJF0 says SI1027.")
    assert first.audio == tmp_path / "TRAIN/DR1/FCJF0/SI1027.WAV"
    assert first.spans is not None and first.spans[0] == (0, 200)
    assert first.spans[-1] == (1_200, 1_600), "the silence at the end lasts to the end of the audio"
    assert corpus.vocabulary() == tuple(sorted(set(LABELS)))
    assert "1 other speakers of TEST are not used" in corpus.notes
    assert "2 of the 24 speakers of the core test are here" in corpus.notes
    assert "test: 4 utterances; the full corpus has 192" in corpus.notes
    assert "test: 24 phones to score; published scores count 7,215" in corpus.notes, "six of seven labels: q is dropped"
    assert "dev: 24 phones to score; published scores count 15,057" in corpus.notes


@pytest.mark.parametrize("place", ["TIMIT", "timit/timit", "data", "training/test", "train/dr1", "."])
@pytest.mark.parametrize("lower", [True, False])
def test_layouts(tmp_path: Path, place: str, lower: bool) -> None:
    """The root may lie in a folder called 'training', and hold folders called so above TRAIN and TEST."""
    root = tmp_path / "training" / "test" / "corpus"
    write_corpus(root / place, lower=lower)
    corpus = read_corpus(root)
    assert corpus.kind == "timit" and parts(corpus) == EXPECTED
    assert read_corpus(root, "timit").utterances == corpus.utterances


def test_mixed_case(tmp_path: Path) -> None:
    write_corpus(tmp_path, lower=True)
    write_sentence(tmp_path / "Train/Dr3/MRCG0", "sX5", (".Wav", ".pHn", ".tXT"), "WAV")
    corpus = read_corpus(tmp_path)
    assert parts(corpus) == EXPECTED | {"mrcg0": "train"}


def test_two_forms_of_a_recording_are_one_utterance(tmp_path: Path) -> None:
    """As on Kaggle: SX37.WAV, which is SPHERE, and SX37.WAV.wav."""
    write_corpus(tmp_path)
    for path in list(tmp_path.rglob("*.WAV")):
        path.with_suffix(".WAV.wav").write_bytes(audio("WAV"))
    corpus = read_corpus(tmp_path)
    assert len(corpus.utterances) == 14 and {it.audio.suffix for it in corpus.utterances} == {".WAV"}
    assert any("16 sentences have several recordings" in note for note in corpus.notes)
    broken = tmp_path / "TRAIN/DR1/FCJF0/SX37.WAV"
    broken.write_bytes(broken.read_bytes()[:1_500])
    used = {it.id: it.audio.name for it in read_corpus(tmp_path).utterances}
    assert used["TRAIN/DR1/FCJF0/SX37"] == "SX37.WAV.wav"
    for path in tmp_path.rglob("*.WAV"):
        path.unlink()
    alone = read_corpus(tmp_path)
    assert len(alone.utterances) == 14 and alone.utterances[0].id == corpus.utterances[0].id


def test_a_corpus_that_lies_there_twice(tmp_path: Path) -> None:
    write_corpus(tmp_path / "data")
    write_corpus(tmp_path / "copy", lower=True)
    corpus = read_corpus(tmp_path)
    assert len(corpus.utterances) == 14 and parts(corpus) == EXPECTED


def test_links_in_a_circle(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    (tmp_path / "TRAIN" / "again").symlink_to(tmp_path)
    corpus = read_corpus(tmp_path)
    assert len(corpus.utterances) == 14 and not any("several recordings" in note for note in corpus.notes)


def test_hidden_files(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    (tmp_path / "TRAIN/DR1/FCJF0/._SX37.WAV").write_bytes(b"no audio")
    write_sentence(tmp_path / "TRAIN/DR1/.FCJF1", "SX37")
    corpus = read_corpus(tmp_path)
    assert len(corpus.utterances) == 14 and not any("lie outside" in note for note in corpus.notes)


def test_characters_and_words(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    words = read_corpus(tmp_path, tokens="words").part("train")[0]
    assert words.tokens == ("fcjf0", "says", "si1027") and words.spans is None
    characters = read_corpus(tmp_path, tokens="characters")
    assert "".join(characters.part("train")[0].tokens) == "fcjf0 says si1027"
    assert not any("to score" in note for note in characters.notes)


def test_no_customary_speaker(tmp_path: Path) -> None:
    train = tuple(f"MAA{letter}0" for letter in "ABCDEFGHIJKL")
    corpus = read_corpus(write_corpus(tmp_path, ("MZZA0", "voice7"), train))
    assert {name for name, part in parts(corpus).items() if part == "dev"} == {"maaa0", "maak0"}
    assert {name for name, part in parts(corpus).items() if part == "test"} == {"mzza0", "voice7"}
    notes = " | ".join(corpus.notes)
    assert "no speaker of the core test is here: test is the other 2 of TEST" in notes
    assert "dev is every tenth of TRAIN, 2" in notes
    assert "1 folders are not called as TIMIT's speakers are" in notes and "first voice7" in notes
    assert "full corpus" not in notes


def test_only_speakers_for_development(tmp_path: Path) -> None:
    corpus = read_corpus(write_corpus(tmp_path, ("FAKS0",)))
    assert parts(corpus) == {"fcjf0": "dev", "mdpk0": "train", "mgrl0": "train", "faks0": "test"}


def test_one_speaker_for_training(tmp_path: Path) -> None:
    """Then dev is made of prompts."""
    corpus = read_corpus(write_corpus(tmp_path, ("MDAB0",), ("FCJF0",)))
    assert Counter(utterance.part for utterance in corpus.utterances) == {"train": 1, "dev": 1, "test": 2}


def test_all_customary_speakers(tmp_path: Path) -> None:
    for speaker in (*CORE_TEST, *DEVELOPMENT, "MABW0"):
        write_sentence(tmp_path / "TEST/DR1" / speaker.upper(), "SX1")
    write_sentence(tmp_path / "TRAIN/DR1/FCJF0", "SX2")
    corpus = read_corpus(tmp_path)
    assert {it.speaker for it in corpus.part("test")} == set(CORE_TEST)
    assert {it.speaker for it in corpus.part("dev")} == set(DEVELOPMENT)
    assert not any("are here" in note or "is here" in note for note in corpus.notes)


def test_counts_as_published() -> None:
    """Of the full corpus nothing is odd; a phone less is."""
    parts: list[tuple[Part, int, int]] = [("train", 3_696, 3_696), ("dev", 400, 15_057), ("test", 192, 7_215)]
    utterances = []
    for part, count, phones in parts:
        for number in range(count):
            tokens = ("q", "h#") if number else ("q", *["ax-h"] * (phones - count + 1))
            utterances.append(Utterance(f"{part}{number}", Path("a"), tokens, "", CORE_TEST[number % 24], part))
    corpus = Corpus(Path(), "timit", "phones", tuple(utterances))
    assert count_notes(corpus) == [
        "train: 3,696 utterances",
        "dev: 400 utterances",
        "test: 192 utterances",
        "dev: 15,057 phones to score",
        "test: 7,215 phones to score",
    ]
    assert count_notes(replace(corpus, utterances=corpus.utterances[:-1]))[2:] == [
        "test: 191 utterances; the full corpus has 192",
        "dev: 15,057 phones to score",
        "test: 7,214 phones to score; published scores count 7,215",
    ]


def test_missing_transcripts(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    (tmp_path / "TRAIN/DR1/FCJF0/SX37.PHN").unlink()
    with pytest.raises(DataError, match=r"FCJF0/SX37\.WAV has no \.PHN beside it.*No other recording is bad.*--on-bad skip"):
        read_corpus(tmp_path)
    corpus = read_corpus(tmp_path, on_bad="skip")
    assert len(corpus.utterances) == 13 and parts(corpus) == EXPECTED
    assert [problem.path.name for problem in corpus.problems] == ["SX37.WAV"]
    (tmp_path / "TRAIN/DR1/FCJF0/SX37.TXT").unlink()
    with pytest.raises(DataError, match=r"SX37\.WAV has no \.TXT"):
        read_corpus(tmp_path, tokens="words")


def test_bad_files(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    cut = tmp_path / "TEST/DR2/MDAB0/SX37.WAV"
    cut.write_bytes(audio("NIST")[:2_000])
    (tmp_path / "TRAIN/DR2/MDPK0/SX37.PHN").write_text("0 100 h#\n90 200 sh\n")
    with pytest.raises(DataError, match=r"MDAB0/SX37\.WAV is cut off.* 2 of 14 recordings cannot be used"):
        read_corpus(tmp_path)
    corpus = read_corpus(tmp_path, on_bad="skip")
    assert [problem.path for problem in corpus.problems] == [cut, tmp_path / "TRAIN/DR2/MDPK0/SX37.WAV"]
    assert "MDPK0/SX37.PHN, line 2: 'sh' begins at 90, before 100" in corpus.problems[1].reason
    assert len(corpus.utterances) == 12


def test_labels_in_capitals_and_others(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    path = tmp_path / "TRAIN/DR1/FCJF0/SX37.PHN"
    path.write_text("0 100 H#\n100 200 laugh\n")
    corpus = read_corpus(tmp_path)
    assert {it.id: it for it in corpus.utterances}["TRAIN/DR1/FCJF0/SX37"].tokens == ("h#", "laugh")
    assert f"labels beside TIMIT's {len(PHONES_61)}: laugh (1)" in corpus.notes


def test_labels_beyond_the_audio(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    (tmp_path / "TRAIN/DR1/FCJF0/SX37.PHN").write_text("0 100 h#\n100 1601 h#\n")
    assert "labels end after the audio in 1: TRAIN/DR1/FCJF0/SX37" in read_corpus(tmp_path).notes


def test_tokens_that_training_never_has(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    (tmp_path / "TEST/DR2/MDAB0/SX37.PHN").write_text("0 100 zh\n100 1600 zh\n")
    notes = read_corpus(tmp_path).notes
    assert "test has tokens that training never has: 'zh' (2); they always count as errors" in notes
    assert not any(note.startswith("dev has tokens") for note in notes)


def test_speaker_on_both_sides(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    write_sentence(tmp_path / "TRAIN/DR1/MDAB0", "SX9")
    with pytest.raises(DataError, match="speaker mdab0 is in TRAIN and in TEST"):
        read_corpus(tmp_path)
    assert parts(read_corpus(tmp_path, on_bad="skip")) == EXPECTED


def test_odd_places(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    write_sentence(tmp_path / "TRAIN/DR1", "SX9")
    write_sentence(tmp_path / "PRETRAIN/DR1/FCJF0", "SX9")
    (tmp_path / "TRAIN/DR1/FCJF0/SX99.PHN").write_text("0 100 h#\n")
    notes = read_corpus(tmp_path).notes
    assert "2 recordings lie outside TRAIN|TEST/DRn/SPEAKER and are not used" in notes
    assert any("1 sentences have no recording, first TRAIN/DR1/FCJF0/SX99.PHN" in note for note in notes)


def test_test_speakers(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    corpus = read_corpus(tmp_path, test_speakers=["MGRL0", "faks0"])
    moved = {"mgrl0": "test", "faks0": "test", "mdab0": "train", "felc0": "train"}
    assert parts(corpus) == EXPECTED | moved
    with pytest.raises(DataError, match="There is no speaker 'mgrl1'. Did you mean 'mgrl0'"):
        read_corpus(tmp_path, test_speakers=["mgrl1"])


def test_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_corpus(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no recording; expected audio files"):
        read_corpus(tmp_path)
    with pytest.raises(DataError, match="no recording in the shape of TIMIT.*Give the folder that holds TRAIN and TEST"):
        read_corpus(write_corpus(tmp_path) / "TRAIN", "timit")
    with pytest.raises(SettingsError, match="kind is 'timmit'. Did you mean 'timit'"):
        read_corpus(tmp_path, "timmit")  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match="is a folder, to be read as a manifest"):
        read_corpus(tmp_path, "manifest")


def test_no_test_part(tmp_path: Path) -> None:
    write_corpus(tmp_path, ("MDAB0",))
    for path in tmp_path.rglob("MDAB0/*.PHN"):
        path.unlink()
    with pytest.raises(DataError, match=r"no utterance is for test \(train 4, dev 2; 2 were left out, first: .*SI1027\.WAV has no \.PHN"):
        read_corpus(tmp_path, on_bad="skip")
