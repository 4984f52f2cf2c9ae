"""Poses that a run with another preset found serve the next one, at its size, where they are as good as new ones."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest

from runner.cache.store import CacheSettings, StageCache
from runner.context import StageContext
from runner.dataset.build import build_views
from runner.media.extract import extract_frames
from runner.media.selection.preference import NONE
from runner.media.settings import FrameSettings, Limits
from runner.pipeline.frame_preferences import FramesWithPoses
from runner.poses.find import find_poses
from runner.poses.reuse.reusable_poses import (
    CHOSEN,
    FACTS,
    MODEL,
    REPORT,
    SERVES,
    ReusablePoses,
    chosen_before,
    chosen_name,
    frame_keys,
    keep_chosen,
    most_useful,
    prefix,
    reusable_poses,
    timeless,
)  # fmt: skip
from runner.poses.settings import FEW, PoseSettings
from runner.scene.frames import Clip, FrameSet
from runner.scene.pose_report import PoseReport
from runner.scene.progress import SILENT
from scenejobs.errors import InputError, RunnerError
from tests.synthetic import FOCAL, HEIGHT, WIDTH, pose_errors, render, walk, write_frames
from tests.videos import pan, write_video

FIRST = PoseSettings(features=600, max_image_size=320, threads=1, min_points=200)
OTHER = PoseSettings(features=900, max_image_size=640, threads=1, min_points=200, budget_s=500.0)
LIMITS = Limits(min_long_side=64, min_short_side=48)


@dataclass(frozen=True)
class FirstRun:
    """What a run with the first preset left."""

    workspace: Path
    cache: Path
    frames: FrameSet
    report: PoseReport

    def cache_in(self, folder: Path) -> StageCache:
        """A copy of what it left."""
        shutil.copytree(self.cache, folder / "cache")
        return StageCache(CacheSettings(folder / "cache", 1 << 30), "second")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    workspace = tmp_path_factory.mktemp("first")
    frames = write_frames(workspace, {"a": [render(*pose) for pose in walk(10)]})
    report = find_poses(
        frames, StageContext(workspace, SILENT, StageCache(CacheSettings(workspace / "cache", 1 << 30), "first")), FIRST
    )
    return FirstRun(workspace, workspace / "cache", frames, report)


def smaller(first: FirstRun, workspace: Path, indices: list[int], size: tuple[int, int] = (256, 192)) -> FrameSet:
    """Some frames of the same clip as another preset writes them."""
    pictures = [render(*pose, size=size, focal=FOCAL * size[0] / WIDTH) for pose in walk(10)]
    write_frames(workspace, {"a": pictures})
    return replace(first.frames, frames=tuple(first.frames.frames[i] for i in indices))


def read(cache: StageCache, name: str, folder: Path) -> dict[str, Path | bytes]:
    """The files of an entry."""
    files = (FACTS, REPORT, *MODEL)
    assert cache.get(name, files, folder)
    return {file: (folder / file).read_bytes() for file in files}


def images_of(workspace: Path) -> dict[str, pycolmap.Image]:
    return {image.name: image for image in pycolmap.Reconstruction(str(workspace / "sparse")).images.values()}


def error_px(model: pycolmap.Reconstruction, point: np.ndarray, seen: list[tuple[int, int]]) -> list[float]:
    """Reprojection error of a point in each picture that sees it: (number of the picture, of the observation)."""
    images = model.images
    return [float(np.linalg.norm(images[i].project_point(point) - images[i].points2D[k].xy)) for i, k in seen]


@pytest.mark.slow
def test_another_preset_takes_the_poses_and_scales_the_cameras(first: FirstRun, tmp_path: Path) -> None:
    """Other features, another size, fewer frames: the very poses of the first run, the camera and its observations at
    the new size, so that reprojection errors shrink with the picture; the report says whose poses these are; and what
    training gets from them fits the true cameras."""
    chosen = [0, 1, 2, 4, 5, 7, 8, 9]
    frames = smaller(first, tmp_path, chosen)
    cache = first.cache_in(tmp_path)
    report = find_poses(frames, StageContext(tmp_path, SILENT, cache), OTHER)
    assert cache.used == {"poses of frames, preset first": 8}
    assert report.why == "poses of an earlier run (preset first, 10 frames) are used: they pass every gate"
    assert report.rung == first.report.rung
    assert (report.images_registered, report.images_total) == (8, 8)
    assert not (tmp_path / "sfm").exists()
    before, after = images_of(first.workspace), images_of(tmp_path)
    assert sorted(after) == [f"a/{index:06d}.png" for index in chosen]
    for name, image in after.items():
        assert np.allclose(image.cam_from_world().matrix(), before[name].cam_from_world().matrix(), atol=1e-12)
    old, new = (pycolmap.Reconstruction(str(folder / "sparse")) for folder in (first.workspace, tmp_path))
    one, other = old.cameras[1], new.cameras[1]
    assert (other.width, other.height) == (256, 192)
    assert other.mean_focal_length() == pytest.approx(0.8 * one.mean_focal_length())
    assert list(other.params[1:3]) == pytest.approx([128.0, 96.0])
    assert other.params[3] == pytest.approx(one.params[3])  # distortion has no unit
    placed = set(after)
    left = [
        [(e.image_id, e.point2D_idx) for e in point.track.elements if old.images[e.image_id].name in placed]
        for point in old.points3D.values()
    ]
    expected = [error_px(old, point.xyz, seen) for point, seen in zip(old.points3D.values(), left, strict=True)]
    found = [
        error_px(new, point.xyz, [(e.image_id, e.point2D_idx) for e in point.track.elements])
        for point in new.points3D.values()
    ]
    assert sum(map(len, found)) == sum(len(errors) for errors in expected if len(errors) > 1) > 500
    assert np.mean(np.concatenate(found)) == pytest.approx(
        0.8 * np.mean(np.concatenate([errors for errors in expected if len(errors) > 1])), rel=1e-6
    )

    scene = build_views(frames, StageContext(tmp_path, SILENT), 128)
    poses = [walk(10)[index] for index in chosen]
    matrices = np.array([view.world_to_camera for view in scene.views])
    centres = -np.einsum("nji,nj->ni", matrices[:, :3, :3], matrices[:, :3, 3])
    positions, angles = pose_errors(
        centres, matrices[:, :3, :3], np.array([p for p, _ in poses]), np.array([r for _, r in poses])
    )
    assert positions.max() < 0.03
    assert np.median(angles) < 0.3
    assert scene.views[0].width == 128
    assert scene.views[0].K[0, 0] == pytest.approx(FOCAL * 128 / WIDTH, rel=0.03)
    # The pinhole cameras that training uses see the points where its pictures, half as large, show them.
    apart = []
    for view, point in scene.sightings[::7]:
        camera = scene.views[view].K @ (scene.views[view].world_to_camera @ [*scene.points[point], 1.0])[:3]
        shown = {seen.point3D_id: seen.xy for seen in after[scene.views[view].image].get_observation_points2D()}[
            sorted(new.points3D)[point]
        ]
        apart.append(np.linalg.norm(camera[:2] / camera[2] - 0.5 * shown))
    assert np.median(apart) < 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chosen", "more", "words"),
    [
        (range(10), 1, r"poses of preset first have {found} points; {least} are needed"),
        (range(4), 0, "poses of preset first do not pass: 4 of 4 frames were placed; 5 are needed"),
    ],
    ids=["the whole model", "the part of it that the chosen frames see"],
)
def test_poses_of_another_run_pass_the_same_gates(
    first: FirstRun, tmp_path: Path, caplog: pytest.LogCaptureFixture, chosen: range, more: int, words: str
) -> None:
    """More points are asked for than they have, or less of them is wanted than a scene needs: they are not used, the
    log says why, and new ones are searched for."""
    frames = smaller(first, tmp_path, list(chosen), (WIDTH, HEIGHT))
    cache = first.cache_in(tmp_path)
    least = first.report.points + more
    asked = replace(FIRST, min_points=least * FEW // 10, features=150, max_image_size=160, budget_s=1.0)
    with caplog.at_level("INFO"), pytest.raises((InputError, RunnerError)):  # refused, or out of time on a slow machine
        find_poses(frames, StageContext(tmp_path, SILENT, cache), asked)
    assert re.search(words.format(found=first.report.points, least=least), caplog.text.replace(",", ""))
    assert "poses of frames, preset first" not in cache.used


@pytest.mark.slow
def test_a_foreign_model_costs_time_only(first: FirstRun, tmp_path: Path) -> None:
    """Whole by its hash, written by somebody who may write, and nothing that can be read: it goes, and poses are found
    anew."""
    frames = smaller(first, tmp_path, list(range(10)))
    cache = first.cache_in(tmp_path)
    (name,) = cache.names("poses-")
    cache.put(name, {**read(cache, name, tmp_path / "read"), "images.bin": b"\xff" * 1000})
    report = find_poses(frames, StageContext(tmp_path, SILENT, cache), FIRST)
    assert report.images_registered == 10
    assert not [used for used in cache.used if used.startswith("poses")]
    assert name not in cache.names("poses-")


SOUND = {"run": "x", "images": {}, "placed": [], "settings": {"features": 1}, "rung": {}, "zoom": 1.0, "points": 1000}
FOREIGN = (
    {"images": {"a": 3}},
    {"placed": ["a"]},
    {"placed": [[]]},
    {"settings": {"features": "1"}},
    {"run": "<b>"},
    {"run": 3},
    {"points": "1000"},
)


def test_facts_that_are_sound_are_read() -> None:
    assert ReusablePoses.from_json("poses-1", json.dumps(SOUND).encode()).points == 1000


@pytest.mark.parametrize(
    "facts", [b"[]", b"[" * 9999, b"nonsense", *(json.dumps({**SOUND, **change}).encode() for change in FOREIGN)]
)
def test_foreign_facts_are_removed_and_never_used(tmp_path: Path, facts: bytes) -> None:
    frames = write_frames(tmp_path, {"a": [np.full((4, 4, 3), 9, np.uint8)]})
    cache = StageCache(CacheSettings(tmp_path / "cache", 1 << 30))
    cache.put(f"{prefix(frames, FIRST)}-{'1' * 32}", {FACTS: facts, REPORT: b"{}", **dict.fromkeys(MODEL, b"")})
    assert list(reusable_poses(cache, frames, FIRST, tmp_path / "read")) == []
    assert cache.names("poses-") == []


# ---- which frames and which poses -----------------------------------------------------------------------------------


def known(frames: int, placed: int, settings: PoseSettings = FIRST, name: str = "poses-1") -> ReusablePoses:
    images = {str(index): f"a/{index}.png" for index in range(frames)}
    return ReusablePoses(name, "first", images, frozenset(list(images)[:placed]), asdict(settings), {}, 1.0, 1000)


@pytest.mark.parametrize(
    ("frames", "placed", "wanted", "serves"),
    [
        (72, 72, 120, True),  # laptop, then laptop-high of a long clip
        (71, 71, 120, False),
        (80, 71, 120, False),  # those without a pose are no help
        (120, 120, 72, True),
        (120, 70, 72, False),  # 72 of them would have 42 with a pose, where 72 could have had one
        (72, 72, 62, True),  # there are no more useful frames than that
    ],
)  # fmt: skip
def test_reusable_poses_serve_where_they_register_enough_frames(frames, placed, wanted, serves) -> None:
    one = known(frames, placed)
    assert most_useful([one], [str(i) for i in range(wanted)], OTHER) == (one if serves else None)


def test_the_poses_of_the_same_preset_come_first_then_the_most_frames_then_the_most_features() -> None:
    own, most, features = known(100, 100, OTHER), known(150, 150), known(150, 150, OTHER, "poses-0")
    own = replace(own, settings=timeless(OTHER))
    wanted = list(own.images)
    assert most_useful([most, features, own], wanted, OTHER) == own
    assert most_useful([known(70, 70), most], wanted, FIRST) == most
    assert most_useful([most, features], wanted, FIRST) == features


def test_frames_with_reusable_poses_are_chosen_where_they_serve(tmp_path: Path) -> None:
    """At another size under a larger budget: all of them; under a smaller one: so many of them; where they do not
    serve, or have fewer points than are asked for by now: those that a run without a cache chooses. The same for a clip
    under another name."""
    video = write_video(tmp_path / "a.mp4", pan(40, 4, 320, 240))
    cache = StageCache(CacheSettings(tmp_path / "cache", 1 << 30), "first")

    def chosen(
        folder: str, budget: int, poses: PoseSettings | None = OTHER, name: str = "a.mp4", rate_fps: float | None = None
    ) -> FrameSet:
        settings = FrameSettings(budget=budget, long_side=160 - budget, rate_fps=rate_fps, limits=LIMITS)
        clips = [Clip(name, video)]
        preference = FramesWithPoses(clips, settings, poses, cache) if poses else NONE
        return extract_frames(clips, StageContext(tmp_path / folder, SILENT, cache), settings, preference)

    before = chosen("1", 14)
    keys = frame_keys(before)
    assert keys is not None
    images = {one: frame.image for one, frame in zip(keys, before.frames, strict=True)}
    facts = ReusablePoses("", "first", images, frozenset(images), timeless(FIRST), {}, 1.0, FIRST.min_points)
    files = {FACTS: facts.to_json(), REPORT: b"{}", **dict.fromkeys(MODEL, b"")}
    cache.put(f"{prefix(before, FIRST)}-{'1' * 32}", files)

    indices = [frame.index for frame in before.frames]
    free = {budget: [frame.index for frame in chosen(f"free{budget}", budget, None).frames] for budget in (12, 20, 24)}
    larger, less, much = chosen("2", 20), chosen("3", 12), chosen("4", 24)
    assert [frame.index for frame in larger.frames] == indices != free[20]
    assert len(less.frames) == 12
    assert {frame.index for frame in less.frames} < set(indices)
    assert [frame.index for frame in much.frames] == free[24]
    assert len(free[24]) * SERVES > len(indices)
    renamed = chosen("5", 20, name="b.mp4")
    assert [(frame.video, frame.index) for frame in renamed.frames] == [("b.mp4", index) for index in indices]
    assert len(chosen("7", 20, rate_fps=3.0).frames) == 12, "the clip has 3.9 s"
    raised = chosen("8", 20, replace(OTHER, min_points=FIRST.min_points * FEW // 14 + FEW))
    assert [frame.index for frame in raised.frames] == free[20]
    other = replace(before, sources=(("a.mp4", "0" * 64),))
    assert len({prefix(frames, FIRST) for frames in (before, larger, renamed, other)}) == 2


def test_one_more_clip_leaves_the_others_the_frames_whose_features_are_known(tmp_path: Path) -> None:
    """Half the budget is the new clip's now; what is left for the old one goes to frames that it had before. At another
    size their features are of no use, and the choice is free."""
    one, more = (
        write_video(tmp_path / f"{name}.mp4", pan(60, 4, 320, 240, seed)) for name, seed in (("a", 1), ("b", 2))
    )
    clips = [Clip("a.mp4", one), Clip("b.mp4", more)]
    cache = StageCache(CacheSettings(tmp_path / "cache", 1 << 30), "first")

    def of_the_first(folder: str, clips: list[Clip], long_side: int, cache: StageCache | None) -> FrameSet:
        settings = FrameSettings(budget=24, long_side=long_side, limits=LIMITS)
        preference = FramesWithPoses(clips, settings, FIRST, cache)
        found = extract_frames(clips, StageContext(tmp_path / folder, SILENT, cache), settings, preference)
        return replace(found, frames=tuple(frame for frame in found.frames if frame.video == "a.mp4"))

    before = of_the_first("1", clips[:1], 120, cache)
    keep_chosen(cache, before, {"a.mp4": (120, 90)}, FIRST)
    old = {frame.index for frame in before.frames}
    free = [frame.index for frame in of_the_first("2", clips, 120, None).frames]
    assert not set(free) <= old, "nothing to see here: the free choice keeps them as well"
    kept = of_the_first("3", clips, 120, cache).frames
    assert {frame.index for frame in kept} <= old
    assert len(kept) >= len(free) - 1
    assert [frame.index for frame in of_the_first("4", clips, 100, cache).frames] == free
    assert of_the_first("5", clips[:1], 120, cache) == before


@pytest.mark.parametrize("content", [b"[1.5]", b"{}", b"[" * 9999, b'["1"]'])
def test_a_foreign_choice_is_removed_and_never_used(tmp_path: Path, content: bytes) -> None:
    cache = StageCache(CacheSettings(tmp_path / "cache", 1 << 30))
    name = chosen_name("1" * 64, (4, 4), FIRST)
    cache.put(name, {CHOSEN: content})
    assert chosen_before(cache, name, tmp_path / "read") == frozenset()
    assert cache.names("chosen-") == []


def test_a_file_that_is_there_twice_tells_no_frame_from_another(tmp_path: Path) -> None:
    frames = write_frames(tmp_path, {name: [np.full((4, 4, 3), 9, np.uint8)] for name in ("a", "b")})
    assert frame_keys(frames) is None
    assert frame_keys(replace(frames, sources=(("a.mp4", "1"), ("b.mp4", "2")))) == ["1:0", "2:0"]
    assert frame_keys(replace(frames, sources=())) is None
