"""What the pose stage reports: health of the sparse model, the gates it passed, and how it was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Health:
    """Numbers of a reconstruction that tell right from wrong; reprojection error does not. See poses/gates.py."""

    bridge: (
        float  # weakest covisibility link: points seen from both sides of the worst cut / points of the smaller side
    )
    baseline_to_depth: float  # mean distance of the cameras from their centre / median depth of the points
    focal_ratio: float  # focal length / long side, the worst camera
    distortion_k1: float  # first radial coefficient, the worst camera; of a long lens less (runner/poses/health.py)
    points_per_image: float  # median over the registered images
    triangulation_angle_deg: float  # median over the points


@dataclass(frozen=True)
class GateResult:
    """One number of a reconstruction beside what is allowed."""

    name: str  # field of Health
    number: float  # its size where the sign does not matter (distortion_k1); NaN: not measured
    low: float | None  # the smallest that is allowed; None: there is no such limit
    high: float | None
    passed: bool


@dataclass(frozen=True)
class PoseReport:
    """What the pose stage did, for metrics, manifest and report."""

    images_total: int
    images_registered: int
    points: int
    mean_track_length: float
    mean_reprojection_error_px: float
    health: Health
    rung: str  # which way won: "exhaustive + incremental"
    attempts: tuple[str, ...]  # one line per rung tried, with its outcome
    unregistered: tuple[str, ...]  # image names left out
    warnings: tuple[str, ...] = ()
    why: str = ""  # why that way won
    joined: tuple[str, ...] = ()  # clips, or shots of edited clips, that the scene was made of
    left_out: tuple[str, ...] = ()  # what was not placed: clip, time range, number of frames
    attempt_s: tuple[float, ...] = field(default=(), compare=False)  # seconds of each attempt
    supplied: Mapping[str, Any] | None = None  # what became of the user's own poses (runner/poses/supplied/attempt.py)

    gates: tuple[GateResult, ...] = ()  # follows from `health`, so it is not stored

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        value = asdict(self)
        del value["gates"]
        return value

    @staticmethod
    def from_json(value: dict[str, Any]) -> PoseReport:
        """What `to_json` made of it, from a file; without gates, see `runner.poses.gates.gate_results`."""
        lists = ("attempts", "unregistered", "warnings", "joined", "left_out", "attempt_s")
        tuples = {name: tuple(value[name]) for name in lists}
        return PoseReport(**{**value, **tuples, "health": Health(**value["health"])})
