"""What is wrong or odd with labelled sequences, before a classifier is trained on them."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tidegate.data.findings import MOST_EXAMPLES, CheckReport, Finding, make_report, plural
from tidegate.data.labelled import LabelledSequences

IMBALANCE = 5
"""From this many times as many sequences in the largest class as in the smallest, accuracy alone tells little."""
_MANY_GAPS = 0.2


def check_labelled(data: LabelledSequences) -> CheckReport:
    """Sequences, their lengths, channels and classes, and what is wrong or odd with them."""
    findings = [*_labels(data), *_classes(data), *_values(data), *_twins(data)]
    return make_report(data.source, _facts(data), findings)


def _facts(data: LabelledSequences) -> dict[str, Any]:
    sequences, lengths = data.sequences, data.sequences.lengths
    return {
        "sequences": len(data),
        "steps": {"least": int(lengths.min()), "most": int(lengths.max())},
        "channels": [channel.name for channel in sequences.channels],
        "classes": {name: int(count) for name, count in zip(data.classes, data.counts(), strict=True)},
        "missing": float(np.isnan(sequences.values).mean()),
        "notes": list(data.notes),
    }


def _labels(data: LabelledSequences) -> Iterable[Finding]:
    missing = np.flatnonzero(data.labels < 0)
    if len(missing):
        words = f"{plural(len(missing), 'sequence')} of {len(data):,} have no label. To train, label them or leave them out."
        yield Finding("error", "no-label", words, "", len(missing), tuple(data.place(int(number)) for number in missing[:MOST_EXAMPLES]))
    if len(data.classes) == 1:
        words = f"All labels are of one class, '{data.classes[0]}'; a classifier needs two or more."
        yield Finding("error", "one-class", words, "", len(data))


def _classes(data: LabelledSequences) -> Iterable[Finding]:
    counts = data.counts()
    if len(counts) < 2:
        return
    alone = [name for name, count in zip(data.classes, counts, strict=True) if count == 1]
    if alone:
        words = (
            f"{plural(len(alone), 'class', 'classes')} with one sequence only: it is trained on, and nothing is left to test the class "
            "on. Collect more, or leave the class out."
        )
        yield Finding("warning", "single-sequence", words, "", len(alone), tuple(f"class '{name}'" for name in alone[:MOST_EXAMPLES]))
    words = imbalance(data.classes, counts)
    if words:
        yield Finding("warning", "imbalance", words, "", len(data))


def imbalance(classes: Sequence[str], counts: np.ndarray) -> str:
    """What to do where the classes, with so many sequences each [K], are of very different size; nothing where they are not."""
    least, most = int(counts.argmin()), int(counts.argmax())
    if counts[most] < IMBALANCE * max(1, counts[least]):
        return ""
    return (
        f"Class '{classes[most]}' has {plural(int(counts[most]), 'sequence')}, class '{classes[least]}' {counts[least]:,}. "
        "Look at balanced_accuracy and f1_macro rather than accuracy, and try --set training.class_weights=balanced."
    )


def _values(data: LabelledSequences) -> Iterable[Finding]:
    values, sequences = data.sequences.values, data.sequences
    for column, channel in enumerate(sequences.channels):
        missing = float(np.isnan(values[:, column]).mean())
        present = values[~np.isnan(values[:, column]), column]
        if not len(present):
            yield Finding("error", "empty", "No value at all. Leave the channel out with --channels.", channel.name, len(values))
        elif present.min() == present.max():
            yield Finding("warning", "constant", f"Always {present[0]:g}: it tells nothing.", channel.name, len(values))
        elif missing > _MANY_GAPS:
            words = f"{100 * missing:.0f} % of the values are missing. They are masked, and the network is told where."
            yield Finding("warning", "missing", words, channel.name, int(np.isnan(values[:, column]).sum()))
        elif missing:
            words = f"{plural(int(np.isnan(values[:, column]).sum()), 'value')} missing: masked, and the network is told where."
            yield Finding("note", "missing", words, channel.name, int(np.isnan(values[:, column]).sum()))


def _twins(data: LabelledSequences) -> Iterable[Finding]:
    """Sequences that are there twice: with two labels nobody can tell them apart; with one they may lie in training and test."""
    first: dict[bytes, int] = {}
    same, contrary = [], []
    offsets = data.sequences.offsets
    for number in range(len(data)):
        key = data.sequences.values[offsets[number] : offsets[number + 1]].tobytes()
        other = first.setdefault(key, number)
        if other != number:
            (same if data.labels[other] == data.labels[number] else contrary).append((other, number))
    if contrary:
        words = f"{plural(len(contrary), 'sequence')} equal to another of a different class: no classifier can tell them apart."
        yield Finding("warning", "contrary-twins", words, "", len(contrary), _pairs(data, contrary))
    if same:
        words = f"{plural(len(same), 'sequence')} equal to another of the same class: one may be trained on and the other tested."
        yield Finding("warning", "twins", words, "", len(same), _pairs(data, same))


def _pairs(data: LabelledSequences, pairs: list[tuple[int, int]]) -> tuple[str, ...]:
    return tuple(f"{data.place(one)} and {data.place(other).rpartition(', ')[2]}" for one, other in pairs[:MOST_EXAMPLES])
