"""Cleaning takes floaters away and nothing that a picture shows; what costs more than 0.05 dB stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from runner.postprocess.floaters import (
    HIDDEN_LOGIT,
    LIMITS,
    Features,
    Quality,
    acceptable,
    clean,
    coverage,
    nearness,
    remove_in_steps,
    suspects,
)
from runner.quality.evaluate import render_view
from runner.raster import parameters, rasterizer
from runner.raster.torch_reference import TorchRasterizer
from runner.scene.gaussians import Gaussians
from runner.scene.progress import SILENT, Progress
from runner.scene.views import TrainingScene, View
from scenejobs.errors import Interrupted
from tests.splats import ring_of_views

DRAW = TorchRasterizer()


def gaussians(means: np.ndarray, scale: float, opacity: float, seed: int = 0) -> Gaussians:
    count = len(means)
    return Gaussians(
        means=means.astype(np.float32),
        quats=np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1)),
        log_scales=np.full((count, 3), np.log(scale), np.float32),
        opacity_logits=np.full(count, np.log(opacity / (1 - opacity)), np.float32),
        sh0=np.random.default_rng(seed).uniform(-1, 1, (count, 3)).astype(np.float32),
        sh_rest=np.zeros((count, 0, 3), np.float32),
    )


def joined(*parts: Gaussians) -> Gaussians:
    return Gaussians(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})


def views(count: int = 8) -> tuple[View, ...]:
    """Around the origin at 3 units, 64 x 48 pixels; every fourth is held out."""
    small = np.diag([0.1, 0.1, 1.0])
    return tuple(
        replace(view, width=64, height=48, K=small @ view.K, split="test" if k % 4 == 1 else "train")
        for k, view in enumerate(ring_of_views(count, np.zeros(3)))
    )


@pytest.fixture(scope="module")
def ball() -> Gaussians:
    """The subject: a dense opaque ball."""
    rng = np.random.default_rng(1)
    directions = rng.normal(size=(500, 3))
    return gaussians(directions / np.linalg.norm(directions, axis=1, keepdims=True), 0.08, 0.9)


def pictures_of(truth: Gaussians) -> TrainingScene:
    """A scene whose pictures show `truth`, with its own points as the sparse model."""
    params = parameters.parameters(truth, torch.device("cpu"))
    cameras = views()
    pixels = tuple((render_view(params, view, DRAW).numpy() * 255).round().astype(np.uint8) for view in cameras)
    count = truth.count
    return TrainingScene(
        cameras, pixels, truth.means, np.zeros((count, 3), np.uint8), np.zeros(count, np.float32),
        np.full(count, 3, np.int32),
    )  # fmt: skip


def test_floaters_of_every_kind_go_and_the_subject_stays(ball: Gaussians) -> None:
    scene = pictures_of(ball)
    first = scene.views[0].world_to_camera
    eye = -first[:3, :3].T @ first[:3, 3]
    floaters = [
        gaussians(np.array([[0.0, 0, 0]]), 0.02, 0.9),  # inside the ball: no picture shows it
        gaussians(np.array([[0.0, 9, 0], [0.5, -9.0, 1]]), 0.01, 0.9),  # far above and below all cameras
        gaussians(
            eye[None] + first[2, :3] * 0.15 + first[1, :3] * 0.4, 0.005, 0.9
        ),  # just before a camera, at its edge
        gaussians(np.array([[0.0, 1.6, 0]]), 0.02, 0.004),  # a breath
    ]
    cleaned, report = clean(joined(ball, *floaters), scene, DRAW, SILENT)
    assert cleaned.count <= ball.count
    known = {tuple(mean) for mean in ball.means}
    assert {tuple(mean) for mean in cleaned.means} <= known, "a floater is left"
    assert cleaned.count > 0.9 * ball.count
    assert (report.before, report.after, report.measured_on) == (ball.count + 5, cleaned.count, "held-out")
    assert report.psnr_before is not None
    assert report.psnr_after is not None
    assert report.psnr_after >= report.psnr_before - 0.05
    assert sum(step.removed for step in report.steps) == report.before - report.after


def test_a_large_glass_pane_that_the_pictures_show_stays(ball: Gaussians) -> None:
    """Huge, isolated and half transparent: suspect by every number. But the pictures need it."""
    pane = gaussians(np.array([[0.0, 0.0, 0.0]]), 1.9, 0.3)
    truth = joined(ball, pane)
    cleaned, report = clean(truth, pictures_of(truth), DRAW, SILENT)
    assert tuple(cleaned.means[-1]) == (0.0, 0.0, 0.0)
    huge = next(step for step in report.steps if step.name == "huge")
    assert (huge.removed, huge.limit) == (0, None)
    assert huge.refused > 0


def test_what_only_a_training_view_shows_stays(ball: Gaussians) -> None:
    """Held-out views alone would let it go: none of them sees it."""
    scene = pictures_of(ball)
    seen_by = scene.views[2]
    eye = -seen_by.world_to_camera[:3, :3].T @ seen_by.world_to_camera[:3, 3]
    mark = gaussians((eye + seen_by.world_to_camera[2, :3] * 0.3)[None], 0.02, 0.9)
    truth = joined(ball, mark)
    cleaned, _ = clean(truth, pictures_of(truth), DRAW, SILENT)
    assert tuple(cleaned.means[-1]) == tuple(mark.means[0])


def test_coverage_counts_the_pixels_that_are_really_seen() -> None:
    """Half opaque on black: alpha summed over the picture. Behind an opaque wall: next to nothing."""
    view = views()[0]
    front = gaussians(np.zeros((1, 3)), 0.1, 0.5)
    alone = coverage(front, [view], DRAW, SILENT)
    params = parameters.parameters(front, torch.device("cpu"))
    rendering = DRAW.render(
        params, torch.tensor(view.world_to_camera).float(), torch.tensor(view.K).float(), 64, 48,
        sh_degree=0, background=torch.zeros(3),
    )  # fmt: skip
    assert alone[0] == pytest.approx(float(rendering.alpha.detach().sum()), rel=1e-4)
    far = gaussians(view.world_to_camera[2:3, :3], 0.05, 0.9)  # one unit behind the origin, as this view sees it
    wall = gaussians(np.zeros((3, 3)), 0.6, 0.98)
    (free,), hidden = coverage(far, [view], DRAW, SILENT), coverage(joined(wall, far), [view], DRAW, SILENT)
    assert free > 1
    assert hidden[-1] < 1e-3 * free


@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_what_a_mask_hides_is_drawn_as_if_it_were_not_there(ball: Gaussians, backend: str) -> None:
    """Cleaning hides Gaussians on the device in the place of uploading the others: the same pictures, bit by bit."""
    draw, view = rasterizer(backend), views()[0]
    keep = np.random.default_rng(0).uniform(size=ball.count) < 0.6
    params = parameters.parameters(ball, draw.device)
    hidden = torch.where(torch.from_numpy(keep), params["opacities"].detach(), HIDDEN_LOGIT)
    alone = parameters.parameters(ball.subset(keep), draw.device)
    shown = render_view({**params, "opacities": hidden}, view, draw)
    assert torch.equal(shown, render_view(alone, view, draw))
    assert not torch.equal(shown, render_view(params, view, draw))


def test_nearness_is_the_smallest_share_of_any_camera() -> None:
    """Against one distance at a time; more Gaussians than are looked at together."""
    rng = np.random.default_rng(0)
    means, centers, begins = rng.normal(size=(70_000, 3)), rng.normal(size=(5, 3)), rng.uniform(0.1, 3.0, 5)
    found = nearness(means, centers, begins, torch.device("cpu"))
    shares = [np.linalg.norm(means - center, axis=1) / depth for center, depth in zip(centers, begins, strict=True)]
    np.testing.assert_allclose(found, np.min(shares, axis=0), rtol=1e-12)
    assert np.isinf(nearness(means[:3], centers[:0], begins[:0], torch.device("cpu"))).all()


def features(count: int) -> Features:
    """Nothing suspect."""
    return Features(
        np.ones(count), np.full(count, 0.01), np.full(count, 0.01), np.full(count, 2.0), np.full(count, 100.0)
    )


def test_a_step_falls_back_to_milder_limits_and_tells_how_often() -> None:
    opacity = np.ones(100)
    opacity[:10], opacity[10:30] = 0.01, 0.03  # the 20 matter, the 10 do not

    def measure(keep: np.ndarray) -> Quality:
        return Quality((30.0 - 0.01 * (20 - keep[10:30].sum()),), ())

    keep, report = remove_in_steps(replace(features(100), opacity=opacity), measure)
    step = report.steps[0]
    assert (step.name, step.removed, step.limit, step.refused) == ("transparent", 10, 0.02, 1)
    assert (keep[:10].any(), keep[10:].all()) == (False, True)
    assert [other.removed for other in report.steps[1:]] == [0, 0, 0, 0]


def test_small_losses_of_several_steps_do_not_add_up_to_a_large_one() -> None:
    """Each kind costs 0.03 dB: one may go, the second would be 0.06 in all."""
    some = features(40)
    some = replace(some, opacity=np.where(np.arange(40) < 10, 0.01, 1.0), size=np.where(np.arange(40) > 30, 9.0, 0.01))

    def measure(keep: np.ndarray) -> Quality:
        return Quality((30.0 - 0.03 * (not keep[:10].any()) - 0.03 * (not keep[31:].any()),), ())

    _, report = remove_in_steps(some, measure)
    assert {step.name: step.removed for step in report.steps if step.removed} == {"transparent": 10}
    assert report.psnr_after == pytest.approx(29.97)


@pytest.mark.parametrize(
    ("now", "fine"),
    [
        (Quality((29.96, 31.0), (33.0,)), True),  # 0.02 dB of the mean
        (Quality((29.88, 31.0), (33.0,)), False),  # 0.06 dB of the mean
        (Quality((30.6, 30.4), (33.0,)), False),  # the mean is the same, one view pays 0.6
        (Quality((30.0, 31.0), (32.9,)), False),  # training views count as well
        (Quality((30.5, 31.5), (33.5,)), True),
    ],
)
def test_a_step_must_not_cost_anything_anywhere(now: Quality, fine: bool) -> None:
    assert acceptable(Quality((30.0, 31.0), (33.0,)), now) is fine


def test_without_pictures_nothing_is_removed() -> None:
    keep, report = remove_in_steps(replace(features(5), opacity=np.zeros(5)), lambda _: Quality((), ()))
    assert keep.all()
    assert (report.psnr_before, report.after) == (None, 5)


def test_an_empty_scene_is_never_the_cleanest() -> None:
    keep, _ = remove_in_steps(replace(features(5), opacity=np.zeros(5)), lambda _: Quality((30.0,), ()))
    assert keep.all()


def test_limits_go_from_strict_to_mild() -> None:
    some = Features(*(np.random.default_rng(k).uniform(0, 2, 1000) for k in range(5)))
    for name, limits in LIMITS.items():
        counts = [int(suspects(some, name, limit).sum()) for limit in limits]
        assert counts == sorted(counts, reverse=True), name
        assert counts[0] > counts[-1], name


def test_a_stop_is_obeyed_between_two_pictures(ball: Gaussians) -> None:
    with pytest.raises(Interrupted):
        clean(ball, pictures_of(ball), DRAW, Progress(lambda _: None, lambda: True))
