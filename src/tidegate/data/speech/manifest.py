"""A manifest: a line for each recording with its path, text, speaker and part, as CSV with a header or as JSON lines."""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tidegate.data.read import reading
from tidegate.data.speech.corpus import Found, Part, TokenKind, Utterance, parts_by_prompt
from tidegate.data.speech.transcript import tokens_of
from tidegate.errors import DataError, did_you_mean

_TOKEN_COLUMNS = ("phones", "tokens")
_SPLITS: dict[str, Part] = {"train": "train", "dev": "dev", "test": "test"}
_SEPARATORS = ",;\t|"


@dataclass(frozen=True)
class _Row:
    """A line as read, and where it stands, for messages."""

    place: str
    cells: dict[str, Any]

    def text(self, column: str) -> str:
        """A cell as text without spaces around it; '' if missing."""
        value = self.cells.get(column)
        if value is not None and not isinstance(value, str | int | float):
            raise DataError(f"{self.place}: {column} is a {type(value).__name__}; expected a text.")
        return "" if value is None else str(value).strip()


def read_manifest(path: Path, tokens: TokenKind | None) -> Found:
    """Columns: path (relative to the manifest), text, and optional speaker and split (train, dev, test).

    tokens  None: characters. For phones a column `phones` or `tokens` is needed instead of text: a list, or labels between spaces

    Without splits, parts are by prompt (`parts_by_prompt`). A recording that is missing, or has no text, has a fault. Raises DataError,
    naming the line, for a missing column, an unknown split and a path that is given twice.
    """
    kind = tokens or "characters"
    rows, columns = _rows(path)
    column = _token_column(columns, kind, path)
    utterances, faults, seen = [], {}, {}
    splits = [row.text("split").lower() for row in rows]
    has_splits = any(splits)
    for row, split in zip(rows, splits, strict=True):
        given = row.text("path")
        if not given:
            raise DataError(f"{row.place}: the path is empty; expected the file of the recording, relative to {path.parent}.")
        audio = Path(os.path.normpath(path.parent / given))
        if audio in seen:
            raise DataError(f"{row.place}: {given} stands in {seen[audio]} already; expected each recording once. Remove one of the lines.")
        seen[audio] = row.place.rpartition(", ")[2]
        if has_splits and split not in _SPLITS:
            raise DataError(f"{row.place}: the split is '{split}'; expected train, dev or test in each line, or no column split.")
        name = audio.relative_to(path.parent).as_posix() if audio.is_relative_to(path.parent) else audio.as_posix()
        said, fault = _said(row, column, kind)
        if not audio.is_file():
            fault = f"{row.place}: there is no file {audio}. Correct the path, which is relative to the manifest, or remove the line."
        if fault:
            faults[name] = fault
        utterances.append(Utterance(name, audio, said, row.text("text"), row.text("speaker"), _SPLITS.get(split, "train")))
    utterances, faults = _without_suffixes(utterances, faults)
    notes = [f"transcripts are read as {kind}"]
    if has_splits:
        return Found(utterances, faults, kind, [*notes, "parts are the column split"])
    utterances, words = parts_by_prompt(utterances)
    return Found(utterances, faults, kind, [*notes, words], own_parts=False)


def _without_suffixes(utterances: list[Utterance], faults: dict[str, str]) -> tuple[list[Utterance], dict[str, str]]:
    """Ids without the ending of the file where that tells them apart."""
    counts = Counter(os.path.splitext(utterance.id)[0] for utterance in utterances)
    short = {it.id: stem if counts[stem := os.path.splitext(it.id)[0]] == 1 else it.id for it in utterances}
    return [replace(it, id=short[it.id]) for it in utterances], {short[name]: fault for name, fault in faults.items()}


def _token_column(columns: list[str], kind: TokenKind, path: Path) -> str:
    """The column with what is said."""
    wanted = _TOKEN_COLUMNS if kind == "phones" else ("text",)
    for needed in (("path",), wanted):
        if not any(column in columns for column in needed):
            names = " or ".join(f"'{name}'" for name in needed)
            raise DataError(f"{path} has no column {names}, needed for {kind}.{did_you_mean(needed[0], columns)}")
    return next(column for column in wanted if column in columns)


def _said(row: _Row, column: str, kind: TokenKind) -> tuple[tuple[str, ...], str]:
    """Tokens, and a fault or ''."""
    value = row.cells.get(column)
    if kind == "phones":
        if isinstance(value, list) and not all(isinstance(label, str) and label.strip() for label in value):
            raise DataError(f"{row.place}: {column} is {json.dumps(value)[:60]}; expected a list of labels, each a text.")
        labels = tuple(label.strip() for label in value) if isinstance(value, list) else tuple(row.text(column).split())
        return labels, "" if labels else f"{row.place}: {column} is empty; expected labels. Write them down, or remove the line."
    try:
        return tokens_of(row.text(column), kind, f"{row.place}: the text"), ""
    except DataError as error:
        return (), str(error)


def _rows(path: Path) -> tuple[list[_Row], list[str]]:
    """Lines and the names of the columns."""
    with reading(path) as found:
        data = found.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8. Save the manifest as UTF-8.") from None
    if not text.strip():
        raise DataError(f"{path} is empty; expected a line for each recording with path and text.")
    read = _json_rows if text.lstrip()[0] in "{[" else _csv_rows
    rows = list(read(text, path))
    if not rows:
        raise DataError(f"{path} has a header, but no line for a recording.")
    return rows, list(dict.fromkeys(column for row in rows for column in row.cells))


def _json_rows(text: str, path: Path) -> Iterator[_Row]:
    """An object a line, or one list of objects."""
    if text.lstrip().startswith("["):
        items = [(f"{path}, item {number}", item) for number, item in enumerate(_json(text, f"{path}"), 1)]
    else:
        lines = enumerate(text.split("\n"), 1)
        items = [(f"{path}, line {number}", _json(line, f"{path}, line {number}")) for number, line in lines if line.strip()]
    for place, item in items:
        if not isinstance(item, dict):
            raise DataError(f'{place}: {json.dumps(item)[:60]}; expected an object such as {{"path": "a.wav", "text": "hello"}}.')
        yield _Row(place, item)


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{place}, line {error.lineno}" if "\n" in text.strip() else place
        raise DataError(
            f"{where}: no JSON ({error.msg}, column {error.colno}); expected an object a line, or one list of objects."
        ) from None


def _csv_rows(text: str, path: Path) -> Iterator[_Row]:
    """Rows below a header, between commas or what else the header has most of."""
    header_line = text.lstrip("\r\n").split("\n", 1)[0]
    separator = max(_SEPARATORS, key=header_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            place, line = f"{path}, line {line}", reader.line_num + 1
            if not cells:
                continue
            if header is None:
                header = [cell.strip().lower() for cell in cells]
                if len(set(header)) < len(header):
                    raise DataError(f"{place}: the header names a column twice ({', '.join(header)}); expected each once.")
            elif len(cells) != len(header):
                cure = f"Put a text that holds '{separator}' in double quotes"
                raise DataError(f"{place}: {len(cells)} cells, but the header has {len(header)}. {cure}.")
            else:
                yield _Row(place, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise DataError(f"{path}, line {line}: {error}; expected CSV. A quote within quotes is written twice.") from None
