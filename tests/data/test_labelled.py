"""Labelled sequences: from arrays of every shape, and their classes."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data.labelled import LabelledSequences, from_arrays, label_text, number_text
from tidegate.errors import DataError


def parts(data: LabelledSequences) -> list[np.ndarray]:
    """The values of each sequence, [T_i, C]."""
    offsets = data.sequences.offsets
    return [data.sequences.values[start:stop] for start, stop in pairwise(offsets)]


def names(data: LabelledSequences) -> list[str | None]:
    """The label of each sequence."""
    return [data.classes[number] if number >= 0 else None for number in data.labels]


def test_two_and_three_dimensions() -> None:
    flat = np.array([[1.0, 2.0, np.nan], [4.0, np.nan, 6.0]])
    one = from_arrays(flat, ["a", "b"])
    assert one.sequences.values.dtype == np.float32
    np.testing.assert_array_equal(parts(one)[0][:, 0], flat[0].astype(np.float32))
    np.testing.assert_array_equal(parts(one)[1][:, 0], flat[1].astype(np.float32))
    assert [channel.name for channel in one.sequences.channels] == ["value"]
    deep = np.arange(24).reshape(2, 4, 3)
    three = from_arrays(deep, ["a", "b"], ids=["x", "y"], channels=["u", "v", "w"])
    np.testing.assert_array_equal(np.stack(parts(three)), deep)
    assert three.sequences.ids == ("x", "y")
    assert [(channel.name, channel.role) for channel in three.sequences.channels] == [("u", "past"), ("v", "past"), ("w", "past")]
    assert three.sequences.targets == ()
    assert three.sequences.frequency.text == "every step"
    assert three.sequences.lengths.tolist() == [4, 4]
    assert three.sequences.starts.tolist() == [0, 0]
    assert three.sequences.static.shape == (2, 0)


def test_ragged_lists_keep_their_lengths() -> None:
    given = [np.ones((3, 2)), np.zeros((1, 2)), np.full((5, 2), np.nan)]
    data = from_arrays(given)
    assert data.sequences.lengths.tolist() == [3, 1, 5]
    for left, right in zip(parts(data), given, strict=True):
        np.testing.assert_array_equal(left, right)
    assert data.labels.tolist() == [-1, -1, -1] and data.classes == ()
    assert data.notes == ("no sequence has a label",)
    flat = from_arrays([[1, 2, 3], [4, None]], [True, False])
    np.testing.assert_array_equal(parts(flat)[1][:, 0], [4, np.nan])
    assert names(flat) == ["true", "false"]
    objects = np.empty(2, dtype=object)
    objects[:] = [np.ones(2), np.ones(3)]
    assert from_arrays(objects).sequences.lengths.tolist() == [2, 3]


def test_the_arrays_given_are_not_shared() -> None:
    given = np.zeros((2, 3, 1), dtype=np.float32)
    from_arrays(given).sequences.values[:] = 1.0
    assert not given.any()


def test_masked_values_are_missing() -> None:
    masked = np.ma.masked_array([[1, 2], [3, 4]], mask=[[False, True], [False, False]])
    np.testing.assert_array_equal(from_arrays(masked).sequences.values[:, 0], [1, np.nan, 3, 4])


@pytest.mark.parametrize(
    ("y", "expected", "classes"),
    [
        (["b", None, "a", float("nan")], ["b", None, "a", None], ("a", "b")),
        (np.array([1.0, np.nan, 2.0, 10.0]), ["1", None, "2", "10"], ("1", "2", "10")),
        (np.array([[2], [1], [10], [1]]), ["2", "1", "10", "1"], ("1", "2", "10")),
        (pd.Series(["x", pd.NA, "", "y"]), ["x", None, None, "y"], ("x", "y")),
        (pl.Series([-1, 1, None, 1]), ["-1", "1", None, "1"], ("-1", "1")),
        (["10", "9", "b", "1"], ["10", "9", "b", "1"], ("1", "10", "9", "b")),
        ([0.5, 0.25, 1.0, "nan"], ["0.5", "0.25", "1", "nan"], ("0.25", "0.5", "1", "nan")),
    ],
)
def test_labels(y: Any, expected: list[str | None], classes: tuple[str, ...]) -> None:
    data = from_arrays(np.zeros((4, 2)), y)
    assert names(data) == expected
    assert data.classes == classes
    assert data.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1.0", "1"),
        ("1.0000000e+00", "1"),
        ("-2e0", "-2"),
        (" a ", "a"),
        ("007", "007"),
        ("1.5", "1.5"),
        ("1e300", "1e300"),
    ],
)
def test_a_whole_number_is_written_without_a_point(given: str, expected: str) -> None:
    assert number_text(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"), [(np.float32(3), "3"), (1.0, "1"), (True, "true"), ("1.0", "1.0"), (" a ", " a "), (" ", None)]
)
def test_a_label_that_is_a_text_stays_as_it_is(given: Any, expected: str | None) -> None:
    assert label_text(given) == expected


def test_classes_of_another_data_set() -> None:
    train = from_arrays(np.zeros((3, 2)), ["b", "c", "a"])
    test = from_arrays(np.zeros((4, 2)), ["c", "d", None, "a"])
    assert test.unknown_classes(train.classes) == ("d",)
    there = test.with_classes(train.classes)
    assert there.classes == ("a", "b", "c")
    assert there.labels.tolist() == [2, -1, -1, 0]
    assert test.labels.tolist() == [1, 2, -1, 0]
    assert len(there) == 4


@given(st.lists(st.sampled_from("abcdef"), min_size=1), st.lists(st.sampled_from("abcdef"), min_size=1, unique=True))
def test_renumbered_labels_name_the_same_classes(labels: list[str], classes: list[str]) -> None:
    data = from_arrays(np.zeros((len(labels), 1)), labels)
    assert names(data.with_classes(classes)) == [label if label in classes else None for label in labels]


def test_what_training_needs() -> None:
    from_arrays(np.zeros((2, 2)), ["a", "b"]).require_labels()
    with pytest.raises(DataError, match=r"arrays, sequence '2': no label \(1 of 3 sequences have none\). Label them"):
        from_arrays(np.zeros((3, 2)), ["a", None, "b"]).require_labels()
    single = from_arrays(np.zeros((3, 2)), ["a", "a", "a"])
    assert single.notes == ("all labels are of one class, 'a'",)
    with pytest.raises(DataError, match="all 3 sequences are of class 'a'; expected two classes or more"):
        single.require_labels()
    some = from_arrays(np.zeros((3, 2)), ["a", None, "b"], source="x")
    assert some.notes == ("1 of 3 sequences have no label, the first: x, sequence '2'",)


def test_swapped_axes_are_noted() -> None:
    assert "aeon" in from_arrays(np.zeros((5, 3, 100))).notes[0]
    assert not any("aeon" in note for note in from_arrays(np.zeros((5, 100, 3))).notes)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros(3), None, r"X has the shape \[3\]; expected \[n, T\] or \[n, T, C\].* X\[None\]"),
        (np.zeros((2, 2, 2, 2)), None, r"X has the shape \[2, 2, 2, 2\]"),
        (np.zeros((2, 0)), None, r"X has the shape \[2, 0\]"),
        ([], None, "X holds no sequence"),
        ([1.0, 2.0], None, r"X\[0\] has the shape \[\]; expected a sequence"),
        ([[1.0], []], None, r"X\[1\] has the shape \[0\]: no value"),
        ([np.zeros((3, 2)), np.zeros((3, 4))], None, r"X\[1\] has the shape \[3, 4\], but X\[0\] has \[3, 2\].*number of channels"),
        ([np.zeros((3, 1)), np.zeros(3)], None, r"X\[1\] has the shape \[3\], but X\[0\] has \[3, 1\]"),
        ([["a", "b"]], None, r"X\[0\] holds <U1; expected numbers"),
        (np.array([["a", "b"]]), None, "X holds <U1; expected numbers"),
        (np.array([["a", 1.0]], dtype=object), None, "X is no array of numbers: could not convert"),
        ([[1.0, [2.0]]], None, r"X\[0\] is no array of numbers"),
        (np.array([["2020-01-01"]], dtype="M8[D]"), None, "X holds datetime64"),
        (3, None, "X is a int; expected an array"),
        ("abc", None, "X is a str; expected an array"),
        (np.zeros((3, 2)), ["a", "b"], r"y has the shape \[2\], but X holds 3 sequences; expected a label each, \[3\]"),
        (np.zeros((3, 2)), np.zeros((3, 2)), r"y has the shape \[3, 2\]"),
        (np.zeros((2, 2)), [["a"], ["b"]], r"y holds \['a'\]; expected a label for each sequence"),
        (np.zeros((2, 2)), "ab", "y is a str; expected a list or an array of 2 labels"),
        (np.zeros((2, 2)), 7, "y is a int"),
        (np.array([[1.0, 2.0], [np.inf, 4.0]]), None, "arrays, sequence '2', step 1, channel 'value': the value inf is not finite"),
        (np.array([[1.0, 2.0], [3.0, 1e39]]), None, r"sequence '2', step 2, channel 'value': the value 1e\+39 is not finite in 32-bit"),
    ],
)
def test_bad_arrays(x: Any, y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_arrays(x, y)


def test_bad_names() -> None:
    with pytest.raises(DataError, match="'a' is given twice in ids; expected each name once"):
        from_arrays(np.zeros((2, 2)), ids=["a", "a"])
    with pytest.raises(DataError, match="1 ids for 2; expected one each"):
        from_arrays(np.zeros((2, 2)), ids=["a"])
    with pytest.raises(DataError, match="3 channels for 2"):
        from_arrays(np.zeros((2, 2, 2)), channels=["a", "b", "c"])


def test_some_of_the_sequences_are_taken_as_they_are() -> None:
    data = from_arrays([np.arange(n)[:, None] + [100.0 * n, 0.0] for n in (3, 1, 4)], ["a", None, "b"], ids=["x", "y", "z"])
    numbers = np.array([2, 0, 2])
    part = data.take(numbers)
    assert part.sequences.ids == ("z", "x", "z") and part.sequences.lengths.tolist() == [4, 3, 4]
    assert part.labels.tolist() == [1, 0, 1] and part.classes == data.classes
    np.testing.assert_array_equal(part.sequences.values[4:7], data.sequences.values[:3])
    np.testing.assert_array_equal(part.sequences.values[:4], data.sequences.values[4:])
    assert len(data.take(numbers[:0])) == 0
