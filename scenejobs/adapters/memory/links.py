"""Links to blobs of memory stores: nothing answers them, and each says what it allows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import quote, urlencode


@dataclass(frozen=True)
class MemoryLinks:
    """See scenejobs.ports.Links."""

    origin: str = "https://memory.example"

    def read(
        self, name: str, start: datetime, end: datetime, *, as_file: bool = False,
        kind: Literal["output", "state"] = "output",
    ) -> str:  # fmt: skip
        return self._link(kind, name, start, end, "r", **({"rscd": "attachment"} if as_file else {}))

    def write(self, name: str, start: datetime, end: datetime) -> str:
        return self._link("input", name, start, end, "cw")

    def _link(self, container: str, name: str, start: datetime, end: datetime, permission: str, **more: str) -> str:
        query = urlencode({"st": start.isoformat(), "se": end.isoformat(), "sp": permission, **more})
        return f"{self.origin}/{container}/{quote(name)}?{query}"
