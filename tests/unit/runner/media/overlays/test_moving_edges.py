"""Black edges of a steadied film, in another place in each frame, are masked; dark things of the place are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runner.media.overlays.find import mask_overlays
from runner.media.overlays.moving_edges import Edges, moving_edges
from runner.scene.frames import FrameSet
from runner.scene.masks import read_mask
from runner.scene.progress import SILENT
from tests import synthetic
from tests.stamps import Picture, steadied
from tests.videos import pan

SIZE = (640, 480)
COUNT = 16


def film() -> list[Picture]:
    return pan(COUNT, 20, *SIZE)


def masked(workspace: Path, pictures: list[Picture]) -> tuple[FrameSet, list[np.ndarray | None], tuple[str, ...]]:
    """What is used of each picture, None: all of it; and the warnings about their clip."""
    frames = synthetic.write_frames(workspace, {"a": pictures})
    found = mask_overlays(frames, workspace, SILENT)
    return found, [read_mask(workspace / "masks", frame.image) for frame in frames.frames], found.clips[0].warnings


def test_the_black_beside_steadied_pictures_is_masked_frame_by_frame_and_told(tmp_path: Path) -> None:
    found, used, warnings = masked(tmp_path, [steadied(picture, n) for n, picture in enumerate(film())])
    missing = [steadied(np.full((*SIZE[::-1], 3), 250, np.uint8), n)[..., 0] < 125 for n in range(COUNT)]
    for number, (mask, black) in enumerate(zip(used, missing, strict=True)):
        if mask is None:
            assert black.mean() < 0.01, number
            continue
        assert (black & mask).mean() < 0.004, "black that is trained on"
        assert (~black & ~mask).mean() < 0.05, "picture that is lost"
    assert sum(mask is not None for mask in used) > 0.8 * COUNT
    (said,) = [warning for warning in warnings if "black edges that move" in warning]
    assert f"of {COUNT} pictures" in said
    assert found.clips[0].steadied


def test_a_few_such_frames_and_none_are_left_alone(tmp_path: Path) -> None:
    pictures = film()
    pictures[3], pictures[4] = steadied(pictures[3], 3), steadied(pictures[4], 4)
    _, used, warnings = masked(tmp_path, pictures)
    assert used == [None] * COUNT
    assert warnings == ()


@pytest.mark.parametrize("by_night", [60, 110])
def test_dark_things_at_the_edges_of_a_film_are_not_masked(by_night: int) -> None:
    """Whatever is dark at night is black, flat, and reaches to the edge of the picture; it does not end in a line."""
    dark = [np.clip(picture.astype(int) - by_night, 0, 255).astype(np.uint8).mean(axis=2) for picture in film()]
    assert moving_edges([picture.astype(np.uint8) for picture in dark]) == Edges([None] * COUNT)


def test_a_black_table_that_is_not_flat_is_the_place() -> None:
    """It ends in a straight line, too, and its surface shows something."""
    pictures = [picture.mean(axis=2).astype(np.uint8) for picture in film()]
    grain = np.random.default_rng(0).integers(6, 16, SIZE[::-1], dtype=np.uint8)
    for number, picture in enumerate(pictures):
        picture[400 - 5 * number :] = grain[400 - 5 * number :]
    assert moving_edges(pictures) == Edges([None] * COUNT)


@pytest.mark.parametrize(("level", "name"), [(0, "black"), (255, "white")])
def test_the_bars_of_photos_that_a_program_made_square_are_masked_and_told(
    tmp_path: Path, level: int, name: str
) -> None:
    """As some apps upload them: white walls stood above and below the scene."""
    square = [np.pad(picture, ((80, 80), (0, 0), (0, 0)), constant_values=level) for picture in film()]
    found, used, warnings = masked(tmp_path, square)
    assert not found.clips[0].steadied
    for mask in used:
        assert mask is not None
        assert not mask[:80].any()
        assert not mask[-80:].any()
        assert mask[100:-100].all()
    assert any(warning.startswith(f"{name} bars are ignored in {COUNT} of {COUNT} pictures") for warning in warnings)
