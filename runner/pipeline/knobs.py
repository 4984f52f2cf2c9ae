"""A preset with what a user set by name instead: each knob goes to the stage that reads it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from runner.pipeline.presets import Preset, frames_side
from scenejobs.settings.knobs import Knobs


def turned(chosen: Preset, knobs: Knobs) -> Preset:
    """The preset with every knob that is not left to it. Frames are as large as poses and training ask for."""
    before = chosen.train
    train = replace(
        before,
        iterations=knobs.train_steps or before.iterations,
        budget_s=knobs.train_budget_s or before.budget_s,
        cap=knobs.max_gaussians or before.cap,
        long_side=knobs.train_long_side or before.long_side,
        sh_degree=before.sh_degree if knobs.sh_degree == "auto" else int(knobs.sh_degree),
        strategy=before.strategy if knobs.train_strategy == "auto" else knobs.train_strategy,
        exposure=before.exposure if knobs.exposure == "auto" else knobs.exposure,
        pose_refinement=knobs.pose_refinement,
        rate_factor=knobs.learning_rate_factor,
        densify_from=knobs.densify_from,
        densify_until=knobs.densify_until,
        densify_gradient=knobs.densify_gradient,
        prune_opacity=knobs.prune_opacity,
    )
    poses = replace(
        chosen.poses,
        matcher=knobs.colmap_matcher,
        mapper=knobs.colmap_mapper,
        camera_model=chosen.poses.camera_model if knobs.colmap_camera_model == "auto" else knobs.colmap_camera_model,
    )
    frames = replace(chosen.frames, long_side=frames_side(poses.max_image_size, train.long_side))
    return replace(chosen, frames=frames, poses=poses, train=train)


def problems(chosen: Preset) -> Iterator[str]:
    """What no training can be done with, although each value alone may be right: its window of densification is empty.

    chosen: with its knobs turned.
    """
    begin, end = chosen.train.window
    if begin >= end:
        yield (
            f"Gaussians would be added from {begin:g} to {end:g} of the training "
            f"(DENSIFY_FROM, DENSIFY_UNTIL; strategy {chosen.train.strategy})"
        )
