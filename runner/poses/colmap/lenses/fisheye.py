"""Lenses that see more than a pinhole can: their camera model, found by trial, and the pinhole views made of them.

COLMAP's SIMPLE_RADIAL bends a pinhole; it fits action cameras up to about 100 degrees. A wider lens it fits as well,
with all images registered, at about a pixel of error, and wrong: in a rendered room filmed through an equidistant lens
of 120 degrees it put the cameras 17 degrees off. RADIAL_FISHEYE (radius = f (angle + k1 angle^3 + k2 angle^5)) has the
other law. Which one it is, the pictures say: the same matches are verified and mapped with it, and the error decides.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pycolmap
from numpy.typing import NDArray

from runner.poses.health import bend
from runner.poses.lens_warnings import USED_DEG, WIDE_DEG

MODEL = "RADIAL_FISHEYE"
BARREL = -0.2  # k1 of SIMPLE_RADIAL: lenses up to 100 degrees have more; an equidistant one of 120 degrees has -0.31
FEW = 0.5  # of the images registered: the lens may be why
ERROR_FALLS_TO = 0.9  # of the reprojection error with the usual model
USUAL_FOCAL = 0.42  # focal length / long side to begin with: a picture of 136 degrees
DISC_DEG = 190.0  # seen by a lens whose picture is a disc
SHORTEST = 0.1  # focal length / long side
WIDEST_DEG = 115.0  # from the middle to the edge of a picture; no lens sees more


def is_fisheye(camera: pycolmap.Camera) -> bool:
    """Is it a camera whose picture is not that of a bent pinhole?"""
    return bool(camera.is_perspective_fisheye())


def holds_fisheye(path: str) -> bool:
    """Does a database have such a camera?"""
    with pycolmap.Database.open(path) as database:
        return any(is_fisheye(camera) for camera in database.read_all_cameras())


def may_be_fisheye(models: Sequence[pycolmap.Reconstruction], database: str) -> bool:
    """Does what the usual model gave look like a lens that it cannot describe?"""
    with pycolmap.Database.open(database) as opened:
        image_count = opened.num_images()
    largest = max(models, key=lambda model: model.num_reg_images(), default=None)
    if largest is None:
        return False
    few = largest.num_reg_images() < FEW * image_count
    bends = [_bend(camera) for camera in largest.cameras.values() if camera.model_name == "SIMPLE_RADIAL"]
    return min(bends, default=0.0) < (BARREL / 2 if few else BARREL)


def as_fisheye(database: Path, threads: int, seed: int) -> Path:
    """A copy of a database whose cameras without a focal length from metadata are fisheyes, its matches verified anew.

    Verified with a focal length, as images of a fisheye have no fundamental matrix.
    """
    copy = database.with_name(f"{database.stem}_fisheye.db")
    if copy.is_file() and copy.stat().st_mtime_ns > database.stat().st_mtime_ns:  # else pairs were added since
        return copy
    part = copy.with_suffix(".part")
    shutil.copyfile(database, part)
    with pycolmap.Database.open(str(part)) as opened:
        for camera in opened.read_all_cameras():
            if not camera.has_prior_focal_length and camera.model_name == "SIMPLE_RADIAL":
                opened.update_camera(first_guess(camera.camera_id, camera.width, camera.height, None))
        opened.clear_two_view_geometries()
    options = pycolmap.TwoViewGeometryOptions()
    options.ransac.random_seed = seed
    verifier = pycolmap.GeometricVerifierOptions(num_threads=threads)
    pycolmap.geometric_verification(str(part), verifier_options=verifier, two_view_geometry_options=options)
    return part.replace(copy)


def first_guess(camera_id: int, width: int, height: int, focal_px: float | None) -> pycolmap.Camera:
    """A fisheye before it is adjusted. focal_px: None where nothing is known of it."""
    focal = focal_px or USUAL_FOCAL * max(width, height)
    number = getattr(pycolmap.CameraModelId, MODEL)
    camera = pycolmap.Camera.create_from_model_id(camera_id, number, focal, width, height)
    camera.has_prior_focal_length = True
    return camera


def is_better(fisheye: pycolmap.Reconstruction, usual: pycolmap.Reconstruction | None) -> bool:
    """Do the pictures say that the lens is a fisheye? Below WIDE_DEG the usual model fits as well, and is kept."""
    if max(map(seen_deg, fisheye.cameras.values()), default=0.0) < WIDE_DEG:
        return False
    if usual is None or fisheye.num_reg_images() > 1.2 * usual.num_reg_images():
        return True
    if fisheye.num_reg_images() < 0.95 * usual.num_reg_images():
        return False
    return bool(
        fisheye.compute_mean_reprojection_error() <= ERROR_FALLS_TO * usual.compute_mean_reprojection_error()
        and fisheye.compute_num_observations() >= 0.9 * usual.compute_num_observations()
    )


def seen_deg(camera: pycolmap.Camera) -> float:
    """How many degrees a fisheye sees across its picture; of a disc in a wide picture, across the disc."""
    side = max(camera.width, camera.height)
    across = 2 * math.degrees(_angle(camera, side / 2))
    return across if across <= 2 * WIDEST_DEG else DISC_DEG


def focal_ratio(camera: pycolmap.Camera) -> float:
    """Focal length / long side of the pinhole views that are made of it; 0 where no lens has such a picture."""
    if math.degrees(_angle(camera, min(camera.width, camera.height) / 2)) > WIDEST_DEG:
        return 0.0
    return 0.5 / math.tan(math.radians(min(seen_deg(camera), USED_DEG) / 2))


def pinhole_of(camera: pycolmap.Camera) -> pycolmap.Camera:
    """The camera of the views: as sharp in their middle, without what is further to the side than USED_DEG / 2."""
    focal = camera.mean_focal_length()
    half = math.radians(USED_DEG / 2)
    across, down = (min(half, _angle(camera, side / 2)) for side in (camera.width, camera.height))
    width, height = (max(2, 2 * math.floor(focal * math.tan(angle))) for angle in (across, down))
    params = [focal, focal, width / 2, height / 2]
    return pycolmap.Camera(camera_id=camera.camera_id, model="PINHOLE", width=width, height=height, params=params)


def undistorted(pixels: NDArray[np.uint8], camera: pycolmap.Camera) -> tuple[NDArray[np.uint8], pycolmap.Camera]:
    """[height, width, 3] of a pinhole view and its camera, bilinear. pixels: [height, width, 3] of the fisheye."""
    view = pinhole_of(camera)
    v, u = np.mgrid[0 : view.height, 0 : view.width] + 0.5
    focal = view.focal_length_x
    rays = np.stack([(u - view.width / 2) / focal, (v - view.height / 2) / focal, np.ones_like(u)], axis=-1)
    place = np.asarray(camera.img_from_cam(rays.reshape(-1, 3))).reshape(view.height, view.width, 2) - 0.5
    column = np.clip(place[..., 0], 0, camera.width - 1.001).astype(np.float32)
    row = np.clip(place[..., 1], 0, camera.height - 1.001).astype(np.float32)
    left, top = column.astype(np.int32), row.astype(np.int32)
    across, below = (column - left)[..., None], (row - top)[..., None]
    upper = pixels[top, left] * (1 - across) + pixels[top, left + 1] * across
    lower = pixels[top + 1, left] * (1 - across) + pixels[top + 1, left + 1] * across
    moved: NDArray[np.uint8] = np.rint(upper * (1 - below) + lower * below).astype(np.uint8)
    return moved, view


def _angle(camera: pycolmap.Camera, radius_px: float) -> float:
    """Radians from the middle at a distance from it; those of an equidistant lens where this one does not reach so far.

    Without its k1 and k2 an ordinary lens of 65 degrees, which they can describe, would be one of 74.
    """
    names = [name.strip() for name in camera.params_info.split(",")]
    bends = [value for name, value in zip(names, camera.params, strict=True) if name.startswith("k")]
    angles = np.linspace(0, math.pi, 2_001)
    reach_px = camera.mean_focal_length() * angles * (1 + sum(k * angles ** (2 * i) for i, k in enumerate(bends, 1)))
    beyond = np.flatnonzero(reach_px >= radius_px)
    if len(beyond) == 0 or beyond[0] == 0:
        return float(radius_px / camera.mean_focal_length())
    around = np.s_[beyond[0] - 1 : beyond[0] + 1]
    return float(np.interp(radius_px, reach_px[around], angles[around]))


def _bend(camera: pycolmap.Camera) -> float:
    """Of a SIMPLE_RADIAL camera."""
    ratio = camera.mean_focal_length() / max(camera.width, camera.height)
    return float(bend(np.array([camera.params[3]]), np.array([ratio]))[0])
