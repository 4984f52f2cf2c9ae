"""Poses that made a suspect result serve no later run of the same files; those of other files stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from runner.cache.store import CacheSettings, StageCache
from runner.pipeline.cameras import Inputs, forget_cameras
from runner.pipeline.presets import PRESETS
from runner.pipeline.stages import JobContext
from runner.poses.reuse.reusable_poses import prefix
from runner.scene.frames import FrameSet
from tests.results import FRAMES


def of(*contents: str) -> FrameSet:
    return replace(FRAMES, sources=tuple((f"{number}.mp4", content) for number, content in enumerate(contents)))


def test_what_made_a_suspect_result_is_looked_for_anew(tmp_path: Path) -> None:
    cache, preset = StageCache(CacheSettings(tmp_path / "cache", 1_000_000_000)), PRESETS["laptop"]
    other_seed = replace(preset.poses, seed=preset.poses.seed + 1)
    doubtful, others = of("a", "b"), of("a", "b", "c")
    gone = [f"{prefix(doubtful, preset.poses)}-{content:032x}" for content in (1, 2)]
    kept = [
        f"{prefix(others, preset.poses)}-{1:032x}",
        f"{prefix(doubtful, other_seed)}-{1:032x}",
        f"features-{1:032x}-{2:032x}",
    ]
    for name in (*gone, *kept):
        cache.put(name, {"facts.json": b"{}"})
    context = cast(JobContext, SimpleNamespace(cache=cache, settings=SimpleNamespace(preset=preset)))
    forget_cameras(context, Inputs([], None), doubtful)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == sorted(kept)
    forget_cameras(cast(JobContext, SimpleNamespace(cache=None)), Inputs([], None), doubtful)
