"""Times of frames: strictly increasing seconds, whatever the container's timestamps do."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

LONGEST_GAP_S = 60.0  # between two frames; more is a broken timestamp, not a pause
# Seconds, and times the usual interval: a single frame so far before or after all others has a wrong timestamp. So
# have first frames of a stream that was joined on air, and last ones that end a recording.
FAR_ALONE = (2.0, 20.0)


def without_strays(times_s: Sequence[float]) -> list[float]:
    """The same times, from 0 on; a first or last one that is far from all others is brought near."""
    times = list(times_s)
    if len(times) < 4:
        return times
    usual_s = float(np.median(np.diff(times)))
    far_s = max(FAR_ALONE[0], FAR_ALONE[1] * usual_s)
    if times[-1] - times[-2] > far_s:
        times[-1] = times[-2] + usual_s
    if (gap_s := times[1] - times[0]) > far_s:
        times = [times[0], *(time - gap_s + usual_s for time in times[1:])]
    return times


class Clock:
    """Reads one timestamp after the other."""

    def __init__(self, interval_s: float) -> None:
        self.repaired = 0
        self._interval_s = interval_s
        self._offset_s = 0.0
        self._last_s: float | None = None
        self._last_ticks: list[int | None] = [None, None]  # pts, dts
        self._backward = [0, 0]  # how often each did not grow

    def read(self, pts: int | None, time_base: Fraction | None, dts: int | None = None) -> float:
        """Seconds since the first frame. A missing, backward or far timestamp is replaced and counted in `repaired`.

        dts: when the packet that gave the frame had to be decoded. It takes the place of pts where there is none, and
        where pts went back more often: some programs write the order of decoding into both.
        """
        ticks = self._better(pts, dts)
        raw_s = None if ticks is None or time_base is None else float(ticks * time_base)
        if self._last_s is None:
            self._offset_s = raw_s or 0.0
            self.repaired += raw_s is None
            self._last_s = 0.0
            return 0.0
        time_s = None if raw_s is None else raw_s - self._offset_s
        if time_s is None or not self._last_s < time_s <= self._last_s + LONGEST_GAP_S:
            self.repaired += 1
            time_s = self._last_s + self._interval_s
            if raw_s is not None:
                self._offset_s = raw_s - time_s  # go on from here: a restarted clock is repaired once, not for ever
        self._last_s = time_s
        return time_s

    def _better(self, pts: int | None, dts: int | None) -> int | None:
        """The one that grew more often. The same choice as FFmpeg's `best_effort_timestamp` makes."""
        for kind, ticks in enumerate((pts, dts)):
            last = self._last_ticks[kind]
            if ticks is not None:
                self._backward[kind] += last is not None and ticks <= last
                self._last_ticks[kind] = ticks
        if pts is None or (dts is not None and self._backward[0] > self._backward[1]):
            return dts
        return pts
