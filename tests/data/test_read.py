"""The same table in every form it may come in."""

import datetime
import gzip
import os
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.data import delimited
from tidegate.data.read import read_table
from tidegate.data.table import Table
from tidegate.errors import DataError

FRAME = pl.DataFrame(
    {
        "站点": ["甲", "甲", "乙", "乙"],
        "ds": ["2020-01-01 00:00", "2020-01-01 01:00", "2020-01-01 00:00", "2020-01-01 01:00"],
        "负荷": [1.5, None, -2.25, 1e6],
        "count": [1, 2, 3, 4],
    }
)


def text_of(frame: pl.DataFrame, separator: str = ",") -> str:
    return frame.write_csv(separator=separator)


def write(path: Path, data: bytes | str) -> Table:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_table(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_encodings_and_delimiters(tmp_path: Path, encoding: str, separator: str) -> None:
    table = write(tmp_path / "a.csv", text_of(FRAME, separator).encode(encoding))
    assert table.frame().equals(FRAME)
    assert ("GB18030" in table.notes) == (encoding == "gb18030")
    assert ("UTF-8 with byte order mark" in table.notes) == (encoding == "utf-8-sig")
    assert any("delimiter" in note for note in table.notes) == (separator != ",")


@pytest.mark.parametrize("header", ["时间,销量", "日期,值", "ds,电力需求（兆瓦）", "ds,温度℃", "鄞州,杭州"])
def test_a_short_chinese_header_is_recognised(tmp_path: Path, header: str) -> None:
    table = write(tmp_path / "a.csv", f"{header}\n1,2\n".encode("gb18030"))
    assert ",".join(table.columns) == header
    assert "GB18030" in table.notes


def test_gzip_and_line_ends(tmp_path: Path) -> None:
    text = text_of(FRAME).replace("\n", "\r\n") + "\r\n\r\n"
    table = write(tmp_path / "a.csv.gz", gzip.compress(text.encode()))
    assert table.frame().equals(FRAME)
    assert table.source == "a.csv.gz"
    assert "gzip" in table.notes


def test_decimal_comma(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", "t;a;b;name\n2020-01-01;1,5;-3;x,y\n2020-01-02;;1,0e2;z\n")
    assert table.frame().rows() == [("2020-01-01", 1.5, -3.0, "x,y"), ("2020-01-02", None, 100.0, "z")]
    assert "decimal comma" in table.notes


def test_words_for_missing_values_and_names_that_look_like_numbers(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", 'id,a,b,c,d\n007,1,NA, 3 ,NA\n010,NaN,-,"4",x\n011,2.5,null,?,y\n')
    assert table.frame()["id"].to_list() == ["007", "010", "011"]
    assert table.frame()["a"].to_list() == [1.0, None, 2.5]
    assert table.frame()["b"].null_count() == 3
    assert table.frame()["c"].to_list() == [3, 4, None]
    assert table.frame()["d"].to_list() == ["NA", "x", "y"]


def test_quoted_fields_may_hold_delimiters_and_line_ends(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", 'a,b\n"x,1",1\n"two\nlines",2\n"he said ""no""",3\n')
    assert table.frame()["a"].to_list() == ["x,1", "two\nlines", 'he said "no"']


def test_trailing_delimiters_make_no_column(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", "a;b;;\n1;2;;\n3;4;;\n;;;\n")
    assert table.columns == ["a", "b"]
    assert table.height == 2
    assert "1 empty lines skipped" in table.notes


@pytest.fixture
def forms(tmp_path: Path) -> dict[str, Table]:
    """The table in each form."""
    FRAME.write_parquet(tmp_path / "a.parquet")
    FRAME.write_ndjson(tmp_path / "a.jsonl")
    (tmp_path / "a.json").write_text(FRAME.write_json())
    (tmp_path / "many").mkdir()
    FRAME[:1].write_parquet(tmp_path / "many" / "1.parquet")
    FRAME[1:].write_parquet(tmp_path / "many" / "2.parquet", row_group_size=1)
    write(tmp_path / "a.csv", text_of(FRAME))
    paths = {name: read_table(str(tmp_path / name)) for name in ("a.parquet", "a.jsonl", "a.json", "many", "a.csv")}
    frames = {"polars": FRAME, "lazy": FRAME.lazy(), "pandas": FRAME.to_pandas(), "pyarrow": FRAME.to_arrow()}
    return paths | {name: read_table(frame) for name, frame in frames.items()}


def test_all_forms_hold_the_same_table(forms: dict[str, Table]) -> None:
    for name, table in forms.items():
        assert table.frame().with_columns(pl.col("负荷").fill_nan(None)).equals(FRAME), name
        assert table.height == 4
    assert forms["pandas"].kind == "pandas"
    assert forms["pyarrow"].kind == "pyarrow"
    assert forms["polars"].kind == "polars"
    assert forms["a.csv"].kind == "file"
    assert forms["polars"].source == "data frame"


def test_chunks_join_to_the_whole(forms: dict[str, Table]) -> None:
    for name, table in forms.items():
        chunks = list(table.chunks(["count", "站点"], rows=3))
        assert pl.concat(chunks).equals(table.frame(["count", "站点"])), name
        assert max(chunk.height for chunk in chunks) <= 3


def test_hive_partitions_become_columns(tmp_path: Path) -> None:
    for city, year in [("上海", 2020), ("A B", 2021)]:
        folder = tmp_path / f"city={city.replace(' ', '%20')}" / f"year={year}"
        folder.mkdir(parents=True)
        pl.DataFrame({"y": [float(year), 1.0]}).write_parquet(folder / "part.parquet")
    table = read_table(tmp_path)
    assert set(table.frame(["city", "year", "y"]).rows()) == {
        ("A B", 2021, 2021.0),
        ("A B", 2021, 1.0),
        ("上海", 2020, 2020.0),
        ("上海", 2020, 1.0),
    }
    assert "2 Parquet files, Hive partitions" in table.notes


def write_parts(folder: Path, *frames: pl.DataFrame) -> Path:
    folder.mkdir()
    for number, frame in enumerate(frames):
        frame.write_parquet(folder / f"{number}.parquet")
    return folder


DAY, NOON = datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 2, 12)


@pytest.mark.parametrize(
    ("first", "second", "dtype"),
    [
        (pl.Series([1, 2]), pl.Series([1.5, 2.7]), pl.Float64),
        (pl.Series([None, None]), pl.Series([1.5, 2.7]), pl.Float64),
        (pl.Series([None, None]), pl.Series(["a", "b"]), pl.String),
        (pl.Series([1, 2], dtype=pl.Int32), pl.Series([2**40, 3]), pl.Int64),
        (pl.Series([DAY]), pl.Series([NOON]), pl.Datetime("us")),
        (pl.Series([NOON], dtype=pl.Datetime("ms")), pl.Series([NOON]), pl.Datetime("us")),
        (pl.Series(["a", "b"], dtype=pl.Categorical), pl.Series(["c"]), pl.String),
    ],
)
def test_parquet_files_of_different_types_get_one_that_holds_all(
    tmp_path: Path, first: pl.Series, second: pl.Series, dtype: pl.DataType
) -> None:
    for number, (one, other) in enumerate([(first, second), (second, first)]):
        table = read_table(write_parts(tmp_path / str(number), one.to_frame("y"), other.to_frame("y")))
        assert table.schema["y"] == dtype
        expected = pl.concat([one.cast(dtype), other.cast(dtype)]).to_list()
        assert table.frame()["y"].to_list() == expected
        assert pl.concat(table.chunks(["y"]))["y"].to_list() == expected


@pytest.mark.parametrize("other", [["a", "b"], [True, False], [DAY, DAY]])
def test_parquet_files_without_a_common_type_are_refused_by_name(tmp_path: Path, other: list[object]) -> None:
    folder = write_parts(tmp_path / "parts", pl.DataFrame({"y": [1.0, 2.0]}), pl.DataFrame({"y": other}))
    with pytest.raises(DataError, match=r"1\.parquet, column 'y' holds \w+, but in 0\.parquet it holds Float64; expected one type"):
        read_table(folder)


def test_a_column_of_some_parquet_files_is_missing_in_the_others(tmp_path: Path) -> None:
    table = read_table(write_parts(tmp_path / "parts", pl.DataFrame({"y": [1.0]}), pl.DataFrame({"y": [2.0], "x": [3.0]})))
    assert table.frame(["y", "x"]).rows() == [(1.0, None), (2.0, 3.0)]
    assert "column 'x' is in 1 of 2 files, and missing in the others" in table.notes


def test_a_parquet_file_without_rows_has_no_say_in_types(tmp_path: Path) -> None:
    table = read_table(write_parts(tmp_path / "parts", pl.DataFrame({"y": ["a"]}).clear(), pl.DataFrame({"y": [2.0]})))
    assert table.frame().rows() == [(2.0,)]


def test_a_parquet_file_that_fails_on_the_way_is_an_error_with_its_name(tmp_path: Path) -> None:
    part = pl.DataFrame({"y": ["a"]}).lazy().select(pl.col("y").cast(pl.Int64))
    table = Table("a.parquet", "file", ((part, 1),), {"y": pl.Int64()}, on_disk=True)
    for read in (table.frame, lambda: list(table.chunks(["y"]))):
        with pytest.raises(DataError, match=r"a\.parquet cannot be read to its end"):
            read()


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        (["2020-01-01", "2020-01-02"], [DAY, datetime.date(2020, 1, 2)]),
        (["01", "02"], ["01", "02"]),
        (["1", "-2"], [1, -2]),
        (["1", "b"], ["1", "b"]),
        (["0", "__HIVE_DEFAULT_PARTITION__"], [0, None]),
    ],
)
def test_hive_keys_by_their_look(tmp_path: Path, keys: list[str], values: list[object]) -> None:
    for key in keys:
        (tmp_path / f"key={key}").mkdir()
        pl.DataFrame({"y": [1.0]}).write_parquet(tmp_path / f"key={key}" / "a.parquet")
    assert sorted(read_table(tmp_path).frame()["key"].to_list(), key=str) == sorted(values, key=str)


def test_nameless_columns(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", pd.DataFrame({"y": [5, 6]}, index=pd.date_range("2020-01-01", periods=2)).to_csv())
    assert table.frame().rows() == [("2020-01-01", 5), ("2020-01-02", 6)]
    assert table.columns == ["column_1", "y"] and "column 1 has no name and is called 'column_1'" in table.notes
    table = write(tmp_path / "b.csv", pd.DataFrame({"ds": ["2020-01-01", "2020-01-02"], "y": [5, 6]}).to_csv())
    assert table.columns == ["ds", "y"] and "column 1, which has no name and numbers the rows, is left out" in table.notes
    assert write(tmp_path / "c.csv", "y,,column_2\n1,a,2\n").columns == ["y", "column_2_", "column_2"]
    (tmp_path / "d.csv").write_text(",1,2\n0,5,6\n1,7,8\n")
    assert read_table(tmp_path / "d.csv", layout="rows").frame()["unique_id"].to_list() == ["0", "0", "1", "1"]


def test_rows_of_delimiters_are_missing_values_except_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'a,b\r\n1,2\r\n,\r\n\r\n"3",4\r\n,\r\n\r\n'
    for size in range(1, 40):
        monkeypatch.setattr(delimited, "_BLOCK", size)
        table = write(tmp_path / "a.csv", text)
        assert table.frame().rows() == [(1, 2), (None, None), (3, 4)]
        assert "3 empty lines skipped" in table.notes


def test_old_line_ends_and_a_line_that_names_the_delimiter(tmp_path: Path) -> None:
    assert write(tmp_path / "a.csv", "ds,y\r2020-01-01,1\r2020-01-02,2\r").frame().rows() == [("2020-01-01", 1), ("2020-01-02", 2)]
    for first in ("sep=;\n", '"sep=;"\r\n', "SEP=;\r\n\r\n"):
        assert write(tmp_path / "b.csv", first + "a;b,c\n1;2\n").frame().rows() == [(1, 2)]


def test_names_that_polars_takes_for_all_columns_or_a_pattern(tmp_path: Path) -> None:
    frame = pl.DataFrame({"ds": [1, 2, 3], "*": [4, 5, 6], "y": [7, 8, 9]})
    (tmp_path / "many").mkdir()
    for path in (tmp_path / "a.parquet", tmp_path / "many" / "a.parquet"):
        frame.write_parquet(path)
    for table in (read_table(tmp_path / "a.parquet"), read_table(tmp_path / "many"), write(tmp_path / "a.csv", frame.write_csv())):
        assert table.frame(["*"]).equals(frame.select(pl.nth(1)))
        assert pl.concat(table.chunks(["*", "ds"])).columns == ["*", "ds"]
    for bad in (frame.rename({"*": "^y$"}), frame.rename({"*": "^y$"}).to_pandas()):
        with pytest.raises(DataError, match="data frame has a column named .*which reads as a pattern for names. Rename it, such as 'y'"):
            read_table(bad)
    with pytest.raises(DataError, match=r"b\.csv has a column named"):
        write(tmp_path / "b.csv", "^y$,x\n1,2\n")


def pipe(data: bytes) -> tuple[str, threading.Thread]:
    """The path of a pipe that gets the data."""
    source, sink = os.pipe()

    def fill() -> None:
        with os.fdopen(sink, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=fill)
    thread.start()
    return f"/dev/fd/{source}", thread


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs /dev/fd")
def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    FRAME.write_parquet(tmp_path / "a.parquet")
    many = pl.DataFrame({"y": range(50_000)})
    cases = [(text_of(FRAME).encode(), FRAME), (gzip.compress(text_of(FRAME).encode()), FRAME), (many.write_csv().encode(), many)]
    for data, frame in [*cases, ((tmp_path / "a.parquet").read_bytes(), FRAME)]:
        path, thread = pipe(data)
        table = read_table(path)
        thread.join()
        os.close(int(path.rsplit("/", 1)[1]))
        assert table.frame().equals(frame)
        assert table.path is None and table.checksum() == read_table(frame).checksum()


def test_checksums_follow_the_content(tmp_path: Path, forms: dict[str, Table]) -> None:
    sums = {name: table.checksum() for name, table in forms.items()}
    assert sums["polars"] == sums["lazy"] == sums["pyarrow"]
    assert len({sums["a.csv"], sums["a.parquet"], sums["many"], sums["polars"]}) == 4
    changed = read_table(FRAME.with_columns(pl.when(pl.col("count") == 4).then(5).otherwise(pl.col("count")).alias("count")))
    assert changed.checksum() != sums["polars"]
    assert read_table(pl.concat([FRAME[:1], FRAME[1:]], rechunk=False)).checksum() == sums["polars"]
    (tmp_path / "many" / "2.parquet").rename(tmp_path / "many" / "3.parquet")
    assert read_table(tmp_path / "many").checksum() != sums["many"]


def test_a_pandas_index_of_times_is_a_column() -> None:
    frame = pd.DataFrame({"y": [1.0, 2.0]}, index=pd.date_range("2020-01-01", periods=2, name="when"))
    assert read_table(frame).columns == ["when", "y"]
    assert read_table(frame.reset_index(drop=True)).columns == ["y"]


def test_frames_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"id": ["a", None], "y": [1.0, np.nan], "n": [1, 2], "t": pd.date_range("2020-01-01", periods=2)})
    from tidegate.data import read

    def refuse(_: object) -> pl.DataFrame:
        raise ImportError("pyarrow")

    monkeypatch.setattr(read.nw.DataFrame, "to_polars", refuse)
    table = read_table(frame).frame()
    assert table["id"].to_list() == ["a", None]
    assert table["n"].to_list() == [1, 2]
    assert isinstance(table["t"].dtype, pl.Datetime)


def test_a_series_per_row(tmp_path: Path) -> None:
    text = '"V1","V2","V3","V4"\n"W1","1.5","2",""\n"W2","","3","4"\n'
    (tmp_path / "a.csv").write_text(text)
    table = read_table(tmp_path / "a.csv", layout="rows")
    assert table.frame().rows() == [("W1", 1, 1.5), ("W1", 2, 2.0), ("W2", 1, None), ("W2", 2, 3.0), ("W2", 3, 4.0)]
    (tmp_path / "b.csv").write_text("id,1,2,3\na,1\nb,1,2,3\n")
    assert read_table(tmp_path / "b.csv", layout="rows").height == 4


def test_tsf(tmp_path: Path) -> None:
    text = (
        "# A comment with a Windows dash \x96\n@relation Demo\n@attribute series_name string\n@attribute state string\n"
        "@attribute start_timestamp date\n@frequency quarterly\n@missing true\n@data\n"
        "T1:NSW:1979-05-31 00-00-00:1,?,3\nT2:VIC:1980-01-01 00-00-00:4.5\n"
    )
    table = write(tmp_path / "a.tsf", text.encode("latin-1"))
    day = datetime.date
    assert table.columns == ["unique_id", "ds", "y", "state"]
    assert table.frame().rows() == [
        ("T1", day(1979, 4, 1), 1.0, "NSW"),
        ("T1", day(1979, 7, 1), None, "NSW"),
        ("T1", day(1979, 10, 1), 3.0, "NSW"),
        ("T2", day(1980, 1, 1), 4.5, "VIC"),
    ]
    bad = text.replace("4.5", "4.x").encode("latin-1")
    with pytest.raises(DataError, match=r"b\.tsf, line 10: .*expected numbers"):
        write(tmp_path / "b.tsf", bad)
    with pytest.raises(DataError, match="line 10: 3 fields between colons; expected 4"):
        write(tmp_path / "c.tsf", text.replace("T2:VIC", "VIC").encode("latin-1"))


def test_tsf_frequencies_and_types_in_any_case(tmp_path: Path) -> None:
    text = "@ATTRIBUTE series_name String\n@attribute start_timestamp DATE\n@frequency 10_minutes\n@data\nT1:2006-01-01 00-00-00:1,2\n"
    assert write(tmp_path / "a.tsf", text).frame()["ds"].to_list() == [datetime.datetime(2006, 1, 1, 0, minute) for minute in (0, 10)]
    table = write(tmp_path / "b.tsf", text.replace("10_minutes", "fortnightly"))
    assert table.frame()["ds"].to_list() == [1, 2]
    assert any("the frequency 'fortnightly' is none of 4_seconds" in note for note in table.notes)


words = st.text(st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters='"'), min_size=1, max_size=6)
TEXT = words.filter(
    lambda word: (
        word == word.strip()
        and not any(c.isdigit() or c in "\x85\u2028\u2029.+-" for c in word)
        and word.casefold() not in {"inf", "nan", "infinity", "na"}
    )
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_text_round_trip(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 12))
    numbers = data.draw(st.lists(st.one_of(st.none(), st.floats(-1e12, 1e12, allow_subnormal=False)), min_size=rows, max_size=rows))
    names = data.draw(st.lists(TEXT, min_size=rows, max_size=rows))
    frame = pl.DataFrame({"id": names, "y": pl.Series(numbers, dtype=pl.Float64), "n": range(rows)})
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    frame.write_csv(path, separator=data.draw(st.sampled_from([",", ";", "\t"])), quote_style="always")
    back = read_table(path).frame()
    assert back["id"].to_list() == names
    assert back["n"].to_list() == list(range(rows))
    assert back["y"].cast(pl.Float64).to_list() == pytest.approx(numbers) if None not in numbers else True
    assert back["y"].is_null().to_list() == [number is None for number in numbers]


def test_real_files(shared: Path) -> None:
    air = read_table(shared / "air_quality_uci" / "AirQualityUCI.csv.gz")
    assert air.height == 9357
    assert "delimiter ';'" in air.notes
    assert air.schema["CO(GT)"] == pl.Float64
    weekly = read_table(shared / "m4_weekly" / "Weekly-train.csv.gz", layout="rows").frame()
    assert weekly["unique_id"].n_unique() == 359
    assert weekly.group_by("unique_id").len()["len"].max() == 2597
    pollution = read_table(shared / "beijing_pm25" / "pollution.csv.gz").frame()
    assert pollution["pm2.5"].null_count() == 2067
    assert read_table(shared / "monash_tsf" / "hospital_dataset.tsf").height == 767 * 84


def test_arrow_types_are_read() -> None:
    table = read_table(pa.table({"k": pa.array(["a", "b"]).dictionary_encode(), "y": pa.array([1, 2], pa.int16())}))
    assert table.frame()["y"].to_list() == [1, 2]
    assert table.frame()["k"].cast(pl.String).to_list() == ["a", "b"]


def test_odd_pandas_frames() -> None:
    periods = pd.DataFrame({"ds": pd.period_range("2020-01", periods=2, freq="M"), "y": [1, 2]})
    assert read_table(periods).frame()["ds"].cast(pl.Date).to_list() == [datetime.date(2020, 1, 1), datetime.date(2020, 2, 1)]
    assert read_table(pd.DataFrame({0: [1.0], 1: [2.0]})).columns == ["0", "1"]
    assert read_table(pd.DataFrame({"y": [1, "x"]})).frame()["y"].to_list() == ["1", "x"]
    kept = pd.DataFrame({"ds": pd.date_range("2020-01-01", periods=2).astype("datetime64[s]"), "y": [1, 2]})
    assert read_table(kept.set_index("ds", drop=False)).columns == ["ds", "y"]
    assert read_table(kept.assign(z=[1, "a"])).frame()["ds"].to_list() == [datetime.datetime(2020, 1, day) for day in (1, 2)]
    with pytest.raises(DataError, match="A Series is no table"):
        read_table(kept["y"])
    with pytest.raises(DataError, match="'y' 2 times; expected each column name once"):
        read_table(pd.DataFrame([[1, 2]], columns=pd.Index(["y", "y"])))


def test_lines_are_checked_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = 'name,a,b\n"x,\ny",1,2\n\nzz,3,4\n' * 1 + "w,5,6\n" * 9
    for size in range(1, 40):
        monkeypatch.setattr(delimited, "_BLOCK", size)
        assert write(tmp_path / "a.csv", good).height == 11
        with pytest.raises(DataError, match="line 16: 4 fields"):
            write(tmp_path / "b.csv", good + "w,5,6\nw,5,6,7\n")
