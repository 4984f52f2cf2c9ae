"""Is there anything to see? Refuses darkness, blur and blank walls before features are sought in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runner.frame_choice import Seen
from runner.segments import spans
from scenejobs.errors import Code, InputError

# Variance of the Laplacian at 640 px. Four pictures of four cameras, darkened, blurred, moved and compressed: all with
# less than this gave 6 SIFT features at most; the least that gave 100 had 3.0. A pose needs 60.
MIN_DETAIL = 2.5
DARK, BRIGHT = 25.0, 235.0  # mean grey level; the same pictures lost 9 of 10 features below 20


def require_detail(frames: Sequence[tuple[str, Seen]], least: int) -> tuple[str, ...]:
    """frames: clip and frame. Returns warnings: which of them show nothing, by clip and time.

    Raises InputError NO_DETAIL when less than half of them, or fewer than `least`, show something.
    """
    empty = [(video, seen) for video, seen in frames if seen.sharpness < MIN_DETAIL]
    if not empty:
        return ()
    why, advice = reason(float(np.median([seen.luma for _, seen in empty])))
    where = spans((video, seen.timestamp_s) for video, seen in empty)
    text = f"{len(empty)} of {len(frames)} frames show no detail ({why}): {where}"
    if len(frames) - len(empty) < least or 2 * len(empty) > len(frames):
        raise InputError(text, code=Code.NO_DETAIL, advice=advice)
    return (text,)


def reason(luma: float) -> tuple[str, str]:
    """Why a picture without detail has none, and what to do. luma: its mean grey level, 0 to 255."""
    if luma < DARK:
        return "too dark", "film in daylight or switch on the lights"
    if luma > BRIGHT:
        return "over-exposed", "film away from the light, or lower the exposure"
    return "blurred or blank", "hold the camera still enough to be sharp, and film things with texture, not bare walls"
