"""What is drawn over the picture is found and masked where it is, and nothing is masked in footage without it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from runner.context import StageContext
from runner.media.extract import extract_frames
from runner.media.lenses.discs import mask_discs
from runner.media.overlays.find import mask_overlays
from runner.media.overlays.persistence import hidden_by_overlays
from runner.media.settings import FrameSettings, Limits
from runner.scene.frames import Clip
from runner.scene.masks import clip_mask, read_mask
from runner.scene.progress import SILENT
from runner.scene.sizes import shrink
from runner.scene.view_directions import cam_from_first
from tests import synthetic, wide_lenses
from tests.footage import footage
from tests.stamps import Picture, boxed_date, crosshair, dark_case, faint_logo, outlined_date
from tests.videos import pan, write_video

COUNT = 12
SETTINGS = FrameSettings(budget=16, limits=Limits(min_long_side=64, min_short_side=48))


def room(count: int = COUNT, size: tuple[int, int] = (480, 360)) -> list[Picture]:
    """An arc through a textured room."""
    return [synthetic.render(*pose, size=size, focal=450.0) for pose in synthetic.walk(count)]


def masked(workspace: Path, pictures: list[Picture]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """What is used of the pictures [height, width], None: all of it; and the warnings about their clip."""
    frames = synthetic.write_frames(workspace, {"a": pictures})
    (clip,) = mask_overlays(frames, workspace, SILENT).clips
    used = read_mask(workspace / "masks", frames.frames[0].image)
    assert clip.masked_share == pytest.approx(0.0 if used is None else 1 - used.mean())
    return used, clip.warnings


@pytest.mark.parametrize(
    ("draw", "place", "most"),
    [
        (boxed_date, "bottom left", 0.12), (outlined_date, "top", 0.08), (faint_logo, "top left", 0.12),
        (crosshair, "middle", 0.05), (dark_case, "bottom right", 0.15),
    ],
)  # fmt: skip
def test_an_overlay_is_masked_and_told(
    draw: Callable[[Picture, int], Picture], place: str, most: float, tmp_path: Path
):
    """Twelve frames are enough for what covers the picture. At least nine tenths of what is drawn is masked."""
    plain = room() if draw is not faint_logo else [picture // 3 + 60 for picture in pan(COUNT, 60, 480, 360)]
    used, (warning,) = masked(tmp_path, [draw(picture, number) for number, picture in enumerate(plain)])
    assert used is not None
    white = np.full_like(plain[0], 200)
    drawn = np.any([np.abs(draw(white, n).astype(int) - white).max(axis=2) > 100 for n in range(COUNT)], axis=0)
    drawn |= np.any(
        [np.abs(draw(white // 4, n).astype(int) - white // 4).max(axis=2) > 100 for n in range(COUNT)], axis=0
    )
    if draw is not faint_logo:  # changes less than that
        assert (drawn & ~used).sum() > 0.9 * drawn.sum()
    assert (1 - used.mean()) < most
    assert place in warning
    assert f"{100 * (1 - used.mean()):.1f} %" in warning


def test_footage_without_overlays_is_left_alone(tmp_path: Path):
    """A room, a pan along a wall, a forward walk with its vanishing lines, a camera that stands still, night."""
    still = [room(2)[0]] * COUNT
    forward = [
        synthetic.render(np.array([0.0, 0.0, 0.1 * n]), np.eye(3), size=(480, 360), focal=450.0) for n in range(20)
    ]
    night = [(picture * 0.06).astype(np.uint8) for picture in room()]
    ceiling = [
        np.where(np.arange(360)[:, None, None] < 60 + 2 * n, 6, p).astype(np.uint8) for n, p in enumerate(room())
    ]
    for number, pictures in enumerate((room(), pan(COUNT, 9, 320, 240), forward, still, night, ceiling)):
        used, warnings = masked(tmp_path / str(number), pictures)
        assert used is None, number
        assert warnings == ()


@pytest.mark.parametrize("drawn", [True, False])
def test_a_display_over_the_disc_of_a_fisheye_is_masked_with_what_is_around(drawn: bool, tmp_path: Path):
    v, u = np.mgrid[0:360, 0:480] + 0.5
    radius = np.hypot(u - 240, v - 180)
    plain = [crosshair(picture, number) if drawn else picture for number, picture in enumerate(room())]
    frames = synthetic.write_frames(tmp_path, {"a": [np.where((radius < 170)[..., None], p, 3) for p in plain]})
    clips = tuple(replace(clip, projection="fisheye", focal_px=170 / np.radians(95)) for clip in frames.clips)
    result = mask_overlays(replace(frames, clips=clips), tmp_path, SILENT)
    mask_discs(result.clips, result.frames, tmp_path)
    used = read_mask(tmp_path / "masks", frames.frames[0].image)
    assert used is not None
    assert not used[radius > 172].any()
    assert used[:, ::8][radius[:, ::8] < 150].mean() > 0.9
    assert used[180, 240] == (not drawn)
    assert len(result.clips[0].warnings) == drawn


@pytest.mark.parametrize(("around", "hides"), [("black", True), ("dim", False), ("moves", False)])
def test_a_porthole_that_stays_in_place_is_masked(around: str, hides: bool, tmp_path: Path):
    """A beam of light that moves, or that the dark room can be seen around, is none."""
    v, u = np.mgrid[0:360, 0:480] + 0.5

    def seen(picture: Picture, number: int) -> Picture:
        radius = np.hypot(u - 240 - (12 * (number % 3) if around == "moves" else 0), v - 180)
        return np.where((radius < 145)[..., None], picture, picture // 24 if around == "dim" else 3).astype(np.uint8)

    used, warnings = masked(tmp_path, [seen(picture, number) for number, picture in enumerate(room())])
    used = np.ones((360, 480), bool) if used is None else used
    around_it = np.hypot(u - 240, v - 180) > 147
    assert not used[around_it].any() if hides else used[around_it].mean() > 0.6
    assert used[np.hypot(u - 240, v - 180) < 90].all()
    assert warnings or not hides


@pytest.mark.parametrize("length", [3, 5])
def test_a_few_pictures_over_and_over_hide_nothing(length: int, tmp_path: Path):
    """A loop (boomerang): what is there twenty times has not stayed in place while something else moved."""
    pictures = [synthetic.render(*pose, size=(480, 360), focal=450.0) for pose in synthetic.walk(24)[:length]]
    noise = [np.random.default_rng(number).normal(0, 1, pictures[0].shape) for number in range(24)]
    looped = [np.clip(pictures[n % length] + noise[n], 0, 255).astype(np.uint8) for n in range(24)]
    used, warnings = masked(tmp_path, looped)
    assert used is None
    assert warnings == ()


def test_eight_pictures_that_are_all_texture_hide_nothing():
    """As the views are that are cut out of a few 360-degree frames: some edges stay in place by chance."""
    v, u = np.mgrid[0:400, 0:400] + 0.5
    rays = np.stack([u - 200, v - 200, np.full_like(u, 200)], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    for turns, poses in ((1, wide_lenses.walk(40, 0.0)[::5]), (2, wide_lenses.walk(16, 0.0)[::2])):
        seen = [wide_lenses.seen((at, cam_from_first(turns) @ axes), rays).mean(axis=2) for at, axes in poses]
        assert hidden_by_overlays(picture.astype(np.float32) for picture in seen) is None


@pytest.mark.parametrize("name", ["fox/view1.mp4", "walk/walk.mp4"])
def test_real_footage_is_left_alone(name: str, tmp_path: Path):
    settings = FrameSettings(budget=24, long_side=640)
    clip = Clip(Path(name).name, footage(name))
    frames = extract_frames([clip], StageContext(tmp_path, SILENT), settings)
    assert not (tmp_path / "masks").exists()
    assert frames.clips[0].masked_share == 0.0


def test_masks_are_made_again_where_an_attempt_on_another_machine_left_only_the_choice(tmp_path: Path):
    pictures = [boxed_date(picture, n) for n, picture in enumerate(pan(40, 12, 320, 240))]
    clip = Clip("a.mp4", write_video(tmp_path / "a.mp4", pictures, fps=10))
    first = extract_frames([clip], StageContext(tmp_path, SILENT), SETTINGS)
    mask = clip_mask(tmp_path / "masks", "a")
    made = mask.read_bytes()
    assert first.clips[0].masked_share > 0.04
    with Image.open(tmp_path / "frames" / first.frames[0].image) as image, Image.open(mask) as grey:
        assert image.size == grey.size
    mask.unlink()
    assert extract_frames([clip], StageContext(tmp_path, SILENT), SETTINGS) == first
    assert mask.read_bytes() == made


@pytest.mark.parametrize("name", ["fox/view1.mp4", "walk/walk.mp4"])
@pytest.mark.parametrize("count", [8, 11])
def test_a_second_of_real_footage_hides_nothing(name: str, count: int):
    """Few frames, close together: distant houses hardly move, and nothing is drawn over them."""
    with av.open(str(footage(name))) as film:
        frames = itertools.islice(film.decode(video=0), 0, None, 5 if name.startswith("walk") else 1)
        grey = [frame.to_image().convert("L") for frame in itertools.islice(frames, 4 * count)]
    small = [np.asarray(one.resize(shrink(*one.size, 640), Image.Resampling.BOX), np.float32) for one in grey]
    for start in range(0, len(small) - count + 1, 3):
        assert hidden_by_overlays(small[start : start + count]) is None, start


@pytest.mark.parametrize("every", [1, 2])
def test_a_walk_filmed_slowly_loses_no_large_part(every: int):
    """What the camera walks straight towards stays in place for a second; a third of the picture was masked for it."""
    with av.open(str(footage("walk/walk.mp4"))) as film:
        grey = [frame.to_image().convert("L") for frame in itertools.islice(film.decode(video=0), 0, 240, every)]
    small = [np.asarray(one.resize(shrink(*one.size, 640), Image.Resampling.BOX), np.float32) for one in grey]
    for count in (12, 24):
        for start in range(0, len(small) - count + 1, len(small) // 5):
            hidden = hidden_by_overlays(small[start : start + count])
            assert hidden is None or hidden.mean() < 0.1, (count, start)
