"""From a file to batches: rows per second, and peak memory above the data's own size.

Each case runs in a Python of its own, on a Parquet table (unique_id, ds, y) made for it. `--large` trains on 2,000 series of 20,000
steps and on 20 of them, whole runs with tests and report, and compares the peaks; `--step` says what share of a training step goes to
the batches.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import arguments, show, show_json
from benchmarks.training import say

ROWS = 2_000_000
SERIES = (1, 100, 10_000)
LARGE = (2_000, 20_000)
SMALL_SERIES = 20
STEPS = 200
LIMIT = 2.0
"""The large training's peak above the small one's, in sizes of the data as float32."""
STEP_LIMIT = 0.05


def run_part(name: str, *arguments: str) -> dict[str, Any]:
    """A part of `benchmarks.data_path_parts` in a Python of its own; what it measured."""
    command = [sys.executable, "-m", "benchmarks.data_path_parts", name, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def paths(folder: Path, total: int) -> list[dict[str, Any]]:
    """A row for each number of series."""
    rows = []
    for series in SERIES:
        file = folder / f"{series}.parquet"
        say(f"{series} series")
        run_part("write", str(file), str(series), str(max(1, total // series)))
        rows.append(run_part("read", str(file)))
    return rows


def large(folder: Path, series: int, length: int, steps: int) -> list[dict[str, Any]]:
    """Peaks of a training on few and on all of the series, and the difference in sizes of the data."""
    rows = []
    for count in (min(SMALL_SERIES, series), series):
        file = folder / f"{count}.parquet"
        say(f"writing {count} series of {length} steps")
        run_part("write", str(file), str(count), str(length))
        say(f"training on {count} series")
        rows.append(run_part("train", str(file), str(folder / f"run-{count}"), str(steps)))
    above = rows[1]["peak_mb"] - rows[0]["peak_mb"]
    rows.append({"what": "difference", "peak_mb": above, "sizes_of_data": above / rows[1]["data_mb"], "limit": LIMIT})
    return rows


def main() -> None:
    """Measure and print."""
    parser = arguments("data_path", "Rows per second from file to batches, and peak memory above the data's own size.")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"rows of each table (default: {ROWS:,})")
    parser.add_argument("--large", action="store_true", help="compare the peaks of training on 2,000 series and on 20 of them")
    parser.add_argument("--step", action="store_true", help="measure the share of a training step that the batches take")
    parser.add_argument("--shape", type=int, nargs=2, default=LARGE, metavar=("SERIES", "STEPS"), help="another size for --large")
    parser.add_argument("--train-steps", type=int, default=STEPS, help=f"updates of the weights in --large and --step (default: {STEPS})")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tidegate-") as name:
        folder = Path(name)
        if options.large:
            series, length = options.shape
            rows = large(folder, series, length, options.train_steps)
        elif options.step:
            file = folder / "step.parquet"
            run_part("write", str(file), "1", str(options.rows // 100))
            rows = [{**run_part("step", str(file), str(options.train_steps)), "limit": STEP_LIMIT}]
        else:
            rows = paths(folder, options.rows)
    if options.json:
        show_json("data_path", {"rows": rows})
    else:
        show("data_path", rows)


if __name__ == "__main__":
    main()
