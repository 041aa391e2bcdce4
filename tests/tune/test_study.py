"""The search itself, on a toy: how many trials, which, and what becomes of bad ones."""

import logging
import math
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tidegate.errors import RunError, SettingsError, TrainingError
from tidegate.train.events import Event, TrialEnded, TrialStarted
from tidegate.tune.storage import Place, place_of
from tidegate.tune.study import WAIT_SECONDS, Halted, Outcome, Study, _covered

Opener = Callable[..., Study]


def never() -> bool:
    return False


def ignore(event: Event) -> None:
    pass


def test_trial_0_is_the_defaults_and_the_best_is_the_smallest(study: Opener) -> None:
    events: list[Event] = []
    toy = study(trials=12)
    toy.run(events.append, never)
    trials = toy.trials()
    assert len(trials) == toy.done == 12
    assert trials[0].params == {"rate": 0.01, "size": 16}
    assert {trial.state for trial in trials} == {"complete", "pruned"}
    best = toy.best()
    assert best is not None
    assert best.value == min(trial.value for trial in trials if trial.state == "complete" and trial.value is not None)
    assert best.kept["tried"] == best.params["rate"]
    assert max(toy.importance(), key=toy.importance().__getitem__) == "rate"
    assert sum(toy.importance().values()) == pytest.approx(1.0)
    ended = [event for event in events if isinstance(event, TrialEnded)]
    assert [event.done for event in ended] == list(range(1, 13))
    assert [event.number for event in events if isinstance(event, TrialStarted)] == list(range(12))
    assert [event.best for event in ended].count(True) >= 1


def test_pruned_early_by_the_median(study: Opener) -> None:
    epochs: dict[int, int] = {}

    def worse_and_worse(params: Any, attempt: Any) -> Outcome:
        for epoch in range(10):
            epochs[attempt.number] = epoch
            attempt.report(epoch, float(attempt.number))
        return Outcome(float(attempt.number))

    toy = study(worse_and_worse, trials=6)
    toy.run(ignore, never)
    assert [trial.state for trial in toy.trials()] == ["complete"] * 3 + ["pruned"] * 3
    assert [epochs[number] for number in range(6)] == [9, 9, 9, 1, 1, 1]


def test_the_same_trials_however_often_it_is_stopped(study: Opener, tmp_path: Path) -> None:
    whole = study(trials=9)
    whole.run(ignore, never)
    other = place_of(tmp_path / "other" / "R", None)
    for trials in (2, 5, 9):
        study(trials=trials, where=other).run(ignore, never)
    pieces = study(where=other)
    # How early random trials give way depends on the number asked for; up to there they are the same.
    assert [trial.params for trial in pieces.trials()[:3]] == [trial.params for trial in whole.trials()[:3]]
    assert len({trial.params["rate"] for trial in pieces.trials()}) == 9


def test_a_loss_that_is_not_finite_does_not_end_the_study(study: Opener) -> None:
    def sometimes(params: Any, attempt: Any) -> Outcome:
        if attempt.number == 0:
            raise TrainingError("The loss became nan at step 3.")
        if attempt.number == 1:
            attempt.report(0, math.nan)
            return Outcome(math.nan)
        return Outcome(1.0)

    toy = study(sometimes, trials=4)
    toy.run(ignore, never)
    assert [trial.state for trial in toy.trials()] == ["pruned", "pruned", "complete", "complete"]
    assert toy.trials()[0].kept["why"] == "The loss became nan at step 3."
    best = toy.best()
    assert best is not None
    assert best.number == 2


def test_too_few_trials_have_no_importance(study: Opener) -> None:
    toy = study(trials=1)
    assert (toy.importance(), toy.best()) == ({}, None)
    toy.run(ignore, never)
    assert toy.importance() == {}


def test_other_data_or_settings_are_refused(study: Opener) -> None:
    study(identity={"data": "a", "network.hidden": 8})
    study(identity={"network.hidden": 8, "data": "a"})
    with pytest.raises(RunError, match=r"other data or settings \(network.hidden, data.horizon\).*another --out"):
        study(identity={"data": "a", "data.horizon": 3})


def test_an_interrupted_trial_is_failed_and_run_again(study: Opener) -> None:
    asked = [False]

    def objective(params: Any, attempt: Any) -> Outcome:
        if attempt.number == 1:
            asked[0] = True
        if attempt.stop():
            raise Halted(Outcome(5.0))
        return Outcome(float(attempt.number))

    toy = study(objective, trials=4)
    toy.run(ignore, lambda: asked[0])
    assert [trial.state for trial in toy.trials()] == ["complete", "failed"]
    toy.run(ignore, never)
    states = [trial.state for trial in toy.trials()]
    assert states == ["complete", "failed", "complete", "complete", "complete"]
    assert toy.trials()[2].params == toy.trials()[1].params


def test_the_time_of_the_study(study: Opener) -> None:
    def slow(params: Any, attempt: Any) -> Outcome:
        until = time.monotonic() + 0.2
        while time.monotonic() < until:
            if attempt.stop():
                raise Halted(None)
            time.sleep(0.01)
        return Outcome(1.0)

    toy = study(slow, trials=1000, time_limit=0.5)
    toy.run(ignore, never)
    states = [trial.state for trial in toy.trials()]
    assert states == ["complete"] * (len(states) - 1) + ["failed"]
    assert 2 <= len(states) <= 3
    study(slow, trials=1000, time_limit=0.5).run(ignore, never)
    assert toy.done <= len(states) + 1, "the time of earlier calls counts"


def test_a_trial_that_the_time_cut_off_is_run_again_by_a_call_with_more_time(study: Opener) -> None:
    def slow(params: Any, attempt: Any) -> Outcome:
        while not attempt.stop():
            time.sleep(0.01)
        raise Halted(None)

    study(slow, trials=2, time_limit=0.2).run(ignore, never)
    study(slow, trials=2, time_limit=0.4).run(ignore, never)
    toy = study(trials=2)
    toy.run(ignore, never)
    assert [trial.state for trial in toy.trials()] == ["failed", "failed", "complete", "complete"]
    assert toy.trials()[0].params == toy.trials()[1].params == toy.trials()[2].params == toy.search.defaults


def test_what_the_only_trial_had_is_kept_when_the_time_is_up(study: Opener) -> None:
    def halted(params: Any, attempt: Any) -> Outcome:
        while not attempt.stop():
            time.sleep(0.01)
        raise Halted(Outcome(3.0))

    toy = study(halted, time_limit=0.1)
    toy.run(ignore, never)
    assert [(trial.state, trial.value) for trial in toy.trials()] == [("complete", 3.0)]


def test_an_error_of_the_program_fails_the_trial_and_is_not_tried_for_ever(study: Opener) -> None:
    def broken(params: Any, attempt: Any) -> Outcome:
        raise ZeroDivisionError

    for number in range(3):
        with pytest.raises(ZeroDivisionError):
            study(broken).run(ignore, never)
        assert len(study().trials()) == number + 1
    tried = [trial.params for trial in study().trials()]
    assert tried[0] == tried[1] != tried[2]


def test_two_at_once_do_not_run_more_than_was_asked_for(study: Opener) -> None:
    def slow(params: Any, attempt: Any) -> Outcome:
        time.sleep(0.05)
        return Outcome(params["rate"])

    studies = [study(slow, trials=10), study(slow, trials=10)]
    threads = [threading.Thread(target=one.run, args=(ignore, never)) for one in studies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [trial.state for trial in study().trials()] == ["complete"] * 10
    assert len({trial.params["rate"] for trial in study().trials()}) == 10


WORKER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import DEFAULTS, SPACE
from tidegate.tune.storage import place_of
from tidegate.tune.study import Outcome, Search, Study

def slow(params, attempt):
    print(attempt.number, flush=True)
    time.sleep(60.0 if attempt.number >= 1 else 0.0)
    return Outcome(1.0)

Study(place_of(Path(sys.argv[1]), None), Search(SPACE, DEFAULTS, slow, {"data": "a"}, 6, None, 7)).run(lambda event: None, lambda: False)
"""


def start(out: Path, number: int) -> subprocess.Popen[str]:
    """A process in the middle of trial `number`."""
    process = subprocess.Popen([sys.executable, "-c", WORKER, str(out), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while process.stdout.readline().strip() != str(number):
        assert process.poll() is None
    return process


def test_a_trial_of_a_killed_process_is_failed_and_replaced_and_a_live_one_is_left_alone(study: Opener, tmp_path: Path) -> None:
    killed, alive = start(tmp_path / "R", 1), start(tmp_path / "R", 2)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    toy = study(lambda params, attempt: Outcome(params["rate"]), trials=6)
    runner = threading.Thread(target=toy.run, args=(ignore, never))
    runner.start()
    until = time.monotonic() + 30
    while study().done < 5 and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(2 * WAIT_SECONDS)
    assert runner.is_alive(), "it waits for the trial that runs elsewhere"
    assert (study().done, len(study().trials())) == (5, 6)
    alive.send_signal(signal.SIGKILL)
    alive.communicate()
    runner.join(30)
    trials = toy.trials()
    assert sorted(trial.state for trial in trials) == ["complete"] * 6 + ["failed"] * 2
    assert [trial.number for trial in trials if trial.state == "failed"] == [1, 2]
    for failed, again in ((1, 3), (2, 7)):
        assert trials[again].kept["again"] == failed
        assert trials[again].params == trials[failed].params
    assert not list((tmp_path / "R.study" / "locks").glob("*.worker"))


def test_half_a_line_and_a_lock_that_a_kill_left(study: Opener, place: Place) -> None:
    study(trials=2).run(ignore, never)
    with Path(place.text).open("ab") as file:
        file.write(b'{"op_code":4,"worker')
    begin = time.monotonic()
    study(trials=4).run(ignore, never)
    assert study().done == 4
    assert time.monotonic() - begin < 5.0


def test_a_database(study: Opener, tmp_path: Path) -> None:
    where = place_of(tmp_path / "R", f"sqlite:///{tmp_path / 'study.db'}")
    study(trials=3, where=where).run(ignore, never)
    assert study(where=where).done == 3
    assert (tmp_path / "study.db").is_file()
    with pytest.raises(SettingsError, match="cannot be opened.*Give a path, or a URL"):
        study(where=place_of(tmp_path / "R", "nosuch://x"))


def test_storage_that_cannot_be_used(study: Opener, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is a folder. Give a journal file"):
        place_of(tmp_path / "R", str(tmp_path))
    (tmp_path / "notes.txt").write_text("not a journal\nof a study\n")
    with pytest.raises(RunError, match=r"notes.txt is no journal of a study"):
        study(where=place_of(tmp_path / "R", str(tmp_path / "notes.txt")))
    (tmp_path / "one.csv").write_text("a single line without its end")
    with pytest.raises(RunError, match=r"one.csv is no journal of a study"):
        study(where=place_of(tmp_path / "R", str(tmp_path / "one.csv")))
    assert (tmp_path / "one.csv").read_text() == "a single line without its end"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "one.csv"], "nothing is left beside them"
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        study(where=place_of(tmp_path / "file" / "R", None))


def test_optuna_is_silent(study: Opener, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder) -> None:
    toy = study(trials=4)
    toy.run(ignore, never)
    toy.importance()
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
    assert logging.getLogger("optuna").level != logging.ERROR, "the level is put back"


def test_seconds_that_overlap_count_once() -> None:
    assert _covered([(0.0, 2.0), (1.0, 3.0), (1.5, 2.5), (5.0, 6.0)]) == 4.0
    assert _covered([]) == 0.0
