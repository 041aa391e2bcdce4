"""Whether a search for settings pays: the best it finds against the defaults, both trained again with seeds that the search never saw.

The differences are paired by seed: positive means that the tuned settings have the larger error. Validation is what the search looked at
(its loss, in scaled units), so it flatters the best; the test part is what counts. The study lies in --out, so that a call that was
stopped goes on, and further calls with other seeds search no more.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import arguments, show, show_json
from tidegate.config import Config, build_config
from tidegate.data.read import read_table
from tidegate.runs.folder import RunFolder
from tidegate.tasks.forecasting.verbs import train
from tidegate.tune import forecast

MEASURES = ("validation", "mae", "rmse")


def main() -> None:
    """Search, train both again, compare."""
    parser = arguments("tune", "The best settings of a search against the defaults, with new seeds.")
    parser.add_argument("--data", required=True, help="table")
    parser.add_argument("--target", help="target columns, separated by commas")
    parser.add_argument("--time", help="time column; default: date, if the table has one")
    parser.add_argument("--horizon", type=int, required=True)
    parser.add_argument("--network", default="attention-cnn-lstm")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--trial-time-limit", type=float, help="seconds for a trial")
    parser.add_argument("--seeds", type=int, default=3, help="new seeds for each side (default: 3)")
    parser.add_argument("--out", help="folder for the study and the runs; default: a temporary one")
    options = parser.parse_args()
    if options.out:
        report(options, Path(options.out))
    else:
        with tempfile.TemporaryDirectory() as folder:
            report(options, Path(folder))


def report(options: argparse.Namespace, folder: Path) -> None:
    """Do the work in `folder` and print it."""
    config = asked(options)
    found = forecast(options.data, config, folder / "best", trials=options.trials, trial_time_limit=options.trial_time_limit)
    assert found.tuning is not None
    best = build_config(json.loads((folder / "best" / "config.json").read_text()))
    seeds = [config.training.seed + number for number in range(1, options.seeds + 1)]
    runs = [(name, seed, scores(options.data, settings, folder, name, seed)) for name, settings in sides(config, best) for seed in seeds]
    differences = {measure: compare(runs, seeds, measure) for measure in MEASURES}
    states = [trial["state"] for trial in found.tuning["trials"]]
    facts = {
        "trials": ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)),
        "best": f"trial {found.tuning.get('best')}",
    }
    if options.json:
        settings = found.tuning["trials"][found.tuning.get("best") or 0].get("params", {})
        result = {"network": options.network, "tuning": found.tuning, "settings": settings, "seeds": seeds}
        rows = [{"settings": name, "seed": seed, **row} for name, seed, row in runs]
        show_json("tune", result | {"runs": rows, "differences": differences})
        return
    rows = [{"settings": name, "seed": str(seed), **row} for name, seed, row in runs]
    rows += [{"settings": f"best - defaults, {kind}", "seed": "", **_column(differences, kind)} for kind in ("mean", "spread", "per_cent")]
    show("tune", rows, facts)


def asked(options: argparse.Namespace) -> Config:
    """The settings that the search begins with."""
    time = options.time or ("date" if "date" in read_table(options.data).columns else None)
    data = {"horizon": options.horizon, "time": time, "target": options.target.split(",") if options.target else None}
    return build_config({"data": {key: value for key, value in data.items() if value is not None}, "network": {"name": options.network}})


def sides(defaults: Config, best: Config) -> list[tuple[str, Config]]:
    """What is compared."""
    return [("defaults", defaults), ("best", best)]


def scores(data: str, config: Config, folder: Path, name: str, seed: int) -> dict[str, float]:
    """Best validation loss (scaled units) and test errors (original units) of a training with another seed."""
    seeded = config.model_copy(update={"training": config.training.model_copy(update={"seed": seed})})
    out = folder / f"{name}-{seed}"
    summary = train(data, seeded, out, resume=True)
    epochs = [json.loads(line) for line in RunFolder.open(out).read_lines("metrics.jsonl")]
    return {
        "validation": min(epoch["validation_loss"] for epoch in epochs),
        "mae": summary.metrics["mae"],
        "rmse": summary.metrics["rmse"],
        "ridge_mae": summary.baselines["ridge"]["mae"],
        "seconds": summary.seconds,
    }


def compare(runs: list[tuple[str, int, dict[str, float]]], seeds: list[int], measure: str) -> dict[str, Any]:
    """Mean and standard deviation of best minus defaults over the seeds, and the mean as a percentage of the defaults'."""
    values = {(name, seed): row[measure] for name, seed, row in runs}
    differences = [values["best", seed] - values["defaults", seed] for seed in seeds]
    mean = statistics.fmean(differences)
    spread = statistics.stdev(differences) if len(differences) > 1 else float("nan")
    base = statistics.fmean(values["defaults", seed] for seed in seeds)
    return {"mean": mean, "spread": spread, "per_cent": 100.0 * mean / base, "each": differences}


def _column(differences: dict[str, dict[str, Any]], kind: str) -> dict[str, float]:
    return {measure: found[kind] for measure, found in differences.items()}


if __name__ == "__main__":
    main()
