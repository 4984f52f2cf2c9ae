"""Who may ask: SAS tokens against the emulator, and what a start-up check says when something is wrong."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

from function_app import triggers
from local.azurite import ACCOUNT, KEY, Azurite
from scenejobs.adapters.azure.clients import blob_service, check, create_all, open_containers, open_queues
from scenejobs.adapters.azure.credentials import access
from scenejobs.adapters.azure.retry import NORMAL
from scenejobs.errors import AccessDenied, Code, ConfigurationError, NotFound
from scenejobs.settings.storage import StorageSettings
from tests.contract.jobs_api import Answer, jobs_api

pytestmark = pytest.mark.azurite

Sas = Callable[..., StorageSettings]


@pytest.fixture
def with_sas(azurite: Azurite, storage: StorageSettings) -> Sas:
    """Settings with a SAS for everything, or less."""

    def make(permissions: str = "rwdlac", hours: float = 1, services: str = "bq") -> StorageSettings:
        token = generate_account_sas(
            ACCOUNT,
            KEY,
            resource_types=ResourceTypes(container=True, object=True),
            permission=AccountSasPermissions.from_string(permissions + "up"),
            expiry=datetime.now(UTC) + timedelta(hours=hours),
            services=services,
        )
        return replace(
            storage,
            connection_string="",
            endpoint=azurite.blob_endpoint,
            queue_endpoint=azurite.queue_endpoint,
            sas_token=f"?{token}",
        )

    return make


def test_everything_works_with_a_sas(with_sas: Sas, tmp_path: Path) -> None:
    settings = with_sas()
    assert check(settings, queues=[settings.jobs_queue]) == "SAS token"
    containers, queues = open_containers(settings), open_queues(settings)
    etag = containers.input.write("lobby/a.mp4", b"video")
    containers.input.download("lobby/a.mp4", tmp_path / "a", if_match=etag)
    containers.processed.copy_from(containers.input, "lobby/a.mp4", "lobby/a.mp4", source_etag=etag, if_absent=True)
    containers.input.delete("lobby/a.mp4", if_match=etag)
    assert containers.input.now().tzinfo is UTC
    queues.jobs.send("work")
    message = queues.jobs.receive(30)
    assert message is not None
    queues.jobs.complete(message)


def test_a_copy_keeps_no_signature(with_sas: Sas) -> None:
    """A SAS in the source's URL would stay readable in the properties of the copy."""
    settings = with_sas()
    containers = open_containers(settings)
    containers.input.write("a", b"1")
    containers.processed.copy_from(containers.input, "a", "a", source_etag=None, if_absent=True)
    service = blob_service(access(settings), NORMAL)
    copied = service.get_blob_client(settings.processed, "a").get_blob_properties()
    assert copied.copy.source
    assert "sig=" not in copied.copy.source


@pytest.mark.parametrize(("sas", "word"), [({"hours": -1}, "expired"), ({"permissions": "w"}, "permission")])
def test_a_sas_that_does_not_do_is_named(with_sas: Sas, sas: dict[str, object], word: str) -> None:
    with pytest.raises(AccessDenied) as error:
        check(with_sas(**sas))
    assert word in error.value.advice
    assert "sig=" not in str(error.value)


def test_a_wrong_key_is_access_denied(storage: StorageSettings) -> None:
    wrong = storage.connection_string.replace(KEY, "A" * 86 + "==")
    with pytest.raises(AccessDenied):
        check(replace(storage, connection_string=wrong))


def test_a_missing_container_or_queue_is_named(storage: StorageSettings) -> None:
    with pytest.raises(ConfigurationError, match="container nowhere does not exist"):
        check(replace(storage, output="nowhere"))
    check(replace(storage, output="nowhere"), containers=[storage.input])
    with pytest.raises(ConfigurationError, match="queue nowhere does not exist"):
        check(storage, queues=["nowhere"])


def test_a_missing_container_is_never_taken_for_a_conflict(storage: StorageSettings) -> None:
    """Whoever shrugs off "exists already" must hear that nothing was written."""
    store = open_containers(replace(storage, state="nowhere")).state
    with pytest.raises(NotFound, match="ContainerNotFound"):
        store.write("a", b"1", if_absent=True)


def test_creating_what_exists_is_quiet(storage: StorageSettings) -> None:
    create_all(storage)
    create_all(storage)
    assert check(storage, queues=[storage.debounce_queue, f"{storage.jobs_queue}-poison"]) == "emulator key"


def test_as_many_checks_at_once_as_the_host_runs_need_no_connection_beyond_the_pool(
    storage: StorageSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """urllib3 warns of each: eight at once and four more, by host.json."""
    queue, together = open_queues(storage).debounce, threading.Barrier(12)

    def send() -> None:
        together.wait()
        queue.send("check")

    with caplog.at_level(logging.WARNING, logger="urllib3.connectionpool"):
        for _ in range(6):
            threads = [threading.Thread(target=send) for _ in range(12)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert queue.total() == 72
    assert [record.getMessage() for record in caplog.records if record.name.startswith("urllib3")] == []


def test_a_desk_has_every_queue_that_a_trigger_polls(storage: StorageSettings) -> None:
    """The host logs a warning for each poll of a queue that is not there."""
    settings = {"%DEBOUNCE_QUEUE%": storage.debounce_queue}
    names = set[str]()
    for builder in [*triggers.blueprint._function_builders, *triggers.by_webhook._function_builders]:
        trigger: dict[str, Any] = builder._function.get_trigger().get_dict_repr()  # type: ignore[union-attr]
        if "queueName" in trigger:
            name = str(trigger["queueName"])
            for setting, value in settings.items():
                name = name.replace(setting, value)
            names.add(name)
    assert len(names) == 3
    check(storage, containers=[], queues=sorted(names))


def test_an_endpoint_where_nobody_listens_is_wrong(with_sas: Sas) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}/{ACCOUNT}"
        started = time.monotonic()
        with pytest.raises(ConfigurationError, match="cannot be reached") as error:
            check(replace(with_sas(), endpoint=endpoint))
    assert time.monotonic() - started < 15
    assert error.value.code is Code.WRONG_ENDPOINT
    assert "AZURE_STORAGE_ENDPOINT" in error.value.advice
    assert "sig=" not in str(error.value)


def test_a_host_that_does_not_exist_is_a_wrong_endpoint(with_sas: Sas) -> None:
    settings = replace(
        with_sas(), endpoint="https://nobody.blob.invalid", queue_endpoint="https://nobody.queue.invalid"
    )
    with pytest.raises(ConfigurationError) as error:
        check(settings)
    assert error.value.code is Code.WRONG_ENDPOINT


def test_a_server_that_is_no_storage_is_a_wrong_endpoint(with_sas: Sas) -> None:
    with jobs_api(Answer(404, {"error": "what do you want?"})) as api, pytest.raises(ConfigurationError) as error:
        check(replace(with_sas(), endpoint=f"{api.url}/{ACCOUNT}"))
    assert error.value.code is Code.WRONG_ENDPOINT
    assert "is not Azure storage" in error.value.cause
