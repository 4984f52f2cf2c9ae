"""A scene with doubtful cameras is made once more by another method, if there is time, and the better one is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from runner.pipeline import another_way, splats
from runner.pipeline.cameras import Inputs, find_cameras
from runner.pipeline.presets import PRESETS
from runner.pipeline.settings import JobSettings
from runner.pipeline.splats import FinishedSplats
from runner.pipeline.stages import JobContext
from runner.poses.settings import PoseSettings
from runner.quality.agreement import AVAILABLE, ViewAgreement
from runner.quality.nearest import Gain
from runner.quality.witness import Witness
from runner.scene.frames import FrameSet
from runner.scene.progress import SILENT
from runner.scene.views import TrainingScene, View
from runner.training.settings import TrainSettings
from tests.synthetic import render, walk, write_frames

pytestmark = pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")  # pictures as Pillow reads them
PRESET = replace(
    PRESETS["smoke"],
    poses=PoseSettings(features=600, max_image_size=320, threads=1, min_points=200),
    train=TrainSettings(iterations=200, cap=3000, long_side=200, sh_degree=0, evaluations=1),
)


def scattered(scene: TrainingScene) -> TrainingScene:
    """Every camera a tenth of the room away, and turned by ten degrees."""
    rng, views = np.random.default_rng(0), []
    for view in scene.views:
        pose = view.world_to_camera.copy()
        step, axis = rng.normal(size=(2, 3))
        pose[:3, 3] += 0.3 * step
        pose[:3, :3] = Rotation.from_rotvec(np.radians(10) * axis / np.linalg.norm(axis)).as_matrix() @ pose[:3, :3]
        views.append(replace(view, world_to_camera=pose))
    return replace(scene, views=tuple(views))


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> JobContext:
    folder = tmp_path_factory.mktemp("another")
    (folder / "out").mkdir()
    settings = JobSettings(PRESET, "cpu", "job", 1, 0)
    return JobContext(folder, SILENT, out=folder / "out", name="room", settings=settings)


@pytest.fixture(scope="module")
def frames(context: JobContext) -> FrameSet:
    return write_frames(context.workspace, {"a": [render(*pose) for pose in walk(9)]})


@pytest.fixture(scope="module")
def doubtful(context: JobContext, frames: FrameSet) -> FinishedSplats:
    """What is made of the room when its cameras are wrong, whatever found them."""
    posed = find_cameras(context, Inputs([], None), frames)
    wrong = replace(posed, scene=scattered(posed.scene))
    return splats.clean_up(context, wrong, splats.train_splats(context, wrong))


@pytest.mark.slow
@pytest.mark.skipif(not AVAILABLE, reason="numba is not installed")
def test_a_doubtful_scene_is_made_again_by_another_method(
    context: JobContext, frames: FrameSet, doubtful: FinishedSplats
) -> None:
    assert any("cameras do not explain" in sentence for sentence in doubtful.doubts)
    better = another_way.better_of_two(context, frames, doubtful)
    assert better.doubts == ()
    assert better.posed.poses.rung != doubtful.posed.poses.rung
    assert "gave a doubtful scene" in better.posed.poses.why
    assert len(better.posed.poses.attempts) == 2
    assert (better.posed.workspace / "sparse").is_dir()
    assert {"poster.jpg", "orientation.json"} <= {path.name for path in context.out.iterdir()}
    assert set(better.pictures.values()) == {path.name for path in context.out.glob("comparison_*")}


@pytest.mark.slow
@pytest.mark.skipif(not AVAILABLE, reason="numba is not installed")
def test_without_time_the_doubt_says_that_nothing_else_was_tried(
    context: JobContext, frames: FrameSet, doubtful: FinishedSplats
) -> None:
    late = replace(context, settings=replace(context.settings, ends_at=0.0))
    kept = another_way.better_of_two(late, frames, doubtful)
    assert kept.trained is doubtful.trained
    assert kept.doubts[-1] == "there was no time left to try another way"


@pytest.mark.parametrize(("left_s", "begun"), [(None, True), (1000.0, True), (200.0, False)])
def test_a_second_way_is_begun_when_it_fits_before_the_deadline(left_s: float | None, begun: bool) -> None:
    assert another_way.has_time(None if left_s is None else 50.0 + left_s, 50.0, 100.0) is begun


def witness(unexplained: int, gain_db: float = 5.0) -> Witness:
    views = tuple(ViewAgreement(i, 0.02 if i < unexplained else 0.5, 0.01, 5000) for i in range(10))
    return Witness(views, (), (Gain("a", 15.0 + gain_db, 15.0),))


def test_the_better_of_two_has_no_doubts_or_explains_more() -> None:
    assert another_way.is_better(witness(0), 0, witness(6), 1)
    assert another_way.is_better(witness(3), 1, witness(6), 1)
    assert not another_way.is_better(witness(6), 1, witness(6), 1)
    assert not another_way.is_better(witness(6), 1, witness(5, 9.0), 1)


def test_cameras_are_compared_after_a_similarity() -> None:
    """Another mapper has another world; other cameras are others in any."""
    rng = np.random.default_rng(0)
    turn = Rotation.from_rotvec([0.3, 0.2, 0.1]).as_matrix()
    K = np.eye(3)

    def scene(centres: np.ndarray) -> TrainingScene:
        views = []
        for index, centre in enumerate(centres):
            pose = np.eye(4)
            pose[:3, 3] = -centre
            views.append(View(f"a/{index}.png", "a.mp4", index, 8, 8, K, pose, "train"))
        nothing = np.zeros((0, 3), np.float32)
        empty = np.zeros(0, np.float32)
        return TrainingScene(tuple(views), (), nothing, nothing.astype(np.uint8), empty, empty.astype(np.int32))

    centres = rng.normal(size=(10, 3))
    moved = another_way.difference(scene(centres), scene(3.0 * centres @ turn.T + 5.0))
    other = another_way.difference(scene(centres), scene(rng.normal(size=(10, 3))))
    assert moved is not None
    assert moved < 1e-6
    assert other is not None
    assert other > another_way.SAME
    assert another_way.difference(scene(centres), scene(centres[:9])) is None
