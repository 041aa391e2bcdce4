"""Checks of the values of one column: text, infinities, missing and constant values, sentinels, outliers.

R steps of the regular grid; NaN is missing.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from tidegate.config import DataSettings
from tidegate.data.check_time import Timeline
from tidegate.data.clean import SENTINEL, CleanRule, find_changes
from tidegate.data.clean_rule import is_any_of
from tidegate.data.delimited import not_numbers, text_kind
from tidegate.data.findings import MOST_EXAMPLES, Finding, plural
from tidegate.data.sequences import Role
from tidegate.formatting import format_number, format_share

_DECIMAL_COMMA = r"^[-+]?\d+,\d+$"
_REPEATS = 3
"""An extreme value that repeats so often, farther from the others than these are wide, is likely a code."""
_MOST_OUTLIERS = 0.01
"""Share of the cells up to which outliers are what they are called."""


def read_numbers(column: pl.Series, is_target: bool, findings: list[Finding]) -> np.ndarray | None:
    """A column as float64 [rows], NaN where it holds no number; None for a category. Text among numbers is an error."""
    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        return column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    text = column.cast(pl.String).str.strip_chars()
    if not is_target and (column.dtype != pl.String or text_kind(text) == "category"):
        words = f"{text.n_unique():,} different texts: a category."
        findings.append(Finding("note", "category", words, column.name, text.n_unique(), tuple(text.drop_nulls().unique().sort().head(5))))
        return None
    numbers = text.cast(pl.Float64, strict=False)
    wrong = np.flatnonzero(not_numbers(text).to_numpy())
    if not len(wrong):
        return numbers.fill_null(np.nan).to_numpy()
    examples = tuple(f"row {row + 1}: '{text[int(row)]}'" for row in wrong[:MOST_EXAMPLES])
    comma = bool(text[wrong].str.contains(_DECIMAL_COMMA).any())
    cure = "It looks like a decimal comma: write 1.5 for 1,5." if comma else "Write numbers, and leave missing ones empty."
    findings.append(
        Finding(
            "error",
            "text",
            f"{plural(len(wrong), 'cell is', 'cells are')} text in a column of numbers. {cure}",
            column.name,
            len(wrong),
            examples,
        )
    )
    return numbers.fill_null(np.nan).to_numpy()


@dataclass(frozen=True)
class Context:
    """What columns are judged by.

    ends        where each series ends, int64 [n]: later steps are of known-future covariates only
    train_ends  where its training part ends, int64 [n]
    codes       the codes for 'missing' in any column
    """

    timeline: Timeline
    settings: DataSettings
    ends: np.ndarray
    train_ends: np.ndarray
    codes: tuple[float, ...]


def check_values(name: str, values_R: np.ndarray, role: Role, context: Context) -> list[Finding]:
    """What is odd about one column on the grid."""
    timeline, settings = context.timeline, context.settings
    findings = _infinite(name, values_R, timeline)
    values_R = np.where(np.isfinite(values_R), values_R, np.nan)
    if np.isnan(values_R).all():
        words = "no number at all. Give another column, or fill it in."
        return [*findings, Finding("error" if role == "target" else "warning", "no-numbers", words, name, len(values_R))]
    findings += _missing(name, values_R, timeline, timeline.offsets[1:] if role == "future" else context.ends)
    findings += _constant(name, values_R, timeline)
    seasons = settings.season or (timeline.frequency.seasons if timeline.frequency else ())
    rule = CleanRule.fit(
        values_R,
        timeline.offsets,
        context.train_ends,
        window=settings.clean_window,
        threshold=settings.clean_threshold,
        seasons=seasons,
        sentinels=settings.sentinels,
    )
    if role == "future":
        rule = replace(rule, tested=False)
    findings += _sentinels(name, values_R, rule, role, context)
    return findings + _outliers(name, values_R, rule, context)


def find_codes(values_R: np.ndarray, settings: DataSettings) -> tuple[float, ...]:
    """The codes for 'missing' in all of a column; those of the settings, if any."""
    values_R = np.where(np.isfinite(values_R), values_R, np.nan)
    return CleanRule.fit(values_R, sentinels=settings.sentinels).sentinels


def without_codes(values_R: np.ndarray, settings: DataSettings) -> np.ndarray:
    """The values with infinities and sentinels as missing."""
    values_R = np.where(np.isfinite(values_R), values_R, np.nan)
    return np.where(is_any_of(values_R, find_codes(values_R, settings)), np.nan, values_R)


def _infinite(name: str, values_R: np.ndarray, timeline: Timeline) -> list[Finding]:
    where = np.flatnonzero(np.isinf(values_R))
    if not len(where):
        return []
    examples = tuple(timeline.place(int(i)) for i in where[:MOST_EXAMPLES])
    words = f"{plural(len(where), 'cell is', 'cells are')} infinite. Leave them empty, or mend what made them."
    return [Finding("error", "infinite", words, name, len(where), examples)]


def _missing(name: str, values_R: np.ndarray, timeline: Timeline, ends: np.ndarray) -> list[Finding]:
    """Cells that are empty in rows that exist (gaps are reported by themselves) before the series' ends."""
    rows = (timeline.row >= 0) & (np.arange(len(values_R)) < np.repeat(ends, np.diff(timeline.offsets)))
    where = np.flatnonzero(np.isnan(values_R) & rows)
    if not len(where):
        return []
    share = len(where) / max(1, int(rows.sum()))
    words = f"{plural(len(where), 'value is', 'values are')} missing ({format_share(share)} of the rows): masked, never filled silently."
    examples = tuple(timeline.place(int(i)) for i in where[:MOST_EXAMPLES])
    return [Finding("warning" if share > 0.5 else "note", "missing", words, name, len(where), examples)]


def _constant(name: str, values_R: np.ndarray, timeline: Timeline) -> list[Finding]:
    """Series with one distinct value, or none."""
    full = np.flatnonzero(np.diff(timeline.offsets) > 0)
    starts = timeline.offsets[:-1][full]
    low, high = np.fmin.reduceat(values_R, starts), np.fmax.reduceat(values_R, starts)
    findings = []
    for code, which, words in (
        ("constant", np.flatnonzero(low == high), "never change"),
        ("empty-series", np.flatnonzero(np.isnan(low)), "have no number at all"),
    ):
        if not len(which):
            continue
        many = len(full) > 1
        subject = f"{len(which):,} of {len(full):,} series {words}." if many else "The column never changes."
        examples = tuple(f"series '{timeline.ids[full[i]]}'" for i in which[:MOST_EXAMPLES]) if many else ()
        findings.append(Finding("warning", code, f"{subject} There is nothing to learn from.", name, len(which), examples))
    return findings


def _sentinels(name: str, values_R: np.ndarray, rule: CleanRule, role: Role, context: Context) -> list[Finding]:
    findings = []

    def add(code: str, value: float, words: str) -> None:
        where = np.flatnonzero(values_R == value)
        if len(where):
            places = tuple(context.timeline.place(int(i)) for i in where[:MOST_EXAMPLES])
            cells = f"{plural(len(where), 'cell is', 'cells are')} {format_number(value)}"
            findings.append(Finding("warning", code, f"{cells}, {words}", name, len(where), places))

    does = "takes it as missing." if role == "future" else "replaces short runs of it; long ones become missing."
    for value in rule.sentinels:
        add("sentinel", value, f"likely a code for 'missing'. Cleaning {does}")
    found = rule.sentinels
    for value in find_codes(values_R, context.settings):
        if value not in found:
            late = "likely a code for 'missing', but the training part, by which cleaning goes, does not show it"
            add("late-sentinel", value, f"{late}: it stays a number, in scores too. Say so with {_naming(value, context)}.")
            found = (*found, value)
    rest = values_R[~is_any_of(values_R, found) & ~np.isnan(values_R)]
    for value in _repeated_extremes(rest):
        add("maybe-sentinel", value, f"far from all others. If it stands for 'missing', say so with {_naming(value, context)}.")
    return findings


def _naming(value: float, context: Context) -> str:
    """The setting with this code and all others, as it takes the place of what cleaning finds."""
    return f"--set data.sentinels=[{','.join(f'{code:.10g}' for code in sorted({value, *context.codes}))}]"


def _repeated_extremes(values: np.ndarray) -> list[float]:
    """The least and the largest value, if they repeat and stand farther apart from the others than these are wide."""
    found = []
    for extreme, others in ((values.min(), values[values > values.min()]), (values.max(), values[values < values.max()])):
        count = len(values) - len(others)
        if len(others) < 2 * count or count < _REPEATS:
            continue
        low, high = others.min(), others.max()
        if low < high and max(low - extreme, extreme - high) > high - low:
            found.append(float(extreme))
    return found


def _outliers(name: str, values_R: np.ndarray, rule: CleanRule, context: Context) -> list[Finding]:
    """What cleaning would replace as outliers, the largest first."""
    timeline = context.timeline
    changes = find_changes(values_R, rule, timeline.offsets, context.train_ends)
    which = np.flatnonzero(changes.reason != SENTINEL)
    if not len(which):
        return []
    size = np.abs(changes.observed[which] - changes.replacement[which])
    largest = which[np.argsort(-size, kind="stable")[:MOST_EXAMPLES]]
    examples = tuple(
        f"{timeline.place(int(changes.index[i]))}: {format_number(changes.observed[i])}, neighbours {format_number(changes.replacement[i])}"
        for i in largest
    )
    share = len(which) / max(1, int(np.count_nonzero(~np.isnan(values_R))))
    cleaned = f"{plural(len(which), 'outlier')} ({format_share(share)}), replaced by the mean of the neighbours when cleaned"
    if share <= _MOST_OUTLIERS:
        return [Finding("note", "outliers", f"{cleaned}; --clean off keeps what is there.", name, len(which), examples)]
    cure = "So many are likely true, such as peaks at month ends: keep them with --clean off, or name their season with --season."
    return [Finding("warning", "outliers", f"{cleaned}. {cure}", name, len(which), examples)]
