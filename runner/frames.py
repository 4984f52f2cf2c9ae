"""Videos -> chosen frames as upright PNG files, one folder per clip, under one budget over all clips.

Two passes, so that memory does not grow with the clips: the first measures every frame on a small grey picture, the
second decodes again and writes the chosen ones. PNG because each later stage then starts from the same pixels; level 1
with run-length coding costs 60 ms and 1.2 MB at 720x1280, so even 350 frames at 1920 px stay below 1 GB.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runner.atomic import naming_a_full_disk
from runner.frame_choice import SHARPNESS_SIDE, Odometer, Seen, choose, is_static, sharpness
from runner.marker import file_fingerprint, fingerprint, read_marker, write_marker
from runner.presets import FrameSettings, Limits
from runner.progress import Progress
from runner.scene import Clip, ClipInfo, Frame, FrameSet, RefusedClip
from runner.video import open_video
from scenejobs.errors import Code, Failure, InputError

STAGE = "frame_extraction"
FIRST_PASS = 0.6  # share of the stage's time
RUN_LENGTH = 3  # zlib's Z_RLE: on camera pictures as small as the default and a third faster


@dataclass(frozen=True)
class _Surveyed:
    """One clip after the first pass."""

    clip: Clip
    info: ClipInfo
    seen: tuple[Seen, ...]


def extract_frames(clips: Sequence[Clip], workspace: Path, settings: FrameSettings, progress: Progress) -> FrameSet:
    """Writes workspace/frames/<clip>/<index>.png and, last, workspace/frames.json. Skips when they are there already.

    When the choice is there and the pictures are not (an attempt on another machine left it), only these are written.

    A clip that cannot be used is recorded in `refused` and the scene goes on with the others.
    Raises InputError: the first clip's own when no clip is usable, STATIC_CAMERA, TOO_FEW_FRAMES; Interrupted;
    ResourceError when the disk is full.
    """
    marker = workspace / "frames.json"
    present = [[clip.name, file_fingerprint(clip.path)] if clip.path.is_file() else [clip.name] for clip in clips]
    made_from = fingerprint(present, settings)
    if stored := read_marker(marker, made_from):
        finished = frame_set_from_json(stored)
        if all((workspace / "frames" / frame.image).is_file() for frame in finished.frames):
            return finished
        if _write_chosen(finished, clips, workspace, settings, progress):
            return finished
    marker.unlink(missing_ok=True)
    shutil.rmtree(workspace / "frames", ignore_errors=True)

    surveyed, refused = _survey_all(clips, settings.limits, progress)
    if all(is_static(one.seen) for one in surveyed):
        names = ", ".join(one.clip.name for one in surveyed)
        raise InputError(
            f"the camera does not move in {names}", code=Code.STATIC_CAMERA,
            advice="walk around the scene while filming: depth is seen only from different places",
        )  # fmt: skip
    chosen = choose([one.seen for one in surveyed], settings.budget, settings.rate_fps)
    total = sum(map(len, chosen))
    if total < settings.limits.min_scene_frames:
        raise InputError(
            f"only {total} different frames in all clips; {settings.limits.min_scene_frames} are needed",
            code=Code.TOO_FEW_FRAMES, advice="film longer, and move while filming",
        )  # fmt: skip

    frames: list[Frame] = []
    for one, indices in zip(surveyed, chosen, strict=True):
        wanted = [one.seen[i] for i in indices]
        frames += _write_clip(one, wanted, workspace / "frames", settings, progress, len(frames), total)
    result = FrameSet(tuple(one.info for one in surveyed), tuple(frames), tuple(refused))
    write_marker(marker, made_from, asdict(result))
    progress.report(STAGE, 1.0, f"{len(frames)} frames of {len(surveyed)} clips")
    return result


def _write_chosen(
    chosen: FrameSet, clips: Sequence[Clip], workspace: Path, settings: FrameSettings, progress: Progress
) -> bool:
    """Writes the pictures of a choice that was made before. False when the clips do not give all of them any more."""
    shutil.rmtree(workspace / "frames", ignore_errors=True)
    clip_of = {clip.name: clip for clip in clips}
    folders = dict(zip(clip_of, folder_names(list(clip_of)), strict=True))
    written: list[Frame] = []
    for info in chosen.clips:
        if folders.get(info.name) != info.folder:  # it comes from storage and becomes a path
            return False
        seen = tuple(
            Seen(frame.index, frame.timestamp_s, frame.sharpness, travel=0.0)
            for frame in chosen.frames
            if frame.video == info.name
        )
        one = _Surveyed(clip_of[info.name], info, seen)
        written += _write_clip(one, seen, workspace / "frames", settings, progress, len(written), len(chosen.frames))
    return written == list(chosen.frames)


def frame_set_from_json(value: dict[str, Any]) -> FrameSet:
    """Reads what `extract_frames` wrote."""

    def info(entry: dict[str, Any]) -> ClipInfo:
        gps = entry["gps"]
        return ClipInfo(**{**entry, "gps": tuple(gps) if gps else None, "warnings": tuple(entry["warnings"])})

    return FrameSet(
        tuple(info(entry) for entry in value["clips"]),
        tuple(Frame(**entry) for entry in value["frames"]),
        tuple(RefusedClip(entry["name"], Failure.from_json(entry["failure"])) for entry in value["refused"]),
    )


def folder_names(names: Sequence[str]) -> list[str]:
    """A readable folder per clip ("cam1/a.mp4" -> "cam1_a"), safe and unique on every file system."""
    taken: set[str] = set()
    folders = []
    for name in names:
        stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", name)
        base = re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_-")[:40] or "clip"
        folder, number = base, 2
        while folder.lower() in taken:
            folder, number = f"{base}_{number}", number + 1
        taken.add(folder.lower())
        folders.append(folder)
    return folders


def _survey_all(clips: Sequence[Clip], limits: Limits, progress: Progress) -> tuple[list[_Surveyed], list[RefusedClip]]:
    surveyed: list[_Surveyed] = []
    errors: list[tuple[Clip, InputError]] = []
    for number, (clip, folder) in enumerate(zip(clips, folder_names([clip.name for clip in clips]), strict=True)):
        try:
            surveyed.append(_survey(clip, folder, limits, progress, number / len(clips), 1 / len(clips)))
        except InputError as exc:
            errors.append((clip, exc))
    if not surveyed:
        if not errors:
            raise InputError("the scene holds no video", advice="upload at least one", code=Code.NO_VIDEO, stage=STAGE)
        first = errors[0][1]
        cause = "; ".join(error.cause for _, error in errors)
        raise InputError(cause, advice=first.advice, code=first.code, stage=STAGE) from first
    return surveyed, [RefusedClip(clip.name, error.failure(STAGE)) for clip, error in errors]


def _survey(clip: Clip, folder: str, limits: Limits, progress: Progress, start: float, share: float) -> _Surveyed:
    """First pass over one clip. Raises InputError when it cannot be used."""
    odometer, seen, size = Odometer(), [], (0, 0)
    with open_video(clip, limits) as video:
        header = video.header
        expected = header.frame_count or header.duration_s * header.fps or 1
        for picture in video.pictures():
            progress.check(STAGE)
            luma = picture.luma(SHARPNESS_SIDE)
            seen.append(Seen(picture.index, picture.timestamp_s, sharpness(luma), odometer.read(luma)))
            size = (picture.width, picture.height)
            if picture.index % 10 == 0:
                fraction = start + share * min(1.0, picture.index / expected)
                progress.report(STAGE, FIRST_PASS * fraction, f"looking at {clip.name}, frame {picture.index}")
        warnings = list(video.warnings)
        rotation_deg = video.rotation_deg
    # The last frame is shown as long as the others are, which its own timestamp does not say.
    between_s = seen[-1].timestamp_s / (len(seen) - 1) if len(seen) > 1 else 1 / header.fps
    duration_s = seen[-1].timestamp_s + between_s
    if len(seen) < limits.min_frames or duration_s < limits.min_duration_s:
        raise InputError(
            f"{clip.name} has {len(seen)} frames in {duration_s:.1f} s; "
            f"{limits.min_frames} frames and {limits.min_duration_s:g} s are needed",
            advice="film for at least ten seconds while walking around the scene", code=Code.TOO_SHORT,
        )  # fmt: skip
    if is_static(seen):
        warnings.append("the camera does not move in this clip")
    info = ClipInfo(
        clip.name, folder, len(seen), *size, 1 / between_s, duration_s, header.codec, rotation_deg,
        header.recording.recorded_at, header.recording.camera_model, header.recording.gps, tuple(warnings),
    )  # fmt: skip
    return _Surveyed(clip, info, tuple(seen))


def _write_clip(
    one: _Surveyed,
    wanted: Sequence[Seen],
    root: Path,
    settings: FrameSettings,
    progress: Progress,
    done: int,
    total: int,
) -> list[Frame]:
    """Second pass over one clip."""
    frames: list[Frame] = []
    if not wanted:
        return frames
    folder = root / one.info.folder
    folder.mkdir(parents=True)
    by_index = {seen.index: seen for seen in wanted}
    with open_video(one.clip, settings.limits) as video:
        for picture in video.pictures():
            progress.check(STAGE)
            if picture.index not in by_index:
                continue
            seen = by_index[picture.index]
            name = f"{picture.index:06d}.png"
            _write_png(folder / name, picture.rgb(settings.long_side))
            frames.append(
                Frame(f"{one.info.folder}/{name}", one.clip.name, seen.index, seen.timestamp_s, seen.sharpness)
            )
            fraction = (done + len(frames)) / total
            progress.report(STAGE, FIRST_PASS + (1 - FIRST_PASS) * fraction, f"writing frames of {one.clip.name}")
            if len(frames) == len(wanted):
                break
    return frames


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    with naming_a_full_disk(path.name):
        Image.fromarray(pixels).save(path, "PNG", compress_level=1, compress_type=RUN_LENGTH)
