"""Tables and words for people."""

import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidegate.formatting import format_column

AIMS = {"mae": "↓", "rmse": "↓", "mase": "↓", "smape": "↓", "r2": "↑", "bias": "→0", "pinball": "↓", "coverage": "→", "mape": "↓"}
AIMS |= {"accuracy": "↑", "balanced_accuracy": "↑", "f1_macro": "↑", "log_loss": "↓", "roc_auc": "↑", "ece": "↓"}
AIMS |= {"per": "↓", "per_no_silence": "↓", "cer": "↓", "wer": "↓", "sentences_right": "↑"}
"""Metrics in the order in which they are shown, and which way is better: down, up, or towards a value."""
_WIDE = 120
"""Columns where standard output is no terminal."""


def leaderboard(rows: Sequence[Mapping[str, Any]], baselines: Collection[str], width: int | None = None) -> Table:
    """A row for each of the model and its rivals, the model's in bold; metrics that do not fit into `width` go from the right."""
    names = [str(row["name"]) for row in rows]
    columns = {metric: format_column([row.get(metric) for row in rows]) for metric in _ordered(rows)}
    heads = {metric: f"{metric} {aim(metric)}".rstrip() for metric in columns}
    room = (width or sys.maxsize) - max(map(cell_len, names), default=0)
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("", no_wrap=True)
    shown = []
    for metric, cells in columns.items():
        room -= 2 + max(map(cell_len, (heads[metric], *cells)))
        if room < 0:
            break
        shown.append(metric)
        table.add_column(heads[metric], justify="right", no_wrap=True)
    for number, name in enumerate(names):
        cells = (Text(columns[metric][number]) for metric in shown)
        table.add_row(Text(name), *cells, style=None if name in baselines else "bold")
    return table


def aim(name: str) -> str:
    """Which way a metric is better: '↓', '↑', '→0', '→0.8'."""
    stem, _, number = name.partition("_")
    return f"→{int(number) / 100:g}" if stem == "coverage" and number.isdecimal() else AIMS.get(name, "")


def print_scores(rows: Sequence[Mapping[str, Any]], baselines: Collection[str], verdict: str, file: TextIO | None = None) -> None:
    """The leaderboard, then the verdict in words."""
    stream = sys.stdout if file is None else file
    console = Console(file=stream, highlight=False, width=None if stream.isatty() else _WIDE)
    console.print()
    console.print(leaderboard(rows, baselines, console.width))
    console.print()
    console.print(Text(verdict))


def _ordered(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The metrics' names in the order of AIMS, unknown ones last."""
    order = list(AIMS)
    names = dict.fromkeys(name for row in rows for name in row if name not in ("rank", "name"))
    stems = {name: name if name in order else name.split("_")[0] for name in names}
    return sorted(names, key=lambda name: order.index(stems[name]) if stems[name] in order else len(order))
