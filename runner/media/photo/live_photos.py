"""Live Photos: a photo and two or three seconds of film around it. The film is left out: the photo shows it better.

Sixteen such films would take four fifths of the frames, show one place each, and lie beside their own photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runner.media.captures import Media
from runner.media.decoding.decoder import Decoder
from runner.media.decoding.requests import Identity
from runner.scene.frames import Clip
from runner.scene.inputs.live_photos import pairs_by_name
from runner.scene.progress import OnProgress
from scenejobs.errors import UnusedFile
from scenejobs.wording import listed

LONGEST_S = 4.0  # of the moving part of a photo, where only its name tells that it is one
NAMED = 5  # films in one warning


@dataclass(frozen=True)
class WithoutLive:
    """The files of a scene without the moving parts of its photos."""

    media: Media
    unused: tuple[UnusedFile, ...] = ()
    warnings: tuple[str, ...] = ()


def without_moving_parts(decoder: Decoder, media: Media, on_progress: OnProgress) -> WithoutLive:
    """A film is a photo's if their content identifiers are equal, or if it is named like it and lasts 4 s at most."""
    if not media.videos or not media.photos:
        return WithoutLive(media)
    files = [*media.photos, *media.videos]
    known = dict(zip((clip.name for clip in files), decoder.identify(files, on_progress), strict=True))
    photo_of = moving_parts(media.videos, media.photos, known)
    if not photo_of:
        return WithoutLive(media)
    left = tuple(clip for clip in media.videos if clip.name not in photo_of)
    unused = tuple(UnusedFile(name, f"the moving part of the photo {photo}", photo) for name, photo in photo_of.items())
    names = listed([*photo_of], NAMED)
    many = f"{len(photo_of)} videos are the moving parts of photos (Live Photos) and are" if len(photo_of) > 1 else ""
    what = many or "1 video is the moving part of a photo (Live Photo) and is"
    return WithoutLive(Media(left, media.photos), unused, (f"{what} left out for them: {names}",))


def moving_parts(
    videos: Sequence[Clip], photos: Sequence[Clip], known: dict[str, Identity | None]
) -> dict[str, str]:  # fmt: skip
    """Pure: the names of films that belong to photos, each with its photo. known: None for what cannot be read."""
    readable = [clip.name for clip in photos if known[clip.name] is not None]
    of_id = {one.content_id: name for name in reversed(readable) if (one := known[name]) and one.content_id}
    by_name = pairs_by_name([clip.name for clip in videos], readable)
    found: dict[str, str] = {}
    for clip in videos:
        one = known[clip.name]
        if one is None:
            continue
        if one.content_id in of_id:
            found[clip.name] = of_id[one.content_id]
        elif clip.name in by_name and 0 < one.duration_s <= LONGEST_S:
            found[clip.name] = by_name[clip.name]
    return found
