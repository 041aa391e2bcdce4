"""Which column plays which role: from the settings, or by the usual names."""

from collections.abc import Mapping
from collections.abc import Sequence as Listed
from dataclasses import dataclass

import polars as pl

from tidegate.config import DataSettings
from tidegate.data.sequences import Sequences
from tidegate.data.table import Table
from tidegate.errors import DataError, SettingsError

ID_NAMES = ("unique_id", "item_id")
TIME_NAMES = ("ds", "timestamp")
_LIKELY_TIMES = ("date", "time", "datetime", "日期", "时间")
TARGET_NAMES = ("y", "target")


@dataclass(frozen=True)
class Columns:
    """The columns of a table by role; None where there is none."""

    id: str | None
    time: str | None
    targets: tuple[str, ...]
    past: tuple[str, ...]
    future: tuple[str, ...]
    static: tuple[str, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """The columns that become channels, targets first."""
        return self.targets + self.past + self.future

    @property
    def all(self) -> tuple[str, ...]:
        """Every column that is used."""
        return tuple(name for name in (self.id, self.time) if name) + self.values + self.static


def find_columns(table: Table, settings: DataSettings, like: Sequences | None = None) -> tuple[Columns, list[str]]:
    """The roles of the columns, and notes on what was chosen or left out.

    Raises DataError for a missing column (with the nearest name), SettingsError for a column with two roles.
    """
    notes: list[str] = []
    wide = settings.layout == "wide"
    declared = [*(settings.target or ()), *settings.past, *settings.future, *settings.static]
    time = usual_column(table, settings.time, TIME_NAMES, declared)
    series_id = None if wide else usual_column(table, settings.id, ID_NAMES, [*declared, time or ""])
    targets = settings.target or (() if wide else _default_target(table, like))
    if wide and not targets:
        used = {time, *settings.past, *settings.future}
        targets = tuple(name for name, dtype in table.schema.items() if dtype.is_numeric() and name not in used)
    columns = Columns(series_id, time, targets, settings.past, settings.future, settings.static)
    _check(table, columns, settings)
    if time is None:
        likely = [name for name, dtype in table.schema.items() if dtype.is_temporal() or name.casefold() in _LIKELY_TIMES]
        hint = f" ('{likely[0]}' may be one: --time {likely[0]})" if likely else ""
        notes.append(f"no time column: rows are numbered steps in their order{hint}")
    used_names = set(columns.all)
    ignored = [name for name in table.columns if name not in used_names]
    if ignored:
        notes.append(f"undeclared columns are ignored: {some_names(ignored)}")
    return columns, notes


def usual_column(table: Table, given: str | None, names: tuple[str, ...], taken: Listed[str]) -> str | None:
    """The column that was given; else the first of the usual names that the table has and that plays no other role."""
    return given or next((name for name in names if name in table.schema and name not in taken), None)


def _default_target(table: Table, like: Sequences | None) -> tuple[str, ...]:
    if like is not None:
        return like.targets
    name = usual_column(table, None, TARGET_NAMES, [])
    if name is None:
        numbers = [name for name, dtype in table.schema.items() if dtype.is_numeric()]
        shown = ", ".join(numbers[:12]) or "none"
        raise DataError(f"{table.source} has no column 'y' or 'target'. Say what to forecast with --target; columns of numbers: {shown}.")
    return (name,)


def _check(table: Table, columns: Columns, settings: DataSettings) -> None:
    if settings.layout == "wide" and (columns.static or settings.id):
        raise SettingsError("Layout wide has a column per series, so neither --id nor --static; use the long layout for those.")
    roles = {"--id": [columns.id], "--time": [columns.time], "--target": columns.targets}
    roles |= {"--past": columns.past, "--future": columns.future, "--static": columns.static}
    check_roles(table, roles)
    if not columns.targets:
        raise DataError(f"{table.source} has no column of numbers beside the time; expected a column per series.")
    for name in columns.targets:
        _check_type(table, name, "numbers")
    for name in columns.past + columns.future + columns.static:
        _check_type(table, name, "numbers, text or truth values")


def some_names(names: Listed[str]) -> str:
    """A dozen of them, and how many there are beside those."""
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def check_roles(table: Table, roles: Mapping[str, Listed[str | None]]) -> None:
    """Raise DataError for a column that is not there, SettingsError for one with two roles; roles by their option, None: not given."""
    seen: dict[str, str] = {}
    for role, names in roles.items():
        for name in names:
            if name is None:
                continue
            table.require(name, role)
            if seen.get(name) == role:
                raise SettingsError(f"Column '{name}' is given twice in {role}; expected it once.")
            if name in seen:
                raise SettingsError(f"Column '{name}' is given as {seen[name]} and as {role}; expected one role.")
            seen[name] = role


def _check_type(table: Table, name: str, expected: str) -> None:
    dtype = table.schema[name]
    if dtype.is_numeric() or dtype in (pl.Boolean, pl.String, pl.Null) or isinstance(dtype, pl.Categorical | pl.Enum):
        return
    raise DataError(f"{table.source}, column '{name}' holds {dtype}; expected {expected}.")
