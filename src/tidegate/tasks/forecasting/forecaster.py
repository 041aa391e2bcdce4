"""The estimator: the same job as `tidegate train forecast`, in Python."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tidegate.config import Config, build_config, name_network
from tidegate.data.assemble import assemble
from tidegate.data.read import read_table
from tidegate.data.table import Table
from tidegate.errors import SettingsError
from tidegate.runs.folder import RunFolder
from tidegate.tasks.computing import computing
from tidegate.tasks.estimator import copy_run, kept_history, names_of, plain_tree, put, save_run, settings_tree
from tidegate.tasks.forecasting.backtest import Rivals, backtest, fit_rivals, kept_rivals
from tidegate.tasks.forecasting.evaluation import Evaluation, evaluate_backtests
from tidegate.tasks.forecasting.fitting import fit_model, with_learning_rate
from tidegate.tasks.forecasting.keeping import evaluation_notes, evaluation_origins, finish, load_model
from tidegate.tasks.forecasting.material import Material, gather_from
from tidegate.tasks.forecasting.model import ForecastModel
from tidegate.tasks.forecasting.picture import forecast_picture
from tidegate.tasks.forecasting.reuse import open_new, open_table, predict_with, reopen, training_data
from tidegate.tasks.output import same_kind
from tidegate.train.events import EpochEnded, Event

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Forecaster:
    """Forecasts of one or many series by an LSTM, with quantiles, tested against naive rivals.

    horizon      steps to forecast
    lookback     steps a forecast looks back; None: from horizon and season
    network      'attention-cnn-lstm' or 'lstm'; None: that of `config`
    quantiles    levels beside the median
    max_epochs, time_limit (seconds), seed, device   None: those of `config`
    config       all other settings: a Config, or its tree of plain values; arguments given here win over it

    The constructor only stores these; `fit` does the work. After `fit` or `load`: `notes` says what was derived from the data,
    `history` has a dict an epoch, `config` is complete.
    """

    def __init__(
        self,
        horizon: int,
        *,
        lookback: int | None = None,
        network: str | None = None,
        quantiles: Sequence[float] | None = None,
        max_epochs: int | None = None,
        time_limit: float | None = None,
        seed: int | None = None,
        device: str | None = None,
        config: Config | dict[str, Any] | None = None,
    ) -> None:
        self.horizon, self.lookback, self.network, self.quantiles = horizon, lookback, network, quantiles
        self.max_epochs, self.time_limit, self.seed, self.device = max_epochs, time_limit, seed, device
        self.config, self._asked = config, config
        self.notes: list[str] = []
        self.history: list[dict[str, Any]] = []
        self._model: ForecastModel | None = None
        self._material: Material | None = None
        self._checksum = ""
        self._folder: RunFolder | None = None

    def fit(
        self,
        data: Any,
        target: str | Sequence[str] | None = None,
        time: str | None = None,
        id: str | None = None,
        past: Sequence[str] = (),
        future: Sequence[str] = (),
        static: Sequence[str] = (),
    ) -> Self:
        """Train on a data frame or a file. Column names default to unique_id, ds, y (or item_id, timestamp, target).

        past, future, static: covariates known up to the origin, known ahead, and constant in a series. Raises TidegateError.
        """
        columns = {
            "target": names_of(target),
            "time": time,
            "id": id,
            "past": names_of(past),
            "future": names_of(future),
            "static": names_of(static),
        }
        config = self._settings({name: value for name, value in columns.items() if value})
        table = read_table(data, layout=config.data.layout)
        checksum = table.checksum()  # of the file as it is now: it may change before `save`
        material = gather_from(table, assemble(table, config.data), config)
        config, found = with_learning_rate(material, material.config)
        self.history = []
        self._model = fit_model(material, config, listen=self._note).model
        self._material, self._checksum, self._folder = material, checksum, None
        self.config, self.notes = config, [*material.notes, *found]
        return self

    def predict(self, data: Any = None, future: Any = None) -> Any:
        """A frame of the steps after the end of each series, of the training data or of `data`; of the kind of frame that came in.

        Columns: the id (if there is one), the time, each target, and TARGET_q10 and so on. `future`: a table of known-future covariates.
        """
        table = self._training_table() if data is None else open_table(data, self._fitted())
        frame = predict_with(self._fitted(), table, future, refit=False, listen=lambda event: None)
        return same_kind(frame, table.kind)

    def evaluate(self, data: Any = None, origins: int | None = None) -> Evaluation:
        """Scores of the model and its rivals at origins one horizon apart: of the test part, or of all of `data`.

        origins: only the last so many of each series.
        """
        model = self._fitted()
        material = self._own_material() if data is None else open_new(data, model)
        rivals = self._rivals(material if data is None else None)
        chosen = evaluation_origins(material, origins)
        with computing(model.config.training.threads):
            own, others, _ = backtest(model, rivals, chosen)
        notes = [*([] if data is None else material.notes), *evaluation_notes(material, chosen, model, rivals)]
        return evaluate_backtests(model.config.network.name, own, others, model.config, notes)

    def plot(self, data: Any = None, series: str | int | None = None, target: str | None = None, future: Any = None) -> "Figure":
        """The forecast after the end of a series (the first one, if not named) beside its past; needs the extra `plot`.

        future: a table of known-future covariates, as in `predict`.
        """
        model = self._fitted()
        return forecast_picture(model, self._training_table() if data is None else open_table(data, model), series, target, future)

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Keep all of it in a run folder: model, preparation, settings, scores, report. Returns the folder."""
        if self._folder is not None:
            return copy_run(self._folder, Path(path), overwrite)
        model, material = self._fitted(), self._own_material()
        place = None if material.table.path is None else str(material.table.path.resolve())
        data = {"path": place, "sha256": self._checksum, "rows": material.table.height}

        def write(folder: RunFolder) -> None:
            finish(folder, material, model, listen=lambda event: None)

        return save_run(path, "forecast", data, model.config, self.history, write, overwrite)

    def _settings(self, columns: dict[str, Any]) -> Config:
        tree = settings_tree(self._asked, Config)  # `config` holds what the data of an earlier fit gave, too
        given = {
            "quantiles": self.quantiles,
            "max_epochs": self.max_epochs,
            "time_limit": self.time_limit,
            "seed": self.seed,
            "device": self.device,
        }
        put(tree, "data", {"horizon": self.horizon, "lookback": self.lookback, **columns})
        put(tree, "training", given)
        name_network(tree, self.network, Config)
        return build_config(plain_tree(tree))

    def _fitted(self) -> ForecastModel:
        if self._model is None:
            raise SettingsError("This Forecaster is not fitted yet. Call fit(data, target=...) first, or tidegate.load(path).")
        return self._model

    def _own_material(self) -> Material:
        if self._material is None:
            assert self._folder is not None
            self._material = reopen(self._folder, self._fitted())
        return self._material

    def _training_table(self) -> Table:
        self._fitted()
        if self._material is not None:
            return self._material.table
        assert self._folder is not None
        return open_table(training_data(self._folder)[0], self._fitted())

    def _rivals(self, own: Material | None) -> Rivals:
        if self._folder is None:
            return fit_rivals(self._own_material())
        return kept_rivals(self._folder.read_tensors("baselines.safetensors"), self._fitted(), own)

    def _note(self, event: Event) -> None:
        if isinstance(event, EpochEnded):
            self.history.append(asdict(event))


def forecaster_in(folder: RunFolder, device: str) -> Forecaster:
    """The forecaster that a finished run holds."""
    model = load_model(folder, device)
    forecaster = Forecaster(model.shape.horizon, config=model.config)
    forecaster._model, forecaster._folder = model, folder
    forecaster.history, forecaster.notes = kept_history(folder)
    return forecaster
