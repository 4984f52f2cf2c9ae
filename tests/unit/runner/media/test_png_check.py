"""Only a plain PNG of the size that it must have passes."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from runner.media import png_check


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (16, 9), **options: Any) -> Path:
    Image.new(mode, size).save(path, "PNG", **options)
    return path


def test_our_own_pictures_pass(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png", compress_level=1, compress_type=3)  # many IDAT chunks
    assert png_check.problem(tmp_path / "a.png", 400, 300, 1 << 20) == ""


def test_anything_else_is_named(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("a", "b")
    good = picture(tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(good[:-5])
    (tmp_path / "damaged.png").write_bytes(good[:45] + bytes([good[45] ^ 1]) + good[46:])
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "empty.png").touch()
    (tmp_path / "more.png").write_bytes(good + b"\0\0\0\0tail" + zlib.crc32(b"tail").to_bytes(4, "big"))
    (tmp_path / "long.png").write_bytes(good[:8] + b"\xff\xff\xff\xffIHDR" + good[16:])
    os.symlink(tmp_path / "good.png", tmp_path / "link.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    picture(tmp_path / "twice.png")
    os.link(tmp_path / "twice.png", tmp_path / "again.png")
    cases = {
        "cut": "cut off", "damaged": "damaged chunk", "text": "no PNG", "empty": "no PNG", "more": "more or less",
        "long": "cut off", "link": "cannot be opened", "pipe": "no plain file", "folder": "no plain file",
        "twice": "no plain file", "missing": "cannot be opened",
    }  # fmt: skip
    for name, complaint in cases.items():
        assert complaint in png_check.problem(tmp_path / f"{name}.png", 16, 9, 1 << 20), name
    for name, options in {
        "grey": {"mode": "L"}, "alpha": {"mode": "RGBA"}, "palette": {"mode": "P"}, "size": {"size": (9, 16)},
        "comment": {"pnginfo": text}, "profile": {"icc_profile": b"x" * 200}, "exif": {"exif": b"Exif\0\0x"},
    }.items():  # fmt: skip
        assert png_check.problem(picture(tmp_path / f"{name}.png", **options), 16, 9, 1 << 20) != "", name
    assert "bytes" in png_check.problem(tmp_path / "good.png", 16, 9, 10)
