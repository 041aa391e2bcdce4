"""What is turned in a forecaster, and what is not."""

from pathlib import Path
from typing import Any

import optuna
import pytest

from tidegate.config import AttentionCNNLSTMSettings, Config, build_config
from tidegate.errors import SettingsError
from tidegate.tasks.forecasting.derive import derive_subsequences
from tidegate.tasks.forecasting.material import gather
from tidegate.tune.knobs import Choice, Real, draw
from tidegate.tune.space import OVERLAP, forecast_space, turn, turned_material


def asked(network: dict[str, Any] | None = None, **sections: Any) -> Config:
    tree = {"data": {"horizon": 6, "season": [24], **sections.pop("data", {})}, "network": network or {"name": "attention-cnn-lstm"}}
    return build_config(tree | {"training": {"threads": 1, **sections.pop("training", {})}})


@pytest.mark.parametrize("name", ["attention-cnn-lstm", "lstm"])
def test_the_defaults_are_those_of_training(table: Path, name: str) -> None:
    config = asked({"name": name})
    material = gather(table, config)
    space, defaults = forecast_space(config, material)
    assert next(iter(space)) == "training.learning_rate"
    assert turn(config, material, defaults) == material.config
    for key, knob in space.items():
        if isinstance(knob, Choice):
            assert defaults[key] in knob.values
        else:
            assert knob.low <= defaults[key] <= knob.high


@pytest.mark.parametrize("name", ["attention-cnn-lstm", "lstm"])
@pytest.mark.parametrize("data", [{}, {"season": [24, 168]}, {"season": []}, {"horizon": 30}])
def test_whatever_is_drawn_fits(table: Path, name: str, data: dict[str, Any]) -> None:
    config = asked({"name": name}, data=data)
    material = gather(table, config)
    space, _ = forecast_space(config, material)
    origins = material.validation_set(1000).origin.tolist()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(10):
        params = draw(study.ask(), space)
        turned = turn(config, material, params)
        assert turned.data.lookback == params["data.lookback"]
        assert turned.training.learning_rate == params["training.learning_rate"]
        changed = turned_material(material, turned)
        assert changed.validation_set(1000).origin.tolist() == origins
        assert changed.shape.lookback == turned.data.lookback
        network = turned.network
        if isinstance(network, AttentionCNNLSTMSettings):
            assert network.subsequence and network.overlap is not None and network.kernel
            assert network.kernel <= network.subsequence <= params["data.lookback"]
            assert network.kernel == derive_subsequences(network.model_copy(update={"kernel": None}), params["data.lookback"], ()).kernel
            assert network.overlap == round(params[OVERLAP] * network.subsequence)


def test_what_is_given_is_kept(table: Path) -> None:
    network = {"name": "attention-cnn-lstm", "hidden": 10, "overlap": 5, "kernel": 2}
    config = asked(network, data={"lookback": 30}, training={"learning_rate": 0.5, "weight_decay": 0.0})
    material = gather(table, config)
    space, _ = forecast_space(config, material)
    assert set(space) == {"network.layers", "network.dropout", "network.window_scaling", "network.subsequence"}
    lengths = space["network.subsequence"]
    assert isinstance(lengths, Choice)
    assert all(5 < length <= 30 for length in lengths.values)
    turned = turn(config, material, {"network.subsequence": 12, "network.layers": 2})
    assert isinstance(turned.network, AttentionCNNLSTMSettings)
    assert (turned.network.overlap, turned.network.kernel, turned.network.hidden, turned.data.lookback) == (5, 2, 10, 30)


def test_loss_scaling_split_and_horizon_are_never_turned(table: Path) -> None:
    config = asked()
    space, _ = forecast_space(config, gather(table, config))
    assert not {name for name in space if name.split(".")[-1] in ("loss", "scaling", "scaling_scope", "split", "horizon", "clean", "seed")}


def test_a_default_outside_the_range_widens_it(table: Path) -> None:
    config = asked()
    material = gather(table, config)
    far = material.config.model_copy(update={"training": material.config.training.model_copy(update={"learning_rate": 1e-5})})
    space, _ = forecast_space(config, turned_material(material, far))
    rate = space["training.learning_rate"]
    assert isinstance(rate, Real)
    assert rate.low == 1e-5


def test_settings_that_do_not_fit_are_an_error(table: Path) -> None:
    config = asked()
    material = gather(table, config)
    with pytest.raises(SettingsError, match="longer than the lookback"):
        turn(config, material, {"data.lookback": 10, "network.subsequence": 48})
