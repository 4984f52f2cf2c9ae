"""Settings of where blobs, queues and folders are."""

from __future__ import annotations

from dataclasses import dataclass

from scenejobs.settings.reader import setting as _setting


@dataclass(frozen=True)
class StorageSettings:
    """Where the blobs and queues are and who asks. `scenejobs.adapters.azure.credentials` chooses the credential."""

    account: str = _setting("AZURE_STORAGE_ACCOUNT", "name of the storage account", "")
    endpoint: str = _setting(
        "AZURE_STORAGE_ENDPOINT",
        "blob endpoint, for sovereign clouds; default: https://<account>.blob.core.windows.net",
        "",
    )
    queue_endpoint: str = _setting(
        "AZURE_STORAGE_QUEUE_ENDPOINT", "queue endpoint; default: from the blob endpoint", ""
    )
    connection_string: str = _setting(
        "AZURE_STORAGE_CONNECTION_STRING",
        "connection string: for the emulator only; a real account wants an identity",
        "",
    )
    connection_string_file: str = _setting(
        "AZURE_STORAGE_CONNECTION_STRING_FILE", "file that holds the connection string, as Docker secrets are", ""
    )
    sas_token: str = _setting("AZURE_STORAGE_SAS_TOKEN", "shared access signature; a leading ? is allowed", "")
    sas_token_file: str = _setting(
        "AZURE_STORAGE_SAS_TOKEN_FILE", "file that holds the shared access signature, as Docker secrets are", ""
    )
    use_managed_identity: bool = _setting("AZURE_USE_MANAGED_IDENTITY", "use the managed identity", False)
    client_id: str = _setting("AZURE_CLIENT_ID", "client id of the user-assigned identity or service principal", "")
    tenant_id: str = _setting("AZURE_TENANT_ID", "tenant of the service principal", "")
    client_secret: str = _setting("AZURE_CLIENT_SECRET", "secret of the service principal", "")
    client_secret_file: str = _setting(
        "AZURE_CLIENT_SECRET_FILE", "file that holds the secret of the service principal, as Docker secrets are", ""
    )
    federated_token_file: str = _setting("AZURE_FEDERATED_TOKEN_FILE", "token file of a workload identity", "")
    use_azure_ad: bool = _setting("AZURE_USE_AZURE_AD", "sign in with an identity even where a SAS token is set", False)
    input: str = _setting("AZURE_BLOB_CONTAINER_INPUT", "container the user uploads to", "input")
    output: str = _setting("AZURE_BLOB_CONTAINER_OUTPUT", "container of the results", "output")
    processed: str = _setting(
        "AZURE_BLOB_CONTAINER_PROCESSED", "container of inputs that were turned into a scene", "processed"
    )
    error: str = _setting(
        "AZURE_BLOB_CONTAINER_ERROR", "container of inputs that could not be, with the reason", "error"
    )
    state: str = _setting("AZURE_BLOB_CONTAINER_STATE", "container of records, batches and progress", "state")
    debounce_queue: str = _setting("DEBOUNCE_QUEUE", "queue of delayed quiet-time checks", "debounce")
    jobs_queue: str = _setting("JOBS_QUEUE", "queue of work; <name>-poison holds what nobody can act on", "jobs")


@dataclass(frozen=True)
class FolderSettings:
    """Folders in the place of containers. `scenejobs.adapters.open` chooses between the two."""

    data: str = _setting(
        "DATA_PATH",
        "folder with input, output, processed, error and state, in the place of a storage account; watch mode: /data "
        "where that is there, as in the images",
        "",
    )
    input: str = _setting("INPUT_PATH", "folder the user copies to; default: <DATA_PATH>/input", "")
    output: str = _setting("OUTPUT_PATH", "folder of the results; default: <DATA_PATH>/output", "")
    processed: str = _setting(
        "PROCESSED_PATH", "folder of inputs that were turned into a scene; default: <DATA_PATH>/processed", ""
    )
    error: str = _setting("ERROR_PATH", "folder of inputs that could not be; default: <DATA_PATH>/error", "")
    state: str = _setting("STATE_PATH", "folder of records and queues; default: <DATA_PATH>/state", "")


@dataclass(frozen=True)
class MountSettings:
    """Containers as folders by blobfuse2 (scenejobs/commands/blobfuse/configuration.py)."""

    cache_mb: int = _setting(
        "BLOBFUSE_CACHE_SIZE_MB",
        "cache of a mount, megabytes: on disk; when streaming, in memory, 176 at least",
        1024,
        minimum=1,
    )
    files_s: int = _setting(
        "BLOBFUSE_FILE_CACHE_TIMEOUT_SECS", "a file is read from the cache for so long", 120, minimum=0
    )
    attributes_s: int = _setting(
        "BLOBFUSE_ATTR_CACHE_TIMEOUT_SECS", "names, sizes and times may be this old, seconds", 60, minimum=0
    )
    streaming: bool = _setting(
        "BLOBFUSE_ENABLE_STREAMING", "read block by block instead of caching whole files on disk", False
    )
