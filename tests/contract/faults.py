"""A transport that loses answers and bends them, between the real SDK and the real emulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from azure.core.exceptions import IncompleteReadError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport

from scenejobs.adapters.azure.blobs import AzureBlobStore
from scenejobs.adapters.azure.clients import blob_service, queue_service
from scenejobs.adapters.azure.credentials import access
from scenejobs.adapters.azure.queues import AzureJobQueue
from scenejobs.adapters.azure.retry import Patience, Retry
from scenejobs.settings.storage import StorageSettings

QUICK = Patience(attempts=4, budget_s=20, base_wait_s=0.01, max_wait_s=0.02)

Answer = Any  # azure.core.rest HttpResponse over requests
Fault = Callable[[Any, Callable[[], Answer]], Answer]  # (request, send) -> answer, or raises


@dataclass
class FaultyTransport(RequestsTransport):
    """Applies the faults, one per request in their order, then behaves."""

    faults: list[Fault] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)  # methods, for counting

    def __post_init__(self) -> None:
        super().__init__(use_env_settings=False)

    def send(self, request: Any, **kwargs: Any) -> Any:
        self.sent.append(request.method)
        parent = super()

        def go() -> Answer:
            return parent.send(request, **kwargs)

        return self.faults.pop(0)(request, go) if self.faults else go()


def fine(request: Any, send: Callable[[], Answer]) -> Answer:
    return send()


def lost_answer(request: Any, send: Callable[[], Answer]) -> Answer:
    """The service does it; nobody hears of it."""
    send().read()
    raise ServiceResponseError("the answer was lost")


def lost_request(request: Any, send: Callable[[], Answer]) -> Answer:
    """The service never sees it."""
    raise ServiceRequestError("the request was lost")


def cut_short(request: Any, send: Callable[[], Answer]) -> Answer:
    """The headers came, the body broke off: what the SDK's transport raises then."""
    send().read()
    raise IncompleteReadError("Connection broken: IncompleteRead(126 bytes read, 126 more expected)")


def refused_with(status: int, **headers: str) -> Fault:
    """The service is asked, but its answer is made into another one."""

    def fault(request: Any, send: Callable[[], Answer]) -> Answer:
        answer = send()
        answer.status_code = answer.internal_response.status_code = status
        answer.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
        return answer

    return fault


def instead(status: int, **headers: str) -> Fault:
    """The service is not asked for the thing: the request becomes a harmless question, its answer another one."""

    def fault(request: Any, send: Callable[[], Answer]) -> Answer:
        request.method = "HEAD"
        request.url += "-nothing-of-that-name"
        return refused_with(status, **headers)(request, send)

    return fault


def faulty_store(
    settings: StorageSettings, container: str, *faults: Fault, copy_wait_s: float = 1.0
) -> tuple[AzureBlobStore, FaultyTransport]:
    transport = FaultyTransport(faults=list(faults))
    service = blob_service(access(settings), QUICK, transport=transport, retry_policy=Retry(QUICK))
    store = AzureBlobStore(service.get_container_client(container), copy_wait_s=copy_wait_s, sleep=lambda _: None)
    return store, transport


def faulty_queue(settings: StorageSettings, queue: str, *faults: Fault) -> tuple[AzureJobQueue, FaultyTransport]:
    transport = FaultyTransport(faults=list(faults))
    service = queue_service(access(settings), QUICK, transport=transport, retry_policy=Retry(QUICK))
    return AzureJobQueue(service.get_queue_client(queue)), transport
