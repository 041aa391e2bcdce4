"""The check of labelled sequences: each kind of trouble is found where it was put, and good data is left in peace."""

import json
from typing import Any

import numpy as np
import pytest

from tidegate.data.check_labelled import check_labelled
from tidegate.data.findings import CheckReport, Finding
from tidegate.data.labelled import from_arrays


def noise(count: int = 12, steps: int = 10, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, steps, channels))


def look(X: Any, y: Any, **more: Any) -> CheckReport:
    report = check_labelled(from_arrays(X, y, **more))
    json.dumps(report.to_json(), allow_nan=False)
    return report


def only(report: CheckReport, code: str) -> Finding:
    """The one finding of that code."""
    found = [finding for finding in report.findings if finding.code == code]
    assert len(found) == 1, report.findings
    return found[0]


Y = ["a", "b"] * 6


def test_good_data_has_no_findings_and_its_facts_are_told() -> None:
    X = [values[: 5 + number % 4] for number, values in enumerate(noise())]
    report = look(X, Y, channels=["u", "v"])
    assert report.findings == () and report.ok
    assert report.facts == {
        "sequences": 12,
        "steps": {"least": 5, "most": 8},
        "channels": ["u", "v"],
        "classes": {"a": 6, "b": 6},
        "missing": 0.0,
        "notes": [],
    }


def test_labels_that_are_missing() -> None:
    finding = only(look(noise(), [None, *Y[1:-1], ""]), "no-label")
    assert (finding.level, finding.count) == ("error", 2)
    assert finding.message == "2 sequences of 12 have no label. To train, label them or leave them out."
    assert finding.examples == ("arrays, sequence '1'", "arrays, sequence '12'")
    none = look(noise(), None)
    assert [finding.code for finding in none.findings] == ["no-label"] and not none.ok
    assert len(only(none, "no-label").examples) == 5 and none.facts["classes"] == {}


def test_one_class_only() -> None:
    finding = only(look(noise(), ["a"] * 12), "one-class")
    assert (finding.level, finding.count) == ("error", 12)
    assert finding.message == "All labels are of one class, 'a'; a classifier needs two or more."


def test_a_class_of_one_sequence() -> None:
    report = look(noise(4), ["a", "b", "a", "c"])
    finding = only(report, "single-sequence")
    assert (finding.level, finding.count, finding.examples) == ("warning", 2, ("class 'b'", "class 'c'"))
    assert "2 classes with one sequence only" in finding.message and "Collect more" in finding.message
    assert report.ok


@pytest.mark.parametrize(("many", "found"), [(10, True), (9, False)])
def test_classes_of_very_different_size(many: int, found: bool) -> None:
    report = look(noise(many + 2), ["a"] * many + ["b"] * 2)
    if not found:
        assert report.findings == ()
        return
    finding = only(report, "imbalance")
    assert finding.level == "warning" and finding.message.startswith("Class 'a' has 10 sequences, class 'b' 2. ")
    assert "balanced_accuracy" in finding.message and "--set training.class_weights=balanced" in finding.message


def test_missing_values() -> None:
    X = noise()
    X[3, 2, 1] = np.nan
    finding = only(look(X, Y), "missing")
    assert (finding.level, finding.where, finding.count) == ("note", "channel_2", 1)
    assert finding.message == "1 value missing: masked, and the network is told where."
    X[:, :3, 1] = np.nan
    report = look(X, Y)
    finding = only(report, "missing")
    assert (finding.level, finding.where, finding.count) == ("warning", "channel_2", 36)
    assert finding.message.startswith("30 % of the values are missing")
    assert report.facts["missing"] == pytest.approx(0.15)


def test_channels_that_tell_nothing() -> None:
    X = noise(channels=3)
    X[:, :, 1] = np.nan
    X[:, :, 2] = 2.5
    report = look(X, Y)
    empty, constant = only(report, "empty"), only(report, "constant")
    assert (empty.level, empty.where, empty.message) == ("error", "channel_2", "No value at all. Leave the channel out with --channels.")
    assert (constant.level, constant.where, constant.message) == ("warning", "channel_3", "Always 2.5: it tells nothing.")
    assert [finding.level for finding in report.findings] == ["error", "warning"], "the worst first"


def test_sequences_that_are_there_twice() -> None:
    X = noise()
    X[[2, 5, 9]] = X[[0, 1, 0]]
    report = look(X, Y)
    same, contrary = only(report, "twins"), only(report, "contrary-twins")
    assert (same.level, same.count) == ("warning", 2)
    assert same.examples == ("arrays, sequence '1' and sequence '3'", "arrays, sequence '2' and sequence '6'")
    assert (contrary.level, contrary.count, contrary.examples) == ("warning", 1, ("arrays, sequence '1' and sequence '10'",))
    assert "no classifier can tell them apart" in contrary.message and "the other tested" in same.message


def test_the_same_values_over_another_length_are_no_twins() -> None:
    """A sequence of two channels has the bytes of one of twice as many steps in no other data set."""
    X = [np.zeros((4, 1)), np.zeros((5, 1)), *noise(2, 6, 1)]
    assert look(X, ["a", "b", "a", "b"]).findings == ()
