"""Forecasts as a table: the input's own column names, one row a series and time."""

import numpy as np
import polars as pl

from tidegate.config import DataSettings
from tidegate.data.windows import OriginSet
from tidegate.errors import SettingsError
from tidegate.tasks.forecasting.model import Predictions
from tidegate.tasks.output import as_ids


def forecast_frame(origins: OriginSet, said: Predictions, data: DataSettings, id_type: str) -> pl.DataFrame:
    """Id (if there is one; of the type that polars calls `id_type`), time, then a column a target and TARGET_q10, TARGET_q90 and so on."""
    sequences, horizon = origins.windows.sequences, origins.windows.horizon
    columns: dict[str, pl.Series] = {}
    if (name := _id_name(data)) is not None:
        ids = np.array(sequences.ids, dtype=object)[np.repeat(origins.series, horizon)]
        columns[name] = as_ids(pl.Series(name, ids, dtype=pl.String), id_type)
    periods = origins.windows.periods(origins.series, origins.origin)
    name = _time_name(data)
    columns[name] = sequences.frequency.times((periods[:, None] + np.arange(horizon)).ravel()).alias(name)
    for number, target in enumerate(sequences.targets):
        columns[target] = pl.Series(target, said.point[..., number].ravel())
        for place, level in enumerate(said.levels):
            if level != 0.5:
                label = quantile_name(target, level)
                columns[label] = pl.Series(label, said.quantiles[..., number, place].ravel())
    return pl.DataFrame(list(columns.values()))


def _id_name(data: DataSettings) -> str | None:
    return data.id or (None if data.layout == "long" else "unique_id")


def _time_name(data: DataSettings) -> str:
    return data.time or "step"


def check_names(data: DataSettings, targets: tuple[str, ...], quantiles: tuple[float, ...]) -> None:
    """Raise SettingsError where a forecast would have two columns of one name."""
    names = [name for name in (_id_name(data), _time_name(data), *targets) if name is not None]
    names += [quantile_name(target, level) for target in targets for level in quantiles if level != 0.5]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        example = quantile_name(targets[0], next(iter(quantiles), 0.1))
        raise SettingsError(
            f"A forecast would have two columns named '{twice[0]}': it has the id, the time, each target, and a column such as '{example}' "
            "for each quantile. Rename the column in the data, or give other --quantiles."
        )


def quantile_name(target: str, level: float) -> str:
    """TARGET_q10 for 0.1, TARGET_q2.5 for 0.025."""
    return f"{target}_q{100 * level:g}" if 100 * level >= 10 else f"{target}_q{100 * level:02g}"
