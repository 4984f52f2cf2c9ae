"""Sizes of pictures in pixels."""

from __future__ import annotations


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
