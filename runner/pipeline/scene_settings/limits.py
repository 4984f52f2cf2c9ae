"""What a scene.yaml asks for, held by what the operator's settings give: it lowers them and never raises them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from runner.pipeline import knobs
from runner.pipeline.presets import Preset
from runner.pipeline.scene_settings.scene_file import Asked, refused
from scenejobs.settings.reader import shown as plain


@dataclass(frozen=True)
class Held:
    """What is made, and in words what was asked for in vain."""

    preset: Preset
    told: tuple[str, ...] = ()


def held(asked: Asked, wanted: Preset, limit: Preset) -> Held:
    """wanted: the preset with everything that is asked for. limit: the operator's, for this scene.

    Raises InputError where the two together leave no training.
    """
    told: list[str] = []
    w, m = wanted, limit

    def least(key: str, value: float, most: float) -> float:
        if value > most and key in asked.values:
            told.append(f"scene.yaml asks for {key} {plain(value)}: {plain(most)} is the most here")
        elif value > most and "preset" in asked.values:
            told.append(f"scene.yaml asks for preset {asked.values['preset']}: {key} is {plain(most)} at most here")
        return min(value, most)

    train = replace(
        w.train,
        iterations=int(least("train_steps", w.train.iterations, m.train.iterations)),
        budget_s=least("train_budget_secs", w.train.budget_s, m.train.budget_s),
        cap=int(least("max_gaussians", w.train.cap, m.train.cap)),
        long_side=int(least("train_long_side", w.train.long_side, m.train.long_side)),
        sh_degree=int(least("sh_degree", w.train.sh_degree, m.train.sh_degree)),
    )
    frames = replace(
        w.frames,
        budget=int(least("frame_count", w.frames.budget, m.frames.budget)),
        long_side=min(w.frames.long_side, m.frames.long_side),
    )
    poses = replace(
        w.poses,
        features=int(least("colmap_max_num_features", w.poses.features, m.poses.features)),
        features_of_few=min(w.poses.features_of_few, m.poses.features_of_few),
        max_image_size=min(w.poses.max_image_size, m.poses.max_image_size),
        budget_s=least("poses_budget_secs", w.poses.budget_s, m.poses.budget_s),
    )
    too_many = frames.budget > m.poses.exhaustive_allowed_up_to
    if too_many and poses.all_pairs(frames.budget) and not m.poses.all_pairs(frames.budget):
        told.append("scene.yaml asks for colmap_matcher exhaustive: so many frames are not all compared here")
        poses = replace(poses, matcher=m.poses.matcher)
    chosen = replace(wanted, frames=frames, poses=poses, train=train)
    if empty := list(knobs.problems(chosen)):
        raise refused(empty[0])
    return Held(chosen, tuple(told))
