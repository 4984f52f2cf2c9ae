"""Masks in the workspace: those of a clip and of a frame count together, and every change shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runner.scene.masks import clip_mask, masks_digest, read_mask, write_mask


def half(left: bool) -> np.ndarray:
    used = np.zeros((4, 6), bool)
    used[:, slice(3) if left else slice(3, None)] = True
    return used


def test_masks_of_clip_and_frame_count_together(tmp_path: Path) -> None:
    assert read_mask(tmp_path, "a/000001.png") is None
    write_mask(clip_mask(tmp_path, "a"), half(left=True))
    assert np.array_equal(read_mask(tmp_path, "a/000001.png"), half(left=True))
    write_mask(tmp_path / "a/000001.png", half(left=False))
    assert not read_mask(tmp_path, "a/000001.png").any()
    assert read_mask(tmp_path, "a/000002.png").any()
    write_mask(tmp_path / "a/000003.png", np.ones((2, 2), bool))
    with pytest.raises(ValueError, match="different sizes"):
        read_mask(tmp_path, "a/000003.png")


def test_every_change_of_a_mask_shows_in_the_digest(tmp_path: Path) -> None:
    images = ["a/000001.png", "b/000001.png"]
    seen = [masks_digest(tmp_path, images)]
    assert seen == [""]
    for path, used in (
        (clip_mask(tmp_path, "a"), half(True)), (clip_mask(tmp_path, "a"), half(False)),
        (clip_mask(tmp_path, "b"), half(True)), (tmp_path / "b/000001.png", half(True)),
    ):  # fmt: skip
        write_mask(path, used)
        seen.append(masks_digest(tmp_path, images))
    assert len(set(seen)) == len(seen)
    assert masks_digest(tmp_path, ["c/000001.png"]) == ""
