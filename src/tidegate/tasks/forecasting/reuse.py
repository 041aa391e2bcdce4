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
from tidegate.data.table import Table
from tidegate.data.windows import OriginSet
from tidegate.errors import RunError, SettingsError
from tidegate.runs.folder import RunFolder
from tidegate.tasks.computing import resolve_device
from tidegate.tasks.forecasting.fitting import fit_model
from tidegate.tasks.forecasting.future import with_future
from tidegate.tasks.forecasting.material import Material, known_future, open_windows
from tidegate.tasks.forecasting.model import ForecastModel, filled_notes
from tidegate.tasks.forecasting.output import forecast_frame
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
    if future is not None:
        table = with_future(table, future, model.config.data, model.schema, lambda text: listen(Said(text)))
    origins, material = end_origins(model, table)
    for note in material.notes:
        listen(Said(note))
    if refit:
        model = refitted(model, material, listen)
    for note in filled_notes(model, origins):
        listen(Said(note))
    return forecast_frame(origins, model.predict(origins), material.config.data, model.id_type)


def _device_here(device: str, listen: Callable[[Event], None]) -> str:
    """The device that the model was trained on, or the one that there is instead."""
    try:
        return resolve_device(device)
    except SettingsError:
        found = resolve_device("auto")
        listen(Said(f"the device '{device}' of the first training is not there; training on {found}"))
        return found


def refitted(model: ForecastModel, material: Material, listen: Callable[[Event], None]) -> ForecastModel:
    """The same settings trained on all rows, for as many epochs as were best before and within the same limits of steps and seconds;
    intervals stay those of the validation part."""
    asked = model.config.training
    settings = asked.model_copy(update={"max_epochs": max(1, model.best_epoch + 1), "device": _device_here(asked.device, listen)})
    config = model.config.model_copy(update={"training": settings})
    return fit_model(material, config, listen=listen, residuals=model.residuals).model
