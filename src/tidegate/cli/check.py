"""`tidegate check`: a table's facts and findings, as a table for people or JSON for programs."""

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tidegate.cli.output import say_json
from tidegate.data.findings import LEVELS, CheckReport, Finding, plural

if TYPE_CHECKING:
    from tidegate.config import DataSettings

DONE, FOUND_ERRORS = 0, 1
_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_WIDE = 120
"""Columns where standard output is no terminal."""
_CLASSES = 12
"""Classes and channels that are named."""


def run(source: str, settings: "DataSettings", as_json: bool = False, quiet: bool = False) -> int:
    """Check a table and show the report; exit status 1 if there are errors. Raises TidegateError where it cannot be read at all."""
    from tidegate.data.check import check
    from tidegate.data.read import read_table

    return _answer(check(read_table(source, settings.layout), settings), as_json, quiet)


def run_labelled(source: str, *, label: str | None, id: str | None, time: str | None, as_json: bool = False, quiet: bool = False) -> int:
    """The same for labelled sequences."""
    from tidegate.data.check_labelled import check_labelled
    from tidegate.data.labelled_table import read_labelled

    return _answer(check_labelled(read_labelled(source, label=label, id=id, time=time)), as_json, quiet)


def _answer(report: CheckReport, as_json: bool, quiet: bool) -> int:
    if as_json:
        say_json({"task": "check"} | report.to_json())
    elif not quiet:
        show_report(report, Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else _WIDE))
    return DONE if report.ok else FOUND_ERRORS


def show_report(report: CheckReport, console: Console) -> None:
    """What the table is, then the findings, the worst first, then how many of each level."""
    console.print(Text(report.source, style="bold"))
    console.print(_facts(report))
    for note in report.facts.get("notes", ()):
        console.print(Text(f"· {note}", style="dim"))
    if report.findings:
        console.print()
    for finding in report.findings:
        _show_finding(finding, console)
    console.print()
    console.print(_summary(report))


def _facts(report: CheckReport) -> Table:
    facts, table = report.facts, Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    for name, text in _rows(facts):
        table.add_row(name, Text(text))
    return table


def _rows(facts: dict) -> list[tuple[str, str]]:
    if "sequences" in facts:
        return _labelled_rows(facts)
    steps = facts["steps"]
    length = f"{steps['most']:,}" if steps["least"] == steps["most"] else f"{steps['least']:,} to {steps['most']:,}"
    rows = [("rows", f"{facts['rows']:,}"), ("series", f"{facts['series']:,} of {length} steps")]
    if facts["first"]:
        rows.append(("span", f"{facts['first']} to {facts['last']}"))
    seasons = f", seasons {', '.join(map(str, facts['seasons']))}" if facts["seasons"] else ""
    rows.append(("frequency", (facts["frequency"] or "none: rows in their order") + seasons))
    roles = [(role, facts[role]) for role in ("time", "id")] + [
        (role, ", ".join(facts[role])) for role in ("targets", "past", "future", "static")
    ]
    return rows + [(role, names) for role, names in roles if names]


def _labelled_rows(facts: dict) -> list[tuple[str, str]]:
    steps, classes = facts["steps"], list(facts["classes"].items())
    length = f"{steps['most']:,}" if steps["least"] == steps["most"] else f"{steps['least']:,} to {steps['most']:,}"
    shown = ", ".join(f"{name}: {count:,}" for name, count in classes[:_CLASSES]) + (", ..." if len(classes) > _CLASSES else "")
    return [
        ("sequences", f"{facts['sequences']:,} of {length} steps"),
        ("channels", f"{len(facts['channels'])}: {', '.join(facts['channels'][:_CLASSES])}"),
        ("classes", f"{len(classes)}; {shown}" if classes else "no labels"),
    ]


def _show_finding(finding: Finding, console: Console) -> None:
    head = Text.assemble((f"{finding.level:<8}", _STYLES[finding.level]), (f"{finding.where}: " if finding.where else "", "bold"))
    console.print(Text.assemble(head, finding.message), soft_wrap=False)
    if finding.examples:
        more = " ..." if finding.count > len(finding.examples) else ""
        console.print(Padding(Text("; ".join(finding.examples) + more, style="dim"), (0, 0, 0, 8), expand=False))


def _summary(report: CheckReport) -> Text:
    counts = [plural(report.count(level), level) for level in LEVELS]
    return Text(", ".join(counts), style="bold red" if not report.ok else "bold green")
