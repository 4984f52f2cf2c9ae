"""What the decoder's process does with a request, and everything that it needs for it, loaded with this module."""

from __future__ import annotations

import encodings.ascii
import encodings.idna
import encodings.latin_1  # noqa: F401
from pathlib import Path
from typing import Any

import av.subtitles.stream  # noqa: F401  # PyAV and numpy load these two when they first need them
import msgspec
import numpy.ma  # noqa: F401  # for a median
from PIL import AvifImagePlugin, Image, MpoImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin  # noqa: F401

from runner.media.decoding.requests import (
    Answer,
    CloseIn,
    Done,
    File,
    Identify,
    Request,
    SurveyPhotos,
    SurveyVideo,
    WriteFrames,
    WritePhotos,
    survey_message,
)
from runner.media.photo import survey as photos
from runner.media.photo.identity import identify
from runner.media.video import survey as video
from runner.scene.frames import Clip
from runner.scene.progress import OnProgress

Image.preinit()


def decoded(request: Any) -> Request:
    """Raises msgspec.ValidationError for a request of another version."""
    found: Request = msgspec.convert(request, Request)
    return found


def work(request: Request, on_progress: OnProgress) -> Answer:
    """Raises InputError for a file that cannot be used; MemoryError; ResourceError for a full disk."""
    match request:
        case SurveyVideo(file, limits):
            return survey_message(video.survey(_clip(file), limits, on_progress))
        case WriteFrames(file, limits, long_side, indices, crop):
            video.write_frames(_clip(file), indices, Path(), long_side, limits, on_progress, crop)
            return Done()
        case SurveyPhotos(files, limits, long_side):
            return photos.survey([_clip(file) for file in files], long_side, limits, on_progress)
        case WritePhotos(files, limits, long_side, names, crops):
            return photos.write([_clip(file) for file in files], names, crops, Path(), long_side, limits, on_progress)
        case Identify(files, limits):
            return identify([_clip(file) for file in files], limits, on_progress)
        case CloseIn():
            return Done()


def _clip(file: File) -> Clip:
    return Clip(file.name, Path(), file.descriptor)
