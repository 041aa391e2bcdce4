"""The sections that every report has. A section that has nothing to show is None."""

from tidegate.evaluate.report import charts, insights, tables
from tidegate.evaluate.report.data import ClassReport, ReportData
from tidegate.evaluate.report.markup import escape, figure, paragraph, titled
from tidegate.formatting import finite, format_number
from tidegate.scores import score_title


def leaderboard(report: ReportData, meaning: str, kind: str) -> str | None:
    """The model beside its rivals. meaning: what the scores mean; kind: what the rows are."""
    if not report.leaderboard:
        return None
    text = f"On the test part, which neither training nor the choice of settings saw. {meaning}"
    return paragraph(text) + tables.score_table(report.leaderboard, report.model, kind, compare=True)


def training(report: ReportData) -> str | None:
    """Loss curves."""
    if not report.history:
        return None
    best = charts.best_epoch(report.history)
    count = len(report.history)
    text = (
        f"{count} epoch{'s' if count > 1 else ''}; none was chosen by a validation loss: the last weights are kept."
        if best is None
        else (
            f"{count} epoch{'s' if count > 1 else ''}; the best validation loss is {format_number(best['validation_loss'])}, "
            f"after epoch {best['epoch']}."
        )
    )
    if isinstance(report, ClassReport) and report.members > 1:
        text += f" This is the first of {report.members} networks, whose probabilities are averaged; the others differ by their seed."
    return paragraph(text) + charts.loss_chart(report.history)


def tuning(report: ReportData) -> str | None:
    """The study's history, the importance of its settings, its best trials."""
    study = report.tuning
    if not study or not study["trials"]:
        return None
    metric = score_title(study.get("metric", "score"))
    states = [trial["state"] for trial in study["trials"]]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    scored = [value for trial in study["trials"] if trial["state"] == "complete" and (value := finite(trial["value"])) is not None]
    best = study.get("best")
    chosen = f" Best: trial {best}{', ' + format_number(min(scored)) if scored else ''}." if best is not None else ""
    judged_on = "sequences" if isinstance(report, ClassReport) else "origins"
    text = f"{len(states)} trials ({counts}), judged on validation {judged_on} only.{chosen}"
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
