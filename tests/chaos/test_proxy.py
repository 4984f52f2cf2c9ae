"""The fault proxy does what each rule says, and nothing else: the tests that use it can be believed."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local.azurite import Azurite
from scenejobs.adapters.azure.blobs import AzureBlobStore
from scenejobs.adapters.azure.clients import blob_service, open_containers
from scenejobs.adapters.azure.credentials import access
from scenejobs.adapters.azure.retry import Patience
from scenejobs.errors import Busy, Conflict, StorageError
from scenejobs.ports import Containers
from scenejobs.settings.storage import StorageSettings
from tests.chaos.proxy import Fault, FaultProxy, Rule, port_of, through

pytestmark = pytest.mark.azurite

ONCE = Patience(attempts=1, read_s=2.0)


@pytest.fixture
def proxy(azurite: Azurite) -> Iterator[FaultProxy]:
    with FaultProxy(port_of(azurite.blob_endpoint)) as running:
        yield running


@pytest.fixture
def spoiled(proxy: FaultProxy, storage: StorageSettings) -> AzureBlobStore:
    """The input container through the proxy, by a client that never tries twice."""
    settings = replace(storage, connection_string=through(storage.connection_string, blob=proxy))
    return AzureBlobStore(blob_service(access(settings), ONCE).get_container_client(storage.input))


def test_what_is_not_spoiled_arrives_untouched(
    proxy: FaultProxy, storage: StorageSettings, spoiled: AzureBlobStore, containers: Containers, tmp_path: Path
) -> None:
    """Names that a careless proxy would decode, bodies larger than its buffers, copies, listings, one connection."""
    name, data = "lobby/Ansicht 2 ü%2F+&?.mp4", bytes(range(256)) * 1500
    etag = spoiled.write(name, data)
    assert containers.input.read(name) == (data, etag)
    assert spoiled.read(name) == (data, etag)
    assert [blob.name for blob in spoiled.list("lobby/")] == [name]
    through_proxy = open_containers(replace(storage, connection_string=through(storage.connection_string, blob=proxy)))
    through_proxy.processed.copy_from(through_proxy.input, name, name, source_etag=etag, if_absent=True)
    assert containers.processed.read(name)[0] == data
    assert sum(proxy.faults.values()) == 0
    assert len(proxy.seen) == 5, "write, read, list, copy and the look at the copy"


def test_a_request_dropped_before_has_no_effect(
    proxy: FaultProxy, spoiled: AzureBlobStore, containers: Containers
) -> None:
    proxy.rules = [Rule("^PUT ", Fault.DROP_BEFORE)]
    with pytest.raises(Busy):
        spoiled.write("a", b"1")
    assert list(containers.input.list()) == []
    spoiled.write("a", b"1")
    assert containers.input.read("a")[0] == b"1"


def test_a_request_dropped_after_has_its_effect(
    proxy: FaultProxy, spoiled: AzureBlobStore, containers: Containers
) -> None:
    proxy.rules = [Rule("^PUT ", Fault.DROP_AFTER)]
    with pytest.raises(Busy):
        spoiled.write("a", b"1")
    assert containers.input.read("a")[0] == b"1"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_status_is_answered_without_asking_the_service(
    proxy: FaultProxy, spoiled: AzureBlobStore, containers: Containers, status: int
) -> None:
    proxy.rules = [Rule("^PUT ", Fault.STATUS, statuses=(status,))]
    with pytest.raises(Busy):
        spoiled.write("a", b"1")
    assert list(containers.input.list()) == []


def test_retry_after_is_in_the_answer(proxy: FaultProxy) -> None:
    proxy.rules = [Rule(".", Fault.STATUS, statuses=(503,), retry_after_s=7)]
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port)
    connection.request("GET", "/devstoreaccount1/x")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
    connection.close()


def test_a_truncated_answer_is_never_taken_for_the_whole(
    proxy: FaultProxy, spoiled: AzureBlobStore, containers: Containers, tmp_path: Path
) -> None:
    containers.input.write("a", b"video" * 1000)
    proxy.rules = [Rule("^GET .*/a", Fault.TRUNCATE, count=None)]
    with pytest.raises(StorageError):
        spoiled.download("a", tmp_path / "a")
    assert proxy.faults[Fault.TRUNCATE] >= 1
    assert list(tmp_path.iterdir()) == []


def test_a_corrupted_answer_differs_in_one_bit(proxy: FaultProxy, storage: StorageSettings) -> None:
    """Seen by a client that checks nothing: the length is right, one bit is not."""
    settings = replace(storage, connection_string=through(storage.connection_string, blob=proxy))
    blob = blob_service(access(settings), ONCE).get_blob_client(storage.input, "a")
    blob.upload_blob(b"video")
    proxy.rules = [Rule("^GET .*/a", Fault.CORRUPT)]
    assert blob.download_blob().readall() == b"wideo"
    assert blob.download_blob().readall() == b"video"


def test_a_black_hole_answers_nothing_and_does_nothing(
    proxy: FaultProxy, spoiled: AzureBlobStore, containers: Containers
) -> None:
    proxy.rules = [Rule("^PUT ", Fault.BLACKHOLE, seconds=60)]
    with pytest.raises(Busy):  # after the client's own two seconds
        spoiled.write("a", b"1")
    assert list(containers.input.list()) == []


def test_a_delay_only_delays(proxy: FaultProxy, spoiled: AzureBlobStore, containers: Containers) -> None:
    proxy.rules = [Rule("^PUT ", Fault.DELAY, seconds=0.5)]
    began = time.monotonic()
    spoiled.write("a", b"1")
    assert time.monotonic() - began >= 0.5
    assert containers.input.read("a")[0] == b"1"


def test_rules_count_skip_and_choose_by_name(
    proxy: FaultProxy, spoiled: AzureBlobStore, containers: Containers
) -> None:
    rule = Rule(r"^PUT [^?]*/b", Fault.DROP_BEFORE, skip=1, count=2)
    proxy.rules = [rule]
    assert not rule.reached.is_set()
    spoiled.write("a", b"1")
    spoiled.write("b1", b"1")
    for name in ("b2", "b3"):
        with pytest.raises(Busy):
            spoiled.write(name, b"1")
    assert rule.reached.is_set()
    spoiled.write("b4", b"1")
    assert [blob.name for blob in containers.input.list()] == ["a", "b1", "b4"]
    assert proxy.faults == {Fault.DROP_BEFORE: 2}
    assert len(proxy.requests("^PUT ")) == 5


def test_a_probability_spoils_about_that_share_and_a_seed_repeats_it(azurite: Azurite) -> None:
    """0.25 of 400 requests: 100, give or take five standard deviations (8.7)."""

    def run(seed: int) -> list[Fault | None]:
        rule = Rule(".", Fault.STATUS, count=None, probability=0.25)
        with FaultProxy(port_of(azurite.blob_endpoint), [rule], seed=seed) as proxy:
            connection = http.client.HTTPConnection("127.0.0.1", proxy.port)
            for _ in range(400):
                connection.request("GET", "/devstoreaccount1/x/y")
                connection.getresponse().read()
            connection.close()
            return [seen.fault for seen in proxy.seen]

    first = run(1)
    assert 57 <= sum(fault is not None for fault in first) <= 143
    assert run(1) == first
    assert run(2) != first


def test_a_conflict_of_a_lost_create_is_resolved_by_reading_back(
    proxy: FaultProxy, storage: StorageSettings, containers: Containers
) -> None:
    """The product's own client, which tries again: one effect, and its ETag, although the retry is refused."""
    settings = replace(storage, connection_string=through(storage.connection_string, blob=proxy))
    proxy.rules = [Rule("^PUT ", Fault.DROP_AFTER)]
    etag = open_containers(settings).state.write("a", b"1", if_absent=True)
    assert containers.state.read("a") == (b"1", etag)
    with pytest.raises(Conflict):
        open_containers(settings).state.write("a", b"1", if_absent=True)
