"""From labelled sequences to what training a classifier needs: who is trained on, who is held aside, and on which scale."""

from dataclasses import dataclass, replace

import numpy as np

from tidegate.config_classify import ClassConfig
from tidegate.data.check_labelled import imbalance
from tidegate.data.labelled import LabelledSequences
from tidegate.data.scale import Scaler, fit_scaler
from tidegate.data.sequence_batches import folds_aside, hold_aside
from tidegate.errors import DataError

FARTHEST = 1e15
"""Deviations from the mean of training. Codes for 'missing' such as 9.96921e36 are beyond; their products would not be finite."""


@dataclass(frozen=True)
class ClassMaterial:
    """Scaled sequences and the parts they belong to.

    data        what was given to train on, scaled
    train       numbers of the sequences that the weights are found with, ascending
    validation  those that are held aside, to tell when to stop and how sure the network may be
    test        what is scored, scaled, with labels as numbers in `data.classes`; -1 for a class that training never saw
    scaler      fitted on all that is not scored: `train` and `validation`
    folds       what each network of an ensemble holds aside, over and over; `validation` is the first
    """

    config: ClassConfig
    data: LabelledSequences
    train: np.ndarray
    validation: np.ndarray
    test: LabelledSequences
    scaler: Scaler
    notes: list[str]
    folds: tuple[np.ndarray, ...] = ()

    @property
    def has_gaps(self) -> bool:
        """Whether any value of what is not scored is missing."""
        return bool(np.isnan(self.data.take(self.known).sequences.values).any())

    @property
    def known(self) -> np.ndarray:
        """Numbers of all sequences that are not scored."""
        return np.union1d(self.train, self.validation)

    def of_member(self, number: int) -> "ClassMaterial":
        """The material that one network of an ensemble is trained with: the same sequences, another fold of them held aside."""
        if not self.folds:
            return self
        held = self.folds[number % len(self.folds)]
        return replace(self, train=np.setdiff1d(self.known, held), validation=held)


def gather_labelled(data: LabelledSequences, config: ClassConfig, test: LabelledSequences | None = None) -> ClassMaterial:
    """The material of `data`; without `test`, some sequences of each class are held aside to be scored.

    Raises DataError where a label is missing, where there is only one class, and for test data with other channels.
    """
    data.require_labels()
    random = np.random.default_rng((config.training.seed, 0x636C6173))
    notes = list(data.notes)
    if test is None:
        rest, tested = hold_aside(data.labels, config.data.test, random)
        test = data.take(tested)
    else:
        notes += check_like(test, [channel.name for channel in data.sequences.channels], data.classes)
        test, rest = test.with_classes(data.classes), np.arange(len(data))
    labels = np.full(len(data), -1)
    labels[rest] = data.labels[rest]
    folds = tuple(folds_aside(labels, config.data.validation, random))
    validation = folds[0]
    train = np.setdiff1d(rest, validation)
    if not len(validation):
        notes.append("no class has a sequence to hold aside: training goes on to its last epoch")
    fitted = data.take(rest).sequences
    scaler = fit_scaler(fitted, fitted.ends, config.data.scaling, "global")
    uneven = imbalance(data.classes, data.take(rest).counts())
    notes += [uneven] if uneven else []
    return ClassMaterial(config, scaled(data, scaler), train, validation, scaled(test, scaler), scaler, notes, folds)


def check_like(data: LabelledSequences, channels: list[str], classes: tuple[str, ...]) -> list[str]:
    """Raise DataError unless the channels are those of training. A note on classes that training never saw."""
    own = [channel.name for channel in data.sequences.channels]
    if own != channels:
        raise DataError(f"{data.source} has {_channels(own)}, but training had {_channels(channels)}. Give data with the same channels.")
    unknown = data.unknown_classes(classes)
    if not unknown:
        return []
    count = int(np.isin(data.labels, [data.classes.index(name) for name in unknown]).sum())
    named = ", ".join(f"'{name}'" for name in unknown[:5]) + (", ..." if len(unknown) > 5 else "")
    return [f"{count:,} sequences of {data.source} are of a class that training never saw ({named}): each counts as wrong"]


def scaled(data: LabelledSequences, scaler: Scaler) -> LabelledSequences:
    """The same sequences on the scale of training. Raises DataError for a value too far from those of training to be computed with."""
    given = data.sequences.values
    with np.errstate(over="ignore"):
        values = (given - scaler.shift) / scaler.scale
    wrong = np.abs(values) > FARTHEST
    if wrong.any():
        row, column = (int(place) for place in np.argwhere(wrong)[0])
        number = int(np.searchsorted(data.sequences.offsets, row, side="right")) - 1
        where = f"{data.place(number)}, channel '{data.sequences.channels[column].name}'"
        raise DataError(
            f"{where}: the value {given[row, column]:g} is farther from those of training than can be computed with. If it stands for "
            "'missing', make it missing (empty, or NaN)."
        )
    return replace(data, sequences=data.sequences.with_values(values))


def _channels(names: list[str]) -> str:
    return f"{len(names)} channel{'s' if len(names) != 1 else ''} ({', '.join(names[:6])}{', ...' if len(names) > 6 else ''})"
