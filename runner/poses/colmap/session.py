"""One scene's requests to the COLMAP process: where it works, whom it reports to, and how long each part may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runner.poses.colmap import client
from runner.poses.colmap.requests import AnswerT, Request
from runner.poses.settings import STAGE
from runner.scene.progress import Progress

EXTRACTED, MATCHED = 0.3, 0.75  # shares of the stage's time after which features and matches are done
PREPARE_LIMIT_S = 4 * 3600.0  # for features or matches: a stop for what hangs, not a budget
GRACE_S = 300.0  # for the mapper to end after its own time limit: it finishes a bundle adjustment first


class Ask(Protocol):
    """Gives a request to the COLMAP process and waits for the answer."""

    def __call__(self, request: Request[AnswerT], /) -> AnswerT: ...


class StageProgress:
    """Progress of the pose stage. It never goes back: a further rung begins where the last one was."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._reached = 0.0

    def report(self, start: float, end: float, done: int, of: int, what: str) -> None:
        """done of `of` steps of the part between two fractions of the stage."""
        self._reached = max(self._reached, start + (end - start) * min(1.0, done / max(of, 1)))
        self.progress.report(STAGE, self._reached, f"{min(done, of)} of {of} {what}")


@dataclass(frozen=True)
class Session:
    """Of one scene."""

    work: Path  # folder for databases and models
    progress: StageProgress
    threads: int  # -1: all cores
    seed: int

    def ask(
        self, request: Request[AnswerT], limit_s: float = PREPARE_LIMIT_S,
        watch: Callable[[int], None] = lambda _done: None,
    ) -> AnswerT:  # fmt: skip
        """Raises what `client.run` does."""
        return client.run(request, self.work, self.progress.progress, limit_s=limit_s, watch=watch)

    def asking(self, left_s: float | None) -> Ask:
        """For parts of a rung that has so much time left."""
        limit_s = prepare_limit_s(left_s)

        def ask(request: Request[AnswerT], /) -> AnswerT:
            return self.ask(request, limit_s)

        return ask


def prepare_limit_s(left_s: float | None) -> float:
    """For features or matches. left_s: what is left of the stage's budget; None: the rung is run whatever it takes."""
    return PREPARE_LIMIT_S if left_s is None else left_s + GRACE_S
