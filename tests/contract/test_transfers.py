"""On the emulator: a transfer that broke off goes on where it was, and a link reads one file for a while."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scenejobs.adapters.azure import blocks
from scenejobs.adapters.azure.clients import open_containers
from scenejobs.adapters.links import link
from scenejobs.adapters.transfers import fetch, send
from scenejobs.errors import ConfigurationError, Conflict
from scenejobs.settings.storage import FolderSettings, StorageSettings

pytestmark = pytest.mark.azurite


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1000)


class Broken(Exception):
    """The network is gone."""


class Told:
    """Counts the bytes, and breaks off after so many calls; 0: never."""

    def __init__(self, breaks_after: int = 0) -> None:
        self.sizes: list[int] = []
        self._left = breaks_after

    def __call__(self, size: int) -> None:
        self.sizes.append(size)
        if len(self.sizes) == self._left:
            raise Broken


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "view.mp4"
    path.write_bytes(os.urandom(4500))
    return path


def test_blocks_that_were_sent_are_not_sent_again(
    film: Path, storage: StorageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_containers(storage).input
    with pytest.raises(Broken):
        send(store, film, "lobby/view.mp4", Told(3))
    assert list(store.list("lobby/")) == [], "nothing is there before it is whole"
    sent: list[int] = []
    stage = blocks.BlobClient.stage_block
    monkeypatch.setattr(
        blocks.BlobClient, "stage_block", lambda *given, **options: (sent.append(1), stage(*given, **options))[1]
    )
    told = Told()
    send(store, film, "lobby/view.mp4", told)
    assert len(sent) == 2, "of five blocks three were there"
    assert sum(told.sizes) == 4500
    assert store.read("lobby/view.mp4")[0] == film.read_bytes()
    assert store.head("lobby/view.mp4").content_md5


def test_a_file_that_changed_in_between_is_sent_as_it_is(film: Path, storage: StorageSettings) -> None:
    store = open_containers(storage).input
    with pytest.raises(Broken):
        send(store, film, "lobby/view.mp4", Told(3))
    film.write_bytes(os.urandom(3200))
    send(store, film, "lobby/view.mp4", Told())
    assert store.read("lobby/view.mp4")[0] == film.read_bytes()


def test_a_download_goes_on_with_the_same_version_alone(tmp_path: Path, storage: StorageSettings) -> None:
    store, path = open_containers(storage).output, tmp_path / "lobby.ply"
    first, second = os.urandom(4500), os.urandom(4500)
    store.write("lobby/lobby.ply", first)
    with pytest.raises(Broken):
        fetch(store, "lobby/lobby.ply", path, Told(3))
    assert not path.exists()
    told = Told()
    fetch(store, "lobby/lobby.ply", path, told)
    assert path.read_bytes() == first
    assert told.sizes[0] >= 1000, "what was there is told, not fetched"
    path.unlink()
    with pytest.raises(Broken):
        fetch(store, "lobby/lobby.ply", path, Told(3))
    store.write("lobby/lobby.ply", second)
    fetch(store, "lobby/lobby.ply", path, Told())
    assert path.read_bytes() == second
    assert [each.name for each in tmp_path.iterdir()] == ["lobby.ply"], "no part is left"


def test_a_version_that_is_replaced_during_a_download_is_a_conflict(tmp_path: Path, storage: StorageSettings) -> None:
    store = open_containers(storage).output
    store.write("lobby/lobby.ply", os.urandom(4500))

    def replaced(_: int) -> None:
        store.write("lobby/lobby.ply", os.urandom(4500))

    with pytest.raises(Conflict):
        fetch(store, "lobby/lobby.ply", tmp_path / "lobby.ply", replaced)


def test_a_link_reads_one_file_until_its_time_is_over(storage: StorageSettings) -> None:
    output = open_containers(storage).output
    output.write("lobby/viewer.html", b"<html>")
    output.write("lobby/lobby.ply", b"ply")
    now = datetime.now(UTC)
    url = link(FolderSettings(), storage, "lobby/viewer.html", now - timedelta(minutes=5), now + timedelta(hours=1))
    assert _read(url) == b"<html>"
    with pytest.raises(urllib.error.HTTPError) as other:
        _read(url.replace("viewer.html", "lobby.ply"))
    assert other.value.code == 403
    other.value.close()
    over = link(FolderSettings(), storage, "lobby/viewer.html", now - timedelta(hours=2), now - timedelta(hours=1))
    with pytest.raises(urllib.error.HTTPError) as late:
        _read(over)
    assert late.value.code == 403
    late.value.close()
    sas = replace(storage, connection_string="", account="account", sas_token="sig=x")
    with pytest.raises(ConfigurationError, match="a SAS cannot sign another"):
        link(FolderSettings(), sas, "lobby/viewer.html", now, now)


def _read(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=30) as answer:
        data: bytes = answer.read()
    return data
