"""A model that exists on data that is read again, or on new data."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tidegate.config import Config
from tidegate.data.assemble import assemble
from tidegate.data.read import read_table
from tidegate.data.sequences import Sequences
from tidegate.data.split import Parts, split_parts
from tidegate.data.table import Table, frame_table
from tidegate.data.windows import OriginSet
from tidegate.errors import DataError, RunError
from tidegate.runs.folder import RunFolder
from tidegate.tasks.fitting import fit_model
from tidegate.tasks.material import Material, known_future, open_windows
from tidegate.tasks.model import ForecastModel
from tidegate.tasks.output import forecast_frame
from tidegate.train.events import Event, Said


def training_data(folder: RunFolder) -> tuple[Path, bool]:
    """Where a run's training data lies, and whether it is what the run was trained on. Raises RunError if it is not there."""
    place = folder.data.get("path")
    if place is None:
        raise RunError(f"{folder.path} was trained on a data frame, which is not kept. Give the data: a file, or a frame in Python.")
    path = Path(place)
    if not path.exists():
        raise RunError(f"The training data of {folder.path} lay at {path} and is not there. Give the data that is to be used.")
    return path, read_table(path, layout=_layout(folder)).checksum() == folder.data["sha256"]


def _layout(folder: RunFolder) -> str:
    return json.loads(folder.read_text("config.json"))["data"]["layout"]


def reopen(folder: RunFolder, model: ForecastModel) -> Material:
    """The material that the run was trained and tested on. Raises RunError if the data is gone or has changed."""
    path, same = training_data(folder)
    if not same:
        raise RunError(
            f"{path} has changed since {folder.path} was trained, so its test part is not what it was. "
            f"Give the data that is to be evaluated on: tidegate evaluate {folder.path} {path}"
        )
    table, sequences, notes, config = _read(path, model)
    parts = split_parts(sequences, config.data.split, config.data.horizon)
    return _material(table, sequences, parts, model, config, notes)


def open_new(source: Any, model: ForecastModel) -> Material:
    """New data, all of it to be evaluated on: origins from where half a series (at most a lookback) lies behind them."""
    table, sequences, notes, config = _read(source, model)
    begin = sequences.offsets[:-1] + np.minimum(model.shape.lookback, np.maximum(sequences.lengths // 2, 1))
    parts = Parts(np.minimum(begin, sequences.ends), np.minimum(begin, sequences.ends), sequences.ends, (), ())
    unseen = [name for name in sequences.ids if name not in set(model.preparation.ids)]
    if unseen and config.data.scaling_scope == "series" and config.data.scaling != "none":
        notes.append(f"{len(unseen)} series that training never saw: scaled by what lies before their first origin")
    return _material(table, sequences, parts, model, config, notes)


def _read(source: Any, model: ForecastModel) -> tuple[Table, Sequences, list[str], Config]:
    table = open_table(source, model)
    assembled = assemble(table, model.config.data, like=model.schema)
    config = model.config.model_copy(update={"data": assembled.settings})
    return table, assembled.sequences, list(assembled.notes), config


def _material(table: Table, sequences: Sequences, parts: Parts, model: ForecastModel, config: Config, notes: list[str]) -> Material:
    prepared = model.preparation.apply(sequences, parts.train)
    return Material(config, table, sequences, parts, prepared, open_windows(prepared, config), notes)


def open_table(source: Any, model: ForecastModel) -> Table:
    """A table laid out as the training data was."""
    return source if isinstance(source, Table) else read_table(source, layout=model.config.data.layout)


def end_origins(model: ForecastModel, table: Table) -> tuple[OriginSet, Material]:
    """The origins after the last row of each series. Raises DataError where known-future covariates are absent."""
    table, sequences, notes, config = _read(table, model)
    known_future(sequences, model.shape.horizon)
    material = _material(table, sequences, Parts(sequences.ends, sequences.ends, sequences.ends, (), ()), model, config, notes)
    series = np.flatnonzero(sequences.lengths > 0)
    return material.windows.at(series, sequences.ends[series]), material


def predict_with(model: ForecastModel, source: Any, future: Any, refit: bool, listen: Callable[[Event], None]) -> pl.DataFrame:
    """Forecasts of the steps after the end of each series of `source`. Raises DataError where known-future covariates are absent."""
    table = open_table(source, model)
    origins, material = end_origins(model, table if future is None else _with_future(table, future, model))
    for note in material.notes:
        listen(Said(note))
    if refit:
        model = refitted(model, material, listen)
    if not model.shape.indicator and _misses(origins):
        listen(Said("missing values in the lookback, which training did not have: the last value before each stands in"))
    return forecast_frame(origins, model.predict(origins), material.config.data)


def _misses(origins: OriginSet) -> bool:
    """Whether a lookback holds a missing number."""
    batches = (origins.batch(begin, begin + 512) for begin in range(0, len(origins), 512))
    return any(bool(np.isnan(batch.target_BLC).any()) for batch in batches)


def refitted(model: ForecastModel, material: Material, listen: Callable[[Event], None]) -> ForecastModel:
    """The same settings trained on all rows, for as many epochs as were best before; intervals stay those of the validation part."""
    settings = model.config.training.model_copy(update={"max_epochs": max(1, model.best_epoch + 1), "time_limit": None, "max_steps": None})
    config = model.config.model_copy(update={"training": settings})
    return fit_model(material, config, listen=listen, residuals=model.residuals).model


def _with_future(table: Table, future: Any, model: ForecastModel) -> Table:
    """The table with the rows of `future` below it, their targets missing. Raises DataError if a known-future column is absent."""
    data = model.config.data
    if not data.future:
        raise DataError("This model was trained without known-future covariates, so it takes no future table. Leave it out.")
    below = future if isinstance(future, Table) else read_table(future)
    names = [name for name in (data.id, data.time, *data.future) if name]
    for name in names:
        below.require(name, "known-future covariates")
    wanted = [name for name in (*names, *(data.target or ()), *data.past, *data.static) if name in table.columns]
    try:
        frame = pl.concat([table.frame(wanted), below.frame(names)], how="diagonal_relaxed")
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{below.source} does not fit below {table.source}: {error}. Its columns need the same types.") from None
    return frame_table(frame, table.source, table.kind, table.path, table.notes)
