"""Cleaning: bound to a plain twin that reads like the definition, local to the bit, and gentle with real daily peaks."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data.clean import OUTLIER, SENTINEL, CleanRule, clean_series, clean_tail, clean_tails, find_changes, find_outliers

CODE = -999.0


def plain_outlier(x_T: np.ndarray, t: int, rule: CleanRule, train_end: int) -> bool:
    """The definition, one cell at a time; x_T has NaN for missing and sentinels."""
    window = x_T[max(t - rule.window, 0) : t + rule.window + 1]
    window = window[~np.isnan(window)]
    if np.isnan(x_T[t]) or len(window) - 1 < rule.window:
        return False
    deviation = 1.4826 * np.median(np.abs(window - np.median(window)))
    if deviation == 0 or abs(x_T[t] - np.median(window)) <= rule.threshold * deviation:
        return False
    others = [x_T[t - m] if t >= m else x_T[t + m] for m in rule.seasons if t >= m or t + m < train_end]
    others = [value for value in others if not np.isnan(value)]
    if rule.seasons and not others:
        return False
    return all(abs(x_T[t] - value) > rule.threshold * deviation for value in others)


def plain_run(mask_T: np.ndarray, t: int) -> int:
    """Length of the run of True cells that t is in."""
    first = next((s for s in range(t, -1, -1) if not mask_T[s]), -1)
    last = next((s for s in range(t, len(mask_T)) if not mask_T[s]), len(mask_T))
    return last - first - 1


def plain_clean(values_T: np.ndarray, rule: CleanRule, train_end: int) -> np.ndarray:
    """Twin of clean_series."""
    k, total = rule.window, len(values_T)
    sentinel = np.isin(values_T, rule.sentinels)
    x_T = np.where(sentinel, np.nan, values_T)
    outlier = np.array([plain_outlier(x_T, t, rule, train_end) for t in range(total)], dtype=bool)
    cleaned = values_T.copy()
    for t in np.flatnonzero(sentinel | outlier):
        good = [s for s in range(max(t - k, 0), min(t + k + 1, total)) if not outlier[s] and not np.isnan(x_T[s])]
        nearest = [x_T[max(s for s in good if s < t)]] if any(s < t for s in good) else []
        nearest += [x_T[min(s for s in good if s > t)]] if any(s > t for s in good) else []
        left, right = t, t
        while left > 0 and np.isnan(x_T[left - 1]):
            left -= 1
        while right < total - 1 and np.isnan(x_T[right + 1]):
            right += 1
        if sentinel[t]:
            cleaned[t] = np.mean(nearest) if nearest and right - left + 1 <= k else np.nan
        elif nearest and plain_run(outlier, int(t)) <= max(1, k // 4):
            cleaned[t] = np.mean(nearest)
    return cleaned


@st.composite
def series(draw: st.DrawFn) -> tuple[np.ndarray, CleanRule]:
    """Seasonal whole numbers with spikes, gaps, sentinels and flat stretches, so that every branch is met; and a rule."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    total = draw(st.integers(1, 120))
    values = np.round(draw(st.sampled_from([0, 2, 20])) * np.sin(np.arange(total) / 7 * 2 * np.pi) + rng.normal(0, 2, total))
    for share, size in ((0.15, 50), (0.1, -80)):
        spikes = rng.random(total) < share * draw(st.integers(0, 1))
        values[spikes] += size * rng.integers(1, 4, spikes.sum())
    values[rng.random(total) < draw(st.sampled_from([0, 0.1, 0.5]))] = np.nan
    values[rng.random(total) < draw(st.sampled_from([0, 0.1]))] = CODE
    if draw(st.booleans()):
        first = rng.integers(0, total)
        values[first : first + draw(st.integers(1, 9))] = draw(st.sampled_from([CODE, np.nan, 3.0]))
    seasons = draw(st.sampled_from([(), (7,), (7, 14), (30,)]))
    return values, CleanRule(draw(st.integers(1, 6)), draw(st.sampled_from([1.0, 2.0, 6.0])), seasons, (CODE,))


def spiky(total: int = 400, at: int = 200, size: float = 150.0) -> np.ndarray:
    """A daily wave with noise (24 steps) and one spike."""
    values = 10 * np.sin(np.arange(total) / 24 * 2 * np.pi) + np.random.default_rng(1).normal(0, 0.5, total)
    values[at] += size
    return values.astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(series(), st.floats(0, 1))
def test_equals_its_plain_twin(case: tuple[np.ndarray, CleanRule], share: float) -> None:
    values, rule = case
    train_end = round(share * len(values))
    cleaned, changes = clean_series(values, rule, train_end)
    np.testing.assert_array_equal(cleaned, plain_clean(values, rule, train_end))
    x_T = np.where(values == CODE, np.nan, values)
    expected = [plain_outlier(x_T, t, rule, train_end) for t in range(len(values))]
    np.testing.assert_array_equal(find_outliers(values, rule, train_end), expected)
    np.testing.assert_array_equal(changes.observed, values[changes.index])
    assert set(changes.index[changes.reason == SENTINEL]) == set(np.flatnonzero(values == CODE))
    changes.undo(cleaned)
    np.testing.assert_array_equal(cleaned, values)


@settings(max_examples=150, deadline=None)
@given(series(), st.floats(0, 1), st.floats(0, 1))
def test_a_cell_depends_on_no_more_than_2k_steps_ahead(case: tuple[np.ndarray, CleanRule], a: float, b: float) -> None:
    values, rule = case
    train_end, origin = sorted((round(a * len(values)), round(b * len(values))))
    whole, _ = clean_series(values, rule, train_end)
    past, _ = clean_series(values[:origin], rule, train_end)
    settled = max(origin - 2 * rule.window, 0)
    np.testing.assert_array_equal(whole[:settled], past[:settled])


@settings(max_examples=150, deadline=None)
@given(series(), st.lists(st.floats(0, 1), min_size=1, max_size=5), st.floats(0, 1))
def test_tails_are_what_cleaning_the_past_alone_gives(case: tuple[np.ndarray, CleanRule], shares: list[float], a: float) -> None:
    values, rule = case
    train_end = round(a * len(values))
    origins = np.array([train_end + round(share * (len(values) - train_end)) for share in shares])
    origins = origins[origins > 0]
    tails = clean_tails(values, origins, rule, train_ends=np.array([train_end]))
    whole, _ = clean_series(values, rule, train_end)
    for number, origin in enumerate(origins):
        mine = tails.origin == number
        seen = whole[:origin].copy()
        assert (tails.position[mine] >= origin - 2 * rule.window).all()
        seen[tails.position[mine]] = tails.replacement[mine]
        np.testing.assert_array_equal(seen, clean_series(values[:origin], rule, train_end)[0])


@pytest.mark.parametrize("window", [1, 3, 5])
def test_tails_of_rough_data_at_many_origins(window: int) -> None:
    rng = np.random.default_rng(window)
    values = np.round(rng.standard_t(1, 900))
    values[rng.random(900) < 0.4] = np.nan
    rule, origins = CleanRule(window, threshold=1.0), np.arange(1, 900)
    whole, tails = clean_series(values, rule)[0], clean_tails(values, origins, rule)
    assert len(tails.origin) > 20
    for number, origin in enumerate(origins):
        seen = whole[:origin].copy()
        seen[tails.position[tails.origin == number]] = tails.replacement[tails.origin == number]
        np.testing.assert_array_equal(seen, clean_series(values[:origin], rule)[0])


def test_tails_before_the_training_end_are_exact_after_the_first_season() -> None:
    values, rule = spiky(at=199), CleanRule(seasons=(24,))
    position, replacement = clean_tail(values, 200, rule)
    whole, _ = clean_series(values, rule)
    seen = whole[:200].copy()
    seen[position] = replacement
    np.testing.assert_array_equal(seen, clean_series(values[:200], rule)[0])
    assert replacement[position == 199] == values[198]


@settings(max_examples=100, deadline=None)
@given(st.lists(series(), min_size=1, max_size=6), st.floats(0, 1))
def test_many_series_at_once_equal_each_by_itself(cases: list[tuple[np.ndarray, CleanRule]], share: float) -> None:
    rule, many = cases[0][1], [values for values, _ in cases]
    offsets = np.concatenate([[0], np.cumsum([len(values) for values in many])])
    train_ends = offsets[:-1] + np.round(share * np.diff(offsets)).astype(np.int64)
    flat = np.concatenate(many)
    changes = find_changes(flat, rule, offsets, train_ends)
    origins = np.maximum((offsets[:-1] + offsets[1:] + 1) // 2, train_ends)
    tails = clean_tails(flat, origins, rule, offsets, train_ends)
    cleaned = flat.copy()
    changes.apply(cleaned)
    for i, values in enumerate(many):
        train_end = int(train_ends[i] - offsets[i])
        np.testing.assert_array_equal(cleaned[offsets[i] : offsets[i + 1]], clean_series(values, rule, train_end)[0])
        position, replacement = clean_tail(values, int(origins[i] - offsets[i]), rule, train_end)
        np.testing.assert_array_equal(tails.position[tails.origin == i] - offsets[i], position)
        np.testing.assert_array_equal(tails.replacement[tails.origin == i], replacement)


def test_long_series_in_pieces_equal_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).standard_t(1, 3000)
    values[700:720] = CODE
    rule = CleanRule(seasons=(24,), threshold=2.0, sentinels=(CODE,))
    cleaned, changes = clean_series(values, rule)
    monkeypatch.setattr("tidegate.data.hampel._PIECE", 40)
    monkeypatch.setattr("tidegate.data.hampel._SLICE", 33)
    assert len(changes) > 300
    np.testing.assert_array_equal(clean_series(values, rule)[0], cleaned)


@settings(max_examples=100, deadline=None)
@given(series(), st.integers(-1000, 1000), st.sampled_from([-4.0, -1.0, 0.5, 8.0]))
def test_commutes_with_shift_and_scale(case: tuple[np.ndarray, CleanRule], shift: int, scale: float) -> None:
    values, rule = case
    moved = CleanRule(rule.window, rule.threshold, rule.seasons, (CODE * scale + shift,))
    values = np.where(values * scale + shift == CODE * scale + shift, CODE, values)
    np.testing.assert_array_equal(clean_series(values * scale + shift, moved)[0], clean_series(values, rule)[0] * scale + shift)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12))
def test_cleaning_twice_changes_almost_nothing_more(seed: int, spikes: int) -> None:
    rng = np.random.default_rng(seed)
    values = 10 * np.sin(np.arange(1000) / 24 * 2 * np.pi) + rng.normal(0, 1, 1000)
    values[rng.integers(0, 1000, spikes)] += 100 * np.arange(1, spikes + 1)  # equal ones a season apart would excuse each other
    rule = CleanRule(seasons=(24, 168))
    cleaned, changes = clean_series(values, rule)
    assert np.abs(cleaned).max() < 20
    assert len(changes) <= spikes + 2
    assert len(clean_series(cleaned, rule)[1]) <= 1


@pytest.mark.parametrize("at", [200, 30, 5, 380])
def test_a_spike_becomes_the_mean_of_its_neighbours(at: int) -> None:
    values = spiky(at=at)
    cleaned, changes = clean_series(values, CleanRule(seasons=(24,)))
    assert changes.index.tolist() == [at]
    assert changes.reason.tolist() == [OUTLIER]
    assert cleaned[at] == pytest.approx((values[at - 1] + values[at + 1]) / 2, rel=1e-6)
    assert cleaned.dtype == np.float32


def test_at_the_ends_the_one_neighbour_there_is() -> None:
    assert clean_series(spiky(at=399), CleanRule(seasons=(24,)))[0][399] == spiky(at=399)[398]
    assert clean_series(spiky(at=0), CleanRule(seasons=(24,)))[0][0] == spiky(at=0)[1]


def test_a_change_of_level_is_not_cleaned_away() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(100.0, 1.0, 300)
    values[294:] += 60.0
    cleaned, changes = clean_series(values, CleanRule())
    assert not len(changes)
    assert np.array_equal(cleaned, values)


def test_the_season_after_stands_in_only_inside_the_training_part() -> None:
    values = spiky(at=10)
    assert find_outliers(values, CleanRule(seasons=(24,)), train_end=35).any()
    assert not find_outliers(values, CleanRule(seasons=(24,)), train_end=34).any()


def test_a_regular_peak_is_no_outlier() -> None:
    values = np.random.default_rng(2).normal(0, 1, 24 * 30).astype(np.float32)
    values[18::24] = 50
    assert find_outliers(values, CleanRule()).sum() >= 28
    assert find_outliers(values, CleanRule(seasons=(24,))).sum() == 0


@pytest.mark.parametrize(("length", "replaced"), [(1, True), (12, True), (13, False), (40, False)])
def test_short_runs_of_sentinels_are_replaced_and_long_ones_become_missing(length: int, replaced: bool) -> None:
    values = np.arange(100, dtype=np.float32)
    values[30 : 30 + length] = -200
    rule = CleanRule.fit(values, sentinels=(-200.0,))
    cleaned, changes = clean_series(values, rule)
    assert len(changes) == length
    assert (changes.reason == SENTINEL).all()
    if replaced:
        np.testing.assert_array_equal(cleaned[30 : 30 + length], (29 + 30 + length) / 2)
    else:
        assert np.isnan(cleaned[30 : 30 + length]).all()


def test_missing_values_stay_missing_and_infinities_are_left_alone() -> None:
    values = spiky()
    values[50:55], values[90] = np.nan, np.inf
    cleaned, changes = clean_series(values, CleanRule(seasons=(24,)))
    assert changes.index.tolist() == [200]
    assert np.isnan(cleaned[50:55]).all()
    assert cleaned[90] == np.inf


def test_flags_and_flat_windows_are_not_tested() -> None:
    flag = np.zeros(300)
    flag[::37] = 1
    assert not CleanRule.fit(flag).tested
    counts = np.zeros(300)
    counts[::17] = np.arange(len(counts[::17])) + 5
    assert CleanRule.fit(counts).tested
    assert not find_outliers(counts, CleanRule.fit(counts)).any()
    assert not find_outliers(np.resize([1.0, 2.0, 50.0], 11), CleanRule()).any()


def test_the_rule_sees_the_training_part_only() -> None:
    values = np.random.default_rng(0).normal(0, 1, 1000).astype(np.float32)
    values[800:803] = -999
    offsets, ends = np.array([0, 300, 1000]), np.array([200, 800])
    assert CleanRule.fit(values, offsets, ends).sentinels == ()
    assert CleanRule.fit(values, offsets, ends + np.array([0, 1])).sentinels == (-999.0,)
    assert CleanRule.fit(values, offsets, ends, sentinels=(-999, 5)).sentinels == (-999.0, 5.0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.r_[np.linspace(0, 50, 90), -9999.0], (-9999.0,)),
        (np.r_[np.linspace(0, 50, 90), -9999.0, 9999.0, 9999.0], (-9999.0, 9999.0)),
        (np.r_[np.linspace(0, 400, 90), -200.0, -200.0], (-200.0,)),
        (np.r_[np.linspace(0, 400, 90), -200.0], ()),
        (np.r_[np.linspace(-300, 400, 90), -200.0, -200.0], ()),
        (np.r_[np.linspace(-50, 100, 90), -200.0, -200.0], ()),
        (np.r_[np.linspace(0, 4000, 90), -200.0, -200.0], ()),
        (np.arange(100.0), ()),
        (np.arange(1000.0), ()),
        (np.r_[np.linspace(0, 90, 90), 99.0, 99.0, 99.0], ()),
        (np.r_[np.linspace(0, 2, 90), 99.9, 99.9, 99.9], (99.9,)),
        (np.r_[np.linspace(0, 2, 90), 99.9, 99.9], ()),
        (np.r_[np.linspace(10, 30, 90), 99.0], ()),
        (np.r_[np.linspace(-40, 10, 90), -99.0], ()),
        (np.r_[np.linspace(-40, 10, 90), -99.0, -99.0, -99.0], (-99.0,)),
        (np.r_[np.linspace(0, 500, 90), 9999.0], ()),
        (np.r_[np.linspace(0, 500, 90), 9999.0, 9999.0], (9999.0,)),
        (np.r_[np.linspace(0, 50, 90), -200.0], ()),
        (np.r_[np.linspace(0, 50, 90), 1e30], (1e30,)),
        (np.full(20, -999.0), ()),
        (np.full(20, np.nan), ()),
        (np.zeros(0), ()),
    ],
)
def test_sentinels_are_codes_that_stand_apart(values: np.ndarray, expected: tuple[float, ...]) -> None:
    assert CleanRule.fit(values).sentinels == expected
    assert CleanRule.fit(values.astype(np.float32)).sentinels == expected


def test_a_sentinel_is_found_in_float32() -> None:
    values = np.r_[np.linspace(0, 2, 90), 99.9, 99.9, 99.9].astype(np.float32)
    assert clean_series(values, CleanRule.fit(values))[0][-1] == values[-4]


def test_json_there_and_back() -> None:
    rule = CleanRule(5, 4.5, (24, 168), (-999.0,), False)
    assert CleanRule.from_json(json.loads(json.dumps(rule.to_json()))) == rule


def test_nothing_in_nothing_out() -> None:
    assert len(find_changes(np.zeros(0, np.float32), CleanRule())) == 0
    assert len(clean_tails(np.zeros(5), np.zeros(0, np.int64), CleanRule()).origin) == 0
    assert len(find_changes(np.zeros(3), CleanRule(), np.array([0, 0, 3, 3]))) == 0


def peaks_flagged(values: np.ndarray, seasons: tuple[int, ...], threshold: float) -> tuple[float, float]:
    """Share of cells flagged with the seasons and without."""
    rule = CleanRule.fit(values, seasons=seasons, threshold=threshold)
    assert rule.sentinels == ()
    return float(find_outliers(values, rule).mean()), float(find_outliers(values, CleanRule(threshold=threshold)).mean())


def test_daily_peaks_of_real_rentals_are_hardly_ever_flagged() -> None:
    """None of 17,379 hours at the default threshold of 6, 0.07 % at 3; without the seasons 0.01 % and 1.0 %."""
    path = Path(__file__).parents[2] / "src/tidegate/demo/bike_sharing.parquet"
    values = pl.read_parquet(path)["cnt"].to_numpy().astype(np.float32)
    assert peaks_flagged(values, (24, 168), 6.0)[0] == 0
    with_seasons, without = peaks_flagged(values, (24, 168), 3.0)
    assert with_seasons < 0.001 < 0.005 < without


def test_daily_peaks_of_real_power_demand_are_hardly_ever_flagged(shared: Path) -> None:
    """None of 4,032 half hours, at a threshold of 3 one (0.02 %); without the seasons 0.05 % and 0.1 %."""
    values = pl.read_csv(shared / "taylor" / "taylor.csv.gz")["demand"].to_numpy().astype(np.float32)
    assert peaks_flagged(values, (48, 336), 6.0)[0] == 0
    with_seasons, without = peaks_flagged(values, (48, 336), 3.0)
    assert with_seasons < 0.0005 < without
