"""One kind of footage as a case: how its files come to be, the command they are given to, and what is right."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.synthetic import pose_errors

FOOTAGE = Path(os.environ.get("SCENE_FOOTAGE", Path(__file__).resolve().parents[3] / "shared" / "data"))

WALK_FRAMES, WALK_S = 315, 10.51  # of walk/walk.mp4


class NotHere(Exception):
    """A case needs footage that is not on this machine."""


def footage(name: str) -> Path:
    """A file or folder of the footage. Raises NotHere."""
    path = FOOTAGE / name
    if not path.exists():
        raise NotHere(f"{name} is not in the folder of footage (SCENE_FOOTAGE)")
    return path


@dataclass(frozen=True)
class Run:
    """What became of the files."""

    exit_code: int
    cpu_s: float  # of the whole process tree
    out: Path
    stderr: str

    @property
    def metrics(self) -> dict[str, Any]:
        """metrics.json; empty without a result."""
        return self._document("metrics.json")

    @property
    def error(self) -> dict[str, Any]:
        """error.json; empty with a result."""
        return self._document("error.json")

    @property
    def manifest(self) -> dict[str, Any]:
        """manifest.json; empty without a result."""
        return self._document("manifest.json")

    def warnings(self) -> tuple[str, ...]:
        """What the result tells of the scene and of each clip; metrics.json has that of clips too, after the name."""
        of_clips = [
            (clip["filename"], warning) for clip in self.manifest.get("videos", ()) for warning in clip["warnings"]
        ]
        of_scene = tuple(self.metrics.get("warnings", ()))
        return (*of_scene, *(warning for name, warning in of_clips if f"{name}: {warning}" not in of_scene))

    def _document(self, name: str) -> dict[str, Any]:
        path = self.out / name
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return found

    def cameras(self) -> dict[tuple[str, int], NDArray[np.float64]]:
        """World to camera [4, 4] by clip and index of the frame in it."""
        path = self.out / "cameras.json"
        entries = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        return {
            (entry["video"], int(Path(entry["image"]).stem)): np.array(entry["world_to_camera"], np.float64)
            for entry in entries
        }

    def summary(self) -> str:
        """The outcome in one cell: placed frames and dB, or the code and its message."""
        if not self.metrics:
            failure = self.error or {}
            code = failure.get("code") or failure.get("error", {}).get("code", "")
            message = failure.get("message") or failure.get("error", {}).get("message", "") or self.stderr[-200:]
            return f"exit {self.exit_code} {code}: {message[:160]}".strip()
        metrics = self.metrics
        psnr = metrics.get("psnr_heldout")
        doubtful = ", doubtful" if metrics.get("suspect") else ""
        quality = f", {psnr:.1f} dB" if psnr is not None else ""
        training = metrics.get("training") or {}
        planned = (training.get("settings") or {}).get("iterations")
        hurried = f" after {metrics['steps']} of {planned} steps" if training.get("stopped") == "budget" else ""
        return f"{metrics['images_registered']} of {metrics['images_total']} placed{quality}{hurried}{doubtful}"


@dataclass(frozen=True)
class Case:
    """One kind of footage."""

    name: str
    point: str  # of the list of kinds, as a heading of the table
    what: str  # the input in words
    make: Callable[[Path], Sequence[Path]]  # writes the files into a folder; raises NotHere
    right: Callable[[Run], str]  # what is wrong with the outcome; empty: nothing
    arguments: tuple[str, ...] = ("--preset", "smoke")
    environment: Mapping[str, str] = field(default_factory=dict)
    truth: Callable[[Run], Mapping[tuple[str, int], NDArray[np.float64]]] | None = None  # of `camera_errors`


def camera_errors(run: Run, truth: Mapping[tuple[str, int], NDArray[np.float64]]) -> tuple[float, float] | None:
    """Median position error in per cent of the path's size, median rotation error in degrees; None: too few cameras.

    truth: world to camera by clip and frame index. Those that both have are compared, after a similarity alignment.
    """
    compared = _compared(run, truth)
    return None if compared is None else (100 * float(np.median(compared[0])), float(np.median(compared[1])))


def position_errors(run: Run, truth: Mapping[tuple[str, int], NDArray[np.float64]]) -> NDArray[np.float64] | None:
    """[N] position errors in per cent of the path's size, of each camera; None: too few cameras."""
    compared = _compared(run, truth)
    return None if compared is None else 100 * compared[0]


def _compared(
    run: Run, truth: Mapping[tuple[str, int], NDArray[np.float64]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Errors of the positions [N], as a share, and of the rotations between pairs, in degrees."""
    found = run.cameras()
    both = sorted(found.keys() & truth.keys())
    if len(both) < 4:
        return None
    ours, true = (np.stack([cameras[key] for key in both]) for cameras in (found, truth))
    centres = [-np.einsum("nji,nj->ni", each[:, :3, :3], each[:, :3, 3]) for each in (ours, true)]
    return pose_errors(centres[0], ours[:, :3, :3], centres[1], true[:, :3, :3])


def result(run: Run) -> str:
    """Right for whatever must give a result that nobody needs to doubt."""
    if not run.metrics:
        return "no result"
    return "doubtful" if run.metrics.get("suspect") else ""


def whole_film(frames: int, lasts_s: float, told: str = "", decoded: int = 0) -> Callable[[Run], str]:
    """Right for a film of which nothing may be lost: frames that decode, seconds, placed frames.

    told: what one warning, and no second one, has to say. decoded: of a long film, frames that are decoded at least;
    0: all are.
    """

    def right(run: Run) -> str:
        if wrong := result(run):
            return wrong
        films = run.manifest.get("videos", [])
        if len(films) != 1:
            return f"{len(films)} clips instead of 1"
        found, seconds = films[0]["frame_count"], films[0]["duration_secs"]
        if not (decoded or 0.99 * frames) <= found <= frames:
            return f"{found} of {frames} frames"
        if abs(seconds - lasts_s) > 0.02 * lasts_s:
            return f"it lasts {seconds:.1f} s instead of {lasts_s:.1f} s"
        placed, total = run.metrics["images_registered"], run.metrics["images_total"]
        if placed < 0.9 * total:
            return f"{placed} of {total} placed"
        times = sum(told in warning for warning in run.warnings())
        return f"{told!r} is said {times} times" if told and times != 1 else ""

    return right


def leaves_out(reasons: Mapping[str, str], keeps: Sequence[str] = ()) -> Callable[[Run], str]:
    """Right for a result that names these files as not used, each with words of its reason. keeps: its clips."""

    def right(run: Run) -> str:
        unused = {str(each["name"]): str(each["reason"]) for each in run.metrics.get("unused", ())}
        wrong = [f"{name} is not left out" for name in reasons if name not in unused]
        wrong += [f"{name}: {unused[name]}" for name in reasons if name in unused and reasons[name] not in unused[name]]
        clips = {clip["filename"] for clip in run.manifest.get("videos", ())}
        wrong += [f"{name} is not in the result" for name in keeps if name not in clips]
        return result(run) or ", ".join(wrong)

    return right


def wrong_cameras(
    run: Run, truth: Mapping[tuple[str, int], NDArray[np.float64]], most: float, placed: float = 0.9
) -> str:
    """What is wrong with the cameras; empty: they are where they were. most: per cent; placed: share of the frames.

    Of a median, parts that are at the wrong place may be less than half.
    """
    errors = position_errors(run, truth)
    if errors is None:
        return "no cameras to compare"
    if (middle := float(np.median(errors))) > most:
        return f"cameras off by {middle:.0f} %"
    if (far := errors[errors > 5 * most]).size > 0.1 * errors.size:
        return f"{far.size} of {errors.size} cameras are off by {np.median(far):.0f} %"
    metrics = run.metrics
    if metrics["images_registered"] < placed * metrics["images_total"]:
        return f"{metrics['images_registered']} of {metrics['images_total']} placed"
    return ""


def refused(*codes: str) -> Callable[[Run], str]:
    """Right for what must be refused with one of these codes."""

    def right(run: Run) -> str:
        code = str(run.error.get("code") or run.error.get("error", {}).get("code", ""))
        return "" if code in codes else f"{code or 'a result'} instead of {' or '.join(codes)}"

    return right
