"""The function app in the emulated host of this process, over the emulator, answering HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import azure.functions as func
import pytest

from function_app import triggers
from function_app import wiring as dispatcher
from function_app.web import wiring
from local.azurite import Azurite
from local.functions_host.host import Host, app_settings
from local.functions_host.options import HostOptions
from scenejobs.adapters.azure.clients import allow_origins
from scenejobs.settings.storage import StorageSettings


@contextmanager
def hosted(azurite: Azurite, storage: StorageSettings, monkeypatch: pytest.MonkeyPatch, **env: str) -> Iterator[str]:
    """The whole app in the emulated host, with its HTTP function, for this machine. Gives the address."""
    settings = app_settings({"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string}) | {
        "AZURE_BLOB_CONTAINER_INPUT": storage.input, "AZURE_BLOB_CONTAINER_OUTPUT": storage.output,
        "AZURE_BLOB_CONTAINER_STATE": storage.state, "AZURE_BLOB_CONTAINER_PROCESSED": storage.processed,
        "AZURE_BLOB_CONTAINER_ERROR": storage.error,
        "DEBOUNCE_QUEUE": storage.debounce_queue, "JOBS_QUEUE": storage.jobs_queue, "SWEEP_SCHEDULE": "0 0 0 1 1 *",
        "BLOB_TRIGGER_SOURCE": "EventGrid", "QUIET_SECONDS": "600", "LOCAL_MAX_POLLING_SECONDS": "0.2",
        "AZURE_SUBSCRIPTION_ID": "s", "AZURE_RESOURCE_GROUP": "g", "RUNNER_JOB_NAME": "runner",
        "ARM_ENDPOINT": "http://127.0.0.1:9",
        "WEB": "true", "WEB_AUTH": "local", "LOCAL_HTTP_PORT": "0", "LOCAL_KEY": "the-key-of-the-host", **env,
    }  # fmt: skip
    for name, text in settings.items():
        monkeypatch.setenv(name, text)
    wiring.site.cache_clear()
    dispatcher.app.cache_clear()
    app = func.FunctionApp()
    for part in triggers.chosen():
        app.register_functions(part)
    try:
        with Host(app, settings, HostOptions()) as host:
            assert host.http is not None
            address = f"http://127.0.0.1:{host.http.port}"
            allow_origins(storage, [address])
            yield address
    finally:
        wiring.site.cache_clear()
        dispatcher.app.cache_clear()
