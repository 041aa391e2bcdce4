"""Pictures made of points, as a PNG inside the page (ISO/IEC 15948: PNG, second edition)."""

import base64
import struct
import zlib
from collections.abc import Sequence

Colour = tuple[int, int, int, int]
"""Red, green, blue and opacity, 0 to 255."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(rows: Sequence[bytes], palette: Sequence[Colour]) -> bytes:
    """A picture of rows of the same length from the top, each point the number of a colour, of which there are at most 256.

    Raises ValueError for no points, rows of different lengths and numbers without a colour.
    """
    widths = {len(row) for row in rows}
    if len(widths) != 1 or not max(widths):
        raise ValueError(f"rows of {sorted(widths)} points, expected rows of one length with at least one")
    if not len(palette) <= 256 or max(map(max, rows)) >= len(palette):
        raise ValueError(f"{len(palette)} colours, expected at most 256, and one for each number")
    header = struct.pack(">IIBBBBB", widths.pop(), len(rows), 8, 3, 0, 0, 0)  # 8 bits that number a palette; no filter, no interlace
    colours = b"".join(bytes(colour[:3]) for colour in palette)
    opacities = bytes(colour[3] for colour in palette)
    points = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    chunks = [(b"IHDR", header), (b"PLTE", colours), (b"tRNS", opacities), (b"IDAT", points), (b"IEND", b"")]
    return _SIGNATURE + b"".join(_chunk(name, data) for name, data in chunks)


def embedded(picture: bytes) -> str:
    """The picture as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
