"""The pairs that look most alike come first: what all pairs are asked for, and what they are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from runner.context import StageContext
from runner.poses.colmap import client
from runner.poses.colmap.requests import (
    Centres,
    ChoosePairs,
    Done,
    FindCentres,
    FixLenses,
    Match,
    Matches,
    Model,
    Models,
    Pairs,
    Reconstruct,
    Request,
)
from runner.poses.find import find_poses
from runner.poses.reuse.reusable_poses import MODEL
from runner.poses.settings import PoseSettings
from runner.scene.pose_report import PoseReport
from runner.scene.progress import SILENT
from scenejobs.errors import Code, InputError
from tests.pose_models import HEALTH, LooksWell, model
from tests.synthetic import write_frames

FRAMES = 31
SETTINGS = PoseSettings(features=600, max_image_size=320, threads=1, min_points=200, budget_s=1e9)


class Colmap(LooksWell):
    """Answers as the COLMAP process does for a lens of a focal length; the pairs that look alike and all pairs put the
    cameras so far apart. placed: frames that the former place. joining: pairs of frames that fit together, with one of
    them among these."""

    def __init__(
        self, folder: Path, focal_ratio: float = 0.75, apart: float = 0.0, placed: int = FRAMES, joining: int = 0
    ) -> None:
        self._folder, self._apart, self._placed, self._joining = folder, apart, placed, joining
        self._health = replace(HEALTH, focal_ratio=focal_ratio)
        self._all_pairs = False
        self._made: dict[str, float] = {}
        self.mappings = 0

    def run(self, request: Request[Any], *_: Any, **__: Any) -> Any:
        if (prepared := self.prepared(request)) is not None:
            return prepared
        match request:
            case ChoosePairs():
                return Pairs(pairs=tuple(zip(self.names, self.names[1:], strict=False)))
            case FixLenses():
                return Done()
            case Match(pairs=pairs, database=database):
                Path(database).touch()
                self._all_pairs = pairs is None
                across = zip(self.names[: self._joining], self.names[len(self.names) - self._joining :], strict=True)
                return Matches(pairs=66, links=((self.names[0], self.names[1]), *across), turning=0.0)
            case Reconstruct():
                return Models(models=(self._mapped(),))
            case FindCentres(models=models):
                return Centres(centres=tuple(map(self._centres, models)))
        raise AssertionError(request)

    def _mapped(self) -> Model:
        folder = self._folder / f"model{self.mappings}"
        folder.mkdir()
        for name in MODEL:
            (folder / name).write_bytes(b"COLMAP's")
        self.mappings += 1
        self._made[str(folder)] = self._apart if self._all_pairs else 0.0
        names = tuple(self.names if self._all_pairs else self.names[: self._placed])
        return msgspec.structs.replace(model(len(names), self._health, str(folder)), names=names)

    def _centres(self, folder: str) -> dict[str, tuple[float, float, float]]:
        bent = self._made[folder]
        return {name: (np.cos(i / 5), np.sin(i / 5), bent * (-1) ** i) for i, name in enumerate(self.names)}


def found(folder: Path, monkeypatch: pytest.MonkeyPatch, colmap: Colmap, clips: str = "a") -> PoseReport:
    monkeypatch.setattr(client, "run", colmap.run)
    frames = write_frames(folder, dict.fromkeys(clips, [np.zeros((24, 32, 3), np.uint8)] * FRAMES))
    return find_poses(frames, StageContext(folder, SILENT), SETTINGS)


def test_the_usual_lens_is_believed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = found(tmp_path, monkeypatch, colmap := Colmap(tmp_path))
    assert report.rung.startswith("preselected")
    assert colmap.mappings == 1


def test_an_odd_lens_is_believed_when_all_pairs_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = found(tmp_path, monkeypatch, Colmap(tmp_path, 1.8))
    assert report.rung.startswith("exhaustive")
    assert len(report.attempts) == 2


@pytest.mark.parametrize("placed", [FRAMES, 3])
def test_other_pairs_that_put_the_cameras_elsewhere_or_nowhere_refuse_it(
    placed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From whatever seed all pairs find it again: 48 pictures of a room of tiles passed so, wrong by 25 % of their
    path."""
    with pytest.raises(InputError) as caught:
        found(tmp_path, monkeypatch, Colmap(tmp_path, 1.8, 0.5, placed))
    assert caught.value.code == Code.POSES_UNRELIABLE
    assert "repeat" in str(caught.value)


@pytest.mark.parametrize(("joining", "mappings", "registered"), [(0, 1, FRAMES), (1, 1, FRAMES), (2, 2, 2 * FRAMES)])
def test_a_clip_that_not_even_all_pairs_join_costs_no_second_mapping(
    joining: int, mappings: int, registered: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pair of frames may be chance."""
    report = found(tmp_path, monkeypatch, colmap := Colmap(tmp_path, joining=joining), "ab")
    assert (colmap.mappings, report.images_registered) == (mappings, registered)
