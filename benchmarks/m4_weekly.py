"""M4 Weekly (Makridakis, Spiliotis and Assimakopoulos 2020): one model of all 359 series, scored on the official test file.

The competition's files have a series a row. The model sees the training file alone; its forecasts start after the last value of each
series. sMAPE (per cent) and MASE are those of the competition: MASE is scaled by the mean change from step to step of a series (m = 1).
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import arguments, show, show_json
from benchmarks.training import apply_settings, say, spread, train_seeds
from tidegate.config import Config, build_config
from tidegate.data.read import read_table
from tidegate.data.windows import OriginSet
from tidegate.errors import DataError, TidegateError
from tidegate.evaluate import baselines
from tidegate.evaluate.forecast import Backtest, mase_scale, metrics
from tidegate.tasks.forecasting.backtest import history_of
from tidegate.tasks.forecasting.material import Material, gather
from tidegate.tasks.forecasting.reuse import end_origins, predict_with

HORIZON = 13
SETTINGS: dict[str, Any] = {
    "data": {"lookback": 104, "split": "98/1/1"},
    "training": {"learning_rate": 3e-3, "max_epochs": 8, "windows_per_epoch": 10_000},
}
"""What differs from the library's defaults: chosen on the last 13 weeks of the training file (the column mase_held_out)."""


def config_of(network: str, assignments: list[str]) -> Config:
    """The settings of the benchmark, the command line's over them."""
    tree: dict[str, Any] = {name: dict(SETTINGS.get(name, {})) for name in ("data", "network", "training")}
    tree["data"] |= {"layout": "rows", "horizon": HORIZON}
    tree["network"]["name"] = network
    return build_config(apply_settings(tree, assignments))


def truth_of(path: Path, material: Material) -> np.ndarray:
    """The observed future of each series, float32 [n, N], in the order of the training file. Raises DataError where one is absent."""
    table = read_table(path, layout="rows").frame()
    found = {name: part["y"].to_numpy() for (name,), part in table.group_by("unique_id", maintain_order=True)}
    for name in material.sequences.ids:
        if len(found.get(name, ())) != HORIZON:
            raise DataError(f"{path}: series '{name}' has {len(found.get(name, ()))} values; expected {HORIZON}.")
    return np.stack([found[name] for name in material.sequences.ids]).astype(np.float32)


def scores(truth: np.ndarray, forecast: np.ndarray, material: Material, ends: np.ndarray) -> dict[str, float]:
    """MASE, and sMAPE in per cent, of [n, N] steps from the flat rows `ends` on."""
    sequences = material.sequences
    scale = mase_scale(sequences.values[:, :1], sequences.offsets, ends, 1)
    periods = ends - sequences.offsets[:-1]
    shaped = truth[:, :, None], forecast.reshape(*truth.shape, 1)
    found = metrics(Backtest(*shaped, None, (), np.arange(len(ends)), periods, sequences.ids, sequences.targets, scale))
    return {"mase": found["mase"], "smape": 100.0 * found["smape"]}


def rivals(origins: OriginSet, material: Material) -> dict[str, np.ndarray]:
    """Forecasts [n, N, 1] by name."""
    history = history_of(origins)
    return {
        "repeat_last": baselines.repeat_last(history),
        "drift": baselines.drift(history),
        "ridge": material.ridge.predict(history.values, history.first, history.origin),
    }


def measure(material: Material, truth: np.ndarray, seeds: int) -> dict[str, Any]:
    """Scores of the rivals and of a model for each seed, on the test file and on the last weeks of the training file.

    A model is trained without these weeks, with those before them for early stopping; then anew on all rows, for as many epochs as were
    best, and forecasts from their end: `tidegate predict RUN --refit`.
    """
    held_out = material.test_set(2**62, last=1)
    if len(held_out) != len(truth):
        raise DataError(f"{len(held_out)} of {len(truth)} series are long enough to hold {HORIZON} weeks out; expected all.")
    past = material.sequences.values[held_out.origin[:, None] + np.arange(HORIZON), 0]
    runs: list[dict[str, Any]] = []
    official: dict[str, dict[str, float]] = {}
    for model, facts in train_seeds(material, seeds):
        begin = time.perf_counter()
        origins, whole = end_origins(model, material.table)
        if not official:
            official = {name: scores(truth, forecast, whole, origins.origin) for name, forecast in rivals(origins, whole).items()}
        refit = predict_with(model, material.table, None, refit=True, listen=lambda event: None)["y"].to_numpy()
        facts |= scores(truth, refit, whole, origins.origin)
        facts["mase_without_refit"] = scores(truth, model.predict(origins).point, whole, origins.origin)["mase"]
        facts["mase_held_out"] = scores(past, model.predict(held_out).point, material, held_out.origin)["mase"]
        facts["seconds"] += time.perf_counter() - begin
        say(f"seed {facts['seed']}: MASE {facts['mase']:.3f}, sMAPE {facts['smape']:.3f}; held out {facts['mase_held_out']:.3f}")
        runs.append(facts)
    held = {name: scores(past, forecast, material, held_out.origin) for name, forecast in rivals(held_out, material).items()}
    return {
        "network": material.config.network.name,
        **{name: float(np.mean([run[name] for run in runs])) for name in ("mase", "smape", "seconds", "mase_held_out")},
        "baselines": official,
        "baselines_held_out": held,
        "spread": {name: spread([run[name] for run in runs]) for name in ("mase", "smape")},
        "seeds": runs,
        "series": len(truth),
        "lookback": material.config.data.lookback,
        "threads": material.config.training.threads,
        "config": material.config.model_dump(mode="json"),
    }


def rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The table: each seed, their mean, and the rivals."""
    columns = ("mase", "smape", "mase_held_out", "seconds")
    table = [{"name": f"{result['network']}, seed {run['seed']}", **{name: run[name] for name in columns}} for run in result["seeds"]]
    table.append({"name": "mean", **{name: result[name] for name in columns}, "mase_deviation": result["spread"]["mase"]["deviation"]})
    held = result["baselines_held_out"]
    return table + [{"name": name, **found, "mase_held_out": held[name]["mase"]} for name, found in result["baselines"].items()]


def main() -> None:
    """Train, score and print."""
    parser = arguments("m4_weekly", "M4 Weekly: one model of all series, its MASE and sMAPE on the official test file.")
    parser.add_argument("--train", type=Path, required=True, help="Weekly-train.csv, a series a row (.gz too)")
    parser.add_argument("--test", type=Path, required=True, help="Weekly-test.csv")
    parser.add_argument("--network", choices=list(Config.networks()), help="default: attention-cnn-lstm", default="attention-cnn-lstm")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds are trained in turn (default: 1)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any setting, such as network.hidden=64")
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error("--seeds must be at least 1")
    try:
        material = gather(options.train, config_of(options.network, options.set))
        result = measure(material, truth_of(options.test, material), options.seeds)
    except TidegateError as error:
        parser.error(str(error))
    if options.json:
        show_json("m4_weekly", result)
    else:
        show("m4_weekly", rows(result), {name: result[name] for name in ("threads", "series", "lookback")})


if __name__ == "__main__":
    main()
