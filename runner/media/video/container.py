"""Opens an untrusted video file as a container, with everything forbidden that is not needed.

FFmpeg learns what it may touch before it sees a byte: three container families, one open descriptor and no name of any
kind, no references to other files. A playlist named .mp4 would else open URLs and other files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

import av
from av.container import InputContainer

from runner.files.packed import UNPACK, packed_as
from runner.media.settings import Limits
from runner.media.signatures import HEAD, looks_like_heif, looks_like_video
from runner.media.video.header import CONVERT
from runner.scene.frames import Clip
from scenejobs.errors import Code, InputError

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi"  # one string of demuxer names, as FFmpeg wants it
SAFE_OPTIONS = {
    "protocol_whitelist": "fd",  # the descriptor it is given: no path and no URL can be opened, whatever asks for it
    "format_whitelist": CONTAINERS,
    "enable_drefs": "0",  # QuickTime data references point to other files
    "use_absolute_path": "0",
}


@contextmanager
def open_container(clip: Clip, limits: Limits) -> Iterator[InputContainer]:
    """Raises InputError: INPUT_GONE, EMPTY_FILE, TOO_LARGE, NOT_A_VIDEO, CORRUPT_VIDEO."""
    with _opened(clip) as descriptor:
        _check_size(clip, descriptor, limits)
        if looks_like_heif(os.pread(descriptor, HEAD, 0)):  # the same container as MP4: one picture would be found
            cause = f"{clip.name} is a photo and not a video"
            raise InputError(cause, advice="name it .heic", code=Code.NOT_A_VIDEO)
        with _container(clip, descriptor) as container:
            yield container


@contextmanager
def _opened(clip: Clip) -> Iterator[int]:
    """A descriptor of the clip, at its beginning."""
    gone = InputError(f"{clip.name} is gone", advice="upload it again", code=Code.INPUT_GONE)
    try:
        if clip.descriptor is not None:
            descriptor = os.dup(clip.descriptor)
        else:
            descriptor = os.open(clip.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not block
    except OSError as exc:
        raise gone from exc
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise gone
        os.lseek(descriptor, 0, os.SEEK_SET)  # another descriptor of the same file shares its position
        yield descriptor
    finally:
        os.close(descriptor)


def _container(clip: Clip, descriptor: int) -> InputContainer:
    options = {**SAFE_OPTIONS, "fd": str(descriptor)}
    try:
        return av.open("fd:", options=options, metadata_errors="replace", timeout=(10, 10))
    except av.error.FFmpegError as exc:
        if isinstance(exc, MemoryError):
            raise
        if looks_like_video(os.pread(descriptor, HEAD, 0)):  # tells a damaged video from no video at all
            cause = f"{clip.name} is damaged or cut off: its index cannot be read"
            raise InputError(cause, advice="upload it again", code=Code.CORRUPT_VIDEO) from exc
        cause, advice = f"{clip.name} is not a video", CONVERT
        if packed := packed_as(os.pread(descriptor, HEAD, 0)):
            cause, advice = f"{cause}, but something packed ({packed})", UNPACK
        raise InputError(cause, advice=advice, code=Code.NOT_A_VIDEO) from exc


def _check_size(clip: Clip, descriptor: int, limits: Limits) -> None:
    size = os.fstat(descriptor).st_size
    if size == 0:
        raise InputError(f"{clip.name} is empty (0 bytes)", advice="upload it again", code=Code.EMPTY_FILE)
    if size > limits.max_file_bytes:
        cause = f"{clip.name} has {size:,} bytes; {limits.max_file_bytes:,} are allowed"
        raise InputError(cause, advice="cut it or record at a lower resolution", code=Code.TOO_LARGE)
