"""The benchmark of long memories: its problems as they are defined, its networks, and a short problem that is solved."""

import json
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import memory
from benchmarks.memory import PROBLEMS, Recaller, adding, copy


def call(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    monkeypatch.setattr("sys.argv", ["memory", *arguments, "--threads", "1", "--json"])
    memory.main()
    return json.loads(capsys.readouterr().out)


def test_adding() -> None:
    x_BTI, sums_B = adding(20, 500, np.random.default_rng(0))
    numbers_BT, marks_BT = x_BTI.unbind(2)
    assert x_BTI.shape == (500, 20, 2)
    assert (marks_BT[:, :10].sum(1) == 1).all() and (marks_BT[:, 10:].sum(1) == 1).all()
    assert torch.allclose(sums_B, (numbers_BT * marks_BT).sum(1))
    assert float(((sums_B - 1) ** 2).mean()) == pytest.approx(1 / 6, rel=0.2)  # of who always says 1
    assert (marks_BT.sum(0) > 0).all()


def test_copy() -> None:
    x_BTI, wanted_BT = copy(30, 4, np.random.default_rng(0))
    given_BT = x_BTI.argmax(2)
    assert x_BTI.shape == (4, 50, 10) and (x_BTI.sum(2) == 1).all()
    assert (given_BT[:, :10] < 8).all()
    assert (given_BT[:, 10:39] == 8).all() and (given_BT[:, 39] == 9).all() and (given_BT[:, 40:] == 8).all()
    assert (wanted_BT[:, :40] == 8).all()
    assert torch.equal(wanted_BT[:, 40:], given_BT[:, :10])


def test_what_a_copy_is_worth() -> None:
    """Who knows when to speak and guesses what has the loss 10 ln 8 / (T + 20), and seven symbols of eight are wrong."""
    problem = PROBLEMS["copy"]
    _, wanted_BT = copy(30, 500, np.random.default_rng(0))
    logits_BTO = torch.full((500, 50, 9), -1e9)
    logits_BTO[:, :40, 8], logits_BTO[:, 40:, :8] = 0.0, 0.0
    loss, wrong = problem.judge(logits_BTO, wanted_BT)
    assert float(loss) == pytest.approx(10 * np.log(8) / 50)
    assert wrong == pytest.approx(7 / 8, abs=0.02)


@pytest.mark.parametrize("init", memory.INITS)
def test_initial_weights(init: str) -> None:
    """The forget bias: about 0, 1, or the log of a number of steps."""
    torch.manual_seed(0)
    lstm = Recaller(PROBLEMS["adding"], 200, init, 600).lstm.layers[0]
    forget = (lstm.get_parameter("bias_ih_l0") + lstm.get_parameter("bias_hh_l0")).detach()[200:400]
    if init == "chrono":
        assert 0 < float(forget.min()) < float(forget.max()) < np.log(599)
        assert float(forget.exp().mean()) == pytest.approx(300, rel=0.15)
    elif init == "torch":
        assert 0 < float(forget.abs().max()) <= 2 / 200**0.5
    else:
        assert torch.equal(forget, torch.ones(200))


def test_a_short_problem_is_solved(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = call(["adding", "--steps", "10", "--init", "chrono", "--limit", "120"], monkeypatch, capsys)
    row, run = found["rows"][0], found["runs"][0]
    assert {"machine", "versions", "command"} <= set(found)
    assert (row["problem"], row["T"], row["init"], row["solved"]) == ("adding", 10, "chrono", "1 of 1")
    assert run["error"] < 1e-3 and run["updates"] % memory.UPDATES == 0
    assert run["seconds"] == row["slowest"] < 120


def test_a_problem_that_is_not_solved(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["copy", "--steps", "5", "--init", "keras", "--seeds", "2", "--hidden", "4", "--limit", "0.1"]
    found = call(arguments, monkeypatch, capsys)
    assert [run["seed"] for run in found["runs"]] == [0, 1]
    assert found["rows"][0]["solved"] == "0 of 2"
    assert found["rows"][0]["error"] > 0.5
