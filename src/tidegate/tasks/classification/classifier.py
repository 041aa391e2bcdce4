"""The estimator: the same job as `tidegate train classify`, in Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from tidegate.config import build_settings, name_network
from tidegate.config_classify import ClassConfig
from tidegate.errors import SettingsError
from tidegate.runs.folder import RunFolder
from tidegate.tasks.classification.evaluation import ClassEvaluation
from tidegate.tasks.classification.fitting import complete, fit_classes, with_learning_rate
from tidegate.tasks.classification.keeping import finish, load_model
from tidegate.tasks.classification.material import ClassMaterial
from tidegate.tasks.classification.model import ClassModel
from tidegate.tasks.classification.output import class_frame, predicted
from tidegate.tasks.classification.reuse import are_arrays, gather, named, open_sequences, read_source, reopen, rivals_in
from tidegate.tasks.classification.rivals import fit_class_rivals
from tidegate.tasks.classification.stream import ClassStream
from tidegate.tasks.classification.verbs import described, scored
from tidegate.tasks.computing import computing
from tidegate.tasks.estimator import copy_run, kept_history, names_of, note_epoch, plain_tree, put, save_run, settings_tree
from tidegate.tasks.output import same_kind


class Classifier:
    """The class of each sequence by an LSTM network, with calibrated probabilities, tested against naive rivals.

    network      'conv-lstm', 'attention-cnn-lstm' or 'lstm'; None: that of `config`
    max_epochs, time_limit (seconds), seed, device   None: those of `config`
    config       all other settings: a ClassConfig, or its tree of plain values; arguments given here win over it

    The constructor only stores these; `fit` does the work. After `fit` or `load`: `classes` are the classes in the order of the
    probabilities, `notes` says what was recognised, `history` has a dict an epoch, `config` is complete.
    """

    def __init__(
        self,
        *,
        network: str | None = None,
        max_epochs: int | None = None,
        time_limit: float | None = None,
        seed: int | None = None,
        device: str | None = None,
        config: ClassConfig | dict[str, Any] | None = None,
    ) -> None:
        self.network, self.max_epochs, self.time_limit, self.seed, self.device = network, max_epochs, time_limit, seed, device
        self.config, self._asked = config, config
        self.notes: list[str] = []
        self.history: list[dict[str, Any]] = []
        self._model: ClassModel | None = None
        self._material: ClassMaterial | None = None
        self._data: dict[str, Any] = {}
        self._folder: RunFolder | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the columns of `predict_proba`."""
        return self._fitted().classes

    def fit(
        self,
        data: Any,
        y: Any = None,
        *,
        label: str | None = None,
        id: str | None = None,
        time: str | None = None,
        channels: Sequence[str] | None = None,
        test: Any = None,
    ) -> Self:
        """Train on arrays and their labels, on a data frame, or on a file or folder.

        data      arrays [n, T] or [n, T, C], or a list of n arrays [T_i] or [T_i, C], NaN is missing; or a table with a row a step; or
                  a file of the UCR/UEA archive; or a folder with a folder of CSV files for each class
        y         n labels of arrays; of a table, the name of the label column, as `label`
        test      the same form as `data`, (X, y) for arrays: what `evaluate` scores; None: some of each class are held aside

        Raises TidegateError.
        """
        if isinstance(y, str) and not are_arrays(data):
            label, y = y, None
        columns = {"label": label, "id": id, "time": time, "channels": names_of(channels)}
        config = self._settings({name: value for name, value in columns.items() if value})
        known = read_source(data, y, config.data)
        place: dict[str, Any] = described(data, known)
        tests = []
        if test is not None:
            source, truth = test if are_arrays(data) and isinstance(test, tuple) and len(test) == 2 else (test, None)
            tests.append(read_source(source, truth, config.data))
            place["test"] = described(source, tests[0])
        config = named(config, known)
        material = gather(known, config, *tests)
        config, found = with_learning_rate(material, complete(config, material))
        history: list[dict[str, Any]] = []
        model = fit_classes(material, config, listen=lambda event: note_epoch(event, history)).model
        self._model, self._material, self._folder, self._data, self.history = model, material, None, place, history
        self.config, self.notes = config, [*material.notes, *found]
        return self

    def predict(self, data: Any = None) -> Any:
        """The likeliest class of each sequence: for arrays an array [n] of labels as they were given to `fit`; else a frame of the kind
        that came in, with the id, the class and the probability of each class. Without data: of the test part. Raises DataError."""
        model = self._fitted()
        known = self._own_material().test if data is None else open_sequences(data, None, model)
        probabilities = self._probabilities(known)
        if are_arrays(data):
            return predicted(model, probabilities)
        return same_kind(class_frame(model, known, probabilities), known.frame_kind)

    def predict_proba(self, data: Any = None) -> np.ndarray:
        """Float64 [n, K]: the calibrated probability of each of `classes`. Raises DataError."""
        return self._probabilities(self._own_material().test if data is None else open_sequences(data, None, self._fitted()))

    def evaluate(self, data: Any = None, y: Any = None, *, minirocket: bool = False) -> ClassEvaluation:
        """Scores of the model and its rivals: on the test part, or on labelled data. `minirocket`: also beside MiniRocket (extra
        `baselines`), which is fitted to the training data."""
        model = self._fitted()
        test = self._own_material().test if data is None else open_sequences(data, y, model, scored=True)
        rocket = self._own_material() if minirocket else None
        if self._folder is not None:
            return scored(model, test, *rivals_in(self._folder, model, self._material), rocket)
        return scored(model, test, fit_class_rivals(self._own_material()), [], rocket)

    def stream(self, streams: int = 1) -> ClassStream:
        """Probabilities after each new step of sequences that are still arriving; for the network 'lstm' in one direction. Raises
        SettingsError for others."""
        return ClassStream(self._fitted(), streams)

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Keep all of it in a run folder: model, preparation, settings, scores, report. Returns the folder."""
        if self._folder is not None:
            return copy_run(self._folder, Path(path), overwrite)
        model, material = self._fitted(), self._own_material()
        return save_run(path, "classify", self._data, model.config, self.history, lambda folder: finish(folder, material, model), overwrite)

    def _probabilities(self, data: Any) -> np.ndarray:
        with computing(self._fitted().config.training.threads):
            return self._fitted().probabilities(data)

    def _settings(self, columns: dict[str, Any]) -> ClassConfig:
        tree = settings_tree(self._asked, ClassConfig)
        given = {"max_epochs": self.max_epochs, "time_limit": self.time_limit, "seed": self.seed, "device": self.device}
        put(tree, "data", columns)
        put(tree, "training", given)
        name_network(tree, self.network, ClassConfig)
        return build_settings(plain_tree(tree), ClassConfig)

    def _fitted(self) -> ClassModel:
        if self._model is None:
            raise SettingsError("This Classifier is not fitted yet. Call fit(data) first, or tidegate.load(path).")
        return self._model

    def _own_material(self) -> ClassMaterial:
        model = self._fitted()
        if self._material is None:
            assert self._folder is not None
            self._material = reopen(self._folder, model)
        return self._material


def classifier_in(folder: RunFolder, device: str) -> Classifier:
    """The classifier that a finished run holds."""
    model = load_model(folder, device)
    classifier = Classifier(config=model.config)
    classifier._model, classifier._folder = model, folder
    classifier.history, classifier.notes = kept_history(folder)
    return classifier
