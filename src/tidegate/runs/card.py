"""The model card of a run: README.md in its folder, Markdown with the YAML header that model hubs read."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tidegate.formatting import MISSING, format_column, format_number
from tidegate.scores import score_names

MOST_NAMES = 20
"""Classes and channels that are named, each."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a model card says whatever the task.

    title        what the model is, in a line
    network      the network's name, also its name in `leaderboard`
    verdict      the verdict in words
    facts        names and values about the data
    leaderboard  rows {'name': ..., score: number}, best first; what tidegate.scores shows as per cents is a fraction
    folder       how the run folder is called in the commands
    notes        what was derived, left out or odd
    """

    title: str
    network: str
    verdict: str
    facts: Sequence[tuple[str, Any]] = ()
    leaderboard: Sequence[Mapping[str, Any]] = ()
    folder: str = "RUN"
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class ForecastCard(Card):
    """The card of a forecaster.

    frequency  what a step is, for people ('hourly')
    future     known-future columns that a forecast needs
    """

    targets: Sequence[str]
    horizon: int
    frequency: str = ""
    lookback: int | None = None
    future: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class ClassCard(Card):
    """The card of a classifier: the names of what it tells apart, and of the channels that it reads."""

    classes: Sequence[str]
    channels: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class SpeechCard(Card):
    """The card of a recogniser.

    tokens      'phones', 'characters' or 'words'; vocabulary: those that it knows
    speakers    of the training part; 0 where they are not known. known_voices: whether all of the test part are among them
    convention  how phones are scored, '' for other tokens; scored: how many tokens of the test part
    rate        samples a second that it hears
    live        whether it can hear while somebody speaks
    """

    tokens: str
    vocabulary: Sequence[str]
    speakers: int
    convention: str
    scored: int
    rate: int
    known_voices: bool = False
    live: bool = False


class Words(NamedTuple):
    """What a task has to say in its cards."""

    pipeline: str
    """Of the hub's list of tasks, which knows no classification of time series."""
    tag: str
    heading: str
    what: str
    rivals: str
    """What the rows of the scores are."""
    units: str
    commands: Sequence[str]
    python: Sequence[str]
    usage: str
    limits: Sequence[str]


def model_card(card: ForecastCard | ClassCard | SpeechCard) -> str:
    """The card as Markdown. Names of columns, classes, series and tokens are escaped: none can add markup, a link or a row."""
    words = _words_of(card)
    parts = [
        _header(card, words),
        f"# {markdown(card.title)}",
        markdown(card.verdict),
        f"## {words.heading}\n\n{words.what}",
        "## Data\n\n" + _facts(card.facts) if card.facts else "",
        "## Scores\n\n" + _scores(card, words) if card.leaderboard else "",
        "## How to use it again\n\n" + _use(words),
        "## Limits\n\n" + "\n".join(f"- {line}" for line in words.limits),
        "## Notes\n\n" + "\n".join(f"- {markdown(note)}" for note in card.notes) if card.notes else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown(text: object) -> str:
    """Text on one line that Markdown and HTML show as it is."""
    line = re.sub(r"[\s\x00-\x1f\x7f\ud800-\udfff]+", " ", str(text)).strip()
    line = re.sub(r"([\\`*_\[\]|#~$])", r"\\\1", line)
    line = re.sub(r"^([-+]|\d+[.)])(?=\s)", r"\\\1", line)
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _header(card: Card, words: Words) -> str:
    tags = [words.tag, "lstm", *([card.network] if card.network != "lstm" else [])]
    lines = ["---", "library_name: tidegate", f"pipeline_tag: {words.pipeline}", "tags:", *[f"- {_yaml(tag)}" for tag in tags]]
    scores = score_names(card.leaderboard)
    return "\n".join([*lines, *(["metrics:", *[f"- {_yaml(score)}" for score in scores]] if scores else []), "---"])


def _yaml(text: str) -> str:
    """A plain word as it is, anything else in double quotes, which YAML reads as JSON does."""
    return text if re.fullmatch(r"[A-Za-z][\w-]*", text, re.ASCII) else json.dumps(text)


def _facts(facts: Sequence[tuple[str, Any]]) -> str:
    rows = [f"| {markdown(name)} | {markdown(_value(value))} |" for name, value in facts]
    return "\n".join(["| fact | value |", "|---|---|", *rows])


def _value(value: Any) -> str:
    if value is None:
        return MISSING
    return format_number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _scores(card: Card, words: Words) -> str:
    scores = score_names(card.leaderboard)
    columns = [format_column([row.get(score) for row in card.leaderboard]) for score in scores]
    names = [str(row.get("name", "")) for row in card.leaderboard]
    shown = [f"**{markdown(name)}** (this model)" if name == card.network else markdown(name) for name in names]
    rows = ["| " + " | ".join([name, *[column[place] for column in columns]]) + " |" for place, name in enumerate(shown)]
    head = [f"| {words.rivals} | " + " | ".join(map(markdown, scores)) + " |", "|---|" + "---:|" * len(scores)]
    return "\n".join([f"On the test part, {words.units}.", "", *head, *rows])


def _use(words: Words) -> str:
    command = "\n".join(f"tidegate {line}" for line in words.commands)
    python = "\n".join(["import tidegate as tg", "", *words.python])
    return f"{words.usage}\n\n```sh\n{command}\n```\n\n```python\n{python}\n```"


def _called(card: Card) -> tuple[str, str]:
    """The run folder as a shell and as Python write it; RUN where its name could end the block of code."""
    called = "RUN" if re.search(r"[`\x00-\x1f]", card.folder) else card.folder
    return shlex.quote(called), json.dumps(called, ensure_ascii=False)


def _words_of(card: ForecastCard | ClassCard | SpeechCard) -> Words:
    if isinstance(card, SpeechCard):
        return _speech_words(card)
    return _class_words(card) if isinstance(card, ClassCard) else _forecast_words(card)


def _forecast_words(card: ForecastCard) -> Words:
    folder, path = _called(card)
    targets = ", ".join(f"**{markdown(name)}**" for name in card.targets)
    step = f" (a step is {markdown(card.frequency)})" if card.frequency else ""
    ahead = "the next step" if card.horizon == 1 else f"the next {card.horizon} steps"
    looks = "" if card.lookback is None else f" It looks at the last {card.lookback} steps."
    future = ", ".join(map(markdown, card.future))
    needs = f" It needs the future values of {future}." if future else ""
    limits = [
        "The scores hold for the test part of the data above. Where a series changes its ways they no longer do: evaluate on new data.",
        f"It was trained for {card.horizon} step{'s' if card.horizon > 1 else ''} ahead and says nothing about later ones.",
        "Intervals are as good as their coverage on the test part; a rare event that the past does not hold is outside them.",
        "The run folder holds no training data, only where it lay and its checksum.",
        *([f"A forecast is only as good as the future values of {future} that it is given."] if future else []),
    ]
    return Words(
        pipeline="time-series-forecasting",
        tag="time-series-forecasting",
        heading="What it forecasts",
        what=f"{targets}, {ahead}{step}, by the network {markdown(card.network)}.{looks}{needs}",
        rivals="forecaster",
        units="in the data's own units, on the values as observed; mape, smape and coverage are fractions",
        commands=[f"predict {folder} --out forecast.csv", f"predict {folder} NEW_DATA.csv --out forecast.csv", f"evaluate {folder}"],
        python=[f"model = tg.load({path})", "forecast = model.predict()", "scores = model.evaluate()"],
        usage="The first command forecasts from the end of the training data, the second from the end of a new table.",
        limits=limits,
    )


def _class_words(card: ClassCard) -> Words:
    folder, path = _called(card)
    channels = "one channel" if len(card.channels) == 1 else f"{len(card.channels)} channels"
    limits = [
        "The scores hold for sequences like those of the test part. From another source, device or sampling rate: evaluate on new data.",
        f"It knows these {len(card.classes)} classes only: any other sequence gets one of them too, perhaps with a high probability.",
        "Probabilities hold where the classes are as frequent as in training; where a class is rarer, it is said too often.",
        "The run folder holds no training data, only where it lay and its checksum.",
    ]
    return Words(
        pipeline="other",
        tag="time-series-classification",
        heading="What it tells apart",
        what=f"Sequences of {len(card.classes)} classes: {_named(card.classes, '**')}, by the network {markdown(card.network)}. "
        f"It reads {channels}: {_named(card.channels, '')}.",
        rivals="classifier",
        units="the likeliest class being the answer; log_loss is in nats, the others are fractions; log_loss and ece are better when lower",
        commands=[f"predict {folder} NEW_DATA --out classes.csv", f"evaluate {folder} NEW_DATA"],
        python=[
            f"model = tg.load({path})",
            "classes = model.predict(data)",
            "probabilities = model.predict_proba(data)",
            "scores = model.evaluate(data)",
        ],
        usage="The first command gives each new sequence its class and the probability of each class, the second scores the model on other "
        "sequences with labels. The sequences need the channels above, in the same order and units.",
        limits=limits,
    )


def _speech_words(card: SpeechCard) -> Words:
    folder, path = _called(card)
    count = f"{len(card.vocabulary)} {card.tokens.removesuffix('s') if len(card.vocabulary) == 1 else card.tokens}"
    shown = [name if name.strip() else "␣" for name in card.vocabulary]
    convention = f", scored as '{card.convention}'" if card.convention else ""
    hears = "while somebody speaks" if card.live else "whole recordings"
    return Words(
        pipeline="automatic-speech-recognition",
        tag="ctc",
        heading="What it hears",
        what=f"Speech as strings of {count}: {_named(shown, '**')}. By the network {markdown(card.network)}, which hears {hears}.",
        rivals="recogniser",
        units=f"over {card.scored:,} {card.tokens}{markdown(convention)}; all are fractions. An error rate, better when lower, is edits by "
        "tokens that were said, so that it can be above 1",
        commands=[
            f"predict {folder} RECORDING.wav",
            f"predict {folder} RECORDINGS/ --timestamps --out tokens.csv",
            *([f"predict {folder} - < RECORDING.wav"] if card.live else []),
            f"evaluate {folder} CORPUS",
        ],
        python=[f"model = tg.load({path})", 'heard = model.predict(["RECORDING.wav"])', 'scores = model.evaluate("CORPUS")'],
        usage="The first command writes down what is said in recordings, the second gives each token its begin and end in seconds, the "
        f"last scores the model on other recordings with transcripts. Recordings of other rates are brought to {card.rate:,} Hz.",
        limits=_speech_limits(card),
    )


def _speech_limits(card: SpeechCard) -> list[str]:
    voices = {0: "speakers that are not told apart", 1: "one speaker"}.get(card.speakers, f"{card.speakers} speakers")
    known = " The voices of the test part are in the training part too: the scores are for known voices." if card.known_voices else ""
    limits = [
        f"It learned from {voices}.{known} Voices, accents, languages and microphones that are not in the training part are heard worse, "
        "or not at all: evaluate on recordings of your own.",
        "Where it was trained on synthetic speech, its scores say nothing about people; where on one reader, nothing about others.",
        "It knows the tokens above only; what else is said is heard as one of them.",
    ]
    if card.convention:
        limits.append(
            f"PER counts phones as the convention '{markdown(card.convention)}' does, over {card.scored:,} phones. Other conventions count "
            "other phones: rates under different ones do not compare."
        )
    limits.append("Music, noise, far microphones and people who talk at once are heard as speech.")
    return [*limits, "The run folder holds no training data, only where it lay and its checksum."]


def _named(names: Sequence[str], mark: str) -> str:
    """The names, at most MOST_NAMES."""
    shown = ", ".join(f"{mark}{markdown(name)}{mark}" for name in names[:MOST_NAMES])
    return f"{shown} and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else shown
