"""The training loop: forward, loss, backward, update, until the validation loss stops improving or the budget ends.

It prints nothing: it yields events. It is exact: what happens at a step depends on the settings, the data, and what `Progress` and the
weights hold, so a run that goes on from a checkpoint ends with the same bits as one that was never stopped.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from tidegate.config import LoopSettings
from tidegate.errors import TrainingError
from tidegate.nn.lstm import rounded_products
from tidegate.train.averaging import MovingAverage
from tidegate.train.events import EpochEnded, Event, Saved, Started, Stepped, Stopped
from tidegate.train.optimiser import build_optimiser, clear_gradients, clip_gradients, learning_rate, optimiser_tensors, restore_optimiser

B = TypeVar("B", covariant=True)


class Batches(Protocol[B]):
    """The batches of one pass, by number."""

    windows: int

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> B: ...


@dataclass
class Progress:
    """Where training stands. `epoch` and `batch` are the next ones to run; the losses are sums over the epoch so far."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    loss_weight: float = 0.0
    best_loss: float = math.inf
    best_epoch: int = -1
    worse_epochs: int = 0
    plateaus: int = 0
    seconds: float = 0.0
    stopped: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """All that is needed to go on: named tensors and plain numbers."""

    tensors: dict[str, Tensor]
    progress: Progress


@dataclass(frozen=True)
class Job(Generic[B]):
    """What is trained, on what, and how a checkpoint is kept.

    loss       (network, batch) -> mean loss of the batch and how many values it is over
    training   epoch number -> that epoch's batches, the same each time it is asked
    validation batches that decide when to stop and which weights are best; without any, the last weights are kept
    save       keeps a checkpoint; None: none is kept
    interrupted  asked after each step; True ends training with all saved
    """

    network: nn.Module
    loss: Callable[[nn.Module, B], tuple[Tensor, int]]
    training: Callable[[int], Batches[B]]
    validation: Batches[B]
    settings: LoopSettings
    device: str = "cpu"
    save: Callable[[Checkpoint], None] | None = None
    interrupted: Callable[[], bool] = lambda: False


def fit(job: Job[B], checkpoint: Checkpoint | None = None) -> Iterator[Event]:
    """Train `job.network` in place; on return it holds the best weights. Raises TrainingError at a loss that is not finite."""
    with rounded_products(job.network, job.settings.precision == "bfloat16"):
        yield from _fit(job, checkpoint)


def _fit(job: Job[B], checkpoint: Checkpoint | None) -> Iterator[Event]:
    network, settings = job.network, job.settings
    optimiser = build_optimiser(network, settings)
    twin = MovingAverage(network, settings.average) if settings.average else None
    judged = twin.module if twin else network
    progress, best = Progress(), _copy(network)
    if checkpoint:
        progress, best = _restore(checkpoint, network, twin, optimiser)
    batches = job.training(progress.epoch)
    weights = list(network.parameters())
    size = sum(weight.numel() for weight in weights)
    yield Started(
        progress.epoch, progress.step, settings.max_epochs, len(batches), size, batches.windows, job.device, torch.get_num_threads()
    )

    clock, saved = _Clock(progress.seconds), time.monotonic()
    while not progress.stopped:
        network.train()
        while progress.batch < len(batches) and not progress.stopped:
            stepped = _step(job, weights, optimiser, batches, progress, clock)
            if twin:
                twin.update()
            yield stepped
            progress.stopped = _out_of_budget(job, progress)
            if job.save and not progress.stopped and time.monotonic() - saved > settings.checkpoint_seconds:
                job.save(_pack(network, twin, optimiser, best, progress))
                saved = time.monotonic()
                yield Saved(progress.epoch, progress.step)
        if progress.stopped == INTERRUPTED:
            progress.stopped = ""
            if job.save:
                job.save(_pack(network, twin, optimiser, best, progress))
                yield Saved(progress.epoch, progress.step)
            yield Stopped(INTERRUPTED, progress.epoch, progress.best_epoch, progress.best_loss, clock.total)
            return
        ended = _end_epoch(job, judged, progress, clock)
        if ended.best:
            best = _copy(judged)
        yield ended
        if job.save:
            job.save(_pack(network, twin, optimiser, best, progress))
            saved = time.monotonic()
            yield Saved(progress.epoch, progress.step)
        batches = job.training(progress.epoch)
    network.load_state_dict(best)
    yield Stopped(progress.stopped, progress.epoch, progress.best_epoch, progress.best_loss, clock.total)


INTERRUPTED = "interrupted"


def _step(
    job: Job[B], weights: list[nn.Parameter], optimiser: torch.optim.Optimizer, batches: Batches[B], progress: Progress, clock: "_Clock"
) -> Stepped:
    """One update. The random numbers of dropout follow from seed and step alone."""
    settings = job.settings
    begin = time.monotonic()
    _seed(job.device, settings.seed * 1_000_003 + progress.step)
    rate = learning_rate(settings, _done(settings, progress, len(batches)), progress.plateaus)
    for group in optimiser.param_groups:
        group["lr"] = rate
    loss, weight = job.loss(job.network, batches[progress.batch])
    clear_gradients(weights)
    value = loss.item()
    if not math.isfinite(value):
        raise TrainingError(_not_finite("loss", value, f"at step {progress.step + 1}", progress.epoch, progress.batch))
    norm = 0.0
    if weight:
        loss.backward()
        norm = clip_gradients(weights, settings.clip_norm)
        if not math.isfinite(norm):
            raise TrainingError(_not_finite("gradient", norm, f"at step {progress.step + 1}", progress.epoch, progress.batch))
        optimiser.step()
    progress.batch += 1
    progress.step += 1
    progress.loss_sum += value * weight
    progress.loss_weight += weight
    progress.seconds = clock.total
    pace = batches.windows / len(batches) / max(1e-9, time.monotonic() - begin)
    return Stepped(progress.epoch, progress.step, value, norm, rate, pace, progress.seconds)


def _seed(device: str, seed: int) -> None:
    """Set the random state of dropout; on the CPU only its own, for torch.manual_seed takes longer than a small layer."""
    if device == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def _end_epoch(job: Job[B], judged: nn.Module, progress: Progress, clock: "_Clock") -> EpochEnded:
    """Validate, note whether these are the best weights, and decide whether to stop."""
    settings = job.settings
    loss = validation_loss(job, judged, progress) if len(job.validation) else math.nan
    rate = learning_rate(settings, _done(settings, progress, max(1, progress.batch)), progress.plateaus)
    best = loss < progress.best_loss or progress.best_epoch < 0 or not len(job.validation)
    progress.worse_epochs = 0 if best else progress.worse_epochs + 1
    if best:
        progress.best_loss, progress.best_epoch = loss, progress.epoch
    elif progress.worse_epochs % 2 == 0:
        progress.plateaus += 1
    train_loss = progress.loss_sum / max(1.0, progress.loss_weight)
    progress.epoch, progress.batch, progress.loss_sum, progress.loss_weight = progress.epoch + 1, 0, 0.0, 0.0
    if not progress.stopped and progress.worse_epochs >= settings.patience:
        progress.stopped = f"no better validation loss for {settings.patience} epochs"
    elif not progress.stopped and progress.epoch >= settings.max_epochs:
        progress.stopped = f"all {settings.max_epochs} epochs done"
    progress.seconds = clock.total
    return EpochEnded(progress.epoch - 1, progress.step, train_loss, loss, rate, best, progress.best_loss, progress.seconds)


def validation_loss(job: Job[B], judged: nn.Module, progress: Progress) -> float:
    """Mean loss over the validation batches. Raises TrainingError if it is not finite, or if no value was observed: a loss of 0 for each
    epoch would make the first weights the best ones."""
    judged.eval()
    total, weight = 0.0, 0
    with torch.no_grad():
        for number in range(len(job.validation)):
            loss, count = job.loss(judged, job.validation[number])
            total, weight = total + loss.item() * count, weight + count
            if not math.isfinite(total):
                raise TrainingError(_not_finite("validation loss", total, f"after step {progress.step}", progress.epoch, number))
    if not weight:
        raise TrainingError(
            "The validation windows hold no observed value; expected some, since they tell when to stop. Move the validation part with "
            "--split, or look at more of it (--set training.validation_windows=10000)."
        )
    return total / weight


def _out_of_budget(job: Job[B], progress: Progress) -> str:
    settings = job.settings
    if settings.max_steps is not None and progress.step >= settings.max_steps:
        return f"all {settings.max_steps} steps done"
    if settings.time_limit is not None and progress.seconds >= settings.time_limit:
        return f"time limit of {settings.time_limit:g} s reached"
    return INTERRUPTED if job.interrupted() else ""


def _done(settings: LoopSettings, progress: Progress, steps_per_epoch: int) -> float:
    """The fraction of the budget that is used up, by whichever limit is nearest. Epochs may differ in their number of steps."""
    done = (progress.epoch * steps_per_epoch + progress.batch) / (settings.max_epochs * steps_per_epoch)
    if settings.max_steps is not None:
        done = max(done, progress.step / settings.max_steps)
    if settings.time_limit is not None:
        done = max(done, progress.seconds / settings.time_limit)
    return done


def _not_finite(what: str, value: float, where: str, epoch: int, batch: int) -> str:
    return (
        f"The {what} became {value} {where} (epoch {epoch + 1}, batch {batch + 1}). "
        "Try a smaller learning_rate (--set training.learning_rate=0.0003) or clip_norm, or look for extreme values with `tidegate check`."
    )


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def _pack(
    network: nn.Module, twin: MovingAverage | None, optimiser: torch.optim.Optimizer, best: dict[str, Tensor], progress: Progress
) -> Checkpoint:
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"twin.{name}": value for name, value in (twin.state_dict() if twin else {}).items()}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    tensors |= {f"optimiser.{name}": value for name, value in optimiser_tensors(optimiser).items()}
    return Checkpoint({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, Progress(**asdict(progress)))


def _restore(
    checkpoint: Checkpoint, network: nn.Module, twin: MovingAverage | None, optimiser: torch.optim.Optimizer
) -> tuple[Progress, dict[str, Tensor]]:
    def part(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in checkpoint.tensors.items() if name.startswith(prefix)}

    network.load_state_dict(part("network."))
    if twin:
        twin.load_state_dict(part("twin."))
    restore_optimiser(optimiser, part("optimiser."))
    return Progress(**asdict(checkpoint.progress)), part("best.")


class _Clock:
    """Seconds of training, those before a stop included."""

    def __init__(self, before: float) -> None:
        self._start = time.monotonic() - before

    @property
    def total(self) -> float:
        return time.monotonic() - self._start
