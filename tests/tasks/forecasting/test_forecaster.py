"""The estimator on small data: what goes in, what comes out, what is kept, what is refused."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import tidegate as tg
from tests.tasks.forecasting.tiny import config, covariates, hours, one_series, panel, wave
from tidegate.errors import DataError, RunError, SettingsError

NETWORKS = ("lstm", "attention-cnn-lstm")


def forecaster(horizon: int = 6, lookback: int | None = 24, network: str = "lstm", **more: Any) -> tg.Forecaster:
    sections = {name: more.pop(name) for name in ("data", "training") if name in more}
    settings = config(**sections, network=more.pop("settings", {}))
    return tg.Forecaster(horizon, lookback=lookback, network=network, config=settings, **more)


@pytest.fixture(scope="module")
def fitted() -> tg.Forecaster:
    return forecaster().fit(one_series())


@pytest.fixture(scope="module")
def many() -> tg.Forecaster:
    return forecaster().fit(panel())


def values(frame: pl.DataFrame) -> np.ndarray:
    return frame.select(pl.selectors.float()).to_numpy()


def test_a_forecast_starts_after_the_last_row(fitted: tg.Forecaster) -> None:
    frame = fitted.predict()
    assert isinstance(frame, pl.DataFrame)
    assert frame.columns == ["ds", "y", "y_q10", "y_q90"]
    assert frame["ds"].to_list() == hours(306)[300:]
    low, middle, high = (frame[name].to_numpy() for name in ("y_q10", "y", "y_q90"))
    assert (low <= middle).all() and (middle <= high).all() and (low < high).any()
    assert np.abs(middle - wave(306, noise=0)[300:]).max() < 3


def test_the_constructor_only_stores_and_fit_returns_self() -> None:
    model = forecaster(seed=3)
    assert (model.horizon, model.lookback, model.seed) == (6, 24, 3)
    with pytest.raises(SettingsError, match="not fitted yet"):
        model.predict()
    with pytest.raises(SettingsError, match="not fitted yet"):
        model.evaluate()
    with pytest.raises(SettingsError, match="not fitted yet"):
        model.save("nowhere")
    assert model.fit(one_series()) is model
    assert model.config.training.seed == 3  # type: ignore[union-attr]
    assert len(model.history) == 2 and model.history[0]["epoch"] == 0


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str], fitted: tg.Forecaster) -> None:
    forecaster().fit(one_series()).predict()
    fitted.evaluate()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("loss", ["mae", "quantile"])
def test_saved_and_loaded_it_says_the_same(network: str, loss: str, tmp_path: Path) -> None:
    path = tmp_path / "load.parquet"
    covariates().with_columns(pl.lit("a").alias("unique_id")).write_parquet(path)
    model = forecaster(network=network, training={"loss": loss})
    model.fit(path, past=["temp", "weather"], future=["promo", "day"], id="unique_id")
    before, scores = model.predict(), model.evaluate()
    run = model.save(tmp_path / "run")
    again = tg.load(run)
    assert isinstance(again, tg.Forecaster)
    assert again.predict().equals(before)
    assert again.evaluate().metrics == scores.metrics
    assert again.evaluate().baselines == scores.baselines
    assert again.predict(pl.read_parquet(path)).equals(before)
    assert again.evaluate(origins=2).origins == 2
    assert again.history == model.history and again.notes == model.notes != []
    best = [epoch["epoch"] for epoch in model.history if epoch["best"]][-1]
    assert f"after epoch {best + 1}." in (run / "report.html").read_text(encoding="utf-8"), "epochs are counted from 1, as in the log"
    assert not list(run.rglob("*.pkl")) and not (run / "checkpoint").exists()
    with pytest.raises(RunError, match="finished run"):
        model.save(run)
    copy = again.save(tmp_path / "copy")
    assert tg.load(copy).predict().equals(before)
    with pytest.raises(RunError, match="finished run"):
        again.save(copy)
    (copy / "README.md").unlink()
    assert tg.load(again.save(copy, overwrite=True)).predict().equals(before)
    assert {path.name for path in copy.iterdir()} == {path.name for path in run.iterdir()}
    assert again.save(run, overwrite=True).samefile(run), "over itself: nothing to do"
    assert tg.load(run).predict().equals(before)
    assert {path.name for path in tmp_path.iterdir()} == {"load.parquet", "run", "copy"}


def test_what_was_recognised_is_said_once(tmp_path: Path) -> None:
    path = tmp_path / "load.csv"
    one_series().write_csv(path, separator=";")
    notes = forecaster().fit(path).notes
    assert notes.count("delimiter ';'") == 1


def test_a_loaded_run_whose_data_is_gone_or_changed(tmp_path: Path) -> None:
    path = tmp_path / "load.csv"
    one_series().write_csv(path)
    forecaster().fit(path).save(tmp_path / "run")
    one_series(301).write_csv(path)
    again = tg.load(tmp_path / "run")
    with pytest.raises(RunError, match="load.csv has changed since"):
        again.evaluate()
    assert again.predict()["ds"][0] == hours(302)[301]
    path.unlink()
    with pytest.raises(RunError, match="is not there. Give the data"):
        again.predict()
    assert len(again.predict(one_series())) == 6
    forecaster().fit(one_series()).save(tmp_path / "frame")
    with pytest.raises(RunError, match="a data frame, which is not kept. Give the data"):
        tg.load(tmp_path / "frame").predict()


def test_data_that_changes_between_fit_and_save(tmp_path: Path) -> None:
    path = tmp_path / "load.csv"
    one_series().write_csv(path)
    model = forecaster().fit(path)
    one_series(301).write_csv(path)
    with pytest.raises(RunError, match="load.csv has changed since"):
        tg.load(model.save(tmp_path / "run")).evaluate()


def test_a_save_that_fails_brings_the_replaced_run_back(fitted: tg.Forecaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = fitted.save(tmp_path / "run")

    def fail(*arguments: Any, **more: Any) -> None:
        raise RunError("the disk is full")

    monkeypatch.setattr("tidegate.tasks.forecasting.forecaster.finish", fail)
    for path in (run, tmp_path / "other"):
        with pytest.raises(RunError, match="full"):
            fitted.save(path, overwrite=True)
    assert tg.load(run).history == fitted.history
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_pandas_in_pandas_out_and_arrow_in_arrow_out(fitted: tg.Forecaster) -> None:
    frame = one_series()
    expected = fitted.predict()
    pandas = forecaster().fit(pd.DataFrame({"ds": pd.to_datetime(frame["ds"].to_list()), "y": frame["y"].to_numpy()}))
    said = pandas.predict()
    assert isinstance(said, pd.DataFrame)
    assert pd.api.types.is_datetime64_any_dtype(said["ds"])
    np.testing.assert_array_equal(said[["y", "y_q10", "y_q90"]].to_numpy(np.float32), values(expected))
    assert isinstance(pandas.predict(frame), pl.DataFrame)
    assert isinstance(fitted.predict(frame.to_arrow()), pa.Table)


def test_each_series_of_a_panel_has_its_forecast(many: tg.Forecaster) -> None:
    frame = many.predict()
    assert frame.columns == ["unique_id", "ds", "y", "y_q10", "y_q90"]
    assert frame["unique_id"].to_list() == [name for name in "abc" for _ in range(6)]
    means = frame.group_by("unique_id", maintain_order=True).mean()["y"].to_list()
    assert means == pytest.approx([10, 100, 1000], rel=0.5)


def test_one_series_alone_is_forecast_as_in_the_panel(many: tg.Forecaster) -> None:
    whole = many.predict()
    for name in "abc":
        alone = many.predict(panel().filter(pl.col("unique_id") == name))
        np.testing.assert_allclose(values(alone), values(whole.filter(pl.col("unique_id") == name)), rtol=1e-5)


def test_new_series_are_scaled_by_themselves(many: tg.Forecaster) -> None:
    new = panel((120,)).with_columns(pl.lit("z").alias("unique_id"), pl.col("y") * 1e4)
    frame = many.predict(new)
    assert frame["unique_id"].to_list() == ["z"] * 6
    assert frame["y"].mean() == pytest.approx(1e5, rel=0.3)
    scores = many.evaluate(new)
    assert scores.metrics["mae"] < 5e4
    assert any("1 series that training never saw" in note for note in scores.notes)


def test_new_data_of_a_known_series_needs_only_its_lookback(many: tg.Forecaster) -> None:
    whole = many.predict()
    tail = panel().group_by("unique_id", maintain_order=True).tail(80)
    np.testing.assert_allclose(values(many.predict(tail)), values(whole), rtol=1e-4)
    assert len(many.predict(panel().group_by("unique_id", maintain_order=True).tail(3))) == 18, "fewer rows: padded as missing"


def test_evaluate_has_rivals_and_a_verdict(fitted: tg.Forecaster) -> None:
    scores = fitted.evaluate()
    assert set(scores.baselines) == {"mean", "repeat_last", "seasonal_naive", "drift", "moving_average", "ridge"}
    assert scores.origins == 10, "a fifth of 300 steps, a horizon apart"
    assert set(scores.metrics) >= {"mae", "rmse", "mape", "smape", "mase", "r2", "bias", "pinball", "coverage_80"}
    assert "origins of 1 series" in scores.verdict
    assert fitted.evaluate(origins=3).origins == 3
    assert len(scores.table) == 7
    assert scores._repr_html_().count("<tr") == 8, "a notebook shows the table"
    elsewhere = fitted.evaluate(one_series(200, seed=5))
    assert elsewhere.origins == (200 - 24) // 6


def test_scores_equal_a_loop_over_origins(fitted: tg.Forecaster) -> None:
    frame = one_series()
    errors = []
    for origin in range(294, 235, -6):
        said = fitted.predict(frame[:origin])
        errors.append(np.abs(said["y"].to_numpy() - frame["y"][origin : origin + 6].to_numpy()))
    assert fitted.evaluate().metrics["mae"] == pytest.approx(np.mean(errors), rel=1e-4)


@pytest.mark.parametrize("origins", [0, -1])
def test_a_wrong_number_of_origins(fitted: tg.Forecaster, origins: int) -> None:
    with pytest.raises(SettingsError, match="expected at least 1"):
        fitted.evaluate(origins=origins)


def test_data_too_short_to_evaluate_on(fitted: tg.Forecaster) -> None:
    with pytest.raises(DataError, match="no origin to evaluate at"):
        fitted.evaluate(one_series(9))


def test_known_future_covariates(tmp_path: Path) -> None:
    data = covariates()
    model = forecaster(training={"max_epochs": 10, "learning_rate": 0.01}).fit(data, past=["temp", "weather"], future=["promo", "day"])
    frame = model.predict()
    assert frame["ds"].to_list() == hours(320)[314:]
    promoted = data.with_columns(pl.when(pl.int_range(pl.len()) >= 314).then(1.0).otherwise(pl.col("promo")).alias("promo"))
    plain = promoted.with_columns(pl.when(pl.int_range(pl.len()) >= 314).then(0.0).otherwise(pl.col("promo")).alias("promo"))
    assert (model.predict(promoted)["y"] - model.predict(plain)["y"]).mean() > 0.5
    head, future = data[:314], data[314:].select("ds", "promo", "day")
    np.testing.assert_allclose(values(model.predict(head, future)), values(frame), rtol=1e-6)
    future.write_csv(tmp_path / "future.csv")
    words = r"Known-future covariates \(promo, day\) are needed for the 6 steps after the last target; the data gives 0.*--future FILE"
    with pytest.raises(DataError, match=words):
        model.predict(head)
    with pytest.raises(DataError, match="the data gives 4"):
        model.predict(data[:318])
    with pytest.raises(DataError, match="no column 'promo'"):
        model.predict(head, future.drop("promo"))
    empty = data.with_columns(pl.when(pl.int_range(pl.len()) < 314).then(pl.col("promo")).alias("promo"))
    with pytest.raises(DataError, match="Known-future covariates"):
        model.predict(empty)
    assert model.evaluate().origins > 5, "backtests take them from the rows themselves"


def test_known_future_covariates_of_a_panel() -> None:
    frames = [covariates(seed=number).with_columns(pl.lit(name).alias("unique_id")) for number, name in enumerate("ab")]
    data = pl.concat(frames)
    model = forecaster().fit(data, future=["promo"])
    assert len(model.predict()) == 12
    with pytest.raises(DataError, match="of series 'b'; the data gives 0"):
        model.predict(data.filter((pl.col("unique_id") == "a") | pl.col("y").is_not_null()))


def test_a_future_table_without_need(fitted: tg.Forecaster) -> None:
    with pytest.raises(DataError, match="without known-future covariates"):
        fitted.predict(one_series(), one_series(5))


def test_unseen_categories_are_missing() -> None:
    data = covariates()
    model = forecaster(network="attention-cnn-lstm").fit(data, past=["weather"], future=["day"])
    strange = data.with_columns(pl.lit("hail").alias("weather"))
    frame = model.predict(strange)
    assert np.isfinite(values(frame)).all()
    assert not frame.equals(model.predict(data))


def test_static_values() -> None:
    data = panel().with_columns(
        pl.col("unique_id").replace_strict({"a": 1.0, "b": 2.0, "c": 3.0}).alias("size"), pl.col("unique_id").alias("kind")
    )
    model = forecaster().fit(data, static=["size", "kind"])
    before = model.predict()
    after = model.predict(data.with_columns(pl.lit("a").alias("kind")))
    assert not after.equals(before)
    assert len(model.predict(data.filter(pl.col("unique_id") == "b").with_columns(pl.lit("new").alias("kind")))) == 6


def test_wide_tables() -> None:
    data = pl.DataFrame({"when": hours(240), "north": wave(240), "south": 100 * wave(240, 1)})
    model = forecaster(data={"layout": "wide"}).fit(data, time="when")
    frame = model.predict()
    assert frame.columns == ["unique_id", "when", "y", "y_q10", "y_q90"]
    assert frame["unique_id"].unique(maintain_order=True).to_list() == ["north", "south"]
    assert frame["y"][6:].mean() > 500
    assert len(model.predict(data.select("when", "south"))) == 6


def test_several_targets() -> None:
    data = one_series().with_columns((50 * pl.col("y").shift(1)).alias("z"))
    for settings in ({"channels": "shared"}, {"channels": "joint"}):
        model = forecaster(settings=settings).fit(data, target=["y", "z"])
        frame = model.predict()
        assert frame.columns == ["ds", "y", "y_q10", "y_q90", "z", "z_q10", "z_q90"]
        assert frame["z"].mean() == pytest.approx(500, rel=0.3)
        assert set(model.evaluate().targets) == {"y", "z"}


def test_without_a_time_column() -> None:
    model = forecaster().fit(pl.DataFrame({"y": wave(200)}))
    assert model.predict()["step"].to_list() == list(range(200, 206))
    assert any(
        "no time column" in note.lower() or "row order" in note.lower() or "order of the rows" in note.lower() for note in model.notes
    ), model.notes


def test_integer_years_and_dates() -> None:
    years = pl.DataFrame({"ds": range(1900, 2020), "y": wave(120)})
    assert forecaster(3, 8).fit(years).predict()["ds"].to_list() == [2020, 2021, 2022]
    days = pl.DataFrame({"ds": [datetime.date(2024, 1, 1) + datetime.timedelta(days=n) for n in range(120)], "y": wave(120)})
    assert forecaster(2, 8).fit(days).predict()["ds"].to_list() == [datetime.date(2024, 4, 30), datetime.date(2024, 5, 1)]


def test_missing_values_in_the_data() -> None:
    data = one_series().with_columns(pl.when(pl.int_range(pl.len()) % 7 != 3).then("y").alias("y"))
    data = data.filter((pl.int_range(pl.len()) < 100) | (pl.int_range(pl.len()) > 120))
    for network in NETWORKS:
        model = forecaster(network=network).fit(data)
        assert np.isfinite(values(model.predict())).all()
        assert np.isfinite(model.evaluate().metrics["mae"])


def test_a_series_of_nothing_at_the_end() -> None:
    data = one_series().with_columns(pl.when(pl.int_range(pl.len()) < 240).then("y").alias("y"))
    model = forecaster().fit(data, target="y")
    assert np.isfinite(values(model.predict())).all()


@pytest.mark.parametrize("quantiles", [(0.05, 0.25, 0.75, 0.95), (0.9,), (0.5,), (0.025, 0.975)])
@pytest.mark.parametrize("loss", ["mae", "quantile"])
def test_quantiles_never_cross(quantiles: tuple[float, ...], loss: str) -> None:
    model = forecaster(quantiles=quantiles, training={"loss": loss}).fit(one_series())
    frame = model.predict()
    levels = sorted({*quantiles, 0.5})
    names = [
        "y" if level == 0.5 else {0.05: "y_q05", 0.025: "y_q2.5", 0.975: "y_q97.5"}.get(level, f"y_q{100 * level:g}") for level in levels
    ]
    assert sorted(frame.columns) == sorted(["ds", *names])
    assert (np.diff(frame.select(names).to_numpy(), axis=1) >= 0).all()


def test_intervals_cover_what_they_say() -> None:
    random = np.random.default_rng(0)
    data = pl.DataFrame({"ds": range(3000), "y": random.normal(size=3000)})
    model = forecaster(2, 8, data={"split": "30/30/40"}).fit(data)
    coverage = model.evaluate().metrics["coverage_80"]
    assert coverage == pytest.approx(0.8, abs=0.04), "1,200 values: three standard errors are 0.035"
    trained = forecaster(2, 8, data={"split": "50/10/40"}, training={"loss": "quantile", "max_epochs": 20, "learning_rate": 0.02}).fit(data)
    assert trained.evaluate().metrics["coverage_80"] == pytest.approx(0.8, abs=0.08)


def test_fit_again_forgets_the_first_data() -> None:
    model = forecaster(lookback=None).fit(one_series())
    first = model.config
    days = pl.DataFrame({"day": [datetime.date(2020, 1, 1) + datetime.timedelta(days=n) for n in range(90)], "sales": wave(90)})
    model.fit(days, target="sales", time="day")
    assert model.predict().columns == ["day", "sales", "sales_q10", "sales_q90"]
    assert model.config.data.frequency != first.data.frequency  # type: ignore[union-attr]
    fresh = forecaster(lookback=None).fit(days, target="sales", time="day")
    assert fresh.config == model.config
    assert fresh.predict().equals(model.predict())


def test_the_same_seed_gives_the_same_forecasts() -> None:
    one, other, third = (forecaster(seed=seed, network="attention-cnn-lstm").fit(one_series()).predict() for seed in (1, 1, 2))
    assert one.equals(other)
    assert not one.equals(third)


def test_global_random_state_is_left_alone() -> None:
    import random

    import torch

    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = (torch.random.get_rng_state(), str(np.random.get_state()), random.getstate(), torch.get_num_threads())  # noqa: NPY002
    forecaster(training={"learning_rate": "auto"}).fit(one_series()).predict()
    after = (torch.random.get_rng_state(), str(np.random.get_state()), random.getstate(), torch.get_num_threads())  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert (np.array([2e-308]) / 4.0)[0] > 0.0, "numbers near zero are as they were, for whoever computes with them"


def test_the_table_is_left_alone() -> None:
    frame = one_series().to_pandas() if hasattr(pl.DataFrame, "to_pandas") else pd.DataFrame()
    frame.loc[50, "y"] = 1e5
    before = frame.copy()
    forecaster().fit(frame).evaluate()
    pd.testing.assert_frame_equal(frame, before)


def test_short_series_are_named_and_padded_or_skipped() -> None:
    data = panel((200, 12, 4, 180))
    model = forecaster().fit(data)
    assert any(
        "series 'b': too short to be tested on a horizon of 6; trained on only, left-padded as missing" in note for note in model.notes
    )
    assert any("series 'c': 6 steps or fewer; skipped" in note for note in model.notes)
    frame = model.predict()
    assert frame["unique_id"].unique(maintain_order=True).to_list() == ["a", "b", "c", "d"]
    assert np.isfinite(values(frame)).all()
    by_id = frame.group_by("unique_id", maintain_order=True).mean()["y"].to_list()
    assert by_id == pytest.approx([10, 100, 1000, 10000], rel=0.5), "also of the one that was skipped"
    skipping = forecaster(data={"short_series": "skip"}).fit(data)
    assert any("series 'b': too short to be tested on a horizon of 6; skipped" in note for note in skipping.notes)


def test_a_panel_where_all_are_too_short() -> None:
    with pytest.raises(DataError, match=r"Too short a history: the longest of 3 series has 17 steps.*horizon of at most 5"):
        forecaster().fit(panel((10, 17, 12)))


@pytest.mark.parametrize("length", [19, 20, 22, 30])
def test_the_shortest_history_that_is_enough(length: int) -> None:
    """Training has 7 steps or more: at least one window."""
    for network in NETWORKS:
        model = forecaster(6, None, network=network).fit(one_series(length))
        assert np.isfinite(values(model.predict())).all()
        assert model.evaluate().origins >= 1


def test_horizons_and_lookbacks_that_cannot_be() -> None:
    with pytest.raises(SettingsError, match="data.horizon: .*greater than 0"):
        forecaster(0).fit(one_series())
    with pytest.raises(SettingsError, match="data.lookback: .*greater than 0"):
        forecaster(lookback=0).fit(one_series())
    with pytest.raises(SettingsError, match="subsequence 30 is longer than the lookback of 24"):
        forecaster(network="attention-cnn-lstm", settings={"subsequence": 30}).fit(one_series())
    with pytest.raises(SettingsError, match="Unknown network 'lstn'|lstn"):
        forecaster(network="lstn").fit(one_series())


@pytest.mark.parametrize("settings", [{"training": 3}, {"network": 3}, {"data": [1]}, 3, {"training": {"seed": object()}}])
def test_settings_that_are_none(settings: Any) -> None:
    with pytest.raises(SettingsError, match="config|training|network|data"):
        tg.Forecaster(6, network="lstm", max_epochs=1, config=settings).fit(one_series())


def test_numpy_numbers_are_settings() -> None:
    numbers: dict[str, dict[str, Any]] = {
        "training": {"learning_rate": np.float32(0.01), "max_epochs": np.int64(1)},
        "network": {"hidden": np.int32(8)},
    }
    model = tg.Forecaster(np.int64(6), lookback=np.int64(24), quantiles=np.array([0.1, 0.9]), seed=np.uint8(3), config=numbers)  # type: ignore[arg-type]
    assert model.fit(one_series()).config.training.seed == 3  # type: ignore[union-attr]
    assert model.config.data.lookback == 24  # type: ignore[union-attr]
    assert type(numbers["network"]["hidden"]) is np.int32, "what was given is left alone"


def test_a_network_over_the_settings_of_another() -> None:
    kept = forecaster(network="attention-cnn-lstm").fit(one_series()).config
    assert tg.Forecaster(6, network="lstm", config=kept).fit(one_series()).config.network.name == "lstm"  # type: ignore[union-attr]


def test_a_picture_of_a_series_by_its_number_and_with_a_future_table() -> None:
    pytest.importorskip("matplotlib")
    data = panel().with_columns(pl.col("unique_id").replace_strict({"a": 7, "b": 8, "c": 9}, return_dtype=pl.Int64))
    model = forecaster().fit(data)
    assert model.plot(series=8).axes[0].get_title(loc="left") == "8 y"
    with pytest.raises(DataError, match="no series '5'"):
        model.plot(series=5)
    known = covariates()
    model = forecaster().fit(known, future=["promo"])
    with pytest.raises(DataError, match="Known-future"):
        model.plot(known[:314])
    assert model.plot(known[:314], future=known[314:]).axes[0].get_title(loc="left") == "y"


def test_subsequences_without_overlap() -> None:
    model = forecaster(network="attention-cnn-lstm", settings={"overlap": 0}, lookback=120).fit(one_series())
    network = model.config.network  # type: ignore[union-attr]
    assert network.overlap == 0 and network.subsequence > 1  # type: ignore[union-attr]


def test_a_learning_rate_from_the_finder() -> None:
    model = forecaster(training={"learning_rate": "auto"}).fit(one_series())
    rate = model.config.training.learning_rate  # type: ignore[union-attr]
    assert isinstance(rate, float) and 1e-6 < rate <= 0.1
    assert any(note.startswith("learning rate: ") for note in model.notes)
