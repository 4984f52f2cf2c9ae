"""Serve mode as its user sees it: machines that make scenes of what is uploaded, without a function app."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local.azurite import Azurite
from scenejobs.adapters.azure.clients import open_queue, queue_service
from scenejobs.adapters.azure.credentials import access
from scenejobs.adapters.azure.retry import NORMAL
from scenejobs.state import records
from scenejobs.state.record import Phase
from tests.chaos.proxy import Fault, FaultProxy, Rule, port_of, through
from tests.serving import Account, Serving
from tests.watching import wait_for

pytestmark = [pytest.mark.azurite, pytest.mark.slow]

UPLOADS = "uploads"
SCENES = [f"room{number}" for number in range(6)]


@pytest.fixture(scope="module")
def account(azurite: Azurite) -> Account:
    account = Account(azurite)
    for name in (UPLOADS, f"{UPLOADS}-poison"):
        queue_service(access(account.settings), NORMAL).create_queue(name)
    return account


@pytest.fixture(scope="module")
def proxy(azurite: Azurite) -> Iterator[FaultProxy]:
    """Between the first machine and its blobs."""
    with FaultProxy(port_of(azurite.blob_endpoint)) as running:
        yield running


@pytest.fixture(scope="module")
def machines(account: Account, proxy: FaultProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Serving]]:
    """One that lists the containers, and one that gets the events of a queue."""
    connection = through(account.settings.connection_string, blob=proxy)
    lists = Serving(tmp_path_factory.mktemp("lists"), account=replace(account.settings, connection_string=connection))
    by_queue = Serving(tmp_path_factory.mktemp("queue"), {"UPLOADS_QUEUE": UPLOADS}, account=account.settings)
    found = [lists, by_queue]
    try:
        for machine in found:
            machine.start(MOCK_SECONDS="2")
        yield found
    finally:
        for machine in found:
            machine.close()


def test_two_machines_make_six_scenes_each_once(account: Account, machines: list[Serving]) -> None:
    """Published, archived, and each machine counts what it did itself."""
    for scene in SCENES:
        account.upload(f"{scene}/a.mp4", scene.encode())
    wait_for(lambda: all(map(account.is_done, SCENES)), "six scenes are done")
    assert account.ended() == dict.fromkeys(SCENES, 1)
    assert account.names("processed") == [f"{scene}/a.mp4" for scene in SCENES]
    for scene in SCENES:
        assert {f"{scene}/manifest.json", f"{scene}/{scene}.ply"} <= set(account.names("output", f"{scene}/"))
        assert account.attempts(scene) == 1
    assert account.names("error") == account.names("input") == []

    def counted() -> list[int]:
        return [machine.health()["jobs_succeeded"] for machine in machines]

    wait_for(lambda: sum(counted()) == len(SCENES), "both have counted")
    assert min(counted()) > 0, "one did all the work"
    status, text = machines[0].ask("/metrics", machines[0].metrics_port)
    assert status == 200
    assert f'video_splat_scenes_total{{outcome="succeeded"}} {counted()[0]:.1f}' in text


def test_a_late_clip_extends_its_scene(account: Account, machines: list[Serving]) -> None:
    account.upload("yard/a.mp4", b"first")
    wait_for(lambda: account.is_done("yard"), "the first result")
    account.upload("yard/b.mp4", b"late")
    wait_for(lambda: account.ended()["yard"] == 2 and account.is_done("yard"), "the second result")
    files = account.json("output", "yard/manifest.json")["files"]
    assert [(file["filename"], file["generation"]) for file in files] == [("a.mp4", 1), ("b.mp4", 2)]


def test_what_cannot_work_goes_to_error_with_its_reason(account: Account, machines: list[Serving]) -> None:
    account.upload("empty/a.mp4", b"")
    wait_for(lambda: account.is_done("empty"), "the dead letter")
    assert account.names("error", "empty/a.mp4") == ["empty/a.mp4"]
    assert account.json("error", "empty/error.json")["code"] == "EMPTY_FILE"


def test_while_the_storage_cannot_be_reached_a_machine_is_unwell_and_the_other_works_on(
    account: Account, machines: list[Serving], proxy: FaultProxy
) -> None:
    """The event of the queue makes the scene known where nobody lists."""
    lists, by_queue = machines
    wait_for(lambda: all(machine.ask("/health")[0] == 200 for machine in machines), "both are well")
    proxy.rules = [Rule(".", Fault.DROP_BEFORE, count=None)]
    wait_for(lambda: lists.ask("/health")[0] == 503, "it is unwell")
    assert lists.ask("/health/ready")[0] == 503
    assert lists.ask("/health/live")[0] == 200, "a restart would not help"
    assert [problem["kind"] for problem in lists.health()["problems"]] == ["storage"]
    assert by_queue.ask("/health")[0] == 200
    account.upload("cellar/a.mp4", b"of the cellar")
    event = {
        "eventType": "Microsoft.Storage.BlobCreated", "data": {"api": "PutBlob"},
        "subject": f"/blobServices/default/containers/{account.settings.input}/blobs/cellar/a.mp4",
    }  # fmt: skip
    uploads = open_queue(account.settings, UPLOADS)
    uploads.send(base64.b64encode(json.dumps(event).encode()).decode())
    uploads.send("no event")
    wait_for(lambda: account.is_done("cellar"), "the other machine made it", seconds=120)
    wait_for(lambda: uploads.total() == 0, "the events are taken")
    assert open_queue(account.settings, f"{UPLOADS}-poison").total() == 1
    proxy.rules = []
    wait_for(lambda: lists.ask("/health")[0] == 200, "it is well again")
    assert lists.log.count('"event":"watch.storage"') == 2, "once when it came, once when it was gone"


def test_stopped_and_killed_the_work_goes_on(azurite: Azurite, tmp_path: Path) -> None:
    """Stopped, the scene is given back; killed with all below it, a lease ends. (Killed alone: the worker is that of
    watch mode, test_watch.py::test_nobody_on_a_read_only_root_can_run_it_and_a_killed_watch_leaves_no_worker.)"""
    account = Account(azurite)
    machine = Serving(tmp_path, account=account.settings)
    account.upload("lobby/a.mp4", b"survives")
    try:
        machine.start(MOCK_SECONDS="600")
        wait_for(lambda: machine.is_training, "the training begins")
        assert machine.stop() == 0
        stored = records.load(account.containers.state, "lobby")
        assert stored is not None
        assert (stored.record.phase, stored.record.attempts) == (Phase.IDLE, 0), "given back at no cost"
        machine.start(MOCK_SECONDS="600")
        wait_for(lambda: machine.is_training, "the training begins again")
        machine.kill(everything=True)
        machine.start()
        wait_for(lambda: account.is_done("lobby"), "the scene is done", seconds=120)
    finally:
        machine.close()
    assert account.ended() == {"lobby": 1}
    assert account.names("processed") == ["lobby/a.mp4"]
    assert account.names("error") == []
