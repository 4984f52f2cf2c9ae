"""Interlaced pictures as whole ones: in half of their lines time has gone on, so that everything that moves is a comb.

FFmpeg's bwdif (a successor of Weston's three-field filter, BBC R&D WHP 261, and of yadif) fills in the lines of the
second field from the first one and the pictures around. One picture in gives one picture out, a picture later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.filter import Graph

from runner.media.video.decoding import Numbered

TOLD = "it is interlaced: each picture is made of one of its two fields"


@dataclass
class Deinterlacer:
    """Of one film; what is not interlaced passes through until the first picture that is."""

    used: bool = False
    _graph: Graph | None = None
    _inside: deque[Numbered] = field(default_factory=deque)

    def of(self, frames: Iterable[Numbered]) -> Iterator[Numbered]:
        for found in frames:
            frame = found[2]
            self.used = self.used or frame.interlaced_frame
            if not self.used:
                yield found
                continue
            if self._inside and not _follows(self._inside[-1], found):
                yield from self._finished()
            if self._graph is None:
                self._graph = _graph(frame)
            self._inside.append(found)
            self._graph.vpush(frame)
            yield from self._pulled()
        yield from self._finished()

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


def _graph(frame: av.VideoFrame) -> Graph:
    graph = Graph()
    unit = frame.time_base or Fraction(1, 90_000)
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=unit)
    filling = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    graph.link_nodes(source, filling, graph.add("buffersink")).configure()
    return graph
