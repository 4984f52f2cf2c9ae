"""In which order the pictures of MPEG-1 and MPEG-2 are shown, as the pictures themselves say.

A program stream (.mpg, .vob) has a timestamp for each few pictures only, and they are stored in another order than they
are shown. Each picture has its number within its group of pictures (`temporal_reference`, ISO/IEC 13818-2, 6.2.3).
"""

from __future__ import annotations

from typing import Any

import av

CODECS = frozenset({"mpeg1video", "mpeg2video"})
PICTURE, GROUP = b"\x00\x00\x01\x00", b"\x00\x00\x01\xb8"  # start codes
LOOKED_AT = 1024  # bytes: before its first picture a packet has headers and tables of quantisation
GROUP_SIZE = 1024  # pictures at most: the number has ten bits
UNKNOWN = -1


class MpegOrder:
    """Reads the packets of one stream, from its first one on."""

    def __init__(self, stream: av.VideoStream) -> None:
        self._group = -1
        self._known = stream.codec_context.name in CODECS

    def read(self, packet: av.Packet[Any]) -> int:
        """A number that grows in the order of showing; UNKNOWN for another codec, and once a packet does not say."""
        if not self._known:
            return UNKNOWN
        head = bytes(memoryview(packet)[:LOOKED_AT])
        at = head.find(PICTURE)
        begins = 0 <= head.find(GROUP) < at
        self._group += begins
        if at < 0 or at + 6 > len(head) or self._group < 0 or (packet.is_keyframe and not begins):
            self._known = False
            return UNKNOWN
        return self._group * GROUP_SIZE + (head[at + 4] << 2 | head[at + 5] >> 6)
