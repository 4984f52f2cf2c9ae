"""The PLY file: what goes in comes out, other programs read the same numbers, damaged files are refused by name."""

from __future__ import annotations

import hashlib
import tracemalloc
from dataclasses import fields, replace
from pathlib import Path

import gsply
import numpy as np
import plyfile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runner.export.ply import CHUNK, read_ply, write_ply
from runner.scene.gaussians import Gaussians
from scenejobs.errors import InputError, RunnerError
from tests.splats import random_splats as scene

PLAIN = {"max_examples": 40, "deadline": None}


def same(a: Gaussians, b: Gaussians) -> bool:
    return all(np.array_equal(getattr(a, field.name), getattr(b, field.name)) for field in fields(Gaussians))


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_every_sh_degree_comes_back_bit_by_bit(tmp_path: Path, degree: int) -> None:
    before = scene(50, degree)
    report = write_ply(before, tmp_path / "scene.ply")
    after = read_ply(tmp_path / "scene.ply")
    assert same(before, after)
    assert after.sh_degree == degree
    content = (tmp_path / "scene.ply").read_bytes()
    assert (report.count, report.dropped) == (50, 0)
    assert (report.size_bytes, report.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    # INRIA layout: 14 + 3 K' floats and 3 normals, K' = (degree + 1)^2 coefficients per channel.
    assert len(content) - content.index(b"end_header\n") - 11 == 50 * 4 * (14 + 3 * (degree + 1) ** 2)
    assert [p.name for p in tmp_path.iterdir()] == ["scene.ply"], "no temporary file is left"


@settings(**PLAIN)
@given(
    data=st.data(),
    count=st.integers(1, 9),
    degree=st.integers(0, 3),
)
def test_any_finite_scene_comes_back(tmp_path_factory: pytest.TempPathFactory, data, count: int, degree: int) -> None:
    def values(*shape: int) -> np.ndarray:
        return data.draw(
            hnp.arrays(np.float32, shape, elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
        )

    before = Gaussians(
        values(count, 3), values(count, 4), values(count, 3), values(count), values(count, 3),
        values(count, (degree + 1) ** 2 - 1, 3),
    )  # fmt: skip
    before.quats[:, 0][~before.quats.any(axis=1)] = 1  # a zero quaternion is no rotation, and is dropped
    path = tmp_path_factory.mktemp("any") / "scene.ply"
    assert write_ply(before, path).count == count
    assert same(before, read_ply(path))


def test_plyfile_reads_the_inria_columns(tmp_path: Path) -> None:
    before = scene(20)
    write_ply(before, tmp_path / "scene.ply")
    vertex = plyfile.PlyData.read(tmp_path / "scene.ply")["vertex"]
    expected = ["x", "y", "z", "nx", "ny", "nz", *(f"f_dc_{i}" for i in range(3)), *(f"f_rest_{i}" for i in range(45)),
                "opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]  # fmt: skip
    assert [p.name for p in vertex.properties] == expected
    assert {p.val_dtype for p in vertex.properties} == {"f4"}
    np.testing.assert_array_equal(vertex["y"], before.means[:, 1])
    np.testing.assert_array_equal(vertex["nz"], 0)
    np.testing.assert_array_equal(vertex["rot_0"], before.quats[:, 0])  # w first
    # Channel-major: coefficient 2 of green is property 15 + 2.
    np.testing.assert_array_equal(vertex["f_rest_17"], before.sh_rest[:, 2, 1])


def test_gsply_reads_the_same_scene(tmp_path: Path) -> None:
    before = scene(20)
    write_ply(before, tmp_path / "scene.ply")
    data = gsply.plyread(tmp_path / "scene.ply")
    np.testing.assert_array_equal(data.means, before.means)
    np.testing.assert_array_equal(data.quats, before.quats)
    np.testing.assert_array_equal(data.scales, before.log_scales)
    np.testing.assert_array_equal(data.opacities, before.opacity_logits)
    np.testing.assert_array_equal(data.sh0, before.sh0)
    np.testing.assert_array_equal(data.shN, before.sh_rest)


def test_a_file_without_normals_reads_the_same(tmp_path: Path) -> None:
    """gsplat and gsply leave the normals out."""
    before = scene(20)
    rest = before.sh_rest.transpose(0, 2, 1).reshape(20, 45)
    gsply.plywrite(
        tmp_path / "g.ply", before.means, before.log_scales, before.quats, before.opacity_logits, before.sh0, rest
    )
    assert same(before, read_ply(tmp_path / "g.ply"))


@pytest.mark.parametrize("name", [field.name for field in fields(Gaussians)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_bad_value_costs_one_gaussian(tmp_path: Path, name: str, value: float) -> None:
    """gsplat 1.5.3 drops the whole scene for one bad opacity; here the other Gaussians stay, in order."""
    before = scene(10)
    spoilt = getattr(before, name).copy()
    spoilt[3] = value
    report = write_ply(replace(before, **{name: spoilt}), tmp_path / "scene.ply")
    assert (report.count, report.dropped) == (9, 1)
    np.testing.assert_array_equal(read_ply(tmp_path / "scene.ply").means, np.delete(before.means, 3, axis=0))


def test_a_scene_of_nothing_but_nan_is_an_error(tmp_path: Path) -> None:
    before = scene(10)
    with pytest.raises(RunnerError, match=r"none of 10 Gaussians") as caught:
        write_ply(replace(before, means=np.full((10, 3), np.nan, np.float32)), tmp_path / "scene.ply")
    assert caught.value.code == "TRAINING_DIVERGED"
    assert list(tmp_path.iterdir()) == []


def test_a_scene_of_several_chunks_keeps_its_order(tmp_path: Path) -> None:
    before = scene(CHUNK + 100, degree=0)
    before.means[[7, CHUNK, CHUNK + 50]] = np.nan
    assert write_ply(before, tmp_path / "scene.ply").dropped == 3
    kept = np.isfinite(before.means).all(axis=1)
    after = read_ply(tmp_path / "scene.ply")
    np.testing.assert_array_equal(after.means, before.means[kept])
    np.testing.assert_array_equal(after.quats, before.quats[kept])


def test_elements_after_the_vertices_are_ignored(tmp_path: Path) -> None:
    before = scene(20)
    write_ply(before, tmp_path / "scene.ply")
    vertex = plyfile.PlyData.read(tmp_path / "scene.ply", mmap=False)["vertex"]
    other = plyfile.PlyElement.describe(np.zeros(3, [("gain", "<f8")]), "camera")
    plyfile.PlyData([vertex, other], byte_order="<").write(tmp_path / "more.ply")
    assert same(before, read_ply(tmp_path / "more.ply"))


def test_writing_holds_one_copy_of_the_scene(tmp_path: Path) -> None:
    """And reading one: the file is mapped, not read."""
    before = scene(200_000)
    size = sum(values.nbytes for values in vars(before).values())
    tracemalloc.start()
    try:
        write_ply(before, tmp_path / "scene.ply")
        written = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        read_ply(tmp_path / "scene.ply")
        read = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert max(written, read) < 1.8 * size  # 1.05 for the file with its normals; a chunk and its pieces


@settings(**PLAIN)
@given(data=st.data())
def test_truncated_or_damaged_files_are_refused_or_read(tmp_path_factory: pytest.TempPathFactory, data) -> None:
    """Whatever bytes come: Gaussians of one length, or InputError that names the file; never another exception."""
    folder = tmp_path_factory.mktemp("fuzz")
    write_ply(scene(5, 1), folder / "scene.ply")
    content = bytearray((folder / "scene.ply").read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    damaged = folder / "damaged.ply"
    damaged.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    refusal = None
    try:
        after = read_ply(damaged)
    except InputError as error:
        refusal = error
    if refusal:
        assert "damaged.ply" in str(refusal)
        assert refusal.code == "BAD_SCENE_FILE"
    else:
        assert {len(getattr(after, field.name)) for field in fields(Gaussians)} == {after.count}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda b: b[:-1], "promises 5 rows"),
        (lambda b: b.replace(b"vertex 5", b"vertex 999999999"), "promises 999,999,999 rows"),
        (lambda b: b.replace(b"vertex 5", b"vertex -5"), "negative"),
        (lambda b: b.replace(b"binary_little_endian", b"ascii"), "not binary little-endian"),
        (lambda b: b.replace(b"binary_little_endian", b"binary_big_endian"), "not binary little-endian"),
        (lambda b: b.replace(b"element vertex", b"element point"), "element vertex"),
        (lambda b: b.replace(b"property float opacity\n", b""), "lacks the properties opacity"),
        (lambda b: b.replace(b"property float nx", b"property list"), "property list"),
        (lambda b: b.replace(b"property float f_rest_8\n", b""), "8 f_rest properties"),
        (lambda b: b.replace(b"property float y", b"property float x"), "same name"),
        (lambda b: b.replace(b"ply\n", b"ply\ncomment " + b"x" * 70_000 + b"\n", 1), "no complete header"),
        (lambda b: b"", "is not a PLY file"),
        (lambda b: b"\x00" * 100, "is not a PLY file"),
    ],
)
def test_the_refusal_says_what_is_wrong(tmp_path: Path, change, complaint: str) -> None:
    write_ply(scene(5, 1), tmp_path / "scene.ply")
    (tmp_path / "bad.ply").write_bytes(change((tmp_path / "scene.ply").read_bytes()))
    with pytest.raises(InputError, match=complaint):
        read_ply(tmp_path / "bad.ply")
