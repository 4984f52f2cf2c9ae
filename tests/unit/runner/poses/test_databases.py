"""What is asked of COLMAP's process for the features of few frames, of many, and after a first look that failed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from runner.poses.colmap.requests import Extract, Features, Motion, Motions
from runner.poses.colmap.session import Session
from runner.poses.coverage import Coverage
from runner.poses.databases import ENOUGH, MANY, Databases
from runner.poses.ladder import first_rung
from runner.poses.settings import PoseSettings
from runner.scene.frames import ClipInfo, Frame, FrameSet

SETTINGS = PoseSettings()


class Asked(Session):
    """A process that finds 500 features in each image and is not started."""

    def ask(self, request: Any, *_rest: Any) -> Any:
        if isinstance(request, Extract):
            SEEN.append(request)
            return Features(features={name: 500 for group in request.groups for name in group.names})
        return Motions(motions=tuple(Motion(verified=0, still=0, turned=0) for _ in request.lists))


SEEN: list[Extract] = []


def extracted(folder: Path, count: int, **changes: Any) -> set[float]:
    """The shares of features that were said to be enough. changes: of the first rung."""
    frames = tuple(Frame(f"a/{index:06d}.png", "a.mp4", index, index / 5, 1.0) for index in range(count))
    clip = ClipInfo("a.mp4", "a", count, 640, 480, 5.0, count / 5, "h264", 0)
    session = Asked(folder, cast(Any, None), 1, 0)
    databases = Databases(Coverage(FrameSet((clip,), frames)), folder / "frames", SETTINGS, session, None)
    SEEN.clear()
    databases.extracted(replace(first_rung(count, SETTINGS), **changes), None)
    return {request.enough for request in SEEN}


@pytest.mark.parametrize(
    ("count", "changes", "enough"),
    [
        (MANY, {}, 1.0),
        (MANY + 1, {}, ENOUGH),
        (MANY + 1, {"features": 2 * SETTINGS.features}, 1.0),
        (MANY + 1, {"sensitive": True}, 1.0),
    ],
)
def test_half_the_features_are_enough_at_the_first_look_at_many_frames_only(tmp_path, count, changes, enough) -> None:
    assert extracted(tmp_path, count, **changes) == {enough}
