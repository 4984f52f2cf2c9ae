"""What a user sets reaches the stage that reads it, and changes keys of saved work only where it changes the work."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from runner.pipeline import knobs
from runner.pipeline import settings as pipeline_settings
from runner.pipeline.estimate import planned_s
from runner.pipeline.presets import PRESETS, preset
from runner.poses.ladder import next_rung
from runner.poses.reuse.cache import timeless
from runner.poses.reuse.reusable_poses import prefix
from runner.scene.frames import FrameSet
from runner.training.schedule import learning_rates, recipe_for, recipe_of
from runner.worker.saved_work.resume_store import resume_location
from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.errors import ConfigurationError
from scenejobs.settings.knobs import Knobs
from scenejobs.settings.pipeline import PipelineSettings

OTHER: dict[str, Any] = {
    "train_steps": 1234, "train_budget_s": 77.0, "max_gaussians": 4321, "train_long_side": 333, "sh_degree": "2",
    "train_strategy": "mcmc", "exposure": "off", "pose_refinement": "on", "learning_rate_factor": 0.5,
    "densify_from": 0.1, "densify_until": 0.4, "densify_gradient": 0.001, "prune_opacity": 0.02,
    "colmap_matcher": "sequential", "colmap_mapper": "global", "colmap_camera_model": "OPENCV",
    "export_formats": "spz", "marker_size_m": 0.16, "scene_budget_s": 900.0, "scene_budget_usd": 2.5, "metric": True,
}  # fmt: skip
OF_POSES = {"colmap_matcher", "colmap_mapper", "colmap_camera_model"}


@pytest.mark.parametrize("name", PRESETS)
def test_left_alone_every_preset_is_what_it_was(name: str) -> None:
    assert knobs.turned(preset(name), PipelineSettings()) == preset(name)


def test_every_knob_reaches_what_a_job_gets() -> None:
    assert OTHER.keys() == {item.name for item in fields(Knobs)}
    given = pipeline_settings.resolve(replace(PipelineSettings(preset="laptop", force_cpu=True), **OTHER), "id")
    train, poses = given.preset.train, given.preset.poses
    assert (train.iterations, train.budget_s, train.cap, train.long_side) == (1234, 77.0, 4321, 333)
    assert (train.sh_degree, train.strategy, train.exposure) == (2, "mcmc", "off")
    assert train.pose_refinement == "on"
    assert (poses.matcher, poses.mapper, poses.camera_model) == ("sequential", "global", "OPENCV")
    assert (given.formats, given.marker_size_m, given.budget.seconds) == (("ply", "spz"), 0.16, 900.0)
    assert (given.formats, given.marker_size_m, given.metric) == (("ply", "spz"), 0.16, True)
    recipe = recipe_of(train)
    assert (recipe.refine_from, recipe.refine_until) == (0.1, 0.4)
    assert (recipe.grow_gradient, recipe.prune_opacity) == (0.001, 0.02)
    usual = learning_rates(0.3, recipe_for("mcmc", 1234), 2.0)
    assert learning_rates(0.3, recipe, 2.0) == {name: rate / 2 for name, rate in usual.items()}


def test_frames_are_as_large_as_training_asks_for_and_no_smaller_than_poses_need() -> None:
    laptop = preset("laptop")
    assert knobs.turned(laptop, Knobs(train_long_side=1600)).frames.long_side == 1600
    assert knobs.turned(laptop, Knobs(train_long_side=8000)).frames.long_side == 1920
    assert knobs.turned(laptop, Knobs(train_long_side=200)).frames == laptop.frames, (
        "the same frames: cached ones serve"
    )


@pytest.mark.parametrize("name", sorted(OTHER.keys() - OF_POSES - {"train_long_side"}))
def test_what_changes_no_poses_keeps_those_that_were_found(name: str) -> None:
    """Another SH degree needs no new poses."""
    usual = preset("laptop")
    changed = knobs.turned(usual, replace(Knobs(), **{name: OTHER[name]}))
    assert (changed.frames, timeless(changed.poses)) == (usual.frames, timeless(usual.poses))


@pytest.mark.parametrize("name", sorted(OF_POSES))
def test_who_asks_for_a_matcher_a_mapper_or_a_lens_gets_no_poses_that_another_one_found(name: str) -> None:
    usual = preset("laptop").poses
    changed = knobs.turned(preset("laptop"), replace(Knobs(), **{name: OTHER[name]})).poses
    assert timeless(changed) != timeless(usual)
    assert prefix(FrameSet((), ()), changed) != prefix(FrameSet((), ()), usual)


def test_work_is_resumed_unless_what_was_saved_would_be_another() -> None:
    def digest(**changes: Any) -> str:
        return resume_location(
            MemoryBlobStore("state"), "a", (), replace(PipelineSettings(), **changes), "program"
        ).digest

    same = {name for name in OTHER if digest(**{name: OTHER[name]}) == digest()}
    assert same == {"export_formats", "train_budget_s", "scene_budget_s", "scene_budget_usd"}


def test_the_first_way_to_the_poses_is_the_one_that_was_asked_for() -> None:
    poses = preset("laptop").poses
    usual = next_rung([], 72, poses)
    assert usual is not None
    assert (usual.matching, usual.mapper) == ("preselected", "incremental")
    asked = next_rung([], 72, replace(poses, matcher="sequential", mapper="global"))
    assert asked is not None
    assert (asked.matching, asked.mapper) == ("sequential", "global")
    many = next_rung([], 400, replace(poses, matcher="exhaustive"))
    assert many is not None
    assert many.matching == "exhaustive"


def test_the_deadline_knows_of_a_longer_training_and_of_more_pairs() -> None:
    laptop = PipelineSettings(preset="laptop")
    assert planned_s(replace(laptop, train_budget_s=1300.0)) == pytest.approx(planned_s(laptop) + 1000)
    many = replace(laptop, frame_count=300)
    assert planned_s(replace(many, colmap_matcher="exhaustive")) > 2 * planned_s(many)


@pytest.mark.parametrize("changed", [{"densify_from": 0.7}, {"densify_until": 0.02, "train_strategy": "default"}])
def test_a_window_that_is_empty_beside_the_strategys_own_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="Gaussians would be added from"):
        pipeline_settings.check(replace(PipelineSettings(), **changed))
