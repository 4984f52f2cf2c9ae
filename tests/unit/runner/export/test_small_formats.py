"""The small formats, .spz and .compressed.ply: an independent reader sees our values, ours sees what was written."""

from __future__ import annotations

import gzip
import hashlib
import struct
import tracemalloc
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import gsply
import numpy as np
import pytest
import zstandard

from runner.export.compressed_ply import read_compressed, write_compressed
from runner.export.spz import pack_quaternions, read_spz, unpack_quaternions, write_spz
from runner.export.spz4 import HEADER, read_spz4, write_spz4
from runner.export.validity import ExportReport
from runner.export.y_up import HALF_TURN
from runner.scene.gaussians import Gaussians
from runner.scene.rotate import rotate_gaussians
from scenejobs.errors import InputError, RunnerError
from tests.splats import random_splats

Write, Read = Callable[[Gaussians, Path], ExportReport], Callable[[Path], Gaussians]
FORMATS = [
    pytest.param(write_spz, read_spz, "s.spz", id="spz"),
    pytest.param(write_spz4, read_spz4, "s4.spz", id="spz4"),
    pytest.param(write_compressed, read_compressed, "s.compressed.ply", id="compressed"),
]


def scene(count: int, degree: int = 3, seed: int = 0) -> Gaussians:
    """Values in the range that the formats hold."""
    some = random_splats(count, degree, seed)
    return replace(some, sh0=some.sh0.clip(-1.7, 1.7), sh_rest=some.sh_rest.clip(-0.9, 0.9))


def unit(quats: np.ndarray) -> np.ndarray:
    quats = quats / np.linalg.norm(quats, axis=1, keepdims=True)
    return quats * np.sign(np.take_along_axis(quats, np.abs(quats).argmax(axis=1)[:, None], axis=1))


def order(gaussians: Gaussians) -> Gaussians:
    """In the order of the size, which both formats keep apart well enough to compare files of another order."""
    rows = np.lexsort(np.round(gaussians.means, 1).T)
    return Gaussians(**{name: values[rows] for name, values in vars(gaussians).items()})


def spread_out(gaussians: Gaussians) -> Gaussians:
    """On a grid, so that the Gaussians can be told apart by place after it was rounded."""
    grid = np.stack(np.meshgrid(*[np.arange(12.0)] * 3), axis=-1).reshape(-1, 3)[: gaussians.count]
    return replace(gaussians, means=grid.astype(np.float32))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize(("write", "read", "name"), FORMATS)
def test_reading_back_gives_the_scene_within_the_bits_of_the_format(
    tmp_path: Path, write: Write, read: Read, name: str, degree: int
) -> None:
    before = spread_out(scene(1000, degree))
    report = write(before, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    assert (report.count, report.dropped, report.size_bytes) == (1000, 0, len(content))
    assert report.sha256 == hashlib.sha256(content).hexdigest()
    before, after = order(before), order(read(tmp_path / name))
    assert after.sh_degree == degree
    np.testing.assert_allclose(after.means, before.means, atol=0.012)
    np.testing.assert_allclose(after.log_scales, before.log_scales, atol=1 / 31)
    np.testing.assert_allclose(unit(after.quats), unit(before.quats), atol=0.005)
    np.testing.assert_allclose(after.sh0, before.sh0, atol=0.0275)
    np.testing.assert_allclose(after.sh_rest, before.sh_rest, atol=1.01 / 62)
    sigmoid = [1 / (1 + np.exp(-some.opacity_logits)) for some in (before, after)]
    np.testing.assert_allclose(sigmoid[1], sigmoid[0], atol=0.51 / 255)


def test_an_independent_reader_sees_the_values_of_our_spz(tmp_path: Path) -> None:
    """gsply leaves the axes of the file as they are: y up. Turned by half a turn around x it is our scene."""
    before = spread_out(scene(800))
    write_spz(before, tmp_path / "s.spz")
    data = gsply.read_spz(tmp_path / "s.spz")
    theirs = Gaussians(data.means, data.quats, data.scales, data.opacities, data.sh0, data.shN)
    ours = read_spz(tmp_path / "s.spz")
    theirs = rotate_gaussians(theirs, HALF_TURN)
    for name in ("means", "log_scales", "sh0", "sh_rest"):
        np.testing.assert_allclose(vars(theirs)[name], vars(ours)[name], atol=1e-5, err_msg=name)
    np.testing.assert_allclose(unit(theirs.quats), unit(ours.quats), atol=1e-5)
    np.testing.assert_allclose(theirs.means, before.means, atol=1e-3)


def test_an_independent_reader_sees_the_values_of_our_compressed_ply(tmp_path: Path) -> None:
    before = spread_out(scene(1000))
    write_compressed(before, tmp_path / "s.compressed.ply")
    data = gsply.plyread(str(tmp_path / "s.compressed.ply"))
    theirs = Gaussians(data.means, data.quats, data.scales, data.opacities, data.sh0, data.shN)
    ours = read_compressed(tmp_path / "s.compressed.ply")
    for name in ("means", "log_scales", "sh0", "sh_rest"):
        np.testing.assert_allclose(vars(theirs)[name], vars(ours)[name], atol=1e-5, err_msg=name)
    np.testing.assert_allclose(unit(theirs.quats), unit(ours.quats), atol=1e-5)
    np.testing.assert_allclose(order(theirs).means, order(before).means, atol=0.012)


def test_our_readers_see_the_values_of_an_independent_writer(tmp_path: Path) -> None:
    before = spread_out(scene(600))
    data = gsply.GSData.from_arrays(
        means=before.means, scales=before.log_scales, quats=unit(before.quats).astype(np.float32),
        opacities=before.opacity_logits, sh0=before.sh0, shN=before.sh_rest, format="ply",
    )  # fmt: skip
    gsply.plywrite(str(tmp_path / "s.ply"), data, compressed=True)
    (written,) = tmp_path.glob("*.ply")
    after = order(read_compressed(written))
    np.testing.assert_allclose(after.means, order(before).means, atol=0.012)
    np.testing.assert_allclose(after.sh_rest, order(before).sh_rest, atol=1.01 / 32)


def test_the_files_are_small(tmp_path: Path) -> None:
    """The PLY has 248 bytes per Gaussian at degree 3."""
    assert write_spz(scene(5000), tmp_path / "s.spz").size_bytes < 60 * 5000  # noise; what was trained packs to 38
    assert write_compressed(scene(5000), tmp_path / "s.ply").size_bytes < 62 * 5000


def test_rotations_keep_nine_bits_whatever_their_length_or_sign() -> None:
    quats = np.random.default_rng(0).normal(size=(2000, 4)).astype(np.float32)
    quats[:4] = np.eye(4)
    quats[4] = [1e-30, 0, 0, 1e-30]
    back = unpack_quaternions(pack_quaternions(quats))
    np.testing.assert_allclose(unit(back), unit(quats.astype(np.float64)), atol=0.0025)


@pytest.mark.parametrize(("write", "read", "name"), FORMATS)
def test_the_same_scene_is_the_same_file(tmp_path: Path, write: Write, read: Read, name: str) -> None:
    hashes = {write(scene(300), tmp_path / name).sha256 for _ in range(2)}
    assert len(hashes) == 1


@pytest.mark.parametrize(("write", "read", "name"), FORMATS)
@pytest.mark.parametrize("field", [field.name for field in fields(Gaussians)])
def test_one_bad_value_costs_one_gaussian(tmp_path: Path, write: Write, read: Read, name: str, field: str) -> None:
    before = scene(10)
    spoilt = getattr(before, field).copy()
    spoilt[3] = np.nan
    report = write(replace(before, **{field: spoilt}), tmp_path / name)
    assert (report.count, report.dropped) == (9, 1)
    assert read(tmp_path / name).count == 9
    with pytest.raises(RunnerError, match="none of 10"):
        write(replace(before, **{field: np.full_like(spoilt, np.inf)}), tmp_path / name)


def test_a_far_gaussian_coarsens_spz_only_as_far_as_a_quarter_of_a_millimetre_and_no_farther(tmp_path: Path) -> None:
    """The finest fraction that holds all; what no fraction of 12 bits holds is dropped, and said."""
    before = scene(50)
    near = np.random.default_rng(0).uniform(-10, 10, (50, 3)).astype(np.float32)
    write_spz(replace(before, means=near), tmp_path / "near.spz")
    assert np.abs(read_spz(tmp_path / "near.spz").means - near).max() <= 2.0**-18
    far = near.copy()
    far[7], far[8] = [1500, 0, 0], [0, 0, -5000]
    report = write_spz(replace(before, means=far), tmp_path / "far.spz")
    assert (report.count, report.dropped) == (49, 1)
    assert np.abs(read_spz(tmp_path / "far.spz").means - np.delete(far, 8, axis=0)).max() <= 2.0**-12


@pytest.mark.parametrize(("write", "read", "name"), FORMATS)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, write: Write, read: Read, name: str) -> None:
    path = tmp_path / name
    write(scene(300), path)
    whole = path.read_bytes()
    for damaged in (b"", whole[:10], whole[: len(whole) // 2], whole[:-1], whole + b"x" * 50, b"ply\n" + whole):
        path.write_bytes(damaged)
        if name == "s.spz" and damaged == whole + b"x" * 50:
            continue  # bytes after the gzip stream are not part of the file's content
        with pytest.raises(InputError, match=path.name):
            read(path)


def test_a_frame_that_holds_more_than_its_table_says_is_refused_unread(tmp_path: Path) -> None:
    """Version 4: the first stream is 200 MB of zeros where the table promises nine bytes."""
    write_spz4(scene(1, 0), tmp_path / "s.spz")
    whole = bytearray((tmp_path / "s.spz").read_bytes())
    (packed,) = struct.unpack_from("<Q", whole, HEADER.size)
    bomb = zstandard.ZstdCompressor().compress(bytes(200 << 20))
    struct.pack_into("<Q", whole, HEADER.size, len(bomb))
    begin = HEADER.size + 5 * 16
    (tmp_path / "bomb.spz").write_bytes(bytes(whole[:begin]) + bomb + bytes(whole[begin + packed :]))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="something else"):
            read_spz4(tmp_path / "bomb.spz")
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_version_four_holds_the_bytes_of_version_three(tmp_path: Path) -> None:
    """The format's own description: the streams are the same, packed one by one; here read with no code of ours."""
    some = scene(50)
    write_spz(some, tmp_path / "3.spz")
    write_spz4(some, tmp_path / "4.spz")
    old, new = gzip.decompress((tmp_path / "3.spz").read_bytes()), (tmp_path / "4.spz").read_bytes()
    assert struct.unpack_from("<4sIIBBBBI", new) == (b"NGSP", 4, 50, 3, old[13], 0, 6, 32)
    begin, values = 32 + 6 * 16, b""
    for index in range(6):
        packed, unpacked = struct.unpack_from("<QQ", new, 32 + index * 16)
        values += zstandard.ZstdDecompressor().decompress(new[begin : begin + packed], unpacked)
        begin += packed
    assert values == old[16:]
    assert begin == len(new)


def test_a_spz_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """It promises one Gaussian and holds 200 MB of zeros: reading stops after what was promised."""
    write_spz(scene(1, 0), tmp_path / "s.spz")
    head = gzip.decompress((tmp_path / "s.spz").read_bytes())[:16]
    (tmp_path / "bomb.spz").write_bytes(gzip.compress(head + bytes(200 << 20), 1))
    with pytest.raises(InputError, match="something else"):
        read_spz(tmp_path / "bomb.spz")
