"""Pictures of what the network looks at, and of what tuning tried."""

from collections.abc import Sequence
from itertools import pairwise

from tidegate.evaluate.report.data import Attention, Trial
from tidegate.evaluate.report.markup import escape, figure, legend
from tidegate.evaluate.report.scales import Scale, count_ticks, known, linear_scale, loss_scale
from tidegate.evaluate.report.svg import Frame, chart
from tidegate.formatting import finite, format_number, format_share


def attention_chart(attention: Attention) -> str:
    """Mean weight of each subsequence over the lookback, the origin at the right."""
    order = _oldest_first(attention)
    spans, weights = [attention["spans"][place] for place in order], [attention["weights"][place] for place in order]
    shares = [None if (value := finite(weight)) is None else 100 * value for weight in weights]
    bars_at = _bars(spans)
    frame = Frame(-float(max(map(max, spans))), -float(min(map(min, spans))), linear_scale(shares, zero=True, count=3), 150)
    bars = [frame.bar(*edge, share, "fill") for edge, share in zip(bars_at, shares, strict=True) if share is not None]
    even = 100 / len(spans) if len(spans) > 1 and abs(sum(known(shares)) - 100) < 2 else None
    above = [] if even is None else [frame.level(even, "even")]
    words = [((start + end) / 2, _span_words(span, weight)) for (start, end), span, weight in zip(bars_at, spans, weights, strict=True)]
    caption = "Per cent, one bar at the middle of each subsequence." + (
        "" if even is None else f" The broken line is an even weight, {format_number(even, 3)} %."
    )
    drawn = chart(
        frame,
        bars,
        label="Mean attention over the lookback",
        x_ticks=_steps_before(frame),
        x_title="steps before the origin",
        above=above,
        readouts=words,
    )
    return figure("Mean over the test windows", caption, drawn)


def attention_strips(attention: Attention) -> str:
    """One row of cells for each example, darker where the weight is larger."""
    order = _oldest_first(attention)
    rows = [[row[place] for place in order] for row in attention.get("examples", ())]
    spans = [attention["spans"][place] for place in order]
    top = max([abs(value) for row in rows for value in known(row)] or [1.0]) or 1.0
    titles, pixels = attention.get("titles", ()), 22
    frame = Frame(-float(max(map(max, spans))), -float(min(map(min, spans))), Scale(0.0, 1.0, ()), pixels * len(rows))
    strip = Frame(frame.left, frame.right, frame.y, pixels - 4)
    strips, names = [], []
    for number, row in enumerate(rows):
        cells = [
            strip.bar(*edge, 1.0, "fill", abs(value) / top)
            for edge, weight in zip(_bars(spans), row, strict=True)
            if (value := finite(weight)) is not None
        ]
        track = f'<rect class="track" width="1000" height="{pixels - 4}"/>'
        strips.append(f'<g transform="translate(0 {number * pixels + 2})">{track}{"".join(cells)}</g>')
        names.append(titles[number] if number < len(titles) else f"example {number + 1}")
    listed = "".join(f'<div style="height:{pixels}px" title="{escape(name)}">{escape(name)}</div>' for name in names)
    drawn = chart(frame, strips, label="Attention in single forecasts", x_ticks=_steps_before(frame), x_title="steps before the origin")
    caption = f"The stronger the colour, the larger the weight; the strongest cell is {format_share(top)}."
    return figure("Single forecasts", caption, f'<div class="strips"><div class="names">{listed}</div>{drawn}</div>')


def tuning_chart(trials: Sequence[Trial], metric: str) -> str:
    """The value of each trial and the best so far."""
    numbers = [trial["number"] for trial in trials]
    values = [trial["value"] for trial in trials]
    complete = [value if trial["state"] == "complete" else None for trial, value in zip(trials, values, strict=True)]
    pruned = [value if trial["state"] != "complete" else None for trial, value in zip(trials, values, strict=True)]
    so_far, best = [], None
    for value in map(finite, complete):
        best = value if best is None else best if value is None else min(best, value)
        so_far.append(best)
    frame = Frame(min(numbers), max(numbers), loss_scale(known(values)), 200)
    steps_x = [place for number, after in zip(numbers, [*numbers[1:], numbers[-1]], strict=True) for place in (number, after)]
    steps_y = [value for value in so_far for _ in range(2)]
    words = [(trial["number"], _trial_words(trial, metric)) for trial in trials]
    curves = [frame.line(steps_x, steps_y, "model"), frame.dots(numbers, pruned, "pruned small"), frame.dots(numbers, complete, "seen")]
    drawn = chart(frame, curves, label="Trials", x_ticks=count_ticks(min(numbers), max(numbers), 8), x_title="trial", readouts=words)
    entries = [("dot seen", "complete"), *([("dot pruned", "stopped early")] if known(pruned) else []), ("model", "best so far")]
    return figure(
        "History",
        f"Validation {metric} of each trial; lower is better.{' The scale is logarithmic.' if frame.y.log else ''}",
        legend(entries),
        drawn,
    )


def _oldest_first(attention: Attention) -> list[int]:
    """Places of the spans from the oldest to the newest."""
    return sorted(range(len(attention["spans"])), key=lambda place: -max(attention["spans"][place]))


def _bars(spans: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
    """Left and right of each bar on an axis of negative steps: around the middle of its span, as wide as the closest two are apart."""
    centres = [-(start + end) / 2 for start, end in spans]
    apart = [abs(after - before) for before, after in pairwise(centres)]
    half = 0.46 * min([gap for gap in apart if gap] or [abs(spans[0][0] - spans[0][1])])
    return [(centre - half, centre + half) for centre in centres]


def _steps_before(frame: Frame) -> list[tuple[float, str]]:
    return [(-float(value), text) for value, text in count_ticks(round(-frame.right), round(-frame.left))]


def _span_words(span: tuple[int, int], weight: object) -> str:
    return f"{max(span)} to {min(span)} steps before:  {format_share(weight)}"


def _trial_words(trial: Trial, metric: str) -> str:
    return (
        f"trial {trial['number']}:  {metric} {format_number(trial['value'])}{'' if trial['state'] == 'complete' else ', ' + trial['state']}"
    )
