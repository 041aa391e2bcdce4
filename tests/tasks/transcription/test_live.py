"""What is heard while sound arrives is what is heard of the whole, whatever the pieces."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tasks.transcription.test_fitting import LEARNING, fit
from tests.tasks.transcription.test_material import gathered
from tests.tasks.transcription.tiny import RATE, whistle, write_corpus
from tidegate.data.speech.features import log_mel
from tidegate.errors import DataError, SettingsError
from tidegate.tasks.transcription.hearing import Spoken, Transcript, hear_samples
from tidegate.tasks.transcription.live import LiveTranscriber
from tidegate.tasks.transcription.material import feature_settings
from tidegate.tasks.transcription.model import SpeechModel

KINDS: dict[str, dict[str, Any]] = {
    "plain": {"training": LEARNING, "network": {"hidden": 24}},
    "slopes, look-ahead and no pooling": {"data": {"deltas": 2}, "network": {"look_ahead": 3, "pooling": 1, "layers": 2}},
    "pooling of 4": {"network": {"pooling": 4, "look_ahead": 8}, "data": {"normalisation": "none"}, "decoding": {"beam": 1}},
    "no convolutions": {"network": {"stem": "none"}, "data": {"deltas": 1, "tokens": "words"}},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SpeechModel]:
    root = write_corpus(tmp_path_factory.mktemp("live"), train=10, held=2)
    return {
        name: fit(gathered(root, **{**changes, "network": {"name": "causal-lstm", **changes["network"]}})).model
        for name, changes in KINDS.items()
    }


def pieces(samples: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    """Of these sizes, again and again."""
    found, begin, number = [], 0, 0
    while begin < len(samples):
        size = sizes[number % len(sizes)]
        found.append(samples[begin : begin + size])
        begin, number = begin + size, number + 1
    return found


def listened(live: LiveTranscriber, samples: np.ndarray, sizes: list[int]) -> tuple[list[Spoken], Transcript, np.ndarray]:
    """Tokens as they came, the transcript, and the log probabilities."""
    spoken = [token for piece in pieces(samples, sizes) for token in live.feed(piece)]
    kept = live._log_probs
    return spoken, live.finish(), np.concatenate(kept)


def close(one: Transcript, other: Transcript) -> None:
    assert [token.token for token in one.tokens] == [token.token for token in other.tokens]
    for name in ("begin", "end", "confidence"):
        np.testing.assert_allclose(
            [getattr(token, name) for token in one.tokens], [getattr(token, name) for token in other.tokens], atol=1e-5
        )
    assert (one.text, one.kind, one.seconds) == (other.text, other.kind, other.seconds)


@pytest.mark.parametrize("name", KINDS)
@settings(deadline=None, max_examples=8)
@given(
    sizes=st.lists(st.sampled_from([0, 1, 79, 80, 81, 200, 333, 5000]), min_size=1, max_size=4).filter(any),
    seed=st.integers(0, 5),
)
def test_any_pieces_equal_the_whole(models: dict[str, SpeechModel], name: str, sizes: list[int], seed: int) -> None:
    if sum(sizes) < 40:
        sizes = [*sizes, 400]
    model, samples = models[name], whistle("cad ba d"[: 3 + seed], seed)
    live = LiveTranscriber(model)
    spoken, told, log_probs = listened(live, samples, sizes)
    close(told, replace(hear_samples(model, ["-"], [samples])[0]))
    frames = model.normaliser.apply(log_mel(torch.from_numpy(samples), feature_settings(model.config)))
    expected = model.log_probs([frames])[0]
    np.testing.assert_allclose(log_probs, expected, rtol=0, atol=1e-5)
    path = model.best_path(expected)
    assert len(path) - 3 <= len(spoken) <= len(path)
    for token, known in zip(spoken, path, strict=False):
        assert token.token == model.vocabulary[known.index - 1]
        assert (token.begin, token.end) == pytest.approx((known.begin * model.step_seconds, known.end * model.step_seconds))


def test_something_is_heard_while_it_is_said(models: dict[str, SpeechModel]) -> None:
    """Tokens come no later than the latency and a step after the begin of the step that ends them."""
    model = models["plain"]
    live, samples = LiveTranscriber(model), np.concatenate([whistle("cad ba", seed) for seed in range(4)])
    assert (live.rate, live.latency_seconds) == (RATE, pytest.approx(0.025 + 0.01))
    came: list[tuple[float, Spoken]] = []
    for number, piece in enumerate(pieces(samples, [80])):
        came += [((number + 1) * 80 / RATE, token) for token in live.feed(piece)]
    assert len(came) > 5
    for time, token in came:
        assert token.end < time <= token.end + live.latency_seconds + 0.011
    text = live.partial()
    assert text.startswith("".join(token.token for _, token in came).strip()[:5]) and live.finish().seconds == len(samples) / RATE


@pytest.mark.parametrize(("name", "seconds"), [("slopes, look-ahead and no pooling", 0.025 + 0.07), ("pooling of 4", 0.025 + 0.11)])
def test_the_latency_is_what_is_waited_for(models: dict[str, SpeechModel], name: str, seconds: float) -> None:
    """Sound of just this length brings the first step, and a sample less brings none."""
    live, samples = LiveTranscriber(models[name]), whistle("cad ba dab")
    assert live.latency_seconds == pytest.approx(seconds)
    count = round(seconds * RATE)
    live.feed(samples[: count - 1])
    assert sum(map(len, live._log_probs)) == 0
    live.feed(samples[count - 1 : count])
    assert sum(map(len, live._log_probs)) == 1


def test_one_recording_after_the_other(models: dict[str, SpeechModel]) -> None:
    for model in models.values():
        live = LiveTranscriber(model)
        for seed in range(3):
            samples = whistle("dab ca", seed)
            live.feed(samples)
            close(live.finish(), hear_samples(model, ["-"], [samples])[0])
            assert live.partial() == ""


def test_what_happens_to_the_model_later_does_not_matter(models: dict[str, SpeechModel]) -> None:
    model, samples = models["pooling of 4"], whistle("dab")
    expected = hear_samples(model, ["-"], [samples])[0]
    live = LiveTranscriber(model)
    kept = {name: value.clone() for name, value in model.network.state_dict().items()}
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.zero_()
    try:
        live.feed(samples)
        close(live.finish(), expected)
    finally:
        model.network.load_state_dict(kept)


def test_other_samples_are_refused(models: dict[str, SpeechModel]) -> None:
    live = LiveTranscriber(models["plain"])
    for wrong, words in (
        (np.zeros((5, 2), np.float32), r"Samples are float32 of shape \(5, 2\); expected floats from -1 to 1 of one channel"),
        (np.zeros(5, np.int16), r"Samples are int16 of shape \(5,\).*Divide 16-bit samples by 32768"),
        (np.full(5, np.nan), "not finite"),
    ):
        with pytest.raises(DataError, match=words):
            live.feed(wrong)
    assert live.feed(np.zeros(0)) == []
    live.feed(whistle("a")[:199])
    with pytest.raises(DataError, match="The recording is shorter than a frame of 25 ms"):
        live.finish()
    assert live.feed(whistle("a").astype(np.float64)) is not None and live.finish().seconds == len(whistle("a")) / RATE


def test_models_that_wait_for_the_end_are_refused(tmp_path: Path) -> None:
    root = write_corpus(tmp_path)
    with pytest.raises(SettingsError, match=r"'blstm' hears whole recordings only.*--network causal-lstm"):
        LiveTranscriber(fit(gathered(root)).model)
    for kind in ("speaker", "utterance"):
        model = fit(gathered(root, network={"name": "causal-lstm"}, data={"normalisation": kind})).model
        with pytest.raises(SettingsError, match=rf"Frames normalised by {kind} can be heard only once a recording is whole"):
            LiveTranscriber(model)


@pytest.mark.parametrize("name", KINDS)
def test_at_the_end_nothing_was_left_unsaid(models: dict[str, SpeechModel], name: str) -> None:
    """What came along the way and what was still waiting are the best path of the whole."""
    model, samples = models[name], whistle("cadab", 5)
    live = LiveTranscriber(model)
    spoken = [token for piece in pieces(samples, [400]) for token in live.feed(piece)] + live.rest()
    whole = model.best_path(np.concatenate(live._log_probs))
    assert [token.token for token in spoken] == list(model.named([token.index for token in whole]))
    close(live.finish(), hear_samples(model, ["-"], [samples])[0])


def test_times_keep_to_the_sound_where_a_hop_is_no_whole_number_of_samples(models: dict[str, SpeechModel]) -> None:
    model = models["plain"]
    config = model.config.model_copy(update={"data": model.config.data.model_copy(update={"rate": 11_025})})
    assert replace(model, config=config).step_seconds == pytest.approx(110 / 11_025 * model.network.pooling)
