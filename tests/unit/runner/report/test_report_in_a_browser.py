"""The report in the real Chromium: on a phone and a desk, dark and light, its sliders, and axe-core."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runner.files import json_file
from runner.report import documents
from runner.report.html import write_report
from scenejobs.errors import UnusedFile
from tests import axe
from tests.browser import CHROMIUM, browser
from tests.results import RESULTS, RUN, TRAINING
from tests.splats import ring_of_views

SMALLEST_PX = 9  # of letters that can be read
LETTERS = "[...document.querySelectorAll('svg text')].map(one => one.getBoundingClientRect()).filter(one => one.height)"
BROKEN = "[...document.querySelectorAll('th')].filter(one => one.getBoundingClientRect().height > 45)"
ROWS = "[...document.querySelectorAll('table.cards tr')].map(row => row.innerText)"
ALL_OF_IT = """[...document.querySelectorAll('.slide')].every(slide => {
  const [filmed, drawn] = [...slide.querySelectorAll('img')].map(one => one.getBoundingClientRect());
  const same = ['left', 'top', 'right', 'bottom'].every(side => Math.abs(filmed[side] - drawn[side]) < 1);
  return filmed.height <= innerHeight && same;
})"""


def written(folder: Path) -> Path:
    """A report with maps, quality along the path and a comparison."""
    views = ring_of_views(12, np.zeros(3))
    scores = [{"image": view.image, "psnr": 27.0 + k % 3, "ssim": 0.9} for k, view in enumerate(views)]
    points = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    history = tuple({"step": step, "seconds": step / 50, "psnr_heldout": 20.0 + step / 500} for step in (0, 2500, 5000))
    training = replace(TRAINING, history=history, details={"heldout_views": scores, "settings": {"iterations": 5}})
    long = "it was cut out of the side of another photo, from the same place, as the points that both show say; " * 3
    frames = replace(RESULTS.frames, unused=(UnusedFile("IMG_0031-cropped.jpg", long),))
    results = replace(RESULTS, frames=frames, views=views, points=points, training=training)
    for name in ("comparison_best.png", "comparison_worst.png", "poster.jpg"):
        Image.new("RGB", (640, 240), (120, 40, 40)).save(folder / name)
    Image.new("RGB", (2 * 480, 848), (40, 120, 40)).save(folder / "comparison_median.png")  # filmed upright
    (folder / "viewer.html").write_text("")
    metrics: dict[str, Any] = json_file.plain(documents.metrics(RUN, results))
    write_report(folder, results, metrics, "2026-11-23T12:00:00.000Z")
    return folder / "report.html"


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")
@pytest.mark.slow
def test_it_fits_a_phone_its_sliders_move_and_a_screen_reader_finds_its_way(tmp_path: Path) -> None:
    path = written(tmp_path)
    with browser(tmp_path / "profile") as page:
        for size, scheme in (((360, 740), "light"), ((1280, 800), "dark")):
            page.open(path, size=size)
            page.prefer("prefers-color-scheme", scheme)
            assert page.until("document.readyState === 'complete'")
            assert page.value("document.documentElement.scrollWidth <= innerWidth")
            assert page.value(f"{LETTERS}.every(one => one.height >= {SMALLEST_PX})"), "numbers of curves can be read"
            assert page.value(f"{LETTERS}.length > 6")
            assert page.value(f"{BROKEN}.length === 0"), "no word of a table's head is broken"
            (refused,) = [row for row in page.value(ROWS) if row.startswith("c.mp4")]
            assert ("–" in refused) == (size[0] > 520), "a phone shows no row of dashes"
            assert page.value(ALL_OF_IT), "a comparison is seen as a whole, both halves in one place"
            if axe.PACKAGES.is_installed:
                assert axe.findings(page) == {}
        page.value(
            "{ const s = document.querySelector('.slide input'); s.value = 20; s.dispatchEvent(new Event('input')) }"
        )
        assert page.value("getComputedStyle(document.querySelector('.slide .over')).clipPath").endswith("20%)")
        assert not page.log, "the page's policy lets its script and pictures be"
