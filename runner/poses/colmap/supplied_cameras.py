"""Points from the cameras that the user supplies, and whether these fit the images, in the COLMAP process.

Half a pixel of reprojection error says little (scrambled cameras of a room kept half of all observations, at 1.7 px),
so the supplied cameras are adjusted as well, from a triangulation that forgives much, and compared with the result:

    as good as what adjusting makes of them      they are used as they are
    clearly worse, but near                      the adjusted ones are used, in the user's coordinates
    far from where the images put them           they contradict the images (`runner/poses/supplied/attempt.py`)
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np
import pycolmap
from numpy.typing import NDArray

from runner.poses.colmap.describe import written
from runner.poses.colmap.mapping import mapper_options
from runner.poses.colmap.requests import Fit, Moved, Register, Registered, SuppliedFit
from runner.poses.colmap.supplied_database import model_of, pose_of, write_database
from runner.scene.geometry import angles_between_deg, nearest_rotation, residuals, similarity

# Measured in a generated room, 24 pictures. True cameras: adjusting lowers the error to 0.99 and finds no more points.
# Cameras off by 0.1 degrees and 0.2 % of the depth: to 0.24. A focal length off by 5 %: to 0.93, with the lens to 0.89.
ERROR_FALLS_TO = 0.9  # of the supplied cameras' reprojection error: what is less is an improvement
MORE_POINTS = 1.05  # times the observations: the same
LENS_FALLS_TO = 0.96  # of the error with the supplied lens; a focal length off by 5 % had 0.957, a right one 1.0
PATIENT_PX, PATIENT_DEG = 20.0, 6.0  # of the triangulation that forgives much: cameras off by 3 degrees come right
PATIENT_SIZE = 960  # px, long side that PATIENT_PX is meant for
ITERATIONS = 50  # of a bundle adjustment
LEAST_POINTS = 30  # fewer hold no cameras
FAR_DEG, FAR_SHARE = 5.0, 0.2  # that adjusting moves a camera; scrambled ones moved by 14 degrees and 0.9
MANY = 0.5  # of the cameras: when so many are far from where the images put them, the file is wrong as a whole
MUCH_MORE, MUCH_LESS = 1.3, 0.7  # observations, and error: another reading of the file is the right one
FLIP = np.diag([1.0, -1.0, -1.0])  # OpenGL's camera axes and OpenCV's

Array = NDArray[np.float64]
Reading = Callable[[Array, Array], tuple[Array, Array]]  # rotation [3, 3] and translation [3] to those of another one
READINGS: Mapping[str, tuple[tuple[str, Reading], ...]] = {
    "opencv": (
        ("world-to-camera matrices in OpenCV axes", lambda r, t: (r.T, -r.T @ t)),
        ("camera-to-world matrices in OpenGL axes", lambda r, t: (FLIP @ r, FLIP @ t)),
    ),
    "opengl": (
        ("camera-to-world matrices in OpenCV axes", lambda r, t: (FLIP @ r, FLIP @ t)),
        ("world-to-camera matrices in OpenGL axes", lambda r, t: (FLIP @ r.T @ FLIP, -FLIP @ r.T @ t)),
        ("world-to-camera matrices in OpenCV axes", lambda r, t: (r.T @ FLIP, -r.T @ t)),
    ),
}
"""How files of such axes are often meant instead."""


def register(request: Register) -> Registered:
    """The model with the supplied cameras, adjusted where that pays, and numbers that judge them."""
    output = Path(request.run.output)
    output.mkdir(parents=True)
    database = output / "supplied.db"
    write_database(request.run.database, database, request.supplied)
    poses = {name: pose_of(camera) for name, camera in request.supplied.items()}
    work = _Work(database, request.run.images, output, request.run.threads, request.seed)
    start = model_of(database, poses)
    model = work.triangulated(start)
    fit = SuppliedFit(as_supplied=_fit(model))
    sure = all(camera.lens.sure for camera in request.supplied.values())
    better, lens_adjusted = work.adjusted(start, LENS_FALLS_TO if sure else 1.0)
    if better is not None and _is_better(better, model):
        moved = align(start, better)
        fit = SuppliedFit(
            as_supplied=fit.as_supplied, adjusted=_fit(better), lens_adjusted=lens_adjusted, moved=moved,
            contradicts=len(moved.far) > MANY * moved.cameras,
        )  # fmt: skip
        model = better
    if model.num_points3D() == 0 or fit.contradicts:
        fits_as = work.fits_as(poses, request.axes, fit.as_supplied)
        return Registered(models=(), fit=msgspec.structs.replace(fit, contradicts=True, fits_as=fits_as))
    if len(request.names) > model.num_reg_images():
        model = work.with_the_rest(model, mapper_options(request.run, request.seed))
        align(start, model)
    return Registered(models=(written(model, output / "model0"),), fit=fit)


class _Work:
    """One database, and what is done with models of its images."""

    def __init__(self, database: Path, images: str, folder: Path, threads: int, seed: int) -> None:
        self._database, self._images, self._folder = database, images, folder
        self._threads, self._seed = threads, seed

    def triangulated(self, model: pycolmap.Reconstruction, patience: float = 0.0) -> pycolmap.Reconstruction:
        """A new model with the same cameras. patience: px of error that a point may have; 0: as usual."""
        options = pycolmap.IncrementalPipelineOptions(num_threads=self._threads, random_seed=self._seed)
        if patience:
            part = options.triangulation
            options.mapper.filter_max_reproj_error = patience
            options.mapper.filter_min_tri_angle = 0.5
            part.create_max_angle_error = part.continue_max_angle_error = PATIENT_DEG
            part.re_max_angle_error = 2 * PATIENT_DEG
            part.complete_max_reproj_error = part.merge_max_reproj_error = patience
        folder = self._folder / "triangulated"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        copied = pycolmap.Reconstruction(model)
        return pycolmap.triangulate_points(copied, self._database, self._images, str(folder), options=options)

    def adjusted(
        self, supplied: pycolmap.Reconstruction, lens_falls_to: float
    ) -> tuple[pycolmap.Reconstruction | None, bool]:
        """The model that adjusting leads to, and whether its lens is another. None: there is nothing to adjust.

        lens_falls_to: the supplied lens is given up where the error falls to that much of what it is with it.
        """
        side = max(max(camera.width, camera.height) for camera in supplied.cameras.values())
        model = self.triangulated(supplied, PATIENT_PX * max(side / PATIENT_SIZE, 0.5))
        for _ in range(2):
            if model.num_points3D() < LEAST_POINTS:
                return None, False
            model = self.triangulated(_bundled(model))
        if model.num_points3D() < LEAST_POINTS:
            return None, False
        other = _bundled(model, refine_lens=True)
        if _error(other) > lens_falls_to * _error(model):
            return model, False
        return self.triangulated(other), True

    def fits_as(self, poses: Mapping[str, Array], axes: str, found: Fit) -> str:
        """How the cameras would have to be read to fit the images; empty: none of the usual mistakes.

        poses: [3, 4] by image name. axes: of the file. found: what the cameras gave as they are.
        """
        best, best_observations = "", MUCH_MORE * max(found.observations, LEAST_POINTS)
        for name, reading in READINGS[axes]:
            other = {image: _read_as(reading, pose) for image, pose in poses.items()}
            fit = _fit(self.triangulated(model_of(self._database, other)))
            fits = not found.points or fit.error_px <= MUCH_LESS * found.error_px
            if fits and fit.observations >= best_observations:
                best, best_observations = name, fit.observations
        return best

    def with_the_rest(
        self, model: pycolmap.Reconstruction, options: pycolmap.IncrementalPipelineOptions
    ) -> pycolmap.Reconstruction:
        """Images without a supplied pose registered by the mapper, beside the others, which stay where they are."""
        known, grown = self._folder / "known", self._folder / "grown"
        for folder in (known, grown):
            folder.mkdir()
        model.write(str(known))
        options.fix_existing_frames = options.mapper.fix_existing_frames = True
        options.constant_cameras = set(model.cameras)
        options.multiple_models = False
        database = str(self._database)
        found = pycolmap.incremental_mapping(database, self._images, str(grown), options, input_path=str(known))
        best = max(found.values(), key=lambda one: one.num_reg_images(), default=None)
        return model if best is None or best.num_reg_images() <= model.num_reg_images() else best


def align(supplied: pycolmap.Reconstruction, model: pycolmap.Reconstruction) -> Moved:
    """Brings the model into the coordinates of the supplied cameras, and says how far these moved in them."""
    before, after = (
        {image.name: image for image in one.images.values() if image.has_pose} for one in (supplied, model)
    )  # fmt: skip
    names = sorted(set(before) & set(after))
    turns = np.array([_turn_between(before[name], after[name]) for name in names])
    here, there = (np.array([one[name].projection_center() for name in names]) for one in (after, before))
    fit = similarity(here, there, nearest_rotation(turns.sum(axis=0)))
    model.transform(pycolmap.Sim3d(fit.scale, pycolmap.Rotation3d(fit.rotation), fit.translation))
    shares, angles = residuals(here, there, fit), angles_between_deg(turns, fit.rotation)
    return Moved(
        cameras=len(names),
        deg=float(np.median(angles)),
        share=float(np.median(shares)),
        far=tuple(name for name, share, angle in zip(names, shares, angles, strict=True)
                  if share > FAR_SHARE or angle > FAR_DEG),
    )  # fmt: skip


def _turn_between(before: pycolmap.Image, after: pycolmap.Image) -> Array:
    """[3, 3] the rotation of the world of `after` into that of `before`, as this camera has it."""
    one, two = (np.asarray(image.cam_from_world().rotation.matrix()) for image in (before, after))
    return np.asarray(one.T @ two)


def _read_as(reading: Reading, pose: Array) -> Array:
    """[3, 4] the pose that the numbers of `pose` mean by another reading."""
    rotation, translation = reading(pose[:, :3], pose[:, 3])
    return np.hstack([rotation, translation[:, None]])


def _bundled(model: pycolmap.Reconstruction, refine_lens: bool = False) -> pycolmap.Reconstruction:
    """A new model whose cameras and points are adjusted; lenses stay unless asked for."""
    adjusted = pycolmap.Reconstruction(model)
    options = pycolmap.BundleAdjustmentOptions(
        refine_focal_length=refine_lens, refine_principal_point=False, refine_extra_params=refine_lens
    )
    options.ceres.solver_options.max_num_iterations = ITERATIONS
    options.ceres.loss_function_type = type(options.ceres.loss_function_type).SOFT_L1
    options.print_summary = False
    pycolmap.bundle_adjustment(adjusted, options)
    return adjusted


def _error(model: pycolmap.Reconstruction) -> float:
    return float(model.compute_mean_reprojection_error())


def _fit(model: pycolmap.Reconstruction) -> Fit:
    return Fit(points=model.num_points3D(), observations=model.compute_num_observations(), error_px=_error(model))


def _is_better(adjusted: pycolmap.Reconstruction, plain: pycolmap.Reconstruction) -> bool:
    more = adjusted.compute_num_observations() >= MORE_POINTS * plain.compute_num_observations()
    return more or _error(adjusted) <= ERROR_FALLS_TO * _error(plain)
