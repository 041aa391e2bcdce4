"""train, evaluate and predict on run folders."""

import html
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import tidegate
from tests.tasks.forecasting.tiny import config, covariates, hours, one_series, panel
from tidegate.config import Config, build_config
from tidegate.errors import RunError, SettingsError, TidegateError, TrainingError
from tidegate.runs.folder import RunFolder
from tidegate.tasks import training
from tidegate.tasks.forecasting import verbs
from tidegate.tasks.forecasting.verbs import evaluate, predict, train
from tidegate.train.events import EpochEnded, Event, Said, Saved, Started


def settings(horizon: int = 6, network: str = "lstm", **sections: Any) -> Config:
    data = {"horizon": horizon, "lookback": 24, **sections.pop("data", {})}
    return build_config(config(data=data, network={"name": network, **sections.pop("network", {})}, **sections))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "load.csv"
    one_series().write_csv(path, datetime_format="%Y-%m-%d %H:%M")
    return path


def weights(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


def test_a_run_folder_holds_all_it_should(table: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    summary = train(table, settings(network="attention-cnn-lstm"), tmp_path / "R", listen=events.append)
    names = {path.name for path in (tmp_path / "R").iterdir()}
    expected = {"config.json", "model.safetensors", "preparation.json", "metrics.jsonl", "leaderboard.csv", "report.html", "README.md"}
    assert names == expected | {"run.json", "scores.json", "baselines.safetensors", "cleaning.csv"}
    manifest = json.loads((tmp_path / "R" / "run.json").read_text())
    assert manifest["state"] == "finished" and manifest["data"]["rows"] == 300
    assert set(manifest["files"]) == names - {"run.json"}
    assert len(pl.read_csv(tmp_path / "R" / "leaderboard.csv")) == 7
    assert "None" not in (tmp_path / "R" / "config.json").read_text()
    kinds = {type(event) for event in events}
    assert kinds >= {Said, Started, EpochEnded, Saved}
    assert summary.metrics == evaluate(tmp_path / "R").metrics
    assert summary.verdict == evaluate(tmp_path / "R").verdict


def test_the_kept_settings_give_the_same_weights(table: Path, tmp_path: Path) -> None:
    train(table, settings(network="attention-cnn-lstm", training={"learning_rate": "auto"}), tmp_path / "R")
    kept = build_config(json.loads((tmp_path / "R" / "config.json").read_text()))
    open_choices = [name for section in (kept.data, kept.network, kept.training) for name, value in section if value is None]
    assert set(open_choices) <= {"id", "sentinels", "time_format", "max_steps", "time_limit"}, "nothing is left open but what means 'none'"
    train(table, kept, tmp_path / "S")
    assert weights(tmp_path / "S") == weights(tmp_path / "R")


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_a_forecast_in_a_file(table: Path, tmp_path: Path, suffix: str) -> None:
    train(table, settings(), tmp_path / "R")
    out = tmp_path / f"F{suffix}"
    frame = predict(tmp_path / "R", out=out)
    read = {".csv": pl.read_csv, ".parquet": pl.read_parquet, ".jsonl": pl.read_ndjson}[suffix](out)
    assert read.columns == ["ds", "y", "y_q10", "y_q90"] == frame.columns
    np.testing.assert_allclose(read["y"].to_numpy(), frame["y"].to_numpy(), rtol=1e-6)
    if suffix == ".csv":
        assert read["ds"][0] == "2024-01-13 12:00:00"
    assert frame["ds"].to_list() == hours(306)[300:]


def test_refit_learns_from_all_rows(table: Path, tmp_path: Path) -> None:
    train(table, settings(training={"max_epochs": 3}), tmp_path / "R")
    before = {path: path.read_bytes() for path in (tmp_path / "R").iterdir()}
    plain, again, third = predict(tmp_path / "R"), predict(tmp_path / "R", refit=True), predict(tmp_path / "R", refit=True)
    assert not plain.equals(again)
    assert again.equals(third), "refitting is exact too"
    assert (again["y_q10"] <= again["y"]).all() and (again["y"] <= again["y_q90"]).all()
    assert {path: path.read_bytes() for path in (tmp_path / "R").iterdir()} == before
    longer = tmp_path / "longer.csv"
    one_series(400).write_csv(longer, datetime_format="%Y-%m-%d %H:%M")
    assert predict(tmp_path / "R", longer, refit=True)["ds"].to_list() == hours(406)[400:]


@pytest.mark.parametrize("limit", [{"max_steps": 3}, {"time_limit": 1e-6}])
def test_refit_keeps_the_limits(table: Path, tmp_path: Path, limit: dict[str, Any]) -> None:
    train(table, settings(training=limit), tmp_path / "R")
    events: list[Event] = []
    predict(tmp_path / "R", refit=True, listen=events.append)
    assert [event.step for event in events if isinstance(event, EpochEnded)] == [limit.get("max_steps", 1)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_refit_where_the_device_of_the_first_training_is_not(table: Path, tmp_path: Path) -> None:
    train(table, settings(), tmp_path / "R")
    config = json.loads((tmp_path / "R" / "config.json").read_text())
    config["training"]["device"] = "cuda"
    (tmp_path / "R" / "config.json").write_text(json.dumps(config))
    manifest = json.loads((tmp_path / "R" / "run.json").read_text())
    del manifest["files"]["config.json"]
    (tmp_path / "R" / "run.json").write_text(json.dumps(manifest))
    events: list[Event] = []
    assert len(predict(tmp_path / "R", refit=True, listen=events.append)) == 6
    assert Said("the device 'cuda' of the first training is not there; training on cpu") in events
    with pytest.raises(TidegateError, match="device 'cuda' cannot be used: .*cpu"):
        tidegate.load(tmp_path / "R", device="cuda")
    assert len(tidegate.load(tmp_path / "R", device="auto").predict()) == 6


def strict(text: str) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_every_json_file_is_json(tmp_path: Path) -> None:
    """Of a constant target R2 and MASE are not defined, and a channel without a value has no scale."""
    data = one_series().with_columns(pl.lit(5.0).alias("y"), pl.lit(None, pl.Float64).alias("empty"))
    data.write_parquet(tmp_path / "constant.parquet")
    first = train(tmp_path / "constant.parquet", settings(data={"past": ["empty"]}), tmp_path / "R")
    assert np.isnan(first.metrics["mase"])
    for name in ("scores.json", "preparation.json", "config.json", "run.json"):
        strict((tmp_path / "R" / name).read_text())
    for line in (tmp_path / "R" / "metrics.jsonl").read_text().splitlines():
        strict(line)
    assert strict((tmp_path / "R" / "scores.json").read_text())["metrics"]["mase"] is None
    again = train(tmp_path / "constant.parquet", settings(), tmp_path / "R", resume=True)
    np.testing.assert_equal(again.metrics, first.metrics)
    np.testing.assert_equal(again.baselines, first.baselines)
    assert len(predict(tmp_path / "R")) == 6


def test_the_commands_in_report_and_card_can_be_typed(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train(table, settings(), "my runs/R&D")
    report = html.unescape(Path("my runs/R&D/report.html").read_text(encoding="utf-8"))
    card = Path("my runs/R&D/README.md").read_text(encoding="utf-8")
    for text in (report, card):
        (line,) = set(re.findall(r"tidegate (predict .*? --out forecast.csv)", text)) - {
            "predict 'my runs/R&D' NEW_DATA.csv --out forecast.csv"
        }
        assert line == "predict 'my runs/R&D' --out forecast.csv"
        assert len(predict(shlex.split(line)[1])) == 6


@pytest.mark.parametrize("loss", ["mae", "quantile"])
@pytest.mark.parametrize("network", ["lstm", "attention-cnn-lstm"])
def test_refit_with_covariates_and_new_series(tmp_path: Path, loss: str, network: str) -> None:
    data = tmp_path / "known.parquet"
    covariates().with_columns(pl.lit("a").alias("unique_id")).write_parquet(data)
    given = {"past": ["temp", "weather"], "future": ["promo", "day"]}
    train(data, settings(network=network, data=given, training={"loss": loss}), tmp_path / "R")
    new = pl.concat([covariates(seed=n).with_columns(pl.lit(name).alias("unique_id")) for n, name in enumerate("ab")])
    frame = predict(tmp_path / "R", new, refit=True)
    assert len(frame) == 12 and np.isfinite(frame["y"].to_numpy()).all()


def test_new_series_are_said(tmp_path: Path) -> None:
    data = tmp_path / "panel.csv"
    panel().write_csv(data, datetime_format="%Y-%m-%d %H:%M")
    train(data, settings(), tmp_path / "R")
    new = panel((120,)).with_columns(pl.lit("z").alias("unique_id"))
    scores = evaluate(tmp_path / "R", new)
    assert any("1 series that training never saw" in note for note in scores.notes)
    assert not any("never saw" in note for note in evaluate(tmp_path / "R", panel()).notes)
    assert set(scores.metrics) == set(evaluate(tmp_path / "R").metrics)


def test_the_network_without_its_attention_beside_it(table: Path, tmp_path: Path) -> None:
    summary = train(table, settings(network="attention-cnn-lstm", training={"compare_without_attention": True}), tmp_path / "R")
    assert "without_attention" in summary.baselines
    assert "without_attention" not in summary.verdict
    assert "attention" in (tmp_path / "R" / "report.html").read_text()


@pytest.mark.parametrize("network", [{"name": "lstm"}, {"name": "attention-cnn-lstm", "attention": "none"}])
def test_there_is_nothing_to_compare_without_attention(table: Path, tmp_path: Path, network: dict[str, Any]) -> None:
    asked = build_config({"data": {"horizon": 6, "lookback": 24}, "network": network, "training": {"compare_without_attention": True}})
    with pytest.raises(SettingsError, match="needs a network with attention"):
        train(table, asked, tmp_path / "R")


def stop_after(epochs: int) -> tuple[Any, Any]:
    """A listener and the function that says to stop once so many epochs are over."""
    seen: list[Event] = []
    return seen.append, lambda: sum(isinstance(event, EpochEnded) for event in seen) >= epochs


@pytest.mark.parametrize("network", ["lstm", "attention-cnn-lstm"])
@pytest.mark.parametrize("epochs", [0, 1])
def test_interrupted_and_resumed(table: Path, tmp_path: Path, network: str, epochs: int) -> None:
    asked = settings(network=network, training={"max_epochs": 3})
    train(table, asked, tmp_path / "whole")
    listen, stop = stop_after(epochs)
    stopped = train(table, asked, tmp_path / "R", listen=listen, interrupted=stop)
    assert stopped.interrupted
    with pytest.raises(RunError, match="has not finished"):
        predict(tmp_path / "R")
    train(table, asked, tmp_path / "R", resume=True)
    assert weights(tmp_path / "R") == weights(tmp_path / "whole")
    logs = [
        [json.loads(line)["validation_loss"] for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()]
        for run in ("R", "whole")
    ]
    assert logs[0] == logs[1]


def test_resume_where_nothing_is_yet_starts(table: Path, tmp_path: Path) -> None:
    train(table, settings(), tmp_path / "whole")
    train(table, settings(), tmp_path / "R", resume=True)
    assert weights(tmp_path / "R") == weights(tmp_path / "whole")


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def test_resumed_after_a_death_before_any_write(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = settings(training={"learning_rate": "auto", "max_epochs": 2})
    train(table, asked, tmp_path / "whole")
    methods = {name: getattr(RunFolder, name) for name in ("write_bytes", "append_line", "seal")}
    for number in range(30):
        count = iter(range(1000))

        def dying(name: str, count: Iterator[int], number: int) -> Any:
            def write(self: RunFolder, *arguments: Any) -> None:
                if next(count) == number:
                    raise Killed
                methods[name](self, *arguments)

            return write

        for name in methods:
            monkeypatch.setattr(RunFolder, name, dying(name, count, number))
        out = tmp_path / f"R{number}"
        try:
            train(table, asked, out)
        except Killed:
            monkeypatch.undo()
            train(table, asked, out, resume=True)
            assert weights(out) == weights(tmp_path / "whole")
            assert len((out / "metrics.jsonl").read_text().splitlines()) == 2
        else:
            assert number >= 12, "so many writes there are at least"
            return
    pytest.fail("more writes than expected")


def test_resume_with_settings_in_other_words(table: Path, tmp_path: Path) -> None:
    given = {"frequency": "60min", "calendar": True, "season": [24]}
    asked = settings(data=given, training={"quantiles": [0.9, 0.1], "device": "auto"})
    listen, stop = stop_after(1)
    assert train(table, asked, tmp_path / "R", listen=listen, interrupted=stop).interrupted
    for key, value in (("hidden", 1), ("layers", 2)):
        other = asked.model_copy(update={"network": asked.network.model_copy(update={key: value})})
        with pytest.raises(RunError, match=f"network.{key} is .* there, {value} here"):
            train(table, other, tmp_path / "R", resume=True)
    train(table, asked, tmp_path / "R", resume=True)


def test_overwrite_replaces_a_finished_run(table: Path, tmp_path: Path) -> None:
    train(table, settings(), tmp_path / "R")
    first = weights(tmp_path / "R")
    train(table, settings(training={"seed": 5}), tmp_path / "R", overwrite=True)
    assert weights(tmp_path / "R") != first
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_training_error_brings_the_replaced_run_back(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(table, settings(), tmp_path / "R")
    before = weights(tmp_path / "R")

    def fail(*arguments: Any, **more: Any) -> None:
        raise TrainingError("The loss became nan.")

    monkeypatch.setattr(verbs, "fit_model", fail)
    with pytest.raises(TrainingError):
        train(table, settings(training={"seed": 5}), tmp_path / "R", overwrite=True)
    assert weights(tmp_path / "R") == before
    assert len(predict(tmp_path / "R")) == 6


def test_an_error_before_the_first_checkpoint_leaves_no_half_a_run(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(table, settings(), tmp_path / "R")
    before = weights(tmp_path / "R")

    def fail(*arguments: Any, **more: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(verbs, "fit_model", fail)
    for out, overwrite in ((tmp_path / "R", True), (tmp_path / "S", False)):
        with pytest.raises(MemoryError):
            train(table, settings(), out, overwrite=overwrite)
    assert weights(tmp_path / "R") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["R", "load.csv"]


def test_what_a_checkpoint_holds_is_kept_after_an_error(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **more: Any) -> None:
        raise OSError("the network is gone")

    monkeypatch.setattr(training, "log_epoch", lambda folder, event, listen: fail() if isinstance(event, Saved) else None)
    with pytest.raises(OSError, match="gone"):
        train(table, settings(), tmp_path / "R")
    monkeypatch.undo()
    assert (tmp_path / "R" / "checkpoint" / "state.safetensors").is_file()
    train(table, settings(), tmp_path / "R", resume=True)


def test_a_lookback_longer_than_the_training_part(table: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="lookback 100000: the training part has 210 steps.*at most 210"):
        train(table, settings(data={"lookback": 100_000}), tmp_path / "R")
    assert not (tmp_path / "R").exists()
    train(table, settings(data={"lookback": 200}, training={"max_steps": 1}), tmp_path / "R")


def test_two_processes_do_not_train_one_run(table: Path, tmp_path: Path) -> None:
    listen, stop = stop_after(1)
    train(table, settings(training={"max_epochs": 3}), tmp_path / "R", listen=listen, interrupted=stop)
    log = (tmp_path / "R" / "metrics.jsonl").read_bytes()
    begun = RunFolder.resume(tmp_path / "R")
    assert begun is not None
    with begun.training(), pytest.raises(RunError, match="Another process is training"):
        train(table, settings(training={"max_epochs": 3}), tmp_path / "R", resume=True)
    assert (tmp_path / "R" / "metrics.jsonl").read_bytes() == log
    train(table, settings(training={"max_epochs": 3}), tmp_path / "R", resume=True)
    assert "checkpoint/lock" not in RunFolder.open(tmp_path / "R").manifest["files"]


def test_predict_checks_its_output_first(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected a name that ends in"):
        predict(tmp_path / "none", out=tmp_path / "F.txt")


def test_scores_of_a_last_origin(table: Path, tmp_path: Path) -> None:
    train(table, settings(), tmp_path / "R")
    scores = evaluate(tmp_path / "R", origins=1)
    assert scores.origins == 1
    said = predict(tmp_path / "R", one_series()[:294])
    assert scores.metrics["mae"] == pytest.approx(np.abs(said["y"].to_numpy() - one_series()["y"][294:].to_numpy()).mean(), rel=1e-4)
    assert "too few origins (1, of at least 8)" in scores.verdict


def known_mean(scores: Any, observed: np.ndarray, level: float, origins: np.ndarray) -> None:
    errors = observed[origins[:, None] + np.arange(6)] - level
    assert scores.baselines["mean"]["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-4)


def test_the_mean_and_the_scale_of_training_are_kept_for_other_data(table: Path, tmp_path: Path) -> None:
    """New data of a known series is judged by what the training part said, not by its own first rows."""
    train(table, settings(), tmp_path / "R")
    trained, new = one_series()["y"].to_numpy()[:210], one_series(400, seed=3)
    scores = evaluate(tmp_path / "R", new)
    y = new["y"].to_numpy()
    known_mean(scores, y, trained.mean(), np.arange(28, 395, 6))
    change = np.abs(trained[24:] - trained[:-24]).mean()
    assert scores.metrics["mase"] == pytest.approx(scores.metrics["mae"] / change, rel=1e-4)
    assert not any("not known" in note for note in scores.notes)


def test_unknown_series_have_the_mean_up_to_each_origin(tmp_path: Path) -> None:
    data = tmp_path / "panel.csv"
    panel().write_csv(data, datetime_format="%Y-%m-%d %H:%M")
    train(data, settings(), tmp_path / "R")
    new = panel((120,)).with_columns(pl.lit("z").alias("unique_id"))
    scores = evaluate(tmp_path / "R", new, origins=10)
    y, origins = new["y"].to_numpy(), np.arange(60, 115, 6)
    errors = [y[origin : origin + 6] - y[:origin].mean() for origin in origins]
    assert scores.baselines["mean"]["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-4)
    assert scores.metrics["mase"] == pytest.approx(scores.metrics["mae"] / np.abs(y[24:60] - y[:36]).mean(), rel=1e-4)
    assert any("MASE is scaled by what lies before the first origin" in note for note in scores.notes)


def test_a_run_that_kept_the_ridge_alone_still_loads(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(table, settings(), tmp_path / "R")
    before, new = evaluate(tmp_path / "R"), one_series(400, seed=3)
    kept = RunFolder.read_tensors

    def ridge_alone(folder: RunFolder, name: str) -> dict[str, np.ndarray]:
        tensors = kept(folder, name)
        return {"ridge": tensors["ridge"]} if "ridge" in tensors else tensors

    monkeypatch.setattr(RunFolder, "read_tensors", ridge_alone)
    assert evaluate(tmp_path / "R").baselines == before.baselines
    scores = evaluate(tmp_path / "R", new)
    assert any("1 series whose training part is not known" in note for note in scores.notes)
    assert np.isfinite(scores.baselines["mean"]["mae"]) and np.isfinite(scores.metrics["mase"])


def test_missing_values_that_training_did_not_have_are_said(table: Path, tmp_path: Path) -> None:
    train(table, settings(), tmp_path / "R")
    gap = one_series(200).with_columns(pl.when(pl.int_range(200) == 100).then(None).otherwise(pl.col("y")).alias("y"))
    assert sum("missing values in the lookback" in note for note in evaluate(tmp_path / "R", gap).notes) == 1
    assert not any("missing values in the lookback" in note for note in evaluate(tmp_path / "R").notes)


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_a_finished_run_shows_the_order_of_its_leaderboard(tmp_path: Path, loss: str) -> None:
    """Several targets are ordered by MASE, whatever the loss: the error of the largest unit does not decide."""
    frame = one_series().with_columns(big=1e4 * pl.Series(np.random.default_rng(0).normal(size=300).cumsum()))
    asked = settings(data={"target": ["y", "big"]}, training={"loss": loss})
    summary = train(frame, asked, tmp_path / "R")
    again = train(frame, asked, tmp_path / "R", resume=True)
    kept = pl.read_csv(tmp_path / "R" / "leaderboard.csv")
    assert [row["name"] for row in again.table] == [row["name"] for row in summary.table] == kept["name"].to_list()
    assert kept["mase"].is_sorted() and not kept["mae"].is_sorted()
    assert " in MASE over " in summary.verdict
