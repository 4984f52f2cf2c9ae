"""What a rung will cost in seconds: from what this run measured on this machine, under the load that it has."""

from __future__ import annotations

from collections.abc import Sequence

from runner.poses.rungs import Attempt, Rung
from runner.poses.settings import FRAME_S, PAIR_FEATURES, PAIR_S

EACH = {"preselected": 12, "preselected widely": 60, "sequential": 3}  # look-alikes of every frame
IN_TIME = {"preselected": 4, "preselected widely": 10, "sequential": 10}  # frames after each one in its shot
SHARED = 0.6  # of the look-alikes: most pairs are among the most alike of both of their frames
MAPPING_GROWS = 1.5  # a mapping of more features and more matches takes longer
# Of fox, walk, sceaux and banana with 2,048 features: the global mapper took 1.0 to 1.3 times what the incremental one
# took where that one succeeded, 0.5 times where it failed; 0.1 to 0.35 CPU seconds for each frame.
GLOBAL_SHARE = 1.3  # of the time of an incremental mapping, at most
GLOBAL_FRAME_S = 0.4  # with PAIR_FEATURES features


def expected_s(rung: Rung, tried: Sequence[Attempt], frame_count: int) -> float:
    """Seconds, from what earlier rungs needed on this machine, else from runs on two cores."""
    return (
        _extracting_s(rung, tried, frame_count) + _matching_s(rung, tried, frame_count)
        + mapping_s(rung, tried, frame_count)
    )  # fmt: skip


def mapping_s(rung: Rung, tried: Sequence[Attempt], frame_count: int) -> float:
    """Of one mapping: what this mapper took here, else what the other one lets expect. Second runs that only confirm a
    model are no part of it, nor is a mapping that was ended."""
    timed = [attempt for attempt in tried if attempt.map_s and not attempt.cut] or list(tried)
    own = [attempt for attempt in timed if attempt.rung.mapper == rung.mapper]
    slowest = max(own or timed, key=lambda attempt: attempt.map_s, default=None)
    if slowest is None:
        return 0.0
    seconds = slowest.map_s
    if not own and rung.mapper == "global":  # the incremental mapper takes long where it fails: begun again and again
        whole = frame_count * GLOBAL_FRAME_S * rung.features / PAIR_FEATURES * _slowness(tried)
        seconds = min(GLOBAL_SHARE * seconds, whole)
    more_matches = rung.features > slowest.rung.features or rung.matching != slowest.rung.matching or rung.guided
    return seconds * (MAPPING_GROWS if more_matches or rung.sensitive else 1.0)


def _slowness(tried: Sequence[Attempt]) -> float:
    """Of this machine with its load, against two idle cores, by its matching; 1 where that is unknown."""
    pair_s, features = _pair_s(tried)
    return pair_s / (PAIR_S * (features / PAIR_FEATURES) ** 2)


def _pair_s(tried: Sequence[Attempt]) -> tuple[float, int]:
    """Seconds for a pair, and with how many features."""
    # The slowest: a rung that found its pairs compared before needed no time for them.
    measured = [(a.match_s / a.pairs, a.rung.features) for a in tried if a.pairs and a.match_s and not a.reused]
    return max(measured, default=(PAIR_S, PAIR_FEATURES))


def _extracting_s(rung: Rung, tried: Sequence[Attempt], frame_count: int) -> float:
    if any(attempt.rung.database == rung.database for attempt in tried):
        return 0.0
    measured = [(a.extract_s / frame_count, a.rung.features) for a in tried if a.extract_s and not a.reused]
    frame_s, of_features = max(measured, default=(FRAME_S, PAIR_FEATURES))
    return frame_count * frame_s * rung.features / of_features


def _matching_s(rung: Rung, tried: Sequence[Attempt], frame_count: int) -> float:
    pair_s, of_features = _pair_s(tried)
    pairs = pair_count(rung.matching, frame_count)
    same = [attempt for attempt in tried if attempt.rung.database == rung.database]
    if same and not rung.guided:
        pairs = max(0, pairs - max(attempt.pairs for attempt in same))
    return pairs * pair_s * (rung.features / of_features) ** 2


def pair_count(matching: str, frame_count: int) -> int:
    """How many pairs of frames are compared, about."""
    everything = frame_count * (frame_count - 1) // 2
    if matching == "exhaustive":
        return everything
    return min(everything, int((SHARED * EACH[matching] + IN_TIME[matching]) * frame_count))
