"""Which method to try next, and which result to keep. Pure: nothing here looks at a clock or starts anything.

The order of the rungs is that of docs/stages.md ("The pose ladder"); what each is good for was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from runner.poses.colmap.requests import Model, SuppliedFit
from runner.poses.gates import Thresholds, Verdict, lens_is_impossible
from runner.poses.settings import FRAME_S, PAIR_FEATURES, PAIR_S, PoseSettings
from scenejobs.errors import Code

STRONG_IMAGE_SIZE = 1600  # px, of the try with more features
MOST_FEATURES = 8192
CAPPED = 0.9  # of the features asked for: with fewer the frames have no more, and a higher limit finds none
OVERLAP, NEIGHBOURS = 10, 40  # pairs per frame: in time; by likeness
RIVAL = 0.8  # of the seconds of the longest part: whoever films two places films them about equally
MAPPING_GROWS = 1.5  # a further mapping has more matches to work on
LOW_SHARE = Thresholds().low_share  # of the frames registered; below, half of what was filmed may still be missing

Rivals = tuple[frozenset[str], frozenset[str]]  # the shots of two places of the same weight


@dataclass(frozen=True)
class Rung:
    """One method: how to match, and how to map."""

    matching: Literal["exhaustive", "retrieval", "sequential"]  # all pairs; by likeness and in time; in time, loops
    mapper: Literal["incremental", "global", "supplied"]
    features: int  # per image
    max_image_size: int  # px
    guided: bool = False  # match a second time along the epipolar lines found
    sensitive: bool = False  # take features of half the usual contrast
    fixed_lens: bool = False  # believe the focal length of the metadata, or of a usual phone
    supplied: str = ""  # where the user's own poses come from: "transforms.json"

    def __str__(self) -> str:
        if self.supplied:
            return f"supplied: {self.supplied}"
        guided = " guided" if self.guided else ""
        lens = " with a fixed lens" if self.fixed_lens else ""
        weak = " and weaker ones" if self.sensitive else ""
        return f"{self.matching}{guided} + {self.mapper}{lens}, {self.features} features{weak}"

    @property
    def database(self) -> str:
        """Rungs with the same name share features and matches."""
        return f"{self.features}_{self.max_image_size}" + ("_weak" if self.sensitive else "")


@dataclass(frozen=True)
class Part:
    """One model of an attempt, after a weak covisibility link was cut."""

    model: Model
    verdict: Verdict
    shots: tuple[str, ...]  # clips, or shots of edited clips, that it joins
    seconds: float  # of footage
    cut: bool = False  # what lies beyond a weak link was left out


@dataclass(frozen=True)
class Attempt:
    """One rung tried, with its best model."""

    rung: Rung
    model: Model | None
    verdict: Verdict
    others: tuple[Model, ...] = ()  # further, smaller models: parts that did not connect
    partial: bool = False  # a whole shot, or what lies beyond a weak link, is not in the model
    linked: bool = True  # some frames outside the model do match frames in it
    shots: int = 1  # in the model
    share: float = 1.0  # of the frames of those shots that are registered
    rivals: tuple[Rivals, ...] = ()  # two places of the same weight that it found
    disputed: bool = False  # a second run from another start did not confirm it
    features: float = 0.0  # median per frame
    pairs: int = 0  # compared so far with these features
    reused: bool = False  # some of these pairs were compared in an earlier run: their time says nothing
    fit: SuppliedFit | None = None  # of the cameras that the user supplies, where the rung is theirs
    extract_s: float = 0.0
    match_s: float = 0.0
    map_s: float = 0.0

    @property
    def seconds(self) -> float:
        """Of all its parts."""
        return self.extract_s + self.match_s + self.map_s

    def __str__(self) -> str:
        outcome = "passed" if self.verdict.passed else "; ".join(self.verdict.reasons)
        if self.model is None:
            return f"{self.rung}: no model: {outcome}"
        parts = f" and {len(self.others)} separate parts" if self.others else ""
        return f"{self.rung}: {len(self.model.names)} frames, {self.model.points:,} points{parts}: {outcome}"


def rivals_of(kept: Part, rest: Sequence[Part]) -> tuple[Rivals, ...]:
    """The chosen part beside each other healthy part of other shots that joins as many and is about as long."""
    return tuple(
        (frozenset(kept.shots), frozenset(other.shots))
        for other in rest
        if kept.verdict.passed and other.verdict.passed
        and len(other.shots) >= len(kept.shots) and not set(other.shots) & set(kept.shots)
        and other.seconds >= RIVAL * kept.seconds
    )  # fmt: skip


def choose_part(kept: Part, rivals: Sequence[Rivals]) -> Verdict:
    """The verdict on the part that joins most shots, then most seconds of them.

    A rival is the scene as much as this part is: nothing says which of them was meant, and neither is made. That
    holds for later rungs too: one that finds only one of two places does not say which was meant.
    """
    inside = set(kept.shots)
    for one, other in rivals:
        if kept.verdict.passed and bool(inside & one) != bool(inside & other):
            sides = f"{', '.join(sorted(one))} and {', '.join(sorted(other))}"
            text = f"two places of the same weight, with nothing in common: {sides}"
            return Verdict(False, Code.NO_OVERLAP, (text,), "upload each place as a scene of its own")
    return kept.verdict


def next_rung(tried: Sequence[Attempt], frame_count: int, settings: PoseSettings, max_side: int = 0) -> Rung | None:
    """What to try next, or None when something passed, nothing is left that could help, or the time is used up.

    max_side: long side of the largest frame in px; 0: not known. The first rung is always tried.
    """
    if any(attempt.rung.supplied and attempt.verdict.passed for attempt in tried):
        return None  # what the user knows is better than what could be found
    tried = [attempt for attempt in tried if not attempt.rung.supplied]
    if not tried:
        return first_rung(frame_count, settings)
    if any(attempt.verdict.passed and not attempt.partial and attempt.share >= LOW_SHARE for attempt in tried):
        return None
    done, spent_s = {attempt.rung for attempt in tried}, sum(attempt.seconds for attempt in tried)
    for rung in _ladder(tried, frame_count, settings, max_side):
        if rung not in done and spent_s + expected_s(rung, tried, frame_count, settings) <= settings.budget_s:
            return rung
    return None


def best(tried: Sequence[Attempt]) -> Attempt:
    """What passed, then what joins most shots, then what registers most frames."""
    return max(tried, key=lambda attempt: (attempt.verdict.passed, attempt.shots * (attempt.model is not None),
                                           len(attempt.model.names) if attempt.model else 0))  # fmt: skip


def why(tried: Sequence[Attempt], chosen: Attempt) -> str:
    """In words for the report."""
    if chosen.rung.supplied:
        return "the poses that were supplied passed every gate"
    if len(tried) == 1:
        return "the first way passed every gate" + (" for the part that holds together" if chosen.partial else "")
    others = [attempt for attempt in tried if attempt.rung != chosen.rung]
    passed = sum(attempt.verdict.passed for attempt in others)
    text = f"{len(others) - passed} of {len(others)} other ways failed a gate"
    return text + (f", and {passed} placed no more" if passed else "")


def expected_s(rung: Rung, tried: Sequence[Attempt], frame_count: int, settings: PoseSettings) -> float:
    """Seconds, from what earlier rungs needed on this machine, else from runs on two cores."""
    # The slowest: a rung that found its pairs compared before needed no time for them.
    measured = [(a.match_s / a.pairs, a.rung.features) for a in tried if a.pairs and a.match_s and not a.reused]
    pair_s, of_features = max(measured, default=(PAIR_S, PAIR_FEATURES))
    pairs = pair_count(rung.matching, frame_count, settings)
    same = [attempt for attempt in tried if attempt.rung.database == rung.database]
    if same and not rung.guided:
        pairs = max(0, pairs - max(attempt.pairs for attempt in same))
    matching = pairs * pair_s * (rung.features / of_features) ** 2
    extracting = 0.0 if same else frame_count * FRAME_S * rung.features / PAIR_FEATURES
    mapping = MAPPING_GROWS * max((attempt.map_s for attempt in tried), default=0.0)
    return extracting + matching + mapping


def pair_count(matching: str, frame_count: int, settings: PoseSettings) -> int:
    """How many pairs of frames are compared, at most."""
    everything = frame_count * (frame_count - 1) // 2
    if matching == "exhaustive":
        return everything
    thinned = thinned_to(frame_count, settings)
    return min(everything, (OVERLAP + (NEIGHBOURS if matching == "retrieval" else 1)) * frame_count + thinned**2 // 2)


def thinned_to(frame_count: int, settings: PoseSettings) -> int:
    """So many frames, evenly chosen, are compared with each other where all pairs are too many."""
    return max(2, min(frame_count, settings.exhaustive_up_to // 2))


def first_rung(frame_count: int, settings: PoseSettings) -> Rung:
    """All pairs, or where these are too many, neighbours in time with loops; incremental mapping."""
    everything = frame_count <= settings.exhaustive_up_to
    return Rung("exhaustive" if everything else "sequential", "incremental", settings.features, settings.max_image_size)


def _ladder(tried: Sequence[Attempt], frame_count: int, settings: PoseSettings, max_side: int) -> list[Rung]:
    """What could help after the last attempt, in order."""
    last, first = tried[-1], first_rung(frame_count, settings)
    lens_bad = last.model is not None and lens_is_impossible(last.model.health)
    if last.verdict.code == Code.STATIC_CAMERA and not lens_bad:
        return []  # no method finds depth where there is no parallax
    # Weak links hold with more pairs where neighbours in time fail: measured on one scene at four qualities.
    everything = replace(first, matching="exhaustive")
    fits = expected_s(everything, tried, frame_count, settings) <= settings.budget_s / 2
    wide = everything if fits else replace(first, matching="retrieval")
    if passed := [attempt for attempt in tried if attempt.verdict.passed]:
        if max(attempt.share for attempt in passed) >= LOW_SHARE or (not last.linked and last.rung == wide):
            return [wide]  # a part passed: one more look whether it is all
        return [wide, _stronger(wide, tried, max_side)]
    if lens_bad:
        return [wide, replace(wide, mapper="global"), replace(wide, fixed_lens=True)]
    if any(attempt.disputed for attempt in tried):
        return [replace(wide, fixed_lens=True)]  # what repeats, repeats in finer features too
    if any(attempt.rivals for attempt in tried):
        # Guided matching believes a geometry that few pairs gave by chance: it joined a clip and its mirror image.
        return [wide, _stronger(wide, tried, max_side)]
    if not last.linked and last.rung == wide:
        return []  # not a single pair of frames connects the parts: finer features will not either
    stronger = _stronger(wide, tried, max_side)
    return [wide, stronger, replace(stronger, guided=True), replace(wide, mapper="global")]


def _stronger(rung: Rung, tried: Sequence[Attempt], max_side: int) -> Rung:
    """More features, from where more can come: a higher limit only where it was reached, else weaker ones."""
    found = next((attempt for attempt in tried if attempt.features), None)
    capped = found is None or found.features >= CAPPED * found.rung.features
    size = max(rung.max_image_size, min(STRONG_IMAGE_SIZE, max_side or STRONG_IMAGE_SIZE))
    if capped:
        return replace(rung, features=max(rung.features, min(2 * rung.features, MOST_FEATURES)), max_image_size=size)
    return replace(rung, max_image_size=size, sensitive=True)
