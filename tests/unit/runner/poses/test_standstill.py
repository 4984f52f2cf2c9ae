"""A camera that stands still or only turns is told from a few pairs; whatever moves, or is in doubt, goes on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runner.context import StageContext
from runner.poses.colmap import client
from runner.poses.colmap.parallax import Pairs, moves
from runner.poses.colmap.requests import Motion, Probe
from runner.poses.find import find_poses
from runner.poses.settings import PoseSettings
from runner.poses.standstill import NEAR, clearly_moves, some_of, without_a_step
from runner.scene.progress import SILENT
from scenejobs.errors import Code, InputError
from scenejobs.filming import WALK
from tests.synthetic import render, walk, write_frames


def motion(verified: int, still: int, turned: int, slid: int = 0) -> Motion:
    return Motion(verified=verified, still=still, turned=turned, slid=slid)


STILL, TURNED, MOVED, SLID = motion(66, 66, 0), motion(61, 0, 56), motion(66, 0, 5), motion(30, 0, 0, 30)
FLAT = (
    "films something flat that slides through the picture or grows in it (a scrolled page, a scan, a photo with a zoom)"
)
SIZE = (640.0, 480.0)


@pytest.mark.slow
def test_a_tripod_with_people_walking_by_is_refused_before_all_pairs_are_compared(tmp_path: Path) -> None:
    """Refused by clip and time, with what to do; of 30 frames 12 were looked at."""
    rng = np.random.default_rng(0)
    room, person = render(*walk(3)[1]).astype(float), rng.integers(0, 255, (90, 40, 3))
    pictures = []
    for index in range(30):
        picture = room * (1 + 0.05 * np.sin(2.1 * index)) + rng.normal(0, 3, room.shape)
        picture[100:190, 9 * index : 9 * index + 40] = person
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    frames, told = write_frames(tmp_path, {"a": pictures}), []
    progress = replace(SILENT, emit=lambda report: told.append(report.detail))
    with pytest.raises(InputError) as caught:
        find_poses(frames, StageContext(tmp_path, progress), PoseSettings(features=400, max_image_size=320, threads=1))
    assert caught.value.code == Code.STATIC_CAMERA
    assert "a.mp4 0.0-5.8 s" in caught.value.cause
    assert caught.value.advice == WALK
    assert not any("pairs matched" in detail for detail in told), "all pairs were compared first"


@pytest.mark.parametrize(("motions", "says"), [
    ([STILL], "does not move"), ([TURNED], "only turns on the spot"), ([STILL, TURNED], "does not move"),
    ([SLID], FLAT), ([SLID, MOVED], ""), ([MOVED], ""), ([STILL, MOVED], ""), ([motion(9, 9, 0)], ""), ([], ""),
])  # fmt: skip
def test_every_shot_has_to_say_clearly_that_the_camera_made_no_step(motions: list[Motion], says: str) -> None:
    assert without_a_step(motions) == says


def test_few_frames_of_each_shot_are_looked_at_and_none_of_films_with_many_shots() -> None:
    names = tuple(map(str, range(100)))
    (one,) = some_of([names])
    assert (one[0], one[-1], len(one)) == ("0", "99", 12)
    assert [len(some) for some in some_of([names, names[:7]])] == [12, 7]
    assert some_of([names] * 8) == ()


def pair(h: np.ndarray, whole: bool = True) -> Pairs:
    return Pairs(h[None], np.array([whole]), np.array([SIZE]))


def turned_by(degrees: float, focal: float = 500.0) -> np.ndarray:
    a, k = np.radians(degrees), np.array([[focal, 0, 320], [0, focal, 240], [0, 0, 1.0]])
    r = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    return np.asarray(k @ r @ np.linalg.inv(k))


def test_pairs_of_images_say_whether_the_camera_was_still_turned_or_moved() -> None:
    """Along a wall it moves: a homography explains all of it, and no rotation does; no hand holds it so straight
    that the wall only slides and grows, as a page does that is scrolled and a photo that an editor zooms into."""
    slides = np.array([[1, 0, 90.0], [0, 1, 4], [0, 0, 1]])
    closer = np.diag([1.3, 1.3, 1.0])
    for h, whole, expected in (
        (np.eye(3), True, "still"), (turned_by(8), True, "turned"), (turned_by(25), True, "turned"),
        (slides @ closer, True, "slid"), (turned_by(8), False, ""), (slides, True, "slid"), (slides, False, ""),
        (slides @ turned_by(0.5), True, ""), (slides @ closer @ turned_by(0.5), True, ""),
        (slides @ np.diag([1.02, 1.0, 1.0]), True, ""), (closer, True, "slid"),
    ):  # fmt: skip
        found = dict(zip(("still", "turned", "slid"), moves(pair(h, whole)), strict=True))
        assert [name for name, said in found.items() if said[0]] == ([expected] if expected else []), h


@pytest.mark.slow
def test_a_page_that_is_scrolled_is_refused_before_all_pairs_are_compared(tmp_path: Path) -> None:
    """It was a published scene of 14 dB, in doubt: every picture placed, on a plane that passes by."""
    page = np.random.default_rng(1).integers(0, 255, (120, 32, 3), np.uint8)
    page = np.kron(page, np.ones((10, 10, 1), np.uint8))
    pictures = [page[15 * index : 15 * index + 240] for index in range(30)]
    with pytest.raises(InputError) as caught:
        find_poses(
            write_frames(tmp_path, {"a": pictures}), StageContext(tmp_path, SILENT),
            PoseSettings(features=400, max_image_size=320, threads=1),
        )  # fmt: skip
    assert caught.value.code == Code.STATIC_CAMERA
    assert "slides through the picture" in caught.value.cause


@pytest.mark.slow
def test_a_photo_that_an_editor_zooms_into_is_refused_before_all_pairs_are_compared(tmp_path: Path) -> None:
    """As slide shows do ("Ken Burns"): ten minutes were spent on ways to find cameras that there never were."""
    photo = Image.fromarray(render(*walk(3)[1], size=(1280, 960), focal=1000.0))
    pictures = []
    for index in range(24):
        width = 1280 / (1.1 + 0.03 * index)
        left, top = 60 + 8 * index, 40 + 4 * index
        box = (left, top, left + width, top + 0.75 * width)
        pictures.append(np.asarray(photo.resize((640, 480), Image.Resampling.BICUBIC, box=box)))
    with pytest.raises(InputError) as caught:
        find_poses(
            write_frames(tmp_path, {"a": pictures}), StageContext(tmp_path, SILENT),
            PoseSettings(features=800, max_image_size=640, threads=1),
        )  # fmt: skip
    assert caught.value.code == Code.STATIC_CAMERA
    assert "a photo with a zoom" in caught.value.cause


@pytest.mark.parametrize(("near", "moves"), [
    (motion(21, 0, 0), True), (motion(21, 2, 2), True), (motion(21, 2, 3), False), (motion(5, 0, 0), False),
    (STILL, False), (TURNED, False), (SLID, False),
])  # fmt: skip
def test_neighbours_in_time_say_that_the_camera_moved_only_where_next_to_all_of_them_do(
    near: Motion, moves: bool
) -> None:
    assert clearly_moves(near) is moves


@pytest.mark.slow
@pytest.mark.parametrize(("pictures", "reaches"), [
    ([render(*pose) for pose in walk(14)], {NEAR}), ([render(*walk(3)[1])] * 14, {NEAR, 12}),
], ids=["walk", "tripod"])  # fmt: skip
def test_where_neighbours_moved_nothing_else_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: list[np.ndarray], reaches: set[int]
) -> None:
    """Of 12 frames 21 pairs instead of 66, when the camera walks; a tripod is looked at whole before it is refused."""
    asked: list[int] = []
    run = client.run

    def watched(request: Any, *rest: Any, **named: Any) -> Any:
        if isinstance(request, Probe):
            asked.append(request.reach)
        return run(request, *rest, **named)

    monkeypatch.setattr(client, "run", watched)
    settings = PoseSettings(features=400, max_image_size=320, threads=1)
    with suppress(InputError):
        find_poses(write_frames(tmp_path, {"a": pictures}), StageContext(tmp_path, SILENT), settings)
    assert set(asked) == reaches  # another rung asks again
