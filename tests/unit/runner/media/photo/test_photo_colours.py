"""Whatever way a photo stores its colours, its frame is sRGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageCms

from runner.media.photo.grouping import PhotoSurvey
from runner.scene.frames import Clip
from tests.photo_scenes import make, one_look, photos, pixels_of
from tests.photos import write_photo
from tests.videos import corners


def colour_in_the_middle(tmp_path: Path, path: Path) -> np.ndarray:
    found = make([Clip(path.name, path), *photos(tmp_path, 8)], tmp_path)
    (image,) = [frame.image for frame in found.frames if frame.photo == path.name]
    return pixels_of(tmp_path, image)[20, 20].astype(int)


# Display P3 (CSS Color 4): sRGB (200, 60, 30) is P3 (184, 71, 43)
P3_COLOUR, SRGB_COLOUR = (184, 71, 43), (200, 60, 30)


def patch(colour: tuple[int, int, int]) -> np.ndarray:
    picture = corners(160, 96)
    picture[:48, :80] = colour
    return picture


def test_wide_colours_of_a_phone_become_srgb(tmp_path):
    """HEIC states Display P3 by number (nclx), JPEG by profile."""
    heic = tmp_path / "a.heic"
    image = pillow_heif.from_pillow(Image.fromarray(patch(P3_COLOUR)))
    image.save(heic, quality=100, chroma=444, color_primaries=12, transfer_characteristics=13, matrix_coefficients=6,
               full_range_flag=1)  # fmt: skip
    assert np.abs(colour_in_the_middle(tmp_path, heic) - SRGB_COLOUR).max() <= 4


def test_a_profile_in_the_file_is_applied_and_a_broken_one_is_only_a_warning(tmp_path):
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()  # of no use for RGB
    path = write_photo(tmp_path / "a.jpg", patch(SRGB_COLOUR), icc_profile=linear)
    seen = one_look(path)
    assert isinstance(seen, PhotoSurvey)
    assert seen.warnings == ("its colour profile cannot be used",)
    assert np.abs(colour_in_the_middle(tmp_path, path) - SRGB_COLOUR).max() <= 4


def test_every_way_to_store_a_colour_is_read(tmp_path):
    """Grey, transparent, palette, CMYK, one bit, sixteen bits: each photo has a corner of its own that is 128 grey."""
    values = {"L": 128, "LA": 128, "RGBA": 128, "P": 128, "CMYK": 128, "1": 255, "I;16": 128}
    clips = []
    for number, (mode, value) in enumerate(values.items()):
        grey = np.full((96, 160), value, np.uint8)
        grey[60:, 20 * number : 20 * number + 20] = 0  # so that none is a copy of another
        picture = Image.fromarray(grey.astype(np.uint16) * 256 + 9) if mode == "I;16" else Image.fromarray(grey)
        if mode == "CMYK":
            picture = picture.convert("RGB")
        path = tmp_path / f"{number}{'.tif' if mode == 'CMYK' else '.png'}"
        (picture if mode == "I;16" else picture.convert(mode)).save(path)
        clips.append(Clip(path.name, path))
    found = make([*clips, *photos(tmp_path, 8)], tmp_path)
    assert found.refused == ()
    for frame in found.frames:
        if frame.photo[0].isdecimal():
            mode, value = list(values.items())[int(frame.photo[0])]
            assert np.abs(pixels_of(tmp_path, frame.image)[20, 20].astype(int) - value).max() <= 1, mode
