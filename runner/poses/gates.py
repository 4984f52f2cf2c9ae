"""Is a reconstruction right? The gates: numbers of its geometry with their limits, and a verdict in words.

A wrong reconstruction can register every image with half a pixel of reprojection error (eight of about forty measured
runs did). What sets it apart is geometry: how strongly its parts hold together, whether the camera moved, and whether
the lens it found can exist.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace

from runner.scene.pose_report import GateResult, Health
from scenejobs.errors import Code
from scenejobs.filming import MORE_TO_SEE, ONE_LENS, SAME_PLACE, SLOWER, WALK, WALK_SIDEWAYS
from scenejobs.wording import listed

NAMED = 6  # clips or time ranges in one message
TOO_LITTLE = "the camera moved too little"


@dataclass(frozen=True)
class Thresholds:
    """Measured on about 40 runs over 15 scenes, with reference poses for 12. Starting values, not laws."""

    min_bridge: float = 0.10  # right links 0.14 to 0.79, wrong ones 0.009 to 0.094
    min_baseline_to_depth: float = 0.06  # moving cameras 0.087 to 1.02; a tripod 0.026 and 0.050
    max_baseline_to_depth: float = 3.0  # a stray camera far outside gave 6.5
    min_focal_ratio: float = 0.35  # lenses 0.58 to 2.4; a collapsed drone flight 0.17 to 0.19
    max_focal_ratio: float = 3.0  # a tripod gave 4.6 and 4.9
    max_abs_k1: float = 0.6  # lenses up to 0.28; wrong ones 1.4 and more
    min_points_per_image: float = 60.0  # blurred but right runs had 100; below, single points decide a pose
    min_triangulation_angle_deg: float = 0.8  # forward walks that are right have 4; a guard against no depth at all
    min_images: int = 5  # fewer cameras see no scene
    min_share_of_all: float = 0.2  # of all frames, with those of clips that do not belong: less is not what was filmed
    low_share: float = 0.8  # registered share below which the report carries a warning


@dataclass(frozen=True)
class Verdict:
    """May training start? `code`, `reasons` and `advice` are empty when it may."""

    passed: bool
    code: Code | None = None
    reasons: tuple[str, ...] = ()  # what is wrong, with number and threshold
    advice: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Counts:
    """How much of the scene was reconstructed. A shot belongs to the scene when part of it was registered."""

    images_total: int  # frames of the shots that belong
    images_registered: int
    points: int
    min_registered_share: float
    min_points: int
    lost_clips: tuple[str, ...] = ()  # clips, or shots of edited clips, of which (almost) nothing registered
    lost_images: int = 0  # frames of those
    cut_sides: tuple[str, str] = ("", "")  # which clips and times are on either side of the weakest covisibility link
    missing: tuple[str, ...] = ()  # clip and time of the unregistered frames of the shots that belong
    thresholds: Thresholds = field(default_factory=Thresholds)

    @property
    def share(self) -> float:
        """Registered frames of those that belong, 0 to 1."""
        return self.images_registered / max(self.images_total, 1)


@dataclass(frozen=True)
class Failure:
    """One gate that a reconstruction does not pass."""

    code: Code
    reason: str
    advice: str


@dataclass(frozen=True)
class Gate:
    """One number of a reconstruction, the range it may lie in, and what is said where it lies outside."""

    name: str  # field of Health; "points": of Counts
    code: Code
    advice: str
    reason: str  # format string of {number}, {low}, {high}, {health} and {sides}
    low: Callable[[Counts], float] = lambda _: -math.inf
    high: Callable[[Counts], float] = lambda _: math.inf

    def number(self, health: Health, counts: Counts) -> float:
        """What the gate looks at; of the distortion its size."""
        value: float = counts.points if self.name == "points" else getattr(health, self.name)
        return abs(value) if self.name == "distortion_k1" else value

    def failure(self, health: Health, counts: Counts) -> Failure | None:
        """None where the number lies inside the range. What is not a number lies outside of every range."""
        number, low, high = self.number(health, counts), self.low(counts), self.high(counts)
        if low <= number <= high:
            return None
        one, other = counts.cut_sides
        sides = f": {one} on one side, {other} on the other" if one and other else ""
        reason = self.reason.format(number=number, low=low, high=high, health=health, sides=sides)
        return Failure(self.code, reason, self.advice)


FOCAL = Gate(
    "focal_ratio", Code.POSES_UNRELIABLE, ONE_LENS,
    "the lens could not be made out: the focal length is {number:.2f} of the long side; {low} to {high:g} is possible",
    low=lambda counts: counts.thresholds.min_focal_ratio,
    high=lambda counts: counts.thresholds.max_focal_ratio,
)  # fmt: skip
DISTORTION = Gate(
    "distortion_k1", Code.POSES_UNRELIABLE, ONE_LENS,
    "the lens could not be made out: the distortion is {health.distortion_k1:.2f}; up to {high} is possible",
    high=lambda counts: counts.thresholds.max_abs_k1,
)  # fmt: skip
GATES = (
    Gate(
        "baseline_to_depth", Code.STATIC_CAMERA, WALK,
        f"{TOO_LITTLE}: {{number:.3f}} of the depth; {{low}} are needed",
        low=lambda counts: counts.thresholds.min_baseline_to_depth,
    ),
    Gate(
        "bridge", Code.NO_OVERLAP, SAME_PLACE,
        "two parts share {number:.3f} of their points; {low} are needed{sides}",
        low=lambda counts: counts.thresholds.min_bridge,
    ),
    Gate(
        "baseline_to_depth", Code.POSES_UNRELIABLE, SLOWER,
        "cameras stray {number:.1f} depths apart; {high:g} are allowed",
        high=lambda counts: counts.thresholds.max_baseline_to_depth,
    ),
    FOCAL,
    DISTORTION,
    Gate(
        "points", Code.POSES_UNRELIABLE, MORE_TO_SEE,
        "too little was recognised from one picture to the next: {number:,} points were found; {low:,} are needed",
        low=lambda counts: counts.min_points,
    ),
    Gate(
        "points_per_image", Code.POSES_UNRELIABLE, MORE_TO_SEE,
        "too little was recognised in each picture: a frame sees {number:.0f} points; {low:g} are needed",
        low=lambda counts: counts.thresholds.min_points_per_image,
    ),
    Gate(
        "triangulation_angle_deg", Code.POSES_UNRELIABLE, WALK_SIDEWAYS,
        "the camera hardly moved to the side: points are seen under {number:.1f} degrees; {low} are needed",
        low=lambda counts: counts.thresholds.min_triangulation_angle_deg,
    ),
)  # fmt: skip
"""In the order of what matters most: the first that fails gives the code."""

NOT_COUNTED = Counts(0, 0, 0, 0.0, 0)  # for the limits of the gates on Health alone


def judge(health: Health, counts: Counts) -> Verdict:
    """Pure: the numbers against the thresholds. The first failure gives code and advice, all of them give reasons."""
    failures = [*_registration(counts), *(found for gate in GATES if (found := gate.failure(health, counts)))]
    if failures:
        return Verdict(False, failures[0].code, tuple(one.reason for one in failures), failures[0].advice)
    warnings = [f"{clip} could not be placed: the scene is made without it" for clip in counts.lost_clips]
    if counts.share < counts.thresholds.low_share:
        warnings.append(f"only {_registered(counts)}{_missing(counts)}")
    return Verdict(True, warnings=tuple(warnings))


def gate_results(health: Health) -> tuple[GateResult, ...]:
    """Each number of `health` beside its limits, in the order of its fields: what a report shows."""
    results = []
    for part in fields(Health):
        gates = [gate for gate in GATES if gate.name == part.name]
        number = gates[0].number(health, NOT_COUNTED)
        low = max(gate.low(NOT_COUNTED) for gate in gates)
        high = min(gate.high(NOT_COUNTED) for gate in gates)
        limits = (low if math.isfinite(low) else None, high if math.isfinite(high) else None)
        results.append(GateResult(part.name, number, *limits, passed=low <= number <= high))
    return tuple(results)


def lens_is_impossible(health: Health) -> bool:
    """Did focal length or distortion come out as no real lens has them?"""
    return any(gate.failure(health, NOT_COUNTED) for gate in (FOCAL, DISTORTION))


def only_the_weakest_link_fails(health: Health, counts: Counts) -> bool:
    """Would everything but the gate on the weakest covisibility link pass?"""
    return not judge(health, counts).passed and judge(replace(health, bridge=1.0), counts).passed


def _registration(counts: Counts) -> Iterator[Failure]:
    """At most one failure: too few frames are registered, of all, of those that belong, or for any scene."""
    t, missing = counts.thresholds, _missing(counts)
    everything = counts.images_total + counts.lost_images
    if counts.lost_clips and counts.images_registered < t.min_share_of_all * everything:
        text = f"{counts.images_registered} of {everything} frames were placed; {t.min_share_of_all:.0%} are needed"
        yield Failure(Code.NO_OVERLAP, f"{text}; nothing connects {listed(counts.lost_clips, NAMED)}", SAME_PLACE)
    elif counts.share < counts.min_registered_share:
        text = f"{_registered(counts)}; {counts.min_registered_share:.0%} are needed{missing}"
        yield Failure(Code.TOO_FEW_REGISTERED, text, SLOWER)
    elif counts.images_registered < t.min_images:
        text = f"{_registered(counts)}; {t.min_images} are needed{missing}"
        code, advice = (Code.NO_OVERLAP, SAME_PLACE) if counts.lost_clips else (Code.TOO_FEW_REGISTERED, SLOWER)
        yield Failure(code, text, advice)


def _registered(counts: Counts) -> str:
    return f"{counts.images_registered} of {counts.images_total} frames were placed"


def _missing(counts: Counts) -> str:
    return f"; not placed: {listed(counts.missing, NAMED)}" if counts.missing else ""
