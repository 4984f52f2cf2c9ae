"""The PLY file of a scene in the layout of the INRIA reference, which every viewer reads; and its strict reader.

Layout (https://github.com/graphdeco-inria/gaussian-splatting, `GaussianModel.save_ply`): binary little-endian rows of
x y z, nx ny nz (zeros), f_dc_0..2, f_rest_* (channel-major: all of red, then green, then blue), opacity (logit),
scale_0..2 (natural log), rot_0..3 (wxyz, as trained, not normalised).

The float16 variant keeps positions in float32 (11 bits would show as steps) and stores every other property as `ushort`
holding the bits of an IEEE 754 half. PLY knows no half type; this is the convention that Babylon.js decodes
(https://github.com/BabylonJS/Babylon.js/pull/18816). Other viewers want the float32 file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runner.export.validity import ExportReport, bad_file, drawable, require_some
from runner.files.atomic import write_atomically
from runner.scene.gaussians import Gaussians

Precision = Literal["float32", "float16"]

CHUNK = 1 << 16  # rows at once: 16 MB of float32 at SH degree 3
HEADER_LIMIT = 1 << 16  # bytes; ours has 1.5 kB
HALF_MAX = float(np.finfo(np.float16).max)
HALF_COMMENT = "comment ushort properties hold IEEE 754 half floats"
REST_COUNTS = {0: 0, 9: 3, 24: 8, 45: 15}  # number of f_rest properties -> coefficients per channel, SH degrees 0 to 3
READABLE = {"float": "<f4", "float32": "<f4", "double": "<f8", "float64": "<f8", "ushort": "<f2", "uint16": "<f2"}
SKIPPABLE = {"char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "<i2", "int16": "<i2",
             "int": "<i4", "int32": "<i4", "uint": "<u4", "uint32": "<u4"}  # fmt: skip


def write_ply(gaussians: Gaussians, path: Path, precision: Precision = "float32") -> ExportReport:
    """Writes the scene atomically, chunk by chunk; memory stays below 100 MB whatever the count.

    Raises RunnerError when no Gaussian can be drawn, ResourceError when the disk is full.
    """
    keep = drawable(gaussians)
    count = int(keep.sum())
    require_some(count, gaussians.count, path.name)
    written = write_atomically(path, _blocks(gaussians, keep, count, precision))
    return ExportReport(count, gaussians.count - count, written.size_bytes, written.sha256)


def read_ply(path: Path) -> Gaussians:
    """Reads what `write_ply` writes, and the same layout from other programs: any order, normals optional.

    Values come as stored: a foreign file may hold NaN. Raises InputError for anything that is not such a file.
    """
    with path.open("rb") as file:
        header, start = _split_header(file.read(HEADER_LIMIT), path.name)
        row, count = _parse_header(header, path.name)
        held = os.fstat(file.fileno()).st_size - start
        if count * row.itemsize > held:
            raise bad_file(path.name, f"promises {count:,} rows of {row.itemsize} bytes and holds {held:,} bytes")
        file.seek(start)
        rows = np.fromfile(file, dtype=row, count=count)

    def columns(names: list[str]) -> NDArray[np.float32]:
        if not names:
            return np.empty((count, 0), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # a double too large for float32, a signalling NaN
            return np.stack([rows[name].astype(np.float32) for name in names], axis=1)

    per_channel = REST_COUNTS[_rest_count(row.names or ())]
    rest = columns([f"f_rest_{i}" for i in range(3 * per_channel)])
    return Gaussians(
        means=columns(["x", "y", "z"]),
        quats=columns(["rot_0", "rot_1", "rot_2", "rot_3"]),
        log_scales=columns(["scale_0", "scale_1", "scale_2"]),
        opacity_logits=columns(["opacity"])[:, 0],
        sh0=columns(["f_dc_0", "f_dc_1", "f_dc_2"]),
        sh_rest=np.ascontiguousarray(rest.reshape(count, 3, per_channel).transpose(0, 2, 1)),
    )


def _property_names(rest_count: int) -> list[str]:
    """After x y z, in the order of the INRIA writer."""
    return [
        *("nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"),
        *(f"f_rest_{i}" for i in range(rest_count)),
        *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
    ]


def _blocks(gaussians: Gaussians, keep: NDArray[np.bool_], count: int, precision: Precision) -> Iterator[bytes]:
    """The file, piece by piece."""
    half = precision == "float16"
    kind = "ushort" if half else "float"
    properties = [f"property float {axis}" for axis in "xyz"]
    properties += [f"property {kind} {name}" for name in _property_names(3 * gaussians.sh_rest.shape[1])]
    lines = ["ply", "format binary_little_endian 1.0", *([HALF_COMMENT] if half else [])]
    yield ("\n".join([*lines, f"element vertex {count}", *properties, "end_header"]) + "\n").encode("ascii")

    for start in range(0, gaussians.count, CHUNK):
        rows = start + np.flatnonzero(keep[start : start + CHUNK])
        if not rows.size:
            continue
        means, quats = gaussians.means[rows].astype("<f4"), gaussians.quats[rows]
        if half:  # the length says nothing, and a short quaternion would vanish in a half
            quats = quats / np.abs(quats).max(axis=1, keepdims=True)
        others = np.concatenate(
            [
                np.zeros_like(means),  # normals: unused, but some readers demand them
                gaussians.sh0[rows],
                gaussians.sh_rest[rows].transpose(0, 2, 1).reshape(rows.size, -1),
                gaussians.opacity_logits[rows, None],
                gaussians.log_scales[rows],
                quats,
            ],
            axis=1,
        )
        stored = others.clip(-HALF_MAX, HALF_MAX).astype("<f2") if half else others.astype("<f4")
        yield np.concatenate([means.view(np.uint8), stored.view(np.uint8)], axis=1).tobytes()


def _split_header(beginning: bytes, name: str) -> tuple[str, int]:
    """The header's text and its length in bytes."""
    if not beginning.startswith(b"ply"):
        raise bad_file(name, "is not a PLY file")
    end = beginning.find(b"end_header")
    newline = beginning.find(b"\n", end)
    if end < 0 or newline < 0:
        raise bad_file(name, f"has no complete header in its first {HEADER_LIMIT:,} bytes")
    try:
        return beginning[:end].decode("ascii"), newline + 1
    except UnicodeDecodeError as exc:
        raise bad_file(name, "has a header that is not text") from exc


def _parse_header(header: str, name: str) -> tuple[np.dtype[np.void], int]:
    """The type of one row and the number of rows. Elements after `vertex` are allowed and ignored."""
    lines = [line.split() for line in header.splitlines()[1:]]
    lines = [words for words in lines if words and words[0] not in ("comment", "obj_info")]
    if ["format", "binary_little_endian", "1.0"] not in lines:
        raise bad_file(name, "is not binary little-endian")
    starts = [i for i, words in enumerate(lines) if words[0] == "element"]
    if not starts or len(lines[starts[0]]) != 3 or lines[starts[0]][1] != "vertex":
        raise bad_file(name, "does not begin with the element vertex")
    number = lines[starts[0]][2]
    if not (number.isdecimal() and len(number) <= 12):
        raise bad_file(name, f"promises {number[:40]!r} rows")
    end = starts[1] if len(starts) > 1 else len(lines)

    fields: dict[str, str] = {}
    for words in lines[starts[0] + 1 : end]:
        kind = READABLE.get(words[1]) or SKIPPABLE.get(words[1]) if len(words) == 3 and words[0] == "property" else None
        if kind is None or words[2] in fields:
            raise bad_file(name, f"has the line {' '.join(words)[:80]!r}, which no 3DGS file has")
        fields[words[2]] = kind
    rest_count = _rest_count(tuple(fields))
    if rest_count not in REST_COUNTS:
        raise bad_file(name, f"has {rest_count} f_rest properties; SH degrees 0 to 3 have {list(REST_COUNTS)}")
    wanted = [*"xyz", *_property_names(rest_count)[3:]]
    missing = [field for field in wanted if fields.get(field) not in READABLE.values()]
    if missing:
        raise bad_file(name, f"lacks the properties {', '.join(missing[:8])}")
    return np.dtype(list(fields.items())), int(number)


def _rest_count(names: tuple[str, ...]) -> int:
    return sum(name.startswith("f_rest_") for name in names)
