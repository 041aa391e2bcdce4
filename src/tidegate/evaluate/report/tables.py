"""The tables of the report: scores, replaced values, trials, settings."""

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.evaluate.report.data import Ablation, Replacement, Tuning
from tidegate.evaluate.report.markup import escape, scrollable
from tidegate.formatting import MISSING, finite, fixed, format_number, format_share
from tidegate.scores import score_cost, score_names, score_texts, score_title

BEST_TRIALS = 12
_SHARES = ("accuracy", "per", "cer", "wer")
"""Scores in which rows are told apart by points."""


def score_table(rows: Sequence[Mapping[str, Any]], model: str, first: str, *, compare: bool = False) -> str:
    """Scores by row; `compare` marks the model's row and the best of each column, and adds how each row differs from the model: its MAE in
    per cent of the model's, or its accuracy or error rate in points."""
    scores = score_names(rows)
    columns = {score: score_texts(score, [row.get(score) for row in rows]) for score in scores}
    best = {score: _best(score, rows) for score in scores} if compare else {}
    title, relative = _relative(rows, model) if compare else ("", {})
    head = [first, *[score_title(score) for score in scores]]
    if relative:
        head.insert(2, title)
    body = []
    for number, row in enumerate(rows):
        cells = [f"<td{_class('best' if number in best.get(score, ()) else '')}>{columns[score][number]}</td>" for score in scores]
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
    for metric in score_names(rows):
        texts = score_texts(metric, [row.get(metric) for row in rows])
        change = (
            _change(rows[0].get(metric), rows[1].get(metric)) if metric in ("mae", "rmse", "mase", "smape", "mape", "pinball") else MISSING
        )
        body.append(f"<tr><td>{escape(score_title(metric))}</td><td>{texts[0]}</td><td>{texts[1]}</td><td>{change}</td></tr>")
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
    return scrolled(f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(body)}</tbody></table>")


def scrolled(inside: str) -> str:
    """A box that scrolls sideways by itself."""
    return scrollable(inside, "table")


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _best(score: str, rows: Sequence[Mapping[str, Any]]) -> set[int]:
    """Rows that hold the best value of several."""
    cost = {number: score_cost(score, value) for number, row in enumerate(rows) if (value := finite(row.get(score))) is not None}
    return {number for number, value in cost.items() if value == min(cost.values())} if len(cost) > 1 else set()


def _relative(rows: Sequence[Mapping[str, Any]], model: str) -> tuple[str, dict[int, str]]:
    """A head, and a cell for each row: how much larger or smaller its MAE is than the model's, or by how many points its accuracy or
    error rate is; empty if the model has none of them."""
    own = next((row for row in rows if row.get("name") == model), {})
    mae = finite(own.get("mae"))
    share = next((score for score in _SHARES if finite(own.get(score)) is not None), None)
    if mae:
        title, score, base, differ = "vs model", "mae", mae, _change
    elif share is not None:
        title, score, base, differ = "vs model, points", share, finite(own.get(share)) or 0.0, _points
    else:
        return "", {}
    cells = {}
    for number, row in enumerate(rows):
        value = finite(row.get(score))
        if row.get("name") == model or value is None:
            cells[number] = "<td></td>"
        else:
            style = "better" if score_cost(score, value) < score_cost(score, base) else "worse"
            cells[number] = f'<td class="{style}">{differ(value, base)}</td>'
    return title, cells


def _points(value: float, base: float) -> str:
    """The difference of two fractions in points: '−3.2'."""
    text = fixed(100 * (value - base), 1)
    return text if text.startswith("−") or text == "0.0" else f"+{text}"


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
