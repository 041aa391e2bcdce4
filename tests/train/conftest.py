"""A small regression problem for the training loop."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tidegate.config import TrainingSettings
from tidegate.train.loop import Job
from tidegate.train.loss import absolute_error, observed_mean

Pair = tuple[Tensor, Tensor]
Build = Callable[..., Job[Pair]]


class Pairs:
    """Batches (x, y) of one epoch, in an order that follows from the epoch alone."""

    def __init__(self, x: Tensor, y: Tensor, size: int, epoch: int | None = None) -> None:
        order = torch.arange(len(x)) if epoch is None else torch.randperm(len(x), generator=torch.Generator().manual_seed(epoch))
        self._x, self._y, self._size, self.windows = x[order], y[order], size, len(x)

    def __len__(self) -> int:
        return -(-self.windows // self._size)

    def __getitem__(self, number: int) -> Pair:
        part = slice(number * self._size, (number + 1) * self._size)
        return self._x[part], self._y[part]


def pair_loss(network: nn.Module, batch: Pair) -> tuple[Tensor, int]:
    return observed_mean(absolute_error, network(batch[0])[..., None, None], batch[1][..., None])


@pytest.fixture
def build() -> Build:
    """A job with a fresh network; `changes` are training settings, `truth` changes the targets in place."""

    def job(
        truth: Callable[[Tensor], None] = lambda y: None, save: Any = None, interrupted: Any = lambda: False, **changes: Any
    ) -> Job[Pair]:
        settings = TrainingSettings(
            **{"max_epochs": 3, "batch_size": 8, "patience": 100, "learning_rate": 0.01, "checkpoint_seconds": 1e-9, **changes}
        )
        torch.manual_seed(settings.seed)
        x = torch.randn(50, 6, generator=torch.Generator().manual_seed(5))
        y = x[:, :2] + 0.5 * x[:, 2:4] ** 2
        truth(y)
        network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 2))
        size = settings.batch_size or 8
        return Job(
            network,
            pair_loss,
            lambda epoch: Pairs(x[:40], y[:40], size, epoch),
            Pairs(x[40:], y[40:], size),
            settings,
            "cpu",
            save,
            interrupted,
        )

    return job
