"""What went wrong while a video was decoded, and whether it can be used all the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av

from runner.media.video.header import Header
from runner.scene.frames import Clip
from scenejobs.errors import Code, InputError

MIN_DECODED_SHARE = 0.9  # of the frames that the container states; less is a damaged upload, not a usable clip
MIN_DECODED_OF_WHOLE = 0.7  # of a film that is there up to its end, in which pictures are missing here and there
REACHED = 0.9  # of the stated length, by the last frame that decodes: then the end is there
MIN_DECODED_OF_PLANNED = 0.5  # of the packets of a long film that were to be decoded: a frame may come in two
MAY_LACK_S = 1.0  # of the stated length: durations are rounded, and the last packet's own may be missing
PLAYS = "upload it again, and check that it plays to its end on a computer"


@dataclass
class Damage:
    """Counted while decoding."""

    packets: int = 0  # that gave an error or a damaged frame
    cut: bool = False  # the container itself broke off
    first_s: float | None = None  # of all packets of all streams, by the container's clock
    last_s: float = 0.0
    lead: int = 0  # packets before the first keyframe, where a program cut the film without encoding it again
    lead_s: float = 0.0  # that they last
    shown_s: float = 0.0  # of the last frame that decoded, by the same clock as first_s

    @property
    def seen_s(self) -> float:
        """From the first packet to the end of the last, of any stream: sound may last longer than the pictures."""
        return 0.0 if self.first_s is None else self.last_s - self.first_s

    def arrived(self, packet: av.Packet[Any]) -> None:
        """Of any stream."""
        time = packet.dts if packet.pts is None else packet.pts
        if time is None or not packet.time_base:
            return
        start_s = float(time * packet.time_base)
        self.last_s = max(start_s + float((packet.duration or 0) * packet.time_base), self.last_s)
        if self.first_s is None:
            self.first_s = self.last_s = start_s
        self.first_s = min(start_s, self.first_s)

    def leads(self, packet: av.Packet[Any]) -> None:
        """Of the pictures, before the first keyframe: nothing decodes from it."""
        if not packet.is_discard:
            self.lead += 1
            self.lead_s += float((packet.duration or 0) * (packet.time_base or 0))

    def came_out(self, frame: av.VideoFrame) -> None:
        """A frame that decoded."""
        if frame.pts is not None and frame.time_base:
            self.shown_s = max(self.shown_s, float(frame.pts * frame.time_base))


def judge_damage(clip: Clip, header: Header, decoded: int, damage: Damage) -> list[str]:
    """Warnings. decoded: usable frames.

    Raises InputError CORRUPT_VIDEO when too little of what the header states was decoded.
    """
    stated = max(header.frame_count or decoded + damage.packets, decoded)
    lead = min(damage.lead, stated - decoded) if header.frame_count else 0
    enough = MIN_DECODED_OF_WHOLE if _is_whole(header, damage) else MIN_DECODED_SHARE
    if decoded == 0 or decoded < enough * (stated - lead):
        raise broken(clip, decoded, stated)
    stated_s = header.stated_s
    if 0 < (damage.first_s or 0.0) < header.ends_s:  # known by now; the header's start is that of the first packet
        stated_s = min(stated_s, header.ends_s - (damage.first_s or 0.0))
    if not header.frame_count and damage.seen_s < MIN_DECODED_SHARE * stated_s - MAY_LACK_S:
        cause = f"{clip.name} is damaged or cut off: it ends after {damage.seen_s:.1f} of {stated_s:.1f} s"
        raise InputError(cause, advice=PLAYS, code=Code.CORRUPT_VIDEO)
    said = []
    if damage.lead:
        said.append(f"its first {damage.lead_s:.1f} s cannot be decoded: it was cut where no keyframe is")
    if decoded < stated - lead:
        return [*said, f"{stated - lead - decoded} of {stated} frames did not decode"]
    if said:
        return said
    return ["the end of the file is damaged"] if damage.cut else []


def _is_whole(header: Header, damage: Damage) -> bool:
    """Whether the film is there up to its end: what is missing in it lies between frames that decode."""
    lasts_s = header.duration_s
    return not damage.cut and lasts_s > 0 and damage.shown_s - (damage.first_s or 0.0) >= REACHED * lasts_s


def broken(clip: Clip, decoded: int, stated: int) -> InputError:
    """Too few frames decode."""
    cause = f"{clip.name} is damaged or cut off: {decoded} of {stated} frames decode"
    return InputError(cause, advice=PLAYS, code=Code.CORRUPT_VIDEO)
