"""What a check of a table finds, and the report that it makes."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
MOST_EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong (error: it stops training), doubtful (warning) or worth knowing (note).

    code      a word for programs, such as "duplicates"
    message   what was found, and the cure
    where     the column, or "" for the whole table
    count     how often: rows, cells or series, as the message says
    examples  at most five places, with row, series, time and value as far as there are any
    """

    level: Level
    code: str
    message: str
    where: str = ""
    count: int = 1
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckReport:
    """The facts of a table (rows, series, span, frequency, ...) and the findings, the worst first."""

    source: str
    facts: dict[str, Any]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.count("error")

    def count(self, level: Level) -> int:
        """How many findings of a level there are."""
        return sum(finding.level == level for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """A tree of plain values."""
        counts = {f"{level}s": self.count(level) for level in LEVELS}
        findings = [asdict(finding) | {"examples": list(finding.examples)} for finding in self.findings]
        return {"source": self.source, "ok": self.ok, **counts, "facts": self.facts, "findings": findings}


def make_report(source: str, facts: dict[str, Any], findings: list[Finding]) -> CheckReport:
    """A report with the findings in order of their level."""
    return CheckReport(source, facts, tuple(sorted(findings, key=lambda finding: LEVELS.index(finding.level))))


def plural(count: int, one: str, many: str = "") -> str:
    """'1 row', '2,000 rows'."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
