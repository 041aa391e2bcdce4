"""Every value is in its cell, whatever the order, form or gaps of the table."""

import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.config import DataSettings
from tidegate.data import assemble as assemble_module
from tidegate.data import grid, scan, wide
from tidegate.data.assemble import Assembled, assemble
from tidegate.data.calendar import Frequency
from tidegate.data.read import read_table
from tidegate.data.sequences import Channel, Sequences
from tidegate.errors import DataError

STEPS = {"hour": "1h", "day": "1d", "week": "1w", "month": "1mo", "quarter": "1q", "integer": ""}


def settings_of(**changes: object) -> DataSettings:
    return DataSettings.model_validate({"horizon": 1, **changes})


def run(frame: pl.DataFrame, like: Sequences | None = None, **changes: object) -> Assembled:
    return assemble(read_table(frame), settings_of(**changes), like)


def times_of(step: str, count: int) -> pl.Series:
    if step == "integer":
        return pl.Series(range(100, 100 + count), dtype=pl.Int64)
    start = datetime.datetime(2020, 1, 1)
    unit = STEPS[step][1:]
    times = pl.select(pl.lit(start).dt.offset_by(pl.concat_str(pl.int_range(count).cast(pl.String), pl.lit(unit)))).to_series()
    return times if step == "hour" else times.cast(pl.Date)


@st.composite
def panels(draw: st.DrawFn) -> tuple[pl.DataFrame, dict[str, np.ndarray], dict[str, int]]:
    """A long table, the values of each series on the grid of time, and the step at which each begins."""
    times = times_of(draw(st.sampled_from(sorted(STEPS))), 40)
    names = draw(st.lists(st.sampled_from(["a", "b", "甲", "10", "9", "x y"]), min_size=1, max_size=4, unique=True))
    frames, values, starts = [], {}, {}
    for name in names:
        length = draw(st.integers(3, 30))
        starts[name] = draw(st.integers(0, 10))
        numbers = np.array(draw(st.lists(st.integers(-99, 99), min_size=length, max_size=length)), dtype=np.float32)
        values[name] = numbers
        frames.append(pl.DataFrame({"unique_id": [name] * length, "ds": times.slice(starts[name], length), "y": numbers}))
    return pl.concat(frames), values, starts


@pytest.fixture(autouse=True, params=["one chunk", "many chunks"])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it again with chunks so small that every table has many."""
    if request.param == "many chunks":
        for module in (scan, assemble_module, grid):
            monkeypatch.setattr(module, "ROWS", 7)
        monkeypatch.setattr(wide, "_CELLS", 20)
        monkeypatch.setattr(grid, "_BLOCK", 16)


def same(one: Sequences, other: Sequences) -> bool:
    return (
        one.values.tobytes() == other.values.tobytes()
        and (one.offsets == other.offsets).all()
        and one.ids == other.ids
        and one.channels == other.channels
        and one.frequency == other.frequency
        and (one.starts == other.starts).all()
        and one.static.tobytes() == other.static.tobytes()
        and (one.ends == other.ends).all()
    )


@settings(max_examples=40, deadline=None)
@given(panels(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(panel: tuple, random: object) -> None:
    frame, values, starts = panel
    whole = run(frame).sequences
    order = list(range(frame.height))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = run(frame[order])
    assert same(whole, shuffled.sequences)
    assert whole.ids == tuple(sorted(values))
    for number, name in enumerate(whole.ids):
        assert (whole.values[whole.offsets[number] : whole.offsets[number + 1], 0] == values[name]).all()
    assert ((whole.starts - whole.starts.min()) == [starts[name] - min(starts.values()) for name in whole.ids]).all()
    assert whole.values.dtype == np.float32
    assert whole.offsets.dtype == np.int64
    assert whole.starts.dtype == np.int64


@settings(max_examples=40, deadline=None)
@given(panels(), st.data())
def test_dropped_rows_are_missing_exactly_there(panel: tuple, data: st.DataObject) -> None:
    frame, _, _ = panel
    frame = frame.with_columns(place=pl.int_range(pl.len()).over("unique_id"), size=pl.len().over("unique_id"))
    inner = frame.select((pl.col("place") > 1) & (pl.col("place") < pl.col("size") - 1)).to_series().to_numpy()
    drop = data.draw(st.sets(st.sampled_from(np.flatnonzero(inner).tolist()), max_size=5)) if inner.any() else set()
    whole = run(frame)
    step = whole.settings.frequency
    kept = run(frame[[row for row in range(frame.height) if row not in drop]], frequency=step)
    expected = whole.sequences.values.copy()
    for row in drop:
        name, place = frame["unique_id"][row], frame["place"][row]
        expected[whole.sequences.offsets[whole.sequences.ids.index(name)] + place] = np.nan
    assert kept.sequences.values.tobytes() == expected.tobytes()
    assert kept.facts.gaps == len(drop) == kept.facts.missing["y"]


def test_every_form_gives_the_same_sequences(tmp_path: Path) -> None:
    times = times_of("hour", 50)
    frame = pl.DataFrame(
        {"unique_id": ["b"] * 30 + ["a"] * 20, "ds": [*times[:30], *times[10:30]], "y": np.arange(50) / 3, "k": ["u", "v"] * 25}
    )
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=10)
    frame.write_csv(tmp_path / "a.csv")
    frame.write_csv(tmp_path / "b.csv", datetime_format="%d.%m.%Y %H:%M")
    frame.write_ndjson(tmp_path / "a.jsonl")
    (tmp_path / "hive" / "unique_id=a").mkdir(parents=True)
    (tmp_path / "hive" / "unique_id=b").mkdir(parents=True)
    for name in "ab":
        frame.filter(unique_id=name).drop("unique_id").write_parquet(tmp_path / "hive" / f"unique_id={name}" / "0.parquet")
    sources = [
        tmp_path / "a.parquet",
        tmp_path / "a.csv",
        tmp_path / "b.csv",
        tmp_path / "a.jsonl",
        tmp_path / "hive",
        frame,
        frame.to_pandas(),
        frame.to_arrow(),
    ]
    results = [assemble(read_table(source), settings_of(past=["k"])).sequences for source in sources]
    assert all(same(results[0], other) for other in results[1:])
    assert results[0].channels == (Channel("y", "target"), Channel("k", "past", ("u", "v")))
    assert results[0].values[:2, 1].tolist() == [0.0, 1.0]


def test_wide_equals_long() -> None:
    times = times_of("day", 30)
    wide_frame = pl.DataFrame(
        {"ds": times, "b": np.arange(30.0), "a": [None] * 5 + list(range(25)), "none": [None] * 30, "word": ["x"] * 30}
    )
    wide_frame = wide_frame.with_columns(pl.col("none").cast(pl.Float64))
    found = run(wide_frame.sample(fraction=1.0, shuffle=True, seed=1), layout="wide")
    long = wide_frame.unpivot(["b", "a"], index="ds", variable_name="unique_id", value_name="y").drop_nulls()
    expected = run(long).sequences
    for name in "ab":
        one, two = found.sequences, expected
        i, j = one.ids.index(name), two.ids.index(name)
        assert (one.values[one.offsets[i] : one.offsets[i + 1]] == two.values[two.offsets[j] : two.offsets[j + 1]]).all()
        assert one.starts[i] == two.starts[j]
    assert found.sequences.ids == ("b", "a")
    assert found.sequences.channels == (Channel("y", "target"),)
    assert any("1 of 3 columns have no value" in note for note in found.notes)
    assert any("word" in note for note in found.notes)
    shared = run(wide_frame, layout="wide", target=["b", "a"], future=["word"]).sequences
    assert shared.channels[1] == Channel("word", "future", ("x",))
    assert (shared.values[:, 1] == 0).all()


def test_rows_without_time_are_numbered_in_their_order() -> None:
    frame = pl.DataFrame({"unique_id": ["a", "b", "a", "b", "a"], "y": [1.0, 10.0, 2.0, 20.0, 3.0]})
    found = run(frame)
    assert found.sequences.values[:, 0].tolist() == [1, 2, 3, 10, 20]
    assert found.sequences.starts.tolist() == [0, 0]
    assert found.sequences.frequency == Frequency("integer", "step")
    assert any("no time column" in note for note in found.notes)
    assert run(frame, frequency="30min").settings.season == ()
    long = run(pl.DataFrame({"y": np.arange(500.0), "date": [datetime.date(2020, 1, 1)] * 500}), frequency="30min")
    assert long.settings.season == (48,)
    assert any("'date' may be one" in note for note in long.notes)
    assert long.sequences.ids == ("",)


def test_channels_by_role_and_categories() -> None:
    frame = pl.DataFrame(
        {
            "unique_id": ["a"] * 4,
            "ds": times_of("day", 4),
            "y": [1, 2, 3, 4],
            "b": [True, False, None, True],
            "c": ["u", "w", None, "v"],
            "n": [1.5, None, float("nan"), 2],
            "s": ["town"] * 4,
            "size": [7.0] * 4,
            "unused": [0] * 4,
        }
    )
    found = run(frame, past=["n", "c"], future=["b"], static=["s", "size"])
    sequences = found.sequences
    assert sequences.channels == (
        Channel("y", "target"),
        Channel("n", "past"),
        Channel("c", "past", ("u", "v", "w")),
        Channel("b", "future", ("false", "true")),
    )
    expected = [[1, 1.5, 0, 1], [2, np.nan, 2, 0], [3, np.nan, np.nan, np.nan], [4, 2, 1, 1]]
    np.testing.assert_array_equal(sequences.values, np.array(expected, dtype=np.float32))
    assert sequences.static.tolist() == [[0.0, 7.0]]
    assert sequences.static_channels[0].categories == ("town",)
    assert "undeclared columns are ignored: unused" in found.notes
    assert found.settings.target == ("y",)
    assert found.settings.time == "ds"
    assert found.settings.id == "unique_id"
    assert found.settings.frequency == "d"
    assert found.facts.missing == {"y": 0, "n": 2, "c": 1, "b": 1}


def test_text_is_numbers_if_all_of_it_reads_as_such_and_categories_are_said() -> None:
    frame = pl.DataFrame(
        {
            "ds": times_of("day", 4),
            "y": ["1", "2", "3", "4"],
            "numbers": ["0.12", " -3", "NA", "1e2"],
            "padded": ["0900", "0901", "1000", "1100"],
            "words": ["101", "101", "10A", "10A"],
            "chosen": pl.Series(["1", "2", "1", "2"], dtype=pl.Categorical),
            "none": pl.Series([None] * 4, dtype=pl.String),
        }
    )
    found = run(frame, past=["numbers", "padded", "words", "chosen", "none"])
    kinds = {channel.name: channel.categories for channel in found.sequences.channels}
    assert kinds == {
        "y": None,
        "numbers": None,
        "padded": ("0900", "0901", "1000", "1100"),
        "words": ("101", "10A"),
        "chosen": ("1", "2"),
        "none": None,
    }
    np.testing.assert_array_equal(found.sequences.values[:, 1], np.array([0.12, -3, np.nan, 100], dtype=np.float32))
    notes = [note for note in found.notes if "category" in note]
    assert notes == [
        "column 'padded': category with 4 values",
        "column 'words': category with 2 values",
        "column 'chosen': category with 2 values",
    ]
    assert run(frame, static=["none"], like=found.sequences).sequences.static_channels[0].categories is None


def test_a_star_is_a_name_like_others() -> None:
    frame = pl.DataFrame({"ds": times_of("day", 3), "*": [1.0, 2.0, 3.0], "y": [4.0, 5.0, 6.0]})
    assert run(frame, target=["*"]).sequences.values.tolist() == [[1], [2], [3]]
    assert run(frame, past=["*"]).sequences.values.tolist() == [[4, 1], [5, 2], [6, 3]]
    assert run(frame, layout="wide", time="ds").sequences.ids == ("*", "y")


def test_rows_without_target_at_the_end_are_the_future() -> None:
    frame = pl.DataFrame(
        {
            "unique_id": ["a"] * 6 + ["b"] * 4 + ["c"] * 3,
            "ds": [*times_of("day", 6), *times_of("day", 4), *times_of("day", 3)],
            "y": [1, None, 3, 4, None, None, 1, 2, 3, 4, None, None, None],
            "x": np.arange(13.0),
        }
    )
    known = run(frame, future=["x"])
    assert known.sequences.offsets.tolist() == [0, 6, 10, 13]
    assert known.sequences.ends.tolist() == [4, 10, 10]
    assert known.sequences.lengths.tolist() == [4, 4, 0]
    assert known.facts.missing == {"y": 1, "x": 0}
    assert known.facts.steps == 8
    assert any("1 of 3 series have no target value at all: 'c'" in note for note in known.notes)
    past = run(frame, past=["x"])
    assert past.sequences.ends.tolist() == [6, 10, 13]
    assert past.facts.missing["y"] == 6


def test_new_data_is_read_like_the_training_data() -> None:
    frame = pl.DataFrame({"unique_id": ["a"] * 9, "ds": times_of("month", 9), "y": np.arange(9.0), "c": list("uvwuvwuvw")})
    trained = run(frame, past=["c"])
    new = pl.DataFrame({"unique_id": ["new"], "ds": [datetime.date(2031, 5, 1)], "y": [5.0], "c": ["zzz"]})
    found = assemble(read_table(new), trained.settings, trained.sequences)
    assert found.sequences.frequency == trained.sequences.frequency
    assert found.sequences.channels == trained.sequences.channels
    assert np.isnan(found.sequences.values[0, 1])
    assert any("1 categories that training has not seen, taken as missing: zzz" in note for note in found.notes)
    assert found.sequences.frequency.times(found.sequences.starts)[0] == datetime.date(2031, 5, 1)
    stamps = new.with_columns(pl.col("ds").cast(pl.Datetime("ns")))
    assert assemble(read_table(stamps), trained.settings, trained.sequences).sequences.starts.tolist() == found.sequences.starts.tolist()
    with pytest.raises(DataError, match=r"row 1, column 'ds': the time 2031-05-02 is off the grid \(monthly\)"):
        assemble(read_table(new.with_columns(ds=datetime.date(2031, 5, 2))), trained.settings, trained.sequences)
    with pytest.raises(DataError, match=r"no column 'c' \(--past\)"):
        assemble(read_table(new.drop("c")), trained.settings, trained.sequences)
    with pytest.raises(DataError, match="expected date times"):
        assemble(read_table(new.with_columns(ds=5)), trained.settings, trained.sequences)


def test_the_order_of_day_and_month_is_kept_for_new_data() -> None:
    days = [f"{day}/1/2020" for day in range(1, 29)]
    trained = run(pl.DataFrame({"ds": days, "y": np.arange(28.0)}))
    assert trained.settings.time_format == "%d/%m/%Y"
    found = assemble(read_table(pl.DataFrame({"ds": ["2/3/2020", "3/3/2020"], "y": [1, 2]})), trained.settings, trained.sequences)
    assert found.facts.first == "2020-03-02"


@pytest.mark.parametrize(
    ("texts", "first", "frequency"),
    [
        (["2020-01-01T00:00:00Z", "2020-01-01T01:00:00Z", "2020-01-01T02:00:00Z"], "2020-01-01 00:00:00+00:00", "hourly, UTC"),
        (["2020-01-01 00:00+08:00", "2020-01-01 01:00+08:00"], "2019-12-31 16:00:00+00:00", "hourly, UTC"),
        (["2020-10-25 02:00:00+0200", "2020-10-25 02:00:00+0100"], "2020-10-25 00:00:00+00:00", "hourly, UTC"),
        (["2020年1月1日", "2020年1月2日"], "2020-01-01", "daily"),
        (["1949-01", "1949-02", "1949-03"], "1949-01-01", "monthly"),
        (["2020Q1", "2020Q2"], "2020-01-01", "quarterly"),
        (["Jan 2020", "Feb 2020"], "2020-01-01", "monthly"),
        (["1/2/2020 1:00 PM", "1/2/2020 2:00 PM", "1/13/2020 2:00 PM"], "2020-01-02 13:00:00", "hourly"),
        (["20200131", "20200229", "20200331"], "2020-01-31", "monthly (month ends)"),
        (["2020-01-01", "2020-01-01 12:00:00", "2020-01-02"], "2020-01-01 00:00:00", "every 12 h"),
        (["2020-01-01 00:00:00.250", "2020-01-01 00:00:00.500"], "2020-01-01 00:00:00.250000", "250 ms"),
        (["2020010122", "2020010123", "2020010200"], "2020-01-01 22:00:00", "hourly"),
        (["01.02.2020", "02.02.2020"], "2020-02-01", "daily"),
    ],
)
def test_times_as_text(tmp_path: Path, texts: list[str], first: str, frequency: str) -> None:
    pl.DataFrame({"ds": texts, "y": range(len(texts))}).write_csv(tmp_path / "a.csv")
    found = assemble(read_table(tmp_path / "a.csv"), settings_of())
    assert found.facts.first == first
    assert found.facts.frequency.replace("every 12 h", "12 h") == frequency.replace("every 12 h", "12 h")


@pytest.mark.parametrize(
    ("numbers", "changes", "first", "frequency"),
    [
        ([1990, 1991, 1993], {}, "1990", "every step"),
        ([1990, 1991, 1993], {"frequency": "y"}, "1990", "numbered steps, yearly"),
        ([20200101, 20200201, 20200301], {}, "2020-01-01", "monthly"),
        ([202011, 202012, 202101], {}, "2020-11-01", "monthly"),
        ([2020010122, 2020010123, 2020010200], {}, "2020-01-01 22:00:00", "hourly"),
        ([202001012345, 202001020000], {}, "2020-01-01 23:45:00", "15 min"),
        ([20200101235958, 20200101235959, 20200102000000], {}, "2020-01-01 23:59:58", "1 s"),
        ([2020010122, 2020010123, 2020010124], {}, "2020010122", "every step"),
        ([0, 3600, 7200], {"time_format": "unix"}, "1970-01-01 00:00:00", "hourly"),
        ([5, 10, 20], {}, "5", "every 5 steps"),
        ([1.0, 2.0, 3.0], {}, "1", "every step"),
    ],
)
def test_times_as_numbers(numbers: list[float], changes: dict, first: str, frequency: str) -> None:
    found = run(pl.DataFrame({"ds": numbers, "y": range(len(numbers))}), **changes)
    assert (found.facts.first, found.facts.frequency) == (first, frequency)


def test_zones_are_kept_through_daylight_saving() -> None:
    times = pl.datetime_range(datetime.datetime(2024, 3, 30), datetime.datetime(2024, 4, 2), "1h", time_zone="Europe/Berlin", eager=True)
    found = run(pl.DataFrame({"ds": times, "y": np.arange(len(times))}))
    assert found.facts.gaps == 0
    assert found.sequences.frequency.zone == "Europe/Berlin"
    days = times.filter(times.dt.hour() == 0)
    found = run(pl.DataFrame({"ds": days, "y": np.arange(len(days))}))
    assert found.facts.frequency == "daily, Europe/Berlin"
    assert found.facts.gaps == 0


def test_integer_ids_are_sorted_by_size() -> None:
    frame = pl.DataFrame({"unique_id": [10, 10, 9, 9], "ds": [1, 2, 1, 2], "y": [1, 2, 3, 4]})
    assert run(frame).sequences.ids == ("9", "10")


def test_a_hundred_thousand_series() -> None:
    if scan.ROWS == 7:
        pytest.skip("slow in tiny chunks")
    count = 100_000
    frame = pl.DataFrame({"unique_id": np.tile(np.arange(count), 3), "ds": np.repeat([1, 2, 3], count), "y": np.arange(3 * count)})
    found = run(frame)
    assert len(found.sequences) == count
    assert found.sequences.values[:3, 0].tolist() == [0, count, 2 * count]


def test_real_tables(shared: Path) -> None:
    def real(name: str, **changes: object) -> Assembled:
        return assemble(read_table(shared / name), settings_of(**changes))

    if scan.ROWS == 7:
        pytest.skip("slow in tiny chunks")
    ett = real("ett/ETTh1.csv", target=["OT"], time="date")
    assert ett.sequences.values.shape == (17420, 1)
    assert ett.settings.season == (24, 168)
    assert ett.facts.gaps == 0
    prices = real("epf/electricity-short-with-ex-vars.csv.gz", future=["Exogenous1", "Exogenous2"])
    assert prices.sequences.ids == ("BE", "DE", "FR", "NP")
    assert prices.facts.shortest == 1680
    co2 = real("classic/co2.csv", target=["co2"], time="date")
    assert co2.facts.frequency == "weekly (Saturdays)"
    assert co2.facts.missing == {"co2": 59}
    demand = real("vic_elec/vic_electricity.csv.gz", target=["Demand"], time="Time", future=["Temperature", "Holiday"])
    assert demand.facts.frequency == "30 min, UTC"
    assert demand.sequences.channels[2].categories == ("FALSE", "TRUE")
    day = real("bike_sharing/day.csv", target=["cnt"], time="dteday")
    assert day.settings.time_format == "%m/%d/%Y"
    assert day.facts.gaps == 0
    tourism = real("monash_tsf/tourism_quarterly_dataset.tsf")
    assert len(tourism.sequences) == 427
    assert tourism.settings.season == (4,)
    wind = real("opsd/opsd_germany_daily.csv", layout="wide", time="Date")
    assert wind.sequences.ids == ("Consumption", "Wind", "Solar", "Wind+Solar")
    assert wind.facts.longest == 4383


def test_a_frequency_finer_than_the_rows_is_said() -> None:
    frame = pl.DataFrame({"ds": times_of("month", 24), "y": np.arange(24.0)})
    words = "of the daily steps have no row"
    assert any(words in note for note in run(frame, frequency="d").notes)
    assert not any("have no row" in note for note in run(frame).notes)
