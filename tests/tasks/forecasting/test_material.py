"""What is derived from the data where it is gathered, and what of it the ridge regression looks at."""

import numpy as np
import polars as pl
import pytest

from tests.tasks.forecasting.tiny import config, hours, wave
from tidegate.config import build_config
from tidegate.errors import DataError
from tidegate.evaluate.ridge import fit_ridge
from tidegate.tasks.forecasting import material
from tidegate.tasks.forecasting.backtest import backtest, fit_rivals, history_of, run_rivals, shares_clock
from tidegate.tasks.forecasting.fitting import fit_model
from tidegate.tasks.forecasting.material import Material, gather


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


def gathered(target: dict[str, np.ndarray], **data: object) -> Material:
    """Hourly columns of one series, horizon 6, lookback 24."""
    frame = pl.DataFrame({"ds": hours(len(next(iter(target.values())))), **target})
    return gather(frame, build_config(config(data={"horizon": 6, "lookback": 24, "season": [24], "target": list(target), **data})))


def spiky(train: int, steps: int = 600) -> np.ndarray:
    """A wave with far outliers, one in fifty, up to step `train`."""
    values, random = wave(steps), np.random.default_rng(1)
    places = random.choice(train, train // 50, replace=False)
    values[places] += random.choice([-500.0, 500.0], len(places))
    return values


def error_of_ridge(material: Material, observed: np.ndarray) -> float:
    origins = material.test_set(100)
    said = run_rivals(fit_rivals(material), origins, history_of(origins))["ridge"][..., 0]
    return float(np.median(np.abs(said - observed[origins.origin[:, None] + np.arange(6)])))


def test_ridge_is_fitted_on_the_training_part_as_cleaned() -> None:
    values = spiky(400)
    before = (found := gathered({"y": values})).sequences.values.copy()
    assert len(found.windows.record) >= 6
    clean = gathered({"y": wave(600)})
    np.testing.assert_allclose(found.ridge.weights, clean.ridge.weights, atol=0.1)
    assert error_of_ridge(found, values) < 1.2 * error_of_ridge(clean, wave(600))
    np.testing.assert_array_equal(found.sequences.values, before, err_msg="what was observed is as it was")


def test_ridge_is_fitted_on_what_replaces_sentinels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the training part are replaced as its cleaning says, those after it are missing; nothing else differs."""
    values, seen = wave(600), []
    places = np.array([50, 51, 90, 150, 200, 430, 500])
    values[places] = -999.0

    def spy(given: np.ndarray, *others: object) -> object:
        seen.append(given.copy())
        return fit_ridge(given, *others)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(material, "fit_ridge", spy)
    found = gathered({"y": values, "z": wave(600, 1)})
    assert np.isfinite(found.ridge.weights).all()
    expected = np.stack([values, wave(600, 1)], axis=1).astype(np.float32)
    expected[places, 0] = np.nan
    record = found.windows.record
    assert set(places[:5]) <= set(record.row[record.column == 0])
    expected[record.row, record.column] = record.replacement
    np.testing.assert_array_equal(seen[0], expected)


def test_ridge_reads_the_lookback_as_cleaned_at_the_origin() -> None:
    """An outlier just before an origin does not carry the forecast away, and nothing after the origin is looked at."""
    values = wave(600)
    values[527] = 500.0
    found = gathered({"y": values})
    origins = found.windows.at(np.zeros(1, np.int64), np.array([528]))
    said = run_rivals(fit_rivals(found), origins, history_of(origins))
    assert np.abs(said["ridge"][0, :, 0] - values[528:534]).max() < 3
    assert said["repeat_last"][0, 0, 0] == 500.0, "the naive rivals are what their definitions say"
    values[528:] = np.random.default_rng(0).choice([-999.0, 300.0, 0.0], 72)
    again = gathered({"y": values})
    later = again.windows.at(np.zeros(1, np.int64), np.array([528]))
    after = run_rivals(fit_rivals(again), later, history_of(later))
    for name in said:
        np.testing.assert_array_equal(after[name], said[name], err_msg=name)


def test_a_validation_part_without_any_value_is_refused() -> None:
    values = wave(300)
    values[200:250] = np.nan
    with pytest.raises(DataError, match=r"validation part \(split 70/10/20\) holds no value of 'y'.*--split"):
        gathered({"y": values})
    assert not any("validation part" in note for note in gathered({"y": values}, split="50/15/35").notes)


@pytest.mark.parametrize("loss", ["mae", "quantile"])
def test_a_target_without_any_value_to_validate_on_has_no_made_up_interval(loss: str) -> None:
    values = wave(300)
    values[200:250] = np.nan
    asked = config(data={"horizon": 6, "lookback": 24, "target": ["y", "z"]}, training={"loss": loss})
    found = gather(pl.DataFrame({"ds": hours(300), "y": values, "z": wave(300, 1)}), build_config(asked))
    assert any("holds no value of 'y'" in note and "--split" in note for note in found.notes)
    model = fit_model(found, found.config, listen=lambda event: None).model
    own, _, said = backtest(model, fit_rivals(found), found.test_set(100))
    assert np.isfinite(said.point).all() and np.isfinite(said.quantiles[:, :, 1]).all()
    outer = said.quantiles[:, :, 0, [0, -1]]
    if loss == "mae":
        assert np.isnan(outer).all()
    else:
        assert (outer[..., 1] > outer[..., 0]).any()
    assert own.quantiles is not None


@pytest.mark.parametrize(
    ("layout", "times", "same"), [("long", True, True), ("long", False, False), ("rows", False, False), ("wide", False, True)]
)
def test_series_share_a_clock_where_the_table_has_one(layout: str, times: bool, same: bool) -> None:
    """Of different lengths; of one length they count as recorded together, whatever the table."""
    for lengths, expected in (((60, 50), same), ((60, 60), True)):
        series = {str(number): [*wave(length), *[None] * (60 - length)] for number, length in enumerate(lengths)}
        if layout == "long":
            parts = [pl.DataFrame({"unique_id": name, "ds": hours(60), "y": values}).drop_nulls("y") for name, values in series.items()]
            frame = pl.concat(parts) if times else pl.concat(parts).drop("ds")
        elif layout == "wide":
            frame = pl.DataFrame(series)
        else:
            frame = pl.DataFrame([[name, *values] for name, values in series.items()], orient="row")
        found = gather(frame, build_config(config(data={"horizon": 3, "lookback": 6, "layout": layout})))
        assert shares_clock(found.sequences, found.config.data) is expected
