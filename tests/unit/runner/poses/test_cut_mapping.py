"""A mapping that its time limit ended: what it has by then is used with a warning, or not when much is missing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from runner.cache.store import CacheSettings, StageCache
from runner.context import StageContext
from runner.poses.colmap import client, mapping
from runner.poses.colmap.lenses import fisheye
from runner.poses.colmap.requests import (
    MapperRun,
    Match,
    Matches,
    Models,
    Reconstruct,
    Request,
)
from runner.poses.find import find_poses
from runner.poses.reuse.reusable_poses import MODEL
from runner.poses.settings import PoseSettings
from runner.scene.pose_report import PoseReport
from runner.scene.progress import SILENT
from scenejobs.errors import Code, RunnerError
from tests.pose_models import LooksWell, model
from tests.synthetic import write_frames

FRAMES = 12
SETTINGS = PoseSettings(features=600, max_image_size=320, threads=1, min_points=200)


class Colmap(LooksWell):
    """Answers as the COLMAP process does when its clock ends the mapper after so many of the frames."""

    def __init__(self, folder: Path, placed: int, cut: bool = True) -> None:
        self._model, self._cut = model(placed, folder=str(folder / "model")), cut
        Path(self._model.folder).mkdir(parents=True)
        for name in MODEL:
            (Path(self._model.folder) / name).write_bytes(b"COLMAP's")

    def run(self, request: Request[Any], *_: Any, **__: Any) -> Any:
        if (prepared := self.prepared(request)) is not None:
            return prepared
        match request:
            case Match():
                return Matches(pairs=66, links=((self.names[0], self.names[1]),), turning=0.0)
            case Reconstruct():
                return Models(models=(self._model,), cut=self._cut)
        raise AssertionError(request)


def found(folder: Path, monkeypatch: pytest.MonkeyPatch, colmap: Colmap, cache: StageCache | None = None) -> PoseReport:
    monkeypatch.setattr(client, "run", colmap.run)
    frames = write_frames(folder, {"a": [np.zeros((24, 32, 3), np.uint8)] * FRAMES})
    return find_poses(frames, StageContext(folder, SILENT, cache), SETTINGS)


def test_it_is_used_with_a_warning_that_names_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = found(tmp_path, monkeypatch, Colmap(tmp_path, FRAMES - 1))
    assert report.images_registered == FRAMES - 1
    (said,) = [warning for warning in report.warnings if "POSES_BUDGET_SECS" in warning]
    assert f"{FRAMES - 1} of {FRAMES} frames" in said


def test_one_that_came_to_its_end_needs_no_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(tmp_path, monkeypatch, Colmap(tmp_path, FRAMES - 1, cut=False)).warnings == ()


def test_a_part_of_the_frames_is_for_want_of_time_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two thirds pass every gate, and the others may belong to the scene as well."""
    with pytest.raises(RunnerError) as caught:
        found(tmp_path, monkeypatch, Colmap(tmp_path, 8))
    assert (caught.value.code, caught.value.exit_code) == (Code.POSES_TIMED_OUT, 3)
    assert "mapping was ended after" in caught.value.cause


def test_it_serves_no_later_run_that_has_more_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CacheSettings(tmp_path / "cache", 1_000_000_000, 1e9)
    store.folder.mkdir()
    for name, placed, cut in (("first", FRAMES - 1, True), ("second", FRAMES, False)):
        folder = tmp_path / name
        folder.mkdir()
        report = found(folder, monkeypatch, Colmap(folder, placed, cut), StageCache(store, "smoke"))
        assert report.images_registered == placed


@pytest.mark.parametrize(("seconds", "cut"), [(1.0, False), (30.0, True)])
def test_another_lens_that_could_not_be_tried_to_its_end_is_told(
    seconds: float, cut: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the usual lens is kept as if it had won, with cameras that are 17 degrees off."""
    clock = iter((0.0, seconds))
    monkeypatch.setattr(mapping, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(mapping, "_incremental", lambda *_: {})
    monkeypatch.setattr(fisheye, "may_be_fisheye", lambda *_: True)
    monkeypatch.setattr(fisheye, "as_fisheye", lambda *_: tmp_path / "other.db")
    run = MapperRun(
        database="a.db", images="frames", output=str(tmp_path), max_runtime_s=60, fixed_lens=False, threads=1
    )  # fmt: skip
    assert mapping._with_fisheye(run, 0, {}, 30.0) == ({}, run, cut)
