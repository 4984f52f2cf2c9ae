"""SIFT features into COLMAP's database, with no more work than the limit on their number needs."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
import pycolmap
from PIL import Image

from runner.poses.colmap.features.enlarged import Limits, write_enlarged
from runner.poses.colmap.features.masks import feature_masks
from runner.poses.colmap.lenses import fisheye
from runner.poses.colmap.requests import SCRATCH, Extract, Features, Group, Source

WEAK = 0.5  # of SIFT's usual contrast threshold, for images without much
LARGE = 1000  # px, long side; in smaller pictures the features that enlarging adds are those that place the cameras
LOOKED_AT = 3  # images of a group that say whether the others need to be enlarged


def extract(request: Extract) -> Features:
    """SIFT features into the database, one camera per group: a shot keeps its lens, another may have another.

    Images that are in the database already are skipped, and their group goes on with the camera they have. Nothing is
    found where a mask ignores pixels, and close to it.
    """
    source = request.source
    for group in request.groups:
        masks = feature_masks(Path(request.masks), group.names, Path(source.database).parent) if request.masks else None
        _import(source, group)
        _without_enlarging(request, group, str(masks or ""))
        limits = Limits(request.features, request.max_image_size, WEAK if request.sensitive else 1.0)
        write_enlarged(source.database, Path(source.images), masks, group.names, limits, request.threads)
    wanted = {name for group in request.groups for name in group.names}
    with pycolmap.Database.open(source.database) as database:
        found = {image.name: database.num_keypoints_for_image(image.image_id) for image in database.read_all_images()}
    return Features(features={name: count for name, count in found.items() if name in wanted})


def reader_of(source: Source, group: Group) -> pycolmap.ImageReaderOptions:
    """How the images of a group come into the database: with the camera they have there, or a new one."""
    model = {"pinhole": "SIMPLE_PINHOLE", "fisheye": fisheye.MODEL}.get(group.lens, source.camera_model)
    reader = pycolmap.ImageReaderOptions(camera_model=model)
    known = _camera_of(source.database, group.names)
    if known is not None:
        reader.existing_camera_id = known
    elif group.focal_ratio is not None:
        reader.camera_params = _prior(source, model, group.names[0], group.focal_ratio)
    return reader


def _without_enlarging(request: Extract, group: Group, masks: str) -> None:
    """Features of the images that have enough of them at their own size.

    What enlarging an image to twice its sides adds are the smallest ones: where the limit is reached without them, they
    would be dropped again.
    """
    wanted = ceil(_enough(request, group) * request.features)
    database = Path(request.source.database)
    names = [name for name in group.names if name not in _names_in(database, with_features=True)]
    looked_at = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, LOOKED_AT).astype(int))] if names else []
    scratch = database.with_name(SCRATCH)
    scratch.unlink(missing_ok=True)
    own = pycolmap.ImageReaderOptions(camera_model=request.source.camera_model)
    own.mask_path = masks
    try:
        for some in (looked_at, names):
            if not some or (some is names and len(_rich(scratch, wanted)) <= len(looked_at) // 2):
                return
            _extract(request, str(scratch), some, own)
        _copy(scratch, database, _rich(scratch, wanted))
    finally:
        scratch.unlink(missing_ok=True)


def _enough(request: Extract, group: Group) -> float:
    """Share of the features below which a picture is enlarged for more; all of them where pictures are small."""
    with Image.open(Path(request.source.images) / group.names[0]) as image:
        seen = min(max(image.size), request.max_image_size)
    return request.enough if seen >= LARGE else 1.0


def _extract(request: Extract, database: str, names: Sequence[str], reader: pycolmap.ImageReaderOptions) -> None:
    """Features of images at their own size, by COLMAP, which OpenCV has no way to ask for."""
    options = pycolmap.FeatureExtractionOptions(
        max_image_size=request.max_image_size, num_threads=request.threads, use_gpu=False
    )
    options.sift.max_num_features = request.features
    options.sift.first_octave = 0
    if request.sensitive:
        options.sift.peak_threshold *= WEAK
    pycolmap.extract_features(
        database, request.source.images, image_names=list(names), camera_mode=pycolmap.CameraMode.SINGLE,
        reader_options=reader, extraction_options=options,
    )  # fmt: skip


def _import(source: Source, group: Group) -> None:
    """The images of a group that are not there yet, in order, without features."""
    pycolmap.Database.open(source.database).close()
    there = _names_in(Path(source.database), with_features=False)
    if missing := [name for name in group.names if name not in there]:
        pycolmap.import_images(
            source.database, source.images, camera_mode=pycolmap.CameraMode.SINGLE, image_names=missing,
            options=reader_of(source, group),
        )  # fmt: skip


def _copy(scratch: Path, database: Path, names: Sequence[str]) -> None:
    with pycolmap.Database.open(str(scratch)) as found, pycolmap.Database.open(str(database)) as target:
        for name in names:
            one, other = found.read_image_with_name(name), target.read_image_with_name(name)
            if one is not None and other is not None and not target.exists_keypoints(other.image_id):
                target.write_keypoints(other.image_id, found.read_keypoints(one.image_id))
                target.write_descriptors(other.image_id, found.read_descriptors(one.image_id))


def _rich(scratch: Path, wanted: int) -> list[str]:
    """Images with as many features as are wanted, in order."""
    with pycolmap.Database.open(str(scratch)) as opened:
        images = opened.read_all_images()
        return [image.name for image in images if opened.num_keypoints_for_image(image.image_id) >= wanted]


def _names_in(path: Path, *, with_features: bool) -> set[str]:
    if not path.is_file():
        return set()
    with pycolmap.Database.open(str(path)) as database:
        images = database.read_all_images()
        return {image.name for image in images if not with_features or database.exists_keypoints(image.image_id)}


def _camera_of(path: str, names: Sequence[str]) -> int | None:
    """The camera that images of a group were given before."""
    if not Path(path).is_file():
        return None
    with pycolmap.Database.open(path) as database:
        for name in names:
            if (image := database.read_image_with_name(name)) is not None:
                return int(image.camera_id)
    return None


def _prior(source: Source, model: str, name: str, focal_ratio: float) -> str:
    """Parameters of the camera of an image with the focal length of the metadata; COLMAP refines it."""
    with Image.open(Path(source.images) / name) as image:
        width, height = image.size
    number = getattr(pycolmap.CameraModelId, model)
    camera = pycolmap.Camera.create_from_model_id(1, number, focal_ratio * max(width, height), width, height)
    return ",".join(map(repr, map(float, camera.params)))
