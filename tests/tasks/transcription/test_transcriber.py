"""The estimator on a small corpus: what goes in, what comes out, what is kept, what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import tidegate as tg
from tests.tasks.transcription.tiny import settings, whistle, write_corpus, write_wav
from tidegate.config import build_settings
from tidegate.config_transcribe import TranscribeConfig
from tidegate.errors import DataError, RunError, SettingsError
from tidegate.tasks.transcription.live import LiveTranscriber
from tidegate.tasks.transcription.verbs import evaluate, predict, train


def transcriber(**changes: Any) -> tg.Transcriber:
    return tg.Transcriber(config=settings(**changes))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("estimator") / "corpus")


@pytest.fixture(scope="module")
def fitted(root: Path) -> tg.Transcriber:
    return transcriber(training={"max_epochs": 4}).fit(root)


def loaded(path: Path) -> tg.Transcriber:
    model = tg.load(path)
    assert isinstance(model, tg.Transcriber)
    return model


def test_the_constructor_only_stores_and_fit_returns_self(root: Path, tmp_path: Path) -> None:
    tree = settings()
    model = tg.Transcriber(network="causal-lstm", max_epochs=2, time_limit=60, seed=3, device="cpu", config=tree)
    assert (model.network, model.max_epochs, model.time_limit, model.seed, model.device) == ("causal-lstm", 2, 60, 3, "cpu")
    assert model.config is tree
    calls: list[Any] = [
        model.predict,
        lambda: model.predict("x.wav"),
        model.evaluate,
        model.stream,
        lambda: model.save(tmp_path),
        lambda: model.vocabulary,
    ]
    for call in calls:
        with pytest.raises(SettingsError, match=r"not fitted yet. Call fit\(corpus\) first"):
            call()
    assert model.fit(root, tokens="words") is model
    assert tree == settings(), "what was given is not changed"
    assert isinstance(model.config, TranscribeConfig) and model.config.data.tokens == "words"
    training = model.config.training
    assert (training.seed, training.max_epochs, training.time_limit, training.device) == (3, 2, 60, "cpu")
    assert [epoch["epoch"] for epoch in model.history] == [0, 1]
    assert set(model.vocabulary) <= {"ab", "ba", "cad", "dab", "bad", "ca", "dc"}
    assert "parts are the folders dev, test, train" in model.notes
    model.fit(root)
    assert len(model.history) == 2 and set(model.vocabulary) <= set("abcd ")


def test_wrong_arguments_are_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="max_epochs"):
        tg.Transcriber(max_epochs=0).fit(root)
    with pytest.raises(SettingsError, match=r"Unknown network 'lstm'. Did you mean 'blstm'\?"):
        tg.Transcriber(network="lstm").fit(root)
    with pytest.raises(SettingsError, match="config is 3; expected a TranscribeConfig"):
        tg.Transcriber(config=3).fit(root)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"data.kind.*given: 'timt'"):
        transcriber().fit(root, kind="timt")
    with pytest.raises(DataError, match=r"There is no speaker 'brt'. Did you mean 'bert'\?"):
        transcriber().fit(root, test_speakers="brt")
    with pytest.raises(DataError, match="No such file"):
        transcriber().fit(tmp_path / "none")


def test_typed_settings_and_plain_ones_are_the_same(root: Path, fitted: tg.Transcriber) -> None:
    typed = tg.Transcriber(config=build_settings(settings(training={"max_epochs": np.int64(4)}), TranscribeConfig)).fit(root)
    assert typed.predict().equals(fitted.predict())


def test_nothing_is_printed(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = transcriber(training={"max_epochs": 1}).fit(root)
    model.predict()
    model.evaluate()
    assert capfd.readouterr() == ("", "")


def test_it_does_the_same_as_the_verbs(root: Path, fitted: tg.Transcriber, tmp_path: Path) -> None:
    asked = build_settings(settings(training={"max_epochs": 4}), TranscribeConfig)
    train(root, asked, tmp_path / "R")
    assert fitted.save(tmp_path / "S") == tmp_path / "S"
    for name in ("model.safetensors", "preparation.json", "config.json", "leaderboard.csv", "scores.json"):
        assert (tmp_path / "R" / name).read_bytes() == (tmp_path / "S" / name).read_bytes(), name
    manifests = [json.loads((tmp_path / run / "run.json").read_text()) for run in "RS"]
    assert manifests[0]["data"] == manifests[1]["data"] and manifests[0]["task"] == manifests[1]["task"] == "transcribe"
    assert {path.name for path in (tmp_path / "R").iterdir()} == {path.name for path in (tmp_path / "S").iterdir()}
    assert evaluate(tmp_path / "R").metrics == fitted.evaluate().metrics
    assert predict(tmp_path / "R").equals(fitted.predict())


def test_predict_takes_a_path_several_or_a_folder(root: Path, fitted: tg.Transcriber) -> None:
    files = sorted((root / "test").rglob("*.wav"))
    together = fitted.predict(files)
    assert isinstance(together, pl.DataFrame) and together.columns == ["audio", "text", "confidence", "seconds"]
    assert together["audio"].to_list() == [str(file) for file in files]
    assert fitted.predict(root / "test").equals(together) and fitted.predict(str(root / "test")).equals(together)
    assert fitted.predict(iter(files)).equals(together)
    assert len(fitted.predict(files[0])) == 1 and len(fitted.predict([])) == 0
    tokens = fitted.predict(files, timestamps=True)
    assert tokens.columns == ["audio", "token", "begin", "end", "confidence"]
    for file, text in zip(files, together["text"], strict=True):
        assert "".join(tokens.filter(pl.col("audio") == str(file))["token"]).strip() == text
    assert len(fitted.predict()) == 3
    with pytest.raises(DataError, match="No such file"):
        fitted.predict("none.wav")
    with pytest.raises(DataError, match="Recordings are given as paths of files or folders"):
        fitted.predict(whistle("ab"))


def test_evaluate(root: Path, fitted: tg.Transcriber, tmp_path: Path) -> None:
    scores = fitted.evaluate()
    assert set(scores.metrics) == {"cer", "wer"} and set(scores.baselines) == {"best_path", "constant"}
    assert len(scores.table) == 3 and "characters of 3 utterances" in scores.verdict and "<table" in scores._repr_html_()
    assert fitted.evaluate(root).metrics == scores.metrics
    other = write_corpus(tmp_path / "other", ("dora",), train=2, seed=5)
    assert set(fitted.evaluate(other).by_speaker) == {"unknown"}, "one folder names no speaker"


def test_a_kept_one_is_the_same_and_needs_no_corpus(root: Path, fitted: tg.Transcriber, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(root, corpus)
    file = sorted((root / "test").rglob("*.wav"))[0]
    model = transcriber(training={"max_epochs": 4}).fit(corpus)
    again = loaded(model.save(tmp_path / "R"))
    assert again.predict(file).equals(model.predict(file)) and again.vocabulary == model.vocabulary
    assert (again.config, again.history, again.notes) == (model.config, model.history, model.notes)
    assert again.evaluate().metrics == model.evaluate().metrics and again.predict().equals(model.predict())
    shutil.rmtree(corpus)
    alone = loaded(again.save(tmp_path / "copy"))
    assert alone.predict(file, timestamps=True).equals(model.predict(file, timestamps=True))
    for call in (alone.evaluate, alone.predict):
        with pytest.raises(RunError, match="The corpus of .* is not there. Give the corpus"):
            call()
    with pytest.raises(RunError, match="holds a finished run. Replace it with --overwrite"):
        model.save(tmp_path / "R")
    assert model.save(tmp_path / "R", overwrite=True) == tmp_path / "R"
    with pytest.raises(SettingsError, match="device 'abacus' cannot be used"):
        tg.load(tmp_path / "R", device="abacus")


def test_a_failed_save_leaves_nothing(fitted: tg.Transcriber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tidegate.runs.folder import RunFolder

    def full(folder: RunFolder) -> None:
        raise RunError("No space left on device.")

    monkeypatch.setattr(RunFolder, "seal", full)
    with pytest.raises(RunError, match="No space left"):
        fitted.save(tmp_path / "R")
    assert not (tmp_path / "R").exists()


def test_bad_recordings_are_left_out_and_said(tmp_path: Path) -> None:
    root = write_corpus(tmp_path / "corpus")
    write_wav(root / "train" / "anna" / "00.wav", np.zeros(4000, np.float32))
    with pytest.raises(DataError, match="00.wav is digital silence"):
        transcriber().fit(root)
    model = transcriber().fit(root, on_bad="skip")
    place = model.notes.index("1 recordings are left out:")
    assert "00.wav is digital silence" in model.notes[place + 1]
    assert loaded(model.save(tmp_path / "R")).evaluate().metrics == model.evaluate().metrics


def test_test_speakers(root: Path) -> None:
    model = transcriber().fit(root, test_speakers=["carl"])
    assert set(model.evaluate().by_speaker) == {"carl"}


def test_stream(root: Path, fitted: tg.Transcriber) -> None:
    with pytest.raises(SettingsError, match="'blstm' hears whole recordings only"):
        fitted.stream()
    model = tg.Transcriber(network="causal-lstm", config=settings(training={"max_epochs": 6})).fit(root)
    stream = model.stream()
    assert isinstance(stream, LiveTranscriber)
    file = sorted((root / "test").rglob("*.wav"))[0]
    samples = np.frombuffer(file.read_bytes()[44:], "<i2") / 32768
    spoken = [token for piece in np.array_split(samples, 7) for token in stream.feed(piece)]
    assert stream.partial().startswith("".join(token.token for token in spoken).strip())
    assert stream.finish().text == model.predict(file)["text"][0]


def test_a_long_recording_in_a_short_time(fitted: tg.Transcriber, tmp_path: Path) -> None:
    """A minute and a half: no more than a few seconds of work."""
    samples = np.concatenate([whistle("cad ba dab dc", seed) for seed in range(60)])
    file = write_wav(tmp_path / "long.wav", samples)
    assert fitted.predict(file)["seconds"][0] == pytest.approx(len(samples) / 8000)
