"""The pictures of a classifier's report: whether its probabilities hold, and single sequences."""

import math
from collections.abc import Sequence

from tidegate.evaluate.report.data import Bin, Calibration, Example, Numbers
from tidegate.evaluate.report.markup import escape, figure, legend
from tidegate.evaluate.report.scales import Scale, count_ticks, linear_scale, shorten
from tidegate.evaluate.report.svg import Frame, chart
from tidegate.formatting import finite, format_number, format_share

MOST_CHANNELS = 3
"""Channels of a sequence that are drawn."""
MOST_CELLS = 120
"""Stretches of a sequence that are shaded apart; of more weights the mean of neighbours counts."""
MOST_READOUTS = 60
"""Values under the pointer in one sequence."""
STRONGEST = 0.45
"""Opacity of the largest weight: the curve has to stay visible."""
PEAK = 3
"""A weight of so many times the mean has the full colour."""
_QUANTILE = 1.96
"""Of the normal distribution, for intervals of 95 %."""


def reliability_chart(calibration: Calibration) -> str:
    """How often the predictions of each bin are right, by what they say, beside the diagonal on which a calibrated model lies."""
    bins = calibration["bins"]
    frame = Frame(*_reach(bins), Scale(0.0, 100.0, tuple((float(share), str(share)) for share in range(0, 101, 25))), 220)
    said = [_per_cent(one["confidence"]) for one in bins]
    right = [_per_cent(one["accuracy"]) for one in bins]
    whiskers = [
        frame.line([x, x], list(_interval(one)), "whisker") for one, x in zip(bins, said, strict=True) if x is not None and one["count"]
    ]
    filled = [(x, y) for x, y in zip(said, right, strict=True) if x is not None and y is not None]
    dots = frame.dots([x for x, _ in filled], [y for _, y in filled], "model")
    ideal = frame.line([frame.left, frame.right], [frame.left, frame.right], "ideal")
    drawn = chart(
        frame,
        [ideal, *whiskers, dots],
        label="Share that is right by stated probability",
        x_ticks=_share_ticks(frame),
        x_title="stated probability, %",
        readouts=_bin_readouts(bins),
    )
    caption = "Per cent. A dot below the broken line is a bin where it is too sure. Whiskers are 95 % intervals: short where a bin is full."
    return figure("How often it is right", caption, legend([("dot model", "predictions of a bin"), ("ideal", "calibrated")]), drawn)


def sureness_chart(calibration: Calibration) -> str:
    """How many predictions say how much, right and wrong ones."""
    bins = calibration["bins"]
    counts = [one["count"] for one in bins]
    frame = Frame(*_reach(bins), linear_scale(counts, zero=True), 220)
    bars = []
    for number, one in enumerate(bins):
        edges = [100 * (number + side) / len(bins) for side in (0.06, 0.94)]
        if one["count"]:
            bars.append(frame.bar(edges[0], edges[1], one["count"], "fill wrong"))
            bars.append(frame.bar(edges[0], edges[1], _num_right(one), "fill"))
    drawn = chart(
        frame,
        bars,
        label="Number of predictions by stated probability",
        x_ticks=_share_ticks(frame),
        x_title="stated probability, %",
        readouts=_bin_readouts(bins),
    )
    return figure("How sure it is", "Sequences of the test part in each bin.", legend([("fill", "right"), ("fill wrong", "wrong")]), drawn)


def example_chart(example: Example) -> str:
    """A sequence, its first channels below each other, shaded by the weights; what was predicted, and whether that is right."""
    channels = list(zip(example["channels"], example["values"], strict=False))[:MOST_CHANNELS]
    weights = [max(0.0, finite(weight) or 0.0) for weight in example.get("weights") or ()]
    steps = max([len(values) for _, values in channels] or [1])
    height, count = (110, 3) if len(channels) == 1 else (58, 2)
    scales = [linear_scale(values, count=count) for _, values in channels]
    room = max([len(text) for scale in scales for _, text in scale.ticks] or [2])
    plots = []
    for number, ((channel, values), scale) in enumerate(zip(channels, scales, strict=True)):
        frame = Frame(0.5, steps + 0.5, scale, height)
        last = number == len(channels) - 1
        plots.append(
            chart(
                frame,
                [*_shading(frame, weights, steps), frame.line(range(1, steps + 1), values, "seen")],
                label=f"{example['title']}, {channel}",
                x_ticks=count_ticks(1, steps, 6) if last else (),
                above=[f'<text class="tick" x="0" y="-7">{escape(shorten(channel, 32))}</text>'],
                readouts=_step_readouts(values, MOST_READOUTS // len(channels)),
                style=" channel" if last else " channel tight",
                room=room,
            )
        )
    right = example["truth"] == example["predicted"]
    tag = '<span class="tag">✓ right</span>' if right else '<span class="tag bad">✗ wrong</span>'
    head = f"<h3>{escape(example['title'])} {tag}</h3><p>{escape(_outcome(example, right))}</p>"
    return f"<figure><figcaption>{head}</figcaption>{''.join(plots)}</figure>"


def sure_words(probability: float) -> str:
    """A probability that is not rounded up to certainty."""
    return "over 99.9 %" if probability > 0.999 else format_share(probability)


def _outcome(example: Example, right: bool) -> str:
    said = f"predicted: {example['predicted']}, with {sure_words(example['probability'])}"
    if right:
        return said
    return f"{said}; true: {'a class that training never saw' if example['truth'] is None else example['truth']}"


def _shading(frame: Frame, weights: Sequence[float], steps: int) -> list[str]:
    """A cell for each weight over its part of the sequence, the largest the strongest; even weights are pale."""
    num = min(len(weights), MOST_CELLS)
    cells = [weights[place * len(weights) // num : (place + 1) * len(weights) // num] for place in range(num)]
    means = [sum(cell) / len(cell) for cell in cells]
    top = max([PEAK * sum(means) / num, *means]) if means else 0.0
    return [
        frame.bar(0.5 + steps * place / num, 0.5 + steps * (place + 1) / num, frame.y.high, "fill", STRONGEST * mean / top)
        for place, mean in enumerate(means)
        if mean > 0.02 * top
    ]


def _reach(bins: Sequence[Bin]) -> tuple[float, float]:
    """From the lower edge of the lowest bin that holds something up to 100 %: the likeliest class is never unlikely."""
    first = next((number for number, one in enumerate(bins) if one["count"]), 0)
    return 100.0 * first / len(bins), 100.0


def _share_ticks(frame: Frame) -> list[tuple[float, str]]:
    step = 20 if frame.left < 40 else 10
    return [(float(share), str(share)) for share in range(0, 101, step) if share >= frame.left]


def _interval(one: Bin) -> tuple[float, float]:
    """Of the share that is right, in per cent, by Wilson 1927: it stays within 0 to 100 and serves few sequences too."""
    num, share = one["count"], finite(one["accuracy"]) or 0.0
    square = _QUANTILE**2
    middle = (share + square / (2 * num)) / (1 + square / num)
    half = _QUANTILE * math.sqrt(share * (1 - share) / num + square / (4 * num * num)) / (1 + square / num)
    return 100 * max(0.0, middle - half), 100 * min(1.0, middle + half)


def _num_right(one: Bin) -> int:
    return round(one["count"] * (finite(one["accuracy"]) or 0.0))


def _per_cent(value: object) -> float | None:
    return None if (number := finite(value)) is None else 100 * number


def _bin_readouts(bins: Sequence[Bin]) -> list[tuple[float, str]]:
    return [
        (
            100 * (number + 0.5) / len(bins),
            f"says {format_share(one['confidence'])}  right {format_share(one['accuracy'])}  "
            f"{format_number(_num_right(one))} of {format_number(one['count'])}",
        )
        for number, one in enumerate(bins)
        if one["count"]
    ]


def _step_readouts(values: Numbers, most: int) -> list[tuple[float, str]]:
    every = max(1, -(-len(values) // most))
    return [(step, f"step {step}  {format_number(value)}") for step, value in list(enumerate(values, start=1))[::every]]
