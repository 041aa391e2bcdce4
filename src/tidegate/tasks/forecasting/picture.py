"""The picture of a forecast beside its past."""

from typing import TYPE_CHECKING, Any

import numpy as np

from tidegate.data.table import Table
from tidegate.errors import DataError, did_you_mean
from tidegate.plotting import plot_forecast
from tidegate.tasks.forecasting.future import with_future
from tidegate.tasks.forecasting.model import ForecastModel
from tidegate.tasks.forecasting.reuse import end_origins

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def forecast_picture(model: ForecastModel, table: Table, series: str | int | None, target: str | None, future: Any = None) -> "Figure":
    """One series and target: three horizons of the past, then the forecast with its outermost quantiles.

    future: a table of known-future covariates. Raises DataError for an unknown name.
    """
    if future is not None:
        table = with_future(table, future, model.config.data, model.schema, lambda note: None)
    origins, _ = end_origins(model, table)
    sequences = origins.windows.sequences
    names, targets = [sequences.ids[number] for number in origins.series], list(sequences.targets)
    row = _place(names, None if series is None else str(series), "series")
    column = _place(targets, target, "target")
    said = model.predict(origins)
    number, origin = int(origins.series[row]), int(origins.origin[row])
    begin = max(int(sequences.offsets[number]), origin - 3 * model.shape.horizon)
    period = int(sequences.starts[number]) + begin - int(sequences.offsets[number])
    times = sequences.frequency.times(np.arange(period, period + origin - begin + model.shape.horizon)).to_list()
    return plot_forecast(
        times,
        sequences.values[begin:origin, column].tolist(),
        said.point[row, :, column].tolist(),
        lower=said.quantiles[row, :, column, 0].tolist(),
        upper=said.quantiles[row, :, column, -1].tolist(),
        title=f"{names[row]} {targets[column]}".strip(),
    )


def _place(names: list[str], name: str | None, what: str) -> int:
    if name is None:
        return 0
    if name not in names:
        raise DataError(f"There is no {what} '{name}'.{did_you_mean(name, names)}")
    return names.index(name)
