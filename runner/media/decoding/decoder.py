"""Frames and photos out of untrusted files, decoded in a sandboxed process whose answers are checked.

A decoder that a hostile video took over can answer anything. It gains nothing by it: sizes, names and paths are ours,
numbers are checked, and an image is accepted only when it is a plain PNG of the size it must have.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from runner.media import png_check
from runner.media.decoding.answers import (
    check_frames_written,
    check_photos_written,
    cleaned,
    clip_surveys,
    identities,
    impossible,
    photo_surveys,
)
from runner.media.decoding.requests import (
    File,
    Identify,
    Identity,
    Request,
    SurveyPhotos,
    SurveyVideo,
    WriteFrames,
    WritePhotos,
)
from runner.media.lenses.reframe import written_side
from runner.media.photo.grouping import PhotoSurvey
from runner.media.selection.measures import ClipSurvey, FrameMeasures, file_name
from runner.media.settings import MAX_THREADS, FrameSettings
from runner.sandbox import lockdown
from runner.sandbox import run as sandbox_run
from runner.scene.frames import NO_CROP, Clip, ClipInfo, Crop
from runner.scene.progress import OnProgress
from runner.scene.sizes import shrink
from scenejobs.errors import Code, ConfigurationError, InputError, SceneJobError

COMMAND = (sys.executable, "-P", "-m", "runner.media.decoding.process")
ANSWER_BYTES = (1 << 16, 400)  # of the longest answer: once, and per frame that is allowed
PHOTO_ANSWER_BYTES = 1 << 17  # of one photo: most is its small image
PHOTOS_AT_ONCE = 32  # in one process: starting it takes longer than a photo, and it may have 64 open files
FRAME_OVERHEAD = 1.02  # deflate adds at most 5 bytes per 16 KiB to what cannot be compressed, a row of PNG one byte
FRAME_EXTRA_BYTES = 1 << 16

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WantedPhoto:
    """A photo that was chosen, and where it goes."""

    clip: Clip
    width: int  # as surveyed, before it is shrunk
    height: int
    path: Path  # its folder exists
    projection: str = ""  # see ClipInfo
    crop: Crop = NO_CROP  # see ClipInfo; width and height are without it


MakeRequest = Callable[[tuple[File, ...]], Request]  # from the files as the process has them
CheckAnswer = Callable[[Any, Sequence[Clip]], None]  # raises InputError for an answer that is none, or a refusal


@dataclass(frozen=True)
class _Work:
    """What one process is started for."""

    clips: Sequence[Clip]
    request: MakeRequest
    bounds: sandbox_run.Bounds
    folder: Path | None = None  # the only one it may write to


@dataclass(frozen=True)
class _Image:
    """An image that is asked for."""

    name: str  # as the process writes it
    width: int  # pixels, before it is shrunk
    height: int
    path: Path  # where it goes


class Decoder(Protocol):
    """The two passes over a clip or photos. Raises InputError when the clip cannot be used."""

    def survey(self, clip: Clip, on_progress: OnProgress) -> list[ClipSurvey]:
        """Its frames of each size, most of them first; the folders are still to be named."""

    def write(
        self, clip: Clip, info: ClipInfo, wanted: Sequence[FrameMeasures], folder: Path, on_progress: OnProgress
    ) -> None:
        """The wanted frames as folder/<index>.png; the folder is made here."""

    def survey_photos(self, photos: Sequence[Clip], on_progress: OnProgress) -> list[PhotoSurvey | InputError]:
        """For each photo its survey, or why it cannot be used."""

    def write_photos(self, wanted: Sequence[WantedPhoto], on_progress: OnProgress) -> list[tuple[Clip, InputError]]:
        """Those that could not be written, and why."""

    def identify(self, files: Sequence[Clip], on_progress: OnProgress) -> list[Identity | None]:
        """What each photo or video says of itself, without decoding it; None where it cannot be read."""


class Sandboxed:
    """A process of its own for each pass over each clip: a clip that breaks its decoder breaks nothing else."""

    def __init__(self, settings: FrameSettings, command: Sequence[str] = COMMAND) -> None:
        self._settings = settings
        self._command = command
        self._layers: list[str] | None = None

    def survey(self, clip: Clip, on_progress: OnProgress) -> list[ClipSurvey]:
        limits = self._settings.limits
        work = _Work([clip], lambda files: SurveyVideo(files[0], limits), self._bounds(0, 0))
        return clip_surveys(self._ask(work, on_progress), clip, limits)

    def write(
        self, clip: Clip, info: ClipInfo, wanted: Sequence[FrameMeasures], folder: Path, on_progress: OnProgress
    ) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
        limits, indices = self._settings.limits, tuple(frame.index for frame in wanted)
        side = written_side(info.projection, self._settings.long_side)
        images = [_Image(file_name(index), info.width, info.height, folder / file_name(index)) for index in indices]
        work = _Work([clip], lambda files: WriteFrames(files[0], limits, side, indices, info.crop), self._bounds(0, 0))
        self._write(work, images, check_frames_written, on_progress, side)

    def survey_photos(self, photos: Sequence[Clip], on_progress: OnProgress) -> list[PhotoSurvey | InputError]:
        found: list[PhotoSurvey | InputError] = []
        for part, some in _batches(photos, on_progress):
            found += self._survey_some(some, part)
        return found

    def write_photos(self, wanted: Sequence[WantedPhoto], on_progress: OnProgress) -> list[tuple[Clip, InputError]]:
        failed: list[tuple[Clip, InputError]] = []
        for projection in sorted({one.projection for one in wanted}):  # they are written at sizes of their own
            own = [one for one in wanted if one.projection == projection]
            failed += [one for part, some in _batches(own, on_progress) for one in self._write_some(some, part)]
        return failed

    def identify(self, files: Sequence[Clip], on_progress: OnProgress) -> list[Identity | None]:
        return [one for part, some in _batches(files, on_progress) for one in self._identify_some(some, part)]

    def _identify_some(self, files: Sequence[Clip], on_progress: OnProgress) -> list[Identity | None]:
        """Like `_survey_some`; what cannot be read says so when it is surveyed."""
        limits = self._settings.limits
        work = _Work(files, lambda opened: Identify(opened, limits), self._bounds(0, 0))
        try:
            return identities(self._ask(work, on_progress), files)
        except InputError:
            return (
                [None]
                if len(files) == 1
                else [one for clip in files for one in self._identify_some([clip], on_progress)]
            )

    def _write_some(self, some: Sequence[WantedPhoto], on_progress: OnProgress) -> list[tuple[Clip, InputError]]:
        """Like `_survey_some`."""
        limits, side = self._settings.limits, written_side(some[0].projection, self._settings.long_side)
        images = [_Image(file_name(n), one.width, one.height, one.path) for n, one in enumerate(some)]
        names, crops = tuple(image.name for image in images), tuple(one.crop for one in some)
        work = _Work(
            [one.clip for one in some], lambda files: WritePhotos(files, limits, side, names, crops), self._bounds(0, 0)
        )
        try:
            self._write(work, images, check_photos_written, on_progress, side)
        except InputError as exc:
            if len(some) == 1:
                return [(some[0].clip, exc)]
            log.warning("photos are written one by one: %s", exc)
            return [failed for one in some for failed in self._write_some([one], on_progress)]
        return []

    def _survey_some(self, photos: Sequence[Clip], on_progress: OnProgress) -> list[PhotoSurvey | InputError]:
        """One process for all of them; where it died, one for each, so that only the culprit is lost."""
        limits, side = self._settings.limits, self._settings.long_side
        bounds = replace(self._bounds(0, 0), answer_bytes=PHOTO_ANSWER_BYTES * len(photos))
        work = _Work(photos, lambda files: SurveyPhotos(files, limits, side), bounds)
        try:
            return photo_surveys(self._ask(work, on_progress), photos, limits)
        except InputError as exc:
            if len(photos) == 1:
                return [exc]
            log.warning("photos are looked at one by one: %s", exc)
            return [one for photo in photos for one in self._survey_some([photo], on_progress)]

    def _write(
        self, work: _Work, images: Sequence[_Image], check: CheckAnswer, on_progress: OnProgress,
        long_side: int | None = None,
    ) -> None:  # fmt: skip
        """The images that the process writes go to their paths, if they are what they must be."""
        shrunk = [shrink(image.width, image.height, long_side or self._settings.long_side) for image in images]
        most = max(int(width * height * 3 * FRAME_OVERHEAD) + FRAME_EXTRA_BYTES for width, height in shrunk)
        temporary = Path(tempfile.mkdtemp(prefix=".decoder-", dir=images[0].path.parent.parent))
        try:
            work = replace(work, bounds=self._bounds(len(images), most), folder=temporary)
            check(self._ask(work, on_progress), work.clips)
            for image, (width, height) in zip(images, shrunk, strict=True):
                if wrong := png_check.problem(temporary / image.name, width, height, most):
                    raise impossible(work.clips[0], f"picture {image.name} {wrong}")
                (temporary / image.name).rename(image.path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _ask(self, work: _Work, on_progress: OnProgress) -> Any:
        clips = work.clips
        about = clips[0].name if len(clips) == 1 else f"{clips[0].name} and {len(clips) - 1} further photos"
        with contextlib.ExitStack() as opened:
            files = tuple(File(clip.name, _open(clip, opened)) for clip in clips)
            try:
                return sandbox_run.run(
                    {**msgspec.to_builtins(work.request(files)), "writes": work.folder is not None},
                    about=about, bounds=work.bounds, mode=self._settings.sandbox.mode, command=self._command,
                    descriptors=[file.descriptor for file in files], folder=work.folder, on_progress=on_progress,
                    on_layers=self._note,
                )  # fmt: skip
            except SceneJobError as exc:
                raise cleaned(exc) from exc

    def _note(self, layers: list[str]) -> None:
        """Says once how far the decoder is closed in; refuses to go on when that is less than was asked for."""
        if layers == self._layers:
            return
        self._layers, lacking, mode = layers, lockdown.missing(layers), self._settings.sandbox.mode
        if mode == "require" and lacking:
            raise ConfigurationError(
                f"SANDBOX=require, but this system lacks {', '.join(lacking)}", code=Code.NO_SANDBOX,
                advice="use a kernel with seccomp and Landlock and a container that allows them, or SANDBOX=auto",
                stage="configuration",
            )  # fmt: skip
        log.log(logging.WARNING if lacking else logging.INFO, "videos are decoded behind: %s", ", ".join(layers))

    def _bounds(self, files: int, file_bytes: int) -> sandbox_run.Bounds:
        chosen = self._settings.sandbox
        once, per_frame = ANSWER_BYTES
        threads = min(MAX_THREADS, os.cpu_count() or 1)
        return sandbox_run.Bounds(
            lockdown.Ceilings(chosen.memory_bytes, math.ceil(chosen.time_s * threads), file_bytes),
            wall_s=chosen.time_s,
            silence_s=chosen.silence_s,
            answer_bytes=once + per_frame * self._settings.limits.max_decoded_frames,
            files=files + 1,  # one that is being written has another name
            folder_bytes=(files + 1) * file_bytes,
        )


def _open(clip: Clip, opened: contextlib.ExitStack) -> int:
    try:
        descriptor = os.open(clip.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as exc:
        raise InputError(f"{clip.name} is gone", advice="upload it again", code=Code.INPUT_GONE) from exc
    opened.callback(os.close, descriptor)
    return descriptor


Item = TypeVar("Item")


def _batches(items: Sequence[Item], on_progress: OnProgress) -> Iterator[tuple[OnProgress, Sequence[Item]]]:
    """As many as one process gets, each with the part of the progress that is its own."""
    for start in range(0, len(items), PHOTOS_AT_ONCE):
        some = items[start : start + PHOTOS_AT_ONCE]

        def part(done: float, detail: str, start: int = start, count: int = len(some)) -> None:
            on_progress((start + done * count) / len(items), detail)

        yield part, some
