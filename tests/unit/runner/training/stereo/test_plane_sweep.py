"""Dense points lie on the surfaces that the pictures show, and on nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import zoom

from runner.context import StageContext
from runner.quality.kernels.plane_sweep import OUTSIDE, sweep, window_moments
from runner.raster import parameters, rasterizer
from runner.raster.compiled import use_threads
from runner.scene.progress import SILENT, Progress, Report
from runner.scene.views import TrainingScene, View
from runner.training.exposure.evidence import ShortScores
from runner.training.initialise import initial_gaussians
from runner.training.schedule import recipe_of
from runner.training.settings import TrainSettings
from runner.training.start import begin, prepare
from runner.training.stereo import plane_sweep
from runner.training.stereo.plane_sweep import STEPS_MIN, DensePoints, dense_points
from runner.training.stereo.swept_depths import FEW_VIEWS, SweptDepths
from runner.training.targets import TrainingImages
from scenejobs.errors import Interrupted
from tests.trainings import fields_equal, run_training, stopping_after

WIDTH, HEIGHT, FOCAL = 120, 90, 110.0
K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1.0]])
Surface = Callable[
    [NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]
]  # (rays [3, ...], origin [3]): depth


def slope(rays: NDArray[np.float64], origin: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance along each ray to the plane z = 4 + 0.4 x."""
    normal = np.array([-0.4, 0.0, 1.0])
    return (4.0 - normal @ origin) / np.tensordot(normal, rays, 1)


def box_before_wall(rays: NDArray[np.float64], origin: NDArray[np.float64]) -> NDArray[np.float64]:
    """A square of side 1 at z = 3 before a wall at z = 5."""
    near = (3.0 - origin[2]) / rays[2]
    place = origin[:, None, None] + rays * near
    return np.where((np.abs(place[:2]) < 0.5).all(axis=0), near, (5.0 - origin[2]) / rays[2])


def paint(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Grey 0..1 of places [3, ...]: waves in many directions, so that every window is like no other."""
    rng = np.random.default_rng(5)
    grey = np.zeros(places.shape[1:])
    for _ in range(24):
        wave, phase = rng.normal(0, 7, 3), rng.uniform(0, 2 * np.pi)
        grey += np.sin(np.tensordot(wave, places, 1) + phase)
    return np.clip(0.5 + grey / 12, 0, 1)


def pose_at(x: float, y: float = 0.0) -> NDArray[np.float64]:
    """[4, 4] world to camera: at (x, y, 0), turned a little towards the middle."""
    angle = -0.15 * x
    rotation = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ np.array([x, y, 0.0])
    return pose


def filmed(surface: Surface, flat: bool = False) -> TrainingScene:
    """Five training views and one for testing, drawn ray by ray, with sparse points and who saw them."""
    poses = [pose_at(x, y) for x, y in ((-0.8, 0), (-0.4, 0.1), (0, 0), (0.4, -0.1), (0.8, 0), (0.2, 0))]
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    pixel_rays = np.tensordot(np.linalg.inv(K), np.stack([x, y, np.ones_like(x)]), 1)
    views, pixels, worlds = [], [], []
    for number, pose in enumerate(poses):
        origin = -pose[:3, :3].T @ pose[:3, 3]
        rays = np.tensordot(pose[:3, :3].T, pixel_rays, 1)
        world = origin[:, None, None] + rays * surface(rays, origin)
        grey = np.full((HEIGHT, WIDTH), 0.5) if flat else paint(world)
        pixels.append(np.repeat((grey * 255).round().astype(np.uint8)[..., None], 3, axis=2))
        split = "test" if number == 5 else "train"
        views.append(View(f"a/{number}.png", "a.mp4", number / 5, WIDTH, HEIGHT, K, pose, split))
        worlds.append(world)
    points = worlds[2][:, ::9, ::9].reshape(3, -1).T
    return TrainingScene(
        tuple(views),
        tuple(pixels),
        points.astype(np.float32),
        np.full((len(points), 3), 128, np.uint8),
        np.full(len(points), 0.5, np.float32),
        np.full(len(points), 6, np.int32),
        np.array([(view, point) for view in range(6) for point in range(len(points))], np.int32),
    )


@pytest.fixture(scope="module")
def slanted() -> TrainingScene:
    return filmed(slope)


@pytest.fixture(scope="module")
def found(slanted: TrainingScene) -> DensePoints:
    return dense_points(slanted, SILENT)


def test_points_of_a_slanted_wall_lie_on_it(found: DensePoints) -> None:
    """Half a pixel of error in the comparison is 0.9 % of the depth for a camera 0.4 units aside at 4 units."""
    x, _, z = found.points.T.astype(np.float64)
    error = np.abs(z - (4 + 0.4 * x)) / z
    assert len(found.points) > 0.5 * 5 * WIDTH * HEIGHT
    assert np.median(error) < 0.003
    assert np.percentile(error, 95) < 0.01


def test_points_have_the_colour_of_their_place(found: DensePoints) -> None:
    """Grey is painted on the wall, so a point's place tells its colour, up to how quickly the waves change."""
    true = paint(found.points.T.astype(np.float64)) * 255
    assert np.median(np.abs(found.colors[:, 0] - true)) < 8
    assert (found.colors[:, 0] == found.colors[:, 2]).all()


def test_before_and_behind_an_edge_points_lie_on_one_of_both_surfaces() -> None:
    z = dense_points(filmed(box_before_wall), SILENT).points[:, 2]
    off = np.minimum(np.abs(z - 3) / 3, np.abs(z - 5) / 5)
    assert (np.abs(z - 3) < 0.06).sum() > 1000
    assert (np.abs(z - 5) < 0.1).sum() > 10_000
    assert (off > 0.02).mean() < 0.04  # windows of 5 pixels over an edge of 4 times 37 pixels see both


def test_a_wall_without_texture_gives_no_points() -> None:
    assert len(dense_points(filmed(slope, flat=True), SILENT).points) == 0


def test_pictures_that_have_nothing_in_common_give_next_to_none(slanted: TrainingScene) -> None:
    """Depths that agree by chance only: every picture is another random texture, as coarse as the wall's."""
    rng = np.random.default_rng(2)
    noise = [zoom(rng.random((HEIGHT // 5, WIDTH // 5)), 5, order=1) for _ in range(6)]
    pixels = tuple(np.repeat((grey * 255).astype(np.uint8)[..., None], 3, axis=2) for grey in noise)
    assert len(dense_points(replace(slanted, pixels=pixels), SILENT).points) < 0.03 * 5 * WIDTH * HEIGHT


def test_held_out_pictures_are_not_looked_at(slanted: TrainingScene, found: DensePoints) -> None:
    blind = replace(slanted, pixels=(*slanted.pixels[:5], np.zeros_like(slanted.pixels[5])))
    assert np.array_equal(dense_points(blind, SILENT).points, found.points)


def test_the_number_of_threads_changes_no_bit(slanted: TrainingScene, found: DensePoints) -> None:
    use_threads(1)
    try:
        alone = dense_points(slanted, SILENT)
    finally:
        use_threads(0)
    assert np.array_equal(alone.points, found.points)
    assert np.array_equal(alone.colors, found.colors)


def test_views_that_share_no_sparse_points_are_not_compared(slanted: TrainingScene) -> None:
    alone = slanted.sightings[slanted.sightings[:, 0] == slanted.sightings[:, 1] % 6]
    assert len(dense_points(replace(slanted, sightings=alone), SILENT).points) == 0
    assert len(dense_points(replace(slanted, sightings=np.zeros((0, 2), np.int32)), SILENT).points) == 0


def test_of_many_images_an_even_choice_is_measured(slanted: TrainingScene, found: DensePoints) -> None:
    fewer = len(dense_points(slanted, SILENT, max_images=3).points)
    assert 0.3 * len(found.points) < fewer < 0.75 * len(found.points)


def test_it_stops_when_asked(slanted: TrainingScene) -> None:
    with pytest.raises(Interrupted):
        dense_points(slanted, Progress(emit=lambda _: None, stop_requested=lambda: True))


def test_the_likeness_is_the_normalised_cross_correlation() -> None:
    """Against the formula, window by window, for a camera shifted by exactly three pixels of a plane."""
    rng = np.random.default_rng(1)
    wide = rng.random((20, 33)).astype(np.float32)
    picture, other = np.ascontiguousarray(wide[:, 3:]), np.ascontiguousarray(wide[:, :-3])
    other = (0.5 * other + 0.2 * rng.random(other.shape)).astype(np.float32)
    mean, variance = window_moments(picture)
    scores = np.empty((1, *picture.shape), np.float32)
    shift = np.array([3.0, 0.0, 0.0])
    sweep(picture, mean, variance, other, np.eye(3), shift, np.ones(1), np.float32(1e-6), scores)
    for y, x in ((2, 2), (9, 13), (17, 24)):
        mine = picture[y - 2 : y + 3, x - 2 : x + 3].astype(np.float64)
        its = other[y - 2 : y + 3, x + 1 : x + 6].astype(np.float64)
        expected = ((mine - mine.mean()) * (its - its.mean())).mean() / (mine.std() * its.std())
        assert scores[0, y, x] == pytest.approx(expected, abs=1e-4)
    assert (scores[0, :, -3:] == OUTSIDE).all()  # shifted out of the other picture
    assert (scores[0, :2] == OUTSIDE).all()  # the window crosses the border


def first(scene: TrainingScene, dense: DensePoints | None, cap: int, share: float) -> NDArray[np.float32]:
    return initial_gaussians(
        scene, cap=cap, sh_degree=0, opacity=0.1, scale=1.0, seed=0, dense=dense, dense_share=share
    ).means


def test_gaussians_begin_on_dense_points_as_many_as_there_are_sparse_ones_or_a_share_of_the_cap(
    slanted: TrainingScene, found: DensePoints
) -> None:
    sparse = len(slanted.points)
    known = {tuple(point) for point in found.points}
    for cap, share, expected in ((1000, 0.5, 500), (1000, 0.0, sparse), (100, 0.5, 100), (10**6, 1.0, None)):
        means = first(slanted, found, cap, share)
        assert len(means) == expected or (expected is None and len(means) >= len(found.points))
        assert np.mean([tuple(mean) in known for mean in means]) > 0.8
    assert np.array_equal(first(slanted, found, 1000, 0.5), first(slanted, found, 1000, 0.5))


def test_sparse_points_stay_where_nothing_dense_is(slanted: TrainingScene, found: DensePoints) -> None:
    left = found.points[:, 0] < 0
    half = DensePoints(found.points[left], found.colors[left], 1.0)
    means = first(slanted, half, 1000, 0.5)
    far = slanted.points[slanted.points[:, 0] > 0.3]
    assert {tuple(point) for point in far} <= {tuple(mean) for mean in means}
    assert len(means) == 500


def test_without_dense_points_or_with_doubtful_ones_gaussians_begin_on_the_sparse_ones(
    slanted: TrainingScene, found: DensePoints
) -> None:
    for dense in (None, replace(found, confirmed=0.79)):
        assert np.array_equal(first(slanted, dense, 1000, 0.5), slanted.points)


def test_sparse_points_say_whether_the_depths_are_right(slanted: TrainingScene, found: DensePoints) -> None:
    """Sparse points 3 % farther from the middle of the cameras than they are contradict depths that are right."""
    assert found.confirmed > 0.9
    wrong = dense_points(replace(slanted, points=slanted.points * np.float32(1.03)), SILENT)
    assert wrong.confirmed < 0.1
    assert dense_points(replace(slanted, track_lengths=np.full(len(slanted.points), 3)), SILENT).confirmed == 0.0


def test_where_the_first_depths_contradict_the_sparse_points_the_others_are_not_measured(
    slanted: TrainingScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plane_sweep, "FIRST_LOOKS", 2)
    wrong = replace(slanted, points=slanted.points * np.float32(1.03))

    def looked_at(scene: TrainingScene, needed: float) -> tuple[int, DensePoints]:
        said: list[Report] = []
        dense = dense_points(scene, Progress(emit=said.append), needed=needed)
        return len(said), dense

    looks, dense = looked_at(wrong, 0.8)
    assert looks == 3  # the last one comes before it stops
    assert len(dense.points) == 0
    assert dense.confirmed < 0.1
    whole, same = looked_at(slanted, 0.8)
    assert whole == 5
    assert np.array_equal(same.points, looked_at(slanted, 0.0)[1].points)
    assert looked_at(wrong, 0.0)[0] == 5


def test_a_few_sparse_points_do_not_end_the_look(slanted: TrainingScene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plane_sweep, "FIRST_LOOKS", 2)
    monkeypatch.setattr(plane_sweep, "TOLD_BY", 10**6)
    wrong = replace(slanted, points=slanted.points * np.float32(1.03))
    assert len(dense_points(wrong, SILENT, needed=0.8).points) > 0


def test_the_depths_that_agree_are_those_of_the_surface(slanted: TrainingScene, found: DensePoints) -> None:
    assert sorted(found.depths) == slanted.subset("train")
    assert sum(int((depth > 0).sum()) for depth in found.depths.values()) == len(found.points)
    view = slanted.views[2]
    rows, columns = np.nonzero(found.depths[2])
    rays = np.linalg.inv(K) @ np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    origin = -view.world_to_camera[:3, :3].T @ view.world_to_camera[:3, 3]
    true = slope(view.world_to_camera[:3, :3].T @ rays, origin)
    assert np.median(np.abs(found.depths[2][rows, columns] - true) / true) < 0.01


SETTINGS = TrainSettings(iterations=STEPS_MIN, cap=400, sh_degree=0, budget_s=600, evaluations=1)


def test_training_begins_on_dense_points_once_and_goes_on_from_its_saved_state(
    slanted: TrainingScene, tmp_path: Path
) -> None:
    backend = rasterizer("cpu")
    whole = run_training(slanted, SETTINGS, backend)
    said: list[Report] = []
    with pytest.raises(Interrupted):  # five images, and three looks without a stop
        run_training(slanted, SETTINGS, backend, stopping_after(5 + 3, said.append), tmp_path)
    assert sum("depths of" in report.detail for report in said) == 5
    said.clear()
    resumed = run_training(slanted, SETTINGS, backend, Progress(said.append), tmp_path)
    assert not any("depths of" in report.detail for report in said)
    assert resumed.resumed_at == (40,)
    assert fields_equal(whole.gaussians, resumed.gaussians)


def held_views(scene: TrainingScene, strategy: str = "default") -> list[int] | None:
    """The views whose depths hold the Gaussians of a training that begins; None: they are not to."""
    settings = replace(SETTINGS, strategy=strategy)
    recipe = recipe_of(settings)
    run = prepare(scene, StageContext(Path(), SILENT), settings, rasterizer("cpu"), recipe, None, time.monotonic)
    depths = begin(run, lambda *_: ShortScores({})).depths
    return None if depths is None else [view for view in range(len(scene.views)) if depths.pulls(view, 0)]


def test_depths_hold_the_gaussians_where_views_are_few_and_sparse_points_confirm_them(slanted: TrainingScene) -> None:
    assert held_views(slanted) == slanted.subset("train")
    assert held_views(replace(slanted, points=slanted.points * np.float32(1.03))) == []
    times = FEW_VIEWS // len(slanted.subset("train")) + 1
    sightings = [slanted.sightings + np.array([len(slanted.views) * copy, 0], np.int32) for copy in range(times)]
    many = replace(
        slanted, views=slanted.views * times, pixels=slanted.pixels * times, sightings=np.concatenate(sightings)
    )
    assert held_views(many) is None
    assert held_views(slanted, "mcmc") is None


def test_a_held_out_view_of_few_shows_depths_nearer_to_the_surface(slanted: TrainingScene) -> None:
    backend, recipe, (held_out,) = rasterizer("cpu"), recipe_of(SETTINGS), slanted.subset("test")
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    pose = slanted.views[held_out].world_to_camera
    rays = np.tensordot(pose[:3, :3].T @ np.linalg.inv(K), np.stack([x, y, np.ones_like(x)]), 1)
    true = slope(rays, -pose[:3, :3].T @ pose[:3, 3]).astype(np.float32)
    depths = SweptDepths(slanted, {held_out: true}, backend.device)
    image = TrainingImages(slanted, backend.device).get(held_out, 1)
    apart = []
    for weight in (0.0, recipe.depth_weight):
        gaussians = run_training(slanted, SETTINGS, backend, recipe=replace(recipe, depth_weight=weight)).gaussians
        params = parameters.parameters(gaussians, backend.device)
        apart.append(depths.loss(params, backend, held_out, image, image.world_to_camera, 1).item())
    assert apart[1] < 0.8 * apart[0], apart


@pytest.mark.parametrize("change", [{"iterations": STEPS_MIN - 1}, {"budget_s": 5.0}])
def test_a_short_plan_or_budget_is_not_spent_on_dense_points(slanted: TrainingScene, change: dict[str, float]) -> None:
    """Five images at a quarter of a second are more than a fifth of five seconds."""
    said: list[Report] = []
    with pytest.raises(Interrupted):
        run_training(slanted, replace(SETTINGS, **change), rasterizer("cpu"), stopping_after(0, said.append))
    assert not any("depths of" in report.detail for report in said)
