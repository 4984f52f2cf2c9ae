"""What the API answers and takes. The OpenAPI document is made of these types (openapi.py)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from scenejobs.state.overview.status import State

MOST_FILES = 200  # of one request for uploads
MOST_BYTES = 50_000 * 100 * 2**20  # blocks of one blob, and the largest one that the page makes
MOST_CHARS = 1024

Time = Annotated[datetime, Meta(tz=True)]
Text = Annotated[str, Meta(max_length=MOST_CHARS)]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a scene failed."""

    stage: Annotated[str, Meta(description="Which part failed.")]
    code: Annotated[str, Meta(description="A word that programs can test; docs/errors.md lists all.")]
    cause: Annotated[str, Meta(description="What happened, naming the thing.")]
    advice: Annotated[str, Meta(description="What can be done about it.")]


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """Where one scene stands."""

    scene: Annotated[str, Meta(description="Its name: the folder of its uploads.")]
    state: Annotated[State, Meta(description="Done and failed are ends, until something new is uploaded.")]
    doubtful: Annotated[bool, Meta(description="Done, and the result may be wrong; the reason says why.")]
    stage: Annotated[str, Meta(description="Of a running attempt: frames, poses, training, ...")]
    progress: Annotated[float, Meta(ge=0, le=1, description="Of the whole run.")]
    detail: Annotated[str, Meta(description="What the stage is at.")]
    seconds_left: Annotated[float | None, Meta(description="In this stage, about.")]
    estimate_seconds: Annotated[
        tuple[float, float] | None, Meta(description="Of the whole run, at least and at most, as it was expected.")
    ]
    took_seconds: Annotated[float | None, Meta(description="Of a finished run, where it is known; not in the list.")]
    attempt: Annotated[int, Meta(ge=0, description="Which try at this set of uploads.")]
    since: Annotated[Time | None, Meta(description="When this state began, where that is known.")]
    expected: Annotated[Time | None, Meta(description="When the waiting ends, as far as that can be known.")]
    uploads: Annotated[int, Meta(ge=0, description="Files that wait in the input container.")]
    note: Annotated[str, Meta(description="What keeps it waiting, or what its result does without.")]
    reason: Annotated[str, Meta(description="Of a failure, a doubt or a halt, in words.")]
    failure: Annotated[Failure | None, Meta(description="The same of a failure, in parts.")]
    has_result: Annotated[bool, Meta(description="Whether a result is published.")]
    has_preview: Annotated[bool, Meta(description="Whether there is a first look at the run that goes on.")]
    poster: Annotated[
        str, Meta(description='A link to its picture, or that of the first look, that works for minutes; "" without.')
    ]
    changed_at: Annotated[Time | None, Meta(description="When its record or its uploads changed last.")]


class ScenePage(msgspec.Struct, frozen=True, kw_only=True):
    """Some scenes, those that changed last first."""

    scenes: tuple[Scene, ...]
    total: Annotated[int, Meta(ge=0, description="How many there are, over all pages.")]
    next: Annotated[str | None, Meta(description="For the parameter `after` of the next page; null: this is the last.")]


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a published result."""

    name: str
    size_bytes: Annotated[int, Meta(ge=0)]
    sha256: str


class SceneDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One scene and the files of its result."""

    scene: Scene
    files: tuple[File, ...]


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A URL that needs no signing in: whoever has it reads that one file until then."""

    url: str
    until: Time


class NewFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that is about to be sent."""

    name: Annotated[str, Meta(min_length=1, max_length=MOST_CHARS, description="Its name on the sender's disk.")]
    size_bytes: Annotated[int, Meta(ge=1, le=MOST_BYTES)]
    blob: Annotated[
        str, Meta(max_length=MOST_CHARS, description="To go on with an upload: the blob that was answered for it.")
    ] = ""


class NewUploads(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files that are about to be sent into one scene."""

    scene: Annotated[str, Meta(min_length=1, max_length=MOST_CHARS)]
    files: Annotated[tuple[NewFile, ...], Meta(min_length=1, max_length=MOST_FILES)]


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """Permission to make and write one blob, which did not exist."""

    name: Annotated[str, Meta(description="As it was asked for.")]
    blob: Annotated[str, Meta(description="Its name in the input container; another one where that was taken.")]
    url: Annotated[str, Meta(description="For Put Blob, Put Block and Put Block List, and nothing else.")]
    until: Time
    block_bytes: Annotated[int, Meta(ge=1, description="So large a block should be, the last one excepted.")]


class Tickets(msgspec.Struct, frozen=True, kw_only=True):
    """One for each file, in their order."""

    scene: str
    files: tuple[Ticket, ...]


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """A scene that runs again."""

    scene: str
    files: Annotated[tuple[str, ...], Meta(description="What it is made of.")]


class Cancelled(msgspec.Struct, frozen=True, kw_only=True):
    """A scene that nothing starts before it is retried or something new is uploaded."""

    scene: str
    uploads: Annotated[int, Meta(ge=0, description="They stay where they are.")]
    stopping: Annotated[bool, Meta(description="A run stops within seconds; false: nothing ran.")]


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """A scene whose result was removed. Its uploads stay in the archive."""

    scene: str
    removed: Annotated[int, Meta(ge=0, description="Files, caches included.")]


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever asks."""

    roles: Annotated[tuple[str, ...], Meta(description="What they may: reader, uploader, operator.")]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was not answered as it was meant (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: Annotated[str, Meta(description='A word that programs can test (docs/errors.md); "" without one.')] = ""
    advice: Annotated[str, Meta(description="What can be done about it.")] = ""
