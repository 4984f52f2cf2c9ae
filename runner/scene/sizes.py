"""Sizes of images in pixels."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from runner.scene.frames import FrameSet


def square_pixels(width: int, height: int, pixel_aspect: float) -> tuple[int, int]:
    """Size in square pixels; the shorter direction is enlarged, so no detail is lost."""
    if pixel_aspect >= 1.0:
        return round(width * pixel_aspect), height
    return width, round(height / pixel_aspect)


def shrink(width: int, height: int, long_side: int | None) -> tuple[int, int]:
    """Size with the longer side at most `long_side` pixels, same shape."""
    if long_side is None or max(width, height) <= long_side:
        return width, height
    scale = long_side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def sizes_of(root: Path, frames: FrameSet) -> dict[str, tuple[int, int]]:
    """Width and height of the frames as written, px. One frame per clip is read: all of a clip have one size."""
    sizes = {}
    for video, name in {frame.video: frame.image for frame in frames.frames}.items():
        with Image.open(root / name) as frame:
            sizes[video] = frame.size
    return sizes
