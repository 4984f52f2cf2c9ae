"""One attempt at the poses: extract, match, map, judge, and how long each part took."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from runner.poses.colmap import client as colmap_client
from runner.poses.gates import FILM_SLOWER, WALK, Counts, Verdict, gate_results, judge, only_the_weakest_link_fails
from runner.poses.ladder import (
    NEIGHBOURS,
    OVERLAP,
    Attempt,
    Model,
    Part,
    Rivals,
    Rung,
    choose_part,
    pair_count,
    rivals_of,
    thinned_to,
    why,
)
from runner.poses.repeatability import FURTHER_RUNS, disagreement, is_odd, judged
from runner.poses.reuse.cache import DATABASE, PoseCache
from runner.poses.settings import STAGE, PoseSettings
from runner.poses.supplied.attempt import SuppliedWay
from runner.scene.frames import FrameSet
from runner.scene.pose_report import PoseReport
from runner.scene.progress import Progress
from runner.scene.shots import Shot, gaps, place, shots_of, spans
from scenejobs.errors import Code, InputError, RunnerError


class Clock:
    """Seconds of the parts of one attempt, from now on."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._since = now, now()
        self._took: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """A part ends; parts of one name add up."""
        now = self._now()
        self._took[name], self._since = self._took.get(name, 0.0) + now - self._since, now

    def end(self, attempt: Attempt) -> Attempt:
        """The attempt with its times. The names of the laps are those of its fields."""
        return replace(attempt, **self._took)  # type: ignore[arg-type]


log = logging.getLogger(__name__)
LOST_BELOW = 0.1  # share of a clip's frames: with fewer placed the clip counts as lost
PROBE = 24  # frames looked at first
MIN_FEATURES = 60  # per frame: the gate on points per image asks for that many that fit
TURNING_ONLY = 0.9  # share of the wide pairs: hand-held turns have 1.0, scenes filmed while walking 0.2 at most
LINKS = 2  # pairs of pictures that join a model to what is outside of it: one may be chance
EXTRACTED, MATCHED = 0.3, 0.75  # shares of the stage's time after which features and matches are done
PREPARE_LIMIT_S = 4 * 3600.0  # for features or matches: a stop for what hangs, not a budget
ZOOM_ADVICE = "every picture has a lens of its own here, and a fixed lens gives better scenes"
GRACE_S = 300.0  # for the mapper to end after its own time limit: it finishes a bundle adjustment first


class PoseAttempts:
    """The scene, its settings and its working folder, for one attempt after another."""

    def __init__(
        self, frames: FrameSet, images: Path, work: Path, settings: PoseSettings, progress: Progress,
        known: PoseCache | None, way: SuppliedWay | None = None,
    ) -> None:  # fmt: skip
        self._frames, self._images, self._work = frames, images, work
        self._settings, self._progress = settings, progress
        self._known, self._way = known, way
        self._names = [frame.image for frame in frames.frames]
        self._shots = shots_of(frames)
        self._rivals: list[Rivals] = []  # places of the same weight that any way found
        self._taken_over: set[str] = set()  # databases that began with what was known
        self._lens_stated = any(clip.focal_px is not None for clip in frames.clips)
        self._disputed = False  # some way found a model that a second run did not confirm
        self._reached = 0.0  # fraction reported so far; a further rung does not go back

    def of_another_run(self) -> tuple[Model, PoseReport] | None:
        """Poses that other settings gave, fitted to these pictures and judged as any; None: none are there and pass."""
        took, place = Clock(), self._work / "known"
        if self._known is None:
            return None
        found = self._known.of_another_run(place, lambda request: self._run(request, PREPARE_LIMIT_S))
        if found is None:
            return None
        known, rung, entry = found
        try:
            part = self._judged(replace(Model.of(entry), zoom=known.zoom), place)
        except RunnerError as exc:  # a courtesy that failed: the work is done without it
            log.warning("poses that were found before are not used: %s", exc)
            return None
        took.lap("map_s")
        if not part.verdict.passed:
            log.info("poses of preset %s do not pass: %s", known.run, "; ".join(part.verdict.reasons))
            return None
        self._known.took(known, len(part.model.names))
        attempt = took.end(Attempt(rung, part.model, part.verdict))
        why = f"poses of an earlier run (preset {known.run}, {len(known.images)} frames) are used: they pass every gate"
        return part.model, replace(self.report([attempt], attempt), why=why)

    def attempt(self, rung: Rung, number: int, left_s: float | None) -> Attempt:
        """Runs one rung and judges its models. left_s: its budget; None: only what stops a process that hangs.

        Raises InputError NO_DETAIL when the pictures have no features.
        """
        took = Clock()
        try:
            return self._attempt(rung, number, left_s, took)
        except RunnerError as exc:
            if exc.code not in (Code.JOB_CRASHED, Code.JOB_TIMED_OUT) or (left_s is None and not rung.supplied):
                raise
            # A rescue that crashes or takes too long has failed; the job has not.
            return took.end(Attempt(rung, None, Verdict(False, exc.code, (exc.cause,), exc.advice)))

    def _attempt(self, rung: Rung, number: int, left_s: float | None, took: Clock) -> Attempt:
        features = self._extracted(rung, left_s)
        took.lap("extract_s")
        median = float(np.median(list(features.values())))
        database, matched = self._matched(rung, left_s)
        took.lap("match_s")
        known = {"features": median, "pairs": matched["pairs"], "taken_over": rung.database in self._taken_over}
        if matched["turning"] > TURNING_ONLY:
            reason = f"the camera turns on the spot: {matched['turning']:.0%} of the pictures differ by a rotation only"
            verdict = Verdict(False, Code.STATIC_CAMERA, (f"{reason} ({self._where(self._names)})",), WALK)
            return took.end(Attempt(rung, None, verdict, **known))
        output = self._work / f"models{number}"
        shutil.rmtree(output, ignore_errors=True)
        limit_s = self._settings.max_runtime_s if left_s is None else min(self._settings.max_runtime_s, left_s)
        mapping = {
            "action": "reconstruct", "mapper": rung.mapper, "database": str(database), "images": str(self._images),
            "output": str(output), "max_runtime_s": int(limit_s) + 1, "fixed_lens": rung.fixed_lens,
        }  # fmt: skip
        way = self._way if rung.supplied else None
        result = self._run(
            way.request(mapping, self._names) if way else mapping, limit_s + GRACE_S,
            lambda placed: self._report(MATCHED, 1.0, placed, len(self._names), "frames placed"),
        )  # fmt: skip
        found = [self._judged(Model.of(entry), output) for entry in result["models"]]
        took.lap("map_s")
        if not found:
            reason = f"no camera pose was found for any of {len(self._names)} frames ({self._where(self._names)})"
            verdict = Verdict(False, Code.TOO_FEW_REGISTERED, (reason,), FILM_SLOWER)
            verdict = way.judged(verdict, result["told"]) if way else verdict
            return took.end(Attempt(rung, None, verdict, linked=len(matched["links"]) > 0, **known))
        found.sort(key=lambda one: (one.verdict.passed, len(one.shots), one.seconds, one.model.points), reverse=True)
        kept, rest = found[0], found[1:]
        rivals = rivals_of(kept, rest)
        self._rivals += rivals
        verdict = choose_part(kept, self._rivals)
        verdict = way.judged(verdict, result["told"]) if way else verdict
        disputed = False
        if not way and verdict.passed and (self._disputed or is_odd(kept.model.health, self._lens_stated)):
            for again in range(1, FURTHER_RUNS + 1):
                if verdict.passed:
                    verdict = judged(verdict, self._compared(kept.model, mapping, limit_s, again))
            disputed = not verdict.passed
            self._disputed |= disputed
            took.lap("map_s")
        inside = set(kept.model.names)
        own = sum(len(shot.frames) for shot in self._belonging(kept.model))
        joining = sum((one in inside) != (two in inside) for one, two in matched["links"])
        return took.end(Attempt(
            rung, kept.model, verdict, tuple(part.model for part in rest), linked=joining >= LINKS,
            partial=kept.cut or len(kept.shots) < len(self._shots), shots=len(kept.shots),
            share=len(inside) / max(own, 1), rivals=bool(rivals), disputed=disputed, **known,
        ))  # fmt: skip

    def _judged(self, model: Model, output: Path) -> Part:
        """The verdict on a model; where only a joint is weak, on its bigger side without the other."""
        was_cut = False
        counts = self._counts(model)
        while model.smaller_side and only_the_weakest_link_fails(model.health, counts):
            folder = output / f"{model.folder.name}_cut"
            request = {"action": "cut", "model": str(model.folder), "drop": model.smaller_side, "output": str(folder)}
            smaller = replace(Model.of(self._run(request, PREPARE_LIMIT_S)), zoom=model.zoom)
            rest = self._counts(smaller)
            if not judge(replace(smaller.health, bridge=1.0), rest).passed:
                break  # neither side holds by itself: the verdict is on the whole
            model, counts, was_cut = smaller, rest, True
        own, placed = self._belonging(model), set(model.names)
        seconds = sum(shot.seconds(placed) for shot in own)
        return Part(model, judge(model.health, counts), tuple(shot.title for shot in own), seconds, was_cut)

    def _compared(self, model: Model, mapping: dict[str, Any], limit_s: float, number: int) -> float | None:
        """How far a run from another seed puts the cameras elsewhere. None: it has too few of them to tell."""
        output, seed = f"{mapping['output']}_again{number}", self._settings.seed + number
        shutil.rmtree(output, ignore_errors=True)
        again = self._run({**mapping, "output": output, "seed": seed}, limit_s + GRACE_S)
        found = [Model.of(entry) for entry in again["models"]]
        placed = set(model.names)
        other = max(found, key=lambda one: len(placed.intersection(one.names)), default=None)
        if other is None:
            return None
        folders = [str(model.folder), str(other.folder)]
        return disagreement(*self._run({"action": "centers", "models": folders}, PREPARE_LIMIT_S)["centers"])

    def _extracted(self, rung: Rung, left_s: float | None) -> dict[str, int]:
        """Features per picture. A few first: when these have none, the others are not worth their time."""
        database = self._database(rung)
        probe = [self._names[i] for i in np.unique(np.linspace(0, len(self._names) - 1, PROBE).astype(int))]
        if self._known is not None and not database.is_file():
            request = {
                "images": str(self._images), "camera_model": self._settings.camera_model,
                "passes": [self._groups(set(probe)), self._groups(set(self._names))],
            }  # fmt: skip
            if self._known.begin(rung.database, database, lambda more: self._run({**request, **more}, _limit(left_s))):
                self._taken_over.add(rung.database)
        found: dict[str, int] = {}
        for names in (probe, self._names):
            found = self._run(
                {"action": "extract", "database": str(database), "images": str(self._images),
                 "groups": self._groups(set(names)), "camera_model": self._settings.camera_model,
                 "features": rung.features, "max_image_size": rung.max_image_size, "sensitive": rung.sensitive},
                _limit(left_s),
                lambda _: self._report(
                    0.0,
                    EXTRACTED,
                    colmap_client.rows_seen(database, "keypoints"),
                    len(self._names),
                    "frames have features",
                ),
            )["features"]  # fmt: skip
            if len(found) != len(names):  # COLMAP leaves out, without a word, pictures of another size
                raise RunnerError(
                    f"{len(found)} of {len(names)} frames are in the database", code=Code.BUG, stage=STAGE,
                    advice="report the scene: the frames of one clip have different sizes or are unreadable",
                )  # fmt: skip
            bare = [name for name in names if found[name] < MIN_FEATURES]
            if len(names) - len(bare) < self._settings.min_registered_share * len(names):
                raise InputError(
                    f"{len(bare)} of {len(names)} frames have less than {MIN_FEATURES} features: {self._where(bare)}",
                    code=Code.NO_DETAIL, stage=STAGE,
                    advice="film in good light, slowly, and things with texture: not bare walls, glass or sky",
                )  # fmt: skip
        return found

    def _groups(self, wanted: set[str]) -> list[dict[str, Any]]:
        """Pictures that share a camera: those of one shot."""
        groups = []
        for shot in self._shots:
            names = [name for name in shot.names if name in wanted]
            focal = shot.clip.focal_px
            ratio = None if focal is None else focal / max(shot.clip.width, shot.clip.height)
            if names:
                groups.append({"names": names, "focal_ratio": ratio})
        return groups

    def _matched(self, rung: Rung, left_s: float | None) -> tuple[Path, dict[str, Any]]:
        """The database with the rung's matches; work that an earlier rung did is kept."""
        settings, names, database = self._settings, self._names, self._database(rung)
        for wanted, name, action in (
            (rung.guided, "guided", "forget_matches"), (rung.fixed_lens, "fixed_lens", "fix_lenses")
        ):  # fmt: skip
            if wanted:
                plain, database = database, database.with_name(f"{name}.db")
                if not database.is_file():
                    shutil.copyfile(plain, part := database.with_suffix(".part"))
                    self._run({"action": action, "database": str(part)}, _limit(left_s))
                    part.rename(database)
        expected = pair_count(rung.matching, len(names), settings)
        matched = self._run(
            {"action": "match", "database": str(database), "names": names, "matching": rung.matching,
             "guided": rung.guided, "thinned_to": thinned_to(len(names), settings), "overlap": OVERLAP,
             "neighbours": NEIGHBOURS},
            _limit(left_s),
            lambda _: self._report(
                EXTRACTED, MATCHED, colmap_client.rows_seen(database, "two_view_geometries"), expected, "pairs matched"
            ),
        )  # fmt: skip
        return database, matched

    def _database(self, rung: Rung) -> Path:
        path = self._work / rung.database / DATABASE
        path.parent.mkdir(exist_ok=True)
        return path

    def _run(self, request: dict[str, Any], limit_s: float, watch: Any = lambda _placed: None) -> dict[str, Any]:
        settings = self._settings
        common = {"threads": settings.threads or -1, "seed": settings.seed}
        return colmap_client.run({**common, **request}, self._work, self._progress, limit_s=limit_s, watch=watch)

    def _report(self, start: float, end: float, done: int, of: int, what: str) -> None:
        self._reached = max(self._reached, start + (end - start) * min(1.0, done / max(of, 1)))
        self._progress.report(STAGE, self._reached, f"{min(done, of)} of {of} {what}")

    def _where(self, names: Iterable[str]) -> str:
        wanted = set(names)
        return spans(place(frame) for frame in self._frames.frames if frame.image in wanted)

    def _belonging(self, model: Model) -> list[Shot]:
        """Shots of which a part was placed: these are the scene."""
        placed = set(model.names)
        return [
            shot for shot in self._shots
            if sum(name in placed for name in shot.names) >= max(LOST_BELOW * len(shot.frames), 1)
        ]  # fmt: skip

    def _counts(self, model: Model) -> Counts:
        placed, smaller, own = set(model.names), set(model.smaller_side), self._belonging(model)
        lost = [shot for shot in self._shots if shot not in own]
        return Counts(
            sum(len(shot.frames) for shot in own), len(placed), model.points, self._settings.min_registered_share,
            self._settings.min_points, tuple(shot.title for shot in lost), sum(len(shot.frames) for shot in lost),
            (self._where(smaller), self._where(placed - smaller)), gaps(own, placed),
        )  # fmt: skip

    def report(self, attempts: list[Attempt], chosen: Attempt) -> PoseReport:
        """Of a chosen attempt that passed."""
        model = chosen.model
        assert model is not None  # what passed has one
        placed = set(model.names)
        own = self._belonging(model)
        zooms = (f"the lens zooms by {model.zoom:.2f} while filming: {ZOOM_ADVICE}",) if model.zoom > 1.0 else ()
        return PoseReport(
            images_total=len(self._names), images_registered=len(placed), points=model.points,
            mean_track_length=model.mean_track_length, mean_reprojection_error_px=model.mean_reprojection_error_px,
            health=model.health, rung=str(chosen.rung), attempts=tuple(map(str, attempts)),
            unregistered=tuple(name for name in self._names if name not in placed),
            warnings=(*chosen.verdict.warnings, *zooms), why=why(attempts, chosen),
            joined=tuple(shot.title for shot in own), left_out=gaps(self._shots, placed),
            attempt_s=tuple(round(attempt.seconds, 1) for attempt in attempts), gates=gate_results(model.health),
        )  # fmt: skip


def _limit(left_s: float | None) -> float:
    return PREPARE_LIMIT_S if left_s is None else left_s + GRACE_S
