"""Opens, checks and decodes one untrusted photo: upright sRGB pixels, or a typed error.

Runs in the sandboxed decoder (`media/decoding/process.py`). Pillow may try five formats and no other of its dozens; the
size in the header is checked before a pixel is decoded, so that a bomb costs nothing.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import AvifImagePlugin, Image, ImageOps, TiffImagePlugin, UnidentifiedImageError
from PIL.ExifTags import IFD, Base

from runner.files.packed import UNPACK, packed_as
from runner.media.colour import Colour, colour_of, to_srgb
from runner.media.frame_size import is_too_small
from runner.media.photo.avif_colour import avif_colour
from runner.media.photo.metadata import PhotoRecording, Tags, read_photo
from runner.media.photo.pixels import EXPORT, by_numbers, eight_bits, srgb
from runner.media.settings import Limits
from runner.media.signatures import (
    HEAD,
    looks_like_avif,
    looks_like_heif,
    looks_like_photo,
    looks_like_video,
    other_picture,
    stand_in,
)
from runner.scene.frames import Clip
from runner.scene.sizes import shrink
from scenejobs.errors import Code, InputError, SceneJobError
from scenejobs.names import is_raw_photo

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "AVIF")  # a JPEG that holds several images (MPO) opens as its first
MAKER_NOTE = 0x927C  # of the Exif folder
MISSING_GREY, MISSING_LEAST = 128, 0.01  # of a JPEG that ends too early; share of its rows
TURNED = {5, 6, 7, 8}  # EXIF orientations that exchange width and height
TURNS = {3: 180, 6: 270, 8: 90}  # degrees counter-clockwise that make the stored image upright; others mirror it
# Tags of a TIFF that is a raw photo: of DNG and TIFF/EP (NEF, ...); and of TIFF 6 with its technical note 1.
DNG_VERSION, COLOUR_FILTER, SUBFILE_TYPE, SUB_IFDS = 0xC612, 0x828E, 0xFE, 0x14A

AvifImagePlugin.DEFAULT_MAX_THREADS = 1
Image.MAX_IMAGE_PIXELS = None  # the limit is ours: of the settings, and not twice that


@dataclass(frozen=True)
class Photo:
    """One decoded photo."""

    width: int  # pixels, upright, as stored in the file
    height: int
    codec: str  # "jpeg", "png", "tiff", "heif", "webp", "avif"
    recording: PhotoRecording
    pixels: NDArray[np.uint8]  # [h, w, 3] sRGB, upright, shrunk to the long side that was asked for
    warnings: tuple[str, ...] = ()
    turned_deg: int = 0  # counter-clockwise, from how it is stored to upright
    xmp: bytes = b""  # what other programs wrote into it, as XML


def read(clip: Clip, limits: Limits, long_side: int | None) -> Photo:
    """Raises InputError: EMPTY_FILE, NOT_A_PHOTO, CORRUPT_PHOTO, TOO_LARGE, TOO_SMALL."""
    data = _bytes(clip, limits)
    _check_kind(clip, data[:HEAD])
    with _naming_damage(clip):
        heic = looks_like_heif(data[:HEAD]) and not looks_like_avif(data[:HEAD])
        return (_heif if heic else _pillow)(clip, data, limits, long_side)


def maker_note(clip: Clip, limits: Limits) -> bytes | None:
    """What the camera's maker wrote into a photo, without decoding it; b"" where there is nothing, None for no photo.

    Raises InputError for a damaged one.
    """
    assert clip.descriptor is not None, "a photo is opened by the sandboxed process, which has descriptors only"
    head = os.pread(clip.descriptor, HEAD, 0)
    if not looks_like_photo(head):
        return None
    data = _bytes(clip, limits)
    with _naming_damage(clip):
        exif = Image.Exif()
        if looks_like_heif(head) and not looks_like_avif(head):
            exif.load(pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False).info.get("exif") or b"")
        else:
            with _opened(clip, data) as image:
                exif = image.getexif()
        note = _tags(exif)[0].exif.get(MAKER_NOTE)
    return note if isinstance(note, bytes) else b""


def _check_kind(clip: Clip, head: bytes) -> None:
    """Raises InputError NOT_A_PHOTO."""
    if is_raw_photo(clip.name) and head and not head.startswith(b"\xff\xd8\xff"):
        raise _raw(clip)
    if picture := other_picture(head):
        cause = f"{clip.name} is a picture that is not read: {picture}"
        raise InputError(cause, advice="export it as JPEG", code=Code.NOT_A_PHOTO)
    if looks_like_photo(head):
        return
    if looks_like_video(head):
        cause = f"{clip.name} is a video and not a photo"
        raise InputError(cause, advice="let its name end as that of a video does (.mp4)", code=Code.NOT_A_PHOTO)
    cause, advice = f"{clip.name} is no JPEG, PNG, TIFF, HEIC, WebP or AVIF photo", EXPORT
    if packed := packed_as(head):
        cause, advice = f"{cause}, but something packed ({packed})", UNPACK
    elif found := stand_in(head):
        cause, advice = f"{clip.name} is no photo, but {found[0]}", found[1]
    raise InputError(cause, advice=advice, code=Code.NOT_A_PHOTO)


def _is_raw(image: TiffImagePlugin.TiffImageFile) -> bool:
    """By tags of the raw formats, or because the first picture says that it is the small one of several."""
    tags = image.tag_v2
    return DNG_VERSION in tags or COLOUR_FILTER in tags or (SUB_IFDS in tags and tags.get(SUBFILE_TYPE) == 1)


def _raw(clip: Clip) -> InputError:
    cause = f"{clip.name} is a raw photo of a camera, which has to be developed first"
    return InputError(cause, advice="export it as JPEG", code=Code.NOT_A_PHOTO)


def _bytes(clip: Clip, limits: Limits) -> bytes:
    assert clip.descriptor is not None, "a photo is opened by the sandboxed process, which has descriptors only"
    size = os.fstat(clip.descriptor).st_size
    if size == 0:
        raise InputError(f"{clip.name} is empty (0 bytes)", advice="upload it again", code=Code.EMPTY_FILE)
    if size > limits.max_photo_bytes:
        cause = f"{clip.name} has {size:,} bytes; {limits.max_photo_bytes:,} are allowed"
        raise InputError(cause, advice="export it as JPEG", code=Code.TOO_LARGE)
    with os.fdopen(os.dup(clip.descriptor), "rb") as file:
        file.seek(0)
        return file.read(size)


def _check_size(clip: Clip, width: int, height: int, limits: Limits) -> None:
    if width * height > limits.max_photo_pixels:
        cause = f"{clip.name} has {width}x{height} pixels; {limits.max_photo_pixels:,} are allowed"
        raise InputError(cause, advice="export it smaller", code=Code.TOO_LARGE)
    if is_too_small(width, height, limits):
        raise InputError(
            f"{clip.name} has {width}x{height} pixels; {limits.min_long_side}x{limits.min_short_side} are needed",
            advice="upload the original photo", code=Code.TOO_SMALL,
        )  # fmt: skip


def _pillow(clip: Clip, data: bytes, limits: Limits, long_side: int | None) -> Photo:
    with _opened(clip, data) as image:
        _check_size(clip, *image.size, limits)
        width, height = image.size
        turned_deg = TURNS.get(image.getexif().get(Base.Orientation, 1), 0)
        codec = {"MPO": "jpeg"}.get(str(image.format), str(image.format).lower())
        if codec == "jpeg":  # decodes at a half, a quarter or an eighth of the size where that is still enough
            turned = image.getexif().get(Base.Orientation) in TURNED
            smaller = shrink(width, height, long_side)
            image.draft(image.mode, smaller)
            if turned:
                width, height = height, width
        image.load()
        if codec == "jpeg":
            _check_whole(clip, image)
        # After loading: a PNG may have its tags behind the pixels. Pillow has turned a TIFF itself, and says so.
        upright = ImageOps.exif_transpose(image)
        if codec != "jpeg":
            width, height = upright.size
        tags, warnings = _tags(image.getexif())
        profile, xmp = image.info.get("icc_profile"), image.info.get("xmp", b"")
        small = eight_bits(clip.name, upright, warnings).resize(
            shrink(width, height, long_side), Image.Resampling.LANCZOS
        )
        pixels = srgb(small, profile, warnings)
        if codec == "avif" and not profile:
            pixels = by_numbers(pixels, avif_colour(data))
    recording = read_photo(tags, width, height)
    xmp = xmp if isinstance(xmp, bytes) else b""
    return Photo(width, height, codec, recording, np.asarray(pixels), tuple(warnings), turned_deg, xmp)


def _check_whole(clip: Clip, image: Image.Image) -> None:
    """Raises InputError CORRUPT_PHOTO for a JPEG whose end is missing and which was closed again, as programs that
    rescue files of a broken card do: what is not there is of the grey that libjpeg begins with, to the bit.
    """
    if image.mode not in ("RGB", "L"):
        return
    pixels = np.asarray(image)
    row = (pixels == MISSING_GREY).reshape(len(pixels), -1).all(axis=1)
    if row[0]:  # grey from the top: a card, or a frame around the picture
        return
    there = len(row) - int(np.argmin(row[::-1]))
    if len(row) - there > MISSING_LEAST * len(row):
        share = round(100 * (1 - there / len(row)))
        cause = f"{clip.name} is damaged: its lower {share} % are missing and grey"
        raise InputError(cause, advice="copy it from the camera again, or leave it out", code=Code.CORRUPT_PHOTO)


@contextmanager
def _opened(clip: Clip, data: bytes) -> Iterator[Image.Image]:
    """Raises InputError NOT_A_PHOTO for what Pillow opens and is no photo to be used."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as exc:
        if not data.startswith((b"II*\0", b"MM\0*")):
            raise
        cause = f"{clip.name} is damaged, or a TIFF of a kind that is not read (16 bits for each colour, for example)"
        raise InputError(cause, advice=EXPORT, code=Code.NOT_A_PHOTO) from exc
    with image:
        if isinstance(image, TiffImagePlugin.TiffImageFile) and _is_raw(image):
            raise _raw(clip)
        if image.format in ("WEBP", "AVIF", "PNG") and (pictures := getattr(image, "n_frames", 1)) > 1:
            cause = f"{clip.name} is no photo, but moves: it holds {pictures} pictures"
            raise InputError(cause, advice="save it as a video (MP4), or each as JPEG", code=Code.NOT_A_PHOTO)
        yield image


def _heif(clip: Clip, data: bytes, limits: Limits, long_side: int | None) -> Photo:
    """libheif turns the image by its own boxes; the EXIF orientation beside them says the same and is ignored."""
    pillow_heif.options.DECODE_THREADS = 1
    file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    width, height = file.size
    _check_size(clip, width, height, limits)
    stored, seen = np.asarray(file), list[str]()
    colour, profile = _heif_colour(file.info), file.info.get("icc_profile")
    if stored.ndim == 2:
        stored = np.repeat(stored[..., None], 3, axis=2)
    if stored.dtype == np.uint16:  # 10 and 12 bits, scaled up
        image = Image.fromarray(to_srgb(stored[..., :3], colour))
        colour = Colour()
    else:
        image = eight_bits(clip.name, Image.fromarray(np.ascontiguousarray(stored)), seen)
    image = image.resize(shrink(width, height, long_side), Image.Resampling.LANCZOS)
    exif = Image.Exif()
    exif.load(file.info.get("exif") or b"")
    tags, warnings = _tags(exif)
    warnings += seen
    image = srgb(image, profile, warnings) if profile else by_numbers(image, colour)
    return Photo(width, height, "heif", read_photo(tags, width, height), np.asarray(image), tuple(warnings))


def _heif_colour(info: dict[str, object]) -> Colour:
    nclx = info.get("nclx_profile")
    if not isinstance(nclx, dict):
        return Colour()
    return colour_of(int(nclx["transfer_characteristics"]), int(nclx["color_primaries"]))


def _tags(exif: Image.Exif) -> tuple[Tags, list[str]]:
    try:
        return Tags(dict(exif), exif.get_ifd(IFD.Exif), exif.get_ifd(IFD.GPSInfo)), []
    except (MemoryError, ImportError):
        raise
    except Exception:  # noqa: BLE001  # Pillow raises anything on damaged tags; the photo is good without them
        return Tags({}, {}, {}), ["its EXIF data cannot be read"]


@contextmanager
def _naming_damage(clip: Clip) -> Iterator[None]:
    try:
        yield
    except (MemoryError, ImportError, SceneJobError):  # an import that the sandbox forbids is a bug of ours
        raise
    except Exception as exc:  # Pillow and libheif raise a dozen classes for a damaged file
        raise InputError(
            f"{clip.name} is damaged or cut off: {exc}", advice="upload it again", code=Code.CORRUPT_PHOTO
        ) from exc
