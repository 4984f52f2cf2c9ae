"""The inputs of a scene as captures: a clip (or its part that has one frame size), or the photos of one camera.

Each capture has one camera, one frame size and one folder of frames.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from runner.cache.store import StageCache
from runner.files.packed import UNPACK
from runner.media.decoding.decoder import Decoder
from runner.media.photo.grouping import PhotoSurvey, make_sets
from runner.media.photo.screenshots import out_of_apps
from runner.media.selection.detail_check import of_nothing
from runner.media.selection.measures import ClipSurvey, FrameMeasures, file_name
from runner.media.settings import Limits
from runner.media.signatures import HEAD, looks_like_video
from runner.media.too_many import too_many
from runner.media.track import place_at
from runner.scene.frames import Clip, ClipInfo, Frame, FrameSet, RefusedClip
from runner.scene.progress import OnProgress
from scenejobs.errors import Code, InputError, UnusedFile
from scenejobs.logs.setup import printable
from scenejobs.names import is_photo

STAGE = "frame_extraction"
CODEC_OF_PHOTOS = {"jpeg", "png", "tiff", "heif", "webp", "avif", "mixed"}

PhotoFacts = tuple[str | None, tuple[float, float] | None, float | None, int]  # time, place, altitude, turn
Sources = tuple[tuple[str, str], ...]  # Clip.name and SHA-256 of every file

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Media:
    """The files of a scene by what they are."""

    videos: tuple[Clip, ...]
    photos: tuple[Clip, ...]


@dataclass(frozen=True)
class Capture:
    """The survey of one camera's frames or photos, and their files."""

    survey: ClipSurvey
    clips: tuple[Clip, ...]  # the video, or the photo of each entry of survey.measures
    facts: tuple[PhotoFacts, ...] = ()  # of each photo
    left_out: tuple[UnusedFile, ...] = ()  # of the first set of photos: those of all sets that repeat another

    @property
    def info(self) -> ClipInfo:
        return self.survey.info

    @property
    def measures(self) -> tuple[FrameMeasures, ...]:
        return self.survey.measures

    @property
    def is_photos(self) -> bool:
        return bool(self.facts)

    def only(self, indices: Sequence[int]) -> Capture:
        """The same with these frames and no others."""
        survey = replace(self.survey, measures=tuple(self.measures[i] for i in indices))
        if not self.is_photos:
            return replace(self, survey=survey)
        return Capture(survey, tuple(self.clips[i] for i in indices), tuple(self.facts[i] for i in indices))

    def frames(self) -> list[Frame]:
        """Its frames, as the later stages know them."""
        info = self.info
        found = [
            Frame(
                f"{info.folder}/{file_name(frame.index)}",
                info.name,
                frame.index,
                frame.timestamp_s,
                frame.sharpness,
                gps=place_at(info.track, frame.timestamp_s),
            )
            for frame in self.measures
        ]
        if not self.is_photos:
            return found
        return [
            replace(frame, photo=clip.name, recorded_at=at, gps=gps, altitude_m=altitude_m, turned_deg=turned_deg)
            for frame, clip, (at, gps, altitude_m, turned_deg) in zip(found, self.clips, self.facts, strict=True)
        ]


def _facts_of(photo: PhotoSurvey | Frame) -> PhotoFacts:
    return photo.recorded_at, photo.gps, photo.altitude_m, photo.turned_deg


def sort_media(clips: Sequence[Clip]) -> Media:
    """A photo is what is named like one, unless it begins like a video: names of videos were never believed."""
    photos = [is_photo(clip.name) and not _begins_like_video(clip) for clip in clips]
    return Media(
        tuple(clip for clip, photo in zip(clips, photos, strict=True) if not photo),
        tuple(clip for clip, photo in zip(clips, photos, strict=True) if photo),
    )


def without_too_many(media: Media, limits: Limits, *, paired: bool = True) -> tuple[Media, list[RefusedClip]]:
    """The media without what is more than the limits. paired: videos that are named like photos may be theirs."""
    names = ([clip.name for clip in media.videos], [clip.name for clip in media.photos])
    more = too_many(*names, limits, paired=paired)
    if not more:
        return media, []
    videos, photos = (tuple(clip for clip in clips if clip.name not in more) for clips in (media.videos, media.photos))
    log.warning("%d files are left out, for example: %s", len(more), next(iter(more.values())))
    return Media(videos, photos), [RefusedClip(name, error.failure(STAGE)) for name, error in more.items()]


def survey_all(
    decoder: Decoder, media: Media, limits: Limits, on_progress: OnProgress
) -> tuple[list[Capture], list[RefusedClip]]:
    """First pass over everything. A film that shows nothing is not usable. Raises InputError when nothing is."""
    captures: list[Capture] = []
    errors: list[tuple[Clip, InputError]] = []
    total = len(media.videos) + len(media.photos)
    names = [clip.name for clip in media.videos]
    for number, (clip, folder) in enumerate(zip(media.videos, folder_names(names), strict=True)):
        try:
            parts = decoder.survey(clip, part_of(on_progress, number / total, 1 / total))
        except InputError as exc:
            errors.append((clip, exc))
            continue
        nothing = [of_nothing(clip.name, part.measures) for part in parts]
        if nothing[0] is not None and all(nothing):
            errors.append((clip, nothing[0]))
            continue
        parts = [part for part, error in zip(parts, nothing, strict=True) if error is None]
        captures.append(_named(Capture(parts[0], (clip,)), clip.name, folder))
        for part in parts[1:]:
            name = _part_name(clip.name, part.info, names)
            names.append(name)
            capture = _named(Capture(part, (clip,)), name, folder_names(names)[-1])
            captures.append(
                replace(capture, survey=replace(capture.survey, info=replace(capture.info, source=clip.name)))
            )
    if media.photos:
        of_photos = part_of(on_progress, len(media.videos) / total, len(media.photos) / total)
        found = decoder.survey_photos(media.photos, of_photos)
        errors += [(clip, one) for clip, one in zip(media.photos, found, strict=True) if isinstance(one, InputError)]
        usable = [one for one in found if isinstance(one, PhotoSurvey)]
        for photos in make_sets(out_of_apps(usable, limits)):
            name = _free(photos.survey.info.name, names)
            names.append(name)
            facts = tuple(map(_facts_of, photos.photos))
            capture = Capture(photos.survey, tuple(photo.clip for photo in photos.photos), facts, photos.left_out)
            captures.append(_named(capture, name, folder_names(names)[-1]))
    errors = [(clip, _encoded(clip, error)) for clip, error in errors]
    for _, error in errors:
        log.warning("a file is refused: %s", error)
    if not captures:
        raise _nothing(errors)
    return captures, [RefusedClip(clip.name, error.failure(STAGE)) for clip, error in errors]


def _encoded(clip: Clip, error: InputError) -> InputError:
    """Of what is no video and no photo, what its uploader said of it: an encoding leaves no mark in the bytes."""
    if not clip.encoding or error.code not in (Code.NOT_A_VIDEO, Code.NOT_A_PHOTO):
        return error
    cause = f"{error.cause}; it was uploaded with the Content-Encoding {printable(clip.encoding)[:40]}"
    return InputError(cause, advice=UNPACK, code=error.code, stage=error.stage, files=error.files)


def without(captures: Sequence[Capture], names: Container[str]) -> list[Capture]:
    """The captures without the files of these names."""
    kept = []
    for capture in captures:
        left = [index for index, clip in enumerate(capture.clips) if clip.name not in names]
        if left:
            kept.append(capture.only(left) if capture.is_photos else capture)
    return kept


def part_of(on_progress: OnProgress, start: float, share: float) -> OnProgress:
    """For a piece of the work that begins at `start` and is `share` of it."""
    return lambda done, detail: on_progress(start + share * done, detail)


def captures_again(chosen: FrameSet, media: Media) -> list[Capture] | None:
    """The captures of a stored choice, with the chosen frames only; None where it does not fit the files."""
    videos = {clip.name: clip for clip in media.videos}
    photos = {clip.name: clip for clip in media.photos}
    names = [*videos, *(info.name for info in chosen.clips if info.name not in videos)]
    folders = dict(zip(names, folder_names(names), strict=True))
    captures = []
    for info in chosen.clips:
        if folders.get(info.name) != info.folder:  # it comes from storage and becomes a path
            return None
        frames = [frame for frame in chosen.frames if frame.video == info.name]
        measures = tuple(FrameMeasures(frame.index, frame.timestamp_s, frame.sharpness, travel=0.0) for frame in frames)
        if info.codec in CODEC_OF_PHOTOS:
            clips = [photos.get(frame.photo or "") for frame in frames]
            facts = tuple(map(_facts_of, frames))
        else:
            clips, facts = [videos.get(info.source or info.name)], ()
        if None in clips:
            return None
        captures.append(Capture(ClipSurvey(info, measures), tuple(clip for clip in clips if clip), facts))
    return captures


def frame_set(captures: Sequence[Capture], sources: Sources) -> FrameSet:
    """Of all frames of the captures."""
    infos = tuple(capture.info for capture in captures)
    return FrameSet(infos, tuple(frame for capture in captures for frame in capture.frames()), sources=sources)


def hashed_sources(clips: Sequence[Clip], cache: StageCache | None) -> Sources:
    """The files of a scene by their content; nothing without a cache, and where one of them is gone."""
    try:
        return () if cache is None else tuple((clip.name, cache.content(clip.path)) for clip in clips)
    except OSError:  # one of them is gone or cannot be read: whoever decodes it has said so
        return ()


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


def _named(capture: Capture, name: str, folder: str) -> Capture:
    return replace(capture, survey=replace(capture.survey, info=replace(capture.info, name=name, folder=folder)))


def _part_name(clip: str, info: ClipInfo, names: Sequence[str]) -> str:
    """Of frames of another size, or with other black bars."""
    name, number = f"{clip} ({info.width}x{info.height})", 2
    while name in names:
        name, number = f"{clip} ({info.width}x{info.height}, {number})", number + 1
    return name


def _free(name: str, names: Sequence[str]) -> str:
    """A set of photos is never called like a file."""
    while name in names:
        name += " (photos)"
    return name


def _begins_like_video(clip: Clip) -> bool:
    try:
        descriptor = os.open(clip.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False  # whoever opens it says that it is gone
    try:
        head = os.pread(descriptor, HEAD, 0)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return looks_like_video(head)


def _nothing(errors: Sequence[tuple[Clip, InputError]]) -> InputError:
    if not errors:
        advice = "upload at least one video, or a set of photos"
        return InputError("the scene holds no video and no photo", advice=advice, code=Code.NO_VIDEO, stage=STAGE)
    first = errors[0][1]
    cause = "; ".join(error.cause for _, error in errors)
    files = tuple(clip.name for clip, _ in errors)
    error = InputError(cause, advice=first.advice, code=first.code, stage=STAGE, files=files)
    error.unused = tuple(UnusedFile(clip.name, one.cause) for clip, one in errors)
    return error
