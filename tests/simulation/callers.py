"""Users who call their scenes off, want them after all, or delete them: by commands that may die at any call."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from scenejobs.errors import InputError, SceneJobError
from scenejobs.state import cancelling, rerun
from scenejobs.state.removal import deletion, erasure
from tests.simulation.hub import Process
from tests.simulation.people import Scene, start

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

LOOK_S = 10.0
REFUSED, TRIES = 12, 60  # how often a command is typed again that is refused; at all
MOMENTS_S = (0.0, 10.0, 35.0, 60.0, 110.0, 180.0, 300.0)


def start_callers(sim: Simulation, scenes: tuple[Scene, ...]) -> None:
    draw, profile = sim.hub.random, sim.profile
    for scene in scenes:
        for share, name, body in (
            (profile.cancels, "caller off", _caller_off),
            (profile.deletes_result, "deleter", _deleter),
            (profile.erases, "eraser", _eraser),
        ):
            if share and draw.random() < share:
                start(sim, f"{name} of {scene.name}", partial(body, sim, scene.name))


def _caller_off(sim: Simulation, scene: str) -> None:
    draw, hub = sim.hub.random, sim.hub
    for _ in range(draw.choice((1, 1, 2))):
        _wait(sim, scene)
        if not _insist(sim, f"cancel {scene}", lambda: cancelling.cancel(sim.containers, scene)):
            continue
        hub.sleep(draw.choice(MOMENTS_S) * (0.5 + draw.random()))
        after = draw.choice(("stays", "retry", "upload"))
        if after == "retry":
            began = hub.now
            if _insist(sim, f"retry {scene}", partial(_wanted_again, sim, scene)):
                sim.checker.called_off.wanted(scene, began)
        elif after == "upload":
            sim.upload(f"{scene}/after.mp4")


def _wanted_again(sim: Simulation, scene: str) -> None:
    """Typed again after a crash it has nothing to do: what failed earlier is not brought back here."""
    if cancelling.is_noted(sim.state, scene):
        rerun.carry_out(sim.containers, sim.queues, rerun.plan(sim.containers, scene))


def _deleter(sim: Simulation, scene: str) -> None:
    _wait(sim, scene)
    clock = partial(getattr, sim.hub, "now")
    _insist(sim, f"delete {scene}", lambda: deletion.delete(sim.containers, scene, 1, clock))


def _eraser(sim: Simulation, scene: str) -> None:
    draw, clock = sim.hub.random, partial(getattr, sim.hub, "now")
    _wait(sim, scene)
    _insist(sim, f"erase {scene}", lambda: erasure.erase(sim.containers, scene, 1, clock))
    if draw.random() < 0.4:
        sim.hub.sleep(draw.choice(MOMENTS_S))
        sim.upload(f"{scene}/anew.mp4")


def _wait(sim: Simulation, scene: str) -> None:
    """For a moment, or until an attempt works, or until a result is there."""
    draw, hub = sim.hub.random, sim.hub
    what = draw.choice(("moment", "running", "ended"))
    for _ in range(0 if what == "moment" else 300):
        record = sim.checker.records.get(scene)
        if record and (record["phase"] == "running" if what == "running" else record["generation"] > 1):
            break
        hub.sleep(1.0)
    hub.sleep(draw.choice(MOMENTS_S[:4]) * draw.random())


def _insist(sim: Simulation, what: str, act: Callable[[], object]) -> bool:
    """Types the command until it comes to its end: its process may die, and a service may be away. Whether it did.

    Where it is refused for long it is given up; not one that has begun, which holds its scene.
    """
    hub, refused = sim.hub, 0
    hub.note("command", what)
    for _ in range(TRIES):
        ends = list[str]()
        process = Process(f"user-{hub.steps}", mortal=True, on_end=partial(ends.append, "over"))
        hub.spawn(process, process.name, partial(_typed, sim, what, act, ends))
        while "over" not in ends:
            hub.sleep(1.0)
        if "done" in ends:
            return True
        refused += "refused" in ends
        if refused > REFUSED and not any(record.get("held") for record in sim.checker.records.values()):
            return False
        hub.sleep(LOOK_S)
    return False


def _typed(sim: Simulation, what: str, act: Callable[[], object], ends: list[str]) -> None:
    try:
        act()
        ends.append("done")
    except InputError as exc:
        sim.hub.note("command refused", f"{what}: {exc}")
        ends.append("refused")
    except SceneJobError as exc:
        sim.hub.note("command failed", f"{what}: {type(exc).__name__}: {exc}")
