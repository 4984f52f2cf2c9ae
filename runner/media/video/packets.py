"""The packets of a video stream, looked at without decoding: how many there are, and when they are shown."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from runner.media.video.damage import Damage
from runner.media.video.mpeg_order import UNKNOWN, MpegOrder

MISSING = -(1 << 63)  # in the place of a timestamp
KEY, DISCARDED = 1, 2  # flags of a packet: decoding can begin here; not shown (an edit list cuts it away)

Times = NDArray[np.int64]


class Packets:
    """Of one stream, in the order of the file."""

    def __init__(self) -> None:
        self._pts, self._dts, self._flags, self._places = array("q"), array("q"), array("b"), array("q")
        self.time_base: Fraction | None = None

    def append(self, packet: av.Packet[Any], place: int = UNKNOWN) -> None:
        """place: see `places`."""
        self._pts.append(MISSING if packet.pts is None else packet.pts)
        self._dts.append(MISSING if packet.dts is None else packet.dts)
        self._places.append(place)
        self._flags.append(KEY * packet.is_keyframe + DISCARDED * packet.is_discard)
        self.time_base = packet.time_base or self.time_base

    def __len__(self) -> int:
        return len(self._pts)

    @property
    def pts(self) -> Times:
        return np.frombuffer(self._pts, np.int64)

    @property
    def dts(self) -> Times:
        return np.frombuffer(self._dts, np.int64)

    @property
    def places(self) -> Times:
        """Numbers that grow in the order of showing, where the pictures have some; UNKNOWN."""
        return np.frombuffer(self._places, np.int64)

    @property
    def is_key(self) -> NDArray[np.bool_]:
        return (np.frombuffer(self._flags, np.int8) & KEY) > 0

    @property
    def is_discarded(self) -> NDArray[np.bool_]:
        return (np.frombuffer(self._flags, np.int8) & DISCARDED) > 0


def packets_of(
    container: InputContainer, stream: av.VideoStream, damage: Damage, *, every: bool = False
) -> Iterator[av.Packet[Any]]:
    """Those of the stream, and at its end the empty ones that flush its decoder. Notes in `damage` where it breaks off.

    All streams are read: they tell where the file ends. every: their packets are given out, too.
    """
    packets = container.demux()
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except IndexError:  # PyAV, of a stream that begins in the middle of the file; asked again, it passes over it
            packets = container.demux()
            continue
        except av.error.FFmpegError as exc:
            if isinstance(exc, MemoryError):
                raise
            damage.cut = True
            return
        damage.arrived(packet)
        if every or packet.stream.index == stream.index:  # those at the end have no `stream_index`
            yield packet


def is_flush(packet: av.Packet[Any]) -> bool:
    """Whether it is one of the empty ones at the end."""
    return packet.size == 0 and packet.dts is None and packet.pts is None


def read_packets(
    container: InputContainer, stream: av.VideoStream, damage: Damage, on_count: Callable[[int], None],
    on_packet: Callable[[int, av.Packet[Any]], None] = lambda _number, _packet: None,
) -> Packets:  # fmt: skip
    """All of them. on_packet: is shown each, with its number."""
    found, order = Packets(), MpegOrder(stream)
    for packet in packets_of(container, stream, damage):
        if not is_flush(packet):
            on_packet(len(found), packet)
            found.append(packet, order.read(packet))
            on_count(len(found))
    return found
