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


class Confusion(TypedDict):
    """counts: K rows of K, how often each class (row) was predicted as each (column)."""

    classes: Sequence[str]
    counts: Sequence[Sequence[int]]


class ClassRow(TypedDict):
    """One class: how many sequences are of it, and its scores as fractions."""

    name: str
    support: int
    precision: float | None
    recall: float | None
    f1: float | None


class Bin(TypedDict):
    """The predictions whose probability lies in one bin: how many, their mean probability, the share that is right."""

    count: int
    confidence: float | None
    accuracy: float | None


class Calibration(TypedDict):
    """Whether the probabilities are right as often as they say.

    bins         M of the same width over 0 to 1, the lowest first
    ece          expected calibration error, a fraction
    temperature  what the logits were divided by; None where it is not known
    """

    bins: Sequence[Bin]
    ece: float | None
    temperature: float | None


class Example(TypedDict):
    """One classified sequence of T steps and C channels.

    values       C rows of T, in the data's own units
    weights      attention over the sequence, each weight over an equal part of it; None where there is none
    truth        None: a class that training never saw
    probability  of the predicted class
    """

    title: str
    channels: Sequence[str]
    values: Sequence[Numbers]
    weights: NotRequired[Numbers | None]
    truth: str | None
    predicted: str
    probability: float


class SpeakerRow(TypedDict):
    """One speaker: error rate as a fraction, and how many tokens and utterances that is over."""

    name: str
    rate: float | None
    tokens: int
    utterances: int


class TokenRow(TypedDict):
    """What became of one token of the references: count = right + substituted + deleted."""

    name: str
    count: int
    right: int
    substituted: int
    deleted: int


class Aligned(TypedDict):
    """One utterance beside what was heard.

    title    which one, and why it is shown
    text     the words as written; '' where they are not known
    rows     (edit, said, heard) with the edits equal, substitute, delete and insert; None where there is no token
    """

    title: str
    text: str
    rate: float | None
    rows: Sequence[tuple[str, str | None, str | None]]


class Heard(TypedDict):
    """A token and when it is said, in seconds; confidence from 0 to 1, None for a token of the reference."""

    token: str
    begin: float
    end: float
    confidence: float | None


class Hearing(TypedDict):
    """What the network hears in one utterance, from its beginning.

    energies  a row for each frame: log energies of the mel bands, the lowest first
    hop, step seconds from frame to frame, and from one step of the network to the next
    low, high Hz, the edges of the bands
    tokens    what was heard
    curves    of each token that was heard the probability at each step
    blank     that of CTC's blank
    spans     what was said, and when; empty where that is not known
    """

    title: str
    text: str
    energies: Sequence[Numbers]
    hop: float
    step: float
    low: float
    high: float
    tokens: Sequence[Heard]
    curves: Mapping[str, Numbers]
    blank: Numbers
    spans: Sequence[Heard]


@dataclass(frozen=True)
class ReportData:
    """What `render` shows whatever the task. A part that is None or empty is left out or said to be absent.

    beats        True: every rival is beaten; False: a naive rival is better; None: neither, or nothing can be said
    model        the model's name in `leaderboard` ('name' of its row)
    leaderboard  rows {'name': ..., score: number}, best first; 'rank' is not shown; what tidegate.scores shows as per cents is a fraction
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
    tuning: Tuning | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    commands: Sequence[str] = ()


@dataclass(frozen=True)
class ForecastReport(ReportData):
    """The report of a forecaster.

    lead_times   name to N errors (MAE), lead time 1 first; the model's name is that in `leaderboard`
    targets      rows {'name': target, metric: number} of the model
    cleaning     None: cleaning was off
    """

    forecasts: Sequence[Forecast] = ()
    lead_times: Mapping[str, Numbers] = field(default_factory=dict)
    targets: Sequence[Mapping[str, Any]] = ()
    cleaning: Cleaning | None = None
    attention: Attention | None = None
    ablation: Ablation | None = None


@dataclass(frozen=True)
class ClassReport(ReportData):
    """The report of a classifier.

    members    networks of the ensemble; `history` is that of the first
    evidence   sequences with attention weights
    mistakes   the wrong ones, the surest first
    """

    members: int = 1
    confusion: Confusion | None = None
    classes: Sequence[ClassRow] = ()
    calibration: Calibration | None = None
    evidence: Sequence[Example] = ()
    mistakes: Sequence[Example] = ()


@dataclass(frozen=True)
class SpeechReport(ReportData):
    """The report of a recogniser.

    tokens      'phones', 'characters' or 'words'
    history     validation_loss is the error rate of the best path on the development part, a fraction
    errors      substitutions, deletions, insertions, tokens, utterances, wrong_utterances
    confusions  (said, heard, how often), the most frequent first
    """

    tokens: str = "phones"
    errors: Mapping[str, int] = field(default_factory=dict)
    speakers: Sequence[SpeakerRow] = ()
    by_token: Sequence[TokenRow] = ()
    confusions: Sequence[tuple[str, str, int]] = ()
    transcripts: Sequence[Aligned] = ()
    hearings: Sequence[Hearing] = ()
