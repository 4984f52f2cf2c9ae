"""Whether the clips give enough different frames for a scene; what they give instead is said clip by clip."""

from __future__ import annotations

from collections.abc import Sequence

from runner.media.captures import Capture
from runner.scene.shots import cut_films
from scenejobs.errors import Code, InputError
from scenejobs.filming import LONGER, MORE_PHOTOS, UNCUT
from scenejobs.wording import listed

NAMED = 4  # clips in a message


def require_enough(total: int, least: int, captures: Sequence[Capture]) -> None:
    """total: different frames of these captures, whose cuts are noted. Raises InputError TOO_FEW_FRAMES."""
    if total >= least:
        return
    needed = f"{least} are needed"
    if all(capture.is_photos for capture in captures):
        cause, advice = f"only {total} different photos; {needed}", MORE_PHOTOS
    else:
        clips = listed([f"{one.info.name} ({one.info.duration_s:.1f} s)" for one in captures], NAMED)
        cause, advice = f"only {total} different frames in {clips}; {needed}", LONGER
    if edited := cut_films([capture.info for capture in captures]):
        cause, advice = f"{edited}; {cause}", UNCUT
    raise InputError(cause, code=Code.TOO_FEW_FRAMES, advice=advice)
