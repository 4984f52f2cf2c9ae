"""The training views of a scene as a COLMAP project: what another trainer may see, and no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from runner.export.colmap_model import colmap_model
from runner.scene.views import TrainingScene


def training_part(scene: TrainingScene) -> TrainingScene:
    """The scene without its held-out views and what they saw; the points stay, as our training begins with all."""
    kept = scene.subset("train")
    place = np.full(len(scene.views), -1, np.int32)
    place[kept] = np.arange(len(kept))
    seen = place[scene.sightings[:, 0]] >= 0
    sightings = np.column_stack([place[scene.sightings[seen, 0]], scene.sightings[seen, 1]]).astype(np.int32)
    return replace(
        scene,
        views=tuple(scene.views[index] for index in kept),
        pixels=tuple(scene.pixels[index] for index in kept),
        masks=tuple(scene.mask(index) for index in kept) if scene.masks else (),
        sightings=sightings,
        seen_at=scene.seen_at[seen] if len(scene.seen_at) else scene.seen_at,
    )


def picture_name(index: int) -> str:
    """Of a training view: its place among them."""
    return f"{index:04d}.png"


def write_project(scene: TrainingScene, folder: Path) -> None:
    """images/ (undistorted, without loss) and sparse/0/ in COLMAP's binary files."""
    part = training_part(scene)
    names = [picture_name(index) for index in range(len(part.views))]
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "sparse" / "0").mkdir(parents=True, exist_ok=True)
    for name, pixels in zip(names, part.pixels, strict=True):
        Image.fromarray(pixels).save(folder / "images" / name)
    model = colmap_model(part, names)
    for name, content in (("cameras", model.cameras), ("images", model.images), ("points3D", model.points)):
        (folder / "sparse" / "0" / f"{name}.bin").write_bytes(content)
