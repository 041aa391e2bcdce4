"""What is derived from the data where it is gathered, and what of it the ridge regression looks at."""

import numpy as np
import polars as pl
import pytest

from tidegate.config import build_config
from tidegate.evaluate.ridge import fit_ridge
from tidegate.tasks import material
from tidegate.tasks.material import Material, gather


def panel(series: int, scaling: str | None = None) -> Material:
    """Walks of 60 steps, each with steps ten times as large as those of the one before."""
    random = np.random.default_rng(0)
    walks = [10.0**number * random.standard_normal(60).cumsum() for number in range(series)]
    frame = pl.DataFrame({"unique_id": np.repeat(np.arange(series), 60), "ds": np.tile(np.arange(60), series), "y": np.concatenate(walks)})
    return gather(frame, build_config({"data": {"horizon": 3, "clean": False, "scaling": scaling}}))


@pytest.mark.parametrize(("series", "scaling", "expected"), [(1, None, "standard"), (3, None, "change"), (3, "robust", "robust")])
def test_scaling_follows_from_the_number_of_series(series: int, scaling: str | None, expected: str) -> None:
    found = panel(series, scaling)
    assert found.config.data.scaling == expected
    assert (f"scaling: {expected}" in found.notes) == (scaling is None)


def test_change_is_measured_over_a_horizon() -> None:
    found = panel(3)
    changes = []
    for begin, end in zip(found.sequences.offsets, found.parts.train, strict=False):
        part = found.sequences.values[begin:end, 0].astype(float)
        changes.append(np.concatenate([np.abs(part[lag:] - part[:-lag]) for lag in (1, 2, 3)]).mean())
    np.testing.assert_allclose(found.prepared.scaler.scale[:, 0], changes, rtol=1e-5)


def test_ridge_of_much_data_looks_at_whole_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for the rows of some origins only; the windows it is fitted on are all of theirs."""
    whole = panel(3).ridge
    looked_at: list[np.ndarray] = []

    def spy(values: np.ndarray, first: np.ndarray, train: np.ndarray, *others: object) -> object:
        looked_at.append(train)
        return fit_ridge(values, first, train, *others)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(material, "fit_ridge", spy)
    monkeypatch.setattr(material, "MAX_RUN_WINDOWS", 50)
    some = panel(3)
    assert some.ridge.num_windows < whole.num_windows
    assert 0 < len(looked_at[0]) <= 50
    counts = some.training_origins().count
    assert len(looked_at[0]) in {int(counts[0]), 2 * int(counts[0])}, "whole series, which are equally long"
