"""What the viewer draws, in the real Chromium: what was scored, at any size, also when the graphics card goes away."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from runner.quality.evaluate import render_view, score_split
from runner.quality.metrics import psnr
from runner.raster import parameters, rasterizer
from runner.scene.gaussians import Gaussians
from runner.scene.views import TrainingScene
from tests.browser import Page
from tests.tiny_scene import HELD_OUT, ground_truth, tiny_scene
from tests.unit.runner.export.viewer.opened import READY, landscape, made, needs_chromium, shown

pytestmark = [needs_chromium, pytest.mark.slow]

LIT = """(() => { const { gl } = drawing; picture(1); const p = new Uint8Array(canvas.width * canvas.height * 4);
  gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, p);
  return p.some((v, i) => i % 4 < 3 && v > 60); })()"""


def with_harmonics(gaussians: Gaussians) -> Gaussians:
    rng = np.random.default_rng(5)
    return replace(gaussians, sh_rest=rng.normal(0, 0.15, (gaussians.count, 15, 3)).astype(np.float32))


def photographed(truth: Gaussians) -> TrainingScene:
    """The tiny scene, with photographs in which colours depend on where they were taken from."""
    backend = rasterizer("cpu", 1)
    scene = tiny_scene(backend)
    params = parameters.parameters(truth, backend.device)
    pixels = tuple((render_view(params, view, backend).numpy() * 255).round().astype(np.uint8) for view in scene.views)
    return replace(scene, pixels=pixels)


def seen_in(page: Page, index: int, width: int, height: int) -> NDArray[np.uint8]:
    """[H, W, 3] as the page draws a camera's picture."""
    rows = np.frombuffer(base64.b64decode(page.value(f"exactly({index})")), np.uint8).reshape(height, width, 4)
    return rows[::-1, :, :3]


def test_held_out_photographs_are_met_as_well_as_the_score_says(chromium: Page, tmp_path: Path) -> None:
    """Spherical harmonics included: without them this scene loses more than a decibel."""
    truth = with_harmonics(ground_truth())
    scene = photographed(truth)
    rng = np.random.default_rng(1)
    trained = replace(
        truth,
        means=truth.means + rng.normal(0, 0.02, truth.means.shape).astype(np.float32),
        sh0=truth.sh0 + rng.normal(0, 0.15, truth.sh0.shape).astype(np.float32),
    )
    backend = rasterizer("cpu", 1)
    score = score_split(parameters.parameters(trained, backend.device), scene, backend, "test").psnr
    plain = replace(trained, sh_rest=np.zeros((trained.count, 0, 3), np.float32))
    without = score_split(parameters.parameters(plain, backend.device), scene, backend, "test").psnr
    assert score is not None
    assert without is not None
    assert 20 < score < 40
    assert without < score - 1
    shown(chromium, made(tmp_path, trained, views=scene.views))
    met = []
    for index in HELD_OUT:
        drawn = seen_in(chromium, index, scene.views[index].width, scene.views[index].height)
        met.append(psnr(torch.from_numpy(drawn.copy()) / 255, torch.from_numpy(scene.pixels[index]) / 255))
    assert abs(float(np.mean(met)) - score) < 0.2
    assert not chromium.log


@pytest.mark.parametrize("size", [(360, 740), (900, 400), (500, 500)])
def test_all_that_was_filmed_is_in_the_picture_in_both_directions(
    chromium: Page, tmp_path: Path, size: tuple[int, int]
) -> None:
    """A telephoto crop on a phone held upright, and portrait films on a desktop, were what came of one direction."""
    tall = [replace(view, width=480, height=640, K=view.K[[1, 0, 2]][:, [1, 0, 2]]) for view in landscape()]
    for number, views in enumerate((landscape(), tall)):
        shown(chromium, made(tmp_path / str(number), views=views), size=size)
        seen, tan = json.loads(chromium.value("JSON.stringify([view.seen(innerWidth, innerHeight), view.tan])"))
        assert tan == pytest.approx([views[0].width / 500, views[0].height / 500])
        used = [seen["focal"][k] * tan[k] / size[k] for k in (0, 1)]
        assert max(used) == pytest.approx(1)
        assert chromium.value(LIT)


def test_a_lost_graphics_card_comes_back(chromium: Page, lobby: Path) -> None:
    shown(chromium, lobby)
    assert chromium.value(LIT)
    chromium.value("window.lost = drawing.gl.getExtension('WEBGL_lose_context'); lost.loseContext()")
    assert chromium.until("document.getElementById('said').textContent.includes('gone')")
    chromium.value("view.orbit(.2, 0)")  # what is drawn meanwhile breaks nothing
    chromium.value("lost.restoreContext()")
    assert chromium.until("document.getElementById('said').textContent.includes('back')")
    assert chromium.value(LIT)
    assert not [entry for entry in chromium.log if "exception" in entry.lower()], chromium.log


def test_without_webgl_2_there_is_a_sentence_and_the_poster(chromium: Page, tmp_path: Path) -> None:
    pixel = base64.b64decode(
        "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAAMCAgICAgMCAgIDAwMDBAYEBAQEBAgGBgUGCQgKCgkICQkKDA8MCgsOCwkJDRENDg8Q"
        "EBEQCgwSExIQEw8QEBD/"
        "yQALCAABAAEBAREA/8wABgAQEAX/2gAIAQEAAD8A0s8g/9k="
    )
    (tmp_path / "poster.jpg").write_bytes(pixel)
    path = made(tmp_path, poster=tmp_path / "poster.jpg")
    chromium.open(path, before="HTMLCanvasElement.prototype.getContext = () => null")
    assert chromium.until("document.getElementById('fail').textContent.includes('no WebGL 2')")
    assert (
        chromium.value("document.getElementById('poster').complete && document.getElementById('poster').naturalWidth")
        == 1
    )
    assert chromium.value("getComputedStyle(document.getElementById('cover')).opacity") == "1"
    assert chromium.value("getComputedStyle(document.getElementById('loading')).display") == "none"


def test_no_buffer_is_kept_and_a_picture_is_saved_all_the_same(chromium: Page, lobby: Path) -> None:
    saving = "HTMLAnchorElement.prototype.click = function () { window.saved = [this.download, this.href]; }"
    shown(chromium, lobby, before=saving)
    assert chromium.value("drawing.gl.getContextAttributes().preserveDrawingBuffer") is False
    chromium.value(
        "window.blobs = []; const make = URL.createObjectURL;"
        "URL.createObjectURL = b => { blobs.push(b); return make(b) }"
    )
    chromium.press("c")
    assert chromium.until("window.saved")
    assert chromium.value("saved[0]") == "lobby.png"
    lit = """createImageBitmap(blobs[0]).then(b => { const c = new OffscreenCanvas(b.width, b.height).getContext('2d');
      c.drawImage(b, 0, 0);
      return c.getImageData(0, 0, b.width, b.height).data.some((v, i) => i % 4 < 3 && v > 60); })"""
    assert chromium.value(lit)


def test_points_are_drawn_instead_of_splats_and_back(chromium: Page, lobby: Path) -> None:
    shown(chromium, lobby)
    full = "(() => { picture(1); return canvas.toDataURL() })()"
    splats = chromium.value(full)
    chromium.press("p")
    points = chromium.value(full)
    assert chromium.value(LIT)
    assert points != splats
    chromium.value("document.getElementById('points').click()")
    assert chromium.value(full) == splats


def test_while_it_moves_slowly_fewer_pixels_are_drawn_and_all_as_soon_as_it_stands(chromium: Page, lobby: Path) -> None:
    shown(chromium, lobby)
    assert (
        chromium.value("const s = new Sharpness(); for (let t = 0; t < 2000; t += 50) s.saw(t, 50, true); s.now(1960)")
        < 0.6
    )
    assert chromium.value("s.now(2300)") == 1
    assert chromium.value("for (let t = 3000; t < 5000; t += 8) s.saw(t, 8, true); s.now(5000)") == 1
    chromium.value("sharpness.share = .5; sharpness.moved = Infinity; view.changed = true")
    assert chromium.until("canvas.width === 240")
    chromium.value("sharpness.moved = -Infinity; wake()")
    assert chromium.until(f"canvas.width === 480 && {READY}")
