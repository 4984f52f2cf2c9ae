"""Opens an untrusted video file as a container, with everything forbidden that is not needed.

FFmpeg learns what it may touch before it sees a byte: the containers below, one open descriptor and no name of any
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
from runner.media.signatures import (
    HEAD,
    looks_like_photo,
    looks_like_video,
    other_film,
    other_picture,
    stand_in,
)
from runner.media.video.header import CONVERT
from runner.scene.frames import Clip
from scenejobs.errors import Code, InputError
from scenejobs.names import is_unfinished

# What phones, cameras and usual editors write; none of them names other files. docs/SECURITY.md lists the same.
CONTAINERS = ",".join((
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi",
    "mpegts", "mpeg",  # camcorders (MTS, M2TS, MOD), television, DVD
    "asf", "flv", "ogg", "dv",  # older cameras, computers and web cameras
    "h264", "hevc", "mpegvideo",  # streams without a container, as small board computers record them
))  # one string of demuxer names, as FFmpeg wants it  # fmt: skip
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
        _check_no_picture(clip, os.pread(descriptor, HEAD, 0))
        with _container(clip, descriptor) as container:
            yield container


@contextmanager
def _opened(clip: Clip) -> Iterator[int]:
    """A descriptor of the clip, at its beginning. Where another one of it was is set again at the end."""
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
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, 0, os.SEEK_SET)  # another descriptor of the same file shares its position
        try:
            yield descriptor
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)
    finally:
        os.close(descriptor)


def _check_no_picture(clip: Clip, head: bytes) -> None:
    """HEIC and AVIF lie in the same container as MP4: one picture would be found. Raises InputError NOT_A_VIDEO."""
    if picture := other_picture(head):
        cause = f"{clip.name} is not a video, but a picture that is not read: {picture}"
        moves = ", or as MP4 if it moves" if head.startswith(b"GIF8") else ""
        raise InputError(cause, advice=f"export it as JPEG{moves}", code=Code.NOT_A_VIDEO)
    if looks_like_photo(head):
        advice = "export it as JPEG, or let its name end as its kind does (.jpg, .png, .tif, .heic, .webp, .avif)"
        raise InputError(f"{clip.name} is not a video, but a photo", advice=advice, code=Code.NOT_A_VIDEO)


def _container(clip: Clip, descriptor: int) -> InputContainer:
    options = {**SAFE_OPTIONS, "fd": str(descriptor)}
    try:
        return av.open("fd:", options=options, metadata_errors="replace", timeout=None)
    except av.error.FFmpegError as exc:
        if isinstance(exc, MemoryError):
            raise
        if looks_like_video(os.pread(descriptor, HEAD, 0)):  # tells a damaged video from no video at all
            if is_unfinished(clip.name):
                cause = f"{clip.name} was not finished by the program that wrote it, as its name says"
                advice = "let the download or copy end, and upload the file that it leaves"
                raise InputError(cause, advice=advice, code=Code.CORRUPT_VIDEO) from exc
            cause = f"{clip.name} is damaged or cut off: its index cannot be read"
            raise InputError(cause, advice="upload it again", code=Code.CORRUPT_VIDEO) from exc
        cause, advice = f"{clip.name} is not a video", CONVERT
        head = os.pread(descriptor, HEAD, 0)
        if packed := packed_as(head):
            cause, advice = f"{cause}, but something packed ({packed})", UNPACK
        elif other := other_film(head):
            cause = f"{clip.name} is a video in a container that is not read: {other}"
        elif found := stand_in(head):
            cause, advice = f"{cause}, but {found[0]}", found[1]
        raise InputError(cause, advice=advice, code=Code.NOT_A_VIDEO) from exc


def _check_size(clip: Clip, descriptor: int, limits: Limits) -> None:
    size = os.fstat(descriptor).st_size
    if size == 0:
        raise InputError(f"{clip.name} is empty (0 bytes)", advice="upload it again", code=Code.EMPTY_FILE)
    if size > limits.max_file_bytes:
        cause = f"{clip.name} has {size:,} bytes; {limits.max_file_bytes:,} are allowed"
        advice = "cut it, record at a lower resolution, or raise MAX_VIDEO_BYTES"
        raise InputError(cause, advice=advice, code=Code.TOO_LARGE)
