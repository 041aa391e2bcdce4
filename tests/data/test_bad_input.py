"""What bad tables get: the file, the column, the row or the series, and the cure."""

import datetime
import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tidegate.config import DataSettings
from tidegate.data.assemble import Assembled, assemble
from tidegate.data.read import read_table
from tidegate.errors import DataError, SettingsError

Use = Callable[..., Assembled]
GOOD = "ds,y,x\n2020-01-01,1,2\n2020-01-02,2,3\n2020-01-03,3,4\n"


@pytest.fixture
def use(tmp_path: Path) -> Use:
    """Write a file of the given content, read and assemble it."""

    def write_and_use(content: str | bytes, name: str = "a.csv", **changes: object) -> Assembled:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        layout = str(changes.get("layout", "long"))
        return assemble(read_table(path, layout), DataSettings.model_validate({"horizon": 1, **changes}))

    return write_and_use


def test_a_good_file_passes(use: Use) -> None:
    assert use(GOOD).facts.rows == 3


def test_no_such_file(tmp_path: Path) -> None:
    (tmp_path / "load.csv").write_text(GOOD)
    with pytest.raises(DataError, match=r"No such file: .*laod\.csv\. Did you mean '.*load\.csv'\?"):
        read_table(tmp_path / "laod.csv")
    with pytest.raises(DataError, match="No such file"):
        read_table(tmp_path / "none" / "a.csv")
    with pytest.raises(DataError, match=r"No such file: .*x\.csv\. .*load\.csv is a file, not a folder"):
        read_table(tmp_path / "load.csv" / "more" / "x.csv")
    with pytest.raises(DataError, match="name too long"):
        read_table(tmp_path / ("a" * 300))
    with pytest.raises(DataError, match="~nobody-of-that-name.* cannot be read"):
        read_table("~nobody-of-that-name/a.csv")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "", "a.csv is empty"),
        ("a.csv", " \n\n", "a.csv is empty"),
        ("a.csv.gz", gzip.compress(b"", mtime=0), "a.csv.gz is empty"),
        ("a.csv", "ds,y\n", "a line of column names but no row"),
        ("a.csv", "ds,y", "a line of column names but no row"),
        ("a.jsonl", "[]", "has no row"),
        ("a.csv", b"ds,y\n\0\1\2\3", "is a binary file: expected CSV"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\0\0", "binary file"),
        ("a.xlsx", b"PK\x03\x04rest", "Excel workbook; save the sheet as CSV"),
        ("a.csv", "ds,température\n2020-01-01,1\n".encode("latin-1"), "neither UTF-8 nor GB18030 .line 1, byte 0xe9.*save it as UTF-8"),
        ("a.csv", "Datum;Größe\n2020-01-01;1\n".encode("latin-1"), "neither UTF-8 nor GB18030 .line 1, byte 0xf6.*save it as UTF-8"),
        ("a.csv", "ds,créées\n2020-01-01,1\n".encode("latin-1"), "neither UTF-8 nor GB18030"),
        ("a.csv", b"ds,y\n2020-01-01,\xff\xff\n", "neither UTF-8 nor GB18030 .line 2"),
        ("a.csv.gz", gzip.compress(GOOD.encode(), mtime=0)[:-12], "damaged gzip file"),
        ("a.parquet", b"PAR1 and no more", "damaged Parquet file"),
        ("a.csv", "ds,y\n2020-01-01,1\n2020-01-02,1,9\n", "a.csv, line 3: 3 fields, but the first line names 2"),
        ("a.csv", "ds;y\n2020-01-01;1\n\n2020-01-02\n", "a.csv, line 4: 1 fields, but the first line names 2 .delimiter ';'"),
        ("a.csv", 'ds,y\n"2020\n-01",1\n2020-01-02\n', "line 4: 1 fields"),
        ("a.csv", 'ds,y\n"2020-01-01,1\n2020-01-02,2\n', "quotation mark that is never closed"),
        ("a.csv", "ds,y,y\n2020-01-01,1,2\n", "two columns named 'y'"),
        ("a.csv", "0.5,1.5\n0.6,1.6\n", "no line of column names"),
        ("a.jsonl", '{"y": 1}\n{"y": \n', "a.jsonl, line 2: no JSON"),
        ("a.jsonl", '{"y": 1}\n[2]\n', "a.jsonl, line 2: list; expected an object"),
        ("a.tsf", "@relation x\n", "no line '@data'"),
    ],
)
def test_files_that_are_no_table(use: Use, name: str, content: str | bytes, words: str) -> None:
    with pytest.raises(DataError, match=words):
        use(content, name)


def test_a_directory_without_parquet(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="directory without Parquet files"):
        read_table(tmp_path)
    pl.DataFrame({"y": [1.0]}).clear().write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="have no row"):
        read_table(tmp_path)
    with pytest.raises(DataError, match="but no row"):
        read_table(tmp_path / "a.parquet")


@pytest.mark.parametrize("thing", [5, [1, 2], {"y": [1]}])
def test_things_that_are_no_frame(thing: object) -> None:
    with pytest.raises(DataError, match=f"A {type(thing).__name__} is no table; expected a path or a data frame"):
        read_table(thing)
    with pytest.raises(DataError, match="0 rows"):
        read_table(pl.DataFrame({"y": []}))


@pytest.mark.parametrize(
    ("content", "changes", "words"),
    [
        (GOOD, {"target": ["Y"]}, r"a\.csv has no column 'Y' \(--target\)\. Did you mean 'y'\?"),
        (GOOD, {"past": ["xx"]}, r"no column 'xx' \(--past\)\. Did you mean 'x'\?"),
        (GOOD, {"time": "date"}, r"no column 'date' \(--time\)\. Known: ds, y, x"),
        (GOOD, {"id": "station"}, r"no column 'station' \(--id\)"),
        ("when,load\n2020-01-01,1\n", {}, r"no column 'y' or 'target'\. Say what to forecast with --target; columns of numbers: load"),
        ("ds,y\n2020-01-01,1\n2020-01-xx,2\n", {}, "row 2, column 'ds': '2020-01-xx' is no time .expected %Y-%m-%d.*--time-format"),
        ("ds,y\nfoo,1\n", {}, "row 1, column 'ds': 'foo' is no time that is recognised"),
        ("ds,y\n2020-01-01,1\n,2\n", {}, "row 2, column 'ds': no time"),
        (
            "ds,y\n01/02/2020,1\n02/02/2020,2\n",
            {},
            "column 'ds': .*'01/02/2020' the day or the month may come first.*--time-format '%d/%m/%Y'",
        ),
        ("ds,y\n13/02/2020,1\n02/13/2020,2\n", {}, "row 2, column 'ds': '02/13/2020' is no time .expected %d/%m/%Y"),
        (
            "ds,y\n01/02/2020,1\n13/02/2020,1\n02/13/2020,2\n",
            {},
            "row 3, column 'ds': '02/13/2020' is no time of the form %d/%m/%Y or %m/%d/%Y",
        ),
        ("ds,y\n2020-01-01,1\n2020-01-02,2\n2020-01-01,3\n", {}, r"the time 2020-01-01 more than once \(rows 1, 3\).*--id"),
        ("ds,y,site\n2020-01-01,1,a\n2020-01-01,3,b\n2020-01-02,1,a\n", {}, "--id, such as --id site"),
        ("unique_id,ds,y\na,1,1\nb,1,2\nb,2,2\nb,1,3\n", {}, r"series 'b' has the time 1 more than once \(rows 2, 4\)\. Keep one row"),
        (
            "ds,y\n2020-10-25 01:00,1\n2020-10-25 02:00,1\n2020-10-25 02:00,1\n",
            {},
            "hour that repeats when daylight saving ends: write times in UTC",
        ),
        (
            "Date,Time,y\n2020-01-01,00:00,1\n2020-01-01,01:00,2\n2020-01-02,00:00,2\n",
            {"time": "Date"},
            "two columns, 'Date' and 'Time': join them",
        ),
        ("ds,y\n2020-01-01,\n2020-01-02,NA\n", {}, "the target 'y' has no number in any row"),
        ("ds,y\n2020-01-01,abc\n2020-01-02,def\n", {}, "row 1, column 'y': 'abc' is no number"),
        ("ds,y\n2020-01-01,1\n2020-01-02,?!\n", {}, "row 2, column 'y': '.!' is no number .target needs numbers"),
        ('ds,y\n2020-01-01,"1,5"\n2020-01-02,"2,5"\n', {}, "row 1, column 'y': '1,5' is no number.*decimal comma"),
        ("ds,y,x\n2020-01-01,1,2\n2020-01-02,1,oops\n2020-01-03,1,3\n", {"past": ["x"]}, "row 2, column 'x': 'oops' among numbers .past"),
        ("unique_id,ds,y\na,1,1\na,2,inf\n", {}, "row 2, column 'y': the value inf of series 'a' is not finite"),
        ("ds,y,x\n1,1,5\n2,1,-1e300\n", {"future": ["x"]}, "row 2, column 'x': the value -1e.300 is not finite"),
        (
            "ds,y\n2020-01-01 00:00,1\n2020-01-01 01:00,2\n2020-01-01 02:00,2\n2020-01-01 02:17,2\n",
            {},
            r"row 4, column 'ds': the time 2020-01-01 02:17:00 is off the grid \(hourly\)",
        ),
        (
            "ds,y\n" + "".join(f"2020-03-{day}T00:00:00+0{1 if day < 30 else 2}:00,1\n" for day in range(20, 32)),
            {},
            r"row 11, .*off the grid \(daily, UTC\).*daylight saving: .*Write local dates alone",
        ),
        ("ds,y\n2020-01-01,1\n2020-01-02,2\n", {"frequency": "h"}, "expected a frequency of days or longer"),
        ("ds,y\n2020-01-01,1\n2020-01-02,2\n", {"frequency": "5"}, "5 whole steps"),
        ("ds,y\n2020-01-01,1\n", {}, "no series has two different times.*--freq"),
        ("ds,y\n1.5,1\n2.5,1\n", {}, "1.5 is no time"),
        ("unique_id,ds,y\na,1,1\n,2,1\n", {}, "row 2, column 'unique_id': no id"),
        ("ds,y,s\n1,1,a\n2,1,b\n", {"static": ["s"]}, "row 2: the static column 's' changes within series ''.*--past or --future"),
        ("ds,y\n2020-01-01 00:00:00,1\n2020-01-01 00:00:01,2\n2021-01-01 00:00:00,2\n", {}, "would need .* steps .*--freq"),
        ("ds,a\n2020-01-01,\n2020-01-02,x\n", {"layout": "wide"}, "no column of numbers"),
        ("a,1,2,4\nb,5,6,7\n", {"layout": "rows"}, "no line of column names: its first line is a series .1, 2, 4"),
        ("id,v1,v2\na,1,x\n", {"layout": "rows"}, "row 1, column 'v2': 'x' is no number; expected a series per row"),
    ],
)
def test_tables_that_cannot_be_used(use: Use, content: str, changes: dict, words: str) -> None:
    with pytest.raises(DataError, match=words):
        use(content, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"past": ["y"]}, "Column 'y' is given as --target and as --past; expected one role"),
        ({"target": ["y", "y"]}, "Column 'y' is given twice in --target; expected it once"),
        ({"frequency": "hr"}, "--freq hr: not a frequency"),
        ({"time_format": "date"}, "--time-format 'date': expected codes such as"),
        ({"time_format": "%Q"}, "--time-format '%Q'"),
        ({"layout": "wide", "static": ["x"]}, "neither --id nor --static"),
    ],
)
def test_settings_that_cannot_be_used(use: Use, changes: dict, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        use(GOOD, **changes)


def test_an_open_order_of_day_and_month_is_settled_by_the_format(use: Use) -> None:
    found = use("ds,y\n01/02/2020,1\n02/02/2020,2\n", time_format="%d/%m/%Y")
    assert found.facts.first == "2020-02-01"
    assert found.facts.frequency == "daily"
    with pytest.raises(DataError, match="'01/13/2020' is no time .expected %d/%m/%Y"):
        use("ds,y\n01/02/2020,1\n01/13/2020,2\n", time_format="%d/%m/%Y")


def test_a_frame_with_lists_is_refused() -> None:
    frame = pl.DataFrame({"ds": [datetime.date(2020, 1, 1)], "y": [[1, 2]]})
    with pytest.raises(DataError, match=r"data frame, column 'y' holds List\(Int64\); expected numbers"):
        assemble(read_table(frame), DataSettings(horizon=1))
