"""Cameras that the user supplies: points are triangulated with them, and it is measured whether they fit the pictures.

Half a pixel of reprojection error says little (scrambled cameras of a room kept half of all observations, at 1.7 px),
so the supplied cameras are adjusted as well, from a triangulation that forgives much, and compared with the result:

    as good as what adjusting makes of them      they are used as they are
    clearly worse, but near                      the adjusted ones are used, in the world of the supplied ones
    far from where the pictures put them         they contradict the pictures (`runner/poses/supplied/attempt.py`)

Runs in the process that has pycolmap.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from numpy.typing import NDArray

from runner.poses.supplied.cameras import Lens

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
MANY = 0.5  # of the cameras: when so many are far from where the pictures put them, the file is wrong as a whole
MUCH_MORE, MUCH_LESS = 1.3, 0.7  # observations, and error: another reading of the file is the right one
FLIP = np.diag([1.0, -1.0, -1.0])  # OpenGL's camera axes and OpenCV's

_Way = Callable[[NDArray[np.float64], NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]


def place(
    request: dict[str, Any],
    facts: Callable[[pycolmap.Reconstruction], dict[str, Any]],
    options: pycolmap.IncrementalPipelineOptions,
) -> dict[str, Any]:
    """The model with the supplied cameras, adjusted where that pays, and numbers that judge them.

    facts: measures a model as for every other way. options: of the mapper, which places the pictures without a pose.
    """
    output, given = Path(request["output"]), request["given"]
    output.mkdir(parents=True)
    database = output / "given.db"
    _write_database(request["database"], database, given)
    work = _Work(database, request["images"], output, request["threads"], request["seed"])
    start = _model(database, given)
    model = work.triangulated(start)
    told: dict[str, Any] = {"as_supplied": _numbers(model), "adjusted": None, "lens_adjusted": False, "fits_as": ""}
    sure = all(entry["lens"]["sure"] for entry in given.values())
    better, lens_adjusted = work.adjusted(start, LENS_FALLS_TO if sure else 1.0)
    if better is not None and _is_better(better, model):
        told |= {"adjusted": _numbers(better), "lens_adjusted": lens_adjusted, **align(start, better)}
        model = better
    told["contradicts"] = model.num_points3D() == 0 or _is_far(told)
    if told["contradicts"]:
        told["fits_as"] = work.fits_as(given, request["axes"], told["as_supplied"])
        return {"models": [], "told": told}
    if len(request["names"]) > model.num_reg_images():
        model = work.with_the_rest(model, options)
        align(start, model)
    folder = output / "model0"
    folder.mkdir()
    model.write(str(folder))
    return {"models": [{"folder": str(folder), **facts(model)}], "told": told}


class _Work:
    """One database, and what is done with models of its pictures."""

    def __init__(self, database: Path, images: str, folder: Path, threads: int, seed: int) -> None:
        self._database, self._images, self._folder = str(database), images, folder
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
        return pycolmap.triangulate_points(copy_of(model), self._database, self._images, str(folder), options=options)

    def bundled(self, model: pycolmap.Reconstruction, refine_lens: bool = False) -> pycolmap.Reconstruction:
        """A new model whose cameras and points are adjusted; lenses stay unless asked for."""
        adjusted = copy_of(model)
        options = pycolmap.BundleAdjustmentOptions(
            refine_focal_length=refine_lens, refine_principal_point=False, refine_extra_params=refine_lens
        )
        options.ceres.solver_options.max_num_iterations = ITERATIONS
        options.ceres.loss_function_type = type(options.ceres.loss_function_type).SOFT_L1
        options.print_summary = False
        pycolmap.bundle_adjustment(adjusted, options)
        return adjusted

    def adjusted(
        self, given: pycolmap.Reconstruction, lens_falls_to: float
    ) -> tuple[pycolmap.Reconstruction | None, bool]:
        """The model that adjusting leads to, and whether its lens is another. None: there is nothing to adjust.

        lens_falls_to: the supplied lens is given up where the error falls to that much of what it is with it.
        """
        side = max(max(camera.width, camera.height) for camera in given.cameras.values())
        model = self.triangulated(given, PATIENT_PX * max(side / PATIENT_SIZE, 0.5))
        for _ in range(2):
            if model.num_points3D() < LEAST_POINTS:
                return None, False
            model = self.triangulated(self.bundled(model))
        if model.num_points3D() < LEAST_POINTS:
            return None, False
        other = self.bundled(model, refine_lens=True)
        if _error(other) > lens_falls_to * _error(model):
            return model, False
        return self.triangulated(other), True

    def fits_as(self, given: Mapping[str, Any], axes: str, found: Mapping[str, Any]) -> str:
        """How the cameras would have to be read to fit the pictures; empty: none of the usual mistakes.

        axes: of the file; found: what the cameras gave as they are.
        """
        ways: list[tuple[str, _Way]] = [
            ("world-to-camera matrices in OpenCV axes", lambda r, t: (r.T, -r.T @ t)),
            ("camera-to-world matrices in OpenGL axes", lambda r, t: (FLIP @ r, FLIP @ t)),
        ]
        if axes == "opengl":
            ways = [
                ("camera-to-world matrices in OpenCV axes", lambda r, t: (FLIP @ r, FLIP @ t)),
                ("world-to-camera matrices in OpenGL axes", lambda r, t: (FLIP @ r.T @ FLIP, -FLIP @ r.T @ t)),
                ("world-to-camera matrices in OpenCV axes", lambda r, t: (r.T @ FLIP, -r.T @ t)),
            ]
        best, best_observations = "", MUCH_MORE * max(found["observations"], LEAST_POINTS)
        for name, way in ways:
            other = {}
            for image, entry in given.items():
                pose = np.array(entry["pose"]).reshape(3, 4)
                rotation, translation = way(pose[:, :3], pose[:, 3])
                other[image] = {**entry, "pose": np.hstack([rotation, translation[:, None]]).ravel()}
            numbers = _numbers(self.triangulated(_model(Path(self._database), other)))
            fits = not found["points"] or numbers["error_px"] <= MUCH_LESS * found["error_px"]
            if fits and numbers["observations"] >= best_observations:
                best, best_observations = name, numbers["observations"]
        return best

    def with_the_rest(
        self, model: pycolmap.Reconstruction, options: pycolmap.IncrementalPipelineOptions
    ) -> pycolmap.Reconstruction:
        """Pictures without a supplied pose placed by the mapper, beside the others, which stay where they are."""
        known, grown = self._folder / "known", self._folder / "grown"
        for folder in (known, grown):
            folder.mkdir()
        model.write(str(known))
        options.fix_existing_frames = options.mapper.fix_existing_frames = True
        options.constant_cameras = set(model.cameras)
        options.multiple_models = False
        found = pycolmap.incremental_mapping(self._database, self._images, str(grown), options, input_path=str(known))
        best = max(found.values(), key=lambda one: one.num_reg_images(), default=None)
        return model if best is None or best.num_reg_images() <= model.num_reg_images() else best


def copy_of(model: pycolmap.Reconstruction) -> pycolmap.Reconstruction:
    return pycolmap.Reconstruction(model)


def _write_database(source: str, target: Path, given: Mapping[str, Any]) -> None:
    """The features and verified matches of all pictures, with the supplied lenses in the place of their own.

    A picture without a pose gets the lens of the pictures it shared a camera with, where these have one.
    """
    target.unlink(missing_ok=True)
    with pycolmap.Database.open(source) as old, pycolmap.Database.open(str(target)) as new:
        cameras = {camera.camera_id: camera for camera in old.read_all_cameras()}
        numbers: dict[Any, int] = {}
        of_shot: dict[int, Any] = {}
        images = sorted(old.read_all_images(), key=lambda image: image.image_id)
        for image in images:
            if image.name in given:
                of_shot.setdefault(image.camera_id, given[image.name]["lens"])
        for image in images:
            camera = cameras[image.camera_id]
            lens = given[image.name]["lens"] if image.name in given else of_shot.get(image.camera_id)
            key = (image.camera_id, tuple(lens.values()) if lens else None)
            if key not in numbers:
                numbers[key] = len(numbers) + 1
                made = camera if lens is None else _camera(lens, camera.width, camera.height)
                made.camera_id = numbers[key]
                new.write_camera(made, use_camera_id=True)
                rig = pycolmap.Rig(rig_id=numbers[key])
                rig.add_ref_sensor(made.sensor_id)
                new.write_rig(rig, use_rig_id=True)
            written = pycolmap.Image(name=image.name, camera_id=numbers[key], image_id=image.image_id)
            frame = pycolmap.Frame(frame_id=image.image_id, rig_id=numbers[key])
            frame.add_data_id(written.data_id)
            written.frame_id = frame.frame_id
            new.write_frame(frame, use_frame_id=True)
            new.write_image(written, use_image_id=True)
            new.write_keypoints(image.image_id, old.read_keypoints(image.image_id))
        for pair_id, geometry in zip(*old.read_two_view_geometries(), strict=True):
            new.write_two_view_geometry(*pycolmap.pair_id_to_image_pair(pair_id), geometry)


def _camera(values: Mapping[str, Any], width: int, height: int) -> pycolmap.Camera:
    """The plainest model that holds the lens."""
    lens = Lens(**values).scaled(width, height)
    model, params = "OPENCV", [lens.fx, lens.fy, lens.cx, lens.cy, lens.k1, lens.k2, lens.p1, lens.p2]
    if np.isclose(lens.fx, lens.fy, rtol=1e-6) and not any((lens.k2, lens.p1, lens.p2)):
        model, params = "SIMPLE_RADIAL", [lens.fx, lens.cx, lens.cy, lens.k1]
    camera = pycolmap.Camera(model=model, width=width, height=height, params=params)
    camera.has_prior_focal_length = True
    return camera


def _model(database: Path, given: Mapping[str, Any]) -> pycolmap.Reconstruction:
    """The pictures that have a pose, without points."""
    model = pycolmap.Reconstruction()
    with pycolmap.Database.open(str(database)) as opened:
        images = [image for image in opened.read_all_images() if image.name in given]
        for number in sorted({image.camera_id for image in images}):
            model.add_camera_with_trivial_rig(opened.read_camera(number))
        for image in images:
            keypoints = np.asarray(opened.read_keypoints(image.image_id), np.float64)[:, :2]
            pose = np.array(given[image.name]["pose"]).reshape(3, 4)
            model.add_image_with_trivial_frame(
                pycolmap.Image(
                    name=image.name, camera_id=image.camera_id, image_id=image.image_id, keypoints=keypoints
                ),
                _rigid(pose[:, :3], pose[:, 3]),
            )
    return model


def _rigid(rotation: Any, translation: Any) -> pycolmap.Rigid3d:
    return pycolmap.Rigid3d(pycolmap.Rotation3d(np.asarray(rotation)), np.asarray(translation))


def _error(model: pycolmap.Reconstruction) -> float:
    return float(model.compute_mean_reprojection_error())


def _numbers(model: pycolmap.Reconstruction) -> dict[str, Any]:
    return {"points": model.num_points3D(), "observations": model.compute_num_observations(), "error_px": _error(model)}


def _is_better(adjusted: pycolmap.Reconstruction, plain: pycolmap.Reconstruction) -> bool:
    more = adjusted.compute_num_observations() >= MORE_POINTS * plain.compute_num_observations()
    return more or _error(adjusted) <= ERROR_FALLS_TO * _error(plain)


def _is_far(told: Mapping[str, Any]) -> bool:
    return told["adjusted"] is not None and len(told["far"]) > MANY * told["cameras"]


def align(given: pycolmap.Reconstruction, model: pycolmap.Reconstruction) -> dict[str, Any]:
    """Brings the model into the world of the given cameras, and says how far these moved in it.

    Turns in degrees; ways as shares of the mean distance of the cameras from their centre.
    """
    before, after = (
        {image.name: image for image in one.images.values() if image.has_pose} for one in (given, model)
    )  # fmt: skip
    names = sorted(set(before) & set(after))
    rotations = np.array([_turn_between(before[name], after[name]) for name in names])
    turn = _nearest_rotation(rotations.sum(axis=0))
    here = np.array([after[name].projection_center() for name in names])
    there = np.array([before[name].projection_center() for name in names])
    turned, wanted = (here - here.mean(axis=0)) @ turn.T, there - there.mean(axis=0)
    scale = float((turned * wanted).sum() / max((turned**2).sum(), 1e-12))
    scale = scale if scale > 1e-6 else 1.0
    model.transform(
        pycolmap.Sim3d(scale, pycolmap.Rotation3d(turn), there.mean(axis=0) - scale * turn @ here.mean(axis=0))
    )
    ways = np.linalg.norm(scale * turned - wanted, axis=1) / max(float(np.linalg.norm(wanted, axis=1).mean()), 1e-9)
    cosines = (np.einsum("nij,ij->n", rotations, turn) - 1) / 2
    turns = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
    far = [name for name, way, angle in zip(names, ways, turns, strict=True) if way > FAR_SHARE or angle > FAR_DEG]
    return {"cameras": len(names), "moved_deg": float(np.median(turns)), "moved_share": float(np.median(ways)),
            "far": far}  # fmt: skip


def _turn_between(before: pycolmap.Image, after: pycolmap.Image) -> NDArray[np.float64]:
    """The rotation of the world of `after` into that of `before`, as this camera has it."""
    one, two = (np.asarray(image.cam_from_world().rotation.matrix()) for image in (before, after))
    return one.T @ two


def _nearest_rotation(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    u, _, vt = np.linalg.svd(matrix)
    return np.asarray(u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt)
