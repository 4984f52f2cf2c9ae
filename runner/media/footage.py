"""What the headers of a scene's films say, for an estimate before anything is decoded: length, size, frames."""

from __future__ import annotations

from collections.abc import Sequence

from runner.media.decoding.decoder import Decoder, Sandboxed
from runner.media.settings import FrameSettings
from runner.scene.frames import Clip
from scenejobs.estimate.footage import File, Footage
from scenejobs.names import is_photo, is_video


def read_footage(clips: Sequence[Clip], settings: FrameSettings, decoder: Decoder | None = None) -> Footage:
    """The headers are read in the sandboxed decoder; of a film that cannot be read its size alone is known.

    Raises ConfigurationError NO_SANDBOX.
    """
    films = [clip for clip in clips if is_video(clip.name)]
    said = (decoder or Sandboxed(settings)).identify(films, lambda *_: None) if films else []
    found = []
    for film, one in zip(films, said, strict=True):
        size = film.path.stat().st_size
        if one is None:
            found.append(File(film.name, size))
        else:
            found.append(
                File(film.name, size, one.duration_s or None, one.frames or None, one.width or None, one.height or None)
            )
    photos = [File(clip.name, clip.path.stat().st_size) for clip in clips if is_photo(clip.name)]
    return Footage((*found, *photos))
