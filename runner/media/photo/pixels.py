"""Pixels of an opened photo as sRGB of 8 bits: odd modes, transparency, colour profiles."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from runner.media.colour import ON_WHITE, Colour, to_srgb
from scenejobs.errors import Code, InputError

BACKGROUND = (255, 255, 255)  # behind what is transparent
EXPORT = "export it as JPEG, or take the photo again"


def eight_bits(name: str, image: Image.Image, warnings: list[str]) -> Image.Image:
    """RGB, or CMYK where a colour profile may still tell what it means. Raises InputError NOT_A_PHOTO."""
    if image.mode.startswith("I;16"):  # Pillow's own conversion clips at 255
        return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        raise InputError(f"{name} holds numbers of 32 bits", advice=EXPORT, code=Code.NOT_A_PHOTO)
    if image.mode == "CMYK":
        return image
    if image.has_transparency_data:
        return _on_background(image.convert("RGBA"), warnings)
    return image.convert("RGB")


def _on_background(image: Image.Image, warnings: list[str]) -> Image.Image:
    alpha = image.getchannel("A")
    if alpha.getextrema()[0] == 255:
        return image.convert("RGB")
    warnings.append(ON_WHITE)
    flat = Image.new("RGB", image.size, BACKGROUND)
    flat.paste(image, mask=alpha)
    return flat


def srgb(image: Image.Image, profile: bytes | None, warnings: list[str]) -> Image.Image:
    """Display P3, Adobe RGB, CMYK and others, by the profile in the file."""
    if profile and (converted := _by_profile(image, profile, warnings)):
        return converted
    return image.convert("RGB")


def _by_profile(image: Image.Image, profile: bytes, warnings: list[str]) -> Image.Image | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if ImageCms.getProfileDescription(source).strip().lower().startswith("srgb"):
            return None
        return ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError, ValueError):  # damaged, or of grey, which became RGB before
        warnings.append("its colour profile cannot be used")
        return None


def by_numbers(image: Image.Image, colour: Colour) -> Image.Image:
    """The same by the numbers of a HEIC or AVIF file in the place of a profile."""
    return image if colour.is_srgb else Image.fromarray(to_srgb(np.asarray(image).astype(np.uint16) * 257, colour))
