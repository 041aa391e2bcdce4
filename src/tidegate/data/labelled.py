"""Sequences with a label each: what a classifier is trained on, and how it is made from arrays."""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator
from collections.abc import Sequence as Listed
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from tidegate.data.calendar import Frequency
from tidegate.data.sequences import Channel, Sequences
from tidegate.errors import DataError

LabelKind = Literal["text", "number", "truth"]
_WHOLE = re.compile(r"[-+]?\d+(\.\d*([eE][-+]?\d+)?|[eE][-+]?\d+)")
_EXACT = 1 << 53
"""Up to here a float64 holds every whole number."""


@dataclass(frozen=True)
class LabelledSequences:
    """Sequences of any length, each with the number of its class.

    sequences  channels of the role "past" on plain steps; NaN is missing
    labels     int64 [n]: number in `classes`; -1: missing, or none of them
    classes    names, sorted, numbers by size
    source     file name, "data frame" or "arrays", for messages
    lines      int64 [n]: the line of the file in which each sequence stands; None where it has no line of its own
    notes      what was recognised, and what is odd
    label_kind what labels were before they were names: text, numbers or truth values
    id_name    the column of ids
    id_type    its type, as polars calls it
    label_name the column of labels; None: they had none
    frame_kind "file", or whose frame they came in, as of Table
    """

    sequences: Sequences
    labels: np.ndarray
    classes: tuple[str, ...]
    source: str = "arrays"
    lines: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    label_kind: LabelKind = "text"
    id_name: str = "id"
    id_type: str = "String"
    label_name: str | None = None
    frame_kind: str = "file"

    def __len__(self) -> int:
        return len(self.sequences)

    def place(self, number: int) -> str:
        """Where a sequence stands, for messages."""
        if self.lines is not None:
            return f"{self.source}, line {self.lines[number]}"
        return f"{self.source}, sequence '{self.sequences.ids[number]}'"

    def counts(self) -> np.ndarray:
        """Sequences of each class, int64 [K]."""
        return np.bincount(self.labels[self.labels >= 0], minlength=len(self.classes))

    def take(self, numbers: np.ndarray) -> "LabelledSequences":
        """Only the sequences with these numbers, in their order."""
        sequences = self.sequences
        begins, lengths = sequences.offsets[numbers], sequences.lengths[numbers]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        part = replace(
            sequences,
            values=sequences.values[np.repeat(begins - offsets[:-1], lengths) + np.arange(offsets[-1])],
            offsets=offsets,
            ids=tuple(sequences.ids[number] for number in numbers),
            starts=sequences.starts[numbers],
            static=sequences.static[numbers],
            ends=offsets[1:].copy(),
        )
        return replace(self, sequences=part, labels=self.labels[numbers], lines=None if self.lines is None else self.lines[numbers])

    def with_classes(self, classes: Listed[str]) -> "LabelledSequences":
        """The same with labels as numbers in another data set's classes; -1 for a class that is none of them (`unknown_classes`)."""
        numbers = {name: number for number, name in enumerate(classes)}
        renumbered = np.array([*(numbers.get(name, -1) for name in self.classes), -1], dtype=np.int64)  # the last one is that of -1
        return replace(self, labels=renumbered[self.labels], classes=tuple(classes))

    def unknown_classes(self, classes: Listed[str]) -> tuple[str, ...]:
        """The classes that are not among another data set's."""
        known = set(classes)
        return tuple(name for name in self.classes if name not in known)

    def checksum(self) -> str:
        """SHA-256 of all that a classifier learns from: values, lengths, labels, names."""
        digest = hashlib.sha256()
        for array in (self.sequences.values, self.sequences.offsets, self.labels):
            digest.update(np.ascontiguousarray(array).data)
        names = [self.classes, self.sequences.ids, [channel.name for channel in self.sequences.channels]]
        digest.update(json.dumps(names).encode())
        return digest.hexdigest()

    def require_labels(self) -> None:
        """What training needs: raise DataError unless each sequence has a label, and there are two classes or more."""
        missing = np.flatnonzero(self.labels < 0)
        if missing.size == len(self):
            raise DataError(f"{self.source}: no sequence has a label. Name the column that holds it with --label; for arrays give y.")
        if missing.size:
            words = f"{missing.size:,} of {len(self):,} sequences have none"
            raise DataError(f"{self.place(int(missing[0]))}: no label ({words}). Label them, or leave them out.")
        if len(np.unique(self.labels)) < 2:
            only = self.classes[int(self.labels[0])]
            raise DataError(f"{self.source}: all {len(self):,} sequences are of class '{only}'; expected two classes or more.")


def from_arrays(
    X: Any, y: Any = None, *, ids: Listed[str] | None = None, channels: Listed[str] | None = None, source: str = "arrays"
) -> LabelledSequences:
    """Sequences from arrays, as they are: NaN is missing, at the end too.

    X         an array [n, T] or [n, T, C], or a list of n arrays [T_i] or [T_i, C]
    y         n labels: texts, numbers or truth values; None, NaN and '' are missing
    ids       n names; None: the numbers from 1
    channels  C names; None: 'value', or 'channel_1' and so on

    Raises DataError for shapes that do not fit, values that are no numbers or not finite in float32, names that repeat.
    """
    shape = getattr(X, "shape", None)
    if shape is not None and (len(shape) != 1 or np.asarray(X).dtype != object):  # an array of arrays is a list of them
        values, lengths = _stacked(X)
    elif isinstance(X, Iterable) and not isinstance(X, str):
        values, lengths = _joined(list(X))
    else:
        raise DataError(f"X is a {type(X).__name__}; expected an array [n, T] or [n, T, C], or a list of arrays [T_i] or [T_i, C].")
    notes = []
    if shape is not None and len(shape) == 3 and shape[2] > shape[1]:
        notes.append(f"{shape[1]} steps and more channels ({shape[2]}): arrays are [n, T, C], unlike the [n, C, T] of aeon and sktime")
    y = _detached(y)
    y = list(y) if isinstance(y, Iterator) else y
    labels = _labels(y, len(lengths))
    data = label_rows(values, lengths, labels, ids=ids, channels=channels, source=source, notes=notes)
    return replace(data, label_kind=_kind_of(y))


def class_values(classes: Listed[str], kind: LabelKind) -> np.ndarray:
    """The classes as labels were given: [K] of texts, whole numbers, floats or truth values."""
    if kind == "truth":
        return np.array([name == "true" for name in classes])
    if kind == "number":
        return np.array([int(name) if name.lstrip("+-").isdecimal() else float(name) for name in classes])
    return np.array(classes, dtype=object)


def label_rows(
    values: np.ndarray,
    lengths: np.ndarray,
    labels: Listed[str | None],
    *,
    ids: Listed[str] | None = None,
    channels: Listed[str] | None = None,
    source: str = "arrays",
    lines: np.ndarray | None = None,
    notes: Iterable[str] = (),
) -> LabelledSequences:
    """Labelled sequences from their rows, one sequence after the other.

    values   [R, C], taken over if float32; NaN is missing
    lengths  int64 [n], their sum R
    labels   n texts, made by `label_text` or `number_text`; None where missing

    ids and channels are as in `from_arrays`. Raises DataError for an empty sequence, infinities and names that repeat.
    """
    ids = _names("ids", ids, [str(number) for number in range(1, len(lengths) + 1)])
    count = values.shape[1]
    channels = _names("channels", channels, ["value"] if count == 1 else [f"channel_{number}" for number in range(1, count + 1)])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    with np.errstate(over="ignore"):
        floats = values.astype(np.float32, copy=False)
    sequences = Sequences(
        values=floats,
        offsets=offsets,
        ids=ids,
        channels=tuple(Channel(name, "past") for name in channels),
        frequency=Frequency("integer", "step"),
        starts=np.zeros(len(ids), dtype=np.int64),
        static=np.empty((len(ids), 0), dtype=np.float32),
        static_channels=(),
        ends=offsets[1:].copy(),
    )
    classes = _sorted({label for label in labels if label is not None})
    numbers = {name: number for number, name in enumerate(classes)}
    coded = np.array([-1 if label is None else numbers[label] for label in labels], dtype=np.int64)
    result = LabelledSequences(sequences, coded, classes, source, lines)
    _check_values(result, values)
    return replace(result, notes=(*notes, *label_notes(result)))


def label_text(value: Any) -> str | None:
    """A label as text; None if it is missing (None, NaN, an empty text). Texts stay as they are; of numbers see `number_text`."""
    value = value.item() if hasattr(value, "item") else value  # numbers of NumPy and torch
    if value is None or type(value).__name__ in ("NAType", "NaTType"):  # of pandas, which is not among our requirements
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value if value.strip() else None
    return number_text(str(value))


def number_text(text: str) -> str | None:
    """A label that was written as a number, or may have been; None if empty. A whole number has no point, so that 1.0 is class '1'."""
    text = text.strip()
    if _WHOLE.fullmatch(text) and float(text).is_integer() and abs(float(text)) <= _EXACT:
        return str(int(float(text)))
    return text or None


def _kind_of(y: Any) -> LabelKind:
    values = [value for value in np.asarray(y, dtype=object).ravel().tolist() if label_text(value) is not None] if y is not None else []
    values = [value.item() if hasattr(value, "item") else value for value in values]
    if values and all(isinstance(value, bool) for value in values):
        return "truth"
    numbers = values and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return "number" if numbers else "text"


def _labels(y: Any, count: int) -> list[str | None]:
    if y is None:
        return [None] * count
    if isinstance(y, str) or not isinstance(y, Iterable):
        raise DataError(f"y is a {type(y).__name__}; expected a list or an array of {count} labels.")
    array = np.asarray(y) if hasattr(y, "__array__") else None  # a list is no array: NumPy makes the text 'nan' of NaN beside texts
    if array is not None and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    values = list(y) if array is None else array.tolist()
    shape = [len(values)] if array is None else list(array.shape)
    if shape != [count]:
        raise DataError(f"y has the shape {shape}, but X holds {count} sequences; expected a label each, [{count}].")
    nested = next((value for value in values if isinstance(value, list | tuple | dict | np.ndarray)), None)
    if nested is not None:
        raise DataError(f"y holds {nested}; expected a label for each sequence: a text, a number or a truth value.")
    return [label_text(value) for value in values]


def _stacked(X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows [n * T, C] of an array [n, T] or [n, T, C], and the n lengths."""
    array = _floats(X, "X")
    if array.ndim not in (2, 3) or not array.size:
        cure = " A single sequence is X[None]." if array.ndim == 1 and array.size else ""
        raise DataError(f"X has the shape {list(array.shape)}; expected [n, T] or [n, T, C], or a list of arrays [T_i] or [T_i, C].{cure}")
    count, steps = array.shape[:2]
    return array.reshape(count * steps, -1), np.full(count, steps, dtype=np.int64)


def _joined(parts: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of n arrays [T_i] or [T_i, C] one after the other, and the n lengths."""
    if not parts:
        raise DataError("X holds no sequence; expected [n, T], [n, T, C], or a list of arrays [T_i] or [T_i, C].")
    arrays = [_floats(part, f"X[{number}]") for number, part in enumerate(parts)]
    for number, array in enumerate(arrays):
        if array.ndim not in (1, 2):
            raise DataError(f"X[{number}] has the shape {list(array.shape)}; expected a sequence: [T] or [T, C].")
        if array.ndim != arrays[0].ndim or array.shape[1:] != arrays[0].shape[1:]:
            given = f"X[{number}] has the shape {list(array.shape)}, but X[0] has {list(arrays[0].shape)}"
            raise DataError(f"{given}; expected the same number of channels in each, [T_i, C].")
        if not array.size:
            raise DataError(f"X[{number}] has the shape {list(array.shape)}: no value. Leave it out.")
    lengths = np.array([len(array) for array in arrays], dtype=np.int64)
    return np.concatenate(arrays).reshape(int(lengths.sum()), -1), lengths


def _detached(value: Any) -> Any:
    """A tensor of torch as NumPy can read it, anything else as it is."""
    return value.detach().cpu() if hasattr(value, "detach") else value


def _floats(part: Any, name: str) -> np.ndarray:
    """A copy as floats, NaN where masked."""
    masked = part.mask if isinstance(part, np.ma.MaskedArray) else None
    part = _detached(part)
    try:
        array = np.asarray(part)
        if array.dtype.kind not in "biufO":
            raise DataError(f"{name} holds {array.dtype}; expected numbers.")
        array = np.array(array, dtype=array.dtype if array.dtype.kind == "f" else np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} is no array of numbers: {error}; expected [T] or [T, C] for each sequence.") from None
    if masked is not None:
        array[masked] = np.nan
    return array


def _names(what: str, given: Listed[str] | None, default: list[str]) -> tuple[str, ...]:
    names = tuple(default if given is None else map(str, given))
    if len(names) != len(default):
        raise DataError(f"{len(names)} {what} for {len(default)}; expected one each.")
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))
        raise DataError(f"'{twice}' is given twice in {what}; expected each name once.")
    return names


def _sorted(names: set[str]) -> tuple[str, ...]:
    """In order of the alphabet; by size if all are numbers."""
    try:
        sizes = {name: float(name) for name in names}
    except ValueError:
        return tuple(sorted(names))
    return tuple(sorted(names, key=lambda name: (sizes[name], name))) if all(map(math.isfinite, sizes.values())) else tuple(sorted(names))


def _check_values(data: LabelledSequences, given: np.ndarray) -> None:
    """Raise DataError for a sequence without a step, and for infinities."""
    sequences = data.sequences
    empty = np.flatnonzero(sequences.lengths == 0)
    if empty.size:
        raise DataError(f"{data.place(int(empty[0]))}: no value. Leave the sequence out.")
    wrong = np.isinf(sequences.values)
    if wrong.any():
        row, column = (int(number) for number in np.argwhere(wrong)[0])
        number = int(np.searchsorted(sequences.offsets, row, side="right")) - 1
        where = f"{data.place(number)}, step {row - sequences.offsets[number] + 1}, channel '{sequences.channels[column].name}'"
        raise DataError(
            f"{where}: the value {given[row, column]} is not finite in 32-bit floating point. Make it missing (NaN), or scale the channel."
        )


def label_notes(data: LabelledSequences) -> list[str]:
    """What is odd with labels."""
    missing = np.flatnonzero(data.labels < 0)
    if missing.size == len(data):
        return ["no sequence has a label"]
    notes = []
    if missing.size:
        notes.append(f"{missing.size:,} of {len(data):,} sequences have no label, the first: {data.place(int(missing[0]))}")
    if len(data.classes) == 1:
        notes.append(f"all labels are of one class, '{data.classes[0]}'")
    return notes
