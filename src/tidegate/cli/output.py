"""What a verb prints: text for people, or one JSON object for programs."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def say(text: str) -> None:
    """A line on standard output."""
    sys.stdout.write(f"{text}\n")


def say_json(value: Mapping[str, Any]) -> None:
    """One strict JSON object on standard output: a number that is not finite is null."""
    say(json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=2))


def say_error(kind: str, message: str, as_json: bool) -> None:
    """An error: 'error: ...' on standard error, or a JSON object on standard output."""
    if as_json:
        say_json({"error": {"kind": kind, "message": message}})
    else:
        sys.stderr.write(f"error: {message}\n")


def plain(value: Any) -> Any:
    """A value in terms of JSON: NumPy numbers and arrays, paths and dataclass-like mappings become what they stand for."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Sequence | set | frozenset):
        return [plain(item) for item in value]
    return str(value)
