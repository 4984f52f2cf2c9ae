"""Whether pictures are too small for a scene. One short side alone is not: 640x272 has the shape of a cinema film."""

from __future__ import annotations

from runner.media.settings import Limits

LEAST_SHARE = 1 / 3  # of the pixels that the limits ask for, where one side only is too short


def is_too_small(width: int, height: int, limits: Limits) -> bool:
    """Both sides are shorter than asked for, or one of them and far too few pixels are left."""
    long_enough = max(width, height) >= limits.min_long_side
    high_enough = min(width, height) >= limits.min_short_side
    if long_enough and high_enough:
        return False
    least = LEAST_SHARE * limits.min_long_side * limits.min_short_side
    return not (long_enough or high_enough) or width * height < least


def small_warning(width: int, height: int, limits: Limits) -> str:
    """Of pictures that are used although one side is short; "" for all others."""
    asked = limits.min_long_side, limits.min_short_side
    if max(width, height) >= asked[0] and min(width, height) >= asked[1]:
        return ""
    return f"it has {width}x{height} pixels only, less than {asked[0]}x{asked[1]}: details are missing"
