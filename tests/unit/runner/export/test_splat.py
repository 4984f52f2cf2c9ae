"""The .splat file: bytes equal to those of an independent converter, the most important Gaussians first."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import ply2splat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.export.ply import write_ply
from runner.export.splat import ROW, read_splat, write_splat
from runner.scene.gaussians import Gaussians
from scenejobs.errors import InputError, RunnerError
from tests.splats import random_splats as scene


def test_bytes_agree_with_ply2splat(tmp_path: Path) -> None:
    """The independent oracle (Rust) converts our PLY. Positions, colours and rotations agree byte by byte; exp() and
    the sigmoid may differ in the last bit of float32 between two maths libraries, so scales within 1e-6 and opacity
    within one step."""
    before = scene(5000)
    write_ply(before, tmp_path / "scene.ply")
    write_splat(before, tmp_path / "ours.splat")
    ply2splat.convert(str(tmp_path / "scene.ply"), str(tmp_path / "theirs.splat"), sort=True)
    ours = np.fromfile(tmp_path / "ours.splat", ROW)
    theirs = np.fromfile(tmp_path / "theirs.splat", ROW)
    assert len(ours) == len(theirs) == 5000
    moved = (ours["means"] != theirs["means"]).any(axis=1)
    assert moved.mean() < 0.001, "the order differs in more than ties"
    ours, theirs = ours[~moved], theirs[~moved]
    np.testing.assert_array_equal(ours["rgba"][:, :3], theirs["rgba"][:, :3])
    np.testing.assert_array_equal(ours["quats"], theirs["quats"])
    np.testing.assert_allclose(ours["scales"], theirs["scales"], rtol=1e-6)
    assert np.abs(ours["rgba"][:, 3].astype(int) - theirs["rgba"][:, 3]).max() <= 1


def test_an_independent_reader_sees_the_values(tmp_path: Path) -> None:
    """One Gaussian whose bytes follow from the format's own formula by hand."""
    one = Gaussians(
        means=np.array([[1, -2, 3]], np.float32),
        quats=np.array([[0, 3, 4, 0]], np.float32),  # of length 5: 0, 0.6, 0.8, 0
        log_scales=np.log(np.array([[0.5, 0.25, 2]], np.float32)),
        opacity_logits=np.array([np.log(3)], np.float32),  # sigmoid = 0.75 -> 191.25
        sh0=np.array([[0, 10, -10]], np.float32),  # 0.5 -> 127.5; beyond white; below black
        sh_rest=np.zeros((1, 0, 3), np.float32),
    )
    report = write_splat(one, tmp_path / "one.splat")
    splat = ply2splat.load_splat_file(str(tmp_path / "one.splat"))[0]
    assert tuple(splat.position) == (1, -2, 3)
    assert tuple(splat.scale) == pytest.approx((0.5, 0.25, 2))
    assert tuple(splat.color) == (127, 255, 0, 191)
    assert tuple(splat.rotation) == (128, 204, 230, 128)  # 0.6 * 128 + 128 = 204.8, 0.8 * 128 + 128 = 230.4, cut
    content = (tmp_path / "one.splat").read_bytes()
    assert (report.size_bytes, report.sha256) == (32, hashlib.sha256(content).hexdigest())


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 200), seed=st.integers(0, 1000))
def test_reading_back_loses_no_more_than_8_bits(
    tmp_path_factory: pytest.TempPathFactory, count: int, seed: int
) -> None:
    before = scene(count, seed)
    path = tmp_path_factory.mktemp("splat") / "scene.splat"
    assert write_splat(before, path).count == count
    after = read_splat(path)
    assert after.count == count
    assert after.sh_degree == 0
    order = np.lexsort(before.means.T)
    back = np.lexsort(after.means.T)
    np.testing.assert_array_equal(after.means[back], before.means[order])
    np.testing.assert_allclose(np.exp(after.log_scales[back]), np.exp(before.log_scales[order]), rtol=1e-5)
    colors = np.clip(0.5 + 0.28209479 * before.sh0[order], 0, 1)
    np.testing.assert_allclose(0.5 + 0.28209479 * after.sh0[back], colors, atol=1.001 / 255)
    unit = before.quats[order] / np.linalg.norm(before.quats[order], axis=1, keepdims=True)
    np.testing.assert_allclose(after.quats[back], unit, atol=1.001 / 128)


def test_the_biggest_and_most_opaque_come_first(tmp_path: Path) -> None:
    """Also where volumes are so small that their float32 product is zero."""
    tiny = np.array([[-40.0] * 3, [-38.0] * 3, [-39.0] * 3, [0.0] * 3], np.float32)
    ordered = replace(scene(4), log_scales=tiny, opacity_logits=np.array([0, 0, 0, -20], np.float32))
    write_splat(ordered, tmp_path / "scene.splat")
    # log(volume x opacity): -120.7, -114.7, -117.7, -20
    np.testing.assert_array_equal(read_splat(tmp_path / "scene.splat").means, ordered.means[[3, 1, 2, 0]])


@pytest.mark.parametrize("name", [field.name for field in fields(Gaussians)])
def test_one_bad_value_costs_one_gaussian(tmp_path: Path, name: str) -> None:
    before = scene(10)
    spoilt = getattr(before, name).copy()
    spoilt[3] = np.nan
    report = write_splat(replace(before, **{name: spoilt}), tmp_path / "scene.splat")
    assert (report.count, report.dropped) == (9, 1)
    assert np.isfinite(read_splat(tmp_path / "scene.splat").means).all()


def test_a_scale_beyond_float32_is_dropped_and_counted(tmp_path: Path) -> None:
    before = scene(10)
    before.log_scales[2, 1] = 89  # exp(89) > 3.4e38
    assert write_splat(before, tmp_path / "scene.splat").dropped == 1


def test_extreme_opacities_and_short_quaternions_are_written_right(tmp_path: Path) -> None:
    before = replace(scene(2), opacity_logits=np.array([200, -200], np.float32))
    before.quats[:] = np.array([1e-30, 0, 0, 0], np.float32)
    write_splat(before, tmp_path / "scene.splat")
    rows = np.fromfile(tmp_path / "scene.splat", ROW)
    assert rows["rgba"][:, 3].tolist() == [255, 0]
    assert rows["quats"].tolist() == [[255, 128, 128, 128]] * 2


def test_a_scene_of_nothing_but_nan_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match="none of 10 Gaussians"):
        write_splat(replace(scene(10), sh0=np.full((10, 3), np.nan, np.float32)), tmp_path / "scene.splat")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 1, 31, 33])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, size: int) -> None:
    (tmp_path / "cut.splat").write_bytes(b"\x00" * size)
    with pytest.raises(InputError, match=r"cut\.splat has"):
        read_splat(tmp_path / "cut.splat")


@settings(max_examples=50, deadline=None)
@given(content=st.binary(max_size=200))
def test_random_bytes_are_refused_or_read(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "noise.splat"
    path.write_bytes(content)
    refusal = None
    try:
        after = read_splat(path)
    except InputError as error:
        refusal = error
    if refusal:
        assert "noise.splat" in str(refusal)
    else:
        assert after.count == len(content) // 32
        assert np.isfinite(after.log_scales).all()
