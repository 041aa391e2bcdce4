"""The sections of the report, in the order in which they are read. A section that has nothing to show is None."""

from tidegate.evaluate.report import charts, insights, tables
from tidegate.evaluate.report.data import ReportData
from tidegate.evaluate.report.markup import escape, figure, legend, paragraph, titled
from tidegate.evaluate.report.scales import known
from tidegate.formatting import finite, format_number

MOST_ROWS_OPEN = 12
"""A longer table of replaced values is folded."""


def scores(report: ReportData) -> str | None:
    """The leaderboard, and a table per target where there are several."""
    if not report.leaderboard:
        return None
    text = (
        "On the test part, which neither training nor the choice of settings saw. "
        "Errors are in the data's own units, on the values as observed. "
        "The best of each column is bold; 'vs model' is how much larger or smaller a rival's MAE is than the model's."
    )
    shown = paragraph(text) + tables.score_table(report.leaderboard, report.model, "forecaster", compare=True)
    if len(report.targets) > 1:
        shown += titled("By target", tables.score_table(report.targets, report.model, "target"))
    return shown


def training(report: ReportData) -> str | None:
    """Loss curves."""
    if not report.history:
        return None
    best = charts.best_epoch(report.history)
    count = len(report.history)
    text = (
        f"{count} epoch{'s' if count > 1 else ''}; no validation loss was finite."
        if best is None
        else (
            f"{count} epoch{'s' if count > 1 else ''}; the best validation loss is {format_number(best['validation_loss'])}, "
            f"after epoch {best['epoch']}."
        )
    )
    return paragraph(text) + charts.loss_chart(report.history)


def forecasts(report: ReportData) -> str | None:
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


def errors(report: ReportData) -> str | None:
    """MAE by lead time."""
    present = {name: list(values) for name, values in report.lead_times.items() if known(values)}
    if not present:
        return None
    text = "Mean absolute error by lead time, over all test windows: how fast the forecast loses sight of what comes."
    return paragraph(text) + charts.lead_time_chart(present, report.model)


def cleaning(report: ReportData) -> str:
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


def attention(report: ReportData) -> str | None:
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


def tuning(report: ReportData) -> str | None:
    """The study's history, the importance of its settings, its best trials."""
    study = report.tuning
    if not study or not study["trials"]:
        return None
    metric = tables.metric_name(study.get("metric", "score"))
    states = [trial["state"] for trial in study["trials"]]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    scored = [value for trial in study["trials"] if trial["state"] == "complete" and (value := finite(trial["value"])) is not None]
    best = study.get("best")
    chosen = f" Best: trial {best}{', ' + format_number(min(scored)) if scored else ''}." if best is not None else ""
    text = f"{len(states)} trials ({counts}), judged on validation origins only.{chosen}"
    shown = paragraph(text) + (
        insights.tuning_chart(study["trials"], metric) if any(finite(trial["value"]) is not None for trial in study["trials"]) else ""
    )
    if study.get("importance"):
        caption = f"The share of the differences in {metric} that each setting explains."
        shown += figure("Importance", caption, tables.bars(study.get("importance", {})))
    if scored:
        shown += f"<details><summary>The best trials and their settings</summary>{tables.trial_table(study, metric)}</details>"
    return shown


def settings(report: ReportData) -> str | None:
    """Notes, commands and settings."""
    parts = []
    if report.notes:
        parts.append(f'<ul class="notes">{"".join(f"<li>{escape(note)}</li>" for note in report.notes)}</ul>')
    if report.commands:
        parts.append(titled("Use it again", f"<pre>{escape(chr(10).join(report.commands))}</pre>"))
    if report.config:
        parts.append(f"<details><summary>All settings</summary>{tables.settings_lists(report.config)}</details>")
    return "".join(parts) or None
