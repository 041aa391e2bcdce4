"""Every error that a user's input can cause.

    TidegateError                 the base: the command line shows it in a line or two and exits with 2
    |- DataError                  the data cannot be used as it is (file, column, row or series named)
    |- SettingsError              an argument or setting is wrong or unknown
    |- RunError                   a run folder is missing, incomplete, damaged, of another version, or not writable
    '- TrainingError              training cannot go on: a non-finite loss, changed data on resume

A message says what was given, what was expected, and how to mend it.
"""

import difflib
from collections.abc import Iterable


class TidegateError(Exception):
    """Base of all errors that input can cause."""


class DataError(TidegateError):
    """The data cannot be used as it is."""


class SettingsError(TidegateError):
    """An argument or a setting is wrong or unknown."""


class RunError(TidegateError):
    """A run folder is missing, incomplete, damaged, of another version, or not writable."""


class TrainingError(TidegateError):
    """Training cannot go on."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """' Did you mean 'x'?' for the nearest of `known`, else the list of them (at most 12), as an end to a message."""
    names = list(known)
    near = difflib.get_close_matches(given, names, n=1, cutoff=0.6)
    if not near:
        folded = {name.casefold(): name for name in names}
        near = [folded[given.casefold()]] if given.casefold() in folded else []
    if near:
        return f" Did you mean '{near[0]}'?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f" Known: {shown}."
