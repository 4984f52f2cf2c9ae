"""Which videos may be the moving parts of photos, by their names: IMG_0001.HEIC and IMG_0001.MOV, in one folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath


def pairs_by_name(videos: Iterable[str], photos: Iterable[str]) -> dict[str, str]:
    """Videos named like a photo, each with that photo. So are IMG_1.HEIC.MOV, as some programs export it, and PXL_1.MP
    beside PXL_1.MP.jpg, as Google Photos does.
    """
    of_stem: dict[str, str] = {}
    for photo in photos:
        path = photo.casefold()
        of_stem.setdefault(path, photo)
        of_stem.setdefault(_without_suffix(path), photo)
    found = (
        (video, of_stem.get(_without_suffix(video.casefold())) or of_stem.get(video.casefold())) for video in videos
    )
    return {video: photo for video, photo in found if photo is not None}


def _without_suffix(name: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix else name
