"""From a source to what training needs: sequences, parts, preparation, and settings with nothing open."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tidegate.config import Config, DataSettings
from tidegate.data.assemble import Assembled, assemble
from tidegate.data.preparation import Prepared, fit_preparation, laid_over
from tidegate.data.read import read_table
from tidegate.data.sequences import Channel, Sequences
from tidegate.data.split import Parts, split_parts
from tidegate.data.table import Table
from tidegate.data.windows import Origins, OriginSet, Windows, least_past, origins_between
from tidegate.errors import DataError
from tidegate.evaluate.normal_equations import MAX_RUN_WINDOWS
from tidegate.evaluate.ridge import Ridge, fit_ridge
from tidegate.nn.forecaster import Shape
from tidegate.tasks.forecasting.derive import derive
from tidegate.train.loss import trained_levels


@dataclass(frozen=True)
class Material:
    """All that training and evaluation look at."""

    config: Config
    table: Table
    sequences: Sequences
    parts: Parts
    prepared: Prepared
    windows: Windows
    notes: list[str]

    def training_origins(self) -> Origins:
        """Every origin whose horizon ends within the training part."""
        data = self.config.data
        return origins_between(self.sequences, self.sequences.offsets[:-1], self.parts.train, self.windows.lookback, data.horizon)

    def validation_set(self, most: int) -> OriginSet:
        """Origins whose horizon lies within the validation part, at most so many, evenly spread."""
        data = self.config.data
        origins = origins_between(self.sequences, self.parts.train, self.parts.validation, self.windows.lookback, data.horizon)
        return self.windows.at(*origins.locate(origins.spread(most)))

    def test_set(self, most: int, stride: int | None = None, last: int | None = None) -> OriginSet:
        """Origins one horizon apart in the test part, lined up with its end; `last`: only so many for each series."""
        data = self.config.data
        step = stride or data.horizon
        begin = self.parts.validation
        if last is not None:
            begin = np.maximum(begin, self.parts.test - data.horizon - (last - 1) * step)
        origins = origins_between(self.sequences, begin, self.parts.test, self.windows.lookback, data.horizon, step, last_first=True)
        return self.windows.at(*origins.locate(origins.spread(most)))

    @cached_property
    def shape(self) -> Shape:
        """What the network is built for."""
        return network_shape(self.config, self.sequences, self._training_misses())

    @cached_property
    def ridge(self) -> Ridge:
        """The ridge regression of the training part as cleaned, its penalty from the validation part as observed: a rival, and the
        network's linear base."""
        origins = self.training_origins().of_whole_series(MAX_RUN_WINDOWS // len(self.sequences.targets))
        _, train = origins.locate(np.arange(len(origins)))
        validation = self.validation_set(self.config.training.validation_windows).origin
        record = self.windows.record
        inside = np.isin(record.column, self.windows.target_columns)
        with laid_over(self.sequences, record):  # in place: a copy would take the memory of the data once more
            values = self.prepared.observed_targets()
            values[record.row[inside], record.column[inside] - self.windows.target_columns[0]] = record.replacement[inside]
            return fit_ridge(values, self.sequences.offsets[:-1], train, validation, self.windows.lookback, self.config.data.horizon)

    def _training_misses(self) -> bool:
        """Whether a training window holds a missing number: a gap or a run of sentinels in the training part, or a lookback that is
        not full."""
        columns = [number for number, channel in enumerate(self.sequences.channels) if channel.categories is None]
        offsets, lookback = self.sequences.offsets, self.windows.lookback
        trained = self.parts.train - offsets[:-1]
        if ((trained > 0) & (least_past(trained, lookback, self.config.data.horizon) < lookback)).any():
            return True
        if np.isnan(self.windows.record.replacement).any():
            return True
        return any(
            bool(np.isnan(self.sequences.values[begin:end, columns]).any())
            for begin, end in zip(offsets[:-1], self.parts.train, strict=True)
        )


def network_shape(config: Config, sequences: Sequences, indicator: bool) -> Shape:
    """The inputs and outputs of the network for these channels."""

    def kinds(channels: list[Channel]) -> tuple[int, ...]:
        return tuple(len(channel.categories or ()) for channel in channels)

    calendar = 2 * len(config.data.calendar) if isinstance(config.data.calendar, tuple) else 0
    past = [sequences.channels[column] for column in sequences.columns("past")]
    future = [sequences.channels[column] for column in sequences.columns("future")]
    assert config.data.lookback is not None
    return Shape(
        lookback=config.data.lookback,
        horizon=config.data.horizon,
        targets=len(sequences.targets),
        past=kinds(past),
        known=kinds(future) + (0,) * calendar,
        static=kinds(list(sequences.static_channels)),
        outputs=max(1, len(trained_levels(config.training))),
        indicator=indicator,
        seasons=config.data.season or (),
    )


def gather(source: Any, config: Config) -> Material:
    """Read, check, split, derive, prepare. Raises TidegateError for whatever is wrong with the source."""
    table = read_table(source, layout=config.data.layout)
    return gather_from(table, assemble(table, config.data), config)


def gather_from(table: Table, assembled: Assembled, config: Config) -> Material:
    """The same for a table that is read already."""
    sequences = assembled.sequences
    config = config.model_copy(update={"data": assembled.settings})
    parts = split_parts(sequences, config.data.split, config.data.horizon)
    notes = [*assembled.notes, *_short_notes(parts, config.data)]
    if config.data.short_series == "skip":
        parts = _skip_short(parts, sequences)
    config, derived = derive(config, sequences, parts)
    preparation = fit_preparation(sequences, parts, config.data)
    prepared = preparation.apply(sequences, parts.train)
    derived += _validation_notes(table, prepared, parts, config)
    return Material(config, table, sequences, parts, prepared, open_windows(prepared, config), [*notes, *derived])


def open_windows(prepared: Prepared, config: Config) -> Windows:
    """Windows of prepared sequences, as the settings (nothing open) say."""
    data = config.data
    assert data.lookback is not None and isinstance(data.calendar, tuple)
    return Windows(prepared, data.lookback, data.horizon, data.calendar)


def _validation_notes(table: Table, prepared: Prepared, parts: Parts, config: Config) -> list[str]:
    """A line for targets without any value in the validation part. Raises DataError if that is so for all: training could not tell
    which weights are best."""
    targets, values = prepared.sequences.targets, prepared.observed_targets()
    seen = np.zeros(len(targets), bool)
    for begin, end in zip(parts.train, parts.validation, strict=True):
        seen |= ~np.isnan(values[begin:end]).all(axis=0)
        if seen.all():
            return []
    absent = ", ".join(f"'{name}'" for name in np.array(targets)[~seen])
    split = f"the validation part (split {config.data.split})"
    if not seen.any():
        raise DataError(
            f"{table.source}: {split} holds no value of {absent}; expected some, since they tell when to stop training. "
            "Move that part to where there are values with --split, such as --split 60/20/20 or two dates."
        )
    quantiles = "quantiles are as the network gives them, not calibrated" if config.training.loss == "quantile" else "quantiles stay empty"
    return [f"{split} holds no value of {absent}: {quantiles}; move that part with --split"]


def _skip_short(parts: Parts, sequences: Sequences) -> Parts:
    """The short series out of training too."""
    short = (parts.train == parts.test) & (parts.train > sequences.offsets[:-1])
    ends = [np.where(short, sequences.offsets[:-1], end) for end in (parts.train, parts.validation, parts.test)]
    return Parts(*ends, short=(), unusable=(*parts.unusable, *parts.short))


def _short_notes(parts: Parts, data: DataSettings) -> list[str]:
    notes = []
    if parts.short and data.short_series == "pad":
        notes.append(
            f"{_names(parts.short)}: too short to be tested on a horizon of {data.horizon}; trained on only, left-padded as missing"
        )
    elif parts.short:
        notes.append(f"{_names(parts.short)}: too short to be tested on a horizon of {data.horizon}; skipped")
    if parts.unusable:
        notes.append(f"{_names(parts.unusable)}: {data.horizon} steps or fewer; skipped")
    return notes


def _names(ids: tuple[str, ...]) -> str:
    shown = ", ".join(f"'{name}'" for name in ids[:5]) + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")
    return f"series {shown}"


def known_future(sequences: Sequences, horizon: int) -> None:
    """Raise DataError where a series lacks known-future covariates for a step of the horizon after its end, or one of them for all."""
    columns = sequences.columns("future")
    if not columns:
        return
    for number, name in enumerate(sequences.ids):
        end, last = int(sequences.ends[number]), int(sequences.offsets[number + 1])
        given = sequences.values[end : min(end + horizon, last), columns]
        absent = np.ones((horizon, len(columns)), bool)
        absent[: len(given)] = np.isnan(given)
        steps, empty = np.flatnonzero(absent.all(1)), np.flatnonzero(absent.all(0))
        if len(steps) or len(empty):
            names = [sequences.channels[column].name for column in columns]
            period = int(sequences.starts[number]) + end - int(sequences.offsets[number])
            times = [str(time) for time in sequences.frequency.times(np.arange(period, period + horizon))]
            shown = ", ".join(times[step] for step in steps[:5]) + (f" and {len(steps) - 5} more" if len(steps) > 5 else "")
            lacks = shown or f"all values of {', '.join(names[column] for column in empty)}"
            raise DataError(
                f"Known-future covariates ({', '.join(names)}) are needed for the {horizon} steps after the last target"
                f"{f' of series {name!r}' if name else ''}; the data gives {horizon - len(steps)}. "
                f"Needed from {times[0]} to {times[-1]}; missing: {lacks}. "
                "Add rows with these columns filled and the target empty, or give them with --future FILE."
            )
