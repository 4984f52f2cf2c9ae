"""Features and matches as the rungs ask for them: one COLMAP database per kind of features, kept between rungs."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runner.poses.colmap import client
from runner.poses.colmap.requests import (
    SCRATCH,
    ChoosePairs,
    Extract,
    Features,
    FixLenses,
    ForgetMatches,
    Match,
    Matches,
    Motion,
    Probe,
    Source,
)
from runner.poses.colmap.session import EXTRACTED, MATCHED, Session, prepare_limit_s
from runner.poses.coverage import Coverage
from runner.poses.prices import EACH, IN_TIME
from runner.poses.reuse.cache import DATABASE, PoseCache
from runner.poses.rungs import Rung
from runner.poses.settings import STAGE, PoseSettings
from runner.poses.standstill import NEAR, clearly_moves, some_of, without_a_step
from runner.scene.masks import FOLDER
from scenejobs.errors import Code, InputError, RunnerError
from scenejobs.filming import TEXTURE, WALK

PROBE = 12  # frames looked at first, at least
MANY = 30  # frames; more overlap so much that ENOUGH is enough
ENOUGH = 0.5  # of the features that are asked for; see `_enough`
MIN_FEATURES = 60  # per frame: the gate on points per image asks for that many that fit

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Databases:
    """Of one scene, below `session.work`."""

    coverage: Coverage
    images: Path  # folder
    settings: PoseSettings
    session: Session
    cache: PoseCache | None  # None: nothing is known from earlier runs

    def extracted(self, rung: Rung, left_s: float | None) -> tuple[dict[str, int], bool]:
        """Features per image, and whether some were known from an earlier run.

        A few images first: when these have no features, or say that the camera did not move, the others are not worth
        their time. Raises InputError NO_DETAIL, STATIC_CAMERA.
        """
        names, path = self.coverage.names, self._path(rung)
        looked_at = some_of([shot.names for shot in self.coverage.shots]) if self._may_stand_still(rung) else ()
        evenly = (names[i] for i in np.unique(np.linspace(0, len(names) - 1, PROBE).astype(int)))
        first = {name for some in looked_at for name in some} or set(evenly)
        probe = tuple(name for name in names if name in first)
        source = Source(database=str(path), images=str(self.images), camera_model=self.settings.camera_model)
        reused = False
        if self.cache is not None and not path.is_file():
            passes = (self.coverage.groups(probe), self.coverage.groups(names))
            reused = self.cache.begin(rung.database, source, passes, self.session.asking(left_s))
        found: dict[str, int] = {}
        for some in (probe, names):
            found = self._extract(rung, source, some, left_s).features
            self._require_features(found, some)
            if some is probe and looked_at:
                self._require_motion(str(path), looked_at, left_s)
        return found, reused

    def _may_stand_still(self, rung: Rung) -> bool:
        """Is it worth a look? Of photos each was taken for itself, and of supplied poses the user knows."""
        plain = not any(frame.photo for frame in self.coverage.frames.frames) and not self.coverage.rigs
        return plain and not rung.supplied

    def _require_motion(self, database: str, looked_at: tuple[tuple[str, ...], ...], left_s: float | None) -> None:
        """Raises InputError STATIC_CAMERA."""
        longest = max(looked_at, key=len)
        if clearly_moves(*self._motions(database, (longest,), NEAR, left_s)):
            return
        if what := without_a_step(self._motions(database, looked_at, len(longest), left_s)):
            where = self.coverage.where(self.coverage.names)
            raise InputError(f"the camera {what}: {where}", code=Code.STATIC_CAMERA, stage=STAGE, advice=WALK)

    def _motions(
        self, database: str, lists: tuple[tuple[str, ...], ...], reach: int, left_s: float | None
    ) -> tuple[Motion, ...]:
        request = Probe(
            seed=self.session.seed, database=database, lists=lists, reach=reach, threads=self.session.threads
        )  # fmt: skip
        motions = self.session.ask(request, prepare_limit_s(left_s)).motions
        log.info("a first look at the motion of the camera: %s", motions)
        return motions

    def _extract(self, rung: Rung, source: Source, names: tuple[str, ...], left_s: float | None) -> Features:
        database, total = Path(source.database), len(self.coverage.names)
        request = Extract(
            seed=self.session.seed, source=source, groups=self.coverage.groups(names), features=rung.features,
            max_image_size=rung.max_image_size, sensitive=rung.sensitive, threads=self.session.threads,
            enough=self._enough(rung), masks=str(masks) if (masks := self.images.with_name(FOLDER)).is_dir() else "",
        )  # fmt: skip

        def watch(_steps: int) -> None:
            done = sum(client.rows_seen(path, "keypoints") for path in (database, database.with_name(SCRATCH)))
            self.session.progress.report(0.0, EXTRACTED, done, total, "frames have features")

        return self.session.ask(request, prepare_limit_s(left_s), watch)

    def _enough(self, rung: Rung) -> float:
        """Share of the features below which a picture is enlarged for more.

        Many frames overlap so much that the largest features of each hold them; few pictures, and what did not hold at
        the first look, get all there are.
        """
        first_look = rung.features <= self.settings.features and not rung.sensitive
        return ENOUGH if first_look and len(self.coverage.names) > MANY else 1.0

    def _require_features(self, found: dict[str, int], names: tuple[str, ...]) -> None:
        if len(found) != len(names):  # COLMAP leaves out, without a word, images of another size
            raise RunnerError(
                f"{len(found)} of {len(names)} frames are in the database", code=Code.BUG, stage=STAGE,
                advice="report the scene: the frames of one clip have different sizes or are unreadable",
            )  # fmt: skip
        bare = [name for name in names if found[name] < MIN_FEATURES]
        if len(names) - len(bare) < self.settings.min_registered_share * len(names):
            where = self.coverage.where(bare)
            raise InputError(
                f"{len(bare)} of {len(names)} frames have less than {MIN_FEATURES} features: {where}",
                code=Code.NO_DETAIL, stage=STAGE,
                advice=TEXTURE,
            )  # fmt: skip

    def matched(self, rung: Rung, left_s: float | None) -> tuple[Path, Matches]:
        """The database with the rung's matches; work that an earlier rung did is kept."""
        names, database = self.coverage.names, self._path(rung)
        pairs = self._chosen(rung, database, left_s)
        expected = len(names) * (len(names) - 1) // 2 if pairs is None else len(pairs)
        if rung.guided:
            database = self._copied(database, "guided", ForgetMatches, left_s)
        if rung.fixed_lens:
            database = self._copied(database, "fixed_lens", FixLenses, left_s)
        request = Match(
            seed=self.session.seed, database=str(database), pairs=pairs, guided=rung.guided,
            threads=self.session.threads, rigs=self.coverage.rigs,
        )  # fmt: skip

        def watch(_steps: int) -> None:
            done = client.rows_seen(database, "two_view_geometries")
            self.session.progress.report(EXTRACTED, MATCHED, done, expected, "pairs matched")

        return database, self.session.ask(request, prepare_limit_s(left_s), watch)

    def _chosen(self, rung: Rung, database: Path, left_s: float | None) -> tuple[tuple[str, str], ...] | None:
        """Pairs that the rung compares; None: all of them."""
        if rung.matching == "exhaustive":
            return None
        shots = tuple(shot.names for shot in self.coverage.shots)
        request = ChoosePairs(
            seed=self.session.seed, database=str(database), shots=shots, each=EACH[rung.matching],
            in_time=IN_TIME[rung.matching], rigs=self.coverage.rigs,
        )  # fmt: skip
        return self.session.ask(request, prepare_limit_s(left_s)).pairs

    def _copied(self, plain: Path, name: str, change: type[ForgetMatches | FixLenses], left_s: float | None) -> Path:
        """A copy of the database with a change, made once."""
        database = plain.with_name(f"{name}.db")
        if not database.is_file():
            shutil.copyfile(plain, part := database.with_suffix(".part"))
            self.session.ask(change(seed=self.session.seed, database=str(part)), prepare_limit_s(left_s))
            part.rename(database)
        return database

    def _path(self, rung: Rung) -> Path:
        path = self.session.work / rung.database / DATABASE
        path.parent.mkdir(exist_ok=True)
        return path
