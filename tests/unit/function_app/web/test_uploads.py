"""Permission to send one blob each: under names that are not there, renewed for the same name alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from scenejobs.settings.groups import DispatchSettings
from scenejobs.state.blobs import InputBlob
from scenejobs.state.record import SceneRecord
from tests.web import Web, answered


def wanted(*names: str, scene: str = "lobby", **more: str) -> dict[str, Any]:
    return {"scene": scene, "files": [{"name": name, "size_bytes": 5, **more} for name in names]}


def blobs(web: Web, body: dict[str, Any]) -> list[str]:
    return [file["blob"] for file in answered(web.ask("POST", "uploads", body))["files"]]


def test_each_file_gets_a_link_of_its_own_that_can_make_and_write_that_blob_for_hours() -> None:
    web = Web()
    first, second = answered(web.ask("POST", "uploads", wanted("view 1.mp4", "IMG_1.HEIC")))["files"]
    assert (first["name"], first["blob"]) == ("view 1.mp4", "lobby/view 1.mp4")
    for ticket in (first, second):
        found = urlsplit(ticket["url"])
        assert unquote(found.path) == f"/input/{ticket['blob']}"
        assert parse_qs(found.query)["sp"] == ["cw"]
        assert ticket["until"] == (web.clock() + timedelta(hours=4)).isoformat().replace("+00:00", "Z")
        assert ticket["block_bytes"] == 8 * 2**20


def test_blocks_of_a_huge_file_are_few_enough_for_one_blob() -> None:
    size = 2 * 2**40
    body = {"scene": "lobby", "files": [{"name": "a.mp4", "size_bytes": size}]}
    (ticket,) = answered(Web().ask("POST", "uploads", body))["files"]
    assert ticket["block_bytes"] * 50_000 >= size


def test_what_is_there_is_never_overwritten() -> None:
    web = Web()
    web.containers.input.write("lobby/a.mp4", b"video")
    web.containers.input.stage_block("lobby/b.mp4", "MQ==", b"half")  # type: ignore[attr-defined]
    web.put(SceneRecord("lobby", manifest=(InputBlob("lobby/c.mp4", "e", 5),)))
    found = blobs(web, wanted("a.mp4", "b.mp4", "c.mp4", "d.mp4", "card2/d.mp4", "C:\\card3\\d.mp4"))
    assert found == [f"lobby/{name}.mp4" for name in ("a-2", "b-2", "c-2", "d", "d-2", "d-3")]


def test_a_sidecar_is_called_as_its_film_is() -> None:
    web = Web()
    web.containers.input.write("lobby/DJI_1.MP4", b"video")
    found = blobs(web, wanted("dji_1.SRT", "DJI_1.MP4", "DJI_2.SRT"))
    assert found == ["lobby/DJI_1-2.SRT", "lobby/DJI_1-2.MP4", "lobby/DJI_2.SRT"]
    web.containers.input.write("lobby/DJI_2.SRT", b"text")
    assert blobs(web, wanted("DJI_2.SRT")) == ["lobby/DJI_2-2.SRT"]


def test_an_upload_that_was_begun_goes_on_under_its_name() -> None:
    web = Web()
    (blob,) = blobs(web, wanted("a.mp4"))
    web.containers.input.stage_block(blob, "MQ==", b"half")  # type: ignore[attr-defined]
    web.clock.advance(5 * 3600)
    assert blobs(web, wanted("a.mp4", blob=blob)) == [blob]
    web.containers.input.commit_blocks(blob)  # type: ignore[attr-defined]
    assert web.ask("POST", "uploads", wanted("a.mp4", blob=blob)).status == 409


@pytest.mark.parametrize(
    "blob", ["cellar/a.mp4", "a.mp4", "lobby2/a.mp4", "lobby/../cellar/a.mp4", "lobby/a.exe", "lobby\\a.mp4"]
)
def test_no_link_is_renewed_for_another_scene_or_another_kind_of_name(blob: str) -> None:
    assert Web().ask("POST", "uploads", wanted("a.mp4", blob=blob)).status == 400


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"x"', b'{"scene": "lobby"}', b"[" * 100_000,
        wanted(), wanted("a.mp4", scene=""), wanted("a.mp4", scene="../state"), wanted("a.mp4", scene="a/b"),
        wanted("a.mp4", scene="x" * 900), wanted("notes.txt"), wanted("a.mp4.exe"), wanted(""), wanted(".."),
        wanted("a\nb.mp4"), wanted("x" * 1000 + ".mp4"), wanted("%2e%2e"), wanted("a.mp4", more="x"),
        {"scene": "lobby", "files": [{"name": "a.mp4", "size_bytes": 0}]},
        {"scene": "lobby", "files": [{"name": "a.mp4", "size_bytes": 2**60}]},
        {"scene": "lobby", "files": [{"name": "a.mp4", "size_bytes": "5"}]},
        {"scene": "lobby", "files": [{"name": "a.mp4"}]},
        {"scene": ["lobby"], "files": [{"name": "a.mp4", "size_bytes": 5}]},
        wanted(*[f"{number}.mp4" for number in range(201)]),
        b'{"scene": "lobby", "files": [{"name": "\\ud800.mp4", "size_bytes": 5}]}',
    ],
)  # fmt: skip
def test_what_is_no_upload_is_refused_with_a_reason(body: Any) -> None:
    problem = answered(Web().ask("POST", "uploads", body), 400)
    assert problem["detail"]


def test_a_body_that_is_too_large_or_of_another_kind_is_not_read() -> None:
    web = Web()
    assert web.ask("POST", "uploads", b" " * (256 * 1024 + 1)).status == 413
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert web.ask("POST", "uploads", wanted("a.mp4"), {"content-type": kind}).status == 415


def test_poses_and_settings_keep_their_names() -> None:
    web = Web()
    assert blobs(web, wanted("scene.yaml", "transforms.json")) == ["lobby/scene.yaml", "lobby/transforms.json"]
    web.containers.input.write("lobby/scene.yaml", b"preset: high")
    assert web.ask("POST", "uploads", wanted("scene.yaml")).status == 409


def test_a_scene_of_several_folders_needs_the_depth_for_it() -> None:
    deep = Web(dispatch=DispatchSettings(prefix_depth=2))
    assert blobs(deep, wanted("a.mp4", scene="site/lobby")) == ["site/lobby/a.mp4"]
    assert Web().ask("POST", "uploads", wanted("a.mp4", scene="site/lobby")).status == 400
