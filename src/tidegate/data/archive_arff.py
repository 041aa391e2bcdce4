"""The .arff format of the UCR/UEA archive, which is Weka's: values between commas; several dimensions in quotes, a \\n between them."""

import re

from tidegate.data.archive_text import ArchiveText, check_label, read_label, records, short
from tidegate.errors import DataError

_ATTRIBUTE = re.compile(r"@attribute\s+('[^']*'|\"[^\"]*\"|[^\s{]+)\s*(.*)", re.IGNORECASE)
_NUMERIC = ("numeric", "real", "integer")


def read_arff(lines: list[str], source: str) -> ArchiveText:
    """The texts of an .arff file. Raises DataError that names the line."""
    width, relational, declared, begin = _arff_head(lines, source)
    raw = ArchiveText(0 if relational else 1, width=width)
    for number, line in records(lines, begin, "%"):
        if relational:
            end = line.find(line[0], 1) if line[0] in "'\"" else -1
            if end < 0:
                raise DataError(f"{source}, line {number}: '{short(line)}'; expected dimensions in quotes, a comma, and the label.")
            parts, text = line[1:end].split("\\n"), line[end + 1 :].lstrip().removeprefix(",")
        else:
            head, _, text = line.rpartition(",")
            parts = [head]
        raw.count = raw.count or len(parts)
        if len(parts) != raw.count:
            raise DataError(f"{source}, line {number}: {len(parts)} dimensions; expected {raw.count}, as in the first line.")
        label = read_label(text)
        check_label(label, declared, f"{source}, line {number}")
        raw.add(number, label, parts)
    return raw


def _arff_head(lines: list[str], source: str) -> tuple[int, bool, set[str], int]:
    """Values of a dimension, whether there may be several (a relational attribute), the classes, and the number of the line '@data'."""
    outer: list[tuple[int, str]] = []
    inner: list[tuple[int, str]] = []
    inside = relational = False
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        lower = text.lower()
        if lower.startswith("@data"):
            kinds = outer[:-1] if not relational else inner
            odd = next((place for place, kind in kinds if kind.lower().split()[0] not in _NUMERIC), None)
            if odd is not None:
                raise DataError(f"{source}, line {odd}: '{short(lines[odd - 1])}'; expected numeric attributes, and the classes last.")
            if not outer or not outer[-1][1].startswith("{") or len(outer) != (2 if relational else len(kinds) + 1) or not kinds:
                raise DataError(f"{source}: its last attribute names no classes; expected numeric attributes, then one such as {{A,B}}.")
            words = outer[-1][1].strip("{} \t").split(",")
            return len(kinds), relational, {read_label(word) or "" for word in words}, number
        if lower.startswith("@end"):
            inside = False
        elif lower.startswith("@attribute"):
            match = _ATTRIBUTE.fullmatch(text)
            if match is None or not match[2]:
                raise DataError(f"{source}, line {number}: '{short(line)}'; expected @attribute NAME numeric, relational or {{A,B}}.")
            (inner if inside else outer).append((number, match[2].strip()))
            if match[2].strip().lower() == "relational":
                inside = relational = True
        elif text and not lower.startswith(("%", "@relation")):
            raise DataError(f"{source}, line {number}: '{short(line)}' before a line '@data'; expected @relation, @attribute or %.")
    raise DataError(f"{source} has no line '@data'; expected an .arff file of the UCR/UEA archive.")
