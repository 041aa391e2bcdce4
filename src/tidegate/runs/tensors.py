"""Arrays to and from safetensors, the same bytes for the same arrays."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as numpy_format

_LENGTH = 8  # a safetensors file begins with the length of its JSON header as uint64, little-endian


def tensors_to_bytes(tensors: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> bytes:
    """A safetensors file of NumPy arrays or torch tensors (taken to the CPU).

    Arrays are made C-contiguous (the library writes others in the wrong order) and metadata is sorted (the library's order changes
    from call to call), so that equal content gives equal bytes.
    """
    arrays = {name: _array(tensor) for name, tensor in tensors.items()}
    return _sort_metadata(numpy_format.save(arrays, dict(metadata) if metadata else None))


def tensors_from_bytes(content: bytes) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file. Raises SafetensorError."""
    return numpy_format.load(content)


def metadata_from_bytes(content: bytes) -> dict[str, str]:
    """The metadata of a safetensors file. Raises SafetensorError."""
    try:
        return _header(content).get("__metadata__", {})
    except ValueError as error:
        raise SafetensorError(str(error)) from None


def _array(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.detach().cpu() if hasattr(tensor, "detach") else tensor, order="C")


def _header(content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:_LENGTH], "little")
    return json.loads(content[_LENGTH : _LENGTH + length])


def _sort_metadata(content: bytes) -> bytes:
    """The same file with the metadata in the order of its keys."""
    header = _header(content)
    if "__metadata__" not in header:
        return content
    body = content[_LENGTH + int.from_bytes(content[:_LENGTH], "little") :]
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(_LENGTH, "little") + text + body
