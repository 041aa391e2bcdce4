"""The synthetic corpus: labels, audio, repeatability, sentences, and what is asked wrongly."""

import json
import re
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import espeak, make_speech_corpus
from benchmarks.espeak import MEN, WOMEN, Request, Segment, segments_of, speak
from benchmarks.make_speech_corpus import checksum, make_corpus
from benchmarks.speech_prompts import LISTS, SHARED, made_prompts, read_prompts
from tidegate.data.speech.corpus import read_corpus
from tidegate.data.speech.phones import CORE_TEST, DEVELOPMENT, PHONES_61
from tidegate.errors import DataError, SettingsError

VOWELS = {"aa", "ae", "ah", "ao", "aw", "ay", "eh", "ey", "ih", "ow", "oy", "uh"}
RATE = 20_000


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpus")
    make_corpus(out, voices=5, sentences=3)
    return out


def lines_of(file: Path) -> list[Segment]:
    words = [line.split(" ", 2) for line in file.read_text().splitlines()]
    return [Segment(int(begin), int(end), label) for begin, end, label in words]


def test_layout_is_that_of_timit(corpus: Path) -> None:
    files = [file.relative_to(corpus).as_posix() for file in sorted(corpus.rglob("*")) if file.is_file()]
    assert len(files) == 5 * (3 + 2) * 4
    place = r"(TRAIN|TEST)/DR[1-8]/[FM][A-Z]{3}0/(SA[12]|SX\d+|SI\d+)\.(WAV|PHN|WRD|TXT)"
    assert all(re.fullmatch(place, name) for name in files)
    by_side = {side: [Path(name) for name in files if name.startswith(side)] for side in ("TRAIN", "TEST")}
    speakers = {side: {file.parent.name for file in found} for side, found in by_side.items()}
    sentences = {side: {file.stem for file in found} for side, found in by_side.items()}
    assert (len(speakers["TRAIN"]), len(speakers["TEST"])) == (4, 1)
    assert not speakers["TRAIN"] & speakers["TEST"]
    assert not {name.lower() for name in speakers["TRAIN"] | speakers["TEST"]} & {*CORE_TEST, *DEVELOPMENT}
    assert sentences["TRAIN"] & sentences["TEST"] == {"SA1", "SA2"}
    for name in sentences["TRAIN"] | sentences["TEST"]:
        assert (int(name[2:]) <= 450) == (name[:2] in ("SX", "SA"))


def test_audio_is_sphere_with_noise_at_both_ends(corpus: Path) -> None:
    levels = []
    for file in corpus.rglob("*.WAV"):
        assert file.read_bytes()[:16] == b"NIST_1A\n   1024\n"
        assert b"sample_byte_format -s2 01\n" in file.read_bytes()[:1024]
        info = soundfile.info(file)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        samples = soundfile.read(file)[0]
        level = np.sqrt(np.square(samples).mean())
        levels.append(20 * np.log10(level))
        assert samples[:400].any() and samples[-400:].any(), "noise, not silence"
        assert 10**-2.5 < np.sqrt(np.square(samples[:400]).mean()) / level * 10**0.4 < 10**0.3
        assert np.abs(samples).max() < 0.99
    assert -45 < min(levels) < max(levels) < -18 and max(levels) - min(levels) > 3


def test_segments_tile_the_file_and_words_lie_on_their_edges(corpus: Path) -> None:
    for file in corpus.rglob("*.PHN"):
        frames = soundfile.info(file.with_suffix(".WAV")).frames
        segments, words, (sentence,) = lines_of(file), lines_of(file.with_suffix(".WRD")), lines_of(file.with_suffix(".TXT"))
        assert segments[0].begin == 0 and segments[-1].end == frames
        assert all(first.end == second.begin for first, second in pairwise(segments))
        assert all(it.end > it.begin and it.label in PHONES_61 for it in segments)
        assert [number for number, it in enumerate(segments) if it.label == "h#"] == [0, len(segments) - 1]
        assert min(segments[0].end, segments[-1].end - segments[-1].begin) >= 800
        assert (sentence.begin, sentence.end) == (0, frames)
        assert [it.label for it in words] == re.sub(r"[^\w' -]", "", sentence.label).lower().split()
        assert all(first.end <= second.begin < second.end for first, second in pairwise(words))
        assert {it.begin for it in words} <= {it.begin for it in segments} and {it.end for it in words} <= {it.end for it in segments}
        assert (words[0].begin, words[-1].end) == (segments[0].end, segments[-1].begin)
        said = {number for it in words for number, one in enumerate(segments) if it.begin <= one.begin < it.end}
        assert {it.label for number, it in enumerate(segments) if number not in said} <= {"h#", "pau"}


def test_closures_are_silent_and_vowels_are_loud(corpus: Path) -> None:
    for speaker in {file.parent for file in corpus.rglob("*.PHN")}:
        energy: dict[str, list[float]] = {}
        for file in speaker.glob("*.PHN"):
            samples = soundfile.read(file.with_suffix(".WAV"))[0]
            for begin, end, label in lines_of(file):
                kind = "vowel" if label in VOWELS else "closure" if label.endswith("cl") else label
                energy.setdefault(kind, []).append(10 * np.log10(np.square(samples[begin:end]).mean() / np.square(samples).mean()))
        vowel, closure, ends = (np.array(energy[kind]) for kind in ("vowel", "closure", "h#"))
        assert np.median(vowel) > 0
        assert np.quantile(closure, 0.9) < -11, "nothing but noise"
        assert abs(np.median(closure) - np.median(ends)) < 6
        assert np.median(energy["n"]) > np.median(closure) + 6


def test_the_same_seed_gives_the_same_bytes(corpus: Path, tmp_path: Path) -> None:
    make_corpus(tmp_path / "again", voices=5, sentences=3)
    make_corpus(tmp_path / "other", voices=2, sentences=1, seed=1)
    files = sorted(file.relative_to(corpus) for file in corpus.rglob("*.*"))
    assert files == sorted(file.relative_to(tmp_path / "again") for file in (tmp_path / "again").rglob("*.*"))
    assert all((corpus / file).read_bytes() == (tmp_path / "again" / file).read_bytes() for file in files)
    assert checksum(corpus) == checksum(tmp_path / "again")
    assert checksum(corpus) != checksum(tmp_path / "other")
    changed = next((tmp_path / "again").rglob("*.PHN"))
    changed.write_text(changed.read_text().replace("h#", "pau"))
    assert checksum(corpus) != checksum(tmp_path / "again")


def test_a_voice_does_not_depend_on_who_spoke_before() -> None:
    request = [Request("The boy took a measure.")]
    first = speak("m3", request)[0]
    other = speak("f1", [Request("Something else.", 200), *request])
    again = speak("m3", request)[0]
    assert np.array_equal(first.samples, again.samples) and first.segments == again.segments
    assert not np.array_equal(first.samples, other[1].samples)
    assert len(speak("m3", [Request("The boy took a measure.", rate=220)])[0].samples) < 0.9 * len(first.samples)


def test_noise_of_a_voice_does_not_depend_on_the_time_of_day() -> None:
    first = speak("victor", [Request("The boy took a measure.")])[0]
    time.sleep(1.1)  # espeak-ng would take the second for its seed
    assert np.array_equal(first.samples, speak("victor", [Request("The boy took a measure.")])[0].samples)


def test_labels_of_a_sentence() -> None:
    (spoken,) = speak("m3", [Request("The boy took a measure.")])
    assert " ".join(it.label for it in spoken.segments) == "h# dh ax b oy tcl t uh kcl k ax m eh zh axr h#"
    assert [place for _, place in spoken.words] == [0, 4, 8, 13, 15]
    assert spoken.rate == 22050 and spoken.samples.dtype == np.int16


def test_made_sentences_have_all_the_sounds() -> None:
    spoken = speak("m1", [Request(text) for text in [*SHARED, *made_prompts(1200, 0)[:80]]])
    assert {it.label for said in spoken for it in said.segments} == {*PHONES_61} - {"em", "eng", "epi", "hv", "nx", "ux"}


@pytest.mark.parametrize("voice", [*WOMEN, *MEN][::6])
def test_every_voice_has_closures(voice: str) -> None:
    (spoken,) = speak(voice, [Request("Keep the paper at the back, take it to the top.")])
    labels = [it.label for it in spoken.segments]
    assert min(labels.count(stop) for stop in ("pcl", "tcl", "kcl")) >= 2


def sound(*parts: tuple[int, int]) -> np.ndarray:
    """(samples, value) one after the other."""
    return np.concatenate([np.full(count, value, np.int16) for count, value in parts])


def labelled(samples: np.ndarray, *phones: tuple[int, str]) -> list[tuple[int, int, str]]:
    return [(it.begin, it.end, it.label) for it in segments_of(samples, RATE, phones, "text")]


def test_zeros_before_a_burst_are_its_closure() -> None:
    samples = sound((100, 0), (1000, 5), (400, 0), (500, 5))
    assert labelled(samples, (100, "'a"), (1500, "t")) == [(0, 100, "h#"), (100, 1100, "ae"), (1100, 1500, "tcl"), (1500, 2000, "t"), END]
    assert labelled(samples, (100, "a"), (1500, "dZ"))[2] == (1100, 1500, "dcl")
    assert labelled(samples, (100, "a"), (1500, "s"))[1:3] == [(100, 1500, "ae"), (1500, 2000, "s")]
    assert labelled(samples, (100, "a"), (1500, "?"))[1:3] == [(100, 1100, "ae"), (1100, 2000, "q")]
    assert labelled(samples, (100, "_"), (1500, "t"))[:2] == [(0, 1500, "h#"), (1500, 2000, "t")]
    short = sound((100, 0), (1201, 5), (199, 0), (500, 5))
    assert labelled(short, (100, "a"), (1500, "t"))[1:3] == [(100, 1500, "ae"), (1500, 2000, "t")]


END = (2000, 2000, "h#")


def test_phonemes_that_are_two_labels_or_share_a_sound() -> None:
    samples = sound((2000, 5))
    assert labelled(samples, (0, ",A@")) == [(0, 0, "h#"), (0, 1000, "aa"), (1000, 2000, "r"), END]
    assert labelled(samples, (0, "A@"), (1000, "r-"))[1:3] == [(0, 1000, "aa"), (1000, 2000, "r")]
    assert labelled(samples, (0, "r"), (1000, "r"))[1:3] == [(0, 1000, "r"), (1000, 2000, "r")]
    assert labelled(samples, (0, "O:"), (1500, "l"), (1500, "f"))[1:4] == [(0, 750, "ao"), (750, 1500, "l"), (1500, 2000, "f")]
    assert labelled(samples, (0, "b"), (600, ";"), (900, "i:"))[1:3] == [(0, 900, "b"), (900, 2000, "iy")]
    closed = sound((1000, 5), (400, 0), (600, 5))
    assert labelled(closed, (0, "U"), (1000, "l"), (1400, "d"))[1:4] == [(0, 500, "uh"), (500, 1000, "l"), (1000, 1400, "dcl")]


def test_pauses_become_one() -> None:
    samples = sound((2000, 5))
    phones = ((0, "_"), (0, "_|"), (100, "s"), (500, "_"), (500, "_:"), (900, "_!"), (1000, "s"), (1500, "_:"), (1700, "_"))
    expected = [(0, 100, "h#"), (100, 500, "s"), (500, 1000, "pau"), (1000, 1500, "s"), (1500, 2000, "h#")]
    assert labelled(samples, *phones) == expected
    assert labelled(samples, (0, "_"), (100, "l"), (100, "s")) == [(0, 100, "h#"), (100, 2000, "s"), END], "nothing to share"


def test_an_unknown_phoneme_is_said() -> None:
    with pytest.raises(DataError, match=r"the sentence 'text' has espeak-ng's phoneme 'Q\^', for which no label is known; leave it out"):
        labelled(sound((2000, 5)), (0, "'Q^"))


def test_a_sentence_without_a_sound_is_said() -> None:
    for text in ("...", ""):
        with pytest.raises(DataError, match=f"the sentence '{text}' has no sound; leave it out"):
            speak("m3", [Request("Hello."), Request(text)])


def test_made_sentences_differ_and_are_english() -> None:
    found = made_prompts(3000, 0)
    assert len(set(found)) == 3000 == len(found)
    assert found[:1200] == made_prompts(1200, 0) != made_prompts(1200, 1)
    assert all(re.fullmatch(r"[A-Z][a-zA-Z, ]+[.?]", text) for text in (*found, *SHARED))
    text = " ".join(found)
    assert not re.search(r"\b[Aa] [aeio]|\b[Aa]n (?!hour)[^aeiou]", text)
    assert " an unusual " in text and " an old " in text
    assert all(f" {word}" in f" {text.lower()}" for words in LISTS.values() for word in (word.lower() for word in words))


def test_sentences_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("One fish.\n\n  Two   birds. \nOne fish.\nThree cats in the sun.\nFour dogs of the town.\n")
    assert read_prompts(file) == ["One fish.", "Two birds.", "Three cats in the sun.", "Four dogs of the town."]
    make_corpus(tmp_path / "out", voices=2, sentences=2, prompts=file)
    own = {text.stem: lines_of(text)[0].label for text in (tmp_path / "out").rglob("*.TXT") if text.stem[:2] != "SA"}
    assert own == {f"SX{number}": text for number, text in enumerate(read_prompts(file), 1)}
    with pytest.raises(DataError, match=r"prompts.txt has 4 sentences; expected 6, 3 of each speaker. Ask for fewer"):
        make_corpus(tmp_path / "more", voices=2, sentences=3, prompts=file)
    for content, said in ((b"\n \n", "has no sentence; expected one a line"), (b"\xff\xfe", "cannot be read: .* Give a text file")):
        file.write_bytes(content)
        with pytest.raises(DataError, match=said):
            read_prompts(file)
    with pytest.raises(DataError, match="cannot be read"):
        read_prompts(tmp_path / "absent.txt")


def test_words_that_are_said_in_one_share_the_time() -> None:
    text = "The end of the day."
    (spoken,) = speak("m3", [Request(text)])
    assert len(spoken.words) == 4, "espeak-ng says 'of the' in one"
    words = make_speech_corpus._words(spoken, text)
    assert [it.label for it in words] == ["the", "end", "of", "the", "day"]
    begins, labels = [it.begin for it in spoken.segments], [it.label for it in spoken.segments]
    first = begins.index(words[2].begin)
    assert labels[first : first + 4] == ["ah", "v", "dh", "ax"]
    assert words[2].end == words[3].begin == begins[first + 2] and words[3].end == words[4].begin == begins[first + 4]


def test_the_library_reads_it(corpus: Path) -> None:
    found = read_corpus(corpus)
    assert (found.kind, found.token_kind, found.problems) == ("timit", "phones", ())
    assert len(found.part("train")) + len(found.part("dev")) == 4 * 3 and len(found.part("test")) == 3


def test_it_tells_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["make_speech_corpus", "--voices", "2", "--sentences", "1"]
    monkeypatch.setattr(sys, "argv", [*arguments, str(tmp_path / "one"), "--json"])
    make_speech_corpus.main()
    found = json.loads(capsys.readouterr().out)
    train, test = found["parts"]
    assert (train["part"], train["speakers"], train["utterances"], test["utterances"]) == ("TRAIN", 1, 3, 3)
    phones = [it for file in (tmp_path / "one" / "TRAIN").rglob("*.PHN") for it in lines_of(file)]
    assert train["phones"] == sum(it.label != "h#" for it in phones)
    assert train["seconds"] == pytest.approx(sum(it.end - it.begin for it in phones) / 16000, abs=0.06)
    assert 8 < train["phones_per_second"] < 20
    assert found["sha256"] == checksum(tmp_path / "one")
    monkeypatch.setattr(sys, "argv", [*arguments, str(tmp_path / "two")])
    make_speech_corpus.main()
    printed = capsys.readouterr().out
    assert found["sha256"] in printed and found["labels"] in printed and "phones_per_second" in printed


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--voices", "1"], "1 voices, 22 sentences; expected 2 to 78 voices"),
        (["--voices", "79"], "expected 2 to 78 voices"),
        (["--sentences", "0"], "1 sentence or more"),
        (["--prompts", "absent"], "absent cannot be read"),
    ],
)
def test_what_is_asked_wrongly_is_said(
    given: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["make_speech_corpus", str(tmp_path / "out"), *given])
    with pytest.raises(SystemExit):
        make_speech_corpus.main()
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(SettingsError, match="holds something; expected a new or an empty folder"):
            make_corpus(out, voices=2, sentences=1)


def test_what_is_not_installed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package, extra in (("espeakng_loader", r"tidegate\[synthesis\]"), ("soxr", "speech"), ("soundfile", "speech")):
        with monkeypatch.context() as absent:
            absent.setitem(sys.modules, package, None)
            with pytest.raises(SettingsError, match=f"needs (espeakng-loader|{package}), which is not installed.*{extra}"):
                make_corpus(tmp_path / package, voices=2, sentences=1)


def test_a_failure_of_espeak_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="failed for the voice 'nobody': .*there is no voice 'en-us.nobody'. Expected version 1.52"):
        speak("nobody", [Request("Hello.")])
    monkeypatch.setattr(espeak.sys, "executable", "false")
    with pytest.raises(DataError, match="its process ended with 1"):
        speak("m3", [Request("Hello.")])
