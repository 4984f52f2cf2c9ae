"""Which supplied pose belongs to which photo or frame."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from runner.poses.supplied.cameras import Lens, PosedImage
from runner.poses.supplied.read import Supplied
from runner.scene.frames import Frame, FrameSet
from runner.scene.inputs.pose_files import shown

LEAST = 5  # images with a pose; fewer show no scene (gates.Thresholds.min_images)
SAME_TIME_S = 0.005  # of a frame, as written by an earlier run and as found now
SAME_ASPECT = 0.01  # of the image a lens was made for, and the one that is there


@dataclass(frozen=True)
class SuppliedPoses:
    """The poses of chosen frames, or why there are none."""

    source: str
    named: int  # images in the file
    poses: Mapping[str, tuple[Lens, tuple[float, ...]]] = field(default_factory=dict)  # by Frame.image
    problem: str = ""
    advice: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Of all that the pose stage takes from it."""
        found = [[image, asdict(lens), pose] for image, (lens, pose) in sorted(self.poses.items())]
        text = json.dumps([self.source, self.named, found, self.problem, self.warnings])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class Matcher:
    """Which image of the file is which photo or frame of the scene."""

    def __init__(self, supplied: Supplied, photos: Sequence[str]) -> None:
        """photos: their names in the scene."""
        self._photos = _by_photo(supplied.images, photos)
        self._own = _once((posed.frame[:2], posed) for posed in supplied.images if posed.frame)
        tails = (("/".join(posed.name.replace("\\", "/").split("/")[-2:]), posed) for posed in supplied.images)
        self._frames = _once(tails)  # "<clip>/<six digits>.png", as Frame.image is

    def find(self, frame: Frame) -> PosedImage | None:
        """The one that is certainly this frame."""
        if frame.photo is not None and frame.photo in self._photos:
            return self._photos[frame.photo]
        own = self._own.get((frame.video, frame.index))
        if own is not None and own.frame is not None and abs(own.frame[2] - frame.timestamp_s) <= SAME_TIME_S:
            return own
        found = self._frames.get(frame.image) if frame.photo is None else None
        return found if found is not None and found.frame is None else None


def match(supplied: Supplied, frames: FrameSet) -> SuppliedPoses:
    """The poses for the chosen frames."""
    photos = [frame.photo for frame in frames.frames if frame.photo is not None]
    matcher, sizes = Matcher(supplied, photos), {clip.name: (clip.width, clip.height) for clip in frames.clips}
    found = [(frame, posed) for frame in frames.frames if (posed := matcher.find(frame)) is not None]
    # Many programs read images as they are stored; whoever did so for one did so for those turned by 180 degrees too.
    stored = any(_is_stored(frame, posed.lens, *sizes[frame.video]) for frame, posed in found)
    poses: dict[str, tuple[Lens, tuple[float, ...]]] = {}
    other_shape: list[str] = []
    for frame, posed in found:
        width, height = sizes[frame.video]
        lens, pose = posed.lens, posed.pose
        if _is_stored(frame, lens, width, height) or (stored and frame.turned_deg == 180):
            lens, pose = upright(lens, pose, frame.turned_deg)
        if _fits(lens, width, height):
            poses[frame.image] = lens, pose
        else:
            name, size = shown(frame.photo or frame.image), f"{lens.width}x{lens.height}"
            other_shape.append(f"{name} has {width}x{height} pixels upright, not {size}")
    problem, advice = _problem(supplied, frames, len(poses), other_shape)
    warnings = supplied.warnings
    if other_shape and not problem:
        warnings += (f"{len(other_shape)} poses are not used, the first because {other_shape[0]}",)
    if problem:
        poses = {}
    return SuppliedPoses(supplied.source, len(supplied.images), poses, problem, advice, warnings)


def _problem(supplied: Supplied, frames: FrameSet, found: int, other_shape: Sequence[str]) -> tuple[str, str]:
    """Why the poses cannot be used, and what to do."""
    if found >= LEAST:
        return "", ""
    if other_shape:
        return (
            f"its poses are for pictures of another shape: {other_shape[0]}",
            "make the poses from the same pictures, upright, or leave the file out",
        )
    first, where = shown(supplied.images[0].name), f"{found} of {len(frames.frames)} pictures of the scene"
    if all(frame.photo is None for frame in frames.frames):
        return (
            f"it names {where}: which frame of a video {first} is, cannot be told",
            "upload the pictures that the poses were made for instead of the video",
        )
    return (
        f"it names {where}; the first that it names is {first}",
        "upload the pictures under the names that the file gives them",
    )


def upright(lens: Lens, pose: tuple[float, ...], turned_deg: int) -> tuple[Lens, tuple[float, ...]]:
    """The camera of the stored image as that of the upright one, turned counter-clockwise by so much."""
    rows = np.array(pose).reshape(3, 4)
    for _ in range(turned_deg // 90):
        lens, rows = lens.turned(), np.array([rows[1], -rows[0], rows[2]])
    return lens, tuple(map(float, rows.ravel()))


def _is_stored(frame: Frame, lens: Lens, width: int, height: int) -> bool:
    """Is the lens that of the image as stored, lying on its side?"""
    return frame.turned_deg in (90, 270) and not _fits(lens, width, height) and _fits(lens, height, width)


def _fits(lens: Lens, width: int, height: int) -> bool:
    return not lens.width or abs(lens.width / lens.height * height / width - 1) <= SAME_ASPECT


def _once(pairs: Any) -> dict[Any, PosedImage]:
    """What two images claim belongs to neither."""
    found: dict[Any, PosedImage | None] = {}
    for key, posed in pairs:
        found[key] = None if key in found else posed
    return {key: posed for key, posed in found.items() if posed is not None}


class _Node:
    """Photos by the folders they lie in, from the innermost outwards: of one file name, as a tree."""

    def __init__(self) -> None:
        self.count = 0  # photos below this folder
        self.photo = ""  # one of them
        self.outer: dict[str, _Node] = {}

    def add(self, photo: str, folders: Sequence[str]) -> None:
        node = self
        node.count, node.photo = node.count + 1, photo
        for folder in reversed(folders):
            node = node.outer.setdefault(folder, _Node())
            node.count, node.photo = node.count + 1, photo

    def nearest(self, folders: Sequence[str]) -> tuple[_Node, int]:
        """Those that share most folders, and how many."""
        node, common = self, 0
        for folder in reversed(folders):
            if folder not in node.outer:
                break
            node, common = node.outer[folder], common + 1
        return node, common


def _by_photo(images: Sequence[PosedImage], photos: Sequence[str]) -> dict[str, PosedImage]:
    """Each photo with its image of the file; what more than one could be meant by is left out.

    Each name is walked through once, whatever it claims: thousands of images may have one file name, of which each
    could mean any of a thousand photos.
    """
    exactly: dict[str, _Node] = {}
    loosely: dict[str, _Node] = {}
    for photo in photos:
        *folders, file = photo.split("/")
        exactly.setdefault(file, _Node()).add(photo, folders)
        for key in {file, _stem(file)}:
            loosely.setdefault(key, _Node()).add(photo, folders)
    claims: dict[str, list[tuple[int, PosedImage]]] = {}
    for posed in images:
        *folders, file = posed.name.replace("\\", "/").split("/")
        root = exactly.get(file) or loosely.get(file) or loosely.get(_stem(file))
        if root is None:
            continue
        nearest, common = root.nearest(folders)
        if nearest.count == 1:
            claims.setdefault(nearest.photo, []).append((2 * common + (file in exactly), posed))
    found = {}
    for photo, claimed in claims.items():
        best = max(score for score, _ in claimed)
        winning = [posed for score, posed in claimed if score == best]
        if len(winning) == 1:
            found[photo] = winning[0]
    return found


def _stem(name: str) -> str:
    return PurePosixPath(name).stem
