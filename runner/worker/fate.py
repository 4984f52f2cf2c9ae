"""What becomes of a message when its scene was advanced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scenejobs.errors import SceneJobError
from scenejobs.state.blobs import InputBlob, Member


@dataclass(frozen=True)
class Acknowledge:
    """Nothing is left to do for the message. `outcome`: "succeeded", "dead_lettered", "cancelled", "nothing"."""

    outcome: str
    failure: SceneJobError | None = None


@dataclass(frozen=True)
class Requeue:
    """To be tried again after the delay. `failure`: of the attempt; None: none began."""

    delay_s: float
    failure: SceneJobError | None = None


class NothingNew(Exception):
    """Every new video and photo holds the bytes of a file of the published result."""

    def __init__(self, known: Mapping[InputBlob, Member]) -> None:
        super().__init__(f"{len(known)} uploads are part of the published result already")
        self.known = known
