"""Where the camera of a film was, from the subtitles that DJI's drones write into a file beside it (DJI_0001.SRT).

A SubRip file: numbered parts, each with a line of times and text (`video/telemetry.py` knows what stands in it). It is
text, read line by line with bounds, and parsed here like files of camera poses: no decoder is asked. A file that does
not fit its film in length is of another one, or the film was cut, and then no time in it can be believed.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from runner.media.captures import Capture
from runner.media.video.telemetry import subtitle, thinned
from runner.scene.frames import Fix, Sidecar
from runner.scene.inputs.sidecars import MOST_BYTES
from scenejobs.errors import UnusedFile

BEYOND_S, BEYOND_SHARE = 3.0, 0.05  # by which it may be shorter or longer than its film
MOST_CHARS = 4096  # of one part that are looked at
TIME = rb"(\d{1,3}):(\d\d):(\d\d)[,.](\d{1,6})"
TIMES = re.compile(rb"^[ \t]{0,8}" + TIME + rb"[ \t]{0,8}-->[ \t]{0,8}" + TIME, re.MULTILINE)


def located(captures: Sequence[Capture]) -> tuple[list[Capture], tuple[UnusedFile, ...]]:
    """Films that do not tell themselves where their camera was, with what their sidecars tell; the sidecars that tell
    nothing, with why."""
    ends_s: dict[str, float] = {}  # of each film, over all of its parts
    for capture in captures:
        name, info = capture.clips[0].name, capture.info
        ends_s[name] = max(ends_s.get(name, 0.0), capture.measures[-1].timestamp_s, info.duration_s)
    found: list[Capture] = []
    unused: dict[str, UnusedFile] = {}
    read: dict[str, tuple[Fix, ...] | str] = {}  # by the film
    for capture in captures:
        clip, info = capture.clips[0], capture.info
        if clip.sidecar is None or capture.is_photos:
            found.append(capture)
            continue
        if clip.name not in read:
            read[clip.name] = (
                "the film says it itself" if info.track else _places(clip.sidecar, clip.name, ends_s[clip.name])
            )
        track = read[clip.name]
        if isinstance(track, str):
            unused[clip.sidecar.name] = UnusedFile(clip.sidecar.name, track)
            found.append(capture)
        else:
            found.append(replace(capture, survey=replace(capture.survey, info=replace(info, track=track))))
    return found, tuple(unused.values())


def _places(sidecar: Sidecar, film: str, ends_s: float) -> tuple[Fix, ...] | str:
    """Or why there are none to be believed. ends_s: of the film."""
    try:
        track, last_s = read_sidecar(sidecar.path)
    except OSError as exc:
        return f"it cannot be read: {exc.strerror}"
    if not track:
        return "it tells no place"
    if abs(last_s - ends_s) > max(BEYOND_S, BEYOND_SHARE * ends_s):
        return f"it lasts {last_s:.0f} s and {film} {ends_s:.0f} s: it is of another film, or the film was cut"
    return track


def read_sidecar(path: Path) -> tuple[tuple[Fix, ...], float]:
    """Seconds in the film with latitude and longitude, in the order of time, and when the last part ends.

    Nothing of a file that is longer than any, or of another kind. Raises OSError.
    """
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        return (), 0.0
    last_s = max((_seconds(each.groups()[4:]) for each in TIMES.finditer(data)), default=0.0)
    return thinned(_fixes(data)), last_s


def _fixes(data: bytes) -> Iterator[Fix]:
    for each, after in itertools.pairwise(itertools.chain(TIMES.finditer(data), (None,))):
        if each is not None:
            end = min(each.end() + MOST_CHARS, after.start() if after is not None else len(data))
            for degrees in subtitle(data[each.end() : end]):
                yield (_seconds(each.groups()[:4]), *degrees)


def _seconds(parts: Sequence[bytes]) -> float:
    hours, minutes, seconds, fraction = parts
    return 3600.0 * int(hours) + 60 * int(minutes) + float(b"%b.%b" % (seconds, fraction))
