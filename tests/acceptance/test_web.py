"""The HTTP API in the emulated cloud: over real HTTP, with links that the real emulator honours or refuses."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from function_app.web.http import Request
from function_app.web.routes import answer
from function_app.web.site import Site
from local.azurite import Azurite
from scenejobs.adapters.azure.links import AzureLinks
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.settings.storage import StorageSettings
from scenejobs.settings.web import WebSettings
from tests.commands import publish
from tests.web_host import hosted

pytestmark = pytest.mark.azurite
FIVE_BYTES = {"scene": "lobby", "files": [{"name": "a.mp4", "size_bytes": 5}]}
OWN = {"X-Requested-With": "XMLHttpRequest", "Content-Type": "application/json"}


def ask(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body; a redirect is not followed."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        connection.request(method, url[url.index(parts.netloc) + len(parts.netloc) :], body, dict(headers or {}))
        found = connection.getresponse()
        return found.status, {name.lower(): text for name, text in found.getheaders()}, found.read()
    finally:
        connection.close()


@pytest.fixture
def site(storage: StorageSettings, containers: Containers, queues: Queues) -> Site:
    return Site(containers, queues, AzureLinks(storage), WebSettings(on=True, auth="local"), DispatchSettings())


def local(site: Site, method: str, path: str, body: Any = None) -> Any:
    headers = {"host": "127.0.0.1", "accept": "application/json", **{key.lower(): text for key, text in OWN.items()}}
    found = answer(site, Request(method, path, {}, headers, b"" if body is None else json.dumps(body).encode()))
    assert found.status == 200, found.body
    return json.loads(found.body)


def put_block(url: str, number: int, data: bytes) -> int:
    block = base64.b64encode(f"{number:06d}".encode()).decode()
    return ask("PUT", f"{url}&comp=block&blockid={quote(block)}", data)[0]


def commit(url: str, count: int) -> int:
    names = "".join(f"<Latest>{base64.b64encode(f'{n:06d}'.encode()).decode()}</Latest>" for n in range(count))
    return ask("PUT", f"{url}&comp=blocklist", f"<BlockList>{names}</BlockList>".encode())[0]


def test_a_file_is_sent_in_blocks_by_its_link_and_by_a_renewed_one(site: Site, containers: Containers) -> None:
    wanted: dict[str, Any] = {"scene": "lobby", "files": [{"name": "ü 1.mp4", "size_bytes": 10}]}
    (ticket,) = local(site, "POST", "uploads", wanted)["files"]
    assert put_block(ticket["url"], 0, b"first") == 201
    wanted["files"][0]["blob"] = ticket["blob"]
    (renewed,) = local(site, "POST", "uploads", wanted)["files"]
    assert renewed["blob"] == ticket["blob"] == "lobby/ü 1.mp4"
    assert put_block(renewed["url"], 1, b"second") == 201
    assert commit(renewed["url"], 2) == 201
    assert containers.input.read("lobby/ü 1.mp4")[0] == b"firstsecond"


def test_the_link_of_an_upload_does_nothing_else(site: Site, containers: Containers) -> None:
    containers.input.write("lobby/other.mp4", b"video")
    (ticket,) = local(site, "POST", "uploads", FIVE_BYTES)["files"]
    url = ticket["url"]
    assert put_block(url, 0, b"video") == 201
    assert commit(url, 1) == 201
    assert ask("GET", url)[0] == 403
    assert ask("HEAD", url)[0] == 403
    assert ask("DELETE", url)[0] == 403
    for other in ("lobby/other.mp4", "lobby/b.mp4", "cellar/a.mp4"):
        foreign = url.replace(quote("lobby/a.mp4"), quote(other))
        assert ask("PUT", foreign, b"x", {"x-ms-blob-type": "BlockBlob"})[0] == 403
    container = url.replace("/" + quote("lobby/a.mp4"), "")
    assert ask("GET", f"{container}&restype=container&comp=list")[0] == 403
    assert containers.input.read("lobby/other.mp4")[0] == b"video"


def test_the_link_of_a_file_reads_that_file_alone_and_for_a_while(site: Site, containers: Containers) -> None:
    publish(containers, {"viewer.html": b"<p>", "lobby.ply": b"ply"})
    containers.output.write("cellar/viewer.html", b"secret")
    url = local(site, "GET", "scenes/lobby/files/viewer.html")["url"]
    status, headers, body = ask("GET", url)
    assert (status, body, headers["content-type"]) == (200, b"<p>", "text/html")
    for other in ("lobby/lobby.ply", "cellar/viewer.html", "lobby/manifest.json"):
        assert ask("GET", url.replace("lobby/viewer.html", other))[0] == 403
    assert ask("PUT", url, b"x", {"x-ms-blob-type": "BlockBlob"})[0] == 403
    assert ask("DELETE", url)[0] == 403
    assert ask("GET", url.replace("sp=r", "sp=rw"))[0] == 403


def test_an_expired_link_is_refused(site: Site, containers: Containers) -> None:
    publish(containers, {"viewer.html": b"<p>"})
    old = replace(site, clock=lambda: datetime.now(UTC) - timedelta(hours=5))
    assert ask("GET", local(old, "GET", "scenes/lobby/files/viewer.html")["url"])[0] == 403
    (ticket,) = local(old, "POST", "uploads", FIVE_BYTES)["files"]
    assert put_block(ticket["url"], 0, b"video") == 403


def test_a_browser_keeps_the_file_under_its_name_where_it_is_asked_to(site: Site, containers: Containers) -> None:
    publish(containers, {"lobby ü.ply": b"ply"})
    headers = {"host": "127.0.0.1"}
    request = Request("GET", f"scenes/lobby/files/{quote('lobby ü.ply')}", {"download": "1"}, headers)
    location = answer(site, request).headers["Location"]
    status, found, _ = ask("GET", location)
    assert (status, found["content-disposition"]) == (200, "attachment; filename*=UTF-8''lobby%20%C3%BC.ply")


# ---- the function in its host ----------------------------------------------------------------------------------------


def event(storage: StorageSettings, azurite: Azurite, name: str) -> bytes:
    url = f"{azurite.blob_endpoint}/{storage.input}/{quote(name)}"
    subject = f"/blobServices/default/containers/{storage.input}/blobs/{name}"
    data = {"api": "PutBlockList", "url": url, "eTag": "0x1"}
    return json.dumps(
        [{"eventType": "Microsoft.Storage.BlobCreated", "subject": subject, "data": data, "id": "1"}]
    ).encode()


def test_event_grid_arrives_with_its_key_while_people_are_asked_to_sign_in(
    azurite: Azurite, storage: StorageSettings, containers: Containers, queues: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    containers.input.write("lobby/a.mp4", b"video")
    with hosted(azurite, storage, monkeypatch, WEB_AUTH="entra") as here:
        hook = f"{here}/runtime/webhooks/blobs?functionName=Host.Functions.on_upload"
        sent = event(storage, azurite, "lobby/a.mp4")
        assert ask("POST", f"{hook}&code=wrong", sent)[0] == 401
        assert ask("POST", hook, sent)[0] == 401
        assert ask("GET", f"{here}/api/scenes")[0] == 503  # nobody signs anybody in here, and nobody gets in
        assert ask("POST", f"{hook}&code=the-key-of-the-host", sent)[0] == 202
        end = time.monotonic() + 60
        while not queues.debounce.total() and time.monotonic() < end:
            time.sleep(0.1)
    assert queues.debounce.total() == 1


def test_with_keys_the_host_asks_for_one(
    azurite: Azurite, storage: StorageSettings, containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    containers.input.write("lobby/a.mp4", b"video")
    with hosted(azurite, storage, monkeypatch, WEB_AUTH="keys") as here:
        assert ask("GET", f"{here}/api/scenes")[0] == 401
        assert ask("GET", f"{here}/api/scenes", headers={"x-functions-key": "wrong"})[0] == 401
        status, headers, body = ask("GET", f"{here}/api/scenes", headers={"x-functions-key": "the-key-of-the-host"})
        assert status == 200
        assert [one["scene"] for one in json.loads(body)["scenes"]] == ["lobby"]
        again = {"x-functions-key": "the-key-of-the-host", "If-None-Match": headers["etag"]}
        assert ask("GET", f"{here}/api/scenes", headers=again)[0] in (200, 304)  # the expected time may have moved
        assert ask("GET", f"{here}/api/scenes?code=the-key-of-the-host")[0] == 200


def test_on_a_desk_a_foreign_page_is_not_answered_and_a_name_may_hold_anything(
    azurite: Azurite, storage: StorageSettings, containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    containers.input.write("Große Halle/ü 1.mp4", b"video")
    with hosted(azurite, storage, monkeypatch) as here:
        assert ask("GET", f"{here}/api/scenes", headers={"Origin": "http://evil.example"})[0] == 403
        assert ask("GET", f"{here}/api/scenes", headers={"Host": "evil.example"})[0] == 421
        status, _, body = ask("GET", f"{here}/api/scenes/{quote('Große Halle')}")
        assert (status, json.loads(body)["scene"]["scene"]) == (200, "Große Halle")
        for path in ("scenes/..%2Fstate", "scenes/%2e%2e", "scenes/a%00b"):
            assert ask("GET", f"{here}/api/{path}")[0] == 400
        assert ask("PUT", f"{here}/api/scenes")[0] == 404  # the host gives the function what its methods are
        assert ask("POST", f"{here}/api/uploads", b"x" * 400_000, OWN)[0] == 413


def test_without_web_there_is_no_http_function(
    azurite: Azurite, storage: StorageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hosted(azurite, storage, monkeypatch, WEB="false") as here:
        assert ask("GET", f"{here}/api/scenes")[0] == 404
