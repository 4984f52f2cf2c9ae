"""What scenes took is remembered by whoever finished them, also where two end at once."""

from __future__ import annotations

from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.estimate.learned import Finished
from scenejobs.state import estimates
from scenejobs.state.layout import ESTIMATES_RECORD


def one(run: str) -> Finished:
    return Finished(run, "cpu", "laptop", 2.0, 50, {"poses": 10.0}, {"poses": 12.0}, 5.0, 20.0)


def test_two_that_end_at_once_are_both_remembered() -> None:
    class Meanwhile(MemoryBlobStore):
        begun = False

        def read(self, name: str, **options: int) -> tuple[bytes, str]:
            found = super().read(name, **options)
            if not self.begun:
                self.begun = True
                assert estimates.add(self, one("b"))
            return found

    state = Meanwhile("state")
    state.write(ESTIMATES_RECORD, b"[]")
    assert estimates.add(state, one("a"))
    assert [each.run for each in estimates.load(state)] == ["b", "a"]
    assert estimates.of_run(state, "b") == one("b")
    assert estimates.of_run(state, "c") is None


def test_a_damaged_record_begins_anew() -> None:
    state = MemoryBlobStore("state")
    for damage in (b"", b"{}", b"[" * 100_000, b'[{"run": 1}]'):
        state.write(ESTIMATES_RECORD, damage)
        assert estimates.load(state) == ()
    assert estimates.add(state, one("a"))
    assert len(estimates.load(state)) == 1
