"""The emulator as a child process: on ports of its own, gone with its parent, its data kept where that is asked for."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.azurite import Azurite
from local.places import LOCKED
from scenejobs.adapters.azure.clients import create_all, open_containers
from scenejobs.errors import InfrastructureError
from scenejobs.settings.storage import StorageSettings
from tests.azurite import available
from tests.processes import is_running

pytestmark = pytest.mark.azurite
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def installed() -> None:
    available()


def wait_until_gone(pid: int, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(pid)


def test_data_outlives_the_process(tmp_path: Path) -> None:
    """Stopped in order, nothing that was acknowledged is lost; other ports do not matter."""
    with Azurite(tmp_path / "data") as azurite:
        settings = StorageSettings(connection_string=azurite.connection_string)
        create_all(settings)
        for number in range(50):
            open_containers(settings).input.write(f"lobby/{number}.mp4", b"video")
        pid = azurite.pid
    assert not is_running(pid)
    with Azurite(tmp_path / "data") as azurite:
        settings = StorageSettings(connection_string=azurite.connection_string)
        assert len(list(open_containers(settings).input.list())) == 50


def test_two_run_side_by_side() -> None:
    with Azurite() as one, Azurite() as other:
        assert len({one.blob_endpoint, one.queue_endpoint, other.blob_endpoint, other.queue_endpoint}) == 4


def test_a_port_that_is_taken_is_an_error_and_leaves_no_process() -> None:
    """The answer never comes from somebody else's server on that port."""
    with Azurite() as first:
        port = int(first.blob_endpoint.rsplit(":", 1)[1].split("/")[0])
        second = Azurite(ports=(port, 0, 0))
        with pytest.raises(InfrastructureError, match=str(port)):
            second.start()
        second.stop()
        assert is_running(first.pid)


def test_stopping_twice_is_quiet() -> None:
    azurite = Azurite().start()
    azurite.stop()
    azurite.stop()


PARENT = """
import sys, time
from local.azurite import Azurite
azurite = Azurite().start()
print(azurite.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_parent(how: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout as output:
        pid = int(output.readline())
        assert is_running(pid)
        parent.send_signal(how)
        parent.wait(20)
    assert wait_until_gone(pid)


def test_the_command_prints_the_connection_string_and_ends_in_order() -> None:
    command = [sys.executable, "-m", "local.azurite", "run"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as output:
        assert "BlobEndpoint=http://127.0.0.1:" in output.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_the_lock_file_names_no_registry() -> None:
    """Anybody's npm fetches from where it is configured to; the hashes say what must come."""
    text = (LOCKED / "package-lock.json").read_text()
    assert '"resolved"' not in text
    assert text.count('"integrity": "sha512-') > 300
