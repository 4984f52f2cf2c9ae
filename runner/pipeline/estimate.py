"""How long a job will take, estimated before it starts."""

from __future__ import annotations

from dataclasses import replace

from runner.pipeline.presets import AUTO, Preset, preset
from runner.poses.settings import FRAME_S, PAIR_FEATURES, PAIR_S
from scenejobs.estimate.plans import pairs_of
from scenejobs.settings.pipeline import PipelineSettings

# Seconds on two cores without a GPU, rounded up from the runs in benchmarks/results/end_to_end.md: the poses of 50
# frames with 3072 features took 112 s, of which most is matching, which grows with pairs and with features squared.
START_S = 60.0  # imports, compiling, undistorting
DECODE_S_PER_GB = 400.0
FINISH_S = 120.0  # measuring, writing and reading back the results, uploading


def planned_s(settings: PipelineSettings, input_bytes: int = 0) -> float:
    """Seconds that such a job needs when all goes well. Raises ConfigurationError for an unknown preset."""
    names = AUTO if settings.preset == "auto" else (settings.preset,)
    return max(_of_preset(_overridden(preset(name), settings)) for name in names) + DECODE_S_PER_GB * input_bytes / 1e9


def _overridden(chosen: Preset, settings: PipelineSettings) -> Preset:
    frames = replace(chosen.frames, budget=settings.frame_count or chosen.frames.budget)
    poses = replace(chosen.poses, features=settings.features or chosen.poses.features, matcher=settings.colmap_matcher)
    train = replace(chosen.train, budget_s=settings.train_budget_s or chosen.train.budget_s)
    return replace(chosen, frames=frames, poses=poses, train=train)


def _of_preset(chosen: Preset) -> float:
    count = chosen.frames.budget
    matching = (
        PAIR_S
        * pairs_of(count, everything=chosen.poses.all_pairs(count))
        * (chosen.poses.features / PAIR_FEATURES) ** 2
    )
    return START_S + FRAME_S * count + matching + chosen.train.budget_s + FINISH_S
