"""`video-splat desk start` makes the settings that `func start` reads, keeps a person's own, refuses wrong places.

Started for real in tests/acceptance/package/test_pages.py.
"""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest

from local import desk
from tests.azurite import available

ROOT = Path(__file__).parents[3]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in desk.NEEDED:
        shutil.copyfile(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for name in (*desk.CONNECTIONS, "ARM_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_file_is_made_from_the_example_once(clone: Path) -> None:
    example = json.loads((ROOT / desk.EXAMPLE).read_text())["Values"]
    assert desk.settings(clone) == example
    mine = {"Values": {**example, "QUIET_SECONDS": "5"}}
    (clone / desk.SETTINGS).write_text(json.dumps(mine))
    assert desk.settings(clone) == mine["Values"]
    assert json.loads((clone / desk.SETTINGS).read_text()) == mine


@pytest.mark.parametrize(
    ("name", "text"),
    [("SceneStorage", "DefaultEndpointsProtocol=https"), ("ARM_ENDPOINT", "https://management.example:443")],
)
def test_settings_that_lead_elsewhere_are_refused(
    clone: Path, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    """Else `func` would take uploads from an account of Azure, or start jobs there."""
    example = json.loads((ROOT / desk.EXAMPLE).read_text())["Values"]
    (clone / desk.SETTINGS).write_text(json.dumps({"Values": {**example, name: text}}))
    assert desk.main(["start"]) == 2
    assert name in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "[]", '{"Values": []}', '{"IsEncrypted": true}'])
def test_a_file_that_cannot_be_read_is_told(clone: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (clone / desk.SETTINGS).write_text(text)
    assert desk.main(["start"]) == 2
    assert f"{desk.SETTINGS} cannot be read" in capsys.readouterr().err


def test_another_folder_than_the_repositorys_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert desk.main(["start"]) == 2
    assert "host.json" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.azurite
@pytest.mark.parametrize("service", ["storage emulator", "jobs API"])
def test_a_port_that_is_taken_is_told_by_number_in_one_line(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], service: str
) -> None:
    """With a way out that this command has: it starts an emulator of its own whatever is exported."""
    available()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        busy = other.getsockname()[1]
        monkeypatch.setattr(desk, "DESK_PORTS", (0, busy if service == "storage emulator" else 0, 0))
        if service == "jobs API":
            monkeypatch.setenv("ARM_ENDPOINT", f"http://127.0.0.1:{busy}")
        assert desk.main(["start", "--folder", str(clone / "desk")]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert f"port {busy} of this machine is in use, and the {service} needs it" in line
    assert "stop the program there" in line
    assert ("ARM_ENDPOINT" in line) == (service == "jobs API")
    assert "AZURE_STORAGE_CONNECTION_STRING" not in line
