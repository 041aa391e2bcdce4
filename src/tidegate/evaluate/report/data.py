"""What a report shows, as plain values: no arrays, tables or networks.

A number may be None, NaN or a NumPy scalar; what is missing leaves a gap. Names are shown as they are, whatever is in them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

Numbers = Sequence[float | None]
"""Values in time; None or NaN breaks the line."""


class Epoch(TypedDict):
    """One pass of training, as in metrics.jsonl. `best` may be true for each epoch that was the best so far; the last counts."""

    epoch: int
    train_loss: float | None
    validation_loss: float | None
    learning_rate: NotRequired[float | None]
    best: NotRequired[bool]


class Forecast(TypedDict):
    """One forecast beside what happened. P past steps and N lead times.

    times     P + N labels, the past first; ISO stamps ('2017-07-01 13:00') get short axis labels, others are shown as they are
    past      P observed values before the origin
    observed  N values that happened (shorter or empty where the future is not known yet)
    forecast  N values; lower and upper the interval, named by `interval` ('80 % interval')
    """

    title: str
    times: Sequence[str]
    past: Numbers
    observed: Numbers
    forecast: Numbers
    lower: NotRequired[Numbers | None]
    upper: NotRequired[Numbers | None]
    interval: NotRequired[str]


class Replacement(TypedDict):
    """One value that cleaning changed; `replacement` None means it counts as missing."""

    series: str
    channel: str
    time: str
    observed: float | None
    replacement: float | None
    reason: str


class CleaningPicture(TypedDict):
    """A stretch of one channel before and after; the same length."""

    title: NotRequired[str]
    times: Sequence[str]
    observed: Numbers
    cleaned: Numbers


class Cleaning(TypedDict):
    """What cleaning changed: counts, at most 200 rows, a few pictures."""

    total: int
    by_reason: Mapping[str, int]
    rows: Sequence[Replacement]
    examples: NotRequired[Sequence[CleaningPicture]]


class Attention(TypedDict):
    """Attention over S subsequences of the lookback.

    spans     S pairs (start, end) in steps before the origin, start the older: (48, 24) is from 48 to 24 steps before
    weights   S mean weights; examples: rows of S weights, one a forecast, named by `titles`
    """

    spans: Sequence[tuple[int, int]]
    weights: Numbers
    examples: NotRequired[Sequence[Numbers]]
    titles: NotRequired[Sequence[str]]


class Ablation(TypedDict):
    """Scores of the same network with and without its attention branch, by metric name; `note` says how many seeds."""

    with_attention: Mapping[str, float | None]
    without_attention: Mapping[str, float | None]
    note: NotRequired[str]


class Trial(TypedDict):
    """One trial of tuning: `value` is the validation score (lower is better), `state` complete, pruned or failed."""

    number: int
    value: float | None
    state: str
    params: NotRequired[Mapping[str, Any]]


class Tuning(TypedDict):
    """The history of a study; `importance` are shares that add up to one; `best` is a trial's number."""

    trials: Sequence[Trial]
    importance: NotRequired[Mapping[str, float]]
    best: NotRequired[int | None]
    metric: NotRequired[str]


@dataclass(frozen=True)
class ReportData:
    """Everything that `render` shows. A part that is None or empty is left out or said to be absent.

    beats        True: every rival is beaten; False: a naive rival is better; None: neither, or nothing can be said
    model        the model's name in `leaderboard` ('name' of its row) and in `lead_times`
    leaderboard  rows {'name': ..., metric: number}, best first; 'rank' is not shown; mape, smape and coverage are fractions
    lead_times   name to N errors (MAE), lead time 1 first
    targets      rows {'name': target, metric: number} of the model
    cleaning     None: cleaning was off
    commands     lines to type next
    """

    title: str
    verdict: str
    beats: bool | None
    model: str
    facts: Sequence[tuple[str, Any]] = ()
    notes: Sequence[str] = ()
    leaderboard: Sequence[Mapping[str, Any]] = ()
    history: Sequence[Epoch] = ()
    forecasts: Sequence[Forecast] = ()
    lead_times: Mapping[str, Numbers] = field(default_factory=dict)
    targets: Sequence[Mapping[str, Any]] = ()
    cleaning: Cleaning | None = None
    attention: Attention | None = None
    ablation: Ablation | None = None
    tuning: Tuning | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    commands: Sequence[str] = ()
