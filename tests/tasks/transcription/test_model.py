"""A trained recogniser: what it says does not depend on the company, what its files hold is all of it."""

import json
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tasks.transcription.test_fitting import fit
from tests.tasks.transcription.test_material import gathered
from tests.tasks.transcription.tiny import RATE, whistle, write_corpus, write_wav
from tidegate.data.speech.audio import read_audio
from tidegate.errors import DataError, SettingsError
from tidegate.runs.plain import json_text
from tidegate.tasks.transcription import hearing
from tidegate.tasks.transcription.evaluation import Scoring
from tidegate.tasks.transcription.hearing import Spoken, Transcript, hear, recordings, token_frame, transcript_frame
from tidegate.tasks.transcription.material import SpeechMaterial
from tidegate.tasks.transcription.model import SpeechModel
from tidegate.tasks.transcription.verbs import with_convention


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("model"))


def fitted(root: Path, **changes: Any) -> tuple[SpeechModel, SpeechMaterial]:
    material = gathered(root, **changes)
    return fit(material).model, material


@pytest.fixture(scope="module")
def both(root: Path) -> tuple[SpeechModel, SpeechMaterial]:
    return fitted(root, data={"normalisation": "global"}, training={"max_epochs": 6})


def frames_of(material: SpeechMaterial) -> list[torch.Tensor]:
    return [material.normalised(number) for number in range(len(material.targets))]


def test_log_probabilities_do_not_depend_on_order_or_company(both: tuple[SpeechModel, SpeechMaterial]) -> None:
    model, material = both
    frames = frames_of(material)
    whole = model.log_probs(frames)
    for log_probs, one in zip(whole, frames, strict=True):
        assert log_probs.shape == (-(-len(one) // 2), len(model.vocabulary) + 1) and log_probs.dtype == np.float32
        np.testing.assert_allclose(np.exp(log_probs.astype(float)).sum(1), 1.0, atol=1e-5)
    for number in (4, 0, 11):
        np.testing.assert_allclose(model.log_probs([frames[number]])[0], whole[number], atol=1e-5)
    assert model.log_probs([]) == []


def test_a_model_comes_back_from_its_files(both: tuple[SpeechModel, SpeechMaterial], root: Path) -> None:
    for model, material in (both, fitted(root, decoding={"beam": 1}), fitted(root, network={"name": "causal-lstm", "look_ahead": 4})):
        tensors = {name: value.numpy() for name, value in model.to_tensors().items()}
        text = json_text(model.to_json())
        again = SpeechModel.from_files(model.config.to_json(), text, tensors, "cpu")
        assert (again.config, again.vocabulary, again.shape) == (model.config, model.vocabulary, model.shape)
        assert (again.lm_weight, again.token_bonus, again.best_epoch) == (model.lm_weight, model.token_bonus, model.best_epoch)
        assert json.loads(json_text(again.to_json())) == json.loads(text)
        frames = [again.normaliser.apply(material.frames[0][number], material.speakers.get(("train", "anna"))) for number in range(4)]
        for one, other in zip(model.log_probs(frames), again.log_probs(frames), strict=True):
            np.testing.assert_array_equal(one, other)
            assert model.search(one) == again.search(other)


def test_a_setting_of_another_version_is_named(both: tuple[SpeechModel, SpeechMaterial]) -> None:
    model, _ = both
    tree = json.loads(model.config.to_json())
    tree["training"]["sorted_epoch"] = 3
    tensors = {name: value.numpy() for name, value in model.to_tensors().items()}
    with pytest.raises(SettingsError, match="training.sorted_epoch.*Did you mean 'sorted_epochs'"):
        SpeechModel.from_files(json.dumps(tree), json_text(model.to_json()), tensors, "cpu")


def test_times_are_those_of_the_recording(both: tuple[SpeechModel, SpeechMaterial]) -> None:
    """Steps of two frames of 10 ms; an end is never behind the recording's."""
    model, _ = both
    assert model.step_seconds == pytest.approx(0.02)
    blank, one = np.log([0.98, 0.02]), np.log([0.05, 0.95])
    log_probs = np.full((5, len(model.vocabulary) + 1), -30.0, np.float32)
    log_probs[:, :2] = np.stack([blank, one, one, blank, one])
    log_probs -= np.logaddexp.reduce(log_probs, axis=1, keepdims=True)
    told = hearing.transcript(model.__class__(**{**vars(model), "lm": None, "lm_weight": 0.0, "token_bonus": 0.0}), "x", log_probs, 0.095)
    assert [token.token for token in told.tokens] == [model.vocabulary[0]] * 2
    assert [(round(token.begin, 6), round(token.end, 6)) for token in told.tokens] == [(0.02, 0.06), (0.08, 0.095)]
    assert told.tokens[0].confidence == pytest.approx(0.95, abs=1e-3) and told.confidence == pytest.approx(0.95, abs=1e-3)


def test_files_are_heard_as_their_frames_say(both: tuple[SpeechModel, SpeechMaterial]) -> None:
    model, material = both
    paths = [it.audio for it in material.corpus.utterances]
    heard = hear(model, paths)
    for one, frames, path in zip(heard, frames_of(material), paths, strict=True):
        expected = model.named(model.search(model.log_probs([frames])[0]))
        assert tuple(token.token for token in one.tokens) == expected
        assert one.audio == str(path) and one.seconds > 0.2 and one.text == "".join(expected).strip()
        begins = [token.begin for token in one.tokens]
        assert begins == sorted(begins) and all(0 <= token.begin < token.end <= one.seconds for token in one.tokens)
    assert hear(model, []) == []


def test_many_files_are_heard_piece_by_piece(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, material = fitted(root)
    paths = [it.audio for it in material.corpus.utterances][:5]
    whole, alive = hear(model, paths), set[int]()

    def read(path: Path, rate: int) -> tuple[np.ndarray, int]:
        samples = read_audio(path, rate)[0].copy()
        alive.add(id(samples))
        weakref.finalize(samples, alive.discard, id(samples))
        assert len(alive) <= 2, "the one that was heard last, and the next"
        return samples, rate

    monkeypatch.setattr(hearing, "read_audio", read)
    monkeypatch.setattr(hearing, "TOGETHER", 2)
    assert [(one.audio, one.text, one.seconds) for one in hear(model, paths)] == [(one.audio, one.text, one.seconds) for one in whole]


def test_a_speaker_s_recordings_are_normalised_together(root: Path, tmp_path: Path) -> None:
    model, material = fitted(root)
    assert model.normaliser.kind == "speaker"
    numbers = [number for number, it in enumerate(material.corpus.utterances) if (it.part, it.speaker) == ("train", "bert")]
    paths = [material.corpus.utterances[number].audio for number in numbers]
    expected = [model.named(model.search(one)) for one in model.log_probs([material.normalised(number) for number in numbers])]
    assert [tuple(token.token for token in one.tokens) for one in hear(model, paths)] == expected
    by_hand = hear(model, paths[:1], material.speakers["train", "bert"])[0]
    assert tuple(token.token for token in by_hand.tokens) == expected[0]
    found = hearing.hear_utterances(model, material, numbers)
    assert [tuple(token.token for token in one.tokens) for one in found] == expected


def test_recordings_of_other_rates_and_channels(both: tuple[SpeechModel, SpeechMaterial], tmp_path: Path) -> None:
    model, _ = both
    path = write_wav(tmp_path / "a.wav", whistle("cab", rate=2 * RATE), 2 * RATE)
    assert hear(model, [path])[0].seconds == pytest.approx(len(whistle("cab", rate=2 * RATE)) / 2 / RATE, abs=1e-3)
    short = write_wav(tmp_path / "b.wav", whistle("cab")[:199])
    with pytest.raises(DataError, match=r"b.wav is shorter than a frame of 25 ms. Give a longer recording"):
        hear(model, [path, short])
    assert len(hear(model, [write_wav(tmp_path / "c.wav", whistle("cab")[:200])])) == 1


def test_a_folder_stands_for_its_recordings(root: Path, tmp_path: Path) -> None:
    assert recordings([root / "test"]) == sorted((root / "test").rglob("*.wav"))
    assert recordings(["x.wav", root / "dev" / "anna"]) == [Path("x.wav"), root / "dev" / "anna" / "04.wav"]
    with pytest.raises(DataError, match="holds no recording; expected audio files"):
        recordings([tmp_path])


def test_frames_of_transcripts() -> None:
    said = Transcript("a.wav", (Spoken("ab", 0.0, 0.1, 0.5), Spoken("c", 0.2, 0.3, 1.0)), "words", 0.4)
    silent = Transcript("b.wav", (), "words", 0.5)
    assert transcript_frame([said, silent]).rows() == [("a.wav", "ab c", 0.75, 0.4), ("b.wav", "", 1.0, 0.5)]
    assert token_frame([silent, said]).rows() == [("a.wav", "ab", 0.0, 0.1, 0.5), ("a.wav", "c", 0.2, 0.3, 1.0)]
    for frame in (transcript_frame([]), token_frame([])):
        assert len(frame) == 0 and frame.columns[0] == "audio"
    assert Transcript("", tuple(Spoken(letter, 0.0, 1.0, 1.0) for letter in " a b "), "characters", 1.0).text == "a b"


def test_another_convention_changes_what_is_scored_and_nothing_else(both: tuple[SpeechModel, SpeechMaterial]) -> None:
    model, _ = both
    phones = model.config.model_copy(update={"data": model.config.data.model_copy(update={"tokens": "phones", "kind": "timit"})})
    plain = replace(model, config=phones)
    other = with_convention(plain, "no-silence")
    said = [("h#", "ix", "pcl", "q")]
    assert Scoring.of(plain.config, "timit").compared(said) == [("sil", "ih", "sil")]
    assert Scoring.of(other.config, "timit").compared(said) == [("ih",)]
    assert other.network is plain.network and other.config.decoding.beam == plain.config.decoding.beam
    with pytest.raises(SettingsError, match="decoding.convention"):
        with_convention(plain, "kladi")
