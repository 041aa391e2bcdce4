"""Preparation: fitted on the training part alone, kept as JSON, and blind to what comes after a forecast origin."""

import json

import numpy as np
import pytest

from tests.data.panels import panel
from tidegate.config import DataSettings
from tidegate.data.hampel import SENTINEL
from tidegate.data.preparation import Prepared, fit_preparation, record_before
from tidegate.data.sequences import Sequences
from tidegate.data.split import Parts, split_parts
from tidegate.data.windows import Windows

SETTINGS = DataSettings(horizon=6, season=(24,))
LENGTHS = (300, 180)


def spiky(seed: int, lengths: tuple[int, ...] = LENGTHS, sentinels: bool = True) -> Sequences:
    """Waves with spikes, gaps, and runs of -999."""
    random = np.random.default_rng(seed)
    arrays = []
    for length in lengths:
        steps = np.arange(length)
        array = np.stack([10 * np.sin(steps * 2 * np.pi / 24) + random.normal(0, 0.5, length) for _ in range(2)], 1)
        array[random.integers(0, length, 8), random.integers(0, 2, 8)] += random.choice([-300.0, 300.0], 8)
        array[random.integers(0, length, 6)] = np.nan
        if sentinels:
            array[10:13, 0] = array[40:75, 1] = -999.0
        arrays.append(array)
    return panel(arrays, ("target", "past"))


def parts_of(sequences: Sequences) -> Parts:
    return split_parts(sequences, "60/20/20", 6)


def prepare(sequences: Sequences, settings: DataSettings = SETTINGS) -> tuple[Prepared, Parts]:
    parts = parts_of(sequences)
    return fit_preparation(sequences, parts, settings).apply(sequences, parts.train), parts


def same(one: object, other: object) -> bool:
    """Equal as JSON, to the bit of each number."""
    return json.dumps(one) == json.dumps(other)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scaling", ["standard", "min-max", "robust", "mean-absolute"])
@pytest.mark.parametrize("scope", ["series", "global"])
def test_nothing_after_the_training_part_is_looked_at(seed: int, scaling: str, scope: str) -> None:
    settings = SETTINGS.model_copy(update={"scaling": scaling, "scaling_scope": scope})
    sequences = spiky(seed)
    before, parts = prepare(sequences, settings)
    tree = before.preparation.to_json()
    windows = Windows(before, 48, 6, ())
    at = (np.array([0, 1]), parts.train - 6)
    batch = windows.batch(*at)
    random = np.random.default_rng(seed)
    for begin, end in zip(parts.train, sequences.offsets[1:], strict=True):
        sequences.values[begin:end] = random.choice([-999.0, 1e4, np.nan, 0.0], (end - begin, 2))
    after, _ = prepare(sequences, settings)
    assert same(after.preparation.to_json(), tree)
    again = Windows(after, 48, 6, ()).batch(*at)
    for one, other in zip(batch, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("seed", range(12))
def test_a_window_at_an_origin_is_blind_to_what_comes_after(seed: int) -> None:
    sequences = spiky(seed)
    before, parts = prepare(sequences)
    random = np.random.default_rng(100 + seed)
    origins = np.concatenate([random.integers(parts.train[one], sequences.offsets[one + 1] - 1, 10) for one in range(2)])
    series = np.repeat([0, 1], 10)
    whole = Windows(before, 48, 6, ()).at(series, origins).batch(0, 20)
    for number in range(20):
        changed = spiky(seed)
        origin, end = origins[number], sequences.offsets[series[number] + 1]
        changed.values[origin:end] = random.choice([-999.0, 500.0, 0.0, np.nan], (end - origin, 2))
        other = before.preparation.apply(changed, parts.train)
        one = Windows(other, 48, 6, ()).at(series[number : number + 1], origins[number : number + 1]).batch(0, 1)
        np.testing.assert_array_equal(one.target_BLC[0], whole.target_BLC[number])
        np.testing.assert_array_equal(one.past_BLP[0], whole.past_BLP[number])


@pytest.mark.parametrize("seed", range(6))
def test_new_series_are_scaled_by_what_lies_before_their_first_origin(seed: int) -> None:
    preparation = prepare(spiky(0))[0].preparation
    new = spiky(seed + 50)
    new = new.__class__(**{**vars(new), "ids": ("new0", "id1")})
    random = np.random.default_rng(seed)
    ends = new.offsets[:-1] + random.integers(80, 150, 2)
    new.values[ends[0] - 1] = 300.0
    rows = preparation.apply(new, ends).scaler
    assert rows.shift[1].tolist() == preparation.scaler.shift[1].tolist(), "a known series by its training part"
    assert rows.shift[0].tolist() != preparation.scaler.shift[0].tolist()
    new.values[ends[0] : new.offsets[1]] = random.choice([-999.0, 1e4], (new.offsets[1] - ends[0], 2))
    again = preparation.apply(new, ends).scaler
    np.testing.assert_array_equal(again.shift, rows.shift)
    np.testing.assert_array_equal(again.scale, rows.scale)


def test_a_series_that_was_too_short_to_train_on_is_scaled_by_its_own_rows_later() -> None:
    random = np.random.default_rng(0)
    arrays = [random.normal(0, 1, (200, 1)), random.normal(5000, 10, (4, 1)), random.normal(7000, 3, (150, 1))]
    sequences = panel(arrays)
    fitted, _ = prepare(sequences, SETTINGS)
    assert fitted.preparation.ids == ("id0", "id2")
    assert fitted.scaler.shift[2, 0] == pytest.approx(7000, abs=2)
    later = panel([arrays[0], random.normal(5000, 10, (60, 1)), arrays[2]])
    scaler = fitted.preparation.apply(later, later.ends).scaler
    assert scaler.shift[:, 0] == pytest.approx([0, 5000, 7000], abs=5)
    assert scaler.scale[1, 0] == pytest.approx(10, rel=0.4)


def test_observed_values_stay_as_they_are() -> None:
    sequences = spiky(1)
    copy = sequences.values.copy()
    prepared, _ = prepare(sequences)
    np.testing.assert_array_equal(sequences.values, copy)
    assert len(prepared.record) > 0
    np.testing.assert_array_equal(prepared.record.observed, sequences.values[prepared.record.row, prepared.record.column])
    observed = prepared.observed_targets()
    coded = copy[:, :1] == -999.0
    assert coded.sum() == 6
    assert np.isnan(observed[coded]).all()
    np.testing.assert_array_equal(observed[~coded], copy[:, :1][~coded])


def test_runs_of_sentinels_become_missing_and_short_ones_their_neighbours() -> None:
    sequences = spiky(2)
    prepared, _ = prepare(sequences)
    record = prepared.record
    sentinel = record.reason == SENTINEL
    by_row = {
        (int(row), int(column)): float(value)
        for row, column, value in zip(record.row[sentinel], record.column[sentinel], record.replacement[sentinel], strict=True)
    }
    assert all(np.isnan(by_row[row, 1]) for row in range(40, 75))
    assert all(abs(by_row[row, 0]) < 15 for row in range(10, 13))


def test_without_cleaning_nothing_is_replaced() -> None:
    prepared, _ = prepare(spiky(3), SETTINGS.model_copy(update={"clean": False}))
    assert len(prepared.record) == 0 and prepared.preparation.rules == {}


def test_given_sentinels_and_categories() -> None:
    random = np.random.default_rng(0)
    arrays = [np.stack([random.normal(0, 1, 200), random.integers(0, 3, 200), random.normal(0, 1, 200)], 1)]
    arrays[0][5, 0], arrays[0][7, 2] = 77.0, 500.0
    sequences = panel(arrays, ("target", "past", "future"), categories={1: ("a", "b", "c")})
    prepared, _ = prepare(sequences, SETTINGS.model_copy(update={"sentinels": (77.0,)}))
    assert set(prepared.preparation.rules) == {0, 2}, "categories are not cleaned"
    assert not prepared.preparation.rules[2].tested and 7 not in prepared.record.row, "what is known ahead has no outliers"
    assert prepared.preparation.rules[0].sentinels == (77.0,)
    assert np.isnan(prepared.observed_targets()[5, 0])


def test_sentinels_among_what_is_known_ahead_are_missing_in_every_window() -> None:
    random = np.random.default_rng(0)
    values = random.normal(20, 3, (300, 3)).round(1)
    values[[30, 31, 150, 152, 280], 2] = -999.0
    values[200, 2] = 500.0
    sequences = panel([values], ("target", "past", "future"))
    prepared, parts = prepare(sequences)
    assert prepared.preparation.rules[2].sentinels == (-999.0,)
    assert prepared.scaler.shift[0, 2] == pytest.approx(20, abs=1) and prepared.scaler.scale[0, 2] == pytest.approx(3, abs=1)
    windows = Windows(prepared, 24, 6, ())
    for origin in (40, 149, 151, 155):
        known = windows.batch(np.array([0]), np.array([origin])).known_BTK[0, :, 0]
        np.testing.assert_array_equal(np.isnan(known), values[origin - 24 : origin + 6, 2] == -999)
        again = windows.at(np.array([0]), np.array([origin])).batch(0, 1).known_BTK[0, :, 0]
        np.testing.assert_array_equal(known, again)
    late = windows.at(np.array([0]), np.array([280])).batch(0, 1).known_BTK[0, :, 0]
    assert np.isnan(late).nonzero()[0].tolist() == [24]
    tree = json.loads(json.dumps(prepared.preparation.to_json()))
    again = type(prepared.preparation).from_json(tree).apply(sequences, parts.train)
    np.testing.assert_array_equal(again.record.replacement, prepared.record.replacement)


def test_known_channels_without_sentinels_have_no_rule() -> None:
    sequences = panel([np.random.default_rng(0).normal(0, 1, (200, 2))], ("target", "future"))
    assert set(prepare(sequences)[0].preparation.rules) == {0}


def test_json_there_and_back() -> None:
    prepared, parts = prepare(spiky(4))
    tree = prepared.preparation.to_json()
    again = type(prepared.preparation).from_json(json.loads(json.dumps(tree)))
    assert same(again.to_json(), tree)
    assert again.rules == prepared.preparation.rules
    one, other = again.apply(spiky(4), parts.train), prepared
    np.testing.assert_array_equal(one.scaler.shift, other.scaler.shift)
    np.testing.assert_array_equal(one.record.replacement, other.record.replacement)


def test_ranges_of_the_record_equal_a_loop() -> None:
    record = prepare(spiky(5))[0].record
    random = np.random.default_rng(0)
    begin = random.integers(0, 450, 20)
    end = begin + random.integers(-3, 60, 20)
    ranges, numbers = record.within(begin, end)
    expected = [(n, k) for n in range(20) for k in range(len(record)) if begin[n] <= record.row[k] < end[n]]
    assert list(zip(ranges.tolist(), numbers.tolist(), strict=True)) == expected


def test_empty_parts_are_no_trouble() -> None:
    sequences = spiky(6)
    record = record_before(sequences, prepare(sequences)[0].preparation.rules, sequences.offsets[:-1])
    assert len(record) == 0
