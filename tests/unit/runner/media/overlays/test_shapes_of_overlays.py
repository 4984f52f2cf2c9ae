"""Overlays without text, and overlays of clips that have a few frames each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from runner.media.overlays.find import mask_overlays
from runner.scene.masks import Mask, read_mask
from runner.scene.progress import SILENT
from tests import synthetic
from tests.stamps import Picture, boxed_date, covering


def test_a_stamp_is_found_over_clips_of_a_few_frames_together(tmp_path: Path):
    pictures = [synthetic.render(*pose, size=(480, 360), focal=450.0) for pose in synthetic.walk(12)]
    stamped = [boxed_date(picture, number) for number, picture in enumerate(pictures)]
    for name, shown in (("plain", pictures), ("stamped", stamped)):
        clips = {f"clip{number}": shown[number::3] for number in range(3)}
        frames = synthetic.write_frames(tmp_path / name, clips)
        found = mask_overlays(frames, tmp_path / name, SILENT).clips
        assert [0.03 < clip.masked_share < 0.12 for clip in found] == [name == "stamped"] * 3
        assert [bool(clip.warnings) for clip in found] == [name == "stamped"] * 3


def handlebar(picture: Picture) -> Picture:
    """Round things without a corner, in the lower quarter."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    draw.polygon([(0, 360), (0, 300), (90, 270), (390, 270), (480, 300), (480, 360)], fill=(60, 60, 64))
    for at in range(40, 480, 80):
        draw.ellipse([at - 24, 312, at + 24, 348], fill=(170, 90, 60))
    return np.asarray(image)


def test_what_is_carried_along_is_masked_by_its_outline(tmp_path: Path):
    rng = np.random.default_rng(5)
    place = Image.fromarray(rng.integers(0, 255, (80, 100, 3), np.uint8)).resize((1200, 960), Image.Resampling.BICUBIC)
    corners = [(30 * number, 25 * (number % 9)) for number in range(24)]
    pictures = [handlebar(np.asarray(place.crop((x, y, x + 480, y + 360)))) for x, y in corners]
    frames = synthetic.write_frames(tmp_path, {"a": pictures})
    (clip,) = mask_overlays(frames, tmp_path, SILENT).clips
    used = read_mask(tmp_path / "masks", frames.frames[0].image)
    assert used is not None
    assert used[:250].all()  # nothing of the place
    assert not any(used[312:348, at - 24 : at + 24].any() for at in range(40, 480, 80))
    assert clip.masked_share < 0.3


@pytest.mark.parametrize("soft_px", [0.0, 24.0])
@pytest.mark.parametrize("centre", [(1.0, 0.1), (0.0, 0.5), (0.6, 1.02)])
def test_a_finger_at_the_edge_is_masked(soft_px: float, centre: tuple[float, float], tmp_path: Path):
    draw = covering(soft_px, centre)
    plain = [synthetic.render(*pose, size=(480, 360), focal=450.0) for pose in synthetic.walk(12)]
    frames = synthetic.write_frames(tmp_path, {"a": [draw(picture, n) for n, picture in enumerate(plain)]})
    (clip,) = mask_overlays(frames, tmp_path, SILENT).clips
    used = read_mask(tmp_path / "masks", frames.frames[0].image)
    assert used is not None
    white, black = np.full_like(plain[0], 255), np.zeros_like(plain[0])
    covered = np.abs(draw(white, 0).astype(int) - draw(black, 0)).max(axis=2) < 128  # half of it and more
    assert (covered & used).sum() < 0.05 * covered.sum()
    assert (~covered & ~used).sum() < 0.06 * used.size
    assert "an overlay" in clip.warnings[0]


def test_sky_and_plain_ground_are_no_fingers(tmp_path: Path):
    """Above a skyline, above the sea, whose horizon stays in place, and a plain path between houses."""
    rng = np.random.default_rng(3)
    place = Image.fromarray(rng.integers(0, 255, (60, 160, 3), np.uint8)).resize((1280, 480), Image.Resampling.BICUBIC)
    seen = [np.asarray(place.crop((30 * n, 10 * (n % 4), 30 * n + 480, 10 * (n % 4) + 360))) for n in range(20)]
    y, x = np.mgrid[0:360, 0:480]

    def skyline(number: int) -> Mask:
        return y < 60 + 30 * np.sin((x + 30 * number) / 90)

    def path(number: int) -> Mask:
        top = 230 + 20 * np.cos(1.7 * number)
        return (y > top) & (np.abs(x - 240 - 50 * np.sin(1.3 * number)) < (y - top) * 0.8)

    for name, plain in (("skyline", skyline), ("sea", lambda _: y < 50), ("path", path)):
        pictures = [
            np.where(plain(n)[..., None], 205 + n % 3, picture).astype(np.uint8) for n, picture in enumerate(seen)
        ]
        frames = synthetic.write_frames(tmp_path / name, {"a": pictures})
        (clip,) = mask_overlays(frames, tmp_path / name, SILENT).clips
        assert clip.masked_share == 0.0, name
