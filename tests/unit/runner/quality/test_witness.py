"""Wrong cameras are seen by what the pictures show, without matches; right ones are not doubted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from runner.quality.agreement import AVAILABLE, ViewAgreement, agreement
from runner.quality.evaluate import Evaluation, SplitScore, ViewScore
from runner.quality.leaps import leaps
from runner.quality.nearest import Gain
from runner.quality.standing import standing_share
from runner.quality.witness import Witness, doubts, examine
from runner.scene.progress import SILENT
from runner.scene.views import TrainingScene, View
from tests.synthetic import render, walk

SIZE, FOCAL, VIEWS = (160, 120), 150.0, 9
K = np.array([[FOCAL, 0, SIZE[0] / 2], [0, FOCAL, SIZE[1] / 2], [0, 0, 1.0]])
Change = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
needs_kernels = pytest.mark.skipif(not AVAILABLE, reason="numba is not installed")


def points_of_the_room() -> NDArray[np.float32]:
    """[N, 3] on the walls and the floor of tests/synthetic.py."""
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0, 1, (2, 300))
    wall = np.stack([6.5 * a - 2.5, 3.4 * b - 2.0, np.full(300, 7.0)], axis=1)
    floor = np.stack([6.5 * a - 2.5, np.full(300, 1.4), 2 + 5 * b], axis=1)
    side = np.stack([np.full(300, -2.5), 3.4 * a - 2.0, 2 + 5 * b], axis=1)
    return np.concatenate([wall, floor, side]).astype(np.float32)


@cache
def picture(index: int) -> NDArray[np.uint8]:
    return render(*walk(VIEWS)[index], size=SIZE, focal=FOCAL)


def filmed(change: Change = lambda picture: picture) -> TrainingScene:
    """The room with its true cameras, and pictures after a change."""
    points, views, pixels, sightings = points_of_the_room(), [], [], []
    for index, (position, rotation) in enumerate(walk(VIEWS)):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, -rotation @ position
        pixels.append(change(picture(index)))
        split = "test" if index in (4, 5) else "train"
        views.append(View(f"a/{index:06d}.png", "a.mp4", index / 5, *SIZE, K, pose, split))
        x, y, z = K @ (rotation @ (points - position).T)
        seen = (z > 0) & (x >= 0) & (y >= 0) & (x < SIZE[0] * z) & (y < SIZE[1] * z)
        sightings += [(index, point) for point in np.nonzero(seen)[0]]
    count = len(points)
    return TrainingScene(
        tuple(views), tuple(pixels), points, np.zeros((count, 3), np.uint8), np.zeros(count, np.float32),
        np.full(count, 5, np.int32), np.array(sightings, np.int32),
    )  # fmt: skip


def scattered(scene: TrainingScene, by: float) -> TrainingScene:
    """Every camera moved by a share of the path's size in some direction and turned a little."""
    rng = np.random.default_rng(0)
    views = []
    for view in scene.views:
        pose = view.world_to_camera.copy()
        step, axis = rng.normal(size=(2, 3))
        pose[:3, 3] += by * step / np.linalg.norm(step)
        pose[:3, :3] = (
            Rotation.from_rotvec(np.radians(50 * by) * axis / np.linalg.norm(axis)).as_matrix() @ pose[:3, :3]
        )
        views.append(replace(view, world_to_camera=pose))
    return replace(scene, views=tuple(views))


def scores(scene: TrainingScene, db: float) -> Evaluation:
    """Of renderings that are all equally good."""
    found = {
        split: SplitScore(tuple(ViewScore(scene.views[i].image, db, 0.9, db) for i in scene.subset(split)))
        for split in ("train", "test")
    }
    return Evaluation(**found)


def asked(scene: TrainingScene, db: float = 28.0) -> Witness:
    return examine(scene, scores(scene, db), SILENT, "clean_up")


@needs_kernels
def test_right_cameras_are_not_doubted() -> None:
    witness = asked(filmed())
    assert doubts(witness) == ()
    assert len(witness.views) == VIEWS
    assert not witness.unexplained


@needs_kernels
@pytest.mark.parametrize("by", [0.05, 0.2, 0.4])
def test_scattered_cameras_are_doubted_with_numbers_in_words(by: float) -> None:
    (sentence,) = doubts(asked(scattered(filmed(), by)))
    assert sentence.startswith("the cameras do not explain ")
    assert f" of {VIEWS} pictures" in sentence
    assert "by chance" in sentence


@needs_kernels
def test_cameras_that_a_stamp_has_drawn_together_are_doubted() -> None:
    """What stands still in every picture says that the camera stood still: poses of a stamp are all alike."""

    def stamped(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        marked = picture.copy()
        marked[100:112, 10:70] = np.random.default_rng(3).integers(0, 255, (12, 60, 1))
        return marked

    scene = filmed(stamped)
    middle = np.mean([view.world_to_camera for view in scene.views], axis=0)
    views = []
    for view in scene.views:
        pose = view.world_to_camera.copy()
        pose[:3, 3] = middle[:3, 3] + 0.2 * (pose[:3, 3] - middle[:3, 3])
        views.append(replace(view, world_to_camera=pose))
    assert doubts(asked(filmed(stamped))) == ()
    assert doubts(asked(replace(scene, views=tuple(views))))


@needs_kernels
def test_an_exposure_that_drifts_is_no_reason_for_doubt() -> None:
    scene = filmed()
    darker = [(picture * (1.0 if i % 2 else 0.6)).astype(np.uint8) for i, picture in enumerate(scene.pixels)]
    assert doubts(asked(replace(scene, pixels=tuple(darker)))) == ()


@needs_kernels
def test_what_is_masked_is_not_asked() -> None:
    """A picture that is all mask has no details; those beside it are asked on."""
    scene = filmed()
    nothing = np.zeros((SIZE[1], SIZE[0]), np.bool_)
    found = agreement(replace(scene, masks=(nothing, *(None for _ in scene.views[1:]))), SILENT, "clean_up")
    assert [view.view for view in found] == list(range(1, VIEWS))


def test_a_scene_that_is_worse_than_its_own_pictures_is_doubted() -> None:
    """A wall of black bars has right cameras and still is nothing that was filmed."""
    witness = asked(filmed(), db=8.0)
    assert (witness.train_gain_db or 0.0) < 0
    assert any("worse than the most similar other picture" in sentence for sentence in doubts(witness))


@needs_kernels
def test_a_scene_of_hardly_any_training_is_not_doubted_for_how_it_looks_but_for_its_cameras_still() -> None:
    """For want of time a training was cut to no step at all, and the result was called suspect."""

    def untrained(scene: TrainingScene) -> Witness:
        return examine(scene, scores(scene, 5.0), SILENT, "clean_up", formed=False)

    witness = untrained(filmed())
    assert doubts(witness) == ()
    assert not witness.cameras_doubted
    assert witness.to_json()["trained_too_little"]
    assert doubts(asked(filmed(), 5.0)), "with a whole training it would be"
    assert untrained(scattered(filmed(), 0.2)).cameras_doubted
    assert not replace(witness, views=()).cameras_doubted


def test_without_sparse_points_nothing_is_said() -> None:
    assert agreement(replace(filmed(), sightings=np.zeros((0, 2), np.int32)), SILENT, "clean_up") == ()


@pytest.mark.parametrize(("lost", "doubted"), [(0, False), (1, False), (6, True)])
def test_a_single_odd_view_is_no_doubt(lost: int, doubted: bool) -> None:
    views = [ViewAgreement(i, 0.03 if i < lost else 0.5, 0.02, 5000) for i in range(12)]
    gain = (Gain("a", 25.0, 18.0),)
    assert bool(doubts(Witness(tuple(views), gain, gain))) is doubted


@pytest.mark.parametrize(("share", "doubted"), [(0.12, True), (0.2, False)])
def test_where_chance_finds_much_a_few_times_as_much_are_needed(share: float, doubted: bool) -> None:
    """A walk whose second half lay 10 degrees aside: beside the joint 0.13 were found, and 0.03 by chance."""
    views = tuple(ViewAgreement(i, share if i < 3 else 0.5, 0.035, 5000) for i in range(12))
    assert bool(doubts(Witness(views, (), ()))) is doubted


def test_views_whose_positions_say_that_they_are_right_need_no_explanation() -> None:
    """Of 18 photos of a drone three showed little but leaves, which look alike everywhere."""
    views = tuple(ViewAgreement(i, 0.09 if i in (2, 3, 4) else 0.3, 0.021, 5000) for i in range(18))
    assert Witness(views, (), ()).many_unexplained
    told = Witness(views, (), (), right=frozenset(range(18)))
    assert not told.many_unexplained
    assert doubts(told) == ()
    assert told.to_json()["views_right_by_positions"] == 18
    others = frozenset(range(18)) - {2, 3, 4}
    assert Witness(views, (), (), right=others).many_unexplained, "what is known of others does not help them"


@needs_kernels
def test_pictures_that_show_things_at_other_sizes_are_not_compared() -> None:
    """Windows of twice the area are unlike with true cameras, too: of wide lenses, of cameras that are near and far."""
    scene = filmed()
    far_apart = []
    for index, view in enumerate(scene.views):
        pose = view.world_to_camera.copy()
        pose[2, 3] += 6.0 * (1.7**index - 1.0)  # each one 1.7 times as far away as the one before
        far_apart.append(replace(view, world_to_camera=pose))
    assert agreement(replace(scene, views=tuple(far_apart)), SILENT, "clean_up") == ()


@pytest.mark.parametrize(("drawn", "doubted"), [(0, False), (100, True)])
def test_points_that_stand_still_in_the_pictures_are_doubted(drawn: int, doubted: bool) -> None:
    """As features of a stamp do in a path that they have bent: near the cameras, and turning with them."""
    scene = filmed()
    views, points, sightings = list(scene.views), [scene.points], [scene.sightings]
    assert standing_share(scene) == 0.0
    if drawn:
        # A path that is bent until it turns around the stamp: there every picture shows it at the same place.
        middle, radius = np.array([0.0, 0.0, 1.0]), 1.0
        for index, view in enumerate(views):
            turn = Rotation.from_rotvec([0.0, 0.1 * (index - VIEWS // 2), 0.0]).as_matrix()
            pose = view.world_to_camera.copy()
            pose[:3, :3] = turn
            pose[:3, 3] = np.array([0.0, 0.0, radius]) - turn @ middle
            views[index] = replace(view, world_to_camera=pose)
        stamp = middle + np.random.default_rng(0).normal(0, 0.002, (drawn, 3))
        first = len(scene.points)
        points.append(stamp.astype(np.float32))
        sightings.append(np.array([(v, first + n) for v in range(VIEWS) for n in range(drawn)], np.int32))
    count = sum(map(len, points))
    bent = replace(
        scene, views=tuple(views), points=np.concatenate(points), sightings=np.concatenate(sightings),
        colors=np.zeros((count, 3), np.uint8), point_errors=np.zeros(count, np.float32),
        track_lengths=np.full(count, 5, np.int32),
    )  # fmt: skip
    witness = Witness((), (), (), standing_share(bent))
    assert witness.cameras_doubted == doubted
    assert any("stand still" in sentence for sentence in doubts(witness)) == doubted


def test_few_points_that_many_pictures_see_say_nothing() -> None:
    scene = filmed()
    few = scene.sightings[scene.sightings[:, 1] < 40]
    assert standing_share(replace(scene, sightings=few)) is None
    assert standing_share(replace(scene, sightings=few[:0])) is None


def halves(by: float, turn: Change = lambda picture: picture) -> tuple[TrainingScene, list[str]]:
    """A walk along the room of twice as many views; the second half of the cameras is so far (room units) elsewhere."""
    scene, path = filmed(), walk(2 * VIEWS)
    views, pixels = [], []
    for index, (position, rotation) in enumerate(path):
        beside = position + (np.array([by, 0.0, 0.0]) if index >= VIEWS else 0.0)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, -rotation @ beside
        views.append(View(f"a/{index:06d}.png", "a.mp4", index / 5, *SIZE, K, pose, "train"))
        picture = render(position, rotation, size=SIZE, focal=FOCAL)
        pixels.append(turn(picture) if index >= VIEWS else picture)
    scene = replace(scene, views=tuple(views), pixels=tuple(pixels), sightings=np.zeros((0, 2), np.int32))
    return scene, [view.image for view in views]


def test_a_camera_that_leaps_while_the_pictures_go_on_is_doubted() -> None:
    """Two halves of a film that a repeating wall has joined at the wrong place; each half is right in itself."""
    scene, film = halves(3.0)
    (leap,) = leaps(scene, [film])
    assert (leap.video, leap.timestamp_s) == ("a.mp4", pytest.approx((VIEWS - 1) / 5))
    witness = Witness((), (), (), None, (leap,))
    assert witness.cameras_doubted
    assert f"a.mp4 at {(VIEWS - 1) / 5:.1f} s" in doubts(witness)[0]


def test_a_camera_that_goes_on_or_that_the_pictures_follow_is_not() -> None:
    scene, film = halves(0.0)
    assert leaps(scene, [film]) == ()
    turned, film = halves(3.0, turn=lambda picture: picture[::-1, ::-1])  # where it looks is elsewhere as well
    assert leaps(turned, [film]) == ()
    joined, film = halves(3.0)
    assert leaps(joined, [film[:VIEWS], film[VIEWS:]]) == ()  # there is a cut
    assert leaps(joined, []) == ()  # photos


@pytest.mark.parametrize(
    ("share", "angle_deg", "doubted"),
    [(0.033, 20.0, True), (0.033, 74.0, False), (0.012, 74.0, True), (0.033, 30.0, True), (0.5, 20.0, False)],
)
def test_photos_taken_far_apart_are_asked_for_less(share: float, angle_deg: float, doubted: bool) -> None:
    """Windows of a thing look unlike from far aside. What chance finds is not enough from anywhere."""
    views = tuple(ViewAgreement(i, share if i < 3 else 0.5, 0.003, 5000, angle_deg) for i in range(12))
    assert Witness(views, (), ()).many_unexplained is doubted


@needs_kernels
def test_how_far_aside_neighbours_look_is_measured() -> None:
    """Of a walk past a wall 5 to 7 units away, in steps of a quarter of a unit: a few degrees."""
    found = agreement(filmed(), SILENT, "training")
    assert found
    assert all(0.5 < view.angle_deg < 35.0 for view in found)
