"""What a verb prints: text for people, or one JSON object for programs."""

import sys
from collections.abc import Mapping
from typing import Any

from tidegate.runs.plain import json_text

DONE, WRONG, STOPPED = 0, 2, 130
"""What a command exits with."""


def say(text: str) -> None:
    """A line on standard output."""
    sys.stdout.write(f"{text}\n")


def say_json(value: Mapping[str, Any]) -> None:
    """One strict JSON object on standard output: a number that is not finite is null."""
    say(json_text(value, indent=2))


def say_error(kind: str, message: str, as_json: bool) -> None:
    """An error: 'error: ...' on standard error, or a JSON object on standard output."""
    if as_json:
        say_json({"error": {"kind": kind, "message": message}})
    else:
        sys.stderr.write(f"error: {message}\n")
