"""What the emulator's answers alone do not show, and mutants of it: each promise fails when its rule is left out.

Messages live longer than a test, the emulator copies at once, and a source that changes in the middle of a copy needs
somebody who changes it then. So requests are read, and answers bent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.storage.blob import BlobClient, ContainerClient

from scenejobs.adapters.azure import queues as azure_queues
from scenejobs.errors import Conflict
from scenejobs.ports import Containers
from scenejobs.settings.storage import StorageSettings
from tests.contract.faults import faulty_queue, faulty_store

pytestmark = pytest.mark.azurite

Answer = Any  # azure.core.rest HttpResponse over requests


def asked(request: Any) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.url).query)


def messages_never_expire(storage: StorageSettings, containers: Containers) -> None:
    seen: list[dict[str, list[str]]] = []

    def note(request: Any, send: Callable[[], Answer]) -> Answer:
        seen.append(asked(request))
        return send()

    queue, _ = faulty_queue(storage, storage.jobs_queue, note)
    queue.send("work")
    assert [each.get("messagettl") for each in seen] == [["-1"]], "the service's default removes it after seven days"


def a_source_that_changes_after_the_look_is_not_copied(storage: StorageSettings, containers: Containers) -> None:
    etag = containers.input.write("a", b"old")

    def replaced_meanwhile(request: Any, send: Callable[[], Answer]) -> Answer:
        containers.input.write("a", b"new one")
        return send()

    store, _ = faulty_store(storage, storage.processed, replaced_meanwhile)
    source, _ = faulty_store(storage, storage.input)
    with pytest.raises(Conflict):
        store.copy_from(source, "a", "a", source_etag=etag, if_absent=True)
    assert list(containers.processed.list()) == []


def a_listing_tells_a_copy_that_is_under_way(storage: StorageSettings, containers: Containers) -> None:
    """The service tells it to those who ask for it."""
    containers.processed.write("a", b"video")

    def under_way(request: Any, send: Callable[[], Answer]) -> Answer:
        answer = send()
        if "copy" in asked(request).get("include", [""])[0].split(","):
            state = b"<CopyStatus>pending</CopyStatus><CopyProgress>2/5</CopyProgress></Properties>"
            answer._content = answer.read().replace(b"</Properties>", state)
        return answer

    store, _ = faulty_store(storage, storage.processed, under_way)
    [found] = store.list()
    assert (found.copy, found.whole) == ("pending", False)
    store, _ = faulty_store(storage, storage.processed, under_way)
    [found] = store.list_all().blobs
    assert (found.copy, found.copied_bytes) == ("pending", 2)


PROMISES = (
    messages_never_expire,
    a_source_that_changes_after_the_look_is_not_copied,
    a_listing_tells_a_copy_that_is_under_way,
)
Promise = Callable[[StorageSettings, Containers], None]


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_it_holds(promise: Promise, storage: StorageSettings, containers: Containers) -> None:
    promise(storage, containers)


# ---- the same with the rule left out -------------------------------------------------------------------------

_start_copy, _list_blobs = BlobClient.start_copy_from_url, ContainerClient.list_blobs


def copy_whatever_is_there(self: BlobClient, url: str, **options: Any) -> Any:
    """Without If-Match on the source."""
    del options["source_etag"], options["source_match_condition"]
    return _start_copy(self, url, **options)


def list_without_copies(self: ContainerClient, *args: Any, include: list[str], **options: Any) -> Any:
    return _list_blobs(self, *args, include=[each for each in include if each != "copy"], **options)


MUTANTS = (
    ("expire after seven days", azure_queues, "NEVER", None, messages_never_expire),
    (
        "copy whatever is there", BlobClient, "start_copy_from_url", copy_whatever_is_there,
        a_source_that_changes_after_the_look_is_not_copied,
    ),
    (
        "copies look whole", ContainerClient, "list_blobs", list_without_copies,
        a_listing_tells_a_copy_that_is_under_way,
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("owner", "attribute", "replacement", "promise"), [mutant[1:] for mutant in MUTANTS], ids=[m[0] for m in MUTANTS]
)
def test_a_missing_rule_is_noticed(
    owner: object,
    attribute: str,
    replacement: object,
    promise: Promise,
    storage: StorageSettings,
    containers: Containers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(owner, attribute, replacement)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        promise(storage, containers)
