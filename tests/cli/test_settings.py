"""From options, files and --set to settings."""

import json
from pathlib import Path

import pytest

from tidegate.cli.options import ColumnOptions, ForecastOptions
from tidegate.cli.settings import check_config, forecast_config, names, numbers
from tidegate.config import AttentionCNNLSTMSettings
from tidegate.errors import SettingsError


def test_every_option_reaches_its_setting() -> None:
    options = ForecastOptions(
        target=["负荷,温度"], time="时间", id="站点", past=["a,b"], future=["c"], static=["d"],
        layout="long", horizon=24, lookback=96, season=["24,168"], freq="h", time_format="%d/%m/%Y",
        split="60/20/20", clean="off", network="lstm", loss="quantile", quantiles=["0.9,0.05"],
        seed=7, max_epochs=3, time_limit=1.5, device="cpu",
    )  # fmt: skip
    config = forecast_config(options)
    data, training = config.data, config.training
    assert (data.target, data.time, data.id, data.past, data.future, data.static) == (
        ("负荷", "温度"),
        "时间",
        "站点",
        ("a", "b"),
        ("c",),
        ("d",),
    )
    assert (data.layout, data.horizon, data.lookback, data.season, data.frequency) == ("long", 24, 96, (24, 168), "h")
    assert (data.time_format, data.split, data.clean, config.network.name) == ("%d/%m/%Y", "60/20/20", False, "lstm")
    assert (training.loss, training.quantiles, training.seed) == ("quantile", (0.05, 0.9), 7)
    assert (training.max_epochs, training.time_limit, training.device) == (3, 1.5, "cpu")


def test_what_is_not_given_stays_open() -> None:
    assert forecast_config(ForecastOptions(horizon=3)).data.clean is True
    assert forecast_config(ForecastOptions(horizon=3)).data.target is None
    assert check_config(ColumnOptions()).data.horizon == 1
    assert check_config(ColumnOptions(horizon=5)).data.horizon == 5


def test_options_win_over_the_file_and_set_over_both(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('[data]\nhorizon = 12\nlookback = 48\ntarget = ["负荷"]\n[network]\nname = "lstm"\nhidden = 32\n', encoding="utf-8")
    options = ForecastOptions(config=str(file), lookback=96, set=["network.hidden=64", "data.season=[24]", "data.frequency=h"])
    config = forecast_config(options)
    assert (config.data.horizon, config.data.lookback, config.data.season, config.data.frequency) == (12, 96, (24,), "h")
    assert (config.data.target, config.network.name, config.network.hidden) == (("负荷",), "lstm", 64)


def test_the_config_of_a_run_gives_the_same_settings(tmp_path: Path) -> None:
    config = forecast_config(ForecastOptions(horizon=3, target=["y"], network="lstm", set=["network.hidden=7"]))
    file = tmp_path / "config.json"
    file.write_text(config.to_json(), encoding="utf-8")
    assert forecast_config(ForecastOptions(config=str(file))) == config


def test_network_settings_without_a_name_are_those_of_the_default_network() -> None:
    network = forecast_config(ForecastOptions(horizon=3, set=["network.filters=8"])).network
    assert isinstance(network, AttentionCNNLSTMSettings)
    assert network.filters == 8


@pytest.mark.parametrize(("there", "asked"), [("attention-cnn-lstm", "lstm"), ("lstm", "attention-cnn-lstm")])
def test_another_network_than_that_of_the_file(tmp_path: Path, there: str, asked: str) -> None:
    file = tmp_path / "config.json"
    given = ForecastOptions(horizon=3, network=there, set=["network.hidden=7"])
    tree = forecast_config(given).model_dump(mode="json")
    file.write_text(json.dumps(tree))
    network = forecast_config(ForecastOptions(config=str(file), network=asked)).network
    assert (network.name, network.hidden) == (asked, 7)
    file.write_text(json.dumps(tree | {"network": tree["network"] | {"hiden": 8}}))
    with pytest.raises(SettingsError, match="hiden"):
        forecast_config(ForecastOptions(config=str(file), network=asked))


def test_a_section_that_is_a_value(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"data": 3}')
    with pytest.raises(SettingsError, match="'data' in the settings file is a value"):
        forecast_config(ForecastOptions(config=str(file), horizon=3))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("OT", ["OT"]),
        ("a, b", ["a", "b"]),
        ("负荷，MW,温度", ["负荷，MW", "温度"]),
        ('"a,b",c', ["a,b", "c"]),
        ("two words", ["two words"]),
    ],
)
def test_names(text: str, expected: list[str]) -> None:
    assert names("--target", [text]) == expected


def test_an_option_that_is_given_twice_holds_both() -> None:
    assert names("--target", ["a,b", '"c,d"']) == ["a", "b", "c,d"]
    assert numbers("--season", ["24", "168"]) == [24, 168]
    assert names("--target", []) is None


@pytest.mark.parametrize("text", ["", ",", "a,,b", "a,"])
def test_an_empty_name(text: str) -> None:
    with pytest.raises(SettingsError, match="--target .* has an empty name"):
        names("--target", [text])


def test_numbers() -> None:
    assert numbers("--season", ["24,168"]) == [24, 168]
    assert numbers("--quantiles", ["0.1, 0.9"]) == [0.1, 0.9]
    assert numbers("--season", None) is None
    with pytest.raises(SettingsError, match="--season '24;168': expected numbers"):
        numbers("--season", ["24;168"])
