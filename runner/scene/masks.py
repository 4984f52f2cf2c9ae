"""What of the pictures is not the scene: masks in the workspace, 255 where a pixel is used and 0 where it is ignored.

    masks/<clip>.png           of all frames of a clip: stamps, overlays, what covers a corner of the lens
    masks/<clip>/<index>.png   of one frame: what moves there

Both have the size of the frames. A pixel is used where all masks of its frame use it; most frames have none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runner.scene.frames import FrameSet

FOLDER = "masks"  # inside the workspace
USED, IGNORED = 255, 0

Mask = NDArray[np.bool_]  # [height, width], True where a pixel is used


def clip_mask(masks: Path, folder: str) -> Path:
    """Where the mask of all frames of a clip is. folder: ClipInfo.folder."""
    return masks / f"{folder}.png"


def mask_files(masks: Path, image: str) -> list[Path]:
    """The masks of a frame that exist. image: Frame.image."""
    folder = image.split("/")[0]
    return [path for path in (clip_mask(masks, folder), masks / image) if path.is_file()]


def read_mask(masks: Path, image: str) -> Mask | None:
    """Of a frame, all its masks together; None where it has none. Raises ValueError when their sizes differ."""
    used: Mask | None = None
    for path in mask_files(masks, image):
        with Image.open(path) as file:
            one: Mask = np.asarray(file.convert("L")) == USED
        if used is not None and used.shape != one.shape:
            raise ValueError(f"the masks of {image} have different sizes")
        used = one if used is None else used & one
    return used


def write_mask(path: Path, used: Mask) -> None:
    """used [height, width]. Its folder is made here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.where(used, USED, IGNORED).astype(np.uint8)).save(path, "PNG", compress_level=1)


def digest_of(masks: Path, image: str) -> str:
    """One word that changes when the masks of a frame do; empty where it has none."""
    digest = hashlib.sha256()
    files = mask_files(masks, image)
    for path in files:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest() if files else ""


def masks_digest(masks: Path, images: Iterable[str]) -> str:
    """One word that changes when any mask of these frames does; empty where none has one."""
    found = [(image, word) for image in images if (word := digest_of(masks, image))]
    return hashlib.sha256(repr(found).encode()).hexdigest()[:32] if found else ""


def digest_of_frames(workspace: Path, frames: FrameSet) -> str:
    """`masks_digest` of all frames of a scene."""
    return masks_digest(workspace / FOLDER, (frame.image for frame in frames.frames))
