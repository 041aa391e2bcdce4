"""The tables of the report: scores, replaced values, trials, settings."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.evaluate.report.data import Ablation, Replacement, Tuning
from tidegate.evaluate.report.markup import escape
from tidegate.formatting import MISSING, finite, format_column, format_number, format_share

METRICS = ("mae", "rmse", "mase", "smape", "mape", "r2", "bias", "pinball")
"""The order of the columns; coverage follows, then whatever else there is."""
_NAMES = {"mae": "MAE", "rmse": "RMSE", "mase": "MASE", "smape": "sMAPE", "mape": "MAPE", "r2": "R²", "bias": "bias", "pinball": "pinball"}
_HIGHER_IS_BETTER = {"r2"}
BEST_TRIALS = 12


def metric_name(metric: str) -> str:
    """The name in a table head: 'sMAPE' for smape, 'coverage, 80 %' for coverage_80."""
    if metric.startswith("coverage_"):
        return f"coverage, {metric.removeprefix('coverage_')} %"
    return _NAMES.get(metric, metric.replace("_", " "))


def metric_texts(metric: str, values: Sequence[Any]) -> list[str]:
    """The numbers of one metric as aligned text; fractions as per cents."""
    if metric in ("mape", "smape") or metric.startswith("coverage_"):
        shares = [None if (number := finite(value)) is None else number * 100 for value in values]
        return [text if text == MISSING else f"{text} %" for text in format_column(shares, 3)]
    return format_column(values)


def metrics_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The metrics that any row has a number for, in the order of the columns."""
    present = {key for row in rows for key, value in row.items() if key not in ("name", "rank") and finite(value) is not None}
    known = [metric for metric in METRICS if metric in present]
    coverage = sorted(metric for metric in present if metric.startswith("coverage_"))
    return known + coverage + sorted(present - {*known, *coverage})


def score_table(rows: Sequence[Mapping[str, Any]], model: str, first: str, *, compare: bool = False) -> str:
    """Scores by row; `compare` marks the model's row and the best of each column, and adds how each row's MAE differs from the model's."""
    metrics = metrics_of(rows)
    columns = {metric: metric_texts(metric, [row.get(metric) for row in rows]) for metric in metrics}
    best = {metric: _best(metric, rows) for metric in metrics} if compare else {}
    relative = _relative(rows, model) if compare else {}
    head = [first, *[metric_name(metric) for metric in metrics]]
    if relative:
        head.insert(2, "vs model")
    body = []
    for number, row in enumerate(rows):
        cells = [f"<td{_class('best' if number in best.get(metric, ()) else '')}>{columns[metric][number]}</td>" for metric in metrics]
        if relative:
            cells.insert(1, relative[number])
        name = str(row.get("name", ""))
        shown = escape(name).replace("_", "_<wbr>")
        body.append(f"<tr{_class('mine' if compare and name == model else '')}><td>{shown}</td>{''.join(cells)}</tr>")
    return table(head, body)


def verdict_and_scores(verdict: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """A piece of HTML for notebooks."""
    return f"<p>{escape(verdict)}</p>{score_table(rows, '', 'name')}"


def ablation_table(ablation: Ablation) -> str:
    """With and without attention, and the difference that attention makes."""
    rows = [ablation["with_attention"], ablation["without_attention"]]
    body = []
    for metric in metrics_of(rows):
        texts = metric_texts(metric, [row.get(metric) for row in rows])
        change = (
            _change(rows[0].get(metric), rows[1].get(metric)) if metric in ("mae", "rmse", "mase", "smape", "mape", "pinball") else MISSING
        )
        body.append(f"<tr><td>{escape(metric_name(metric))}</td><td>{texts[0]}</td><td>{texts[1]}</td><td>{change}</td></tr>")
    return table(["", "with attention", "without", "error with attention"], body)


def replacement_table(rows: Sequence[Replacement]) -> str:
    """Which values cleaning replaced, by what, and why."""
    body = [
        f'<tr><td>{escape(row["series"] or "(the series)")}</td><td class="text">{escape(row["channel"])}</td>'
        f'<td class="text">{escape(row["time"])}</td>'
        f"<td>{format_number(row['observed'])}</td>"
        f"<td>{'missing' if finite(row['replacement']) is None else format_number(row['replacement'])}</td>"
        f'<td class="text">{escape(row["reason"])}</td></tr>'
        for row in rows
    ]
    return table(["series", "channel", "time", "observed", "replaced by", "reason"], body, left=(1, 2, 5))


def trial_table(tuning: Tuning, metric: str) -> str:
    """The best complete trials with their settings."""
    scored = sorted(
        (value, trial["number"], trial)
        for trial in tuning["trials"]
        if trial["state"] == "complete" and (value := finite(trial["value"])) is not None
    )
    kept = [trial for _, _, trial in scored[:BEST_TRIALS]]
    keys = list(dict.fromkeys(key for trial in kept for key in trial.get("params", {})))
    body = [
        f"<tr{_class('mine' if trial['number'] == tuning.get('best') else '')}><td>{trial['number']}</td>"
        + f"<td>{format_number(trial['value'])}</td>"
        + "".join(f"<td>{escape(plain(trial.get('params', {}).get(key), 3))}</td>" for key in keys)
        + "</tr>"
        for trial in kept
    ]
    return table(["trial", metric, *keys], body)


def bars(shares: Mapping[str, float]) -> str:
    """Named bars, the longest first."""
    ranked = sorted(((finite(share) or 0.0, name) for name, share in shares.items()), reverse=True)
    top = max([share for share, _ in ranked] or [1.0]) or 1.0
    items = "".join(
        f'<span>{escape(name)}</span><span class="track"><i style="width:{max(0.0, 100 * share / top):.1f}%"></i></span>'
        f"<span>{format_share(share)}</span>"
        for share, name in ranked
    )
    return f'<div class="bars">{items}</div>'


def settings_lists(config: Mapping[str, Any]) -> str:
    """Each section of the settings as a list of names and values; what is not in a section comes first."""
    loose = {key: value for key, value in config.items() if not isinstance(value, Mapping)}
    sections = ([("run", loose)] if loose else []) + [(key, value) for key, value in config.items() if isinstance(value, Mapping)]
    blocks = [f"<div><h3>{escape(name)}</h3>{definitions(values)}</div>" for name, values in sections]
    return f'<div class="settings">{"".join(blocks)}</div>'


def definitions(values: Mapping[str, Any], style: str = "") -> str:
    """Names and values."""
    items = "".join(f"<div><dt>{escape(key)}</dt><dd>{escape(plain(value))}</dd></div>" for key, value in values.items())
    return f"<dl{_class(style)}>{items}</dl>" if style else f"<dl>{items.replace('<div>', '').replace('</div>', '')}</dl>"


def plain(value: Any, digits: int = 6) -> str:
    """A setting or a fact as a person would write it."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return format_number(value, digits)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items()) or MISSING
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(map(plain, value)) or MISSING
    return str(value)


def table(head: Sequence[str], body: Sequence[str], left: Sequence[int] = ()) -> str:
    """A table that scrolls sideways by itself where it is wider than the page; the first column stays in view."""
    cells = "".join(f'<th scope="col"{_class("text" if number in left else "")}>{escape(name)}</th>' for number, name in enumerate(head))
    inside = f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="table">{inside}</div>'


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _best(metric: str, rows: Sequence[Mapping[str, Any]]) -> set[int]:
    """Rows that hold the best value: the highest R², the bias nearest to none, the lowest error; for coverage the nearest to its name."""
    aim = _named_coverage(metric)
    cost = {}
    for number, row in enumerate(rows):
        value = finite(row.get(metric))
        if value is not None:
            cost[number] = -value if metric in _HIGHER_IS_BETTER else abs(value - aim) if aim or metric == "bias" else value
    return {number for number, value in cost.items() if value == min(cost.values())} if len(cost) > 1 else set()


def _named_coverage(metric: str) -> float:
    """0.8 for coverage_80; 0 for what is no coverage."""
    number = re.fullmatch(r"coverage_(\d+(?:\.\d+)?)", metric)
    return float(number[1]) / 100 if number else 0.0


def _relative(rows: Sequence[Mapping[str, Any]], model: str) -> dict[int, str]:
    """A cell for each row: how much larger or smaller its MAE is than the model's; empty if the model has none."""
    own = next((finite(row.get("mae")) for row in rows if row.get("name") == model), None)
    if not own:
        return {}
    cells = {}
    for number, row in enumerate(rows):
        value = finite(row.get("mae"))
        if row.get("name") == model or value is None:
            cells[number] = "<td></td>"
        else:
            cells[number] = f'<td class="{"better" if value < own else "worse"}">{_change(value, own)}</td>'
    return cells


def _change(value: Any, base: Any) -> str:
    """The difference of two errors in per cent of the second: '+12.3 %'; a factor from threefold on."""
    first, second = finite(value), finite(base)
    if first is None or not second:
        return MISSING
    ratio = first / second
    if ratio >= 3:
        return f"×{format_number(ratio, 2)}"
    text = f"{100 * (ratio - 1):+.1f} %"
    return "0.0 %" if text in ("+0.0 %", "-0.0 %") else text.replace("-", "−")
