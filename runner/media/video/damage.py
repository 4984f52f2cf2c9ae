"""What went wrong while a video was decoded, and whether it can be used all the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av

from runner.media.video.header import Header
from runner.scene.frames import Clip
from scenejobs.errors import Code, InputError

MIN_DECODED_SHARE = 0.9  # of the frames that the container states; less is a damaged upload, not a usable clip
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


def judge_damage(clip: Clip, header: Header, decoded: int, damage: Damage) -> list[str]:
    """Warnings. decoded: usable frames.

    Raises InputError CORRUPT_VIDEO when too little of what the header states was decoded.
    """
    stated = header.frame_count or decoded + damage.packets
    if decoded == 0 or decoded < MIN_DECODED_SHARE * stated:
        raise broken(clip, decoded, stated)
    stated_s = header.stated_s
    if 0 < (damage.first_s or 0.0) < header.ends_s:  # known by now; the header's start is that of the first packet
        stated_s = min(stated_s, header.ends_s - (damage.first_s or 0.0))
    if not header.frame_count and damage.seen_s < MIN_DECODED_SHARE * stated_s - MAY_LACK_S:
        cause = f"{clip.name} is damaged or cut off: it ends after {damage.seen_s:.1f} of {stated_s:.1f} s"
        raise InputError(cause, advice=PLAYS, code=Code.CORRUPT_VIDEO)
    if decoded < stated:
        return [f"{stated - decoded} of {stated} frames did not decode"]
    return ["the end of the file is damaged"] if damage.cut else []


def broken(clip: Clip, decoded: int, stated: int) -> InputError:
    """Too few frames decode."""
    cause = f"{clip.name} is damaged or cut off: {decoded} of {stated} frames decode"
    return InputError(cause, advice=PLAYS, code=Code.CORRUPT_VIDEO)
