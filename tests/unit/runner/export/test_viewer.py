"""The viewer page: self-contained, faithful to its splats, and safe whatever the scene is called."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest

from runner.export.splat import write_splat
from runner.export.viewer import write_viewer
from tests.pages import script_of
from tests.splats import ring_of_views, some_gaussians


@pytest.fixture
def page(tmp_path: Path) -> str:
    write_splat(some_gaussians(50), tmp_path / "s.splat")
    views = ring_of_views(8, np.zeros(3))
    title = "</title><script>alert(1)</script>"
    note = "</script><script>alert(2)</script> __SPLATS__"
    assert write_viewer(tmp_path / "s.splat", views, tmp_path / "viewer.html", title=title, note=note) == 50
    return (tmp_path / "viewer.html").read_text()


def test_the_page_holds_exactly_the_bytes_of_the_splat_file(page: str, tmp_path: Path) -> None:
    assert base64.b64decode(script_of(page, "splats")) == (tmp_path / "s.splat").read_bytes()


def test_the_page_loads_nothing_from_anywhere(page: str) -> None:
    assert not re.search(r"https?://|src=|@import|fetch\(|XMLHttpRequest", page)


def test_a_hostile_title_or_note_adds_no_script(page: str) -> None:
    assert "alert(1)</script>" not in page
    assert page.count("<script") == 3
    assert json.loads(script_of(page, "scene"))["note"].startswith("</script>")


def test_the_page_is_told_where_up_is_only_when_that_is_known(page: str, tmp_path: Path) -> None:
    """Else it takes the mean upper side of its cameras."""
    assert json.loads(script_of(page, "scene"))["up"] is None
    views = ring_of_views(4, np.zeros(3))
    write_viewer(tmp_path / "s.splat", views, tmp_path / "up.html", title="a", note="", up=(0.0, -1.0, 0.0))
    assert json.loads(script_of((tmp_path / "up.html").read_text(), "scene"))["up"] == [0.0, -1.0, 0.0]
