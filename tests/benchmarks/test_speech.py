"""The speech benchmark on a tiny corpus of tones: what it prints, who is left out, and what strings are made of."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import speech
from benchmarks.speech import LONGEST, ROUNDS, SHORTEST, strings_of
from tidegate.data.speech.corpus import Utterance

SMALL = ["--set", "network.hidden=8", "--set", "network.layers=1", "--set", "training.max_epochs=2", "--set", "decoding.lm_weight=0.3"]
SMALL += ["--set", "decoding.token_bonus=0", "--threads", "1", "--json"]


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Three digits of two speakers as tones, named as the Free Spoken Digit Dataset names its files."""
    soundfile = pytest.importorskip("soundfile")
    random, time = np.random.default_rng(0), np.arange(3200) / 8000
    for digit in range(3):
        for number, speaker in enumerate(("anna", "ben")):
            for take in range(12):
                tone = 0.3 * np.sin(2 * np.pi * (400 + 500 * digit + 60 * number) * time) + 0.01 * random.standard_normal(3200)
                soundfile.write(tmp_path / f"{digit}_{speaker}_{take}.wav", tone, 8000)
    return tmp_path


def call(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    monkeypatch.setattr("sys.argv", ["speech", *arguments, *SMALL])
    speech.main()
    return json.loads(capsys.readouterr().out)["rows"]


def test_what_it_prints(digits: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rows = call([str(digits), "--strings"], monkeypatch, capsys)
    assert [row["run"] for row in rows] == ["test", f"{len(rows) and rows[1]['run'].split()[0]} strings"]
    test, strings = rows
    assert test["tokens"] == 30 and strings["tokens"] > 30
    assert test["wer"] == pytest.approx(test["sub"] + test["del"] + test["ins"])
    assert test["sentences_right"] <= 1 and test["training x"] > 0 and test["decoding x"] > 0 and test["peak MB"] > 50


def test_each_speaker_is_left_out(digits: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rows = call([str(digits), "--speakers-out"], monkeypatch, capsys)
    assert [row["run"] for row in rows] == ["without anna", "without ben", "mean"]
    assert [row["tokens"] for row in rows[:2]] == [36, 36]
    assert rows[2]["wer"] == pytest.approx((rows[0]["wer"] + rows[1]["wer"]) / 2)
    named = call([str(digits), "--speakers-out", "ben"], monkeypatch, capsys)
    assert [(row["run"], row["wer"]) for row in named] == [("without ben", rows[1]["wer"])]


def test_strings() -> None:
    takes = [Utterance(f"{speaker}{number}", Path(), ("one",), "", speaker, "test") for speaker in "ab" for number in range(20)]
    strings = strings_of(takes, np.random.default_rng(0))
    assert all(SHORTEST <= len(string) <= LONGEST and len({it.speaker for it in string}) == 1 for string in strings)
    counts = Counter(it.id for string in strings for it in string)
    assert set(counts) == {it.id for it in takes} and max(counts.values()) <= ROUNDS
    assert all(len({it.id for it in string}) == len(string) for string in strings)


def test_live(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(speech, "live_row", lambda: whole(0.3))
    (row,) = call(["--live"], monkeypatch, capsys)
    assert 0 < row["median ms"] <= row["99 % ms"] <= row["longest ms"]
    assert row["waits ms"] == pytest.approx(25 + 10)  # a window, and the frame after that a step of two waits for


whole = speech.live_row
