"""Finds what lies over the frames of each clip, writes a mask for it, and says so.

It reads the chosen frames, which are checked PNG files (runner/media/png_check.py), in the process of the job.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import label

from runner.media.lenses.discs import disc_of
from runner.media.overlays.backdrop import SIDE as BACKDROP_SIDE
from runner.media.overlays.backdrop import backdrop
from runner.media.overlays.covered_edges import covered_edges
from runner.media.overlays.dark_corners import dark_corners
from runner.media.overlays.moving_edges import moving_edges
from runner.media.overlays.persistence import FEW, hidden_by_overlays
from runner.media.overlays.porthole import porthole
from runner.media.overlays.running_text import running_text
from runner.media.selection.measures import NO_MOTION
from runner.scene.frames import ClipInfo, FrameSet
from runner.scene.masks import FOLDER, clip_mask, write_mask
from runner.scene.progress import Progress
from runner.scene.sizes import shrink
from runner.scene.views import evenly

STAGE = "frame_extraction"
LEAST_FRAMES = 8  # of one camera: among fewer, edges stay in place by chance
MOST_OF_BACKDROP = 48  # frames that the usual colours are taken over
MOST_FRAMES = 24  # that are compared, evenly spread: more lie so close together that they say the same
SIDE, COARSE_SIDE = 640, 160  # px, long side of the pictures that are compared, for sharp edges and for soft ones
SAME = 2.5  # grey levels, mean difference of coarse pictures: less is one picture again (a loop, a slide, a pause)
IN_DISC = 0.93  # of the radius of a fisheye disc: its rim never moves
MUCH = 0.4  # of the picture: so much of it ignored is said louder
PLACES = 4  # that a warning names
STAYS = "an overlay (date, logo, display or dark corners)"
RUNS = "text that runs through the picture (a ticker)"


def mask_overlays(frames: FrameSet, workspace: Path, progress: Progress) -> FrameSet:
    """Writes workspace/masks/<clip>.png for the clips with an overlay; they say so in `warnings` and `masked_share`.

    Masks of earlier frames are removed.

    The same frames give the same masks. Raises Interrupted.
    """
    shutil.rmtree(workspace / FOLDER, ignore_errors=True)
    together: dict[tuple[int, int], list[str]] = {}
    for clip in frames.clips:
        own = _images(clip, frames)
        if len(own) < FEW and not clip.projection:
            together.setdefault((clip.width, clip.height), []).extend(own)
    return replace(
        frames, clips=tuple(_masked(clip, frames, together, workspace, progress) for clip in frames.clips)
    )  # fmt: skip


def masks_are_there(frames: FrameSet, workspace: Path) -> bool:
    """Whether every clip that has a mask by its facts has it in the workspace."""
    of_clips = (clip_mask(workspace / FOLDER, clip.folder) for clip in frames.clips if clip.masked_share)
    turn = {clip.name for clip in frames.clips if clip.turns}
    of_frames = (workspace / FOLDER / frame.image for frame in frames.frames if frame.video in turn)
    return all(path.is_file() for path in (*of_clips, *of_frames))


def _images(clip: ClipInfo, frames: FrameSet) -> list[str]:
    return [frame.image for frame in frames.frames if frame.video == clip.name]


def _masked(
    clip: ClipInfo, frames: FrameSet, together: Mapping[tuple[int, int], list[str]], workspace: Path, progress: Progress
) -> ClipInfo:  # fmt: skip
    """together: images of all clips of one size that have few. A stamp is in each of them; few frames of one clip do
    not tell it."""
    own = _images(clip, frames)
    if masked := _before_a_backdrop(clip, own, workspace, progress):
        return masked
    runs = None
    if not clip.projection:
        pictures, size = _pictures(own, workspace, progress)
        clip = _with_moving_edges(clip, own, pictures, size, workspace)
        runs = _running_text(clip, frames, pictures, size)
    found = _hidden(clip, own, workspace, progress)
    others = together.get((clip.width, clip.height), [])
    if found is None and len(own) < FEW <= len(others) != len(own):
        found = _hidden(clip, others, workspace, progress)
    hidden = [each for each in (found, runs) if each is not None]
    if not hidden:
        return clip
    all_hidden = np.any(hidden, axis=0)
    write_mask(clip_mask(workspace / FOLDER, clip.folder), ~all_hidden)
    said = [_warning(each, what) for each, what in ((found, STAYS), (runs, RUNS)) if each is not None]
    return replace(clip, masked_share=float(all_hidden.mean()), warnings=(*clip.warnings, *said))


def _before_a_backdrop(
    clip: ClipInfo, images: Sequence[str], workspace: Path, progress: Progress
) -> ClipInfo | None:  # fmt: skip
    """Writes a mask for each frame of a clip that shows something which turns (`backdrop.py`), and says so; else None.

    All that stands still is ignored then, dates and logos with it.
    """
    if clip.projection or len(images) < LEAST_FRAMES:
        return None
    some = [_small(workspace, images[number]) for number in evenly(range(len(images)), MOST_OF_BACKDROP)]
    if (behind := backdrop(some, still=NO_MOTION in clip.warnings)) is None:
        return None
    shares = []
    for image in images:
        progress.check(STAGE)
        with Image.open(workspace / "frames" / image) as file:
            size = file.size
        turning = behind.turning(_small(workspace, image))
        shares.append(float(turning.mean()))
        whole = np.asarray(Image.fromarray(turning).resize(size, Image.Resampling.NEAREST))
        write_mask(workspace / FOLDER / image, whole)
    text = (
        "the camera stands still while something turns before it: the scene is what turns, "
        f"{100 * float(np.median(shares)):.0f} % of a picture; what stands still is ignored"
    )
    others = (said for said in clip.warnings if said != NO_MOTION)
    return replace(clip, turns=True, warnings=(*others, text))


def _small(workspace: Path, image: str) -> NDArray[np.uint8]:
    """[height, width, 3] for `backdrop`."""
    with Image.open(workspace / "frames" / image) as file:
        return np.asarray(file.convert("RGB").resize(shrink(*file.size, BACKDROP_SIDE), Image.Resampling.BOX))


def _pictures(
    images: Sequence[str], workspace: Path, progress: Progress
) -> tuple[list[NDArray[np.uint8]], tuple[int, int]]:  # fmt: skip
    """Their brightness at a long side of SIDE, and their own width and height."""
    pictures, size = [], (0, 0)
    for image in images:
        progress.check(STAGE)
        with Image.open(workspace / "frames" / image) as file:
            size, grey = file.size, file.convert("L")
        pictures.append(np.asarray(grey.resize(shrink(*size, SIDE), Image.Resampling.BOX)))
    return pictures, size


def _running_text(
    clip: ClipInfo, frames: FrameSet, pictures: Sequence[NDArray[np.uint8]], size: tuple[int, int]
) -> NDArray[np.bool_] | None:
    """[height, width] of the frames of a film: where text runs through them. None: nowhere."""
    own = [frame for frame in frames.frames if frame.video == clip.name]
    order = sorted(range(len(own)), key=lambda number: own[number].timestamp_s)
    if any(frame.photo for frame in own):
        return None
    found = running_text([pictures[number] for number in order], [own[number].timestamp_s for number in order])
    return None if found is None else np.asarray(Image.fromarray(found).resize(size, Image.Resampling.NEAREST))


def _with_moving_edges(
    clip: ClipInfo, images: Sequence[str], pictures: Sequence[NDArray[np.uint8]], size: tuple[int, int], workspace: Path
) -> ClipInfo:
    """Writes a mask for each frame that has edges which are not the place (`moving_edges.py`); the clip says so."""
    edges = moving_edges(pictures)
    for image, beyond in zip(images, edges.masks, strict=True):
        if beyond is not None:
            whole = np.asarray(Image.fromarray(beyond).resize(size, Image.Resampling.NEAREST))
            write_mask(workspace / FOLDER / image, ~whole)
    shares = [float(beyond.mean()) for beyond in edges.masks if beyond is not None]
    if not shares:
        return clip
    text = (
        f"{edges.said} are ignored in {len(shares)} of {len(images)} pictures: up to {100 * max(shares):.1f} % of one"
    )
    return replace(clip, warnings=(*clip.warnings, text), steadied=edges.move)


def _hidden(
    clip: ClipInfo, images: Sequence[str], workspace: Path, progress: Progress
) -> NDArray[np.bool_] | None:  # fmt: skip
    """[height, width] of the frames: where something lies over them. None: nowhere, or nobody can tell."""
    if len(images) < LEAST_FRAMES:
        return None
    pictures, coarse, size = [], [], (0, 0)
    for number in evenly(range(len(images)), MOST_FRAMES):
        progress.check(STAGE)
        with Image.open(workspace / "frames" / images[number]) as file:
            size, grey = file.size, file.convert("L")
        pictures.append(np.asarray(grey.resize(shrink(*size, SIDE), Image.Resampling.BOX)))
        coarse.append(np.asarray(grey.resize(shrink(*size, COARSE_SIDE), Image.Resampling.BOX), np.float32))
    different = _different(coarse)
    if len(different) < LEAST_FRAMES:  # in the same picture once more everything stays in place
        return None
    disc = disc_of(clip, (pictures[0].shape[1], pictures[0].shape[0]), IN_DISC)
    found = [hidden_by_overlays((pictures[number].astype(np.float32) for number in different), disc)]
    if disc is None:  # what lies around one is masked anyway
        found += [hides([coarse[number] for number in different]) for hides in (dark_corners, porthole, covered_edges)]
    hidden = np.zeros(size[::-1], bool)
    for one in found:
        if one is not None:
            hidden |= np.asarray(Image.fromarray(one).resize(size, Image.Resampling.NEAREST))
    return hidden if hidden.any() else None


def _different(pictures: Sequence[NDArray[np.float32]]) -> list[int]:
    """Numbers of the pictures that are none of the earlier ones again. pictures: brightness 0 to 255, small."""
    found: list[int] = []
    for number, picture in enumerate(pictures):
        if all(float(np.abs(picture - pictures[other]).mean()) >= SAME for other in found):
            found.append(number)
    return found


def _warning(hidden: NDArray[np.bool_], what: str) -> str:
    share = float(hidden.mean())
    text = f"{what} is ignored: {100 * share:.1f} % of the picture, {', '.join(places(hidden))}"
    return text if share < MUCH else f"{text}; little is left of the scene: export the clip without it"


def places(hidden: NDArray[np.bool_]) -> Sequence[str]:
    """Where the pieces of a mask lie, in words, the largest first."""
    pieces, count = label(hidden)
    height, width = hidden.shape
    found: dict[str, int] = {}
    for number in range(1, count + 1):
        rows, columns = np.nonzero(pieces == number)
        row = ("top", "middle", "bottom")[min(2, int(3 * rows.mean() / height))]
        column = ("left", "", "right")[min(2, int(3 * columns.mean() / width))]
        name = f"{row} {column}".strip()
        found[name] = found.get(name, 0) + len(rows)
    return sorted(found, key=lambda name: -found[name])[:PLACES]
