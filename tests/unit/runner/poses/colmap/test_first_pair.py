"""A large model begins with images far apart that share many matches; where it does not grow, with others."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pycolmap

from runner.poses.colmap.first_pair import LEAST_ANGLE, FirstPairs, by_motion, far_apart
from runner.poses.colmap.incremental import HOLDS, map_incrementally
from runner.poses.colmap.mapping import mapper_options
from runner.poses.colmap.requests import MapperRun

COUNT = HOLDS + 20  # frames
STEP = 0.02  # of the distance, from one to the next: 1 degree
APART = 16  # frames between those that a first look compared


def film(folder: Path, count: int = COUNT) -> MapperRun:
    """The database of a walk past 300 points: frames compared with the two before, and each sixteenth with the next."""
    random, focal = np.random.default_rng(0), 400.0
    points = random.uniform((-3, -1, 3), (3, 1, 5), (300, 3))
    seen = [points + np.array([4 * STEP * (count / 2 - frame), 0, 0]) for frame in range(count)]
    pixels = [focal * at[:, :2] / at[:, 2:] + (320, 240) + random.normal(0, 0.2, (300, 2)) for at in seen]
    path = folder / "database.db"
    near = [(one, one + gap) for gap in (1, 2) for one in range(count - gap)]
    with pycolmap.Database.open(str(path)) as database:
        camera = pycolmap.Camera.create_from_model_id(1, pycolmap.CameraModelId.SIMPLE_RADIAL, 1.1 * focal, 640, 480)
        database.write_camera(camera, use_camera_id=True)
        rig = pycolmap.Rig(rig_id=1)
        rig.add_ref_sensor(camera.sensor_id)
        database.write_rig(rig, use_rig_id=True)
        for number, at in enumerate(pixels, 1):
            image = pycolmap.Image(name=f"{number:03}.png", image_id=number, camera_id=1, frame_id=number)
            frame = pycolmap.Frame(frame_id=number, rig_id=1)
            frame.add_data_id(image.data_id)
            database.write_frame(frame, use_frame_id=True)
            database.write_image(image, use_image_id=True)
            database.write_keypoints(number, at.astype(np.float32))
        for one, two in [*near, *pairwise(range(0, count, APART))]:
            both = np.stack([pixels[one], pixels[two]])
            inside = ((both >= 0) & (both < (640, 480))).all(axis=(0, 2)).nonzero()[0].astype(np.uint32)
            matches = np.column_stack([inside, inside])
            geometry = pycolmap.estimate_two_view_geometry(camera, pixels[one], camera, pixels[two], matches)
            database.write_matches(one + 1, two + 1, matches)
            database.write_two_view_geometry(one + 1, two + 1, geometry)
    return MapperRun(
        database=str(path), images=str(folder), output=str(folder / "models"), max_runtime_s=60, fixed_lens=False,
        threads=1,
    )  # fmt: skip


def options_of(run: MapperRun) -> pycolmap.IncrementalPipelineOptions:
    options = mapper_options(run, 0)
    options.extract_colors = False
    return options


def given(options: pycolmap.IncrementalPipelineOptions) -> tuple[int, int]:
    return options.init_image_id1, options.init_image_id2


def test_frames_far_apart_come_before_the_neighbours_with_the_most_matches(tmp_path: Path) -> None:
    with pycolmap.Database.open(film(tmp_path).database) as database:
        first = by_motion(database)[:2]
    assert all(two - one == APART for one, two in first)


def test_a_mapper_is_given_pairs_that_it_can_begin_with(tmp_path: Path) -> None:
    run = film(tmp_path)
    options = options_of(run)
    with pycolmap.Database.open(run.database) as database:
        pipeline = pycolmap.IncrementalPipeline(options, database, pycolmap.ReconstructionManager())
        pairs = far_apart(pipeline, database)
    assert pairs
    assert all(two - one == APART for one, two in pairs)
    assert options.mapper.init_min_tri_angle == LEAST_ANGLE


def test_where_all_is_near_the_mapper_looks_for_its_own_as_ever(tmp_path: Path) -> None:
    run = film(tmp_path)
    options = options_of(run)
    usual = options.mapper.init_min_tri_angle
    options.mapper.init_min_num_inliers = 400  # more than there are
    with pycolmap.Database.open(run.database) as database:
        pipeline = pycolmap.IncrementalPipeline(options, database, pycolmap.ReconstructionManager())
        pairs = far_apart(pipeline, database)
    assert pairs == []
    FirstPairs(options, pairs)
    assert given(options) == (-1, -1)
    assert options.mapper.init_min_tri_angle == usual


def test_the_next_pair_is_tried_where_a_model_did_not_grow_and_none_where_it_did() -> None:
    options = pycolmap.IncrementalPipelineOptions()
    pairs = FirstPairs(options, [(1, 9), (2, 8), (3, 7)])
    assert given(options) == (1, 9)
    pairs.begun()
    assert given(options) == (-1, -1)
    pairs.ended(images=4)
    assert given(options) == (2, 8)
    pairs.begun()
    pairs.ended(images=options.min_model_size)
    assert given(options) == (-1, -1)


def test_a_walk_of_many_frames_is_placed_whole(tmp_path: Path) -> None:
    """By itself COLMAP begins with two neighbours and joins one more to them: three frames are placed."""
    run = film(tmp_path)
    options = options_of(run)
    models = map_incrementally(run, options, lambda: None, lambda: None)
    assert max(model.num_reg_images() for model in models.values()) == COUNT
    assert given(options) == (-1, -1)


def test_a_mapper_of_few_frames_is_given_nothing(tmp_path: Path) -> None:
    run = film(tmp_path, HOLDS)
    options = options_of(run)
    usual, offered = options.mapper.init_min_tri_angle, []
    map_incrementally(run, options, lambda: offered.append(given(options)), lambda: None)
    assert (options.mapper.init_min_tri_angle, set(offered)) == (usual, {(-1, -1)})
