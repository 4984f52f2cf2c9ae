"""Corrections are learned, have no part in common, and come through a state whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from runner.scene.views import TrainingScene
from runner.training.exposure.drift import ExposureDrift
from runner.training.exposure.model import Exposures
from tests.tiny_scene import blank_scene

CPU = torch.device("cpu")
VIEWS = 6


def scene(count: int = VIEWS) -> TrainingScene:
    return blank_scene(count)


def drift(gains: np.ndarray | None = None) -> ExposureDrift:
    gains = np.zeros((VIEWS, 3), np.float32) if gains is None else gains
    return ExposureDrift(gains.astype(np.float32), 0.0, 0.0)


@pytest.mark.parametrize("seed", range(5))
def test_the_gauge_is_out_after_every_step_whatever_the_pictures_want(seed: int) -> None:
    """Random gains to begin with, random gradients: the mean over the training images is 0, per channel, exactly."""
    generator = np.random.default_rng(seed)
    exposures = Exposures(scene(), drift(generator.normal(0.3, 0.5, (VIEWS, 3))), CPU)
    assert np.abs(exposures.log_gains().mean(axis=0)).max() < 1e-7
    for _ in range(20):
        image = torch.tensor(generator.random((6, 8, 3)), dtype=torch.float32)
        target = torch.tensor(generator.random((6, 8, 3)), dtype=torch.float32)
        (exposures.apply(image, int(generator.integers(VIEWS))) - target).abs().mean().backward()
        exposures.step(float(generator.random()))
        assert np.abs(exposures.log_gains().mean(axis=0)).max() < 1e-7


def test_a_gain_that_all_pictures_want_is_left_to_the_scene() -> None:
    """The fog of issue 16: every picture was the rendering times 1.19 less 0.08. No correction may take that over."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(8, 8, 3, generator=generator) * 0.6 + 0.2
    exposures = Exposures(scene(), drift(), CPU)
    for step in range(60 * VIEWS):
        (exposures.apply(image, step % VIEWS) - (1.19 * image - 0.08)).abs().mean().backward()
        exposures.step(0.0)
    assert np.abs(exposures.log_gains()).max() < 0.02
    assert (exposures.apply(image, 0) - image).abs().max() < 0.05, "what the scene lacks stays in the loss"


def test_gains_of_single_pictures_are_learned() -> None:
    """From a rendering that never changes: one picture is brighter and warmer, the others as much less."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(8, 8, 3, generator=generator) * 0.6 + 0.1
    wanted = np.tile([-0.02, 0.0, 0.01], (VIEWS, 1))
    wanted[1] = -wanted[0] * (VIEWS - 1)
    exposures = Exposures(scene(), drift(), CPU)
    for step in range(100 * VIEWS):
        target = image * torch.exp(torch.tensor(wanted[step % VIEWS], dtype=torch.float32))
        (exposures.apply(image, step % VIEWS) - target).abs().mean().backward()
        exposures.step(min(1.0, step / (80 * VIEWS)))
    assert exposures.log_gains() == pytest.approx(wanted, abs=0.012)


def test_a_correction_of_nothing_is_nothing_whatever_the_curve() -> None:
    image = torch.rand(8, 8, 3, generator=torch.Generator().manual_seed(0))
    exposures = Exposures(scene(), drift(), CPU)
    exposures.values["curves"].fill_(0.7)
    torch.testing.assert_close(exposures.apply(image, 2).detach(), image)


def test_a_curve_holds_back_what_is_near_white() -> None:
    exposures = Exposures(scene(), drift(), CPU)
    exposures.values["gains"][0] = 0.3
    exposures.values["curves"].fill_(1.0)
    values = torch.tensor([0.0, 0.05, 0.5, 1.0])[:, None, None].expand(-1, 1, 3)
    seen = exposures.apply(values, 0).detach()[:, 0, 0]
    assert seen[[0, 3]].tolist() == pytest.approx([0.0, 1.0])
    assert seen[1] == pytest.approx(0.05 * np.exp(0.3), rel=0.03)
    assert 0.5 < seen[2] < 0.5 * np.exp(0.3)


def test_what_is_white_in_the_picture_may_be_brighter() -> None:
    exposures = Exposures(scene(), drift(), CPU)
    image = torch.tensor([1.4, 0.9, 1.4])[:, None, None].expand(-1, 1, 3)
    target = torch.tensor([1.0, 1.0, 0.5])[:, None, None].expand(-1, 1, 3)
    seen = exposures.apply(image, 0, target).detach()[:, 0, 0]
    assert seen.tolist() == pytest.approx([1.0, 0.9, 1.4]), "equal; too dark; too bright"


def test_a_step_without_a_gradient_is_refused() -> None:
    exposures = Exposures(scene(), drift(), CPU)
    with pytest.raises(ValueError, match="no gradient"):
        exposures.step(0.0)


def test_a_state_is_all_there_is_to_the_next_steps() -> None:
    generator = torch.Generator().manual_seed(1)
    image, target = torch.rand(2, 8, 8, 3, generator=generator)

    def go_on(exposures: Exposures, steps: int) -> None:
        for step in range(steps):
            (exposures.apply(image, step % VIEWS) - target).abs().mean().backward()
            exposures.step(0.1)

    first, second = Exposures(scene(), drift(), CPU), Exposures(scene(), drift(), CPU)
    go_on(first, 10)
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    go_on(first, 10)
    go_on(second, 10)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
