"""Normalisation: statistics equal those of all frames at once, and each kind uses its own."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from tidegate.data.speech.normalise import LEAST_DEVIATION, Loud, Normaliser, Statistics
from tidegate.errors import DataError, SettingsError

MEAN, WIDTH = np.array([10.0, -2.0, 0.0]), np.array([3.0, 0.5, 1.0])


def utterances(count: int = 5, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(MEAN + number, WIDTH, (20 + 7 * number, 3)).astype(np.float32) for number in range(count)]


def test_statistics_are_those_of_all_frames_at_once() -> None:
    parts = utterances()
    found, together = Statistics.of_all(parts), np.concatenate(parts).astype(np.float64)
    assert found.count == len(together)
    np.testing.assert_allclose(found.mean, together.mean(0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.deviation, together.std(0), rtol=1e-10)
    merged = Statistics.of_all(parts[:2]).merge(Statistics.of_all(parts[2:]))
    np.testing.assert_allclose(merged.deviation, found.deviation, rtol=1e-12)


def test_sums_are_kept_in_float64() -> None:
    values = (1000.0 + 0.1 * np.random.default_rng(0).normal(size=(50_000, 1))).astype(np.float32)
    np.testing.assert_allclose(Statistics.of(values).deviation, values.astype(np.float64).std(0), rtol=1e-4)


def test_global_makes_training_frames_standard() -> None:
    parts = utterances()
    normaliser = Normaliser.fit("global", iter(parts))
    found = torch.cat([normaliser.apply(part) for part in parts])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.mean(0), torch.zeros(3), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(found.std(0, correction=0), torch.ones(3), rtol=0.0, atol=1e-5)
    other = utterances(1, seed=9)[0]
    expected = (other - np.concatenate(parts).mean(0)) / np.concatenate(parts).std(0)
    np.testing.assert_allclose(normaliser.apply(torch.tensor(other)).numpy(), expected, rtol=1e-4, atol=1e-4)


def test_frames_that_arrive_are_normalised_as_the_whole() -> None:
    normaliser, part = Normaliser.fit("global", utterances()), utterances(1)[0]
    assert torch.equal(
        torch.cat([normaliser.apply(part[:3]), normaliser.apply(part[3:3]), normaliser.apply(part[3:])]), normaliser.apply(part)
    )


def test_an_utterance_by_itself() -> None:
    found = Normaliser.fit("utterance", utterances()).apply(utterances()[3])
    torch.testing.assert_close(found.mean(0), torch.zeros(3), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(found.std(0, correction=0), torch.ones(3), rtol=0.0, atol=1e-5)


def test_a_speaker_by_the_utterances_at_hand() -> None:
    parts, speakers = utterances(), ["a", "b", "a", "", ""]
    normaliser = Normaliser.fit("speaker", parts)
    found = normaliser.of_speakers(zip(speakers, parts, strict=True))
    assert found.keys() == {"a", "b", ""}
    assert found["a"].count == len(parts[0]) + len(parts[2])
    own = torch.cat([normaliser.apply(parts[number], found["a"]) for number in (0, 2)])
    torch.testing.assert_close(own.mean(0), torch.zeros(3), rtol=0.0, atol=1e-5)
    torch.testing.assert_close(own.std(0, correction=0), torch.ones(3), rtol=0.0, atol=1e-5)
    np.testing.assert_allclose(found[""].mean, np.concatenate(parts[3:]).astype(np.float64).mean(0))


def test_pauses_do_not_count_where_only_loud_frames_do() -> None:
    random = np.random.default_rng(0)
    speech = random.normal(MEAN, 0.3, (60, 3)).astype(np.float32)
    slopes = random.normal(0.0, 9.0, (200, 1)).astype(np.float32)  # a channel behind the statics says nothing of loudness
    quiet = random.normal(MEAN - 6.0, 0.3, (140, 3)).astype(np.float32)  # 26 dB below
    whole = np.concatenate([np.concatenate([quiet[:50], speech, quiet[50:]]), slopes], 1)
    loud, all_frames = (Normaliser.fit("utterance", [whole], Loud(3, decibels)) for decibels in (20.0, 60.0))
    assert loud.of_utterance(whole).count == 60 and all_frames.of_utterance(whole).count == 200
    np.testing.assert_allclose(loud.apply(whole)[50:110, :3].mean(0), np.zeros(3), atol=1e-5)
    np.testing.assert_allclose(loud.apply(whole)[50:110, :3].std(0, correction=0), np.ones(3), rtol=1e-4)
    assert loud.of_speakers([("a", whole), ("a", whole[:110])])["a"].count == 120
    known = Normaliser.fit("global", [whole], Loud(3, 20.0))
    assert torch.equal(known.apply(whole), Normaliser.fit("global", [whole]).apply(whole)), "the training part counts as it is"
    assert loud.of_utterance(whole[:1]).count == 1 and loud.of_utterance(whole[:0]).count == 0


def test_models_of_before_there_was_a_choice_go_on_by_all_frames() -> None:
    tree = Normaliser.fit("utterance", utterances(), Loud(3, 20.0)).to_json()
    assert Normaliser.from_json(json.loads(json.dumps(tree))).loud == Loud(3, 20.0)
    del tree["loud"]
    assert Normaliser.from_json(tree).loud is None


def test_none_leaves_features_and_nothing_is_changed_in_place() -> None:
    part = utterances(1)[0]
    before = part.copy()
    part.flags.writeable = False
    assert np.array_equal(Normaliser.fit("none", [part]).apply(part).numpy(), before)
    Normaliser.fit("global", [part]).apply(part)
    tensor = torch.tensor(before)
    Normaliser.fit("utterance", [part]).apply(tensor)
    assert np.array_equal(part, before) and np.array_equal(tensor.numpy(), before)


@pytest.mark.parametrize("kind", ["global", "utterance"])
def test_a_channel_that_does_not_vary_is_only_shifted(kind: Any) -> None:
    part = np.random.default_rng(0).normal(0.0, 2.0, (50, 2)).astype(np.float32)
    part[:, 1] = -15.9424 + 0.1 * LEAST_DEVIATION * np.sin(np.arange(50))
    normaliser = Normaliser.fit(kind, [part])
    assert normaliser.apply(part)[:, 1].abs().max() < LEAST_DEVIATION
    assert Normaliser.fit("utterance", [part]).apply(part[:1]).abs().max() == 0.0, "one frame"


@pytest.mark.parametrize(("kind", "live"), [("global", True), ("none", True), ("speaker", False), ("utterance", False)])
def test_there_and_back_as_json(kind: Any, live: bool) -> None:
    normaliser = Normaliser.fit(kind, utterances())
    again = Normaliser.from_json(json.loads(json.dumps(normaliser.to_json())))
    assert again.kind == kind and again.live is live
    part = utterances(1, seed=3)[0]
    speaker = Statistics.of(part)
    assert torch.equal(again.apply(part, speaker), normaliser.apply(part, speaker))
    assert again.statistics.count == normaliser.statistics.count


def test_bad_input() -> None:
    with pytest.raises(SettingsError, match="Normalisation is 'batch'; expected one of global, speaker, utterance, none"):
        Normaliser.fit("batch", utterances())  # pyright: ignore[reportArgumentType]
    for empty in ([], [np.zeros((0, 3), np.float32)]):
        with pytest.raises(DataError, match="There is no frame to take statistics of.*Give longer ones"):
            Normaliser.fit("global", empty)
    normaliser = Normaliser.fit("speaker", utterances())
    with pytest.raises(DataError, match="normalised by speaker, but no statistics of a speaker are given"):
        normaliser.apply(utterances()[0])
    with pytest.raises(DataError, match="There is no frame"):
        normaliser.apply(utterances()[0], Statistics.of(np.zeros((0, 3))))
    with pytest.raises(DataError, match=r"shape \(5, 2\); expected 3 channels"):
        normaliser.apply(np.zeros((5, 2), np.float32), Statistics.of(utterances()[0]))
