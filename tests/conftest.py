"""Fixtures of several test folders."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

settings.register_profile("no deadline", deadline=None)  # speed is never asserted: a busy machine is no failure
settings.load_profile("no deadline")

# Before torch and numba:
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads starve a busy machine
if "PYTEST_XDIST_WORKER" in os.environ:  # the cores are taken by files of tests beside each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")

# Nobody is logged in: a profile in the home of whoever runs the tests changes how programs sign in.
os.environ["AZURE_CONFIG_DIR"] = str(Path(tempfile.gettempdir()) / "no-azure-login")

if TYPE_CHECKING:
    from local.azurite import Azurite
    from scenejobs.ports import Containers, Queues
    from scenejobs.settings.storage import StorageSettings


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as cores: many tests wait for a process, a lease or the emulator."""
    return (os.cpu_count() or 1) * 3 // 2


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """The emulator, in memory, on ports of its own."""
    from local.azurite import Azurite
    from tests.azurite import available

    available()
    with Azurite() as running:
        yield running


@pytest.fixture
def quick_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk in memory where there is one: thousands of small files, and durability is not the question."""
    if not Path("/dev/shm").is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture
def storage(azurite: Azurite) -> StorageSettings:
    """Settings that lead to fresh, empty containers and queues of the emulator."""
    from tests.azurite import fresh_settings

    return fresh_settings(azurite)


@pytest.fixture
def containers(storage: StorageSettings) -> Containers:
    """Fresh, empty containers of the emulator."""
    from scenejobs.adapters.azure.clients import open_containers

    return open_containers(storage)


@pytest.fixture
def queues(storage: StorageSettings) -> Queues:
    """Fresh, empty queues of the emulator."""
    from scenejobs.adapters.azure.clients import open_queues

    return open_queues(storage)
