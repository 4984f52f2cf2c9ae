"""The masks of images as COLMAP reads them while it looks for features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from runner.scene.masks import Mask, mask_files, read_mask, write_mask

MARGIN = 0.01  # of the long side: a descriptor of the usual size reaches that far, and would hold what is masked


def feature_masks(masks: Path, names: Sequence[str], work: Path) -> Path | None:
    """A folder with <image>.png for each of these images of one size, or None when none of them has a mask.

    COLMAP leaves out an image whose mask it does not find, so all of them get one as soon as one has. work: folder for
    them.
    """
    with_masks = {name for name in names if mask_files(masks, name)}
    if not with_masks:
        return None
    folder = work / "masks"
    widened: dict[tuple[Path, ...], Mask] = {}
    for name in sorted(names, key=lambda name: name not in with_masks):  # one with a mask first: it tells the size
        files = tuple(mask_files(masks, name))
        if files not in widened:
            used = read_mask(masks, name)
            widened[files] = np.ones_like(next(iter(widened.values()))) if used is None else _wider(used)
        write_mask(folder / f"{name}.png", widened[files])
    return folder


def _wider(used: Mask) -> Mask:
    """Ignores the surroundings too."""
    from scipy.ndimage import minimum_filter  # half a CPU second, in each process of COLMAP; few scenes have masks

    reach = max(1, round(MARGIN * max(used.shape)))
    wider: Mask = minimum_filter(used.astype(np.uint8), 2 * reach + 1, mode="nearest") > 0
    return wider
