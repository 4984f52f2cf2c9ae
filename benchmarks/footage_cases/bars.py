"""Films inside black bars, as editors and messengers make them of another shape; and dark films, which have none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from benchmarks.footage_cases.case import Case, Run, result, wrong_cameras
from benchmarks.footage_cases.formats import WALK, pictures
from benchmarks.footage_cases.overlays import drawn
from benchmarks.footage_cases.reports import FOX, fox_truth, right_cameras
from benchmarks.footage_cases.walk import right_walk, walk_truth
from tests.stamps import bars, steadied
from tests.synthetic import render, walk
from tests.videos import write_video

FRAMES = 240
ROOM_FRAMES = 60
LOW, NARROW = (1.0, 0.75), (0.72, 1.0)  # of 848 x 480, between bars of 60 px above and below, of 120 px at the sides
Picture = NDArray[np.uint8]  # [height, width, 3]


def _boxed(picture: Picture, left: int = 0, top: int = 0, right: int = 0, bottom: int = 0) -> Picture:
    """Made smaller so that it fits inside of the bars, with its shape."""
    height, width = picture.shape[:2]
    scale = max((width - left - right) / width, (height - top - bottom) / height)
    resized = Image.fromarray(picture).resize((round(width * scale), round(height * scale)), Image.Resampling.LANCZOS)
    inside = np.asarray(resized)
    down, across = (inside.shape[0] - (height - top - bottom)) // 2, (inside.shape[1] - (width - left - right)) // 2
    inside = inside[down : down + height - top - bottom, across : across + width - left - right]
    return bars(inside, left, top, right, bottom)


def _film(change: Callable[[Picture, int], Picture]) -> Callable[[Path], Sequence[Path]]:
    def make(folder: Path) -> Sequence[Path]:
        def changed() -> Iterator[Picture]:
            for number, picture in enumerate(pictures(WALK, FRAMES)):
                yield change(picture, number)

        return [write_video(folder / "walk.mp4", changed(), fps=30, crf=23)]

    return make


def _changing(picture: Picture, number: int) -> Picture:
    if number < FRAMES // 2:
        return _boxed(picture, top=60, bottom=60)
    return _boxed(picture, left=120, right=120)


def _over_itself(picture: Picture, _: int) -> Picture:
    """As apps show an upright film on a wide screen: between blurred parts of itself, enlarged."""
    height, width = 720, 1280
    whole = Image.fromarray(picture)
    inside = round(height * whole.width / whole.height)
    wide = whole.resize((width, round(whole.height * width / whole.width)), Image.Resampling.BILINEAR)
    top = (wide.height - height) // 2
    around = wide.crop((0, top, width, top + height)).filter(ImageFilter.GaussianBlur(20))
    around.paste(whole.resize((inside, height)), ((width - inside) // 2, 0))
    return np.asarray(around)


SMALL = (848, 480)  # the frame that a messenger sends
UPRIGHT = (270, 480)  # an upright film inside of it


def _sent(picture: Picture) -> Picture:
    """An upright picture made as small as a messenger makes it, between bars at its sides."""
    inside = np.asarray(Image.fromarray(picture).resize(UPRIGHT, Image.Resampling.LANCZOS))
    side = (SMALL[0] - UPRIGHT[0]) // 2
    return bars(inside, side, 0, side, 0)


def _sent_room(folder: Path) -> Sequence[Path]:
    """The room of the tests, filmed upright."""
    filmed = (render(*pose, size=(540, 960), focal=800.0) for pose in walk(ROOM_FRAMES))
    return [write_video(folder / "room.mp4", map(_sent, filmed), fps=10, crf=26)]


def _room_truth(run: Run) -> Mapping[tuple[str, int], NDArray[np.float64]]:
    """World to camera [4, 4]."""
    poses = walk(ROOM_FRAMES)
    found = {}
    for video, index in run.cameras():
        position, rotation = poses[index]
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, -rotation @ position
        found[video, index] = pose
    return found


def _small_and_told(right: Callable[[Run], str]) -> Callable[[Run], str]:
    """Right cameras, and a warning that names the size inside of the bars."""

    def check(run: Run) -> str:
        if wrong := right(run):
            return wrong
        return "" if any("pixels only" in warning for warning in run.warnings()) else "it is not told that it is small"

    return check


def _cut(run: Run) -> str:
    """Right cameras, and bars that were cut off."""
    if wrong := right_cameras(run):
        return wrong
    told = sum("bars with a blurred copy of the film were cut off" in warning for warning in run.warnings())
    return "" if told == len(FOX) else f"bars are cut off {told} of {len(FOX)} clips"


def _night(picture: Picture) -> Picture:
    """A fifth of the light, what is dark black, as cameras make it at night."""
    return np.clip((picture.astype(np.float32) - 60) * 0.4, 0, 255).astype(np.uint8)


def _without_bars(*sizes: tuple[float, float]) -> Callable[[Run], str]:
    """Right where bars were cut off and told, and every clip has one of these sizes, as shares of the film's."""

    def right(run: Run) -> str:
        if wrong := right_walk(run):
            return wrong
        if not any("bars were cut off" in warning for warning in run.warnings()):
            return "bars are not cut off"
        whole = next(iter(pictures(WALK, 1))).shape[1::-1]
        found = [clip["resolution"] for clip in run.manifest["videos"]]
        for resolution in found:
            sides = [int(side) / of for side, of in zip(resolution.split("x"), whole, strict=True)]
            if not any(np.allclose(sides, size, atol=0.02) for size in sizes):
                return f"cut to {', '.join(found)}"
        return ""

    return right


def _masked_and_told(run: Run) -> str:
    """Right cameras, and black edges that are told."""
    if wrong := result(run) or wrong_cameras(run, walk_truth(run), 4.0):  # the warp knows nothing of the distortion
        return wrong
    return "" if any("black edges that move" in warning for warning in run.warnings()) else "no black edges are told"


def _whole(run: Run) -> str:
    """Right where nothing was cut off; dark footage may be refused."""
    if not run.metrics and not run.error:
        return "neither a result nor a refusal"
    return "cropped" if any("bars were cut off" in warning for warning in run.warnings()) else ""


CASES = (
    Case(
        "letterbox", "10 black bars", "a walk between bars at the top and bottom",
        _film(lambda picture, _: _boxed(picture, top=60, bottom=60)), _without_bars(LOW), truth=walk_truth,
    ),
    Case(
        "windowbox", "10 black bars", "a walk with bars on all sides",
        _film(lambda picture, _: _boxed(picture, 60, 34, 60, 34)), _without_bars((0.86, 0.86)),
        truth=walk_truth,
    ),
    Case(
        "bars-change", "10 black bars", "bars above and below, then at the sides", _film(_changing),
        _without_bars(LOW, NARROW), truth=walk_truth,
    ),
    Case(
        "blurred-bars", "10 black bars", "an upright film over a blurred copy of itself", drawn(_over_itself),
        _cut, truth=fox_truth,
    ),
    Case(
        "upright-small", "10 black bars", "an upright film that a messenger made 270x480 in 848x480",
        drawn(lambda picture, _: _sent(picture)), _small_and_told(right_cameras), truth=fox_truth,
    ),
    Case(
        "upright-small-room", "10 black bars", "the same of a rendered room", _sent_room,
        _small_and_told(lambda run: result(run) or wrong_cameras(run, _room_truth(run), 2.0)), truth=_room_truth,
    ),
    Case(
        "steadied", "10 black bars", "a walk that a program steadied, with black edges that move",
        _film(lambda picture, number: steadied(picture, number, 0.11)), _masked_and_told, truth=walk_truth,
    ),
    Case("night", "10 black bars", "a dark film without bars", _film(lambda picture, _: _night(picture)), _whole),
)  # fmt: skip
