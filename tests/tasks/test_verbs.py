"""train, evaluate and predict on run folders."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.tasks.tiny import config, covariates, hours, one_series, panel
from tidegate.config import Config, build_config
from tidegate.errors import RunError, SettingsError, TrainingError
from tidegate.runs.folder import RunFolder
from tidegate.tasks import forecast as verbs
from tidegate.tasks.forecast import evaluate, predict, train
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


def test_predict_checks_its_output_first(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="expected a name that ends in"):
        predict(tmp_path / "none", out=tmp_path / "F.txt")


def test_scores_of_a_last_origin(table: Path, tmp_path: Path) -> None:
    train(table, settings(), tmp_path / "R")
    scores = evaluate(tmp_path / "R", origins=1)
    assert scores.origins == 1
    said = predict(tmp_path / "R", one_series()[:294])
    assert scores.metrics["mae"] == pytest.approx(np.abs(said["y"].to_numpy() - one_series()["y"][294:].to_numpy()).mean(), rel=1e-4)
    assert "too few to tell" in scores.verdict
