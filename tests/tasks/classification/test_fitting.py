"""What a classifier's training derives, holds aside and mixes, and that it goes on to the same bits with all of it."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tidegate.config_classify import ClassConfig, ClassTrainingSettings
from tidegate.data.augment import augment
from tidegate.data.labelled import LabelledSequences, from_arrays
from tidegate.data.sequence_batches import cut_batch, folds_aside
from tidegate.nn.classifier import ConvLSTMClassifier
from tidegate.nn.dilated import DilatedOutput
from tidegate.tasks.classification import fitting
from tidegate.tasks.classification.fitting import (
    FittedClasses,
    SequenceBatches,
    best_share,
    class_loss,
    complete,
    fit_classes,
    fit_dilated,
    new_network,
    table_of,
    with_learning_rate,
)
from tidegate.tasks.classification.material import ClassMaterial, gather_labelled
from tidegate.tasks.classification.model import ClassModel, run
from tidegate.train.events import Stopped
from tidegate.train.loop import Checkpoint

NETWORK = {"name": "conv-lstm", "hidden": 4, "filters": 3, "blocks": 3, "kernel": 9, "dilated_features": 168}


def bumps(count: int, seed: int = 0, steps: int = 24) -> LabelledSequences:
    """Noise with a bump in the first half of class a and in the second of class b."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    X = random.normal(0, 0.5, (count, steps))
    for row, label in zip(X, labels, strict=True):
        begin = random.integers(1, steps // 2 - 5) + label * steps // 2
        row[begin : begin + 4] += 2.0
    return from_arrays(X, np.array(["a", "b"])[labels])


def config_of(network: dict[str, Any] | None = None, validation: float = 0.2, **training: Any) -> ClassConfig:
    loop = {"device": "cpu", "threads": 1, "max_epochs": 3, "members": 1, **training}
    return ClassConfig.model_validate({"data": {"validation": validation}, "network": {**NETWORK, **(network or {})}, "training": loop})


def fit(material: ClassMaterial, **hooks: Any) -> FittedClasses:
    return fit_classes(material, complete(material.config, material), listen=lambda event: None, **hooks)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_training_goes_on_to_the_same_bits_with_all_that_is_drawn(keep: str) -> None:
    drawn: dict[str, Any] = {"jitter": 0.1, "magnitude": 0.1, "warp": 0.5, "crop": 0.1, "mixup": 0.3, "label_smoothing": 0.1}
    material = gather_labelled(bumps(40), config_of(members=2, keep=keep, checkpoint_seconds=1e-9, **drawn))
    kept: list[Checkpoint] = []

    def save(checkpoint: Checkpoint) -> None:
        kept.append(Checkpoint({name: value.clone() for name, value in checkpoint.tensors.items()}, checkpoint.progress))

    whole = fit(material, save=save).model
    inside = [number for number, checkpoint in enumerate(kept) if checkpoint.progress.batch]
    second = [number for number in inside if any(name.startswith(fitting.MEMBER) for name in kept[number].tensors)]
    for place in (inside[0], second[0], second[-1]):
        resumed = fit(material, checkpoint=kept[place]).model
        assert resumed.temperature == whole.temperature
        assert all(torch.equal(value, resumed.to_tensors()[name]) for name, value in whole.to_tensors().items())


def test_what_is_open_follows_from_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    material = gather_labelled(bumps(100), config_of(members=None, max_epochs=None, validation=0.2), bumps(10, 1))
    work = fitting.epoch_work(complete(material.config, material), material)
    assert work == 80 * 24 * 4
    found = complete(material.config, material).training
    assert found.members == fitting.MEMBERS and found.batch_size is not None and found.max_epochs is not None
    updates = found.max_epochs * -(-len(material.train) // found.batch_size)
    assert fitting.UPDATES <= updates < fitting.UPDATES + found.batch_size
    for budget, members, epochs in ((60, 3, 20), (59, 2, 29), (7, 1, 7), (0, 1, 1)):
        monkeypatch.setattr(fitting, "MOST_WORK", budget * work)
        found = complete(material.config, material).training
        assert (found.members, found.max_epochs) == (members, epochs)
    pooled = complete(config_of({"pool": 4}), material)
    assert fitting.epoch_work(pooled, material) == 80 * 24 * 7 // 4
    assert found.label_smoothing == 0.1
    lstm = ClassConfig.model_validate({"network": {"name": "lstm", "layers": 2}})
    assert complete(lstm, material).training.label_smoothing == 0.0
    assert (fitting.default_members(lstm, material), fitting.epoch_work(lstm, material)) == (1, 80 * 24 * 2)
    asked = gather_labelled(bumps(100), config_of(members=4, max_epochs=9))
    assert (complete(asked.config, asked).training.members, complete(asked.config, asked).training.max_epochs) == (4, 9)


def test_each_member_holds_another_fold_aside() -> None:
    material = gather_labelled(bumps(50), config_of(validation=0.2), bumps(10, 1))
    parts = [material.of_member(number) for number in range(6)]
    assert np.array_equal(parts[0].validation, material.validation) and np.array_equal(parts[5].train, parts[0].train)
    seen = np.concatenate([part.validation for part in parts[:5]])
    assert len(seen) == len(set(seen)) and set(seen) == set(material.train) | set(material.validation)
    for part in parts:
        assert not set(part.train) & set(part.validation)
        assert set(np.bincount(material.data.labels[part.validation])) == {5}


def test_folds_of_rare_classes() -> None:
    labels = np.array([0] * 10 + [1] * 2 + [2])
    folds = folds_aside(labels, 0.2, np.random.default_rng(0))
    assert len(folds) == 5
    assert all((labels[fold] == 1).sum() == 1 and 12 not in fold for fold in folds)
    assert [len(fold) for fold in folds_aside(labels, 0.0, np.random.default_rng(0))] == [0]


def test_the_last_weights_or_the_best() -> None:
    for keep, epochs in (("last", {3}), ("best", {0, 1, 2, 3})):
        material = gather_labelled(bumps(40), config_of(keep=keep, max_epochs=4))
        assert set(fit(material).model.best_epochs) <= epochs


def test_nothing_held_aside() -> None:
    model = fit(gather_labelled(bumps(40), config_of(validation=0.0))).model
    network = model.networks[0]
    assert isinstance(network, ConvLSTMClassifier)
    assert model.temperature == pytest.approx(1.0) and float(network.share) == pytest.approx(0.5)


@pytest.mark.parametrize(("one", "other", "least", "most"), [(0.9, 0.1, 0.9, 1.0), (0.1, 0.9, 0.0, 0.1), (0.6, 0.6, 0.499, 0.501)])
def test_the_share_goes_to_the_output_that_is_right(one: float, other: float, least: float, most: float) -> None:
    assert least <= best_share(np.full(200, one), np.full(200, other)) <= most


def test_few_sequences_hardly_move_the_share() -> None:
    assert best_share(np.zeros(0), np.zeros(0)) == pytest.approx(0.5)
    assert 0.5 < best_share(np.array([0.9]), np.array([0.5])) < 0.6


def test_the_share_is_the_best_there_is() -> None:
    random = np.random.default_rng(0)
    one, other = random.uniform(0.01, 1, 50), random.uniform(0.01, 1, 50)
    shares = np.linspace(0.001, 0.999, 999)
    prior = fitting.SHARE_PRIOR * (np.log(shares) + np.log(1 - shares))
    likelihood = np.log(shares[:, None] * one + (1 - shares[:, None]) * other).sum(1) + prior
    assert best_share(one, other) == pytest.approx(shares[likelihood.argmax()], abs=2e-3)


def test_both_outputs_are_mixed_and_kept() -> None:
    material = gather_labelled(bumps(60), config_of(members=2), bumps(30, 1))
    model = fit(material).model
    shares = {float(network.share) for network in model.networks if isinstance(network, ConvLSTMClassifier)}
    assert len(shares) == 1 and 0.0 < shares.pop() < 1.0
    tensors = {name: value.numpy() for name, value in model.to_tensors().items()}
    again = ClassModel.from_files(model.config.to_json(), json.dumps(model.to_json()), tensors, "cpu")
    np.testing.assert_array_equal(again.probabilities(material.test), model.probabilities(material.test))


def test_evaluation_is_of_both_outputs_and_training_of_one() -> None:
    material = gather_labelled(bumps(60), config_of(network={"dropout": 0.0}))
    config = complete(material.config, material)
    network = new_network(material, config)
    assert isinstance(network, ConvLSTMClassifier)
    fit_dilated(network, material, config)
    batch = cut_batch(material.data.sequences, material.train)
    with torch.no_grad():
        solved = network.eval().solved(torch.from_numpy(batch.x_BTC), torch.from_numpy(batch.lengths_B))
        assert solved is not None
        network.share.fill_(0.0)
        torch.testing.assert_close(run(network, batch).softmax(1), solved.softmax(1))
        network.share.fill_(1.0)
        trained = run(network, batch)
        network.share.fill_(0.25)
        torch.testing.assert_close(run(network, batch).softmax(1), 0.25 * trained.softmax(1) + 0.75 * solved.softmax(1))
        right = solved.argmax(1).numpy() == material.data.labels[material.train]
        assert right.mean() > 0.9
        assert not torch.allclose(network.train()(torch.from_numpy(batch.x_BTC), torch.from_numpy(batch.lengths_B)).logits_BK, solved)


def test_a_rare_class_is_found_by_the_output_that_is_solved_for_where_classes_weigh_the_same() -> None:
    data = bumps(60).take(np.concatenate([np.arange(0, 60, 2), [1, 3, 5]]))
    found = {}
    for kind in ("none", "balanced"):
        material = gather_labelled(data, config_of(class_weights=kind), bumps(10, 1))
        network = new_network(material, material.config)
        fit_dilated(network, material, material.config)
        assert isinstance(network, ConvLSTMClassifier) and network.dilated is not None
        found[kind] = network.dilated.bias
    counts = np.bincount(material.data.labels[material.train])
    difference = found["balanced"] - found["none"]
    assert float(difference[1] - difference[0]) == pytest.approx(np.log(counts[0] / counts[1]), rel=1e-4)


def test_the_fixed_convolutions_do_not_see_what_is_held_aside() -> None:
    material = gather_labelled(bumps(60), config_of())
    config = complete(material.config, material)
    values = material.data.sequences.values.copy()
    for number in material.validation:
        begin = material.data.sequences.offsets[number]
        values[begin : begin + 24] = 99.0
    other = replace(material, data=replace(material.data, sequences=material.data.sequences.with_values(values)))
    states = []
    for part in (material, other):
        network = new_network(part, config)
        fit_dilated(network, part, config)
        states.append(network.state_dict())
    assert states[0]["dilated.weight"].any()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_the_solved_output_learns_from_what_was_held_aside_once_nothing_depends_on_it() -> None:
    material = gather_labelled(bumps(60), config_of(members=2))
    config = complete(material.config, material)
    model = fit(material).model
    for number, network in enumerate(model.networks):
        assert isinstance(network, ConvLSTMClassifier) and network.dilated is not None
        own = fitting._of_member(config, number)
        solved = []
        for part in (replace(material, train=material.known), material.of_member(number)):
            other = new_network(part, own)
            fit_dilated(other, part, own)
            solved.append(other.state_dict()["dilated.weight"])
        assert torch.equal(network.dilated.weight, solved[0]) and not torch.equal(network.dilated.weight, solved[1])


def test_the_loss_of_a_mixture_is_the_mixture_of_losses() -> None:
    material = gather_labelled(bumps(40), config_of(network={"dropout": 0.0}, mixup=1.0, label_smoothing=0.0))
    config = complete(material.config, material)
    network = new_network(material, config).train()
    settings = ClassTrainingSettings(mixup=1.0)
    batch = augment(cut_batch(material.data.sequences, material.train[:8]), settings, np.random.default_rng(0))
    assert batch.partners_B is not None and batch.shares_B is not None
    found, count = class_loss(material, config)(network, batch)
    logits = run(network, batch)
    truth = torch.from_numpy(material.data.labels[batch.numbers_B])
    share = torch.from_numpy(batch.shares_B)
    one, other = (functional.cross_entropy(logits, labels, reduction="none") for labels in (truth, truth[batch.partners_B]))
    torch.testing.assert_close(found, (share * one + (1 - share) * other).mean())
    assert count == 8


def test_the_networks_of_an_ensemble_share_the_time() -> None:
    material = gather_labelled(bumps(40), config_of(members=3, max_epochs=100_000, time_limit=0.3))
    events: list[Any] = []
    fit_classes(material, complete(material.config, material), listen=events.append)
    reasons = [event.reason for event in events if isinstance(event, Stopped)]
    limits = [float(reason.removeprefix("time limit of ").removesuffix(" s reached")) for reason in reasons]
    assert len(limits) == 3 and all(0.0 < limit < 0.1 for limit in limits), "a share each, less what the solved output took"


def test_the_learning_rate_is_found_where_it_is_auto() -> None:
    material = gather_labelled(bumps(40), config_of(learning_rate="auto"))
    config, notes = with_learning_rate(material, complete(material.config, material))
    rate = config.training.learning_rate
    assert rate != "auto" and 1e-6 < rate <= 0.1
    assert notes == [f"learning rate: {rate:.2g}, from the finder"]
    assert with_learning_rate(material, config) == (config, [])
    fit_classes(material, config, listen=lambda event: None)


def test_what_is_scored_does_not_shape_the_network() -> None:
    data = bumps(40)
    first = gather_labelled(data, config_of())
    scored = [int(number) - 1 for number in first.test.sequences.ids]
    values = data.sequences.values.copy()
    values[data.sequences.offsets[scored[0]]] = np.nan
    material = gather_labelled(replace(data, sequences=data.sequences.with_values(values)), config_of())
    assert fitting.shape_of(material) == fitting.shape_of(first) and not material.has_gaps
    assert np.isnan(material.test.sequences.values).any()


def test_a_long_sequence_that_is_scored_does_not_shape_the_network() -> None:
    X = [np.zeros(20)] * 40
    number = int(gather_labelled(from_arrays(X, ["a", "b"] * 20), config_of()).test.sequences.ids[0]) - 1
    X[number] = np.zeros(33)
    material = gather_labelled(from_arrays(X, ["a", "b"] * 20), config_of())
    assert material.test.sequences.lengths.max() == 33 and fitting.shape_of(material).steps == 20


def test_the_solved_output_is_found_with_at_most_so_many_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    material = gather_labelled(bumps(60), config_of())
    seen: list[int] = []
    solve = DilatedOutput.fit

    def counted(self: DilatedOutput, batches: Any, labels: torch.Tensor, *more: Any) -> Any:
        seen.append(len(labels))
        return solve(self, batches, labels, *more)

    monkeypatch.setattr(fitting, "MOST_SOLVED", 20)
    monkeypatch.setattr(DilatedOutput, "fit", counted)
    fit(material)
    assert seen == [20, 20] and len(material.train) > 20  # without, and with what was held aside


def test_a_batch_of_a_single_step() -> None:
    material = gather_labelled(
        from_arrays(np.random.default_rng(0).normal(size=(40, 1)), ["a", "b"] * 20), config_of(batch_size=1, max_epochs=1)
    )
    assert np.isfinite(fit(material).model.probabilities(material.test)).all()


@pytest.mark.parametrize("kind", ["one length", "several", "not to be written to"])
def test_batches_are_what_is_cut_however_they_are_gathered(kind: str) -> None:
    random = np.random.default_rng(0)
    lengths = [7, 4, 7, 5, 6] if kind == "several" else [7] * 5
    x = [random.normal(size=(length, 3)) for length in lengths]
    x[1][2, 1] = np.nan
    sequences = from_arrays(x, ["a", "b", "a", "b", "a"]).sequences
    if kind == "not to be written to":
        sequences.values.flags.writeable = False
    assert (table_of(sequences) is None) == (kind != "one length")
    ended = replace(sequences, ends=sequences.ends - np.array([0, 0, 1, 0, 0]))
    assert table_of(ended) is None, "one of them ends before its last row"
    numbers = [np.array([4, 1, 0]), np.array([2]), np.array([3, 3])]
    batches = SequenceBatches(sequences, numbers)
    assert len(batches) == 3 and batches.windows == 6
    for place, some in enumerate(numbers):
        found, expected = batches[place], cut_batch(sequences, some)
        np.testing.assert_array_equal(found.x_BTC, expected.x_BTC)
        np.testing.assert_array_equal(found.lengths_B, expected.lengths_B)
        assert found.numbers_B is some and found.x_BTC.dtype == np.float32
    before = sequences.values.copy()
    batches[0].x_BTC[:] = 9.0
    np.testing.assert_array_equal(sequences.values, before, "a batch has memory of its own")
