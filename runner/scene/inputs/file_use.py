"""What became of each file of a scene that failed: for `error.json`, and as one sentence for its message."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from runner.scene.inputs.pose_files import shown
from scenejobs.errors import Failure, UnusedFile
from scenejobs.wording import listed

NOT_LOOKED_AT = "the run ended before it was looked at"
NAMED = 3  # files in a sentence
REASON_CHARS = 160  # of each of them


@dataclass(frozen=True)
class FileUse:
    """One entry of `inputs` in error.json."""

    name: str
    used: bool  # it was looked at and taken; what failed was the scene
    reason: str = ""  # why it was not used


def uses(names: Iterable[str], failure: Failure, known: Mapping[str, str] | None = None) -> list[FileUse]:
    """What became of the files of these names. known: reasons, by name, why some could not be used in any attempt."""
    unused = {each.name: each.reason for each in failure.unused or ()}
    reasons = {**dict.fromkeys(failure.files, failure.cause), **unused, **(known or {})}
    rest = "" if failure.unused is not None else NOT_LOOKED_AT
    return [FileUse(name, not reason, reason) for name in names for reason in [reasons.get(name, rest)]]


def sentence(unused: Sequence[UnusedFile], files: int, told: str) -> str:
    """ "2 of 3 files could not be used: a.mp4 is damaged; ..."; empty where `told`, a message, names them all."""
    untold = [each for each in unused if each.name not in told]
    if not untold:
        return ""
    named = listed([_short(each.sentence().rstrip(".")) for each in unused], NAMED, "; ")
    return f"{len(unused)} of {max(files, len(unused))} files could not be used: {named}"


def _short(text: str) -> str:
    return text if len(text) <= REASON_CHARS else f"{text[:REASON_CHARS]}..."


def repeated(copies: Mapping[str, str]) -> tuple[UnusedFile, ...]:
    """Of files that hold the same bytes as another: their names, each with the name of the one that is used."""
    return tuple(UnusedFile(name, f"the same bytes as {shown(other)}", other) for name, other in copies.items())
