"""The .ts format of the UCR/UEA archive: dimensions between colons, values between commas, the label last."""

from difflib import get_close_matches

import numpy as np

from tidegate.data.archive_text import ArchiveText, check_label, read_label, records, short
from tidegate.data.labelled import number_text
from tidegate.errors import DataError

_TAGS = ("problemname", "timestamps", "missing", "univariate", "dimensions", "dimension", "equallength", "serieslength", "classlabel")
_KNOWN_TAGS = (*_TAGS, "targetlabel")
_FLAGS = ("timestamps", "missing", "univariate", "equallength", "classlabel", "targetlabel")
_COUNTS = ("dimensions", "dimension", "serieslength")


def read_ts(lines: list[str], source: str) -> ArchiveText:
    """The texts of a .ts file. Raises DataError that names the line."""
    facts, begin, notes = _ts_head(lines, source)
    labelled = facts["classlabel"][0] == "true"
    declared = {number_text(word) or "" for word in facts["classlabel"][1:]}
    said = next((tag for tag in ("dimensions", "dimension") if tag in facts), None)
    count = int(facts[said][0]) if said else 1 if facts.get("univariate") == ["true"] else 0
    raw = ArchiveText(count, padded=False, facts=facts, notes=notes)
    for number, line in records(lines, begin, "#"):
        parts = line.split(":")
        label = read_label(parts.pop()) if labelled else None
        raw.count = raw.count or len(parts)
        if len(parts) != raw.count:
            why = f"@{said} {count}" if said else "@univariate true" if count else "as in the first line"
            given = f"{len(parts)} dimensions between colons{' before the label' if labelled else ''}"
            raise DataError(f"{source}, line {number}: {given}; expected {raw.count} ({why}).")
        check_label(label, declared, f"{source}, line {number}")
        raw.add(number, label, parts)
    return raw


def _ts_head(lines: list[str], source: str) -> tuple[dict[str, list[str]], int, list[str]]:
    """The words of each @ line by its name in lower case, the number of the line '@data', and notes."""
    facts: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        tag = words[0].lower().removeprefix("@")
        if not words[0].startswith("@"):
            raise DataError(f"{source}, line {number}: '{short(line)}' before a line '@data'; expected lines that begin with @ or #.")
        if tag == "data":
            return facts, number, _check_ts_head(facts, source)
        facts[tag] = words[1:]
        _check_fact(tag, words[1:], f"{source}, line {number}")
    raise DataError(f"{source} has no line '@data'; expected a .ts file of the UCR/UEA archive.")


def _check_fact(tag: str, words: list[str], place: str) -> None:
    """Raise DataError for an @ line that cannot be read, or says that the file holds something else."""
    said = f"{place}: '@{' '.join([tag, *words[:3]])}'"
    if tag in _FLAGS:
        if not words or words[0].lower() not in ("true", "false"):
            raise DataError(f"{said}; expected @{tag} true or false.")
        words[0] = words[0].lower()
    if tag in _COUNTS and not (len(words) == 1 and words[0].isdecimal() and int(words[0])):
        raise DataError(f"{said}; expected a whole number above 0.")
    if tag == "timestamps" and words[0] == "true":
        raise DataError(f"{said}: values with time stamps are not read. Give the data as a long table: id, time, channels, label.")
    if tag == "targetlabel" and words[0] == "true":
        raise DataError(f"{said}: the file holds a number to be predicted, not a class; expected a file with @classLabel.")


def _check_ts_head(facts: dict[str, list[str]], source: str) -> list[str]:
    unknown = [tag for tag in facts if tag not in _KNOWN_TAGS]
    if "classlabel" not in facts:
        near = get_close_matches("classlabel", unknown, n=1)
        cure = f" Is '@{near[0]}' meant?" if near else ""
        raise DataError(f"{source} has no line '@classLabel'; expected '@classLabel true A B ...', or '@classLabel false'.{cure}")
    return [f"unknown lines of the header are ignored: {', '.join(f'@{tag}' for tag in unknown)}"] if unknown else []


def contradictions(facts: dict[str, list[str]], values: np.ndarray, lengths: np.ndarray) -> list[str]:
    """Notes on what a .ts header says otherwise than the data is; the data counts."""
    notes = []
    shortest, longest = int(lengths.min()), int(lengths.max())
    length = facts.get("serieslength")
    if length and not shortest == longest == int(length[0]):
        notes.append(f"the header says @seriesLength {length[0]}, but sequences have {shortest} to {longest} steps")
    elif facts.get("equallength") == ["true"] and shortest < longest:
        notes.append(f"the header says @equalLength true, but sequences have {shortest} to {longest} steps")
    missing = int(np.count_nonzero(np.isnan(values)))
    if facts.get("missing") == ["false"] and missing:
        notes.append(f"the header says @missing false, but {missing:,} values are missing")
    return notes
