"""Values in terms of JSON (RFC 8259), which knows no NaN and no infinity: a number that is not finite is null."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any


def json_text(value: Any, indent: int | None = None) -> str:
    """Strict JSON, on one line unless an indent is given."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=indent)


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
