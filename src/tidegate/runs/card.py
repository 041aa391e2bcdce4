"""The model card of a run: README.md in its folder, Markdown with the YAML header that model hubs read."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.formatting import MISSING, finite, format_column, format_number

_ORDER = ("mae", "rmse", "mase", "smape", "mape", "r2", "bias", "pinball")


@dataclass(frozen=True)
class Card:
    """What a model card says.

    title        what the model is, in a line
    network      the network's name, also its name in `leaderboard`
    frequency    what a step is, for people ('hourly')
    facts        names and values about the data
    leaderboard  rows {'name': ..., metric: number}, best first; mape, smape and coverage as fractions
    verdict      the verdict in words
    future       known-future columns that a forecast needs
    folder       how the run folder is called in the commands
    notes        what was derived, left out or odd
    """

    title: str
    network: str
    targets: Sequence[str]
    horizon: int
    verdict: str
    frequency: str = ""
    lookback: int | None = None
    facts: Sequence[tuple[str, Any]] = ()
    leaderboard: Sequence[Mapping[str, Any]] = ()
    future: Sequence[str] = ()
    folder: str = "RUN"
    notes: Sequence[str] = field(default_factory=tuple)


def model_card(card: Card) -> str:
    """The card as Markdown. Names of columns and series are escaped: none can add markup, a link or a row."""
    parts = [
        _header(card),
        f"# {markdown(card.title)}",
        markdown(card.verdict),
        "## What it forecasts\n\n" + _what(card),
        "## Data\n\n" + _facts(card.facts) if card.facts else "",
        "## Scores\n\n" + _scores(card) if card.leaderboard else "",
        "## How to use it again\n\n" + _use(card),
        "## Limits\n\n" + _limits(card),
        "## Notes\n\n" + "\n".join(f"- {markdown(note)}" for note in card.notes) if card.notes else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown(text: object) -> str:
    """Text on one line that Markdown and HTML show as it is."""
    line = re.sub(r"[\s\x00-\x1f\x7f\ud800-\udfff]+", " ", str(text)).strip()
    line = re.sub(r"([\\`*_\[\]|#~$])", r"\\\1", line)
    line = re.sub(r"^([-+]|\d+[.)])(?=\s)", r"\\\1", line)
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _header(card: Card) -> str:
    tags = ["time-series-forecasting", "lstm", card.network] if card.network != "lstm" else ["time-series-forecasting", "lstm"]
    lines = ["---", "library_name: tidegate", "pipeline_tag: time-series-forecasting", "tags:", *[f"- {_yaml(tag)}" for tag in tags]]
    metrics = _metrics(card.leaderboard)
    return "\n".join([*lines, *(["metrics:", *[f"- {_yaml(metric)}" for metric in metrics]] if metrics else []), "---"])


def _yaml(text: str) -> str:
    """A plain word as it is, anything else in double quotes, which YAML reads as JSON does."""
    return text if re.fullmatch(r"[A-Za-z][\w-]*", text, re.ASCII) else json.dumps(text)


def _what(card: Card) -> str:
    targets = ", ".join(f"**{markdown(name)}**" for name in card.targets)
    step = f" (a step is {markdown(card.frequency)})" if card.frequency else ""
    ahead = "the next step" if card.horizon == 1 else f"the next {card.horizon} steps"
    looks = "" if card.lookback is None else f" It looks at the last {card.lookback} steps."
    needs = f" It needs the future values of {', '.join(map(markdown, card.future))}." if card.future else ""
    return f"{targets}, {ahead}{step}, by the network {markdown(card.network)}.{looks}{needs}"


def _facts(facts: Sequence[tuple[str, Any]]) -> str:
    rows = [f"| {markdown(name)} | {markdown(_value(value))} |" for name, value in facts]
    return "\n".join(["| fact | value |", "|---|---|", *rows])


def _value(value: Any) -> str:
    if value is None:
        return MISSING
    return format_number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _metrics(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    present = {key for row in rows for key, value in row.items() if key not in ("name", "rank") and finite(value) is not None}
    return [key for key in _ORDER if key in present] + sorted(present - set(_ORDER))


def _scores(card: Card) -> str:
    metrics = _metrics(card.leaderboard)
    columns = [format_column([row.get(metric) for row in card.leaderboard]) for metric in metrics]
    names = [str(row.get("name", "")) for row in card.leaderboard]
    shown = [f"**{markdown(name)}** (this model)" if name == card.network else markdown(name) for name in names]
    rows = ["| " + " | ".join([name, *[column[place] for column in columns]]) + " |" for place, name in enumerate(shown)]
    head = ["| forecaster | " + " | ".join(map(markdown, metrics)) + " |", "|---|" + "---:|" * len(metrics)]
    text = "On the test part, in the data's own units, on the values as observed; mape, smape and coverage are fractions."
    return "\n".join([text, "", *head, *rows])


def _use(card: Card) -> str:
    called = "RUN" if re.search(r"[`\x00-\x1f]", card.folder) else card.folder
    folder = shlex.quote(called)
    lines = [f"predict {folder} --out forecast.csv", f"predict {folder} NEW_DATA.csv --out forecast.csv", f"evaluate {folder}"]
    command = "\n".join(f"tidegate {line}" for line in lines)
    path = json.dumps(called, ensure_ascii=False)
    python = f"import tidegate as tg\n\nmodel = tg.load({path})\nforecast = model.predict()\nscores = model.evaluate()"
    words = "The first command forecasts from the end of the training data, the second from the end of a new table."
    return f"{words}\n\n```sh\n{command}\n```\n\n```python\n{python}\n```"


def _limits(card: Card) -> str:
    lines = [
        "The scores hold for the test part of the data above. Where a series changes its ways they no longer do: evaluate on new data.",
        f"It was trained for {card.horizon} step{'s' if card.horizon > 1 else ''} ahead and says nothing about later ones.",
        "Intervals are as good as their coverage on the test part; a rare event that the past does not hold is outside them.",
        "The run folder holds no training data, only where it lay and its checksum.",
    ]
    if card.future:
        lines.append(f"A forecast is only as good as the future values of {', '.join(map(markdown, card.future))} that it is given.")
    return "\n".join(f"- {line}" for line in lines)
