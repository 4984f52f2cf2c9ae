"""Uploads the first look that a job leaves in its workspace, and removes it when the run ends. Best effort."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from runner.worker.periodic import Repeat, Repeating, Thread
from scenejobs.errors import SceneJobError
from scenejobs.names import PREVIEW_FILES, PREVIEW_FOLDER
from scenejobs.ports import BlobStore
from scenejobs.state import previews
from scenejobs.state.layout import preview_name

INTERVAL_S = 3.0  # between two looks into the workspace
TYPES = {".html": "text/html; charset=utf-8", ".jpg": "image/jpeg", ".json": "application/json"}

log = logging.getLogger(__name__)


class FirstLook:
    """Context manager around one run of a job. What earlier runs left is removed before it, its own after it."""

    def __init__(
        self, state: BlobStore, scene: str, run: str, workspace: Path, on_sent: Callable[[], None],
        repeat: Repeat = Thread,
    ) -> None:  # fmt: skip
        """on_sent: called once, when it can be looked at."""
        self._state, self._scene, self._run = state, scene, run
        self._folder = workspace / PREVIEW_FOLDER
        self._on_sent = on_sent
        self._repeat = repeat
        self._looking: Repeating | None = None
        self._sent = self._failed = self._ended = False

    def __enter__(self) -> FirstLook:
        remove(self._state, self._scene)
        self._looking = self._repeat("first look", self.look, INTERVAL_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True  # first: a slow look that outlasts it takes back what it stored
        if self._looking is not None:
            self._looking.end()
        if self._sent or self._failed:  # its own: where the lease was lost, the scene has another's by now
            remove(self._state, self._scene, self._run)

    def look(self) -> None:
        """Uploads it once it is whole, the file that tells of it last."""
        if self._sent or self._failed or self._ended or not (self._folder / PREVIEW_FILES[-1]).is_file():
            return
        try:
            for name in PREVIEW_FILES:
                path = self._folder / name
                if path.is_file():
                    self._state.upload(
                        path, preview_name(self._scene, self._run, name), content_type=TYPES.get(path.suffix)
                    )
            self._sent = True
            self._on_sent()
        except (SceneJobError, OSError) as exc:  # OSError: the workspace went, with the end of the job
            self._failed = True
            log.warning("the first look of scene %s could not be stored: %s", self._scene, exc)
        if self._ended:
            remove(self._state, self._scene, self._run)


def remove(state: BlobStore, scene: str, run: str = "") -> None:
    """Of one run, or of all. What is left is found by the next attempt, or a sweep."""
    try:
        previews.remove(state, scene, run)
    except SceneJobError as exc:
        log.warning("the first look of scene %s is left: %s", scene, exc)
