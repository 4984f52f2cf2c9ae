"""Choosing frames: sharp, spread over time and motion, no view twice, and one bad clip does not spoil a scene."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from runner.context import StageContext
from runner.media.captures import folder_names
from runner.media.extract import extract_frames
from runner.media.selection.budget import allocate, choose
from runner.media.selection.measures import (
    FrameMeasures,
    Odometer,
    displacement_px,
    motion_view,
    sharpness,
)
from runner.media.settings import FrameSettings, Limits
from runner.scene.frames import Clip
from runner.scene.progress import SILENT, Progress
from scenejobs.errors import Code, InputError, Interrupted
from tests.videos import pan, wall, write_changing_size, write_video

LIMITS = Limits(min_long_side=64, min_short_side=48)
SETTINGS = FrameSettings(budget=20, long_side=120, limits=LIMITS)


def clip_of(path, pictures, **options) -> Clip:
    return Clip(path.name, write_video(path, pictures, **options))


def test_frames_are_written_upright_one_folder_per_clip_in_capture_order(tmp_path):
    clips = [
        clip_of(tmp_path / "a.mp4", pan(30, 8, 160, 96), fps=30, rotation_deg=90),
        clip_of(tmp_path / "b.mp4", pan(30, 8, 160, 96, seed=1), fps=30),
    ]
    result = extract_frames(clips, StageContext(tmp_path, SILENT), SETTINGS)
    assert 16 <= len(result.frames) <= 20
    assert [frame.video for frame in result.frames] == sorted(frame.video for frame in result.frames)
    for video in ("a.mp4", "b.mp4"):
        times = [frame.timestamp_s for frame in result.frames if frame.video == video]
        assert times == sorted(set(times))
        assert len(times) >= 8
    assert (result.clips[0].width, result.clips[0].height, result.clips[0].rotation_deg) == (96, 160, 90)
    shapes = {}
    for frame in result.frames:
        with Image.open(tmp_path / "frames" / frame.image) as image:
            shapes.setdefault(frame.image.split("/")[0], set()).add(image.size)
    assert shapes == {"a": {(72, 120)}, "b": {(120, 72)}}  # shrunk to 120 px, in each clip's own direction


def test_a_finished_stage_is_not_done_again_and_a_changed_input_is(tmp_path):
    clip = clip_of(tmp_path / "a.mp4", pan(30, 8, 160, 96), fps=30)
    first = extract_frames([clip], StageContext(tmp_path, SILENT), SETTINGS)
    written = (tmp_path / "frames" / first.frames[0].image).stat().st_mtime_ns
    assert extract_frames([clip], StageContext(tmp_path, SILENT), SETTINGS) == first
    assert (tmp_path / "frames" / first.frames[0].image).stat().st_mtime_ns == written
    write_video(clip.path, pan(40, 8, 160, 96, seed=3), fps=30)
    assert extract_frames([clip], StageContext(tmp_path, SILENT), SETTINGS) != first


def saved_elsewhere(tmp_path, change=lambda marker: None):
    """Clips, what one machine made of them, and the workspace of another that found its marker."""
    clips = [
        clip_of(tmp_path / "a.mp4", pan(30, 8, 160, 96), fps=30, rotation_deg=90),
        clip_of(tmp_path / "b.mp4", pan(30, 8, 160, 96, seed=1), fps=30),
    ]
    first = extract_frames(clips, StageContext(tmp_path, SILENT), SETTINGS)
    marker = json.loads((tmp_path / "frames.json").read_text())
    change(marker["result"])
    other = tmp_path / "other"
    other.mkdir()
    (other / "frames.json").write_text(json.dumps(marker))
    return clips, first, other


def test_a_choice_made_on_another_machine_is_written_again_to_the_same_bytes_without_looking(tmp_path):
    clips, first, other = saved_elsewhere(tmp_path)
    reports = []
    assert extract_frames(clips, StageContext(other, Progress(reports.append)), SETTINGS) == first
    for frame in first.frames:
        written = [(folder / "frames" / frame.image).read_bytes() for folder in (tmp_path, other)]
        assert written[0] == written[1]
    assert [report.detail for report in reports if report.detail.startswith("looking")] == []
    assert json.loads((other / "frames.json").read_text()) == json.loads((tmp_path / "frames.json").read_text())


@pytest.mark.parametrize("folder", ["../escaped", "/tmp/escaped", "b", ""])
def test_a_choice_with_a_folder_of_its_own_is_made_anew(tmp_path, folder):
    """The marker comes from storage, and the folder becomes a path."""
    clips, first, other = saved_elsewhere(tmp_path, lambda result: result["clips"][0].update(folder=folder))
    assert extract_frames(clips, StageContext(other, SILENT), SETTINGS) == first
    assert sorted(path.name for path in other.iterdir()) == ["frames", "frames.json"]
    assert not (tmp_path / "escaped").exists()


def test_a_choice_of_frames_that_the_clip_does_not_have_is_made_anew(tmp_path):
    clips, first, other = saved_elsewhere(tmp_path, lambda result: result["frames"][-1].update(index=99))
    assert extract_frames(clips, StageContext(other, SILENT), SETTINGS) == first


def test_a_slow_clip_of_few_frames_is_taken_whole(tmp_path):
    """Each frame of a 5 fps clip may be another photo: none is dropped for another one's sharpness."""
    clip = clip_of(tmp_path / "a.mp4", pan(17, 16, 160, 96), fps=5)
    assert [frame.index for frame in extract_frames([clip], StageContext(tmp_path, SILENT), SETTINGS).frames] == list(
        range(17)
    )


def test_frozen_frames_are_taken_once(tmp_path):
    """A phone that stutters repeats its last frame; the repeats show nothing new."""
    moving = pan(20, 8, 160, 96)
    frozen = moving[:10] + [moving[9]] * 20 + moving[10:]
    clip = clip_of(tmp_path / "a.mp4", frozen, fps=10)
    indices = [frame.index for frame in extract_frames([clip], StageContext(tmp_path, SILENT), SETTINGS).frames]
    assert sum(9 <= index < 30 for index in indices) == 1
    assert len(indices) >= 18


REPEATS = {
    "a rate of 5 doubled": [i // 2 for i in range(40)],
    "3:2 pulldown": [i for i in range(20) for _ in range(2 + i % 2)],
    "a phone that stutters": [max(0, i - i % 7 // 3) for i in range(40)],
}


@pytest.mark.parametrize("shown", REPEATS.values(), ids=REPEATS.keys())
def test_frames_that_a_converter_repeated_are_taken_once(tmp_path, shown):
    """Repeats are not equal to the bit: each was encoded, and here filmed, with noise of its own."""
    rng = np.random.default_rng(0)
    originals = pan(max(shown) + 1, 8, 160, 96)
    pictures = [np.clip(originals[i] + rng.normal(0, 2, (96, 160, 3)), 0, 255).astype(np.uint8) for i in shown]
    clip = clip_of(tmp_path / "a.mp4", pictures, fps=10)
    settings = FrameSettings(budget=100, long_side=120, limits=LIMITS)
    indices = [frame.index for frame in extract_frames([clip], StageContext(tmp_path, SILENT), settings).frames]
    assert [shown[index] for index in indices] == sorted(set(shown))


def test_a_clip_whose_picture_size_changes_becomes_one_camera_for_each_size(tmp_path):
    """As when a phone is turned, or two recordings are joined. A few stray frames become none."""
    sizes = [(160, 96)] * 20 + [(96, 160)] * 14 + [(80, 64)] * 3
    clip = Clip("a.mkv", write_changing_size(tmp_path / "a.mkv", sizes))
    result = extract_frames(
        [clip], StageContext(tmp_path, SILENT), FrameSettings(budget=60, long_side=120, limits=LIMITS)
    )
    cameras = [(info.name, info.folder, info.width, info.height, info.frame_count) for info in result.clips]
    assert cameras == [("a.mkv", "a", 160, 96, 20), ("a.mkv (96x160)", "a_mkv_96x160", 96, 160, 14)]
    assert result.clips[0].warnings == ("the picture size changes: 3 frames of other sizes are left out",)
    indices = {info.name: [f.index for f in result.frames if f.video == info.name] for info in result.clips}
    assert indices == {"a.mkv": list(range(20)), "a.mkv (96x160)": list(range(20, 34))}
    for frame in result.frames:
        with Image.open(tmp_path / "frames" / frame.image) as image:
            assert image.size == ((120, 72) if frame.video == "a.mkv" else (72, 120))
    other = tmp_path / "other"
    other.mkdir()
    (other / "frames.json").write_bytes((tmp_path / "frames.json").read_bytes())
    assert (
        extract_frames([clip], StageContext(other, SILENT), FrameSettings(budget=60, long_side=120, limits=LIMITS))
        == result
    )
    assert len(list((other / "frames").rglob("*.png"))) == 34


def test_blurred_frames_lose_against_sharp_neighbours(tmp_path):
    pictures = pan(60, 4, 160, 96)
    for index in range(0, 60, 2):
        pictures[index] = np.asarray(Image.fromarray(pictures[index]).filter(ImageFilter.GaussianBlur(3)))
    clip = clip_of(tmp_path / "a.mp4", pictures, fps=30)
    indices = [frame.index for frame in extract_frames([clip], StageContext(tmp_path, SILENT), SETTINGS).frames]
    assert len(indices) >= 12
    assert all(index % 2 == 1 for index in indices)


def test_frames_of_a_variable_rate_clip_are_spread_over_time_and_not_over_frames(tmp_path):
    """40 frames in the first second and 10 in the next nine: half of the choice may not come from the first second."""
    times_ms = [25 * i for i in range(40)] + [1000 + 900 * i for i in range(10)]
    clip = clip_of(tmp_path / "a.mp4", pan(50, 6, 160, 96), times_ms=times_ms)
    settings = FrameSettings(budget=12, long_side=120, limits=LIMITS)
    times = [frame.timestamp_s for frame in extract_frames([clip], StageContext(tmp_path, SILENT), settings).frames]
    assert sum(time < 1 for time in times) <= len(times) / 2


def test_a_camera_on_a_tripod_is_refused_before_any_reconstruction(tmp_path):
    """Even when a person walks through the picture and the exposure drifts."""
    rng = np.random.default_rng(0)
    still = wall(160, 96).astype(float)
    pictures = []
    for index in range(30):
        picture = still * (1 + 0.005 * index) + rng.normal(0, 2, still.shape)
        picture[20:80, 5 * index : 5 * index + 20] = 40
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    clip = clip_of(tmp_path / "a.mp4", pictures)
    with pytest.raises(InputError) as caught:
        extract_frames([clip], StageContext(tmp_path, SILENT), SETTINGS)
    assert caught.value.code == Code.STATIC_CAMERA
    assert "a.mp4" in caught.value.cause


def test_a_slow_camera_is_not_taken_for_a_still_one(tmp_path):
    """A tenth of a pixel per frame at 160 px, 6 px in all: slow, but it moves."""
    surface = Image.fromarray(wall(1700, 960))
    pictures = [np.asarray(surface.crop((i, 0, i + 1600, 960)).resize((160, 96))) for i in range(60)]
    clip = clip_of(tmp_path / "a.mp4", pictures, fps=30)
    assert len(extract_frames([clip], StageContext(tmp_path, SILENT), SETTINGS).frames) >= 12


def test_one_bad_clip_among_good_ones_is_recorded_and_the_scene_goes_on(tmp_path):
    (tmp_path / "bad.mp4").write_text("not a video")
    clips = [Clip("bad.mp4", tmp_path / "bad.mp4"), clip_of(tmp_path / "a.mp4", pan(30, 8, 160, 96), fps=30)]
    result = extract_frames(clips, StageContext(tmp_path, SILENT), SETTINGS)
    assert [clip.name for clip in result.clips] == ["a.mp4"]
    assert [(clip.name, clip.failure.code) for clip in result.refused] == [("bad.mp4", Code.NOT_A_VIDEO)]
    assert extract_frames(clips, StageContext(tmp_path, SILENT), SETTINGS) == result


def test_when_no_clip_is_usable_the_answer_names_them_all(tmp_path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.mp4").write_text("not a video")
    clips = [Clip(name, tmp_path / name) for name in ("a.mp4", "b.mp4")]
    with pytest.raises(InputError) as caught:
        extract_frames(clips, StageContext(tmp_path, SILENT), SETTINGS)
    assert caught.value.code == Code.EMPTY_FILE
    assert "a.mp4" in caught.value.cause
    assert "b.mp4" in caught.value.cause


def test_a_clip_of_half_a_second_is_too_short(tmp_path):
    clip = clip_of(tmp_path / "a.mp4", pan(15, 8, 160, 96), fps=30)
    with pytest.raises(InputError) as caught:
        extract_frames([clip], StageContext(tmp_path, SILENT), SETTINGS)
    assert caught.value.code == Code.TOO_SHORT


def test_too_few_different_frames_over_all_clips_are_refused(tmp_path):
    clip = clip_of(tmp_path / "a.mp4", pan(11, 16, 160, 96), fps=5)
    with pytest.raises(InputError) as caught:
        extract_frames([clip], StageContext(tmp_path, SILENT), SETTINGS)
    assert caught.value.code == Code.TOO_FEW_FRAMES


def test_a_stop_is_obeyed_and_leaves_no_marker(tmp_path):
    clip = clip_of(tmp_path / "a.mp4", pan(30, 8, 160, 96), fps=30)
    with pytest.raises(Interrupted):
        extract_frames(
            [clip], StageContext(tmp_path, Progress(emit=lambda _: None, stop_requested=lambda: True)), SETTINGS
        )
    assert not (tmp_path / "frames.json").exists()


def test_progress_never_goes_back_and_ends_at_one(tmp_path):
    clips = [clip_of(tmp_path / f"{i}.mp4", pan(30, 8, 160, 96, seed=i), fps=30) for i in range(2)]
    reports = []
    extract_frames(clips, StageContext(tmp_path, Progress(emit=reports.append)), SETTINGS)
    fractions = [report.fraction for report in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_folders_are_readable_safe_and_unique():
    names = ["view1.mp4", "cam1/a.mp4", "cam1_a.mov", "../../etc/passwd", "VIEW1.MOV", "видео.mp4", "-rf"]
    assert folder_names(names) == ["view1", "cam1_a", "cam1_a_2", "etc_passwd", "VIEW1_2", "clip", "rf"]


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 1.0])
def test_motion_is_measured_in_pixels(shift):
    """A smooth pattern shifted by a known amount, sampled exactly: no interpolation is involved."""
    y, x = np.mgrid[0:54, 0:96].astype(np.float64)

    def pattern(dx):
        return 120 + 40 * np.sin((x + dx) / 5) * np.cos(y / 4) + 30 * np.sin((x + dx + y) / 7)

    measured = displacement_px(pattern(0).astype(np.float32), pattern(shift).astype(np.float32))
    assert measured == pytest.approx(shift, abs=0.03 + 0.1 * shift)


def travelled(odometer, luma):
    """In long sides, up to this picture."""
    return odometer.read(motion_view(luma))


def test_a_picture_without_texture_counts_as_still():
    odometer = Odometer()
    assert [travelled(odometer, np.full((96, 160), level, np.uint8)) for level in (0, 100, 200)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("first", "last"),
    [("black", "film"), ("white", "film"), ("black", "black"), ("fade", "fade")],
)
def test_a_film_that_begins_or_ends_with_nothing_is_not_called_still(tmp_path, first, last):
    """A single black frame at the beginning, as editors and captures make it, was what all others were compared with:
    the camera does not move, said the refusal."""
    film = pan(60, 4, 160, 96)
    blank = {"black": np.zeros_like(film[0]), "white": np.full_like(film[0], 255)}
    for at, what in ((0, first), (-1, last)):
        if what in blank:
            film[at] = blank[what]
    if first == "fade":
        film = [(p * min(1, i / 15, (59 - i) / 15)).astype(np.uint8) for i, p in enumerate(film)]
    result = extract_frames([clip_of(tmp_path / "a.mp4", film)], StageContext(tmp_path, SILENT), SETTINGS)
    assert len(result.frames) > 0.8 * SETTINGS.budget


def test_black_frames_between_scenes_take_no_place_of_others(tmp_path):
    """Each was a shot of its own, and so was chosen; half a film of them is told."""
    film = pan(60, 4, 160, 96)
    film[25:30] = [np.zeros_like(film[0])] * 5
    result = extract_frames([clip_of(tmp_path / "a.mp4", film)], StageContext(tmp_path, SILENT), SETTINGS)
    assert not {frame.index for frame in result.frames} & set(range(25, 30))
    assert len(result.frames) == SETTINGS.budget
    assert not any("no detail" in warning for warning in result.warnings)


def test_pictures_that_show_nothing_count_as_if_they_were_not_there():
    film = [picture.mean(axis=2).astype(np.uint8) for picture in pan(40, 4, 160, 96)]
    odometer, plain = Odometer(), Odometer()
    found = [travelled(odometer, picture if i % 4 else picture // 64) for i, picture in enumerate(film)]
    seen = [travelled(plain, picture) for i, picture in enumerate(film) if i % 4]
    assert found[1:4] + found[-3:] == seen[:3] + seen[-3:]
    assert found == sorted(found)


@pytest.mark.parametrize("shape", [(1, 640), (2, 640), (4, 640), (640, 5), (7, 7)])
def test_strips_and_dots_have_sharpness_and_motion_of_nothing(shape):
    """A header may claim pixels ten times as wide as high: shrunk, a picture of them is a line."""
    odometer, picture = Odometer(), np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    assert np.isfinite(sharpness(picture))
    assert [np.isfinite(travelled(odometer, image)) for image in (picture, picture[::-1])] == [True, True]


def test_sharpness_is_the_variance_of_the_laplacian():
    """A single white pixel on black: the Laplacian is -4, 1, 1, 1, 1 there and 0 elsewhere."""
    luma = np.zeros((12, 12), np.uint8)
    luma[5, 5] = 1
    values = np.zeros(100)
    values[:5] = [-4, 1, 1, 1, 1]
    assert sharpness(luma) == pytest.approx(values.var())


@st.composite
def surveyed_clips(draw):
    clips = []
    for _ in range(draw(st.integers(1, 4))):
        steps = draw(st.lists(st.tuples(st.floats(0.01, 2), st.sampled_from([0, 0.002, 0.01, 0.3])), min_size=1))
        time, travel, seen = 0.0, 0.0, [FrameMeasures(0, 0.0, 1.0, 0.0)]
        for index, (step_s, moved) in enumerate(steps):
            time, travel = time + step_s, travel + moved
            seen.append(FrameMeasures(index + 1, time, draw(st.floats(0, 100)), travel))
        clips.append(seen)
    return clips


@given(surveyed_clips(), st.integers(4, 60), st.sampled_from([None, 0.5, 2.0, 30.0]))
def test_the_choice_keeps_to_budget_and_rate_and_never_repeats_a_view(clips, budget, rate_fps):
    chosen = choose(clips, budget, rate_fps)
    assert sum(map(len, chosen)) <= budget
    for seen, indices in zip(clips, chosen, strict=True):
        assert indices == sorted(set(indices))
        assert len({seen[i].travel for i in indices}) == len(indices) >= 1
        if rate_fps:
            assert len(indices) <= 1 + seen[-1].timestamp_s * rate_fps


def test_without_a_rate_a_clip_gives_six_frames_a_second_or_24_and_a_higher_rate_gives_more():
    for seconds, expected in ((10, [60, 21, 121]), (2, [24, 5, 25])):
        film = [FrameMeasures(n, n / 30, 1.0, n * 0.01) for n in range(30 * seconds + 1)]
        assert [len(choose([film], 400, rate)[0]) for rate in (None, 2.0, 12.0)] == expected


@given(st.lists(st.tuples(st.floats(0.001, 1), st.integers(1, 300), st.booleans()), min_size=1, max_size=8),
       st.integers(8, 400))  # fmt: skip
def test_the_budget_is_used_up_as_far_as_clips_have_frames(clips, budget):
    weights, most, photos = map(list, zip(*clips, strict=True))
    shares = allocate(weights, most, photos, budget)
    assert sum(shares) == min(budget, sum(most))
    assert all(0 < share <= limit for share, limit in zip(shares, most, strict=True))
