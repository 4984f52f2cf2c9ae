"""What the struck program is doing: each scenario prepares a world, starts one program, and knows the right ending."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scenejobs.errors import NotFound
from scenejobs.state.record import Outcome
from tests.chaos.world import Process, World

QUIET_S = 3.5  # QUIET_SECONDS=1, and the two seconds that clocks of one second's resolution may be wrong
SCENE = "lobby"
FIRST, AGAIN = b"first", b"second, other bytes"
NESTED = "lobby/cam2/Ansicht 2 ü.MOV"


@dataclass(frozen=True)
class Ending:
    """How the scene must stand in the end, whatever happened on the way."""

    generation: int
    outcome: Outcome
    processed: Mapping[str, bytes]
    error: Mapping[str, bytes]

    def wrong(self, world: World) -> list[str]:
        """What differs."""
        try:
            last = world.record(SCENE).ending
        except NotFound:
            return [f"{SCENE} has no record"]
        if last is None or (last.generation, last.outcome) != (self.generation, self.outcome):
            return [f"I2: {SCENE} ended as {last}"]
        wrong = []
        for kind, expected in (("processed", self.processed), ("error", self.error)):
            store = getattr(world.containers, kind)
            names = {blob.name for blob in store.list()}
            found = {name: store.read(name)[0] for name in names if not name.endswith(("/error.json", "/run.log"))}
            if found != expected:
                wrong.append(f"I1: {kind} holds {found}")
        return wrong


@dataclass(frozen=True)
class Scenario:
    """`program`: which one is struck. `sweep_every_s`: how often the platform sweeps while the world comes to rest."""

    name: str
    program: str
    prepare: Callable[[World], None]
    start: Callable[[World, str], Process]
    ending: Ending
    sweep_every_s: float = 30.0


def _runner(world: World, chaos: str) -> Process:
    return world.runner(chaos)


def _queued(world: World) -> None:
    world.upload("lobby/view1.mp4", FIRST)
    world.upload(NESTED, FIRST * 1000)
    world.queue(SCENE)


def _hopeless(world: World) -> None:
    world.upload("lobby/view1.mp4", b"")
    world.upload("lobby/view2.mp4", FIRST)
    world.queue(SCENE)


def _second_generation(world: World) -> None:
    """Everything has its names from the first one: published files are replaced, the archive's plain name is taken."""
    world.upload("lobby/view1.mp4", FIRST)
    world.queue(SCENE)
    world.runner().wait()
    world.upload("lobby/view1.mp4", AGAIN)
    world.queue(SCENE)


def _event(world: World) -> None:
    world.upload("lobby/view1.mp4", FIRST)


def _due_check(world: World) -> None:
    world.upload("lobby/view1.mp4", FIRST)
    world.dispatcher("upload", "lobby/view1.mp4").wait()
    while not world.queues.debounce.waiting():
        time.sleep(0.2)


def _without_event(world: World) -> None:
    world.upload("lobby/view1.mp4", FIRST)
    time.sleep(QUIET_S)


def _lost_message(world: World) -> None:
    """Sealed, queued, the execution started; its message then vanishes before anybody takes it."""
    world.upload("lobby/view1.mp4", FIRST)
    time.sleep(QUIET_S)
    world.dispatcher("sweep", MAX_PARALLEL_JOBS="1", ARM_ENDPOINT="http://127.0.0.1:9").wait()  # nothing starts there
    message = world.queues.jobs.receive(60)
    if message is None:
        raise AssertionError("the sweep sent no message")
    world.queues.jobs.complete(message)
    time.sleep(6)  # REQUEUE_AFTER_SECONDS
    world.containers.state.delete("dispatcher.json")  # the failed start would make the next ones wait for 30 s


_ONE = Ending(1, Outcome.SUCCEEDED, {"lobby/view1.mp4": FIRST}, {})

SUCCESS = Scenario(
    "success", "runner", _queued, _runner,
    Ending(1, Outcome.SUCCEEDED, {"lobby/view1.mp4": FIRST, NESTED: FIRST * 1000}, {}),
)  # fmt: skip
DEAD_LETTER = Scenario(
    "dead letter", "runner", _hopeless, _runner,
    Ending(1, Outcome.DEAD_LETTERED, {}, {"lobby/view1.mp4": b"", "lobby/view2.mp4": FIRST}),
)  # fmt: skip
SECOND = Scenario(
    "second generation", "runner", _second_generation, _runner,
    Ending(2, Outcome.SUCCEEDED, {"lobby/view1.mp4": FIRST, "lobby/generation~2/view1.mp4": AGAIN}, {}),
)  # fmt: skip
UPLOAD = Scenario(
    "upload event", "dispatcher", _event, lambda world, chaos: world.dispatcher("upload", "lobby/view1.mp4",
    chaos=chaos), _ONE, 5.0,
)  # fmt: skip
QUIET = Scenario(
    "quiet check", "dispatcher", _due_check, lambda world, chaos: world.dispatcher("quiet", chaos=chaos), _ONE, 10.0
)
SWEEP = Scenario(
    "sweep seals", "dispatcher", _without_event, lambda world, chaos: world.dispatcher("sweep", chaos=chaos), _ONE, 10.0
)
REQUEUE = Scenario(
    "sweep sends again", "dispatcher", _lost_message, lambda world, chaos: world.dispatcher("sweep", chaos=chaos),
    _ONE, 10.0,
)  # fmt: skip

ALL = (SUCCESS, DEAD_LETTER, SECOND, UPLOAD, QUIET, SWEEP, REQUEUE)
