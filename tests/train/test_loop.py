"""The loop: the same bits from the same seed and after a stop at any step, budgets, early stopping, numbers that are not finite."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tidegate.errors import TrainingError
from tidegate.runs.tensors import metadata_from_bytes, tensors_from_bytes, tensors_to_bytes
from tidegate.train.events import EpochEnded, Event, Saved, Started, Stepped, Stopped
from tidegate.train.loop import INTERRUPTED, Checkpoint, Job, Progress, fit

Build = Callable[..., Job[tuple[Tensor, Tensor]]]


def through_bytes(checkpoint: Checkpoint) -> Checkpoint:
    """As it comes back from a file."""
    content = tensors_to_bytes(checkpoint.tensors, {"progress": json.dumps(asdict(checkpoint.progress))})
    progress = Progress(**json.loads(metadata_from_bytes(content)["progress"]))
    return Checkpoint({name: torch.from_numpy(value) for name, value in tensors_from_bytes(content).items()}, progress)


def weights(network: nn.Module) -> bytes:
    return tensors_to_bytes({name: value.contiguous() for name, value in network.state_dict().items()}, {})


def trained(job: Job[Any], checkpoint: Checkpoint | None = None) -> tuple[bytes, list[Event]]:
    events = list(fit(job, checkpoint))
    return weights(job.network), events


def last(events: list[Event]) -> Stopped:
    assert isinstance(events[-1], Stopped)
    return events[-1]


def test_the_same_seed_gives_the_same_bits(build: Build) -> None:
    assert trained(build(seed=3))[0] == trained(build(seed=3))[0]
    assert trained(build(seed=3))[0] != trained(build(seed=4))[0]


BUDGETS: list[dict[str, Any]] = [
    {"max_epochs": 3},
    {"max_epochs": 100, "max_steps": 12},
    {"schedule": "constant", "optimiser": "adamw", "weight_decay": 0.1},
    {"schedule": "plateau", "max_epochs": 8, "learning_rate": 0.3, "batch_size": 20},
    {"max_epochs": 30, "patience": 2, "learning_rate": 0.3, "batch_size": 40},
    {"clip_norm": None, "loss": "mse"},
]


@pytest.mark.parametrize("changes", BUDGETS)
def test_going_on_from_any_checkpoint_ends_with_the_same_bits(build: Build, changes: dict[str, Any]) -> None:
    kept: list[Checkpoint] = []
    whole, events = trained(build(save=lambda checkpoint: kept.append(through_bytes(checkpoint)), **changes))
    steps = sum(isinstance(event, Stepped) for event in events)
    assert len(kept) >= steps, "one after each step"
    assert {checkpoint.progress.batch for checkpoint in kept} > {0}
    for checkpoint in kept:
        bits, more = trained(build(**changes), checkpoint)
        assert bits == whole, checkpoint.progress
        assert isinstance(more[0], Started)
        assert more[0].step == checkpoint.progress.step
        assert last(more).best_loss == last(events).best_loss
        assert last(more).reason == last(events).reason
        expected = [
            asdict(event) | {"seconds": 0} for event in events if isinstance(event, EpochEnded) and event.epoch >= checkpoint.progress.epoch
        ]
        assert [asdict(event) | {"seconds": 0} for event in more if isinstance(event, EpochEnded)] == expected


def test_stopped_again_and_again(build: Build) -> None:
    whole, _ = trained(build())
    checkpoint: Checkpoint | None = None
    kept: list[Checkpoint] = []
    for _ in range(100):
        answers = iter([False, True])
        job = build(
            save=lambda one: kept.append(through_bytes(one)),
            interrupted=lambda answers=answers: next(answers, True),
            checkpoint_seconds=1e9,
        )
        bits, events = trained(job, checkpoint)
        checkpoint = kept[-1]
        if last(events).reason != INTERRUPTED:
            assert bits == whole
            return
    pytest.fail("training never ended")


def test_an_interrupt_saves_and_says_so(build: Build) -> None:
    kept: list[Checkpoint] = []
    answers = iter([False] * 6)
    _, events = trained(build(save=kept.append, interrupted=lambda: next(answers, True), checkpoint_seconds=1e9))
    assert [type(event) for event in events[-3:]] == [Stepped, Saved, Stopped]
    assert last(events).reason == INTERRUPTED
    assert kept[-1].progress.step == 7
    assert kept[-1].progress.stopped == ""


def test_a_finished_checkpoint_gives_the_best_weights_at_once(build: Build) -> None:
    kept: list[Checkpoint] = []
    whole, _ = trained(build(save=lambda one: kept.append(through_bytes(one))))
    job = build()
    with torch.no_grad():
        for weight in job.network.parameters():
            weight.fill_(9.0)
    bits, events = trained(job, kept[-1])
    assert bits == whole
    assert [type(event) for event in events] == [Started, Stopped]


def test_an_epoch_is_told_before_it_is_saved(build: Build) -> None:
    """A log written by the listener is then cut back to the checkpoint on resume, and lacks no epoch."""
    told: list[str] = []
    job = build(save=lambda checkpoint: told.append(f"saved {checkpoint.progress.epoch}"), checkpoint_seconds=1e9)
    for event in fit(job):
        told += [f"epoch {one.epoch}" for one in (event,) if isinstance(one, EpochEnded)]
    assert told == ["epoch 0", "saved 1", "epoch 1", "saved 2", "epoch 2", "saved 3"]


def test_the_average_of_the_weights_is_judged_and_kept(build: Build) -> None:
    """After n updates: average <- d average + (1 - d) weights, d = min(decay, (1 + n) / (4 + n)); the first update copies."""
    job = build(max_epochs=1, average=0.8)
    expected: list[torch.Tensor] = []
    updates = 0
    for event in fit(job):
        if isinstance(event, Stepped):
            share = 1.0 if not updates else 1.0 - min(0.8, (1 + updates) / (4 + updates))
            now = [weight.detach().clone() for weight in job.network.parameters()]
            expected = [old.lerp(new, share) for old, new in zip(expected or now, now, strict=True)]
            updates += 1
    assert updates > 3
    for weight, average in zip(job.network.parameters(), expected, strict=True):
        torch.testing.assert_close(weight, average)


def test_early_stopping_restores_the_best_weights(build: Build) -> None:
    kept: dict[int, bytes] = {}
    job = build(max_epochs=200, patience=3, learning_rate=0.5, schedule="constant", average=0.0)
    ended: list[EpochEnded] = []
    for event in fit(job):
        if isinstance(event, EpochEnded):
            kept[event.epoch] = weights(job.network)
            ended.append(event)
    best = min(ended, key=lambda event: event.validation_loss)
    assert len(ended) == best.epoch + 1 + 3 < 200
    assert weights(job.network) == kept[best.epoch] != kept[ended[-1].epoch]
    assert [event.best for event in ended] == [
        event.validation_loss < min([e.validation_loss for e in ended[:n]], default=math.inf) for n, event in enumerate(ended)
    ]


def test_without_validation_the_last_weights_are_kept(build: Build) -> None:
    job = build(max_epochs=4, patience=1, learning_rate=0.5, schedule="constant")
    empty = type(job.validation)(torch.zeros(0, 6), torch.zeros(0, 2), 8)  # type: ignore[call-arg]
    job = Job(job.network, job.loss, job.training, empty, job.settings)
    events = list(fit(job))
    assert last(events).best_epoch == 3 and math.isnan(last(events).best_loss)
    assert all(event.best and math.isnan(event.validation_loss) for event in events if isinstance(event, EpochEnded))


def test_budgets(build: Build) -> None:
    def steps(**changes: Any) -> tuple[int, str]:
        _, events = trained(build(**changes))
        return sum(isinstance(event, Stepped) for event in events), last(events).reason

    assert steps(max_epochs=2) == (10, "all 2 epochs done")
    assert steps(max_steps=7) == (7, "all 7 steps done")
    assert steps(max_steps=5, max_epochs=1) == (5, "all 5 steps done")
    assert steps(max_steps=10**6, max_epochs=1) == (5, "all 1 epochs done")
    count, reason = steps(max_epochs=10**6, time_limit=0.2, schedule="constant")
    assert 0 < count < 10**6
    assert reason == "time limit of 0.2 s reached"


def test_seconds_before_a_stop_count(build: Build) -> None:
    kept: list[Checkpoint] = []
    trained(build(max_epochs=1, save=lambda one: kept.append(through_bytes(one))))
    kept[0].progress.seconds = 1000.0
    _, events = trained(build(max_epochs=10, time_limit=999.0), kept[0])
    assert last(events).reason == "time limit of 999 s reached"
    assert sum(isinstance(event, Stepped) for event in events) == 1


@pytest.mark.parametrize(("schedule", "ends"), [("constant", 0.01), ("cosine", 0.0)])
def test_the_rate_over_a_budget(build: Build, schedule: str, ends: float) -> None:
    _, events = trained(build(schedule=schedule, max_epochs=50))
    rates = [event.learning_rate for event in events if isinstance(event, Stepped)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[-1] == pytest.approx(ends, abs=1e-5)
    assert rates == sorted(rates, reverse=True)


def test_the_rate_where_epochs_differ_in_length(build: Build) -> None:
    """It falls to the end and not before, though later epochs have more batches than the first."""
    job = build(schedule="cosine", max_epochs=4)
    lengths = [2, 5, 5, 3]

    class Some:
        def __init__(self, epoch: int) -> None:
            self.batches, self.windows = [job.training(epoch)[0]] * lengths[min(epoch, 3)], 8

        def __len__(self) -> int:
            return len(self.batches)

        def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
            return self.batches[number]

    _, events = trained(replace(job, training=Some))
    rates = [event.learning_rate for event in events if isinstance(event, Stepped)]
    done = [(epoch + number / length) / 4 for epoch, length in enumerate(lengths) for number in range(length)]
    assert rates == pytest.approx([0.005 * (1 + math.cos(math.pi * share)) for share in done])


def test_the_rate_halves_on_a_plateau(build: Build) -> None:
    _, events = trained(build(schedule="plateau", max_epochs=40, learning_rate=0.5))
    rates = {event.learning_rate for event in events if isinstance(event, Stepped)}
    assert len(rates) > 2
    assert all(math.log2(0.5 / rate).is_integer() for rate in rates)


def test_gradients_are_clipped(build: Build) -> None:
    _, free = trained(build(clip_norm=None))
    _, tight = trained(build(clip_norm=1e-4))
    norms = [[event.gradient_norm for event in events if isinstance(event, Stepped)] for events in (free, tight)]
    assert norms[0][0] == norms[1][0] > 1e-4, "what is told is the norm before clipping"
    assert norms[0][1:] != norms[1][1:]


def test_a_loss_that_is_not_finite_names_step_and_batch(build: Build) -> None:
    job = build(learning_rate=0.01)
    count = iter(range(100))

    def loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, int]:
        value, weight = job.loss(network, batch)
        return value * (math.inf if next(count) == 10 else 1.0), weight

    broken = Job(job.network, loss, job.training, job.validation, job.settings)
    # calls of the loss: 5 steps, 2 batches of validation, 5 steps, ...
    with pytest.raises(TrainingError, match=r"loss became inf at step 9 \(epoch 2, batch 4\).*smaller learning_rate.*tidegate check"):
        list(fit(broken))


def test_a_gradient_that_is_not_finite_stops_too(build: Build) -> None:
    job = build()

    def loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, int]:
        value, weight = job.loss(network, batch)
        return value + (network(batch[0]) * 0.0).sqrt().sum(), weight

    with pytest.raises(TrainingError, match=r"gradient became (nan|inf) at step 1 \(epoch 1, batch 1\)"):
        list(fit(Job(job.network, loss, job.training, job.validation, job.settings)))


def test_a_validation_loss_that_is_not_finite_stops_too(build: Build) -> None:
    job = build()
    broken = Job(
        job.network,
        lambda net, batch: (job.loss(net, batch)[0] * (1.0 if net.training else math.nan), 1),
        job.training,
        job.validation,
        job.settings,
    )
    with pytest.raises(TrainingError, match=r"validation loss became nan after step 5 \(epoch 1, batch 1\)"):
        list(fit(broken))


def test_missing_truth_weighs_nothing(build: Build) -> None:
    def gaps(y: Tensor) -> None:
        y[::3, 0] = torch.nan

    def batch_gone(y: Tensor) -> None:
        y[:40] = torch.nan

    _, events = trained(build(gaps))
    assert all(math.isfinite(event.loss) for event in events if isinstance(event, Stepped))
    job = build(batch_gone)
    before = weights(job.network)
    _, events = trained(job)
    assert weights(job.network) == before, "a batch without any truth changes nothing"


def test_a_validation_part_without_any_truth_is_no_loss_of_0(build: Build) -> None:
    def validation_gone(y: Tensor) -> None:
        y[40:] = torch.nan

    with pytest.raises(TrainingError, match=r"validation windows hold no observed value.*--split"):
        trained(build(validation_gone))
