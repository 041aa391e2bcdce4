"""What each verb does: it calls a task and shows what came back. Imported when a verb runs."""

import shlex
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from tidegate.cli.interrupt import interruptible
from tidegate.cli.options import CheckOptions, ClassOptions, ForecastOptions, SpeechOptions
from tidegate.cli.output import DONE, STOPPED, say, say_error, say_json
from tidegate.cli.progress import Listener, Watch, listening
from tidegate.cli.settings import check_config, class_config, forecast_config, speech_config
from tidegate.cli.show import print_scores
from tidegate.errors import SettingsError, TidegateError
from tidegate.runs.folder import RunFolder

FORECAST, CLASSIFY, TRANSCRIBE = "forecast", "classify", "transcribe"
LABELLED = ("label", "id", "time")
"""Options of `check` that labelled sequences have too."""
LIVE = "-"
"""What stands for standard input."""
SAID = {FORECAST: "forecast", CLASSIFY: "classes", TRANSCRIBE: "transcripts"}
"""What `predict` gives."""
Work = Callable[[Listener, Callable[[], bool]], Any]
"""Training: given a listener, and a function that says whether to stop."""


def check(data: str, options: CheckOptions, as_json: bool, quiet: bool) -> int:
    """Show what is wrong or odd with a table, or with labelled sequences; 1 if there are errors."""
    from tidegate.cli.check import run, run_labelled
    from tidegate.data.labelled_table import labelled_kind

    if options.label is not None or labelled_kind(data):
        names = [field.name for field in fields(options) if field.name not in LABELLED]
        given = {f"--{name.replace('_', '-')}": getattr(options, name) is not None for name in names}
        _refuse(f"{data} is checked as labelled sequences", given)
        return run_labelled(data, label=options.label, id=options.id, time=options.time, as_json=as_json, quiet=quiet)
    return run(data, check_config(options).data, as_json=as_json, quiet=quiet)


def train_forecast(data: str, options: ForecastOptions, out: str | None, resume: bool, overwrite: bool, as_json: bool, quiet: bool) -> int:
    """Train, score and keep a forecaster."""
    config = forecast_config(options)
    folder = Path(out) if out else default_folder(data)
    from tidegate.tasks.forecasting.verbs import train

    def work(listen: Listener, interrupted: Callable[[], bool]) -> Any:
        return train(data, config, folder, resume=resume, overwrite=overwrite, listen=listen, interrupted=interrupted)

    watch = Watch(config.training.time_limit, config.training.max_steps)
    return _train_and_show(FORECAST, work, watch, folder, "the same command with --resume", as_json, quiet)


def train_classify(
    data: str, options: ClassOptions, test: str | None, out: str | None, resume: bool, overwrite: bool, as_json: bool, quiet: bool
) -> int:
    """Train, score and keep a classifier."""
    config = class_config(options)
    folder = Path(out) if out else default_folder(data)
    from tidegate.tasks.classification.verbs import train

    def work(listen: Listener, interrupted: Callable[[], bool]) -> Any:
        return train(data, config, folder, test=test, resume=resume, overwrite=overwrite, listen=listen, interrupted=interrupted)

    watch = Watch(config.training.time_limit, config.training.max_steps, "sequences")
    return _train_and_show(CLASSIFY, work, watch, folder, "the same command with --resume", as_json, quiet)


def train_transcribe(
    corpus: str, options: SpeechOptions, out: str | None, resume: bool, overwrite: bool, as_json: bool, quiet: bool
) -> int:
    """Train, score and keep a recogniser of speech."""
    config = speech_config(options)
    folder = Path(out) if out else default_folder(corpus)
    from tidegate.tasks.transcription.verbs import train

    def work(listen: Listener, interrupted: Callable[[], bool]) -> Any:
        return train(corpus, config, folder, resume=resume, overwrite=overwrite, listen=listen, interrupted=interrupted)

    watch = Watch(config.training.time_limit, config.training.max_steps, "utterances")
    return _train_and_show(TRANSCRIBE, work, watch, folder, "the same command with --resume", as_json, quiet)


def tune_forecast(
    data: str,
    options: ForecastOptions,
    out: str | None,
    trials: int,
    storage: str | None,
    trial_time_limit: float | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Search for settings, then train, score and keep the best forecaster."""
    config = forecast_config(options)
    folder = Path(out) if out else default_folder(data)
    from tidegate.tune import forecast as search

    def work(listen: Listener, interrupted: Callable[[], bool]) -> Any:
        limits = {"storage": storage, "trial_time_limit": trial_time_limit}
        return search(data, config, folder, trials=trials, overwrite=overwrite, listen=listen, interrupted=interrupted, **limits)

    saved = storage or str(folder.with_name(f"{folder.name}.study"))
    return _train_and_show(FORECAST, work, Watch(None, config.training.max_steps), folder, "the same command", as_json, quiet, saved)


def evaluate(
    run: str,
    data: str | None,
    origins: int | None,
    statistical: bool,
    minirocket: bool,
    convention: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Score a run beside the baselines."""
    found: Any
    task = RunFolder.task_of(run)
    if task not in (None, FORECAST):
        _refuse(_this(task), {"--origins": origins is not None, "--statistical": statistical})
    if task != TRANSCRIBE:
        _refuse(_this(task or FORECAST), {"--convention": convention is not None})
    if task != CLASSIFY:
        _refuse(_this(task or FORECAST), {"--minirocket": minirocket})
    if task == CLASSIFY:
        from tidegate.tasks.classification.verbs import evaluate as score_classes

        found = score_classes(Path(run), data, minirocket=minirocket)
    elif task == TRANSCRIBE:
        from tidegate.tasks.transcription.verbs import evaluate as score_speech

        found = score_speech(Path(run), data, convention)
    else:
        from tidegate.tasks.forecasting.verbs import evaluate as score

        found = score(Path(run), data, origins=origins, statistical=statistical)
    if as_json:
        say_json(found.to_json() | {"table": found.table})
    elif not quiet:
        for note in found.notes:
            say(f"note: {note}")
        print_scores(found.table, found.baselines, found.verdict)
    return DONE


def predict(
    run: str,
    data: list[str],
    future: str | None,
    out: str | None,
    refit: bool,
    timestamps: bool,
    rate: int | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Forecast from the end of the run's data, or of another table; or classes of sequences; or transcripts of recordings."""
    task = RunFolder.task_of(run)
    if task not in (None, FORECAST):
        _refuse(_this(task), {"--future": future is not None, "--refit": refit})
    if task == TRANSCRIBE:
        return _transcribe(run, data, out, timestamps, rate, as_json, quiet)
    _refuse(_this(task), {"--timestamps": timestamps, "--rate": rate is not None})
    if len(data) > 1:
        raise SettingsError(
            f"{len(data)} files are given ({', '.join(data[:3])}{', ...' if data[3:] else ''}); {_this(task)}, which takes one."
        )
    source = data[0] if data else None
    with listening(as_json or quiet) as listen:
        if task == CLASSIFY:
            from tidegate.tasks.classification.verbs import predict as classify

            frame = classify(Path(run), source, out=out, listen=listen)
        else:
            from tidegate.tasks.forecasting.verbs import predict as forecast

            frame = forecast(Path(run), source, future=future, out=out, refit=refit, listen=listen)
    rows: Any = None if out else [{name: _cell(value) for name, value in row.items()} for row in frame.iter_rows(named=True)]
    show_frame(task or FORECAST, frame, rows if as_json else None, out, as_json, quiet)
    return DONE


def _transcribe(run: str, audio: list[str], out: str | None, timestamps: bool, rate: int | None, as_json: bool, quiet: bool) -> int:
    """What is said in recordings, or on standard input."""
    if LIVE in audio:
        from tidegate.cli.live import transcribe_live

        if len(audio) > 1:
            raise SettingsError("Standard input (-) and files are given; expected either. Call it once for each.")
        return transcribe_live(run, rate, out, timestamps, as_json, quiet)
    from tidegate.tasks.output import check_output, write_frame
    from tidegate.tasks.transcription.hearing import transcript_json
    from tidegate.tasks.transcription.verbs import frame_of, transcripts

    _refuse("files tell their rate themselves", {"--rate": rate is not None})
    if out is not None:
        check_output(Path(out))
    heard = transcripts(Path(run), audio)
    frame = frame_of(heard, timestamps)
    if out is not None:
        write_frame(frame, Path(out))
    show_frame(TRANSCRIBE, frame, None if out else [transcript_json(one) for one in heard], out, as_json, quiet)
    return DONE


def show_frame(task: str, frame: Any, rows: Any, out: str | None, as_json: bool, quiet: bool, fault: TidegateError | None = None) -> None:
    """What `predict` found: as an object with `rows`, as a line on the file that it is in, or as CSV. Then what was wrong, if it was found
    all the same."""
    if as_json:
        error = {} if fault is None else {"error": {"kind": type(fault).__name__, "message": str(fault)}}
        say_json({"task": task, "out": out, "rows": len(frame), "columns": frame.columns, SAID[task]: rows} | error)
    elif out and not quiet:
        say(f"{len(frame):,} rows in {out}")
    elif not out:
        zone = any(getattr(dtype, "time_zone", None) for dtype in frame.dtypes)
        say(frame.write_csv(datetime_format="%Y-%m-%d %H:%M:%S%.f" + ("%:z" if zone else "")).rstrip("\n"))
    if fault is not None and not as_json:
        say_error(type(fault).__name__, str(fault), as_json)


def demo(out: str | None, as_json: bool, quiet: bool) -> int:
    """The main job on the data that ships with the package."""
    from tidegate.tasks.forecasting.demo import demo_config, run_demo

    folder, settings = Path(out) if out else Path("runs") / "demo", demo_config()

    def work(listen: Listener, interrupted: Callable[[], bool]) -> Any:
        return run_demo(folder, listen=listen, interrupted=interrupted)

    watch = Watch(settings.training.time_limit, settings.training.max_steps)
    return _train_and_show(FORECAST, work, watch, folder, "the same command", as_json, quiet)


def _train_and_show(
    task: str, work: Work, watch: Watch, folder: Path, again: str, as_json: bool, quiet: bool, saved: str | None = None
) -> int:
    """Train while it is shown and can be interrupted, then show what came of it; `saved`: where it is if not in `folder`."""
    silent = as_json or quiet
    with interruptible(silent) as interrupted, listening(silent, watch) as listen:
        try:
            summary = work(listen, interrupted)
        except KeyboardInterrupt:
            return _stopped(task, folder, saved or str(folder), again, as_json, quiet)
    if summary.interrupted:
        return _stopped(task, folder, saved or str(folder), again, as_json, quiet)
    _show_summary(summary, as_json, quiet)
    return DONE


def _refuse(what: str, given: dict[str, bool]) -> None:
    """Raise SettingsError for an option that is given and not for this."""
    for name in (name for name, there in given.items() if there):
        raise SettingsError(f"{name} has no use here: {what}. Leave it out.")


def _this(task: str | None) -> str:
    return f"this run's task is '{task}'"


def default_folder(data: str) -> Path:
    """Where a run goes without --out: runs/, and the table's name without its endings."""
    return Path("runs") / (Path(data).resolve().name.split(".")[0] or "run")


def _show_summary(summary: Any, as_json: bool, quiet: bool) -> None:
    """What came of a training, where it lies, and what to type next."""
    if as_json:
        facts = {"task": summary.task, "run": str(summary.folder), "metrics": summary.metrics, "baselines": summary.baselines}
        facts |= {} if summary.tuning is None else {"tuning": summary.tuning}
        say_json(facts | {"verdict": summary.verdict, "seconds": summary.seconds, "notes": summary.notes, "table": summary.table})
    elif not quiet:
        print_scores(summary.table, summary.baselines, summary.verdict)
        folder = shlex.quote(str(summary.folder))
        say(f"\nreport    {summary.folder / 'report.html'}")
        say(f"next      tidegate predict {folder} --out {SAID[summary.task]}.csv")
        say(f"          tidegate evaluate {folder}")


def _stopped(task: str, folder: Path, saved: str, again: str, as_json: bool, quiet: bool) -> int:
    """Say that training was interrupted, and how to go on; `demo` and `tune` do so by themselves."""
    if as_json:
        say_json({"task": task, "run": str(folder), "state": "interrupted"})
    elif not quiet:
        say(f"interrupted: what was done is saved in {saved}; {again} goes on")
    return STOPPED


def _cell(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
