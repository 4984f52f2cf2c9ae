"""The port through which a pipeline says which frames it would rather have, and the preference for none."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Protocol

from runner.media.captures import Capture


@dataclass(frozen=True)
class Preferred:
    """What is preferred, one entry per capture; empty: nothing is."""

    first: Sequence[Sequence[int]] = ()  # indices into the capture's frames, increasing: all of them are chosen
    others: bool = True  # whether others may be added as far as the budget goes
    in_window: Sequence[Container[int]] = ()  # numbers of the frames that win in their window, where the choice is free


class FramePreference(Protocol):
    """Ranks what was surveyed, before anything is chosen."""

    @property
    def digest(self) -> str:
        """Of what makes a finished choice one to make anew, when it changes; empty: nothing does."""

    def rank(self, captures: Sequence[Capture], /) -> Preferred:
        """What to choose first of these captures, at most as many frames as the budget allows."""


@dataclass(frozen=True)
class _NoPreference:
    digest: str = ""

    def rank(self, _captures: Sequence[Capture], /) -> Preferred:
        return Preferred()


NONE: FramePreference = _NoPreference()
