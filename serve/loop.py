"""The loop of serve mode: that of watch mode over the containers and queues of an account.

    events       messages of Event Grid, where UPLOADS_QUEUE names a queue (as function_app/triggers.py)
    checks       quiet-time checks, and wishes of `scenejobs retry`: the debounce queue
    sweep        without UPLOADS_QUEUE at every look, since it finds uploads by listing; with it when one is due

Nothing that matters is kept in memory: batches, messages, records and leases lie in the account, so that several such
machines, and a function app beside them, share the work, and after a kill at any line the next one goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from function_app.sweep import SweepReport
from function_app.wiring import App
from runner.process.signals import StopFlag
from scenejobs.errors import NotFound, UnreadableMessage
from scenejobs.names import scene_key
from scenejobs.ports import BlobInfo
from scenejobs.settings.groups import WatchSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.state import codec, generations
from scenejobs.state.layout import ACTIVE, GENERATIONS, is_check, key_of_marker
from scenejobs.state.messages import JobMessage
from scenejobs.state.overview.status import SceneStatus, State, scene_status
from serve.deliveries import Deliveries
from serve.status import ServeStatus
from watch.local_workers import LocalCompute
from watch.loop import Watch, without_starts

MAX_SHOWN = 20  # scenes in work whose state is read at a look


@dataclass(frozen=True)
class Listeners:
    """What takes the messages. events: None: uploads are found by listing."""

    checks: Callable[[App], Deliveries]
    events: Callable[[App], Deliveries] | None = None


class Serve(Watch):
    """See the module. Everything happens in the thread that calls `run`."""

    def __init__(
        self,
        app: App,
        compute: LocalCompute,
        status: ServeStatus,
        settings: WatchSettings,
        listeners: Listeners,
        pipeline: PipelineSettings,
    ) -> None:
        dispatcher = app.dispatcher
        depth = dispatcher.settings.prefix_depth
        super().__init__(
            dispatcher.containers, dispatcher.queues, app, compute, status, settings, depth, None, pipeline
        )
        waiting = without_starts(app.sweeper)
        self._apps = {False: app, True: replace(app, dispatcher=waiting.dispatcher, sweeper=waiting)}
        self._listeners = listeners
        self._seen: set[str] = set()  # keys of scenes that had something to do at the last look
        self._markers: dict[str, BlobInfo] = {}  # by scene key: of scenes that somebody has to come back to
        self._counted: set[str] = set()  # notes of generations
        self._goes_on: Callable[[], bool] = lambda: True

    def run(self, stop: StopFlag) -> None:
        """Looks until a stop is requested; then the worker gives its scene back."""
        self._goes_on = lambda: not stop.is_set()
        super().run(stop)

    def _take_messages(self, *, held: bool) -> None:
        if self._status.last_error:  # cut off from the containers it would hide messages from machines that are not
            self._containers.state.now()
        for listen in filter(None, (self._listeners.events, self._listeners.checks)):
            listen(self._apps[held]).take(self._goes_on)

    def _sweep(self, *, held: bool) -> SweepReport | None:
        sweeper = self._apps[held].sweeper
        if self._listeners.events is None:
            return sweeper.sweep()
        if (report := sweeper.sweep_if_due()) is None:  # what waits wants a worker all the same
            sweeper.dispatcher.starter.look_after()
        return report

    def _count_finished(self, uploads: Collection[str]) -> None:
        """Counts what ended in a worker of this machine, once its scene has nothing more to do."""
        state = self._containers.state
        self._markers = {key_of_marker(info.name): info for info in state.list(ACTIVE) if not is_check(info.name)}
        keys = {scene_key(scene) for scene in uploads} | self._markers.keys()
        for key in sorted(self._seen - keys):
            for info in state.list(f"{GENERATIONS}{key}/"):
                if info.name in self._counted or not self._compute.knows(generations.ended_in(info)):
                    continue
                if self._count(info):
                    self._counted.add(info.name)
        self._seen = keys  # not before: a look that failed in between is made again

    def _scenes(self, uploads: Collection[str]) -> tuple[SceneStatus, ...]:
        """Those in work, on whichever machine; of the others only that they wait, for each would cost requests, and
        which messages nobody takes while no worker runs here."""
        # the oldest first, as the queue gives them out: what is in work is among them
        markers = sorted(self._markers.values(), key=lambda marker: (marker.modified, marker.name))
        active = [scene for marker in markers[:MAX_SHOWN] if (scene := self._scene_of(marker))]
        found = [scene_status(self._containers, scene, self._depth) for scene in active]
        queued = set() if self._compute.live() else self._queued()
        waiting = sorted(scene for scene in queued.union(uploads) if scene_key(scene) not in self._markers)
        return (*found, *(SceneStatus(each, State.QUEUED if each in queued else State.SETTLING) for each in waiting))

    def _queued(self) -> set[str]:
        """Scenes whose messages a worker would get now."""
        found = set()
        for text in self._queues.jobs.peek():
            with suppress(UnreadableMessage):
                found.add(JobMessage.from_json(text).scene)
        return found

    def _concerning(self, scenes: Iterable[SceneStatus]) -> list[SceneStatus]:
        """What another machine works on is not told here; what stands still is told by all that could take it."""
        return [each for each in scenes if each.state in (State.BLOCKED, State.QUEUED) or self._status.is_mine(each)]

    def _scene_of(self, marker: BlobInfo) -> str:
        try:
            return str(codec.loads(self._containers.state.read(marker.name)[0])["scene"])
        except (NotFound, ValueError, KeyError, TypeError):  # it ended just now
            return ""

    def _tidy_if_due(self) -> None:
        """Nothing: in an account its lifecycle rules remove what is old."""
