"""The settings of a host over the emulator."""

from __future__ import annotations

import pytest

from local.azurite import Azurite
from scenejobs.settings.groups import StorageSettings


@pytest.fixture
def settings(azurite: Azurite, storage: StorageSettings) -> dict[str, str]:
    text = azurite.connection_string
    return {
        "Storage": text,
        "AzureWebJobsStorage": text,
        "INPUT": storage.input,
        "QUEUE": storage.debounce_queue,
        "LOCAL_MAX_POLLING_SECONDS": "0.1",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=0",
    }
