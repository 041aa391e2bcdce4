"""Typed, frozen, strict settings of a run: three objects (data, network, training) in one tree, the tree of config.json.

None means 'derived from the data'; a run writes what it derived into its config.json, so that a finished run's file holds no
open choice and training from it again gives the same weights.
"""

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, field_validator, model_validator

from tidegate.errors import SettingsError, did_you_mean

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[float, Field(gt=0.0)]


class Settings(BaseModel):
    """Base of all settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataSettings(Settings):
    """What the columns mean, and how the table is prepared."""

    target: tuple[str, ...] | None = None
    time: str | None = None
    id: str | None = None
    past: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    layout: Literal["long", "wide", "rows"] = "long"
    """long: a row per series and time; wide: a column per series; rows: a row per series, id first, no time (M4's files)."""
    frequency: str | None = None
    time_format: str | None = None
    season: tuple[PositiveInt, ...] | None = None
    horizon: PositiveInt
    lookback: PositiveInt | None = None
    split: str = "70/10/20"
    """train/validation/test: per cents ('70/10/20'), counts of steps ('8640/2880/2880'), or the two dates at which validation
    and test begin ('2017-01-01/2017-07-01')."""
    clean: bool = True
    clean_window: PositiveInt = 12
    """Half-width of the rolling median, in steps."""
    clean_threshold: Positive = 6.0
    """In robust standard deviations (1.4826 MAD)."""
    sentinels: tuple[float, ...] | None = None
    """Values that stand for 'missing', such as -999; None: found in the training part."""
    scaling: Literal["standard", "min-max", "robust", "mean-absolute", "change", "none"] | None = None
    """change: targets by how much they change within a horizon, so that series with a trend count as much as those without. None: 'change'
    for several series, 'standard' for one."""
    scaling_scope: Literal["series", "global"] = "series"
    calendar: bool | tuple[str, ...] | None = None
    """Cycles of the calendar as known inputs, such as ('day', 'week'); true or None: those that the time column has and the training
    part covers twice; false: none."""
    short_series: Literal["pad", "skip"] = "pad"


class CommonNetworkSettings(Settings):
    """What every forecasting network has."""

    hidden: PositiveInt = 128
    layers: PositiveInt = 1
    channels: Literal["shared", "joint"] = "shared"
    """Several targets: each by itself through the same weights, or all together as one input and output."""
    window_scaling: Literal["last", "standard", "none"] = "last"
    """Reversible, per window and target: subtract the last observed value, or remove mean and deviation (RevIN without
    its affine part, Kim et al. 2022)."""
    linear_base: Literal["ridge", "learned", "none"] = "ridge"
    """A linear map of the lookback below the network's output (LSTNet's autoregressive highway, Lai et al. 2018): fixed at the ridge
    regression, so that the network learns what that one misses; learned with the network, from zero; or none."""
    dropout: Fraction = 0.1
    """On the last hidden state."""
    input_dropout: Fraction = 0.0
    layer_dropout: Fraction = 0.0
    recurrent_dropout: Fraction = 0.0
    weight_drop: Fraction = 0.0


class LSTMSettings(CommonNetworkSettings):
    """An LSTM over the lookback, its last hidden state to the output unit."""

    name: Literal["lstm"] = "lstm"


class SubsequenceSettings(Settings):
    """The attention CNN unit, for any task; what is None follows from the lengths of the sequences."""

    subsequence: PositiveInt | None = None
    """Length s of a subsequence, in steps."""
    overlap: Annotated[int, Field(ge=0)] | None = None
    """Steps rc that neighbouring subsequences share; None: half of s."""
    filters: PositiveInt = 32
    kernel: PositiveInt | None = None
    """Steps; None: a quarter of s."""
    attention: Literal["softmax", "sigmoid", "none"] = "softmax"

    @model_validator(mode="after")
    def _overlap_is_shorter(self) -> Self:
        if self.subsequence is not None and self.overlap is not None and self.overlap >= self.subsequence:
            raise ValueError(f"overlap {self.overlap} must be shorter than subsequence {self.subsequence}")
        return self


class AttentionCNNLSTMSettings(SubsequenceSettings, CommonNetworkSettings):
    """Li, Ning and Guo 2019: attention CNN over overlapping subsequences, LSTM over those, last hidden state to the output. Subsequences
    are by default such that about 30 of them, lined up with the season, make the lookback."""

    name: Literal["attention-cnn-lstm"] = "attention-cnn-lstm"


NetworkSettings = Annotated[LSTMSettings | AttentionCNNLSTMSettings, Field(discriminator="name")]


class LoopSettings(Settings):
    """How weights are found, whatever the task: what the training loop reads."""

    optimiser: Literal["adam", "adamw"] = "adam"
    learning_rate: Positive | Literal["auto"] = 2e-3
    """auto: from the learning-rate finder, before training."""
    schedule: Literal["constant", "cosine", "plateau"] = "cosine"
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    average: Fraction = 0.995
    """Decay of the moving average of the weights that is validated and kept (Polyak and Juditsky 1992); 0: the weights themselves. Over
    about the last third of the steps at first, at most over 1 / (1 - average)."""
    clip_norm: Positive | None = 1.0
    batch_size: PositiveInt | None = None
    """Windows or sequences in a batch; None: 256 windows divided by the channels that pass through shared weights; 64 sequences, and
    fewer where there are few."""
    max_epochs: PositiveInt = 20
    max_steps: PositiveInt | None = None
    time_limit: Positive | None = None
    """Seconds of training, of all networks of an ensemble together; the best weights so far are kept."""
    patience: PositiveInt = 5
    """Epochs without a better validation loss before training stops."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    device: str = "auto"
    threads: PositiveInt | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16: while training, LSTM layers on the CPU round to it what they multiply, where the processor has such products and the native
    kernel runs; sums, states and weights stay float32. Worth it from 256 hidden units on."""
    checkpoint_seconds: Positive = 20.0


class TrainingSettings(LoopSettings):
    """How a forecaster's weights are found."""

    loss: Literal["mae", "mse", "huber", "quantile"] = "mae"
    quantiles: tuple[Annotated[float, Field(gt=0.0, lt=1.0)], ...] = (0.1, 0.9)
    windows_per_epoch: PositiveInt = 20_000
    """At most so many training windows in an epoch, spread evenly over all of them and drawn anew each time."""
    validation_windows: PositiveInt = 5_000
    evaluation_windows: PositiveInt = 20_000
    compare_without_attention: bool = False
    """Train the same network without its attention branch too, and show both in the report."""

    @field_validator("quantiles")
    @classmethod
    def _sorted(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(sorted(set(levels)))


class RunSettings(Settings):
    """Base of each task's whole tree, as in config.json; `network` is one of several kinds, told apart by their `name`."""

    task: str
    data: Settings
    network: Settings
    training: LoopSettings

    def to_json(self) -> str:
        """The file config.json."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def networks(cls) -> dict[str, type[Settings]]:
        """The kinds of network by name, the default first."""
        field = cls.model_fields["network"]
        kinds = {kind.model_fields["name"].default: kind for kind in get_args(field.annotation)}
        first = field.default.name
        return {first: kinds.pop(first), **kinds}


class Config(RunSettings):
    """The whole tree of forecasting."""

    task: Literal["forecast"] = "forecast"
    data: DataSettings
    network: NetworkSettings = AttentionCNNLSTMSettings()
    training: TrainingSettings = TrainingSettings()


R = TypeVar("R", bound=RunSettings)


def build_config(tree: dict[str, Any]) -> Config:
    """The settings of forecasting; see `build_settings`."""
    return build_settings(tree, Config)


def build_settings(tree: dict[str, Any], kind: type[R]) -> R:
    """A task's settings from a tree of plain values. Raises SettingsError that names the key, what was expected, and the nearest key."""
    network = tree.get("network")
    if isinstance(network, dict) and "name" not in network:
        tree = {**tree, "network": {"name": next(iter(kind.networks())), **network}}
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise SettingsError(_explain(error, kind)) from None


def name_network(tree: dict[str, Any], name: str | None, kind: type[RunSettings]) -> None:
    """Name the network in a tree of settings, in place: what only the kind that was named there has goes, and what nobody has stays, to be
    refused. Without a name, that of the default where only its settings are given. Raises SettingsError for an unknown name."""
    kinds = kind.networks()
    there = tree.get("network", {})
    if not isinstance(there, dict) or (name is None and not there):
        return
    before = there.get("name", next(iter(kinds)))
    chosen = before if name is None else name
    if chosen not in tuple(kinds):
        raise SettingsError(f"Unknown network '{chosen}'.{did_you_mean(str(chosen), tuple(kinds))}")
    lost = set(kinds[before].model_fields) - set(kinds[chosen].model_fields) if before in tuple(kinds) else set()
    tree["network"] = {key: value for key, value in there.items() if key not in lost} | {"name": chosen}


def read_config(path: str | Path) -> dict[str, Any]:
    """The tree of a TOML or JSON file. Raises SettingsError if it cannot be read."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        tree = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except FileNotFoundError:
        raise SettingsError(f"No such file: {path}. Give a .toml or .json file with the tree of config.json.") from None
    except (ValueError, OSError) as error:
        raise SettingsError(f"{path} cannot be read as {path.suffix or 'JSON'}: {error}.") from None
    if not isinstance(tree, dict):
        raise SettingsError(f"{path} holds a {type(tree).__name__}; expected an object with data, network and training.")
    return tree


def set_key(tree: dict[str, Any], assignment: str) -> None:
    """Apply one `--set network.hidden=128` to a tree, in place; the value is read as JSON, else as text."""
    key, equals, text = assignment.partition("=")
    if not equals or "." not in key:
        raise SettingsError(f"--set {assignment}: expected SECTION.KEY=VALUE, such as network.hidden=128.")
    *sections, last = key.strip().split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise SettingsError(f"--set {assignment}: {section} is a value, not a section.")
    try:
        tree[last] = json.loads(text)
    except ValueError:
        tree[last] = text


def _explain(error: ValidationError, kind: type[RunSettings]) -> str:
    """One line for each thing that is wrong, the key in front."""
    lines = []
    for item in error.errors(include_url=False):
        place = [str(part) for part in item["loc"] if part not in kind.networks()]
        key = ".".join(place)
        if item["type"] == "extra_forbidden":
            lines.append(f"Unknown setting '{key}'.{did_you_mean(place[-1], _known(item['loc'], kind))}")
        else:
            lines.append(f"{key or 'settings'}: {item['msg'].removeprefix('Value error, ')} (given: {item['input']!r}).")
    return " ".join(lines)


def _known(location: tuple[int | str, ...], kind: type[RunSettings]) -> list[str]:
    """Names of the settings at the place where an unknown one was found."""
    if len(location) == 1:
        return list(kind.model_fields)
    if location[0] == "network":
        return list(kind.networks()[str(location[1])].model_fields)
    section = kind.model_fields[str(location[0])].annotation
    return list(section.model_fields) if isinstance(section, type) and issubclass(section, BaseModel) else []
