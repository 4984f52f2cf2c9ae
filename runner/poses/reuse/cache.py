"""Poses, and the features and matches they come from, in the cache of stages.

    poses-<files>-<content>   see runner/poses/reuse/reusable_poses.py
    features-<key>-<frames>   COLMAP's database; <key>: how features are found, <frames>: of which images, by pixels

A database serves every later one that has some of its images: their features are reused, and for pairs of them
the matches (`runner/poses/colmap/reuse.py`).
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from runner.cache.store import StageCache, content_hash, key
from runner.poses.colmap.requests import Group, Model, Rename, Rescale, Source, TakeOver
from runner.poses.colmap.session import Ask
from runner.poses.reuse.reusable_poses import (
    FACTS,
    MODEL,
    REPORT,
    ReusablePoses,
    frame_keys,
    keep_chosen,
    prefix,
    reusable_poses,
    timeless,
)
from runner.poses.rungs import Rung
from runner.poses.settings import PoseSettings
from runner.scene.frames import FrameSet
from runner.scene.masks import FOLDER, digest_of, masks_digest
from runner.scene.pose_report import PoseReport
from scenejobs.errors import ResourceError, RunnerError

FRAMES, DATABASE = "frames.json", "database.db"
Passes = tuple[tuple[Group, ...], ...]
KEPT = 2  # databases per kind of features: each next one knows what the one before did

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reusable:
    """Poses of an earlier run, fitted to the frames of this one."""

    known: ReusablePoses
    rung: Rung  # that won then
    model: Model


class PoseCache:
    """What is known about one set of frames."""

    def __init__(
        self, cache: StageCache, frames: FrameSet, images: Path, sizes: Mapping[str, tuple[int, int]],
        settings: PoseSettings, supplied: str = "",
    ) -> None:  # fmt: skip
        """images: their folder. sizes: width, height in px of those of each clip. supplied: digest of poses that the
        user supplies; with it, nothing is taken from runs without, and the other way round."""
        self._cache, self._frames, self._images, self._settings = cache, frames, images, settings
        self._sizes, self._keys, self._supplied = sizes, frame_keys(frames), supplied
        self._masks = images.with_name(FOLDER)
        facts: list[Any] = [
            [asdict(clip) for clip in frames.clips], [asdict(frame) for frame in frames.frames], self._keys
        ]  # fmt: skip
        if masks := masks_digest(self._masks, (frame.image for frame in frames.frames)):
            facts.append(masks)
        made_from = [facts, sorted(sizes.items()), timeless(settings)]
        self._first_rung = f"{prefix(frames, settings, supplied)}-{key(*made_from)}"
        self._later_rung = f"{prefix(frames, settings, supplied)}-{key(*made_from, settings.budget_s)}"

    def report(self, target: Path) -> dict[str, Any] | None:
        """The report on poses of exactly these frames and settings; the model is put to `target`. None: not known."""
        part = target.with_name(f".{target.name}.cached")
        for name in (self._first_rung, self._later_rung) if self._keys else ():
            shutil.rmtree(part, ignore_errors=True)
            if self._cache.get(name, [FACTS, REPORT, *MODEL], part):
                value: dict[str, Any] = json.loads((part / REPORT).read_bytes())
                for file in (FACTS, REPORT):
                    (part / file).unlink()
                shutil.rmtree(target, ignore_errors=True)
                part.rename(target)
                self._cache.used["poses"] += 1
                return value
        shutil.rmtree(part, ignore_errors=True)
        return None

    def from_another_run(self, folder: Path, ask: Ask) -> Reusable | None:
        """The best poses of all these frames that other settings gave; all of it is below `folder`."""
        if self._keys is None or self._supplied:  # what the user supplies is tried first
            return None
        keys, target = self._keys, folder / "model"
        found = [
            (len(one.registered.intersection(keys)), one.settings["features"], one.name, one)
            for one in reusable_poses(self._cache, self._frames, self._settings, target) if one.covers(keys)
        ]  # fmt: skip
        if not found or not self._cache.get((best := max(found)[-1]).name, [FACTS, REPORT, *MODEL], target):
            return None
        images = {}
        for frame, one in zip(self._frames.frames, keys, strict=True):
            width, height = self._sizes[frame.video]
            images[best.images[one]] = Rename(name=frame.image, width=width, height=height)
        request = Rescale(seed=self._settings.seed, model=str(target), output=str(folder / "fitted"), images=images)
        try:
            return Reusable(best, Rung(**best.rung), ask(request))
        except (RunnerError, ResourceError, TypeError) as exc:  # best effort: without it the work is done as usual
            log.warning("poses that were found before are not used: %s", exc)
            self._cache.remove(best.name)
            return None

    def count_used(self, known: ReusablePoses, frames: int) -> None:
        """Notes that poses of so many frames were used."""
        self._cache.used[f"poses of frames, preset {known.run}"] += frames

    def keep_poses(self, report: PoseReport, model: Path, at_once: bool, rung: Rung, zoom: float) -> None:
        """at_once: the first rung was right, and no further one would have been tried with any amount of time."""
        if self._keys is None:
            return
        name = self._first_rung if at_once else self._later_rung
        images = {one: frame.image for one, frame in zip(self._keys, self._frames.frames, strict=True)}
        registered = frozenset(images) - {one for one, image in images.items() if image in set(report.unregistered)}
        facts = ReusablePoses(
            name,
            self._cache.run,
            images,
            registered,
            timeless(self._settings),
            asdict(rung),
            float(zoom),
            report.points,
        )
        files: dict[str, Path | bytes] = {FACTS: facts.to_json(), REPORT: json.dumps(report.to_json()).encode()}
        self._cache.put(name, files | {file: model / file for file in MODEL})

    def begin(self, kind: str, source: Source, passes: Passes, ask: Ask) -> bool:
        """Begins the database of `source` with what is known of its images. False: nothing is, and there is none.

        kind: of features, Rung.database. passes: images in the order in which they will be extracted.
        """
        database = Path(source.database)
        part = database.with_suffix(".part")
        for name in self._cache.names(self._features(kind))[:KEPT]:
            folder = database.with_name("known")
            try:
                if not self._cache.get(name, [FRAMES, DATABASE], folder):
                    continue
                hashes: dict[str, str] = json.loads((folder / FRAMES).read_bytes())
                if set(hashes.values()).isdisjoint(self._hashes.values()):
                    continue
                reused = ask(TakeOver(
                    seed=self._settings.seed, source=msgspec.structs.replace(source, database=str(part)),
                    passes=passes, known=str(folder / DATABASE), known_hashes=hashes, hashes=self._hashes,
                ))  # fmt: skip
            except RunnerError as exc:  # best effort: without it the work is done as usual
                log.warning("features that were found before are not used: %s", exc)
                self._cache.remove(name)
                part.unlink(missing_ok=True)
                return False
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            self._cache.used["features of frames"] += reused.features
            self._cache.used["matches of pairs"] += reused.pairs
        if part.is_file():
            part.rename(database)
        return database.is_file()

    def keep_databases(self, kinds: Iterable[str], folder: Path) -> None:
        """folder/<kind>/database.db: with everything that was found for these images."""
        keep_chosen(self._cache, self._frames, self._sizes, self._settings)
        for kind in sorted(kinds):
            files: dict[str, Path | bytes] = {FRAMES: json.dumps(self._hashes).encode()}
            name = f"{self._features(kind)}-{key(sorted(self._hashes.values()))}"
            self._cache.put(name, files | {DATABASE: folder / kind / DATABASE})
            for older in self._cache.names(self._features(kind))[KEPT:]:
                self._cache.remove(older)

    @cached_property
    def _hashes(self) -> dict[str, str]:
        """Of the pixels and the masks, by image name: features that were found without a mask are others."""
        return {
            frame.image: content_hash(self._images / frame.image) + digest_of(self._masks, frame.image)
            for frame in self._frames.frames
        }

    def _features(self, kind: str) -> str:
        return f"features-{key(kind, self._settings.seed)}"  # pairs are verified by chance, which the seed decides
