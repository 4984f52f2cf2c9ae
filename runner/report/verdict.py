"""The result in words: how good it is, where it is weak, and what to film next for a better one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.scene.views import View
from scenejobs.wording import listed

GOOD_DB, FAIR_DB = 26.0, 22.0  # held-out, exposure aside: of what looks right, and of what can be recognised
WEAKER_DB = 3.0  # below the middle view: a difference that everybody sees
GAP_DB = 5.0  # training views better than held-out ones by this: seen from too few places
FEW = 0.8  # of the chosen frames of a clip: with fewer placed it is told
STEEP = 0.4  # sine of the angle above or below the horizon
MOST = 3  # stretches that are told, and photos of one of them
NO_PHOTOS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Stretch:
    """Held-out views of one clip, one after the other, that are worse than the others."""

    video: str
    start_s: float
    end_s: float
    psnr: float  # dB, of the worst of them
    looking: str  # "up", "down", or "" for about level and for scenes in which up is unknown
    photos: tuple[str, ...] = ()  # their names, where they are photos: these have no time

    @property
    def where(self) -> str:
        """`a.mp4 from 0:03 to 0:05, looking up`, `IMG_3.jpg, IMG_4.jpg, looking up`."""
        start, end = clock(self.start_s), clock(self.end_s)
        time = f"at {start}" if start == end else f"from {start} to {end}"
        place = listed(self.photos, MOST) or f"{self.video} {time}"
        return f"{place}{f', looking {self.looking}' if self.looking else ''}"


@dataclass(frozen=True)
class Verdict:
    """What stands at the top of the report."""

    grade: str  # "good", "fair", "poor", "doubtful", "not measured"
    sentence: str  # after the grade
    weak: tuple[Stretch, ...]
    next_steps: tuple[str, ...]  # what to film, most useful first


def verdict(
    metrics: Mapping[str, Any],
    views: Sequence[View],
    clips: Sequence[Mapping[str, Any]],
    up: Sequence[float] | None,
    photos: Mapping[str, str] = NO_PHOTOS,
) -> Verdict:
    """metrics: metrics.json. clips: of each its `name`, whether it is of `photos`, frames `chosen` and `registered`.
    up: unit vector, if known. photos: by image, the name of the photo that it is."""
    training = metrics["training"]
    formed = not (training.get("witness") or {}).get("trained_too_little")
    weak = weak_stretches(exposure_aside(training.get("heldout_views") or ()) if formed else (), views, up, photos)
    still = only_photos(views, photos)
    aside = metrics.get("psnr_heldout_exposure_corrected")
    psnr = metrics["psnr_heldout"] if aside is None else aside
    if metrics.get("doubt"):
        grade, sentence = "doubtful", "what was measured says that it may be wrong; the reasons are below"
    elif not formed:
        grade, sentence = "not measured", "training ended too early to say how good it can be; make it with more time"
    elif psnr is None:
        grade, sentence = "not measured", "no picture was kept from training to compare with"
    else:
        grade = "good" if psnr >= GOOD_DB else "fair" if psnr >= FAIR_DB else "poor"
        sentence = _sentence(grade, weak, cut_short=bool(training.get("cut_short")), still=still)
    gap_db = training.get("gap_db") if formed else None
    return Verdict(grade, sentence, weak, tuple(_next_steps(gap_db, weak, clips, still=still)))


def exposure_aside(scores: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Scores of views by the dB with the exposure aside: a picture that was exposed otherwise is neither blurred nor
    worth another film."""
    return [{**score, "psnr": score.get("psnr_corrected") or score.get("psnr")} for score in scores]


def only_photos(views: Sequence[View], photos: Mapping[str, str]) -> bool:
    """Whether nothing in the scene was filmed."""
    return bool(views) and all(view.image in photos for view in views)


def _sentence(grade: str, weak: Sequence[Stretch], *, cut_short: bool, still: bool) -> str:
    places = "; ".join(each.where for each in weak)
    again = "take more photos" if still else "film it again"
    if grade == "good":
        more = "take more photos there" if still else "film that once more"
        return f"sharp but for {places}; {more}" if weak else "sharp everywhere it was measured"
    before = "take more photos" if still else "film again"
    early = f"training was cut short: make it with more time before you {before}" if cut_short else ""
    if grade == "fair":
        soft = f"the place is plain to see, fine things are soft{f', most of all in {places}' if weak else ''}"
        return f"{soft}; {early}" if early else soft
    return f"blurred or torn in most views{f', worst in {places}' if weak else ''}; {early or again}"


def _next_steps(
    gap_db: float | None, weak: Sequence[Stretch], clips: Sequence[Mapping[str, Any]], *, still: bool
) -> list[str]:
    steps = []
    for each in weak:
        other = {"up": "from further back and lower", "down": "from higher up"}.get(each.looking, "from another height")
        how = "more photos of it, a step apart" if each.photos else "slowly once more"
        steps.append(f"What {each.where} shows ({each.psnr:.1f} dB): {how}, and {other}.")
    for clip in clips:
        if clip["chosen"] and clip["registered"] < FEW * clip["chosen"]:
            lost = clip["chosen"] - clip["registered"]
            kind, how = ("photos", "more of them, a step apart") if clip.get("photos") else ("frames", "slower")
            steps.append(
                f"What could not be placed of {clip['name']} ({lost} of {clip['chosen']} {kind}): {how}, and so that "
                "each picture shows half of the one before."
            )
    if gap_db is not None and gap_db > GAP_DB:
        if still:
            worse = f"a place that no photo was taken from looks {gap_db:.1f} dB worse than the photos themselves"
            steps.append(f"More photos, between those you have and from another height: {worse}.")
        else:
            worse = f"what was not filmed is {gap_db:.1f} dB worse than what was"
            steps.append(f"A second round at another height: {worse}.")
    return steps


def weak_stretches(
    scores: Sequence[Mapping[str, Any]],
    views: Sequence[View],
    up: Sequence[float] | None,
    photos: Mapping[str, str] = NO_PHOTOS,
) -> tuple[Stretch, ...]:
    """The worst runs of held-out views, worst first. scores: `image` and `psnr` of each held-out view."""
    by_image = {score["image"]: float(score["psnr"]) for score in scores if score.get("psnr") is not None}
    held_out = [view for view in views if view.image in by_image]
    if len(held_out) < 2:
        return ()
    limit = median(by_image[view.image] for view in held_out) - WEAKER_DB
    found = []
    for (video, bad), run in groupby(held_out, key=lambda view: (view.video, by_image[view.image] < limit)):
        if bad:
            members = list(run)
            low = min(by_image[view.image] for view in members)
            looking = _looking(members, None if up is None else np.asarray(up, float))
            names = tuple(photos[view.image] for view in members if view.image in photos)
            found.append(Stretch(video, members[0].timestamp_s, members[-1].timestamp_s, low, looking, names))
    return tuple(sorted(found, key=lambda each: each.psnr)[:MOST])


def _looking(views: Sequence[View], up: NDArray[np.float64] | None) -> str:
    if up is None:
        return ""
    rise = float(np.mean([view.world_to_camera[2, :3] @ up for view in views]))
    return "up" if rise > STEEP else "down" if rise < -STEEP else ""


def clock(seconds: float) -> str:
    """`0:03`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
