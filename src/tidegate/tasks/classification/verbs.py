"""The verbs of classification: train, evaluate, predict. Each works on a run folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from tidegate.config_classify import ClassConfig
from tidegate.data.labelled import LabelledSequences
from tidegate.runs.folder import RunFolder
from tidegate.tasks.classification.evaluation import ClassEvaluation, evaluate_classes
from tidegate.tasks.classification.fitting import MEMBER, complete, fit_classes, with_learning_rate
from tidegate.tasks.classification.keeping import finish, load_model
from tidegate.tasks.classification.material import ClassMaterial
from tidegate.tasks.classification.model import ClassModel
from tidegate.tasks.classification.output import class_frame
from tidegate.tasks.classification.reuse import gather, named, open_sequences, read_source, reopen, rivals_in
from tidegate.tasks.classification.rivals import ClassRivals, ask, ask_minirocket
from tidegate.tasks.computing import computing
from tidegate.tasks.output import check_output, write_frame
from tidegate.tasks.summary import Summary, summary_of
from tidegate.tasks.training import Hooks, Listener, Training, train_run
from tidegate.train.events import Event, Said, Started
from tidegate.train.loop import Checkpoint


class ClassTraining(Training[ClassConfig]):
    """The training of a classifier on labelled sequences, scored on `test` or on what is held aside."""

    task = "classify"

    def __init__(self, source: Any, asked: ClassConfig, test: Any = None) -> None:
        self._source, self._asked, self._test = source, asked, test
        self._data: list[LabelledSequences] = []
        self._material: ClassMaterial | None = None
        self._model: ClassModel | None = None

    def read(self) -> dict[str, Any]:
        """See Training."""
        sources = [self._source] if self._test is None else [self._source, self._test]
        self._data = [read_source(source, None, self._asked.data) for source in sources]
        kept = [described(source, data) for source, data in zip(sources, self._data, strict=True)]
        return kept[0] if self._test is None else kept[0] | {"test": kept[1]}

    def prepare(self, asked: ClassConfig) -> tuple[ClassConfig, list[str]]:
        """See Training."""
        config = named(asked, self._data[0])
        self._material = gather(self._data[0], config, *self._data[1:])
        return complete(config, self._material), self._material.notes

    def choose(self, config: ClassConfig) -> tuple[ClassConfig, list[str]]:
        """The learning rate, where it is 'auto'."""
        assert self._material is not None
        return with_learning_rate(self._material, config)

    def fit(self, config: ClassConfig, hooks: Hooks) -> bool:
        """See Training."""
        assert self._material is not None
        listen = _counting(hooks.listen, config.training.members or 1, hooks.checkpoint)
        fitted = fit_classes(
            self._material, config, listen=listen, save=hooks.save, checkpoint=hooks.checkpoint, interrupted=hooks.interrupted
        )
        self._model = fitted.model
        return fitted.interrupted

    def finish(self, folder: RunFolder, listen: Listener) -> None:
        """See Training."""
        assert self._material is not None and self._model is not None
        finish(folder, self._material, self._model)


def _counting(listen: Listener, members: int, checkpoint: Checkpoint | None) -> Listener:
    """A listener that also says which network of the ensemble is trained; those that a checkpoint holds are trained already."""
    number = 0 if checkpoint is None else len(checkpoint.tensors.get(f"{MEMBER}best_epochs", ()))

    def heard(event: Event) -> None:
        nonlocal number
        if isinstance(event, Started) and members > 1:
            number += 1
            listen(Said(f"network {number} of {members}"))
        listen(event)

    return heard


def described(source: Any, data: LabelledSequences) -> dict[str, Any]:
    """Where data lay, for run.json."""
    place = str(Path(source).expanduser().resolve()) if isinstance(source, str | Path) else None
    return {"path": place, "sha256": data.checksum(), "rows": len(data.sequences.values)}


def train(
    source: Any,
    config: ClassConfig,
    out: str | Path,
    *,
    test: Any = None,
    resume: bool = False,
    overwrite: bool = False,
    listen: Listener = lambda event: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> Summary:
    """Train on labelled sequences and keep all of it in the folder `out`; with `resume` go on where a stopped run was. `test`: the
    sequences that are scored; without it some of each class are held aside.

    Raises TidegateError; nothing that was saved is lost by one.
    """
    training = ClassTraining(source, config, test)
    folder, stopped = train_run(training, config, out, resume=resume, overwrite=overwrite, listen=listen, interrupted=interrupted)
    return Summary(training.task, folder.path, interrupted=True) if stopped else summary_of(folder)


def evaluate(run: str | Path, source: Any = None, *, minirocket: bool = False) -> ClassEvaluation:
    """Scores beside the rivals: on the run's own test part, or on the labelled sequences of `source`. `minirocket`: also beside
    MiniRocket, which is fitted to the run's training data (extra `baselines`)."""
    folder = RunFolder.open(run, task="classify")
    model = load_model(folder)
    material = reopen(folder, model) if source is None or minirocket else None
    data = material.test if material and source is None else open_sequences(source, None, model, scored=True)
    return scored(model, data, *rivals_in(folder, model, material), material if minirocket else None)


def scored(
    model: ClassModel, data: LabelledSequences, rivals: ClassRivals, notes: list[str], rocket: ClassMaterial | None = None
) -> ClassEvaluation:
    """Scores of a model and its rivals on sequences that are on the scale of training; with `rocket` also of MiniRocket, fitted to that."""
    with computing(model.config.training.threads):
        own = model.probabilities(data)
    answers = ask(rivals, data) | (ask_minirocket(rocket, data, model.config.training) if rocket else {})
    return evaluate_classes(model.config.network.name, data.labels, own, answers, model.classes, [*data.notes, *notes])


def predict(run: str | Path, source: Any = None, *, out: str | Path | None = None, listen: Listener = lambda event: None) -> pl.DataFrame:
    """The class and the probabilities of each sequence of `source`; without it, of the run's own test part. Written to `out` if given."""
    if out is not None:
        check_output(Path(out))
    folder = RunFolder.open(run, task="classify")
    model = load_model(folder)
    data = reopen(folder, model).test if source is None else open_sequences(source, None, model)
    for note in data.notes:
        listen(Said(note))
    with computing(model.config.training.threads):
        frame = class_frame(model, data, model.probabilities(data))
    if out is not None:
        write_frame(frame, Path(out))
    return frame
