"""Metres from a printed marker of known size: its corners are triangulated from the views that see it, and measured.

A point is where the rays of its views come closest (least squares; Hartley and Zisserman, "Multiple View Geometry",
12.2). Views whose rays miss by far are left out. How sure the scale is: the jackknife over views (Efron, 1982),
which sees what all corners share, as a depth that few views agree on, and how far from a square the corners are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.scene.geometry import camera_centre
from runner.scene.views import View

MIN_VIEWS = 4  # of a marker; one less when it is tried without one
MIN_PARALLAX_DEG = 2.0  # between two of its rays; less, and its distance is a guess
MOST_MISS = 0.01  # of a corner's distance, sideways: more, and the camera or the corner is wrong
MOST_UNEVEN = 0.10  # rms of sides and diagonals against a square; more is no square
MOST_ERROR = 0.15  # of the scale, one standard deviation; more is no scale
MOST_JACKKNIFE = 40  # groups of views that are left out in turn
Array = NDArray[np.float64]
Rays = Mapping[int, tuple[Array, Array]]
"""By index of the view: where its camera is [3], and the directions of the four corners [4, 3], unit vectors."""


@dataclass(frozen=True)
class MarkerScale:
    """What the markers say."""

    metres_per_unit: float | None  # None: nothing
    error_percent: float | None  # of it, one standard deviation
    markers: int  # that were measured
    views: int  # that see one of them
    reason: str  # why it is unknown; "" when it is known
    size_m: float  # as it was said

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def find_scale(views: Sequence[View], size_m: float) -> MarkerScale:
    """size_m: the side of the black square, metres; the same of every marker. views: in the output's world."""
    rays = _rays(views)
    seen = {view for observed in rays.values() for view in observed}

    def unknown(reason: str, markers: int = 0) -> MarkerScale:
        return MarkerScale(None, None, markers, len(seen), reason, size_m)

    if not rays:
        return unknown("no picture shows a marker (AprilTag, family tag36h11)")
    measured, whys = dict[int, tuple[float, float]](), list[str]()
    for number, observed in rays.items():
        found = _measure(observed)
        if isinstance(found, str):
            whys.append(f"marker {number} {found}")
        else:
            measured[number] = found
    if not measured:
        return unknown("; ".join(whys))
    side = _middle(measured)
    sides = np.array([side for side, _ in measured.values()])
    uneven = max(uneven for _, uneven in measured.values())
    spread = float(sides.std(ddof=1) / side) if len(sides) > 1 else 0.0
    kept = {number: rays[number] for number in measured}
    error = float(np.hypot(_jackknife(kept, side), max(uneven, spread) / np.sqrt(len(measured))))
    if error > MOST_ERROR:
        return unknown(f"the markers differ too much: the scale would be off by {100 * error:.0f} %", len(measured))
    return MarkerScale(size_m / side, 100 * error, len(measured), len(seen), "", size_m)


def _rays(views: Sequence[View]) -> dict[int, dict[int, tuple[Array, Array]]]:
    """By marker and view."""
    found: dict[int, dict[int, tuple[Array, Array]]] = {}
    for index, view in enumerate(views):
        for number, corners in view.markers:
            plane = np.concatenate([np.asarray(corners, float), np.ones((4, 1))], axis=1)
            directions = plane @ view.world_to_camera[:3, :3]  # R^T d
            directions /= np.linalg.norm(directions, axis=1, keepdims=True)
            found.setdefault(number, {})[index] = camera_centre(view.world_to_camera), directions
    return found


def _measure(observed: Rays, least: int = MIN_VIEWS) -> tuple[float, float] | str:
    """Side of the marker, in units, and how far it is from a square; or why that is not known."""
    if len(observed) < least:
        return f"is seen in {len(observed)} pictures; {least} are needed"
    centres, directions = _stacked(observed)
    if _parallax_deg(directions) < MIN_PARALLAX_DEG:
        return "is seen from one place only"
    good = np.ones(len(centres), bool)
    for _ in range(4):  # the worst first: a wrong one draws the point towards itself
        miss = _miss(_corners(centres[good], directions[good]), centres, directions)
        still = good & (miss <= np.maximum(MOST_MISS, 3 * np.median(miss[good])))
        if (still == good).all() or still.sum() < least:
            break
        good = still
    corners = _corners(centres[good], directions[good])
    miss = _miss(corners, centres[good], directions[good])
    if good.sum() < max(least, len(good) / 2) or np.median(miss) > MOST_MISS:
        return "is not in one place: it was moved, or there are two of it"
    side, uneven = _square(corners)
    if uneven > MOST_UNEVEN:
        return f"is no square: its sides differ by {100 * uneven:.0f} %"
    return side, uneven


def _stacked(observed: Rays) -> tuple[Array, Array]:
    """[V, 3] and [V, 4, 3]."""
    return np.array([centre for centre, _ in observed.values()]), np.array([rays for _, rays in observed.values()])


def _corners(centres: Array, directions: Array) -> Array:
    """[4, 3] the points that are closest to the rays of all views."""
    across = np.eye(3) - directions[..., :, None] * directions[..., None, :]  # [V, 4, 3, 3]
    left, right = across.sum(axis=0), (across @ centres[:, None, :, None]).sum(axis=0)
    return np.asarray((np.linalg.pinv(left, hermitian=True) @ right)[..., 0])


def _miss(corners: Array, centres: Array, directions: Array) -> Array:
    """[V] how far each view's rays pass the corners, as a share of the distance; of its worst corner."""
    away = corners[None] - centres[:, None]
    along = (away * directions).sum(axis=-1, keepdims=True)
    sideways = np.linalg.norm(away - along * directions, axis=-1)
    wrong = np.where(along[..., 0] > 0, sideways / np.maximum(np.linalg.norm(away, axis=-1), 1e-12), 1.0)
    return np.asarray(wrong.max(axis=1))


def _parallax_deg(directions: Array) -> float:
    """The widest angle between two rays to the middle of the marker."""
    middle = directions.mean(axis=1)
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    return float(np.degrees(np.arccos(np.clip((middle @ middle.T).min(), -1.0, 1.0))))


def _square(corners: Array) -> tuple[float, float]:
    """Mean side, and the rms of sides and shortened diagonals against it."""
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
    diagonals = np.linalg.norm(corners[:2] - corners[2:], axis=1) / np.sqrt(2)
    lengths = np.concatenate([sides, diagonals])
    return float(lengths.mean()), float(lengths.std() / lengths.mean())


def _middle(measured: Mapping[int, tuple[float, float]]) -> float:
    return float(np.median([side for side, _ in measured.values()]))


def _jackknife(rays: Mapping[int, Rays], side: float) -> float:
    """Standard error of the side, as a share of it, by leaving out views in turn."""
    seen = sorted({view for observed in rays.values() for view in observed})
    groups = min(len(seen), MOST_JACKKNIFE)
    without = list[float]()
    for group in range(groups):
        out = set(seen[group::groups])
        less = {
            number: {view: ray for view, ray in observed.items() if view not in out}
            for number, observed in rays.items()
        }
        tried = {number: _measure(observed, MIN_VIEWS - 1) for number, observed in less.items()}
        found = {number: each for number, each in tried.items() if not isinstance(each, str)}
        if not found:
            return float("inf")  # all of it hangs on these views
        without.append(_middle(found))
    spread = np.array(without) / side
    return float(np.sqrt((groups - 1) / groups * ((spread - spread.mean()) ** 2).sum()))
