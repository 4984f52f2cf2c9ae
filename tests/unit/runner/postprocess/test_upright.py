"""Which way is up: right within degrees on scenes whose gravity is known, and unknown where it cannot be told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from local.footage.film import SHOTS, Shot, film
from runner.postprocess.upright import UP, UPPER, Orientation, Witness, decide, find_up, level_horizons
from runner.scene.geometry import rotation_between
from runner.scene.rotate import rotate_scene
from runner.scene.views import TrainingScene, View
from tests.synthetic import looking_at, walk
from tests.tiny_scene import random_rotation

Z_UP, Y_DOWN = np.array([0.0, 0, 1]), np.array([0.0, -1, 0])


def scene(poses: list[NDArray[np.float64]], points: NDArray[np.float64]) -> TrainingScene:
    """Cameras [4, 4] world to camera and sparse points, without pictures."""
    K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    views = tuple(View(f"a/{k:06d}.png", "a.mp4", k / 5, 640, 480, K, pose, "train") for k, pose in enumerate(poses))
    count = len(points)
    return TrainingScene(
        views, (), points.astype(np.float32), np.zeros((count, 3), np.uint8), np.zeros(count, np.float32),
        np.full(count, 3, np.int32),
    )  # fmt: skip


def courtyard_points(rng: np.random.Generator) -> NDArray[np.float64]:
    """What a reconstruction of the demo's courtyard has: noisy ground, table top, walls, and a few mistakes below."""

    def spread(count: int, low: tuple[float, ...], high: tuple[float, ...]) -> NDArray[np.float64]:
        return rng.uniform(low, high, (count, 3))

    parts = [
        spread(900, (-4, -4, 0), (4, 4, 0)), spread(400, (-0.9, -0.5, 0.8), (0.9, 0.5, 0.8)),
        spread(500, (-4, -4, 0), (-4, 4, 4)), spread(700, (-4, 4, 0), (4, 4, 4)), spread(300, (-2, -2, 0), (2, 2, 1.2)),
        spread(60, (-4, -4, -2), (4, 4, 0)),
    ]  # fmt: skip
    points = np.concatenate(parts)
    return points + rng.normal(0, 0.01, points.shape)


def courtyard(seed: int, shots: tuple[Shot, ...] = SHOTS) -> TrainingScene:
    """The demo's clips (z up), with the sway of the hand that the footage has."""
    rng = np.random.default_rng(seed)
    cameras = [camera for shot in shots for camera in film(shot, rng, (848, 480), 5, 20)]
    return scene([camera.world_to_camera for camera in cameras], courtyard_points(rng))


def error_deg(found: Orientation, up: NDArray[np.float64]) -> float:
    assert found.up is not None, found.reason
    return float(np.degrees(np.arccos(np.clip(np.dot(found.up, up), -1, 1))))


@pytest.mark.parametrize("seed", range(6))
def test_a_walk_around_a_table_is_upright_within_a_degree_however_its_world_was_turned(seed: int) -> None:
    turn = random_rotation(seed)
    found = find_up(rotate_scene(courtyard(seed), turn))
    assert found.confidence == "high"
    assert error_deg(found, turn @ Z_UP) < 1.0
    assert found.disagreement_deg is not None
    assert found.disagreement_deg <= 4.0
    np.testing.assert_allclose(found.rotation @ turn @ Z_UP, UP, atol=np.radians(1.0))


def test_one_clip_of_the_walk_is_enough() -> None:
    """A third of the way around: the cameras turn by 110 degrees."""
    for number, shot in enumerate(SHOTS):
        assert error_deg(find_up(courtyard(number, (shot,))), Z_UP) < 2.0


def test_a_walk_through_a_room_without_turning_is_upright_with_less_confidence() -> None:
    """They look one way, a little down: the mean of their upper sides would be wrong by that, the floor is not."""
    rng = np.random.default_rng(1)
    floor = rng.uniform((-2.5, 1.4, -1), (2.5, 1.4, 7), (800, 3))
    wall = rng.uniform((-2.5, -2, 7), (2.5, 1.4, 7), (800, 3))
    poses = []
    for k in range(20):
        pose, position = np.eye(4), np.array([0.0, 0.0, 0.1 * k])
        pose[:3, :3] = looking_at(position, position + np.array([0.0, 0.3, 1.0]))  # 17 degrees down
        pose[:3, 3] = -pose[:3, :3] @ position
        poses.append(pose)
    found = find_up(scene(poses, np.concatenate([floor, wall]) + rng.normal(0, 0.005, (1600, 3))))
    assert (found.confidence, found.method) == ("medium", "level horizons ahead + ground plane")
    assert error_deg(found, Y_DOWN) < 1.0


def test_the_arc_of_the_synthetic_room_is_upright() -> None:
    rng = np.random.default_rng(2)
    floor, wall = (
        rng.uniform((-2.5, 1.4, 0), (2.5, 1.4, 7), (500, 3)),
        rng.uniform((-2.5, -2, 7), (2.5, 1.4, 7), (900, 3)),
    )
    poses = []
    for position, rotation in walk(20):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, -rotation @ position
        poses.append(pose)
    assert error_deg(find_up(scene(poses, np.concatenate([floor, wall]))), Y_DOWN) < 1.0


def test_cameras_that_do_not_roll_at_all_are_the_best_witnesses() -> None:
    """Rendered or supplied ones: rounding makes the smallest eigenvalue -1e-17, whose root is no number."""
    for seed in range(20):
        centers, targets = np.random.default_rng(seed).uniform(-2, 2, (2, 9, 3))
        rotations = np.stack([looking_at(*pair) for pair in zip(centers, targets, strict=True)])
        witness = level_horizons(rotations, Y_DOWN)
        assert witness is not None, seed
        assert witness.detail.startswith("roll 0.0 degrees rms")


def test_a_phone_turned_by_every_angle_is_unknown() -> None:
    """Rolled through all angles: no horizon is level and no upper side is common."""
    level = courtyard(3)
    views = []
    for k, view in enumerate(level.views):
        c, s = np.cos(k * 0.7), np.sin(k * 0.7)
        roll = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
        views.append(replace(view, world_to_camera=roll @ view.world_to_camera))
    found = find_up(replace(level, views=tuple(views)))
    assert (found.confidence, found.up) == ("unknown", None)
    assert "upper side" in found.reason
    np.testing.assert_array_equal(found.rotation, np.eye(3))


def test_without_points_and_with_cameras_on_a_line_nobody_knows() -> None:
    poses = []
    for k in range(20):
        pose = np.eye(4)
        pose[0, 3] = -0.1 * k
        poses.append(pose)
    found = find_up(scene(poses, np.zeros((0, 3))))
    assert (found.confidence, found.up) == ("unknown", None)
    assert find_up(scene(poses[:3], np.zeros((0, 3)))).reason == "3 cameras are too few"


def test_a_slope_does_not_tilt_what_was_filmed_level() -> None:
    """Filmed around on a hillside of 20 degrees: the ground is outvoted. Looking 30 degrees down as well, on half of a
    circle, the upper sides tell nothing either: then nobody knows."""
    tilt = np.radians(20)
    slope = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    points = courtyard_points(np.random.default_rng(4))[:900] @ slope.T
    for down, half, confidence in ((0.0, False, "medium"), (0.6, True, "unknown")):
        rng = np.random.default_rng(1)
        poses = []
        for angle in np.linspace(0, np.pi if half else 2 * np.pi, 30):
            position = np.array([2 * np.cos(angle), 2 * np.sin(angle), 2.5 + rng.normal(0, 0.6)])
            forward = np.array([-np.cos(angle), -np.sin(angle), -down])
            forward /= np.linalg.norm(forward)
            right = np.cross(forward, Z_UP) / np.linalg.norm(np.cross(forward, Z_UP))
            pose = np.eye(4)
            pose[:3, :3] = np.stack([right, np.cross(forward, right), forward])
            pose[:3, 3] = -pose[:3, :3] @ position
            poses.append(pose)
        found = find_up(scene(poses, points))
        assert "ground plane" in {witness.method for witness in found.witnesses}
        assert found.confidence == confidence
        if found.up is None:
            assert "disagree by" in found.reason
        else:
            assert error_deg(found, Z_UP) < 1.0


def test_two_that_agree_are_believed_against_a_third() -> None:
    def witness(name: str, degrees: float) -> Witness:
        return Witness(name, (float(np.sin(np.radians(degrees))), 0.0, float(np.cos(np.radians(degrees)))), "")

    a, b, c = witness("a", 0), witness("b", 2), witness("c", 30)
    found = decide([a, c, b])
    assert (found.confidence, found.method) == ("high", "a + b")
    assert error_deg(found, np.array(witness("", 1).up)) < 1e-6
    assert found.disagreement_deg == pytest.approx(2)
    assert decide([a, witness("d", 7)]).confidence == "medium"
    assert decide([a, c]).confidence == "unknown"
    assert decide([a]).confidence == "unknown"


def test_a_weak_witness_helps_out_and_never_makes_sure() -> None:
    """And what two strong ones agree on is not moved by it."""
    level = Witness("level horizons", (0.0, 0.0, 1.0), "")
    tilted = Witness(UPPER, (float(np.sin(np.radians(3))), 0.0, float(np.cos(np.radians(3)))), "")
    ground = Witness("ground plane", (0.0, float(np.sin(np.radians(8))), float(np.cos(np.radians(8)))), "")
    found = decide([level, tilted])
    assert (found.confidence, found.up) == ("medium", (0.0, 0.0, 1.0))
    assert found.disagreement_deg == pytest.approx(3)
    assert decide([level, ground, tilted]).method == "level horizons + ground plane"


def test_the_rotation_is_the_smallest_one_also_for_what_stands_on_its_head() -> None:
    for seed in range(5):
        one, other = random_rotation(seed)[:2]
        turn = rotation_between(one, other)
        np.testing.assert_allclose(turn @ one, other, atol=1e-12)
        np.testing.assert_allclose(turn @ np.cross(one, other), np.cross(one, other), atol=1e-12)
        half = rotation_between(one, -one)
        np.testing.assert_allclose(half @ one, -one, atol=1e-12)
        assert np.linalg.det(half) == pytest.approx(1)
