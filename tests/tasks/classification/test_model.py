"""A classifier from labelled sequences: who is trained on, what is learnt, and going on after a stop."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tidegate.config_classify import ClassConfig, ConvLSTMClassifierSettings, LSTMClassifierSettings
from tidegate.data.labelled import LabelledSequences, from_arrays
from tidegate.errors import DataError
from tidegate.tasks.classification.fitting import FittedClasses, class_weights, complete, default_batch_size, fit_classes, new_network
from tidegate.tasks.classification.material import ClassMaterial, gather_labelled
from tidegate.tasks.classification.model import logits_of
from tidegate.train.loop import Checkpoint


def waves(count: int, seed: int, classes: int = 2, gaps: bool = False) -> LabelledSequences:
    """Sines of different length and phase, class k with k + 1 cycles in 12 steps, far from zero and small."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    X: list[np.ndarray] = []
    for label in labels:
        steps = np.arange(random.integers(20, 40))
        wave = np.sin((label + 1) * 2 * np.pi * steps / 12 + random.uniform(0, 6)) + random.normal(0, 0.1, len(steps))
        X.append(np.stack([1e3 + 0.01 * wave, random.normal(size=len(steps))], 1))
        if gaps:
            X[-1][random.integers(0, len(steps), 2), 0] = np.nan
    return from_arrays(X, [f"c{label}" for label in labels], channels=["wave", "noise"])


def config_of(**training: Any) -> ClassConfig:
    loop = {"device": "cpu", "threads": 1, "max_epochs": 15, "learning_rate": 1e-2, **training}
    return ClassConfig.model_validate({"network": {"name": "lstm", "hidden": 24, "pooling": "mean"}, "training": loop})


def fit(material: ClassMaterial, listen: Any = lambda event: None, **hooks: Any) -> FittedClasses:
    return fit_classes(material, complete(material.config, material), listen=listen, **hooks)


def weights_of(fitted: FittedClasses) -> dict[str, torch.Tensor]:
    return fitted.model.to_tensors()


@pytest.mark.parametrize("gaps", [False, True])
def test_it_learns_what_tells_the_classes_apart(gaps: bool) -> None:
    material = gather_labelled(waves(160, 0, gaps=gaps), config_of(), waves(100, 1, gaps=gaps))
    fitted = fit(material)
    probabilities = fitted.model.probabilities(material.test)
    assert not fitted.interrupted
    assert (probabilities.argmax(1) == material.test.labels).mean() > 0.95
    np.testing.assert_allclose(probabilities.sum(1), 1.0)
    assert fitted.model.temperature > 0


def test_the_parts_are_apart_and_the_scale_is_that_of_training() -> None:
    material = gather_labelled(waves(50, 0, classes=3), config_of())
    parts = [set(material.train), set(material.validation)]
    held = set(range(50)) - parts[0] - parts[1]
    assert not parts[0] & parts[1] and len(held) == len(material.test) and len(parts[1]) and held
    values = material.data.take(material.train).sequences.values
    np.testing.assert_allclose(values.mean(0), 0.0, atol=1e-2)
    np.testing.assert_allclose(values.std(0), 1.0, atol=1e-2)


def test_what_test_data_holds_does_not_matter_to_training() -> None:
    data, config = waves(40, 0), config_of(max_epochs=2)
    materials = [gather_labelled(data, config, waves(30, seed)) for seed in (1, 2)]
    one, other = (weights_of(fit(material)) for material in materials)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("members", [1, 3])
def test_training_goes_on_to_the_same_bits(members: int) -> None:
    material = gather_labelled(waves(60, 0), config_of(max_epochs=4, checkpoint_seconds=1e-9, members=members))
    kept: list[Checkpoint] = []

    def save(checkpoint: Checkpoint) -> None:
        kept.append(Checkpoint({name: value.clone() for name, value in checkpoint.tensors.items()}, checkpoint.progress))

    whole = weights_of(fit(material, save=save))
    for place in (1, len(kept) // 2, -1):
        resumed = weights_of(fit(material, checkpoint=kept[place]))
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_logits_do_not_depend_on_the_order_or_the_neighbours() -> None:
    material = gather_labelled(waves(40, 0), config_of())
    network, sequences = new_network(material, complete(material.config, material)), material.data.sequences
    whole = logits_of(network, sequences, np.arange(40), 2)
    some = np.array([7, 3, 39, 0])
    np.testing.assert_allclose(logits_of(network, sequences, some, 2), whole[some], atol=1e-6)
    assert logits_of(network, sequences, np.zeros(0, np.int64), 2).shape == (0, 2)


def test_a_class_that_training_never_saw_is_said_and_counts_as_wrong() -> None:
    material = gather_labelled(waves(40, 0), config_of(), waves(30, 1, classes=3))
    assert (material.test.labels == -1).sum() == 10
    assert any("10 sequences of arrays are of a class that training never saw ('c2')" in note for note in material.notes)


def test_other_channels_are_refused() -> None:
    other = from_arrays(np.zeros((4, 9, 1)), ["c0", "c1", "c0", "c1"])
    with pytest.raises(DataError, match=r"arrays has 1 channel \(value\), but training had 2 channels \(wave, noise\)"):
        gather_labelled(waves(40, 0), config_of(), other)


def test_one_sequence_of_a_class_is_trained_on() -> None:
    data = waves(40, 0, classes=3).take(np.array([0, 1, 3, 4, 6, 7, 9, 10, 12, 13, 15, 16, 18, 19, 2]))
    material = gather_labelled(data, config_of(), waves(9, 1, classes=3))
    assert 14 in material.train


def test_classes_of_very_different_size_are_said() -> None:
    data = waves(60, 0).take(np.concatenate([np.arange(0, 60, 2), [1, 3, 5]]))
    assert any("balanced_accuracy" in note for note in gather_labelled(data, config_of(), waves(9, 1)).notes)


def test_balanced_weights_make_classes_count_the_same() -> None:
    labels = np.array([0, 0, 0, 2])
    weights = class_weights(labels, 3)
    np.testing.assert_allclose(np.bincount(labels, weights[labels], 3), [2.0, 0.0, 2.0])


def test_a_rare_class_is_found_where_classes_weigh_the_same() -> None:
    data = waves(200, 0).take(np.concatenate([np.arange(0, 200, 2), np.arange(1, 17, 2)]))
    found = {}
    for kind in ("none", "balanced"):
        material = gather_labelled(data, config_of(class_weights=kind, label_smoothing=0.1, max_epochs=3), waves(100, 1))
        fitted = fit(material)
        found[kind] = fitted.model.probabilities(material.test)[1::2, 1].mean()
    assert found["balanced"] > found["none"] + 0.1


@pytest.mark.parametrize(("sequences", "size", "conv"), [(1, 4, 16), (50, 6, 16), (160, 20, 20), (3600, 64, 64)])
def test_small_sets_have_small_batches(sequences: int, size: int, conv: int) -> None:
    assert default_batch_size(sequences, LSTMClassifierSettings()) == size
    assert default_batch_size(sequences, ConvLSTMClassifierSettings()) == conv


def test_members_of_an_ensemble_differ_and_their_probabilities_are_averaged() -> None:
    material = gather_labelled(waves(60, 0), config_of(max_epochs=2, members=3), waves(20, 1))
    model = fit(material).model
    alone = [replace(model, networks=(network,), temperature=1.0).probabilities(material.test) for network in model.networks]
    assert len(alone) == 3 and not np.allclose(alone[0], alone[1])
    np.testing.assert_allclose(replace(model, temperature=1.0).probabilities(material.test), np.mean(alone, 0))
