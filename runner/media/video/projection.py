"""Which projection a video has: by what the container says, by how its streams lie, and by the pictures themselves.

The container speaks through FFmpeg, which reads Google's Spherical Video V1 (XML in a `uuid` box) and V2 (`sv3d`), and
Matroska's Projection, and attaches one structure to every frame (libavutil/spherical.h). Much software drops all of
them, so the pictures are looked at as well.
"""

from __future__ import annotations

import struct
from pathlib import PurePosixPath

import av
from av.sidedata.sidedata import Type as SideDataType

from runner.media.lenses.shape import ASPECT, Shape
from runner.media.video.side_data import side_data
from runner.scene.frames import Clip
from scenejobs.errors import Code, InputError

EQUIRECTANGULAR, CUBEMAP, TILE, HALF, RECTILINEAR, FISHEYE = range(6)  # AVSphericalProjection
NOT_READ = {
    CUBEMAP: "a 360-degree video as a cube map",
    TILE: "a part of a 360-degree video",
    HALF: "a 180-degree video for headsets",
    FISHEYE: "a 180-degree fisheye video for headsets",
}
EXPORT = "export it from the camera's app as a 360-degree MP4 (equirectangular, not 3D) or as a flat (reframed) video"
EAC_ASPECT = 2.9  # width / height of one of the two streams of a GoPro .360; no camera films that wide otherwise
RAW_NAMES = {".insv": "an Insta360 raw recording", ".360": "a GoPro MAX raw recording"}


def stated_projection(frame: av.VideoFrame) -> int | None:
    """AVSphericalProjection of the clip; None: it states none."""
    raw = side_data(frame, SideDataType.SPHERICAL) or b""
    return int(struct.unpack_from("<i", raw)[0]) if len(raw) >= 4 else None


def is_stereo(frame: av.VideoFrame) -> bool:
    """Does the clip state that it holds a picture for each eye (`st3d`)?"""
    raw = side_data(frame, SideDataType.STEREO3D) or b""
    return len(raw) >= 4 and struct.unpack_from("<i", raw)[0] != 0


def check_streams(clip: Clip, streams: list[av.VideoStream]) -> None:
    """Raises InputError PANORAMA for raw recordings that keep what two lenses see in two streams."""
    known = [stream for stream in streams if stream.codec_context is not None]  # others have not even a size
    sizes = [(stream.width, stream.height) for stream in known if stream.width and stream.height]
    for size in set(sizes):
        if sizes.count(size) < 2:
            continue
        if size[0] >= EAC_ASPECT * size[1]:
            raise _raw(clip, "a GoPro MAX raw recording (.360: two streams of a cube map)")
        if size[0] == size[1]:
            raise _raw(clip, "the raw recording of a 360-degree camera (a stream for each lens)")


def check_shape(clip: Clip, shape: Shape) -> None:
    """Raises InputError PANORAMA for two discs side by side, and for a picture for each eye."""
    if shape is Shape.TWO_EYES:
        raise two_eyes(clip)
    if shape is Shape.TWO_DISCS:
        named = RAW_NAMES.get(PurePosixPath(clip.name).suffix.lower(), "the raw recording of a 360-degree camera")
        raise _raw(clip, f"{named} (what its two lenses see, side by side)")


def two_eyes(clip: Clip) -> InputError:
    """For a film or photo that holds a picture for each eye."""
    cause = f"{clip.name} is in 3D: it holds a picture for each eye, side by side or one above the other"
    advice = "export it in 2D, with the picture of one eye alone, from the app of the camera or headset"
    return InputError(cause, code=Code.PANORAMA, advice=advice)


def shape_by_statement(clip: Clip, stated: int | None, stereo: bool, width: int, height: int) -> Shape | None:
    """What the clip states; None where it states nothing. Raises InputError PANORAMA for what cannot be read."""
    if stated in NOT_READ:
        raise _raw(clip, NOT_READ[stated])
    if stated != EQUIRECTANGULAR:
        return None
    if stereo or not ASPECT[0] <= width / height <= ASPECT[1]:
        raise _raw(clip, "a 360-degree video for both eyes (3D)" if stereo else "a 360-degree video that is cropped")
    return Shape.EQUIRECTANGULAR


def _raw(clip: Clip, what: str) -> InputError:
    return InputError(f"{clip.name} is {what}", code=Code.PANORAMA, advice=EXPORT)
