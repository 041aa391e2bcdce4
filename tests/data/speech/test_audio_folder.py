"""Folders of recordings with transcripts beside them, and their parts by prompt."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.speech.corpus import Corpus, Utterance, parts_by_prompt, prompts_of, read_corpus
from tidegate.errors import DataError, SettingsError

SAMPLES = np.random.default_rng(0).integers(-9_000, 9_000, 1_600).astype(np.int16)


def add(root: Path, name: str, text: str | None = None, suffix: str = ".txt") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, SAMPLES, 16_000, format="FLAC" if path.suffix == ".flac" else "WAV")
    if text is not None:
        path.with_suffix(suffix).write_text(text)
    return path


def utterance(name: str, text: str = "", tokens: tuple[str, ...] = ()) -> Utterance:
    return Utterance(name, Path(name + ".wav"), tokens, text, "", "train")


def part_of(corpus: Corpus) -> dict[str, str]:
    return {it.id: it.part for it in corpus.utterances}


def test_by_prompt(tmp_path: Path) -> None:
    for number in range(40):
        for take in ("7", "8"):
            add(tmp_path, f"p{number:02d}_{take}.wav", f"Sentence number {number}.")
    corpus = read_corpus(tmp_path)
    assert (corpus.kind, corpus.token_kind) == ("folder", "characters")
    for it in corpus.utterances:
        number = int(it.id[1:3])
        assert it.part == {0: "test", 1: "dev"}.get(number % 10, "train")
        assert "".join(it.tokens) == f"sentence number {number}" and it.speaker == ""
    assert "every tenth of 40 prompts, each in one part, is for test, the one after it for dev" in corpus.notes
    assert "speakers are not known; training and test may share them" in corpus.notes
    assert not any("say what training has" in note for note in corpus.notes)


def test_a_bad_file_moves_no_other(tmp_path: Path) -> None:
    for number in range(40):
        add(tmp_path, f"p{number:02d}.wav", f"Sentence number {number}.")
    before = part_of(read_corpus(tmp_path))
    (tmp_path / "p00.wav").write_bytes(b"")
    (tmp_path / "p11.txt").unlink()
    (tmp_path / "p12.txt").write_text("?!")
    after = read_corpus(tmp_path, on_bad="skip")
    assert part_of(after) == {name: part for name, part in before.items() if name not in ("p00", "p11", "p12")}
    assert [problem.path.name for problem in after.problems] == ["p00.wav", "p11.wav", "p12.wav"]
    assert "p00.wav is empty" in after.problems[0].reason
    assert "p11.wav has no transcript; expected a .txt" in after.problems[1].reason
    assert "p12.txt '?!' has no letter or digit" in after.problems[2].reason
    with pytest.raises(DataError, match=r"p00\.wav is empty .*3 of 40 recordings cannot be used: to leave such out, give --on-bad skip"):
        read_corpus(tmp_path)


def test_few_prompts_are_in_all_parts(tmp_path: Path) -> None:
    for word in ("yes", "no"):
        for take in range(12):
            add(tmp_path, f"{word}/{take:02d}.wav", word)
    corpus = read_corpus(tmp_path, tokens="words")
    for it in corpus.utterances:
        assert it.part == {0: "test", 1: "dev"}.get(int(it.id[-2:]) % 10, "train")
    assert corpus.vocabulary() == ("no", "yes")
    assert any("every tenth recording of each of 2 prompts, which all parts share" in note for note in corpus.notes)


def test_few_prompts_without_takes(tmp_path: Path) -> None:
    """A part within each prompt would leave nothing to train on."""
    for number in range(12):
        add(tmp_path, f"{number:02d}.wav", f"Sentence {number}")
    assert Counter(part_of(read_corpus(tmp_path)).values()) == {"train": 8, "test": 2, "dev": 2}


def test_prompts() -> None:
    same_text = [utterance("a", "Oh, no!"), utterance("b", "oh no"), utterance("c", "Oh")]
    assert prompts_of(same_text) == ["a", "a", "c"]
    same_tokens = [utterance("a", tokens=("x", "y")), utterance("b", tokens=("x", "y")), utterance("c", tokens=("xy",))]
    assert prompts_of(same_tokens) == ["a", "a", "c"]
    takes = [utterance("s/p_1_9", "One"), utterance("p_1_7"), utterance("p_2_1", "Two"), utterance("q_1", "two"), utterance("r_1", "r")]
    assert prompts_of(takes) == ["p_1", "p_1", "p_2", "p_2", "r"]
    mixed = prompts_of([*takes, utterance("plain", "One")])
    assert mixed == ["plain", "p_1_7", "p_2_1", "p_2_1", "r_1", "plain"], "one name without a take: names tell nothing"


def test_names_that_texts_contradict() -> None:
    """SPEAKER_NUMBER: one speaker says many things, so the names do not tell the prompt."""
    spoken = [utterance(f"{speaker}_{number}", f"Sentence {number}") for speaker in ("p225", "p226") for number in range(3)]
    assert prompts_of(spoken) == [f"p225_{number}" for number in range(3)] * 2


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.booleans()), min_size=1, max_size=120))
def test_no_part_repeats_what_another_has(drawn: list[tuple[int, int, bool]]) -> None:
    given_ = [utterance(f"{place:03d}x{name}", f"text {text}" if known else "") for place, (name, text, known) in enumerate(drawn)]
    result, words = parts_by_prompt(given_)
    assert [it.id for it in result] == [it.id for it in given_]
    assert parts_by_prompt(list(reversed(given_))) == (result, words)
    if "which all parts share" in words:
        return
    parts: dict[str, set[str]] = defaultdict(set)
    for it in result:
        parts[it.text or it.id].add(it.part)
    assert all(len(found) == 1 for found in parts.values())
    assert Counter(it.part for it in result)["test"] >= 1


def test_folders_of_parts(tmp_path: Path) -> None:
    for place in ("Train/ann", "Train/bob", "VALID/ann", "test/cat"):
        for number in range(3):
            add(tmp_path, f"{place}/{number}.flac", f"{place} {number}")
    add(tmp_path, "other/1.wav", "elsewhere")
    corpus = read_corpus(tmp_path)
    assert Counter(part_of(corpus).values()) == {"train": 6, "dev": 3, "test": 3}
    assert {it.id: it.speaker for it in corpus.utterances}["Train/bob/1"] == "bob"
    assert "parts are the folders Train, VALID, test" in corpus.notes
    assert "1 recordings lie in no folder of a part and are not used" in corpus.notes
    assert not any("shared" in note or "are in training and test" in note for note in corpus.notes)


def test_folders_of_parts_without_dev(tmp_path: Path) -> None:
    for number in range(35):
        add(tmp_path, f"train/{number:02d}.wav", f"Sentence {number}")
    add(tmp_path, "test/a.wav", "Sentence 3")
    corpus = read_corpus(tmp_path)
    assert [it.id for it in corpus.part("dev")] == ["train/00", "train/10", "train/20", "train/30"]
    assert [it.id for it in corpus.part("test")] == ["test/a"]
    assert any(note.startswith("there was no dev part: in training, every tenth of 35 prompts") for note in corpus.notes)
    assert "1 of 1 test utterances say what training has too" in corpus.notes


def test_folders_of_parts_without_test(tmp_path: Path) -> None:
    for place in ("train", "dev"):
        add(tmp_path, f"{place}/a.wav", "Hello")
    with pytest.raises(DataError, match=r"no utterance is for test \(train 1, dev 1\)"):
        read_corpus(tmp_path)


def test_speakers(tmp_path: Path) -> None:
    for number in range(40):
        add(tmp_path, f"{'ann' if number % 2 else 'bob'}/{number:02d}.wav", f"Sentence {number}")
    corpus = read_corpus(tmp_path)
    assert {it.speaker for it in corpus.utterances} == {"ann", "bob"}
    chosen = read_corpus(tmp_path, test_speakers=["ann"])
    assert {it.id for it in chosen.part("test")} == {it.id for it in corpus.utterances if it.speaker == "ann"}
    assert chosen.part("dev")
    for number in range(3):
        add(tmp_path / "single", f"wavs/{number}.wav", f"Sentence {number}")
    assert {it.speaker for it in read_corpus(tmp_path / "single").utterances} == {""}
    one = tmp_path / "bob"
    assert {it.speaker for it in read_corpus(one).utterances} == {""}
    with pytest.raises(DataError, match="the corpus names no speaker"):
        read_corpus(one, test_speakers=["ann"])


def test_labels(tmp_path: Path) -> None:
    """Phones of .phn, .PHN and .lab; texts tell the prompt, also of a recording that has no labels."""
    for number in range(8):
        add(tmp_path, f"{number}.wav", f"Sentence {number % 4}")
    for number in range(4):
        (tmp_path / f"{number}.PHN").write_text("0 800 a\n800 1600 b\n")
    (tmp_path / "4.lab").write_text("0 500000 a\n500000 1000000 b\n")
    (tmp_path / "5.LAB").write_text("a b\n")
    (tmp_path / "6.phn").write_text("0 800\n")
    corpus = read_corpus(tmp_path, on_bad="skip")
    assert corpus.token_kind == "phones" and "transcripts are read as phones" in corpus.notes
    found = {it.id: it for it in corpus.utterances}
    assert all(it.tokens == ("a", "b") for it in found.values())
    assert found["3"].spans == found["4"].spans == ((0, 800), (800, 1_600)) and found["5"].spans is None
    assert found["0"].part == found["4"].part == "test" and found["0"].text == "Sentence 0"
    assert ["6.phn, line 1" in corpus.problems[0].reason, "7.wav has no labels" in corpus.problems[1].reason] == [True, True]
    assert read_corpus(tmp_path, tokens="characters").token_kind == "characters"


def test_fewer_labels_than_half(tmp_path: Path) -> None:
    for number in range(5):
        add(tmp_path, f"{number}.wav", f"Sentence {number}")
    (tmp_path / "0.phn").write_text("0 800 a\n")
    (tmp_path / "1.phn").write_text("0 800 a\n")
    assert read_corpus(tmp_path).token_kind == "characters"


def test_two_recordings_of_one_name(tmp_path: Path) -> None:
    for number in range(5):
        add(tmp_path, f"{number}.wav", f"Sentence {number}")
    add(tmp_path, "3.flac")
    corpus = read_corpus(tmp_path, on_bad="skip")
    assert [it.id for it in corpus.utterances] == ["0", "1", "2", "3", "4"]
    assert corpus.problems[0].path.name == "3.wav" and "has the name of another recording" in corpus.problems[0].reason


def test_refused_settings(tmp_path: Path) -> None:
    add(tmp_path, "a.wav", "Hello")
    with pytest.raises(SettingsError, match="tokens is 'word'. Did you mean 'words'"):
        read_corpus(tmp_path, tokens="word")  # pyright: ignore[reportArgumentType]
    with pytest.raises(SettingsError, match="on_bad is 'ignore'"):
        read_corpus(tmp_path, on_bad="ignore")  # pyright: ignore[reportArgumentType]
    with pytest.raises(DataError, match="no utterance is for train"):
        read_corpus(tmp_path)
    with pytest.raises(DataError, match=r"a\.wav is a file; expected the folder of a corpus, or a manifest"):
        read_corpus(tmp_path / "a.wav")
    with pytest.raises(DataError, match="is a file, to be read as a folder"):
        read_corpus(tmp_path / "a.wav", "folder")


def test_real(shared: Path) -> None:
    """Takes of a prompt are in one part, those without labels counted among them."""
    folder = shared / "speech" / "kathleen"
    if not folder.is_dir():
        pytest.skip("needs the recordings of Kathleen")
    corpus = read_corpus(folder, on_bad="skip")
    assert (corpus.kind, corpus.token_kind, len(corpus.problems)) == ("folder", "phones", 221)
    assert Counter(it.part for it in corpus.utterances) == {"train": 1_003, "dev": 118, "test": 113}
    texts = {name: {it.text for it in corpus.part(name)} for name in ("train", "dev", "test")}
    assert not texts["train"] & texts["test"] and not texts["train"] & texts["dev"] and not texts["dev"] & texts["test"]
