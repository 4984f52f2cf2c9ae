"""Is a reconstruction right? Numbers of its geometry, and a verdict in words.

A wrong reconstruction can register every image with half a pixel of reprojection error (eight of about forty measured
runs did). What tells it apart is geometry: how strongly its parts hold together, whether the camera moved, and whether
the lens it found can exist.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from runner.scene.pose_report import Health
from scenejobs.errors import Code


@dataclass(frozen=True)
class Thresholds:
    """Measured on about 40 runs over 15 scenes, with reference poses for 12. Starting values, not laws."""

    min_bridge: float = 0.10  # right joins 0.14 to 0.79, wrong ones 0.009 to 0.094
    min_baseline_to_depth: float = 0.06  # moving cameras 0.087 to 1.02; a tripod 0.026 and 0.050
    max_baseline_to_depth: float = 3.0  # a stray camera far outside gave 6.5
    min_focal_ratio: float = 0.35  # lenses 0.58 to 2.4; a collapsed drone flight 0.17 to 0.19
    max_focal_ratio: float = 3.0  # a tripod gave 4.6 and 4.9
    max_abs_k1: float = 0.6  # lenses up to 0.28; wrong ones 1.4 and more
    min_points_per_image: float = 60.0  # blurred but right runs had 100; below, single points decide a pose
    min_triangulation_angle_deg: float = 0.8  # forward walks that are right have 4; a guard against no depth at all
    min_images: int = 5  # fewer cameras see a picture, not a scene
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
    """How much of the scene was reconstructed. A shot belongs to the scene when part of it was placed."""

    images_total: int  # frames of the shots that belong
    images_registered: int
    points: int
    min_registered_share: float
    min_points: int
    lost_clips: tuple[str, ...] = ()  # clips, or shots of edited clips, of which (almost) nothing registered
    lost_images: int = 0  # frames of those
    cut_sides: tuple[str, str] = ("", "")  # which clips and times are on either side of the weakest joint
    missing: tuple[str, ...] = ()  # clip and time of what was not placed of the shots that belong
    thresholds: Thresholds = field(default_factory=Thresholds)


def judge(health: Health, counts: Counts) -> Verdict:
    """Pure: the numbers against the thresholds. The first failing group gives the code, all failures give reasons."""
    t = counts.thresholds
    share = counts.images_registered / max(counts.images_total, 1)
    failures: list[tuple[Code, str, str]] = []
    everything = counts.images_total + counts.lost_images
    registered = f"{counts.images_registered} of {counts.images_total} frames were placed"
    missing = f"; not placed: {', '.join(counts.missing[:NAMED])}" if counts.missing else ""
    if counts.lost_clips and counts.images_registered < t.min_share_of_all * everything:
        text = f"{counts.images_registered} of {everything} frames were placed; {t.min_share_of_all:.0%} are needed"
        failures.append((Code.NO_OVERLAP, f"{text}; nothing connects {_listed(counts.lost_clips)}", SAME_PLACE))
    elif share < counts.min_registered_share:
        text = f"{registered}; {counts.min_registered_share:.0%} are needed{missing}"
        failures.append((Code.TOO_FEW_REGISTERED, text, FILM_SLOWER))
    elif counts.images_registered < t.min_images:
        text = f"{registered}; {t.min_images} are needed{missing}"
        code, advice = (Code.NO_OVERLAP, SAME_PLACE) if counts.lost_clips else (Code.TOO_FEW_REGISTERED, FILM_SLOWER)
        failures.append((code, text, advice))
    if health.baseline_to_depth < t.min_baseline_to_depth:
        text = f"the camera moved {health.baseline_to_depth:.3f} of the depth; {t.min_baseline_to_depth} are needed"
        failures.append((Code.STATIC_CAMERA, text, WALK))
    if health.bridge < t.min_bridge:
        one, other = counts.cut_sides
        sides = f": {one} on one side, {other} on the other" if one and other else ""
        text = f"two parts share {health.bridge:.3f} of their points; {t.min_bridge} are needed{sides}"
        failures.append((Code.NO_OVERLAP, text, SAME_PLACE))
    unreliable = [
        (
            health.baseline_to_depth > t.max_baseline_to_depth,
            f"cameras stray {health.baseline_to_depth:.1f} depths apart; {t.max_baseline_to_depth:g} are allowed",
        ),
        (
            not t.min_focal_ratio <= health.focal_ratio <= t.max_focal_ratio,
            f"the focal length is {health.focal_ratio:.2f} of the long side; "
            f"{t.min_focal_ratio} to {t.max_focal_ratio:g} is possible",
        ),
        (
            abs(health.distortion_k1) > t.max_abs_k1,
            f"the distortion is {health.distortion_k1:.2f}; up to {t.max_abs_k1} is possible",
        ),
        (
            counts.points < counts.min_points,
            f"{counts.points:,} points were found; {counts.min_points:,} are needed",
        ),
        (
            health.points_per_image < t.min_points_per_image,
            f"a frame sees {health.points_per_image:.0f} points; {t.min_points_per_image:g} are needed",
        ),
        (
            health.triangulation_angle_deg < t.min_triangulation_angle_deg,
            f"points are seen under {health.triangulation_angle_deg:.1f} degrees; "
            f"{t.min_triangulation_angle_deg} are needed",
        ),
    ]
    failures += [(Code.POSES_UNRELIABLE, text, FILM_SLOWER) for failed, text in unreliable if failed]
    if failures:
        code, _, advice = failures[0]
        return Verdict(False, code, tuple(text for _, text, _ in failures), advice)
    warnings = [f"{clip} could not be placed: the scene is made without it" for clip in counts.lost_clips]
    if share < t.low_share:
        warnings.append(f"only {registered}{missing}")
    return Verdict(True, warnings=tuple(warnings))


def lens_is_impossible(health: Health, thresholds: Thresholds | None = None) -> bool:
    """Did focal length or distortion come out as no real lens has them?"""
    t = thresholds or Thresholds()
    return not t.min_focal_ratio <= health.focal_ratio <= t.max_focal_ratio or abs(health.distortion_k1) > t.max_abs_k1


def only_the_joint_is_weak(health: Health, counts: Counts) -> bool:
    """Would everything but the bridge pass?"""
    return not judge(health, counts).passed and judge(replace(health, bridge=1.0), counts).passed


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


NAMED = 6  # clips or time ranges in one message
SAME_PLACE = "film the same place in all clips, and pass slowly between its parts so that pictures overlap"
FILM_SLOWER = "film slower, in good light, with most of each picture seen again in the next"
WALK = "walk around the scene while filming: depth is seen only from different places"
