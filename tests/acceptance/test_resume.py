"""A job stopped or killed on one machine is finished by another, from where it was, through the storage alone."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from runner.worker.saved_work.resume_store import POINTER
from scenejobs.ports import Containers, Queues
from scenejobs.settings.storage import StorageSettings
from scenejobs.state.record import Phase
from tests.azurite_scene import LEASE_S, Scene, names, wait_for
from tests.synthetic import render, walk
from tests.videos import write_video

pytestmark = [pytest.mark.azurite, pytest.mark.slow]

SMALL = {
    "BACKEND": "cpu", "PRESET": "smoke", "THREADS": "1", "MIN_VIDEO_WIDTH": "320", "MIN_VIDEO_HEIGHT": "240",
    "COLMAP_MAX_NUM_FEATURES": "600", "MIN_RECONSTRUCTION_POINTS": "200",
}  # fmt: skip


@pytest.fixture
def scene(storage: StorageSettings, containers: Containers, queues: Queues, tmp_path: Path) -> Scene:
    return Scene(storage, containers, queues, tmp_path)


def machine(scene: Scene, name: str) -> dict[str, str]:
    """A disk of its own."""
    return {"TEMP_PATH": str(scene.folder / name)}


def step_of(scene: Scene) -> int:
    found = re.search(r"step (\d+)/", scene.progress().get("detail", ""))
    return int(found[1]) if found else 0


def saved_files(scene: Scene) -> list[str]:
    """What the pointer names."""
    pointers = [name for name in names(scene.containers.state) if name.endswith(f"/{POINTER}")]
    return [part["file"] for name in pointers for part in json.loads(scene.containers.state.read(name)[0])["parts"]]


def output(scene: Scene, file: str) -> Any:
    return json.loads(scene.containers.output.read(f"lobby/{file}")[0])


def test_sigterm_in_training_saves_the_state_and_another_machine_goes_on(scene: Scene) -> None:
    """The real pipeline on a small rendered room: no pose is found twice, no step is done twice."""
    video = write_video(scene.folder / "room.mp4", [render(*pose) for pose in walk(14)], fps=5)
    scene.upload("lobby/room.mp4", video.read_bytes())
    scene.queue()
    with scene.running(**SMALL, **machine(scene, "a")) as process:
        wait_for(lambda: step_of(scene) >= 100, process, seconds=300)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 143
        assert time.monotonic() - began < 20
    record = scene.record()
    assert (record.phase, record.attempts, record.preemptions) == (Phase.IDLE, 0, 1)
    assert list((scene.folder / "a").iterdir()) == [], "the first machine kept something"
    assert "training/state.npz" in saved_files(scene)

    done = scene.run(**SMALL, **machine(scene, "b"))
    assert done.returncode == 0, done.stderr
    resumed = output(scene, "metrics.json")["resumed"]
    assert (resumed["found"], resumed["times"]) == (["frames", "sparse"], 1)
    assert resumed["at_steps"][0] >= 100
    assert output(scene, "manifest.json")["resumed"] == resumed
    assert output(scene, "metrics.json")["steps"] == 500
    assert output(scene, "metrics.json")["psnr_heldout"] > 18
    log = scene.containers.output.read(f"lobby/runs/{scene.record().run}/run.log")[0].decode()
    assert f"resumed at step {resumed['at_steps'][0]} of 500" in log
    assert not [name for name in names(scene.containers.state) if name.startswith("work/")]


def test_what_was_saved_before_a_kill_is_gone_on_from(scene: Scene) -> None:
    """No signal, no last word: the machine is gone."""
    scene.upload("lobby/view1.mp4", b"first")
    scene.queue()
    settings = {"MOCK_SECONDS": "12", "CHECKPOINT_INTERVAL_SECS": "2"}
    with scene.running(**settings, **machine(scene, "a")) as process:
        wait_for(lambda: "training/state.npz" in saved_files(scene), process)
        process.kill()
    time.sleep(LEASE_S)
    scene.queue()  # as the sweep does; the first message is hidden for longer than this test wants to wait
    done = scene.run(**settings, **machine(scene, "b"))
    assert done.returncode == 0, done.stderr
    resumed = output(scene, "metrics.json")["resumed"]
    assert (resumed["found"], resumed["times"]) == (["frames", "sparse"], 1)
    assert 0 < resumed["at_steps"][0] < 120
    assert not [name for name in names(scene.containers.state) if name.startswith("work/")]
