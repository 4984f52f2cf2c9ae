"""The record of a scene, `state/scenes/<key>.json`: its phase, the moves between phases, and how generations end.

A queue message only points at a scene; the record is the truth about it. It changes by compare-and-swap under a lease
(`records.py`). Every value is frozen; a change is a copy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from scenejobs.errors import Failure, UnusedFile
from scenejobs.state import codec
from scenejobs.state.blobs import InputBlob, Member, OutputFile, digest

RECORD_VERSION = 1
# fields that earlier programs did not write
ADDED = (
    "not_before", "day", "runs_today", "held", "tries", "begun", "blocked", "carried", "contents", "retired",
    "published", "shown", "wish", "doubt", "unused", "expired", "notify",
)  # fmt: skip
KEEP_RETIRED = 20_000  # versions that a scene no longer consists of are remembered, the newest


class Phase(StrEnum):
    """Where a scene stands."""

    IDLE = "idle"  # nobody works on it; what lies in input has not been taken yet
    RUNNING = "running"  # an attempt works on the snapshot
    COMMITTED = "committed"  # the result is final; publishing and archiving are under way
    FAILING = "failing"  # given up; the inputs are being moved to the error container


MOVES: dict[Phase, frozenset[Phase]] = {
    Phase.IDLE: frozenset({Phase.RUNNING, Phase.FAILING}),
    # RUNNING again: the last runner vanished. IDLE: retried later, given back, or the uploads changed.
    Phase.RUNNING: frozenset({Phase.RUNNING, Phase.IDLE, Phase.COMMITTED, Phase.FAILING}),
    Phase.COMMITTED: frozenset({Phase.IDLE}),
    Phase.FAILING: frozenset({Phase.IDLE}),
}


class Outcome(StrEnum):
    """How a generation ended."""

    SUCCEEDED = "succeeded"
    DEAD_LETTERED = "dead_lettered"


@dataclass(frozen=True)
class AttemptFailure:
    """Why one attempt failed."""

    run: str
    at: datetime
    failure: Failure

    def to_json(self) -> dict[str, Any]:
        """One object: the failure's fields lie beside run and time."""
        return {"run": self.run, "at": self.at.isoformat(), **self.failure.to_json()}


@dataclass(frozen=True)
class Ending:
    """The last generation that ended."""

    generation: int
    outcome: Outcome
    run: str
    at: datetime
    archived: dict[str, str]  # input name -> "<container kind>/<name>" where it lies now
    failure: Failure | None  # why it was dead-lettered
    doubt: Failure | None = None  # why its result, a success, may be wrong: it is suspect


@dataclass(frozen=True)
class Published:
    """The result that lies in the output container."""

    generation: int
    run: str
    suspect: bool = False  # it may be wrong: the next result takes its place, whatever it shows


@dataclass(frozen=True)
class Expired:
    """Results that were removed, of this generation and those before: for their age, or because somebody said so."""

    generation: int
    run: str
    at: datetime
    deleted: bool = False  # by `scenejobs delete`; else by OUTPUT_RETENTION_DAYS
    everything: bool = False  # uploads, archives and reasons as well: the record is a tombstone (erasure.py)

    @property
    def why(self) -> str:
        if self.everything:
            return "scenejobs delete --all-generations"
        return "scenejobs delete" if self.deleted else "OUTPUT_RETENTION_DAYS"


@dataclass(frozen=True)
class Wish:
    """Somebody wants a run that no upload asks for."""

    kind: Literal["retry", "exclude"]
    at: datetime
    with_what_is_there: bool = False  # archived files that are gone are done without


@dataclass(frozen=True)
class SceneRecord:
    """The truth about one scene."""

    scene: str
    phase: Phase = Phase.IDLE
    generation: int = 1  # counts sets of uploads that were brought to an end
    attempts: int = 0  # of this generation, counted before the work
    preemptions: int = 0  # attempts of this generation that were given back
    run: str = ""  # id of the present or last attempt
    manifest: tuple[InputBlob, ...] = ()  # the snapshot that RUNNING, COMMITTED and FAILING work on
    outputs: tuple[OutputFile, ...] = ()  # of a committed run
    failures: tuple[AttemptFailure, ...] = ()  # of this generation, oldest first
    started_at: datetime | None = None  # of the present attempt
    not_before: datetime | None = None  # the next attempt is due then: a retry, or the day's runs are used up
    day: str = ""  # of the last attempt, as 2026-01-31 (UTC) ...
    runs_today: int = 0  # ... and how many there were on that day, over all generations
    held: str = ""  # why nobody may begin an attempt now: inputs are being brought back
    ending: Ending | None = None
    tries: int = 0  # in vain since the outcome was decided, or since the scene is held (back_off.py)
    begun: int = 0  # tries since the last of them of which nothing was heard again: their runners died
    blocked: Failure | None = None  # what kept the last of them from bringing a decided generation to its end
    carried: tuple[Member, ...] = ()  # archived files that the present attempt uses as well (contents.py)
    contents: tuple[Member, ...] | None = None  # what the scene consists of; None: an earlier program did not say
    retired: tuple[str, ...] = ()  # ETags of uploads that it no longer consists of
    published: Published | None = None
    shown: tuple[str, ...] = ()  # clips of which it has frames, by their names in the scene; "photos": all photos
    wish: Wish | None = None
    doubt: Failure | None = None  # of a committed run: why its result may be wrong
    unused: tuple[UnusedFile, ...] | None = None  # files that the published result does without; None: not told
    expired: Expired | None = None  # what was removed last
    notify: tuple[str, ...] = ()  # targets that its scene.yaml named when a run last read it, and the operator allows

    @property
    def batch(self) -> str:
        return digest(self.manifest)

    @property
    def inputs(self) -> tuple[InputBlob, ...]:
        """Everything that the attempt works on, as it was uploaded, in the order of names."""
        return tuple(sorted((*(member.blob for member in self.carried), *self.manifest), key=lambda blob: blob.name))

    def withholds(self, doubt: Failure | None) -> bool:
        """Whether a result with this doubt, if any, stays in its run's folder: it never replaces one without."""
        there = self.published if not self.is_expired else None
        return doubt is not None and there is not None and not there.suspect

    @property
    def is_expired(self) -> bool:
        """Whether the published result was removed because it was old. What is gone is nothing to protect."""
        return self.expired is not None and (
            self.published is None or self.published.generation <= self.expired.generation
        )

    def expiring(self, now: datetime, *, deleted: bool = False) -> SceneRecord:
        """The results of all generations that ended go. Not a move: nobody works on the scene."""
        run = self.published.run if self.published else ""
        return replace(self, expired=Expired(self.generation - 1, run, now, deleted))

    @property
    def withheld(self) -> bool:
        """Of a committed run: its result is not published, the one that was published before stays."""
        published = self.published
        return self.doubt is not None and published is not None and published.run != self.run

    def _moved(self, phase: Phase, **changes: Any) -> SceneRecord:
        if phase not in MOVES[self.phase]:
            raise ValueError(f"scene {self.scene}: {self.phase} cannot become {phase}")
        return replace(self, phase=phase, **changes)

    def attempted(
        self, run: str, manifest: tuple[InputBlob, ...], now: datetime, carried: tuple[Member, ...] = ()
    ) -> SceneRecord:
        """A new attempt starts. It counts before the work, so that work that kills its runner cannot loop."""
        day = now.date().isoformat()
        return self._moved(
            Phase.RUNNING,
            run=run,
            manifest=manifest,
            carried=carried,
            attempts=self.attempts + 1,
            outputs=(),
            doubt=None,
            started_at=now,
            not_before=None,
            day=day,
            runs_today=self.runs_on(day) + 1,
        )

    def runs_on(self, day: str) -> int:
        return self.runs_today if self.day == day else 0

    def holding(self, why: str) -> SceneRecord:
        """No attempt begins as long as `why` is not empty. Only where nobody works on the scene."""
        if self.phase is not Phase.IDLE:
            raise ValueError(f"scene {self.scene}: {self.phase} cannot be held")
        return replace(self, held=why, tries=0, begun=0, blocked=None, not_before=None)

    def taken_up(self, due_at: datetime | None) -> SceneRecord:
        """Somebody goes on with a decided generation. Counted before the work: what kills its runner cannot loop.

        due_at: before when nobody does so again, should it die; None: at once. Not a move.
        """
        return replace(self, begun=self.begun + 1, not_before=due_at)

    def in_vain(self, due_at: datetime, blocked: Failure | None = None) -> SceneRecord:
        """The try is over, and the scene as far as before. due_at: of the next. Not a move."""
        return replace(self, tries=self.tries + 1, begun=0, not_before=due_at, blocked=blocked)

    def postponed(self, until: datetime) -> SceneRecord:
        """No attempt before then. Not a move: nothing began."""
        return replace(self, not_before=until)

    def given_back(self) -> SceneRecord:
        """Told to stop, or the uploads changed: the attempt does not count."""
        return self._moved(
            Phase.IDLE, attempts=max(0, self.attempts - 1), preemptions=self.preemptions + 1, started_at=None
        )

    def failed_for_now(self, failure: Failure, now: datetime, retry_at: datetime | None = None) -> SceneRecord:
        """This attempt failed; another may succeed."""
        failures = (*self.failures, AttemptFailure(self.run, now, failure))
        return self._moved(Phase.IDLE, failures=failures, started_at=None, not_before=retry_at)

    def nothing_new(self) -> SceneRecord:
        """Every upload of the attempt turned out to be part of the published result: it did not happen."""
        return self._moved(Phase.IDLE, attempts=max(0, self.attempts - 1), started_at=None, carried=())

    def called_off(self, *, counts: bool) -> SceneRecord:
        """Its user wants no run (cancelling.py). counts: the attempt that is given up was one; its runner is gone."""
        record = replace(self, wish=None, carried=())
        if self.phase is not Phase.RUNNING:
            return record
        attempts = self.attempts if counts else max(0, self.attempts - 1)
        return record._moved(Phase.IDLE, attempts=attempts, started_at=None)

    def erasing(self, now: datetime) -> SceneRecord:
        """Everything of the scene goes, and until it is gone nobody begins an attempt. What was is forgotten.

        Generations are counted on, so that what a paused runner of one of them leaves behind belongs to none.
        """
        if self.phase is not Phase.IDLE:
            raise ValueError(f"scene {self.scene}: {self.phase} cannot be erased")
        held = f"it is being deleted: `scenejobs delete {self.scene} --all-generations` finishes it"
        return self._tombstone(Expired(self.generation - 1, "", now, deleted=True, everything=True), held)

    def _tombstone(self, expired: Expired, held: str = "") -> SceneRecord:
        return SceneRecord(self.scene, generation=self.generation, held=held, contents=(), expired=expired)

    @property
    def erased(self) -> int:
        """The last generation of which nothing is left, because somebody said so; 0: there is none."""
        return self.expired.generation if self.expired is not None and self.expired.everything else 0

    @property
    def is_erased(self) -> bool:
        """Whether it is a tombstone and no more: nothing has happened since."""
        expired = self.expired
        return expired is not None and expired.everything and self == self._tombstone(expired)

    def wishing(self, wish: Wish | None) -> SceneRecord:
        return replace(self, wish=wish)

    def committed(
        self,
        outputs: tuple[OutputFile, ...],
        clips: tuple[str, ...] = (),
        manifest: tuple[InputBlob, ...] | None = None,
        doubt: Failure | None = None,
        unused: tuple[UnusedFile, ...] = (),
    ) -> SceneRecord:
        """The result is final. From here on only forward.

        clips, unused: see the fields. manifest: the same uploads, with what their download told; None: unchanged.
        doubt: why the result may be wrong.
        """
        manifest = self.manifest if manifest is None else manifest
        record = self._moved(Phase.COMMITTED, outputs=outputs, manifest=manifest, doubt=doubt)
        if self.withholds(doubt):
            return record
        published = Published(self.generation, self.run, doubt is not None)
        return replace(record, published=published, shown=clips, unused=unused or None)

    def given_up(self, failure: Failure, manifest: tuple[InputBlob, ...], run: str, now: datetime) -> SceneRecord:
        """No further attempt; the inputs go to the error container."""
        failures = (*self.failures, AttemptFailure(run, now, failure))
        return self._moved(Phase.FAILING, failures=failures, manifest=manifest, run=run, outputs=(), not_before=None)

    def closed(
        self, archived: dict[str, str], now: datetime, contents: tuple[Member, ...] | None = None
    ) -> SceneRecord:
        """Everything of this generation is where it belongs. contents: what the scene consists of from now on."""
        succeeded = self.phase is Phase.COMMITTED
        kept = {member.etag for member in contents or ()}
        before = (*(member.etag for member in self.contents or ()), *self._archived_versions(archived))
        outcome = Outcome.SUCCEEDED if succeeded else Outcome.DEAD_LETTERED
        failure = self.failures[-1].failure if self.failures and not succeeded else None
        return self._moved(
            Phase.IDLE,
            generation=self.generation + 1,
            attempts=0,
            preemptions=0,
            manifest=(),
            failures=(),
            started_at=None,
            not_before=None,
            tries=0,
            begun=0,
            blocked=None,
            ending=Ending(self.generation, outcome, self.run, now, archived, failure, self.doubt),
            doubt=None,
            carried=(),
            contents=contents,
            wish=None,
        ).having_retired(etag for etag in before if etag not in kept)

    def _archived_versions(self, archived: dict[str, str]) -> list[str]:
        """ETags of the manifest's uploads that were archived; the others were replaced or deleted before."""
        return [blob.etag for blob in self.manifest if "/" in archived.get(blob.name, "")]

    def having_retired(self, etags: Iterable[str]) -> SceneRecord:
        """These versions are archived, and no part of the scene: they are no news, should they lie in `input` again."""
        new = [etag for etag in etags if etag not in self.retired]
        return replace(self, retired=(*self.retired, *new)[-KEEP_RETIRED:])

    def to_json(self) -> dict[str, Any]:
        failures = [failure.to_json() for failure in self.failures]
        body = {"schema_version": RECORD_VERSION, **codec.to_json(self), "failures": failures}
        if self.run:  # as every other file and every log line calls it
            body["run_id"] = self.run
        if not self.tries and not self.begun:  # as earlier programs wrote it
            del body["tries"], body["begun"], body["blocked"]
        return body

    @staticmethod
    def from_json(value: Any) -> SceneRecord:
        """Raises ValueError for a record of a version this program does not know, or one that is torn."""
        if not isinstance(value, dict):
            raise ValueError("the record of a scene is not an object")
        if value.get("schema_version") != RECORD_VERSION:
            raise ValueError(f"record version {value.get('schema_version')!r}; this program knows {RECORD_VERSION}")
        try:
            failures = [{**item, "failure": item} for item in value["failures"]]
            return codec.from_json({**value, "failures": failures}, SceneRecord, ADDED)
        except (KeyError, TypeError, ValueError) as exc:
            raise ValueError(f"the record of a scene is incomplete: {exc}") from exc
