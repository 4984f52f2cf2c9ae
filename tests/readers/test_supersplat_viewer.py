"""`viewer.html` with VIEWER=supersplat, opened in the real Chromium: PlayCanvas' viewer draws our scene as we do."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from runner.export.viewer.package import Package
from runner.export.viewer.supersplat import settings, write_supersplat
from runner.quality.evaluate import render_view
from runner.quality.metrics import psnr
from runner.raster import parameters, rasterizer
from runner.scene.viewpoint import focus_point, most_central
from runner.scene.views import View
from tests.browser import browser
from tests.readers import READERS
from tests.splats import some_gaussians
from tests.tiny_scene import ground_truth, tiny_scene
from tests.unit.runner.export.viewer.opened import landscape, needs_chromium

pytestmark = pytest.mark.skipif(not READERS.is_installed, reason="the readers are not installed: make readers-check")
PACKAGE = Package(READERS.installed / "node_modules/@playcanvas/supersplat-viewer")


@pytest.mark.parametrize("still", [False, True])
def test_the_settings_are_what_the_package_itself_calls_valid(tmp_path: Path, still: bool) -> None:
    views = [replace(view, timestamp_s=0.0) for view in landscape()] if still else landscape()
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(settings(views)))
    assert READERS.run("settings.mjs", str(path)).strip() == "valid"


@needs_chromium
@pytest.mark.slow
def test_its_first_view_is_the_picture_of_that_camera(tmp_path: Path) -> None:
    """The half turn, the field of view of the longer side, spherical harmonics and the doubt over it."""
    backend, truth = rasterizer("cpu", 1), ground_truth()
    rest = np.random.default_rng(5).normal(0, 0.15, (truth.count, 15, 3)).astype(np.float32)
    scene, shown = tiny_scene(backend), replace(truth, sh_rest=rest)
    views = [centred(view) for view in scene.views]
    page = tmp_path / "viewer.html"
    count = write_supersplat(
        shown, views, page, package=PACKAGE, title="a <lobby>", note="12 Gaussians", doubt="<b>Doubtful</b>"
    )
    assert count == truth.count
    first = views[most_central(views, focus_point(views))]
    expected = render_view(parameters.parameters(shown, backend.device), first, backend)
    with browser(tmp_path / "profile") as chromium:
        chromium.open(page, query="noui&noanim&webgl", size=(first.width, first.height))
        assert chromium.until("!!window.captureFrame && !document.querySelector('.sse-loading')")
        assert chromium.value("document.title") == "a <lobby>"
        doubt = "document.querySelector('[role=note]')"
        assert chromium.value(f"{doubt}.textContent") == "<b>Doubtful</b>"
        chromium.value(f"{doubt}.remove()")
        met = 0.0
        for _ in range(40):  # the page tells nobody that the first whole frame is there
            drawn = np.asarray(Image.open(io.BytesIO(chromium.picture())).convert("RGB"))
            met = psnr(torch.from_numpy(drawn.copy()) / 255, expected)
            if met > 25:
                break
        assert met > 25
        assert not [line for line in chromium.log if '"source": "security"' in line]
        assert [line for line in chromium.log if "SuperSplat Viewer v" in line]


def centred(view: View) -> View:
    """With its principal point in the middle, as the page's camera has it."""
    intrinsics = view.K.copy()
    intrinsics[0, 2], intrinsics[1, 2] = view.width / 2, view.height / 2
    return replace(view, K=intrinsics)


def test_nothing_in_the_page_names_another_place(tmp_path: Path) -> None:
    """Its policy forbids all that is not in it; the import map and the style sheet are inside."""
    page = tmp_path / "viewer.html"
    write_supersplat(some_gaussians(20), landscape(), page, package=PACKAGE, title="lobby", note="a note")
    text = page.read_text()
    head = text[: text.index("<body")]
    assert not re.search(r'(src|href)="[^"#]', re.sub(r"<script[\s\S]*?</script>|<style[\s\S]*?</style>", "", text))
    assert "connect-src data: blob:;" in head
    assert "https:" not in head[head.index("Content-Security-Policy") : head.index("form-action")]
