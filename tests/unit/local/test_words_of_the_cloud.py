"""What `video-splat cloud` says to whoever starts it: the next commands, and who is in the way."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from local.cloud import LocalCloud, told
from scenejobs.errors import InfrastructureError
from tests.azurite import available

LONG = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
)


def test_the_next_commands_are_told_as_they_are_typed() -> None:
    lines = told(LONG, Path(".local/cloud")).splitlines()
    assert "  export AZURE_STORAGE_CONNECTION_STRING=UseDevelopmentStorage=true" in lines
    assert any(line.startswith("  scenejobs upload ") for line in lines)
    assert "Ctrl-C stops it" in lines[0]
    assert ".local/cloud" in lines[0]
    assert lines[-1].endswith(f"connection string: {LONG}")


def test_storage_that_runs_elsewhere_is_named_as_its_owner_named_it() -> None:
    """With quotes: the shell would end the command at a semicolon."""
    lines = told(LONG, Path("logs"), LONG).splitlines()
    assert f"  export AZURE_STORAGE_CONNECTION_STRING='{LONG}'" in lines
    assert "storage" not in lines[0]


def test_where_nobody_works_on_uploads_none_is_asked_for() -> None:
    assert "upload" not in told(LONG, Path("logs"), alone=True)


@pytest.mark.azurite
def test_a_port_of_the_emulator_that_is_taken_is_told_by_number_with_the_ways_out(tmp_path: Path) -> None:
    available()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        busy = other.getsockname()[1]
        with pytest.raises(InfrastructureError) as found, LocalCloud(tmp_path, {}, ports=(0, busy, 0)):
            pass
    assert f"port {busy} of this machine is in use" in str(found.value)
    assert "export AZURE_STORAGE_CONNECTION_STRING=UseDevelopmentStorage=true" in str(found.value)
