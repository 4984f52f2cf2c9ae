"""Whether frames show enough detail: darkness, blur and blank walls are refused before features are sought in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runner.media.selection.measures import FrameMeasures
from runner.media.selection.noise import is_noise, shows_no_place
from runner.scene.frames import Frame
from runner.scene.shots import spans, which
from scenejobs.errors import Code, InputError
from scenejobs.filming import LENS_FREE, LESS_LIGHT, LIGHTS_ON, PLAY_IT, SHARP, SLOWER_TURNS

# Four photos of four cameras, darkened, blurred, moved and compressed; a pose needs 60 SIFT features in an image.
MIN_DETAIL = 2.5  # variance of the Laplacian at 640 px: all with less had 6 features at most; with 3.0 one had 100
DARK, BRIGHT = 15.0, 240.0  # mean grey level: below 11 the same photos had 14 features at most, at 17 up to 500
ONLY_NOISE = 60.0  # variance of the Laplacian in such photos: the noise of a sensor, not lamps at night
NOISY_DARK = 50.0  # of a film that is nothing but noise: a screen without a signal is lighter
SMEARED = 0.06  # isotropy: whole photos had 0.54 to 0.94, moved by 12 % of their size 0.02 to 0.10


def require_detail(frames: Sequence[tuple[Frame, FrameMeasures]], least: int) -> tuple[str, ...]:
    """frames: each with what was measured of it. Returns warnings: which of them show nothing.

    Raises InputError NO_DETAIL when less than half of them, or fewer than `least`, show something.
    """
    empty = [(frame, measures) for frame, measures in frames if shows_nothing(measures)]
    if not empty:
        return ()
    why, advice = reason([measures for _, measures in empty])
    text = f"{len(empty)} of {len(frames)} frames show no detail ({why}): {which(frame for frame, _ in empty)}"
    if len(frames) - len(empty) < least or 2 * len(empty) > len(frames):
        raise InputError(text, code=Code.NO_DETAIL, advice=advice)
    return (text,)


def of_nothing(name: str, frames: Sequence[FrameMeasures]) -> InputError | None:
    """NO_DETAIL for a film of which no picture shows anything but noise; None for all others."""
    noise, empty = is_noise(frames), shows_no_place(frames)
    if not (noise or empty):
        return None
    luma, advice = float(np.median([frame.luma for frame in frames])), LENS_FREE
    if luma < (NOISY_DARK if noise else DARK):
        why = "it is dark all over, as with a cap on the lens or in a pocket"
    elif luma > BRIGHT:
        why, advice = "it is over-exposed, white all over", LESS_LIGHT
    elif not empty:
        why = "each picture is noise that has nothing in common with the next, as of a screen without a signal"
        advice = PLAY_IT
    else:
        why = "it is of one colour all over, as with a finger over the lens, of a blank wall or of a blue screen"
    where = spans((name, frame.timestamp_s) for frame in frames)
    return InputError(f"{where} shows nothing: {why}", code=Code.NO_DETAIL, advice=advice)


def shows_nothing(frame: FrameMeasures) -> bool:
    """Whether no feature would be found in it."""
    extreme = not DARK <= frame.luma <= BRIGHT
    return frame.sharpness < (ONLY_NOISE if extreme else MIN_DETAIL) or frame.isotropy < SMEARED


def reason(empty: Sequence[FrameMeasures]) -> tuple[str, str]:
    """Why frames show nothing, and what to do."""
    luma, across = (
        float(np.median(values)) for values in zip(*((one.luma, one.isotropy) for one in empty), strict=True)
    )
    if luma < DARK:
        return "too dark", LIGHTS_ON
    if luma > BRIGHT:
        return "over-exposed", LESS_LIGHT
    if across < SMEARED:
        return "smeared by motion", SLOWER_TURNS
    return "blurred or blank", SHARP
