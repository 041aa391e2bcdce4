"""Checks of the values of one column: text, infinities, missing and constant values, sentinels, outliers.

R steps of the regular grid; NaN is missing.
"""

import numpy as np
import polars as pl

from tidegate.config import DataSettings
from tidegate.data.check_time import Timeline
from tidegate.data.clean import SENTINEL, CleanRule, find_changes
from tidegate.data.clean_rule import is_any_of
from tidegate.data.delimited import MISSING
from tidegate.data.findings import MOST_EXAMPLES, Finding, plural
from tidegate.formatting import format_number, format_share

_DECIMAL_COMMA = r"^[-+]?\d+,\d+$"
_REPEATS = 3
"""An extreme value that repeats so often, farther from the others than these are wide, is likely a code."""


def read_numbers(column: pl.Series, is_target: bool, findings: list[Finding]) -> np.ndarray | None:
    """A column as float64 [rows], NaN where it holds no number; None for a category. Text among numbers is an error."""
    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        return column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    text = column.cast(pl.String).str.strip_chars()
    numbers = text.cast(pl.Float64, strict=False)
    wrong = np.flatnonzero((numbers.is_null() & text.is_not_null() & ~text.is_in(MISSING)).to_numpy())
    if not is_target and 2 * len(wrong) > text.len() - text.null_count():
        words = f"{text.n_unique():,} different texts: a category."
        findings.append(Finding("note", "category", words, column.name, text.n_unique(), tuple(text.drop_nulls().unique().sort().head(5))))
        return None
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


def check_values(name: str, values_R: np.ndarray, timeline: Timeline, settings: DataSettings, is_target: bool) -> list[Finding]:
    """What is odd about one column on the grid."""
    findings = _infinite(name, values_R, timeline)
    values_R = np.where(np.isfinite(values_R), values_R, np.nan)
    if np.isnan(values_R).all():
        words = "no number at all. Give another column, or fill it in."
        return [*findings, Finding("error" if is_target else "warning", "no-numbers", words, name, len(values_R))]
    findings += _missing(name, values_R, timeline)
    findings += _constant(name, values_R, timeline)
    seasons = settings.season or (timeline.frequency.seasons if timeline.frequency else ())
    rule = CleanRule.fit(
        values_R,
        window=settings.clean_window,
        threshold=settings.clean_threshold,
        seasons=seasons,
        sentinels=settings.sentinels,
    )
    findings += _sentinels(name, values_R, timeline, rule)
    return findings + _outliers(name, values_R, timeline, rule)


def without_codes(values_R: np.ndarray, settings: DataSettings) -> np.ndarray:
    """The values with infinities and sentinels as missing."""
    values_R = np.where(np.isfinite(values_R), values_R, np.nan)
    rule = CleanRule.fit(values_R, sentinels=settings.sentinels)
    return np.where(is_any_of(values_R, rule.sentinels), np.nan, values_R)


def _infinite(name: str, values_R: np.ndarray, timeline: Timeline) -> list[Finding]:
    where = np.flatnonzero(np.isinf(values_R))
    if not len(where):
        return []
    examples = tuple(timeline.place(int(i)) for i in where[:MOST_EXAMPLES])
    words = f"{plural(len(where), 'cell is', 'cells are')} infinite. Leave them empty, or mend what made them."
    return [Finding("error", "infinite", words, name, len(where), examples)]


def _missing(name: str, values_R: np.ndarray, timeline: Timeline) -> list[Finding]:
    """Cells that are empty in rows that exist (gaps are reported by themselves)."""
    where = np.flatnonzero(np.isnan(values_R) & (timeline.row >= 0))
    if not len(where):
        return []
    share = len(where) / max(1, int((timeline.row >= 0).sum()))
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


def _sentinels(name: str, values_R: np.ndarray, timeline: Timeline, rule: CleanRule) -> list[Finding]:
    findings = []
    for value in rule.sentinels:
        where = np.flatnonzero(values_R == value)
        if len(where):
            words = f"{_cells(where, value)}, likely a code for 'missing'. Cleaning replaces short runs of it; long ones become missing."
            findings.append(Finding("warning", "sentinel", words, name, len(where), _places(where, timeline)))
    rest = values_R[~is_any_of(values_R, rule.sentinels) & ~np.isnan(values_R)]
    for value in _repeated_extremes(rest):
        where = np.flatnonzero(values_R == value)
        words = f"{_cells(where, value)}, far from all others. If it stands for 'missing', say so with --set data.sentinels=[{value:g}]."
        findings.append(Finding("warning", "maybe-sentinel", words, name, len(where), _places(where, timeline)))
    return findings


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


def _outliers(name: str, values_R: np.ndarray, timeline: Timeline, rule: CleanRule) -> list[Finding]:
    """What cleaning would replace as outliers, the largest first."""
    changes = find_changes(values_R, rule, timeline.offsets)
    which = np.flatnonzero(changes.reason != SENTINEL)
    if not len(which):
        return []
    size = np.abs(changes.observed[which] - changes.replacement[which])
    largest = which[np.argsort(-size, kind="stable")[:MOST_EXAMPLES]]
    examples = tuple(
        f"{timeline.place(int(changes.index[i]))}: {format_number(changes.observed[i])}, neighbours {format_number(changes.replacement[i])}"
        for i in largest
    )
    share = format_share(len(which) / max(1, int(np.count_nonzero(~np.isnan(values_R)))))
    words = (
        f"{plural(len(which), 'outlier')} ({share}), replaced by the mean of the neighbours when cleaned; --clean off keeps what is there."
    )
    return [Finding("note", "outliers", words, name, len(which), examples)]


def _cells(where: np.ndarray, value: float) -> str:
    return f"{plural(len(where), 'cell is', 'cells are')} {format_number(value)}"


def _places(where: np.ndarray, timeline: Timeline) -> tuple[str, ...]:
    return tuple(timeline.place(int(i)) for i in where[:MOST_EXAMPLES])
