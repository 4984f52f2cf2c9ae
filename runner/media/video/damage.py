"""What went wrong while a video was decoded, and whether it can be used all the same."""

from __future__ import annotations

from dataclasses import dataclass

from runner.media.video.header import Header
from runner.scene.frames import Clip
from scenejobs.errors import Code, InputError

MIN_DECODED_SHARE = 0.9  # of the frames that the container states; less is a damaged upload, not a usable clip
SOUND_MAY_LAST_S = 1.0  # longer than the frames; the duration of a Matroska file is that of its longest stream
PLAYS = "upload it again, and check that it plays to its end on a computer"


@dataclass
class Damage:
    """Counted while decoding."""

    packets: int = 0  # that gave an error or a damaged frame
    cut: bool = False  # the container itself broke off


def judge_damage(clip: Clip, header: Header, decoded: int, shown_s: float, damage: Damage) -> list[str]:
    """Warnings. decoded: usable frames. shown_s: from the first frame to the end of the last.

    Raises InputError CORRUPT_VIDEO when too little of what the header states was decoded.
    """
    stated = header.frame_count or decoded + damage.packets
    if decoded == 0 or decoded < MIN_DECODED_SHARE * stated:
        cause = f"{clip.name} is damaged or cut off: {decoded} of {stated} frames decode"
        raise InputError(cause, advice=PLAYS, code=Code.CORRUPT_VIDEO)
    if not header.frame_count and shown_s < MIN_DECODED_SHARE * header.duration_s - SOUND_MAY_LAST_S:
        cause = f"{clip.name} is damaged or cut off: its pictures end after {shown_s:.1f} of {header.duration_s:.1f} s"
        raise InputError(cause, advice=PLAYS, code=Code.CORRUPT_VIDEO)
    if decoded < stated:
        return [f"{stated - decoded} of {stated} frames did not decode"]
    return ["the end of the file is damaged"] if damage.cut else []
