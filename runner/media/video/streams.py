"""Which streams of a file hold hardly any pictures: a poster or a few slides may be larger than the film itself."""

from __future__ import annotations

from collections import Counter

import av

from runner.media.settings import Limits
from runner.media.video.container import open_container
from runner.media.video.damage import Damage
from runner.media.video.header import film_streams
from runner.media.video.packets import is_flush, packets_of
from runner.scene.frames import Clip


def with_few_frames(clip: Clip, limits: Limits) -> frozenset[int]:
    """Indices of the video streams with fewer packets than a clip needs frames, beside one that has enough.

    Reads until the largest one has enough, or the whole file. Raises InputError.
    """
    with open_container(clip, limits) as container:
        streams = film_streams(clip, container)
        largest = max(streams, key=lambda stream: stream.width * stream.height)
        counts = Counter({stream.index: 0 for stream in streams})
        for packet in packets_of(container, largest, Damage(), every=True):
            if isinstance(packet.stream, av.VideoStream) and not is_flush(packet):
                counts[packet.stream.index] += 1
            if counts[largest.index] >= limits.min_frames:
                return frozenset()
    few = frozenset(index for index, count in counts.items() if count < limits.min_frames)
    return few if len(few) < len(counts) else frozenset()
