"""Opens, checks and decodes one untrusted photo: upright sRGB pixels, or a typed error.

Runs in the sandboxed decoder (`media/decoder_process.py`). Pillow may try four formats and no other of its dozens; the
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
from PIL import Image, ImageCms, ImageOps
from PIL.ExifTags import IFD, Base

from runner.files.packed import UNPACK, packed_as
from runner.media.colour import Colour, colour_of, to_srgb
from runner.media.photo.metadata import PhotoRecording, Tags, read_photo
from runner.media.settings import Limits
from runner.media.signatures import HEAD, looks_like_heif, looks_like_photo
from runner.scene.frames import Clip
from runner.scene.sizes import shrink
from scenejobs.errors import Code, InputError, SceneJobError

FORMATS = ("JPEG", "PNG", "TIFF")  # a JPEG that holds several images (MPO) opens as its first
TURNED = {5, 6, 7, 8}  # EXIF orientations that exchange width and height
TURNS = {3: 180, 6: 270, 8: 90}  # degrees counter-clockwise that make the stored image upright; others mirror it
EXPORT = "export it as JPEG, or take the photo again"

Image.MAX_IMAGE_PIXELS = None  # the limit is ours: of the settings, and not twice that


@dataclass(frozen=True)
class Photo:
    """One decoded photo."""

    width: int  # pixels, upright, as stored in the file
    height: int
    codec: str  # "jpeg", "png", "tiff", "heif"
    recording: PhotoRecording
    pixels: NDArray[np.uint8]  # [h, w, 3] sRGB, upright, shrunk to the long side that was asked for
    warnings: tuple[str, ...] = ()
    turned_deg: int = 0  # counter-clockwise, from how it is stored to upright


def read(clip: Clip, limits: Limits, long_side: int | None) -> Photo:
    """Raises InputError: EMPTY_FILE, NOT_A_PHOTO, CORRUPT_PHOTO, TOO_LARGE, TOO_SMALL."""
    data = _bytes(clip, limits)
    if not looks_like_photo(data[:HEAD]):
        cause, advice = f"{clip.name} is no JPEG, PNG, TIFF or HEIC photo", EXPORT
        if packed := packed_as(data[:HEAD]):
            cause, advice = f"{cause}, but something packed ({packed})", UNPACK
        raise InputError(cause, advice=advice, code=Code.NOT_A_PHOTO)
    with _naming_damage(clip):
        read_it = _heif if looks_like_heif(data[:HEAD]) else _pillow
        return read_it(clip, data, limits, long_side)


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
    if max(width, height) < limits.min_long_side or min(width, height) < limits.min_short_side:
        raise InputError(
            f"{clip.name} has {width}x{height} pixels; {limits.min_long_side}x{limits.min_short_side} are needed",
            advice="upload the original photo", code=Code.TOO_SMALL,
        )  # fmt: skip


def _pillow(clip: Clip, data: bytes, limits: Limits, long_side: int | None) -> Photo:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
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
        # After loading: a PNG may have its tags behind the pixels. Pillow has turned a TIFF itself, and says so.
        upright = ImageOps.exif_transpose(image)
        if codec != "jpeg":
            width, height = upright.size
        tags, warnings = _tags(image.getexif())
        profile = image.info.get("icc_profile")
        pixels = _srgb(_eight_bits(clip, upright).resize(shrink(width, height, long_side), Image.Resampling.LANCZOS),
                       profile, warnings)  # fmt: skip
    recording = read_photo(tags, width, height)
    return Photo(width, height, codec, recording, np.asarray(pixels), tuple(warnings), turned_deg)


def _heif(clip: Clip, data: bytes, limits: Limits, long_side: int | None) -> Photo:
    """libheif turns the image by its own boxes; the EXIF orientation beside them says the same and is ignored."""
    pillow_heif.options.DECODE_THREADS = 1
    file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    width, height = file.size
    _check_size(clip, width, height, limits)
    stored = np.asarray(file)
    colour, profile = _heif_colour(file.info), file.info.get("icc_profile")
    if stored.ndim == 2:
        stored = np.repeat(stored[..., None], 3, axis=2)
    if stored.dtype == np.uint16:  # 10 and 12 bits, scaled up
        image = Image.fromarray(to_srgb(stored[..., :3], colour))
        colour = Colour()
    else:
        image = Image.fromarray(np.ascontiguousarray(stored[..., :3]))
    image = image.resize(shrink(width, height, long_side), Image.Resampling.LANCZOS)
    exif = Image.Exif()
    exif.load(file.info.get("exif") or b"")
    tags, warnings = _tags(exif)
    if profile:
        image = _srgb(image, profile, warnings)
    elif not colour.is_srgb:
        image = Image.fromarray(to_srgb(np.asarray(image).astype(np.uint16) * 257, colour))
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


def _eight_bits(clip: Clip, image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow's own conversion clips at 255
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise InputError(f"{clip.name} holds numbers of 32 bits", advice=EXPORT, code=Code.NOT_A_PHOTO)
    return image.convert("RGB")


def _srgb(image: Image.Image, profile: bytes | None, warnings: list[str]) -> Image.Image:
    """Display P3, Adobe RGB and others, by the profile in the file."""
    if not profile:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if ImageCms.getProfileDescription(source).strip().lower().startswith("srgb"):
            return image
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
    except (ImageCms.PyCMSError, OSError, ValueError):  # damaged, or of grey or CMYK, which became RGB before
        warnings.append("its colour profile cannot be used")
        return image
    return converted or image


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
