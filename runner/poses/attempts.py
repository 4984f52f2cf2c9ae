"""One attempt at the poses: extract, match, map, judge; and how long each part took."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from runner.poses.bent import bent_clips, may_be_bent
from runner.poses.colmap.requests import (
    Cut,
    FindBent,
    FindCentres,
    MapperRun,
    Matches,
    Model,
    Reconstruct,
    SuppliedFit,
)
from runner.poses.colmap.session import GRACE_S, MATCHED, Session
from runner.poses.coverage import Coverage
from runner.poses.databases import Databases
from runner.poses.gates import Verdict, gate_results, judge, only_the_weakest_link_fails
from runner.poses.ladder import choose_part, nothing_joins, rivals_of, two_places, why
from runner.poses.lens_warnings import wide_lens
from runner.poses.out_of_time import cut_short
from runner.poses.repeatability import FURTHER_RUNS, by_other_pairs, disagreement, from_a_part, is_odd, judged
from runner.poses.reuse.cache import DATABASE, PoseCache
from runner.poses.rungs import Attempt, Part, Rivals, Rung
from runner.poses.settings import PoseSettings
from runner.poses.supplied import attempt as supplied_method
from runner.poses.supplied.match import SuppliedPoses
from runner.scene.pose_report import PoseReport
from runner.scene.shots import gaps
from scenejobs.errors import Code, RunnerError
from scenejobs.filming import SAME_PLACE, SLOWER, WALK

log = logging.getLogger(__name__)
TURNING_ONLY = 0.9  # share of the wide pairs: hand-held turns have 1.0, scenes filmed while walking 0.2 at most
LINKS = 2  # pairs of images that join a model to what is outside of it: one may be chance
ZOOM_ADVICE = "every picture has a lens of its own here, and a fixed lens gives better scenes"
NO_MORE = Verdict(False, Code.NO_OVERLAP, ("no pair of frames joins what passed to anything else",), SAME_PLACE)
UNJUDGED = Verdict(False)  # of an attempt that is not over yet


class StageTimer:
    """Seconds of the parts of one attempt, from now on."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._since = now, now()
        self._seconds: dict[str, float] = {}

    def stop(self, name: str) -> None:
        """A part ends, and the next one begins; parts of one name add up."""
        now = self._now()
        self._seconds[name], self._since = self._seconds.get(name, 0.0) + now - self._since, now

    def timed(self, attempt: Attempt) -> Attempt:
        """The attempt with its times. The names of the parts are those of its fields."""
        return replace(attempt, **self._seconds)  # type: ignore[arg-type]


@dataclass(frozen=True)
class AttemptState:
    """What the attempts so far found out that the next one has to know."""

    rivals: tuple[Rivals, ...] = ()  # places of the same weight that any method found
    disputed: bool = False  # some method found a model that a second run did not confirm
    reused: frozenset[str] = frozenset()  # databases that began with what earlier runs knew
    placed: frozenset[str] = frozenset()  # images of a model that passed

    def after(self, attempt: Attempt) -> AttemptState:
        """With what one more attempt found out."""
        return AttemptState(
            self.rivals + attempt.rivals,
            self.disputed or attempt.disputed,
            self.reused | ({attempt.rung.database} if attempt.reused else frozenset()),
            self.placed or frozenset(attempt.model.names if attempt.model and attempt.verdict.passed else ()),
        )

    @staticmethod
    def of(attempts: Iterable[Attempt]) -> AttemptState:
        """After attempts in the order in which they were made."""
        state = AttemptState()
        for attempt in attempts:
            state = state.after(attempt)
        return state


@dataclass(frozen=True)
class PoseAttempts:
    """One scene, its settings and its working folder, for one attempt after another."""

    coverage: Coverage
    databases: Databases
    session: Session
    settings: PoseSettings
    cache: PoseCache | None = None
    supplied: SuppliedPoses | None = None

    def from_cache(self) -> tuple[Model, PoseReport] | None:
        """Poses that other settings gave, fitted to these images and judged as any; None: none are there and pass."""
        timer, folder = StageTimer(), self.session.work / "known"
        if self.cache is None:
            return None
        found = self.cache.from_another_run(folder, self.session.asking(None))
        if found is None:
            return None
        try:
            part = self._judged(msgspec.structs.replace(found.model, zoom=found.known.zoom), folder, found.rung)
        except RunnerError as exc:  # best effort: without it the work is done as usual
            log.warning("poses that were found before are not used: %s", exc)
            return None
        timer.stop("map_s")
        run = found.known.run
        if not part.verdict.passed:
            log.info("poses of preset %s do not pass: %s", run, "; ".join(part.verdict.reasons))
            return None
        self.cache.count_used(found.known, len(part.model.names))
        attempt = timer.timed(Attempt(found.rung, part.model, part.verdict))
        frames = len(found.known.images)
        reason = f"poses of an earlier run (preset {run}, {frames} frames) are used: they pass every gate"
        return part.model, replace(self.report([attempt], attempt), why=reason)

    def keep(self, rung: Rung) -> None:
        """Features and matches of a rung, for later runs."""
        if self.cache is not None and (self.session.work / rung.database / DATABASE).is_file():
            self.cache.keep_databases({rung.database}, self.session.work)

    def attempt(self, rung: Rung, tried: Sequence[Attempt], left_s: float | None) -> Attempt:
        """Runs one rung and judges its models. left_s: its budget; None: only what stops a process that hangs.

        Raises InputError NO_DETAIL when the images have no features, else what stops the whole job.
        """
        timer = StageTimer()
        try:
            return timer.timed(self._attempt(rung, tried, left_s, timer))
        except RunnerError as exc:
            if exc.code not in (Code.JOB_CRASHED, Code.JOB_TIMED_OUT) or (left_s is None and not rung.supplied):
                raise
            # A rescue that crashes or takes too long has failed; the job has not.
            late = exc.cause if exc.code == Code.JOB_TIMED_OUT else ""
            return timer.timed(Attempt(rung, None, Verdict(False, exc.code, (exc.cause,), exc.advice), cut=late))

    def _attempt(self, rung: Rung, tried: Sequence[Attempt], left_s: float | None, timer: StageTimer) -> Attempt:
        state = AttemptState.of(tried)
        features, reused = self.databases.extracted(rung, left_s)
        timer.stop("extract_s")
        database, matches = self.databases.matched(rung, left_s)
        timer.stop("match_s")
        begun = Attempt(
            rung, None, UNJUDGED, features=float(np.median(list(features.values()))), pairs=matches.pairs,
            reused=reused or rung.database in state.reused,
        )  # fmt: skip
        if matches.turning > TURNING_ONLY:
            return replace(begun, verdict=self._only_turns(matches.turning))
        if nothing_joins(state.rivals, self.coverage.shots_of_pairs(matches.links)):
            return replace(begun, verdict=two_places(*state.rivals[0]), linked=False)  # mapping could join no more
        if state.placed and _joining(matches, state.placed) < LINKS:
            return replace(begun, verdict=NO_MORE, linked=False)
        limit_s = max(self.settings.max_runtime_s, self.settings.budget_s) if left_s is None else left_s
        run = self._mapper_run(rung, database, len(tried), limit_s)
        models, fit, cut = self._mapped(rung, run, limit_s)
        parts = [self._judged(model, Path(run.output), rung) for model in models]
        timer.stop("map_s")
        attempt = self._chosen(replace(begun, fit=fit, cut=cut), parts, matches, state)
        if not self._needs_confirmation(attempt, state):
            return attempt
        if rung.matching == "preselected":  # the next rung has all pairs, and is held against this one
            return replace(attempt, verdict=from_a_part(attempt.verdict), disputed=True)
        attempt = self._confirmed(attempt, tried, run, limit_s)
        timer.stop("confirm_s")
        return attempt

    def _only_turns(self, share: float) -> Verdict:
        where = self.coverage.where(self.coverage.names)
        reason = f"the camera turns on the spot: {share:.0%} of the pictures differ by a rotation only ({where})"
        return Verdict(False, Code.STATIC_CAMERA, (reason,), WALK)

    def _mapper_run(self, rung: Rung, database: Path, number: int, limit_s: float) -> MapperRun:
        """number: of the attempt; its folder is called by it."""
        output = self.session.work / f"models{number}"
        shutil.rmtree(output, ignore_errors=True)
        return MapperRun(
            database=str(database), images=str(self.databases.images), output=str(output),
            max_runtime_s=int(limit_s) + 1, fixed_lens=rung.fixed_lens, threads=self.session.threads,
        )  # fmt: skip

    def _mapped(self, rung: Rung, run: MapperRun, limit_s: float) -> tuple[tuple[Model, ...], SuppliedFit | None, str]:
        """Models of a mapper, or with the cameras that the user supplies and how well these fit; and what was cut."""
        names = self.coverage.names

        def watch(registered: int) -> None:
            self.session.progress.report(MATCHED, 1.0, registered, len(names), "frames placed")

        if rung.supplied and self.supplied is not None:
            request = supplied_method.register_request(self.supplied, run, names, self.session.seed)
            answer = self.session.ask(request, limit_s + GRACE_S, watch)
            return answer.models, answer.fit, ""
        found = self.session.ask(_reconstruct(rung, run, self.session.seed), limit_s + GRACE_S, watch)
        return found.models, None, f"mapping was ended after {limit_s:.0f} s" if found.cut else ""

    def _judged(self, model: Model, output: Path, rung: Rung) -> Part:
        """The verdict on a model; where only a covisibility link is weak, on its bigger side without the other."""
        was_cut = False
        counts = self.coverage.counts(model, self.settings, rung.guided)
        while model.smaller_side and only_the_weakest_link_fails(model.health, counts):
            folder = output / f"{Path(model.folder).name}_cut"
            request = Cut(seed=self.session.seed, model=model.folder, drop=model.smaller_side, output=str(folder))
            smaller = msgspec.structs.replace(self.session.ask(request), zoom=model.zoom)
            rest = self.coverage.counts(smaller, self.settings, rung.guided)
            if not judge(replace(smaller.health, bridge=1.0), rest).passed:
                break  # neither side holds by itself: the verdict is on the whole
            model, counts, was_cut = smaller, rest, True
        own, inside = self.coverage.shots_in(model), set(model.names)
        seconds = sum(shot.seconds(inside) for shot in own)
        return Part(model, judge(model.health, counts), tuple(shot.title for shot in own), seconds, was_cut)

    def _chosen(self, begun: Attempt, parts: Sequence[Part], matches: Matches, state: AttemptState) -> Attempt:
        """The attempt with the part that joins most, and what became of the others."""
        if not parts:
            verdict = self._none_registered()
            verdict = supplied_method.judged(verdict, begun.fit) if begun.fit else verdict
            return replace(begun, verdict=verdict, linked=len(matches.links) > 0)
        kept, *rest = sorted(
            parts, reverse=True,
            key=lambda part: (part.verdict.passed, len(part.shots), part.seconds, part.model.points),
        )  # fmt: skip
        rivals = rivals_of(kept, rest)
        verdict = choose_part(kept, state.rivals + rivals)
        verdict = supplied_method.judged(verdict, begun.fit) if begun.fit else verdict
        inside = set(kept.model.names)
        own = sum(len(shot.frames) for shot in self.coverage.shots_in(kept.model))
        linked = _joining(matches, inside) >= LINKS or len(inside) == len(self.coverage.names)
        return replace(
            begun, model=kept.model, verdict=verdict, others=tuple(part.model for part in rest),
            linked=linked, partial=kept.cut or len(kept.shots) < len(self.coverage.shots),
            shots=len(kept.shots), share=len(inside) / max(own, 1), rivals=rivals,
        )  # fmt: skip

    def _none_registered(self) -> Verdict:
        names = self.coverage.names
        reason = f"no camera pose was found for any of {len(names)} frames ({self.coverage.where(names)})"
        return Verdict(False, Code.TOO_FEW_REGISTERED, (reason,), SLOWER)

    def _needs_confirmation(self, attempt: Attempt, state: AttemptState) -> bool:
        """Only what was found, not supplied, and only where a wrong model may have passed every gate."""
        if attempt.rung.supplied or attempt.model is None or not attempt.verdict.passed:
            return False
        lens_stated = any(clip.focal_px is not None for clip in self.coverage.frames.clips)
        return state.disputed or is_odd(attempt.model.health, lens_stated)

    def _confirmed(self, attempt: Attempt, tried: Sequence[Attempt], run: MapperRun, limit_s: float) -> Attempt:
        """The attempt beside what other pairs gave before, and after further runs from other seeds; the first that
        differs decides."""
        verdict, cut = attempt.verdict, ""
        if attempt.model is not None and (earlier := by_other_pairs(attempt.rung, tried)) is not None:
            differs = None if earlier.model is None else self._apart(attempt.model, earlier.model)
            verdict = judged(verdict, differs, "a run with fewer pairs")
        for number in range(1, FURTHER_RUNS + 1):
            if attempt.model is not None and verdict.passed:
                differs, cut = self._difference(attempt.rung, attempt.model, run, limit_s, number)
                verdict = judged(verdict, differs)
        # A run that was ended before it was done contradicts nothing; one that agrees says enough.
        disputed = not verdict.passed and not cut
        return replace(attempt, verdict=verdict, disputed=disputed, cut=attempt.cut or ("" if verdict.passed else cut))

    def _difference(
        self, rung: Rung, model: Model, run: MapperRun, limit_s: float, number: int
    ) -> tuple[float | None, str]:
        """How far a run from another seed puts the cameras elsewhere, None where it has too few of them to tell; and
        why it has no more, where the time was up."""
        output = f"{run.output}_again{number}"
        shutil.rmtree(output, ignore_errors=True)
        again = _reconstruct(rung, msgspec.structs.replace(run, output=output), self.session.seed + number)
        found = self.session.ask(again, limit_s + GRACE_S)
        cut = f"a mapping that is to confirm it was ended after {limit_s:.0f} s" if found.cut else ""
        inside = set(model.names)
        other = max(found.models, key=lambda one: len(inside.intersection(one.names)), default=None)
        if other is None:
            return None, cut
        return self._apart(model, other), cut

    def _apart(self, one: Model, other: Model) -> float | None:
        """Their disagreement."""
        request = FindCentres(seed=self.session.seed, models=(one.folder, other.folder))
        return disagreement(*self.session.ask(request).centres)

    def bent_clips(self, tried: Sequence[Attempt]) -> tuple[str, ...]:
        """Of a scene whose cameras were not found: films whose pictures are bent, each in another way. By the matches
        of the first own way; where these cannot be looked at, nothing is said."""
        shots = may_be_bent(self.coverage.shots)
        database = next((self.session.work / each.rung.database / DATABASE for each in tried), None)
        if not shots or database is None or not database.is_file():
            return ()
        lists = tuple(shot.names for shot in shots)
        try:
            found = self.session.ask(FindBent(seed=self.session.seed, database=str(database), lists=lists))
        except RunnerError as exc:
            log.warning("whether the pictures are bent is not known: %s", exc)
            return ()
        log.info("matches of neighbours that no motion explains: %s", found.shares)
        return bent_clips(shots, found.shares)

    def report(self, attempts: Sequence[Attempt], chosen: Attempt) -> PoseReport:
        """Of a chosen attempt that passed, with what became of the supplied poses."""
        model = chosen.model
        assert model is not None  # what passed has one
        names, inside = self.coverage.names, set(model.names)
        zooms = (f"the lens zooms by {model.zoom:.2f} while filming: {ZOOM_ADVICE}",) if model.zoom > 1.0 else ()
        report = PoseReport(
            images_total=len(names), images_registered=len(inside), points=model.points,
            mean_track_length=model.mean_track_length, mean_reprojection_error_px=model.mean_reprojection_error_px,
            health=model.health, rung=str(chosen.rung), attempts=tuple(map(str, attempts)),
            unregistered=tuple(name for name in names if name not in inside),
            warnings=(
                *chosen.verdict.warnings, *cut_short(chosen, len(names)), *zooms, *wide_lens(model.seen_deg)
            ),
            why=why(attempts, chosen),
            joined=tuple(shot.title for shot in self.coverage.shots_in(model)),
            left_out=gaps(self.coverage.shots, inside),
            attempt_s=tuple(round(attempt.seconds, 1) for attempt in attempts), gates=gate_results(model.health),
        )  # fmt: skip
        if self.supplied is None:
            return report
        return supplied_method.with_supplied(report, self.supplied, attempts, chosen)


def _joining(matches: Matches, inside: Collection[str]) -> int:
    """Pairs of images that fit together, with one of them inside."""
    return sum((one in inside) != (two in inside) for one, two in matches.links)


def _reconstruct(rung: Rung, run: MapperRun, seed: int) -> Reconstruct:
    return Reconstruct(seed=seed, run=run, mapper="global" if rung.mapper == "global" else "incremental")
