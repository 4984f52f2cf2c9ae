"""Frames out of a video without touching it: asks a sandboxed process, and believes it only what can be true.

A decoder that a hostile video took over can answer anything. It gains nothing by it: sizes, names and paths are ours,
numbers are checked, and a picture is taken only when it is a plain PNG of the size it must have.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from runner import lockdown, png, sandbox
from runner.frame_choice import Seen, Surveyed, file_name
from runner.presets import FrameSettings, Limits
from runner.scene import Clip, ClipInfo
from runner.sizes import shrink
from scenejobs.errors import Code, ConfigurationError, InputError, SceneJobError
from scenejobs.logs import printable

COMMAND = (sys.executable, "-P", "-m", "runner.decode_process")
MAX_THREADS = 8  # of the decoder, see runner/video.py
ANSWER_BYTES = (1 << 16, 200)  # of the longest answer: once, and per frame that is allowed
FRAME_OVERHEAD = 1.02  # deflate adds at most 5 bytes per 16 KiB to what cannot be compressed, a row of PNG one byte
FRAME_EXTRA_BYTES = 1 << 16
MAX_TEXT = 300  # characters of a warning or a camera's name
MAX_WARNINGS = 20

log = logging.getLogger(__name__)

Tell = Callable[[float, str], None]  # share of the work that is done, what is being done; may raise Interrupted


class Decoder(Protocol):
    """The two passes over a clip. Raises InputError when the clip cannot be used."""

    def survey(self, clip: Clip, folder: str, tell: Tell) -> Surveyed: ...

    def write(self, clip: Clip, info: ClipInfo, wanted: Sequence[Seen], folder: Path, tell: Tell) -> None:
        """The wanted frames as folder/<index>.png; the folder is made here."""


class Sandboxed:
    """A process of its own for each pass over each clip: a clip that breaks its decoder breaks nothing else."""

    def __init__(self, settings: FrameSettings, command: Sequence[str] = COMMAND) -> None:
        self._settings = settings
        self._command = command
        self._layers: list[str] | None = None

    def survey(self, clip: Clip, folder: str, tell: Tell) -> Surveyed:
        answer = self._ask(clip, {"action": "survey"}, None, self._bounds(0, 0), tell)
        return surveyed(answer, clip, folder, self._settings.limits)

    def write(self, clip: Clip, info: ClipInfo, wanted: Sequence[Seen], folder: Path, tell: Tell) -> None:
        side = self._settings.long_side
        width, height = shrink(info.width, info.height, side)
        most = int(width * height * 3 * FRAME_OVERHEAD) + FRAME_EXTRA_BYTES
        request = {"action": "write", "wanted": [seen.index for seen in wanted], "long_side": side}
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".decoder-", dir=folder.parent))
        try:
            self._ask(clip, request, temporary, self._bounds(len(wanted), most), tell)
            folder.mkdir()
            for seen in wanted:
                picture = temporary / file_name(seen.index)
                if wrong := png.problem(picture, width, height, most):
                    raise impossible(clip, f"frame {seen.index} {wrong}")
                picture.rename(folder / picture.name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _ask(self, clip: Clip, request: dict[str, Any], folder: Path | None, bounds: sandbox.Bounds, tell: Tell) -> Any:
        try:
            descriptor = os.open(clip.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as exc:
            raise InputError(f"{clip.name} is gone", advice="upload it again", code=Code.INPUT_GONE) from exc
        request |= {
            "name": clip.name, "descriptor": descriptor, "limits": asdict(self._settings.limits),
            "writes": folder is not None,
        }  # fmt: skip
        try:
            return sandbox.run(
                request, about=clip.name, bounds=bounds, mode=self._settings.sandbox.mode, command=self._command,
                descriptors=(descriptor,), folder=folder, tell=tell, on_layers=self._note,
            )  # fmt: skip
        except SceneJobError as exc:
            raise cleaned(exc) from exc
        finally:
            os.close(descriptor)

    def _note(self, layers: list[str]) -> None:
        """Says once how far the decoder is closed in; refuses to go on when that is less than was asked for."""
        if layers == self._layers:
            return
        self._layers, lacking, mode = layers, lockdown.missing(layers), self._settings.sandbox.mode
        if mode == "require" and lacking:
            raise ConfigurationError(
                f"SANDBOX=require, but this system lacks {', '.join(lacking)}", code=Code.NO_SANDBOX,
                advice="use a kernel with seccomp and Landlock and a container that allows them, or SANDBOX=auto",
                stage="configuration",
            )  # fmt: skip
        log.log(logging.WARNING if lacking else logging.INFO, "videos are decoded behind: %s", ", ".join(layers))

    def _bounds(self, files: int, file_bytes: int) -> sandbox.Bounds:
        chosen = self._settings.sandbox
        once, per_frame = ANSWER_BYTES
        threads = min(MAX_THREADS, os.cpu_count() or 1)
        return sandbox.Bounds(
            lockdown.Ceilings(chosen.memory_bytes, math.ceil(chosen.time_s * threads), file_bytes),
            wall_s=chosen.time_s,
            silence_s=chosen.silence_s,
            answer_bytes=once + per_frame * self._settings.limits.max_decoded_frames,
            files=files + 1,  # one that is being written has another name
            folder_bytes=(files + 1) * file_bytes,
        )


def surveyed(answer: Any, clip: Clip, folder: str, limits: Limits) -> Surveyed:
    """The answer as a value. Raises InputError when it cannot be one."""
    try:
        given = answer["info"]
        rows = [Seen(_whole(row[0], 0), *(_finite(value, 0) for value in row[1:])) for row in answer["seen"]]
        info = ClipInfo(
            name=clip.name,
            folder=folder,
            frame_count=len(rows),
            width=_whole(given["width"], 1),
            height=_whole(given["height"], 1),
            fps=_finite(given["fps"], 0),
            duration_s=_finite(given["duration_s"], 0),
            codec=_matching(r"[a-z0-9_]{1,30}", given["codec"]),
            rotation_deg=_whole(given["rotation_deg"], 0) % 360,
            recorded_at=None if given["recorded_at"] is None else _matching(r"[0-9T:.+-]{1,40}", given["recorded_at"]),
            camera_model=None if given["camera_model"] is None else _text(given["camera_model"]),
            gps=None if given["gps"] is None else (_finite(given["gps"][0], -90), _finite(given["gps"][1], -180)),
            warnings=tuple(_text(warning) for warning in given["warnings"][:MAX_WARNINGS]),
            focal_px=None if given["focal_px"] is None else _finite(given["focal_px"], 1),
        )
    except (KeyError, TypeError, ValueError, IndexError) as exc:
        raise impossible(clip, "the answer is not understood") from exc
    in_order = [row.index for row in rows] == list(range(len(rows)))
    forward = all(a.timestamp_s < b.timestamp_s and a.travel <= b.travel for a, b in itertools.pairwise(rows))
    if not (in_order and forward and limits.min_frames <= len(rows) <= limits.max_decoded_frames):
        raise impossible(clip, "its frames are not in order")
    # A pixel aspect ratio between 0.1 and 10 enlarges one side of the picture.
    if info.width * info.height > 10 * limits.max_pixels or rows[-1].timestamp_s > limits.max_duration_s:
        raise impossible(clip, "it passes the limits")
    return Surveyed(info, tuple(rows))


def cleaned(error: SceneJobError) -> SceneJobError:
    """An error whose words came from the decoder: one line, and short."""
    error.cause = printable(" ".join(error.cause.split()))[: 2 * MAX_TEXT]
    error.advice = printable(" ".join(error.advice.split()))[: 2 * MAX_TEXT]
    error.args = (error.cause,)
    return error


def impossible(clip: Clip, what: str) -> InputError:
    return InputError(
        f"the decoder of {clip.name} gave what cannot be: {what}", code=Code.UNSAFE_VIDEO, advice=sandbox.RE_EXPORT
    )


def _whole(value: Any, least: int) -> int:
    if type(value) is not int or not least <= value < 1 << 31:
        raise ValueError(f"{value!r} is no number of the kind that was expected")
    return value


def _finite(value: Any, least: float) -> float:
    if type(value) not in (int, float) or not (least <= value < math.inf):
        raise ValueError(f"{value!r} is no number of the kind that was expected")
    return float(value)


def _matching(pattern: str, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise ValueError("text of another kind was expected")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text was expected")
    return printable(value)[:MAX_TEXT]
