"""Did the camera stand still or only turn, or film a page or a photo? Told from few pairs of each shot, not all pairs.

Without a step aside there is no depth, whatever method looks for it. Comparing all pairs, and mapping, cost minutes
that nobody gets anything for. A scene is refused here only where every shot of it says so clearly; whatever is in
doubt goes the usual way. Where neighbours in time have moved already, those that are farther apart have, too, and
nothing else is compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from runner.poses.colmap.requests import Motion

PER_SHOT, IN_ALL = 12, 24  # frames that are compared with each other
LEAST_PAIRS = 10  # of a shot, for it to say anything
NEAR = 2  # images behind each of these that it is compared with first
NEAR_PAIRS = 6  # of a shot, for it to say that the camera moved
CLEARLY = 0.8  # of the pairs: turns by hand had 0.92, still cameras 1.0; fox, walk and rooms 0.08 at most


def some_of(shots: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Of each shot some frames, evenly in time; nothing where the shots are too many to look at."""
    share = min(PER_SHOT, IN_ALL // max(len(shots), 1))
    if share * (share - 1) // 2 < LEAST_PAIRS:
        return ()
    return tuple(tuple(names[i] for i in _evenly(len(names), share)) for names in shots)


def clearly_moves(motion: Motion) -> bool:
    """Whether neighbours in time, of one shot, say that the camera moved."""
    return motion.verified >= NEAR_PAIRS and _without(motion) <= (1 - CLEARLY) * motion.verified


def without_a_step(motions: Sequence[Motion]) -> str:
    """In words, what the camera did instead of moving; empty where it moved in any shot, or that is not clear."""
    for motion in motions:
        if motion.verified < LEAST_PAIRS or _without(motion) < CLEARLY * motion.verified:
            return ""
    if not motions:
        return ""
    turned, still, slid = (sum(getattr(motion, name) for motion in motions) for name in ("turned", "still", "slid"))
    if slid > max(still, turned):
        return (
            "films something flat that slides through the picture or grows in it "
            "(a scrolled page, a scan, a photo with a zoom)"
        )
    return "only turns on the spot" if turned > still else "does not move"


def _without(motion: Motion) -> int:
    """Pairs without a step aside."""
    return motion.still + motion.turned + motion.slid


def _evenly(count: int, wanted: int) -> list[int]:
    if count <= wanted:
        return list(range(count))
    return sorted({round(i * (count - 1) / (wanted - 1)) for i in range(wanted)})
