"""A scene in a viewer page, opened in the real Chromium."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runner.export.viewer.own import write_viewer
from runner.scene.gaussians import Gaussians
from runner.scene.views import View
from tests.browser import CHROMIUM, Page
from tests.splats import ring_of_views, some_gaussians

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")
WIDTH, HEIGHT = 480, 320
READY = "document.body.dataset.ready === 'yes'"


def landscape(count: int = 6) -> list[View]:
    """Cameras of 640 x 480, the last two of another clip."""
    views = ring_of_views(count, np.zeros(3))
    return [replace(view, video="b.mp4") if k >= count - 2 else view for k, view in enumerate(views)]


def made(folder: Path, gaussians: Gaussians | None = None, **more: object) -> Path:
    """viewer.html of a scene, `some_gaussians` if no other."""
    folder.mkdir(exist_ok=True)
    views = more.pop("views", landscape())
    write_viewer(gaussians or some_gaussians(80), views, folder / "viewer.html", title="lobby", note="a note", **more)  # type: ignore[arg-type]
    return folder / "viewer.html"


def shown(
    page: Page, path: Path, *, fragment: str = "", before: str = "", size: tuple[int, int] = (WIDTH, HEIGHT)
) -> None:
    """Opened, unpacked and drawn."""
    page.open(path, fragment=fragment, before=before, size=size)
    assert page.until(READY), (page.log, page.value("document.getElementById('fail').textContent"))
