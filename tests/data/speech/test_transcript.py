"""Texts and label files as tokens."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.speech.transcript import clean_text, read_phn, read_transcript, tokens_of
from tidegate.errors import DataError


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("She had your dark suit.", "she had your dark suit"),
        ("  It's\t5 o\u2019clock,\nnow!  ", "it's 5 o'clock now"),
        ("Twenty-two; left/right \u2014 and\u2026so", "twenty two left right and so"),
        ("'Tis the dogs' ' '' end", "'tis the dogs' end"),
        ("STRASSE stra\u00dfe \u00c9t\u00e9 Cafe\u0301", "strasse strasse \u00e9t\u00e9 caf\u00e9"),
        ("\u4f60\u597d\uff0c\u4e16\u754c\u3002", "\u4f60\u597d\u4e16\u754c"),
        ("\u4f60\u597d\u3000\u4e16\u754c", "\u4f60\u597d \u4e16\u754c"),
        ("\u0928\u092e\u0938\u094d\u0924\u0947", "\u0928\u092e\u0938\u094d\u0924\u0947"),
        ("I \u2764\ufe0f you\u200b & $5", "i you 5"),
        ("\u266a\u0301 la a\u0301", "la \u00e1"),
        ("\u0421\u044a\u0435\u0448\u044c \u0401\u0436", "\u0441\u044a\u0435\u0448\u044c \u0451\u0436"),
    ],
)
def test_clean_text(text: str, clean: str) -> None:
    assert clean_text(text) == clean


def test_tokens() -> None:
    assert tokens_of("Oh, no!", "characters") == ("o", "h", " ", "n", "o")
    assert tokens_of("Oh, no!", "words") == ("oh", "no")
    assert tokens_of("\u4f60\u597d", "words") == ("\u4f60\u597d",)
    with pytest.raises(ValueError, match="not 'phones'"):
        tokens_of("Oh", "phones")


@settings(deadline=None, max_examples=300)
@given(st.text())
def test_cleaning(text: str) -> None:
    clean = clean_text(text)
    assert clean_text(clean) == clean
    assert unicodedata.is_normalized("NFC", clean)
    assert clean == clean.strip() and "  " not in clean
    assert all(char in " '" or unicodedata.category(char)[0] in "LMN" for char in clean)
    if clean:
        assert " ".join(tokens_of(text, "words")) == "".join(tokens_of(text, "characters")) == clean


@pytest.mark.parametrize(("text", "words"), [("", "A transcript is empty"), (" \n", "is empty"), ("?!", r"'\?!' has no letter or digit")])
def test_empty(text: str, words: str) -> None:
    for kind in ("characters", "words"):
        with pytest.raises(DataError, match=words):
            tokens_of(text, kind)


def test_source_is_named() -> None:
    with pytest.raises(DataError, match=r"^a\.txt is empty; expected what is said"):
        tokens_of("", "words", "a.txt")


def test_read_transcript(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfHello\r\n  there\n")
    assert read_transcript(path) == "Hello there"
    path.write_bytes("one\ncaf\u00e9".encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.txt, line 2: byte 0xe9 is not UTF-8\. Save it as UTF-8"):
        read_transcript(path)


def labels(tmp_path: Path, name: str, text: str, rate: int | None = None) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...] | None]:
    (tmp_path / name).write_text(text)
    return read_phn(tmp_path / name, rate)


def test_phn(tmp_path: Path) -> None:
    found = labels(tmp_path, "SX1.PHN", "0 3050 h#\n3050 4559 sh\n\n4600 5723 foreign\r\n")
    assert found == (("h#", "sh", "foreign"), ((0, 3050), (3050, 4559), (4600, 5723)))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 5_000), st.sampled_from(["h#", "ax-h", "q"])), min_size=1))
def test_phn_as_written(tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[int, int, str]]) -> None:
    lines, end = [], 0
    for gap, length, label in parts:
        lines.append((end + gap, end + gap + length, label))
        end += gap + length
    text = "".join(f"{begin} {stop} {label}\n" for begin, stop, label in lines)
    names, spans = labels(tmp_path_factory.mktemp("phn"), "a.phn", text)
    assert spans is not None
    assert [(*span, name) for span, name in zip(spans, names, strict=True)] == lines


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"a\.phn is empty; expected labels"),
        ("0 10 a\n10 10 b\n", r"a\.phn, line 2: 'b' ends at 10, and begins at 10"),
        ("0 10 a\n\n20 15 b\n", r"line 3: 'b' ends at 15, and begins at 20"),
        ("0 10 a\n9 20 b\n", r"line 2: 'b' begins at 9, before 10"),
        ("-5 10 a\n", r"line 1: 'a' begins at -5, before 0"),
        ("0 10 a\n10 20\n", r"line 2: '10 20'; expected 'begin end label'"),
        ("0 10 a b\n", r"line 1: '0 10 a b'; expected 'begin end label'"),
        ("0.0 0.5 a\n", r"line 1: '0.0 0.5 a'; expected .* whole numbers"),
        ("h# sh ix\n", r"line 1: 'h# sh ix'; expected"),
    ],
)
def test_bad_phn(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        labels(tmp_path, "a.phn", text)


@pytest.mark.parametrize("text", ["sil\nao\nth\n", "sil ao th\n", "\nsil  ao\tth"])
def test_lab_without_times(tmp_path: Path, text: str) -> None:
    assert labels(tmp_path, "a.LAB", text, 16_000) == (("sil", "ao", "th"), None)


def test_lab_of_htk(tmp_path: Path) -> None:
    text = "0 2300000 sil -1200.5\n2300000 3700000 ao\n"
    assert labels(tmp_path, "a.lab", text, 16_000) == (("sil", "ao"), ((0, 3_680), (3_680, 5_920)))
    assert labels(tmp_path, "a.lab", text) == (("sil", "ao"), None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sil\n0 10 ao\n", "line 2: '0 10 ao'; expected a label a line"),
        ("0 10 ao\nth\n", "line 2: 'th'; expected 'begin end label'"),
        ("sil ao\nth\n", "line 1: 'sil ao'; expected a label a line, all labels on one line"),
        ("#\n0.22 121 pau\n", "line 2: '0.22 121 pau'; expected a label a line"),
        ("0 0 ao\n", "line 1: 'ao' ends at 0, and begins at 0"),
        (" \n", r"a\.lab is empty"),
    ],
)
def test_bad_lab(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        labels(tmp_path, "a.lab", text, 16_000)


def test_spoken_numbers_are_labels(tmp_path: Path) -> None:
    assert labels(tmp_path, "a.lab", "1 2 3\n") == (("1", "2", "3"), None)
