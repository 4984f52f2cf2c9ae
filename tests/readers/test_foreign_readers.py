"""Programs that nobody here wrote see our values in our files: Babylon.js, three.js, PlayCanvas' splat-transform."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from scipy.special import expit

from runner.export.compressed_ply import write_compressed
from runner.export.glb import read_glb, write_glb
from runner.export.ply import read_ply, write_ply
from runner.export.splat import write_splat
from runner.export.spz import write_spz
from runner.export.spz4 import write_spz4
from runner.export.validity import ExportReport
from runner.export.y_up import HALF_TURN
from runner.scene.gaussians import Gaussians
from runner.scene.rotate import rotate_gaussians
from tests.readers import READERS
from tests.splats import random_splats

pytestmark = pytest.mark.skipif(not READERS.is_installed, reason="the readers are not installed: make readers-check")
TRANSFORM = "@playcanvas/splat-transform/bin/cli.mjs"
SH_C0 = 0.28209479177387814
AROUND_Y = np.diag([-1.0, 1.0, -1.0])


def scene(degree: int = 3) -> Gaussians:
    """Values in the range that all formats hold, none near its edge."""
    some = random_splats(300, degree, 0)
    means = np.random.default_rng(1).uniform(-5, 5, (300, 3)).astype(np.float32)
    logits = some.opacity_logits.clip(-4, 4)
    return replace(
        some, means=means, opacity_logits=logits, sh0=some.sh0.clip(-1.6, 1.6), sh_rest=some.sh_rest.clip(-0.9, 0.9)
    )


def covariances(gaussians: Gaussians) -> NDArray[np.float64]:
    """[N, 3, 3], by scipy and not by our own code."""
    turn = Rotation.from_quat(np.roll(gaussians.quats, -1, axis=1)).as_matrix()
    spread = turn * np.exp(gaussians.log_scales.astype(np.float64))[:, None, :]
    return spread @ spread.transpose(0, 2, 1)


def decoded(text: str, kind: str, width: int) -> NDArray[np.float64]:
    return np.frombuffer(base64.b64decode(text), kind).reshape(-1, width).astype(np.float64)


def diffuse(gaussians: Gaussians) -> NDArray[np.float64]:
    return np.clip(0.5 + SH_C0 * gaussians.sh0.astype(np.float64), 0, 1)


def same_scene(theirs: Gaussians, ours: Gaussians, *, place: float, spread: float, color: float, rest: float) -> None:
    """The Gaussians of both in any order, within the bits of a format."""
    distance, row = cKDTree(ours.means).query(theirs.means)
    assert distance.max() < place
    assert len(set(row.tolist())) == ours.count == theirs.count
    wanted = covariances(ours)[row]
    size = np.trace(wanted, axis1=1, axis2=2)[:, None, None]
    assert np.abs((covariances(theirs) - wanted) / size).max() < spread
    assert np.abs(expit(theirs.opacity_logits) - expit(ours.opacity_logits[row])).max() < 0.01
    assert np.abs(diffuse(theirs) - diffuse(ours)[row]).max() < color
    if ours.sh_degree and theirs.sh_degree:
        assert np.abs(theirs.sh_rest - ours.sh_rest[row]).max() < rest


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_three_js_opens_the_glb_and_sees_every_gaussian(tmp_path: Path, degree: int) -> None:
    before = scene(degree)
    write_glb(before, tmp_path / "s.glb")
    found = json.loads(READERS.run("three.mjs", str(tmp_path / "s.glb")))
    turned = rotate_gaussians(before, HALF_TURN)
    np.testing.assert_array_equal(decoded(found["position"], "<f4", 3), turned.means)
    upper = covariances(turned)[:, [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]]
    np.testing.assert_allclose(decoded(found["covariance"], "<f4", 6), upper, rtol=1e-4, atol=1e-5)
    seen = decoded(found["color"], "u1", 4) / 255
    np.testing.assert_allclose(seen, np.column_stack([diffuse(before), expit(before.opacity_logits)]), atol=0.003)
    assert sum(name.startswith("sphericalHarmonics") for name in found) == degree


def test_babylon_js_opens_the_glb_and_sees_every_gaussian(tmp_path: Path) -> None:
    before = scene()
    write_glb(before, tmp_path / "s.glb")
    found = json.loads(READERS.run("babylon.mjs", str(tmp_path / "s.glb")).splitlines()[-1])
    turned = rotate_gaussians(before, HALF_TURN)
    rows = base64.b64decode(found["rows"])
    floats, small = decoded(found["rows"], "<f4", 8)[:, :6], np.frombuffer(rows, "u1").reshape(-1, 32)[:, 24:]
    np.testing.assert_array_equal(floats[:, :3], turned.means)
    np.testing.assert_allclose(floats[:, 3:], np.exp(turned.log_scales), rtol=1e-5)
    np.testing.assert_allclose(
        small[:, :4] / 255, np.column_stack([diffuse(before), expit(before.opacity_logits)]), atol=0.003
    )
    quats = (small[:, 4:] - 127.5) / 127.5
    unit = turned.quats / np.linalg.norm(turned.quats, axis=1, keepdims=True)
    np.testing.assert_allclose(np.abs((quats * unit).sum(axis=1)), 1, atol=0.02)
    assert found["degree"] == 3
    textures = [np.frombuffer(base64.b64decode(text), "u1").reshape(-1, 16) for text in found["harmonics"]]
    harmonics = (np.concatenate(textures, axis=1)[:, :45] - 128.0) / 128
    np.testing.assert_allclose(harmonics, turned.sh_rest.reshape(-1, 45), atol=0.005)


def test_we_read_the_glb_of_another_writer(tmp_path: Path) -> None:
    """splat-transform turns around z, we around x: upright in both, seen from the other side."""
    before = scene()
    write_ply(before, tmp_path / "s.ply")
    READERS.run_program(TRANSFORM, "-w", str(tmp_path / "s.ply"), str(tmp_path / "s.glb"))
    theirs = rotate_gaussians(read_glb(tmp_path / "s.glb"), AROUND_Y)
    same_scene(theirs, before, place=1e-6, spread=1e-5, color=1e-6, rest=1e-5)


FILES: list[tuple[str, Callable[[Gaussians, Path], ExportReport], NDArray[np.float64]]] = [
    ("s.ply", write_ply, np.eye(3)),
    ("s.compressed.ply", write_compressed, np.eye(3)),
    ("s.splat", write_splat, np.eye(3)),
    ("s.spz", write_spz4, HALF_TURN),  # it leaves the axes of .spz as they are: y up
    ("old.spz", write_spz, HALF_TURN),
]


@pytest.mark.parametrize(("name", "write", "turn"), FILES, ids=[name for name, _, _ in FILES])
def test_splat_transform_opens_every_other_format(
    tmp_path: Path, name: str, write: Callable[[Gaussians, Path], ExportReport], turn: NDArray[np.float64]
) -> None:
    before = scene(0 if name.endswith(".splat") else 3)
    write(before, tmp_path / name)
    READERS.run_program(TRANSFORM, "-w", str(tmp_path / name), str(tmp_path / "back.ply"))
    theirs = rotate_gaussians(read_ply(tmp_path / "back.ply"), turn)
    same_scene(theirs, before, place=0.006, spread=0.08, color=0.006, rest=0.02)
