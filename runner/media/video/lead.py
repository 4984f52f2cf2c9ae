"""How many frames after an entry point a decoder holds back, until its pictures are whole: measured while reading.

Decoding begins at once at most keyframes. With periodic intra refresh (H.264, recovery point SEI, D.2.8) a
"keyframe" only begins a wave of refreshed columns, and nothing comes out before the wave is through.
"""

from __future__ import annotations

from typing import Any

import av

from runner.media.settings import Limits
from runner.media.video.damage import Damage
from runner.media.video.decoding import FrameDecoder

PROBES = 4  # keyframes that are tried, spread over the film
MAX_LEAD = 600  # packets; an entry point that gives nothing after so many is none


class LeadProbe:
    """Is shown every packet of a stream, and decodes after some keyframes."""

    def __init__(self, stream: av.VideoStream, limits: Limits, expected: float) -> None:
        """expected: packets of the film, about."""
        self.lead: int | None = 0  # frames, the most of all that were tried; None: nothing came out
        self._decoder = FrameDecoder(stream, limits, Damage())
        self._every = max(1, int(expected / (PROBES + 1)))
        self._next, self._left = 1, PROBES  # at the very first one there is nothing to find out
        self._begins: int | None = None  # pts of the keyframe, while one is tried
        self._fed = 0

    def read(self, number: int, packet: av.Packet[Any]) -> None:
        """number: of the packet in the film."""
        if not self._fed:
            if not (self._left and number >= self._next and packet.is_keyframe):
                return
            self._begins, self._next, self._left = packet.pts, number + self._every, self._left - 1
        elif self._begins is not None and packet.pts is not None and packet.pts < self._begins:
            return  # it is shown before the keyframe and may need what came before
        self._fed += 1
        frames = len(self._decoder.decode(packet))
        if frames or self._fed >= MAX_LEAD:
            self._note(frames + len(self._decoder.decode(None)))
            self._decoder.restart()

    def _note(self, frames: int) -> None:
        """What came out after so many packets."""
        if not frames:
            self.lead = None
        elif self.lead is not None:
            self.lead = max(self.lead, self._fed - frames)
        self._fed = 0
