"""Who looks after a scene once it has a result: adds clips, takes them out, asks for runs, loses archived files.

Also those who stand in its way: an upload that takes long, a snapshot or a lease of somebody else on an input.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from scenejobs.adapters.memory.blobs import _Blob
from scenejobs.errors import SceneJobError
from scenejobs.names import is_video, scene_of, within_scene
from scenejobs.state import wishes
from tests.simulation.growth import BAD
from tests.simulation.hub import Process
from tests.simulation.people import Scene, start
from tests.simulation.ports import SimBlobs

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

PATIENCE_S, LOOK_S = 1500.0, 10.0  # for a scene to have come to an end
TRIES = 20  # of a command that finds the scene in work
BLOCK_GAPS_S = (5.0, 20.0, 45.0, 80.0)  # shorter and longer than the quiet time, shorter than an upload may stand still
HOLDS_S = (100.0, 400.0, 1500.0)
LONG_HOLD_S = 20_000.0
RENEW_S, LEASE_S = 20.0, 60


def start_owners(sim: Simulation, scenes: tuple[Scene, ...]) -> None:
    draw, profile = sim.hub.random, sim.profile
    for scene in scenes:
        if any((profile.adds, profile.retries, profile.repeats)):
            start(sim, f"owner of {scene.name}", partial(_owner, sim, scene))
        if profile.sends_large and draw.random() < profile.sends_large:
            start(sim, f"sender to {scene.name}", partial(_sender, sim, scene))
        if profile.holds and draw.random() < profile.holds:
            start(sim, f"holder of {scene.name}", partial(_holder, sim, scene))


# ---- the owner ----------------------------------------------------------------------------------------------


def _owner(sim: Simulation, scene: Scene) -> None:
    draw, profile, hub = sim.hub.random, sim.profile, sim.hub
    acts: tuple[tuple[float, Callable[[Simulation, str], None]], ...] = (
        (profile.shows_less, _shows_less),
        (profile.expires, _expires),
        (profile.adds, _adds),
        (profile.reappears, _reappears),
        (profile.repeats, _repeats),
        (profile.excludes, _excludes),
        (profile.spoils, _spoils),
        (profile.retries, _retries),
    )
    if profile.doubts:
        acts += ((profile.doubts, _doubts),)
        if draw.random() < profile.doubts / 2:  # of its first result
            _doubts(sim, scene.name)
    for _ in range(draw.choice((1, 2, 3))):
        for share, act in draw.sample(acts, len(acts)):
            if draw.random() < share / 2:
                _wait_for_an_end(sim, scene.name)
                hub.sleep(draw.choice((0.0, 5.0, 40.0, 100.0)))
                act(sim, scene.name)


def _wait_for_an_end(sim: Simulation, scene: str) -> None:
    """Of a generation; now and then it is not waited for."""
    until = sim.hub.now + (PATIENCE_S if sim.hub.random.random() < 0.8 else 0.0)
    while sim.hub.now < until:
        record = sim.checker.records.get(scene)
        if record and record["generation"] > 1 and record["phase"] == "idle":
            return
        sim.hub.sleep(LOOK_S)


def _adds(sim: Simulation, scene: str) -> None:
    sim.upload(f"{scene}/{sim.hub.random.choice(('late.mp4', 'more/d.mp4', 'e.webm', 'a.mp4'))}")


def _spoils(sim: Simulation, scene: str) -> None:
    name = f"{scene}/{sim.hub.random.choice(('spoilt.mp4', 'late.mp4'))}"
    sim.upload(name, BAD + sim.new_bytes(name))


def _repeats(sim: Simulation, scene: str) -> None:
    """Half of them tell no MD5, so that only a download shows it. After a withheld result, what that was made from."""
    known = [v for v in sim.checker.versions.values() if scene_of(v.name) == scene and _is_free(v.name)]
    made_into_it = {etag for c in sim.checker.commits if c.run in sim.checker.doubts.withheld for etag in c.etags}
    if doubtful := [version for version in known if version.etag in made_into_it]:
        known = doubtful
    if not known:
        return
    version = sim.hub.random.choice(known)
    name = sim.hub.random.choice((version.name, f"{scene}/again.mp4"))
    sim.hub.note("repeat", name)
    if sim.hub.random.random() < 0.5:
        sim.upload(name, version.data)
    else:
        sim.upload_in_blocks(name, version.data)


def _excludes(sim: Simulation, scene: str) -> None:
    members = [name for name, _ in sim.checker.growth.members[scene] if is_video(name)]
    if len(members) < 2:
        return
    name = sim.hub.random.choice(members)
    sim.checker.growth.taken_out.add((scene, name))
    _command(
        sim, f"exclude {name}", partial(wishes.exclude, sim.containers, sim.queues, scene, within_scene(name, scene))
    )


def _retries(sim: Simulation, scene: str) -> None:
    anyhow = sim.hub.random.random() < 0.6
    if anyhow:
        sim.checker.growth.done_without.add(scene)
    _command(sim, f"retry {scene}", partial(wishes.again, sim.containers, sim.queues, scene, with_what_is_there=anyhow))


def _command(sim: Simulation, what: str, act: Callable[..., object]) -> None:
    """In a process of its own, which may die or be paused like any other."""
    hub = sim.hub
    process = Process(f"operator-{hub.steps}", mortal=True)

    def command() -> None:
        for _ in range(TRIES):
            try:
                act(pause=hub.sleep)
                return
            except SceneJobError as exc:
                hub.note("command failed", f"{what}: {type(exc).__name__}: {exc}")
                hub.sleep(LOOK_S)

    hub.note("command", what)
    hub.spawn(process, process.name, command)


def _expires(sim: Simulation, scene: str) -> None:
    """The storage account's lifecycle rule."""
    copies = sim.checker.stores.copies()
    there = [(etag, *places[0][:2]) for etag, places in copies.items() if places[0][1].startswith(f"{scene}/")]
    if there:
        etag, kind, name = sim.hub.random.choice(there)
        sim.checker.versions[etag].expired = True
        del sim.stores[kind].blobs[name]
        sim.hub.note("expired", f"{kind}/{name}")


def _reappears(sim: Simulation, scene: str) -> None:
    """Undeleted, or the account came back from an older state: the event may come or not."""
    store, copies = sim.stores["input"], sim.checker.stores.copies()
    old = [
        version
        for version in sim.checker.versions.values()
        if scene_of(version.name) == scene and version.etag in copies and version.name not in store.blobs
    ]
    if old:
        version = sim.hub.random.choice(old)
        store.blobs[version.name] = _Blob(version.data, version.etag, store.now(), {})
        sim.hub.note("reappeared", version.name)
        if sim.hub.random.random() < 0.5:
            sim.emit(version.name)


def _shows_less(sim: Simulation, scene: str) -> None:
    sim.shows_less.add(scene)


def _doubts(sim: Simulation, scene: str) -> None:
    sim.doubts.add(scene)


# ---- who takes long -----------------------------------------------------------------------------------------


def _sender(sim: Simulation, scene: Scene) -> None:
    """Sends a large clip in blocks. Now and then it stands still for long, or is given up."""
    draw, hub = sim.hub.random, sim.hub
    hub.sleep(draw.random() * 90)
    name, sending = f"{scene.name}/large.mp4", sim.checker.growth.sending
    store = sim.stores["input"]
    data, gap_s = sim.new_bytes(name) * 10, draw.choice(BLOCK_GAPS_S)  # no block is empty
    blocks = draw.choice((3, 6, 10))
    given_up, stands_still = draw.random() < 0.2, draw.random() < 0.2
    hub.note("sends blocks", f"{name}, {blocks} each {gap_s:.0f} s")
    for number in range(blocks):
        size = -(-len(data) // blocks)
        store.stage_block(name, f"{number:04d}", data[number * size : (number + 1) * size])
        sim.checker.growth.block_sent(name)
        hub.sleep(3 * sim.dispatch.upload_stalled_s if stands_still and number == 1 else gap_s)
    if given_up:
        hub.note("given up", name)
        return
    del sending[name]
    sim.checker.before_user_change(name)
    etag = store.commit_blocks(name)
    sim.checker.uploaded(name, etag, data)
    hub.note("upload", name)
    sim.emit(name)


def _holder(sim: Simulation, scene: Scene) -> None:
    """Something cannot be done for a while: an upload cannot be deleted, or a right is missing."""
    draw, hub = sim.hub.random, sim.hub
    hub.sleep(draw.random() * 60)
    name = f"{scene.name}/held.mp4"
    seconds = LONG_HOLD_S if draw.random() < sim.profile.holds_long else draw.choice(HOLDS_S)
    hold = draw.choice((_lease, _snapshot, _legal_hold, _no_archiving, _no_publishing))
    sim.upload(name)
    until = hub.now + seconds
    sim.helped_at = max(sim.helped_at, until)
    sim.checker.growth.blocked[scene.name] = until
    hub.note("held", f"{name} for {seconds:.0f} s: {hold.__name__}")
    hold(sim, scene.name, name, seconds)


def _lease(sim: Simulation, scene: str, name: str, seconds: float) -> None:
    lease, until = sim.stores["input"].lease(name, LEASE_S), sim.hub.now + seconds
    while sim.hub.now < until:
        sim.hub.sleep(RENEW_S)
        lease.renew()
    lease.release()


def _snapshot(sim: Simulation, scene: str, name: str, seconds: float) -> None:
    guards = sim.stores["input"].guards(name)
    guards.snapshots = 1
    sim.hub.sleep(seconds)
    guards.snapshots = 0


def _legal_hold(sim: Simulation, scene: str, name: str, seconds: float) -> None:
    guards = sim.stores["input"].guards(name)
    guards.legal_hold = True
    sim.hub.sleep(seconds)
    guards.legal_hold = False


def _no_archiving(sim: Simulation, scene: str, name: str, seconds: float) -> None:
    _without(sim, (sim.blobs["processed"], sim.blobs["error"]), ("write", f"{scene}/"), seconds)


def _no_publishing(sim: Simulation, scene: str, name: str, seconds: float) -> None:
    _without(sim, (sim.blobs["output"],), ("write", f"{scene}/{scene}."), seconds)


def _without(sim: Simulation, stores: tuple[SimBlobs, ...], right: tuple[str, str], seconds: float) -> None:
    for store in stores:
        store.denied.add(right)
    sim.hub.sleep(seconds)
    for store in stores:
        store.denied.discard(right)


def _is_free(name: str) -> bool:
    """Whether a video may be uploaded again: nobody else holds it."""
    return is_video(name) and not name.endswith(("held.mp4", "large.mp4"))
