"""The viewer page: self-contained, faithful to its splats, and safe whatever the scene is called."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runner.export.splat import write_splat
from runner.export.viewer import write_viewer
from runner.scene.viewpoint import focus_point, most_central
from runner.scene.views import View
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


def test_the_focus_is_the_point_all_cameras_look_at() -> None:
    centre = np.array([1.0, -2.0, 0.5])
    assert np.allclose(focus_point(ring_of_views(12, centre)), centre, atol=0.02)


def test_parallel_cameras_focus_ahead_of_them() -> None:
    """A forward walk has parallel rays; the focus must stay finite and in front."""
    views = []
    for k in range(5):
        world_to_camera = np.eye(4)
        world_to_camera[2, 3] = -float(k)
        views.append(View(f"a/{k}.png", "a.mp4", k, 64, 48, np.eye(3), world_to_camera, "train"))
    focus = focus_point(views)
    assert np.isfinite(focus).all()
    assert focus[2] > 0


def test_the_page_begins_at_a_camera_that_has_the_subject_in_the_middle() -> None:
    views = ring_of_views(6, np.zeros(3))
    turned = views[2].world_to_camera.copy()
    turned[0, 3] += 2.0  # the subject is off to the side
    views[2] = replace(views[2], world_to_camera=turned)
    assert most_central(views, [0.0, 0.0, 0.0]) != 2
