"""Files that are packed are refused by name, with how they are packed, and nothing unpacks them."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.context import StageContext
from runner.files.packed import packed_as
from runner.media.extract import extract_frames
from runner.media.settings import FrameSettings, Limits
from runner.pipeline.mock import reconstruct_mock
from runner.pipeline.settings import resolve
from runner.scene.frames import Clip
from runner.scene.progress import SILENT
from scenejobs.errors import Code, InputError
from scenejobs.settings.pipeline import PipelineSettings
from tests.bad_input_files import good, image, tarred, zipped
from tests.supplied_files import TRANSFORMS, read
from tests.videos import pan, write_video

SETTINGS = FrameSettings(budget=20, long_side=120, limits=Limits(min_long_side=64, min_short_side=48))
PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip in gzip": ("gzip", lambda data: gzip.compress(gzip.compress(data))),
    "members": ("gzip", lambda data: gzip.compress(data) + gzip.compress(data)),
    "bomb": ("gzip", lambda data: gzip.compress(bytes(128 << 20))),
    "cut off": ("gzip", lambda data: gzip.compress(data)[:40]),
    "deflate": ("deflate", zlib.compress),
    "xz": ("xz", lzma.compress),
    "bzip2": ("bzip2", bz2.compress),
    "zip": ("zip", lambda data: zipped()),
}


@pytest.mark.parametrize("case", PACKED)
def test_a_packed_video_and_a_packed_photo_are_left_out_and_said_to_be_packed(tmp_path: Path, case: str) -> None:
    """The scene goes on with the others."""
    name, pack = PACKED[case]
    (tmp_path / "packed.mp4").write_bytes(pack(good()))
    (tmp_path / "packed.jpg").write_bytes(pack(image("JPEG")))
    write_video(tmp_path / "a.mp4", pan(30, 8, 160, 96), fps=30)
    clips = [Clip(file, tmp_path / file) for file in ("packed.mp4", "a.mp4", "packed.jpg")]
    found = extract_frames(clips, StageContext(tmp_path, SILENT), SETTINGS)
    assert [clip.name for clip in found.clips] == ["a.mp4"]
    codes = {"packed.mp4": Code.NOT_A_VIDEO, "packed.jpg": Code.NOT_A_PHOTO}
    assert {one.name: one.failure.code for one in found.refused} == codes
    assert all(f"packed ({name})" in one.failure.cause for one in found.refused)
    assert all("unpack it" in one.failure.advice for one in found.refused)


def test_what_is_not_packed_is_not_called_so() -> None:
    beginnings = [good(), image("JPEG"), image("PNG"), tarred(), b"", b"\x1f", b"x", b"hello world\n", b"\0" * 12]
    assert [packed_as(data[:12]) for data in beginnings] == [""] * len(beginnings)


def test_packed_poses_are_said_to_be_packed(tmp_path: Path) -> None:
    (tmp_path / "transforms.json").write_bytes(gzip.compress(json.dumps(TRANSFORMS).encode()))
    with pytest.raises(InputError, match=r"transforms\.json: it is packed \(gzip\)") as caught:
        read(tmp_path, "transforms.json")
    assert caught.value.code == Code.BAD_POSES


def test_the_mock_refuses_a_packed_file_too(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(gzip.compress(good()))
    for folder in ("workspace", "out"):
        (tmp_path / folder).mkdir()
    with pytest.raises(InputError, match=r"a\.mp4 .* packed \(gzip\)"):
        reconstruct_mock(
            [Clip("a.mp4", tmp_path / "a.mp4")], tmp_path / "workspace", tmp_path / "out", "lobby",
            resolve(PipelineSettings(backend="mock"), "job"), SILENT,
        )  # fmt: skip
