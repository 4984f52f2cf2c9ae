"""What people put into a watched folder that is no file of theirs: told, never opened, in nobody's way."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from function_app.wiring import App, assemble
from runner.process.signals import StopFlag
from runner.worker.context import WorkerContext
from runner.worker.lease import Timing
from runner.worker.loop import Worker
from scenejobs.adapters.folder import FolderClock, Places, open_containers, open_queues
from scenejobs.adapters.memory import MemoryCompute
from scenejobs.audit.report import audit
from scenejobs.audit.snapshot import collect
from scenejobs.errors import NotFound
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings, RunnerSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.state.incoming.refused import refused_uploads, remove
from scenejobs.state.incoming.uploads import list_scene
from tests.runner_world import echo_job
from watch.stable_folder import StableFolder

SETTINGS = DispatchSettings(quiet_s=0, max_wait_s=float("inf"))
WHAT = {
    "lobby/dangling.mp4": "symbolic link",
    "lobby/hard.mp4": "hard link",
    "lobby/link.mp4": "symbolic link",
    "lobby/pipe.mp4": "named pipe",
    "lobby/socket.mp4": "socket",
    "lobby/zero.mp4": "symbolic link",
    "others": "symbolic link",
}


@dataclass
class Desk:
    """A watched folder, and what looks at it."""

    root: Path
    ahead_s: float = 0.0

    def __post_init__(self) -> None:
        places = Places.below(self.root / "data")
        opened = open_containers(places)
        self.watched = StableFolder(places.input, "input", clock=self.clock)
        self.containers: Containers = replace(opened, input=self.watched)
        self.queues: Queues = open_queues(places)
        self.app: App = assemble(self.containers, self.queues, MemoryCompute(), SETTINGS)

    @property
    def input(self) -> Path:
        return self.root / "data" / "input"

    def clock(self) -> datetime:
        return FolderClock(self.root / "data" / "state")() + timedelta(seconds=self.ahead_s)

    def look(self) -> int:
        """Twice, with time in between, as a file must be seen twice; returns how many refusals were new."""
        found = self.app.sweeper.sweep().refused
        self.ahead_s += 60
        return found + self.app.sweeper.sweep().refused

    def work(self) -> int:
        settings = RunnerSettings(idle_polls=1, idle_wait_s=0, min_free_gb=0, workspace=str(self.root / "scratch"))
        context = WorkerContext(
            containers=self.containers, leases=self.containers.state, queues=self.queues, settings=settings,
            pipeline=PipelineSettings(backend="mock"), run_job=echo_job, stop=StopFlag(),
            now=lambda: datetime.now(UTC),
        )  # fmt: skip
        return Worker(context, Timing()).drain()


@pytest.fixture
def desk(quick_disk: Path) -> Iterator[Desk]:
    """One good file, and one of each kind of trap. Whoever opens the pipe is noticed by its writer."""
    (quick_disk / "data" / "state").mkdir(parents=True)
    desk = Desk(quick_disk)
    others = quick_disk / "others"
    for folder in (desk.input / "lobby", others, quick_disk / "scratch"):
        folder.mkdir(parents=True)
    (others / "secret.mp4").write_bytes(b"secret")
    (desk.input / "lobby/good.mp4").write_bytes(b"good")
    os.symlink(others / "secret.mp4", desk.input / "lobby/link.mp4")
    os.symlink(others / "nothing.mp4", desk.input / "lobby/dangling.mp4")
    os.symlink("/dev/zero", desk.input / "lobby/zero.mp4")
    os.symlink(others, desk.input / "others")
    os.link(others / "secret.mp4", desk.input / "lobby/hard.mp4")
    os.mkfifo(desk.input / "lobby/pipe.mp4")
    here = os.getcwd()
    os.chdir(desk.input / "lobby")  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as planted:
            planted.bind("socket.mp4")
            yield desk
    finally:
        os.chdir(here)


def test_what_is_no_file_is_told_and_the_scene_goes_on_without_it(desk: Desk) -> None:
    opened: list[str] = []

    def writer() -> None:
        """Waits until somebody opens the pipe for reading."""
        os.close(os.open(desk.input / "lobby/pipe.mp4", os.O_WRONLY))
        opened.append("pipe")

    thread = threading.Thread(target=writer, daemon=True)
    thread.start()
    assert desk.look() == len(WHAT)
    assert desk.work() == 0
    assert [(blob.name, desk.containers.processed.read(blob.name)[0]) for blob in desk.containers.processed.list()] == [
        ("lobby/good.mp4", b"good")
    ]
    found = {item.blob.name: item.reason for item in refused_uploads(desk.containers, 1)}
    assert found.keys() == WHAT.keys()
    assert all(what in found[name] for name, what in WHAT.items())
    assert desk.look() == 0  # told once
    assert list_scene(desk.watched, "lobby", 1) == ()
    assert (desk.root / "others/secret.mp4").read_bytes() == b"secret"
    assert not opened
    with open(desk.input / "lobby/pipe.mp4", "rb"):  # ends the thread
        thread.join()


def test_the_audit_tells_of_them_and_blames_nobody(desk: Desk) -> None:
    desk.look()
    desk.work()
    evidence = collect(desk.containers, desk.queues, DispatchSettings(), 3, desk.clock())
    report = audit(evidence, None)
    assert report.violations == ()
    told = [finding.what for finding in report.findings]
    assert all(any(f"{name!r} is refused: it is a" in what for what in told) for name in WHAT)


def test_an_operator_removes_one_and_what_it_leads_to_stays(desk: Desk) -> None:
    """Through the folder as the command opens it."""
    containers = replace(desk.containers, input=open_containers(Places.below(desk.root / "data")).input)
    for name in WHAT:
        assert remove(containers, 1, name, apply=True).blob.name == name
    assert [blob.name for blob in containers.input.list()] == ["lobby/good.mp4"]
    assert (desk.root / "others/secret.mp4").read_bytes() == b"secret"
    with pytest.raises(NotFound):
        containers.input.delete("lobby/link.mp4")


def test_a_second_name_that_goes_leaves_an_upload_like_any_other(desk: Desk) -> None:
    """Some programs link a finished file to its place, and take its first name away."""
    desk.look()
    (desk.root / "others/secret.mp4").unlink()
    desk.look()
    desk.work()
    assert "lobby/hard.mp4" in {blob.name for blob in desk.containers.processed.list()}


def test_a_file_that_we_wrote_may_have_a_second_name(desk: Desk) -> None:
    """Killed while it gives a file its name, a redrive leaves the name it was written under."""
    desk.watched.write("attic/a.mp4", b"brought back", if_absent=True)
    os.link(desk.input / "attic/a.mp4", desk.root / "staged")
    assert [blob.unusable for blob in desk.watched.list("attic/")] == [""]
