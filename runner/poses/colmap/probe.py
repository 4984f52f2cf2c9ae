"""A first look at how the camera moved, from few pairs of images, before all of them are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pycolmap

from runner.poses.colmap.matching import WHOLE
from runner.poses.colmap.parallax import Pairs, moves
from runner.poses.colmap.requests import Motion, Motions, Probe


def probe(request: Probe) -> Motions:
    """The pairs are compared as `match` does it, which finds them done."""
    matching = pycolmap.FeatureMatchingOptions(num_threads=request.threads, use_gpu=False)
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = request.seed
    path = Path(request.database).with_name("probe.txt")
    wanted = [
        [(a, b) for i, a in enumerate(names) for b in names[i + 1 : i + 1 + request.reach]] for names in request.lists
    ]
    path.write_text("".join(f"{a} {b}\n" for pairs in wanted for a, b in pairs))
    pycolmap.match_image_pairs(
        request.database, matching_options=matching, verification_options=verification,
        pairing_options=pycolmap.ImportedPairingOptions(match_list_path=str(path)),
    )  # fmt: skip
    with pycolmap.Database.open(request.database) as database:
        images = {image.name: image for image in database.read_all_images()}
        sizes = {camera.camera_id: (camera.width, camera.height) for camera in database.read_all_cameras()}
        found = []
        for names, pairs in zip(request.lists, wanted, strict=True):
            geometries = [database.read_two_view_geometry(images[a].image_id, images[b].image_id) for a, b in pairs]
            fitting = [one for one in geometries if len(one.inlier_matches) >= verification.min_num_inliers]
            found.append(_motion(fitting, sizes[images[names[0]].camera_id] if names else (1, 1)))
    return Motions(motions=tuple(found))


def _motion(geometries: list[Any], size: tuple[int, int]) -> Motion:
    """geometries: pycolmap.TwoViewGeometry."""
    pairs = Pairs(
        np.array([np.asarray(one.H) for one in geometries], np.float64).reshape(-1, 3, 3),
        np.array([one.config in WHOLE for one in geometries], bool),
        np.array([size] * len(geometries), np.float64).reshape(-1, 2),
    )
    still, turned, slid = (int(found.sum()) for found in moves(pairs))
    return Motion(verified=len(geometries), still=still, turned=turned, slid=slid)
