"""Intrinsics of the cameras of a sparse model, as COLMAP names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runner.scene import cameras
from runner.scene.frames import FrameSet


def intrinsics(
    workspace: Path, frames: FrameSet
) -> tuple[tuple[cameras.CameraIntrinsics, ...], dict[str, dict[str, Any]]]:
    """The cameras of the sparse model with their distortion: one per clip that has registered frames; by image.

    By image they are as cameras.json has them: model, width, height in px, params in COLMAP's order.
    Raises ConfigurationError for a camera model that cannot be described.
    """
    import pycolmap  # here: the module is imported before a job that fails on its videos needs it

    model = pycolmap.Reconstruction(workspace / "sparse")
    folders = {clip.folder: clip.name for clip in frames.clips}
    found: dict[str, cameras.CameraIntrinsics] = {}
    lenses: dict[str, dict[str, Any]] = {}
    for image in model.images.values():
        lens = model.cameras[image.camera_id]
        lenses[image.name] = {
            "model": lens.model.name, "width": lens.width, "height": lens.height, "params": list(lens.params),
        }  # fmt: skip
        video = folders.get(image.name.split("/")[0])
        if video is None or video in found:
            continue
        found[video] = cameras.CameraIntrinsics.from_colmap(
            video, lens.model.name, lens.width, lens.height, list(lens.params)
        )
    return tuple(found[clip.name] for clip in frames.clips if clip.name in found), lenses
