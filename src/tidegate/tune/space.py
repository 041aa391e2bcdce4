"""What may be turned in a forecaster, network by network: a few settings that matter, in ranges that stay affordable.

What the user gave is kept; only what was left open is searched. Loss, scaling of the data, split and horizon are never turned: under
another one of them a validation loss means something else.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tidegate.config import AttentionCNNLSTMSettings, Config, build_config
from tidegate.data.windows import origins_between
from tidegate.tasks.forecasting.derive import derive
from tidegate.tasks.forecasting.material import Material, open_windows
from tidegate.tune.knobs import Choice, Knob, Real

OVERLAP = "overlap_share"
"""Overlap of neighbouring subsequences as a share of their length: network.overlap by itself depends on network.subsequence."""
LOOKBACKS = (0.25, 0.5, 1.0)
"""Parts of the default lookback, which is long: a longer one costs more time than it gains."""


def forecast_space(asked: Config, material: Material) -> tuple[dict[str, Knob], dict[str, Any]]:
    """The knobs of the network that is asked for, the learning rate first, and the default of each, as derived from the data."""
    base = material.config
    knobs: dict[str, Knob] = {
        "training.learning_rate": Real(2e-4, 1e-2, log=True),
        "network.hidden": Choice((32, 64, 128)),
        "network.layers": Choice((1, 2)),
        "network.dropout": Real(0.0, 0.5),
        "training.weight_decay": Choice((0.0, 1e-5, 1e-4, 1e-3)),
        "network.window_scaling": Choice(("last", "standard")),
    }
    lookbacks = _lookbacks(material) if _is_open(asked, "data.lookback") else ()
    knobs["data.lookback"] = Choice(lookbacks)
    defaults = {name: _value(base, name) for name in knobs}
    if isinstance(base.network, AttentionCNNLSTMSettings):
        assert base.network.subsequence and base.network.overlap is not None
        knobs["network.subsequence"] = Choice(_subsequences(asked, base, min(lookbacks, default=base.data.lookback or 1)))
        knobs[OVERLAP] = Choice((0.0, 0.5))
        defaults |= {"network.subsequence": base.network.subsequence, OVERLAP: base.network.overlap / base.network.subsequence}
    knobs = {name: _including(knob, defaults[name]) for name, knob in knobs.items() if _is_open(asked, name)}
    return knobs, {name: defaults[name] for name in knobs}


def turn(asked: Config, material: Material, params: Mapping[str, Any]) -> Config:
    """The complete settings with some of them turned; what depends on those is derived anew. Raises SettingsError if they do not fit."""
    tree = material.config.model_dump(mode="json")
    for name, value in params.items():
        if name != OVERLAP:
            section, key = name.split(".")
            tree[section][key] = value
    network = tree["network"]
    if OVERLAP in params:
        network["overlap"] = round(params[OVERLAP] * network["subsequence"])
    if "kernel" in network and _is_open(asked, "network.kernel"):
        network["kernel"] = None
    return derive(build_config(tree), material.sequences, material.parts)[0]


def turned_material(material: Material, config: Config) -> Material:
    """The same data, prepared as it was, under settings that `turn` gave."""
    return replace(material, config=config, windows=open_windows(material.prepared, config))


def _lookbacks(material: Material) -> tuple[int, ...]:
    """The default and multiples of the shortest season near parts of it; none that would move the validation origins."""
    data = material.config.data
    assert data.lookback
    season = min(data.season or (1,))
    wanted = (max(season, 2, round(data.lookback * factor / season) * season) for factor in LOOKBACKS)
    origins = _validation_origins(material, data.lookback)
    fits = (steps for steps in wanted if steps < data.lookback and np.array_equal(_validation_origins(material, steps), origins))
    return tuple(sorted({data.lookback, *fits}))


def _validation_origins(material: Material, lookback: int) -> np.ndarray:
    """First validation origin and number of them for each series, [2, n]."""
    horizon = material.config.data.horizon
    origins = origins_between(material.sequences, material.parts.train, material.parts.validation, lookback, horizon)
    return np.stack([origins.first, origins.count])


def _subsequences(asked: Config, base: Config, lookback: int) -> tuple[int, ...]:
    """Half a season, a season, two seasons (the shortest one); without a season half and twice the default. None is longer than the
    shortest lookback, or as short as an overlap that was given."""
    assert isinstance(base.network, AttentionCNNLSTMSettings) and base.network.subsequence
    length = min(base.data.season or (base.network.subsequence,))
    least = 2 if _is_open(asked, OVERLAP) else (base.network.overlap or 0) + 1
    return tuple(steps for steps in (length // 2, length, 2 * length) if least <= steps <= lookback)


def _including(knob: Knob, value: Any) -> Knob:
    """The same knob, made to include a value."""
    if isinstance(knob, Real):
        return Real(min(knob.low, value), max(knob.high, value), knob.log)
    values = tuple(dict.fromkeys((*knob.values, value)))
    return Choice(values if isinstance(value, str) else tuple(sorted(values)))


def _is_open(asked: Config, name: str) -> bool:
    """Whether the user left a setting open."""
    section, key = ("network.overlap" if name == OVERLAP else name).split(".")
    settings = getattr(asked, section)
    return key not in settings.model_fields_set or getattr(settings, key) is None


def _value(config: Config, name: str) -> Any:
    section, key = name.split(".")
    return getattr(getattr(config, section), key)
