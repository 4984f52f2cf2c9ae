"""Models, verdicts and health numbers for tests of the pose stage, as a right reconstruction has them."""

from __future__ import annotations

from typing import Any

from runner.poses.colmap.requests import (
    Extract,
    Features,
    FindBent,
    Model,
    Motion,
    Motions,
    Probe,
    Request,
    Unexplained,
)
from runner.poses.gates import Verdict
from runner.scene.pose_report import Health
from scenejobs.errors import Code

HEALTH = Health(
    bridge=0.3, baseline_to_depth=0.4, focal_ratio=0.75, distortion_k1=0.0, points_per_image=900.0,
    triangulation_angle_deg=12.0,
)  # fmt: skip


def model(frames: int = 1, health: Health = HEALTH, folder: str = "m") -> Model:
    """With so many registered frames."""
    return Model(
        folder=folder, names=tuple(f"a/{i:06d}.png" for i in range(frames)), points=1000, mean_track_length=5.0,
        mean_reprojection_error_px=0.5, health=health, smaller_side=(),
    )  # fmt: skip


class LooksWell:
    """The COLMAP process up to the matches: every frame has features, the camera moves, and no picture is bent."""

    names: tuple[str, ...] = ()  # of the frames

    def prepared(self, request: Request[Any]) -> Features | Motions | Unexplained | None:
        """Its answer; None to what comes later."""
        match request:
            case Extract(groups=groups):
                self.names = tuple(name for group in groups for name in group.names)
                return Features(features=dict.fromkeys(self.names, 900))
            case Probe(lists=lists):
                return Motions(motions=tuple(Motion(verified=60, still=0, turned=0) for _ in lists))
            case FindBent(lists=lists):
                return Unexplained(shares=tuple(() for _ in lists))
        return None


def failed(code: Code) -> Verdict:
    return Verdict(False, code, ("reason",))
