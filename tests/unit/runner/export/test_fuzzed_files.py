"""Damaged and hostile .ply, .splat, .glb and .spz files: a right reading or BAD_SCENE_FILE, and not much memory."""

from __future__ import annotations

import random
import struct
import tracemalloc
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from runner.export.glb import read_glb, write_glb
from runner.export.ply import read_ply, write_ply
from runner.export.splat import read_splat, write_splat
from runner.export.spz4 import read_spz4, write_spz4
from runner.scene.gaussians import Gaussians
from scenejobs.errors import Code, InputError
from tests.splats import random_splats

MUTANTS = 1500  # of each format
INTERESTING = [b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", struct.pack("<f", float("nan")), struct.pack("<f", 1e38)]
WORDS = [
    b"element vertex 4294967296", b"element vertex 99999999999", b"element vertex 1e9", b"element vertex 0",
    b"element face 7", b"property list uchar int x", b"property double x", b"property float f_rest_999", b"end_header",
    b"format ascii 1.0", b"format binary_big_endian 1.0", b"property float \xff", b"element vertex \xd9\xa3", b"ply",
]  # fmt: skip


def scene(count: int) -> Gaussians:
    return random_splats(count, degree=1)


def mutated(data: bytes, rng: random.Random, header: int) -> bytes:
    """One to four changes: bytes, numbers, lines of the header, pieces removed, doubled or cut off."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(changed) or 1)
        match rng.randrange(7):
            case 0:
                changed[place : place + 1] = bytes([rng.randrange(256)])
            case 1:
                value = rng.choice(INTERESTING)
                changed[place : place + len(value)] = value
            case 2:
                del changed[place:]
            case 3:
                del changed[place : place + rng.randint(1, 200)]
            case 4:
                changed[place:place] = changed[place : place + rng.randint(1, 200)]
            case 5:
                lines = bytes(changed[:header]).split(b"\n")
                lines[rng.randrange(len(lines))] = rng.choice(WORDS)
                changed[:header] = b"\n".join(lines)
            case 6:
                changed[rng.randrange(header or 1) : 0] = rng.choice(WORDS)
    return bytes(changed)


@pytest.mark.parametrize(
    ("kind", "write", "read"),
    [
        ("ply", write_ply, read_ply),
        ("splat", write_splat, read_splat),
        ("glb", write_glb, read_glb),
        ("spz", write_spz4, read_spz4),
    ],
)
def test_thousands_of_damaged_files_are_read_right_or_refused(
    tmp_path: Path, kind: str, write: Callable[[Gaussians, Path], object], read: Callable[[Path], Gaussians]
) -> None:
    write(scene(20), tmp_path / f"scene.{kind}")
    data = (tmp_path / f"scene.{kind}").read_bytes()
    header = {"ply": data.find(b"end_header") + 11, "glb": data.find(b"BIN\0"), "spz": 128}.get(kind, 0)
    rng, path = random.Random(0), tmp_path / f"bad.{kind}"
    outcomes = {"read": 0, "refused": 0}
    tracemalloc.start()
    try:
        for number in range(MUTANTS):
            path.write_bytes(mutated(data, rng, header))
            refusal = None
            try:
                found = read(path)
            except InputError as error:
                refusal = error
            if refusal:
                assert refusal.code == Code.BAD_SCENE_FILE, number
                assert path.name in refusal.cause
                outcomes["refused"] += 1
            else:
                assert {len(getattr(found, field.name)) for field in fields(Gaussians)} == {found.count}, number
                assert found.count * 3 * 4 <= 8 * path.stat().st_size, "more Gaussians than the file can hold"
                outcomes["read"] += 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20, "a file of some kB took megabytes"
    least = MUTANTS // (
        20 if kind in ("ply", "splat") else 100
    )  # the others state their own length: few mutants keep it
    assert min(outcomes.values()) > least, f"the mutants are all of one kind: {outcomes}"


@pytest.mark.parametrize("count", [10**3, 10**9, 2**31, 2**32, 2**63, 10**30])
def test_a_promise_of_more_rows_than_bytes_allocates_nothing(tmp_path: Path, count: int) -> None:
    write_ply(scene(1), tmp_path / "scene.ply")
    data = (tmp_path / "scene.ply").read_bytes().replace(b"element vertex 1\n", f"element vertex {count}\n".encode())
    (tmp_path / "liar.ply").write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            read_ply(tmp_path / "liar.ply")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert caught.value.code == Code.BAD_SCENE_FILE


def test_a_row_of_thousands_of_columns_is_not_believed(tmp_path: Path) -> None:
    """Zero rows of 3,000 properties hold nothing and cost nothing."""
    properties = "".join(f"property float p{i}\n" for i in range(3000))
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex 0\n{properties}end_header\n"
    (tmp_path / "wide.ply").write_bytes(header.encode())
    with pytest.raises(InputError, match="lacks the properties"):
        read_ply(tmp_path / "wide.ply")


@pytest.mark.parametrize("read", [read_ply, read_splat, read_glb, read_spz4])
def test_what_is_no_file_is_refused_as_well(tmp_path: Path, read: Callable[[Path], Gaussians]) -> None:
    for data in (b"", b"\0", b"\x80\x04\x95", b"PK\x03\x04" * 30, b"<html>" * 7):
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(InputError) as caught:
            read(tmp_path / "x")
        assert caught.value.code == Code.BAD_SCENE_FILE
