"""The benchmark of a scene that grows: what was known before a part came, and that a way to go on runs to its end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.growing import Way, extended, from_points, parted, with_views
from runner.pipeline.presets import preset
from runner.raster import rasterizer
from runner.scene.views import TrainingScene
from tests.tiny_scene import looking_at_origin, tiny_scene


@pytest.fixture(scope="module")
def scene() -> TrainingScene:
    """Two clips of ten views; each sees half of the points, and some see those in the middle."""
    once = tiny_scene(rasterizer("torch"))
    turned = [replace(view, video="b.mp4", image=f"b/{i}.png", world_to_camera=looking_at_origin(-0.12 * (i + 1)))
              for i, view in enumerate(once.views)]  # fmt: skip
    sightings = [(view, point) for view in range(20) for point in range(150) if (point < 80) == (view < 10)]
    sightings += [(9, 80), (8, 81), (9, 81)]
    return replace(
        once, views=once.views + tuple(turned), pixels=once.pixels * 2, sightings=np.array(sightings, np.int32)
    )


def test_each_part_has_held_out_views_of_its_own(scene: TrainingScene) -> None:
    split, part = parted(scene)
    assert {(one, view.split) for one, view in zip(part, split.views, strict=True)} == {
        (0, "train"), (0, "test"), (1, "train"), (1, "test"),
    }  # fmt: skip


def test_before_a_part_came_only_what_two_of_the_other_views_saw_is_known(scene: TrainingScene) -> None:
    before = with_views(scene, np.arange(20) < 10)
    assert len(before.views) == len(before.pixels) == 10
    np.testing.assert_array_equal(before.points, scene.points[[*range(80), 81]])  # 80 was seen once
    assert before.track_lengths.tolist() == [10] * 80 + [2]
    assert before.sightings[:, 1].max() == 80
    assert before.sightings[:, 0].max() == 9


def test_a_way_to_go_on_keeps_within_the_cap(scene: TrainingScene) -> None:
    backend = rasterizer("torch")
    settings = replace(preset("smoke").train, budget_s=1e9, exposure="off", evaluations=1, iterations=20, cap=160)
    scene, part = parted(scene)
    before, _ = from_points("before", with_views(scene, part == 0), settings, backend, None)
    for way in (Way(), Way(error=0.01), Way(opacity=0.1, begin=0.2, often=3)):
        gaussians, seconds, what = extended(scene, part == 1, before, settings, way, backend)
        assert 80 < gaussians.count <= 160
        assert seconds > 0
        assert "10 steps" in what
