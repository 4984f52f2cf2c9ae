"""Lack of time is not blamed on the footage: it is said, tried again with more, and goes on from what was found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner.cache.store import CacheSettings, StageCache
from runner.context import StageContext
from runner.pipeline import settings as pipeline_settings
from runner.pipeline.more_time import USUAL, MoreTime
from runner.poses.find import find_poses
from runner.poses.gates import Verdict
from runner.poses.out_of_time import out_of_time
from runner.poses.rungs import Attempt, Rung
from runner.poses.settings import PoseSettings
from runner.scene.progress import SILENT
from scenejobs.errors import Code, RunnerError
from scenejobs.filming import AS_RECORDED
from scenejobs.settings.pipeline import PipelineSettings
from tests.pose_models import failed, model
from tests.synthetic import render, walk, write_frames

FIRST = Rung("exhaustive", "incremental", 4096, 1280)
# More points are asked for of ten frames (550) than the first way finds with so few features; twice as many find them.
SETTINGS = PoseSettings(features=250, max_image_size=320, threads=1, min_points=1100, budget_s=1.0)


@pytest.mark.slow
def test_a_scene_that_needs_another_way_says_that_time_was_short_and_goes_on_from_saved_work(tmp_path: Path) -> None:
    """As the command and the worker do it: one try with too little time, and another one in a fresh workspace with
    the cache of the first and more time."""
    pictures = [render(*pose) for pose in walk(10)]
    store = CacheSettings(tmp_path / "cache", 1_000_000_000, 1e9)
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second, store.folder):
        folder.mkdir()
    frames = write_frames(first, {"a": pictures})
    with pytest.raises(RunnerError) as caught:
        find_poses(frames, StageContext(first, SILENT, StageCache(store, "smoke")), SETTINGS)
    assert (caught.value.code, caught.value.exit_code) == (Code.POSES_TIMED_OUT, 3)
    assert "POSES_BUDGET_SECS=1 was enough for 2 of" in caught.value.cause, "a second way is always tried"
    assert "slower" not in str(caught.value)

    frames = write_frames(second, {"a": pictures})
    cache = StageCache(store, "smoke")
    report = find_poses(frames, StageContext(second, SILENT, cache), replace(SETTINGS, budget_s=600.0))
    assert report.images_registered == 10
    assert cache.used["features of frames"] == 10, "they were found again instead of going on"
    assert cache.used["matches of pairs"] == 45


@pytest.mark.slow
def test_a_mapping_that_its_time_limit_ends_is_no_refusal(tmp_path: Path) -> None:
    """COLMAP ends it without a word, and what it has by then looks like footage that cannot be placed."""
    frames = write_frames(tmp_path, {"a": [render(*pose) for pose in walk(12)]})
    settings = replace(SETTINGS, features=1000, min_points=20_000, max_runtime_s=0)
    with pytest.raises(RunnerError) as caught:
        find_poses(frames, StageContext(tmp_path, SILENT), settings)
    assert caught.value.code == Code.POSES_TIMED_OUT
    # On a fast machine it ends in time, and the next way is what the budget does not allow.
    assert "mapping was ended after" in caught.value.cause or "was not begun" in caught.value.cause


def test_what_more_time_would_not_help_is_refused_as_ever() -> None:
    """Nothing left to try, nothing ended early."""
    still = Attempt(FIRST, model(), failed(Code.STATIC_CAMERA))
    assert out_of_time([still], (), 40, SETTINGS) is None
    assert out_of_time([still], (replace(FIRST, mapper="global"),), 40, SETTINGS) is not None
    assert out_of_time([replace(still, cut="match took more than 9 s")], (), 40, SETTINGS) is not None


def test_the_advice_names_a_budget_that_would_do() -> None:
    tried = Attempt(FIRST, None, Verdict(False), pairs=780, extract_s=20.0, match_s=30.0, map_s=10.0)
    error = out_of_time([tried], (replace(FIRST, mapper="global"),), 40, replace(SETTINGS, budget_s=60.0))
    assert error is not None
    assert "raise POSES_BUDGET_SECS to 120" in error.advice


def test_bent_pictures_are_told_in_place_of_nothing_known_to_be_wrong() -> None:
    tried = Attempt(FIRST, None, Verdict(False), pairs=780, extract_s=20.0, match_s=30.0, map_s=10.0)
    left = (replace(FIRST, mapper="global"),)
    error = out_of_time([tried], left, 40, replace(SETTINGS, budget_s=60.0), ("a.mp4",))
    assert error is not None
    assert (error.code, error.advice) == (Code.POSES_TIMED_OUT, AS_RECORDED)
    assert error.cause.startswith("the pictures of a.mp4 are bent, each in another way")
    assert "POSES_BUDGET_SECS=120 would be enough for all" in error.cause


def test_a_further_attempt_gets_more_time_for_poses_but_never_less_than_the_setting() -> None:
    def budget(more_time: MoreTime = USUAL) -> float:
        settings = PipelineSettings(preset="smoke", backend="cpu", poses_budget_s=60)
        return pipeline_settings.resolve(settings, "job", more_time=more_time).preset.poses.budget_s

    assert budget() == 60
    assert budget(MoreTime(poses=4.0, most_s=1000.0)) == 240
    assert budget(MoreTime(poses=4.0, most_s=100.0)) == 100
    assert budget(MoreTime(poses=4.0, most_s=10.0)) == 60
