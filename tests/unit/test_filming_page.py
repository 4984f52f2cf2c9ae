"""docs/filming.md: its numbers are those of the program, the repository draws its pictures, its sections exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runner.media.selection import detail_check
from runner.media.selection.budget import MAX_RATE_FPS
from runner.media.settings import Limits
from runner.poses.colmap.lenses.zoom import SPREAD
from runner.poses.gates import Thresholds
from runner.poses.lens_warnings import USED_DEG
from scenejobs.names import PHOTO_EXTENSIONS, RAW_EXTENSIONS, VIDEO_EXTENSIONS
from scripts import filming_pictures

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "filming.md"
LIMITS, GATES = Limits(), Thresholds()
TOLD = (
    f"at least {100 * GATES.min_baseline_to_depth:g} % of the distance",
    f"At most {MAX_RATE_FPS:g} frames per second are used",
    f"below {detail_check.DARK:g} or above {detail_check.BRIGHT:g} of 255",
    f"noticed from a factor of {SPREAD:g}",
    f"{USED_DEG:g} degrees across are used",
    f"at least {LIMITS.min_scene_photos} without a video",
    f"| smallest picture | {LIMITS.min_long_side}x{LIMITS.min_short_side} |",
    f"| shortest | {LIMITS.min_frames} frames, {LIMITS.min_duration_s:g} s (",
    f"| longest | {LIMITS.max_duration_s / 3600:g} hours (two minutes are enough) |",
    f"| largest file | {LIMITS.max_file_bytes / 1024**3:g} GiB | {LIMITS.max_photo_bytes / 1024**2:g} MiB |",
    f"| most in one scene | {LIMITS.max_clips} | {LIMITS.max_photos:,} |",
)


def anchors(page: str) -> set[str]:
    """Of its sections, as GitHub makes them of headings."""
    return {re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in re.findall(r"^## (.+)$", page, re.M)}


def linked() -> Iterator[tuple[str, str]]:
    """Where a section of the page is named, and which."""
    for folder in ("scenejobs", "runner", "function_app", "serve", "watch", "local", "docs", "."):
        for path in (ROOT / folder).glob("*" if folder == "." else "**/*"):
            if path.suffix in (".py", ".md", ".j2", ".html") and path.is_file():
                for anchor in re.findall(r"filming\.md#([\w-]+)", path.read_text(encoding="utf-8")):
                    yield path.relative_to(ROOT).as_posix(), anchor


@pytest.mark.parametrize("words", TOLD)
def test_the_numbers_are_those_of_the_program(words: str) -> None:
    assert words in " ".join(PAGE.read_text(encoding="utf-8").split())


def test_the_kinds_of_files_are_those_of_the_program() -> None:
    rows = re.findall(
        r"^\| (read, among others|export it first) \| (.+) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.M
    )
    named = {(row, n): set(re.findall(r"`(\.\w+)`", cell)) for row, *cells in rows for n, cell in enumerate(cells)}
    video, photo = (named["read, among others", n] for n in (0, 1))
    assert video <= VIDEO_EXTENSIONS
    assert photo <= PHOTO_EXTENSIONS - RAW_EXTENSIONS
    assert named["export it first", 0] <= VIDEO_EXTENSIONS - video
    assert named["export it first", 1] <= RAW_EXTENSIONS


def test_every_advice_links_to_a_section_that_exists() -> None:
    there = anchors(PAGE.read_text(encoding="utf-8"))
    assert [(where, anchor) for where, anchor in linked() if anchor not in there] == []


def test_each_section_has_its_pair_of_pictures_and_none_is_left_over() -> None:
    page = PAGE.read_text(encoding="utf-8")
    shown = re.findall(r"^!\[(.+)\]\(images/filming/([\w-]+)\.jpg\)$", page, re.M)
    assert [name for _, name in shown] == list(filming_pictures.PICTURES)
    assert anchors(page) == set(filming_pictures.PICTURES)
    assert {path.stem for path in filming_pictures.OUT.iterdir()} == set(filming_pictures.PICTURES)
    assert all("left: " in words and "right: " in words for words, _ in shown)


def test_a_picture_is_what_the_script_draws() -> None:
    """One of the cheap ones, drawn again: within what JPEG and another version of Pillow change."""
    drawn = np.asarray(filming_pictures.PICTURES["move-around"](), float)
    kept = np.asarray(Image.open(filming_pictures.OUT / "move-around.jpg"), float)
    assert drawn.shape == kept.shape
    assert np.abs(drawn - kept).mean() < 4
