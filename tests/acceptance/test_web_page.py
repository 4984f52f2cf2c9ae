"""The page in a real browser, over the function app in its emulated host and the real emulator."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local.azurite import Azurite
from scenejobs.errors import Failure
from scenejobs.names import PREVIEW_FILES
from scenejobs.ports import Containers
from scenejobs.settings.storage import StorageSettings
from scenejobs.state.layout import preview_folder, progress_name
from tests import axe
from tests.browser import CHROMIUM, Page, browser
from tests.web import Web, principal
from tests.web_host import hosted

pytestmark = [pytest.mark.azurite, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")]
FAILURE = Failure("colmap_reconstruction", "NO_OVERLAP", "the clips show two places", "film the way between them")
READY = "document.body.dataset.ready === 'yes'"
POSTER = (Path(__file__).parents[2] / "docs/images/demo.png").read_bytes()
MP4 = b"\0\0\0\x18ftypisom"
NOTES = """
window.sent = []; window.breaks = () => false; const real = window.fetch;
window.fetch = (url, options = {}) => {
  if (options.method !== "PUT") return real(url, options);
  const block = new URL(url).searchParams.get("blockid");
  window.sent.push({ block: block ? Number(atob(block)) : -1, headers: Object.keys(options.headers || {}) });
  if (window.breaks(window.sent.length)) return Promise.reject(new TypeError("network"));
  return real(window.spoils && window.sent.length === 1 ? String(url).replace("sig=", "sig=x") : url, options);
};
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def web(containers: Containers) -> Web:
    """Scenes in the emulator, as a runner leaves them."""
    made = Web()
    made.containers = containers
    made.site = replace(made.site, containers=containers)
    return made


@pytest.fixture
def here(azurite: Azurite, storage: StorageSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with hosted(azurite, storage, monkeypatch) as address:
        yield f"{address}/api/ui"


def shown(page: Page, here: str, **how: object) -> None:
    page.open(here, **how)  # type: ignore[arg-type]
    assert page.until(READY, 60), page.log


def finished(web: Web, scene: str = "lobby") -> None:
    web.finished(scene, ("viewer.html", "report.html", "poster.jpg", f"{scene}.ply"))
    web.containers.output.write(f"{scene}/poster.jpg", POSTER)
    web.containers.output.write(f"{scene}/viewer.html", b"<!doctype html><title>v</title><p>the viewer")


def film(path: Path, size: int = 20 * 2**20) -> Path:
    path.write_bytes(MP4 + os.urandom(size - len(MP4)))
    return path


def text(page: Page) -> str:
    return str(page.value("document.body.innerText"))


def press(page: Page, label: str) -> None:
    """A button, as the keyboard does it."""
    assert page.value(f"document.querySelector('button[aria-label={json.dumps(label)}]').focus()") is None
    page.press("Enter")


def test_every_scene_is_shown_with_what_its_owner_needs(page: Page, here: str, web: Web) -> None:
    finished(web)
    web.failed("cellar", FAILURE)
    web.containers.input.write("roof/a.mp4", b"video")
    shown(page, here)
    told = text(page)
    for words in ("lobby", "done", "cellar", "failed", f"{FAILURE.cause} (NO_OVERLAP)", FAILURE.advice):
        assert words in told
    assert "waits for more files" in told
    assert "expected to go on at" in told
    assert page.until("document.querySelector('img.poster').naturalWidth > 0", 20)
    assert page.log == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1100, 900), (360, 740)], ids=["desktop", "phone"])
def test_nobody_is_kept_out_and_nothing_is_cut_off(
    page: Page, here: str, web: Web, size: tuple[int, int], scheme: str, tmp_path: Path
) -> None:
    if not axe.PACKAGES.is_installed:
        pytest.skip("axe-core is not installed: python -m tests.axe install")
    finished(web)
    finished(web, "a-scene-with-a-name-that-is-much-longer-than-a-phone-is-wide-and-has-no-space")
    web.failed("cellar", FAILURE)
    shown(page, here, size=size)
    page.prefer("prefers-color-scheme", scheme)
    page.choose("#files", [film(tmp_path / "a.mp4", 100), film(tmp_path / "notes.txt", 100)])
    assert page.until("document.querySelectorAll('#chosen li').length === 2", 20)
    page.value("document.querySelector('details:not([hidden])').open = true")
    assert page.until("document.querySelectorAll('details li').length > 2", 20)
    page.call("Page.setBypassCSP", enabled=True)
    try:
        assert axe.findings(page) == {}
        assert page.value("document.documentElement.scrollWidth") <= size[0]
        press(page, "Delete result: lobby")
        assert page.until("document.getElementById('ask').open", 10)
        assert axe.findings(page) == {}
    finally:
        page.call("Page.setBypassCSP", enabled=False)
        page.prefer("prefers-color-scheme", "light")


def test_a_film_goes_to_the_storage_in_blocks(page: Page, here: str, containers: Containers, tmp_path: Path) -> None:
    path = film(tmp_path / "view 1.mp4")
    shown(page, here, before=NOTES)
    page.value("document.getElementById('scene').value = 'lobby'")
    page.choose("#files", [path])
    assert page.until("!document.getElementById('start').disabled", 20)
    page.value("document.getElementById('start').click()")
    assert page.until("document.getElementById('said').textContent.includes('sent into lobby')", 120), text(page)
    assert containers.input.read("lobby/view 1.mp4")[0] == path.read_bytes()
    sent = page.value("window.sent")
    assert sorted(each["block"] for each in sent) == [-1, 0, 1, 2]
    assert all(set(each["headers"]) <= {"x-ms-blob-content-type"} for each in sent), (
        "nothing of ours goes to the storage"
    )
    assert page.value("localStorage.getItem('uploads')") == "{}"
    assert page.until("document.body.innerText.includes('waits for more files')", 30)


def test_an_upload_that_broke_off_goes_on_with_the_blocks_that_are_missing(
    page: Page, here: str, containers: Containers, tmp_path: Path
) -> None:
    path = film(tmp_path / "a.mp4", 40 * 2**20)
    shown(page, here, before=NOTES)
    page.value("document.getElementById('scene').value = 'lobby'; window.breaks = (count) => count > 2")
    page.choose("#files", [path])
    assert page.until("!document.getElementById('start').disabled", 20)
    page.value("document.getElementById('start').click()")
    kept = "Object.values(JSON.parse(localStorage.uploads || '{}'))"
    assert page.until(f"{kept}.some(one => one.sent.length === 2)", 60)
    shown(page, here, before=NOTES)
    assert "lobby: a.mp4 40 % sent" in " ".join(text(page).split())
    page.value("document.getElementById('scene').value = 'lobby'")
    page.choose("#files", [path])
    assert page.until("!document.getElementById('start').disabled", 20)
    page.value("document.getElementById('start').click()")
    assert page.until("document.getElementById('said').textContent.includes('sent into lobby')", 120), text(page)
    assert len([each for each in page.value("window.sent") if each["block"] >= 0]) == 3
    assert containers.input.read("lobby/a.mp4")[0] == path.read_bytes()


def test_files_that_are_dropped_go_on_after_the_network_and_the_page_went_away(
    page: Page, here: str, containers: Containers, tmp_path: Path
) -> None:
    """Dragged from a folder as a person does it, cut off in the middle, the tab closed; dropped again in a new one."""
    path, notes = film(tmp_path / "a.mp4", 60 * 2**20), tmp_path / "notes.txt"
    notes.write_text("x")
    shown(page, here, before=NOTES)
    page.drag("#drop", [path], drop=False)
    assert page.value("document.getElementById('drop').classList.contains('over')") is True
    page.drag("#drop", [path, notes])
    assert page.until("document.querySelectorAll('#chosen li').length === 2", 20), page.log
    assert page.value("document.getElementById('drop').classList.contains('over')") is False
    assert "no film and no photo by its name" in text(page)
    page.value("document.getElementById('scene').value = 'lobby'")
    page.value("document.getElementById('scene').dispatchEvent(new Event('input'))")
    page.connected(True, 20e6)
    page.value("document.getElementById('start').click()")
    remembered = "Object.values(JSON.parse(localStorage.uploads || '{}')).flatMap(one => one.sent).length"
    assert page.until(f"{remembered} >= 2", 60)
    page.connected(False)
    assert list(containers.input.list()) == [], "nothing is a scene's upload before all of it is there"
    shown(page, here, before=NOTES)  # another tab: the one before is closed
    before = page.value(remembered)
    assert 2 <= before < 8
    assert "lobby: a.mp4" in text(page)
    page.drag("#drop", [path])
    page.value("document.getElementById('scene').value = 'lobby'")
    assert page.until("document.querySelectorAll('#chosen li').length === 1", 20)
    page.value("document.getElementById('scene').dispatchEvent(new Event('input'))")
    page.value("document.getElementById('start').click()")
    assert page.until("document.getElementById('said').textContent.includes('sent into lobby')", 120), text(page)
    again = sorted(each["block"] for each in page.value("window.sent") if each["block"] >= 0)
    assert len(again) == 8 - before
    assert containers.input.read("lobby/a.mp4")[0] == path.read_bytes()


def test_a_file_dropped_beside_the_form_does_not_replace_the_page(page: Page, here: str, tmp_path: Path) -> None:
    shown(page, here)
    page.drag("header", [film(tmp_path / "a.mp4", 100)])
    assert page.value("location.pathname") == "/api/ui"
    assert page.value("document.querySelectorAll('#chosen li').length") == 0


def test_a_scene_that_is_being_made_shows_its_first_look(page: Page, here: str, web: Web) -> None:
    web.running("lobby")
    shown(page, here)
    first = "document.querySelector('button[aria-label=\"First look: lobby\"]')"
    assert page.value(f"{first}.hidden") is True
    assert "no result yet" in text(page)
    for name in PREVIEW_FILES:
        web.containers.state.write(preview_folder("lobby", "run-1") + name, POSTER if name == "poster.jpg" else b"x")
    told = {"run": "run-1", "stage": "training", "total_fraction": 0.2, "detail": "", "eta_s": None, "first_look": True}
    web.containers.state.write(progress_name("lobby"), json.dumps(told).encode())
    page.value("refresh()")
    assert page.until("(document.querySelector('img.poster') || {}).naturalWidth > 0", 20), page.log
    assert page.value(f"{first}.hidden") is False
    press(page, "First look: lobby")
    assert page.until("document.getElementById('look').open", 20)
    assert page.value("document.getElementById('look-title').textContent") == "First look at lobby"
    assert "/previews/lobby/run-1/viewer.html?" in page.value("document.getElementById('frame').src")
    page.press("Escape")
    assert page.until("!document.getElementById('look').open", 10)
    assert page.value("document.activeElement.getAttribute('aria-label')") == "First look: lobby"
    assert page.log == []


def test_the_page_waits_where_it_asked_too_often(
    page: Page, azurite: Azurite, storage: StorageSettings, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is told of it: what it asks is answered a little later."""
    finished(web)
    with hosted(azurite, storage, monkeypatch, WEB_REQUESTS_PER_MINUTE="30") as address:
        shown(page, f"{address}/api/ui")
        asked = "Promise.all(Array.from({ length: 30 }, () => fetch('/api/me'))).then(all => all.at(-1).status)"
        assert page.value(asked) == 429
        assert page.value("api('me').then(me => me.roles.length)") == 3
        assert page.value("api('scenes').then(found => found.total)") == 1
        assert page.value("document.getElementById('trouble').hidden") is True


def test_a_link_that_is_refused_is_renewed(page: Page, here: str, containers: Containers, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 1000)
    shown(page, here, before=NOTES + "window.spoils = true;")
    page.value("document.getElementById('scene').value = 'lobby'")
    page.choose("#files", [path])
    assert page.until("!document.getElementById('start').disabled", 20)
    page.value("document.getElementById('start').click()")
    assert page.until("document.getElementById('said').textContent.includes('sent into lobby')", 60), text(page)
    assert containers.input.read("lobby/a.mp4")[0] == path.read_bytes()
    assert [each["block"] for each in page.value("window.sent")] == [0, 0, -1]


def test_what_is_wrong_with_files_is_said_before_anything_is_sent(
    page: Page, here: str, containers: Containers, tmp_path: Path
) -> None:
    files = {
        "empty.mp4": b"", "notes.txt": b"x", "page.mp4": b"<!doctype html>", "IMG.dng": b"x",
        "half.mp4.crdownload": b"x", "good.jpg": b"\xff\xd8\xff\xe0 a photo", "lying.png": b"\xff\xd8\xff",
    }  # fmt: skip
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    shown(page, here)
    page.choose("#files", [tmp_path / name for name in files])
    assert page.until(f"document.querySelectorAll('#chosen li').length === {len(files)}", 20)
    rows = page.value("[...document.querySelectorAll('#chosen li')].map(row => row.innerText)")
    wrong = {name for name, row in zip(files, rows, strict=True) if "It is not sent" in row}
    assert wrong == files.keys() - {"good.jpg"}
    assert "1 photo: a place needs" in text(page)
    assert page.value("document.getElementById('start').disabled") is True  # it has no name yet
    page.value("document.getElementById('scene').value = 'lobby'")
    page.value("document.getElementById('scene').dispatchEvent(new Event('input'))")
    page.value("document.getElementById('start').click()")
    assert page.until("document.getElementById('said').textContent.includes('1 file sent')", 60), text(page)
    assert [blob.name for blob in containers.input.list()] == ["lobby/good.jpg"]


def test_a_result_is_looked_at_in_place_and_the_focus_comes_back(page: Page, here: str, web: Web) -> None:
    finished(web)
    shown(page, here)
    press(page, "Look around: lobby")
    assert page.until("document.getElementById('look').open", 20)
    assert "/lobby/viewer.html?" in page.value("document.getElementById('frame').src")
    assert page.value("document.getElementById('frame').sandbox.contains('allow-same-origin')") is False
    page.press("Escape")
    assert page.until("!document.getElementById('look').open", 10)
    assert page.value("document.activeElement.getAttribute('aria-label')") == "Look around: lobby"
    # `close` comes as a task of its own after `open` has become false
    assert page.until("!document.getElementById('frame').hasAttribute('src')", 10)
    assert page.log == []


def test_a_result_is_deleted_only_after_a_yes(page: Page, here: str, web: Web) -> None:
    finished(web)
    shown(page, here)
    press(page, "Delete result: lobby")
    assert page.until("document.getElementById('ask').open", 10)
    assert page.value("document.activeElement.value") == "no"
    page.press("Enter")
    assert page.until("!document.getElementById('ask').open", 10)
    assert [blob.name for blob in web.containers.output.list()]
    press(page, "Delete result: lobby")
    assert page.until("document.getElementById('ask').open", 10)
    page.press("Tab")
    page.press("Enter")
    assert page.until("document.getElementById('said').textContent.includes('deleted')", 20), text(page)
    assert list(web.containers.output.list()) == []
    assert page.until("document.querySelector('button[aria-label=\"Look around: lobby\"]').hidden", 20)


def test_a_no_that_has_just_been_said_does_not_answer_the_next_question(page: Page, here: str, web: Web) -> None:
    """`close` comes after the dialog has gone: who asks again before it came is not answered by it."""
    finished(web)
    shown(page, here)
    press(page, "Delete result: lobby")
    assert page.until("document.getElementById('ask').open", 10)
    page.value(
        "document.getElementById('ask').addEventListener('close', () => { document.body.dataset.closed = 'yes' });"
        "document.getElementById('ask').close('no');"
        "document.querySelector('button[aria-label=\"Delete result: lobby\"]').click()"
    )
    assert page.until("document.getElementById('ask').open && document.body.dataset.closed", 10)
    page.press("Tab")
    page.press("Enter")
    assert page.until("document.getElementById('said').textContent.includes('deleted')", 20), text(page)
    assert list(web.containers.output.list()) == []


def test_what_cannot_be_done_is_said_with_what_to_do(page: Page, here: str, web: Web) -> None:
    finished(web)
    shown(page, here)
    press(page, "Make again: lobby")
    assert page.until("document.getElementById('ask').open", 10)
    page.press("Tab")
    page.press("Enter")
    assert page.until("document.getElementById('trouble').textContent.startsWith('lobby: ')", 20), text(page)


# ---- who looks -------------------------------------------------------------------------------------------------------


def test_whoever_may_only_look_sees_no_form_and_no_buttons_that_change(
    page: Page, azurite: Azurite, storage: StorageSettings, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header is what App Service would add."""
    finished(web)
    with hosted(azurite, storage, monkeypatch, WEB_AUTH="entra", WEBSITE_AUTH_ENABLED="True") as address:
        page.open("about:blank")
        page.call("Network.enable")
        try:
            page.call("Network.setExtraHTTPHeaders", headers=principal("reader"))
            page.call("Page.navigate", url=f"{address}/api/ui")
            assert page.until(READY, 60), page.log
            assert page.value("document.getElementById('send').hidden") is True
            assert page.value(
                "[...document.querySelectorAll('#scenes button:not([hidden])')].map(one => one.textContent)"
            ) == ["Look around", "Report"]
            page.call("Network.setExtraHTTPHeaders", headers={})
            page.value("refresh()")
            assert page.until("document.getElementById('trouble').textContent.includes('signed in')", 20), text(page)
        finally:
            page.call("Network.setExtraHTTPHeaders", headers={})


def test_with_a_key_in_its_address_the_page_works_and_keeps_it_to_itself(
    page: Page, azurite: Azurite, storage: StorageSettings, containers: Containers, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    path = film(tmp_path / "a.mp4", 1000)
    with hosted(azurite, storage, monkeypatch, WEB_AUTH="keys") as address:
        shown(page, f"{address}/api/ui?code=the-key-of-the-host", before=NOTES)
        page.value("document.getElementById('scene').value = 'lobby'")
        page.choose("#files", [path])
        assert page.until("!document.getElementById('start').disabled", 20)
        page.value("document.getElementById('start').click()")
        assert page.until("document.getElementById('said').textContent.includes('sent into lobby')", 60), text(page)
        assert "x-functions-key" not in json.dumps(page.value("window.sent")).lower()
    assert containers.input.read("lobby/a.mp4")[0] == path.read_bytes()
