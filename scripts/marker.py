"""Draws docs/images/marker.svg, the marker to print, with the code of the library that finds it.

    python -m scripts.marker

AprilTag number 0 of family tag36h11: the black square is 160 mm wide where the page is printed at 100 %.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PAGE = Path(__file__).resolve().parents[1] / "docs/images/marker.svg"
SIZE_MM = 160.0  # of the black square
MARGIN = 1  # white modules around it
BLACK = 8  # modules of the black square, frame included


class _Family(ctypes.Structure):
    """The beginning of apriltag_family_t of the library."""

    _fields_ = (
        ("count", ctypes.c_uint32),
        ("codes", ctypes.POINTER(ctypes.c_uint64)),
        ("width_at_border", ctypes.c_int),
        ("total_width", ctypes.c_int),
        ("reversed_border", ctypes.c_bool),
        ("bits", ctypes.c_uint32),
        ("x", ctypes.POINTER(ctypes.c_uint32)),  # of each bit, the first one the highest, in the black square
        ("y", ctypes.POINTER(ctypes.c_uint32)),
    )


def modules(number: int = 0) -> NDArray[np.uint8]:
    """[10, 10] of 0 and 255: the black square of 8, and its white margin of 1."""
    import pupil_apriltags

    path = sorted(Path(pupil_apriltags.__file__).parent.glob("lib*/libapriltag*"))[0]
    library = ctypes.CDLL(str(path))
    library.tag36h11_create.restype = ctypes.POINTER(_Family)
    family = library.tag36h11_create().contents
    pixels = np.full((BLACK + 2 * MARGIN, BLACK + 2 * MARGIN), 255, np.uint8)
    pixels[MARGIN:-MARGIN, MARGIN:-MARGIN] = 0
    for bit in range(family.bits):
        if family.codes[number] >> (family.bits - 1 - bit) & 1:
            pixels[family.y[bit] + MARGIN, family.x[bit] + MARGIN] = 255
    return pixels


def svg(pixels: NDArray[np.uint8]) -> str:
    """The page: one square for each black module, in millimetres."""
    module, count = SIZE_MM / BLACK, pixels.shape[0]
    side = count * module
    rows = [
        f'<rect x="{x * module:g}" y="{y * module:g}" width="{module:g}" height="{module:g}"/>'
        for y, x in zip(*np.nonzero(pixels == 0), strict=True)
    ]
    text = f"black square: {SIZE_MM:g} mm at 100 %; measure it, and say it: marker_size_m"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side:g}mm" height="{side + 8:g}mm" '
        f'viewBox="0 0 {side:g} {side + 8:g}" shape-rendering="crispEdges">\n'
        f'<rect width="{side:g}" height="{side + 8:g}" fill="#fff"/>\n' + "\n".join(rows)
        + f'\n<text x="{side / 2:g}" y="{side + 4:g}" font-family="sans-serif" font-size="4" '
        f'text-anchor="middle">{text}</text>\n</svg>\n'
    )  # fmt: skip


if __name__ == "__main__":
    PAGE.write_text(svg(modules()))
