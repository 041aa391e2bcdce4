"""What every benchmark prints: machine, versions, command, a table; or all of it as one JSON object."""

import argparse
import json
import math
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("tidegate", "torch", "numpy", "polars", "pydantic", "typer")


def arguments(module: str, description: str) -> argparse.ArgumentParser:
    """A parser that knows --json."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}", description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return parser


def machine() -> dict[str, Any]:
    """Processor, cores that may be used, memory in GiB, system."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"processor": _processor(), "cores": usable, "memory_gib": round(memory, 1), "system": platform.platform()}


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str | None]:
    """Versions of Python and of packages; None for one that is not installed."""
    return {"python": platform.python_version()} | {name: _version(name) for name in packages}


def command(module: str) -> str:
    """How the benchmark was called."""
    return shlex.join(["python", "-m", f"benchmarks.{module}", *sys.argv[1:]])


def show(module: str, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any] | None = None) -> None:
    """Print machine, versions, command, further facts and the rows as a table."""
    print("machine   " + ", ".join(f"{name} {value}" for name, value in machine().items()))
    print("versions  " + ", ".join(f"{name} {value}" for name, value in versions().items() if value))
    print("command   " + command(module))
    for name, value in (facts or {}).items():
        print(f"{name:<9} {_cell(value)}")
    print()
    print(table(rows))


def show_json(module: str, result: Mapping[str, Any]) -> None:
    """Print one JSON object: the result, then machine, versions and command. A number that is not finite is null."""
    whole = {**result, "machine": machine(), "versions": versions(), "command": command(module)}
    print(json.dumps(_plain(whole), indent=2, ensure_ascii=False, allow_nan=False))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as aligned text, a column for each key; text to the left, numbers to the right."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([_cell(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    left = [all(isinstance(row.get(name), str | None) for row in rows) for name in names]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if to_left else cell.rjust(width) for cell, width, to_left in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in cells
    )


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
