"""Whatever a file of camera poses holds: it is read soundly or refused."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.poses.supplied.match import match
from scenejobs.errors import Code, InputError
from tests.supplied import colmap_model, write_model
from tests.supplied_files import NAMES, OWN, POSES, SIZE, TRANSFORMS, assert_sound, photo_set, read
from tests.synthetic import FOCAL

FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read_or_refuse(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    try:
        supplied = read(folder, *files)
    except InputError as exc:
        assert exc.code in (Code.BAD_POSES, Code.TOO_LARGE)  # noqa: PT017
        assert len(exc.cause) < 1000  # noqa: PT017
        return
    assert_sound(supplied)
    match(supplied, photo_set(*(picture.name for picture in supplied.images)))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("model")
    for kind in ("bin", "txt"):
        write_model(folder, colmap_model(NAMES, POSES, SIZE, FOCAL), kind)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@FUZZ
@given(which=st.sampled_from(["bin", "txt"]), of=st.sampled_from(["cameras", "images"]), data=st.data())
def test_a_damaged_model_is_read_soundly_or_refused(
    tmp_path: Path, model: dict[str, bytes], which: str, of: str, data
) -> None:
    names = [f"cameras.{which}", f"images.{which}"]
    files = {name: bytearray(model[name]) for name in names}
    damaged = files[f"{of}.{which}"]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
        if not damaged:
            break
    read_or_refuse(tmp_path, {name: bytes(content) for name, content in files.items()})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@FUZZ
@given(key=st.sampled_from(["frames", "fl_x", "fl_y", "w", "h", "cx", "k1", "camera_angle_x", "camera_model"]),
       own=st.sampled_from(["file_path", "transform_matrix", "fl_x", "w", "p1"]), one=VALUES, two=VALUES)  # fmt: skip
def test_any_value_anywhere_in_transforms_is_read_soundly_or_refused(tmp_path: Path, key, own, one, two) -> None:
    value = copy.deepcopy(TRANSFORMS)
    value["frames"][1][own] = two
    read_or_refuse(tmp_path, {"transforms.json": json.dumps(value).encode()})
    value[key] = one
    read_or_refuse(tmp_path, {"transforms.json": json.dumps(value).encode()})


@FUZZ
@given(key=st.sampled_from([*OWN, "lens", "photo"]), value=VALUES)
def test_any_value_anywhere_in_our_cameras_is_read_soundly_or_refused(tmp_path: Path, key: str, value: Any) -> None:
    read_or_refuse(tmp_path, {"cameras.json": json.dumps([OWN, {**OWN, key: value}]).encode()})


@FUZZ
@given(st.binary(max_size=400))
def test_any_bytes_at_all_are_refused(tmp_path: Path, data: bytes) -> None:
    for name in ("transforms.json", "cameras.json"):
        read_or_refuse(tmp_path, {name: data})
    read_or_refuse(tmp_path, {"cameras.bin": data, "images.bin": data})
    read_or_refuse(tmp_path, {"cameras.txt": data, "images.txt": data})
