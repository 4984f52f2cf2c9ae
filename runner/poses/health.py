"""What a sparse model is worth in numbers: registered share, angles, reprojection error, weakest covisibility link."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from runner.scene.pose_report import Health

ANGLE_SAMPLE = 2000  # points whose triangulation angle is computed exactly


@dataclass(frozen=True)
class Observations:
    """A reconstruction as arrays; N observations of P points in C registered cameras."""

    centers: NDArray[np.float64]  # [C, 3] camera positions, world
    forward: NDArray[np.float64]  # [C, 3] unit viewing directions, world
    points: NDArray[np.float64]  # [P, 3] world
    camera_of: NDArray[np.int64]  # [N] index into centers
    point_of: NDArray[np.int64]  # [N] index into points, not decreasing
    focal_ratios: NDArray[np.float64]  # per lens: focal length / long side
    k1: NDArray[np.float64]  # per lens: first radial coefficient
    place_of: NDArray[np.int64] | None = None  # [C] cameras with one number took their images together, at one place

    def at_places(self) -> Observations:
        """The same with one camera for all that took their images together: they have one pose, and hold together."""
        if self.place_of is None or len(np.unique(self.place_of)) == len(self.centers):
            return self
        first = np.unique(self.place_of, return_index=True)[1]
        return replace(
            self, centers=self.centers[first], forward=self.forward[first],
            camera_of=self.place_of[self.camera_of], place_of=None,
        )  # fmt: skip


@dataclass(frozen=True)
class Cut:
    """The weakest covisibility link of a reconstruction."""

    bridge: float  # points seen from both sides / points of the smaller side
    side: NDArray[np.bool_]  # [C] true for the smaller side


def measure(seen: Observations) -> tuple[Health, Cut]:
    """The health numbers of one reconstruction, in less than a second."""
    places = seen.at_places()
    cut = weakest_cut(places)
    if seen.place_of is not None and places is not seen:
        cut = Cut(cut.bridge, cut.side[seen.place_of])
    offsets = seen.points[seen.point_of] - seen.centers[seen.camera_of]
    depths = np.einsum("ni,ni->n", offsets, seen.forward[seen.camera_of])
    spread = np.linalg.norm(seen.centers - seen.centers.mean(axis=0), axis=1).mean()
    per_image = np.bincount(places.camera_of, minlength=len(places.centers))
    bends = bend(seen.k1, seen.focal_ratios)
    health = Health(
        bridge=cut.bridge,
        baseline_to_depth=float(spread / max(np.median(depths), 1e-9)) if len(depths) else 0.0,
        focal_ratio=float(seen.focal_ratios[np.argmax(np.abs(np.log(np.maximum(seen.focal_ratios, 1e-6))))]),
        distortion_k1=float(bends[np.argmax(np.abs(bends))]),
        points_per_image=float(np.median(per_image)),
        triangulation_angle_deg=_median_angle_deg(seen, offsets),
    )
    return health, cut


def bend(k1: NDArray[np.float64], focal_ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """First radial coefficients, of long lenses those of a lens that is as long as its picture and bends its edges as
    much.

    k1 multiplies the square of radius / focal length, which is small all over the picture of a long lens: k1 = -0.31
    moves the edges of one of 2.4 times its picture's long side by 1.4 %. So little is no fisheye and hardly decided.
    """
    bends: NDArray[np.float64] = k1 / np.maximum(focal_ratios, 1.0) ** 2
    return bends


def weakest_cut(seen: Observations) -> Cut:
    """Orders the cameras by the Fiedler vector of their covisibility graph (normalised Laplacian: Shi and Malik 2000)
    and takes the cut with the fewest points across, relative to the points of the smaller side."""
    count = len(seen.centers)
    nothing = np.zeros(count, bool)
    if count < 4 or len(seen.point_of) == 0:
        return Cut(1.0 if count < 4 else 0.0, nothing)  # too small to have two sides
    ones = np.ones(len(seen.point_of))
    visible = csr_matrix((ones, (seen.camera_of, seen.point_of)), shape=(count, len(seen.points)))
    visible.data[:] = 1.0  # a point seen twice in one image counts once
    shared = (visible @ visible.T).toarray()
    np.fill_diagonal(shared, 0.0)
    scale = 1.0 / np.sqrt(np.maximum(shared.sum(axis=1), 1e-9))
    laplacian = np.eye(count) - scale[:, None] * shared * scale[None, :]
    fiedler = np.linalg.eigh(laplacian)[1][:, 1] * scale
    order = np.argsort(fiedler, kind="stable")
    position = np.empty(count, np.int64)
    position[order] = np.arange(count)

    first_observation = np.flatnonzero(np.diff(seen.point_of, prepend=-1))
    lowest = np.minimum.reduceat(position[seen.camera_of], first_observation)
    highest = np.maximum.reduceat(position[seen.camera_of], first_observation)
    cuts = np.arange(2, count - 1)  # between position c - 1 and c; a side has two cameras at least
    left = np.searchsorted(np.sort(lowest), cuts)  # points seen by the left side
    right = len(lowest) - np.searchsorted(np.sort(highest), cuts)
    across = left + right - len(lowest)
    bridges = across / np.maximum(np.minimum(left, right), 1)
    best = int(np.argmin(bridges))
    side = position < cuts[best]
    return Cut(float(bridges[best]), side if side.sum() * 2 <= count else ~side)


def _median_angle_deg(seen: Observations, offsets: NDArray[np.float64]) -> float:
    """Median over points of the widest angle between two rays to it, on an even sample of the points."""
    starts = np.flatnonzero(np.diff(seen.point_of, prepend=-1))
    if len(starts) == 0:
        return 0.0
    ends = np.append(starts[1:], len(seen.point_of))
    rays = offsets / np.maximum(np.linalg.norm(offsets, axis=1, keepdims=True), 1e-12)
    sample = np.unique(np.linspace(0, len(starts) - 1, ANGLE_SAMPLE).astype(int))
    cosines = [float((r @ r.T).min()) for r in (rays[starts[i] : ends[i]] for i in sample)]
    return float(np.degrees(np.arccos(np.clip(np.median(cosines), -1.0, 1.0))))
