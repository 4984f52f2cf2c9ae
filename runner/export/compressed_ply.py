"""The compressed PLY of a scene (`.compressed.ply`), as PlayCanvas and SuperSplat read it; and its strict reader.

Layout (https://github.com/playcanvas/splat-transform, `write-compressed-ply.ts`): groups of 256 Gaussians that lie
close together, each with the smallest and largest position, log scale and colour; per Gaussian four 32-bit words that
place it between those (11, 10 and 11 bits; 8 bits a colour and opacity; rotation as 2 + 3 x 10 bits), and one byte per
spherical harmonic from -4 to 4.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from runner.export.ply import HEADER_LIMIT, REST_COUNTS
from runner.export.validity import ExportReport, bad_file, drawable, require_some
from runner.files.atomic import write_atomically
from runner.scene.gaussians import SH_C0, Gaussians

GROUP = 256  # Gaussians
BOUNDS = ("x", "y", "z", "scale_x", "scale_y", "scale_z", "r", "g", "b")
WORDS = ("position", "rotation", "scale", "color")
SCALE_LIMIT = 20.0  # of log scales: what lies beyond would spoil the bits of its group
MAX_POINTS = 20_000_000
COUNTS = re.compile(
    r"ply\nformat binary_little_endian 1.0\nelement chunk (\d{1,9})\n(?:property float [a-z_]+\n){18}"
    r"element vertex (\d{1,9})\n(?:property uint packed_[a-z]+\n){4}(?:element sh (\d{1,9})\n"
    r"((?:property uchar f_rest_\d+\n){9,45}))?"
)


def write_compressed(gaussians: Gaussians, path: Path) -> ExportReport:
    """Writes the scene atomically. Raises RunnerError when no Gaussian can be drawn, ResourceError on a full disk."""
    rows = np.flatnonzero(drawable(gaussians))
    require_some(rows.size, gaussians.count, path.name)
    rows = rows[np.argsort(_morton(gaussians.means[rows]), kind="stable")]
    written = write_atomically(path, _blocks(Gaussians(**{k: values[rows] for k, values in vars(gaussians).items()})))
    return ExportReport(rows.size, gaussians.count - rows.size, written.size_bytes, written.sha256)


def read_compressed(path: Path) -> Gaussians:
    """Reads what `write_compressed` writes, as exactly as its bits allow. Raises InputError for anything else."""
    with path.open("rb") as file:
        beginning = file.read(HEADER_LIMIT)
        text, end, _ = beginning.partition(b"end_header\n")
        found = COUNTS.fullmatch(text.decode("ascii", "replace"))
        if not end or found is None:
            raise bad_file(path.name, "has no header of a compressed 3DGS PLY")
        groups, count, sh_count = int(found[1]), int(found[2]), int(found[3] or found[2])
        rest = (found[4] or "").count("\n")
        if not 0 < count <= MAX_POINTS or groups != -(-count // GROUP) or sh_count != count or rest not in REST_COUNTS:
            raise bad_file(path.name, "has numbers of groups, Gaussians and properties that do not fit together")
        start = len(text) + len(end)
        if text.decode("ascii") != _header(count, rest):
            raise bad_file(path.name, "has properties in an order nobody writes")
        expected = groups * 72 + count * (16 + rest)
        if os.fstat(file.fileno()).st_size - start != expected:
            raise bad_file(path.name, f"promises {expected:,} bytes after its header and holds another number")
        file.seek(start)
        bounds = np.fromfile(file, "<f4", groups * 18).reshape(groups, 6, 3)
        words = np.fromfile(file, "<u4", count * 4).reshape(count, 4)
        harmonics = np.fromfile(file, np.uint8, count * rest).reshape(count, rest)
    if not np.isfinite(bounds).all():
        raise bad_file(path.name, "holds bounds that are no numbers")
    return _unpack(bounds, words, harmonics)


def _header(count: int, rest: int) -> str:
    lines = ["ply", "format binary_little_endian 1.0", f"element chunk {-(-count // GROUP)}"]
    for three in range(0, 9, 3):
        lines += [f"property float {side}_{name}" for side in ("min", "max") for name in BOUNDS[three : three + 3]]
    lines += [f"element vertex {count}", *(f"property uint packed_{word}" for word in WORDS)]
    if rest:
        lines += [f"element sh {count}", *(f"property uchar f_rest_{i}" for i in range(rest))]
    return "\n".join(lines) + "\n"


def _blocks(gaussians: Gaussians) -> Iterator[bytes]:
    count, per_channel = gaussians.count, gaussians.sh_rest.shape[1]
    yield (_header(count, 3 * per_channel) + "end_header\n").encode("ascii")
    values = [
        gaussians.means,
        np.clip(gaussians.log_scales, -SCALE_LIMIT, SCALE_LIMIT),
        np.clip(gaussians.sh0 * np.float32(SH_C0) + np.float32(0.5), 0, 1),  # what lies outside is cut when drawn
    ]
    starts = np.arange(0, count, GROUP)
    low = np.stack([np.minimum.reduceat(value, starts) for value in values], axis=1).astype("<f4")  # [groups, 3, 3]
    high = np.stack([np.maximum.reduceat(value, starts) for value in values], axis=1).astype("<f4")
    yield np.stack([low, high], axis=2).reshape(len(starts), 18).tobytes()

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
    yield words.astype("<u4").tobytes()
    if per_channel:
        rest = gaussians.sh_rest.transpose(0, 2, 1).reshape(count, -1)
        yield np.clip(np.floor(rest * 32 + 128), 0, 255).astype(np.uint8).tobytes()


def _unpack(bounds: NDArray[np.float32], words: NDArray[np.uint32], harmonics: NDArray[np.uint8]) -> Gaussians:
    count = len(words)
    group = np.arange(count) // GROUP

    def between(kind: int, shares: NDArray[np.float64]) -> NDArray[np.float32]:
        low, high = bounds[group, 2 * kind], bounds[group, 2 * kind + 1]
        return (low + shares * (high - low)).astype(np.float32)

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
    packed = np.zeros(len(shares), np.uint32)
    for column, width in enumerate(bits):
        most = (1 << width) - 1
        field = np.clip(np.round(shares[:, column].astype(np.float64) * most), 0, most).astype(np.uint32)
        packed = packed << width | field
    return packed


def _shares(packed: NDArray[np.uint32], bits: tuple[int, ...]) -> NDArray[np.float64]:
    left, columns = packed, []
    for width in reversed(bits):
        most = (1 << width) - 1
        columns.append((left & most) / most)
        left = left >> width
    return np.stack(columns[::-1], axis=1)


def _pack_rotations(quats: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Which of wxyz is largest, then the other three from -1/sqrt(2) to 1/sqrt(2)."""
    unit = (quats / np.abs(quats).max(axis=1, keepdims=True)).astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    largest = np.abs(unit).argmax(axis=1)
    unit *= np.where(unit[np.arange(len(unit)), largest] < 0, -1, 1)[:, None]
    others = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])[largest]
    small = np.take_along_axis(unit, others, axis=1) * np.sqrt(0.5) + 0.5
    return _words(small, (10, 10, 10)) | largest.astype(np.uint32) << 30


def _unpack_rotations(packed: NDArray[np.uint32]) -> NDArray[np.float64]:
    small = (_shares(packed, (10, 10, 10)) - 0.5) * np.sqrt(2)
    largest = (packed >> 30).astype(np.intp)
    others = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])[largest]
    unit = np.zeros((len(packed), 4))
    np.put_along_axis(unit, others, small, axis=1)
    unit[np.arange(len(unit)), largest] = np.sqrt(np.maximum(0.0, 1 - (small**2).sum(axis=1)))
    return unit


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
