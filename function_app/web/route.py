"""One operation of the API, and how a path is told to be its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from function_app.web.caller import Role
from function_app.web.http import Request, Response
from function_app.web.site import Site

Handler = Callable[[Site, Request, Mapping[str, str]], Response]
SCENE = "{scene}"
NAME = "{name}"


@dataclass(frozen=True)
class Parameter:
    """Of the query."""

    name: str
    about: str
    schema: Mapping[str, Any]


@dataclass(frozen=True)
class Route:
    """One operation. path: below /api/, with {scene} and {name}. answers: None: a page."""

    id: str
    method: str
    path: str
    needs: Role
    handle: Handler
    about: str
    answers: type | None = None
    takes: type | None = None
    status: int = HTTPStatus.OK
    parameters: tuple[Parameter, ...] = ()
    refuses: tuple[HTTPStatus, ...] = ()

    @property
    def changes(self) -> bool:
        return self.method != "GET"

    def names_in(self, segments: tuple[str, ...]) -> dict[str, str] | None:
        """What {scene} and {name} stand for in a path, None where the path is another one.

        A scene of several folders is one segment (`site%2Flobby`), or as many as it has where a server on the way
        decoded that.
        """
        return _fitted(tuple(self.path.split("/")), segments)


def _fitted(wanted: tuple[str, ...], segments: tuple[str, ...]) -> dict[str, str] | None:
    """The first way to fit them, with the shortest scene."""
    if not wanted:
        return None if segments else {}
    word, rest = wanted[0], wanted[1:]
    if word not in (SCENE, NAME):
        return _fitted(rest, segments[1:]) if segments[:1] == (word,) else None
    for count in range(1, len(segments) + 1):
        if (found := _fitted(rest, segments[count:])) is not None:
            return {word[1:-1]: "/".join(segments[:count]), **found}
    return None
