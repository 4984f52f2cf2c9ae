"""Formats without view dependence get the colour the cameras saw, not one that nobody looked at."""

import numpy as np

from runner.export.view_colours import flatten
from runner.scene.gaussians import SH_C0, Gaussians
from runner.scene.views import View


def view_from(position: tuple[float, float, float], forward: tuple[float, float, float]) -> View:
    """A camera with x right and y down, looking along one axis of the world."""
    ahead = np.array(forward)
    right = np.cross([0.0, 1.0, 0.0], ahead)
    rotation = np.stack([right, np.cross(ahead, right), ahead])
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = rotation
    world_to_camera[:3, 3] = -rotation @ np.array(position)
    K = np.array([[100.0, 0, 50], [0, 100.0, 50], [0, 0, 1]])
    return View("a/0.png", "a.mp4", 0.0, 100, 100, K, world_to_camera, "train")


def one_gaussian(sh_rest: np.ndarray, sh0: float = 0.0) -> Gaussians:
    return Gaussians(
        means=np.zeros((1, 3), np.float32),
        quats=np.array([[1, 0, 0, 0]], np.float32),
        log_scales=np.zeros((1, 3), np.float32),
        opacity_logits=np.zeros(1, np.float32),
        sh0=np.full((1, 3), sh0, np.float32),
        sh_rest=sh_rest.astype(np.float32),
    )


def colour(gaussians: Gaussians) -> np.ndarray:
    return 0.5 + SH_C0 * gaussians.sh0[0]


Z_TERM = np.zeros((1, 3, 3))
Z_TERM[0, 1] = 0.5  # the band-1 function along z: 0.4886 * z


def test_a_gaussian_seen_from_one_side_gets_the_colour_of_that_side() -> None:
    """Seen along +z the band-1 term adds 0.4886 * 0.5, along -z it takes as much away (Sloan 2013)."""
    front = flatten(one_gaussian(Z_TERM), [view_from((0, 0, -3), (0, 0, 1))])
    back = flatten(one_gaussian(Z_TERM), [view_from((0, 0, 3), (0, 0, -1))])
    assert np.allclose(colour(front), 0.5 + 0.4886025 * 0.5, atol=1e-5)
    assert np.allclose(colour(back), 0.5 - 0.4886025 * 0.5, atol=1e-5)


def test_seen_from_opposite_sides_the_odd_terms_cancel() -> None:
    views = [view_from((0, 0, -3), (0, 0, 1)), view_from((0, 0, 3), (0, 0, -1))]
    assert np.allclose(colour(flatten(one_gaussian(Z_TERM, sh0=0.7), views)), 0.5 + SH_C0 * 0.7, atol=1e-5)


def test_a_gaussian_nobody_saw_keeps_its_own_colour() -> None:
    away = view_from((0, 0, -3), (0, 0, -1))
    flat = flatten(one_gaussian(Z_TERM, sh0=0.7), [away])
    assert np.allclose(flat.sh0, 0.7)
    assert flat.sh_degree == 0


def test_without_view_dependence_nothing_changes() -> None:
    same = flatten(one_gaussian(np.zeros((1, 0, 3)), sh0=0.3), [view_from((0, 0, -3), (0, 0, 1))])
    assert np.array_equal(same.sh0, np.full((1, 3), 0.3, np.float32))
