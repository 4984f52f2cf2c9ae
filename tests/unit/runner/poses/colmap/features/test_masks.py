"""No feature is found where a mask ignores the picture; a picture without a mask is looked at as before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
from PIL import Image

from runner.poses.colmap import client
from runner.poses.colmap.requests import Extract, Group, Source
from runner.scene.masks import clip_mask, write_mask
from runner.scene.progress import SILENT
from tests.videos import corners

WIDTH, HEIGHT = 640, 480


def keypoints(workspace: Path, names: tuple[str, ...], masks: str) -> dict[str, np.ndarray]:
    """[N, 2] of each image."""
    work = workspace / f"sfm{bool(masks)}"
    work.mkdir()
    source = Source(str(work / "database.db"), str(workspace / "frames"), "SIMPLE_RADIAL")
    request = Extract(
        seed=0, source=source, groups=(Group(names, None),), features=2000, max_image_size=1280, sensitive=False,
        threads=1, masks=masks,
    )  # fmt: skip
    client.run(request, work, SILENT, limit_s=60.0)
    with pycolmap.Database.open(str(work / "database.db")) as database:
        return {one.name: database.read_keypoints(one.image_id)[:, :2] for one in database.read_all_images()}


def test_no_feature_lies_in_a_mask(tmp_path: Path) -> None:
    names = ("a/000001.png", "a/000002.png")
    (tmp_path / "frames" / "a").mkdir(parents=True)
    for name in names:
        Image.fromarray(np.roll(corners(WIDTH, HEIGHT), 40, axis=1)).save(tmp_path / "frames" / name)
    used = np.ones((HEIGHT, WIDTH), bool)
    used[200:, :300] = False
    write_mask(tmp_path / "masks" / names[0], used)
    before, masked = (keypoints(tmp_path, names, folder) for folder in ("", str(tmp_path / "masks")))
    x, y = masked[names[0]].astype(int).T
    assert used[y, x].all()
    x, y = before[names[0]].astype(int).T
    assert 0 < used[y, x].sum() < len(x)
    assert len(masked[names[0]]) > 0.8 * used[y, x].sum()
    assert len(masked[names[1]]) == len(before[names[1]])
    write_mask(clip_mask(tmp_path / "masks", "a"), used)  # and of the whole clip
    (tmp_path / "sfmTrue").rename(tmp_path / "earlier")
    x, y = keypoints(tmp_path, names, str(tmp_path / "masks"))[names[1]].astype(int).T
    assert used[y, x].all()
