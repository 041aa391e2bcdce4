"""From options to the tree of settings: first --config, then the options, then each --set."""

import csv
from typing import Any

from tidegate.cli.options import ClassOptions, ColumnOptions, ForecastOptions, SpeechOptions
from tidegate.config import Config, RunSettings, build_config, build_settings, name_network, read_config, set_key
from tidegate.config_classify import ClassConfig
from tidegate.config_transcribe import TranscribeConfig
from tidegate.errors import SettingsError


def forecast_config(options: ForecastOptions) -> Config:
    """The settings of `train forecast`. Raises SettingsError that names the option or key."""
    tree = _tree(options)
    training = {"seed": options.seed, "max_epochs": options.max_epochs, "time_limit": options.time_limit}
    training |= {"device": options.device, "loss": options.loss, "quantiles": numbers("--quantiles", options.quantiles)}
    clean = None if options.clean is None else options.clean == "on"
    _put(tree, "data", {"split": options.split, "clean": clean})
    _put(tree, "training", training)
    name_network(tree, options.network, Config)
    _set(tree, options.set, Config)
    if "horizon" not in tree.get("data", {}):
        raise SettingsError("The horizon is missing. Give --horizon N, the number of steps to forecast.")
    return build_config(tree)


def class_config(options: ClassOptions) -> ClassConfig:
    """The settings of `train classify`. Raises SettingsError that names the option or key."""
    tree = read_config(options.config) if options.config else {}
    columns = {"label": options.label, "id": options.id, "time": options.time, "channels": names("--channels", options.channels)}
    training = {"seed": options.seed, "max_epochs": options.max_epochs, "time_limit": options.time_limit, "device": options.device}
    _put(tree, "data", columns)
    _put(tree, "training", training)
    name_network(tree, options.network, ClassConfig)
    _set(tree, options.set, ClassConfig)
    return build_settings(tree, ClassConfig)


def speech_config(options: SpeechOptions) -> TranscribeConfig:
    """The settings of `train transcribe`. Raises SettingsError that names the option or key."""
    tree = read_config(options.config) if options.config else {}
    speakers = names("--test-speakers", options.test_speakers)
    _put(tree, "data", {"kind": options.kind, "tokens": options.tokens, "on_bad": options.on_bad, "test_speakers": speakers})
    training = {"seed": options.seed, "max_epochs": options.max_epochs, "time_limit": options.time_limit, "device": options.device}
    _put(tree, "training", training)
    name_network(tree, options.network, TranscribeConfig)
    _set(tree, options.set, TranscribeConfig)
    return build_settings(tree, TranscribeConfig)


def check_config(options: ColumnOptions) -> Config:
    """The settings of `check`; without a horizon, one step."""
    tree = _tree(options)
    _set(tree, options.set, Config)
    tree.setdefault("data", {}).setdefault("horizon", 1)
    return build_config(tree)


def names(option: str, texts: list[str] | None) -> list[str] | None:
    """['a,b', 'c'], of an option that was given twice, as three names; a name with a comma in it stands in double quotes: '"a,b",c'.
    Raises SettingsError for an empty name."""
    found = []
    for text in texts or ():
        some = [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]
        if not some or "" in some:
            raise SettingsError(f"{option} {text!r} has an empty name. Give names separated by commas, such as {option} a,b.")
        found += some
    return found or None


def numbers(option: str, texts: list[str] | None) -> list[float | int] | None:
    """['24,168'] as two numbers. Raises SettingsError for anything else."""
    found = names(option, texts)
    if found is None:
        return None
    try:
        return [int(item) if item.lstrip("+-").isdecimal() else float(item) for item in found]
    except ValueError:
        raise SettingsError(f"{option} {','.join(found)!r}: expected numbers separated by commas.") from None


def _tree(options: ColumnOptions) -> dict[str, Any]:
    """The file's tree, with the options about columns put in."""
    tree = read_config(options.config) if options.config else {}
    columns = {name: names(f"--{name}", getattr(options, name)) for name in ("target", "past", "future", "static")}
    columns |= {name: getattr(options, name) for name in ("time", "id", "layout", "horizon", "lookback", "time_format")}
    _put(tree, "data", columns | {"season": numbers("--season", options.season), "frequency": options.freq})
    return tree


def _put(tree: dict[str, Any], section: str, values: dict[str, Any]) -> None:
    """Put what was given into a section."""
    given = {key: value for key, value in values.items() if value is not None}
    if not given:
        return
    if not isinstance(tree.setdefault(section, {}), dict):
        raise SettingsError(f"'{section}' in the settings file is a value; expected a section.")
    tree[section].update(given)


def _set(tree: dict[str, Any], assignments: list[str] | None, kind: type[RunSettings]) -> None:
    """Each --set, and the default network's name where only its settings are given."""
    for assignment in assignments or ():
        set_key(tree, assignment)
    name_network(tree, None, kind)
