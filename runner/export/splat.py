"""The .splat file of a scene: 32 bytes per Gaussian, the most important first, so that viewers can stream it.

Layout (https://github.com/antimatter15/splat, `convert.py`): position 3 x f32, standard deviations 3 x f32 (linear),
colour and opacity RGBA 4 x u8, rotation 4 x u8 as q / |q| * 128 + 128 in wxyz. Numbers are cut, not rounded, as there.
The format has no view-dependent colour: spherical harmonics above degree 0 are dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.export.quaternions import unit
from runner.export.validity import ExportReport, bad_file, drawable, require_some
from runner.files.atomic import write_atomically
from runner.scene.gaussians import SH_C0, Gaussians

ROW = np.dtype([("means", "<f4", 3), ("scales", "<f4", 3), ("rgba", "u1", 4), ("quats", "u1", 4)])
CHUNK = 1 << 17  # rows at once: 4 MB


def write_splat(gaussians: Gaussians, path: Path) -> ExportReport:
    """Writes the scene atomically, sorted by size x opacity, descending.

    Raises RunnerError when no Gaussian can be drawn, ResourceError when the disk is full.
    """
    with np.errstate(over="ignore"):  # a scale that is no float32 leaves as infinite, and is dropped
        keep = drawable(gaussians) & np.isfinite(np.exp(gaussians.log_scales, dtype=np.float32)).all(axis=1)
    rows = np.flatnonzero(keep)
    require_some(rows.size, gaussians.count, path.name)
    rows = rows[np.argsort(-importance(gaussians, rows), kind="stable")]
    written = write_atomically(path, _blocks(gaussians, rows))
    return ExportReport(rows.size, gaussians.count - rows.size, written.size_bytes, written.sha256)


def read_splat(path: Path) -> Gaussians:
    """Reads a .splat file, as exactly as its 8 bits allow; SH degree 0. Raises InputError when it is something else."""
    size_bytes = path.stat().st_size
    if size_bytes == 0 or size_bytes % ROW.itemsize:
        raise bad_file(path.name, f"has {size_bytes:,} bytes, which is no multiple of {ROW.itemsize}")
    rows = np.fromfile(path, dtype=ROW)
    if not (np.isfinite(rows["means"]).all() and np.isfinite(rows["scales"]).all() and (rows["scales"] >= 0).all()):
        raise bad_file(path.name, "holds positions or scales that are no numbers")
    colors = rows["rgba"][:, :3].astype(np.float32) / np.float32(255)
    # Fully opaque and fully transparent have no finite logit: half a step inside.
    opacity = np.clip(rows["rgba"][:, 3].astype(np.float32) / 255, 0.5 / 255, 1 - 0.5 / 255)
    return Gaussians(
        means=rows["means"].copy(),
        quats=(rows["quats"].astype(np.float32) - np.float32(128)) / np.float32(128),
        log_scales=np.log(np.maximum(rows["scales"], np.finfo(np.float32).tiny)),
        opacity_logits=np.log(opacity / (1 - opacity)),
        sh0=(colors - np.float32(0.5)) / np.float32(SH_C0),
        sh_rest=np.zeros((len(rows), 0, 3), np.float32),
    )


def importance(gaussians: Gaussians, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """[rows] log of volume x opacity; in logarithms, because products of tiny scales vanish in float32."""
    logits = gaussians.opacity_logits[rows].astype(np.float64)
    volume: NDArray[np.float64] = gaussians.log_scales[rows].sum(axis=1, dtype=np.float64)
    return volume - np.logaddexp(0.0, -logits)


def _blocks(gaussians: Gaussians, order: NDArray[np.intp]) -> Iterator[bytes]:
    for start in range(0, len(order), CHUNK):
        rows = order[start : start + CHUNK]
        block = np.empty(len(rows), ROW)
        block["means"] = gaussians.means[rows]
        block["scales"] = np.exp(gaussians.log_scales[rows])
        block["rgba"][:, :3] = _to_bytes((gaussians.sh0[rows] * np.float32(SH_C0) + np.float32(0.5)) * 255)
        with np.errstate(over="ignore"):  # exp(+large) is infinite, and 1 / (1 + inf) is the right 0
            block["rgba"][:, 3] = _to_bytes(255 / (1 + np.exp(-gaussians.opacity_logits[rows])))
        block["quats"] = _to_bytes(unit(gaussians.quats[rows]) * 128 + 128)
        yield block.tobytes()


def _to_bytes(values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    cut: NDArray[np.uint8] = np.clip(values, 0, 255).astype(np.uint8)
    return cut
