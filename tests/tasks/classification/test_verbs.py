"""train, evaluate and predict of classification, on run folders."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.tasks.classification.tiny import config, long_table, names, ragged, waves, write_pair, write_ts
from tests.tasks.forecasting.tiny import config as forecast_config
from tests.tasks.forecasting.tiny import one_series
from tidegate.config import build_config, build_settings
from tidegate.config_classify import ClassConfig
from tidegate.data.labelled import from_arrays
from tidegate.errors import DataError, RunError, TrainingError
from tidegate.runs.folder import RunFolder
from tidegate.tasks.classification import verbs
from tidegate.tasks.classification.verbs import evaluate, predict, train
from tidegate.tasks.forecasting.verbs import train as train_forecast
from tidegate.train.events import EpochEnded, Event, Said, Started

ENSEMBLE = {"members": 2}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pair waves_TRAIN.ts and waves_TEST.ts, and the run R trained on it."""
    folder = tmp_path_factory.mktemp("trained")
    own, test = write_pair(folder)
    train(own, config(), folder / "R", test=test)
    return folder


def weights(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


def stop_after(epochs: int) -> tuple[Callable[[Event], None], Callable[[], bool]]:
    """A listener, and a function that says stop once so many epochs have ended, of all networks together."""
    ended: list[Event] = []
    return lambda event: ended.append(event) if isinstance(event, EpochEnded) else None, lambda: len(ended) >= epochs


def test_a_run_folder_holds_all_it_should(tmp_path: Path) -> None:
    own, test = write_pair(tmp_path)
    events: list[Event] = []
    summary = train(own, config(), tmp_path / "R", test=test, listen=events.append)
    files = {path.name for path in (tmp_path / "R").iterdir()}
    expected = {"config.json", "model.safetensors", "preparation.json", "metrics.jsonl", "leaderboard.csv", "report.html", "README.md"}
    assert files == expected | {"run.json", "scores.json", "baselines.safetensors"}
    manifest = json.loads((tmp_path / "R" / "run.json").read_text())
    assert (manifest["state"], manifest["task"], manifest["data"]["rows"], manifest["data"]["test"]["rows"]) == (
        "finished",
        "classify",
        480,
        240,
    )
    assert set(manifest["files"]) == files - {"run.json"}
    assert list(pl.read_csv(tmp_path / "R" / "leaderboard.csv")["name"]) == [row["name"] for row in summary.table]
    assert {type(event) for event in events} >= {Said, Started, EpochEnded}
    assert (summary.task, summary.interrupted, summary.folder) == ("classify", False, tmp_path / "R")
    kept = json.loads((tmp_path / "R" / "config.json").read_text())["training"]
    assert None not in [kept[name] for name in ("batch_size", "members", "max_epochs", "threads")], "nothing is left open"


def test_a_learning_rate_that_is_found_is_kept_and_said(tmp_path: Path) -> None:
    own, test = write_pair(tmp_path)
    said: list[Event] = []
    train(own, config(training={"learning_rate": "auto"}), tmp_path / "R", test=test, listen=said.append)
    rate = json.loads((tmp_path / "R" / "config.json").read_text())["training"]["learning_rate"]
    assert isinstance(rate, float) and Said(f"learning rate: {rate:.2g}, from the finder") in said


def test_scores_of_training_and_of_evaluate_are_the_same(trained: Path, tmp_path: Path) -> None:
    kept = json.loads((trained / "R" / "scores.json").read_text())
    again = evaluate(trained / "R")
    assert again.metrics == kept["metrics"] and again.baselines == kept["baselines"] and again.verdict == kept["verdict"]
    assert set(again.metrics) == {"accuracy", "balanced_accuracy", "f1_macro", "log_loss", "roc_auc", "ece"}
    assert set(again.baselines) == {"majority", "summary_logistic", "nearest_neighbour"}
    assert again.sequences == 12 and again.classes == ("fast", "slow") and np.sum(again.confusion) == 12
    assert again.notes == []
    alone = train(trained / "waves_TRAIN.ts", config(), tmp_path / "S")
    assert evaluate(tmp_path / "S").metrics == alone.metrics
    assert evaluate(tmp_path / "S").sequences == 4, "a fifth of each class is held aside"


def test_evaluate_on_other_data(trained: Path, tmp_path: Path) -> None:
    X, y = waves(30, 7)
    scores = evaluate(trained / "R", write_ts(tmp_path / "other.ts", X, names(y)))
    assert scores.sequences == 30 and set(scores.baselines) == {"majority", "summary_logistic", "nearest_neighbour"}
    said = predict(trained / "R", tmp_path / "other.ts")
    assert scores.metrics["accuracy"] == np.mean(said["label"].to_numpy() == np.array(names(y)))
    assert evaluate(trained / "R", trained / "waves_TEST.ts").metrics == evaluate(trained / "R").metrics
    table = long_table(X, names(y)).rename({"x": "value"})
    assert evaluate(trained / "R", table).metrics == scores.metrics


def test_minirocket_is_asked_too(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("aeon", reason="needs the extra `baselines`")
    scores, plain = evaluate(trained / "R", minirocket=True), evaluate(trained / "R")
    rocket = scores.baselines.pop("minirocket")
    assert scores.baselines == plain.baselines and scores.metrics == plain.metrics
    assert rocket["accuracy"] > plain.baselines["majority"]["accuracy"] and "minirocket" in scores.verdict
    X, y = waves(30, 7)
    assert "minirocket" in evaluate(trained / "R", write_ts(tmp_path / "other.ts", X, names(y)), minirocket=True).baselines
    train(write_ts(tmp_path / "gone.ts", X, names(y)), config(), tmp_path / "S")
    (tmp_path / "gone.ts").unlink()
    with pytest.raises(RunError, match="is not there"):
        evaluate(tmp_path / "S", trained / "waves_TEST.ts", minirocket=True)


def test_test_sequences_without_a_label_are_left_out_and_said(tmp_path: Path) -> None:
    own, test = write_pair(tmp_path, [*"??", *names(np.arange(10) % 2)])
    events: list[Event] = []
    train(own, config(), tmp_path / "R", test=test, listen=events.append)
    note = "2 of 12 sequences have no label, the first: waves_TEST.ts, line 4"
    assert Said(note) in events
    scores = evaluate(tmp_path / "R")
    assert scores.sequences == 10 and scores.notes == [note]
    assert evaluate(tmp_path / "R", test).metrics == scores.metrics
    assert len(predict(tmp_path / "R", test)) == 12
    with pytest.raises(DataError, match=r"none.ts: no sequence has a label. Give labelled data to score on"):
        evaluate(tmp_path / "R", write_ts(tmp_path / "none.ts", waves(4)[0], ["?"] * 4))


def test_a_class_that_training_never_saw_counts_as_wrong_and_is_said(tmp_path: Path) -> None:
    own, test = write_pair(tmp_path, [*names(np.arange(9) % 2), *["new"] * 3])
    events: list[Event] = []
    train(own, config(), tmp_path / "R", test=test, listen=events.append)
    note = "3 sequences of waves_TEST.ts are of a class that training never saw ('new'): each counts as wrong"
    assert Said(note) in events
    scores = evaluate(tmp_path / "R")
    assert scores.sequences == 12 and scores.metrics["accuracy"] <= 9 / 12
    assert scores.notes == [note]
    assert evaluate(tmp_path / "R", test).metrics == scores.metrics
    assert evaluate(tmp_path / "R", test).notes == [note]
    only = write_ts(tmp_path / "new.ts", waves(4)[0], ["new"] * 4)
    assert evaluate(tmp_path / "R", only).metrics["accuracy"] == 0.0
    predict(tmp_path / "R", test, listen=events.append)
    assert events.count(Said(note)) == 1, "where nothing is scored nothing is wrong"


def test_a_class_of_one_sequence_is_said(tmp_path: Path) -> None:
    X, y = waves(12)
    own = write_ts(tmp_path / "one.ts", X, [*names(y[:-1]), "rare"])
    events: list[Event] = []
    train(own, config(), tmp_path / "R", listen=events.append)
    assert Said("1 class with one sequence only ('rare'): it is trained on, and none is held aside") in events
    assert predict(tmp_path / "R").columns == ["id", "label", "p_fast", "p_rare", "p_slow"]
    assert not any("one sequence only" in note for note in evaluate(tmp_path / "R", own).notes)


@pytest.mark.parametrize(
    ("ids", "dtype"),
    [([*range(100, 124)], pl.Int64), ([f"s{n:02}" for n in range(24)], pl.String), ([f"{n:03}" for n in range(24)], pl.String)],
)
def test_ids_have_the_type_that_came_in(tmp_path: Path, ids: list[Any], dtype: Any) -> None:
    X, y = ragged()
    data = tmp_path / "long.parquet"
    long_table(X, names(y), id="unique_id", label="kind", ids=ids).write_parquet(data)
    train(data, config(data={"label": "kind"}), tmp_path / "R")
    frame = predict(tmp_path / "R", data)
    assert frame.columns == ["unique_id", "kind", "p_fast", "p_slow"]
    assert frame["unique_id"].to_list() == ids and frame.schema["unique_id"] == dtype
    np.testing.assert_allclose(frame.select("p_fast", "p_slow").sum_horizontal(), 1.0)
    likelier = np.where(frame["p_fast"].to_numpy() > 0.5, "fast", "slow")
    assert frame["kind"].to_list() == likelier.tolist()
    assert set(predict(tmp_path / "R")["unique_id"]) < set(ids)


@pytest.mark.parametrize(
    ("labels", "dtype", "columns", "column"),
    [
        (np.array([3, 12]), pl.Int64, ["p_3", "p_12"], "class"),
        (np.array([0.5, 1.0]), pl.Float64, ["p_0.5", "p_1"], "target"),
        (np.array([False, True]), pl.Boolean, ["p_false", "p_true"], "label"),
        (np.array(["a", "b"]), pl.String, ["p_a", "p_b"], "class"),
    ],
)
def test_classes_come_out_under_the_name_and_of_the_type_of_the_label(
    tmp_path: Path, labels: np.ndarray, dtype: Any, columns: list[str], column: str
) -> None:
    X, y = ragged()
    data = tmp_path / "long.parquet"
    long_table(X, labels[y].tolist(), label=column).write_parquet(data)
    train(data, config(training={"max_epochs": 1}), tmp_path / "R")
    frame = predict(tmp_path / "R", data)
    assert frame.columns == ["id", column, *columns] and frame.schema[column] == dtype
    assert set(frame[column]) <= set(labels.tolist())
    unlabelled = long_table(X)
    events: list[Event] = []
    assert predict(tmp_path / "R", unlabelled, listen=events.append).equals(frame), "labels are not needed"
    assert events == []


def test_a_label_that_is_called_as_a_probability(tmp_path: Path) -> None:
    X, y = ragged()
    data = long_table(X, names(y), id="p_slow", label="p_fast")
    train(data, config(data={"id": "p_slow", "label": "p_fast"}), tmp_path / "R")
    assert predict(tmp_path / "R", data).columns == ["p_slow", "p_fast", "p_fast_", "p_slow_"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_classes_in_a_file(trained: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"F{suffix}"
    frame = predict(trained / "R", out=out)
    read = {".csv": pl.read_csv, ".parquet": pl.read_parquet, ".jsonl": pl.read_ndjson}[suffix](out)
    assert read.columns == frame.columns and read["label"].to_list() == frame["label"].to_list() and len(read) == 12
    np.testing.assert_allclose(read["p_slow"].to_numpy(), frame["p_slow"].to_numpy())


def test_data_that_is_gone_or_has_changed(tmp_path: Path) -> None:
    own, test = write_pair(tmp_path)
    run, other = tmp_path / "R", write_ts(tmp_path / "other.ts", waves(8, 3)[0], names(np.arange(8) % 2))
    train(own, config(), run, test=test)
    whole = evaluate(run, other)
    for path in (own, test):
        content = path.read_text()
        path.write_text(content.replace("0.1", "0.7"))
        with pytest.raises(RunError, match=f"{path.name} has changed since .* was trained.*tidegate evaluate {run} {path}"):
            evaluate(run)
        path.unlink()
        with pytest.raises(RunError, match=f"lay at {path} and is not there. Give the data"):
            predict(run)
        assert len(predict(run, other)) == 8, "what is new needs none of it"
        scores = evaluate(run, other)
        assert scores.metrics == whole.metrics and set(scores.baselines) == {"majority", "summary_logistic"}
        assert any("without the rival 'nearest_neighbour', which is the training data itself" in note for note in scores.notes)
        path.write_text("broken")
        assert evaluate(run, other).metrics == whole.metrics, "what cannot be read is as good as gone"
        path.write_text(content)
    assert evaluate(run, other).baselines == whole.baselines


def test_arrays_are_not_kept(tmp_path: Path) -> None:
    X, y = waves()
    train(from_arrays(X, y), config(), tmp_path / "R")
    for verb in (evaluate, predict):
        with pytest.raises(RunError, match="was trained on arrays or a frame, which are not kept. Give the data"):
            verb(tmp_path / "R")
    assert predict(tmp_path / "R", X)["label"].dtype == pl.Int64
    scores = evaluate(tmp_path / "R", from_arrays(X, y))
    assert scores.sequences == 24 and "nearest_neighbour" not in scores.baselines


def test_the_nearest_neighbour_is_no_part_of_a_run_and_is_fitted_again(trained: Path) -> None:
    folder = RunFolder.open(trained / "R")
    tensors = folder.read_tensors("baselines.safetensors")
    assert {name.split(".")[0] for name in tensors} == {"majority", "summary_logistic"}
    values = np.round(waves(24, 0)[0], 4).astype(np.float32).ravel()
    for name in ("baselines.safetensors", "model.safetensors"):
        for array in folder.read_tensors(name).values():
            assert not np.isin(values, array).mean() > 0.5, "training data is in the run"
    assert evaluate(trained / "R").baselines["nearest_neighbour"]["accuracy"] == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("members", [1, 2])
def test_a_stopped_training_goes_on_to_the_same_bits(tmp_path: Path, members: int) -> None:
    own, test = write_pair(tmp_path)
    asked = config(network={"dropout": 0.2}, training={"members": members, "checkpoint_seconds": 0.001})
    train(own, asked, tmp_path / "whole", test=test)
    for number, epochs in enumerate([2] if members == 1 else [1, 4]):
        run = tmp_path / f"R{number}"
        listen, stop = stop_after(epochs)
        assert train(own, asked, run, test=test, listen=listen, interrupted=stop).interrupted
        assert (run / "checkpoint" / "state.safetensors").is_file() and not (run / "model.safetensors").exists()
        events: list[Event] = []
        summary = train(own, asked, run, test=test, resume=True, listen=events.append)
        assert weights(run) == weights(tmp_path / "whole")
        assert (run / "scores.json").read_bytes() == (tmp_path / "whole" / "scores.json").read_bytes()
        logs = [[json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()] for path in (run, tmp_path / "whole")]
        assert [row["train_loss"] for row in logs[0]] == [row["train_loss"] for row in logs[1]]
        assert [row["epoch"] for row in logs[0]] == [0, 1, 2] * members
        assert summary.seconds == pytest.approx(sum(row["seconds"] for row in logs[0] if row["epoch"] == 2)), "of all networks"
        said = [event.text for event in events if isinstance(event, Said) and event.text.startswith("network")]
        assert said == ([f"network {number} of 2" for number in range(1 + epochs // 4, 3)] if members == 2 else [])
        again = train(own, asked, run, test=test, resume=True, listen=events.append)
        assert again.metrics == summary.metrics and "finished already" in str(events[-1])


def test_resume_refuses_other_settings_and_other_data(tmp_path: Path) -> None:
    own, test = write_pair(tmp_path)
    listen, stop = stop_after(1)
    train(own, config(), tmp_path / "R", test=test, listen=listen, interrupted=stop)
    before = {path: path.read_bytes() for path in (tmp_path / "R").rglob("*") if path.is_file()}
    for change, words in (
        ({"network": {"hidden": 9}}, "network.hidden is 8 there, 9 here"),
        ({"training": {"members": 2}}, "training.members is 1 there, 2 here"),
        ({"training": {"seed": 3}}, "training.seed is 0 there, 3 here"),
        ({"data": {"validation": 0.3}}, "data.validation is 0.2 there, 0.3 here"),
    ):
        with pytest.raises(RunError, match=words):
            train(own, config(**change), tmp_path / "R", test=test, resume=True)
    with pytest.raises(RunError, match="was begun with .*waves_TEST.ts. Give the same command"):
        train(own, config(), tmp_path / "R", resume=True)
    for path in (own, test):
        content = path.read_text()
        path.write_text(content.replace("0.1", "0.7"))
        with pytest.raises(RunError, match=f"{path.name} has changed since this run began"):
            train(own, config(), tmp_path / "R", test=test, resume=True)
        path.write_text(content)
    with pytest.raises(RunError, match="holds a run that has not finished"):
        train(own, config(), tmp_path / "R", test=test)
    assert {path: path.read_bytes() for path in (tmp_path / "R").rglob("*") if path.is_file()} == before
    assert not train(own, config(), tmp_path / "R", test=test, resume=True).interrupted
    listen, stop = stop_after(1)
    train(own, config(), tmp_path / "S", listen=listen, interrupted=stop)
    with pytest.raises(RunError, match="was begun with no test data. Give the same command"):
        train(own, config(), tmp_path / "S", test=test, resume=True)


def test_a_run_of_the_other_task_is_refused(trained: Path, tmp_path: Path) -> None:
    table = tmp_path / "load.csv"
    one_series().write_csv(table, datetime_format="%Y-%m-%d %H:%M")
    asked = build_config(forecast_config(data={"horizon": 6, "lookback": 24}, network={"name": "lstm"}, training={"max_steps": 1}))
    train_forecast(table, asked, tmp_path / "forecast")
    for verb in (evaluate, predict):
        with pytest.raises(RunError, match="holds a run of the task 'forecast'; expected 'classify'"):
            verb(tmp_path / "forecast")
    with pytest.raises(RunError, match="holds a run of the task 'forecast'; expected 'classify'"):
        train(trained / "waves_TRAIN.ts", config(), tmp_path / "forecast", resume=True)
    with pytest.raises(RunError, match="holds a run of the task 'classify'; expected 'forecast'"):
        train_forecast(table, asked, trained / "R", resume=True)


def test_only_overwrite_replaces_a_run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(trained / "R", tmp_path / "R")
    own, test, before = trained / "waves_TRAIN.ts", trained / "waves_TEST.ts", weights(trained / "R")
    with pytest.raises(RunError, match="holds a finished run. Replace it with --overwrite"):
        train(own, config(), tmp_path / "R", test=test)

    def fail(*arguments: Any, **more: Any) -> None:
        raise TrainingError("The loss became nan.")

    with monkeypatch.context() as patched:
        patched.setattr(verbs, "fit_classes", fail)
        with pytest.raises(TrainingError):
            train(own, config(), tmp_path / "R", test=test, overwrite=True)
    assert weights(tmp_path / "R") == before
    train(own, config(training={"seed": 5}), tmp_path / "R", test=test, overwrite=True)
    assert weights(tmp_path / "R") != before
    assert [path.name for path in tmp_path.iterdir()] == ["R"]


def test_nothing_to_score_is_no_error(tmp_path: Path) -> None:
    """A sequence of each class: all are trained on."""
    own = write_ts(tmp_path / "two.ts", waves(2)[0], ["a", "b"])
    summary = train(own, config(), tmp_path / "R")
    assert summary.verdict == "There is no sequence to score it on."
    assert all(np.isnan(value) for value in summary.metrics.values())
    assert len(predict(tmp_path / "R")) == 0 and len(predict(tmp_path / "R", own)) == 2


def test_what_training_knew_by_a_column_the_archive_holds_without_a_name(tmp_path: Path) -> None:
    X, y = waves(channels=2)
    table = long_table(X, names(y), label="kind")
    train(table, config(data={"label": "kind", "id": "id", "time": "time", "channels": ["x", "y"]}), tmp_path / "R")
    expected = predict(tmp_path / "R", table)
    archive = write_ts(tmp_path / "same.ts", X, names(y))
    found = predict(tmp_path / "R", archive)
    np.testing.assert_allclose(found["p_slow"].to_numpy(), expected["p_slow"].to_numpy(), atol=1e-6)
    assert evaluate(tmp_path / "R", archive).metrics["accuracy"] == evaluate(tmp_path / "R", table).metrics["accuracy"]
    np.testing.assert_allclose(predict(tmp_path / "R", X)["p_slow"].to_numpy(), expected["p_slow"].to_numpy(), atol=1e-6)
    for label in ("slow", "fast"):
        (tmp_path / "folder" / label).mkdir(parents=True)
        for number in np.flatnonzero(np.array(names(y)) == label):
            pl.DataFrame({"x": X[number, :, 0], "y": X[number, :, 1], "time": range(20)}).write_csv(
                tmp_path / "folder" / label / f"{number:02}.csv"
            )
    scores = evaluate(tmp_path / "R", tmp_path / "folder")
    assert scores.sequences == 24 and scores.metrics == pytest.approx(evaluate(tmp_path / "R", table).metrics, abs=1e-5)


def test_what_is_kept_gives_the_same_weights(trained: Path, tmp_path: Path) -> None:
    kept = build_settings(json.loads((trained / "R" / "config.json").read_text()), ClassConfig)
    train(trained / "waves_TRAIN.ts", kept, tmp_path / "S", test=trained / "waves_TEST.ts")
    assert weights(tmp_path / "S") == weights(trained / "R")


@pytest.mark.parametrize("begun", [{"training": {"seed": 5}}, {"data": {"scaling": "none"}}, {"data": {"validation": 0.4}}])
def test_what_is_not_asked_for_again_on_resume_is_as_it_was(tmp_path: Path, begun: dict[str, Any]) -> None:
    """The parts and the scale too: no sequence that was trained on may come into the test part."""
    own, _ = write_pair(tmp_path)
    train(own, config(**begun), tmp_path / "whole")
    listen, stop = stop_after(1)
    assert train(own, config(**begun), tmp_path / "R", listen=listen, interrupted=stop).interrupted
    train(own, config(), tmp_path / "R", resume=True)
    for name in ("model.safetensors", "preparation.json", "config.json"):
        assert (tmp_path / "R" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    kept = [json.loads((tmp_path / run / "scores.json").read_text())["metrics"] for run in ("R", "whole")]
    assert kept[0] == kept[1]


def test_null_is_asked_for_where_nothing_follows_from_the_data(tmp_path: Path) -> None:
    own, _ = write_pair(tmp_path)
    listen, stop = stop_after(1)
    train(own, config(), tmp_path / "R", listen=listen, interrupted=stop)
    with pytest.raises(RunError, match=r"training\.clip_norm is 1\.0 there, None here"):
        train(own, config(training={"clip_norm": None}), tmp_path / "R", resume=True)
    train(own, config(training={"batch_size": None}), tmp_path / "R", resume=True)


def test_a_code_for_missing_that_is_too_large_to_compute_with(tmp_path: Path) -> None:
    X, y = waves(24)
    run = tmp_path / "R"
    frame = long_table(X, y)
    train(frame, config(), run)
    far = pl.when(pl.int_range(pl.len()) == 3).then(9.96921e36).otherwise(pl.col("x")).alias("x")
    for call in (evaluate, predict):
        with pytest.raises(DataError, match=r"9\.96921e\+36 is farther from those of training"):
            call(run, frame.with_columns(far))
