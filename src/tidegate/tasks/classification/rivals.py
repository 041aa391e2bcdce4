"""The naive rivals of a classifier: fitted on what it was trained on, kept with it, and asked the same."""

from collections.abc import Iterable, Mapping

import numpy as np

from tidegate.config_classify import ClassTrainingSettings
from tidegate.data.labelled import LabelledSequences
from tidegate.evaluate.class_baselines import CLASS_BASELINES, ClassBaseline
from tidegate.evaluate.minirocket import minirocket
from tidegate.tasks.classification.material import ClassMaterial

HOLDS_DATA = "nearest_neighbour"
"""Its fit is the training data, which a run does not hold: it is fitted again where that data is there."""

ClassRivals = dict[str, ClassBaseline]


def fit_class_rivals(material: ClassMaterial, names: Iterable[str] = tuple(CLASS_BASELINES)) -> ClassRivals:
    """Rivals by name, fitted on the sequences that are trained on and those that tell when to stop."""
    seen = material.data.take(material.known)
    sequences, count = seen.sequences, len(seen.classes)
    return {name: CLASS_BASELINES[name].fit(sequences.values, sequences.offsets, seen.labels, count) for name in names}


def neighbours(material: ClassMaterial) -> ClassRivals:
    """The rival that no run holds."""
    return fit_class_rivals(material, [HOLDS_DATA])


def class_rival_tensors(rivals: ClassRivals) -> dict[str, np.ndarray]:
    """All that baselines.safetensors holds."""
    kept = {name: rival for name, rival in rivals.items() if name != HOLDS_DATA}
    return {f"{name}.{key}": array for name, rival in kept.items() for key, array in rival.to_tensors().items()}


def kept_class_rivals(tensors: Mapping[str, np.ndarray]) -> ClassRivals:
    """The rivals that a run holds."""
    found: ClassRivals = {}
    for name, kind in CLASS_BASELINES.items():
        arrays = {key.removeprefix(f"{name}."): array for key, array in tensors.items() if key.startswith(f"{name}.")}
        if arrays:
            found[name] = kind.from_tensors(arrays)
    return found


def ask_minirocket(material: ClassMaterial, data: LabelledSequences, settings: ClassTrainingSettings) -> dict[str, np.ndarray]:
    """Probabilities [n, K] by 'minirocket', fitted to what a model was trained on by `settings`. Raises SettingsError where aeon cannot be
    imported."""
    seen = material.data.take(material.known)
    known, asked = seen.sequences, data.sequences
    answer = minirocket(
        *(known.values, known.offsets, seen.labels, len(seen.classes), asked.values, asked.offsets),
        seed=settings.seed,
        threads=settings.threads or 1,
    )
    return {"minirocket": answer}


def ask(rivals: ClassRivals, data: LabelledSequences) -> dict[str, np.ndarray]:
    """Probabilities [n, K] of each rival for sequences on the scale of training."""
    return {name: rival.predict(data.sequences.values, data.sequences.offsets) for name, rival in rivals.items()}
