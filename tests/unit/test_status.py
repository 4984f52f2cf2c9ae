"""A user can always tell where a scene stands, from the blobs alone."""

import json
from datetime import UTC, datetime

import pytest

from scenejobs import layout, records
from scenejobs.errors import Failure
from scenejobs.listing import list_scene, snapshot
from scenejobs.memory import ManualClock, MemoryBlobStore
from scenejobs.model import SceneRecord, digest
from scenejobs.ports import Containers
from scenejobs.status import State, scene_status

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
