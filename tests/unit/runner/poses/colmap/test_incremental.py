"""A large model is adjusted as a whole less often, and its cameras are as right; of few images nothing changes."""

from __future__ import annotations

from pathlib import Path

import pycolmap
import pytest

from runner.poses.colmap.describe import centres
from runner.poses.colmap.incremental import HOLDS, LARGE, Adjustments, map_incrementally
from runner.poses.colmap.mapping import mapper_options
from runner.poses.colmap.requests import MapperRun
from runner.poses.repeatability import disagreement

MANY = HOLDS + 10  # images
Centres = dict[str, tuple[float, ...]]


def synthesized(folder: Path, images: int) -> tuple[MapperRun, Centres]:
    """A database of so many cameras around 100 points, and where the cameras are."""
    pycolmap.set_random_seed(1)
    options = pycolmap.SyntheticDatasetOptions(
        num_rigs=1, num_cameras_per_rig=1, num_frames_per_rig=images, num_points3D=100,
        camera_has_prior_focal_length=True,
    )  # fmt: skip
    path = folder / "database.db"
    with pycolmap.Database.open(str(path)) as database:
        truth = pycolmap.synthesize_dataset(options, database)
        pycolmap.synthesize_noise(pycolmap.SyntheticNoiseOptions(point2D_stddev=0.3), truth, database)
    run = MapperRun(
        database=str(path), images=str(folder), output=str(folder / "models"), max_runtime_s=60, fixed_lens=False,
        threads=1,
    )  # fmt: skip
    return run, centres(truth)


def options_of(run: MapperRun) -> pycolmap.IncrementalPipelineOptions:
    """As the product's; there are no pictures to take colours from."""
    options = mapper_options(run, 0)
    options.extract_colors = False
    return options


def as_pycolmap(run: MapperRun) -> Centres:
    """Where its own function puts the cameras."""
    Path(run.output).mkdir()
    (model,) = pycolmap.incremental_mapping(run.database, run.images, run.output, options_of(run)).values()
    return centres(model)


def test_a_model_grows_as_usual_until_it_holds_and_each_further_model_does_so_again() -> None:
    options = pycolmap.IncrementalPipelineOptions()

    def now() -> dict[str, float]:
        return {name: getattr(options, name) for name in LARGE}

    def completes() -> int:
        return int(options.triangulation.complete_max_transitivity)

    models = pycolmap.ReconstructionManager()
    models.add()
    usual = now(), completes()
    adjustments = Adjustments(options, models)
    adjustments.begin()
    for _ in range(HOLDS - 2):
        adjustments.grow()
    assert adjustments.placed == HOLDS
    assert (now(), completes()) == usual
    adjustments.grow()
    assert (now(), completes()) == (LARGE, 0)
    assert not set(now().items()) & set(usual[0].items())
    assert adjustments.large == {0}
    models.add()
    adjustments.begin()
    assert (now(), completes()) == usual
    assert adjustments.large == {0}


def test_a_large_model_that_is_dropped_leaves_its_number_to_the_next_one() -> None:
    models = pycolmap.ReconstructionManager()
    models.add()
    adjustments = Adjustments(pycolmap.IncrementalPipelineOptions(), models)
    adjustments.begin()
    for _ in range(HOLDS - 1):
        adjustments.grow()
    assert adjustments.large == {0}
    adjustments.begin()
    assert adjustments.large == set()


def test_a_large_model_is_adjusted_less_often_and_every_camera_is_right(tmp_path: Path) -> None:
    """A mapper that does not hear of the change, as one that copied its options, ends as pycolmap's own function."""
    run, truth = synthesized(tmp_path, MANY)
    placed: list[int] = []
    (model,) = map_incrementally(run, options_of(run), lambda: placed.append(2), lambda: placed.append(1)).values()
    assert sum(placed) == MANY
    assert set(centres(model)) == set(truth)
    differs = disagreement(centres(model), truth)
    assert differs is not None
    assert differs < 0.01  # of the mean distance from the centre
    assert centres(model) != as_pycolmap(run)


@pytest.mark.parametrize("images", [12, HOLDS])
def test_few_images_have_the_cameras_of_pycolmap_to_the_last_digit(images: int, tmp_path: Path) -> None:
    run, _ = synthesized(tmp_path, images)
    (model,) = map_incrementally(run, options_of(run), lambda: None, lambda: None).values()
    assert centres(model) == as_pycolmap(run)
