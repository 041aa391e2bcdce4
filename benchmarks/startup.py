"""How long `import tidegate` and each `--help` take above the start of the interpreter.

Python, the import and every --help run in turn, so that a busy machine slows all of them; the best of the runs counts. Modules are
compiled before the first timing.
"""

import math
import resource
import subprocess
import sys
import time

from benchmarks.common import arguments, show, show_json

CALL = "from tidegate.cli.app import run; run({words!r})"
VERBS = ("", "check", "train", "train forecast", "evaluate", "predict", "tune forecast", "demo")
LIMITS = {"import tidegate": 0.15}
HELP_LIMIT = 0.3


def programs() -> dict[str, str]:
    """Code to time, by name."""
    helps = {f"tidegate {verb} --help".replace("  ", " "): CALL.format(words=[*verb.split(), "--help"]) for verb in VERBS}
    return {"python": "pass", "import tidegate": "import tidegate", **helps}


def seconds(code: str) -> tuple[float, float]:
    """Wall time and processor time of a Python that runs `code`."""
    begin, before = time.perf_counter(), processor_time()
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin, processor_time() - before


def processor_time() -> float:
    """Seconds that ended children have computed."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(runs: int) -> list[dict[str, str | float | bool]]:
    """Best of the runs, what of it comes on top of the interpreter, and whether that is within the limit.

    On a busy machine the wall time is that of the others too; the processor time is not.
    """
    codes = programs()
    best = dict.fromkeys(codes, (math.inf, math.inf))
    for number in range(runs + 1):
        for name, code in codes.items():
            wall, computed = seconds(code)
            if number:  # the first round compiles the modules
                best[name] = (min(best[name][0], wall), min(best[name][1], computed))
    rows = []
    for name in list(codes)[1:]:
        above, limit = best[name][0] - best["python"][0], LIMITS.get(name, HELP_LIMIT)
        computed = best[name][1] - best["python"][1]
        rows.append(
            {
                "what": name,
                "seconds": best[name][0],
                "above_python": above,
                "processor_above": computed,
                "limit": limit,
                "within": above < limit,
            }
        )
    return rows


def main() -> None:
    """Measure and print."""
    parser = arguments("startup", "Seconds of import and of each --help, above the start of the interpreter.")
    parser.add_argument("--runs", type=int, default=10, help="runs of each; the best counts (default: 10)")
    options = parser.parse_args()
    rows = measure(options.runs)
    if options.json:
        show_json("startup", {"rows": rows, "runs": options.runs})
    else:
        show("startup", rows, {"runs": options.runs})


if __name__ == "__main__":
    main()
