"""Whether the user of a scene has called it off while an attempt at it goes on (scenejobs/state/cancelling.py)."""

from __future__ import annotations

import logging

from runner.worker.periodic import Repeat, Repeating, Thread
from scenejobs.errors import Interrupted, SceneJobError
from scenejobs.ports import BlobStore
from scenejobs.state import cancelling

LOOK_S = 5.0  # between two looks: each is a request for a name that is not there

log = logging.getLogger(__name__)


class CalledOff:
    """Context manager around an attempt that began without a note: one that is there was written since."""

    def __init__(self, state: BlobStore, scene: str, repeat: Repeat = Thread) -> None:
        self._state, self._scene, self._repeat = state, scene, repeat
        self._found = False
        self._heartbeat: Repeating | None = None

    def __enter__(self) -> CalledOff:
        self._heartbeat = self._repeat("called off", self.look, LOOK_S)
        return self

    def __exit__(self, *_: object) -> None:
        if self._heartbeat is not None:
            self._heartbeat.end()

    def look(self) -> None:
        try:
            self._found = self._found or cancelling.is_noted(self._state, self._scene)
        except SceneJobError as exc:  # the next look tells
            log.debug("whether scene %s is called off could not be seen: %s", self._scene, exc)

    def is_set(self) -> bool:
        return self._found

    def check(self) -> None:
        """Raises Interrupted once it was seen."""
        if self._found:
            raise Interrupted(f"scene {self._scene} was cancelled")
