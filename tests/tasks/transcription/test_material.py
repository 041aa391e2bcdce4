"""From a small corpus to what training needs: parts, tokens as numbers, frames on their scale, and what is left out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tasks.transcription.tiny import RATE, config, whistle, write_corpus, write_wav
from tidegate.config_transcribe import TranscribeConfig
from tidegate.data.speech.audio import read_audio
from tidegate.data.speech.corpus import Corpus, Part, read_corpus
from tidegate.data.speech.features import log_mel
from tidegate.data.speech.frames import Frames
from tidegate.errors import DataError, SettingsError
from tidegate.tasks.transcription.material import SpeechMaterial, complete, corpus_checksum, feature_settings, gather_scored, gather_speech


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus", train=3)


def read(root: Path, on_bad: Any = "refuse") -> Corpus:
    return read_corpus(root, on_bad=on_bad)


def gathered(root: Path, on_bad: str = "refuse", **changes: Any) -> SpeechMaterial:
    data = {**changes.pop("data", {}), "on_bad": on_bad}
    known = read(root, on_bad)
    return gather_speech(known, complete(config(data=data, **changes), known, 1))


def test_what_is_open_follows_from_the_corpus(corpus: Path) -> None:
    known = read(corpus)
    full = complete(TranscribeConfig(), known, 3)
    assert (full.data.kind, full.data.tokens, full.data.rate, full.data.normalisation) == ("folder", "characters", RATE, "speaker")
    assert full.training.threads == 3 and full.training.device in ("cpu", "cuda"), "nothing is left to 'auto'"
    assert complete(config(network={"name": "causal-lstm"}), known, 1).data.normalisation == "global"
    nameless = replace(known, utterances=tuple(replace(it, speaker="") for it in known.utterances))
    assert complete(TranscribeConfig(), nameless, 1).data.normalisation == "global"
    alone = replace(known, utterances=tuple(replace(it, part="dev") if it.speaker != "anna" else it for it in known.utterances))
    assert full.training.speeds == (0.9, 1.0, 1.1), "several voices"
    lone = [complete(TranscribeConfig(), one, 1).training for one in (nameless, alone)]
    assert [(one.speeds, one.tempo) for one in lone] == [((1.0,), 0.15)] * 2, "one voice, or nobody knows"
    assert complete(TranscribeConfig.model_validate({"training": {"speeds": [0.8]}}), known, 1).training.speeds == (0.8,)
    assert complete(config(data={"rate": 6000, "normalisation": "none"}), known, 1).data.rate == 6000
    with pytest.raises(SettingsError, match="device 'abacus' cannot be used"):
        complete(config(training={"device": "abacus"}), known, 1)


def test_single_words_are_joined_and_get_other_ends(corpus: Path) -> None:
    (whole, words) = (
        complete(config(data={"tokens": tokens}), read_corpus(corpus, tokens=tokens), 1).training for tokens in (None, "words")
    )
    assert (whole.joined, whole.cut, whole.pauses) == (1, 0.0, 0)
    assert (words.joined, words.cut, words.pauses) == (6, 0.2, 20)
    given = {"joined": 2, "cut": 0.0, "pauses": 3}
    kept = complete(config(data={"tokens": "words"}, training=given), read_corpus(corpus, tokens="words"), 1).training
    assert kept.model_dump().items() >= given.items()


@pytest.mark.parametrize(
    ("frames", "batch", "epochs", "expected"),
    [
        (30_000, None, None, (1000, 40)),  # too few to make 4,000 updates
        (200_000, None, None, (2000, 40)),
        (400_000, None, None, (3000, 31)),
        (2_000_000, None, None, (3000, 20)),
        (200_000, 500, None, (500, 20)),
        (200_000, None, 7, (2000, 7)),
    ],
)
def test_small_corpora_have_smaller_batches(
    corpus: Path, frames: int, batch: int | None, epochs: int | None, expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = read(corpus)
    part = frames // len(known.part("train"))
    monkeypatch.setattr(Frames, "lengths", property(lambda self: np.full(len(self.ids), part)))
    asked = config(training={"batch_frames": batch, "max_epochs": epochs})
    training = gather_speech(known, complete(asked, known, 1)).config.training
    assert (pytest.approx(training.batch_frames, rel=0.01), training.max_epochs) == expected


def test_the_rate_is_that_of_most_recordings_and_at_most_16_khz(corpus: Path) -> None:
    for path in sorted((corpus / "train").rglob("*.wav"))[:2]:
        write_wav(path, whistle("ab", rate=11025), 11025)
    assert complete(config(), read(corpus), 1).data.rate == RATE
    for path in (corpus / "train").rglob("*.wav"):
        write_wav(path, whistle("abba", rate=44100), 44100)
    material = gathered(corpus)
    assert material.features.rate == 16_000
    assert len(material.frames[0].ids) == 15, "recordings of all rates"


def test_targets_are_the_numbers_of_tokens(corpus: Path) -> None:
    (corpus / "test" / "anna" / "04.txt").write_text("xab")
    material = gathered(corpus)
    assert material.vocabulary == tuple(sorted(material.vocabulary)) and "x" not in material.vocabulary
    for it, target in zip(material.corpus.utterances, material.targets, strict=True):
        assert [material.vocabulary[number - 1] for number in target] == [token for token in it.tokens if token != "x"]
    parts = [set(material.numbers(part).tolist()) for part in ("train", "dev", "test")]
    assert set().union(*parts) == set(range(15)) and sum(map(len, parts)) == 15
    assert any("xab"[0] in reference for reference in material.references(material.numbers("test")))


def test_frames_are_those_of_the_recording_on_the_scale_of_training(corpus: Path) -> None:
    material = gathered(corpus, data={"deltas": 1, "normalisation": "global"})
    for number in (0, 7, 14):
        samples, _ = read_audio(material.corpus.utterances[number].audio, RATE)
        expected = log_mel(torch.from_numpy(samples), feature_settings(material.config))
        np.testing.assert_array_equal(material.frames[0][number], expected.numpy())
    train = torch.cat([material.normalised(int(number)) for number in material.numbers("train")])
    assert train.shape[1] == 32
    torch.testing.assert_close(train.mean(0), torch.zeros(32), atol=1e-4, rtol=0)
    torch.testing.assert_close(train.std(0), torch.ones(32), atol=1e-2, rtol=0)


def test_each_speaker_has_his_own_scale(corpus: Path) -> None:
    for path in corpus.rglob("carl/*.wav"):
        write_wav(path, 0.05 * read_audio(path)[0])
    for loud_db in (None, 20.0):
        material = gathered(corpus, data={"loud_db": loud_db})
        assert {speaker for _, speaker in material.speakers} == {"anna", "bert", "carl"}
        for part, speaker in material.speakers:
            numbers = [number for number, it in enumerate(material.corpus.utterances) if (it.part, it.speaker) == (part, speaker)]
            counted = [slice(None) if loud_db is None else loud(material.frames[0][number], loud_db) for number in numbers]
            frames = torch.cat([material.normalised(number)[those] for number, those in zip(numbers, counted, strict=True)])
            torch.testing.assert_close(frames.mean(0), torch.zeros(16), atol=1e-4, rtol=0)


def loud(frames_TC: np.ndarray, decibels: float) -> np.ndarray:
    """Which frames are loud."""
    loudness_T = 10.0 * frames_TC.astype(np.float64).mean(1) / np.log(10.0)
    return loudness_T > np.quantile(loudness_T, 0.95) - decibels


@pytest.mark.parametrize("normalisation", ["global", "speaker", "utterance"])
def test_what_test_recordings_hold_does_not_matter_to_training(corpus: Path, normalisation: str) -> None:
    """Though the same speakers say them."""
    one = gathered(corpus, data={"normalisation": normalisation})
    for path in (*(corpus / "test").rglob("*.wav"), *(corpus / "dev").rglob("*.wav")):
        write_wav(path, whistle("dddd", 9))
    other = gathered(corpus, data={"normalisation": normalisation})
    assert one.vocabulary == other.vocabulary
    np.testing.assert_array_equal(one.normaliser.statistics.total, other.normaliser.statistics.total)
    for number in one.numbers("train"):
        assert torch.equal(one.normalised(int(number)), other.normalised(int(number)))


def test_what_is_scored_needs_no_other_part(corpus: Path) -> None:
    whole = gathered(corpus)
    some = gather_scored(read(corpus), whole.config, whole.normaliser, whole.vocabulary)
    assert [it.id for it in some.corpus.utterances] == [whole.corpus.utterances[number].id for number in whole.numbers("test")]
    for number, same in zip(some.numbers("test"), whole.numbers("test"), strict=True):
        assert torch.equal(some.normalised(int(number)), whole.normalised(int(same)))


def test_an_order_too_high_is_refused_before_training(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.tasks.transcription.material.highest_order", lambda tokens: 1)
    with pytest.raises(SettingsError, match="decoding.order is 2, but of 5 tokens n-grams of at most 1 can be counted"):
        gathered(corpus)
    assert gathered(corpus, decoding={"beam": 1}).vocabulary


def test_there_is_a_speed() -> None:
    with pytest.raises(SettingsError, match="training.speeds"):
        config(training={"speeds": []})


def test_other_speeds_are_of_training_only(corpus: Path) -> None:
    material = gathered(corpus, training={"speeds": [0.9, 1.0, 1.1]})
    assert len(material.frames) == 3
    parts: list[tuple[Part, bool]] = [("train", True), ("dev", False), ("test", False)]
    for part, has in parts:
        for number in material.numbers(part):
            lengths = [int(one.lengths[number]) for one in material.frames]
            assert lengths[1] > lengths[0] > lengths[2] if has else lengths[1:] == [0, 0]


@pytest.mark.parametrize(("pooling", "letters", "fits"), [(1, 8, True), (2, 4, True), (2, 5, False), (4, 2, True), (4, 3, False)])
def test_a_step_for_each_token(corpus: Path, pooling: int, letters: int, fits: bool) -> None:
    """8 frames are 8, 4 or 2 steps; 7 are as many, for the last one may be half."""
    for frames in (8, 7):
        write_wav(corpus / "train" / "anna" / "00.wav", whistle("ab")[400 : 400 + 200 + 80 * (frames - 1)])
        (corpus / "train" / "anna" / "00.txt").write_text("abcdabcd"[: letters - (8 - frames if pooling == 1 else 0)])
        if fits:
            assert len(gathered(corpus, network={"pooling": pooling}).targets) == 15
            continue
        with pytest.raises(
            DataError, match=rf"00.wav is too short: {letters} tokens in 0.0[78] s, {8 // pooling} steps .* {letters} needed"
        ):
            gathered(corpus, network={"pooling": pooling})


def test_equal_neighbours_need_a_step_between(corpus: Path) -> None:
    write_wav(corpus / "train" / "anna" / "00.wav", whistle("ab")[400 : 400 + 200 + 80 * 7])
    (corpus / "train" / "anna" / "00.txt").write_text("abba")
    with pytest.raises(DataError, match="4 tokens in 0.08 s, 4 steps of the network, 5 needed. .*network.pooling=1.* --on-bad skip"):
        gathered(corpus)
    assert "00.wav is too short" in gathered(corpus, "skip").notes[-1]


def test_the_fastest_speed_must_have_steps_enough(corpus: Path) -> None:
    write_wav(corpus / "train" / "anna" / "00.wav", whistle("ab")[400 : 400 + 200 + 80 * 7])
    (corpus / "train" / "anna" / "00.txt").write_text("abcd")
    assert len(gathered(corpus).targets) == 15
    with pytest.raises(DataError, match="4 tokens in 0.08 s, 2 steps of the network, 4 needed"):
        gathered(corpus, training={"speeds": [1.0, 2.0]})


def test_bad_recordings_are_left_out_and_move_no_other(corpus: Path) -> None:
    whole = gathered(corpus)
    write_wav(corpus / "train" / "anna" / "01.wav", np.zeros(4000, np.float32))
    write_wav(corpus / "train" / "bert" / "02.wav", whistle("a")[:100])
    with pytest.raises(DataError, match="01.wav is digital silence"):
        gathered(corpus)
    material = gathered(corpus, "skip")
    left = {"train/anna/01", "train/bert/02"}
    assert {it.id for it in whole.corpus.utterances} - {it.id for it in material.corpus.utterances} == left
    assert {problem.path.name for problem in material.corpus.problems} == {"01.wav", "02.wav"}
    assert material.notes[-3] == "2 recordings are left out:" and "01.wav is digital silence" in material.notes[-2]
    assert len(material.targets) == len(material.frames[0].ids) == 13
    for number, it in enumerate(material.corpus.utterances):
        before = next(place for place, one in enumerate(whole.corpus.utterances) if one.id == it.id)
        np.testing.assert_array_equal(material.frames[0][number], whole.frames[0][before])
        assert it.part == whole.corpus.utterances[before].part


def test_a_part_that_is_all_bad_is_refused(corpus: Path) -> None:
    for path in (corpus / "dev").rglob("*.wav"):
        write_wav(path, whistle("a")[:100])
    with pytest.raises(DataError, match=r"no utterance is left for dev. First of 3 left out: .*00 s, 0 steps of the network, 1 needed"):
        gathered(corpus, "skip")


def test_frames_are_kept_for_the_next_run(corpus: Path, tmp_path: Path) -> None:
    write_wav(corpus / "train" / "anna" / "01.wav", np.zeros(4000, np.float32))
    cache = {"cache": str(tmp_path / "cache")}
    first = gathered(corpus, "skip", data=cache)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    again = gathered(corpus, "skip", data=cache)
    assert len(files) == 1 and {path: path.stat().st_mtime_ns for path in files} == files
    assert [it.id for it in again.corpus.utterances] == [it.id for it in first.corpus.utterances]
    assert again.corpus.problems == first.corpus.problems and "digital silence" in again.corpus.problems[0].reason
    with pytest.raises(DataError, match="01.wav is digital silence"):
        gathered(corpus, data=cache)
    np.testing.assert_array_equal(np.array(again.frames[0].values), np.array(first.frames[0].values))
    write_wav(corpus / "test" / "anna" / "04.wav", whistle("dab", 5))
    changed = gathered(corpus, "skip", data=cache)
    assert not np.array_equal(np.array(changed.frames[0].values), np.array(first.frames[0].values)), "as a recording has changed"
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file"):
        gathered(corpus, data={"cache": str(tmp_path / "file" / "x")}, on_bad="skip")


def test_the_checksum_tells_what_is_learnt_from(corpus: Path) -> None:
    before = corpus_checksum(read(corpus))
    assert corpus_checksum(read(corpus)) == before
    known = read(corpus)
    for changed in (
        replace(known.utterances[0], tokens=("x",)),
        replace(known.utterances[0], part="test"),
        replace(known.utterances[0], speaker="dora"),
    ):
        assert corpus_checksum(replace(known, utterances=(changed, *known.utterances[1:]))) != before
    write_wav(known.utterances[3].audio, whistle("d"))
    assert corpus_checksum(read(corpus)) != before


def test_times_of_labels_are_in_seconds_whatever_the_rates(corpus: Path) -> None:
    for path in corpus.rglob("*.txt"):
        path.unlink()
    for place, path in enumerate(sorted(corpus.rglob("*.wav"))):
        rate = (RATE, 11025, 2 * RATE)[place % 3]
        write_wav(path, whistle("abba", rate=rate), rate)
        lines = [f"{int(begin * rate)} {int((begin + 0.1) * rate)} {token}" for begin, token in ((0.05, "a"), (0.2, "b"), (0.4, "a"))]
        path.with_suffix(".phn").write_text("\n".join(lines) + "\n")
    material = gathered(corpus)
    for it, spans in zip(material.corpus.utterances, material.spans, strict=True):
        if it.part == "train":
            assert spans is not None
            np.testing.assert_allclose(spans, [[0.05, 0.15], [0.2, 0.3], [0.4, 0.5]], atol=2e-4)
        else:
            assert spans is None, "what is held out teaches nothing"
