"""Pictures as inline SVG that keep their text size at any width.

The outer drawing is as wide as the page allows and has no view box: ticks and words sit at per cents of the width. Curves live
in an inner drawing of 1000 units that is stretched, with strokes that are not. Colours come from the page's style sheet by
class, so that one drawing serves light, dark and paper.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tidegate.evaluate.report.markup import escape
from tidegate.evaluate.report.scales import Scale
from tidegate.formatting import finite

WIDTH = 1000
MOST_POINTS = 700
"""More points than this in one line are thinned to the extremes of equal stretches: a screen shows no more."""
MOST_READOUTS = 160
Point = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """A drawing area: x from `left` to `right`, y by a scale, `height` pixels high."""

    left: float
    right: float
    y: Scale
    height: int = 200

    def place_x(self, x: float) -> float:
        """0 to 1 from left to right; the middle if there is one x only."""
        return (x - self.left) / (self.right - self.left) if self.right > self.left else 0.5

    def per_cent(self, x: float) -> str:
        """The place of x as '12.34%' of the width."""
        return f"{_short(100 * self.place_x(x), 2)}%"

    def place_y(self, value: float) -> float:
        """Pixels from the top, kept within three heights so that a far value does not swell the file."""
        return min(3.0, max(-2.0, 1.0 - self.y(value))) * self.height

    def line(self, xs: Sequence[float], values: Sequence[object], style: str) -> str:
        """A line, broken where a value is missing; a value alone between gaps is a dot."""
        strokes, alone = [], []
        for run in _runs(xs, values):
            points = [(self.place_x(x) * WIDTH, self.place_y(value)) for x, value in _thinned(run)]
            if len(points) == 1:
                alone.append(points[0])
            else:
                strokes.append("M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points))
        drawn = f'<path class="line {style}" d="{"".join(strokes)}"/>' if strokes else ""
        return drawn + _dots(alone, style)

    def dots(self, xs: Sequence[float], values: Sequence[object], style: str) -> str:
        """A dot at each value."""
        return _dots([(self.place_x(x) * WIDTH, self.place_y(value)) for run in _runs(xs, values) for x, value in run], style)

    def band(self, xs: Sequence[float], lower: Sequence[object], upper: Sequence[object], style: str) -> str:
        """The area between two lines, broken where either is missing."""
        pairs = [
            None if finite(low) is None or finite(high) is None else place
            for place, (low, high) in enumerate(zip(lower, upper, strict=False))
        ]
        areas = []
        for run in _runs(xs, pairs):
            places = [int(place) for _, place in run]
            places = places[:: max(1, len(places) // MOST_POINTS)] + places[-1:]
            there = [(xs[place], finite(upper[place]) or 0.0) for place in places]
            back = [(xs[place], finite(lower[place]) or 0.0) for place in reversed(places)]
            corners = [(self.place_x(x) * WIDTH, self.place_y(value)) for x, value in there + back]
            if len(set(places)) == 1:
                corners = [
                    (x + side, y)
                    for (x, y), side in zip([*corners[:1], *corners[:1], *corners[-1:], *corners[-1:]], (-4, 4, 4, -4), strict=True)
                ]
            areas.append("M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in corners) + "Z")
        return f'<path class="area {style}" d="{"".join(areas)}"/>' if areas else ""

    def bar(self, start: float, end: float, value: float, style: str, opacity: float | None = None) -> str:
        """A bar from the bottom of the scale to the value."""
        x, top = self.place_x(start) * WIDTH, self.place_y(value)
        width = max(0.5, self.place_x(end) * WIDTH - x)
        faint = "" if opacity is None else f' fill-opacity="{_short(opacity, 3)}"'
        tall = max(0.0, self.height - top)
        return f'<rect class="{style}" x="{_short(x)}" y="{_short(top)}" width="{_short(width)}" height="{_short(tall)}"{faint}/>'

    def rule(self, x: float, style: str, label: str = "") -> str:
        """An upright line through the whole area with a word at its top; goes outside the stretched part."""
        place = self.per_cent(x)
        side = 'text-anchor="end" dx="-6"' if self.place_x(x) > 0.6 else 'dx="6"'
        word = f'<text class="{style}" x="{place}" y="11" {side}>{escape(label)}</text>' if label else ""
        return f'<line class="{style}" x1="{place}" x2="{place}" y1="0" y2="{self.height}"/>{word}'

    def level(self, value: float, style: str, label: str = "") -> str:
        """A line across at a value with a word at its right end; goes outside the stretched part."""
        y = _short(self.place_y(value))
        word = f'<text class="{style}" x="100%" y="{y}" dy="-5" text-anchor="end">{escape(label)}</text>' if label else ""
        return f'<line class="{style}" x1="0" x2="100%" y1="{y}" y2="{y}"/>{word}'


def chart(
    frame: Frame,
    stretched: Iterable[str],
    *,
    label: str,
    x_ticks: Iterable[tuple[float, str]] = (),
    x_title: str = "",
    above: Iterable[str] = (),
    readouts: Sequence[tuple[float, str]] = (),
    clip: bool = False,
    style: str = "",
    room: int = 2,
) -> str:
    """One picture: axes, the stretched curves, what lies above them, and words that appear under the pointer without a script.

    label     what the picture shows, for people who hear the page
    readouts  (x, text) pairs; at most 160 are kept, evenly spaced
    clip      cut off what leaves the drawing area
    style     a class for the whole picture, with a space before it
    room      characters that fit beside the ticks at least, so that pictures below each other are of the same width
    """
    width = max([len(text) for _, text in frame.y.ticks] + [len(frame.y.factor) - 1, room]) * 7 + 10
    overflow = "hidden" if clip else "visible"
    parts = [
        f'<div class="plot{" titled" if x_title else ""}{style}" style="padding-left:{width}px">',
        f'<svg class="chart" width="100%" height="{frame.height}" role="img" aria-label="{escape(label)}">',
        _grid(frame),
        "".join(_x_tick(frame, x, text) for x, text in x_ticks),
        f'<text class="tick" x="50%" y="{frame.height + 34}" text-anchor="middle">{escape(x_title)}</text>' if x_title else "",
        f'<svg width="100%" height="{frame.height}" viewBox="0 0 {WIDTH} {frame.height}" preserveAspectRatio="none" overflow="{overflow}">',
        *stretched,
        "</svg>",
        *above,
        _readouts(frame, readouts),
        "</svg></div>",
    ]
    return "".join(parts)


def _grid(frame: Frame) -> str:
    lines = []
    if frame.y.empty:
        middle = frame.height // 2
        lines.append(f'<text x="50%" y="{middle}" text-anchor="middle">no values</text>')
    for value, text in frame.y.ticks:
        y = _short(frame.place_y(value))
        lines.append(f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
        lines.append(f'<text class="tick" x="-8" y="{y}" dy=".32em" text-anchor="end">{escape(text)}</text>')
    if frame.y.factor:
        lines.append(f'<text class="tick" x="-8" y="-8" text-anchor="end">{escape(frame.y.factor)}</text>')
    return "".join(lines)


def _x_tick(frame: Frame, x: float, text: str) -> str:
    place, share = frame.per_cent(x), frame.place_x(x)
    anchor = "end" if share > 0.97 and len(text) > 3 else "start" if share < 0.02 and len(text) > 5 else "middle"
    y = frame.height
    mark = f'<line class="tickmark" x1="{place}" x2="{place}" y1="{y}" y2="{y + 4}"/>'
    return f'{mark}<text class="tick" x="{place}" y="{y + 17}" text-anchor="{anchor}">{escape(text)}</text>'


def _readouts(frame: Frame, readouts: Sequence[tuple[float, str]]) -> str:
    kept = readouts[:: max(1, -(-len(readouts) // MOST_READOUTS))]
    places = [100 * frame.place_x(x) for x, _ in kept]
    parts = []
    for number, (place, (_, text)) in enumerate(zip(places, kept, strict=True)):
        start = (places[number - 1] + place) / 2 if number else 0.0
        end = (places[number + 1] + place) / 2 if number + 1 < len(places) else 100.0
        parts.append(
            f'<g class="r"><rect x="{_short(start, 2)}%" y="-20" width="{_short(max(0.0, end - start), 2)}%" height="{frame.height + 20}"/>'
            f'<line x1="{_short(place, 2)}%" x2="{_short(place, 2)}%" y1="0" y2="{frame.height}"/>'
            f'<text x="100%" y="-8">{escape(text)}</text></g>'
        )
    return "".join(parts)


def _runs(xs: Sequence[float], values: Sequence[object]) -> list[list[Point]]:
    """Stretches of neighbouring values without a gap."""
    runs: list[list[Point]] = [[]]
    for x, value in zip(xs, values, strict=False):
        number = finite(value)
        if number is None:
            runs.append([])
        else:
            runs[-1].append((x, number))
    return [run for run in runs if run]


def _thinned(run: list[Point]) -> list[Point]:
    """The run, or the lowest and highest point of each of MOST_POINTS / 2 stretches of it."""
    if len(run) <= MOST_POINTS:
        return run
    width = -(-len(run) // (MOST_POINTS // 2))
    kept = [run[0]]
    for start in range(0, len(run), width):
        part = run[start : start + width]
        ends = {min(part, key=lambda point: point[1]), max(part, key=lambda point: point[1])}
        kept.extend(sorted(ends))
    return [*kept, run[-1]]


def _dots(points: Iterable[Point], style: str) -> str:
    """Strokes of almost no length with round ends: they stay round in a stretched drawing, as circles would not."""
    strokes = "".join(f"M{_short(x)} {_short(y)}h.01" for x, y in points)
    return f'<path class="dot {style}" d="{strokes}"/>' if strokes else ""


def _short(value: float, decimals: int = 1) -> str:
    """A coordinate in as few characters as it needs."""
    text = f"{value:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text
