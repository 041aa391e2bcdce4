"""The report as one HTML file: verdict first, no scripts, nothing loaded from anywhere."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from tidegate.evaluate.report import class_sections, forecast_sections, sections, speech_sections, tables
from tidegate.evaluate.report.data import ClassReport, ForecastReport, ReportData, SpeechReport
from tidegate.evaluate.report.markup import escape, flow
from tidegate.evaluate.report.style import CLASS_STYLE, SPEECH_STYLE, STYLE

R = TypeVar("R", bound=ReportData)
Section = tuple[str, str, Callable[[R], str | None]]
"""The name of a section in links, its title, and what makes its body."""
FORECAST: tuple[Section[ForecastReport], ...] = (
    ("scores", "Scores", forecast_sections.scores),
    ("training", "Training", sections.training),
    ("forecasts", "Forecasts", forecast_sections.forecasts),
    ("lead-times", "Error by lead time", forecast_sections.errors),
    ("cleaning", "Cleaning", forecast_sections.cleaning),
    ("attention", "Attention", forecast_sections.attention),
    ("tuning", "Tuning", sections.tuning),
    ("settings", "Notes and settings", sections.settings),
)
CLASSES: tuple[Section[ClassReport], ...] = (
    ("scores", "Scores", class_sections.scores),
    ("training", "Training", sections.training),
    ("classes", "Classes", class_sections.classes),
    ("calibration", "Calibration", class_sections.calibration),
    ("evidence", "Evidence", class_sections.evidence),
    ("mistakes", "Surest mistakes", class_sections.mistakes),
    ("tuning", "Tuning", sections.tuning),
    ("settings", "Notes and settings", sections.settings),
)
SPEECH: tuple[Section[SpeechReport], ...] = (
    ("scores", "Scores", speech_sections.scores),
    ("training", "Training", speech_sections.training),
    ("speakers", "Speakers", speech_sections.speakers),
    ("tokens", "Errors by token", speech_sections.tokens),
    ("transcripts", "Said and heard", speech_sections.transcripts),
    ("hearing", "What the network hears", speech_sections.hearings),
    ("settings", "Notes and settings", sections.settings),
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[^\s\d a-z])|(?<=[。！？])\s*")


def render(report: ForecastReport | ClassReport | SpeechReport) -> str:
    """The whole document, UTF-8 text to be written as report.html. Every name in it is escaped; without a script or a link to
    anything outside it opens offline, and a content policy in its head forbids loading: pictures of a recogniser's report lie in it."""
    if isinstance(report, ClassReport):
        return _page(report, _bodies(CLASSES, report), STYLE + CLASS_STYLE)
    if isinstance(report, SpeechReport):
        return _page(report, _bodies(SPEECH, report), STYLE + SPEECH_STYLE, "img-src data:; ")
    return _page(report, _bodies(FORECAST, report), STYLE)


def _bodies(known: Iterable[Section[R]], report: R) -> list[tuple[str, str, str]]:
    """Key, title and body of the sections that have something to show."""
    return [(key, title, body) for key, title, make in known if (body := make(report))]


def _page(report: ReportData, shown: Sequence[tuple[str, str, str]], style: str, allowed: str = "") -> str:
    links = "".join(f'<a href="#{key}">{title}</a>' for key, title, _ in shown)
    facts = tables.definitions(dict(report.facts), "facts") if report.facts else ""
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; {allowed}style-src 'unsafe-inline'\">",
        f"<title>{escape(report.title)}</title><style>{style}</style></head>\n<body><main>",
        f'<header><p class="eyebrow">Tidegate report</p><h1>{escape(report.title)}</h1>{_verdict(report)}{facts}',
        f'<nav aria-label="Sections">{links}</nav></header>',
        *[f'\n<section id="{key}"><h2>{title}</h2>{body}</section>' for key, title, body in shown],
        "\n<footer>Made by Tidegate. This page loads nothing from elsewhere.</footer></main></body></html>\n",
    ]
    return "".join(parts)


def _verdict(report: ReportData) -> str:
    """The verdict, its first sentence large, its colour by what it says."""
    first, *rest = (
        _SENTENCE_END.split(report.verdict.strip(), maxsplit=1) if report.verdict.strip() else ["There is no verdict: nothing was scored."]
    )
    style = {True: " good", False: " bad", None: ""}[report.beats]
    name = f'<p class="eyebrow">{escape(report.model)}</p>' if report.model else ""
    more = f"<p>{flow(rest[0])}</p>" if rest and rest[0] else ""
    return f'<div class="verdict{style}" role="note" aria-label="Verdict">{name}<p class="first">{flow(first)}</p>{more}</div>'
