"""Bytes of a text file as UTF-8: UTF-8 with or without mark, UTF-16 with mark, GB18030, gzip around any of them."""

import codecs
import gzip
import zlib
from pathlib import Path

from tidegate.errors import DataError

_BLOCK = 1 << 24
_MAGIC = {
    b"PK\x03\x04": "a zip archive or an Excel workbook; save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV",
    b"BZh": "compressed with bzip2; unpack it, or use gzip",
    b"\xfd7zXZ": "compressed with xz; unpack it, or use gzip",
    b"\x28\xb5\x2f\xfd": "compressed with zstd; unpack it, or use gzip",
    b"ARROW1": "an Arrow file; save it as Parquet",
    b"SQLite format 3": "an SQLite data base; export the table as CSV",
    b"\x89HDF": "an HDF5 file; export the table as CSV or Parquet",
    b"%PDF": "a PDF document",
    b"\x80\x04": "a Python pickle; save the frame as Parquet",
    b"\x80\x05": "a Python pickle; save the frame as Parquet",
}
_FORMATS = "expected CSV, Parquet, JSON lines or .tsf (the text ones may be gzipped)"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8 with byte order mark"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)


def read_text(data: bytes, path: Path, western: bool = False) -> tuple[bytes, list[str]]:
    """What a file holds as UTF-8 without mark, and notes on what was recognised.

    path     the file, for messages
    western  Windows-1252 is accepted too, as in the comments of the .tsf files of the Monash archive

    Raises DataError for a file that is empty, binary, damaged, or in another encoding.
    """
    notes: list[str] = []
    if data.startswith(b"\x1f\x8b"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} is a damaged gzip file: {error}.") from None
        notes.append("gzip")
    for magic, words in _MAGIC.items():
        if data.startswith(magic):
            raise DataError(f"{path} is {words}: {_FORMATS}.")
    data, encoding = _to_utf8(data, path, western)
    if not data.strip():
        raise DataError(f"{path} is empty; expected a table with a line of column names and rows.")
    return data, notes + ([encoding] if encoding else [])


def _to_utf8(data: bytes, path: Path, western: bool) -> tuple[bytes, str | None]:
    for mark, name, words in _MARKS:
        if data.startswith(mark):
            try:
                return (data[len(mark) :] if name == "utf-8" and _is(data, "utf-8") else data.decode(name).encode()), words
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path} begins as {words}, but byte {error.start} is not: the file is damaged or of two encodings."
                ) from None
    if b"\0" in data[:_BLOCK]:
        raise DataError(f"{path} is a binary file: {_FORMATS}.")
    if data.isascii() or _is(data, "utf-8"):
        return data, None
    if western:
        return data.decode("cp1252", errors="replace").encode(), "Windows-1252"
    text = _gb18030(data)
    if text is None:
        raise DataError(
            f"{path} is neither UTF-8 nor GB18030 ({_first_foreign(data)}): save it as UTF-8, "
            "such as with `iconv -f WINDOWS-1252 -t UTF-8`, if that is what it is."
        )
    return text.encode(), "GB18030"


def _is(data: bytes, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for start in range(0, len(data), _BLOCK):
            decoder.decode(data[start : start + _BLOCK], final=start + _BLOCK >= len(data))
    except UnicodeDecodeError:
        return False
    return True


def _gb18030(data: bytes) -> str | None:
    """The text, if it is GB18030 for certain.

    Any two bytes of a western encoding may form a rare character, so most characters beyond ASCII must be among the 7,445
    of GB 2312, which is nearly all of what is written, and half of its ideographs among the 3,755 of its first level (first byte
    0xB0 to 0xD7): two small letters with accents, as in 'Größe', always make one of the second.
    """
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        return None
    foreign = "".join(char for char in set(text) if ord(char) > 127)
    first = foreign.encode("gb2312", errors="ignore")[::2]
    usual, rare = (sum(low <= byte <= high for byte in first) for low, high in ((0xB0, 0xD7), (0xD8, 0xF7)))
    return text if len(first) >= 0.7 * len(foreign) and usual >= rare else None


def _first_foreign(data: bytes) -> str:
    """Where the first byte lies that is not UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return f"line {line}, byte 0x{data[error.start]:02x}"
    return "no byte is wrong"
