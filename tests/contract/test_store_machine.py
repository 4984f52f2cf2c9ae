"""Random sequences of calls: the twin is a plain model, the folder and the emulator are the twin."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from scenejobs.adapters.folder import FolderBlobStore
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.errors import Conflict, LeaseLost, NotFound
from scenejobs.ports import BlobInfo, Containers
from tests.contract.store_machine import Side, StoreMachine

QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


@dataclass
class PlainLease:
    """A number in the model."""

    model: PlainModel
    name: str
    id: str

    def renew(self) -> None:
        if self.model.holders.get(self.name) != self.id:
            raise LeaseLost("not the holder")

    def release(self) -> None:
        if self.model.holders.get(self.name) == self.id:
            del self.model.holders[self.name]


@dataclass
class PlainModel:
    """What a store promises, in as few lines as it can be said: time stands still, one caller."""

    blobs: dict[str, tuple[bytes, str, dict[str, str]]] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    numbers: Any = field(default_factory=itertools.count)

    def _must(self, condition: bool) -> None:
        if not condition:
            raise Conflict("a condition does not hold")

    def _there(self, name: str) -> tuple[bytes, str, dict[str, str]]:
        if name not in self.blobs:
            raise NotFound(name)
        return self.blobs[name]

    def read(self, name: str) -> tuple[bytes, str]:
        return self._there(name)[:2]

    def head(self, name: str) -> BlobInfo:
        data, etag, metadata = self._there(name)
        return BlobInfo(name, etag, len(data), ManualClock()(), metadata)

    def list(self, prefix: str) -> list[BlobInfo]:
        return [self.head(name) for name in sorted(self.blobs) if name.startswith(prefix)]

    def write(self, name: str, data: bytes, *, if_match: Any = None, if_absent: Any = False, lease: Any = None,
              metadata: Any = None) -> str:  # fmt: skip
        self._must(not (if_absent and name in self.blobs))
        self._must(if_match is None or (name in self.blobs and self.blobs[name][1] == if_match))
        self._must(self.holders.get(name) == (lease.id if lease else None))
        self.blobs[name] = (data, str(next(self.numbers)), metadata or {})
        return self.blobs[name][1]

    def delete(self, name: str, *, if_match: Any = None) -> None:
        self._must(if_match in (None, self._there(name)[1]))
        self._must(name not in self.holders)
        del self.blobs[name]

    def copy_from(self, source: PlainModel, source_name: str, name: str, *, source_etag: Any, if_absent: bool) -> Any:
        data, etag, _ = source._there(source_name)
        self._must(source_etag in (None, etag))
        if not (if_absent and name in self.blobs and self.blobs[name][2].get("source_etag") == etag):
            self.write(name, data, if_absent=if_absent, metadata={"source_etag": etag})
        return self.head(name)

    def lease(self, name: str, seconds: int) -> PlainLease:
        self._there(name)
        self._must(name not in self.holders)
        self.holders[name] = f"lease {next(self.numbers)}"
        return PlainLease(self, name, self.holders[name])


def of_size(examples: int, steps: int) -> settings:
    return settings(max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=QUIET)


def test_the_twin_in_memory_is_the_plain_model() -> None:
    """A thousand sequences."""

    class Machine(StoreMachine):
        def open_sides(self) -> tuple[Side, Side]:
            return Side(MemoryBlobStore(clock=ManualClock())), Side(PlainModel())  # type: ignore[arg-type]

    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=1000, stateful_step_count=12, deadline=None, suppress_health_check=QUIET),
    )


def test_a_folder_is_the_twin(quick_disk: Path) -> None:
    class Machine(StoreMachine):
        def open_sides(self) -> tuple[Side, Side]:
            folder = Path(tempfile.mkdtemp(dir=quick_disk))
            return Side(FolderBlobStore(folder)), Side(MemoryBlobStore(clock=ManualClock()))

    run_state_machine_as_test(Machine, settings=of_size(150, 15))


@pytest.mark.azurite
def test_the_emulator_is_the_twin(containers: Containers) -> None:
    """Thirty sequences, each below a prefix of its own."""
    numbers = itertools.count()

    class Machine(StoreMachine):
        deletes_of_nothing_differ = True

        def open_sides(self) -> tuple[Side, Side]:
            azurite = Side(containers.input, f"{next(numbers)}/")
            return azurite, Side(MemoryBlobStore(clock=ManualClock()))

    run_state_machine_as_test(Machine, settings=of_size(30, 15))
