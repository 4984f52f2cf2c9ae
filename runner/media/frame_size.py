"""Whether pictures are too small for a scene. One short side alone is not: 640x272 has the shape of a cinema film.

What is left inside of bars may be shorter both ways: an upright film that a messenger put into 848x480 is 270x480, and
its cameras are found as well as those of the original (benchmarks/results/footage.md, upright-small).
"""

from __future__ import annotations

from runner.media.settings import Limits

LEAST_SHARE = 1 / 3  # of the pixels that the limits ask for, where a side is too short


def is_too_small(width: int, height: int, limits: Limits) -> bool:
    """Both sides are shorter than asked for, or one of them and far too few pixels are left."""
    long_enough = max(width, height) >= limits.min_long_side
    high_enough = min(width, height) >= limits.min_short_side
    if long_enough and high_enough:
        return False
    return not (long_enough or high_enough) or _has_few_pixels(width, height, limits)


def is_too_small_inside(width: int, height: int, limits: Limits) -> bool:
    """Of what is left inside of bars, in frames that are large enough: far too few pixels are left."""
    return is_too_small(width, height, limits) and _has_few_pixels(width, height, limits)


def _has_few_pixels(width: int, height: int, limits: Limits) -> bool:
    return width * height < LEAST_SHARE * limits.min_long_side * limits.min_short_side


def small_warning(width: int, height: int, limits: Limits) -> str:
    """Of pictures that are used although one side is short; "" for all others."""
    asked = limits.min_long_side, limits.min_short_side
    if max(width, height) >= asked[0] and min(width, height) >= asked[1]:
        return ""
    return f"it has {width}x{height} pixels only, less than {asked[0]}x{asked[1]}: details are missing"
