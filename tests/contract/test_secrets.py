"""A process at LOG_LEVEL=DEBUG that works with a SAS, fails and crashes: its output shows no secret."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

from local.azurite import ACCOUNT, KEY, Azurite
from scenejobs.settings.storage import StorageSettings

pytestmark = pytest.mark.azurite

ROOT = Path(__file__).parents[2]
PROGRAM = """
import logging, os, threading
from scenejobs.logs.setup import configure
from scenejobs.settings.groups import LogSettings
from scenejobs.settings.reader import read
from scenejobs.settings.storage import StorageSettings
from scenejobs.adapters.azure.clients import open_containers, check
from scenejobs.errors import SceneJobError

configure(read(LogSettings, os.environ), job_id="job-1")
storage = read(StorageSettings, os.environ)
containers = open_containers(storage)
containers.input.write("a", b"1")
list(containers.input.list())
logging.info("settings are %s", storage)
logging.info("asking %s?%s", storage.endpoint, storage.sas_token)
logging.getLogger("urllib3.connectionpool").debug("GET /input?%s", storage.sas_token)
try:
    containers.input.head("missing")
except SceneJobError:
    logging.exception("as expected")
nobody = "http://127.0.0.1:1/x"
storage = StorageSettings(endpoint=nobody, queue_endpoint=nobody, sas_token=storage.sas_token)
thread = threading.Thread(target=check, args=(storage,))
thread.start()
thread.join()
check(storage)
"""


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_process_that_logs_everything_shows_no_secret(
    azurite: Azurite, storage: StorageSettings, log_format: str
) -> None:
    """Chained exceptions of the HTTP library quote the whole URL; even a crash is logged without the signature."""
    token = generate_account_sas(
        ACCOUNT,
        KEY,
        resource_types=ResourceTypes(container=True, object=True),
        permission=AccountSasPermissions.from_string("rwdlac"),
        expiry=datetime.now(UTC) + timedelta(hours=1),
        services="bq",
    )
    env = {
        "PATH": os.environ["PATH"],
        "AZURE_STORAGE_ENDPOINT": azurite.blob_endpoint,
        "AZURE_STORAGE_QUEUE_ENDPOINT": azurite.queue_endpoint,
        "AZURE_STORAGE_SAS_TOKEN": token,
        "AZURE_BLOB_CONTAINER_INPUT": storage.input,
        "AZURE_CLIENT_SECRET": "canary~secret~value",
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": log_format,
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 1, output
    assert output.count("cannot be reached") >= 2, output
    assert "as expected" in output
    signature = token.rpartition("sig=")[2].partition("&")[0]
    for secret in (signature, signature.replace("%", ""), KEY, "canary~secret~value"):
        assert secret not in output
    assert "[REDACTED]" in output
