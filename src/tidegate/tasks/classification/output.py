"""Classes as a table: a row a sequence."""

from typing import Any

import numpy as np
import polars as pl

from tidegate.data.labelled import LabelledSequences, class_values
from tidegate.tasks.classification.model import ClassModel
from tidegate.tasks.output import as_ids


def predicted(model: ClassModel, probabilities: np.ndarray) -> np.ndarray:
    """The likeliest class of each row of probabilities [n, K], as labels were given in training: [n]."""
    return class_values(model.classes, model.label_kind)[probabilities.argmax(1)]


def class_frame(model: ClassModel, data: LabelledSequences, probabilities: np.ndarray) -> pl.DataFrame:
    """The id, the likeliest class under the name of the label column, and the probability of each class as `p_CLASS`."""
    frame: dict[str, Any] = {data.id_name: as_ids(pl.Series(data.sequences.ids, dtype=pl.String), data.id_type)}
    frame[_free(model.config.data.label or "label", frame)] = predicted(model, probabilities).tolist()
    for number, name in enumerate(model.classes):
        frame[_free(f"p_{name}", frame)] = probabilities[:, number]
    return pl.DataFrame(frame)


def _free(name: str, taken: dict[str, Any]) -> str:
    while name in taken:
        name += "_"
    return name
