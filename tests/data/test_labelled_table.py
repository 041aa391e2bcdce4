"""One entry for all that holds labelled sequences: archive files, folders of classes, long tables."""

import gzip
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data.labelled import LabelledSequences
from tidegate.data.labelled_table import read_labelled
from tidegate.errors import DataError, SettingsError

LONG = pl.DataFrame(
    {
        "id": ["b", "b", "a", "a", "a"],
        "time": [0.5, 0.0, 2.0, 1.0, 3.0],
        "x": [2.0, 1.0, 20.0, 10.0, None],
        "y": [-2, -1, -20, -10, -30],
        "who": ["m", "m", "n", "n", "n"],
        "label": ["walk", "walk", "run", "run", "run"],
    }
)
VALUES = [[1, -1], [2, -2], [10, -10], [20, -20], [np.nan, -30]]


def names(data: LabelledSequences) -> list[str | None]:
    return [data.classes[number] if number >= 0 else None for number in data.labels]


@pytest.mark.parametrize("form", ["polars", "pandas", "csv", "csv.gz", "parquet", "tsv", "txt"])
def test_a_long_table_in_every_form(tmp_path: Path, form: str) -> None:
    source: Any = tmp_path / f"a.{form}"
    if form == "polars":
        source = LONG
    elif form == "pandas":
        source = LONG.to_pandas()
    elif form == "parquet":
        LONG.write_parquet(source)
    elif form == "csv.gz":
        source.write_bytes(gzip.compress(LONG.write_csv().encode()))
    else:
        LONG.write_csv(source, separator="," if form == "csv" else "\t")
    data = read_labelled(str(source) if isinstance(source, Path) else source)
    np.testing.assert_array_equal(data.sequences.values, VALUES)
    assert data.sequences.lengths.tolist() == [2, 3]
    assert data.sequences.ids == ("b", "a")
    assert [(channel.name, channel.role) for channel in data.sequences.channels] == [("x", "past"), ("y", "past")]
    assert data.classes == ("run", "walk") and names(data) == ["walk", "run"]
    assert data.source == ("data frame" if form in ("polars", "pandas") else f"a.{form}")
    assert "undeclared columns are ignored: who" in data.notes
    assert "rows are not in the order of time; they are sorted" in data.notes


def test_declared_columns() -> None:
    frame = LONG.rename({"id": "k", "time": "when", "label": "kind"})
    data = read_labelled(frame, id="k", time="when", label="kind", channels=["y"])
    assert data.sequences.values[:, 0].tolist() == [-1, -2, -10, -20, -30]
    assert "undeclared columns are ignored: x, who" in data.notes
    assert read_labelled(frame, id="k", label="kind", channels="x").sequences.channels[0].name == "x"


def test_without_time_rows_keep_their_order() -> None:
    data = read_labelled(LONG.drop("time"))
    np.testing.assert_array_equal(data.sequences.values[:, 1], [-2, -1, -20, -10, -30])
    assert "no time column: rows of a sequence are in the order of the table" in data.notes
    mixed = read_labelled(LONG.drop("time")[[0, 2, 1, 3, 4]])
    np.testing.assert_array_equal(mixed.sequences.values, data.sequences.values)
    assert any("joined in the order of the table" in note for note in mixed.notes)


@pytest.mark.parametrize("times", [["2020-01-02", "2020-01-01"], ["02.01.2020 00:00", "01.01.2020 23:00"], [7, 6], [0.2, 0.1]])
def test_times_of_every_kind(times: list[Any]) -> None:
    data = read_labelled(pl.DataFrame({"id": [1, 1], "ds": times, "x": [1, 2], "label": ["a", "a"]}))
    assert data.sequences.values[:, 0].tolist() == [2.0, 1.0]


def test_equal_times_are_noted() -> None:
    data = read_labelled(pl.DataFrame({"id": [1, 1, 1, 2], "time": [3, 1, 1, 1], "x": [3, 1, 2, 4], "label": [1, 1, 1, 2]}))
    assert data.sequences.values[:, 0].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert "1 rows have the time of another row of their sequence; they stay in the order of the table" in data.notes


def test_labels_of_a_table() -> None:
    frame = pl.DataFrame({"id": [1, 1, 2, 2, 3, 3], "x": [1, 2, 3, 4, 5, 6]})
    some = read_labelled(frame.with_columns(label=pl.Series([1.0, None, None, 10.0, None, float("nan")])))
    assert names(some) == ["1", "10", None] and some.classes == ("1", "10")
    assert "1 of 3 sequences have no label, the first: data frame, sequence '3'" in some.notes
    none = read_labelled(frame)
    assert names(none) == [None, None, None]
    assert "no label column: none is given, and there is no 'label', 'class' or 'target'" in none.notes
    assert names(read_labelled(frame.with_columns(label=pl.Series([None] * 6)))) == [None, None, None]
    assert names(read_labelled(frame.with_columns(pl.Series("class", [True, True, False, False, True, True])))) == ["true", "false", "true"]
    category = frame.with_columns(label=pl.Series(["a", "a", "b", "b", "NaN", "NaN"], dtype=pl.Categorical))
    assert names(read_labelled(category)) == ["a", "b", "NaN"]


def test_an_index_of_pandas() -> None:
    index = pd.MultiIndex.from_product([["p", "q"], [0, 1]], names=["item_id", "timestamp"])
    data = read_labelled(pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "label": ["a", "a", "b", "b"]}, index=index))
    assert data.sequences.ids == ("p", "q") and data.sequences.values[:, 0].tolist() == [1.0, 2.0, 3.0, 4.0]


def changed(row: int, column: str, value: Any) -> pl.DataFrame:
    return LONG.with_columns(pl.Series(column, [value if number == row else old for number, old in enumerate(LONG[column])], strict=False))


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (
            changed(3, "label", "sit"),
            {},
            "column 'label': the label of sequence 'a' is 'run' in row 3, but 'sit' in row 4; expected one in all",
        ),
        (changed(1, "id", None), {}, "row 2, column 'id': no id"),
        (changed(1, "time", None), {}, "row 2, column 'time': no time"),
        (changed(4, "x", float("inf")), {}, "row 5, column 'x': the value inf of series 'a' is not finite"),
        (LONG.drop("id"), {}, "no column 'unique_id', 'item_id' or 'id'. Say with --id .*; columns: time, x, y, who, label"),
        (LONG, {"id": "ids"}, r"no column 'ids' \(--id\). Did you mean 'id'"),
        (LONG, {"label": "lable"}, r"no column 'lable' \(--label\). Did you mean 'label'"),
        (LONG, {"channels": ["x", "z"]}, r"no column 'z' \(--channels\)"),
        (LONG, {"channels": ["who"]}, r"row 1, column 'who': 'm' is no number \(channel needs numbers\)"),
        (LONG.select("id", "label", "who"), {}, "no column of numbers beside id, label and time"),
        (LONG.with_columns(d=pl.date(2020, 1, 1)), {"channels": ["d"]}, "column 'd' holds Date; expected numbers"),
        (LONG, {"time": "who"}, "row 1, column 'who': 'm' is no time"),
    ],
)
def test_bad_tables(frame: pl.DataFrame, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=f"data frame.*{message}"):
        read_labelled(frame, **options)


def test_a_label_that_changes_in_rows_out_of_order() -> None:
    frame = changed(1, "label", "run")[[1, 2, 3, 0, 4]]  # times are 0, 2, 1, 0.5, 3
    with pytest.raises(DataError, match="the label of sequence 'b' is 'run' in row 1, but 'walk' in row 4"):
        read_labelled(frame)


def test_columns_with_two_roles_and_formats_without_columns(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Column 'x' is given as --time and as --channels"):
        read_labelled(LONG, time="x", channels=["x"])
    with pytest.raises(SettingsError, match="Column 'x' is given twice in --channels"):
        read_labelled(LONG, channels=["x", "x"])
    (tmp_path / "a.tsv").write_text("1\t2\t3\n2\t3\t4\n")
    with pytest.raises(SettingsError, match=r"--label y: a.tsv is a file of the UCR/UEA archive, which names no columns. Leave it out"):
        read_labelled(tmp_path / "a.tsv", label="y")
    folder(tmp_path / "f", {"a/1.csv": "x\n1\n", "b/1.csv": "x\n2\n"})
    with pytest.raises(SettingsError, match=r"--id k: f is a folder of classes"):
        read_labelled(tmp_path / "f", id="k")


def test_archive_files_are_told_from_tables(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_text("@classLabel true a b\n@data\n1,2:a\n3,4,5:b\n")
    assert read_labelled(tmp_path / "a.ts").sequences.lengths.tolist() == [2, 3]
    (tmp_path / "a.txt").write_text("  1  0.5  NaN\n  2  0.5 3\n")
    assert read_labelled(tmp_path / "a.txt").sequences.lengths.tolist() == [1, 2]
    (tmp_path / "b.tsv.gz").write_bytes(gzip.compress(b"walk\t1\t2\nrun\t3\tNaN\n"))
    assert read_labelled(tmp_path / "b.tsv.gz").sequences.lengths.tolist() == [2, 1]
    (tmp_path / "long.txt").write_text("id x label\n1 2 a\n1 3 a\n2 4 b\n")
    assert read_labelled(tmp_path / "long.txt").sequences.lengths.tolist() == [2, 1]
    for missing in ("c.tsv", "c.csv", "c.ts"):
        with pytest.raises(DataError, match=f"No such file: .*{missing}"):
            read_labelled(tmp_path / missing)


def folder(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_folder_a_class(tmp_path: Path) -> None:
    root = folder(
        tmp_path / "gait",
        {
            "walk/b.csv": "time,x,y,note\n2,20,1,k\n1,10,,k\n",
            "walk/a.csv": "y,x,time\n5,50,1\n",
            "run/a.csv": "time;x;y\n1;1,5;2,5\n2;;3,5\n3;4,5;\n",
            "run/.hidden.csv": "no",
            "walk/README.md": "no",
            ".git/a.csv": "no",
            "empty/notes.doc": "no",
            "labels.csv": "no",
        },
    )
    data = read_labelled(root)
    assert data.sequences.ids == ("run/a.csv", "walk/a.csv", "walk/b.csv")
    assert names(data) == ["run", "walk", "walk"] and data.classes == ("run", "walk")
    assert [channel.name for channel in data.sequences.channels] == ["x", "y"]
    np.testing.assert_array_equal(data.sequences.values, [[1.5, 2.5], [np.nan, 3.5], [4.5, np.nan], [50, 5], [10, np.nan], [20, 1]])
    assert data.source == "gait"
    assert data.notes == (
        "a folder a class: 2 classes, 3 files",
        "undeclared columns are ignored: note",
        "walk/b.csv: rows are not in the order of time; they are sorted",
    )
    assert read_labelled(root, channels=["y"]).sequences.values[:, 0].tolist()[-1] == 1.0


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        (
            {"a/1.csv": "x,y\n1,2\n", "b/1.csv": "x\n1\n"},
            {},
            "b/1.csv has no column 'y', which a/1.csv has; expected the same in each file",
        ),
        ({"a/1.csv": "x\n1\n", "b/1.csv": "x,y\n1,2\n"}, {}, "a/1.csv has no column 'y', which b/1.csv has"),
        ({"a/1.csv": "x\n1\n", "b/1.csv": "x\n1\nq\n2\n"}, {}, "b/1.csv, row 2, column 'x': 'q' is no number"),
        ({"a/1.csv": "x\n1\n", "b/1.csv": "x\n1e39\n"}, {}, r"b/1.csv, row 1, column 'x': the value 1e\+39 is not finite"),
        ({"a/1.csv": "1,2\n3,4\n"}, {}, "In the folder a: 1.csv has no line of column names"),
        ({"a/1.csv": "x,y\n1,2\n3\n"}, {}, "In the folder a: 1.csv, line 3: 1 fields"),
        ({"a/1.csv": "x\nq\n"}, {}, "a/1.csv has no column of numbers"),
        ({"a/1.csv": "x\n1\n", "b/1.csv": "x\n1\n"}, {"time": "when"}, r"a/1.csv has no column 'when' \(--time\)"),
        ({"a/1.csv": "x\n1\n", "b/1.csv": "z\n1\n"}, {"channels": ["x"]}, r"b/1.csv has no column 'x' \(--channels\)"),
        ({"a/1.csv": "time,x\n1,1\n,2\n"}, {}, "a/1.csv, row 2, column 'time': no time"),
        ({"1.csv": "x\n1\n"}, {}, "root holds neither folders with CSV files .* nor Parquet files"),
    ],
)
def test_bad_folders(tmp_path: Path, files: dict[str, str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_labelled(folder(tmp_path / "root", files), **options)


def test_a_folder_of_parquet_files_is_a_table(tmp_path: Path) -> None:
    for who in "ab":
        (tmp_path / f"label={who}").mkdir()
        pl.DataFrame({"id": [who, who], "x": [1, 2]}).write_parquet(tmp_path / f"label={who}" / "0.parquet")
    data = read_labelled(tmp_path)
    assert names(data) == ["a", "b"] and data.sequences.lengths.tolist() == [2, 2]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-3, 3)), min_size=1, max_size=20), st.booleans())
def test_rows_are_sorted_within_their_sequence(rows: list[tuple[int, int]], timed: bool) -> None:
    frame = pl.DataFrame({"id": [key for key, _ in rows], "x": range(len(rows)), "label": [f"c{key % 2}" for key, _ in rows]})
    if timed:
        frame = frame.with_columns(time=pl.Series([when for _, when in rows]))
    data = read_labelled(frame)
    keys = list(dict.fromkeys(key for key, _ in rows))
    expected = [
        [place for place, (key, _) in sorted(enumerate(rows), key=lambda row: row[1][1] if timed else 0) if key == wanted]
        for wanted in keys
    ]
    assert data.sequences.ids == tuple(str(key) for key in keys)
    assert data.sequences.lengths.tolist() == [len(part) for part in expected]
    assert data.sequences.values[:, 0].tolist() == [place for part in expected for place in part]
    assert names(data) == [f"c{key % 2}" for key in keys]


def test_a_million_rows() -> None:
    count, steps = 10_000, 100
    frame = pl.DataFrame(
        {
            "id": np.repeat(np.arange(count), steps),
            "time": np.tile(np.arange(steps), count),
            "x": np.arange(count * steps) % 1000,
            "label": np.repeat(np.arange(count) % 3, steps),
        }
    ).sample(fraction=1.0, shuffle=True, seed=0)
    begin = time.perf_counter()
    data = read_labelled(frame)
    assert time.perf_counter() - begin < 5  # 0.5 s alone on two cores
    assert len(data) == count
    first = int(data.sequences.ids[0]) * steps
    assert data.sequences.values[:steps, 0].tolist() == [number % 1000 for number in range(first, first + steps)]


def test_indoor_movement(shared: Path, tmp_path: Path) -> None:
    """314 recordings of four radio channels, of different length."""
    labels = {}
    with zipfile.ZipFile(shared / "indoor_movement" / "IndoorMovement.zip") as packed:
        for line in packed.read("dataset/MovementAAL_target.csv").decode().splitlines()[1:]:
            key, label = line.split(",")
            labels[key.strip()] = label.strip()
        frames = []
        for key, label in labels.items():
            text = packed.read(f"dataset/MovementAAL_RSS_{key}.csv")
            folder(tmp_path / "classes", {f"{label}/{int(key):03}.csv": text.decode()})
            frames.append(pl.read_csv(text).select(pl.lit(key).alias("id"), pl.lit(label).alias("label"), pl.all()))
    files = read_labelled(tmp_path / "classes")
    table = read_labelled(pl.concat(frames))
    for data in (files, table):
        assert len(data) == 314
        assert (data.sequences.lengths.min(), data.sequences.lengths.max()) == (19, 129)
        assert data.classes == ("-1", "1") and np.bincount(data.labels).tolist() == [156, 158]
    order = np.argsort([int(name.split("/")[1].removesuffix(".csv")) for name in files.sequences.ids])
    offsets = files.sequences.offsets
    joined = np.concatenate([files.sequences.values[offsets[number] : offsets[number + 1]] for number in order])
    np.testing.assert_array_equal(joined, table.sequences.values)
