"""The table of a model and its rivals, best first."""

import csv
import io
import math
from collections.abc import Mapping, Sequence

from tidegate.scores import HIGHER_IS_BETTER

Row = dict[str, str | int | float | None]


def leaderboard(scores: Mapping[str, Mapping[str, float]], metric: str = "mae") -> list[Row]:
    """Rows rank, name and every score, the best by `metric` first; those without it come last, unranked.

    scores: name of the model or baseline -> name of the score -> value. A score that is not a finite number, or that a row does
    not have, is None.
    """
    names = list(dict.fromkeys(name for row in scores.values() for name in row))
    sign = -1.0 if metric in HIGHER_IS_BETTER else 1.0
    order = sorted(scores, key=lambda name: _key(scores[name].get(metric), sign))
    rows: list[Row] = []
    for number, name in enumerate(order, start=1):
        values = {score: _plain(scores[name].get(score)) for score in names}
        rows.append({"rank": None if values.get(metric) is None else number, "name": name, **values})
    return rows


def leaderboard_csv(rows: Sequence[Row]) -> str:
    """The file leaderboard.csv: a header and a line per row, numbers in full; an absent score is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else ["rank", "name"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _key(value: float | None, sign: float) -> float:
    return math.inf if value is None or math.isnan(value) else sign * value
