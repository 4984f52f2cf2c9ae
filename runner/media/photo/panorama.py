"""Photos that are no usual picture: 360-degree spheres, parts of one, and raw recordings of 360-degree cameras.

Google's Photo Sphere XMP Metadata (`GPano`) is looked for as text: what of it matters are one word and two numbers.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from runner.media.lenses.shape import ASPECT, Shape, shape_of
from runner.media.video.projection import EXPORT, two_eyes
from runner.scene.frames import Clip
from scenejobs.errors import Code, InputError

LONGEST = 3.0  # sides of a single picture: the widest that cameras crop to are 65:24
FLAT = "rectilinear"  # what a program says of an ordinary picture that it made of a panorama

_SAID = {
    name: re.compile(rf"GPano:{name}\s*(?:=\s*[\"']|>)\s*([A-Za-z0-9.]{{1,20}})".encode())
    for name in ("ProjectionType", "FullPanoWidthPixels", "CroppedAreaImageWidthPixels", "FullPanoHeightPixels",
                 "CroppedAreaImageHeightPixels")
}  # fmt: skip


def photo_shape(clip: Clip, xmp: bytes, luma: NDArray[np.uint8], swept: bool = False) -> Shape:
    """By what the photo states, and by its pixels. luma: [height, width], shrunk. swept: its EXIF calls it a panorama.

    Raises InputError PANORAMA for a part of a panorama, another projection, and raw recordings.
    """
    said = {name: match[1].decode().lower() for name, pattern in _SAID.items() if (match := pattern.search(xmp))}
    height, width = luma.shape
    projection = said.get("ProjectionType", "")
    if projection and projection != FLAT:
        whole = all(
            said.get(f"FullPano{side}Pixels", "") == said.get(f"CroppedAreaImage{side}Pixels", "")
            for side in ("Width", "Height")
        )
        if projection != "equirectangular" or not whole or not ASPECT[0] <= width / height <= ASPECT[1]:
            raise _stitched(clip, "is a part of a panorama, made of several pictures")
        return Shape.EQUIRECTANGULAR
    shape = shape_of(luma) or Shape.FLAT
    if shape is Shape.TWO_EYES:
        raise two_eyes(clip)
    if shape is Shape.TWO_DISCS:
        cause = f"{clip.name} is the raw recording of a 360-degree camera (what its two lenses see, side by side)"
        raise InputError(cause, code=Code.PANORAMA, advice=EXPORT)
    if swept:
        raise _stitched(clip, "is a panorama, made of several pictures")
    if max(width, height) > LONGEST * min(width, height):
        cause = (
            f"is {max(width, height) / min(width, height):.1f} times as long as wide, as only panorama modes make them"
        )
        raise _stitched(clip, cause)
    return shape


def _stitched(clip: Clip, what: str) -> InputError:
    """Its pixels were seen from several places, in several directions: no camera has such a projection."""
    advice = "take single photos, each from another place"
    return InputError(f"{clip.name} {what}", code=Code.PANORAMA, advice=advice)
