"""The viewer page: self-contained, faithful to its splats, and safe whatever the scene is called."""

import base64
import hashlib
import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from runner.export.spz import read_spz, write_spz
from runner.export.viewer import embedded
from runner.export.viewer import own as viewer
from runner.export.viewer.own import write_viewer
from tests.browser import CHROMIUM
from tests.browser import page as open_page
from tests.pages import script_of
from tests.splats import ring_of_views, some_gaussians


@pytest.fixture
def page(tmp_path: Path) -> str:
    write_spz(some_gaussians(50), tmp_path / "s.spz")
    views = ring_of_views(8, np.zeros(3))
    title = "</title><script>alert(1)</script>"
    note = "</script><script>alert(2)</script> __SPLATS__"
    assert write_viewer(some_gaussians(50), views, tmp_path / "viewer.html", title=title, note=note) == 50
    return (tmp_path / "viewer.html").read_text()


def test_the_page_holds_exactly_the_bytes_of_the_spz_file(page: str, tmp_path: Path) -> None:
    assert base64.b64decode(script_of(page, "splats")) == (tmp_path / "s.spz").read_bytes()


def test_the_page_loads_nothing_from_anywhere(page: str) -> None:
    assert not re.search(r"https?://|src=|@import|fetch\(|XMLHttpRequest", page)


def test_a_hostile_title_or_note_adds_no_script(page: str) -> None:
    assert "alert(1)</script>" not in page
    assert page.count("<script") == 3
    assert json.loads(script_of(page, "scene"))["note"].startswith("</script>")


def test_of_a_scene_too_large_for_a_page_the_most_important_gaussians_are_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "MAX_EMBEDDED", 20)
    whole = some_gaussians(50)
    whole.log_scales[7:27] += 1  # the larger, of equal opacity
    assert write_viewer(whole, ring_of_views(4, np.zeros(3)), tmp_path / "v.html", title="", note="") == 20
    (tmp_path / "embedded.spz").write_bytes(base64.b64decode(script_of((tmp_path / "v.html").read_text(), "splats")))
    np.testing.assert_allclose(read_spz(tmp_path / "embedded.spz").means, whole.means[7:27], atol=1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["embedded.spz", "v.html"]


def test_the_poster_is_in_the_page_where_there_is_one(page: str, tmp_path: Path) -> None:
    assert "image/jpeg" not in page
    (tmp_path / "poster.jpg").write_bytes(b"a picture")
    views = ring_of_views(4, np.zeros(3))
    path = tmp_path / "with.html"
    write_viewer(some_gaussians(50), views, path, title="a", note="", poster=tmp_path / "poster.jpg")
    assert f'src="data:image/jpeg;base64,{base64.b64encode(b"a picture").decode()}"' in path.read_text()


def test_no_source_of_the_page_is_forgotten_and_all_are_shipped() -> None:
    """A script that no page holds, or that an installed package lacks, is found by no browser test."""
    assert {path.name for path in viewer.SOURCES.iterdir()} == {
        "page.html", "style.css", *(f"{name}.js" for name in viewer.SCRIPTS)
    }  # fmt: skip
    root = viewer.SOURCES.parents[3]
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "runner.export.viewer"
    ]
    shipped = {path for pattern in patterns for path in viewer.SOURCES.parent.glob(pattern)}
    assert set(viewer.SOURCES.iterdir()) <= shipped


def test_the_page_is_told_where_up_is_only_when_that_is_known(page: str, tmp_path: Path) -> None:
    """Else it takes the mean upper side of its cameras."""
    assert json.loads(script_of(page, "scene"))["up"] is None
    views = ring_of_views(4, np.zeros(3))
    write_viewer(some_gaussians(50), views, tmp_path / "up.html", title="a", note="", up=(0.0, -1.0, 0.0))
    assert json.loads(script_of((tmp_path / "up.html").read_text(), "scene"))["up"] == [0.0, -1.0, 0.0]


def test_the_page_may_run_what_it_was_shipped_with_and_nothing_else(page: str) -> None:
    """Its one script and its style are named by hashes of exactly what stands there, whatever texts are in it."""
    (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules == {
        "default-src": "'none'", "style-src": f"'sha256-{hash_of(page, 'style')}'", "worker-src": "blob:",
        "script-src": f"'sha256-{hash_of(page, 'script')}'", "img-src": "data:",
        "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip
    assert page.index("Content-Security-Policy") < page.index("<title>")


def hash_of(page: str, element: str) -> str:
    (text,) = re.findall(rf"<{element}>(.*?)</{element}>", page, re.DOTALL)
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")
@pytest.mark.slow
def test_a_browser_shows_the_scene_and_runs_nothing_that_was_brought_into_the_page(page: str, tmp_path: Path) -> None:
    with open_page(tmp_path / "viewer.html", tmp_path / "profile") as browser:
        assert browser.until("document.body.dataset.ready === 'yes'"), browser.log
        assert browser.value("document.getElementById('fail').textContent") == ""
        for button in ("next", "walk", "previous"):
            browser.value(f"document.getElementById('{button}').click()")
        assert browser.value("getComputedStyle(document.body).overflow") == "hidden"  # the style is in force
        assert browser.log == []
        brought = {
            "script": "e.textContent = 'document.body.dataset.evil = 1'",
            "img": "e.setAttribute('onerror', 'document.body.dataset.evil = 1'); e.src = 'https://page.invalid/x.png'",
            "iframe": "e.src = 'https://page.invalid/'",
            "style": "e.textContent = 'body { background: red }'",
        }
        for element, change in brought.items():
            browser.value(f"{{ const e = document.createElement('{element}'); {change}; document.body.append(e) }}")
        sent = browser.value("fetch('https://page.invalid/').then(() => 'sent', error => 'refused')")
        assert sent == "refused"
        assert browser.value("document.body.dataset.evil") is None
        assert browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(0, 0, 0)"
        refusals = [entry for entry in browser.log if "Content Security Policy" in entry]
        assert len(refusals) >= 4, browser.log
        assert not [entry for entry in browser.log if "ERR_NAME_NOT_RESOLVED" in entry]
