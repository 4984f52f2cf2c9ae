"""Every scene that waits says why, and until when."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runner.commands.first_preflight import keep_refusal
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.errors import AccessDenied, Code, ConfigurationError, Failure
from scenejobs.ports import Containers
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import activity, layout
from scenejobs.state.executions import usage
from scenejobs.state.executions.start_backoff import StarterState
from scenejobs.state.incoming import batches
from scenejobs.state.incoming.uploads import list_scene, snapshot
from scenejobs.state.overview.status import SceneStatus, State, scene_status
from scenejobs.state.record import SceneRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = DispatchSettings(quiet_s=60, max_wait_s=1800, max_parallel_jobs=1, upload_stalled_s=600)
FAILURE = Failure("training", "DISK_FULL", "no space left", "a larger disk")
DAY = timedelta(days=1)


class Desk:
    """Containers with a clock, and what a user sees."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        names = ("input", "output", "processed", "error", "state")
        self.containers = Containers(*(MemoryBlobStore(name, self.clock) for name in names))
        self.input, self.state = self.containers.input, self.containers.state
        assert isinstance(self.input, MemoryBlobStore)

    def upload(self, name: str = "lobby/a.mp4", data: bytes = b"video") -> None:
        self.input.write(name, data)

    def seal(self, scene: str = "lobby") -> None:
        stored = batches.create(
            self.state, batches.Batch(scene, snapshot(list_scene(self.input, scene, 1)), NOW, "quiet")
        )
        assert stored is not None
        assert batches.stamp(self.state, stored, NOW)

    def put(self, record: SceneRecord) -> None:
        self.state.write(layout.record_name(record.scene), json.dumps(record.to_json()).encode())

    def running(self, scene: str, fraction: float | None, *, begun: datetime = NOW) -> SceneRecord:
        """A record whose run is so far."""
        record = SceneRecord(scene).attempted("r", snapshot(list_scene(self.input, scene, 1)), begun)
        activity.mark(self.state, scene)
        self.put(record)
        if fraction is not None:
            body = {"run": "r", "stage": "training", "total_fraction": fraction, "detail": "", "eta_s": None}
            self.state.write(layout.progress_name(scene), json.dumps(body).encode())
        usage.write(self.state, f"x-{scene}", begun, self.clock().date(), 60.0)
        return record

    def starter(self, starter: StarterState) -> None:
        self.state.write(layout.DISPATCHER_RECORD, json.dumps(starter.to_json()).encode())

    def status(self, scene: str = "lobby", settings: DispatchSettings = SETTINGS) -> SceneStatus:
        return scene_status(self.containers, scene, settings=settings)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def seen(status: SceneStatus) -> tuple[str, datetime | None]:
    return status.line(), status.expected


def test_the_quiet_time(desk: Desk) -> None:
    desk.upload()
    expected = NOW + timedelta(seconds=60)
    line = "lobby: settling, 1 upload, complete at 2026-01-01 00:01:00 UTC if nothing more comes"
    assert seen(desk.status()) == (line, expected)


def test_the_longest_wait(desk: Desk) -> None:
    desk.upload()
    desk.clock.advance(1790)
    desk.upload("lobby/b.mp4")
    line = "lobby: settling, 2 uploads, complete at 2026-01-01 00:30:00 UTC, the longest wait"
    assert seen(desk.status()) == (line, NOW + timedelta(seconds=1800))


def test_no_longest_wait_is_no_date_that_does_not_exist(desk: Desk) -> None:
    desk.upload()
    status = desk.status(settings=replace(SETTINGS, max_wait_s=float("inf")))
    assert status.expected == NOW + timedelta(seconds=60)


def test_an_upload_in_blocks(desk: Desk) -> None:
    desk.upload()
    desk.input.stage_block("lobby/b.mp4", "1", bytes(2_500_000))  # type: ignore[attr-defined]
    line = (
        "lobby: uploading, 1 upload, lobby/b.mp4: 2.5 MB since 2026-01-01 00:00:00 UTC; "
        "without more it is left out at 2026-01-01 00:10:00 UTC"
    )
    assert seen(desk.status()) == (line, NOW + timedelta(seconds=600))
    assert desk.status().state is State.UPLOADING


def test_an_upload_that_is_all_there_is(desk: Desk) -> None:
    desk.input.stage_block("lobby/b.mp4", "1", b"1")  # type: ignore[attr-defined]
    assert desk.status().state is State.UPLOADING
    assert scene_status(desk.containers, "lobby").state is State.UPLOADING, "without settings too"


def test_a_blob_of_no_bytes_yet(desk: Desk) -> None:
    desk.upload(data=b"")
    assert desk.status().state is State.UPLOADING
    desk.clock.advance(600)
    assert desk.status().line().endswith("lobby/a.mp4 stalled at 0.0 MB: not waited for, send it again")


def test_looking_remembers_nothing(desk: Desk) -> None:
    desk.upload(data=b"")
    desk.status()
    assert not list(desk.state.list())


def test_an_upload_for_the_next_generation_of_a_sealed_scene(desk: Desk) -> None:
    desk.upload()
    desk.seal()
    desk.input.stage_block("lobby/b.mp4", "1", b"1")  # type: ignore[attr-defined]
    assert desk.status().line() == (
        "lobby: queued, an execution is being started; "
        "for the next generation: lobby/b.mp4: 0.0 MB since 2026-01-01 00:00:00 UTC"
    )


@pytest.mark.parametrize(("fraction", "ends"), [(0.25, NOW + timedelta(minutes=40)), (0.01, None), (None, None)])
def test_a_run_of_the_same_scene_before_it(desk: Desk, fraction: float | None, ends: datetime | None) -> None:
    desk.upload()
    desk.running("lobby", fraction)
    desk.clock.advance(600)
    desk.upload("lobby/late.mp4")
    status = desk.status()
    assert (status.state, status.expected, status.waiting) == (State.RUNNING, ends, 1)
    expected = ", expected about 2026-01-01 00:40 UTC" if ends else ""
    assert status.note == f"1 more upload waits for the end of this run{expected}"


def test_the_limit(desk: Desk) -> None:
    desk.upload("attic/a.mp4")
    desk.running("attic", 0.5)
    desk.upload()
    desk.seal()
    desk.clock.advance(120)
    line = (
        "lobby: queued, waits for one of 1 executions (MAX_PARALLEL_JOBS=1), "
        "the first is expected to end about 2026-01-01 00:04 UTC"
    )
    assert seen(desk.status()) == (line, NOW + timedelta(seconds=240))
    assert desk.status(settings=replace(SETTINGS, max_parallel_jobs=2)).note.startswith("a running execution takes it")


@pytest.mark.parametrize(
    ("starter", "note", "expected"),
    [
        (StarterState(), "an execution is being started", None),
        (StarterState().started(("x",), NOW), "an execution was started at 2026-01-01 00:00:00 UTC and begins within "
         "minutes", None),
        (StarterState().out_of_budget(NOW + DAY), "held back by the daily budget until 2026-01-02 00:00 UTC",
         NOW + DAY),
        (StarterState().failed(NOW, AccessDenied("403")), "no execution can be started: 403; the next try is at "
         "2026-01-01 00:00:30 UTC", NOW + timedelta(seconds=30)),
        (replace(StarterState().started(("x",), NOW - DAY), ghosts_in_row=1, not_before=NOW + timedelta(seconds=60)),
         "waiting for a GPU since 2025-12-31 00:00 UTC; the next try is at 2026-01-01 00:01:00 UTC",
         NOW + timedelta(seconds=60)),
    ],
)  # fmt: skip
def test_budget_back_off_and_the_start(desk: Desk, starter: StarterState, note: str, expected: datetime | None) -> None:
    desk.upload()
    desk.seal()
    desk.starter(starter)
    status = desk.status()
    assert (status.state, status.note, status.expected) == (State.QUEUED, note, expected)


def test_a_retry(desk: Desk) -> None:
    desk.upload()
    desk.seal()
    due = NOW + timedelta(seconds=60)
    desk.put(SceneRecord("lobby").attempted("r", (), NOW).failed_for_now(FAILURE, NOW, due))
    assert desk.status().expected == due


def test_a_marker_of_somebody_elses_making_hides_nothing(desk: Desk) -> None:
    desk.upload("attic/a.mp4")
    desk.running("attic", 0.5)
    for text in ("", "[]", '{"scene": 1}', '{"scene": "nobody"}'):
        desk.state.write(f"{layout.ACTIVE}odd-{len(text)}.json", text.encode())
    desk.upload()
    desk.seal()
    assert desk.status().note.startswith("waits for one of 1")


def test_a_machine_on_which_no_runner_can_work_is_told_and_not_taken_for_a_missing_one(desk: Desk) -> None:
    """An execution that stops at once looks to the dispatcher as if there were no GPU."""
    desk.upload()
    desk.seal()
    desk.starter(replace(StarterState().started(("x",), NOW), ghosts_in_row=2))
    error = ConfigurationError("the NVIDIA driver is old", code=Code.DRIVER_TOO_OLD, advice="RUNNER_CUDA 12")
    assert "waiting for a GPU" in desk.status().line()
    keep_refusal(desk.state, error, "x", lambda: NOW - timedelta(days=1))
    assert "waiting for a GPU" in desk.status().line(), "that was yesterday's machine"
    keep_refusal(desk.state, error, "x", lambda: NOW + timedelta(seconds=20))
    assert "DRIVER_TOO_OLD: the NVIDIA driver is old: RUNNER_CUDA 12" in desk.status().line()
