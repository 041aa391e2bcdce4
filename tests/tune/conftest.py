"""A toy search and a small table."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tidegate.tune.knobs import Choice, Real
from tidegate.tune.storage import Place, place_of
from tidegate.tune.study import Attempt, Outcome, Search, Study

SPACE = {"rate": Real(1e-4, 1.0, log=True), "size": Choice((8, 16, 32))}
DEFAULTS = {"rate": 0.01, "size": 16}


def bowl(params: Mapping[str, Any], attempt: Attempt) -> Outcome:
    """Lowest at rate 0.1; the size does not matter."""
    value = float((np.log10(params["rate"]) + 1.0) ** 2)
    for epoch in range(4):
        attempt.report(epoch, value + 1.0 / (epoch + 1))
    return Outcome(value, {"tried": params["rate"]})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return place_of(tmp_path / "R", None)


@pytest.fixture
def study(place: Place) -> Callable[..., Study]:
    """Opens the toy study, with other settings where they are given."""

    def opened(
        objective: Any = bowl, trials: int = 8, identity: Any = None, time_limit: float | None = None, where: Place = place
    ) -> Study:
        return Study(where, Search(SPACE, DEFAULTS, objective, identity or {"data": "a"}, trials, time_limit, 7))

    return opened


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty days of hours with a daily wave."""
    path = tmp_path_factory.mktemp("data") / "waves.csv"
    hours, noise = np.arange(720), np.random.default_rng(0).normal(size=720)
    when = pl.datetime_range(pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 30, 23), "1h", eager=True)
    pl.DataFrame({"ds": when, "y": 10 + 3 * np.sin(hours / 24 * 2 * np.pi) + 0.3 * noise}).write_csv(path)
    return path
