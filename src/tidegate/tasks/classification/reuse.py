"""Labelled data read for training, read again, or new to a classifier that exists."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.config_classify import ClassConfig, ClassDataSettings
from tidegate.data.findings import plural
from tidegate.data.labelled import LabelledSequences, from_arrays, label_notes
from tidegate.data.labelled_table import labelled_kind, read_labelled
from tidegate.errors import DataError, RunError, TidegateError
from tidegate.runs.folder import RunFolder
from tidegate.tasks.classification.material import ClassMaterial, check_like, gather_labelled, scaled
from tidegate.tasks.classification.model import ClassModel
from tidegate.tasks.classification.rivals import HOLDS_DATA, ClassRivals, kept_class_rivals, neighbours


def read_source(source: Any, y: Any, columns: ClassDataSettings, *, need_label: bool = True) -> LabelledSequences:
    """Labelled sequences from a path or a frame, or from arrays and their labels. Raises DataError, SettingsError."""
    if isinstance(source, LabelledSequences):
        return source
    if are_arrays(source):
        return from_arrays(source, y, channels=columns.channels)
    if y is not None:
        raise DataError("y is given beside a table or a file, which holds its labels itself. Name their column with label=.")
    return read_labelled(source, label=columns.label, id=columns.id, time=columns.time, channels=columns.channels, need_label=need_label)


def are_arrays(source: Any) -> bool:
    """Whether a source is arrays (NumPy's, torch's, lists) rather than a path or a frame."""
    return isinstance(source, np.ndarray | list | tuple) or type(source).__module__.partition(".")[0] == "torch"


def with_labels_only(data: LabelledSequences) -> LabelledSequences:
    """The sequences that can be scored. Raises DataError where none has a label."""
    known = np.flatnonzero(data.labels >= 0)
    if not len(known):
        raise DataError(f"{data.source}: no sequence has a label. Give labelled data to score on.")
    return data if len(known) == len(data) else data.take(known)  # the notes of `data` say how many have none


def named(config: ClassConfig, data: LabelledSequences) -> ClassConfig:
    """The settings with the name of the label column that was found: classes come out under it."""
    return config.model_copy(update={"data": config.data.model_copy(update={"label": config.data.label or data.label_name})})


def gather(data: LabelledSequences, config: ClassConfig, test: LabelledSequences | None = None) -> ClassMaterial:
    """The material as `gather_labelled` makes it, without the sequences of `test` that have no label. What is odd with `test` is said, and
    which classes are a single sequence."""
    material = gather_labelled(data, config, None if test is None else with_labels_only(test))
    notes = [*material.notes, *_single(data)]
    if test is None:
        return replace(material, notes=notes)
    own = [note for note in test.notes if note not in data.notes]
    strange = check_like(test, _channels(data), data.classes)
    return replace(material, notes=[*notes, *own], test=replace(material.test, notes=(*test.notes, *strange)))


def open_sequences(source: Any, y: Any, model: ClassModel, *, scored: bool = False) -> LabelledSequences:
    """New sequences on the scale of training, labels as numbers in the model's classes, -1 for others and for none. `scored`: only those
    with a label. Raises DataError where channels differ, or where `scored` finds no label."""
    columns = _columns_of(source, model.config.data.model_copy(update={"channels": model.channels}))
    data = read_source(source, y, columns, need_label=scored)
    if columns.channels is None and len(_channels(data)) == len(model.channels):  # their names are numbers
        channels = tuple(replace(channel, name=name) for channel, name in zip(data.sequences.channels, model.channels, strict=True))
        data = replace(data, sequences=replace(data.sequences, channels=channels))
    strange = check_like(data, list(model.channels), model.classes if scored else data.classes)
    notes = [note for note in data.notes if scored or note not in label_notes(data)]
    data = with_labels_only(data) if scored else data
    return scaled(replace(data.with_classes(model.classes), notes=(*notes, *strange)), model.scaler)


def reopen(folder: RunFolder, model: ClassModel) -> ClassMaterial:
    """The material that a run was trained and tested on. Raises RunError if data is gone or has changed."""
    test, columns = folder.data.get("test"), model.config.data
    return gather(_again(folder, folder.data, columns), model.config, test and _again(folder, test, columns))


def rivals_in(folder: RunFolder, model: ClassModel, material: ClassMaterial | None = None) -> tuple[ClassRivals, list[str]]:
    """The rivals of a run: those that it holds, and the one that is fitted again, from `material` or from the data where that is there; a
    note where it is not."""
    kept = kept_class_rivals(folder.read_tensors("baselines.safetensors"))
    try:
        return kept | neighbours(material or reopen(folder, model)), []
    except TidegateError as error:
        return kept, [f"without the rival '{HOLDS_DATA}', which is the training data itself: {error}"]


def _again(folder: RunFolder, kept: dict[str, Any], columns: ClassDataSettings) -> LabelledSequences:
    if kept["path"] is None:
        raise RunError(f"{folder.path} was trained on arrays or a frame, which are not kept. Give the data: a file, or arrays in Python.")
    path = Path(kept["path"])
    if not path.exists():
        raise RunError(f"The data of {folder.path} lay at {path} and is not there. Give the data that is to be used.")
    data = read_source(path, None, _columns_of(path, columns))
    if data.checksum() != kept["sha256"]:
        raise RunError(
            f"{path} has changed since {folder.path} was trained, so its test part is not what it was. "
            f"Give the data that is to be evaluated on: tidegate evaluate {folder.path} {path}"
        )
    return data


def _columns_of(source: Any, columns: ClassDataSettings) -> ClassDataSettings:
    """Of the columns those that a source can have: arrays and files of the archive name none, folders of classes neither label nor id."""
    kind = "archive" if are_arrays(source) else labelled_kind(source)
    absent = {"archive": ("label", "id", "time", "channels"), "folder": ("label", "id")}.get(kind or "", ())
    return columns.model_copy(update=dict.fromkeys(absent))


def _channels(data: LabelledSequences) -> list[str]:
    return [channel.name for channel in data.sequences.channels]


def _single(data: LabelledSequences) -> list[str]:
    """A note on classes that are one sequence."""
    names = [f"'{name}'" for name, count in zip(data.classes, data.counts(), strict=True) if count == 1]
    if not names:
        return []
    shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return [f"{plural(len(names), 'class', 'classes')} with one sequence only ({shown}): it is trained on, and none is held aside"]
