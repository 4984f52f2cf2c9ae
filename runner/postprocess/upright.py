"""Which way is up, from the cameras' geometry alone, and how sure that is. Unsure is unknown: then nothing is rotated.

A phone is held level far better than it is held at one pitch: whoever films looks down at a table and up at a tower,
but keeps the horizon straight. So the first witness is the direction most nearly across all the cameras' right axes
("level horizons"); it needs cameras that look into different directions. Planes are the other witnesses: the ground,
found among the sparse points, and the plane in which the cameras were carried. One witness alone may be wrong (a wall
is a plane, too), so an answer needs two that agree. Weaker ones help out where there are no two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.scene.geometry import camera_centre, rotation_between
from runner.scene.views import TrainingScene

UP = np.array([0.0, -1.0, 0.0])  # of the rotated world: y points down, as 3DGS viewers expect of PLY and .splat

MIN_CAMERAS = 6
MIN_TURN = 0.06  # second eigenvalue of the right axes; about the square of the sine of the spread in yaw (14 degrees)
MAX_ROLL_DEG = 12.0  # rms; more is no horizon, but a phone held anyhow
MIN_AGREEING_UPS = 0.5  # length of the mean up vector: 1 when all agree, 0.6 when all look 50 degrees down around
MAX_PLANE_TILT_DEG = 35.0  # between a plane's normal and the cameras' mean up: steeper is a wall, or a ramp
HIGH_DEG, MEDIUM_DEG = 4.0, 10.0  # two witnesses agree well, or roughly
FLAT = 0.15  # thickness / second extent of the camera positions, below which they lie in a plane
LONG = 0.35  # second extent / first, above which that plane is no line

LEVEL = "level horizons"
AHEAD = "level horizons ahead"  # leans on another witness
UPPER = "upper sides of the cameras"  # off by as much as people look down on average
TOLD = "positions of the pictures"  # runner/postprocess/positions.py: many of them agree, so it needs no other witness
WEAK = {AHEAD, UPPER}  # with one of these two the answer is never more than medium

GROUND_TRIALS = 600
GROUND_BAND = 0.02  # thickness of the ground, in median depths
MIN_GROUND_SHARE = 0.06  # of the points
MAX_BELOW_SHARE = 0.12  # of the points may lie below the ground: mistakes, reflections


@dataclass(frozen=True)
class Witness:
    """One opinion about where up is."""

    method: str  # "level horizons" | "ground plane" | "plane of the cameras" | TOLD | a weak one, see WEAK
    up: tuple[float, float, float]  # unit vector in the world of the sparse model
    detail: str  # the numbers behind it, for people


@dataclass(frozen=True)
class Orientation:
    """What is believed about up."""

    confidence: str  # "high" | "medium" | "unknown"
    method: str  # the witnesses that agree: "level horizons + ground plane"; empty when unknown
    disagreement_deg: float | None  # the largest angle between those witnesses: what the error may be
    witnesses: tuple[Witness, ...]
    reason: str  # why it is unknown; empty when it is known
    up: tuple[float, float, float] | None = None  # in the world of the sparse model
    turned: bool = True  # False: known or not, the scene stays in the user's coordinates
    size: float = 1.0  # of a unit of the sparse model, in units of the exported files: metres with METRIC

    @property
    def rotation(self) -> NDArray[np.float64]:
        """[3, 3] from the sparse model's world to the upright one: the smallest that brings up to -y; identity when
        unknown, or where nothing is rotated."""
        return np.eye(3) if self.up is None or not self.turned else rotation_between(np.array(self.up), UP)

    @property
    def up_in_output(self) -> NDArray[np.float64] | None:
        """In the world of the exported files; None when unknown."""
        return None if self.up is None else self.rotation @ np.array(self.up)

    def to_json(self) -> dict[str, Any]:
        """orientation.json: the transform from the sparse model's world to that of the exported files."""
        transform = np.eye(4)
        transform[:3, :3] = self.size * self.rotation
        return {
            **asdict(self),
            "axes": self._axes(),
            "model_to_output": transform,
            "output_to_model": np.linalg.inv(transform),
        }

    def _axes(self) -> str:
        if not self.turned:
            return "those of the camera poses that were supplied"
        return "y points down" if self.up else "those of the sparse model; where up is, is unknown"


def find_up(scene: TrainingScene, told: Witness | None = None) -> Orientation:
    """Asks all witnesses. Deterministic; below a second.

    told: by the positions of the pictures. It is believed where the cameras say nothing, or something else.
    """
    found = _by_cameras(scene)
    if told is None:
        return found
    if found.up is not None and _angle_deg(found.up, told.up) <= MEDIUM_DEG:
        return replace(found, witnesses=(*found.witnesses, told))
    return Orientation("high", TOLD, None, (*found.witnesses, told), "", told.up)


def _by_cameras(scene: TrainingScene) -> Orientation:
    rotations = np.array([view.world_to_camera[:3, :3] for view in scene.views]).reshape(-1, 3, 3)
    centers = np.array([camera_centre(view.world_to_camera) for view in scene.views]).reshape(-1, 3)
    if len(centers) < MIN_CAMERAS:
        return _unknown((), f"{len(centers)} cameras are too few")
    mean = -rotations[:, 1].mean(axis=0)
    agreement = float(np.linalg.norm(mean))
    if agreement < MIN_AGREEING_UPS:
        return _unknown((), f"the cameras do not agree on an upper side ({agreement:.2f} of 1)")
    rough = mean / agreement
    ground = ground_plane(scene.points, centers, rotations, rough)
    level = level_horizons(rotations, rough)
    upper = level and Witness(UPPER, _triple(rough), f"they agree to {agreement:.2f} of 1")
    found = (level or (ground and level_ahead(rotations, ground)), ground, camera_plane(centers, rough), upper)
    return decide([witness for witness in found if witness])


def decide(witnesses: Sequence[Witness]) -> Orientation:
    """Pure: the two that agree best are believed, if they agree at all; others are averaged in where they agree well.

    Weak witnesses are asked only where no two strong ones agree.
    """
    asked = tuple(witnesses)
    pairs = [
        (_angle_deg(a.up, b.up), a, b)
        for i, a in enumerate(asked)
        for b in asked[i + 1 :]
        if UPPER not in (a.method, b.method) or LEVEL in (a.method, b.method)  # with a slope it would agree by chance
    ]
    if not pairs:
        return _unknown(asked, "fewer than two witnesses tell where up is")
    near = [pair for pair in pairs if pair[0] <= MEDIUM_DEG]
    if not near:
        return _unknown(asked, f"the witnesses disagree by {min(pair[0] for pair in pairs):.0f} degrees or more")
    angle, *agreeing = min(near, key=lambda pair: (pair[1].method in WEAK or pair[2].method in WEAK, pair[0]))
    strong = WEAK.isdisjoint(witness.method for witness in agreeing)
    for other in asked:
        fits = max(_angle_deg(other.up, one.up) for one in agreeing) <= HIGH_DEG
        if other not in agreeing and other.method not in WEAK and fits:
            agreeing.append(other)
    widest = max(_angle_deg(a.up, b.up) for a in agreeing for b in agreeing)
    up = np.sum([witness.up for witness in agreeing if witness.method != UPPER], axis=0)
    up /= np.linalg.norm(up)
    return Orientation(
        confidence="high" if strong and angle <= HIGH_DEG else "medium",
        method=" + ".join(witness.method for witness in asked if witness in agreeing),
        disagreement_deg=widest,
        witnesses=asked,
        reason="",
        up=(float(up[0]), float(up[1]), float(up[2])),
    )


def level_horizons(rotations: NDArray[np.float64], rough: NDArray[np.float64]) -> Witness | None:
    """The direction most nearly across the right axes of all cameras; None when they hardly turn, or roll much.

    rotations: [C, 3, 3] world to camera. rough: unit vector, which of the two directions is meant.
    """
    right = rotations[:, 0]
    values, vectors = np.linalg.eigh(right.T @ right / len(right))  # ascending
    up = _towards(vectors[:, 0], rough)
    roll_deg = float(np.degrees(np.arcsin(np.sqrt(values[0].clip(0, 1)))))  # of level cameras it may be -1e-17
    if values[1] < MIN_TURN or roll_deg > MAX_ROLL_DEG:
        return None
    turn_deg = float(np.degrees(np.arcsin(np.sqrt(values[1].clip(0, 1)))))
    return Witness(LEVEL, _triple(up), f"roll {roll_deg:.1f} degrees rms, yaw spread {turn_deg:.0f} degrees")


def level_ahead(rotations: NDArray[np.float64], ground: Witness) -> Witness | None:
    """Where all cameras look the same way, their right axes say only half: whether the ground is level from left to
    right. The other half is taken from the ground, so a ramp that is walked straight up looks level."""
    right = rotations[:, 0]
    across = np.linalg.eigh(right.T @ right)[1][:, 2]
    up = np.array(ground.up) - across * (across @ ground.up)
    up /= np.linalg.norm(up)
    roll_deg = float(np.degrees(np.arcsin(np.sqrt(np.mean((right @ up) ** 2)))))
    return Witness(AHEAD, _triple(up), f"roll {roll_deg:.1f} degrees rms") if roll_deg <= MAX_ROLL_DEG else None


def camera_plane(centers: NDArray[np.float64], rough: NDArray[np.float64]) -> Witness | None:
    """The normal of the plane the cameras were carried in; None when it is no plane, a line, or steep.

    centers: [C, 3].
    """
    _, extents, axes = np.linalg.svd(centers - centers.mean(axis=0), full_matrices=False)
    if extents[0] <= 0 or extents[1] < LONG * extents[0] or extents[2] > FLAT * extents[1]:
        return None
    up = _towards(axes[2], rough)
    if _angle_deg(up, rough) > MAX_PLANE_TILT_DEG:
        return None
    return Witness("plane of the cameras", _triple(up), f"flat to {extents[2] / extents[1]:.1%}")


def ground_plane(
    points: NDArray[np.float32],
    centers: NDArray[np.float64],
    rotations: NDArray[np.float64],
    rough: NDArray[np.float64],
) -> Witness | None:
    """The best-filled plane below all cameras with hardly a point below it, by RANSAC; None when there is none.

    points: [N, 3]. The thickness of the ground is measured in the median depth of the points, so scale plays no part.
    """
    ahead = ((points[None, ::7] - centers[:, None]) * rotations[:, None, 2]).sum(axis=2) if len(points) else np.empty(0)
    if len(points) < 100 or not (ahead > 0).any():
        return None
    band = GROUND_BAND * float(np.median(ahead[ahead > 0]))
    rng = np.random.default_rng(0)
    best, best_count = None, MIN_GROUND_SHARE * len(points)
    for _ in range(GROUND_TRIALS):
        a, b, c = points[rng.choice(len(points), 3, replace=False)].astype(np.float64)
        normal = np.cross(b - a, c - a)
        length = np.linalg.norm(normal)
        if length < 1e-12:
            continue
        normal = _towards(normal / length, rough)
        if _angle_deg(normal, rough) > MAX_PLANE_TILT_DEG or ((centers - a) @ normal).min() <= band:
            continue
        found = _count_on(points, a, normal, band)
        if found is not None and found > best_count:
            best, best_count = (a, normal), found
    if best is None:
        return None
    origin, normal = best
    for _ in range(3):  # least squares over what lies on it; the set settles at once
        on = np.abs((points - origin) @ normal) <= band
        origin = points[on].mean(axis=0).astype(np.float64)
        normal = _towards(np.linalg.svd(points[on] - origin, full_matrices=False)[2][2].astype(np.float64), rough)
    if _angle_deg(normal, rough) > MAX_PLANE_TILT_DEG:
        return None
    return Witness("ground plane", _triple(normal), f"{on.mean():.0%} of the points lie on it")


def _count_on(
    points: NDArray[np.float32], origin: NDArray[np.float64], normal: NDArray[np.float64], band: float
) -> int | None:
    """How many points lie on the plane; None when too many lie below it."""
    height = (points - origin) @ normal
    return None if (height < -2 * band).mean() > MAX_BELOW_SHARE else int((np.abs(height) <= band).sum())


def _unknown(witnesses: tuple[Witness, ...], reason: str) -> Orientation:
    return Orientation("unknown", "", None, witnesses, reason)


def _towards(axis: NDArray[np.float64], rough: NDArray[np.float64]) -> NDArray[np.float64]:
    return axis if axis @ rough >= 0 else -axis


def _triple(vector: NDArray[np.float64]) -> tuple[float, float, float]:
    return (float(vector[0]), float(vector[1]), float(vector[2]))


def _angle_deg(one: Sequence[float] | NDArray[np.float64], other: Sequence[float] | NDArray[np.float64]) -> float:
    return float(np.degrees(np.arccos(np.clip(np.dot(np.asarray(one), np.asarray(other)), -1.0, 1.0))))
