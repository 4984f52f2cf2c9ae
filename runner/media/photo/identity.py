"""What tells that a video is the moving part of a photo: Apple's content identifier in both, and how long it lasts.

Runs in the sandboxed decoder. Reads headers and decodes no picture. Where the identifier lies is what ExifTool
documents: tag 0x0011 of Apple's maker note in the photo, `com.apple.quicktime.content.identifier` in the film.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from runner.media.decoding.requests import MAX_TEXT, Identity, Refused
from runner.media.photo.reader import maker_note
from runner.media.settings import Limits
from runner.media.video.container import open_container
from runner.media.video.header import best_stream, read_header
from runner.process.error_json import dump_error
from runner.scene.frames import Clip
from runner.scene.progress import OnProgress
from scenejobs.errors import InputError

QUICKTIME_KEY = "com.apple.quicktime.content.identifier"
APPLE = b"Apple iOS\0"  # a maker note begins with it, a version and the byte order; offsets count from its first byte
APPLE_HEAD = 14  # bytes
CONTENT_IDENTIFIER, ASCII = 0x0011, 2


def identify(files: Sequence[Clip], limits: Limits, on_progress: OnProgress) -> list[Identity | Refused]:
    """For each photo or video what it says of itself; Refused for what cannot be read, which says so again later."""
    answers: list[Identity | Refused] = []
    for number, clip in enumerate(files):
        on_progress(number / len(files), f"looking at {clip.name}")
        try:
            answers.append(_identity(clip, limits))
        except InputError as exc:
            answers.append(Refused(dump_error(exc)))
    return answers


def _identity(clip: Clip, limits: Limits) -> Identity:
    note = maker_note(clip, limits)
    if note is not None:
        return Identity(0.0, apple_identifier(note))
    with open_container(clip, limits) as container:
        stream, _ = best_stream(clip, container)
        header = read_header(container, stream)
        tags = {key.lower(): value for key, value in {**stream.metadata, **container.metadata}.items()}
        content_id = _printable(tags.get(QUICKTIME_KEY, ""))
        lasts_s = header.duration_s or header.stated_s
        return Identity(lasts_s, content_id, header.width, header.height, max(0, header.frame_count))


def apple_identifier(note: bytes) -> str | None:
    """Of a maker note: the content identifier; None where it is not Apple's, or has none."""
    order = {b"MM": ">", b"II": "<"}.get(note[APPLE_HEAD - 2 : APPLE_HEAD])
    if not note.startswith(APPLE) or order is None:
        return None
    try:
        (count,) = struct.unpack_from(order + "H", note, APPLE_HEAD)
        for entry in range(min(count, 256)):
            tag, kind, length, offset = struct.unpack_from(order + "HHII", note, APPLE_HEAD + 2 + 12 * entry)
            if (tag, kind) == (CONTENT_IDENTIFIER, ASCII) and 4 < length <= MAX_TEXT:
                return _printable(note[offset : offset + length].split(b"\0")[0].decode("ascii", "replace"))
    except struct.error:  # it is cut off
        return None
    return None


def _printable(text: str) -> str | None:
    return "".join(character for character in text if character.isprintable()).strip()[:MAX_TEXT] or None
