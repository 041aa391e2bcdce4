"""Windows: index arithmetic equals a naive loop, and no window exists before it is in a batch."""

import datetime
import tracemalloc

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.panels import frequency, panel
from tidegate.config import DataSettings
from tidegate.data import windows as windows_module
from tidegate.data.preparation import Prepared, fit_preparation
from tidegate.data.sequences import Sequences
from tidegate.data.split import Parts
from tidegate.data.windows import Origins, Windows, origins_between


def prepared(sequences: Sequences, train: np.ndarray | None = None, clean: bool = False) -> Prepared:
    train = sequences.ends if train is None else train
    parts = Parts(train, train, sequences.ends, (), ())
    data = DataSettings(horizon=1, clean=clean, scaling="standard", season=())
    return fit_preparation(sequences, parts, data).apply(sequences, train)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(1, 9), st.integers(1, 5), st.integers(1, 4), st.booleans(), st.data()
)
def test_origins_equal_a_loop(lengths: list[int], lookback: int, horizon: int, stride: int, last_first: bool, data: st.DataObject) -> None:
    sequences = panel([np.zeros(length) for length in lengths])
    starts = sequences.offsets[:-1]
    end = starts + np.array([data.draw(st.integers(0, length)) for length in lengths])
    begin = np.array([data.draw(st.integers(int(a), int(b))) for a, b in zip(starts, end, strict=True)])
    origins = origins_between(sequences, begin, end, lookback, horizon, stride, last_first)
    expected: list[tuple[int, int]] = []
    for series in range(len(lengths)):
        size = int(end[series] - starts[series])
        past = min(lookback, max(min(size // 2, size - horizon), 1))
        allowed = [row for row in range(int(begin[series]), int(end[series]) - horizon + 1) if row - starts[series] >= past]
        allowed = allowed[::-1][::stride][::-1] if last_first else allowed[::stride]
        expected += [(series, row) for row in allowed]
    assert len(origins) == len(expected)
    series, rows = origins.locate(np.arange(len(origins)))
    assert list(zip(series.tolist(), rows.tolist(), strict=True)) == expected


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6).filter(any), st.integers(1, 40), st.integers(0, 99))
def test_a_draw_comes_from_equal_shares(counts: list[int], most: int, seed: int) -> None:
    origins = Origins(np.zeros(len(counts), np.int64), np.array(counts, np.int64))
    drawn = origins.draw(most, np.random.default_rng(seed))
    total = sum(counts)
    assert len(drawn) == min(most, total) == len(set(drawn.tolist()))
    assert ((drawn >= 0) & (drawn < total)).all()
    if total <= most:
        assert sorted(drawn.tolist()) == list(range(total)), "all of them once, where they fit"
    else:
        assert (np.sort(drawn) * most // total - np.arange(most)).max(initial=0) <= 1, "evenly"
    assert np.array_equal(drawn, origins.draw(most, np.random.default_rng(seed)))
    spread = origins.spread(most)
    assert len(spread) == min(most, total)
    assert (np.diff(spread) >= 1).all()


@given(st.lists(st.integers(0, 12), min_size=1, max_size=40).filter(any), st.integers(1, 60), st.integers(1, 3))
def test_whole_series_up_to_a_number_of_origins(counts: list[int], most: int, stride: int) -> None:
    first = 100 * np.arange(len(counts))
    origins = Origins(first, np.array(counts, np.int64), stride)
    some = origins.of_whole_series(most)
    assert 0 < len(some) <= most or len(some) == len(origins)
    whole = np.minimum(counts, most) if len(origins) > most else np.array(counts)
    assert ((some.count == 0) | (some.count == whole)).all()
    taken = some.count > 0
    assert (some.first + stride * some.count)[taken].tolist() == (first + stride * np.array(counts))[taken].tolist(), "the newest ones"


def test_whole_series_are_spread() -> None:
    some = Origins(10 * np.arange(1000), np.full(1000, 10)).of_whole_series(1000)
    taken = np.flatnonzero(some.count)
    assert len(taken) == 100
    assert np.diff(taken, prepend=0, append=1000).max() < 20


def test_draws_differ_from_epoch_to_epoch_and_cover_all_in_time() -> None:
    origins = Origins(np.array([0]), np.array([100]))
    draws = [origins.draw(10, np.random.default_rng((0, epoch))) for epoch in range(200)]
    assert not np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], np.sort(draws[0]))
    assert set(np.concatenate(draws).tolist()) == set(range(100))


def test_batches_equal_a_loop() -> None:
    random = np.random.default_rng(0)
    hourly = frequency("h", [datetime.datetime(2024, 1, 1)])
    arrays = [random.normal(5, 3, (length, 4)) for length in (40, 13, 25)]
    arrays[0][17, 0] = np.nan
    starts = [100, 130, 90]
    sequences = panel(arrays, ("target", "target", "past", "future"), hourly, starts, static=random.normal(size=(3, 2)))
    whole = prepared(sequences)
    lookback, horizon = 8, 4
    windows = Windows(whole, lookback, horizon, ("time_of_day",))
    pairs = [(0, 8), (0, 30), (0, 40), (1, 3), (1, 13), (2, 1), (2, 10), (2, 24)]
    series = np.array([one for one, _ in pairs])
    rows = sequences.offsets[series] + np.array([origin for _, origin in pairs])
    origin_set = windows.at(series, rows)
    for batch in (windows.batch(series, rows), origin_set.batch(0, len(pairs))):
        for number, (one, origin) in enumerate(pairs):
            scale = whole.scaler
            padded = np.full((lookback + horizon, 4), np.nan)
            for step in range(lookback + horizon):
                row = origin - lookback + step
                if 0 <= row < len(arrays[one]):
                    padded[step] = (arrays[one][row].astype(np.float32) - scale.shift[one]) / scale.scale[one]
            np.testing.assert_allclose(batch.target_BLC[number], padded[:lookback, :2], rtol=1e-5)
            np.testing.assert_allclose(batch.past_BLP[number], padded[:lookback, 2:3], rtol=1e-5)
            np.testing.assert_allclose(batch.known_BTK[number, :, :1], padded[:, 3:], rtol=1e-5)
            np.testing.assert_allclose(batch.truth_BNC[number], padded[lookback:, :2], rtol=1e-5)
            calendar = hourly.features(np.arange(starts[one] + origin - lookback, starts[one] + origin + horizon))[:, :2]
            np.testing.assert_allclose(batch.known_BTK[number, :, 1:], calendar, atol=1e-6)
            np.testing.assert_array_equal(batch.static_BK[number], whole.static[one])
    assert windows.periods(series, rows).tolist() == [starts[one] + origin for one, origin in pairs]
    half = origin_set.batch(3, 6)
    np.testing.assert_array_equal(half.target_BLC, origin_set.batch(0, 8).target_BLC[3:6])


@pytest.mark.parametrize("block", [5, 100_000])
def test_the_calendar_spans_the_data_and_no_more(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Periods are counted from 1970: a calendar from there on would take gigabytes for seconds."""
    monkeypatch.setattr(windows_module, "BLOCK_PERIODS", block)
    hourly = frequency("h", [datetime.datetime(2024, 1, 1)])
    start = int(hourly.periods(pl.Series([datetime.datetime(2024, 1, 1)]))[0])
    windows = Windows(prepared(panel([np.zeros(30), np.zeros(20)], frequency=hourly, starts=[start, start + 5])), 8, 4, ("time_of_day",))
    np.testing.assert_array_equal(windows._calendar, hourly.features(np.arange(start - 8, start + 30 + 4))[:, :2])


def test_a_batch_is_a_copy() -> None:
    sequences = panel([np.arange(20.0)])
    windows = Windows(prepared(sequences), 4, 2, ())
    before = sequences.values.copy()
    for batch in (windows.batch(np.array([0]), np.array([8])), windows.at(np.array([0]), np.array([8])).batch(0, 1)):
        batch.target_BLC[:] = 99.0
        batch.truth_BNC[:] = 99.0
    np.testing.assert_array_equal(sequences.values, before)


def test_cleaning_is_laid_over_the_window() -> None:
    wave = 10 * np.sin(np.arange(200) / 5) + np.random.default_rng(0).normal(0, 0.5, 200)
    spiky = wave.copy()
    spiky[[60, 150]] = 400.0
    sequences = panel([spiky])
    whole = prepared(sequences, np.array([120]), clean=True)
    windows = Windows(whole, 20, 5, ())
    observed = sequences.values.copy()

    def lookback(origin: int, training: bool) -> np.ndarray:
        at = (np.array([0]), np.array([origin]))
        batch = windows.batch(*at) if training else windows.at(*at).batch(0, 1)
        return whole.scaler.invert(batch.target_BLC, batch.series_B, [0])[0, :, 0]

    mean = (wave[59] + wave[61]) / 2
    assert lookback(70, True)[10] == pytest.approx(mean, rel=1e-4)
    truth = windows.batch(np.array([0]), np.array([58])).truth_BNC
    assert whole.scaler.invert(truth, np.array([0]), [0])[0, 2, 0] == pytest.approx(mean, rel=1e-4), "training targets are cleaned"
    assert lookback(160, False)[10] == pytest.approx((wave[149] + wave[151]) / 2, rel=1e-4)
    assert lookback(151, False)[19] == pytest.approx(wave[149], rel=1e-4), "at the origin by the past neighbour only"
    truth = windows.at(np.array([0]), np.array([148])).batch(0, 1).truth_BNC
    assert whole.scaler.invert(truth, np.array([0]), [0])[0, 2, 0] == pytest.approx(400.0), "scores see what was observed"
    np.testing.assert_array_equal(sequences.values, observed)


def test_memory_stays_index_only() -> None:
    sequences = panel([np.random.default_rng(0).normal(size=50_000)])
    whole = prepared(sequences)
    tracemalloc.start()
    try:
        windows = Windows(whole, 500, 100, ())
        origins = origins_between(sequences, sequences.offsets[:-1], sequences.ends, 500, 100)
        numbers = origins.draw(20_000, np.random.default_rng(0))
        for begin in range(0, 2560, 256):
            windows.batch(*origins.locate(numbers[begin : begin + 256]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    one_batch = 256 * 600 * 4
    assert peak < 8 * one_batch, "49,401 windows of 600 steps would be 118 MB"
