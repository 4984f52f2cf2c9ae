"""Views that were cut out of the same 360-degree frames, as one rig of COLMAP.

Such views were taken at one moment from one place, in directions that are known exactly, with a lens that is known
exactly: one pose for all of them is looked for, and nothing else of them is adjusted. COLMAP calls that a rig whose
sensors are constant (its documentation: "Rig Support", and the example `panorama_sfm.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pycolmap

from runner.scene.view_directions import cam_from_first


def configure(path: str, rigs: Sequence[Sequence[str]]) -> None:
    """Joins the images of a database to rigs. rigs: of each the image folders, a quarter turn from one to the next.

    Images of other folders stay on their own. What was joined before is joined anew.
    """
    if not rigs:
        return
    configs = []
    for folders in rigs:
        cameras = []
        for turns, folder in enumerate(folders):
            camera = pycolmap.RigConfigCamera(image_prefix=f"{folder}/", ref_sensor=turns == 0)
            if turns:
                rotation = pycolmap.Rotation3d(cam_from_first(turns))
                camera.cam_from_rig = pycolmap.Rigid3d(rotation, np.zeros(3))
            cameras.append(camera)
        configs.append(pycolmap.RigConfig(cameras=cameras))
    with pycolmap.Database.open(path) as database:
        pycolmap.apply_rig_config(configs, database)


def moment(name: str, rigs: Sequence[Sequence[str]]) -> str:
    """What an image has in common with the other views of its 360-degree frame; of other images their name."""
    folder, _, file = name.rpartition("/")
    return next((f"rig {number}/{file}" for number, one in enumerate(rigs) if folder in one), name)


def known_cameras(path: str) -> set[int]:
    """The cameras of a database whose lens is known exactly: those of rigs."""
    with pycolmap.Database.open(path) as database:
        return {
            sensor.id
            for rig in database.read_all_rigs() if rig.num_sensors() > 1
            for sensor in [rig.ref_sensor_id, *rig.non_ref_sensors]
        }  # fmt: skip


def has_rigs(model: pycolmap.Reconstruction) -> bool:
    """Does a model hold views that were taken together?"""
    return any(rig.num_sensors() > 1 for rig in model.rigs.values())


def hold_still(options: pycolmap.BundleAdjustmentOptions) -> pycolmap.BundleAdjustmentOptions:
    """Adjusts poses and points only."""
    options.refine_focal_length = options.refine_principal_point = options.refine_extra_params = False
    options.refine_sensor_from_rig = False
    return options
