"""How soon does a plain LSTM learn what takes a long memory? Seconds and updates until the adding problem and copy memory are solved.

Adding (Hochreiter and Schmidhuber 1997, as in Le et al. 2015): at each of T steps a number from U(0, 1) and a mark, which is 1 at one step
of the first half and at one of the second; after the last step the output is the sum of the two marked numbers. Who always says 1 has the
mean squared error 1/6. Solved: below 0.001 on 1,000 sequences that training never sees.

Copy (Arjovsky et al. 2016): ten of eight symbols, T - 1 blanks, a signal, ten blanks; the output is blank until the signal, then the ten
symbols. Who guesses them has the loss 10 ln 8 / (T + 20). Solved: 99 % of the symbols right in 1,000 sequences that training never sees.

The network is one LSTM and a linear output; each batch is drawn anew. What is judged is a moving average of the weights. The clock counts
all of it, the pass over the held-out sequences after each 50 updates too.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.common import arguments, show, show_json
from benchmarks.training import say
from tidegate.config_classify import LSTMClassifierSettings
from tidegate.nn import backend
from tidegate.nn.classifier import ClassifierShape, LSTMClassifier
from tidegate.tasks.computing import computing
from tidegate.train.averaging import MovingAverage

SYMBOLS, RECALLED = 8, 10
HELD_OUT = 1_000
UPDATES = 50
"""Between two looks at the held-out sequences."""
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": lambda weights, rate: torch.optim.Adam(weights, rate, fused=True),
    "rmsprop": lambda weights, rate: torch.optim.RMSprop(weights, rate, alpha=0.9),
}
"""On the plateaus of copy memory gradients are tiny; RMSprop, whose squares have a shorter memory than Adam's, leaves them sooner."""
INITS = ("chrono", "keras", "forget", "torch")


class Batch(NamedTuple):
    """x float32 [B, T, I]; y numbers [B], or classes [B, T]."""

    x_BTI: Tensor
    y: Tensor


def adding(steps: int, size: int, random: np.random.Generator) -> Batch:
    """Numbers and marks, and the sums of the marked numbers."""
    x_BTI = np.zeros((size, steps, 2), np.float32)
    x_BTI[:, :, 0] = random.random((size, steps), np.float32)
    for begin, end in ((0, steps // 2), (steps // 2, steps)):
        x_BTI[np.arange(size), random.integers(begin, end, size), 1] = 1.0
    return Batch(torch.from_numpy(x_BTI), torch.from_numpy(x_BTI.prod(2).sum(1)))


def copy(steps: int, size: int, random: np.random.Generator) -> Batch:
    """Symbols 0 to 7, blank 8, signal 9, one-hot; classes 0 to 8."""
    symbols = random.integers(0, SYMBOLS, (size, RECALLED))
    given = np.full((size, steps + 2 * RECALLED), SYMBOLS)
    given[:, :RECALLED], given[:, -RECALLED - 1] = symbols, SYMBOLS + 1
    wanted = np.full_like(given, SYMBOLS)
    wanted[:, -RECALLED:] = symbols
    return Batch(torch.from_numpy(np.eye(SYMBOLS + 2, dtype=np.float32)[given]), torch.from_numpy(wanted))


def adding_error(y_BTO: Tensor, sums_B: Tensor) -> tuple[Tensor, float]:
    """Mean squared error after the last step, as loss and as number."""
    loss = functional.mse_loss(y_BTO[:, -1, 0], sums_B)
    return loss, loss.item()


def copy_error(y_BTO: Tensor, wanted_BT: Tensor) -> tuple[Tensor, float]:
    """Cross-entropy over all steps, and the share of symbols that are wrong."""
    wrong = y_BTO[:, -RECALLED:].argmax(2) != wanted_BT[:, -RECALLED:]
    return functional.cross_entropy(y_BTO.flatten(0, 1), wanted_BT.flatten()), wrong.float().mean().item()


class Problem(NamedTuple):
    """How it is drawn, judged and trained on by default.

    draw     (T, B, random) -> a batch
    judge    (outputs [B, T, O], y) -> loss, and the error that must fall below `solved`
    first    the output is wanted from this step on
    """

    draw: Callable[[int, int, np.random.Generator], Batch]
    judge: Callable[[Tensor, Tensor], tuple[Tensor, float]]
    inputs: int
    outputs: int
    first: int
    solved: float
    steps: tuple[int, ...]
    hidden: int
    batch: int
    rate: float
    optimiser: str


PROBLEMS = {
    "adding": Problem(adding, adding_error, 2, 1, -1, 1e-3, (200, 600), 32, 32, 0.01, "adam"),
    "copy": Problem(copy, copy_error, SYMBOLS + 2, SYMBOLS + 1, 0, 0.01, (500, 1000), 128, 16, 0.01, "rmsprop"),
}


class Recaller(nn.Module):
    """One LSTM, and a linear output from step `first` on (-1: at the last)."""

    def __init__(self, problem: Problem, hidden: int, init: str, steps: int) -> None:
        super().__init__()
        settings = LSTMClassifierSettings(hidden=hidden, init="torch" if init == "forget" else init, dropout=0.0)  # type: ignore[arg-type]
        self.lstm = LSTMClassifier(ClassifierShape(problem.inputs, 1, steps), settings).lstm
        self.output, self.first = nn.Linear(hidden, problem.outputs), problem.first
        if init == "forget":
            with torch.no_grad():
                for name, bias in self.lstm.named_parameters():
                    if "bias" in name:
                        bias[hidden : 2 * hidden] = float("bias_ih" in name)

    def forward(self, x_BTI: Tensor) -> Tensor:
        """[B, T, I] to [B, T - first, O]."""
        return self.output(self.lstm(x_BTI)[0][:, self.first :])


def solve(name: str, steps: int, init: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train until the problem is solved or the time is over."""
    problem, given = PROBLEMS[name], {key: getattr(options, key) for key in ("hidden", "batch", "rate", "optimiser")}
    found = {key: getattr(problem, key) if value is None else value for key, value in given.items()}
    torch.manual_seed(seed)
    network = Recaller(problem, found["hidden"], init, steps)
    optimiser = OPTIMISERS[found["optimiser"]](network.parameters(), found["rate"])
    twin, random = MovingAverage(network, options.average), np.random.default_rng((0, seed))
    held_out = [problem.draw(steps, HELD_OUT // 8, np.random.default_rng((1, seed, part))) for part in range(8)]
    found |= {"problem": name, "T": steps, "init": init, "seed": seed, "solved": False, "updates": 0, "seconds": 0.0}
    begin = time.perf_counter()
    while not found["solved"] and found["seconds"] < options.limit:
        for _ in range(UPDATES):
            update(network, problem, optimiser, problem.draw(steps, found["batch"], random), options.clip)
            twin.update()
        with torch.no_grad():
            error = statistics.fmean(problem.judge(twin.module(batch.x_BTI), batch.y)[1] for batch in held_out)
        seconds = time.perf_counter() - begin
        found |= {"solved": error < problem.solved, "updates": found["updates"] + UPDATES, "seconds": seconds, "error": error}
        say(f"{name} T {steps}, {init}, seed {seed}: {found['updates']} updates, {seconds:.0f} s, held-out error {error:.5f}")
    return found


def update(network: nn.Module, problem: Problem, optimiser: torch.optim.Optimizer, batch: Batch, clip: float) -> None:
    """One of the weights."""
    optimiser.zero_grad(set_to_none=True)
    problem.judge(network(batch.x_BTI), batch.y)[0].backward()
    nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimiser.step()


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each problem, length and initialisation: over the seeds. Unsolved counts as the time it was given."""
    rows = []
    for key in dict.fromkeys((run["problem"], run["T"], run["init"]) for run in runs):
        some = [run for run in runs if (run["problem"], run["T"], run["init"]) == key]
        row = {name: some[0][name] for name in ("problem", "T", "init", "hidden", "batch", "optimiser", "rate")}
        row["solved"] = f"{sum(run['solved'] for run in some)} of {len(some)}"
        for name in ("updates", "seconds", "error"):
            row[name] = statistics.median(run[name] for run in some)
        rows.append(row | {"slowest": max(run["seconds"] for run in some)})
    return rows


def main() -> None:
    """Measure and print."""
    parser = arguments("memory", "Seconds and updates until a plain LSTM solves the adding problem and copy memory.")
    parser.add_argument("problems", nargs="*", default=list(PROBLEMS), help="adding, copy (default: both)")
    parser.add_argument("--steps", type=int, nargs="+", help="T (default: 200 and 600 for adding, 500 and 1000 for copy)")
    parser.add_argument("--init", nargs="+", choices=INITS, default=["chrono", "keras"], help="initial weights (default: chrono keras)")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--hidden", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--optimiser", choices=tuple(OPTIMISERS))
    parser.add_argument("--rate", type=float, help="learning rate")
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--average", type=float, default=0.95, help="decay of the average of the weights that is judged (default: 0.95)")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for each (default: 600)")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with computing(options.threads):
        runs = [
            solve(name, steps, init, seed, options)
            for name in options.problems
            for steps in options.steps or PROBLEMS[name].steps
            for init in options.init
            for seed in range(options.seeds)
        ]
    rows, facts = summary(runs), {"backend": str(backend()), "threads": options.threads, "limit": f"{options.limit:g} s each"}
    if options.json:
        show_json("memory", {"rows": rows, "runs": runs, **facts})
    else:
        show("memory", rows, facts)


if __name__ == "__main__":
    main()
