"""Where a camera was at a time in its clip, from the fixes that its telemetry has (video/telemetry.py)."""

from __future__ import annotations

from bisect import bisect_left

from runner.scene.frames import Fix

MOST_GAP_S = 3.0  # between two fixes; a drone is elsewhere after more
BESIDE_S = 0.6  # before the first and behind the last one


def place_at(track: tuple[Fix, ...], time_s: float) -> tuple[float, float] | None:
    """Latitude and longitude in degrees, between the two fixes around that time; None where they are too far apart."""
    if not track:
        return None
    after = bisect_left(track, time_s, key=lambda fix: fix[0])
    if after in (0, len(track)):
        time, *degrees = track[min(after, len(track) - 1)]
        return (degrees[0], degrees[1]) if abs(time - time_s) <= BESIDE_S else None
    (begin, south, west), (end, north, east) = track[after - 1], track[after]
    if end - begin > MOST_GAP_S or abs(east - west) > 1:  # or across the date line
        return None
    share = (time_s - begin) / (end - begin)
    return south + share * (north - south), west + share * (east - west)
