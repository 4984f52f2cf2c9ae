"""The benchmark of a scene that grows: what was known before a part came, and that a way to go on runs to its end."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.growing import UNSAVED, Way, errors_at_points, extended, from_points, order_of, parted, with_views
from runner.pipeline.presets import preset
from runner.raster import rasterizer
from runner.scene.views import TrainingScene
from runner.training.schedule import Plan, recipe_of
from runner.training.start import prepare
from tests.tiny_scene import ground_truth, looking_at_origin, tiny_scene


@pytest.fixture(scope="module")
def scene() -> TrainingScene:
    """Two clips of ten views; each sees half of the points, and some see those in the middle."""
    once = tiny_scene(rasterizer("torch"))
    turned = [replace(view, video="b.mp4", image=f"b/{i}.png", world_to_camera=looking_at_origin(-0.12 * (i + 1)))
              for i, view in enumerate(once.views)]  # fmt: skip
    sightings = [(view, point) for view in range(20) for point in range(150) if (point < 80) == (view < 10)]
    sightings += [(9, 80), (8, 81), (9, 81)]
    views = once.views + tuple(turned)
    at = [views[view].world_to_camera[:3] @ np.append(once.points[point], 1) for view, point in sightings]
    return replace(
        once, views=views, pixels=once.pixels * 2, sightings=np.array(sightings, np.int32),
        seen_at=np.array([(x / z, y / z) for x, y, z in at], np.float32),
    )  # fmt: skip


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


def test_old_views_take_turns_with_new_ones_which_come_more_often_and_larger() -> None:
    way = Way(often=4, last=1, late=0.5)
    order = order_of([0, 1, 2, 3], [4, 5, 6, 7], Plan(100), way, seed=0)
    assert sum(view < 4 for view in order[:50]) == 10  # one in five
    assert sum(view < 4 for view in order[50:]) == 25  # as many
    times = np.bincount(order, minlength=8)
    assert np.ptp(times[:4]) <= 1
    assert np.ptp(times[4:]) <= 1


def test_the_error_at_a_point_is_read_where_the_view_saw_it(scene: TrainingScene) -> None:
    backend = rasterizer("torch")
    settings = replace(preset("smoke").train, budget_s=1e9, exposure="off", iterations=20, sh_degree=0)
    black = tuple(np.zeros_like(image) for image in scene.pixels)
    black[0][20:29, 20:29] = 255  # nothing is drawn, so only here it is off
    moved = replace(scene, pixels=black, seen_at=np.full_like(scene.seen_at, 0.5))
    moved.seen_at[(scene.sightings == (0, 7)).all(axis=1)] = ((24.5 - 30) / 60, (24.5 - 24) / 60)
    run = prepare(moved, UNSAVED, settings, backend, recipe_of(settings), None, time.process_time)
    nothing = replace(ground_truth(), opacity_logits=np.full(150, -20, np.float32))
    errors = errors_at_points(run, nothing, [0])
    assert errors[7] == pytest.approx(1, abs=1e-3)
    assert np.delete(errors, 7).max() < 1e-3


def test_a_way_to_go_on_keeps_within_the_cap(scene: TrainingScene) -> None:
    backend = rasterizer("torch")
    settings = replace(preset("smoke").train, budget_s=1e9, exposure="off", evaluations=1, iterations=20, cap=160)
    scene, part = parted(scene)
    before, _ = from_points("before", with_views(scene, part == 0), settings, backend, None)
    for way in (Way(), Way(error=0.01), Way(opacity=0, begin=0.2, often=3, late=1)):
        gaussians, seconds, what = extended(scene, part == 1, before, settings, way, backend)
        assert 80 < gaussians.count <= 160
        assert seconds > 0
        steps = re.search(r"(\d+) steps for old views, (\d+) for new", what)
        assert steps
        assert sum(map(int, steps.groups())) == 11  # 0.53 of 20
