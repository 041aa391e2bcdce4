"""Manifests: CSV and JSON lines."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.speech.corpus import Corpus, read_corpus
from tidegate.data.speech.manifest import read_manifest
from tidegate.errors import DataError

SAMPLES = np.random.default_rng(0).integers(-9_000, 9_000, 1_600).astype(np.int16)
CSV = 'path,text,speaker,split\na.wav,Hello,ann,train\nsub/b.wav,Bye,bob,dev\nc.wav,"Hello, bye",cat,TEST\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("a", "sub/b", "c", "d"):
        soundfile.write(tmp_path / f"{name}.wav", SAMPLES, 16_000)
    return tmp_path


def read(folder: Path, text: str, name: str = "m.csv", **settings: Any) -> Corpus:
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return read_corpus(folder / name, **settings)


def json_lines(*rows: dict[str, Any]) -> str:
    return "\n".join(json.dumps(row) for row in rows)


FORMS = {
    "m.csv": CSV,
    "m.tsv": CSV.replace('"Hello, bye"', "Hello; bye").replace(",", "\t"),
    "crlf.csv": "\ufeff" + CSV.replace("\n", "\r\n"),
    "m.jsonl": json_lines(
        {"path": "a.wav", "text": "Hello", "speaker": "ann", "split": "train"},
        {"path": "sub/b.wav", "text": "Bye", "speaker": "bob", "split": "dev"},
        {"path": "./c.wav", "text": "Hello; bye", "speaker": "cat", "split": "test"},
    ),
}
FORMS["m.json"] = "[" + FORMS["m.jsonl"].replace("\n", ",\n") + "]"


@pytest.mark.parametrize("name", list(FORMS))
def test_forms(folder: Path, name: str) -> None:
    corpus = read(folder, FORMS[name], name)
    assert (corpus.kind, corpus.token_kind, corpus.root, corpus.problems) == ("manifest", "characters", folder, ())
    assert [(it.id, it.speaker, it.part) for it in corpus.utterances] == [
        ("a", "ann", "train"),
        ("c", "cat", "test"),
        ("sub/b", "bob", "dev"),
    ]
    assert ["".join(it.tokens) for it in corpus.utterances] == ["hello", "hello bye", "bye"]
    assert corpus.utterances[2].audio == folder / "sub" / "b.wav"
    assert read_corpus(folder / name, tokens="words").utterances[1].tokens == ("hello", "bye")


def test_paths_above_and_absolute(folder: Path) -> None:
    (folder / "lists").mkdir()
    text = f"path,text,split\n../a.wav,x,train\n{folder}/sub/b.wav,y,dev\n{folder}/lists/../c.wav,z,test\n"
    corpus = read(folder, text, "lists/m.csv")
    assert {it.audio for it in corpus.utterances} == {folder / "a.wav", folder / "sub/b.wav", folder / "c.wav"}


def test_phones(folder: Path) -> None:
    rows = [
        {"path": f"{name}.wav", "phones": phones, "split": split}
        for name, phones, split in (("a", ["h#", "sh"], "train"), ("c", "h#  ix", "dev"), ("d", ["h#"], "test"))
    ]
    corpus = read(folder, json_lines(*rows), "m.jsonl", tokens="phones")
    assert [it.tokens for it in corpus.utterances] == [("h#", "sh"), ("h#", "ix"), ("h#",)]
    as_csv = "path,tokens,split\na.wav,h# sh,train\nc.wav,h# ix,dev\nd.wav,h#,test\n"
    assert [it.tokens for it in read(folder, as_csv, tokens="phones").utterances] == [it.tokens for it in corpus.utterances]


def test_without_splits(folder: Path) -> None:
    names = [f"{number:02d}" for number in range(40)]
    for name in names:
        soundfile.write(folder / f"{name}.wav", SAMPLES, 16_000)
    corpus = read(folder, "path,text\n" + "".join(f"{name}.wav,Sentence {name}\n" for name in names))
    assert [it.id for it in corpus.part("test")] == ["00", "10", "20", "30"]
    assert [it.id for it in corpus.part("dev")] == ["01", "11", "21", "31"]


def test_without_dev(folder: Path) -> None:
    corpus = read(folder, "path,text,split\na.wav,One,train\nsub/b.wav,Two,train\nc.wav,Three,test\n")
    assert [it.id for it in corpus.part("dev")] == ["a"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"m\.csv is empty; expected a line for each recording"),
        ("path,text\n", "has a header, but no line"),
        ("paths,text\na.wav,Hello\n", "has no column 'path', needed for characters. Did you mean 'paths'"),
        ("path,txt\na.wav,Hello\n", "has no column 'text', needed for characters"),
        ("path,text\na.wav,Hello\n,Bye\n", "line 3: the path is empty"),
        ("path,text\na.wav,Hello\n\nc.wav,Bye\nsub/../a.wav,Hello\n", r"line 5: sub/\.\./a\.wav stands in line 2 already"),
        ("path,text,split\na.wav,Hello,train\nc.wav,Bye,eval\n", "line 3: the split is 'eval'; expected train, dev or test"),
        ("path,text,split\na.wav,Hello,train\nc.wav,Bye,\n", "line 3: the split is ''"),
        ("path,text,split\na.wav,Hello,dev\nc.wav,Bye,test\n", "no utterance is for train"),
        ("path,text\na.wav,Hello, you\n", "line 2: 3 cells, but the header has 2. Put a text that holds ',' in double quotes"),
        ("path,text,text\na.wav,Hello,x\n", r"line 1: the header names a column twice \(path, text, text\)"),
        ('path,text\n"a.wav",two\n"c.wav,"x"\n', "line 3: .*expected CSV"),
        ('path,text\na.wav,"two\nlines"\n,x\n', "line 4: the path is empty"),
    ],
)
def test_bad_csv(folder: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(folder, text, on_bad="skip")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"path": "a.wav", "text": "x"}\n{"path" "c.wav"}\n', r"line 2: no JSON \(.*column 9\)"),
        ('{"path": "a.wav", "text": "x"}\n["c.wav"]\n', r'line 2: \["c.wav"\]; expected an object'),
        ('{"path": "a.wav", "text": ["x"]}\n', "line 1.*text is a list; expected a text"),
        ('[{"path": "a.wav",\n "text" "x"}]', r"m\.jsonl, line 2: no JSON"),
    ],
)
def test_bad_json(folder: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(folder, text, "m.jsonl")


def test_bad_phones(folder: Path) -> None:
    with pytest.raises(DataError, match="has no column 'phones' or 'tokens', needed for phones"):
        read(folder, CSV, tokens="phones")
    with pytest.raises(DataError, match=r'phones is \["a", 1\]; expected a list of labels'):
        read(folder, json_lines({"path": "a.wav", "phones": ["a", 1]}), "m.jsonl", tokens="phones")


def test_recordings_that_are_of_no_use(folder: Path) -> None:
    (folder / "d.wav").write_bytes(b"")
    text = CSV + "none.wav,Hello,ann,train\nd.wav,Hello,ann,train\n"
    with pytest.raises(DataError, match=r"d\.wav is empty.*2 of 5 recordings"):
        read(folder, text)
    corpus = read(folder, text, on_bad="skip")
    assert len(corpus.utterances) == 3
    assert "m.csv, line 5: there is no file" in {it.path.name: it.reason for it in corpus.problems}["none.wav"]


def test_empty_text(folder: Path) -> None:
    with pytest.raises(DataError, match=r"m\.csv, line 5: the text is empty; expected what is said.*No other recording is bad"):
        read(folder, CSV + "d.wav,,ann,train\n")


def test_not_utf8(folder: Path) -> None:
    (folder / "m.csv").write_bytes(b"path,text\na.wav,caf\xe9\n")
    with pytest.raises(DataError, match=r"m\.csv, line 2: byte 0xe9 is not UTF-8"):
        read_corpus(folder / "m.csv")


def test_names_that_differ_in_their_endings(folder: Path) -> None:
    soundfile.write(folder / "a.flac", SAMPLES, 16_000)
    corpus = read(folder, CSV + "a.flac,Again,ann,train\n")
    assert [it.id for it in corpus.utterances] == ["a.flac", "a.wav", "c", "sub/b"]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), min_size=1), min_size=1, max_size=5))
def test_texts_as_written(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    """What csv and json write is what is read, whatever it is, and in the same order."""
    folder = tmp_path_factory.mktemp("manifest")
    rows = [{"path": f"{number}.wav", "text": text} for number, text in enumerate(texts)]
    (folder / "m.jsonl").write_text(json_lines(*rows))
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, ["path", "text"])
    writer.writeheader()
    writer.writerows(rows)
    (folder / "m.csv").write_text(file.getvalue(), encoding="utf-8", newline="")
    for name in ("m.jsonl", "m.csv"):
        found = {it.audio.name: it.text for it in read_manifest(folder / name, None).utterances}
        assert [found[f"{number}.wav"] for number in range(len(texts))] == [text.strip() for text in texts]
