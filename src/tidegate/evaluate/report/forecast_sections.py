"""The sections that only the report of a forecaster has. A section that has nothing to show is None."""

from tidegate.evaluate.report import charts, insights, sections, tables
from tidegate.evaluate.report.data import ForecastReport
from tidegate.evaluate.report.markup import legend, paragraph, titled
from tidegate.evaluate.report.scales import known
from tidegate.formatting import format_number

MOST_ROWS_OPEN = 12
"""A longer table of replaced values is folded."""


def scores(report: ForecastReport) -> str | None:
    """The leaderboard, and a table per target where there are several."""
    meaning = (
        "Errors are in the data's own units, on the values as observed. "
        "The best of each column is bold; 'vs model' is how much larger or smaller a rival's MAE is than the model's."
    )
    shown = sections.leaderboard(report, meaning, "forecaster")
    if shown and len(report.targets) > 1:
        shown += titled("By target", tables.score_table(report.targets, report.model, "target"))
    return shown


def forecasts(report: ForecastReport) -> str | None:
    """Forecasts beside what happened: the first one large, the others in pairs."""
    if not report.forecasts:
        return None
    horizon = len(report.forecasts[0]["forecast"])
    text = f"Forecasts of {horizon} step{'s' if horizon > 1 else ''} from origins in the test part. The upright line is the origin."
    first, *others = report.forecasts
    small = "".join(charts.forecast_chart(forecast, 150) for forecast in others)
    return (
        paragraph(text)
        + charts.forecast_legend(report.forecasts)
        + charts.forecast_chart(first, 240)
        + (f'<div class="pair">{small}</div>' if others else "")
    )


def errors(report: ForecastReport) -> str | None:
    """MAE by lead time."""
    present = {name: list(values) for name, values in report.lead_times.items() if known(values)}
    if not present:
        return None
    text = "Mean absolute error by lead time, over all test windows: how fast the forecast loses sight of what comes."
    return paragraph(text) + charts.lead_time_chart(present, report.model)


def cleaning(report: ForecastReport) -> str:
    """What cleaning changed."""
    found = report.cleaning
    if found is None:
        return paragraph("Cleaning was off: the values are used as they came.")
    if not found["total"]:
        return paragraph("Cleaning found no outliers and no sentinels: no value was changed.")
    reasons = ", ".join(f"{reason} {format_number(count)}" for reason, count in found["by_reason"].items())
    count = f"{format_number(found['total'])} value{'s were' if found['total'] > 1 else ' was'} replaced for the network ({reasons})."
    text = f"{count} Outliers get the mean of their neighbours, at an origin the past one only. Scores use the values as observed."
    examples = list(found.get("examples", ()))
    shown = paragraph(text)
    if examples:
        entries = [("dot bad", "removed"), ("dot model small", "stands in"), ("seen", "after cleaning"), ("past", "before")]
        shown += legend(entries) + f'<div class="pair">{"".join(map(charts.cleaning_chart, examples))}</div>'
    rows = list(found["rows"])
    if not rows:
        return shown
    some = (
        f"The first {len(rows)} of {format_number(found['total'])} replaced values" if len(rows) < found["total"] else "All replaced values"
    )
    opened = " open" if len(rows) <= MOST_ROWS_OPEN else ""
    return shown + f"<details{opened}><summary>{some}</summary>{tables.replacement_table(rows)}</details>"


def attention(report: ForecastReport) -> str | None:
    """Attention over the lookback and what the branch is worth."""
    parts = []
    if report.attention and report.attention["spans"]:
        text = (
            "How much weight each subsequence of the lookback gets before the LSTM reads it. Weights say where the network looks, not why."
        )
        parts += [paragraph(text), insights.attention_chart(report.attention)]
        if report.attention.get("examples"):
            parts.append(insights.attention_strips(report.attention))
    if report.ablation:
        note = report.ablation.get("note", "")
        text = f"The same network trained again without its attention branch, scored on the same test windows.{' ' + note if note else ''}"
        parts += [titled("Without attention", paragraph(text), tables.ablation_table(report.ablation))]
    return "".join(parts) or None
