"""The sweep heals what events, messages and executions lost: it compares what lies there with what should happen.

Runs by timer, from a quiet-time check when the timer seems frozen, and by hand (`video-splat sweep`).

    view.py      what it sees: uploads, batches, markers of active scenes; nothing that has finished
    sealing      complete scenes without an event
    healing.py   messages that were lost
    chores.py    what nobody can need any more; once a day a look at every record

It stops after four minutes (the host ends a function after five), says where, and the next one goes on from there.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from function_app import chores, healing
from function_app.debounce import Nothing, Settled
from function_app.dispatcher import Dispatcher, Sealing
from function_app.view import View, look
from scenejobs.errors import AccessDenied, Conflict, NotFound, SceneJobError, StorageError
from scenejobs.logs.setup import context
from scenejobs.names import scene_key
from scenejobs.parallel import AT_ONCE, Crew
from scenejobs.ports import SMALL_BYTES, BlobInfo, BlobStore, NoticeTarget
from scenejobs.state import activity, cancelling, codec, records
from scenejobs.state.incoming import batches, undeleted
from scenejobs.state.layout import REFUSED, SWEEP_RECORD, key_of_cancelled, refused_name
from scenejobs.state.messages import DebounceCheck
from scenejobs.state.notices import outbox
from scenejobs.state.overview import leftovers
from scenejobs.state.overview.leftovers import Leftover
from scenejobs.state.removal import expiry

log = logging.getLogger(__name__)

LIMIT_S = 240.0
WATCHED = 50  # scenes whose uploads in progress are looked at by one sweep


@dataclass(frozen=True)
class SweepReport:
    """What one sweep saw and did."""

    scenes: int = 0  # with uploads
    sealed: int = 0  # complete scenes without an event
    resent: int = 0  # batches whose message was never known to be sent
    requeued: int = 0  # scenes whose message was lost on the way
    refused: int = 0  # uploads with a name that cannot be used, seen for the first time
    tidied: int = 0  # blobs removed that nobody can need any more
    started: int = 0  # executions
    held_back: str = ""  # why waiting work is not started
    # age of the oldest finished uploads that nobody works on; an alert watches it (infra/modules/alerts.bicep)
    oldest_s: int = field(default=0, compare=False)
    stopped: str = ""  # the time was over: where it stopped


@dataclass(frozen=True)
class Notes:
    """What sweeps tell each other, beside the report of the last one: `state/sweep.json`."""

    swept_at: datetime | None = None
    looked_at: datetime | None = None  # when every record was last looked at
    cleared_at: datetime | None = None  # when the daily chores were last done
    go_on_at: str = ""  # the scene at which the last sweep stopped

    def to_json(self, report: SweepReport) -> bytes:
        times = {name: at.isoformat() for name in _TIMES if (at := getattr(self, name)) is not None}
        return json.dumps({**times, "go_on_at": self.go_on_at, **asdict(report)}).encode()

    @staticmethod
    def from_json(data: bytes) -> Notes:
        """A value that cannot be read is as good as none: what it is about is done again."""
        try:
            body = codec.loads(data)
        except ValueError:
            return Notes()
        if not isinstance(body, dict):
            return Notes()
        return Notes(**{name: _time(body.get(name)) for name in _TIMES}, go_on_at=str(body.get("go_on_at", "")))

    def are_due(self, at: datetime | None, now: datetime) -> bool:
        return at is None or abs(now - at) >= chores.EVERY  # not one of a clock that was far ahead


_TIMES = ("swept_at", "looked_at", "cleared_at")


@dataclass(frozen=True)
class Sweeper:
    """See the module. at_once: requests at the same time. clock: seconds, for the time limit."""

    dispatcher: Dispatcher
    at_once: int = AT_ONCE
    clock: Callable[[], float] = time.monotonic
    limit_s: float = LIMIT_S
    targets: Mapping[str, NoticeTarget] = field(default_factory=dict)  # who is told about scenes, by name

    def sweep_if_due(self) -> SweepReport | None:
        """Sweeps when the last sweep is too long ago. Timers of a function app are known to freeze for days."""
        state, now = self._state, self._state.now()
        due = timedelta(seconds=self.dispatcher.settings.sweep_interval_s)
        try:
            data, etag = state.read(SWEEP_RECORD, limit_bytes=SMALL_BYTES)
            notes = Notes.from_json(data)
            if notes.swept_at is not None and abs(now - notes.swept_at) < due:  # not one of a clock that was far ahead
                return None
            state.write(SWEEP_RECORD, replace(notes, swept_at=now).to_json(SweepReport()), if_match=etag)
        except NotFound:
            try:
                state.write(SWEEP_RECORD, Notes(swept_at=now).to_json(SweepReport()), if_absent=True)
            except Conflict:
                return None
        except Conflict:  # another instance sweeps at this moment
            return None
        return self.sweep()

    def sweep(self) -> SweepReport:
        """One pass. What fails for one scene does not keep the others from healing, nor executions from being started.

        Raises afterwards what failed: StorageError; ComputeError and AccessDenied of the start of executions.
        """
        until = self.clock() + self.limit_s
        pass_ = _Pass(self.dispatcher, Crew(self.at_once, lambda: self.clock() < until))
        try:
            notes = pass_.heal(self._notes())
            self._state.write(SWEEP_RECORD, notes.to_json(pass_.report))
        finally:
            try:
                self._start(pass_)
                self.tell(pass_.goes_on)
            finally:
                log.info("sweep: %s", json.dumps(asdict(pass_.report)))
        if pass_.failed:
            raise pass_.failed[0]
        return pass_.report

    def tell(self, goes_on: Callable[[], bool] = lambda: True) -> None:
        """Sends what is to be told about scenes. What fails is logged, and tried again later."""
        if not self.targets:
            return
        try:
            depth = self.dispatcher.settings.prefix_depth
            for exc in outbox.tell(self.dispatcher.containers, depth, self.targets, goes_on):
                log.warning("a notice waits: %s", exc, extra={"event": "notice.waits"})
        except SceneJobError as exc:
            log.warning("notices wait: %s", exc, extra={"event": "notice.waits"})

    def _start(self, pass_: _Pass) -> None:
        starter = self.dispatcher.starter
        pass_.told(started=starter.look_after())
        if starter.waiting()[0] > 0:
            pass_.told(held_back=starter.load().held_back(pass_.now or self._state.now()))

    def _notes(self) -> Notes:
        try:
            return Notes.from_json(self._state.read(SWEEP_RECORD, limit_bytes=SMALL_BYTES)[0])
        except NotFound:
            return Notes()

    @property
    def _state(self) -> BlobStore:
        return self.dispatcher.containers.state


class _Pass:
    """One sweep under way."""

    def __init__(self, dispatcher: Dispatcher, crew: Crew) -> None:
        self._dispatcher, self._crew = dispatcher, crew
        self._state = dispatcher.containers.state
        self.report = SweepReport()
        self.now: datetime | None = None  # the service's time at its begin
        self.failed: list[StorageError] = []
        self._open: set[str] = set()  # scenes with uploads in no batch, as they turn out

    @property
    def goes_on(self) -> Callable[[], bool]:
        return self._crew.goes_on

    def told(self, **found: Any) -> None:
        self.report = replace(self.report, **found)

    def heal(self, notes: Notes) -> Notes:
        """All but the starts. Raises StorageError when the containers cannot be listed."""
        now = self.now = self._dispatcher.containers.input.now()
        view = look(self._dispatcher.containers, self._dispatcher.settings.prefix_depth)
        self.told(scenes=len(view.scenes))
        go_on_at = self._seal(view, notes.go_on_at, now)
        self._watch_sending(view, now)
        if notes.swept_at is None:  # the first sweep of all: nothing is old
            notes = replace(notes, cleared_at=now)
        notes = replace(notes, swept_at=now, go_on_at=go_on_at)
        looks = notes.are_due(notes.looked_at, now)
        daily = chores.DailyLook(self._state, view, now, self._crew)
        if looks:
            daily.run()
        heads = healing.heads_of(self._dispatcher, [*view.active, *daily.unmarked], self._crew)
        self.told(oldest_s=_oldest_s(view, heads, now))
        self._settle_called_off(view, heads)
        self._requeue(view, heads, now)
        self._refuse(view, now)
        quiet_s = self._dispatcher.settings.quiet_s
        old = [*chores.spent(self._state, view, quiet_s, now), *chores.old_work(self._state, view, now, self._crew)]
        self._clear([*old, *daily.leftovers])
        self._delete_at_last(view, now)
        self.told(tidied=self.report.tidied + healing.remove_markers(self._dispatcher, view, heads, now, self._crew))
        if looks and daily.whole:
            notes = replace(notes, looked_at=now)
        if notes.are_due(notes.cleared_at, now) and daily.seen <= chores.FEW and self._crew.goes_on():
            cache_days = self._dispatcher.settings.cache_days
            if self._clear(chores.daily(self._state, view, cache_days, now)) and self._expire(now):
                notes = replace(notes, cleared_at=now)
        return notes

    def _seal(self, view: View, first: str, now: datetime) -> str:
        """Seals what is complete, from the scene on at which the last sweep stopped. Returns where this one stopped."""
        names = sorted(view.scenes)
        names = [name for name in names if name >= first] + [name for name in names if name < first]
        outcome = self._crew.each(lambda scene: self._seal_if_settled(scene, view, now), names)
        for scene, exc in outcome.failed:
            log.error("scene %s could not be looked at: %s", scene, exc, extra={"scene": scene})
            self.failed.append(exc)
        results = outcome.results
        self.told(sealed=results.count(Sealing.CREATED), resent=results.count(Sealing.RESENT))
        return self._stopped("sealing", outcome.left)

    def _seal_if_settled(self, scene: str, view: View, now: datetime) -> Sealing | None:
        dispatcher, blobs = self._dispatcher, view.scenes[scene]
        waiting = batches.unsealed(self._state, blobs, view.batches_of(scene))
        sent, check = view.sending.get(scene, ()), DebounceCheck(scene, "", now)
        judged = dispatcher.judge.judge(check, waiting, sent, now, memories=view.memories)
        if not isinstance(judged.decision, Nothing):
            self._open.add(scene)
        if isinstance(judged.decision, Settled):
            with context(job_id=scene):
                return dispatcher.seal(scene, judged.whole(blobs), now, f"sweep: {judged.decision.why}")
        return None

    def _watch_sending(self, view: View, now: datetime) -> None:
        """So that it is known which uploads have stalled when it matters: before their scene is complete."""
        watched = 0
        for scene, sent in view.sending.items():
            if watched < WATCHED and scene not in self._open and self._crew.goes_on():
                try:
                    watched += self._dispatcher.judge.watch(scene, sent, now, view.memories)
                except StorageError as exc:  # the next sweep looks again
                    text = "scene %s: what is being sent into it could not be looked at: %s"
                    log.error(text, scene, exc, extra={"scene": scene})
                    watched += 1

    def _settle_called_off(self, view: View, heads: Mapping[str, BlobInfo | None]) -> None:
        """Takes back what records of cancelled scenes still ask for: no execution is started to do that."""
        for info in view.called_off:
            head = heads.get(key_of_cancelled(info.name))
            if head is None or head.leased or not activity.is_active(head.metadata) or not self._crew.goes_on():
                continue
            try:
                if (stored := records.read(self._state, head.name)) and cancelling.load(
                    self._state, stored.record.scene
                ):
                    cancelling.settle(self._state, stored.record.scene)
            except StorageError as exc:
                log.error("%s is cancelled, and could not be settled: %s", head.name, exc)
                self.failed.append(exc)

    def _requeue(self, view: View, heads: Mapping[str, BlobInfo | None], now: datetime) -> None:
        try:
            requeued = healing.requeue_lost(self._dispatcher, view, heads, now, self._crew)
        except StorageError as exc:  # the queue cannot be looked at; all else can be done
            self.failed.append(exc)
            return
        self.failed += requeued.failed
        self.told(requeued=len(requeued.scenes))
        self._stopped("requeueing", range(requeued.left))

    def _refuse(self, view: View, now: datetime) -> None:
        """Notes refused uploads that no blob tells of yet. Known ones cost nothing but a share of one listing."""
        if not view.refused:
            return
        known = {info.name: info for info in self._state.list(REFUSED)}
        new = [item for item in view.refused if refused_name(item.name) not in known]
        outcome = self._crew.each(lambda item: self._dispatcher.record_refused(item.name, item.reason, now), new)
        self.failed += [exc for _, exc in outcome.failed]
        self.told(refused=sum(outcome.results))
        self._stopped("noting refused names", outcome.left)
        self._clear(leftovers.old_refusals(self._state, known.values(), (item.name for item in view.refused), now))

    def _delete_at_last(self, view: View, now: datetime) -> None:
        """Tries again to delete uploads that are done with, as far as this identity may."""
        uploads = self._dispatcher.containers.input
        try:
            kept = undeleted.clear_away(self._state, uploads, view.undeleted, now, self._crew.goes_on)
        except AccessDenied as exc:
            log.warning("uploads that are done with are left to a runner: %s", exc)
        except StorageError as exc:
            self.failed.append(exc)
        else:
            undeleted.alert_still(kept)

    def _expire(self, now: datetime) -> bool:
        """Removes results that are too old, as far as this identity may. Whether it came to the end in time."""
        days, containers = self._dispatcher.settings.output_days, self._dispatcher.containers
        if days:
            try:
                depth = self._dispatcher.settings.prefix_depth
                removed = expiry.expire(containers, depth, now - timedelta(days=days), self._crew.goes_on)[1]
                self.told(tidied=self.report.tidied + removed)
            except AccessDenied as exc:
                log.error("OUTPUT_RETENTION_DAYS is set, and results cannot be removed: %s", exc)
            except StorageError as exc:
                self.failed.append(exc)
        return self._crew.goes_on()

    def _clear(self, found: Iterable[Leftover]) -> bool:
        """Removes what was found. Whether it came to the end in time."""
        outcome = self._crew.each(Leftover.remove, found)
        self.failed += [exc for _, exc in outcome.failed]
        self.told(tidied=self.report.tidied + sum(outcome.results))
        self._stopped("tidying", outcome.left)
        return not outcome.left

    def _stopped(self, what: str, left: list[Any] | range) -> str:
        """Tells where the time was over, when it was. Returns the first that was left."""
        if not left:
            return ""
        first = left[0] if isinstance(left[0], str) else ""
        if not self.report.stopped:  # all that follows is left as well
            self.told(stopped=f"{what}: {len(left)} left" + (f", from {first}" if first else ""))
        return first


def _oldest_s(view: View, heads: Mapping[str, BlobInfo | None], now: datetime) -> int:
    """How long the longest waiting scene has waited since its uploads were sealed. A leased record: it is in work.

    Of scenes without uploads those count whose end was begun and is not done.
    """
    since = [now]
    for scene in view.scenes:
        record = heads.get(scene_key(scene))
        if view.may_run(scene) and not (record is not None and record.leased):
            since += [item.sealed_at or item.queued_at or now for item in view.batches_with(scene)]
    for key, record in heads.items():
        if record is not None and key not in view.keys and not record.leased:
            since += [record.modified] if activity.is_active(record.metadata) else []
    return round((now - min(since)).total_seconds())


def _time(value: Any) -> datetime | None:
    try:
        return codec.parse_time(str(value))
    except ValueError:
        return None
