"""The runner's loop: take one message, own its scene, bring it forward, settle the message, look for more.

The queue message only points at a scene. It leaves the queue when what it asks for is durable, and is given back when
somebody else works on the scene, when the work failed for now, or when the runner was told to stop.
"""

from __future__ import annotations

import json
import logging

from runner.pipeline.estimate import planned_s
from runner.worker.attempt import Later, SceneWork, Settled
from runner.worker.context import World
from runner.worker.deadline import takes_another
from runner.worker.lease import Ownership, Timing
from runner.worker.usage import Ledger
from scenejobs.errors import (
    Code,
    ConfigurationError,
    Conflict,
    InfrastructureError,
    InputError,
    Interrupted,
    LeaseLost,
    UnreadableMessage,
)
from scenejobs.logs.alerts import Guard, hold_back
from scenejobs.logs.redact import redact
from scenejobs.names import refusal
from scenejobs.ports import QueueMessage
from scenejobs.state import records
from scenejobs.state.layout import record_name
from scenejobs.state.messages import JobMessage
from scenejobs.state.record import Phase
from scenejobs.state.uploads import list_scene

SNOOZE_S = 60.0  # somebody else works on the scene
MAX_DEQUEUES = 1000  # a message that comes back this often is going round in circles
POISON_TEXT_CHARS = 4000  # of the unreadable text are kept: escaped, they fit into a message

log = logging.getLogger(__name__)


class Worker:
    """One execution of the runner."""

    def __init__(self, world: World, timing: Timing | None = None) -> None:
        self._world = world
        self._timing = timing or Timing()
        name = world.execution or "execution"
        # by the impatient store: a bookkeeper that waits for minutes would hold up the end of a runner cut off
        self.ledger = Ledger(world.leases, f"{name}-{world.token()}", world.clock)

    def drain(self) -> int:
        """Queue mode: messages until none came for a while or the time for taking more is over. Returns the exit code.

        Raises Interrupted, ConfigurationError, LeaseLost: each ends the execution, with the message given back where
        it is still ours to give.
        """
        world = self._world
        begun_at, empty_looks, taken, exit_code = world.clock(), 0, 0, 0
        self.ledger.tell()  # first: it proves that this execution began
        while world.clock() - begun_at <= world.settings.run_budget_s and self._may_take(taken):
            world.stop.check("waiting for work")
            message = world.queues.jobs.receive(self._timing.visibility_s)
            if message is None:
                empty_looks += 1
                if empty_looks >= world.settings.idle_polls:
                    break
                world.stop.wait(world.settings.idle_wait_s)
                continue
            empty_looks, taken = 0, taken + 1
            try:
                self.handle(message)
            except InfrastructureError as exc:  # outside an attempt: the next runner, or this one later, goes on
                log.error("the work is given back: %s", exc)
                exit_code = exc.exit_code
            self.ledger.tell()  # where an execution ends by an exception, whoever runs it tells
        return exit_code

    def _may_take(self, taken: int) -> bool:
        """Neither the day's budget nor the rest of this execution's time forbids another scene."""
        world = self._world
        if self.ledger.over_budget(world.settings.max_gpu_minutes):
            hold_back(log, Guard.GPU_BUDGET, "the minutes of today are used up; no further scene is taken")
            return False
        if not takes_another(taken, world.stop.left_s(), planned_s(world.pipeline)):
            log.info("what is left of this execution's time cannot hold another scene")
            return False
        return True

    def handle(self, message: QueueMessage) -> None:
        """One message to its end."""
        queue = self._world.queues.jobs
        try:
            scene = _scene_of(message)
        except UnreadableMessage as exc:
            log.error("message %s goes to the poison queue: %s", message.id, exc)
            self._world.queues.poison.send(_poison(message, exc))  # first: twice there is better than lost
            queue.complete(message)
            return
        self._work(scene, self._world.settings.prefix_depth, message)

    def batch(self) -> int:
        """Batch mode: one scene, no queue; retries here. Returns the exit code.

        Raises InputError when there is nothing to do, LeaseLost when somebody else works on the scene.
        """
        settings, containers = self._world.settings, self._world.containers
        self.ledger.tell()
        scene = settings.batch_prefix.strip("/")
        reason = refusal(scene)
        if reason:
            raise ConfigurationError(
                f"BATCH_INPUT_PREFIX={settings.batch_prefix!r} is no scene: {reason}",
                code=Code.INVALID_SETTING, advice="set it to the folder of the videos", stage="configuration",
            )  # fmt: skip
        depth = scene.count("/") + 1
        stored = records.load(containers.state, scene)
        decided = stored is not None and stored.record.phase in (Phase.COMMITTED, Phase.FAILING)
        if not decided and not list_scene(containers.input, scene, depth):
            raise InputError(
                f"no blobs with prefix {scene}/ in container {containers.input.name}",
                code=Code.NO_VIDEO, advice="upload the videos there, or correct BATCH_INPUT_PREFIX", stage="validation",
            )  # fmt: skip
        while True:
            match self._work(scene, depth, None):
                case None:
                    raise LeaseLost(f"scene {scene} is being processed by another runner", advice="try again later")
                case Later(delay_s, None):  # a guard holds it back, for a day perhaps: too long to sit on a machine
                    raise InfrastructureError(
                        f"scene {scene} must not be run for another {delay_s / 60:.0f} min",
                        advice="start it again then",
                    )
                case Later(delay_s, failure):
                    log.warning("next attempt in %.0f s: %s", delay_s, failure)
                    self._world.stop.wait(delay_s)
                    self._world.stop.check("waiting for the next attempt")
                case Settled("dead_lettered"):
                    return 1
                case Settled():
                    return 0

    def _work(self, scene: str, depth: int, message: QueueMessage | None) -> Settled | Later | None:
        """Owns the scene, brings it forward, settles the message. None when somebody else owns it."""
        try:
            records.ensure(self._world.containers.state, scene)
            leased_at = self._world.clock()
            lease = self._world.leases.lease(record_name(scene), self._timing.lease_s)
        except Conflict:
            log.info("scene %s is being processed by another runner", scene)
            self._give_back(message, SNOOZE_S)
            return None
        except InfrastructureError:
            self._give_back(message, self._world.settings.retry_max_s)
            raise
        owner = Ownership(
            lease,
            self._world.queues.jobs,
            message,
            timing=self._timing,
            clock=self._world.clock,
            repeat=self._world.repeat,
            leased_at=leased_at,
        )
        try:
            with owner:
                result = SceneWork(self._world, scene, depth, self._new_run(), owner).bring_forward()
        except LeaseLost:
            raise  # not ours any more: neither the lease nor the message is touched
        except Interrupted:
            lease.release()
            self._give_back(owner.message, 0)
            raise
        except (ConfigurationError, InfrastructureError):
            lease.release()
            self._give_back(owner.message, self._world.settings.retry_max_s)
            raise
        lease.release()
        if isinstance(result, Later):
            self._give_back(owner.message, result.delay_s)
        elif owner.message is not None:
            self._world.queues.jobs.complete(owner.message)
        return result

    def _give_back(self, message: QueueMessage | None, delay_s: float) -> None:
        if message is not None:
            self._world.queues.jobs.release(message, delay_s=delay_s)

    def _new_run(self) -> str:
        """Sorts by time, never twice the same."""
        name = self._world.settings.job_id or self._world.now().strftime("%Y%m%dT%H%M%SZ")
        return f"{name}-{self._world.token()}"


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
