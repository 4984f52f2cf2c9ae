"""Random sequences of calls on two stores at once: whatever one answers, the other answers too.

ETags and lease ids are each store's own, so a call names a version by its number: the newest, an older one, none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from scenejobs.errors import Conflict, LeaseLost, NotFound
from scenejobs.ports import BlobStore

NAMES = st.sampled_from(["a", "b", "c/d", "c/e"])
DATA = st.sampled_from([b"", b"1", b"22", b"333"])
WHICH = st.sampled_from(["any", "absent", "newest", "older"])


@dataclass
class Side:
    """One of the two stores, with the ETags it gave so far."""

    store: BlobStore
    prefix: str = ""  # so that many runs can use one container
    etags: dict[str, list[str]] = field(default_factory=dict)
    leases: list[Any] = field(default_factory=list)

    def condition(self, name: str, which: str) -> dict[str, Any]:
        known = self.etags.get(name, [])
        if which == "absent":
            return {"if_absent": True}
        if which == "any" or not known:
            return {}
        return {"if_match": known[-1] if which == "newest" else known[0]}

    def seen(self, name: str) -> Any:
        """Everything but the ETag and the time; whether the ETag is the newest one given."""
        data, etag = self.store.read(self.prefix + name)
        info = self.store.head(self.prefix + name)
        assert info.etag == etag
        metadata = {key: value for key, value in info.metadata.items() if key != "source_etag"}
        copied = info.metadata.get("source_etag")
        origins = [place for place, etags in self.etags.items() for number, one in enumerate(etags) if one == copied]
        return data, info.size_bytes, metadata, origins, info.whole, etag == self.etags[name][-1]


def answer(call: Callable[[], Any]) -> Any:
    """What a call returns, or the kind of its refusal."""
    try:
        return call()
    except (NotFound, Conflict, LeaseLost) as exc:
        return type(exc).__name__


class StoreMachine(RuleBasedStateMachine):
    """Subclasses say which two: `open_sides`."""

    deletes_of_nothing_differ = False  # an emulator calls deleting a version of what is not there a conflict

    def __init__(self) -> None:
        super().__init__()
        self.sides = self.open_sides()

    def open_sides(self) -> tuple[Side, Side]:
        raise NotImplementedError

    def both(self, call: Callable[[Side], Any]) -> Any:
        first, second = (answer(lambda side=side: call(side)) for side in self.sides)
        assert first == second
        return first

    @rule(name=NAMES, data=DATA, which=WHICH, lease=st.integers(-1, 3), metadata=st.booleans())
    def write(self, name: str, data: bytes, which: str, lease: int, metadata: bool) -> None:
        def call(side: Side) -> str:
            held = side.leases[lease] if 0 <= lease < len(side.leases) else None
            etag = side.store.write(
                side.prefix + name, data, lease=held, metadata={"phase": "idle"} if metadata else None,
                **side.condition(name, which),
            )  # fmt: skip
            assert etag not in side.etags.get(name, [])
            side.etags.setdefault(name, []).append(etag)
            return "written"

        self.both(call)

    @rule(name=NAMES, which=st.sampled_from(["any", "newest", "older"]))
    def delete(self, name: str, which: str) -> None:
        def call(side: Side) -> str:
            condition = side.condition(name, which)
            try:
                side.store.delete(side.prefix + name, **condition)
            except NotFound:
                if self.deletes_of_nothing_differ and condition:
                    raise Conflict("as the emulator calls it") from None
                raise
            return "deleted"

        self.both(call)

    @rule(name=NAMES)
    def look(self, name: str) -> None:
        self.both(lambda side: side.seen(name))

    @rule(prefix=st.sampled_from(["", "a", "c", "c/", "c/d", "x"]))
    def listing(self, prefix: str) -> None:
        def call(side: Side) -> list[Any]:
            found = side.store.list(side.prefix + prefix)
            return [(blob.name.removeprefix(side.prefix), blob.size_bytes) for blob in found]

        self.both(call)

    @rule(source=NAMES, to=NAMES, which=st.sampled_from(["any", "newest", "older"]), if_absent=st.booleans())
    def copy(self, source: str, to: str, which: str, if_absent: bool) -> None:
        if source == to:
            return

        def call(side: Side) -> str:
            etag = side.condition(source, which).get("if_match")
            info = side.store.copy_from(
                side.store, side.prefix + source, side.prefix + to, source_etag=etag, if_absent=if_absent
            )
            known = side.etags.setdefault(to, [])
            if info.etag in known:
                assert info.etag == known[-1]  # the same copy, made before
                return "there"
            known.append(info.etag)
            return "copied"

        self.both(call)

    @rule(name=NAMES)
    def take(self, name: str) -> None:
        def call(side: Side) -> str:
            side.leases.append(side.store.lease(side.prefix + name, 60))
            return "leased"

        self.both(call)

    @precondition(lambda self: self.sides[0].leases)
    @rule(number=st.integers(0, 3))
    def renew(self, number: int) -> None:
        self.both(lambda side: side.leases[min(number, len(side.leases) - 1)].renew())

    @precondition(lambda self: self.sides[0].leases)
    @rule(number=st.integers(0, 3))
    def release(self, number: int) -> None:
        self.both(lambda side: side.leases[min(number, len(side.leases) - 1)].release())

    def teardown(self) -> None:
        for name in ("a", "b", "c/d", "c/e"):
            self.both(lambda side, name=name: side.seen(name))
        for side in self.sides:
            for lease in side.leases:
                with contextlib.suppress(NotFound):
                    lease.release()
