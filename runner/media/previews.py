"""The small copies that cameras keep beside their recordings: `.LRV` of GoPro, `.LRF` of DJI, `LRV_...` of Insta360.

They are ordinary MP4 files of the same film, so beside it they are copies that would take its frames.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from runner.media.captures import Media
from scenejobs.errors import UnusedFile

PREVIEWS = frozenset({".lrv", ".lrf"})
ONLY_PREVIEW = "it is the small preview of a recording: upload the recording itself for a sharper scene"
_GOPRO = re.compile(r"G[A-Z](\d{6})")  # GX010042.MP4, GH..., GS....360 and GL010042.LRV
_INSTA360 = re.compile(r"(?:PRO_)?(?:VID|LRV)_(\d{8}_\d{6})_\d\d_(\d{3})")  # VID_20240101_120000_00_001.insv


def is_preview(name: str) -> bool:
    """By the name that cameras give it."""
    path = PurePosixPath(name)
    return path.suffix.lower() in PREVIEWS or path.stem.upper().startswith(("LRV_", "PRO_LRV_"))


def previews(names: Sequence[str]) -> dict[str, str]:
    """Of the names of a scene's videos, those of previews, each with the recording that it is of."""
    recordings = {_key(name): name for name in names if not is_preview(name)}
    return {name: recordings[key] for name in names if is_preview(name) and (key := _key(name)) in recordings}


def without_previews(media: Media) -> tuple[Media, tuple[UnusedFile, ...]]:
    """The files without the previews of recordings that are among them; and these previews."""
    found = previews([clip.name for clip in media.videos])
    left = tuple(clip for clip in media.videos if clip.name not in found)
    unused = (UnusedFile(name, f"the small preview of {recording}", recording) for name, recording in found.items())
    return Media(left, media.photos), tuple(unused)


def said_of_previews(media: Media) -> tuple[str, ...]:
    """Warnings about previews whose recordings are not there."""
    return tuple(f"{clip.name}: {ONLY_PREVIEW}" for clip in media.videos if is_preview(clip.name))


def _key(name: str) -> tuple[str, ...]:
    """Equal for a recording and its preview: folder and number."""
    path = PurePosixPath(name)
    stem = path.stem.upper()
    for pattern in (_GOPRO, _INSTA360):
        if match := pattern.fullmatch(stem):
            return str(path.parent), *match.groups()
    return str(path.parent), stem
