"""The pictures of the report, each from its part of the report."""

from collections.abc import Mapping, Sequence

from tidegate.evaluate.report.data import CleaningPicture, Epoch, Forecast, Numbers
from tidegate.evaluate.report.markup import escape, figure, legend
from tidegate.evaluate.report.scales import Scale, count_ticks, known, linear_scale, loss_scale, shorten, time_ticks
from tidegate.evaluate.report.svg import Frame, chart
from tidegate.formatting import finite, format_number

MOST_PAST = 3
"""The past is shown for at most so many horizons (and at least 48 steps), or the forecast would be a sliver."""
BASELINES = 8
"""Line styles k1 to k8 of the style sheet."""


def best_epoch(history: Sequence[Epoch]) -> Epoch | None:
    """The last epoch marked as best, or the one with the lowest validation loss where none is marked; None where nothing was validated."""
    marked = [epoch for epoch in history if epoch.get("best") and finite(epoch["validation_loss"]) is not None]
    scored = [(loss, number) for number, epoch in enumerate(history) if (loss := finite(epoch["validation_loss"])) is not None]
    return marked[-1] if marked else history[min(scored)[1]] if scored else None


def loss_chart(history: Sequence[Epoch]) -> str:
    """Training and validation loss by epoch, the kept epoch marked."""
    epochs = [epoch["epoch"] for epoch in history]
    train = [epoch["train_loss"] for epoch in history]
    validation = [epoch["validation_loss"] for epoch in history]
    frame = Frame(min(epochs), max(epochs), loss_scale([*train, *validation]), 220)
    best = best_epoch(history)
    above, dot = [], ""
    if best is not None:
        above = [frame.rule(best["epoch"], "mark", f"best: epoch {best['epoch']}")]
        dot = frame.dots([best["epoch"]], [best["validation_loss"]], "model")
    readouts = [(epoch["epoch"], _epoch_words(epoch)) for epoch in history]
    curves = [frame.line(epochs, train, "past"), frame.line(epochs, validation, "model"), dot]
    drawn = chart(
        frame,
        curves,
        label="Loss by epoch",
        x_ticks=count_ticks(min(epochs), max(epochs), 8),
        x_title="epoch",
        above=above,
        readouts=readouts,
    )
    logarithmic = " The scale is logarithmic." if frame.y.log else ""
    caption = ("" if best is None else "The weights of the best epoch are the ones that are kept.") + logarithmic
    lines = [("past", "train"), *([("model", "validation")] if known(validation) else [])]
    return figure("Loss", caption, legend(lines), drawn)


def forecast_chart(forecast: Forecast, height: int = 200) -> str:
    """One forecast with its interval over what happened, after the end of the past."""
    all_past, horizon = list(forecast["past"]), len(forecast["forecast"])
    shown = min(len(all_past), max(MOST_PAST * horizon, 48))
    past = all_past[len(all_past) - shown :]
    times = list(forecast["times"])[len(all_past) - shown : len(all_past) + horizon]
    lower, upper = list(forecast.get("lower") or []), list(forecast.get("upper") or [])
    ahead = list(range(shown, shown + horizon))
    joined = [past[-1] if past and known(forecast["observed"]) else None, *forecast["observed"]]
    frame = Frame(
        0, max(1, shown + horizon - 1), linear_scale([*past, *forecast["observed"], *forecast["forecast"], *lower, *upper]), height
    )
    curves = [
        frame.band(ahead, lower, upper, ""),
        frame.line(range(shown), past, "past"),
        frame.line([shown - 1, *ahead], joined, "seen") if past else frame.line(ahead, forecast["observed"], "seen"),
        frame.line(ahead, forecast["forecast"], "model"),
    ]
    origin = [frame.rule(shown - 0.5, "mark")] if past else []
    words = [(shown + step, _lead_words(forecast, times, shown, step)) for step in range(horizon)]
    before = [(place, f"{_at(times, place)}  {format_number(value)}") for place, value in enumerate(past)]
    ticks = [(float(place), text) for place, text in time_ticks(times)]
    drawn = chart(frame, curves, label=forecast["title"], x_ticks=ticks, above=origin, readouts=[*_every(before, 90), *words])
    return figure(forecast["title"], "", drawn)


def forecast_legend(forecasts: Sequence[Forecast]) -> str:
    """One legend for all forecast pictures."""
    happened = [("seen", "what happened")] if any(known(forecast["observed"]) for forecast in forecasts) else []
    entries = [("past", "before the origin"), *happened, ("model", "forecast")]
    intervals = [forecast.get("interval", "interval") for forecast in forecasts if forecast.get("lower")]
    return legend(entries + ([("area", intervals[0])] if intervals else []))


def lead_time_chart(lead_times: Mapping[str, Numbers], model: str) -> str:
    """Mean absolute error by lead time, the model's line heavy, names at the lines' ends."""
    rivals = [name for name in lead_times if name != model]
    styles = {name: f"k{number % BASELINES + 1}" for number, name in enumerate(rivals)} | {model: "model"}
    names = [*rivals, *([model] if model in lead_times else [])]
    steps = max(len(lead_times[name]) for name in names)
    scale, beyond = _error_scale(lead_times, model)
    frame = Frame(1, max(1, steps), scale, 280)
    axis = list(range(1, steps + 1))
    curves = [frame.line(axis, lead_times[name], styles[name]) for name in names]
    words = [
        (step, f"lead time {step}:  " + _rank_words({name: _value(lead_times[name], step - 1) for name in names}, model)) for step in axis
    ]
    labels = _end_labels(frame, {name: lead_times[name] for name in names if name not in beyond}, styles)
    drawn = chart(
        frame,
        curves,
        label="MAE by lead time",
        x_ticks=count_ticks(1, steps, 8),
        x_title="lead time, steps",
        above=labels,
        readouts=words,
        clip=True,
        style=" named",
    )
    ordered = ([model] if model in lead_times else []) + rivals
    note = (
        f"Off the scale: {', '.join(f'{shorten(name, 40)} (up to {format_number(value, 3)})' for name, value in beyond.items())}."
        if beyond
        else ""
    )
    return figure("", note, legend([(styles[name], name) for name in ordered], "narrow"), drawn)


def cleaning_chart(picture: CleaningPicture) -> str:
    """A stretch before and after cleaning: removed values as red dots, the cleaned line through."""
    observed, cleaned = list(picture["observed"]), list(picture["cleaned"])
    places = range(len(cleaned))
    removed = [
        before if finite(before) is not None and finite(before) != finite(after) else None
        for before, after in zip(observed, cleaned, strict=False)
    ]
    stands_in = [None if gone is None else after for gone, after in zip(removed, cleaned, strict=False)]
    frame = Frame(0, max(1, len(cleaned) - 1), linear_scale([*observed, *cleaned], count=3), 120)
    ghost = frame.line(places, observed, "past")
    curves = [ghost, frame.line(places, cleaned, "seen"), frame.dots(places, removed, "bad"), frame.dots(places, stands_in, "model small")]
    times = list(picture["times"])[: len(cleaned)]
    words = [
        (place, f"{_at(times, place)}  {_change_words(observed[place], cleaned[place])}")
        for place in range(min(len(observed), len(cleaned)))
    ]
    title = picture.get("title", "")
    drawn = chart(frame, curves, label=title or "Before and after cleaning", x_ticks=time_ticks(times, 4), readouts=words)
    return figure(title, "", drawn)


def _error_scale(lead_times: Mapping[str, Numbers], model: str) -> tuple[Scale, dict[str, float]]:
    """A scale from zero for the rivals up to three times the third-best or the model; the others' largest."""
    largest = {name: max(known(values)) for name, values in lead_times.items() if known(values)}
    ranked = sorted(largest.values())
    limit = 3 * max([largest.get(model, 0.0), *ranked[:3]])
    beyond = {name: value for name, value in largest.items() if limit and value > limit}
    inside = [value for name, values in lead_times.items() if name not in beyond for value in known(values)]
    return linear_scale(inside, zero=True, count=5), beyond


def _end_labels(frame: Frame, lead_times: Mapping[str, Numbers], styles: Mapping[str, str]) -> list[str]:
    """Names beside the lines' ends, moved apart so that none covers another; hidden on narrow screens."""
    ends = sorted((frame.place_y(values[-1]), name) for name, line in lead_times.items() if (values := known(line)))
    room, places = 14.0, []
    for y, _ in ends:
        places.append(max(y, places[-1] + room) if places else y)
    low = frame.height + room * 0.5
    for number in reversed(range(len(places))):
        places[number] = min(places[number], low)
        low = places[number] - room
    return [
        f'<text class="name {styles[name]}" x="100%" dx="8" y="{y:.1f}" dy=".32em">{escape(shorten(name, 18))}</text>'
        for y, (_, name) in zip(places, ends, strict=True)
    ]


def _epoch_words(epoch: Epoch) -> str:
    rate = epoch.get("learning_rate")
    tail = "" if finite(rate) is None else f"  learning rate {format_number(rate, 3)}"
    return (
        f"epoch {epoch['epoch']}:  train {format_number(epoch['train_loss'])}  validation {format_number(epoch['validation_loss'])}{tail}"
    )


def _lead_words(forecast: Forecast, times: Sequence[str], shown: int, step: int) -> str:
    lower, upper = forecast.get("lower") or [], forecast.get("upper") or []
    fan = f" ({format_number(lower[step])} to {format_number(upper[step])})" if step < min(len(lower), len(upper)) else ""
    seen = f"  happened {format_number(forecast['observed'][step])}" if step < len(forecast["observed"]) else ""
    return f"{_at(times, shown + step)}  forecast {format_number(forecast['forecast'][step])}{fan}{seen}"


def _rank_words(values: Mapping[str, float | None], model: str) -> str:
    ranked = sorted((value, name) for name, value in values.items() if value is not None)
    kept = [(value, name) for value, name in ranked if name == model] + [(value, name) for value, name in ranked if name != model][:2]
    return "  ".join(f"{shorten(name, 20)} {format_number(value)}" for value, name in kept)


def _change_words(before: object, after: object) -> str:
    first = finite(before)
    return (
        format_number(before)
        if first == finite(after)
        else f"{format_number(before)} → {format_number(after) if finite(after) is not None else 'missing'}"
    )


def _value(values: Numbers, place: int) -> float | None:
    return finite(values[place]) if place < len(values) else None


def _at(times: Sequence[str], place: int) -> str:
    return shorten(times[place], 25).replace("T", " ") if place < len(times) else ""


def _every(words: list[tuple[int, str]], most: int) -> list[tuple[int, str]]:
    return words[:: max(1, -(-len(words) // most))]
