"""Chosen 360-degree frames become ordinary ones: each gives four views, and the views of one direction are a clip.

The decoder writes a chosen frame whole; here it is cut into views and removed. The pictures have been checked by then
(`png_check.py`), so this happens in the job's own process, as everything that reads frames does.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from runner.media.captures import Capture, folder_names
from runner.media.lenses.reframe import Reframing, reframing
from runner.media.lenses.shape import Shape
from runner.media.selection.measures import file_name
from runner.media.video.survey import write_png
from runner.scene.frames import ClipInfo, Frame
from runner.scene.progress import OnProgress
from runner.scene.view_directions import NAMES

SAYS = (
    "it is a 360-degree recording: each frame gives four views of 90 degrees around the horizon; straight up and "
    "down, where the sky and whoever holds the camera are, is left out"
)


def views_of(info: ClipInfo) -> int:
    """How many pictures one frame of this clip gives."""
    return len(NAMES) if info.projection == Shape.EQUIRECTANGULAR and info.view is None else 1


def pictures(captures: Sequence[Capture]) -> int:
    """How many pictures all their frames give."""
    return sum(views_of(capture.info) * len(capture.measures) for capture in captures)


@dataclass(frozen=True)
class Reframed:
    """What the frames of a scene are after it."""

    clips: tuple[ClipInfo, ...]
    frames: tuple[Frame, ...]


def reframed(
    clips: Sequence[ClipInfo], frames: Sequence[Frame], root: Path, long_side: int, on_progress: OnProgress
) -> Reframed:
    """Cuts the 360-degree frames below `root` into views of at most `long_side` px and removes them.

    Clips and frames of other kinds stay as they are.
    """
    whole = [info for info in clips if views_of(info) > 1]
    if not whole:
        return Reframed(tuple(clips), tuple(frames))
    views: list[ClipInfo] = []
    cut: list[Frame] = []
    names = [info.name for info in clips]
    done, total = 0, sum(frame.video in {info.name for info in whole} for frame in frames)
    for info in clips:
        own = [frame for frame in frames if frame.video == info.name]
        if info not in whole:
            views, cut = [*views, info], [*cut, *own]
            continue
        geometry = _geometry(root, own, long_side)
        made = _infos(info, geometry, names)
        names += [view.name for view in made]
        for view in made:
            (root / view.folder).mkdir(parents=True)
        for frame in own:
            on_progress(done / total, f"cutting views out of {info.name}")
            _cut(root, frame, made, geometry)
            done += 1
        shutil.rmtree(root / info.folder, ignore_errors=True)
        views += made
        cut += [
            replace(frame, video=view.name, image=f"{view.folder}/{file_name(frame.index)}")
            for view in made for frame in own
        ]  # fmt: skip
    return Reframed(tuple(views), tuple(cut))


def _geometry(root: Path, frames: Sequence[Frame], long_side: int) -> Reframing:
    if not frames:
        return reframing(2 * long_side, long_side, long_side)
    with Image.open(root / frames[0].image) as first:
        return reframing(*first.size, long_side)


def _infos(info: ClipInfo, geometry: Reframing, taken: Sequence[str]) -> list[ClipInfo]:
    """The clips that the views of a 360-degree clip are, in the order of NAMES."""
    names = [f"{info.name} ({name})" for name in NAMES]
    folders = folder_names([*taken, *names])[-len(NAMES) :]
    return [
        replace(
            info, name=name, folder=folder, width=geometry.side, height=geometry.side, view=turns,
            source=info.source or info.name, focal_px=geometry.focal_px,
            warnings=(*info.warnings, SAYS) if turns == 0 else (),
        )
        for turns, (name, folder) in enumerate(zip(names, folders, strict=True))
    ]  # fmt: skip


def _cut(root: Path, frame: Frame, views: Sequence[ClipInfo], geometry: Reframing) -> None:
    path = root / frame.image
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    for turns, view in enumerate(views):
        write_png(root / view.folder / file_name(frame.index), geometry.view(pixels, turns))
    path.unlink()
