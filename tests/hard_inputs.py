"""Deliberately bad scenes with known cameras: what people upload, made small. Each names what must become of it.

A room is filmed at 480 x 360. A case is right when it is stopped with one of its codes, or when it passes and every
camera is where it truly was; a scene that passes with wrong cameras is the failure that nobody would notice.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pycolmap
from numpy.typing import NDArray

from runner.context import StageContext
from runner.media.extract import extract_frames
from runner.media.settings import FrameSettings, Limits
from runner.poses.find import find_poses
from runner.poses.settings import PoseSettings
from runner.scene.frames import Clip, FrameSet
from runner.scene.pose_report import PoseReport
from runner.scene.progress import SILENT
from scenejobs.errors import Code, InputError, RunnerError
from tests.synthetic import looking_at, pose_errors, render
from tests.videos import write_video

SIZE, FOCAL, FPS = (480, 360), 450.0, 15
FRAMES = FrameSettings(budget=30, long_side=480, limits=Limits(min_long_side=320, min_short_side=240))
POSES = PoseSettings(features=1500, max_image_size=480, min_points=300, threads=2, budget_s=600.0)
WORST_POSITION, WORST_ANGLE_DEG = 0.05, 2.0  # of the path's size; wrong models were off by 0.2 and more

Pose = tuple[NDArray[np.float64], NDArray[np.float64]]  # position, world-to-camera rotation


@dataclass(frozen=True)
class Film:
    """One clip: its pictures, and the true camera of each, or None for what is not of the scene."""

    pictures: tuple[NDArray[np.uint8], ...]
    poses: tuple[Pose | None, ...]
    crf: int = 18


@dataclass(frozen=True)
class Case:
    """A bad scene."""

    name: str
    what: str
    make: Callable[[], dict[str, Film]]
    codes: tuple[Code, ...]  # with one of which it may be stopped; none: it must be rescued
    rescued: bool  # whether it may pass, with right cameras
    says: tuple[str, ...] = ()  # words that the refusal, or the warnings, must have
    without: tuple[str, ...] = ()  # clips of which no frame may be in the result


@dataclass(frozen=True)
class Outcome:
    """What became of a case."""

    code: Code | None  # None: it passed
    text: str  # the refusal, or the warnings
    cpu_s: float  # of this process and all that it starts, for frames and poses
    report: PoseReport | None = None
    position: float | None = None  # worst, relative to the mean distance of the true cameras from their centre
    angle_deg: float | None = None  # worst rotation between any two cameras
    foreign: int = 0  # frames placed that are not of the scene
    clips: tuple[str, ...] = ()  # of which frames were placed

    def wrong(self, case: Case) -> str:
        """What is wrong with it; empty when nothing is."""
        if self.code is not None and self.code not in case.codes:
            return f"stopped with {self.code}"
        if self.code is None and not case.rescued:
            return "passed"
        if self.code is None:
            if self.foreign:
                return f"{self.foreign} frames of another place are in the scene"
            if self.position is None or self.angle_deg is None:
                return "too few cameras to compare"
            if self.position > WORST_POSITION or self.angle_deg > WORST_ANGLE_DEG:
                return f"cameras are off by {self.position:.0%} and {self.angle_deg:.1f} degrees"
            if unwanted := set(self.clips) & set(case.without):
                return f"{', '.join(unwanted)} is in the scene"
            if case.codes and self.report and self.report.images_registered == self.report.images_total:
                return ""  # what might have been refused is rescued whole: there is nothing to say
        return "; ".join(f"does not say {word!r}" for word in case.says if word not in self.text)


def run(case: Case, folder: Path) -> Outcome:
    """Writes the clips and takes them through the stages before training."""
    films = case.make()
    clips = [
        Clip(name, write_video(folder / name, film.pictures, fps=FPS, crf=film.crf)) for name, film in films.items()
    ]
    begun = cpu_seconds()
    try:
        frames = extract_frames(clips, StageContext(folder, SILENT), FRAMES)
        report = find_poses(frames, StageContext(folder, SILENT), POSES)
    except (InputError, RunnerError) as exc:
        return Outcome(exc.code, str(exc), cpu_seconds() - begun)
    seconds = cpu_seconds() - begun
    refused = (f"{clip.name} is not used: {clip.failure.cause}" for clip in frames.refused)
    of_clips = (f"{clip.name}: {warning}" for clip in frames.clips for warning in clip.warnings)
    said = (*report.warnings, *frames.warnings, *refused, *of_clips)
    return _measured(folder, frames, films, report, "; ".join(said), seconds)


def cpu_seconds() -> float:
    """Of this process, and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _measured(
    folder: Path, frames: FrameSet, films: dict[str, Film], report: PoseReport, said: str, seconds: float
) -> Outcome:
    model = pycolmap.Reconstruction(str(folder / "sparse"))
    by_name = {frame.image: frame for frame in frames.frames}
    found, rotations, true, true_rotations, foreign, clips = [], [], [], [], 0, set()
    for image in (image for image in model.images.values() if image.has_pose):
        frame = by_name[image.name]
        clips.add(frame.video)
        pose = films[frame.video].poses[frame.index]
        if pose is None:
            foreign += 1
            continue
        found.append(image.projection_center())
        rotations.append(image.cam_from_world().rotation.matrix())
        true.append(pose[0])
        true_rotations.append(pose[1])
    if len(found) < 3:
        return Outcome(None, said, seconds, report, None, None, foreign, tuple(sorted(clips)))
    positions, angles = pose_errors(*(np.array(value) for value in (found, rotations, true, true_rotations)))
    worst = float(positions.max()), float(angles.max())
    return Outcome(None, said, seconds, report, *worst, foreign, tuple(sorted(clips)))


# Paths


def arc(start: float, end: float, count: int, height: float = 0.0) -> list[Pose]:
    """A walk through the room from -1 to 1 or a part of it, looking at the far corner."""
    poses = []
    for t in np.linspace(start, end, count):
        position = np.array([1.6 * t, height - 0.3 * t * t, 0.8 - 0.6 * t * t])
        poses.append((position, looking_at(position, np.array([-0.3, 0.2, 6.0]))))
    return poses


def along(start: float, end: float, count: int) -> list[Pose]:
    """Sideways along the far wall, close to it: places apart show different parts of it."""
    xs = np.linspace(start, end, count)
    return [(at := np.array([x, 0.1 * np.sin(3 * x), 4.0]), looking_at(at, np.array([x, 0.9, 6.5]))) for x in xs]


def forward(count: int) -> list[Pose]:
    """Straight ahead."""
    return [
        (at := np.array([0.0, 0.0, z]), looking_at(at, np.array([0.0, 0.1, 9.0]))) for z in np.linspace(0, 3.5, count)
    ]


def turn(count: int) -> list[Pose]:
    """On the spot, 70 degrees from left to right and a little up and down."""
    at, poses = np.zeros(3), []
    for angle in np.radians(np.linspace(-50, 20, count)):
        poses.append((at, looking_at(at, np.array([np.sin(angle), 0.12 * np.sin(5 * angle), np.cos(angle)]))))
    return poses


# Pictures


@cache
def _shown(path: str, start: float, end: float, count: int, seed: int, tile: int | None, height: float) -> tuple:
    poses = {"arc": lambda: arc(start, end, count, height), "along": lambda: along(start, end, count),
             "forward": lambda: forward(count), "turn": lambda: turn(count)}[path]()  # fmt: skip
    pictures = tuple(render(*pose, seed=seed, size=SIZE, focal=FOCAL, tile=tile) for pose in poses)
    return pictures, tuple(poses)


def film(
    path: str = "arc", start: float = -1.0, end: float = 1.0, count: int = 45, *, seed: int = 0,
    tile: int | None = None, height: float = 0.0, foreign: bool = False, crf: int = 18,
) -> Film:  # fmt: skip
    """A clip of the room; another seed is another room."""
    pictures, poses = _shown(path, start, end, count, seed, tile, height)
    return Film(pictures, (None,) * count if foreign else poses, crf)


def changed(film: Film, change: Callable[[int, NDArray[np.float64]], NDArray[np.float64]]) -> Film:
    """Each picture after `change(index, picture)`."""
    pictures = (change(index, picture.astype(float)) for index, picture in enumerate(film.pictures))
    return Film(tuple(np.clip(picture, 0, 255).astype(np.uint8) for picture in pictures), film.poses, film.crf)


def joined(*parts: Film) -> Film:
    """One after the other in one clip."""
    pictures = tuple(picture for part in parts for picture in part.pictures)
    return Film(pictures, tuple(pose for part in parts for pose in part.poses), parts[0].crf)


def noisy(index: int, picture: NDArray[np.float64], strength: float = 2.0) -> NDArray[np.float64]:
    """As a sensor adds it."""
    return picture + np.random.default_rng(index).normal(0, strength, picture.shape)


def smeared(length: int) -> Callable[[int, NDArray[np.float64]], NDArray[np.float64]]:
    """Motion blur of `length` px, sideways."""

    def change(index: int, picture: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.cumsum(np.pad(picture, ((0, 0), (length, 0), (0, 0)), mode="edge"), axis=1)
        return noisy(index, (total[:, length:] - total[:, :-length]) / length, 1.0)

    return change


def zoomed(start: int, factor: Callable[[int], float]) -> Film:
    """The walk with a focal length that changes from frame `start` on; the poses stay."""
    poses = arc(-1.0, 1.0, 45)
    pictures = [
        render(*pose, size=SIZE, focal=FOCAL * (factor(i) if i >= start else 1.0)) for i, pose in enumerate(poses)
    ]
    return Film(tuple(pictures), tuple(poses))


def with_strays() -> Film:
    """The walk with single frames of another room in it."""
    base, other = film(), film(seed=5, foreign=True)
    pictures, poses = list(base.pictures), list(base.poses)
    for index in (9, 20, 31):
        pictures[index], poses[index] = other.pictures[index], None
    return Film(tuple(pictures), tuple(poses))


NOTHING = (Code.NO_DETAIL,)
LOST = (Code.NO_OVERLAP, Code.TOO_FEW_REGISTERED, Code.POSES_UNRELIABLE)

CASES = (
    Case("tripod", "a camera that stands still, with noise",
         lambda: {"a.mp4": changed(joined(*[film(count=45, start=0.0, end=0.0)]), noisy)},
         (Code.STATIC_CAMERA,), False, ("a.mp4",)),
    Case("turning", "a camera that turns on the spot", lambda: {"a.mp4": film("turn")},
         (Code.STATIC_CAMERA,), False, ("a.mp4",)),
    Case("two-places", "two rooms, one clip each, of equal length",
         lambda: {"a.mp4": film(count=30), "b.mp4": film(count=30, seed=5, foreign=True)},
         (Code.NO_OVERLAP,), False, ("a.mp4", "b.mp4")),
    Case("unrelated-clip", "two clips of a room and one of another, which is the longest",
         lambda: {"a.mp4": film(end=0.1, count=30), "b.mp4": film(start=-0.1, count=30, height=-0.2),
                  "other.mp4": film(count=75, seed=5, foreign=True)},
         (), True, ("other.mp4",), ("other.mp4",)),
    Case("blurred", "motion blur of 9 px in every frame", lambda: {"a.mp4": changed(film(), smeared(9))},
         (Code.NO_DETAIL, *LOST), True),
    Case("smeared", "motion blur of 90 px in every frame", lambda: {"a.mp4": changed(film(), smeared(90))},
         (Code.NO_DETAIL, *LOST), False, ("a.mp4",)),
    Case("dark", "a thirtieth of the light, with noise",
         lambda: {"a.mp4": changed(film(), lambda i, p: noisy(i, p / 30, 1.0))}, NOTHING, False, ("a.mp4", "dark")),
    Case("over-exposed", "almost white", lambda: {"a.mp4": changed(film(), lambda i, p: noisy(i, 250 + p / 40, 1.0))},
         NOTHING, False, ("a.mp4", "over-exposed")),
    Case("blank-wall", "a wall without texture, with noise and a drift of the light",
         lambda: {"a.mp4": changed(film(), lambda i, p: noisy(i, np.full_like(p, 150 + i / 3.0), 1.0))},
         NOTHING, False, ("a.mp4", "blank")),
    Case("repetitive", "walls of one small tile", lambda: {"a.mp4": film(tile=40)},
         (Code.NO_DETAIL, Code.STATIC_CAMERA, *LOST), True),
    Case("zoom-jump", "the lens changes by 1.6 in the middle of the clip",
         lambda: {"a.mp4": zoomed(22, lambda i: 1.6)}, LOST, True),
    Case("zoom-drift", "the lens zooms by 1.5 while filming",
         lambda: {"a.mp4": zoomed(0, lambda i: 1.5 ** (i / 44))}, LOST, True),
    Case("tiny-overlap", "two clips of one wall that share little more than one picture",
         lambda: {"a.mp4": film("along", -3.2, -0.4, 36), "b.mp4": film("along", 0.7, 3.0, 26)},
         LOST, True, (".mp4",)),
    Case("mirrored", "a clip, and the same clip in the mirror",
         lambda: {"a.mp4": film(count=40),
                  "mirror.mp4": Film(tuple(p[:, ::-1] for p in film(count=40).pictures), (None,) * 40)},
         (), True, ("mirror.mp4 as a.mp4",), ("mirror.mp4",)),
    Case("duplicate", "the same clip twice", lambda: {"a.mp4": film(), "b.mp4": film()}, (), True),
    Case("strays", "single frames of another room in a clip", lambda: {"a.mp4": with_strays()}, (), True,
         ("left out at 0.6, 1.3, 2.1 s",)),
    Case("cut", "a clip whose last third shows another room",
         lambda: {"a.mp4": joined(film(), film(count=22, seed=5, foreign=True))}, (), True, ("a.mp4", "cut at 3.0 s")),
    Case("compressed", "crf 47", lambda: {"a.mp4": film(crf=47)}, (Code.NO_DETAIL, *LOST), True),
    Case("exposure", "the exposure jumps by half every ten frames",
         lambda: {"a.mp4": changed(film(), lambda i, p: p * (0.5 if i // 10 % 2 else 1.0))}, (), True),
    Case("forward", "straight ahead, without a step aside", lambda: {"a.mp4": film("forward")}, LOST, True),
    Case("one-dark-clip", "two clips of a room, of which one is dark",
         lambda: {"a.mp4": film(), "night.mp4": changed(film(count=30), lambda i, p: noisy(i, p / 30, 1.0))},
         (), True, ("night.mp4", "dark")),
)  # fmt: skip


def named(names: Sequence[str]) -> list[Case]:
    """The cases of these names; all without any. Raises KeyError for an unknown one."""
    known = {case.name: case for case in CASES}
    return [known[name] for name in names] if names else list(CASES)
