"""The search for good settings, for any task: it knows a space, an objective, and how to share the work between processes.

Everything that must outlive a process is in the storage. A process takes a trial under the study's lock, so that all of them together
run as many as were asked for, no more. A trial whose process has died is marked failed, and its settings are tried once more.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from tidegate.errors import RunError, TrainingError
from tidegate.runs.locks import locked
from tidegate.train.events import Event, TrialEnded, TrialStarted
from tidegate.tune.claims import forget, is_dead, is_near, name_worker, worker
from tidegate.tune.knobs import Space, draw
from tidegate.tune.storage import Place, quiet

DONE = (TrialState.COMPLETE, TrialState.PRUNED)
INTERRUPTED, TIME_IS_UP = CUT_SHORT = ("interrupted", "the study's time is up")
"""Why a trial failed through no fault of its settings: they are tried again, by a call with more time."""
WAIT_SECONDS = 0.5
"""Between two looks at a study whose last trials run in other processes."""


@dataclass(frozen=True)
class Outcome:
    """What a trial gives: `value` is to be small; `kept` (plain values) is stored with it."""

    value: float
    kept: Mapping[str, Any] = field(default_factory=dict)


class Halted(Exception):
    """An objective was asked to stop before its end; `outcome` is what it had by then, if anything."""

    def __init__(self, outcome: Outcome | None) -> None:
        super().__init__("asked to stop")
        self.outcome = outcome


@dataclass(frozen=True)
class Attempt:
    """One trial as its objective sees it.

    report  takes the validation loss after each epoch, from 0; it raises where the trial is not worth going on with
    stop    whether to end now, by raising Halted
    """

    number: int
    report: Callable[[int, float], None]
    stop: Callable[[], bool]


@dataclass(frozen=True)
class Search:
    """What is searched for.

    identity   what must be the same in every process that takes part, by name: data, settings
    defaults   the settings of trial 0, each a value of its knob
    objective  trains with the settings that it is given; a TrainingError, or a value that is not finite, prunes the trial
    trials     how many are to be complete or pruned in the end, those of all processes together
    time_limit seconds after which no trial begins and running ones are stopped; what earlier processes took counts
    """

    space: Space
    defaults: Mapping[str, Any]
    objective: Callable[[Mapping[str, Any], Attempt], Outcome]
    identity: Mapping[str, Any]
    trials: int
    time_limit: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class TrialRecord:
    """A trial that has ended. `state`: complete, pruned or failed; `value`: the last one reported where it was not complete."""

    number: int
    state: str
    value: float | None
    params: Mapping[str, Any]
    kept: Mapping[str, Any]


class Study:
    """A study that is open in this process."""

    def __init__(self, place: Place, search: Search) -> None:
        """Open or begin it. Raises RunError if it was begun with another `identity`."""
        self.place, self.search = place, search
        with locked(self._lock), quiet():
            self._study = optuna.create_study(storage=place.open(), study_name=place.name, load_if_exists=True, pruner=_pruner())
            begun = self._study.user_attrs.get("identity")
            if begun is None:
                self._study.set_user_attr("identity", dict(search.identity))
                self._study.enqueue_trial(dict(search.defaults))
            elif differing := _differing(begun, search.identity):
                raise RunError(
                    f"The study '{place.name}' in {place.text} was begun with other data or settings ({', '.join(differing)}). "
                    "Give the same command again, or another --out or --storage for another study."
                )

    @property
    def _lock(self) -> Path:
        return self.place.locks / f"{self.place.name}.lock"

    @property
    def done(self) -> int:
        """How many trials are complete or pruned."""
        return len(self._study.get_trials(deepcopy=False, states=DONE))

    def trials(self) -> list[TrialRecord]:
        """All trials that have ended, by number."""
        return [_record(trial) for trial in self._study.get_trials(deepcopy=False) if trial.state.is_finished()]

    def best(self) -> TrialRecord | None:
        """The complete trial with the smallest value, the first of equals."""
        complete = [trial for trial in self.trials() if trial.state == "complete" and trial.value is not None]
        return min(complete, key=lambda trial: (trial.value, trial.number), default=None)

    def note(self, name: str) -> Any:
        """What was kept with the study under a name; None if nothing was."""
        return self._study.user_attrs.get(name)

    def keep(self, name: str, value: Any) -> None:
        """Keep a plain value with the study."""
        self._study.set_user_attr(name, value)

    def importance(self) -> dict[str, float]:
        """The share of each setting in what sets the best quarter of the complete trials apart (PED-ANOVA, Watanabe et al. 2023). Nothing
        with fewer than two of them, or where all are alike."""
        complete = [trial for trial in self.trials() if trial.state == "complete"]
        if len(complete) < 2:
            return {}
        with quiet():
            evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=max(0.25, 1 / len(complete)))
            shares = optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        finite = {name: share for name, share in shares.items() if math.isfinite(share)}
        return finite if sum(finite.values()) > 0.0 else {}

    def run(self, listen: Callable[[Event], None], interrupted: Callable[[], bool]) -> None:
        """Run trials until enough are complete or pruned, in this process and others, or the time is up."""
        deadline = math.inf if self.search.time_limit is None else time.monotonic() + self.search.time_limit - self._seconds_at_work()
        with worker(self.place.locks) as own:
            while not interrupted():
                with locked(self._lock), quiet():
                    self._replace_dead()
                    taken = self._take(own) if time.monotonic() < deadline else None
                    waits = taken is None and any(is_near(trial.user_attrs["worker"]) for trial in self._running())
                if taken is not None:
                    self._run(*taken, listen, interrupted, deadline)
                elif waits:
                    time.sleep(WAIT_SECONDS)
                else:
                    return

    def _take(self, own: Path) -> tuple[optuna.Trial, dict[str, Any]] | None:
        """A new trial and its settings, if one is wanted; its random numbers follow from the seed and the trials before it."""
        trials = self._study.get_trials(deepcopy=False)
        taken = sum(trial.state in (*DONE, TrialState.RUNNING) for trial in trials)
        if taken >= self.search.trials:
            return None
        seed = int(np.random.SeedSequence((self.search.seed, len(trials))).generate_state(1)[0])
        self._study.sampler = _sampler(seed, self.search.trials)
        trial = self._study.ask()
        trial.set_user_attr("worker", name_worker(own))
        return trial, draw(trial, self.search.space)

    def _run(
        self,
        trial: optuna.Trial,
        params: dict[str, Any],
        listen: Callable[[Event], None],
        interrupted: Callable[[], bool],
        deadline: float,
    ) -> None:
        begin = time.monotonic()
        listen(TrialStarted(trial.number, self.done, self.search.trials))

        def report(step: int, value: float) -> None:
            trial.report(value, step)
            if trial.should_prune():
                raise optuna.TrialPruned

        attempt = Attempt(trial.number, report, lambda: interrupted() or time.monotonic() >= deadline)
        try:
            outcome = self.search.objective(params, attempt)
        except Halted as halted:
            if interrupted():
                self._give_up(trial, INTERRUPTED)
                return
            if self.best() is None and halted.outcome is not None:
                self._end(trial, halted.outcome, TIME_IS_UP)
            else:
                self._give_up(trial, TIME_IS_UP)
        except optuna.TrialPruned:
            self._end(trial, None, "worse than the median")
        except TrainingError as error:
            self._end(trial, None, str(error))
        except BaseException as error:
            self._give_up(trial, f"{type(error).__name__}: {error}")
            raise
        else:
            self._end(trial, outcome, "")
        listen(self._ended(trial.number, time.monotonic() - begin))

    def _end(self, trial: optuna.Trial, outcome: Outcome | None, why: str) -> None:
        """Complete with a finite value, else pruned."""
        with quiet():
            if outcome is None or not math.isfinite(outcome.value):
                trial.set_user_attr("why", why or "the value is not finite")
                self._study.tell(trial, state=TrialState.PRUNED)
                return
            trial.set_user_attr("kept", dict(outcome.kept))
            self._study.tell(trial, outcome.value)

    def _ended(self, number: int, seconds: float) -> TrialEnded:
        record, best = _record(self._study.get_trials(deepcopy=False)[number]), self.best()
        return TrialEnded(
            number=number,
            state=record.state,
            value=record.value,
            best=best is not None and best.number == number,
            best_value=best.value if best else None,
            params=dict(record.params),
            why=str(record.kept.get("why", "")),
            done=self.done,
            trials=self.search.trials,
            seconds=seconds,
        )

    def _give_up(self, trial: optuna.Trial, why: str) -> None:
        """Mark this process's own trial failed."""
        trial.set_user_attr("why", why)
        with locked(self._lock), quiet():
            self._fail(trial.number)

    def _replace_dead(self) -> None:
        """Mark the trials of dead processes failed. Called under the lock."""
        for trial in self._running():
            name = trial.user_attrs.get("worker")
            if name is None or is_dead(name):
                self._fail(trial.number)
            if name is not None and is_dead(name):
                forget(name)

    def _running(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def _fail(self, number: int) -> None:
        """Mark a running trial failed, and queue its settings unless that was done for them before: they may be what ends processes."""
        trial = self._study.get_trials(deepcopy=False)[number]
        params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
        self._study.tell(number, state=TrialState.FAIL)
        if params and (trial.user_attrs.get("why") in CUT_SHORT or "again" not in trial.user_attrs):
            self._study.enqueue_trial(params, user_attrs={"again": number})

    def _seconds_at_work(self) -> float:
        """Seconds in which a trial ran that ended complete, pruned or with the time, overlapping ones counted once."""
        ended = self._study.get_trials(deepcopy=False, states=(*DONE, TrialState.FAIL))
        counted = [trial for trial in ended if trial.state in DONE or trial.user_attrs.get("why") == TIME_IS_UP]
        spans = sorted((trial.datetime_start, trial.datetime_complete) for trial in counted)
        return _covered((begin.timestamp(), end.timestamp()) for begin, end in spans if begin and end)


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Length of the union of spans that are ordered by their beginnings."""
    total, until = 0.0, -math.inf
    for begin, end in spans:
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


def _record(trial: FrozenTrial) -> TrialRecord:
    state = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}.get(trial.state, "failed")
    kept = dict(trial.user_attrs.get("kept", {})) | {key: trial.user_attrs[key] for key in ("why", "again") if key in trial.user_attrs}
    value = trial.values[0] if trial.values else trial.intermediate_values[trial.last_step] if trial.last_step is not None else None
    return TrialRecord(trial.number, state, value if value is not None and math.isfinite(value) else None, dict(trial.params), kept)


def _sampler(seed: int, trials: int) -> optuna.samplers.BaseSampler:
    """TPE over all settings together (Bergstra et al. 2011; Falkner et al. 2018), after a third of the trials, at most ten, at random."""
    return optuna.samplers.TPESampler(n_startup_trials=max(3, min(10, trials // 3)), multivariate=True, constant_liar=True, seed=seed)


def _pruner() -> optuna.pruners.BasePruner:
    """From the second epoch on, a trial must not be worse than the median of the complete ones at that epoch (Golovin et al. 2017)."""
    return optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1)


def _differing(begun: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names whose values are not the same, in terms of JSON."""
    now = json.loads(json.dumps(dict(now)))
    return [name for name in dict.fromkeys((*begun, *now)) if begun.get(name) != now.get(name)]
