"""The pixels of a decoded frame as sRGB, at the size that is asked for.

What FFmpeg can convert it converts (8 bits, its own matrices). HDR and wide gamuts need 16 bits, a tone curve and other
primaries (`media/colour.py`); there swscale only scales, because its RGB of 16 bits ends at 0.996 for video range.
"""

from __future__ import annotations

from functools import lru_cache
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from runner.media.colour import LEVELS, Colour, Transfer, colour_of, to_srgb
from runner.media.video.side_data import side_data
from runner.scene.sizes import shrink

FULL_RANGE = 2  # AVCOL_RANGE_JPEG; anything else is video range, as players take it
LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    9: (0.2627, 0.0593),
}  # Kr, Kb by H.273
SHRINKING = Interpolation.LANCZOS | Interpolation.ACCURATE_RND
LOOKED_AT_SIDE, OPAQUE = 160, 250  # px on the long side, of 255: what is looked at for transparent parts
MASTERING_BYTES = 88  # struct AVMasteringDisplayMetadata: 10 fractions of two int32, then two flags


def frame_colour(frame: av.VideoFrame) -> Colour:
    """What the frame says about its numbers. Dolby Vision with an HDR10 or HLG base (profile 8) counts as its base."""
    return colour_of(int(frame.color_trc), int(frame.color_primaries), _peak_nits(frame))


def rgb(
    frame: av.VideoFrame, width: int, height: int, colour: Colour, reformatter: VideoReformatter
) -> NDArray[np.uint8]:
    """[height, width, 3] sRGB. What is transparent lies on white."""
    opaque = _rgb(frame, width, height, colour, reformatter)
    if not has_alpha(frame):
        return opaque
    return _on_white(opaque, _alpha(frame, width, height, SHRINKING, reformatter)[..., None])


def has_alpha(frame: av.VideoFrame) -> bool:
    """Whether its format has room for transparency."""
    return any(component.is_alpha for component in frame.format.components)


def is_transparent(frame: av.VideoFrame, reformatter: VideoReformatter) -> bool:
    """Whether any larger part of it is."""
    width, height = shrink(frame.width, frame.height, LOOKED_AT_SIDE)
    return bool(_alpha(frame, width, height, Interpolation.AREA, reformatter).min() < OPAQUE)


def _alpha(
    frame: av.VideoFrame, width: int, height: int, how: Interpolation, reformatter: VideoReformatter
) -> NDArray[np.uint8]:
    """[height, width], 255 for what is opaque."""
    return _bytes(reformatter.reformat(frame, width, height, "rgba", interpolation=how))[..., 3]


def _on_white(opaque: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    share = alpha.astype(np.float32) / 255
    return np.rint(opaque * share + 255 * (1 - share)).astype(np.uint8)


def _rgb(
    frame: av.VideoFrame, width: int, height: int, colour: Colour, reformatter: VideoReformatter
) -> NDArray[np.uint8]:
    if colour.is_srgb:
        # Range and matrix are the frame's own; without a stated matrix it is BT.601, as FFmpeg itself reads and writes.
        return _bytes(reformatter.reformat(frame, width, height, "rgb24", interpolation=SHRINKING))
    if frame.format.is_rgb:
        signal = reformatter.reformat(frame, width, height, "rgb48le", interpolation=SHRINKING).to_ndarray()
        return to_srgb(signal.astype(np.uint16), colour)
    return to_srgb(_signal(frame, width, height, colour, reformatter), colour)


def luma(
    frame: av.VideoFrame, width: int, height: int, colour: Colour, reformatter: VideoReformatter
) -> NDArray[np.uint8]:
    """[height, width] brightness, by averaging areas. Of HDR: the tone curve on the luma alone, exact for what is grey.

    The whole frame costs ten times as much and says the same about sharpness and motion.
    """
    grey = _luma(frame, width, height, colour, reformatter)
    return _on_white(grey, _alpha(frame, width, height, Interpolation.AREA, reformatter)) if has_alpha(frame) else grey


def _luma(
    frame: av.VideoFrame, width: int, height: int, colour: Colour, reformatter: VideoReformatter
) -> NDArray[np.uint8]:
    if colour.transfer is Transfer.SDR or frame.format.is_rgb:
        return _bytes(reformatter.reformat(frame, width, height, "gray", interpolation=Interpolation.AREA))
    scaled = _scaled(frame, width, height, "yuv420p16le", Interpolation.AREA, reformatter)
    (black, span), _ = _levels(frame)
    signal = (_plane(scaled, 0).astype(np.float32) - np.float32(black)) * np.float32((LEVELS - 1) / span)
    found: NDArray[np.uint8] = _grey_curve(colour)[np.clip(signal + 0.5, 0, LEVELS - 1).astype(np.uint16)]
    return found


@lru_cache
def _grey_curve(colour: Colour) -> NDArray[np.uint8]:
    """[LEVELS] signal of a grey -> sRGB."""
    ramp = np.arange(LEVELS, dtype=np.uint16)
    return to_srgb(np.repeat(ramp[None, :, None], 3, axis=2), colour)[0, :, 0]


def _signal(
    frame: av.VideoFrame, width: int, height: int, colour: Colour, reformatter: VideoReformatter
) -> NDArray[np.uint16]:
    """R'G'B' of 16 bits, full range, from Y'CbCr of any depth. BT.2020, BT.709, BT.601: R' = Y' + 2 (1 - Kr) Cr."""
    scaled = _scaled(frame, width, height, "yuv444p16le", SHRINKING, reformatter)
    (black, span), (middle, colour_span) = _levels(frame)
    kr, kb = LUMA_WEIGHTS.get(int(frame.colorspace), LUMA_WEIGHTS[9 if colour.transfer is not Transfer.SDR else 1])
    kg = 1 - kr - kb
    cr, cb = 2 * (1 - kr), 2 * (1 - kb)
    matrix = np.array([[1, 0, cr], [1, -cb * kb / kg, -cr * kr / kg], [1, cb, 0]])  # from Y, Cb, Cr
    matrix = matrix / (span, colour_span, colour_span) * (LEVELS - 1)
    offset = -matrix @ (black, middle, middle) + 0.5  # rounds
    transposed, shift = np.ascontiguousarray(matrix.T.astype(np.float32)), offset.astype(np.float32)
    out = np.empty((height, width, 3), np.uint16)
    planes = [_plane(scaled, number) for number in range(3)]
    for row in range(0, height, 64):
        part = np.stack([plane[row : row + 64] for plane in planes], axis=-1).astype(np.float32)
        out[row : row + 64] = np.clip(part.reshape(-1, 3) @ transposed + shift, 0, LEVELS - 1).reshape(part.shape)
    return out


def _scaled(
    frame: av.VideoFrame, width: int, height: int, pixel_format: str, how: Interpolation, reformatter: VideoReformatter
) -> av.VideoFrame:
    """The same numbers with 16 bits, at another size: range and matrix stay."""
    return reformatter.reformat(
        frame, width, height, pixel_format, interpolation=how,
        dst_color_range=int(frame.color_range), dst_colorspace=int(frame.colorspace),
    )  # fmt: skip


def _plane(frame: av.VideoFrame, number: int) -> NDArray[np.uint16]:
    plane = frame.planes[number]
    rows = np.frombuffer(memoryview(plane), "<u2").reshape(plane.height, plane.line_size // 2)
    found: NDArray[np.uint16] = rows[:, : plane.width]
    return found


def _bytes(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Of a frame in a format of 8 bits."""
    return cast("NDArray[np.uint8]", frame.to_ndarray())


def _levels(frame: av.VideoFrame) -> tuple[tuple[float, float], tuple[float, float]]:
    """Black and span of Y', middle and span of Cb and Cr, in 16 bits. BT.2100 table 9."""
    if int(frame.color_range) != FULL_RANGE:
        return (16 * 256.0, 219 * 256.0), (128 * 256.0, 224 * 256.0)
    unit = 1 << (16 - frame.format.components[0].bits)
    return (0.0, LEVELS - unit), (LEVELS / 2, LEVELS - unit)


def _peak_nits(frame: av.VideoFrame) -> float:
    """Brightest of the display that the video was graded on (SMPTE ST 2086); 0 where it is not stated."""
    data = side_data(frame, SideDataType.MASTERING_DISPLAY_METADATA)
    if data is None or len(data) < MASTERING_BYTES:
        return 0.0
    numbers = np.frombuffer(data[:MASTERING_BYTES], np.int32)
    numerator, denominator, has_luminance = int(numbers[18]), int(numbers[19]), int(numbers[21])
    return numerator / denominator if has_luminance and numerator > 0 and denominator > 0 else 0.0
