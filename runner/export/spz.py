"""A scene as .spz of version 3, which browsers unpack without help: the viewer page embeds it. And its strict reader.

Layout (https://github.com/nianticlabs/spz, `load-spz.cc`): a gzip stream of a 16-byte header and one block per kind of
value: positions 3 x 24-bit fixed point, opacities u8, colours 3 x u8, log scales 3 x u8, rotations u32 (index of the
largest component, the other three as sign and 9 bits), spherical harmonics u8, coefficient by coefficient. The
reference rounds the last to 5 and 4 bits, because those pack better: 20 instead of 38 bytes per Gaussian, for 0.73
instead of 0.01 dB on held-out views (fox, degree 3); here they keep their 8. The file of a result is of version 4:
spz4.py.

Its axes are RUB (x right, y up, z to the viewer); ours have y down and z ahead, as PLY, so everything is turned half
around x.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from runner.export.quaternions import from_smallest_three, smallest_three
from runner.export.validity import ExportReport, bad_file, drawable
from runner.export.y_up import HALF_TURN, kept_with_y_up
from runner.files.atomic import write_atomically
from runner.scene.gaussians import Gaussians
from runner.scene.rotate import rotate_gaussians

MAGIC, VERSION = 0x5053474E, 3  # "NGSP"
HEADER = struct.Struct("<IIIBBBB")  # magic, version, points, SH degree, fractional bits, flags, reserved
COEFFICIENTS = (0, 3, 8, 15)  # by SH degree, per channel
COLOR_SCALE = 0.15
BITS_MOST, BITS_LEAST = 18, 12  # of the fraction of a position: the finest that holds the scene, 1/4096 at least
LARGEST_FIELD = 0.7071067811865476  # no component but the largest of a unit quaternion exceeds it
MAX_POINTS = 20_000_000
READ_CHUNK = 1 << 20


def write_spz(gaussians: Gaussians, path: Path) -> ExportReport:
    """Writes the scene atomically. Gaussians farther than 2,048 units from the origin are out of range and dropped.

    Raises RunnerError when no Gaussian can be drawn, ResourceError when the disk is full.
    """
    turned = turned_and_in_range(gaussians, path.name)
    written = write_atomically(path, _file(turned))
    return ExportReport(turned.count, gaussians.count - turned.count, written.size_bytes, written.sha256)


def spz_bytes(gaussians: Gaussians, name: str) -> tuple[bytes, int]:
    """What `write_spz` writes, and how many Gaussians are in it. Raises RunnerError when none can be drawn."""
    turned = turned_and_in_range(gaussians, name)
    return b"".join(_file(turned)), turned.count


def _file(turned: Gaussians) -> Iterator[bytes]:
    bits = fraction_bits(turned)
    head = HEADER.pack(MAGIC, VERSION, turned.count, turned.sh_degree, bits, 0, 0)
    return _gzip(chain([head], blocks(turned, bits)))


def turned_and_in_range(gaussians: Gaussians, name: str) -> Gaussians:
    """What a file of any version can hold, in its axes. Raises RunnerError when that is no Gaussian."""
    keep = drawable(gaussians) & (np.abs(np.nan_to_num(gaussians.means)).max(axis=1) < 2 ** (23 - BITS_LEAST) - 1)
    return kept_with_y_up(gaussians, keep, name)


def read_spz(path: Path) -> Gaussians:
    """Reads what `write_spz` writes, as exactly as its bits allow. Raises InputError for anything else."""
    packed = zlib.decompressobj(31)
    try:
        with path.open("rb") as file:
            head = packed.decompress(file.read(READ_CHUNK), HEADER.size)
            if len(head) < HEADER.size:
                raise bad_file(path.name, "is too short for a .spz file")
            magic, version, count, degree, bits, _, _ = HEADER.unpack(head)
            if (magic, version) != (MAGIC, VERSION) or degree > 3 or not 0 < bits <= 24 or not 0 < count <= MAX_POINTS:
                raise bad_file(path.name, "is no .spz file of version 3")
            expected = count * (9 + 1 + 3 + 3 + 4 + 3 * COEFFICIENTS[degree])
            body = bytearray()
            while len(body) <= expected and not packed.eof:  # never more than was promised, whatever it expands to
                fed = packed.unconsumed_tail or file.read(READ_CHUNK)
                if not fed:
                    break
                body += packed.decompress(fed, expected + 1 - len(body))
    except zlib.error as exc:
        raise bad_file(path.name, "is damaged: it does not unpack") from exc
    if len(body) != expected or not packed.eof:
        raise bad_file(path.name, f"promises {expected:,} bytes of values and holds something else")
    return rotate_gaussians(unpack(np.frombuffer(body, np.uint8), count, degree, bits), HALF_TURN)


def _gzip(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """One gzip member without a time, so that the same scene is the same file."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    for block in blocks:
        yield packer.compress(block)
    yield packer.flush()


def fraction_bits(gaussians: Gaussians) -> int:
    """Of a position: the most that hold the farthest Gaussian in 24 bits."""
    reach = float(np.abs(gaussians.means).max())
    return max(bits for bits in range(BITS_LEAST, BITS_MOST + 1) if bits == BITS_LEAST or reach * 2**bits < 2**23 - 1)


def blocks(gaussians: Gaussians, bits: int) -> Iterator[bytes]:
    """One block per kind of value, the same in versions 3 and 4; no last one at SH degree 0."""
    fixed = np.round(gaussians.means.astype(np.float64) * 2**bits).astype("<i4")
    yield np.ascontiguousarray(fixed).view(np.uint8).reshape(-1, 3, 4)[:, :, :3].tobytes()
    yield _bytes(255 * expit(gaussians.opacity_logits.astype(np.float64))).tobytes()
    yield _bytes(gaussians.sh0 * (COLOR_SCALE * 255) + 127.5).tobytes()
    yield _bytes((gaussians.log_scales + 10) * 16).tobytes()
    yield pack_quaternions(gaussians.quats).astype("<u4").tobytes()
    if gaussians.sh_degree:
        yield _bytes(gaussians.sh_rest * 128 + 128).tobytes()


def unpack(body: NDArray[np.uint8], count: int, degree: int, bits: int) -> Gaussians:
    """The Gaussians of blocks that lie one behind the other, in the axes of the file."""
    sizes = np.cumsum([9 * count, count, 3 * count, 3 * count, 4 * count])
    positions, opacity, colors, scales, quats, rest = np.split(body, sizes)
    wide = np.zeros((count * 3, 4), np.uint8)
    wide[:, 1:] = positions.reshape(-1, 3)  # the high bytes: the shift back brings the sign
    fixed = (wide.view("<i4") >> 8).reshape(count, 3)
    alpha = np.clip(opacity / 255.0, 0.5 / 255, 1 - 0.5 / 255)  # 0 and 255 have no finite logit: half a step inside
    return Gaussians(
        means=(fixed / 2.0**bits).astype(np.float32),
        quats=unpack_quaternions(np.frombuffer(quats.tobytes(), "<u4")).astype(np.float32),
        log_scales=(scales.reshape(count, 3) / 16.0 - 10).astype(np.float32),
        opacity_logits=np.log(alpha / (1 - alpha)).astype(np.float32),
        sh0=((colors.reshape(count, 3) / 255.0 - 0.5) / COLOR_SCALE).astype(np.float32),
        sh_rest=((rest.reshape(count, COEFFICIENTS[degree], 3) - 128.0) / 128).astype(np.float32),
    )


def pack_quaternions(quats: NDArray[np.float32]) -> NDArray[np.uint32]:
    """[N] from wxyz [N, 4] of any length: two bits say which of xyzw is largest, the others have sign and 9 bits."""
    largest, others = smallest_three(np.roll(quats, -1, axis=1))
    sizes = np.minimum(np.round(511 * np.abs(others) / LARGEST_FIELD), 511).astype(np.uint32)
    first, second, third = ((others < 0).astype(np.uint32) << 9 | sizes).T
    packed: NDArray[np.uint32] = largest.astype(np.uint32) << 30 | first << 20 | second << 10 | third
    return packed


def unpack_quaternions(packed: NDArray[np.uint32]) -> NDArray[np.float64]:
    """[N, 4] wxyz, of length 1."""
    fields = np.stack([packed >> 20, packed >> 10, packed], axis=1)
    others = (fields & 511) / 511 * LARGEST_FIELD * np.where(fields >> 9 & 1, -1.0, 1.0)
    return np.roll(from_smallest_three((packed >> 30).astype(np.intp), others), 1, axis=1)


def _bytes(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
