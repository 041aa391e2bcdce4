"""How trials are shown: a line each, and a bar that counts them."""

import io

from tidegate.cli.progress import Log, Watch, listening
from tidegate.train.events import Started, Stepped, Stopped, TrialEnded, TrialStarted

PARAMS = {"training.learning_rate": 0.00123456, "network.hidden": 64}
EVENTS = [
    TrialStarted(3, 3, 20),
    Stepped(1, 12, 0.5, 1.0, 0.001, 2560.0, 1.0),
    TrialEnded(3, "complete", 0.25, True, 0.25, PARAMS, "", 4, 20, 62.0),
    TrialStarted(4, 4, 20),
    TrialEnded(4, "pruned", 0.5, False, 0.25, PARAMS, "worse than the median", 5, 20, 5.0),
]
LINES = [
    "trial 3, 4 of 20 done: complete, validation 0.2500 (best), 1 min 02 s; learning_rate 0.00123, hidden 64",
    "trial 4, 5 of 20 done: pruned (worse than the median), validation 0.5000, best 0.2500, 5 s; learning_rate 0.00123, hidden 64",
]


class Terminal(io.StringIO):
    """Takes text, and says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_for_each_trial() -> None:
    file = io.StringIO()
    log = Log(Watch(), file)
    for event in EVENTS:
        log(event)
    assert file.getvalue().splitlines() == LINES


def test_a_terminal_gets_a_bar_of_trials_then_one_of_the_last_training() -> None:
    file = Terminal()
    with listening(False, None, file) as listen:
        for event in EVENTS[:2]:
            listen(event)
        assert listen._progress.tasks[0].description == "trial 3 (3 of 20 done), epoch 2"  # pyright: ignore
        for event in EVENTS[2:]:
            listen(event)
        assert (listen._progress.tasks[0].completed, listen._progress.tasks[0].total) == (4, 20)  # pyright: ignore
        listen(Started(0, 0, 2, 10, 1234, 2560, "cpu", 2))
        listen(Stepped(0, 1, 0.9, 1.0, 0.001, 500.0, 1.0))
        assert [task.description for task in listen._progress.tasks] == ["epoch 1/2"]  # pyright: ignore
        listen(Stopped("all epochs done", 2, 0, 0.7, 200.0))
    text = file.getvalue()
    assert all(line in text for line in LINES)
