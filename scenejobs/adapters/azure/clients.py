"""The containers and queues of the system, opened from settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobServiceClient, CorsRule
from azure.storage.queue import QueueServiceClient

from scenejobs.adapters.azure.blobs import AzureBlobStore
from scenejobs.adapters.azure.credentials import Access, access
from scenejobs.adapters.azure.errors import error_code, storage_error, storage_errors, unreachable
from scenejobs.adapters.azure.queues import AzureJobQueue
from scenejobs.adapters.azure.retry import NORMAL, START_UP, Patience, Retry, Sent
from scenejobs.errors import Code, ConfigurationError
from scenejobs.ports import Containers, JobQueue, Queues
from scenejobs.settings.storage import StorageSettings

CONNECTIONS = 16  # kept open to a host
UPLOAD_POISON = "webjobs-blobtrigger-poison"  # the host's name, in the account with the uploads
BLOCK_BYTES = 16 * 2**20  # 50 000 blocks of this size are 780 GiB
MISSING = frozenset({"ContainerNotFound", "QueueNotFound"})
NOT_SUPPORTED = {
    "Storage": "it raises no events",
    "FileStorage": "it has no blobs",
    "BlobStorage": "it has no queues",
    "BlockBlobStorage": "it has no queues",
}


def open_containers(settings: StorageSettings, patience: Patience = NORMAL) -> Containers:
    """Makes no request yet. Raises ConfigurationError."""
    service = blob_service(access(settings), patience)
    return Containers(
        input=AzureBlobStore(service.get_container_client(settings.input)),
        output=AzureBlobStore(service.get_container_client(settings.output)),
        processed=AzureBlobStore(service.get_container_client(settings.processed)),
        error=AzureBlobStore(service.get_container_client(settings.error)),
        state=AzureBlobStore(service.get_container_client(settings.state)),
    )


def open_queues(settings: StorageSettings, patience: Patience = NORMAL) -> Queues:
    """Makes no request yet. Raises ConfigurationError."""
    service = queue_service(access(settings), patience)
    return Queues(
        debounce=AzureJobQueue(service.get_queue_client(settings.debounce_queue)),
        jobs=AzureJobQueue(service.get_queue_client(settings.jobs_queue)),
        poison=AzureJobQueue(service.get_queue_client(poison_name(settings))),
    )


def open_queue(settings: StorageSettings, name: str, patience: Patience = NORMAL) -> JobQueue:
    """Any queue of the account. Makes no request yet. Raises ConfigurationError."""
    return AzureJobQueue(queue_service(access(settings), patience).get_queue_client(name))


def poison_name(settings: StorageSettings) -> str:
    return f"{settings.jobs_queue}-poison"


def checks_poison_name(settings: StorageSettings) -> str:
    return f"{settings.debounce_queue}-poison"


def container_names(settings: StorageSettings) -> tuple[str, ...]:
    return (settings.input, settings.output, settings.processed, settings.error, settings.state)


def queue_names(settings: StorageSettings) -> tuple[str, ...]:
    return (settings.debounce_queue, settings.jobs_queue, poison_name(settings))


def host_queue_names(settings: StorageSettings) -> tuple[str, ...]:
    """What the Functions host moves messages into: it polls them from its start on, and logs when one is missing."""
    return (checks_poison_name(settings), UPLOAD_POISON)


def create_all(settings: StorageSettings) -> None:
    """Creates the containers and queues that are missing: for the emulator; in Azure the deployment does it."""
    opened = access(settings)
    blobs, queues = blob_service(opened, NORMAL), queue_service(opened, NORMAL)
    for name in container_names(settings):
        with storage_errors(f"creating container {name}"):
            try:
                blobs.create_container(name)
            except ResourceExistsError:
                continue
    for name in (*queue_names(settings), *host_queue_names(settings)):
        with storage_errors(f"creating queue {name}"):
            try:
                queues.create_queue(name)
            except ResourceExistsError:
                continue


def allow_origins(settings: StorageSettings, origins: Iterable[str]) -> None:
    """Lets pages of these origins send blobs: for the emulator; in Azure the deployment does it."""
    rule = CorsRule(
        list(origins), ["PUT"], allowed_headers=["content-type", "x-ms-*"], exposed_headers=["x-ms-*"],
        max_age_in_seconds=3600,
    )  # fmt: skip
    with storage_errors("letting the page send blobs"):
        blob_service(access(settings), NORMAL).set_service_properties(cors=[rule])


def check(settings: StorageSettings, *, containers: Iterable[str] | None = None, queues: Iterable[str] = ()) -> str:
    """Makes one request to each container (default: all five) and queue; returns how we signed in, for the log.

    Raises ConfigurationError (wrong endpoint, missing container or queue) or AccessDenied, naming the thing and the
    remedy; Busy when the service has a bad moment.
    """
    opened = access(settings)
    blobs, waiting = blob_service(opened, START_UP), queue_service(opened, START_UP)
    for name in container_names(settings) if containers is None else containers:
        try:
            next(iter(blobs.get_container_client(name).list_blobs(results_per_page=1).by_page()), None)
        except AzureError as exc:
            raise _start_up_error(exc, f"container {name}", opened.blob_url, "AZURE_STORAGE_ENDPOINT") from exc
    for name in queues:
        try:
            waiting.get_queue_client(name).peek_messages(max_messages=1)
        except AzureError as exc:
            raise _start_up_error(exc, f"queue {name}", opened.queue_url, "AZURE_STORAGE_QUEUE_ENDPOINT") from exc
    return opened.means


def namespace(settings: StorageSettings) -> str:
    """The kind of the account, for people: flat or hierarchical; "" where the identity may not ask.

    Raises ConfigurationError for an account that uploads cannot work in.
    """
    opened = access(settings)
    try:
        found = blob_service(opened, START_UP).get_account_information()
    except AzureError:  # asking needs more than the rights on the containers
        return ""
    kind, hierarchical = str(found.get("account_kind") or ""), bool(found.get("is_hns_enabled"))
    if kind in NOT_SUPPORTED:
        raise ConfigurationError(
            f"the storage account is of kind {kind}: {NOT_SUPPORTED[kind]}",
            code=Code.INVALID_SETTING,
            advice="use an account of kind StorageV2",
        )
    return f"{kind}, {'hierarchical' if hierarchical else 'flat'} namespace"


def _start_up_error(exc: AzureError, what: str, endpoint: str, variable: str) -> Exception:
    variable = variable if "core.windows.net" not in endpoint else f"AZURE_STORAGE_ACCOUNT and {variable}"
    wrong_endpoint = unreachable(exc, endpoint, variable)
    if wrong_endpoint:
        return wrong_endpoint
    if error_code(exc) in MISSING:
        return ConfigurationError(
            f"{what} does not exist at {endpoint}",
            code=Code.INVALID_SETTING,
            advice="create it, or set its name (docs/configuration.md)",
        )
    return storage_error(exc, f"looking at {what}")


def blob_service(opened: Access, patience: Patience, **options: Any) -> BlobServiceClient:
    """`options`: of the SDK's client, as another transport."""
    if "transport" not in options:
        options["transport"] = _transport(**_options(opened, patience))
    return BlobServiceClient(
        opened.blob_url,
        credential=opened.credential,
        max_block_size=BLOCK_BYTES,
        max_single_put_size=BLOCK_BYTES,
        max_single_get_size=BLOCK_BYTES,
        max_chunk_get_size=BLOCK_BYTES,
        **_options(opened, patience) | options,
    )


def _transport(**options: Any) -> RequestsTransport:
    """With an open connection for each of the threads that move inputs; the SDK keeps ten, and makes others anew."""
    transport = RequestsTransport(**options)
    transport.open()
    session: Any = transport.session
    for adapter in session.adapters.values():
        adapter.init_poolmanager(CONNECTIONS, CONNECTIONS)
    return transport


def queue_service(opened: Access, patience: Patience, **options: Any) -> QueueServiceClient:
    """`options`: of the SDK's client, as another transport."""
    if "transport" not in options:  # as many checks at once as host.json allows, each with a connection
        options["transport"] = _transport(**_options(opened, patience))
    return QueueServiceClient(opened.queue_url, credential=opened.credential, **_options(opened, patience) | options)


def _options(opened: Access, patience: Patience) -> dict[str, Any]:
    return {
        "connection_timeout": patience.connect_s,
        "read_timeout": patience.read_s,
        "retry_policy": Retry(patience),
        "raw_request_hook": Sent(),
        # a proxy of the environment cannot reach an emulator on this machine
        **({"use_env_settings": False} if opened.is_local else {}),
    }
