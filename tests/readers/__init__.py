"""Readers of splat files that nobody here wrote: `make readers-check` opens our files with them."""

from pathlib import Path

from tests.npm import LockedPackages

ROOT = Path(__file__).parents[2]
READERS = LockedPackages(Path(__file__).parent, ROOT / ".local" / "readers")
