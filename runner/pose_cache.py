"""Poses, and the features and matches they come from, in the cache of stages. Keys: the pixels of the frames.

    poses-<key>               the sparse model and the report; <key>: frames, clips, settings
    features-<key>-<frames>   COLMAP's database; <key>: how features are found, <frames>: of which pictures

A database serves every later one that has some of its pictures: their features are taken over, and for pairs of them
the matches (`runner/sfm_reuse.py`).
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from runner.presets import PoseSettings
from runner.scene import FrameSet, PoseReport
from runner.stage_cache import StageCache, content_hash, key
from scenejobs.errors import RunnerError

REPORT, FRAMES, DATABASE = "report.json", "frames.json", "database.db"
MODEL = ("cameras.bin", "frames.bin", "images.bin", "points3D.bin", "rigs.bin")
KEPT = 2  # databases per way to find features: each next one knows what the one before did

Run = Callable[[dict[str, Any]], dict[str, Any]]

log = logging.getLogger(__name__)


class PoseCache:
    """What is known about one set of frames."""

    def __init__(
        self, cache: StageCache, frames: FrameSet, images: Path, settings: PoseSettings, given: str = ""
    ) -> None:
        self._cache, self._seed = cache, settings.seed
        self._hashes = {frame.image: content_hash(images / frame.image) for frame in frames.frames}
        facts = [[asdict(clip) for clip in frames.clips], [asdict(frame) for frame in frames.frames], self._hashes]
        facts += [given] if given else []  # poses that the user supplies, by their digest
        # More threads or more time do not change what the first way gives; further ways are tried as time allows.
        timeless = asdict(replace(settings, threads=0, budget_s=0.0))
        self._first_way = f"poses-{key(facts, timeless)}"
        self._later_way = f"poses-{key(facts, timeless, settings.budget_s)}"

    def report(self, target: Path) -> dict[str, Any] | None:
        """The report of the poses of exactly these frames; the model is put to `target`. None: not known."""
        part = target.with_name(f".{target.name}.cached")
        for name in (self._first_way, self._later_way):
            shutil.rmtree(part, ignore_errors=True)
            if self._cache.get(name, [REPORT, *MODEL], part):
                value: dict[str, Any] = json.loads((part / REPORT).read_bytes())
                (part / REPORT).unlink()
                shutil.rmtree(target, ignore_errors=True)
                part.rename(target)
                self._cache.used["poses"] += 1
                return value
        shutil.rmtree(part, ignore_errors=True)
        return None

    def keep_poses(self, report: PoseReport, model: Path, at_once: bool) -> None:
        """at_once: the first way was right, and no further one would have been tried with any amount of time."""
        files: dict[str, Path | bytes] = {REPORT: json.dumps(asdict(report)).encode()}
        name = self._first_way if at_once else self._later_way
        self._cache.put(name, files | {file: model / file for file in MODEL})

    def begin(self, way: str, database: Path, run: Run) -> bool:
        """Begins the database with what is known of its pictures. False: nothing is, and there is no database.

        run: gives a request to the process that has pycolmap.
        """
        part = database.with_suffix(".part")
        for name in self._cache.names(self._features(way))[:KEPT]:
            place = database.with_name("known")
            try:
                if not self._cache.get(name, [FRAMES, DATABASE], place):
                    continue
                hashes: dict[str, str] = json.loads((place / FRAMES).read_bytes())
                if set(hashes.values()).isdisjoint(self._hashes.values()):
                    continue
                known = {"known": str(place / DATABASE), "known_hashes": hashes, "hashes": self._hashes}
                counts = run({"action": "take_over", "database": str(part), **known})
            except RunnerError as exc:  # a courtesy that failed: the work is done without it
                log.warning("features that were found before are not used: %s", exc)
                self._cache.remove(name)
                part.unlink(missing_ok=True)
                return False
            finally:
                shutil.rmtree(place, ignore_errors=True)
            self._cache.used["features of frames"] += counts["features"]
            self._cache.used["matches of pairs"] += counts["pairs"]
        if part.is_file():
            part.rename(database)
        return database.is_file()

    def keep_databases(self, ways: Iterable[str], folder: Path) -> None:
        """folder/<way>/database.db: with everything that was found for these pictures in that way."""
        for way in sorted(ways):
            files: dict[str, Path | bytes] = {FRAMES: json.dumps(self._hashes).encode()}
            name = f"{self._features(way)}-{key(sorted(self._hashes.values()))}"
            self._cache.put(name, files | {DATABASE: folder / way / DATABASE})
            for older in self._cache.names(self._features(way))[KEPT:]:
                self._cache.remove(older)

    def _features(self, way: str) -> str:
        return f"features-{key(way, self._seed)}"  # pairs are verified by chance, which the seed decides
