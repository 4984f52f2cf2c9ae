"""What a mask ignores changes neither the training, nor a score, nor what counts as seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from runner.postprocess.floaters import coverage
from runner.quality.evaluate import evaluate, render_view
from runner.raster import Rasterizer
from runner.raster.parameters import parameters
from runner.scene.progress import SILENT
from runner.scene.views import TrainingScene
from runner.training.loss import Target, photometric_loss, torch_loss
from runner.training.targets import TrainingImage, TrainingImages, on_device
from tests.tiny_scene import HEIGHT, WIDTH, ground_truth
from tests.trainings import SETTINGS, fields_equal, run_training

SHORT = replace(SETTINGS, iterations=40)
BOX = np.s_[30:44, 4:30]


def stamped(scene: TrainingScene, value: int, *, masked: bool) -> TrainingScene:
    """A box of one grey level in every picture."""
    pictures = []
    for picture in scene.pixels:
        pictures.append(picture.copy())
        pictures[-1][BOX] = value
    used = np.ones((HEIGHT, WIDTH), bool)
    used[BOX] = False
    return replace(scene, pixels=tuple(pictures), masks=(used,) * len(pictures) if masked else ())


@pytest.mark.parametrize("strategy", ["default", "mcmc"])
@pytest.mark.parametrize("exposure", ["off", "on"])
def test_what_is_under_a_mask_changes_no_gaussian(
    scene: TrainingScene, backend: Rasterizer, strategy: str, exposure: str
) -> None:
    """Not by a bit, also where a window of SSIM reaches into the mask, and whichever strategy adds Gaussians."""
    settings = replace(SHORT, strategy=strategy, exposure=exposure)
    white, black = (run_training(stamped(scene, value, masked=True), settings, backend) for value in (255, 0))
    loud = run_training(stamped(scene, 255, masked=False), settings, backend)
    assert fields_equal(white.gaussians, black.gaussians)
    assert not fields_equal(white.gaussians, loud.gaussians)


def test_masks_that_use_everything_change_no_bit(scene: TrainingScene, backend: Rasterizer) -> None:
    whole = replace(scene, masks=(np.ones((HEIGHT, WIDTH), bool),) * len(scene.views))
    assert fields_equal(run_training(whole, SHORT, backend).gaussians, run_training(scene, SHORT, backend).gaussians)


@pytest.mark.parametrize("loss", [photometric_loss, torch_loss])
def test_ignored_pixels_have_no_gradient(loss) -> None:
    rng = np.random.default_rng(0)
    target = Target(rng.random((HEIGHT, WIDTH, 3), np.float32))
    used = torch.ones(HEIGHT, WIDTH, 1, dtype=torch.bool)
    used[BOX] = False
    rendered = torch.tensor(rng.random((HEIGHT, WIDTH, 3), np.float32), requires_grad=True)
    image = TrainingImage(torch.eye(4), torch.eye(3), WIDTH, HEIGHT, target, used)
    loss(image.compared(rendered), target, 0.2).backward()
    assert rendered.grad is not None
    assert not rendered.grad[BOX].any()
    assert rendered.grad[:25].abs().min() > 0


@pytest.mark.parametrize("divisor", [1, 2, 4])
def test_images_that_lie_on_a_device_are_masked_as_others_are(scene: TrainingScene, divisor: int) -> None:
    """On a GPU the bytes of all images lie there and are reduced there; here in the memory of the CPU."""
    marked = stamped(scene, 255, masked=True)
    moving = np.ones((HEIGHT, WIDTH), bool)
    moving[:, 40:52] = False
    usual, device = (TrainingImages(marked, torch.device("cpu")) for _ in range(2))
    device._bytes = on_device(marked.pixels, torch.device("cpu"))
    for images in (usual, device):
        images.leave_out({1: moving})
    for index in (0, 1):
        one, other = (images.get(index, divisor) for images in (usual, device))
        assert one.used is not None
        assert other.used is not None
        assert torch.equal(one.used, other.used)
        assert torch.allclose(one.target.image, other.target.image, atol=1e-6)
        assert not other.used[BOX[0].start // divisor : BOX[0].stop // divisor, 4 // divisor : 30 // divisor].any()
        assert bool(other.used[:20, 40 // divisor : 52 // divisor].any()) == (index == 0)


def test_scores_do_not_see_what_is_masked(scene: TrainingScene, backend: Rasterizer) -> None:
    clean, marked = evaluate(ground_truth(), scene, backend), stamped(scene, 255, masked=True)
    masked, loud = (evaluate(ground_truth(), one, backend) for one in (marked, replace(marked, masks=())))
    for split in ("train", "test"):
        for was, now, bad in zip(*(getattr(one, split).views for one in (clean, masked, loud)), strict=True):
            assert now.psnr > was.psnr - 1 > bad.psnr + 10
            assert now.psnr_corrected > bad.psnr_corrected + 5
            assert now.ssim > 0.99 > bad.ssim


def test_what_is_seen_below_masks_only_is_unseen(scene: TrainingScene, backend: Rasterizer) -> None:
    nothing = [np.zeros((HEIGHT, WIDTH), bool)] * len(scene.views)
    assert not coverage(ground_truth(), scene.views, backend, SILENT, nothing).any()


def test_around_what_turns_nothing_is_to_be_seen(scene: TrainingScene) -> None:
    """Of a view that is alone the ignored pixels are black and count, but for those at the edge of what is used."""
    used = np.zeros((HEIGHT, WIDTH), bool)
    used[BOX] = True
    plain = replace(scene, masks=(used,) * len(scene.views))
    alone = replace(plain, views=tuple(replace(view, alone=True) for view in scene.views))
    before, after = (TrainingImages(each, torch.device("cpu")).get(0, 1) for each in (plain, alone))
    assert before.used is not None
    assert after.used is not None
    empty = alone.empty(0)
    assert empty is not None
    assert plain.empty(0) is None
    assert not empty[BOX].any()
    edge = ~used & ~empty
    assert 0 < edge.sum() < 0.5 * used.sum()
    assert torch.equal(after.used[..., 0], torch.from_numpy(used | empty))
    assert not after.target.image[torch.from_numpy(empty)].any()
    assert torch.equal(after.target.image[torch.from_numpy(~empty)], before.target.image[torch.from_numpy(~empty)])


def test_around_what_turns_it_becomes_dark(scene: TrainingScene, backend: Rasterizer) -> None:
    """The pictures show a whole place. Trained as if its left half turned alone, the right half has less light."""
    used = np.zeros((HEIGHT, WIDTH), bool)
    used[:, : WIDTH // 2] = True
    masked = replace(scene, masks=(used,) * len(scene.views))
    alone = replace(masked, views=tuple(replace(view, alone=True) for view in scene.views))
    right = np.s_[:, WIDTH * 3 // 4 :]
    light = []
    for each in (masked, alone):
        gaussians = run_training(each, replace(SETTINGS, iterations=120), backend).gaussians
        light.append(float(render_view(parameters(gaussians, backend.device), scene.views[0], backend)[right].mean()))
    assert light[1] < 0.5 * light[0]
