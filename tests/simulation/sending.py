"""Uploads that take their time: in blocks, which show when they are committed, or in place, as over SFTP and mounts."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from scenejobs.names import is_used

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

PAUSES_S = (5.0, 20.0, 45.0, 100.0)  # between two blocks or parts; the quiet time is 30 s, the longest wait 300 s
GIVES_UP = 0.1


def send(sim: Simulation, name: str) -> None:
    """A user's upload, in one of its ways."""
    profile, dice = sim.hub.profile, sim.hub.random.random()
    if not is_used(name):  # no run reads it: it is waited for by nobody
        sim.upload(name)
    elif dice < profile.sends_blocks:
        _in_blocks(sim, name)
    elif dice < profile.sends_blocks + profile.grows:
        _in_place(sim, name)
    else:
        sim.upload(name)


def _in_blocks(sim: Simulation, name: str) -> None:
    draw, hub, store = sim.hub.random, sim.hub, sim.stores["input"]
    data = b""
    for number in range(draw.choice((1, 3, 8))):
        block = hashlib.sha256(f"{name} {number} {len(sim.checker.versions)}".encode()).digest()
        data += block
        store.stage_block(name, f"{number:03}", block)
        sim.checker.growth.block_sent(name)
        hub.note("block", name)
        hub.sleep(draw.choice(PAUSES_S))
    if draw.random() < GIVES_UP or sum(map(len, store.staged.get(name, {}).values())) != len(data):
        hub.note("given up", name)  # or another upload of the name took the blocks with it
        return
    sim.checker.before_user_change(name)
    sim.checker.growth.sending.pop(name, None)
    sim.checker.uploaded(name, store.commit_blocks(name), data)
    hub.note("upload", name)
    sim.emit(name)


def _in_place(sim: Simulation, name: str) -> None:
    """The event comes at the end; that of the beginning is not subscribed to."""
    draw, hub, store = sim.hub.random, sim.hub, sim.stores["input"]
    data = b""
    for number in range(draw.choice((1, 2, 4))):
        sim.checker.before_user_change(name)
        sim.checker.uploaded(name, store.write(name, data), data)
        hub.note("part", name)
        hub.sleep(draw.choice(PAUSES_S))
        data += hashlib.sha256(f"{name} {number} {len(sim.checker.versions)}".encode()).digest()
    sim.checker.before_user_change(name)
    sim.checker.uploaded(name, store.write(name, data), data)
    hub.note("upload", name)
    sim.emit(name)
