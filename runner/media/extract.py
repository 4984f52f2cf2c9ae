"""Videos and photos -> chosen frames as upright PNG files, one folder per camera, under one budget over all of them.

Two passes, so that memory does not grow with the clips: the first measures every frame on a small grey image, the
second decodes again and writes the chosen ones. Both run in sandboxed processes (`decoder.py`): this one never parses
untrusted bytes. PNG because each later stage then starts from the same pixels; level 1 with run-length coding
costs 60 ms and 1.2 MB at 720x1280, so even 350 frames at 1920 px stay below 1 GB.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from runner.context import StageContext
from runner.files.marker import file_fingerprint, fingerprint, read_marker, write_marker
from runner.media.captures import (
    STAGE,
    Capture,
    Media,
    captures_again,
    hashed_sources,
    part_of,
    sort_media,
    survey_all,
    without,
    without_too_many,
)
from runner.media.colourless import said_of_colours
from runner.media.decoding.cache import CachedDecoder
from runner.media.decoding.decoder import Decoder, Sandboxed, WantedPhoto
from runner.media.lenses.discs import mask_discs
from runner.media.lenses.whole_spheres import Reframed, pictures, reframed
from runner.media.overlays.find import mask_overlays, masks_are_there
from runner.media.photo.live_photos import without_moving_parts
from runner.media.previews import said_of_previews, without_previews
from runner.media.selection.cut_out import without_cut_outs
from runner.media.selection.detail_check import require_detail
from runner.media.selection.enough_frames import require_enough
from runner.media.selection.measures import FrameMeasures, as_it_turns, file_name, is_one_picture, is_static, may_turn
from runner.media.selection.of_captures import Choice, choose_frames
from runner.media.selection.preference import NONE, FramePreference, Preferred
from runner.media.selection.same_footage import without_copies
from runner.media.selection.shared_footage import shared_footage
from runner.media.settings import FrameSettings
from runner.media.sidecars import located
from runner.scene.frames import NO_CROP, Clip, ClipInfo, Frame, FrameSet, RefusedClip, SharedStretch
from runner.scene.masks import FOLDER as MASKS
from runner.scene.progress import OnProgress, Progress
from runner.scene.shots import which
from scenejobs.errors import Code, Failure, InputError, SceneJobError, UnusedFile
from scenejobs.filming import WALK
from scenejobs.names import is_photo

log = logging.getLogger(__name__)

FIRST_PASS = 0.6  # share of the stage's time


def extract_frames(
    clips: Sequence[Clip], context: StageContext, settings: FrameSettings, preference: FramePreference = NONE
) -> FrameSet:
    """Writes workspace/frames/<clip>/<index>.png and, last, workspace/frames.json. Skips when they are there already.

    When the choice is there and the images are not (an attempt on another machine left it), only these are written.

    A clip or photo that cannot be used is recorded in `refused` and the scene goes on with the others. Each is decoded
    in a sandboxed process; with a cache, a video that was surveyed before is not surveyed again.
    preference: which frames to choose first.
    Raises InputError: the first clip's own when no clip is usable, NO_DETAIL, STATIC_CAMERA, TOO_FEW_FRAMES,
    TOO_LARGE;
    Interrupted, ResourceError when disk or memory of the machine are full, ConfigurationError NO_SANDBOX.
    """
    return extract_with(Sandboxed(settings), clips, context, settings, preference)


def extract_with(
    decoder: Decoder, clips: Sequence[Clip], context: StageContext, settings: FrameSettings,
    preference: FramePreference = NONE,
) -> FrameSet:  # fmt: skip
    """`extract_frames` with another decoder."""
    workspace, progress = context.workspace, context.progress
    marker = workspace / "frames.json"
    beside = [Clip(clip.sidecar.name, clip.sidecar.path) for clip in clips if clip.sidecar]
    there = [*clips, *beside]
    present = [[clip.name, file_fingerprint(clip.path)] if clip.path.is_file() else [clip.name] for clip in there]
    made_from = fingerprint(present, settings, *([preference.digest] if preference.digest else []))
    if stored := read_marker(marker, made_from):
        finished = frame_set_from_json(stored)
        written = all((workspace / "frames" / frame.image).is_file() for frame in finished.frames)
        if written and masks_are_there(finished, workspace):
            return finished
    media, unused = without_previews(sort_media(clips))
    media, too_many = without_too_many(media, settings.limits)
    if context.cache is not None:
        decoder = CachedDecoder(decoder, context.cache, settings.limits)
    if stored and _write_chosen(decoder, frame_set_from_json(stored), media, workspace, progress):
        return frame_set_from_json(stored)
    still = without_moving_parts(decoder, media, _reporter(progress, 0.0, 0.0))
    media, unused = still.media, (*unused, *still.unused)
    media, more = without_too_many(media, settings.limits, paired=False)
    marker.unlink(missing_ok=True)
    shutil.rmtree(workspace / "frames", ignore_errors=True)

    surveyed, refused = survey_all(decoder, media, settings.limits, _reporter(progress, 0.0, FIRST_PASS))
    surveyed, silent = located(surveyed)
    unused = (*unused, *silent)
    refused += [*too_many, *more]
    sources = hashed_sources(clips, context.cache)
    failed: list[tuple[Clip, InputError]] | None = None
    while failed is None or failed:
        captures, copies, said = without_copies(surveyed)  # anew: the copy of one that failed takes its place
        captures, parts, said_of_parts = without_cut_outs(captures)
        left_out = (*unused, *copies, *parts, *(each for capture in captures for each in capture.left_out))
        with _telling(refused, left_out):
            captures, stand_still = _turning(captures)
            made, infos, warnings, failed = _made(decoder, captures, context, settings, preference)
            # It was read once, and not a second time: gone, unreadable, or its decoder died.
            refused += [RefusedClip(clip.name, error.failure(STAGE)) for clip, error in failed]
            surveyed = without(surveyed, {clip.name for clip, _ in failed})
            if not surveyed:
                raise failed[0][1]
    shared, said_of_shared = shared_footage(captures)
    warnings += (*still.warnings, *said, *said_of_parts, *said_of_shared, *said_of_previews(media))
    left_out += _not_chosen(captures, made.frames)
    result = FrameSet(made.clips, made.frames, tuple(refused), warnings, sources, left_out, shared)
    result = _masked(result, workspace, progress)
    if stand_still and not any(clip.turns for clip in result.clips):
        for folder in ("frames", MASKS):  # as after every refusal there is nothing
            shutil.rmtree(workspace / folder, ignore_errors=True)
        with _telling(refused, left_out):
            raise stand_still
    result = replace(result, warnings=(*result.warnings, *said_of_colours(result, workspace, progress)))
    write_marker(marker, made_from, asdict(result))
    progress.report(STAGE, 1.0, f"{len(made.frames)} frames of {len(infos)} clips")
    return result


def _made(
    decoder: Decoder, captures: list[Capture], context: StageContext, settings: FrameSettings,
    preference: FramePreference,
) -> tuple[Reframed, tuple[ClipInfo, ...], tuple[str, ...], list[tuple[Clip, InputError]]]:  # fmt: skip
    """The frames of these captures, written; or no frames, and the files that turned out to be unusable on the way."""
    folder, progress = context.workspace / "frames", context.progress
    only_photos = all(capture.is_photos for capture in captures)
    least = settings.limits.min_scene_photos if only_photos else settings.limits.min_scene_frames
    _check_budget(settings.budget, least)
    _check_motion(captures, least)
    choice = _choose(captures, settings, preference.rank(captures), least)
    chosen = _measured(choice.kept)
    require_enough(sum(len(capture.measures) for capture in choice.kept), least, choice.captures)
    warnings = require_detail(chosen, least)
    infos = tuple(capture.info for capture in choice.captures)
    frames, failed = _write(decoder, choice.kept, folder, _reporter(progress, FIRST_PASS, 1 - FIRST_PASS))
    if failed:
        shutil.rmtree(folder, ignore_errors=True)
        return Reframed((), ()), infos, warnings, failed
    made = reframed(infos, frames, folder, settings.long_side, _reporter(progress, 1.0, 0.0))
    return made, infos, warnings, []


def _not_chosen(captures: Sequence[Capture], frames: Sequence[Frame]) -> tuple[UnusedFile, ...]:
    """The photos that were more than the budget."""
    chosen = {frame.photo for frame in frames}
    reason = f"only {len(frames)} pictures were chosen; a larger --frames (FRAME_COUNT) takes more"
    names = (clip.name for capture in captures if capture.is_photos for clip in capture.clips)
    return tuple(UnusedFile(name, reason) for name in names if name not in chosen)


@contextmanager
def _telling(refused: Sequence[RefusedClip], unused: tuple[UnusedFile, ...]) -> Iterator[None]:
    """What fails in here tells the files that were not used."""
    try:
        yield
    except SceneJobError as exc:
        exc.unused = FrameSet((), (), tuple(refused), unused=unused).not_used
        raise


def _choose(captures: Sequence[Capture], settings: FrameSettings, preferred: Preferred, least: int) -> Choice:
    """The budget counts pictures, of which a 360-degree frame gives several; but a scene needs `least` moments."""
    budget = settings.budget
    while True:
        choice = choose_frames(captures, replace(settings, budget=budget), preferred, least)
        count, moments = pictures(choice.kept), sum(len(capture.measures) for capture in choice.kept)
        if count <= settings.budget or count == moments or budget <= least:
            return choice
        budget = max(least, min(budget - 1, budget * settings.budget // count))


def _check_budget(budget: int, least: int) -> None:
    """Raises InputError where the settings allow fewer frames than a scene needs: no film could help it."""
    if budget < least:
        cause = f"only {budget} frames may be chosen (--frames, FRAME_COUNT); {least} are needed"
        raise InputError(cause, code=Code.TOO_FEW_FRAMES, advice="leave the option out, or use a larger number")


def _check_motion(captures: Sequence[Capture], least: int) -> None:
    """Raises InputError STATIC_CAMERA when the camera stands still in all captures; NO_DETAIL when they show nothing,
    which then only seems to stand still."""
    if all(is_static(capture.measures) for capture in captures):
        require_detail(_measured(captures), least)
        raise _stand_still(captures)


def _measured(captures: Sequence[Capture]) -> list[tuple[Frame, FrameMeasures]]:
    return [pair for capture in captures for pair in zip(capture.frames(), capture.measures, strict=True)]


def _stand_still(captures: Sequence[Capture]) -> InputError:
    """For captures of a camera that does not move."""
    where = which(frame for frame, _ in _measured(captures))
    cause = f"the camera does not move in {where}"
    if all(is_one_picture(capture.measures) for capture in captures):
        cause = f"the picture does not change (a test picture, a paused film, a camera that stands still): {where}"
    return InputError(cause, code=Code.STATIC_CAMERA, advice=WALK)


def _turning(captures: list[Capture]) -> tuple[list[Capture], InputError | None]:
    """The captures, where the camera stands still in all of them with those before which something may turn as its
    camera sees it; and what to raise where in the end nothing does."""
    if not all(is_static(capture.measures) for capture in captures):
        return captures, None
    turned = [
        replace(each, survey=replace(each.survey, measures=as_it_turns(each.measures)))
        if not each.info.projection and may_turn(each.measures) else each
        for each in captures
    ]  # fmt: skip
    return turned, None if turned == captures else _stand_still(captures)


def _write(
    decoder: Decoder, captures: Sequence[Capture], root: Path, on_progress: OnProgress
) -> tuple[list[Frame], list[tuple[Clip, InputError]]]:
    """Second pass: the images of what is left of each capture, in its folder; and the files that failed."""
    total = sum(len(capture.measures) for capture in captures)
    wanted: list[WantedPhoto] = []
    failed: list[tuple[Clip, InputError]] = []
    done = 0
    for capture in captures:
        info, measures = capture.info, capture.measures
        if capture.is_photos and measures:
            (root / info.folder).mkdir(parents=True)
            paths = (root / info.folder / file_name(one.index) for one in measures)
            size = info.width, info.height
            pairs = zip(capture.clips, paths, strict=True)
            wanted += [WantedPhoto(clip, *size, path, info.projection, info.crop) for clip, path in pairs]
        elif measures:
            part = part_of(on_progress, done / total, len(measures) / total)
            try:
                decoder.write(capture.clips[0], info, measures, root / info.folder, part)
            except InputError as exc:
                failed.append((capture.clips[0], exc))
            done += len(measures)
    if wanted:
        failed += decoder.write_photos(wanted, part_of(on_progress, done / total, len(wanted) / total))
    for _, error in failed:
        log.warning("a file is refused: %s", error)
    return [frame for capture in captures for frame in capture.frames()], failed


def _write_chosen(decoder: Decoder, chosen: FrameSet, media: Media, workspace: Path, progress: Progress) -> bool:
    """Writes the images of a choice that was made before. False when the clips do not give all of them any more."""
    shutil.rmtree(workspace / "frames", ignore_errors=True)
    of_photos = {each.name for each in chosen.unused if is_photo(each.same_as)}
    videos = tuple(clip for clip in media.videos if clip.name not in of_photos)
    captures = captures_again(chosen, Media(videos, media.photos))
    if captures is None or any(info.view is not None for info in chosen.clips):  # views come from whole frames
        return False
    written, failed = _write(decoder, captures, workspace / "frames", _reporter(progress, 0.0, 1.0))
    if failed:
        log.warning("the choice of frames found here does not fit and is made anew: %s", failed[0][1])
    if failed or written != list(chosen.frames):
        return False
    _masked(chosen, workspace, progress)
    return True


def _masked(frames: FrameSet, workspace: Path, progress: Progress) -> FrameSet:
    """The masks of the clips, anew; clips with an overlay say so."""
    found = mask_overlays(frames, workspace, progress)
    mask_discs(found.clips, found.frames, workspace)
    return found


def frame_set_from_json(value: dict[str, Any]) -> FrameSet:
    """Reads what `extract_frames` wrote."""

    def info(entry: dict[str, Any]) -> ClipInfo:
        gps = entry["gps"]
        return ClipInfo(**{**entry, "gps": tuple(gps) if gps else None, "warnings": tuple(entry["warnings"]),
                           "track": tuple(map(tuple, entry.get("track", ()))),
                           "cuts_s": tuple(entry["cuts_s"]), "crop": tuple(entry.get("crop", NO_CROP))})  # fmt: skip

    def frame(entry: dict[str, Any]) -> Frame:
        return Frame(**{**entry, "gps": tuple(entry["gps"]) if entry["gps"] else None})

    return FrameSet(
        tuple(info(entry) for entry in value["clips"]),
        tuple(frame(entry) for entry in value["frames"]),
        tuple(RefusedClip(entry["name"], Failure.from_json(entry["failure"])) for entry in value["refused"]),
        tuple(value["warnings"]),
        tuple((name, content) for name, content in value.get("sources", ())),
        tuple(UnusedFile(**entry) for entry in value.get("unused", ())),
        tuple(SharedStretch(**entry) for entry in value.get("shared", ())),
    )


def _reporter(progress: Progress, start: float, share: float) -> OnProgress:
    """Reports a clip's part of the stage, and obeys a stop."""

    def on_progress(done: float, detail: str) -> None:
        progress.check(STAGE)
        progress.report(STAGE, start + share * done, detail)

    return on_progress
