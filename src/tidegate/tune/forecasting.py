"""The search for a forecaster's settings: judged on validation origins, the best trained again and kept as a run."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tidegate.config import Config, build_config
from tidegate.errors import SettingsError, TrainingError
from tidegate.evaluate.report.data import Trial, Tuning
from tidegate.formatting import format_number
from tidegate.runs.folder import RunFolder
from tidegate.runs.locks import locked
from tidegate.tasks.forecasting.material import Material, gather
from tidegate.tasks.forecasting.verbs import train
from tidegate.tasks.summary import Summary
from tidegate.tasks.training import Listener
from tidegate.train.events import Said
from tidegate.tune.forecast_trial import try_settings
from tidegate.tune.space import forecast_space
from tidegate.tune.storage import place_of
from tidegate.tune.study import Search, Study

TRIALS = 20
FINAL = "final"
"""Note in a study: the settings of the run that it has begun or made."""


def forecast(
    source: Any,
    config: Config,
    out: str | Path,
    *,
    trials: int = TRIALS,
    storage: str | Path | None = None,
    trial_time_limit: float | None = None,
    overwrite: bool = False,
    listen: Listener = lambda event: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Summary:
    """Search for the settings that `config` leaves open, train with the best, and keep that run in the folder `out`.

    `trials` are those of all processes that work on the study and of earlier calls: the same call goes on where it was stopped. The
    study lies beside `out`, in OUT.study/journal.log, or in `storage` (a journal file, or the URL of a database). `trial_time_limit`
    (seconds) holds for one trial, `config.training.time_limit` for the search; the last training comes on top. Trial 0 has the
    defaults. Raises TidegateError; what a study knows is not lost by one.
    """
    if trials < 1 or (trial_time_limit is not None and trial_time_limit <= 0):
        raise SettingsError(f"trials and trial_time_limit must be above 0 (given: {trials} and {trial_time_limit}).")
    out = Path(out)
    before = RunFolder.resume(out)
    place = place_of(out, None if storage is None else str(storage))
    if before is not None and place.is_missing:
        RunFolder.check(out, overwrite=overwrite)
    asked = config.model_copy(update={"training": config.training.model_copy(update={"time_limit": None})})
    material = gather(source, asked)
    study = Study(place, _search(asked, config.training.time_limit, material, trials, trial_time_limit, listen))
    if not _is_own(before, study.note(FINAL)) or (before and before.finished and study.done < trials):
        RunFolder.check(out, overwrite=overwrite)
    elif before and before.finished and not overwrite:
        return replace(train(source, config, out, resume=True, listen=listen), tuning=tuning_of(study))
    for note in (*material.notes, f"study in {place.text}: {study.done} of {trials} trials done"):
        listen(Said(note))
    study.run(listen, interrupted)
    if interrupted():
        return Summary("forecast", out, interrupted=True, tuning=tuning_of(study))
    with locked(place.locks / f"{place.name}.final"):
        return _keep_best(study, source, out, before, overwrite, listen, interrupted)


def tuning_of(study: Study) -> Tuning:
    """A study as the report shows it."""
    best = study.best()
    trials = [Trial(number=one.number, value=one.value, state=one.state, params=one.params) for one in study.trials()]
    return Tuning(trials=trials, importance=study.importance(), best=None if best is None else best.number, metric="loss")


def _search(
    asked: Config, time_limit: float | None, material: Material, trials: int, trial_time_limit: float | None, listen: Listener
) -> Search:
    """The search over what was left open. Raises SettingsError where nothing was."""
    space, defaults = forecast_space(asked, material)
    if not space:
        raise SettingsError(
            "Nothing is left to be tuned: every setting of the space is given. Leave one out, such as training.learning_rate."
        )
    given = asked.model_dump(mode="json", exclude_unset=True)
    identity = {"data": material.table.checksum(), "space": {name: str(knob) for name, knob in space.items()}}
    identity |= {f"{section}.{key}": value for section in ("data", "network", "training") for key, value in given.get(section, {}).items()}
    identity["network.name"] = asked.network.name  # given or not
    return Search(
        space=space,
        defaults=defaults,
        objective=lambda params, attempt: try_settings(asked, material, params, attempt, trial_time_limit, listen),
        identity=identity,
        trials=trials,
        time_limit=time_limit,
        seed=asked.training.seed,
    )


def _keep_best(
    study: Study,
    source: Any,
    out: Path,
    before: RunFolder | None,
    overwrite: bool,
    listen: Listener,
    interrupted: Callable[[], bool],
) -> Summary:
    """Train with the best settings and keep the run, or find that another process of this study has just done so."""
    best = study.best()
    if best is None:
        reasons = "; ".join(f"trial {one.number}: {one.kept.get('why', one.state)}" for one in study.trials()[:3])
        cure = "Give a longer --time-limit or more --trials, or look at the data with `tidegate check`."
        raise TrainingError(f"No trial has ended with a loss ({reasons or 'none was begun'}). {cure}")
    config = build_config(best.kept["config"])
    folder = RunFolder.resume(out)
    if folder is not None and folder.finished:
        made_now = before is None or folder.manifest != before.manifest
        if made_now and _is_own(folder, best.kept["config"]):
            return replace(train(source, config, out, resume=True, listen=listen), tuning=tuning_of(study))
    elif folder is not None and not _is_own(folder, best.kept["config"]):
        with folder.training():
            folder.abandon()  # begun with what was the best before more trials were run
        folder = None
    study.keep(FINAL, best.kept["config"])
    scores = f"validation {format_number(best.value)}{_defaults_score(study)}"
    listen(Said(f"best: trial {best.number}, {scores}; training with its settings"))
    resume, tuning = folder is not None and not folder.finished, tuning_of(study)
    summary = train(source, config, out, resume=resume, overwrite=overwrite, listen=listen, interrupted=interrupted, tuning=tuning)
    return replace(summary, tuning=tuning)


def _defaults_score(study: Study) -> str:
    """', defaults 0.1301' where the trial of the defaults is complete."""
    complete = (one for one in study.trials() if one.state == "complete" and one.params == study.search.defaults)
    return next((f", defaults {format_number(one.value)}" for one in complete), "")


def _is_own(folder: RunFolder | None, config: dict[str, Any] | None) -> bool:
    """Whether a run folder is the one that was begun with these settings (it has none yet where a kill came right after it was made)."""
    if folder is None or config is None:
        return False
    return not folder.exists("config.json") or json.loads(folder.read_text("config.json")) == config
