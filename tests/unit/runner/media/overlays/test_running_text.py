"""A ticker over a film is masked and told, on a bar or on nothing; what a camera sees is not, however it moves."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from runner.media.overlays.find import mask_overlays
from runner.media.overlays.running_text import running_text
from runner.scene.masks import read_mask
from runner.scene.progress import SILENT
from tests import synthetic
from tests.hard_inputs import along, turn
from tests.stamps import Picture, faint_logo, ticker
from tests.videos import pan

SIZE = (640, 480)


@cache
def views() -> list[Picture]:
    """An arc through a textured room."""
    return [synthetic.render(*pose, size=SIZE, focal=600.0) for pose in synthetic.walk(16)]


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        ({"pace": 0.03}, 0.13),
        ({"pace": 0.01, "share": 0.08, "opacity": 0.0}, 0.11),
        ({"pace": 0.05, "share": 0.12, "opacity": 0.5, "below": 0.08}, 0.17),
        ({"pace": 0.03, "level": 235, "label": True}, 0.14),
    ],
)
def test_text_that_runs_over_a_film_is_masked_and_told(kind: dict[str, float], most: float, tmp_path: Path) -> None:
    draw = ticker(**kind)  # type: ignore[arg-type]
    frames = synthetic.write_frames(tmp_path, {"a": [draw(picture, n) for n, picture in enumerate(views())]})
    (clip,) = mask_overlays(frames, tmp_path, SILENT).clips
    used = read_mask(tmp_path / "masks", frames.frames[0].image)
    assert used is not None
    grey = np.full((*SIZE[::-1], 3), 128, np.uint8)
    drawn = np.any([np.abs(draw(grey, n).astype(int) - grey).max(axis=2) > 40 for n in range(16)], axis=0)
    assert (drawn & ~used).sum() > 0.95 * drawn.sum()
    assert clip.masked_share == pytest.approx(1 - used.mean())
    assert clip.masked_share < most
    (said,) = [warning for warning in clip.warnings if "a ticker" in warning]
    assert "% of the picture, bottom" in said


def test_a_logo_beside_a_ticker_is_masked_as_well(tmp_path: Path) -> None:
    plain = [picture // 3 + 60 for picture in pan(16, 40, *SIZE)]
    draw = ticker(pace=0.03)
    drawn = [draw(faint_logo(picture, number), number) for number, picture in enumerate(plain)]
    (clip,) = mask_overlays(synthetic.write_frames(tmp_path, {"a": drawn}), tmp_path, SILENT).clips
    assert [" ".join(warning.split()[:2]) for warning in clip.warnings] == ["an overlay", "text that"]


def test_what_a_camera_sees_is_no_running_text() -> None:
    """Not even on a rail, where all of it moves sideways at one pace, or where it turns at one."""
    small = {"size": (320, 240), "focal": 300.0}
    films = [
        views(), pan(16, 9, *SIZE), pan(16, 60, *SIZE),
        [synthetic.render(*pose, **small) for pose in along(-1.0, 1.0, 16)],  # type: ignore[arg-type]
        [synthetic.render(*pose, **small) for pose in turn(16)],  # type: ignore[arg-type]
    ]  # fmt: skip
    for number, film in enumerate(films):
        pictures = [picture.mean(axis=2).astype(np.uint8) for picture in film]
        assert running_text(pictures, [0.2 * n for n in range(len(pictures))]) is None, number


def test_few_pictures_tell_nothing() -> None:
    draw = ticker(pace=0.03)
    pictures = [draw(picture, n).mean(axis=2).astype(np.uint8) for n, picture in enumerate(views()[:8])]
    assert running_text(pictures, [0.2 * n for n in range(8)]) is None
    assert running_text([], []) is None
