"""Files of the UCR/UEA archive in their four forms."""

import gzip
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.data import archive_text
from tidegate.data.archive import read_archive
from tidegate.data.labelled import LabelledSequences
from tidegate.errors import DataError

NAN = float("nan")
TS = """# A comment: with a colon
@problemName Probe
@timeStamps false
@missing true
@univariate false
@dimensions 2
@equalLength false
@classLabel true Standing Running

@data
1,2,3:4,5,6:Running
# another
7,?:-1.5e1,nan:Standing
"""
ARFF = """% a comment
@RELATION 'Probe'
@Attribute relationalAtt Relational
  @attribute att0 numeric
  @attribute 'att 1' REAL
  @attribute att2 numeric
@end relationalAtt
@attribute activity {'Standing',Running}

@DATA
'1,2,3\\n4,5,6',Running
'7,?,?\\n-15,NaN,?','Standing'
"""
FLAT = """% a comment
@relation Probe
@attribute att0 numeric
@attribute att1 numeric
@attribute att2 numeric
@attribute target{-1,1}
@data
1,2,3,1.0
4,?,?,-1
?,8,?,1
"""


def write(folder: Path, name: str, text: str | bytes) -> LabelledSequences:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_archive(path)


def parts(data: LabelledSequences) -> list[list[list[float]]]:
    """The values of each sequence, [T_i, C], as lists."""
    offsets = data.sequences.offsets
    return [data.sequences.values[start:stop].tolist() for start, stop in pairwise(offsets)]


def same(left: LabelledSequences, right: LabelledSequences) -> bool:
    equal = np.array_equal(left.sequences.values, right.sequences.values, equal_nan=True)
    return equal and left.sequences.lengths.tolist() == right.sequences.lengths.tolist() and names(left) == names(right)


def names(data: LabelledSequences) -> list[str | None]:
    return [data.classes[number] if number >= 0 else None for number in data.labels]


def test_ts(tmp_path: Path) -> None:
    data = write(tmp_path, "Probe_TRAIN.ts", TS)
    assert repr(parts(data)) == repr([[[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]], [[7.0, -15.0], [NAN, NAN]]])
    assert data.classes == ("Running", "Standing")
    assert data.labels.tolist() == [0, 1]
    assert data.sequences.ids == ("1", "2")
    assert [channel.name for channel in data.sequences.channels] == ["channel_1", "channel_2"]
    assert data.source == "Probe_TRAIN.ts"
    assert data.lines is not None and data.lines.tolist() == [11, 13]
    assert data.notes == ()


@pytest.mark.parametrize("change", ["gzip", "crlf", "cr", "upper", "utf-8-sig", "latin-1", "spaces", "dimension"])
def test_ts_in_other_clothes(tmp_path: Path, change: str) -> None:
    plain = write(tmp_path, "plain.ts", TS)
    data = TS.encode()
    if change == "gzip":
        data = gzip.compress(data)
    elif change == "crlf":
        data = data.replace(b"\n", b"\r\n")
    elif change == "cr":
        data = data.replace(b"\n", b"\r")
    elif change == "upper":
        data = "\n".join(line.upper() if line.startswith("@") and "class" not in line else line for line in TS.split("\n")).encode()
    elif change == "utf-8-sig":
        data = TS.encode("utf-8-sig")
    elif change == "latin-1":
        data = TS.replace("A comment", "Größe, Schäfer und Leser").encode("latin-1")
    elif change == "spaces":
        data = TS.replace(",", " , ").replace(":", " : ").encode()
    else:
        data = data.replace(b"@dimensions", b"@dimension")
    assert same(write(tmp_path, "other.ts.gz" if change == "gzip" else "other.ts", data), plain)


def test_ts_keeps_missing_values_at_the_end(tmp_path: Path) -> None:
    data = write(tmp_path, "a.ts", "@univariate true\n@classLabel true 1 2\n@data\n1,?,NaN:1.0\n?:2\n")
    assert data.sequences.lengths.tolist() == [3, 1]
    assert data.classes == ("1", "2")


def test_ts_without_labels(tmp_path: Path) -> None:
    data = write(tmp_path, "a.ts", "@classLabel false\n@data\n1,2:3,4\n5:6\n")
    assert parts(data) == [[[1.0, 3.0], [2.0, 4.0]], [[5.0, 6.0]]]
    assert data.labels.tolist() == [-1, -1]
    assert data.notes == ("no sequence has a label",)
    some = write(tmp_path, "b.ts", "@classLabel true a b\n@data\n1:a\n2:?\n3:b\n")
    assert names(some) == ["a", None, "b"]
    assert some.notes == ("1 of 3 sequences have no label, the first: b.ts, line 4",)
    with pytest.raises(DataError, match=r"b.ts, line 4: no label \(1 of 3"):
        some.require_labels()


def test_ts_header_that_contradicts_the_data(tmp_path: Path) -> None:
    head = "@missing false\n@equalLength true\n{}@classLabel true a\n@color blue\n@data\n1,2:a\n1,?,3:a\n"
    assert write(tmp_path, "a.ts", head.format("")).notes == (
        "unknown lines of the header are ignored: @color",
        "the header says @equalLength true, but sequences have 2 to 3 steps",
        "the header says @missing false, but 1 values are missing",
        "all labels are of one class, 'a'",
    )
    assert (
        "the header says @seriesLength 2, but sequences have 2 to 3 steps"
        in write(tmp_path, "b.ts", head.format("@seriesLength 2\n")).notes
    )


HEAD = "@univariate true\n@classLabel true a b\n@data\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3\n", r"a.ts, line 1: '1,2,3' before a line '@data'; expected lines that begin with @ or #"),
        ("@classLabel true a\n1,2:a\n", "line 2: '1,2:a' before a line '@data'"),
        ("@classLabel true a\n", "a.ts has no line '@data'; expected a .ts file"),
        ("@data\n1,2:a\n", "a.ts has no line '@classLabel'; expected '@classLabel true A B ...'"),
        ("@classLabels true a\n@data\n1,2:a\n", "no line '@classLabel'.* Is '@classlabels' meant"),
        ("@timeStamps true\n@classLabel true a\n@data\n", "a.ts, line 1: '@timestamps true': values with time stamps are not read. Give"),
        ("@timeStamps maybe\n", "a.ts, line 1: '@timestamps maybe'; expected @timestamps true or false"),
        ("@classLabel\n", "line 1: '@classlabel'; expected @classlabel true or false"),
        ("@targetlabel true\n", "line 1: '@targetlabel true': the file holds a number to be predicted"),
        ("#\n@dimensions two\n", "line 2: '@dimensions two'; expected a whole number above 0"),
        (HEAD, "a.ts has no sequence"),
        (HEAD + "1,2:a\n1,x:b\n", "a.ts, line 5: 'x' is no number; expected numbers, . or NaN"),
        (HEAD + "1,2:a\n1,,2:b\n", "a.ts, line 5: '' is no number"),
        (HEAD + "1,2:a\n1,1e39:b\n", r"a.ts, line 5: the value 1e39 is not finite in 32-bit floating point. Write \?"),
        (HEAD + "1,2:a\n-inf:b\n", "line 5: the value -inf is not finite"),
        (HEAD + "1,2:a\n1,2\n", r"line 5: 0 dimensions between colons before the label; expected 1 \(@univariate true\)"),
        (HEAD + "1,2:3,4:a\n", "line 4: 2 dimensions between colons before the label; expected 1"),
        (HEAD + "1,2:bb\n", "line 4: the label 'bb' is not in the header. Did you mean 'b'"),
        ("@dimensions 2\n" + HEAD + "1,2:a\n", r"line 5: 1 dimensions .*; expected 2 \(@dimensions 2\)"),
        ("@classLabel true a\n@data\n1:2:a\n1:2:3:a\n", r"line 4: 3 dimensions .*; expected 2 \(as in the first line\)"),
        (
            "@dimensions 2\n@classLabel true a\n@data\n1,2:3,4:a\n1,2:3:a\n",
            "line 5: dimension 1 has 2 values, dimension 2 has 1; expected the same",
        ),
    ],
)
def test_bad_ts(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        write(tmp_path, "a.ts", text)


def test_arff_of_several_dimensions_is_the_ts(tmp_path: Path) -> None:
    data = write(tmp_path, "Probe.arff", ARFF)
    assert repr(parts(data)) == repr([[[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]], [[7.0, -15.0]]])
    assert names(data) == ["Running", "Standing"]
    assert same(write(tmp_path, "other.arff.gz", gzip.compress(ARFF.replace("'1,2,3\\n4,5,6'", '"1,2,3\\n4,5,6"').encode())), data)


def test_flat_arff_ends_where_only_padding_follows(tmp_path: Path) -> None:
    data = write(tmp_path, "Probe.arff", FLAT)
    assert repr(parts(data)) == repr([[[1.0], [2.0], [3.0]], [[4.0]], [[NAN], [8.0]]])
    assert data.classes == ("-1", "1") and names(data) == ["1", "-1", "1"]
    assert data.lines is not None and data.lines.tolist() == [8, 9, 10]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("@data", "", "line 8: '1,2,3,1.0' before a line '@data'"),
        ("att2 numeric", "att2 string", "line 5: '@attribute att2 string'; expected numeric attributes, and the classes last"),
        ("att2 numeric", "", "line 5: '@attribute'; expected @attribute NAME numeric"),
        ("{-1,1}", " numeric", "its last attribute names no classes; expected numeric attributes, then one such as {A,B}"),
        ("4,?,?,-1", "4,?,-1", "line 9: 2 values; expected 3, as in the header"),
        ("4,?,?,-1", "4,?,x,-1", "line 9: 'x' is no number"),
        ("4,?,?,-1", "4,?,?,2", "line 9: the label '2' is not in the header. Known: -1, 1"),
        ("4,?,?,-1", "?,?,?,-1", "line 9: no value. Leave the sequence out"),
    ],
)
def test_bad_flat_arff(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(DataError, match=f"Probe.arff,? ?.*{message}"):
        write(tmp_path, "Probe.arff", FLAT.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("'1,2,3\\n4,5,6'", "1,2,3", "line 11: '1,2,3,Running'; expected dimensions in quotes, a comma, and the label"),
        ("'7,?,?\\n-15,NaN,?'", "'7,?,?'", "line 12: 1 dimensions; expected 2, as in the first line"),
        ("4,5,6", "4,5", "line 11: dimension 1 has 3 values, dimension 2 has 2"),
        ("@DATA", "", "line 11: '.*' before a line '@data'"),
    ],
)
def test_bad_relational_arff(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(DataError, match=f"Probe.arff, {message}"):
        write(tmp_path, "Probe.arff", ARFF.replace(old, new))


ROWS = [["1", "0.5", "-1e-3", "2"], ["-1", "3", "NaN", "4"], ["1", "5", "NaN", "NaN"]]


@pytest.mark.parametrize(
    ("name", "separator"), [("a.tsv", "\t"), ("a.txt", ","), ("a.txt", "  "), ("a.tsv.gz", "\t"), ("a.TSV", "\t"), ("a.txt", ", ")]
)
def test_rows(tmp_path: Path, name: str, separator: str) -> None:
    text = "\n".join(separator.join(row) for row in ROWS) + "\n\n"
    data = write(tmp_path, name, gzip.compress(text.encode()) if name.endswith("gz") else text)
    expected = [[[0.5], [float(np.float32(-1e-3))], [2.0]], [[3.0], [NAN], [4.0]], [[5.0]]]
    assert repr(parts(data)) == repr(expected)
    assert data.classes == ("-1", "1") and names(data) == ["1", "-1", "1"]
    assert [channel.name for channel in data.sequences.channels] == ["value"]


def test_rows_of_the_old_archive_and_of_pandas(tmp_path: Path) -> None:
    old = write(tmp_path, "a.txt", "  1.0000000e+00  2.5000000e-01 -1.0e+00\n  2.0000000e+00  3.0e+00 4.0e+00\n")
    assert names(old) == ["1", "2"]
    assert parts(old) == [[[0.25], [-1.0]], [[3.0], [4.0]]]
    pandas = write(tmp_path, "a.tsv", "a\t1\t\t2\t\nb\t3\t4\t\t\n\t5\t\t\t\n")
    assert repr(parts(pandas)) == repr([[[1.0], [NAN], [2.0]], [[3.0], [4.0]], [[5.0]]])
    assert names(pandas) == ["a", "b", None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label\tt1\tt2\n1\t2\t3\n", "a.tsv, line 1: 't1' is no number"),
        ("1\t2\n2\n", "a.tsv, line 2: '2'; expected a label, then values. A table"),
        ("1\t2\n2\tNaN\tNaN\n", "a.tsv, line 2: no value. Leave the sequence out"),
        ("1\t2\n2\t3,5\n", "a.tsv, line 2: '3,5' is no number"),
        ("# only\n", "a.tsv has no sequence"),
        ("", "a.tsv is empty"),
        ("1\t2\0\n", "a.tsv is a binary file"),
    ],
)
def test_bad_rows(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        write(tmp_path, "a.tsv", text)


def test_files_that_are_not_there_or_not_of_the_archive(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is no file of the UCR/UEA archive by its name; expected .ts, .arff, .tsv or .txt"):
        read_archive(tmp_path / "a.csv")
    (tmp_path / "Probe_TRAIN.ts").write_text(TS)
    with pytest.raises(DataError, match=r"No such file: .*Probe_TRIAN.ts. Did you mean '.*Probe_TRAIN.ts'"):
        read_archive(tmp_path / "Probe_TRIAN.ts")
    with pytest.raises(DataError, match="No such file"):
        read_archive(tmp_path / "nowhere" / "a.ts")
    (tmp_path / "folder.ts").mkdir()
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_archive(tmp_path / "folder.ts")
    (tmp_path / "a.ts.gz").write_bytes(gzip.compress(TS.encode())[:-20])
    with pytest.raises(DataError, match=r"a.ts.gz is a damaged gzip file"):
        read_archive(tmp_path / "a.ts.gz")


def test_small_blocks_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"a.ts": TS, "b.arff": ARFF, "c.arff": FLAT}
    whole = {name: write(tmp_path, name, text) for name, text in texts.items()}
    monkeypatch.setattr(archive_text, "BLOCK", 6)
    assert all(same(write(tmp_path, name, text), whole[name]) for name, text in texts.items())
    with pytest.raises(DataError, match="a.ts, line 13: 'x' is no number"):
        write(tmp_path, "a.ts", TS.replace("7,?", "7,x"))


VALUE = st.one_of(st.just(NAN), st.floats(width=32, allow_nan=False, allow_infinity=False))


@st.composite
def collections(draw: st.DrawFn, channels: int | None = None) -> list[np.ndarray]:
    """Sequences [T_i, C] with a value in the last step."""
    count = channels or draw(st.integers(1, 3))
    row = st.lists(VALUE, min_size=count, max_size=count)
    last = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=count, max_size=count)
    body = draw(st.lists(st.tuples(st.lists(row, max_size=5), last), min_size=1, max_size=5))
    return [np.array([*rows, end], dtype=np.float32) for rows, end in body]


def text_of(values: np.ndarray, separator: str) -> str:
    return separator.join("?" if np.isnan(value) and separator == "," else repr(float(value)) for value in values)


@given(collections())
def test_ts_round_trip(tmp_path_factory: pytest.TempPathFactory, sequences: list[np.ndarray]) -> None:
    lines = [":".join([*(text_of(channel, ",") for channel in sequence.T), f"c{number % 2}"]) for number, sequence in enumerate(sequences)]
    data = write(tmp_path_factory.mktemp("ts"), "a.ts", "@classLabel true c0 c1\n@data\n" + "\n".join(lines))
    np.testing.assert_array_equal(data.sequences.values, np.concatenate(sequences))
    assert data.sequences.lengths.tolist() == [len(sequence) for sequence in sequences]
    assert names(data) == [f"c{number % 2}" for number in range(len(sequences))]


@given(collections(channels=1), st.integers(0, 3))
def test_tsv_round_trip(tmp_path_factory: pytest.TempPathFactory, sequences: list[np.ndarray], more: int) -> None:
    width = max(len(sequence) for sequence in sequences) + more
    padded = [np.append(sequence[:, 0], np.full(width - len(sequence), np.nan)) for sequence in sequences]
    lines = [f"{number % 2}\t{text_of(values, chr(9))}" for number, values in enumerate(padded)]
    data = write(tmp_path_factory.mktemp("tsv"), "a.tsv", "\n".join(lines) + "\n")
    np.testing.assert_array_equal(data.sequences.values, np.concatenate(sequences))
    assert data.sequences.lengths.tolist() == [len(sequence) for sequence in sequences]
    assert names(data) == [f"{number % 2}" for number in range(len(sequences))]


@pytest.mark.parametrize(
    ("name", "sequences", "channels", "shortest", "longest", "missing", "classes"),
    [
        ("tsc/BasicMotions_TRAIN.ts", 40, 6, 100, 100, 0, ("Badminton", "Running", "Standing", "Walking")),
        ("tsc/JapaneseVowels_TEST.ts.gz", 370, 12, 7, 29, 0, tuple("123456789")),
        ("tsc/PickupGestureWiimoteZ_TRAIN.ts", 50, 1, 29, 361, 0, tuple(str(number) for number in range(1, 11))),
        ("tsc/ECG200_TEST.ts", 100, 1, 96, 96, 0, ("-1", "1")),
        ("ucr_pkg/GesturePebbleZ1_TRAIN.tsv.gz", 132, 1, 115, 455, 0, tuple("123456")),
        ("ucr_pkg/DodgerLoopDay_TRAIN.tsv.gz", 78, 1, 288, 288, 236, tuple("1234567")),
    ],
)
def test_real_files(
    shared: Path, name: str, sequences: int, channels: int, shortest: int, longest: int, missing: int, classes: tuple[str, ...]
) -> None:
    data = read_archive(shared / name)
    assert len(data) == sequences
    assert data.sequences.values.shape[1] == channels
    assert (data.sequences.lengths.min(), data.sequences.lengths.max()) == (shortest, longest)
    assert np.isnan(data.sequences.values).sum() == missing
    assert data.classes == classes
    data.require_labels()


def test_real_values(shared: Path) -> None:
    motions = read_archive(shared / "tsc" / "BasicMotions_TRAIN.ts")
    lines = [line for line in (shared / "tsc" / "BasicMotions_TRAIN.ts").read_text().splitlines() if line[0] not in "#@"]
    for number in (0, 17, 39):
        *channels, label = lines[number].split(":")
        expected = np.array([channel.split(",") for channel in channels], dtype=np.float64).astype(np.float32).T
        np.testing.assert_array_equal(motions.sequences.values[number * 100 : number * 100 + 100], expected)
        assert motions.classes[motions.labels[number]] == label


@pytest.mark.parametrize(("name", "shape"), [("FordA_TRAIN", (3601 * 500, 1)), ("ElectricDevices_TRAIN", (8926 * 96, 1))])
def test_large_files_take_about_a_second(shared: Path, name: str, shape: tuple[int, int]) -> None:
    path = shared / "ucr_pkg" / f"{name}.tsv.gz"
    begin = time.perf_counter()
    data = read_archive(path)
    assert time.perf_counter() - begin < 5  # 0.3 s alone on two cores; value by value it is 10 s
    assert data.sequences.values.shape == shape
    expected = np.loadtxt(path, max_rows=20)
    np.testing.assert_array_equal(data.sequences.values[: 20 * (expected.shape[1] - 1), 0], expected[:, 1:].astype(np.float32).ravel())
