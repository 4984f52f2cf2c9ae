"""The PLY file of a scene in the layout of the INRIA reference, which every viewer reads, written and read by plyfile.

Layout (https://github.com/graphdeco-inria/gaussian-splatting, `GaussianModel.save_ply`): binary little-endian rows of
x y z, nx ny nz (zeros), f_dc_0..2, f_rest_* (channel-major: all of red, then green, then blue), opacity (logit),
scale_0..2 (natural log), rot_0..3 (wxyz, as trained, not normalised).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured
from numpy.typing import NDArray

from runner.export.ply_elements import file_of, map_elements
from runner.export.validity import ExportReport, bad_file, drawable, require_some
from runner.files.atomic import write_atomically
from runner.scene.gaussians import Gaussians

CHUNK = 1 << 16  # rows at once: 16 MB at SH degree 3
COEFFICIENTS = {0: 0, 9: 3, 24: 8, 45: 15}  # number of f_rest properties -> per channel, SH degrees 0 to 3


def write_ply(gaussians: Gaussians, path: Path) -> ExportReport:
    """Writes the scene atomically. Holds one copy of it in memory: 248 bytes per Gaussian at SH degree 3.

    Raises RunnerError when no Gaussian can be drawn, ResourceError when the disk is full.
    """
    keep = drawable(gaussians)
    count = int(keep.sum())
    require_some(count, gaussians.count, path.name)
    written = write_atomically(path, file_of({"vertex": _rows(gaussians, keep, count)}))
    return ExportReport(count, gaussians.count - count, written.size_bytes, written.sha256)


def read_ply(path: Path) -> Gaussians:
    """Reads what `write_ply` writes, and the same layout from other programs: any order, normals optional.

    Values come as stored: another program's file may hold NaN. Raises InputError for anything that is not such a file.
    """
    first, rows = next(iter(map_elements(path).items()), ("", np.empty(0, [])))
    if first != "vertex":
        raise bad_file(path.name, "does not begin with the element vertex")
    names = rows.dtype.names or ()
    rest = sum(name.startswith("f_rest_") for name in names)
    if rest not in COEFFICIENTS:
        raise bad_file(path.name, f"has {rest} f_rest properties; SH degrees 0 to 3 have {list(COEFFICIENTS)}")
    missing = [name for name in _names(rest, normals=False) if name not in names or rows.dtype[name].kind != "f"]
    if missing:
        raise bad_file(path.name, f"lacks the properties {', '.join(missing[:8])}")

    def columns(*wanted: str) -> NDArray[np.float32]:
        """[N, len(wanted)], of the mapped file where its types allow."""
        if not wanted:
            return np.empty((len(rows), 0), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # a double too large for float32, a signalling NaN
            return structured_to_unstructured(rows[list(wanted)], np.float32)

    by_channel = columns(*(f"f_rest_{i}" for i in range(rest))).reshape(len(rows), 3, COEFFICIENTS[rest])
    values = {
        "means": columns("x", "y", "z"),
        "quats": columns("rot_0", "rot_1", "rot_2", "rot_3"),
        "log_scales": columns("scale_0", "scale_1", "scale_2"),
        "opacity_logits": columns("opacity")[:, 0],
        "sh0": columns("f_dc_0", "f_dc_1", "f_dc_2"),
        "sh_rest": by_channel.transpose(0, 2, 1),
    }
    return Gaussians(**{name: np.array(value, order="C") for name, value in values.items()})


def _names(rest: int, *, normals: bool = True) -> list[str]:
    """The properties in the order of the INRIA writer."""
    return [
        *("x", "y", "z", *(("nx", "ny", "nz") if normals else ()), "f_dc_0", "f_dc_1", "f_dc_2"),
        *(f"f_rest_{i}" for i in range(rest)),
        *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
    ]


def _rows(gaussians: Gaussians, keep: NDArray[np.bool_], count: int) -> NDArray[np.void]:
    """[count] one row per Gaussian that is kept, with a field per property."""
    names = _names(3 * gaussians.sh_rest.shape[1])
    table = np.empty((count, len(names)), "<f4")
    end = 0
    for start in range(0, gaussians.count, CHUNK):  # no second copy of the scene, and rows that stay in the caches
        chosen = start + np.flatnonzero(keep[start : start + CHUNK])
        np.concatenate(
            [
                gaussians.means[chosen],
                np.zeros((chosen.size, 3), np.float32),  # normals: unused, but some readers demand them
                gaussians.sh0[chosen],
                gaussians.sh_rest[chosen].transpose(0, 2, 1).reshape(chosen.size, -1),
                gaussians.opacity_logits[chosen, None],
                gaussians.log_scales[chosen],
                gaussians.quats[chosen],
            ],
            axis=1,
            out=table[end : end + chosen.size],
        )
        end += chosen.size
    return table.view([(name, "<f4") for name in names])[:, 0]
