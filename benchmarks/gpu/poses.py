"""Features and matches on the GPU against the CPU; a row that says what is missing where pycolmap has no CUDA."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

HEADER = "| pictures | on | features s | matches s |\n| --- | --- | --- | --- |"
PICTURES, SIZE = 24, (1600, 1200)
TOY_PICTURES, TOY_SIZE = 3, (160, 120)


def rows(toy: bool) -> list[str]:
    """A line for the CPU, and one for the GPU or for why there is none."""
    import pycolmap

    count, size = (TOY_PICTURES, TOY_SIZE) if toy else (PICTURES, SIZE)
    lines = [measured(pycolmap, pycolmap.Device.cpu, "CPU", count, size)]
    if pycolmap.has_cuda:
        lines.append(measured(pycolmap, pycolmap.Device.cuda, "GPU", count, size))
    else:
        lines.append(
            f"| {count} of {size[0]} x {size[1]} | GPU | missing: pycolmap {pycolmap.__version__} has no CUDA | |"
        )
    return lines


def measured(pycolmap: object, device: object, name: str, count: int, size: tuple[int, int]) -> str:
    """Overlapping cuts of one texture, all pairs."""
    with tempfile.TemporaryDirectory() as folder:
        pictures, database = Path(folder) / "pictures", Path(folder) / "database.db"
        textures(pictures, count, size)
        begun_s = time.monotonic()
        pycolmap.extract_features(database, pictures, device=device)  # type: ignore[attr-defined]
        extracted_s = time.monotonic()
        pycolmap.match_exhaustive(database, device=device)  # type: ignore[attr-defined]
        matched_s = time.monotonic()
    times = f"{extracted_s - begun_s:.1f} | {matched_s - extracted_s:.1f}"
    return f"| {count} of {size[0]} x {size[1]} | {name} | {times} |"


def textures(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Blurred noise of several sizes, moved by a tenth of the width from picture to picture."""
    from PIL import Image
    from scipy.ndimage import gaussian_filter

    folder.mkdir()
    width, height = size
    rng = np.random.default_rng(0)
    whole = sum(gaussian_filter(rng.normal(size=(height, 4 * width)), sigma) * sigma for sigma in (1.5, 4.0, 12.0))
    whole = np.uint8(255 * (whole - whole.min()) / np.ptp(whole))
    for number in range(count):
        left = number * width // 10
        Image.fromarray(whole[:, left : left + width]).convert("RGB").save(folder / f"{number:03d}.png")
