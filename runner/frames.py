"""Videos -> chosen frames as upright PNG files, one folder per clip, under one budget over all clips.

Two passes, so that memory does not grow with the clips: the first measures every frame on a small grey picture, the
second decodes again and writes the chosen ones. Both run in sandboxed processes (`runner/decode.py`): this one never
parses a stranger's bytes. PNG because each later stage then starts from the same pixels; level 1 with run-length coding
costs 60 ms and 1.2 MB at 720x1280, so even 350 frames at 1920 px stay below 1 GB.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from runner.cuts import find_cuts, shots
from runner.decode import Decoder, Sandboxed, Tell
from runner.frame_choice import Seen, Surveyed, choose, file_name, is_static
from runner.marker import file_fingerprint, fingerprint, read_marker, write_marker
from runner.presets import FrameSettings
from runner.progress import Progress
from runner.scene import Clip, ClipInfo, Frame, FrameSet, RefusedClip
from runner.visible import require_detail
from scenejobs.errors import Code, Failure, InputError

log = logging.getLogger(__name__)

STAGE = "frame_extraction"
FIRST_PASS = 0.6  # share of the stage's time


def extract_frames(
    clips: Sequence[Clip],
    workspace: Path,
    settings: FrameSettings,
    progress: Progress,
    decoder: Decoder | None = None,
) -> FrameSet:
    """Writes workspace/frames/<clip>/<index>.png and, last, workspace/frames.json. Skips when they are there already.

    When the choice is there and the pictures are not (an attempt on another machine left it), only these are written.

    A clip that cannot be used is recorded in `refused` and the scene goes on with the others.
    decoder: default: each clip in a sandboxed process.
    Raises InputError: the first clip's own when no clip is usable, NO_DETAIL, STATIC_CAMERA, TOO_FEW_FRAMES,
    TOO_LARGE;
    Interrupted, ResourceError when disk or memory of the machine are full, ConfigurationError NO_SANDBOX.
    """
    marker = workspace / "frames.json"
    present = [[clip.name, file_fingerprint(clip.path)] if clip.path.is_file() else [clip.name] for clip in clips]
    made_from = fingerprint(present, settings)
    if stored := read_marker(marker, made_from):
        finished = frame_set_from_json(stored)
        if all((workspace / "frames" / frame.image).is_file() for frame in finished.frames):
            return finished
    if len(clips) > settings.limits.max_clips:
        raise InputError(
            f"the scene has {len(clips)} videos; {settings.limits.max_clips} are allowed",
            code=Code.TOO_LARGE, advice="use fewer, or raise MAX_VIDEOS_PER_SCENE",
        )  # fmt: skip
    decoder = decoder or Sandboxed(settings)
    if stored and _write_chosen(decoder, frame_set_from_json(stored), clips, workspace, progress):
        return frame_set_from_json(stored)
    marker.unlink(missing_ok=True)
    shutil.rmtree(workspace / "frames", ignore_errors=True)

    surveyed, refused = _survey_all(decoder, clips, progress)
    least = settings.limits.min_scene_frames
    if all(is_static(one.seen) for _, one in surveyed):
        require_detail(
            [(clip.name, seen) for clip, one in surveyed for seen in one.seen], least
        )  # seen as standing still
        names = ", ".join(clip.name for clip, _ in surveyed)
        raise InputError(
            f"the camera does not move in {names}", code=Code.STATIC_CAMERA,
            advice="walk around the scene while filming: depth is seen only from different places",
        )  # fmt: skip
    surveyed, chosen = _choose(surveyed, settings)
    total = sum(map(len, chosen))
    if total < least:
        raise InputError(
            f"only {total} different frames in all clips; {least} are needed",
            code=Code.TOO_FEW_FRAMES, advice="film longer, and move while filming",
        )  # fmt: skip
    warnings = require_detail(
        [(clip.name, seen) for (clip, _), wanted in zip(surveyed, chosen, strict=True) for seen in wanted], least
    )

    frames: list[Frame] = []
    for (clip, one), wanted in zip(surveyed, chosen, strict=True):
        second = 1 - FIRST_PASS
        tell = _teller(progress, FIRST_PASS + second * len(frames) / total, second * len(wanted) / total)
        frames += _write_clip(decoder, clip, one, wanted, workspace / "frames", tell)
    result = FrameSet(tuple(one.info for _, one in surveyed), tuple(frames), tuple(refused), warnings)
    write_marker(marker, made_from, asdict(result))
    progress.report(STAGE, 1.0, f"{len(frames)} frames of {len(surveyed)} clips")
    return result


def _choose(
    surveyed: Sequence[tuple[Clip, Surveyed]], settings: FrameSettings
) -> tuple[list[tuple[Clip, Surveyed]], list[list[Seen]]]:
    """The clips with their cuts, and the chosen frames of each. Every shot of an edited clip counts as a clip."""
    cut = [(clip, one, find_cuts(one.seen)) for clip, one in surveyed]
    pieces = [(number, piece) for number, (_, one, cuts) in enumerate(cut) for piece in shots(one.seen, cuts)]
    chosen: list[list[Seen]] = [[] for _ in cut]
    picked = choose([piece for _, piece in pieces], settings.budget, settings.rate_fps)
    for (number, piece), indices in zip(pieces, picked, strict=True):
        chosen[number] += [piece[i] for i in indices]
    told = []
    for clip, one, cuts in cut:
        times = tuple(one.seen[start].timestamp_s for start in cuts.starts)
        warnings = list(one.info.warnings)
        if times:
            warnings.append(f"the recording is cut at {', '.join(f'{time:.1f}' for time in times)} s")
        if cuts.strays:
            at = ", ".join(f"{one.seen[index].timestamp_s:.1f}" for index in cuts.strays)
            warnings.append(f"single frames of something else are left out at {at} s")
        told.append((clip, replace(one, info=replace(one.info, cuts_s=times, warnings=tuple(warnings)))))
    return told, chosen


def _write_chosen(
    decoder: Decoder, chosen: FrameSet, clips: Sequence[Clip], workspace: Path, progress: Progress
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
        tell = _teller(progress, len(written) / len(chosen.frames), len(seen) / len(chosen.frames))
        try:
            written += _write_clip(decoder, clip_of[info.name], Surveyed(info, seen), seen, workspace / "frames", tell)
        except InputError as exc:
            log.warning("the choice of frames found here does not fit and is made anew: %s", exc)
            return False
    return written == list(chosen.frames)


def frame_set_from_json(value: dict[str, Any]) -> FrameSet:
    """Reads what `extract_frames` wrote."""

    def info(entry: dict[str, Any]) -> ClipInfo:
        gps = entry["gps"]
        return ClipInfo(**{**entry, "gps": tuple(gps) if gps else None, "warnings": tuple(entry["warnings"]),
                           "cuts_s": tuple(entry["cuts_s"])})  # fmt: skip

    return FrameSet(
        tuple(info(entry) for entry in value["clips"]),
        tuple(Frame(**entry) for entry in value["frames"]),
        tuple(RefusedClip(entry["name"], Failure.from_json(entry["failure"])) for entry in value["refused"]),
        tuple(value["warnings"]),
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


def _survey_all(
    decoder: Decoder, clips: Sequence[Clip], progress: Progress
) -> tuple[list[tuple[Clip, Surveyed]], list[RefusedClip]]:
    surveyed: list[tuple[Clip, Surveyed]] = []
    errors: list[tuple[Clip, InputError]] = []
    share = FIRST_PASS / max(1, len(clips))
    for number, (clip, folder) in enumerate(zip(clips, folder_names([clip.name for clip in clips]), strict=True)):
        try:
            surveyed.append((clip, decoder.survey(clip, folder, _teller(progress, share * number, share))))
        except InputError as exc:
            log.warning("a clip is refused: %s", exc)
            errors.append((clip, exc))
    if not surveyed:
        if not errors:
            raise InputError("the scene holds no video", advice="upload at least one", code=Code.NO_VIDEO, stage=STAGE)
        first = errors[0][1]
        cause = "; ".join(error.cause for _, error in errors)
        raise InputError(cause, advice=first.advice, code=first.code, stage=STAGE) from first
    return surveyed, [RefusedClip(clip.name, error.failure(STAGE)) for clip, error in errors]


def _write_clip(
    decoder: Decoder, clip: Clip, one: Surveyed, wanted: Sequence[Seen], root: Path, tell: Tell
) -> list[Frame]:
    """Second pass over one clip."""
    if not wanted:
        return []
    folder = root / one.info.folder
    decoder.write(clip, one.info, wanted, folder, tell)
    return [
        Frame(f"{one.info.folder}/{file_name(seen.index)}", clip.name, seen.index, seen.timestamp_s, seen.sharpness)
        for seen in wanted
    ]


def _teller(progress: Progress, start: float, share: float) -> Tell:
    """Reports a clip's part of the stage, and obeys a stop."""

    def tell(done: float, detail: str) -> None:
        progress.check(STAGE)
        progress.report(STAGE, start + share * done, detail)

    return tell
