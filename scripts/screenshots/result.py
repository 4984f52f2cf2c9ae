"""Viewer and report of a result."""

from __future__ import annotations

from pathlib import Path

from scripts.screenshots.saved import SIZES, save, wait
from tests.browser import Page

DRAWN = "document.body.dataset.ready === 'yes' && getComputedStyle(document.getElementById('cover')).opacity === '0'"
LOADED = "document.readyState === 'complete' && [...document.images].every(one => one.complete)"
HELD_OUT = "document.querySelectorAll('.slide')[1].scrollIntoView({ block: 'center' })"


def draw(page: Page, folder: Path) -> None:
    """viewer.jpg, report.jpg, report-heldout.jpg, and each as a phone shows it. Raises InfrastructureError."""
    for suffix, size in SIZES.items():
        page.open(folder / "viewer.html", size=size)
        wait(page, DRAWN)
        save(page.picture(), f"viewer{suffix}.jpg")
        page.open(folder / "report.html", size=size)
        wait(page, LOADED)
        save(page.picture(), f"report{suffix}.jpg")
        page.value(HELD_OUT)
        save(page.picture(), f"report-heldout{suffix}.jpg")
