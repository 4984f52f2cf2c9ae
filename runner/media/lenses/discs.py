"""What lies around the disc of a fisheye is no part of the scene: a mask leaves it out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from runner.media.lenses.shape import DISC_DEG, Shape
from runner.scene.frames import ClipInfo, Frame
from runner.scene.masks import FOLDER, Mask, clip_mask, read_mask, write_mask

INSIDE = 0.97  # of the radius: at the rim the lens is dark and blurred, and the rim itself never moves


def mask_discs(clips: Sequence[ClipInfo], frames: Sequence[Frame], workspace: Path) -> None:
    """Adds it to workspace/masks/<clip>.png of clips whose picture is a disc, in the size of their frames."""
    for info in clips:
        first = next((frame for frame in frames if frame.video == info.name), None)
        if first is None:
            continue
        with Image.open(workspace / "frames" / first.image) as image:
            size = image.size
        if (used := disc_of(info, size, INSIDE)) is not None:
            overlays = read_mask(workspace / FOLDER, first.image)
            write_mask(clip_mask(workspace / FOLDER, info.folder), used if overlays is None else used & overlays)


def disc_of(info: ClipInfo, size: tuple[int, int], share: float) -> Mask | None:
    """[height, width] True within such a share of the radius; None: its picture is none. size: width, height in px."""
    if info.projection != Shape.FISHEYE or info.focal_px is None:
        return None
    width, height = size
    radius = info.focal_px * math.radians(DISC_DEG / 2) * width / info.width
    v, u = np.mgrid[0:height, 0:width] + 0.5
    return np.asarray(np.hypot(u - width / 2, v - height / 2) <= share * radius)
