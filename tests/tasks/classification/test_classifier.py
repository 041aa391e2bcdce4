"""The estimator on small data: what goes in, what comes out, what is kept, what is refused."""

import errno
import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

import tidegate as tg
from tests.tasks.classification.tiny import long_table, names, ragged, settings, waves, write_pair
from tidegate.config import build_settings
from tidegate.config_classify import ClassConfig
from tidegate.data.labelled import from_arrays
from tidegate.errors import DataError, RunError, SettingsError


def classifier(**changes: Any) -> tg.Classifier:
    return tg.Classifier(config=settings(**changes))


@pytest.fixture(scope="module")
def fitted() -> tg.Classifier:
    """Trained on arrays [n, T, 2]."""
    return classifier().fit(*waves(channels=2))


def test_the_constructor_only_stores_and_fit_returns_self(tmp_path: Path) -> None:
    tree = settings()
    model = tg.Classifier(network="lstm", max_epochs=2, seed=3, config=tree)
    assert (model.network, model.max_epochs, model.time_limit, model.seed, model.device) == ("lstm", 2, None, 3, None)
    assert model.config is tree
    calls: list[Any] = [
        model.predict,
        model.predict_proba,
        model.evaluate,
        model.stream,
        lambda: model.save(tmp_path),
        lambda: model.classes,
    ]
    for call in calls:
        with pytest.raises(SettingsError, match=r"not fitted yet. Call fit\(data\) first"):
            call()
    assert model.fit(*waves()) is model
    assert isinstance(model.config, ClassConfig) and (model.config.training.seed, model.config.training.max_epochs) == (3, 2)
    assert tree == settings(), "what was given is not changed"
    assert [epoch["epoch"] for epoch in model.history] == [0, 1] and model.classes == ("0", "1")
    first = model.predict_proba()
    assert not np.array_equal(model.fit(*waves(seed=9)).predict_proba(), first) and len(model.history) == 2
    with pytest.raises(SettingsError, match="max_epochs"):
        tg.Classifier(max_epochs=0).fit(*waves())
    with pytest.raises(SettingsError, match=r"Unknown network 'lstn'. Did you mean 'lstm'\?"):
        tg.Classifier(network="lstn").fit(*waves())
    with pytest.raises(SettingsError, match="config is 3; expected a ClassConfig"):
        tg.Classifier(config=3).fit(*waves())  # type: ignore[arg-type]


def test_typed_settings_and_plain_ones_are_the_same() -> None:
    typed = tg.Classifier(config=build_settings(settings(), ClassConfig)).fit(*waves())
    np.testing.assert_array_equal(typed.predict_proba(), classifier().fit(*waves()).predict_proba())


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    model = classifier(training={"max_epochs": 1}).fit(*waves())
    model.predict()
    model.evaluate()
    assert capfd.readouterr() == ("", "")


def test_arrays_of_every_shape_are_the_same_sequences() -> None:
    X, y = waves()
    forms: list[tuple[Any, Any]] = [
        (X, y),
        (X[:, :, 0], y.tolist()),
        (list(X), pd.Series(y)),
        (X[:, :, 0].tolist(), pl.Series(y)),
        (torch.from_numpy(X), torch.from_numpy(y)),
        ([torch.from_numpy(one) for one in X], list(y)),
    ]
    expected = classifier().fit(X, y)
    for data, labels in forms:
        model = classifier().fit(data, labels)
        np.testing.assert_array_equal(model.predict_proba(data), expected.predict_proba(X))
        said = model.predict(data)
        assert isinstance(said, np.ndarray) and said.shape == (24,) and said.dtype.kind == "i"
        np.testing.assert_array_equal(said, np.array(expected.classes, int)[expected.predict_proba(X).argmax(1)])


def test_ragged_sequences_with_gaps() -> None:
    X, y = ragged(channels=2, gaps=True)
    model = classifier().fit(X, y, channels=["a", "b"])
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (24, 2) and probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(1), 1.0)
    for number in (0, 7):
        np.testing.assert_allclose(model.predict_proba([X[number]])[0], probabilities[number], atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "kind"), [([7, -1], "i"), (["café", "b"], "O"), ([True, False], "b"), ([0.5, 2.25], "f"), ([1.0, 0.25], "f")]
)
def test_labels_come_back_as_they_were(labels: list[Any], kind: str, tmp_path: Path) -> None:
    X, y = waves(16)
    given = [labels[number] for number in y]
    model = classifier(training={"max_epochs": 1}).fit(X, given)
    for one in (model, tg.load(model.save(tmp_path / "R"))):
        said = one.predict(X)
        assert said.dtype.kind == kind and set(said.tolist()) <= set(labels)
        assert {type(value) for value in said.tolist()} == {type(labels[0])}
        assert len(one.classes) == 2  # type: ignore[union-attr]


def test_a_frame_in_gives_a_frame_of_its_kind_out() -> None:
    X, y = ragged(channels=2)
    frame = long_table(X, names(y), label="kind", ids=[f"s{number}" for number in range(24)])
    model = classifier().fit(frame, "kind", time="time")
    said = model.predict(frame)
    assert isinstance(said, pl.DataFrame) and said.columns == ["id", "kind", "p_fast", "p_slow"]
    assert said["id"].to_list() == [f"s{number}" for number in range(24)]
    np.testing.assert_array_equal(said.select("p_fast", "p_slow").to_numpy(), model.predict_proba(frame))
    assert model.predict(frame.drop("kind")).equals(said)
    assert isinstance(model.predict(), pl.DataFrame) and len(model.predict()) == 4
    pandas = classifier().fit(frame.to_pandas(), label="kind", time="time")
    again = pandas.predict(frame.to_pandas())
    assert isinstance(again, pd.DataFrame) and list(again["kind"]) == said["kind"].to_list()
    np.testing.assert_array_equal(again[["p_fast", "p_slow"]].to_numpy(), said.select("p_fast", "p_slow").to_numpy())
    assert isinstance(pandas.predict(), pd.DataFrame)
    arrays = classifier().fit(X, names(y))
    np.testing.assert_array_equal(arrays.predict_proba(X), model.predict_proba(frame))


@pytest.mark.parametrize("members", [1, 2])
def test_saved_and_loaded_it_says_the_same(tmp_path: Path, members: int) -> None:
    own, test = write_pair(tmp_path)
    model = classifier(training={"members": members}).fit(own, test=test)
    scores = model.evaluate()
    run = model.save(tmp_path / "R")
    again = tg.load(run)
    assert isinstance(again, tg.Classifier)
    np.testing.assert_array_equal(again.predict_proba(test), model.predict_proba(test))
    np.testing.assert_array_equal(again.predict_proba(), model.predict_proba())
    assert again.predict().equals(model.predict())
    if importlib.util.find_spec("aeon"):
        assert again.evaluate(minirocket=True).to_json() == model.evaluate(minirocket=True).to_json()
    assert again.evaluate().to_json() == scores.to_json() and again.evaluate(test).metrics == scores.metrics
    assert again.classes == model.classes == ("fast", "slow")
    assert again.history == model.history and len(model.history) == 3 * members and again.notes == model.notes
    assert not list(run.rglob("*.pkl")) and not (run / "checkpoint").exists()
    assert json.loads((run / "scores.json").read_text())["metrics"] == scores.metrics
    with pytest.raises(RunError, match="holds a finished run"):
        model.save(run)
    copy = again.save(tmp_path / "copy")
    np.testing.assert_array_equal(tg.load(copy).predict_proba(test), model.predict_proba(test))  # type: ignore[union-attr]
    assert again.save(copy, overwrite=True) == copy
    assert {path.name for path in tmp_path.iterdir()} == {own.name, test.name, "R", "copy"}


def test_what_was_trained_on_arrays_is_loaded_without_them(fitted: tg.Classifier, tmp_path: Path) -> None:
    again = tg.load(fitted.save(tmp_path / "R"))
    assert isinstance(again, tg.Classifier)
    X, y = waves(30, 5, channels=2)
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    scores = again.evaluate(X, y)
    assert scores.metrics == fitted.evaluate(X, y).metrics
    assert "nearest_neighbour" in fitted.evaluate(X, y).baselines and "nearest_neighbour" not in scores.baselines
    for call in (again.predict, again.evaluate, again.predict_proba):
        with pytest.raises(RunError, match="was trained on arrays or a frame, which are not kept"):
            call()


def test_a_save_that_fails_leaves_nothing(fitted: tg.Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **more: Any) -> None:
        raise RunError("the disk is full")

    run = fitted.save(tmp_path / "R")
    before = (run / "run.json").read_bytes()
    monkeypatch.setattr("tidegate.tasks.classification.classifier.finish", fail)
    for path in (run, tmp_path / "S"):
        with pytest.raises(RunError, match="full"):
            fitted.save(path, overwrite=True)
    assert (run / "run.json").read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["R"]


def test_scores_on_the_part_held_aside_and_on_other_data(fitted: tg.Classifier) -> None:
    scores = fitted.evaluate()
    assert scores.sequences == 4 and scores.table[0]["rank"] == 1
    X, y = waves(30, 5, channels=2)
    scores = fitted.evaluate(X, y)
    assert scores.metrics["accuracy"] == pytest.approx((fitted.predict(X) == y).mean())
    assert set(scores.baselines) == {"majority", "summary_logistic", "nearest_neighbour"}
    assert scores._repr_html_().count("<tr") == 5, "a notebook shows the table"
    some: list[Any] = [*y[:20], *[None] * 10]
    assert fitted.evaluate(X, some).sequences == 20
    with pytest.raises(DataError, match="arrays: no sequence has a label. Give labelled data"):
        fitted.evaluate(X)


def test_test_arrays_are_scored() -> None:
    X, y = waves()
    model = classifier().fit(X, y, test=waves(10, 3))
    assert model.evaluate().sequences == 10
    strange: list[Any] = [*[5] * 3, *[0, 1] * 3, None]
    model.fit(X, y, test=(waves(10, 3)[0], strange))
    scores = model.evaluate()
    assert scores.sequences == 9 and scores.metrics["accuracy"] <= 6 / 9
    assert any("1 of 10 sequences have no label" in note for note in model.notes)
    assert any("are of a class that training never saw ('5'): each counts as wrong" in note for note in model.notes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (long_table(*waves(8)), [0] * 8),
            "y is given beside a table or a file, which holds its labels itself. Name their column with label=",
        ),
        ((long_table(waves(8)[0]),), "data frame: no sequence has a label. Name the column that holds it with --label"),
        ((waves(8)[0],), "arrays: no sequence has a label. .* for arrays give y"),
        ((waves(8)[0], [0] * 8), "all 8 sequences are of class '0'; expected two classes or more"),
        ((waves(8)[0], [0, 1] * 3), r"y has the shape \[6\], but X holds 8 sequences"),
        ((waves(8)[0], [*[0, 1] * 3, 1, None]), r"arrays, sequence '8': no label \(1 of 8 sequences have none\)"),
        ((long_table(*waves(8)), "kind"), "no column 'kind' .--label."),
        (("none.ts",), "No such file"),
    ],
)
def test_data_that_cannot_be_trained_on(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        classifier().fit(*arguments)


def test_other_channels_are_refused(fitted: tg.Classifier) -> None:
    words = r"arrays has 3 channels \(channel_1, channel_2, channel_3\), but training had 2 channels \(channel_1, channel_2\)"
    with pytest.raises(DataError, match=words):
        fitted.predict(waves(4, channels=3)[0])
    with pytest.raises(DataError, match=r"arrays has 1 channel \(value\), but training had 2 channels"):
        fitted.evaluate(*waves(4))
    with pytest.raises(DataError, match="no column 'channel_1'"):
        fitted.predict(long_table(waves(4, channels=2)[0]))
    named = classifier(training={"max_epochs": 1}).fit(*waves(8, channels=2), channels=["u", "v"])
    with pytest.raises(DataError, match=r"training had 2 channels \(u, v\)"):
        named.predict(waves(4, channels=3)[0])
    assert named.predict(long_table(waves(4, channels=2)[0], channels="uv")).height == 4
    np.testing.assert_array_equal(named.predict(waves(4, channels=2)[0]).shape, [4])


def test_texts_that_look_like_numbers_come_back_as_texts() -> None:
    X, _ = waves(24)
    y = ["1.0", "2.0"] * 12
    assert set(tg.Classifier(config=settings()).fit(X, y).predict(X)) <= set(y)


def test_a_fit_that_fails_leaves_the_estimator_as_it_was(tmp_path: Path) -> None:
    X, y = waves(24)
    model = tg.Classifier(config=settings()).fit(X, y)
    before = model.predict_proba(X)
    with pytest.raises(DataError):
        model.fit(X[:, ::2], np.zeros(24))
    np.testing.assert_array_equal(model.predict_proba(X), before)
    kept = json.loads((model.save(tmp_path / "R") / "run.json").read_text())["data"]["sha256"]
    assert kept == from_arrays(X, y).checksum()


def test_a_copy_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = waves(24)
    run = tg.Classifier(config=settings()).fit(X, y).save(tmp_path / "R")

    def full(*arguments: Any, **more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(RunError, match="cannot be written.*[Nn]o space|disk is full"):
        tg.load(run).save(tmp_path / "S")
    assert [path.name for path in tmp_path.iterdir()] == ["R"]
