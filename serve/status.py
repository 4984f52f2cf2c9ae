"""The state of a running serve process: that of a watch, with one disk and no folders of scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scenejobs.state.overview.status import SceneStatus
from watch.problems import Kind, Problem
from watch.status import WatchStatus


@dataclass
class ServeStatus(WatchStatus):
    """Written by the loop, read by the threads that serve health and metrics."""

    last_error: str = "the containers were not looked at yet"
    knows: Callable[[str], bool] = lambda _: False  # whether an execution was started here

    def is_mine(self, scene: SceneStatus) -> bool:
        """Several machines work on the scenes of one account."""
        return self.knows(scene.execution)

    def unwell(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Not for a scene that is stuck: it is the account's, and this machine works on the others."""
        return tuple(each for each in problems if each.kind is not Kind.STUCK)
