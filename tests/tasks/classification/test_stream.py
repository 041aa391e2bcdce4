"""The probabilities while a sequence is arriving are those of the sequence up to there."""

from typing import Any

import numpy as np
import pytest

import tidegate as tg
from tests.tasks.classification.tiny import ragged, settings, waves
from tidegate.errors import DataError, SettingsError


def fitted(gaps: bool = False, **changes: Any) -> tg.Classifier:
    """Far from zero and in small units, as sensors are."""
    X, y = ragged(channels=2, gaps=gaps)
    return tg.Classifier(config=settings(**changes)).fit([values * 0.01 + 50 for values in X], y)


def steps(count: int, length: int = 15, gaps: bool = False) -> np.ndarray:
    """Sequences [B, T, C] that training did not see."""
    X = waves(count, 9, length, channels=2)[0] * 0.01 + 50
    if gaps:
        X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
        X[0, 0] = np.nan
    return X


@pytest.mark.parametrize(
    ("gaps", "changes"),
    [
        (False, {}),
        (True, {}),
        (False, {"training": {"members": 2, "max_epochs": 1}}),
        (True, {"training": {"members": 2, "max_epochs": 1}, "network": {"pooling": "attention", "layers": 2}}),
        (False, {"network": {"pooling": "last", "dropout": 0.3}}),
        (False, {"network": {"pooling": "max"}}),
    ],
)
def test_step_by_step_equals_the_batch_result_of_every_prefix(gaps: bool, changes: dict[str, Any]) -> None:
    model, X = fitted(gaps, **changes), steps(3, gaps=gaps)
    stream = model.stream(3)
    assert stream.classes == model.classes
    for length in range(1, X.shape[1] + 1):
        found = stream.step(X[:, length - 1])
        assert found.shape == (3, 2) and found.dtype == np.float64
        np.testing.assert_allclose(found, model.predict_proba(X[:, :length]), rtol=0, atol=1e-5)
        np.testing.assert_allclose(found.sum(1), 1.0)


def test_one_stream_takes_one_step_of_its_channels_and_begins_anew() -> None:
    model, X = fitted(), steps(1)
    stream = model.stream()
    for _ in range(2):
        for length in range(1, X.shape[1] + 1):
            found = stream.step(X[0, length - 1].tolist())
            assert found.shape == (2,)
            np.testing.assert_allclose(found, model.predict_proba(X[:, :length])[0], rtol=0, atol=1e-5)
        stream.reset()


def test_streams_do_not_disturb_each_other() -> None:
    model, X = fitted(), steps(2)
    both, alone = model.stream(2), model.stream()
    for step in range(X.shape[1]):
        np.testing.assert_allclose(both.step(X[:, step])[1], alone.step(X[1, step]), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "network", [{"name": "lstm", "bidirectional": True}, {"name": "conv-lstm", "filters": 2, "blocks": 1}, {"name": "attention-cnn-lstm"}]
)
def test_other_networks_are_refused(network: dict[str, Any]) -> None:
    tree = settings(training={"max_epochs": 1}) | {"network": {"hidden": 4, **network}}
    model = tg.Classifier(config=tree).fit(*waves(16, channels=2))
    with pytest.raises(SettingsError, match=rf"'{network['name']}' as it is set reads each sequence as a whole. .*--network lstm"):
        model.stream()


def test_wrong_shapes_are_refused() -> None:
    model = fitted(training={"max_epochs": 1})
    with pytest.raises(SettingsError, match="streams is 0; expected at least 1"):
        model.stream(0)
    for streams, shape in ((1, (3,)), (1, (2, 2)), (3, (2,)), (3, (3, 1)), (3, (3, 2, 1))):
        with pytest.raises(DataError, match=rf"expected \[{streams}, 2\]: streams, channels"):
            model.stream(streams).step(np.zeros(shape))
