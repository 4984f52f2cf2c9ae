"""The .spz file of a scene, version 4: a sixth of the PLY, with view-dependent colour. And its strict reader.

Layout (https://github.com/nianticlabs/spz, README and `load-spz.cc`): a header of 32 bytes, a table of packed and
unpacked sizes, then one Zstandard frame per kind of value. The values are those of version 3, byte for byte (spz.py);
version 4 is what the format's library writes since 2026, and what one family of viewers reads and nothing older.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import zstandard

from runner.export import spz
from runner.export.validity import ExportReport, bad_file
from runner.export.y_up import HALF_TURN
from runner.files.atomic import write_atomically
from runner.scene.gaussians import Gaussians
from runner.scene.rotate import rotate_gaussians

VERSION = 4
HEADER = struct.Struct("<IIIBBBBI12x")  # magic, version, points, SH degree, fractional bits, flags, streams, table
ENTRY = struct.Struct("<QQ")  # of the table: packed and unpacked size of a stream
LEVEL = 12  # of Zstandard: the library's own


def write_spz4(gaussians: Gaussians, path: Path) -> ExportReport:
    """Writes the scene atomically. Gaussians farther than 2,048 units from the origin are out of range and dropped.

    Raises RunnerError when no Gaussian can be drawn, ResourceError when the disk is full.
    """
    turned = spz.turned_and_in_range(gaussians, path.name)
    bits = spz.fraction_bits(turned)
    packer = zstandard.ZstdCompressor(level=LEVEL)
    sizes, streams = [], []
    for block in spz.blocks(turned, bits):
        streams.append(packer.compress(block))
        sizes.append(ENTRY.pack(len(streams[-1]), len(block)))
    head = HEADER.pack(spz.MAGIC, VERSION, turned.count, turned.sh_degree, bits, 0, len(streams), HEADER.size)
    written = write_atomically(path, [head, *sizes, *streams])
    return ExportReport(turned.count, gaussians.count - turned.count, written.size_bytes, written.sha256)


def read_spz4(path: Path) -> Gaussians:
    """Reads version 4, as exactly as its bits allow; records of other programs in the header are passed over.

    Raises InputError for anything else.
    """
    content = path.read_bytes()
    if len(content) < HEADER.size:
        raise bad_file(path.name, "is too short for a .spz file")
    magic, version, count, degree, bits, _, streams, table = HEADER.unpack_from(content)
    if (magic, version) != (spz.MAGIC, VERSION) or degree > 3 or not 0 < bits <= 24 or not 0 < count <= spz.MAX_POINTS:
        raise bad_file(path.name, "is no .spz file of version 4")
    widths = (9, 1, 3, 3, 4, 3 * spz.COEFFICIENTS[degree])
    promised = [count * width for width in widths if width]
    begin = table + streams * ENTRY.size
    if streams != len(promised) or table < HEADER.size or begin > len(content):
        raise bad_file(path.name, "has another table than its header promises")
    values = []
    for index, expected in enumerate(promised):
        packed, unpacked = ENTRY.unpack_from(content, table + index * ENTRY.size)
        if unpacked != expected or begin + packed > len(content):
            raise bad_file(path.name, f"promises {expected:,} bytes of values and holds something else")
        values.append(_unpacked(content[begin : begin + packed], expected, path.name))
        begin += packed
    if begin != len(content):
        raise bad_file(path.name, "goes on after its last value")
    return rotate_gaussians(spz.unpack(np.frombuffer(b"".join(values), np.uint8), count, degree, bits), HALF_TURN)


def _unpacked(frame: bytes, expected: int, name: str) -> bytes:
    """Never more than was promised, whatever the frame says of itself."""
    try:
        reader = zstandard.ZstdDecompressor().stream_reader(frame)
        values = reader.read(expected + 1)
    except zstandard.ZstdError as exc:
        raise bad_file(name, "is damaged: it does not unpack") from exc
    if len(values) != expected:
        raise bad_file(name, f"promises {expected:,} bytes of values and holds something else")
    return values
