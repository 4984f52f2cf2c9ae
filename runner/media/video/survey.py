"""The two passes over an untrusted video: measuring every frame, and writing the chosen ones.

Runs in the sandboxed process of `media/decoder_process.py`; `media/decoder.py` starts it. What comes out are numbers
and PNG files, which the caller checks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runner.files.atomic import naming_a_full_disk
from runner.media.frame_size import is_too_small, small_warning
from runner.media.lenses.shape import LOOKED_AT, Shape, ShapeWatch
from runner.media.measures import (
    MAX_PARTS,
    SHARPNESS_SIDE,
    ClipSurvey,
    FrameMeasures,
    Odometer,
    duration_s,
    file_name,
    is_static,
    isotropy,
    look,
    sharpness,
)
from runner.media.settings import Limits
from runner.media.shot_detection import Layouts
from runner.media.video.projection import check_shape, shape_by_statement
from runner.media.video.reader import DecodedFrame, VideoReader, open_video
from runner.scene.frames import Clip, ClipInfo
from runner.scene.progress import OnProgress
from scenejobs.errors import Code, InputError
from scenejobs.filming import TEN_SECONDS

RUN_LENGTH = 3  # zlib's Z_RLE: on camera frames as small as the default and a third faster
REPORT_S = 0.5  # between two reports of progress


@dataclass
class _Size:
    """What is measured of the frames of one size."""

    odometer: Odometer = field(default_factory=Odometer)
    layouts: Layouts = field(default_factory=Layouts)
    measures: list[FrameMeasures] = field(default_factory=list)
    shapes: ShapeWatch = field(default_factory=ShapeWatch)

    def measure(self, frame: DecodedFrame) -> None:
        luma = frame.luma(SHARPNESS_SIDE)
        self.shapes.read(luma, frame.timestamp_s)
        change, change_over = self.layouts.read(luma)
        self.measures.append(
            FrameMeasures(
                frame.index, frame.timestamp_s, sharpness(luma), self.odometer.read(luma), float(luma.mean()), change,
                change_over, isotropy(luma), look(luma),
            )
        )  # fmt: skip


def survey(clip: Clip, limits: Limits, on_progress: OnProgress) -> list[ClipSurvey]:
    """First pass over one clip. Its frames by size, most of them first: each size needs a camera of its own.

    Raises InputError when it cannot be used.
    """
    on_progress = _now_and_then(on_progress)
    sizes: dict[tuple[int, int], _Size] = {}
    stated: Shape | None = None
    with open_video(clip, limits) as video:
        number = 0
        video.on_share = lambda share: on_progress(share, f"looking at {clip.name}, frame {number}")
        for frame in video.frames():
            number = frame.index
            found = sizes.setdefault((frame.width, frame.height), _Size())
            found.measure(frame)
            if stated is None:
                stated = shape_by_statement(clip, video.projection, video.is_stereo, frame.width, frame.height)
            if len(found.shapes.found) == LOOKED_AT:  # what cannot be used is said after seconds, not after the film
                check_shape(clip, found.shapes.verdict)
    by_count = sorted(sizes.items(), key=lambda item: -len(item[1].measures))
    parts: list[ClipSurvey] = []
    for size, found in by_count:
        shape = stated or found.shapes.verdict
        check_shape(clip, shape)
        focal_px = found.shapes.disc_focal_px(size[0]) if shape is Shape.FISHEYE else None
        part = _part(clip, video, size, found.measures, shape, focal_px)
        frames, duration_s = part.info.frame_count, part.info.duration_s
        too_small = is_too_small(*size, limits)
        if frames < limits.min_frames or duration_s < limits.min_duration_s or (parts and too_small):
            if not parts:
                raise _too_short(clip, frames, duration_s, limits)
            continue
        parts.append(part)
        if len(parts) == MAX_PARTS:
            break
    small = small_warning(parts[0].info.width, parts[0].info.height, limits)
    warnings = (*video.warnings, *([small] if small else []))
    left_out = sum(len(found.measures) for found in sizes.values()) - sum(part.info.frame_count for part in parts)
    if left_out:
        warnings += (f"the picture size changes: {left_out} frames of other sizes are left out",)
    return [_warned(part, warnings if part is parts[0] else ()) for part in parts]


def _part(
    clip: Clip, video: VideoReader, size: tuple[int, int], measures: Sequence[FrameMeasures], shape: Shape,
    disc_focal_px: float | None,
) -> ClipSurvey:  # fmt: skip
    """The frames of one size, which get their folder later."""
    header, count = video.header, len(measures)
    # The last frame is shown as long as the others are, which its own timestamp does not say.
    between_s = duration_s(measures) / (count - 1) if count > 1 else 1 / header.fps
    lasts_s = duration_s(measures) + between_s
    if video.thinned:
        between_s = 1 / video.thinned.fps
        lasts_s = video.thinned.lasts_s + between_s
    info = ClipInfo(
        clip.name, "", count, *size, 1 / between_s, lasts_s, header.codec, video.rotation_deg,
        header.recording.recorded_at, header.recording.camera_model, header.recording.gps,
        focal_px=disc_focal_px if shape else header.recording.focal_px(*size), projection=shape.value,
    )  # fmt: skip
    return ClipSurvey(info, tuple(measures))


def _warned(part: ClipSurvey, warnings: tuple[str, ...]) -> ClipSurvey:
    if is_static(part.measures):
        warnings += ("the camera does not move in this clip",)
    return replace(part, info=replace(part.info, warnings=warnings))


def _too_short(clip: Clip, frames: int, duration_s: float, limits: Limits) -> InputError:
    return InputError(
        f"{clip.name} has {frames} frames in {duration_s:.1f} s; "
        f"{limits.min_frames} frames and {limits.min_duration_s:g} s are needed",
        advice=TEN_SECONDS, code=Code.TOO_SHORT,
    )  # fmt: skip


def write_frames(
    clip: Clip, wanted: Sequence[int], folder: Path, long_side: int, limits: Limits, on_progress: OnProgress
) -> None:
    """Second pass over one clip: the frames with these indices as folder/<index>.png. The folder exists."""
    on_progress = _now_and_then(on_progress)
    left = set(wanted)
    with open_video(clip, limits) as video:
        video.on_share = lambda _: on_progress(1 - len(left) / len(wanted), f"writing frames of {clip.name}")
        for frame in video.frames(wanted):
            if frame.index not in left:
                continue
            write_png(folder / file_name(frame.index), frame.rgb(long_side))
            left.discard(frame.index)
            if not left:
                break


def _now_and_then(on_progress: OnProgress) -> OnProgress:
    reported_at = -REPORT_S

    def rarely(share: float, detail: str) -> None:
        nonlocal reported_at
        now = time.monotonic()
        if now - reported_at >= REPORT_S:
            reported_at = now
            on_progress(share, detail)

    return rarely


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """As every later stage expects it, see runner/media/png_check.py."""
    with naming_a_full_disk(path.name):
        Image.fromarray(pixels).save(path, "PNG", compress_level=1, compress_type=RUN_LENGTH)
