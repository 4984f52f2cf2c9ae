"""What keeps a watch from working is told, whatever it is, and gone when it is gone."""

from __future__ import annotations

import ctypes.util
import errno
import json
import sys
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from function_app.wiring import assemble
from runner.process import gpu_driver, gpu_present
from scenejobs.adapters.memory import MemoryCompute
from scenejobs.adapters.open import open_folders
from scenejobs.settings.groups import DispatchSettings, WatchSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.state import layout
from scenejobs.state.overview.status import SceneStatus, State
from watch import http_server, metrics
from watch.loop import Watch
from watch.problems import DEVICE_S, STALLED_S, Device, Kind, Problem, Waiting, in_words, of_folders
from watch.rights import Rights
from watch.status import WatchStatus

GSPLAT = PipelineSettings(backend="gsplat")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_gpu_that_comes_later_is_found() -> None:
    clock, answers = Clock(), ["there is none", ""]
    device = Device(GSPLAT, clock, lambda: answers.pop(0))
    (told,) = device.problems()
    assert told == Problem(Kind.DEVICE, "BACKEND=gsplat needs a GPU, and there is none")
    assert device.problems() == [told], "each look would start a process"
    clock.now += DEVICE_S
    assert device.problems() == []


def test_only_a_backend_that_needs_a_gpu_asks_for_one() -> None:
    def look() -> str:
        raise AssertionError("it was asked for")

    for backend in ("auto", "cpu", "mock"):
        assert Device(PipelineSettings(backend=backend), look=look).problems() == []
    (told,) = Device(PipelineSettings(backend="gsplat", force_cpu=True), look=look).problems()
    assert "FORCE_CPU_BACKEND" in told.text


@pytest.mark.skipif(bool(ctypes.util.find_library("cuda")), reason="this machine has a driver")
def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_driver, "torch_cuda", lambda: (13, 0))
    assert "no NVIDIA driver" in gpu_present.why_none()


def test_a_torch_without_cuda_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_driver, "torch_cuda", lambda: None)
    assert "built without CUDA" in gpu_present.why_none()


def test_a_driver_that_ends_or_hangs_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_driver, "torch_cuda", lambda: (13, 0))
    assert "exit code -6" in gpu_present.why_none((sys.executable, "-c", "import os; os.abort()"))
    monkeypatch.setattr(gpu_present, "TIMEOUT_S", 0.2)
    assert "does not answer" in gpu_present.why_none((sys.executable, "-c", "import time; time.sleep(60)"))


def test_a_scene_that_is_blocked_is_told_by_name() -> None:
    blocked = SceneStatus(
        "lobby", State.BLOCKED, reason="deleting input/lobby/a.mp4: Permission denied", note="tomorrow"
    )
    (told,) = Waiting().problems([blocked, SceneStatus("hall", State.SETTLING)], 0, held=False)
    assert told == Problem(Kind.STUCK, "scene lobby: deleting input/lobby/a.mp4: Permission denied (tomorrow)", "lobby")


def test_a_scene_that_nobody_takes_is_told_after_a_while() -> None:
    """Not while a worker is there, which takes one after the other, nor where the reason is told already."""
    clock = Clock()
    waiting, scenes = Waiting(clock), [SceneStatus("lobby", State.QUEUED), SceneStatus("hall", State.ARCHIVING)]
    assert waiting.problems(scenes, 0, held=False) == []
    clock.now += STALLED_S
    assert [each.kind for each in waiting.problems(scenes, 0, held=False)] == [Kind.STUCK, Kind.STUCK]
    assert waiting.problems(scenes, 1, held=False) == []
    clock.now += STALLED_S
    assert waiting.problems(scenes, 0, held=False) == [], "the wait counts anew"
    clock.now += STALLED_S
    assert waiting.problems(scenes, 0, held=True) == []


def test_folders_that_cannot_be_written_to_are_named(status: WatchStatus) -> None:
    assert status.places is not None
    containers = open_folders(status.places).containers
    assert of_folders(status.workspace, containers, status.places) == []
    mark = status.places.output / ".scenejobs"
    for path in sorted(mark.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    mark.rmdir()
    told = of_folders(status.workspace / "gone", containers, status.places)
    assert [("gone" in each.text, "output" in each.text) for each in told] == [(True, False), (False, True)]


def test_health_and_numbers_tell_the_same(status: WatchStatus) -> None:
    """Each kind by a label that never changes; several at once."""

    def sample(name: str, **labels: str) -> float:
        families = text_string_to_metric_families(metrics.text(status, 10.0))
        found = [each for family in families for each in family.samples]
        return next(each.value for each in found if each.name == f"video_splat_{name}" and each.labels == labels)

    assert (sample("healthy"), sample("problem", kind="stuck")) == (1, 0)
    status.found = (
        Problem(Kind.STUCK, "scene a: x"),
        Problem(Kind.DEVICE, "no GPU"),
        Problem(Kind.STUCK, "scene b: y"),
    )
    body = json.loads(http_server.health(status, 10.0).body)
    assert body["reason"] == "scene a: x; scene b: y; no GPU"
    assert body["problems"][1] == {"kind": "device", "text": "no GPU"}
    assert (sample("healthy"), sample("problem", kind="stuck"), sample("problem", kind="device")) == (0, 2, 1)
    assert http_server.health_routes(status, 10.0)["/health/ready"]().status == 503


def test_of_many_some_are_named() -> None:
    assert in_words([Problem(Kind.STUCK, f"scene {n}") for n in range(9)]).endswith("scene 2; and 6 more")
    assert in_words([]) == ""


def test_each_scene_that_gets_stuck_is_told_in_the_log_and_once(
    status: WatchStatus, caplog: pytest.LogCaptureFixture
) -> None:
    """The words of each vary from look to look; the second was not told while the first lasted."""
    assert status.places is not None
    watch = watch_of(status)
    containers = open_folders(status.places).containers
    for scenes in (("attic",), ("attic", "lobby"), ("attic", "lobby")):
        for scene in scenes:
            text = f"no record, {len(scenes)}".encode()
            containers.input.write(f"{scene}/a.mp4", text)
            containers.state.write(layout.record_name(scene), text, metadata={"phase": "running"})
        watch.poll()
    told = [record.getMessage() for record in caplog.records if getattr(record, "event", "") == "watch.stuck"]
    assert [text.split(":")[1] for text in told] == [" scene attic", " scene lobby"]


def test_a_mount_that_is_gone_is_a_problem_and_ends_nothing(status: WatchStatus) -> None:
    class Gone(Rights):
        def begin(self) -> None:
            if hasattr(self, "_asked"):
                raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
            super().begin()

    assert status.places is not None
    watch = watch_of(status, Gone(status.places, 1))
    watch.poll()
    assert [each.kind for each in status.problems(10.0)] == [Kind.FOLDERS]
    assert "not connected" in status.last_error


def watch_of(status: WatchStatus, rights: Rights | None = None) -> Watch:
    """On the folders of the status, with workers that do nothing."""
    assert status.places is not None
    storage = open_folders(status.places)
    compute: Any = MemoryCompute()
    compute.trouble, compute.knows = "", lambda _: False
    app = assemble(storage.containers, storage.queues, compute, DispatchSettings(max_parallel_jobs=1), at_once=1)
    return Watch(
        storage.containers, storage.queues, app, compute, status, WatchSettings(), 1, status.places, rights=rights
    )
