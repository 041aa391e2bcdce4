"""The ETT protocol of the long-horizon tables (Informer, Zhou et al. 2021; as in Time-Series-Library), beside repeat-last and ridge.

All numeric columns are targets, nothing is cleaned, each channel is scaled by the mean and the deviation of its training part, and the
errors on that scale are averaged over every window of the test part, one step apart, its lead times and channels. No window is dropped.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import arguments, show, show_json
from benchmarks.training import apply_settings, say, spread, train_seeds
from tidegate.config import Config, build_config
from tidegate.data.read import read_table
from tidegate.data.windows import OriginSet
from tidegate.errors import DataError, TidegateError
from tidegate.evaluate.baselines import repeat_last
from tidegate.tasks.forecasting.backtest import fit_rivals, history_of
from tidegate.tasks.forecasting.material import Material, gather

ETT_HOURLY = (8640, 2880, 2880)
"""Rows of 12, 4 and 4 months of 30 days, for files that begin with ETTh; four times as many for ETTm."""
PER_CENT = (70, 10, 20)
BLOCK_WINDOWS = 512

SETTINGS: dict[str, dict[str, Any]] = {
    "attention-cnn-lstm": {
        "data": {"calendar": False, "lookback": 720},
        "training": {"learning_rate": 1e-3, "schedule": "constant", "max_epochs": 10, "patience": 2},
    },
    "lstm": {"data": {"calendar": False}, "training": {"learning_rate": 1e-3, "schedule": "constant", "max_epochs": 10, "patience": 2}},
}
"""What differs from the library's defaults, by network: chosen on the validation part of ETTh1 at horizon 96, never on test data."""


def default_border(path: Path) -> tuple[int, ...]:
    """Rows of training, validation and test for the ETT files, per cents for others."""
    if path.name.startswith("ETTh"):
        return ETT_HOURLY
    return tuple(4 * rows for rows in ETT_HOURLY) if path.name.startswith("ETTm") else PER_CENT


def read_border(text: str) -> tuple[int, ...]:
    """TRAIN,VAL,TEST as three whole numbers."""
    parts = tuple(int(part) for part in text.split(","))
    if len(parts) != 3 or min(parts) <= 0:
        raise ValueError(text)
    return parts


def gather_rows(options: argparse.Namespace) -> Material:
    """The file's numeric columns by row. Its time column is used where it is whole; where it has gaps, repeats or cannot be read, rows
    are steps, because the protocol counts rows."""
    table = read_table(options.data)
    numeric = [name for name, dtype in table.schema.items() if dtype.is_numeric()]
    others = [name for name in table.columns if name not in numeric]
    if not numeric:
        raise DataError(f"{table.source} has no numeric column; expected a CSV or Parquet file with a column per channel.")
    try:
        material = gather(options.data, _config(options, numeric, others[0] if others else None))
        if len(material.sequences.values) == table.height:
            return material
        say("the time column has gaps: rows are steps")
    except DataError as error:
        say(f"rows are steps: {error}")
    return gather(table.frame(numeric), _config(options, numeric, None))


def _config(options: argparse.Namespace, targets: list[str], time: str | None) -> Any:
    border = options.border or default_border(options.data)
    data = {
        "target": targets,
        "time": time,
        "horizon": options.horizon,
        "lookback": options.lookback,
        "split": "/".join(map(str, border)),
        "clean": False,
        "scaling": "standard",
        "scaling_scope": "global",
    }
    chosen = SETTINGS[options.network]
    tree = {name: dict(chosen.get(name, {})) for name in ("data", "network", "training")}
    tree["network"]["name"] = options.network
    tree["data"] |= {name: value for name, value in data.items() if value is not None}
    return build_config(apply_settings(tree, options.set))


def scores(origins: OriginSet, forecast: Callable[[OriginSet], np.ndarray]) -> dict[str, float]:
    """MSE and MAE on the scaled values over all windows, in blocks, summed in float64; a missing value is left out."""
    windows = origins.windows
    scaler, columns = windows.prepared.scaler, windows.target_columns
    squared = absolute = count = 0.0
    for begin in range(0, len(origins), BLOCK_WINDOWS):
        part = slice(begin, begin + BLOCK_WINDOWS)
        block = windows.at(origins.series[part], origins.origin[part])
        truth = block.batch(0, len(block)).truth_BNC
        error = scaler.apply(forecast(block), block.series, columns).astype(np.float64) - truth
        error = error[np.isfinite(truth)]
        squared, absolute, count = squared + float((error**2).sum()), absolute + float(np.abs(error).sum()), count + error.size
    return {"mse": squared / count, "mae": absolute / count}


def ridge_of(material: Material) -> Callable[[OriginSet], np.ndarray]:
    """The forecasts of the ridge regression with the same lookback."""
    ridge = fit_rivals(material).ridge

    def predict(block: OriginSet) -> np.ndarray:
        history = history_of(block)
        return ridge.predict(history.values, history.first, history.origin)

    return predict


def measure(material: Material, seeds: int) -> dict[str, Any]:
    """Scores of the rivals and of a model for each seed."""
    data = material.config.data
    test = material.test_set(2**62, stride=1)
    validation = material.validation_set(2**62)
    say(f"{len(test)} test windows of {data.lookback} and {data.horizon} steps, {len(material.sequences.targets)} channels")
    baselines = {"repeat_last": scores(test, lambda block: repeat_last(history_of(block))), "ridge": scores(test, ridge_of(material))}
    for name, found in baselines.items():
        say(f"{name}: MSE {found['mse']:.4f}, MAE {found['mae']:.4f}")
    runs = []
    for model, facts in train_seeds(material, seeds):
        found = scores(test, lambda block, model=model: model.predict(block).point)
        held = scores(validation, lambda block, model=model: model.predict(block).point)
        runs.append({**facts, **found, "validation_mse": held["mse"], "validation_mae": held["mae"]})
        say(f"seed {facts['seed']}: test {found['mse']:.4f} {found['mae']:.4f}, validation {held['mse']:.4f} {held['mae']:.4f} (MSE MAE)")
    means = {name: float(np.mean([run[name] for run in runs])) for name in ("mse", "mae", "seconds")}
    return {
        "network": material.config.network.name,
        **means,
        "baselines": baselines,
        "spread": {name: spread([run[name] for run in runs]) for name in ("mse", "mae")},
        "seeds": runs,
        "windows": len(test),
        "channels": len(material.sequences.targets),
        "lookback": data.lookback,
        "horizon": data.horizon,
        "split": data.split,
        "threads": material.config.training.threads,
        "config": material.config.model_dump(mode="json"),
    }


def main() -> None:
    """Train, score and print."""
    parser = arguments("long_horizon", "The long-horizon protocol on a table: z-scored MSE and MAE over all test windows.")
    parser.add_argument("--data", type=Path, required=True, help="a table with a column per channel")
    parser.add_argument("--horizon", type=int, required=True, help="lead times")
    parser.add_argument("--lookback", type=int, help="steps of lookback (default: that of the settings, else from horizon and season)")
    parser.add_argument("--network", choices=list(Config.networks()), help="default: attention-cnn-lstm", default="attention-cnn-lstm")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds are trained in turn (default: 1)")
    parser.add_argument("--border", type=read_border, help="TRAIN,VAL,TEST in rows, or per cents that add up to 100")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any setting, such as network.hidden=64")
    options = parser.parse_args()
    if options.seeds < 1 or options.horizon < 1:
        parser.error("--seeds and --horizon must be at least 1")
    try:
        result = measure(gather_rows(options), options.seeds)
    except TidegateError as error:
        parser.error(str(error))
    if options.json:
        show_json("long_horizon", result)
    else:
        show("long_horizon", rows(result), {name: result[name] for name in ("threads", "windows", "lookback")})


def rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The table: each seed, their mean, and the rivals."""
    columns = ("mse", "mae", "seconds")
    table = [{"name": f"{result['network']}, seed {run['seed']}", **{name: run[name] for name in columns}} for run in result["seeds"]]
    deviation = result["spread"]["mse"]["deviation"]
    table.append({"name": "mean", **{name: result[name] for name in columns}, "mse_deviation": deviation})
    return table + [{"name": name, **found} for name, found in result["baselines"].items()]


if __name__ == "__main__":
    main()
