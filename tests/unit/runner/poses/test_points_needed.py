"""How many points a model needs: fewer where there are few images, as each adds points of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from runner.context import StageContext
from runner.poses.colmap import client
from runner.poses.colmap.requests import (
    ChoosePairs,
    Done,
    Extract,
    FixLenses,
    ForgetMatches,
    Match,
    Matches,
    Models,
    Pairs,
    Reconstruct,
    Request,
)
from runner.poses.coverage import Coverage
from runner.poses.find import find_poses
from runner.poses.reuse.reusable_poses import MODEL
from runner.poses.settings import FEW, PoseSettings
from runner.scene.progress import SILENT
from scenejobs.errors import Code, InputError
from tests.pose_models import LooksWell, model
from tests.synthetic import write_frames

USUAL = PoseSettings()


class Colmap(LooksWell):
    """Answers as the COLMAP process does when a model of all images has so many points, whatever is tried."""

    def __init__(self, folder: Path, images: int, points: int) -> None:
        self._model = msgspec.structs.replace(model(images, folder=str(folder / "model")), points=points)
        self.mapped = 0
        Path(self._model.folder).mkdir(parents=True)
        for name in MODEL:
            (Path(self._model.folder) / name).write_bytes(b"COLMAP's")

    def run(self, request: Request[Any], *_: Any, **__: Any) -> Any:
        if isinstance(request, Extract):
            Path(request.source.database).touch()
        if (prepared := self.prepared(request)) is not None:
            return prepared
        match request:
            case ForgetMatches() | FixLenses():
                return Done()
            case ChoosePairs():
                return Pairs(pairs=())
            case Match():
                return Matches(pairs=66, links=((self.names[0], self.names[1]),), turning=0.0)
            case Reconstruct():
                self.mapped += 1
                return Models(models=(self._model,), cut=False)
        raise AssertionError(request)


def found(folder: Path, monkeypatch: pytest.MonkeyPatch, images: int, points: int) -> int:
    """How many times the mapper ran. Raises InputError where the model is refused."""
    colmap = Colmap(folder, images, points)
    monkeypatch.setattr(client, "run", colmap.run)
    frames = write_frames(folder, {"a": [np.zeros((24, 32, 3), np.uint8)] * images})
    assert find_poses(frames, StageContext(folder, SILENT), USUAL).points == points
    return colmap.mapped


@pytest.mark.parametrize(("images", "points"), [(8, 503), (10, 636), (11, 651)])
def test_few_images_pass_at_the_first_way_with_as_many_points_each_as_more_images_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: int, points: int
) -> None:
    """What 8 and 10 photos of a courtyard and 11 of a doll had, of 640 px, with cameras that are right; 1,000 were
    asked for, whatever there was."""
    assert found(tmp_path, monkeypatch, images, points) == 1


@pytest.mark.parametrize(("images", "points"), [(9, 253), (11, 378), (FEW, 999), (100, 999)])
def test_too_few_points_for_so_many_images_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: int, points: int
) -> None:
    """The first two are sets of photos of which half were mirrored: both halves in one model, which cannot be right."""
    with pytest.raises(InputError) as caught:
        found(tmp_path, monkeypatch, images, points)
    assert caught.value.code == Code.POSES_UNRELIABLE
    assert f"{points} points were found; {USUAL.points_for(images):,} are needed" in caught.value.cause


def test_the_setting_is_for_a_full_set_of_images_and_holds_for_more() -> None:
    settings = PoseSettings(min_points=2000)
    assert [settings.points_for(count) for count in (FEW // 2, FEW, 250)] == [1000, 2000, 2000]
    assert PoseSettings(min_points=0).points_for(9) == 0


def test_what_guided_matching_adds_confirms_nothing_so_the_whole_number_holds(tmp_path: Path) -> None:
    """It joined photos of a doll and mirrored ones with 62 points for each; without it they have 34."""
    coverage = Coverage(write_frames(tmp_path, {"a": [np.zeros((24, 32, 3), np.uint8)] * 11}))
    assert coverage.counts(model(11), USUAL, guided=True).min_points == USUAL.min_points
    assert coverage.counts(model(11), USUAL, guided=False).min_points == USUAL.points_for(11) == 550
