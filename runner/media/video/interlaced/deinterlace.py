"""Interlaced pictures as whole ones: in half of their lines time has gone on, so that everything that moves is a comb.

FFmpeg's bwdif (a successor of Weston's three-field filter, BBC R&D WHP 261, and of yadif) fills in the lines of the
second field from the first one and the pictures around. One picture in gives one picture out, a picture later.

What says that it is interlaced is believed; of what does not, the first pictures are looked at (combs.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.filter import Graph

from runner.media.video.decoding import Numbered
from runner.media.video.interlaced.combs import is_combed

TOLD = "it is interlaced: each picture is made of one of its two fields"
IN_A_ROW = 4  # combed pictures of a film that does not say so; they are held back until it is clear
LOOKED_AT, EACH = 600, 3  # pictures from the beginning, of which each so many is asked


@dataclass
class Deinterlacer:
    """Of one film; what is not interlaced passes through until the first picture that is."""

    used: bool = False
    _unsaid: bool = False  # it is interlaced and does not say so
    _offered: int = 0
    _combed: list[Numbered] = field(default_factory=list)
    _graph: Graph | None = None
    _inside: deque[Numbered] = field(default_factory=deque)

    def of(self, frames: Iterable[Numbered]) -> Iterator[Numbered]:
        for found in frames:
            frame = found[2]
            self.used = self.used or frame.interlaced_frame
            if not self.used and self._is_combed(frame):
                self._combed.append(found)
                if len(self._combed) < IN_A_ROW:
                    continue
                self.used = self._unsaid = True
                found = self._combed.pop()
            for held in self._combed:
                yield from self._whole(held) if self.used else (held,)
            self._combed.clear()
            yield from self._whole(found) if self.used else (found,)
        yield from self._combed
        yield from self._finished()

    def _is_combed(self, frame: av.VideoFrame) -> bool:
        asked = self._offered < LOOKED_AT and (self._offered % EACH == 0 or self._combed)
        self._offered += 1
        return bool(asked) and is_combed(frame)

    def _whole(self, found: Numbered) -> Iterator[Numbered]:
        if self._inside and not _follows(self._inside[-1], found):
            yield from self._finished()
        if self._graph is None:
            self._graph = _graph(found[2], "all" if self._unsaid else "interlaced")
        self._inside.append(found)
        self._graph.vpush(found[2])
        yield from self._pulled()

    def _finished(self) -> Iterator[Numbered]:
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._pulled()
        self._graph = None
        self._inside.clear()

    def _pulled(self) -> Iterator[Numbered]:
        assert self._graph is not None
        while self._inside:
            try:
                frame = self._graph.vpull()
            except (BlockingIOError, EOFError):  # it needs another picture, or has no more
                return
            number, time_s, _ = self._inside.popleft()
            yield number, time_s, frame


def _follows(before: Numbered, after: Numbered) -> bool:
    one, other = before[2], after[2]
    alike = (one.width, one.height, one.format.name) == (other.width, other.height, other.format.name)
    return alike and after[0] == before[0] + 1


def _graph(frame: av.VideoFrame, which: str) -> Graph:
    graph = Graph()
    unit = frame.time_base or Fraction(1, 90_000)
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=unit)
    filling = graph.add("bwdif", f"mode=send_frame:deint={which}")
    graph.link_nodes(source, filling, graph.add("buffersink")).configure()
    return graph
