"""The pictures of a recogniser's report: how it learned, and what it hears in single utterances."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from tidegate.evaluate.report.charts import best_epoch
from tidegate.evaluate.report.data import Epoch, Heard, Hearing, Numbers
from tidegate.evaluate.report.markup import escape, figure, scrollable
from tidegate.evaluate.report.png import Colour, embedded, png
from tidegate.evaluate.report.scales import Scale, count_ticks, known, linear_scale, loss_scale, nice_step, shorten
from tidegate.evaluate.report.svg import WIDTH, Frame, chart
from tidegate.formatting import finite, fixed, format_number, format_share

COLOURS = 8
"""Colours k1 to k8 of the style sheet."""
FAINT = 0.005
"""A probability below this is not drawn, unless beside one that is."""
TOKEN_PIXELS = 18
"""Room for each token: a narrow window scrolls the picture rather than put names on each other."""
LANES, LANE_PIXELS, LETTER_PIXELS, GAP_PIXELS = 3, 15, 7.5, 4.0
"""Names that would touch are put below each other; and the height and width that are reckoned with."""
MARGIN_PIXELS = 60
"""Of a picture beside its drawing area."""
LONGEST_NAME = 16
LOUD, QUIET = 0.995, 0.1
"""Quantiles of the energies that get the brightest and the darkest colour."""
ROOM = 5
"""Characters left of each picture, so that time is in line: 'heard'."""
_RAMP = ((16, 27, 36), (18, 56, 76), (10, 108, 134), (88, 165, 160), (196, 205, 160), (252, 243, 214))
"""From dark to light with even steps of lightness, so that it reads in grey too and stands on light and dark paper."""


def learning_charts(history: Sequence[Epoch], tokens: str) -> str:
    """The training loss and the error rate on the development part by epoch, beside each other: they have different units."""
    epochs = [epoch["epoch"] for epoch in history]
    train = [epoch["train_loss"] for epoch in history]
    rates = [_per_cent(epoch["validation_loss"]) for epoch in history]
    best = best_epoch(history)
    reach = min(epochs), max(epochs)
    loss = Frame(*reach, loss_scale(train), 200)
    note = "Lower is better." + (" The scale is logarithmic." if loss.y.log else "")
    one = tokens.removesuffix("s")
    parts = [figure("Training loss", f"CTC, in nats a {one}. {note}", _curve(loss, epochs, train, history, None, "Training loss by epoch"))]
    if known(rates):
        frame = Frame(*reach, linear_scale(rates, zero=True), 200)
        caption = f"Per cent of the {tokens} of the development part, by the best path."
        drawn = _curve(frame, epochs, rates, history, best, "Error rate on the development part by epoch")
        parts.append(figure("Development error rate", caption, drawn))
    return f'<div class="pair">{"".join(parts)}</div>'


def hearing_chart(hearing: Hearing) -> str:
    """One utterance on one axis of time: its spectrogram, what was said if that is known, what was heard, and the probabilities."""
    seconds = max(hearing["hop"] * len(hearing["energies"]), hearing["step"] * len(hearing["blank"]), 1e-3)
    colours = token_colours(hearing["tokens"])
    wide = max(300, TOKEN_PIXELS * max(len(hearing["tokens"]), len(hearing["spans"])))
    readouts = [(_middle(one), _heard_words(one)) for one in hearing["tokens"]]
    plots = [_spectrogram(hearing, seconds, readouts)]
    if hearing["spans"]:
        plots.append(_names("said", hearing["spans"], {}, seconds, wide))
    plots.append(_names("heard", hearing["tokens"], colours, seconds, wide))
    plots.append(_probabilities(hearing, colours, seconds, readouts))
    inside = f'<div style="min-width:{wide}px">{"".join(plots)}</div>'
    return figure(hearing["title"], hearing["text"], scrollable(inside, f"what is heard in {hearing['title']}"))


def token_colours(tokens: Sequence[Heard]) -> dict[str, str]:
    """A class for each token; neighbours in time get different ones as far as they go round."""
    colours: dict[str, str] = {}
    used: Counter[str] = Counter()
    names = [one["token"] for one in tokens]
    for place, name in enumerate(names):
        if name in colours:
            continue
        near = {colours[other] for other in names[max(0, place - 3) : place + 4] if other in colours}
        chosen = min((f"k{number}" for number in range(1, COLOURS + 1)), key=lambda style: (style in near, used[style]))
        colours[name], used[chosen] = chosen, used[chosen] + 1
    return colours


def visible(token: str) -> str:
    """A token as it is shown: a space has a sign."""
    return "␣" if token == " " else token


def ramp(levels: int = 256) -> list[Colour]:
    """The colours of a spectrogram from quiet to loud."""
    colours: list[Colour] = []
    for level in range(levels):
        place = level / (levels - 1) * (len(_RAMP) - 1)
        number = min(int(place), len(_RAMP) - 2)
        share = place - number
        red, green, blue = (round(a + share * (b - a)) for a, b in zip(_RAMP[number], _RAMP[number + 1], strict=True))
        colours.append((red, green, blue, 255))
    return colours


def levels_of(energies: Sequence[Numbers]) -> list[bytes]:
    """Energies (a row a frame, the lowest band first) as rows of numbers of colours, the highest band at the top, time to the right."""
    ordered = sorted(known(value for row in energies for value in row))
    if not ordered:
        return []
    low, high = (ordered[round(share * (len(ordered) - 1))] for share in (QUIET, LOUD))
    scale = 255 / (high - low) if high > low else 0.0
    points = [[_level(value, low, scale) for value in row] for row in energies]
    return [bytes(row) for row in zip(*points, strict=True)][::-1]


def mel(frequency: float) -> float:
    """Hz on the scale of the bands: O'Shaughnessy 1987 as Kaldi has it, 1127 ln(1 + f / 700)."""
    return 1127.0 * math.log1p(frequency / 700.0)


def _curve(frame: Frame, epochs: Sequence[int], values: Sequence[object], history: Sequence[Epoch], best: Epoch | None, label: str) -> str:
    rule = [] if best is None else [frame.rule(best["epoch"], "mark", f"best: epoch {best['epoch']}")]
    dot = "" if best is None else frame.dots([best["epoch"]], [_per_cent(best["validation_loss"])], "model")
    return chart(
        frame,
        [frame.line(epochs, values, "model"), dot],
        label=label,
        x_ticks=count_ticks(min(epochs), max(epochs), 6),
        x_title="epoch",
        above=rule,
        readouts=[(epoch["epoch"], _epoch_words(epoch)) for epoch in history],
    )


def _spectrogram(hearing: Hearing, seconds: float, readouts: Sequence[tuple[float, str]]) -> str:
    low, high = hearing["low"], hearing["high"]
    marks = [kilo for kilo in (0.5, 1, 2, 4, 8) if low < 1000 * kilo < 0.97 * high]
    ticks = tuple((mel(1000 * kilo), format_number(kilo)) for kilo in marks)
    frame = Frame(0.0, seconds, Scale(mel(low), mel(high), ticks, "kHz"), 130)
    rows = levels_of(hearing["energies"])
    width = WIDTH * frame.place_x(hearing["hop"] * len(hearing["energies"]))
    size = f'width="{width:.1f}" height="{frame.height}" preserveAspectRatio="none"'
    picture = [f'<image {size} href="{embedded(png(rows, ramp()))}"/>'] if rows else []
    return chart(frame, picture, label=f"Spectrogram of {hearing['title']}", readouts=readouts, style=" spectrum", room=ROOM)


def _names(row: str, tokens: Sequence[Heard], colours: Mapping[str, str], seconds: float, wide: int) -> str:
    """Tokens at their time: between lines where they are said, in the colour of their curve where they are heard."""
    placed = [(_middle(one) / seconds, shorten(visible(one["token"]), LONGEST_NAME)) for one in tokens]
    lanes = _lanes(placed, wide - MARGIN_PIXELS)
    height = LANE_PIXELS * (1 + max(lanes, default=0)) + 2
    frame = Frame(0.0, seconds, Scale(0.0, 1.0, ((1.0 - LANE_PIXELS / 2 / height, row),)), height)
    words = [
        f'<text class="name {colours.get(one["token"], "")}" x="{frame.per_cent(_middle(one))}" y="{LANE_PIXELS * lane + 12}" '
        f'text-anchor="{_anchor(place, word, wide - MARGIN_PIXELS)}">{escape(word)}</text>'
        for one, (place, word), lane in zip(tokens, placed, lanes, strict=True)
    ]
    edges = [] if colours else sorted({edge for one in tokens for edge in (one["begin"], one["end"]) if 0.0 < edge < seconds})
    lines = [f'<line class="edge" x1="{(x := frame.per_cent(edge))}" x2="{x}" y1="0" y2="{height}"/>' for edge in edges]
    listed = " ".join(one["token"] for one in tokens) or "nothing"
    return chart(frame, [], label=f"{row}: {listed}", above=[*lines, *words], style=" names", room=ROOM)


def _probabilities(hearing: Hearing, colours: Mapping[str, str], seconds: float, readouts: Sequence[tuple[float, str]]) -> str:
    frame = Frame(0.0, seconds, Scale(0.0, 100.0, ((0.0, "0"), (50.0, "50"), (100.0, "100")), "%"), 110)
    times = [(place + 0.5) * hearing["step"] for place in range(len(hearing["blank"]))]
    drawn = [frame.line(times, [_per_cent(value) for value in hearing["blank"]], "past thin")]
    for token, curve in hearing["curves"].items():
        shown, style = _clear(curve), f"post {colours.get(token, 'k8')}"
        drawn += [frame.band(times, [0.0] * len(shown), shown, style), frame.line(times, shown, style)]
    return chart(
        frame,
        drawn,
        label=f"Probabilities over time in {hearing['title']}",
        x_ticks=_second_ticks(seconds),
        x_title="seconds",
        readouts=readouts,
        room=ROOM,
    )


def _lanes(words: Sequence[tuple[float, str]], wide: int) -> list[int]:
    """For each (place from 0 to 1, word) the first lane in which it does not touch the one before in a picture of so many pixels."""
    free, lanes = [-math.inf] * LANES, []
    for place, word in words:
        half = _pixels(word) / 2
        middle = min(max(place * wide, half), wide - half)
        lane = next((number for number, edge in enumerate(free) if edge + GAP_PIXELS <= middle - half), free.index(min(free)))
        free[lane] = middle + half
        lanes.append(lane)
    return lanes


def _anchor(place: float, word: str, wide: int) -> str:
    """A name at the edge stays within the picture."""
    half = _pixels(word) / 2
    return "start" if place * wide < half else "end" if (1 - place) * wide < half else "middle"


def _pixels(word: str) -> float:
    """About how wide a name is; the letters of East Asia (from U+2E80) are nearly twice as wide as others."""
    return LETTER_PIXELS * sum(1.7 if letter >= "\u2e80" else 1.0 for letter in word)


def _clear(curve: Numbers) -> list[float | None]:
    """Per cents where there is something to see, and their neighbours so that a peak has sides."""
    values = [finite(value) or 0.0 for value in curve]
    seen = [max(values[max(0, place - 1) : place + 2]) >= FAINT for place in range(len(values))]
    return [100.0 * value if there else None for value, there in zip(values, seen, strict=True)]


def _level(value: object, low: float, scale: float) -> int:
    number = finite(value)
    return 0 if number is None else min(255, max(0, round((number - low) * scale)))


def _second_ticks(seconds: float) -> list[tuple[float, str]]:
    step = nice_step(seconds, 8)
    return [(place * step, format_number(place * step)) for place in range(int(seconds / step + 1e-6) + 1)]


def _middle(one: Heard) -> float:
    return (one["begin"] + one["end"]) / 2


def _heard_words(one: Heard) -> str:
    sure = "" if finite(one["confidence"]) is None else f"  {format_share(one['confidence'])}"
    return f"{fixed(one['begin'], 2)} to {fixed(one['end'], 2)} s  {shorten(visible(one['token']), 24)}{sure}"


def _epoch_words(epoch: Epoch) -> str:
    rate = epoch.get("learning_rate")
    tail = "" if finite(rate) is None else f"  learning rate {format_number(rate, 3)}"
    return f"epoch {epoch['epoch']}:  loss {format_number(epoch['train_loss'])}  errors {format_share(epoch['validation_loss'])}{tail}"


def _per_cent(value: object) -> float | None:
    return None if (number := finite(value)) is None else 100.0 * number
