"""SIFT features (Lowe 2004) of images enlarged to twice their sides, by OpenCV.

COLMAP's own takes two to three times the CPU time. Both find the same places, to a thousandth of a pixel, and write a
descriptor in the same order, so their features match each other.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pycolmap
from numpy.typing import NDArray

SHARE = 1.25  # of the limit: COLMAP keeps whole layers, up to 1.4 of it; with 1.0 cameras are up to 14 % further off
LAYERS = 3  # of an octave, as COLMAP has them
OCTAVES = 4  # from the enlarged one on, as COLMAP has them: the place of a larger feature is too vague
CONTRAST, EDGE, SIGMA = 0.02 / LAYERS, 10.0, 1.6  # COLMAP's
CENTRE = 0.5  # px: COLMAP's origin is the corner of a pixel, OpenCV's its middle


class Found(NamedTuple):
    """Features of an image."""

    keypoints: NDArray[np.float32]  # [F, 4] x, y in px of the image, scale in px, orientation in radians
    descriptors: NDArray[np.uint8]  # [F, 128] RootSIFT (Arandjelovic and Zisserman 2012), times 512


class Limits(NamedTuple):
    """What is looked for."""

    features: int
    max_image_size: int  # px, long side
    contrast: float  # of COLMAP's threshold


def find_enlarged(path: Path, mask: Path | None, limits: Limits) -> Found:
    """The largest features of an image. mask: image of its size, nothing is found where it is 0."""
    import cv2  # a fifth of a second, and many scenes have no image that is enlarged

    bitmap = _grey(path)
    width, height = bitmap.width, bitmap.height
    if (long_side := max(width, height)) > limits.max_image_size:
        smaller = limits.max_image_size / long_side
        bitmap.rescale(int(width * smaller), int(height * smaller))
    ratios = np.array([width / bitmap.width, height / bitmap.height], np.float32)
    sift = cv2.SIFT.create(
        0, LAYERS, LAYERS * CONTRAST * limits.contrast, EDGE, SIGMA, cv2.CV_32F, enable_precise_upscale=True
    )  # without precise_upscale places are off by a quarter of a pixel
    found, descriptors = sift.detectAndCompute(bitmap.to_array(), None)
    if not found:
        return Found(np.zeros((0, 4), np.float32), np.zeros((0, 128), np.uint8))
    keypoints = np.array([(*each.pt, each.size / 2, np.deg2rad(each.angle)) for each in found], np.float32)
    octaves = np.array([each.octave for each in found], np.int32).astype(np.int8)  # its lowest byte, -1 is the enlarged
    keypoints[:, :2] = (keypoints[:, :2] + CENTRE) * ratios
    keypoints[:, 2] *= np.sqrt(ratios.prod())
    usable = octaves < OCTAVES - 1
    if mask is not None:
        places = keypoints[:, :2].astype(int)
        usable &= _grey(mask).to_array()[places[:, 1], places[:, 0]] > 0
    kept = np.flatnonzero(usable)
    kept = kept[np.argsort(-keypoints[kept, 2], kind="stable")][: round(SHARE * limits.features)]
    return Found(keypoints[kept], _root(np.asarray(descriptors, np.float32)[kept]))


def _one_thread() -> None:
    import cv2

    cv2.setNumThreads(1)  # an image for each thread instead


def _grey(path: Path) -> pycolmap.Bitmap:
    bitmap = pycolmap.Bitmap.read(str(path), as_rgb=False)  # with COLMAP's weights of the colours
    if bitmap is None:
        raise OSError(f"{path.name} cannot be read as a picture")
    return bitmap


def _root(descriptors: NDArray[np.float32]) -> NDArray[np.uint8]:
    shares = descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9)
    root: NDArray[np.uint8] = np.minimum(np.rint(512 * np.sqrt(shares)), 255).astype(np.uint8)
    return root


def write_enlarged(
    database: str, images: Path, masks: Path | None, names: Sequence[str], limits: Limits, threads: int
) -> None:
    """Features of those of these images that are in the database and have none yet.

    masks: folder with <image>.png for each. threads: -1 for one on each core.
    """
    at_once = threads if threads > 0 else os.cpu_count()
    with pycolmap.Database.open(database) as opened, ThreadPoolExecutor(at_once, initializer=_one_thread) as pool:
        ids = {image.name: image.image_id for image in opened.read_all_images()}
        missing = [name for name in names if name in ids and not opened.exists_keypoints(ids[name])]
        for name, found in zip(missing, pool.map(
            lambda name: find_enlarged(images / name, masks and masks / f"{name}.png", limits), missing
        ), strict=True):  # fmt: skip
            across, down = (found.keypoints[:, 2] * turned(found.keypoints[:, 3]) for turned in (np.cos, np.sin))
            shape = np.column_stack([found.keypoints[:, :2], across, -down, down, across])
            opened.write_keypoints(ids[name], shape)
            opened.write_descriptors(ids[name], pycolmap.FeatureDescriptors(
                pycolmap.FeatureExtractorType.SIFT, found.descriptors
            ))  # fmt: skip
