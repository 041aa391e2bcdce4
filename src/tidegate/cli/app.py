"""The command `tidegate`: verbs and options. Each verb's work is in verbs.py, which is imported when it runs."""

import io
import os
import sys
from typing import Annotated, Any

import typer
import typer.core

from tidegate.cli.options import (
    AsJson,
    CheckOptions,
    ClassOptions,
    Corpus,
    Data,
    ForecastOptions,
    Inputs,
    OtherData,
    Quiet,
    Run,
    Sequences,
    SpeechOptions,
    option,
    takes,
)
from tidegate.cli.output import WRONG, say, say_error
from tidegate.errors import TidegateError

ORDER = ("check", "train", "evaluate", "predict", "tune", "demo", "forecast", "classify", "transcribe")


class Verbs(typer.core.TyperGroup):
    """Verbs in the order in which they are used."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=ORDER.index)

    def get_help_option(self, ctx: Any) -> Any:
        """The option --help, its default False: for a flag that is None Typer builds a converter, and imports pydantic to do so."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option


# rich_markup_mode None: help as plain text, since importing rich alone takes longer than all the rest.
_PLAIN: dict[str, Any] = {
    "cls": Verbs,
    "rich_markup_mode": None,
    "add_completion": False,
    "no_args_is_help": True,
    "pretty_exceptions_enable": False,
}
app = typer.Typer(
    name="tidegate",
    help="LSTM models of sequences: forecasters, classifiers, speech recognisers; trained, tested against naive rivals, kept.",
    **_PLAIN,
)
train = typer.Typer(
    short_help="Train, test and keep a model.", help="Train a model, test it against naive rivals, and keep it with all it needs.", **_PLAIN
)
app.add_typer(train, name="train")
tune = typer.Typer(
    short_help="Search for good settings, keep the best.",
    help="Search for the settings that are left open, judged on validation origins; train with the best, and keep that run.",
    **_PLAIN,
)
app.add_typer(tune, name="tune")

Out = Annotated[str | None, option("--out", "RUN", "Folder for the run; default: runs/ and the data's name.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where an earlier call was stopped.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a finished run.")]


def _version(asked: bool) -> None:
    if asked:
        from tidegate import __version__

        say(f"tidegate {__version__}")
        raise typer.Exit


@app.callback()
def _root(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False) -> None:
    pass


@app.command(short_help="What is wrong or odd with a table.")
@takes(CheckOptions)
def check(data: Data, options: CheckOptions, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Say what is wrong or odd with a table, before anything is trained. Exit status 1 if there are errors."""
    from tidegate.cli import verbs

    raise typer.Exit(verbs.check(data, options, as_json, quiet))


@train.command("forecast", short_help="From a table to a kept forecaster.")
@takes(ForecastOptions)
def train_forecast(
    data: Data,
    options: ForecastOptions,
    out: Out = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train a forecaster on a table, test it against naive rivals, write a report, and keep it."""
    from tidegate.cli import verbs

    raise typer.Exit(verbs.train_forecast(data, options, out, resume, overwrite, as_json, quiet))


@train.command("classify", short_help="From labelled sequences to a kept classifier.")
@takes(ClassOptions)
def train_classify(
    data: Sequences,
    options: ClassOptions,
    test: Annotated[str | None, option("--test", "FILE", "Sequences to score on; default: a fifth of each class is held aside.")] = None,
    out: Out = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train a classifier on labelled sequences, test it against naive rivals, write a report, and keep it."""
    from tidegate.cli import verbs

    raise typer.Exit(verbs.train_classify(data, options, test, out, resume, overwrite, as_json, quiet))


@train.command("transcribe", short_help="From recordings with transcripts to a kept recogniser.")
@takes(SpeechOptions)
def train_transcribe(
    corpus: Corpus,
    options: SpeechOptions,
    out: Out = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train a speech recogniser on recordings and what is said in them, test it against naive rivals, write a report, and keep it."""
    from tidegate.cli import verbs

    raise typer.Exit(verbs.train_transcribe(corpus, options, out, resume, overwrite, as_json, quiet))


@app.command(short_help="Scores, naive rivals, verdict.")
def evaluate(
    run: Run,
    data: OtherData = None,
    origins: Annotated[int | None, option("--origins", "N", "Score at the last N origins only.")] = None,
    statistical: Annotated[bool, typer.Option("--statistical", help="Add AutoETS and AutoTheta (extra 'baselines').")] = False,
    minirocket: Annotated[bool, typer.Option("--minirocket", help="Add MiniRocket to classes (extra 'baselines').")] = False,
    convention: Annotated[str | None, option("--convention", "NAME", "Score phones by kaldi, speechbrain or no-silence.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Score a run on its test part, or on other data (all of its labelled sequences, every origin of a table, the test part of a corpus),
    beside naive rivals, with a verdict."""
    from tidegate.cli import verbs

    raise typer.Exit(verbs.evaluate(run, data, origins, statistical, minirocket, convention, as_json, quiet))


@app.command(short_help="Forecasts, classes or transcripts from a run.")
def predict(
    run: Run,
    data: Inputs = None,
    future: Annotated[str | None, option("--future", "FILE", "Table of the covariates that are known in the future.")] = None,
    out: Annotated[str | None, option("--out", "FILE", "CSV or Parquet file for what comes out; without it, CSV is printed.")] = None,
    refit: Annotated[bool, typer.Option("--refit", help="Train on all rows first.")] = False,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Of speech: a row a token, with begin and end in seconds.")] = False,
    rate: Annotated[int | None, option("--rate", "HZ", "Of raw PCM on standard input; default: the run's own.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Forecast what comes after the last row of the run's table, or of another one; or tell the class of each sequence, of the test part or
    of other data; or write down what is said in recordings. With - speech is heard from standard input as it comes, WAV or raw PCM (16
    bits, little-endian, one channel)."""
    from tidegate.cli import verbs

    raise typer.Exit(verbs.predict(run, data or [], future, out, refit, timestamps, rate, as_json, quiet))


@tune.command("forecast", short_help="Good settings for a forecaster.")
@takes(ForecastOptions)
def tune_forecast(
    data: Data,
    options: ForecastOptions,
    out: Out = None,
    trials: Annotated[int, typer.Option("--trials", metavar="N", min=1, help="Trials that the study is to have, of all processes.")] = 20,
    storage: Annotated[str | None, option("--storage", "FILE", "Journal file or database URL; default: RUN.study/journal.log.")] = None,
    trial_time_limit: Annotated[float | None, option("--trial-time-limit", "SECONDS", "At most so many seconds for a trial.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the study; the same command does so anyway.")] = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Search for settings that are not given, train with the best of them, and keep that run; --time-limit is that of the search.

    The same command goes on with a study that was stopped, and a second process with the same command joins it. Trial 0 has the
    defaults. Trials are judged on validation origins, never on test data.
    """
    from tidegate.cli import verbs

    raise typer.Exit(verbs.tune_forecast(data, options, out, trials, storage, trial_time_limit, overwrite, as_json, quiet))


@app.command(short_help="The main job on real data that ships with the package.")
def demo(
    out: Annotated[str | None, option("--out", "RUN", "Folder for the run; default: runs/demo.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Do the main job on a real data set that ships with the package: bicycles rented by the hour."""
    from tidegate.cli import verbs

    raise typer.Exit(verbs.demo(out, as_json, quiet))


def run(arguments: list[str]) -> int:
    """Run one command; the exit status: 0 done, 1 the answer is no, 2 input or arguments are wrong, 130 interrupted."""
    as_json = "--json" in arguments
    try:
        return app(arguments, prog_name="tidegate", standalone_mode=False) or 0
    except TidegateError as error:
        say_error(type(error).__name__, str(error), as_json)
        return WRONG
    except typer.TyperException as error:
        return _usage(error, as_json)


def _usage(error: typer.TyperException, as_json: bool) -> int:
    """Arguments that cannot be read: the message and where to look, or the help where none were given."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        say(context.get_help())
        return 0
    path = context.command_path if context is not None else "tidegate"
    message = error.format_message().rstrip(".")
    say_error("UsageError", f"{message}{'' if message.endswith('?') else '.'} See '{path} --help'.", as_json)
    return WRONG


def main() -> None:
    """Entry point of the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # where there is no Unicode: an escape, not a traceback
    # Threads of torch that wait for each other give the core away: four times faster beside other busy programs, 15 % slower alone.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(sys.argv[1:]))
