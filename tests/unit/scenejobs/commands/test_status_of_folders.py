"""What commands tell of scenes in folders is what watch mode does there."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from scenejobs.commands.storage import open_from
from scenejobs.state.overview.status import scene_status


@pytest.mark.parametrize(
    ("env", "wait_s"),
    [
        ({"UPLOAD_STABILITY_TIMEOUT_SECS": "3"}, 3),
        ({"STABILITY_TIMEOUT_SECS": "30", "MAX_WAIT_SECONDS": "5"}, 30),
        ({"QUIET_SECONDS": "90"}, 90),
    ],
)
def test_a_scene_is_complete_after_the_wait_of_the_watch(env: dict[str, str], wait_s: float, tmp_path: Path) -> None:
    """`status` said a minute, whatever the watch waits for."""
    storage, dispatch = open_from({**env, "DATA_PATH": str(tmp_path)})
    storage.containers.input.write("lobby/a.mp4", b"x")
    (blob,) = storage.containers.input.list()
    told = scene_status(storage.containers, "lobby", settings=dispatch)
    assert told.expected is not None
    assert told.expected - blob.modified == timedelta(seconds=wait_s)
