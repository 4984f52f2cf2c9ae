"""One line of `scenejobs doctor`."""

from __future__ import annotations

from dataclasses import dataclass

from scenejobs.errors import SceneJobError


@dataclass(frozen=True)
class Line:
    """One thing that was looked at.

    remedy: what to do where it is not right; "" where it is. unknown: it could not be looked at, which is no fault of
    what was to be looked at: the remedy tells how it can be.
    """

    what: str
    found: str
    remedy: str = ""
    unknown: bool = False

    @property
    def is_right(self) -> bool:
        return not self.remedy or self.unknown

    def text(self) -> str:
        mark = "?    " if self.unknown else "ok   " if self.is_right else "wrong"
        return f"{mark}  {self.what}: {self.found}" + (f"\n       next: {self.remedy}" if self.remedy else "")


def of_error(what: str, exc: SceneJobError, *, unknown: bool = False) -> Line:
    """What an error says, with its remedy."""
    return Line(what, exc.cause, exc.advice or "see docs/operations.md", unknown)
