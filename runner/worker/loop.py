"""The runner's loop: receives a message, leases its scene, advances it, acknowledges or requeues the message, repeats.

The queue message only points at a scene. It is acknowledged when what it asks for is durable, and requeued when another
runner works on the scene, when the work failed for now, or when the runner was asked to stop.

What became ready during a run does not wait for the next sweep. When a scene is free again and has uploads left, the
dispatcher is asked to look at it; it sends nothing for a scene in work. When the execution ends, it first says so, and
then looks into the queue once more: so either it sees what was sent in the meantime, or who sent it sees that nobody
will come (scenejobs/state/executions/life.py).
"""

from __future__ import annotations

import json
import logging

from runner.pipeline.estimate import planned_s
from runner.worker import run_ids
from runner.worker.attempt import SceneWork
from runner.worker.context import WorkerContext
from runner.worker.deadline import takes_another
from runner.worker.fate import Acknowledge, Requeue
from runner.worker.lease import RecordLease, Timing
from runner.worker.usage import UsageReporter
from scenejobs.errors import (
    Code,
    ConfigurationError,
    Conflict,
    InfrastructureError,
    InputError,
    Interrupted,
    LeaseLost,
    NotFound,
    SceneJobError,
    UnreadableMessage,
    UnreadableRecord,
)
from scenejobs.logs import setup
from scenejobs.logs.alerts import Alert, log_alert
from scenejobs.logs.redact import redact
from scenejobs.names import refusal
from scenejobs.ports import Lease, QueueMessage
from scenejobs.state import cancelling, records
from scenejobs.state.control_names import scene_refusal
from scenejobs.state.executions import back_off
from scenejobs.state.incoming import undeleted
from scenejobs.state.incoming.uploads import list_scene
from scenejobs.state.layout import UNDELETED, record_name
from scenejobs.state.messages import DebounceCheck, JobMessage
from scenejobs.state.record import Phase

SNOOZE_S = 60.0  # another runner works on the scene
CHECKED_S = 900.0  # work that is postponed for longer is found by a sweep
MAX_DEQUEUES = 1000  # a message that comes back this often is going round in circles
POISON_TEXT_CHARS = 4000  # of the unreadable text are kept: escaped, they fit into a message

log = logging.getLogger(__name__)


class Worker:
    """One execution of the runner."""

    def __init__(self, context: WorkerContext, timing: Timing | None = None) -> None:
        self._context = context
        self._timing = timing or Timing()
        name = context.execution or "execution"
        # by the store with short retries: a report that waits for minutes would delay the exit of a cut-off runner
        self.usage = UsageReporter(
            context.leases, f"{name}-{context.token()}", context.clock, context.repeat,
            fallback=context.settings.is_fallback,
        )  # fmt: skip

    def drain(self) -> int:
        """Queue mode: messages until none came for a while or the time for taking more is over. Returns the exit code.

        Raises Interrupted, ConfigurationError, LeaseLost: each ends the execution, with the message requeued where it
        is still this runner's.
        """
        context, exit_code, taken = self._context, 0, 0
        begun_at = context.clock()
        self.usage.begin()  # first: it proves that this execution began
        try:
            while message := self._next(begun_at, taken) or self._last_look(begun_at, taken):
                taken += 1
                try:
                    self.handle(message)
                except InfrastructureError as exc:  # outside an attempt: the next runner, or this one later, goes on
                    log.error("the work is given back: %s", exc)
                    exit_code = exc.exit_code
                self.usage.report()
        except Interrupted:
            if context.stop.signalled_s() is None:  # by its own clock. Who sends a signal may not want another to come
                self.usage.end()
                self._hand_over()
            raise
        finally:
            self.usage.end()
        return exit_code

    def _next(self, begun_at: float, taken: int) -> QueueMessage | None:
        """The next message; None when none came for a while, or no further one may be taken."""
        context, empty_looks = self._context, 0
        while self._may_take(begun_at, taken):
            context.stop.check("waiting for work")
            message = context.queues.jobs.receive(self._timing.visibility_s)
            if message is not None:
                return message
            empty_looks += 1
            if empty_looks >= context.settings.idle_polls:
                break
            context.stop.wait(context.settings.idle_wait_s)
        return None

    def _last_look(self, begun_at: float, taken: int) -> QueueMessage | None:
        """Says that this execution ends, and looks whether something came before everybody could know."""
        self._clear_away()
        self.usage.end()
        if not self._may_take(begun_at, taken, quietly=True):
            self._hand_over()
            return None
        message = self._context.queues.jobs.receive(self._timing.visibility_s)
        if message is not None:
            self.usage.begin()
        return message

    def _clear_away(self) -> None:
        """Tries again to delete uploads that are done with. What fails here a later execution tries."""
        state, uploads, stop = self._context.containers.state, self._context.containers.input, self._context.stop
        try:
            notes = tuple(state.list(UNDELETED))
            kept = undeleted.clear_away(state, uploads, notes, self._context.now(), lambda: not stop.is_set())
        except SceneJobError as exc:
            log.warning("uploads that are done with are left for later: %s", exc)
            return
        undeleted.alert_still(kept)

    def _hand_over(self) -> None:
        """Where work waits that this execution will not take, the dispatcher is asked to start another."""
        jobs = self._context.queues.jobs
        try:
            message = jobs.receive(self._timing.visibility_s)
            if message is not None:
                jobs.release(message)
                self._ask_for_check(_scene_of(message))
        except SceneJobError as exc:
            log.warning("whether work waits could not be looked at, a sweep will: %s", exc)

    def _may_take(self, begun_at: float, taken: int, *, quietly: bool = False) -> bool:
        """Neither the day's budget nor the rest of this execution's time forbids another scene."""
        context = self._context
        if context.clock() - begun_at > context.settings.run_budget_s:
            return False
        if taken and (why := context.lacks_room()):  # it would cost the next scenes their attempts, in seconds
            if not quietly:
                log.warning("no further scene is taken: %s", why)
            return False
        if self.usage.over_budget(context.settings.max_gpu_minutes):
            if not quietly:
                log_alert(log, Alert.GPU_BUDGET, "the minutes of today are used up; no further scene is taken")
            return False
        if not takes_another(taken, context.stop.left_s(), planned_s(context.pipeline)):
            log.info("the rest of this execution's time cannot hold another scene")
            return False
        return True

    def handle(self, message: QueueMessage) -> None:
        """One message to its end."""
        queue = self._context.queues.jobs
        try:
            scene = _scene_of(message)
        except UnreadableMessage as exc:
            log.error("message %s goes to the poison queue: %s", message.id, exc)
            self._context.queues.poison.send(_poison(message, exc))  # first: twice there is better than lost
            queue.complete(message)
            return
        self._work(scene, self._context.settings.prefix_depth, message)

    def batch(self) -> int:
        """Batch mode: one scene, no queue; retries here. Returns the exit code.

        Raises InputError when there is nothing to do, LeaseLost when somebody else works on the scene.
        """
        self.usage.begin()
        try:
            return self._batch()
        finally:
            self.usage.end()

    def _batch(self) -> int:
        settings, containers = self._context.settings, self._context.containers
        scene = settings.batch_prefix.strip("/")
        reason = refusal(scene) or scene_refusal(scene)
        if reason:
            raise ConfigurationError(
                f"BATCH_INPUT_PREFIX={settings.batch_prefix!r} is no scene: {reason}",
                code=Code.INVALID_SETTING, advice="set it to the folder of the videos", stage="configuration",
            )  # fmt: skip
        depth = scene.count("/") + 1
        stored = records.load(containers.state, scene)
        decided = stored is not None and stored.record.phase in (Phase.COMMITTED, Phase.FAILING)
        wished = stored is not None and stored.record.wish is not None
        if not decided and not wished and not list_scene(containers.input, scene, depth):
            known = stored is not None
            raise InputError(
                f"no blobs with prefix {scene}/ in container {containers.input.name}"
                + (": an earlier run has ended, and archived them" if known else ""),
                code=Code.NO_VIDEO, stage="validation",
                advice=f"`scenejobs status {scene}` tells how; `scenejobs retry {scene}` makes it again" if known
                else "upload the videos there, or correct BATCH_INPUT_PREFIX",
            )  # fmt: skip
        noted = cancelling.load(containers.state, scene)
        if noted and not decided and noted.note.covers(list_scene(containers.input, scene, depth)):
            raise InputError(
                f"scene {scene} is cancelled", code=Code.NO_SCENE, stage="validation",
                advice=f"`scenejobs retry {scene}` takes that back, and so does a new upload",
            )  # fmt: skip
        while True:
            match self._work(scene, depth, None):
                case None:
                    raise LeaseLost(f"scene {scene} is being processed by another runner", advice="try again later")
                case Requeue(delay_s, None):  # a limit postpones it, perhaps by a day: too long to keep a machine
                    raise InfrastructureError(
                        f"scene {scene} must not be run for another {delay_s / 60:.0f} min",
                        advice="start it again then",
                    )
                case Requeue(delay_s, failure):
                    log.warning("next attempt in %.0f s: %s", delay_s, failure)
                    self._context.stop.wait(delay_s)
                    self._context.stop.check("waiting for the next attempt")
                case Acknowledge("dead_lettered" | "cancelled"):
                    return 1
                case Acknowledge():
                    return 0

    def _work(self, scene: str, depth: int, message: QueueMessage | None) -> Acknowledge | Requeue | None:
        """Leases the scene, advances it, acknowledges or requeues the message. None when another runner holds it."""
        with setup.context(job_id=scene):
            return self._work_on(scene, depth, message)

    def _work_on(self, scene: str, depth: int, message: QueueMessage | None) -> Acknowledge | Requeue | None:
        try:
            leased_at = self._context.clock()
            lease = self._leased(scene, depth)
        except Conflict:
            log.info("scene %s is being processed by another runner", scene)
            self._requeue(message, SNOOZE_S)
            return None
        except InfrastructureError:
            self._requeue(message, self._context.settings.retry_max_s)
            raise
        if lease is None:
            log.info("scene %s: there is no upload and no record", scene)
            if message is not None:
                self._context.queues.jobs.complete(message)
            return Acknowledge("nothing")
        held = RecordLease(
            lease,
            self._context.queues.jobs,
            message,
            timing=self._timing,
            clock=self._context.clock,
            repeat=self._context.repeat,
            leased_at=leased_at,
        )
        try:
            with held:
                result = SceneWork(self._context, scene, depth, self._new_run(scene), held).advance()
        except LeaseLost:
            raise  # the scene may be another runner's: neither the lease nor the message is touched
        except Interrupted:
            lease.release()
            self._requeue(held.message, 0)
            raise
        except UnreadableRecord as exc:
            lease.release()
            if message is None:
                raise
            # counted by the queue, for the record is nothing that this program may write
            log_alert(log, Alert.BLOCKED, f"scene {scene}: {exc}", scene=scene)
            result = Requeue(back_off.after(message.dequeue_count))
            self._requeue(held.message, result.delay_s)
            return result
        except (ConfigurationError, InfrastructureError):
            lease.release()
            self._requeue(held.message, self._context.settings.retry_max_s)
            raise
        lease.release()
        if isinstance(result, Requeue):
            self._requeue(held.message, result.delay_s)
            if held.message is not None and self._idle_s < result.delay_s <= CHECKED_S:  # this one has ended by then
                self._ask_for_check(scene, result.delay_s)
            return result
        if list_scene(self._context.containers.input, scene, depth):  # now that it is free: nothing slips through
            self._ask_for_check(scene)
        if held.message is not None:
            self._context.queues.jobs.complete(held.message)
        return result

    def _leased(self, scene: str, depth: int) -> Lease | None:
        """The lease of the scene's record, which is made for a scene with uploads.

        None where there is neither: a message that was forged, or whose uploads were taken away, leaves nothing behind.
        """
        try:
            return self._context.leases.lease(record_name(scene), self._timing.lease_s)
        except NotFound:
            if not list_scene(self._context.containers.input, scene, depth):
                return None
        records.ensure(self._context.containers.state, scene)
        return self._context.leases.lease(record_name(scene), self._timing.lease_s)

    @property
    def _idle_s(self) -> float:
        """How long this execution waits for messages before it ends."""
        return self._context.settings.idle_polls * self._context.settings.idle_wait_s

    def _ask_for_check(self, scene: str, delay_s: float = 0.0) -> None:
        """Makes the dispatcher list what is in the input container, and start an execution where one is missing.

        Batch mode has no dispatcher, and may have neither queues nor a right to them: it says that uploads are left.
        """
        if self._context.settings.mode == "batch":
            log.warning("scene %s: uploads came meanwhile; run it again to take them in", scene)
            return
        check = DebounceCheck(scene, "", self._context.now())
        self._context.queues.debounce.send(check.to_json(), delay_s=delay_s)

    def _requeue(self, message: QueueMessage | None, delay_s: float) -> None:
        if message is not None:
            self._context.queues.jobs.release(message, delay_s=delay_s)

    def _new_run(self, scene: str) -> str:
        """The id of an attempt, never twice the same: in batch mode the chosen one (run_ids.py), else sorted by time.

        Raises ConfigurationError for a chosen one that the scene has had, StorageError.
        """
        settings, containers = self._context.settings, self._context.containers
        if settings.mode == "batch" and settings.job_id:
            stored = records.load(containers.state, scene)
            return run_ids.of_attempt(settings.job_id, stored.record if stored else None, containers)
        return f"{self._context.now():%Y%m%dT%H%M%SZ}-{self._context.token()}"


def _scene_of(message: QueueMessage) -> str:
    """Raises UnreadableMessage."""
    if message.dequeue_count > MAX_DEQUEUES:
        raise UnreadableMessage(f"received {message.dequeue_count} times without coming to an end", code=Code.LOOP)
    scene = JobMessage.from_json(message.text).scene
    reason = refusal(scene)
    if reason:
        raise UnreadableMessage(f"the message names no scene: {reason}")
    return scene


def _poison(message: QueueMessage, reason: UnreadableMessage) -> str:
    body = {"v": 1, "code": str(reason.code), "reason": reason.cause, "id": message.id}
    body["text"] = redact(message.text)[:POISON_TEXT_CHARS]
    return json.dumps(body, ensure_ascii=True)
