"""Is a result wrong, although everything before said it is right? What the pictures say, not the matches.

Four witnesses, none of which asks whether the cameras fit the matches:

- `agreement`: do neighbouring pictures show the same things where the cameras say they are?
- `nearest`: does the trained scene show a view better than the most similar picture that it was trained on?
- `standing`: are there points that stand still in the pictures while the camera moves?
- `leaps`: does the camera leap within a film, while the pictures go on as before?

All limits are ratios or differences on the same scene: what 20 dB are worth depends on the footage. They come from the
table of benchmarks/results/footage.md, which `python -m benchmarks.footage_cases.witness` makes anew.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.quality.agreement import ViewAgreement, agreement
from runner.quality.evaluate import Evaluation
from runner.quality.leaps import Leap, leaps
from runner.quality.nearest import Gain, gains
from runner.quality.standing import standing_share
from runner.scene.progress import Progress
from runner.scene.views import TrainingScene

SHARE_MIN = 0.04  # of a view's details that its neighbours find at the same place ...
WIDE_DEG = 35.0  # a neighbour that looks from so far aside shows windows unlike, with true cameras too ...
SHARE_MIN_WIDE = 0.01  # ... so the share that is enough is smaller; photos 42 and 74 degrees apart had 0.033
CHANCE_FACTOR = 2.0  # ... beyond so many times what chance finds: less, and the cameras do not explain the view
TIMES_CHANCE = 5.0  # ... and so many times what chance finds at least, where it finds much; right scenes: 7 and more
UNEXPLAINED_MAX = 0.15  # share of the views that the cameras do not explain; right ones: 0, once 0.125 ...
LEAST_VIEWS = 4  # fewer say nothing about the cameras
UNEXPLAINED_LEAST = 2  # ... and so many: a single odd picture is none of the cameras' faults
GAIN_MIN_DB = -1.0  # of a view over its most similar picture; right scenes: 3.2 to 8.6, held out 2.6 to 9.1
STANDING_MAX = 0.03  # share of points that stand still: right scenes have 0.004 at most, stamps 0.08 to 0.80
HELD_OUT = "pictures that it was not made from"


@dataclass(frozen=True)
class Witness:
    """What was measured."""

    views: tuple[ViewAgreement, ...]
    heldout: tuple[Gain, ...]
    train: tuple[Gain, ...]
    standing: float | None = None  # see `standing_share`
    leaps: tuple[Leap, ...] = ()
    formed: bool = True  # False: trained too little for `heldout` and `train` to say anything
    right: frozenset[int] = frozenset()  # views that are where their positions say: runner/postprocess/positions.py

    @property
    def stand_still(self) -> bool:
        """Whether something that stands still in the pictures has a say in where the cameras are."""
        return self.standing is not None and self.standing > STANDING_MAX

    @property
    def unexplained(self) -> tuple[ViewAgreement, ...]:
        """Views that agree with their neighbours hardly more than by chance, and nothing else says that they are right.

        Leaves from above look alike everywhere and from nowhere the same.
        """
        return tuple(view for view in self.views if view.share < _least_share(view) and view.view not in self.right)

    @property
    def cameras_doubted(self) -> bool:
        """Whether they do not explain the pictures, follow what stands still, leap, or may be why the scene is bad."""
        if self.stand_still or self.leaps:
            return True
        if len(self.views) < LEAST_VIEWS:
            return bool(_gain_doubt(self))
        return self.many_unexplained

    @property
    def many_unexplained(self) -> bool:
        """Whether the cameras do not explain the pictures, where enough of them could be asked."""
        if len(self.views) < LEAST_VIEWS:
            return False
        odd = len(self.unexplained)
        return odd >= UNEXPLAINED_LEAST and odd > UNEXPLAINED_MAX * len(self.views)

    @property
    def share(self) -> float | None:
        """Median over the views, 0..1; None: nothing can be said."""
        return float(np.median([view.share for view in self.views])) if self.views else None

    @property
    def by_chance(self) -> float | None:
        """Median of what chance finds."""
        return float(np.median([view.by_chance for view in self.views])) if self.views else None

    @property
    def unexplained_share(self) -> float | None:
        """Of the views that were asked, 0..1; None: nothing can be said."""
        return len(self.unexplained) / len(self.views) if self.views else None

    @property
    def heldout_gain_db(self) -> float | None:
        return _mean(self.heldout)

    @property
    def train_gain_db(self) -> float | None:
        return _mean(self.train)

    def to_json(self) -> dict[str, Any]:
        """For metrics.json."""
        return {
            "views_asked": len(self.views),
            "views_unexplained": len(self.unexplained),
            "agreement": self.share,
            "agreement_by_chance": self.by_chance,
            "gain_heldout_db": self.heldout_gain_db,
            "gain_train_db": self.train_gain_db,
            "points_standing_still": self.standing,
            "leaps": len(self.leaps),
            "views_right_by_positions": len(self.right),
            "trained_too_little": not self.formed,
        }


def examine(
    scene: TrainingScene, scores: Evaluation, progress: Progress, stage: str, films: Sequence[Sequence[str]] = (),
    *, formed: bool = True, right: Collection[str] = (),
) -> Witness:  # fmt: skip
    """Measures. scores: of the trained Gaussians on the views of this scene. films: see `leaps`. formed: whether they
    were trained long enough to be judged. right: images whose cameras are right by what no picture had a say in.
    Raises Interrupted."""
    heldout, train = (gains(scene, split.views) for split in (scores.test, scores.train))
    alike = agreement(scene, progress, stage)
    known = frozenset(index for index, view in enumerate(scene.views) if view.image in right)
    return Witness(alike, heldout, train, standing_share(scene), leaps(scene, films), formed, known)


def doubts(witness: Witness) -> tuple[str, ...]:
    """Pure: sentences that say why the scene is probably wrong. None: no witness speaks against it."""
    found = []
    share, by_chance = witness.share, witness.by_chance
    if share is not None and by_chance is not None and witness.many_unexplained:
        found.append(
            f"the cameras do not explain {len(witness.unexplained)} of {len(witness.views)} pictures: neighbouring "
            f"pictures show {share:.0%} of their details at the same place, and {by_chance:.0%} would be by chance"
        )
    if witness.stand_still:
        found.append(
            f"{witness.standing:.0%} of the points that were recognised stand still in the pictures while the camera "
            "moves, as a date, a logo or a reflection does: the cameras are wrong as far as they follow these"
        )
    if witness.leaps:
        most = max(witness.leaps, key=lambda leap: leap.times)
        found.append(
            f"the camera leaps in {most.video} at {most.timestamp_s:.1f} s, {most.times:.0f} times as far as before "
            "and after, and the pictures go on as before: what repeats has joined two parts at the wrong place"
        )
    return (*found, *_gain_doubt(witness))


def _least_share(view: ViewAgreement) -> float:
    """Of its details, less of which are found at the same place where the cameras do not explain the view."""
    beyond = SHARE_MIN_WIDE if view.angle_deg > WIDE_DEG else SHARE_MIN
    return max(beyond + CHANCE_FACTOR * view.by_chance, TIMES_CHANCE * view.by_chance)


def _gain_doubt(witness: Witness) -> tuple[str, ...]:
    if not witness.formed:  # want of time, or of steps: a warning says so
        return ()
    for gain, whose in ((witness.train_gain_db, "the pictures it was made from"), (witness.heldout_gain_db, HELD_OUT)):
        if gain is not None and gain < GAIN_MIN_DB:
            text = f"the scene shows {whose} {-gain:.1f} dB worse than the most similar other picture does"
            return (f"{text}: it has not become what was filmed",)
    return ()


def _mean(views: tuple[Gain, ...]) -> float | None:
    return float(np.mean([view.db for view in views])) if views else None
