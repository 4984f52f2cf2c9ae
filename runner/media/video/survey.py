"""The two passes over an untrusted video: measuring every frame, and writing the chosen ones.

Runs in the sandboxed process of `media/decoding/process.py`; `media/decoding/decoder.py` starts it. What comes out are
numbers and PNG files, which the caller checks.
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
from runner.media.frame_size import is_too_small, is_too_small_inside, small_warning
from runner.media.lenses.shape import LOOKED_AT, Shape, ShapeWatch
from runner.media.selection.measures import (
    MAX_PARTS,
    NO_MOTION,
    SHARPNESS_SIDE,
    ClipSurvey,
    FrameMeasures,
    Odometer,
    duration_s,
    file_name,
    is_static,
    isotropy,
    look,
    motion_view,
    seen_of,
    sharpness,
)
from runner.media.selection.noise import Resemblance, shows_no_place
from runner.media.selection.shot_detection import Layouts
from runner.media.settings import Limits
from runner.media.video.bars.crops import Crops, cropped, find_crops, told, without_margin
from runner.media.video.bars.watch import BarWatch
from runner.media.video.clock import without_strays
from runner.media.video.header import too_small
from runner.media.video.projection import check_shape, shape_by_statement
from runner.media.video.reader import DecodedFrame, VideoReader, open_video
from runner.media.video.telemetry import read_track
from runner.scene.frames import NO_CROP, Clip, ClipInfo, Crop
from runner.scene.progress import OnProgress
from scenejobs.errors import Code, InputError
from scenejobs.filming import TEN_SECONDS

MAX_LOOKS = 3  # at a clip: until bars are seen; without them; and once more where they change later
FIRST_FRAMES = 48
RUN_LENGTH = 3  # zlib's Z_RLE: on camera frames as small as the default and a third faster
REPORT_S = 0.5  # between two reports of progress


@dataclass
class _Frames:
    """What is measured of the frames of one camera: of one size, with the same black bars."""

    odometer: Odometer = field(default_factory=Odometer)
    layouts: Layouts = field(default_factory=Layouts)
    resemblance: Resemblance = field(default_factory=Resemblance)
    measures: list[FrameMeasures] = field(default_factory=list)

    def measure(self, frame: DecodedFrame, luma: NDArray[np.uint8]) -> None:
        change, change_over = self.layouts.read(luma)
        view = motion_view(luma)
        self.measures.append(
            FrameMeasures(
                frame.index, frame.timestamp_s, sharpness(luma), self.odometer.read(view),
                float(luma.mean()), change, change_over, isotropy(luma), look(luma), seen_of(view),
                self.resemblance.read(view),
            )
        )  # fmt: skip


@dataclass
class _Size:
    """What is seen in the frames of one size."""

    shapes: ShapeWatch = field(default_factory=ShapeWatch)
    bars: BarWatch = field(default_factory=BarWatch)
    cameras: dict[Crop, _Frames] = field(default_factory=dict)

    def read(self, frame: DecodedFrame, crops: Crops) -> None:
        luma = frame.luma(SHARPNESS_SIDE)
        self.shapes.read(luma, frame.timestamp_s)
        self.bars.read(frame.index, luma)
        crop = crops.at(frame.index)
        inside = cropped(luma, crop, frame.width, frame.height)
        self.cameras.setdefault(crop, _Frames()).measure(frame, inside)


@dataclass
class _Look:
    """One pass over a clip."""

    video: VideoReader
    sizes: dict[tuple[int, int], _Size] = field(default_factory=dict)
    stated: Shape | None = None
    stopped: bool = False  # its first frames have bars, and whatever is measured has to be without them

    def crops(self, limits: Limits) -> dict[tuple[int, int], Crops]:
        """What to cut off, by all that was seen; of pictures of usual lenses only."""
        return {
            size: Crops() if self.stated or found.shapes.verdict else find_crops(found.bars, *size, limits)
            for size, found in self.sizes.items()
        }


def survey(clip: Clip, limits: Limits, on_progress: OnProgress) -> list[ClipSurvey]:
    """First pass over one clip. Its frames by camera, most of them first: each size, and each stretch with other black
    bars, needs one of its own. Bars are known after the pass only; where there are any, the clip is looked at again.

    Raises InputError when it cannot be used.
    """
    on_progress = _now_and_then(on_progress)
    crops: dict[tuple[int, int], Crops] = {}
    for _ in range(MAX_LOOKS):
        found = _look(clip, limits, crops, on_progress)
        before, crops = crops, found.crops(limits)
        if not found.stopped and all(
            each.resemble(before.get(size, Crops()), *size) for size, each in crops.items()
        ):  # fmt: skip
            break
    track = read_track(clip, limits)
    return [replace(part, info=replace(part.info, track=track)) for part in _parts(clip, found, before, crops, limits)]


def _look(clip: Clip, limits: Limits, crops: dict[tuple[int, int], Crops], on_progress: OnProgress) -> _Look:
    """Without anything to cut off known (the first pass), it stops where the first frames have bars."""
    with open_video(clip, limits) as video:
        seen, number = _Look(video), 0
        video.on_share = lambda share: on_progress(share, f"looking at {clip.name}, frame {number}")
        for frame in video.frames():
            number = frame.index
            size = frame.width, frame.height
            found = seen.sizes.setdefault(size, _Size())
            found.read(frame, crops.get(size, Crops()))
            if seen.stated is None:
                seen.stated = shape_by_statement(clip, video.projection, video.is_stereo, *size)
            if len(found.shapes.found) == LOOKED_AT:  # what cannot be used is said after seconds, not after the film
                check_shape(clip, found.shapes.verdict)
            if not crops and len(found.bars.indices) == FIRST_FRAMES:
                seen.stopped = any(one != Crops() for one in seen.crops(limits).values())
                if seen.stopped:
                    break
    if not video.thinned:
        _bring_strays_near(seen)
    return seen


def _bring_strays_near(seen: _Look) -> None:
    """Corrects the time of a first or last frame that is far from all others, and says so."""
    cameras = [camera for size in seen.sizes.values() for camera in size.cameras.values()]
    times_s = sorted(one.timestamp_s for camera in cameras for one in camera.measures)
    near_s = without_strays(times_s)
    if near_s == times_s:
        return
    right_s = dict(zip(times_s, near_s, strict=True))
    for camera in cameras:
        camera.measures = [replace(one, timestamp_s=right_s[one.timestamp_s]) for one in camera.measures]
    seen.video.warnings.append("its first or last frame had a time far from all others, which was repaired")


def _parts(
    clip: Clip, seen: _Look, measured: dict[tuple[int, int], Crops], crops: dict[tuple[int, int], Crops], limits: Limits
) -> list[ClipSurvey]:  # fmt: skip
    """measured: what was cut off for the measures; crops: the same to a few pixels, by all frames."""
    video = seen.video
    cameras: list[tuple[tuple[int, int], Crop, _Frames]] = []
    for size, found in seen.sizes.items():
        check_shape(clip, seen.stated or found.shapes.verdict)
        final = crops[size].instead_of(measured.get(size, Crops()), *size)
        cameras += [(size, final[crop], frames) for crop, frames in found.cameras.items()]
    parts: list[ClipSurvey] = []
    for size, crop, camera in sorted(cameras, key=lambda each: -len(each[2].measures)):
        shape = seen.stated or seen.sizes[size].shapes.verdict
        focal_px = seen.sizes[size].shapes.disc_focal_px(size[0]) if shape is Shape.FISHEYE else None
        part = _part(clip, video, size, crop, camera.measures, shape, focal_px, crops[size].kind)
        frames, duration_s = part.info.frame_count, part.info.duration_s
        too_few = frames < limits.min_frames or duration_s < limits.min_duration_s
        refuses = is_too_small if crop == NO_CROP else is_too_small_inside
        small = refuses(*without_margin(crop, part.info.width, part.info.height), limits)
        if too_few or (small and (parts or crop != NO_CROP)):
            if not parts:
                raise (
                    _too_short(clip, frames, duration_s, limits)
                    if too_few
                    else too_small(clip, part.info.width, part.info.height, limits, " without its bars")
                )
            continue
        parts.append(part)
        if len(parts) == MAX_PARTS:
            break
    small_said = small_warning(parts[0].info.width, parts[0].info.height, limits)
    warnings = (*video.warnings, *([small_said] if small_said else []))
    left_out = sum(len(camera.measures) for _, _, camera in cameras) - sum(part.info.frame_count for part in parts)
    if left_out and len(seen.sizes) == len(cameras):
        warnings += (f"the picture size changes: {left_out} frames of other sizes are left out",)
    elif left_out:
        warnings += (f"its bars change: {left_out} frames with others are left out",)
    return [_warned(part, warnings if part is parts[0] else ()) for part in parts]


def _part(
    clip: Clip, video: VideoReader, size: tuple[int, int], crop: Crop, measures: Sequence[FrameMeasures], shape: Shape,
    disc_focal_px: float | None, bars: str,
) -> ClipSurvey:  # fmt: skip
    """The frames of one camera, which get their folder later. size: with what is cut off."""
    header, count = video.header, len(measures)
    # The last frame is shown as long as the others are, which its own timestamp does not say.
    between_s = duration_s(measures) / (count - 1) if count > 1 else 1 / header.fps
    lasts_s = duration_s(measures) + between_s
    if video.thinned:
        between_s = 1 / video.thinned.fps
        parts = video.thinned.parts([one.timestamp_s for one in measures])
        if video.thinned.is_covered(parts):
            lasts_s = video.thinned.lasts_s + between_s
        else:  # what was looked at, and not what was not
            lasts_s = duration_s(measures) + between_s
    left, top, right, bottom = crop
    inside = size[0] - left - right, size[1] - top - bottom
    info = ClipInfo(
        clip.name, "", count, *inside, 1 / between_s, lasts_s, header.codec, video.rotation_deg,
        header.recording.recorded_at, header.recording.camera_model, header.recording.gps,
        focal_px=disc_focal_px if shape else header.recording.focal_px(*size), projection=shape.value,
        crop=crop, warnings=(said,) if (said := told(crop, bars)) else (),
    )  # fmt: skip
    return ClipSurvey(info, tuple(measures))


def _warned(part: ClipSurvey, warnings: tuple[str, ...]) -> ClipSurvey:
    warnings += part.info.warnings
    if is_static(part.measures) and not shows_no_place(part.measures):
        warnings += (NO_MOTION,)
    return replace(part, info=replace(part.info, warnings=warnings))


def _too_short(clip: Clip, frames: int, duration_s: float, limits: Limits) -> InputError:
    return InputError(
        f"{clip.name} has {frames} frames in {duration_s:.1f} s; "
        f"{limits.min_frames} frames and {limits.min_duration_s:g} s are needed",
        advice=TEN_SECONDS, code=Code.TOO_SHORT,
    )  # fmt: skip


def write_frames(
    clip: Clip, wanted: Sequence[int], folder: Path, long_side: int, limits: Limits, on_progress: OnProgress,
    crop: Crop = NO_CROP,
) -> None:  # fmt: skip
    """Second pass over one clip: the frames with these indices as folder/<index>.png. The folder exists."""
    on_progress = _now_and_then(on_progress)
    left = set(wanted)
    with open_video(clip, limits) as video:
        video.on_share = lambda _: on_progress(1 - len(left) / len(wanted), f"writing frames of {clip.name}")
        for frame in video.frames(wanted):
            if frame.index not in left:
                continue
            write_png(folder / file_name(frame.index), frame.rgb(long_side, crop))
            left.discard(frame.index)
            if not left:
                break


def _now_and_then(on_progress: OnProgress) -> OnProgress:
    reported_at, furthest = -REPORT_S, 0.0

    def rarely(share: float, detail: str) -> None:
        nonlocal reported_at, furthest
        furthest = max(furthest, share)
        now = time.monotonic()
        if now - reported_at >= REPORT_S:
            reported_at = now
            on_progress(furthest, detail)

    return rarely


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """As every later stage expects it, see runner/media/png_check.py."""
    with naming_a_full_disk(path.name):
        Image.fromarray(pixels).save(path, "PNG", compress_level=1, compress_type=RUN_LENGTH)
