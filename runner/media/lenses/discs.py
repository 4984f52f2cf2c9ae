"""What lies around the disc of a fisheye is no part of the scene: a mask leaves it out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from runner.media.lenses.shape import DISC_DEG, Shape
from runner.scene.frames import ClipInfo, Frame
from runner.scene.masks import FOLDER, clip_mask, write_mask

INSIDE = 0.97  # of the radius: at the rim the lens is dark and blurred, and the rim itself never moves


def mask_discs(clips: Sequence[ClipInfo], frames: Sequence[Frame], workspace: Path) -> None:
    """Writes workspace/masks/<clip>.png for clips whose picture is a disc, in the size of their frames."""
    for info in clips:
        first = next((frame for frame in frames if frame.video == info.name), None)
        if info.projection != Shape.FISHEYE or info.focal_px is None or first is None:
            continue
        with Image.open(workspace / "frames" / first.image) as image:
            width, height = image.size
        radius = info.focal_px * math.radians(DISC_DEG / 2) * width / info.width
        v, u = np.mgrid[0:height, 0:width] + 0.5
        write_mask(
            clip_mask(workspace / FOLDER, info.folder), np.hypot(u - width / 2, v - height / 2) <= INSIDE * radius
        )
