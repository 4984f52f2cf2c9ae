"""The compressed PLY of a scene (`.compressed.ply`), as PlayCanvas and SuperSplat read it; and its strict reader.

Layout (https://github.com/playcanvas/splat-transform, `write-compressed-ply.ts`): groups of 256 Gaussians that lie
close together, each with the smallest and largest position, log scale and colour; per Gaussian four 32-bit words that
place it between those (11, 10 and 11 bits; 8 bits a colour and opacity; rotation as 2 + 3 x 10 bits), and one byte per
spherical harmonic from -4 to 4.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from runner.export.ply import COEFFICIENTS
from runner.export.ply_elements import file_of, map_elements
from runner.export.quaternions import from_smallest_three, smallest_three
from runner.export.validity import ExportReport, bad_file, drawable, require_some
from runner.files.atomic import write_atomically
from runner.scene.gaussians import SH_C0, Gaussians

GROUP = 256  # Gaussians
BOUNDS = ("x", "y", "z", "scale_x", "scale_y", "scale_z", "r", "g", "b")
WORDS = ("position", "rotation", "scale", "color")
SCALE_LIMIT = 20.0  # of log scales: what lies beyond would spoil the bits of its group
MAX_POINTS = 20_000_000
CHUNK = np.dtype(
    [(f"{side}_{name}", "<f4") for k in range(0, 9, 3) for side in ("min", "max") for name in BOUNDS[k : k + 3]]
)
VERTEX = np.dtype([(f"packed_{word}", "<u4") for word in WORDS])


def write_compressed(gaussians: Gaussians, path: Path) -> ExportReport:
    """Writes the scene atomically. Raises RunnerError when no Gaussian can be drawn, ResourceError on a full disk."""
    rows = np.flatnonzero(drawable(gaussians))
    require_some(rows.size, gaussians.count, path.name)
    rows = rows[np.argsort(_morton(gaussians.means[rows]), kind="stable")]
    ordered = gaussians.subset(rows)
    written = write_atomically(path, file_of(_elements(ordered)))
    return ExportReport(rows.size, gaussians.count - rows.size, written.size_bytes, written.sha256)


def read_compressed(path: Path) -> Gaussians:
    """Reads what `write_compressed` writes, as exactly as its bits allow. Raises InputError for anything else."""
    elements = map_elements(path, exact=True)
    rest = len(elements["sh"].dtype.names or ()) if "sh" in elements else 0
    if [(name, rows.dtype) for name, rows in elements.items()] != _layout(rest):
        raise bad_file(path.name, "has no header of a compressed 3DGS PLY")
    chunks, vertices = elements["chunk"], elements["vertex"]
    count = len(vertices)
    fits = len(chunks) == -(-count // GROUP) and (not rest or len(elements["sh"]) == count)
    if not 0 < count <= MAX_POINTS or not fits or rest not in COEFFICIENTS:
        raise bad_file(path.name, "has numbers of groups, Gaussians and properties that do not fit together")
    bounds = _table(chunks, "<f4").reshape(-1, 6, 3)
    if not np.isfinite(bounds).all():
        raise bad_file(path.name, "holds bounds that are no numbers")
    harmonics = _table(elements["sh"], "u1") if rest else np.empty((count, 0), np.uint8)
    return _unpack(bounds, _table(vertices, "<u4"), harmonics)


def _layout(rest: int) -> list[tuple[str, np.dtype[np.void]]]:
    """The elements of a file with `rest` coefficients of spherical harmonics per Gaussian."""
    harmonics = np.dtype([(f"f_rest_{i}", "u1") for i in range(rest)])
    return [("chunk", CHUNK), ("vertex", VERTEX), *([("sh", harmonics)] if rest else [])]


def _table(rows: NDArray[np.void], kind: str) -> NDArray[Any]:
    """[N, fields] of rows whose fields are all of one kind."""
    table: NDArray[Any] = np.array(rows).view(kind).reshape(len(rows), -1)
    return table


def _elements(gaussians: Gaussians) -> dict[str, NDArray[np.void]]:
    """chunk, vertex and, above SH degree 0, sh: of Gaussians in the order of the file."""
    count, per_channel = gaussians.count, gaussians.sh_rest.shape[1]
    values = [
        gaussians.means,
        np.clip(gaussians.log_scales, -SCALE_LIMIT, SCALE_LIMIT),
        np.clip(gaussians.sh0 * np.float32(SH_C0) + np.float32(0.5), 0, 1),  # what lies outside is cut when drawn
    ]
    starts = np.arange(0, count, GROUP)
    low = np.stack([np.minimum.reduceat(value, starts) for value in values], axis=1).astype("<f4")  # [groups, 3, 3]
    high = np.stack([np.maximum.reduceat(value, starts) for value in values], axis=1).astype("<f4")
    bounds = np.stack([low, high], axis=2).reshape(len(starts), 18)

    group = np.arange(count) // GROUP
    span = np.maximum(high - low, np.float32(1e-20))
    position, scale, color = ((value - low[group, k]) / span[group, k] for k, value in enumerate(values))
    opacity = expit(gaussians.opacity_logits.astype(np.float64))
    words = np.stack(
        [
            _words(position, (11, 10, 11)),
            _pack_rotations(gaussians.quats),
            _words(scale, (11, 10, 11)),
            _words(np.column_stack([color, opacity]), (8, 8, 8, 8)),
        ],
        axis=1,
    )
    tables = [bounds, words.astype("<u4")]
    if per_channel:
        rest = gaussians.sh_rest.transpose(0, 2, 1).reshape(count, -1)
        tables.append(np.clip(np.floor(rest * 32 + 128), 0, 255).astype(np.uint8))
    layout = _layout(3 * per_channel)
    return {name: table.view(dtype)[:, 0] for (name, dtype), table in zip(layout, tables, strict=True)}


def _unpack(bounds: NDArray[np.float32], words: NDArray[np.uint32], harmonics: NDArray[np.uint8]) -> Gaussians:
    count = len(words)
    group = np.arange(count) // GROUP

    def between(kind: int, shares: NDArray[np.float64]) -> NDArray[np.float32]:
        low, high = bounds[group, 2 * kind], bounds[group, 2 * kind + 1]
        values: NDArray[np.float32] = (low + shares * (high - low)).astype(np.float32)
        return values

    color = _shares(words[:, 3], (8, 8, 8, 8))
    opacity = np.clip(color[:, 3], 0.5 / 255, 1 - 0.5 / 255)  # 0 and 1 have no finite logit: half a step inside
    rest = (harmonics.astype(np.float32) - 127.5) / 32
    return Gaussians(
        means=between(0, _shares(words[:, 0], (11, 10, 11))),
        quats=_unpack_rotations(words[:, 1]).astype(np.float32),
        log_scales=between(1, _shares(words[:, 2], (11, 10, 11))),
        opacity_logits=np.log(opacity / (1 - opacity)).astype(np.float32),
        sh0=(between(2, color[:, :3]) - np.float32(0.5)) / np.float32(SH_C0),
        sh_rest=np.ascontiguousarray(rest.reshape(count, 3, -1).transpose(0, 2, 1)),
    )


def _words(shares: NDArray[np.floating], bits: tuple[int, ...]) -> NDArray[np.uint32]:
    """[N] from shares 0..1 [N, len(bits)], the first in the highest bits."""
    packed: NDArray[np.uint32] = np.zeros(len(shares), np.uint32)
    for column, width in enumerate(bits):
        most = (1 << width) - 1
        field = np.clip(np.round(shares[:, column].astype(np.float64) * most), 0, most).astype(np.uint32)
        packed = packed << np.uint32(width) | field
    return packed


def _shares(packed: NDArray[np.uint32], bits: tuple[int, ...]) -> NDArray[np.float64]:
    left, columns = packed, []
    for width in reversed(bits):
        most = (1 << width) - 1
        columns.append((left & np.uint32(most)) / most)
        left = left >> np.uint32(width)
    return np.stack(columns[::-1], axis=1)


def _pack_rotations(quats: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Which of wxyz is largest, then the other three from -1/sqrt(2) to 1/sqrt(2)."""
    largest, others = smallest_three(quats)
    return _words(others * np.sqrt(0.5) + 0.5, (10, 10, 10)) | largest.astype(np.uint32) << np.uint32(30)


def _unpack_rotations(packed: NDArray[np.uint32]) -> NDArray[np.float64]:
    others = (_shares(packed, (10, 10, 10)) - 0.5) * np.sqrt(2)
    return from_smallest_three((packed >> 30).astype(np.intp), others)


def _morton(means: NDArray[np.float32]) -> NDArray[np.uint64]:
    """[N] place on the Z-order curve, so that neighbours in the file are neighbours in space. By rank along each axis,
    not by coordinate: one Gaussian far away would put all others into one cell."""
    code = np.zeros(len(means), np.uint64)
    for axis in range(3):
        rank = np.empty(len(means), np.float64)
        rank[np.argsort(means[:, axis], kind="stable")] = np.arange(len(means))
        cell = (rank * ((1 << 21) / max(len(means), 1))).astype(np.uint64)
        for bit in range(21):
            code |= (cell >> np.uint64(bit) & np.uint64(1)) << np.uint64(3 * bit + axis)
    return code
