"""Lost answers, busy moments and copies that take their time: the adapter's answer is the truth all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenejobs.errors import AccessDenied, Busy, Conflict, LeaseLost, NotFound, StorageError
from scenejobs.ports import Containers, Queues
from scenejobs.settings.storage import StorageSettings
from tests.contract.faults import (
    Fault,
    cut_short,
    faulty_queue,
    faulty_store,
    fine,
    instead,
    lost_answer,
    lost_request,
    refused_with,
)

pytestmark = pytest.mark.azurite


@pytest.mark.parametrize("fault", [lost_answer, lost_request, refused_with(503), refused_with(500), refused_with(429)])
class TestOneFault:
    """Each write meets one fault; the call succeeds, and its effect is there once."""

    def test_create(self, storage: StorageSettings, containers: Containers, fault: Fault) -> None:
        store, _ = faulty_store(storage, storage.state, fault)
        etag = store.write("a", b"1", if_absent=True)
        assert containers.state.read("a") == (b"1", etag)
        assert containers.state.head("a").metadata == {}

    def test_compare_and_swap(self, storage: StorageSettings, containers: Containers, fault: Fault) -> None:
        old = containers.state.write("a", b"1")
        lease = containers.state.lease("a", 15)
        store, _ = faulty_store(storage, storage.state, fault)
        etag = store.write("a", b"2", if_match=old, lease=lease)
        assert containers.state.read("a") == (b"2", etag)

    def test_delete(self, storage: StorageSettings, containers: Containers, fault: Fault) -> None:
        etag = containers.input.write("a", b"1")
        store, _ = faulty_store(storage, storage.input, fault)
        store.delete("a", if_match=etag)
        assert list(containers.input.list()) == []

    def test_delete_without_condition(self, storage: StorageSettings, containers: Containers, fault: Fault) -> None:
        containers.input.write("a", b"1")
        faulty_store(storage, storage.input, fault)[0].delete("a")
        assert list(containers.input.list()) == []

    def test_lease_renewal_and_release(self, storage: StorageSettings, containers: Containers, fault: Fault) -> None:
        containers.state.write("a", b"1")
        store, _ = faulty_store(storage, storage.state, fault, fine, fine, fault)
        lease = store.lease("a", 15)
        lease.renew()
        lease.release()
        containers.state.write("a", b"free again")

    def test_copy(self, storage: StorageSettings, containers: Containers, fault: Fault) -> None:
        etag = containers.input.write("a", b"video")
        store, _ = faulty_store(storage, storage.processed, fault)
        source, _ = faulty_store(storage, storage.input)
        copied = store.copy_from(source, "a", "a", source_etag=etag, if_absent=True)
        assert copied.metadata == {"source_etag": etag}
        assert containers.processed.read("a")[0] == b"video"

    def test_the_services_clock(self, storage: StorageSettings, containers: Containers, fault: Fault) -> None:
        store, _ = faulty_store(storage, storage.input, fault)
        assert abs((store.now() - containers.input.now()).total_seconds()) < 60

    def test_upload_and_download(
        self, storage: StorageSettings, containers: Containers, fault: Fault, tmp_path: Path
    ) -> None:
        (tmp_path / "a").write_bytes(b"x" * 1000)
        store, _ = faulty_store(storage, storage.output, fault, fine, fault)
        etag = store.upload(tmp_path / "a", "a")
        assert store.download("a", tmp_path / "b", if_match=etag).etag == etag
        assert (tmp_path / "b").read_bytes() == b"x" * 1000

    def test_complete(self, storage: StorageSettings, queues: Queues, fault: Fault) -> None:
        queues.jobs.send("work")
        queue, _ = faulty_queue(storage, storage.jobs_queue, fine, fault)
        message = queue.receive(30)
        assert message is not None
        queue.complete(message)
        assert queues.jobs.total() == 0


@pytest.mark.parametrize("fault", [lost_answer, lost_request, refused_with(503)])
def test_a_lease_is_known_for_ours_although_a_heartbeat_is_impatient(
    storage: StorageSettings, containers: Containers, fault: Fault
) -> None:
    """Taking and giving back are tried again; a renewal is one short try, and the next beat is its repetition."""
    containers.state.write("a", b"1")
    store, transport = faulty_store(storage, storage.state, fault, fine, fault, fault, fine)
    lease = store.lease("a", 15)
    with pytest.raises(Busy):
        lease.renew()
    assert len(transport.sent) == 3
    lease.release()
    containers.state.lease("a", 15).release()


def test_a_listing_cut_short_is_asked_for_again(storage: StorageSettings, containers: Containers) -> None:
    """The SDK says so with an error of its own, after the headers came."""
    containers.input.write("a", b"1")
    store, transport = faulty_store(storage, storage.input, cut_short)
    assert [blob.name for blob in store.list()] == ["a"]
    assert transport.sent == ["GET", "GET"]


def test_a_lost_renewal_of_a_message_is_a_conflict_and_the_message_stays(
    storage: StorageSettings, queues: Queues
) -> None:
    """The receipt changed and the new one was lost: the holder is told, and nobody else has the message yet."""
    queues.jobs.send("work")
    queue, _ = faulty_queue(storage, storage.jobs_queue, fine, lost_answer)
    message = queue.receive(30)
    assert message is not None
    with pytest.raises(Conflict):
        queue.renew(message, 30)
    assert (queues.jobs.waiting(), queues.jobs.total()) == (0, 1)


def test_somebody_elses_write_is_never_taken_for_ours(storage: StorageSettings, containers: Containers) -> None:
    """The request is lost before the service sees it, and a rival writes the very same bytes: a conflict still."""
    old = containers.state.write("a", b"1")

    def rival_first(request: object, send: object) -> object:
        containers.state.write("a", b"2")
        return lost_request(request, send)  # type: ignore[arg-type]

    store, _ = faulty_store(storage, storage.state, rival_first)
    with pytest.raises(Conflict):
        store.write("a", b"2", if_match=old)


def test_a_delete_refused_twice_over_spares_the_new_version(storage: StorageSettings, containers: Containers) -> None:
    """A lost request, then a re-upload: the retry is refused, and what is there is not ours to delete."""
    old = containers.input.write("a", b"1")

    def reupload(request: object, send: object) -> object:
        containers.input.write("a", b"2")
        return lost_request(request, send)  # type: ignore[arg-type]

    store, _ = faulty_store(storage, storage.input, reupload)
    with pytest.raises(Conflict):
        store.delete("a", if_match=old)
    assert containers.input.read("a")[0] == b"2"


def test_a_delete_of_nothing_is_not_found(storage: StorageSettings, containers: Containers) -> None:
    store, transport = faulty_store(storage, storage.input)
    with pytest.raises(NotFound):
        store.delete("a")
    assert transport.sent == ["DELETE"]


def test_a_service_that_stays_busy_is_busy(storage: StorageSettings, containers: Containers) -> None:
    containers.input.write("a", b"1")
    for faults in ([refused_with(503)] * 4, [lost_request] * 4, [lost_answer] * 4):
        store, transport = faulty_store(storage, storage.input, *faults)
        with pytest.raises(Busy, match="looking at input"):
            store.head("a")
        assert len(transport.sent) == 4


def test_a_lease_that_cannot_be_renewed_is_not_yet_lost(storage: StorageSettings, containers: Containers) -> None:
    """Nobody could be asked: that is another thing than being told no."""
    containers.state.write("a", b"1")
    store, _ = faulty_store(storage, storage.state, fine, refused_with(503))
    lease = store.lease("a", 15)
    with pytest.raises(Busy):
        lease.renew()
    lease.renew()
    lease.release()
    with pytest.raises(LeaseLost):
        lease.renew()


def test_a_damaged_answer_is_never_a_file(storage: StorageSettings, containers: Containers, tmp_path: Path) -> None:
    """The MD5 that the service keeps says that other bytes were written: no file is left."""
    containers.input.write("a", b"video")

    def other_md5(request: object, send: object) -> object:
        answer = send()  # type: ignore[operator]
        answer.headers["x-ms-blob-content-md5"] = answer.headers["Content-MD5"] = "AAAAAAAAAAAAAAAAAAAAAA=="
        return answer

    store, _ = faulty_store(storage, storage.input, other_md5, other_md5)
    with pytest.raises(StorageError, match="damaged"):
        store.download("a", tmp_path / "a")
    with pytest.raises(StorageError, match="damaged"):
        store.read("a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "refusal",
    [
        instead(401, x_ms_error_code="CannotVerifyCopySource"),
        instead(403, x_ms_error_code="CannotVerifyCopySource"),
        instead(404, x_ms_error_code="CannotVerifyCopySource"),
        instead(409, x_ms_error_code="PublicAccessNotPermitted"),
    ],
    ids=["401", "403", "404", "409"],
)
def test_a_copy_travels_through_here_where_the_service_may_not_read(
    storage: StorageSettings, containers: Containers, refusal: Fault
) -> None:
    """What Azure answers to a copy with a SAS: the bytes, the type and the version's mark arrive all the same."""
    etag = containers.input.write("a.mp4", b"video")
    source, _ = faulty_store(storage, storage.input)
    store, _ = faulty_store(storage, storage.processed, refusal)
    copied = store.copy_from(source, "a.mp4", "b.mp4", source_etag=etag, if_absent=True)
    assert (copied.size_bytes, copied.metadata) == (5, {"source_etag": etag})
    assert containers.processed.read("b.mp4")[0] == b"video"

    containers.processed.write("taken", b"older")
    store, _ = faulty_store(storage, storage.processed, refusal)
    with pytest.raises(Conflict):
        store.copy_from(source, "a.mp4", "taken", source_etag=etag, if_absent=True)
    assert containers.processed.read("taken")[0] == b"older"


def test_a_copy_is_waited_for(storage: StorageSettings, containers: Containers) -> None:
    """A large blob is `pending` for a while; the call returns when it is whole."""
    etag = containers.input.write("a", b"video")
    source, _ = faulty_store(storage, storage.input)
    pending = refused_with(200, x_ms_copy_status="pending")
    store, transport = faulty_store(storage, storage.processed, fine, pending, pending)
    assert store.copy_from(source, "a", "a", source_etag=etag, if_absent=True).size_bytes == 5
    assert transport.sent == ["PUT", "HEAD", "HEAD", "HEAD"]


def test_a_copy_that_takes_too_long_is_busy_and_the_next_call_finds_it(
    storage: StorageSettings, containers: Containers
) -> None:
    etag = containers.input.write("a", b"video")
    source, _ = faulty_store(storage, storage.input)
    pending = refused_with(200, x_ms_copy_status="pending")
    store, _ = faulty_store(storage, storage.processed, fine, *[pending] * 20)
    with pytest.raises(Busy, match="not finished"):
        store.copy_from(source, "a", "a", source_etag=etag, if_absent=True)
    store, _ = faulty_store(storage, storage.processed)
    assert store.copy_from(source, "a", "a", source_etag=etag, if_absent=True).size_bytes == 5


@pytest.mark.parametrize("status", ["failed", "aborted"])
def test_a_copy_that_failed_is_cleared_away(storage: StorageSettings, containers: Containers, status: str) -> None:
    """What it left behind would stand in the way of the next try, which succeeds."""
    etag = containers.input.write("a", b"video")
    source, _ = faulty_store(storage, storage.input)
    store, _ = faulty_store(storage, storage.processed, fine, refused_with(200, x_ms_copy_status=status))
    with pytest.raises(StorageError, match=status):
        store.copy_from(source, "a", "a", source_etag=etag, if_absent=True)
    assert list(containers.processed.list()) == []
    assert store.copy_from(source, "a", "a", source_etag=etag, if_absent=True).size_bytes == 5


@pytest.mark.parametrize(
    ("status", "copy"), [("pending", "pending"), ("failed", "failed"), ("aborted", "failed"), ("success", "")]
)
def test_a_copy_that_is_not_whole_is_told_apart(
    storage: StorageSettings, containers: Containers, status: str, copy: str
) -> None:
    containers.processed.write("a", b"video")
    store, _ = faulty_store(storage, storage.processed, refused_with(200, x_ms_copy_status=status))
    found = store.head("a")
    assert (found.copy, found.whole) == (copy, not copy)


def test_what_a_killed_runners_failed_copy_left_is_cleared_away(
    storage: StorageSettings, containers: Containers
) -> None:
    etag = containers.input.write("a", b"video")
    source, _ = faulty_store(storage, storage.input)
    containers.processed.copy_from(containers.input, "a", "a", source_etag=etag, if_absent=True)
    failed = refused_with(200, x_ms_copy_status="failed", Content_Length="0")
    store, transport = faulty_store(storage, storage.processed, fine, failed, failed)
    with pytest.raises(StorageError, match="failed"):
        store.copy_from(source, "a", "a", source_etag=etag, if_absent=True)
    assert transport.sent == ["PUT", "HEAD", "HEAD", "DELETE"]
    assert store.copy_from(source, "a", "a", source_etag=etag, if_absent=True).whole


def test_a_copy_cut_short_is_not_taken_for_whole(storage: StorageSettings, containers: Containers) -> None:
    etag = containers.input.write("a", b"video")
    source, _ = faulty_store(storage, storage.input)
    store, _ = faulty_store(storage, storage.processed, fine, refused_with(200, Content_Length="3"))
    with pytest.raises(StorageError, match="3 of 5 bytes"):
        store.copy_from(source, "a", "a", source_etag=etag, if_absent=True)


def test_a_refused_identity_is_named_with_its_remedy(storage: StorageSettings, containers: Containers) -> None:
    containers.input.write("a", b"1")
    for code, remedy in [
        ("AuthorizationPermissionMismatch", "Storage Blob Data Contributor"),
        ("AuthenticationFailed", "expired"),
        ("KeyBasedAuthenticationNotPermitted", "AZURE_USE_MANAGED_IDENTITY"),
    ]:
        store, _ = faulty_store(storage, storage.input, refused_with(403, x_ms_error_code=code))
        with pytest.raises(AccessDenied, match=code) as error:
            store.head("a")
        assert remedy in error.value.advice
