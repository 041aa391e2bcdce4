"""The options that verbs share, and how a verb takes a whole group of them."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, get_type_hints

import typer

Data = Annotated[str, typer.Argument(metavar="DATA", help="CSV, Parquet (file or folder), JSON lines or .tsf.", show_default=False)]
Sequences = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="Table with a row a step, UCR/UEA .ts, .arff or .tsv, or a folder of CSV files a class.", show_default=False
    ),
]
Corpus = Annotated[
    str,
    typer.Argument(
        metavar="CORPUS", help="Folder of recordings with transcripts, TIMIT's, or a manifest (.csv, .jsonl).", show_default=False
    ),
]
OtherData = Annotated[str | None, typer.Argument(metavar="[DATA]", help="Another table; without it, the run's own.", show_default=False)]
Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="DATA",
        help="Another table; of speech: recordings, folders of them, or - for standard input. Without it, the run's own.",
        show_default=False,
    ),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]


def option(name: str, metavar: str, text: str) -> Any:
    """An option that is None if not given."""
    return typer.Option(name, metavar=metavar, help=text, show_default=False)


Text = str | None
Texts = list[str] | None
"""Of an option that may be given several times, each time with one value or several with commas between them."""
Number = float | None
Count = int | None
Seed = Annotated[Count, option("--seed", "N", "Seed of all random numbers; default: 0.")]
MaxEpochs = Annotated[Count, option("--max-epochs", "N", "At most so many epochs.")]
TimeLimit = Annotated[Number, option("--time-limit", "SECONDS", "At most so many seconds of training.")]
Device = Annotated[Text, option("--device", "D", "auto (default), cpu, cuda, mps, ...")]
SettingsFile = Annotated[Text, option("--config", "FILE", "Settings as TOML or JSON, the tree of a run's config.json.")]
Assignments = Annotated[list[str] | None, option("--set", "KEY=VALUE", "One setting, such as network.hidden=128; may be repeated.")]


@dataclass(frozen=True)
class ColumnOptions:
    """What the columns mean. Lists are separated by commas; a name with a comma stands in double quotes."""

    target: Annotated[Texts, option("--target", "C[,C]", "Columns to forecast; default: y or target.")] = None
    time: Annotated[Text, option("--time", "C", "Time column; default: ds or timestamp.")] = None
    id: Annotated[Text, option("--id", "C", "Column that names the series; default: unique_id or item_id.")] = None
    past: Annotated[Texts, option("--past", "C[,C]", "Covariates known up to the forecast origin.")] = None
    future: Annotated[Texts, option("--future", "C[,C]", "Covariates known in the future too.")] = None
    static: Annotated[Texts, option("--static", "C[,C]", "Covariates that are constant in a series.")] = None
    layout: Annotated[Text, option("--layout", "NAME", "long (default), wide: a column per series, or rows: a row per series.")] = None
    horizon: Annotated[Count, option("--horizon", "N", "Steps to forecast.")] = None
    lookback: Annotated[Count, option("--lookback", "N", "Steps that a forecast sees; default: from season and horizon.")] = None
    season: Annotated[Texts, option("--season", "N[,N]", "Steps in a season; default: from the frequency.")] = None
    freq: Annotated[Text, option("--freq", "F", "Frequency, such as h, 15min, d, me; default: found in the data.")] = None
    time_format: Annotated[Text, option("--time-format", "F", "How times are written, such as %d/%m/%Y %H:%M.")] = None
    config: SettingsFile = None
    set: Assignments = None


@dataclass(frozen=True)
class CheckOptions(ColumnOptions):
    """`check` looks at labelled sequences where a label is named, or where the data can be nothing else."""

    label: Annotated[Text, option("--label", "C", "Column with the class of each sequence: check DATA for `train classify`.")] = None


@dataclass(frozen=True)
class ClassOptions:
    """All that `train classify` can be told of settings."""

    label: Annotated[Text, option("--label", "C", "Column with the class; default: label, class or target.")] = None
    id: Annotated[Text, option("--id", "C", "Column that tells sequences apart; default: unique_id, item_id or id.")] = None
    time: Annotated[Text, option("--time", "C", "Column to sort rows by; default: ds, timestamp or time, else as they stand.")] = None
    channels: Annotated[Texts, option("--channels", "C[,C]", "Columns with values; default: all other numbers.")] = None
    network: Annotated[Text, option("--network", "NAME", "conv-lstm (default), lstm or attention-cnn-lstm.")] = None
    seed: Seed = None
    max_epochs: MaxEpochs = None
    time_limit: TimeLimit = None
    device: Device = None
    config: SettingsFile = None
    set: Assignments = None


@dataclass(frozen=True)
class SpeechOptions:
    """All that `train transcribe` can be told of settings."""

    kind: Annotated[Text, option("--kind", "NAME", "timit, folder, manifest or fsdd; default: recognised.")] = None
    tokens: Annotated[Text, option("--tokens", "NAME", "phones, characters or words; default: as the corpus has it.")] = None
    on_bad: Annotated[Text, option("--on-bad", "NAME", "refuse (default), or skip: leave out recordings that cannot be used.")] = None
    test_speakers: Annotated[Texts, option("--test-speakers", "S[,S]", "Test on all that these say; default: as the corpus has it.")] = None
    network: Annotated[Text, option("--network", "NAME", "blstm (default), or causal-lstm for live use.")] = None
    seed: Seed = None
    max_epochs: MaxEpochs = None
    time_limit: TimeLimit = None
    device: Device = None
    config: SettingsFile = None
    set: Assignments = None


@dataclass(frozen=True)
class ForecastOptions(ColumnOptions):
    """All that `train forecast` can be told of settings."""

    split: Annotated[Text, option("--split", "A/B/C", "Train, validation and test: per cent, steps, or two dates; default: 70/10/20.")] = (
        None
    )
    clean: Annotated[
        Literal["on", "off"] | None, option("--clean", "on|off", "Replace outliers by the mean of their neighbours; default: on.")
    ] = None
    network: Annotated[Text, option("--network", "NAME", "attention-cnn-lstm (default) or lstm.")] = None
    loss: Annotated[Text, option("--loss", "NAME", "mae (default), mse, huber or quantile.")] = None
    quantiles: Annotated[Texts, option("--quantiles", "Q[,Q]", "Quantiles to forecast; default: 0.1,0.9.")] = None
    seed: Seed = None
    max_epochs: MaxEpochs = None
    time_limit: TimeLimit = None
    device: Device = None


def takes(group: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb every field of a dataclass as an option of its own; the verb gets them as one object, its parameter `options`.

    Typer reads a function's signature, so the verb is wrapped in one whose signature has the fields in place of `options`. Without
    this each of the twenty-odd options would be written three times for each verb that has them.
    """
    hints = get_type_hints(group, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    spread = [inspect.Parameter(field.name, keyword, default=field.default, annotation=hints[field.name]) for field in fields(group)]

    def wrap(verb: Callable[..., None]) -> Callable[..., None]:
        own = [parameter for parameter in inspect.signature(verb).parameters.values() if parameter.name != "options"]
        first = [parameter.replace(kind=keyword) for parameter in own if parameter.default is parameter.empty]
        last = [parameter.replace(kind=keyword) for parameter in own if parameter.default is not parameter.empty]

        def call(**values: Any) -> None:  # what Typer passes on: exactly the parameters of the signature below
            given = {parameter.name: values.pop(parameter.name) for parameter in own}
            verb(options=group(**values), **given)

        parameters = [*first, *spread, *last]
        call.__name__, call.__doc__ = verb.__name__, verb.__doc__
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return call

    return wrap
