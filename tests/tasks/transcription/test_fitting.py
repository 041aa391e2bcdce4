"""Training of a recogniser: what is lost, what is judged, what is found, and going on after a stop."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from tests.tasks.transcription.test_material import gathered
from tests.tasks.transcription.tiny import config, write_corpus
from tidegate.config_transcribe import TranscribeConfig
from tidegate.data.speech.corpus import TokenKind, read_corpus
from tidegate.decode.ngram import END
from tidegate.errors import TrainingError
from tidegate.evaluate.speech import Errors, total_errors
from tidegate.nn.guided_recogniser import GuidedRecogniser
from tidegate.tasks.transcription.batches import NO_TOKEN, PartBatches, TrainingBatches
from tidegate.tasks.transcription.fitting import CLEARLY, CUSTOMARY, chosen, fit_speech, new_network, speech_loss, with_language_model
from tidegate.tasks.transcription.material import SpeechMaterial, complete, gather_speech
from tidegate.train.events import EpochEnded, Event, Said, Stopped
from tidegate.train.loop import Checkpoint


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("fitting"), train=10, held=2)


LEARNING = {"time_masks": 0, "frequency_masks": 0, "average": 0.9, "batch_frames": 200, "max_epochs": 30}


def material_of(root: Path, **changes: Any) -> SpeechMaterial:
    return gathered(root, **changes)


def fit(material: SpeechMaterial, **hooks: Any) -> Any:
    hooks.setdefault("listen", lambda event: None)
    return fit_speech(material, material.config, **hooks)


def weights_of(fitted: Any) -> dict[str, torch.Tensor]:
    return fitted.model.to_tensors()


def with_even_spans(material: SpeechMaterial) -> SpeechMaterial:
    """As if labels had times: the tokens of each training utterance share its length."""
    spans: list[np.ndarray | None] = [None] * len(material.targets)
    for number in material.numbers("train"):
        edges = np.linspace(0.0, material.frames[0].lengths[number] * material.features.hop_seconds, len(material.targets[number]) + 1)
        spans[number] = np.stack([edges[:-1], edges[1:]], 1)
    return replace(material, spans=tuple(spans))


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_it_learns_what_is_whistled(root: Path) -> None:
    material = material_of(root, network={"hidden": 24}, training=LEARNING)
    events: list[Event] = []
    fitted = fit(material, listen=events.append)
    model, numbers = fitted.model, material.numbers("test")
    heard = [model.named(model.search(one)) for one in model.log_probs([material.normalised(int(number)) for number in numbers])]
    assert total_errors(material.references(numbers), heard).rate < 0.5
    assert not fitted.interrupted and model.lm is not None
    epochs = [event for event in events if isinstance(event, EpochEnded)]
    assert len(epochs) == 30 and epochs[-1].train_loss < 0.5 * epochs[0].train_loss
    assert any(isinstance(event, Said) and event.text.startswith("language model: weight ") for event in events)
    best = min(epochs, key=lambda epoch: epoch.validation_loss)
    assert model.best_epoch == best.epoch == next(event for event in events if isinstance(event, Stopped)).best_epoch
    network, dev = model.network, material.numbers("dev")
    log_probs = model.log_probs([material.normalised(int(number)) for number in dev])
    paths = [model.named([token.index for token in model.best_path(one)]) for one in log_probs]
    assert total_errors(material.references(dev), paths).rate == pytest.approx(best.validation_loss, abs=1e-6)
    batches = PartBatches(material, dev)
    judged, settings = GuidedRecogniser(network, False, False).eval(), material.config.training
    losses = [speech_loss(judged, batches[place], settings) for place in range(len(batches))]
    edits = [float(loss) * count for loss, count in losses]
    assert sum(edits) / sum(map(len, material.references(dev))) == pytest.approx(best.validation_loss, abs=1e-6)


def test_the_loss_is_that_of_ctc_for_a_token_and_of_what_guides(root: Path) -> None:
    """Each utterance by itself, as torch computes it."""
    settings = {"time_masks": 0, "frequency_masks": 0, "inner_ctc": 0.5, "boundaries": 0.25}
    material = with_even_spans(material_of(root, network={"layers": 2}, training=settings))
    network, batch = new_network(material, material.config).train(), TrainingBatches(material, 0)[0]
    loss, count = speech_loss(network, batch, material.config.training)
    assert network.ctc is not None and network.token is not None
    total, framewise, steps = torch.zeros(()), torch.zeros(()), 0
    for row, target in enumerate(batch.targets):
        length = batch.lengths_B[row : row + 1]
        said = network.recogniser(batch.x_BTC[row : row + 1, : int(length)], length)
        targets, lower = torch.from_numpy(target)[None], said.inner_BTH
        for weight, logits_BTV in ((1.0, said.logits_BTV), (0.5, network.ctc(lower))):
            logs_T1V = logits_BTV.log_softmax(2).transpose(0, 1)
            one = functional.ctc_loss(logs_T1V, targets, said.lengths_B, torch.tensor([len(target)]), 0, reduction="sum")
            total = total + weight * one
        for step, logits_V in enumerate(network.token(lower)[0]):
            label = int(batch.labels_BT[row, 2 * step + 1]) if 2 * step + 1 < int(length) else NO_TOKEN
            if label != NO_TOKEN:
                framewise, steps = framewise - logits_V.log_softmax(0)[label - 1], steps + 1
    assert count == sum(map(len, batch.targets)) and loss.requires_grad and steps > 20
    torch.testing.assert_close(loss, total / count + 0.25 * framewise / steps, rtol=1e-4, atol=1e-3)


def test_what_guides_is_not_in_the_model(root: Path) -> None:
    two = {"layers": 2}
    material = with_even_spans(material_of(root, network=two))
    fitted, network = fit(material), new_network(material, material.config)
    assert network.ctc is not None and network.token is not None
    assert set(weights_of(fitted)) == set(network.recogniser.state_dict())
    untimed, single = material_of(root, network=two, training={"inner_ctc": 0.0}), with_even_spans(material_of(root))
    for one in (untimed, single):  # characters have no times; a single layer has none below it
        bare = new_network(one, one.config)
        assert bare.ctc is None and bare.token is None
    for change in ({"inner_ctc": 0.0}, {"boundaries": 0.0}):
        other = with_even_spans(material_of(root, network=two, training=change))
        assert not same(weights_of(fitted), weights_of(fit(other))), change


def test_an_utterance_that_became_too_short_counts_as_nothing(root: Path) -> None:
    material = material_of(root)
    network, batch = new_network(material, material.config).train(), TrainingBatches(material, 0)[0]
    long = batch._replace(targets=(np.tile(batch.targets[0], 100), *batch.targets[1:]))
    loss, _ = speech_loss(network, long, material.config.training)
    loss.backward()
    assert torch.isfinite(loss) and all(torch.isfinite(weight.grad).all() for weight in network.parameters() if weight.grad is not None)


def test_settings_have_their_way(root: Path) -> None:
    base = weights_of(fit(material_of(root)))
    assert same(base, weights_of(fit(material_of(root))))
    for change in ({"seed": 1}, {"learning_rate": 0.01}, {"time_masks": 0}, {"batch_frames": 300}):
        assert not same(base, weights_of(fit(material_of(root, training=change)))), change
    causal = fit(material_of(root, network={"name": "causal-lstm"}))
    assert causal.model.network.causal


def test_the_last_weights_where_they_are_asked_for(root: Path) -> None:
    events: list[Event] = []
    material = material_of(root, training={"keep": "last", "max_epochs": 3})
    fitted = fit(material, listen=events.append)
    epochs = [event for event in events if isinstance(event, EpochEnded)]
    assert fitted.model.best_epoch == 2 and all(np.isnan(epoch.validation_loss) for epoch in epochs)


def test_what_test_recordings_say_does_not_matter(root: Path) -> None:
    material = material_of(root, data={"normalisation": "global"})
    changed = replace(
        material,
        targets=tuple(
            target[:1] if it.part == "test" else target for it, target in zip(material.corpus.utterances, material.targets, strict=True)
        ),
    )
    one, other = fit(material), fit(changed)
    assert same(weights_of(one), weights_of(other))
    assert (one.model.lm_weight, one.model.token_bonus) == (other.model.lm_weight, other.model.token_bonus)


def edits_on_dev(material: SpeechMaterial, model: Any) -> int:
    numbers = material.numbers("dev")
    heard = [model.search(one) for one in model.log_probs([material.normalised(int(number)) for number in numbers])]
    pairs = zip([material.targets[number].tolist() for number in numbers], heard, strict=True)
    return sum(total_errors([list(map(str, truth))], [list(map(str, said))]).edits for truth, said in pairs)


def test_the_language_model_is_weighed_on_the_development_part(root: Path) -> None:
    material = material_of(root, training=LEARNING, network={"hidden": 24})
    model = fit(material).model
    found = edits_on_dev(material, model)
    for weight, bonus in ((0.0, 0.0), (0.3, 0.5), (1.0, 1.5), (1.0, -0.5)):
        other = edits_on_dev(material, replace(model, lm_weight=weight, token_bonus=bonus))
        assert found <= other + CLEARLY * np.sqrt(2.0 * (found + other)), "but for chance"


def test_a_decoder_is_changed_only_for_clearly_fewer_errors() -> None:
    changes = [(0.0, 0.0), (0.0, 0.3), (1.5, 0.0)]
    none, random = np.zeros(400, int), np.random.default_rng(0)
    handful = none.copy()
    handful[:3] = 1
    assert chosen(np.array([handful, handful, none]), changes) == 0, "three errors may be chance"
    many = (random.random(400) < 0.3).astype(int)
    fewer = many * (random.random(400) < 0.8)
    assert chosen(np.array([many, fewer, fewer]), changes) == 1, "a fifth of them is not; of equals that which changes less"
    assert chosen(np.array([many, many, fewer]), changes) == 2
    assert chosen(np.array([none + 1, none + 1, none]), changes) == 2, "one more at each item is no chance"
    assert chosen(np.array([handful, none, none])[::-1], changes[::-1]) == 2, "whatever the order"
    assert chosen(np.zeros((3, 0), int), changes) == 0


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 999), st.integers(1, 30))
def test_what_is_chosen_is_as_good_as_the_best_but_for_chance(seed: int, items: int) -> None:
    random = np.random.default_rng(seed)
    edits_NU, changes = random.integers(0, 4, (6, items)), [(float(one), 0.0) for one in range(6)]
    found = chosen(edits_NU, changes)
    best = edits_NU[edits_NU.sum(1).argmin()]
    difference = edits_NU[found] - best
    assert difference.sum() <= CLEARLY * np.sqrt(items) * difference.std() + 1e-9


@pytest.mark.parametrize(("weight", "bonus"), [(0.25, 0.75), (0.25, None), (None, -0.25)])
def test_weights_that_are_given_are_kept(root: Path, weight: float | None, bonus: float | None) -> None:
    material = material_of(root, decoding={"lm_weight": weight, "token_bonus": bonus})
    model = fit(material).model
    assert weight in (None, model.lm_weight) and bonus in (None, model.token_bonus)
    assert model.lm is not None and model.lm.order == 2


def test_without_a_beam_there_is_no_language_model(root: Path) -> None:
    material = material_of(root, decoding={"beam": 1})
    events: list[Event] = []
    model = fit(material, listen=events.append).model
    assert model.lm is None and not any(isinstance(event, Said) for event in events)
    assert with_language_model(model, material) is model


@pytest.mark.parametrize("network", ["blstm", "causal-lstm"])
def test_training_goes_on_to_the_same_bits(root: Path, network: str) -> None:
    training = {"max_epochs": 3, "checkpoint_seconds": 1e-9, "speeds": [0.9, 1.0], "joined": 2, "noise_db": [5, 20]}
    material = material_of(root, training=training, network={"name": network, "dropout": 0.3, "recurrent_dropout": 0.1})
    kept: list[Checkpoint] = []

    def save(checkpoint: Checkpoint) -> None:
        kept.append(Checkpoint({name: value.clone() for name, value in checkpoint.tensors.items()}, checkpoint.progress))

    whole = fit(material, save=save)
    assert len(kept) > 10
    for place in (0, 3, len(kept) // 2, -1):
        resumed = fit(material, checkpoint=kept[place])
        assert same(weights_of(whole), weights_of(resumed))
        assert (whole.model.lm_weight, whole.model.token_bonus) == (resumed.model.lm_weight, resumed.model.token_bonus)


def stop_after(steps: int) -> Callable[[], bool]:
    asked = iter(range(10**6))
    return lambda: next(asked) >= steps


def test_an_interrupted_training_is_saved_and_has_no_language_model(root: Path) -> None:
    material, kept = material_of(root), []
    fitted = fit(material, save=kept.append, interrupted=stop_after(4))
    assert fitted.interrupted and len(kept) == 1 and kept[0].progress.step == 5
    assert fitted.model.lm is None
    assert same(weights_of(fit(material)), weights_of(fit(material, checkpoint=kept[0])))


def test_limits_end_it(root: Path) -> None:
    events: list[Event] = []
    fit(material_of(root, training={"max_epochs": 1000, "time_limit": 0.3}), listen=events.append)
    ended = next(event for event in events if isinstance(event, Stopped))
    assert "time limit of 0.3 s reached" in ended.reason
    fit(material_of(root, training={"max_steps": 3}), listen=events.append)
    assert "all 3 steps done" in next(event for event in reversed(events) if isinstance(event, Stopped)).reason


def test_a_loss_that_explodes_is_said(root: Path) -> None:
    material = material_of(root, training={"learning_rate": 1e38, "clip_norm": None})
    with pytest.raises(TrainingError, match="smaller learning_rate"):
        fit(material)


def test_training_does_not_touch_the_random_state(root: Path) -> None:
    material = material_of(root, training={"max_epochs": 1})
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    fit(material)
    assert torch.equal(before, torch.random.get_rng_state())
    assert isinstance(material.config, TranscribeConfig)


@pytest.mark.parametrize(("tokens", "usual"), [("characters", CUSTOMARY), ("words", 0.0)])
def test_of_equal_weights_the_usual_ones(root: Path, tokens: TokenKind, usual: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all hear as much, a language model counts as is customary; for single words, which these are as words, it does not."""
    monkeypatch.setattr("tidegate.tasks.transcription.fitting.count_errors", lambda truth, said: Errors())
    corpus = read_corpus(root, "folder", tokens)
    material = gather_speech(corpus, complete(config(training={"max_epochs": 1}), corpus, 1))
    model = fit(material).model
    assert (model.lm_weight, model.token_bonus) == (usual, 0.0)


def test_the_language_model_expects_strings_as_they_are_joined(root: Path) -> None:
    """Where training says words one after the other, an end after the first is less likely than where it says each by itself."""
    ends = []
    for joined in (1, 4):
        material = material_of(root, data={"tokens": "words"}, training={"max_epochs": 1, "joined": joined})
        lm = fit(material).model.lm
        assert lm is not None
        ends.append(np.mean([lm.log_prob([word], END) for word in range(1, len(material.vocabulary) + 1)]))
    assert ends[1] < ends[0] - 0.3
