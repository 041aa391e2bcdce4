"""Batches of training utterances: each once, the same for the same seed and epoch, whatever is asked for first."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tasks.transcription.test_material import gathered
from tests.tasks.transcription.tiny import write_corpus
from tidegate.data.speech.length_batches import pad
from tidegate.tasks.transcription.batches import NO_TOKEN, PartBatches, TrainingBatches, joined
from tidegate.tasks.transcription.material import SpeechMaterial, every_speed

PLAIN = {"time_masks": 0, "frequency_masks": 0, "joined": 1, "tempo": 0.0}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("batches"), train=5)


def material_of(root: Path, **training: Any) -> SpeechMaterial:
    return gathered(root, training={**PLAIN, **training})


def rows(batches: TrainingBatches | PartBatches) -> list[tuple[torch.Tensor, tuple[int, ...]]]:
    """Frames and target of each item."""
    found = []
    for number in range(len(batches)):
        batch = batches[number]
        assert batch.x_BTC.dtype == torch.float32 and batch.x_BTC.shape[:2] == (len(batch.targets), int(batch.lengths_B.max()))
        for row, length, target in zip(batch.x_BTC, batch.lengths_B.tolist(), batch.targets, strict=True):
            assert not row[length:].any()
            found.append((row[:length], tuple(target.tolist())))
    return found


def test_an_epoch_has_each_training_utterance_once_as_it_is(root: Path) -> None:
    material = material_of(root)
    for epoch in (0, 3):
        batches = TrainingBatches(material, epoch)
        found = rows(batches)
        assert batches.windows == len(found) == 15
        expected = {tuple(material.targets[number].tolist()): material.normalised(int(number)) for number in material.numbers("train")}
        left = [(material.normalised(int(number)), tuple(material.targets[number].tolist())) for number in material.numbers("train")]
        for frames, target in found:
            place = next(place for place, (one, said) in enumerate(left) if said == target and torch.equal(one, frames))
            left.pop(place)
        assert not left and expected


def test_an_epoch_is_a_function_of_seed_and_number(root: Path) -> None:
    changes = {"time_masks": 2, "frequency_masks": 1, "noise_db": [5, 20], "speeds": [0.9, 1.0, 1.1], "joined": 2}
    material = material_of(root, **changes)
    one, other = TrainingBatches(material, 2), TrainingBatches(material, 2)
    backwards = [other[number] for number in reversed(range(len(other)))][::-1]
    for number, batch in enumerate(backwards):
        torch.testing.assert_close(one[number].x_BTC, batch.x_BTC, rtol=0, atol=0)
        assert all(np.array_equal(*pair) for pair in zip(one[number].targets, batch.targets, strict=True))
    assert not torch.equal(one[0].x_BTC, TrainingBatches(material, 3)[0].x_BTC)
    assert not torch.equal(one[0].x_BTC, TrainingBatches(material_of(root, seed=1, **changes), 2)[0].x_BTC)


def test_the_first_epoch_goes_from_short_to_long(root: Path) -> None:
    material = material_of(root, sorted_epochs=1)
    lengths = [len(frames) for frames, _ in rows(TrainingBatches(material, 0))]
    assert lengths == sorted(lengths)
    assert (shuffled := [len(frames) for frames, _ in rows(TrainingBatches(material, 1))]) != sorted(shuffled)


def test_batches_keep_within_their_limits(root: Path) -> None:
    for limits in ({"batch_frames": 250}, {"batch_size": 2}):
        batches = TrainingBatches(material_of(root, **limits), 1)
        for number in range(len(batches)):
            shape = batches[number].x_BTC.shape
            assert shape[0] * shape[1] <= limits.get("batch_frames", 10**9) or shape[0] == 1
            assert shape[0] <= limits.get("batch_size", 99)


def test_joined_utterances_are_of_one_speaker_with_a_space_between(root: Path) -> None:
    material = material_of(root, joined=3)
    space, numbers = material.vocabulary.index(" ") + 1, material.numbers("train").tolist()
    found = rows(TrainingBatches(material, 1))
    assert len(found) < 15
    parts = 0
    for frames, target in found:
        begin, said, speakers = 0, [], set()
        while begin < len(frames):
            number = next(
                one for one in numbers if torch.equal(material.normalised(one), frames[begin : begin + len(material.frames[0][one])])
            )
            begin += len(material.frames[0][number])
            said += [space] * bool(said) + material.targets[number].tolist()
            speakers.add(material.corpus.utterances[number].speaker)
            parts += 1
        assert tuple(said) == target and len(speakers) == 1
    assert parts == 15


def test_speeds_are_drawn_anew_each_epoch(root: Path) -> None:
    material = material_of(root, speeds=[0.8, 1.25])
    lengths = {one: len(material.frames[0][one]) for one in material.numbers("train").tolist()}
    seen: set[str] = set()
    for epoch in range(4):
        for frames, target in rows(TrainingBatches(material, epoch)):
            same = [length for one, length in lengths.items() if tuple(material.targets[one].tolist()) == target]
            ratio = min((len(frames) / length for length in same), key=lambda ratio: min(abs(ratio - 0.8), abs(ratio - 1.25)))
            assert abs(ratio - 0.8) < 0.08 or abs(ratio - 1.25) < 0.08, "none at the speed at which it was recorded"
            seen.add("fast" if ratio < 1 else "slow")
    assert seen == {"fast", "slow"}


def test_masks_and_noise_change_training_only(root: Path) -> None:
    plain, masked = material_of(root), material_of(root, time_masks=1, time_width=10)
    zeros = sum(int((frames == 0).all(1).sum()) for frames, _ in rows(TrainingBatches(masked, 1)))
    assert zeros > sum(int((frames == 0).all(1).sum()) for frames, _ in rows(TrainingBatches(plain, 1)))
    noisy = material_of(root, noise_db=[0, 5])
    pairs = zip(rows(TrainingBatches(plain, 0)), rows(TrainingBatches(noisy, 0)), strict=True)
    assert all((other >= one - 1e-5).all() and (other > one + 0.1).any() for (one, _), (other, _) in pairs), "noise adds energy"
    for material in (masked, noisy):
        for part in ("dev", "test"):
            numbers = material.numbers(part)
            found = {target: frames for frames, target in rows(PartBatches(material, numbers))}
            assert all(torch.equal(found[tuple(material.targets[one].tolist())], material.normalised(int(one))) for one in numbers[-1:])


def test_utterances_of_a_part_come_whole_and_short_ones_first(root: Path) -> None:
    material = material_of(root, batch_frames=60)
    numbers = material.numbers("train")
    batches = PartBatches(material, numbers)
    assert batches.windows == 15 and len(batches) > 1
    lengths = [len(frames) for frames, _ in rows(batches)]
    assert lengths == sorted(lengths) == sorted(material.frames[0].lengths[numbers].tolist())
    some = batches.numbers[batches.batches[0]]
    assert torch.equal(batches[0].x_BTC, pad([material.normalised(int(one)) for one in some])[0])
    assert len(PartBatches(material, np.zeros(0, np.int64))) == 0


def test_a_frame_has_the_token_in_which_its_middle_lies(root: Path) -> None:
    material = material_of(root, speeds=[0.8, 1.25], joined=3)
    known = material.numbers("train")[1:]  # one utterance has no times
    spans: list[np.ndarray | None] = [None] * len(material.targets)
    for number in known:
        edges = np.sort(np.random.default_rng(number).uniform(0.05, 0.9, len(material.targets[number]) + 1))
        spans[number] = np.stack([edges[:-1], edges[1:] - 0.01], 1)  # a hundredth of a second between two belongs to none
    timed = replace(material, spans=tuple(spans))
    features, random = timed.features, np.random.default_rng((timed.config.training.seed, 1))
    items, speeds = joined(timed, "train", random), random.choice([0.8, 1.25], len(timed.targets))
    assert max(map(len, items)) > 1
    expected = []
    for item in items:
        labels = []
        for number in item:
            speed = float(speeds[number])
            for frame in range(len(timed.frames[every_speed(timed.config).index(speed)][number])):
                second = speed * (frame * features.hop + features.window / 2) / features.rate
                known_spans = timed.spans[number]
                pairs = [] if known_spans is None else zip(timed.targets[number], known_spans, strict=True)
                labels.append(next((int(token) for token, (begin, end) in pairs if begin <= second < end), NO_TOKEN))
        expected.append(labels)
    found = []
    batches = TrainingBatches(timed, 1)
    for batch in map(batches.__getitem__, range(len(batches))):
        assert batch.labels_BT.shape == batch.x_BTC.shape[:2]
        for labels, length in zip(batch.labels_BT, batch.lengths_B.tolist(), strict=True):
            assert not labels[length:].any()
            found.append(labels[:length].tolist())
    assert sorted(found) == sorted(expected) and any(NO_TOKEN in labels and max(labels) > 0 for labels in found)


def test_labels_follow_the_frames_where_ends_are_changed(root: Path) -> None:
    material = material_of(root, cut=0.4, pauses=7, joined=2)
    spans = tuple(np.stack([np.arange(len(target)), np.arange(1, len(target) + 1)], 1) * 0.9 / len(target) for target in material.targets)
    timed = replace(material, spans=spans)
    batches, changed = TrainingBatches(timed, 1), 0
    known = {tuple(frame.tolist()): label for frame, label in labelled_frames(timed)}
    for batch in map(batches.__getitem__, range(len(batches))):
        assert batch.labels_BT.shape == batch.x_BTC.shape[:2]
        for row, labels, length in zip(batch.x_BTC, batch.labels_BT.tolist(), batch.lengths_B.tolist(), strict=True):
            pairs = [(known[tuple(frame.tolist())], label) for frame, label in zip(row[:length], labels, strict=False)]
            assert all(label in (truth, NO_TOKEN) for truth, label in pairs), "a pause is no token, all else is what it was"
            changed += sum(truth != label for truth, label in pairs)
    assert changed > 0
    frames = sum(len(row) for row, _ in rows(batches))
    assert frames != sum(len(timed.frames[0][int(number)]) for number in timed.numbers("train"))


def test_tempo_is_drawn_for_each_utterance_and_labels_follow(root: Path) -> None:
    material = material_of(root, tempo=0.3)
    spans = tuple(np.stack([np.arange(len(target)), np.arange(1, len(target) + 1)], 1) * 0.9 / len(target) for target in material.targets)
    timed, ratios = replace(material, spans=spans), []
    batches = TrainingBatches(timed, 1)
    lengths = {tuple(timed.targets[one].tolist()): [] for one in timed.numbers("train").tolist()}
    for one in timed.numbers("train").tolist():
        lengths[tuple(timed.targets[one].tolist())].append(len(timed.frames[0][one]))
    for batch in map(batches.__getitem__, range(len(batches))):
        for target, labels, length in zip(batch.targets, batch.labels_BT.tolist(), batch.lengths_B.tolist(), strict=True):
            ratios += [length / np.mean(lengths[tuple(target.tolist())])]
            heard = [label for place, label in enumerate(labels[:length]) if label and (not place or label != labels[place - 1])]
            known = [int(label) for place, label in enumerate(target) if not place or label != target[place - 1]]
            assert heard == known[: len(heard)] and heard, "in the order in which they are said; the last may lie behind the end"
    assert 0.6 < min(ratios) < 0.9 and 1.1 < max(ratios) < 1.4


def labelled_frames(material: SpeechMaterial) -> Iterator[tuple[torch.Tensor, int]]:
    """Each training frame as the network sees it, and the token in which its middle lies."""
    features = material.features
    for number in material.numbers("train").tolist():
        spans, target = material.spans[number], material.targets[number]
        assert spans is not None
        for place, frame in enumerate(material.normalised(number)):
            second = (place * features.hop + features.window / 2) / features.rate
            inside = [int(token) for token, (begin, end) in zip(target, spans, strict=True) if begin <= second < end]
            yield frame, inside[0] if inside else NO_TOKEN
