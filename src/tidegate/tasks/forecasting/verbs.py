"""The verbs of forecasting: train, evaluate, predict. Each works on a run folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from tidegate.config import Config
from tidegate.data.assemble import assemble
from tidegate.data.read import read_table
from tidegate.data.table import Table
from tidegate.evaluate.report.data import Tuning
from tidegate.runs.folder import RunFolder
from tidegate.tasks.computing import computing
from tidegate.tasks.forecasting.backtest import backtest, kept_rivals
from tidegate.tasks.forecasting.evaluation import Evaluation, evaluate_backtests
from tidegate.tasks.forecasting.fitting import fit_model, with_learning_rate
from tidegate.tasks.forecasting.keeping import evaluation_notes, evaluation_origins, finish, load_model
from tidegate.tasks.forecasting.material import Material, gather_from
from tidegate.tasks.forecasting.model import ForecastModel
from tidegate.tasks.forecasting.reuse import open_new, predict_with, reopen, training_data
from tidegate.tasks.output import check_output, write_frame
from tidegate.tasks.summary import Summary, summary_of
from tidegate.tasks.training import Hooks, Listener, Training, train_run
from tidegate.train.events import Said


class ForecastTraining(Training[Config]):
    """The training of a forecaster on a table."""

    task = "forecast"

    def __init__(self, source: Any, asked: Config, tuning: Tuning | None = None) -> None:
        self._source, self._asked, self._tuning = source, asked, tuning
        self._table: Table | None = None
        self._material: Material | None = None
        self._model: ForecastModel | None = None

    def read(self) -> dict[str, Any]:
        """See Training."""
        self._table = table = read_table(self._source, layout=self._asked.data.layout)
        place = None if table.path is None else str(table.path.resolve())
        return {"path": place, "sha256": table.checksum(), "rows": table.height}

    def prepare(self, asked: Config) -> tuple[Config, list[str]]:
        """See Training."""
        assert self._table is not None
        self._material = gather_from(self._table, assemble(self._table, asked.data), asked)
        return self._material.config, self._material.notes

    def choose(self, config: Config) -> tuple[Config, list[str]]:
        """The learning rate, where it is 'auto'."""
        assert self._material is not None
        return with_learning_rate(self._material, config)

    def fit(self, config: Config, hooks: Hooks) -> bool:
        """See Training."""
        assert self._material is not None
        fitted = fit_model(
            self._material, config, listen=hooks.listen, save=hooks.save, checkpoint=hooks.checkpoint, interrupted=hooks.interrupted
        )
        self._model = fitted.model
        return fitted.interrupted

    def finish(self, folder: RunFolder, listen: Listener) -> None:
        """See Training."""
        assert self._material is not None and self._model is not None
        finish(folder, self._material, self._model, listen, self._tuning)


def train(
    source: Any,
    config: Config,
    out: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    listen: Listener = lambda event: None,
    interrupted: Callable[[], bool] = lambda: False,
    tuning: Tuning | None = None,
) -> Summary:
    """Train on a table and keep all of it in the folder `out`; with `resume` go on where a stopped run was. `tuning`: the search that
    found the settings, for the report.

    Raises TidegateError; nothing that was saved is lost by one.
    """
    training = ForecastTraining(source, config, tuning)
    folder, stopped = train_run(training, config, out, resume=resume, overwrite=overwrite, listen=listen, interrupted=interrupted)
    return Summary(training.task, folder.path, interrupted=True) if stopped else summary_of(folder)


def evaluate(run: str | Path, source: Any = None, *, origins: int | None = None, statistical: bool = False) -> Evaluation:
    """Scores beside the rivals: on the run's own test part, or on every origin of `source`; `origins`: only the last so many."""
    folder = RunFolder.open(run, task="forecast")
    model = load_model(folder)
    material = reopen(folder, model) if source is None else open_new(source, model)
    rivals = kept_rivals(folder.read_tensors("baselines.safetensors"), model, material if source is None else None)
    chosen = evaluation_origins(material, origins)
    with computing(model.config.training.threads):
        own, others, _ = backtest(model, rivals, chosen, statistical)
    notes = [*([] if source is None else material.notes), *evaluation_notes(material, chosen, model, rivals)]
    return evaluate_backtests(model.config.network.name, own, others, model.config, notes)


def predict(
    run: str | Path,
    source: Any = None,
    *,
    future: Any = None,
    out: str | Path | None = None,
    refit: bool = False,
    listen: Listener = lambda event: None,
) -> pl.DataFrame:
    """Forecasts of the steps after the last row of each series: of the training data, or of `source`, for series known or new.

    `future` is a table of known-future covariates; `refit` trains on all rows first. Written to `out` if given.
    """
    if out is not None:
        check_output(Path(out))
    folder = RunFolder.open(run, task="forecast")
    model = load_model(folder)
    frame = predict_with(model, _training_source(folder, listen) if source is None else source, future, refit, listen)
    if out is not None:
        write_frame(frame, Path(out))
    return frame


def _training_source(folder: RunFolder, listen: Listener) -> Path:
    path, same = training_data(folder)
    if not same:
        listen(Said(f"{path} has changed since training; the forecast starts after its last row"))
    return path
