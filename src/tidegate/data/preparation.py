"""The ordered steps between a table and a network: clean, then scale. Fitted on the training part only, kept with the model.

`Sequences.values` always holds what was observed. Cleaning is a record of replacements that is laid over a window when it is read, so
that scores see the observed values, a forecast origin sees the past alone, and no second copy of the data exists.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tidegate.config import DataSettings
from tidegate.data.clean import Changes, clean_tails, find_changes
from tidegate.data.clean_rule import CleanRule
from tidegate.data.hampel import SENTINEL
from tidegate.data.scale import Scaler, fit_scaler, fit_static_scaler
from tidegate.data.sequences import Sequences
from tidegate.data.split import Parts


@dataclass(frozen=True)
class Record:
    """Replacements in all channels, by ascending row. row, column int64; observed, replacement float32; reason uint8 (clean.REASONS)."""

    row: np.ndarray
    column: np.ndarray
    observed: np.ndarray
    replacement: np.ndarray
    reason: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    def within(self, begin_B: np.ndarray, end_B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For ranges of rows: pairs (number of the range, number of the replacement in it), by range."""
        low, high = np.searchsorted(self.row, begin_B), np.searchsorted(self.row, end_B)
        counts = np.maximum(high - low, 0)
        ranges = np.repeat(np.arange(len(counts)), counts)
        return ranges, np.arange(len(ranges)) + np.repeat(low - (np.cumsum(counts) - counts), counts)


@dataclass(frozen=True)
class Preparation:
    """The fitted steps. rules: column -> rule of the channels that are cleaned; ids: the series that were trained on, each with its row
    of the scaler (one row for all if global)."""

    rules: dict[int, CleanRule]
    scaler: Scaler
    static_scaler: Scaler
    ids: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The ordered list of steps, as in preparation.json."""
        clean = {"step": "clean", "rules": {str(column): rule.to_json() for column, rule in self.rules.items()}}
        scale = {"step": "scale", "ids": list(self.ids), **self.scaler.to_json()}
        return {"steps": [clean, scale, {"step": "scale static", **self.static_scaler.to_json()}]}

    @staticmethod
    def from_json(tree: dict[str, Any]) -> "Preparation":
        """The inverse of to_json."""
        clean, scale, static = tree["steps"]
        rules = {int(column): CleanRule.from_json(rule) for column, rule in clean["rules"].items()}
        return Preparation(rules, Scaler.from_json(scale), Scaler.from_json(static), tuple(scale["ids"]))

    def apply(self, sequences: Sequences, train_ends: np.ndarray) -> "Prepared":
        """The steps on training data or new data. A series that no training row is of is scaled by its own rows up to train_ends[i].

        The record holds what cleaning each whole series replaces; what a training window or a forecast origin may know of it is worked
        out from there.
        """
        record = clean_record(sequences, self.rules, sequences.offsets, train_ends)
        scaler = self.scaler
        if scaler.scope == "series":
            scaler = self._scaler_of(sequences, train_ends)
        static = self.static_scaler.apply(
            sequences.static[:, None], np.zeros(len(sequences), np.int64), list(range(sequences.static.shape[1]))
        )
        return Prepared(sequences, self, record, scaler, static[:, 0].astype(np.float32), train_ends)

    def _scaler_of(self, sequences: Sequences, train_ends: np.ndarray) -> Scaler:
        """The rows of the scaler for these series, in their order."""
        places = {name: place for place, name in enumerate(self.ids)}
        known = np.array([places.get(name, -1) for name in sequences.ids], dtype=np.int64)
        new = known < 0
        shift, scale = self.scaler.shift[known], self.scaler.scale[known]
        if new.any():
            with laid_over(sequences, record_before(sequences, self.rules, train_ends)):
                ends = np.where(new, train_ends, sequences.offsets[:-1])
                own = fit_scaler(sequences, ends, self.scaler.kind, "series", self.scaler.reach)
            shift[new], scale[new] = own.shift[new], own.scale[new]
        return replace(self.scaler, shift=shift, scale=scale)


@dataclass(frozen=True)
class Prepared:
    """Sequences with their preparation worked out. scaler has a row a series (or one); static is float32 [n, K], scaled."""

    sequences: Sequences
    preparation: Preparation
    record: Record
    scaler: Scaler
    static: np.ndarray
    train_ends: np.ndarray

    def training_record(self) -> Record:
        """What cleaning the training parts alone replaces: nothing after them is looked at."""
        return record_before(self.sequences, self.preparation.rules, self.train_ends)

    def observed_targets(self) -> np.ndarray:
        """What was observed of the targets, float32 [R, C]: sentinels are missing values, outliers are themselves."""
        columns = self.sequences.columns("target")
        values = self.sequences.values[:, columns[0] : columns[-1] + 1]
        found = (self.record.reason == SENTINEL) & np.isin(self.record.column, columns)
        if found.any():
            values = values.copy()
            values[self.record.row[found], self.record.column[found] - columns[0]] = np.nan
        return values


def fit_preparation(sequences: Sequences, parts: Parts, settings: DataSettings) -> Preparation:
    """The steps that the settings ask for, with statistics of the training part."""
    rules: dict[int, CleanRule] = {}
    if settings.clean:
        for column, channel in enumerate(sequences.channels):
            if channel.categories is not None:
                continue
            rule = CleanRule.fit(
                sequences.values[:, column],
                sequences.offsets,
                parts.train,
                window=settings.clean_window,
                threshold=settings.clean_threshold,
                seasons=settings.season or (),
                sentinels=settings.sentinels,
            )
            if channel.role != "future":
                rules[column] = rule
            elif rule.sentinels:
                rules[column] = replace(rule, tested=False)  # an outlier that is known ahead, a promotion say, is what it is for
    with laid_over(sequences, record_before(sequences, rules, parts.train)):
        scaler = fit_scaler(sequences, parts.train, settings.scaling or "standard", settings.scaling_scope, settings.horizon)
    trained = np.flatnonzero(parts.train > sequences.offsets[:-1])
    if scaler.scope == "series":
        scaler = replace(scaler, shift=scaler.shift[trained], scale=scaler.scale[trained])
    return Preparation(rules, scaler, fit_static_scaler(sequences), tuple(sequences.ids[number] for number in trained))


def clean_record(sequences: Sequences, rules: dict[int, CleanRule], edges: np.ndarray, train_ends: np.ndarray | None) -> Record:
    """Replacements in the stretches of rows between `edges`, each stretch cleaned by itself. Sentinels among what is known ahead become
    missing, in the lookback as in the horizon."""
    ends = edges[1:] if train_ends is None else train_ends
    known = set(sequences.columns("future"))
    found = [(column, find_changes(sequences.values[:, column], rule, edges, ends)) for column, rule in rules.items()]
    found = [(column, _missing(changes) if column in known else changes) for column, changes in found if len(changes)]
    if not found:
        return _EMPTY
    row = np.concatenate([changes.index for _, changes in found])
    order = np.argsort(row, kind="stable")
    column = np.concatenate([np.full(len(changes), column) for column, changes in found])
    parts = [np.concatenate([getattr(changes, name) for _, changes in found]) for name in ("observed", "replacement", "reason")]
    return Record(row[order], column[order], *(part[order] for part in parts))


def _missing(changes: Changes) -> Changes:
    return replace(changes, replacement=np.full_like(changes.replacement, np.nan))


def record_before(sequences: Sequences, rules: dict[int, CleanRule], ends: np.ndarray) -> Record:
    """Replacements in the rows of each series before ends[i], found without a look at what comes after."""
    edges = np.append(np.stack([sequences.offsets[:-1], ends], 1).ravel(), sequences.offsets[-1:])
    record = clean_record(sequences, rules, edges, None)
    series = np.searchsorted(sequences.offsets, record.row, side="right") - 1
    keep = record.row < ends[series]
    return Record(record.row[keep], record.column[keep], record.observed[keep], record.replacement[keep], record.reason[keep])


@contextmanager
def laid_over(sequences: Sequences, record: Record) -> Iterator[None]:
    """Inside the block `sequences.values` holds the replacements; after it what was observed."""
    sequences.values[record.row, record.column] = record.replacement
    try:
        yield
    finally:
        sequences.values[record.row, record.column] = record.observed


def overlay(prepared: Prepared, series_M: np.ndarray, origin_M: np.ndarray, lookback: int, horizon: int) -> tuple[np.ndarray, ...]:
    """What windows (series, origin row) show instead of the observed values: window, step in L + N, column, value, by window.

    The lookback is cleaned as its past looked at the origin; a sentinel in the horizon is a missing truth, an outlier stays one.
    """
    record, offsets = prepared.record, prepared.sequences.offsets
    begin = np.maximum(origin_M - lookback, offsets[series_M])
    window, number = record.within(begin, origin_M)
    after, sentinel = record.within(origin_M, np.minimum(origin_M + horizon, offsets[series_M + 1]))
    after, sentinel = after[record.reason[sentinel] == SENTINEL], sentinel[record.reason[sentinel] == SENTINEL]
    rows = [record.row[number], record.row[sentinel]]
    windows = [window, after]
    columns = [record.column[number], record.column[sentinel]]
    values = [record.replacement[number], np.full(len(sentinel), np.nan, np.float32)]
    for column, rule in prepared.preparation.rules.items():
        if prepared.sequences.channels[column].role == "future":
            continue  # a sentinel is missing there, whatever is known of its neighbours
        tails = clean_tails(prepared.sequences.values[:, column], origin_M, rule, offsets, prepared.train_ends)
        inside = tails.position >= begin[tails.origin]
        rows.append(tails.position[inside])
        windows.append(tails.origin[inside])
        columns.append(np.full(int(inside.sum()), column))
        values.append(tails.replacement[inside])
    window = np.concatenate(windows)
    order = np.argsort(window, kind="stable")
    step = np.concatenate(rows) - origin_M[window] + lookback
    return window[order], step[order], np.concatenate(columns)[order], np.concatenate(values)[order]


_EMPTY = Record(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.float32), np.zeros(0, np.uint8))
