"""Whether corrections help: two short trainings, without and with them, scored on training pictures that both left out.

The held-out views of the scene take no part: neither are they trained on here, nor scored. What decides is the same
pair of numbers that people read in the report, so corrections that make a scene better where it was filmed and worse
elsewhere (few pictures, and a model that explains by exposure what is geometry) are not kept. A short training of few
pictures is chance to some tenths of a decibel, and thousands of sparse points are not: where these say clearly that
exposures differ, it is the harm that has to be shown. A training that its time cut short is no evidence: against one
of more steps it has lost before it begins.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.quality.evaluate import SplitScore
from runner.scene.views import TrainingScene, View
from runner.training.exposure.drift import ExposureDrift
from runner.training.settings import TrainSettings
from scenejobs.errors import Code, RunnerError

CONTRADICTION_MIN = 0.010  # natural log of the values; with less, pictures from about one place agree
CONTRADICTION_CLEAR = 0.05  # a sixth of a stop; with more, corrections are kept unless they do harm
MIN_PAIRS_PER_VIEW = 30  # median over the views; fewer do not tell exposure from noise
VIEWS_MIN = 6  # training views; fewer cannot spare any
LEFT_OUT_EVERY = 4  # training views
FEW, FOLDS = 40, 3  # fewer views than FEW are left out in turn, a third of them in each fold
PARTS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the exposures, that a scene may follow where they depend on the place
SHARE_OF_PLAN = 0.15  # steps of the short trainings of each kind, of those of the whole one ...
STEPS = (150, 400)  # ... each within these
TIME_SHARE = 0.15  # of the time budget, for one of them at most ...
TIME_OF_ALL = 0.3  # ... and for all: no fold is begun that would go beyond it
CAP = 4000  # Gaussians
LONG_SIDE = 160  # pixels at most
GAIN_DB = 0.025  # with the exposure aside, unless exposures differ clearly: the whole training wins twice that or more
LOSS_DB = 0.1  # of the pictures as they are, at most


@dataclass(frozen=True)
class Evidence:
    """Left-out training pictures with corrections, against without. dB, means over the pictures."""

    views: int
    raw_db: float  # as they are
    aside_db: float  # after a gain and a bias fitted to each picture
    aside_error_db: float  # standard error of that mean
    clear: bool = False  # whether the sparse points had said clearly that exposures differ

    @property
    def helps(self) -> bool:
        """Whether the corrections are kept."""
        least = -self.aside_error_db if self.clear else GAIN_DB
        return self.views > 1 and self.aside_db >= least and self.raw_db >= -LOSS_DB

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "helps": self.helps}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Evidence:
        raw_db, aside_db, error_db = (float(value[name]) for name in ("raw_db", "aside_db", "aside_error_db"))
        return Evidence(int(value["views"]), raw_db, aside_db, error_db, bool(value["clear"]))


@dataclass(frozen=True)
class Decision:
    """Whether exposures are corrected in a training, how they are left behind at its end, and why."""

    corrected: bool
    why: str
    part: float = 0.0  # of the exposures, that the finished scene follows where they depend on the place (fold.py)
    one_exposure: Evidence | None = None  # of a scene of one exposure; None: nothing was tried
    following: Evidence | None = None  # of one that follows the place by that part; None: by no part

    @property
    def follows_place(self) -> bool:
        return self.part > 0

    def to_json(self) -> dict[str, Any]:
        return {
            "corrected": self.corrected,
            "why": self.why,
            "part": self.part,
            "one_exposure": self.one_exposure and self.one_exposure.to_json(),
            "following": self.following and self.following.to_json(),
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> Decision:
        """Raises KeyError, TypeError for what `to_json` did not make."""
        tried = [
            None if value[name] is None else Evidence.from_json(value[name]) for name in ("one_exposure", "following")
        ]
        return Decision(bool(value["corrected"]), str(value["why"]), float(value["part"]), *tried)


NOT_DECIDED = Decision(False, "nothing was measured")


ShortScores = Mapping[float, SplitScore]
"""Of the left-out pictures after a short training, by the part of the exposures that the scene follows: all PARTS, or 0
alone where nothing was corrected. Empty where its time cut the training short."""

ShortTraining = Callable[[TrainingScene, TrainSettings], ShortScores]
"""Trains on the views of split "train", as `TrainSettings.exposure` says ("on" | "off"), and scores those of "test"."""


def decide(
    scene: TrainingScene,
    settings: TrainSettings,
    drift: ExposureDrift,
    train: ShortTraining,
    clock: Callable[[], float] = time.monotonic,
) -> Decision:
    """What `settings.exposure` says: "on", "off", or "auto" by evidence.

    A short training that diverges or lacks time is no evidence, and costs the scene nothing else. Passes on what else
    `train` raises.
    """
    if settings.exposure != "auto":
        return Decision(settings.exposure == "on", "it was asked for")
    if (why := why_not_tried(scene, drift)) is not None:
        return Decision(False, why)
    try:
        tried = _tried(scene, settings, train, clock)
    except RunnerError as exc:
        if exc.code != Code.TRAINING_DIVERGED:
            raise
        return Decision(False, "a short training, which was to show whether corrections help, came to no numbers")
    if not tried:
        return Decision(False, "there was no time for the short trainings that show whether corrections help")
    clear = drift.contradiction >= CONTRADICTION_CLEAR
    by_part = {part: compared([(off[0.0], on[part]) for off, on in tried], clear) for part in PARTS}
    part = part_that_follows(by_part)
    one, told = by_part[0.0], by_part[part]
    verdict = "better" if told.helps and told.aside_db > 0 else "no worse" if told.helps else "not better"
    why = (
        f"{told.views} training pictures that short trainings left out are {verdict} with corrections: "
        f"{told.raw_db:+.2f} dB, exposure aside {told.aside_db:+.2f} dB"
    )
    return Decision(told.helps, why, part if told.helps else 0.0, one, told if part else None)


def _tried(
    scene: TrainingScene, settings: TrainSettings, train: ShortTraining, clock: Callable[[], float]
) -> list[tuple[ShortScores, ShortScores]]:
    """Without and with corrections, by fold, as far as the time goes; empty where it cuts a training short.

    A training that is cut short is done once more: the first one on a machine compiles its kernels.
    """
    folds, begun = folds_of(scene), clock()
    short, tried = short_settings(settings, len(folds)), []
    for fold in folds:
        scores = []
        for mode in ("off", "on"):
            wanted = replace(short, exposure=mode)
            if not (found := train(fold, wanted) or train(fold, wanted)):
                return []
            scores.append(found)
        tried.append((scores[0], scores[1]))
        if (clock() - begun) * (1 + 1 / len(tried)) > TIME_OF_ALL * settings.budget_s:
            break
    return tried


def part_that_follows(by_part: Mapping[float, Evidence]) -> float:
    """What loses least: as the pictures are against no corrections, with the exposure aside against following none."""
    most = by_part[0.0].aside_db
    return min(by_part, key=lambda part: max(-by_part[part].raw_db, most - by_part[part].aside_db))


def why_not_tried(scene: TrainingScene, drift: ExposureDrift) -> str | None:
    """Why the sparse points alone say that there is nothing to correct; None: it has to be tried."""
    if drift.pairs_per_view < MIN_PAIRS_PER_VIEW:
        return "too few points are seen from several places to tell exposures"
    if len(scene.subset("train")) < VIEWS_MIN:
        return "too few pictures to leave one out"
    if drift.contradiction < CONTRADICTION_MIN:
        return "pictures from one place agree in their exposure"
    return None


def compared(folds: Sequence[tuple[SplitScore, SplitScore]], clear: bool = False) -> Evidence:
    """Without and with corrections, picture by picture: how hard a picture is says nothing about the corrections."""
    pairs = [pair for without, with_them in folds for pair in zip(without.views, with_them.views, strict=True)]
    raw = [theirs.psnr - ours.psnr for ours, theirs in pairs]
    aside = [theirs.psnr_corrected - ours.psnr_corrected for ours, theirs in pairs]
    error = float(np.std(aside, ddof=1) / len(aside) ** 0.5) if len(aside) > 1 else float("inf")
    return Evidence(len(pairs), float(np.mean(raw)), float(np.mean(aside)), error, clear)


def short_settings(settings: TrainSettings, folds: int) -> TrainSettings:
    """Of each of the short trainings, two for each fold."""
    steps = round(min(max(SHARE_OF_PLAN / folds * settings.iterations, STEPS[0]), STEPS[1]))
    return replace(
        settings, iterations=steps, cap=min(settings.cap, CAP), strategy="default", evaluations=1,
        pose_refinement="off", budget_s=TIME_SHARE * settings.budget_s,
    )  # fmt: skip


def folds_of(scene: TrainingScene) -> list[TrainingScene]:
    """The scenes of the short trainings. Where pictures are few, one of them says little: each is left out once."""
    train = scene.subset("train")
    ordered = sorted(train, key=lambda index: (scene.views[index].video, scene.views[index].timestamp_s, index))
    if len(train) >= FEW:
        return [inner_scene(scene, set(ordered[LEFT_OUT_EVERY // 2 :: LEFT_OUT_EVERY]))]
    return [inner_scene(scene, set(ordered[first::FOLDS])) for first in range(FOLDS)]


def inner_scene(scene: TrainingScene, left_out: Collection[int]) -> TrainingScene:
    """The training views alone, small, those of these numbers held out."""
    train = scene.subset("train")
    kept = [_small(scene, index, "test" if index in left_out else "train") for index in train]
    number = np.full(len(scene.views), -1)
    number[train] = np.arange(len(train))
    by_train = np.isin(scene.sightings[:, 0], train)
    sightings = scene.sightings[by_train].copy()
    sightings[:, 0] = number[sightings[:, 0]]
    return replace(
        scene,
        views=tuple(view for view, *_ in kept),
        pixels=tuple(pixels for _, pixels, _ in kept),
        masks=tuple(mask for *_, mask in kept) if scene.masks else (),
        sightings=sightings,
        seen_at=scene.seen_at[by_train] if len(scene.seen_at) else scene.seen_at,
    )


def _small(scene: TrainingScene, index: int, split: str) -> tuple[View, NDArray[np.uint8], NDArray[np.bool_] | None]:
    """A view at LONG_SIDE pixels or less: means of blocks of pixels."""
    view, mask = scene.views[index], scene.mask(index)
    divisor = max(1, -(-max(view.width, view.height) // LONG_SIDE))
    height, width = view.height // divisor, view.width // divisor
    blocks = (slice(0, height * divisor), slice(0, width * divisor))
    pixels = scene.pixels[index][blocks].reshape(height, divisor, width, divisor, 3)
    small = np.rint(pixels.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)
    K = view.K.copy()
    K[:2] /= divisor
    if mask is not None:
        mask = np.asarray(mask[blocks].reshape(height, divisor, width, divisor).all(axis=(1, 3)))
    return replace(view, width=width, height=height, K=K, split=split), small, mask
