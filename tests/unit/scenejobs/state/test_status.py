"""A user can always tell where a scene stands, from the blobs alone."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.errors import AccessDenied, Failure
from scenejobs.ports import Containers
from scenejobs.state import layout, records
from scenejobs.state.blobs import digest
from scenejobs.state.executions import usage
from scenejobs.state.executions.start_backoff import StarterState
from scenejobs.state.incoming import batches
from scenejobs.state.incoming.uploads import list_scene, snapshot
from scenejobs.state.overview.status import State, scene_status
from scenejobs.state.record import SceneRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def containers() -> Containers:
    clock = ManualClock()
    return Containers(*(MemoryBlobStore(name, clock) for name in ("input", "output", "processed", "error", "state")))


def put_record(containers: Containers, record: SceneRecord) -> None:
    containers.state.write(layout.record_name(record.scene), json.dumps(record.to_json()).encode())


def test_a_scene_nobody_knows_is_unknown(containers: Containers) -> None:
    assert scene_status(containers, "lobby").state is State.UNKNOWN


def test_uploads_settle_until_they_are_sealed(containers: Containers) -> None:
    containers.input.write("lobby/a.mp4", b"1")
    containers.input.write("lobby2/b.mp4", b"2")
    status = scene_status(containers, "lobby")
    assert (status.state, status.waiting) == (State.SETTLING, 1)
    sealed = digest(snapshot(list_scene(containers.input, "lobby", 1)))
    containers.state.write(layout.batch_name("lobby", sealed), b"{}")
    assert scene_status(containers, "lobby").state is State.QUEUED


def test_one_more_upload_after_sealing_settles_again(containers: Containers) -> None:
    containers.input.write("lobby/a.mp4", b"1")
    sealed = digest(snapshot(list_scene(containers.input, "lobby", 1)))
    containers.state.write(layout.batch_name("lobby", sealed), b"{}")
    containers.input.write("lobby/b.mp4", b"2")
    assert scene_status(containers, "lobby").state is State.SETTLING


def seal(containers: Containers, scene: str = "lobby") -> None:
    batch = batches.Batch(scene, snapshot(list_scene(containers.input, scene, 1)), NOW, "quiet")
    stored = batches.create(containers.state, batch)
    assert stored is not None
    assert batches.stamp(containers.state, stored, NOW)


def test_what_is_left_of_a_sealed_set_is_still_queued(containers: Containers) -> None:
    """A runner died while it archived, or the user removed one: the rest waits for the next runner, not for quiet."""
    for name in ("a", "b", "c"):
        containers.input.write(f"lobby/{name}.mp4", b"1")
    seal(containers)
    containers.input.delete("lobby/a.mp4")
    assert scene_status(containers, "lobby").state is State.QUEUED
    containers.input.write("lobby/d.mp4", b"2")
    assert scene_status(containers, "lobby").state is State.SETTLING


def test_looking_at_a_damaged_batch_changes_nothing(containers: Containers) -> None:
    containers.input.write("lobby/a.mp4", b"1")
    containers.state.write("batches/lobby/0123.json", b"{")
    assert scene_status(containers, "lobby").state is State.SETTLING
    assert containers.state.read("batches/lobby/0123.json")[0] == b"{"


def queued(containers: Containers) -> None:
    containers.input.write("lobby/a.mp4", b"1")
    seal(containers)


def test_a_scene_whose_next_attempt_is_due_says_when(containers: Containers) -> None:
    queued(containers)
    failure = Failure("training", "DISK_FULL", "no space left", "a larger disk")
    record = SceneRecord("lobby").attempted("r", (), NOW).failed_for_now(failure, NOW, NOW + timedelta(seconds=60))
    put_record(containers, record)
    assert scene_status(containers, "lobby").line() == (
        "lobby: queued, next attempt at 2026-01-01 00:01:00 UTC: no space left"
    )


@pytest.mark.parametrize(
    ("starter", "expected"),
    [
        (StarterState(), ""),
        (StarterState().started(("x",), NOW - timedelta(seconds=60)), ""),
        (StarterState().started(("x",), NOW - timedelta(hours=2)), ", waiting for a GPU since 2025-12-31 22:00 UTC"),
        (StarterState().out_of_budget(NOW + timedelta(hours=24)),
         ", held back by the daily budget until 2026-01-02 00:00 UTC"),
        (StarterState().out_of_budget(NOW), ""),  # a new day has begun
        (StarterState().failed(NOW, AccessDenied("403")), ", no execution can be started: 403"),
    ],
)  # fmt: skip
def test_a_queued_scene_says_what_keeps_it_waiting(
    containers: Containers, starter: StarterState, expected: str
) -> None:
    queued(containers)
    containers.state.write(layout.DISPATCHER_RECORD, json.dumps(starter.to_json()).encode())
    assert scene_status(containers, "lobby").line() == f"lobby: queued{expected}"


def test_a_runner_that_has_begun_ends_the_waiting_for_a_gpu(containers: Containers) -> None:
    queued(containers)
    starter = StarterState().started(("x",), NOW - timedelta(hours=2))
    containers.state.write(layout.DISPATCHER_RECORD, json.dumps(starter.to_json()).encode())
    usage.write(containers.state, "x", NOW - timedelta(minutes=1), NOW.date(), 0.0)
    assert scene_status(containers, "lobby").note == ""


def test_a_scene_that_is_held_says_by_whom(containers: Containers) -> None:
    queued(containers)
    put_record(containers, SceneRecord("lobby").holding("generation 1 is being brought back"))
    assert scene_status(containers, "lobby").line() == "lobby: blocked: held: generation 1 is being brought back"


def test_refused_uploads_of_a_scene_are_told(containers: Containers) -> None:
    containers.input.write("lobby/a.mp4", b"1")
    store = containers.input
    assert isinstance(store, MemoryBlobStore)
    store.write("x", b"1")
    store.blobs["lobby/../x.mp4"] = store.blobs.pop("x")
    assert scene_status(containers, "lobby").line() == "lobby: settling, 1 upload, 1 upload refused for the name"


def test_a_running_scene_shows_stage_share_and_time_left(containers: Containers) -> None:
    put_record(containers, SceneRecord("lobby").attempted("run-1", (), NOW))
    assert scene_status(containers, "lobby").stage == "starting"
    progress = {"run": "run-1", "stage": "training", "total_fraction": 0.5, "detail": "step 10/20", "eta_s": 30.0}
    containers.state.write(layout.progress_name("lobby"), json.dumps(progress).encode())
    status = scene_status(containers, "lobby")
    assert (status.state, status.fraction, status.eta_s) == (State.RUNNING, 0.5, 30.0)
    assert "50%" in status.line()
    assert "step 10/20" in status.line()


def test_progress_of_an_older_run_is_not_shown(containers: Containers) -> None:
    put_record(containers, SceneRecord("lobby").attempted("run-2", (), NOW))
    progress = {"run": "run-1", "stage": "training", "total_fraction": 0.9, "detail": "", "eta_s": None}
    containers.state.write(layout.progress_name("lobby"), json.dumps(progress).encode())
    assert scene_status(containers, "lobby").fraction == 0


def test_a_finished_scene_is_done(containers: Containers) -> None:
    record = SceneRecord("lobby").attempted("r", (), NOW).committed(())
    put_record(containers, record)
    assert scene_status(containers, "lobby").state is State.ARCHIVING
    put_record(containers, record.closed({}, NOW))
    assert scene_status(containers, "lobby").state is State.DONE


def test_poses_that_wait_for_their_pictures_say_so_and_hide_no_result(containers: Containers) -> None:
    containers.input.write("lobby/transforms.json", b"{}")
    assert "no video and no photo yet" in scene_status(containers, "lobby").line()
    record = SceneRecord("lobby").attempted("r", (), NOW).committed(())
    put_record(containers, record.closed({}, NOW))
    assert scene_status(containers, "lobby").state is State.DONE


def test_a_dead_lettered_scene_says_why(containers: Containers) -> None:
    failure = Failure("validation", "EMPTY_FILE", "a.mp4 is empty", "upload it again")
    put_record(containers, SceneRecord("lobby").given_up(failure, (), "r", NOW).closed({}, NOW))
    status = scene_status(containers, "lobby")
    assert status.state is State.FAILED
    assert "a.mp4 is empty" in status.line()


def test_a_record_survives_its_own_encoding() -> None:
    failure = Failure("training", "BUG", "x", "y")
    record = SceneRecord("lobby").attempted("r", (), NOW).failed_for_now(failure, NOW)
    for each in (record, record.attempted("s", (), NOW).committed(()).closed({"a": "processed/a"}, NOW)):
        assert SceneRecord.from_json(json.loads(json.dumps(each.to_json()))) == each


def test_a_damaged_record_is_an_error_not_a_guess(containers: Containers) -> None:
    containers.state.write(layout.record_name("lobby"), b'{"schema_version": 99}')
    with pytest.raises(Exception, match="cannot be read"):
        records.load(containers.state, "lobby")


def test_an_upload_that_is_refused_for_what_it_is_says_why(containers: Containers) -> None:
    containers.input.write("lobby/a.mp4", b"1")
    containers.input.write("lobby/b.mp4", b"1", metadata={"hdi_isfolder": "true"})
    line = scene_status(containers, "lobby").line()
    assert "1 upload refused (b.mp4: it has 1 bytes, and its metadata hdi_isfolder=true calls it a directory)" in line
