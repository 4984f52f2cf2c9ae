"""What the numbers of an AVIF photo mean. Pillow decodes them and leaves out what the file says of it."""

from __future__ import annotations

from runner.media.colour import Colour, colour_of

COLOUR_BOX = b"colrnclx"  # ISO/IEC 14496-12, 12.1.5: then 16 bits each for primaries, transfer, matrix
SEARCHED = 1 << 16  # bytes: the box is one of the properties, which lie before the picture


def avif_colour(data: bytes) -> Colour:
    """Of the file; sRGB where it does not say."""
    at = data.find(COLOUR_BOX, 0, SEARCHED) + len(COLOUR_BOX)
    if at < len(COLOUR_BOX) or len(data) < at + 4:
        return Colour()
    primaries, transfer = (int.from_bytes(data[at + 2 * field : at + 2 * field + 2], "big") for field in (0, 1))
    return colour_of(transfer, primaries)
