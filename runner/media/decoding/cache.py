"""A decoder that surveys no video twice: what the first pass found is cached by the bytes of the file.

The answers pass the same checks as those of the process that decodes. Photos are surveyed anew, which takes less time
than a clip does, and images are written anew: they are larger than the clips they come from.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import msgspec

from runner.cache.store import StageCache, key
from runner.media.decoding.answers import clip_surveys
from runner.media.decoding.decoder import Decoder, WantedPhoto
from runner.media.decoding.requests import Identity, survey_message
from runner.media.photo.grouping import PhotoSurvey
from runner.media.selection.measures import ClipSurvey, FrameMeasures
from runner.media.settings import Limits
from runner.scene.frames import Clip, ClipInfo
from runner.scene.progress import OnProgress
from scenejobs.errors import InputError

SURVEY = "survey.json"

log = logging.getLogger(__name__)


class CachedDecoder:
    """Decoder. Asks the other one for what is not cached."""

    def __init__(self, decoder: Decoder, cache: StageCache, limits: Limits) -> None:
        self._decoder, self._cache, self._limits = decoder, cache, limits

    def survey(self, clip: Clip, on_progress: OnProgress) -> list[ClipSurvey]:
        try:
            name = f"survey-{key(self._cache.content(clip.path), asdict(self._limits))}"
        except OSError:  # it is gone, or cannot be read: the other one says so in the right words
            return self._decoder.survey(clip, on_progress)
        if (known := self._known(name, clip)) is not None:
            self._cache.used["surveys of videos"] += 1
            on_progress(1.0, f"{clip.name} is known")
            return known
        found = self._decoder.survey(clip, on_progress)
        self._cache.put(name, {SURVEY: msgspec.json.encode(survey_message(found))})
        return found

    def write(
        self, clip: Clip, info: ClipInfo, wanted: Sequence[FrameMeasures], folder: Path, on_progress: OnProgress
    ) -> None:
        self._decoder.write(clip, info, wanted, folder, on_progress)

    def survey_photos(self, photos: Sequence[Clip], on_progress: OnProgress) -> list[PhotoSurvey | InputError]:
        return self._decoder.survey_photos(photos, on_progress)

    def write_photos(self, wanted: Sequence[WantedPhoto], on_progress: OnProgress) -> list[tuple[Clip, InputError]]:
        return self._decoder.write_photos(wanted, on_progress)

    def identify(self, files: Sequence[Clip], on_progress: OnProgress) -> list[Identity | None]:
        return self._decoder.identify(files, on_progress)

    def _known(self, name: str, clip: Clip) -> list[ClipSurvey] | None:
        with tempfile.TemporaryDirectory() as folder:
            if not self._cache.get(name, [SURVEY], Path(folder)):
                return None
            try:
                return clip_surveys(msgspec.json.decode((Path(folder) / SURVEY).read_bytes()), clip, self._limits)
            except (InputError, ValueError, RecursionError) as exc:
                log.warning("what is cached of %s is not used: %s", clip.name, exc)
                self._cache.remove(name)
                return None
