"""Verdicts on shares of right or wrong answers: differences in percentage points, tested on the same answers, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.evaluate.verdict import SIGNIFICANCE, Judgement, Outcome


@dataclass(frozen=True)
class PointsComparison:
    """A model beside one rival on the same sequences or utterances.

    model, baseline    the metric of each, a fraction
    difference_points  100 times their difference: positive is better
    p                  of the paired test
    num                how many sequences or utterances
    """

    rival: str
    outcome: Outcome
    model: float
    baseline: float
    difference_points: float
    p: float
    num: int
    metric: str


@dataclass(frozen=True)
class PointsVerdict(Judgement):
    """The words, and the rows behind them."""

    rows: tuple[PointsComparison, ...]


def outcome_of(p: float, better: bool) -> Outcome:
    """What a paired test says of a difference."""
    return "ties" if not p < SIGNIFICANCE else "beats" if better else "loses"


def sentences(rows: Sequence[PointsComparison], counted: str, test: str) -> list[str]:
    """Which rivals are better, no worse, and beaten, in this order; `counted`: '40 utterances', `test`: the name of the test."""
    ordered = sorted(rows, key=lambda row: row.difference_points)
    groups = {outcome: [row for row in ordered if row.outcome == outcome] for outcome in ("loses", "ties", "beats")}
    said = []
    if groups["loses"]:
        its = "its" if len(groups["loses"]) == 1 else "their"
        said.append(f"LOSES to {_listed(groups['loses'])}; do not use this model in {its} place.")
    if groups["ties"]:
        signed = _joined([f"{row.rival} ({row.difference_points:+.1f} points)" for row in groups["ties"]])
        said.append(f"No better than {signed}: within noise on {counted}.")
    if groups["beats"]:
        each = "each difference is" if len(groups["beats"]) > 1 else "the difference is"
        said.append(f"Beats {_listed(groups['beats'])}; {each} more than noise ({test}, p < {SIGNIFICANCE:g}).")
    return said


def _listed(rows: Sequence[PointsComparison]) -> str:
    return _joined([f"{row.rival} by {abs(row.difference_points):.1f} points" for row in rows])


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
