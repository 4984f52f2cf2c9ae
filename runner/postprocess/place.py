"""Metres, and the place on Earth, from positions that photos (EXIF) and films (telemetry) state. Unsure is unknown.

Where a printed marker says how long a metre is (marker.py), it is believed: it is exact to per cent, GPS seldom.

A phone's position is off by metres, and now and then by a hundred. So two dimensions are fitted, along the ground, with
a similarity that most of the pictures agree with (RANSAC, then least squares of those): heights of GPS are worse than
the rest, and a plane needs only which way is up. They only tell, by their median, how high the place is. The error of
the scale is that of the fit, by the spread of what is left; a drift that all positions of one film share does not show
in it.

Coordinates stay in this module: `to_json` has them only where they are to be published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.postprocess.marker import MarkerScale
from runner.scene.geometry import camera_centre, camera_positions, rotation_between
from runner.scene.views import View

EARTH_M = 6_371_008.8  # mean radius (IUGG)
MIN_PHOTOS = 5  # pictures with positions of their own
INLIER_M = 8.0  # what a phone is off by under an open sky, doubled
MIN_SHARE = 0.6  # of the pictures agree
MIN_SPREAD_M = 5.0  # rms from their middle; less is no longer than the error of one position
MOST_ERROR = 0.15  # of the scale, one standard deviation; more is no scale
TRIALS = 400
MAD_TO_SIGMA, MEDIAN_TO_MEAN = 1.4826, 1.2533  # of a normal distribution: spread, and error of its median
Array = NDArray[np.float64]
Rotation = tuple[tuple[float, float, float], ...]  # [3, 3], rows


@dataclass(frozen=True)
class Height:
    """How high the origin of the output's world is, by the altitudes that photos state."""

    metres: float  # above what their cameras measure from: sea level, or, of some phones, the ellipsoid (WGS 84)
    error_m: float  # one standard deviation, by the spread of the photos; what all of them are off by is not in it
    photos: int

    def to_json(self) -> dict[str, Any]:
        return {
            "height_m": round(self.metres, 2),
            "height_error_m": round(self.error_m, 2),
            "height_from": f"GPS altitudes of {self.photos} photos, above what their cameras measure from",
        }


@dataclass(frozen=True)
class Place:
    """What is known of scale and place."""

    metres_per_unit: float | None  # None: unknown
    error_percent: float | None  # of it, one standard deviation
    photos: int  # pictures whose positions agree
    photos_with_position: int
    reason: str  # why it is unknown; "" when it is known
    residual_m: float | None = None  # rms, of those that agree
    origin: tuple[float, float] | None = None  # degrees: latitude, longitude of the origin of the output's world
    height: Height | None = None  # of that origin; None: not enough photos tell how high they were taken
    heading_deg: float | None = None  # of the output's x axis, clockwise from north
    marker: MarkerScale | None = None  # None: nobody said that there is one
    note: str = ""  # what else is to be said of a known scale
    gps: str = "GPS of photos"  # or "GPS of photos and films": whose positions these are
    to_east_north_up: Rotation | None = None  # rotation of directions in the output's world
    in_metres: bool = False  # the files are, so `metres_per_unit` is 1
    why_not: str = ""  # they are in units of the scene, though METRIC asks for metres

    @property
    def source(self) -> str:
        """Of the scale; "" where it is unknown."""
        if self.metres_per_unit is None:
            return ""
        return self.gps if self.marker is None or self.marker.metres_per_unit is None else "printed marker"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the marker that somebody spoke of gives no scale, or what contradicts it."""
        if self.marker is not None and self.marker.metres_per_unit is None:
            told = f"MARKER_SIZE_M is {self.marker.size_m:g}, and the marker gives no scale: {self.marker.reason}"
            return (told, *([self.why_not] if self.why_not else []))
        return tuple(each for each in (self.note, self.why_not) if each)

    def to_json(self, *, publish: bool = False) -> dict[str, Any]:
        """For orientation.json and the reports. publish: with the place on Earth, which is told to nobody else."""
        told: dict[str, Any] = {
            "metres_per_unit": self.metres_per_unit,
            "files_in": "metres" if self.in_metres else "units of the scene",
            "error_percent": self.error_percent,
            "from": self.source or None,
            "photos": self.photos,
            "photos_with_position": self.photos_with_position,
            "residual_m": self.residual_m,
            "reason": self.reason,
            "note": self.note,
        }
        if self.marker is not None:
            told["marker"] = self.marker.to_json()
        if publish and self.origin is not None:
            height = self.height.to_json() if self.height else {"height_m": None}
            told["origin"] = {"latitude": self.origin[0], "longitude": self.origin[1], **height}
            told["x_axis_clockwise_from_north_deg"] = self.heading_deg
            told["output_to_east_north_up"] = self.to_east_north_up
        return told


def find_place(
    views: Sequence[View], positions: Mapping[str, tuple[float, float]], up: Sequence[float] | Array | None,
    source: str = "GPS of photos", altitudes: Mapping[str, float] | None = None,
) -> Place:  # fmt: skip
    """views: in the output's world. positions: latitude and longitude in degrees by image. up: unit vector there.

    altitudes: metres by image, as the photos state them.
    """
    seen = [view for view in views if view.image in positions]
    known = len({positions[view.image] for view in seen})

    def unknown(reason: str, agree: int = 0) -> Place:
        return Place(None, None, agree, known, reason)

    if known < MIN_PHOTOS:
        return unknown(f"{known} pictures tell where they were taken; {MIN_PHOTOS} are needed")
    if up is None:
        return unknown("which way is up is not known")
    degrees = np.array([positions[view.image] for view in seen])
    origin = degrees.mean(axis=0)
    east_north = metres(degrees, origin)
    if np.sqrt((east_north**2).sum(axis=1).mean()) < MIN_SPREAD_M:
        return unknown(f"the pictures were taken within {MIN_SPREAD_M:g} m, which is what GPS is off by")
    ground = _on_the_ground(seen, np.asarray(up, float))
    agrees = _ransac(ground, east_north)
    if agrees.sum() < max(MIN_PHOTOS, MIN_SHARE * len(seen)):
        return unknown("the positions of the pictures do not fit the way of the camera", int(agrees.sum()))
    factor, shift = _fit(ground[agrees], east_north[agrees])
    left = _residuals(ground[agrees], east_north[agrees], factor, shift)
    count, scale = int(agrees.sum()), abs(factor)
    variance = (left**2).sum() / max(2 * count - 4, 1)  # of one coordinate
    spread = (np.abs(ground[agrees] - ground[agrees].mean()) ** 2).sum()
    error = float(np.sqrt(variance / spread) / scale)
    if error > MOST_ERROR:
        return unknown(f"positions and way of the camera differ: the scale would be off by {100 * error:.0f} %", count)
    at_origin = shift  # where (0, 0) of the ground plane is, east + 1j north
    latitude = float(origin[0] + np.degrees(at_origin.imag / EARTH_M))
    longitude = float(origin[1] + np.degrees(at_origin.real / (EARTH_M * np.cos(np.radians(origin[0])))))
    heading = float(np.degrees(np.arctan2(factor.real, factor.imag)) % 360)
    turn = np.eye(3)
    turn[:2, :2] = [[factor.real, -factor.imag], [factor.imag, factor.real]] / np.array(scale)
    rotation = turn @ rotation_between(np.asarray(up, float), np.array([0.0, 0.0, 1.0]))
    agreeing = [view for view, good in zip(seen, agrees, strict=True) if good]
    height = _height(agreeing, altitudes or {}, np.asarray(up, float), float(scale))
    return Place(
        float(scale), 100 * error, count, known, "", float(np.sqrt((left**2).mean())), (latitude, longitude), height,
        heading,
        gps=source, to_east_north_up=tuple((float(x), float(y), float(z)) for x, y, z in rotation),
    )  # fmt: skip


def with_marker(place: Place, marker: MarkerScale) -> Place:
    """The scale of the marker, where it says one; the place on Earth stays that of the photos."""
    if marker.metres_per_unit is None:
        told = f"by the marker it is unknown: {marker.reason}"
        if place.metres_per_unit is not None:
            return replace(place, marker=marker, note=told)
        return replace(place, marker=marker, reason=f"{told}; by GPS: {place.reason}")
    note = ""
    if place.metres_per_unit is not None:
        off = 100 * abs(place.metres_per_unit / marker.metres_per_unit - 1)
        if off > 3 * np.hypot(place.error_percent or 0.0, marker.error_percent or 0.0):
            note = f"{place.gps} differs by {off:.0f} %: measure the printed marker, and look at MARKER_SIZE_M"
    return replace(
        place, metres_per_unit=marker.metres_per_unit, error_percent=marker.error_percent, reason="", marker=marker,
        note=note,
    )  # fmt: skip


def in_metres(place: Place, *, users_coordinates: bool) -> Place:
    """What is known of files that are to be in metres; where they cannot be, why.

    users_coordinates: of camera poses that were supplied, which stay as they are.
    """
    if users_coordinates:
        why = "the coordinates of the supplied camera poses are kept"
    elif place.metres_per_unit is None:
        why = f"the scale is unknown: {place.reason}"
    else:
        return replace(place, metres_per_unit=1.0, in_metres=True)
    return replace(place, why_not=f"METRIC is true, and the files are in units of the scene: {why}")


def metres(degrees: Array, origin: Array) -> Array:
    """[N, 2] east and north of the origin, in metres; right to a thousandth within some kilometres."""
    north = np.radians(degrees[:, 0] - origin[0]) * EARTH_M
    east = np.radians(degrees[:, 1] - origin[1]) * EARTH_M * np.cos(np.radians(origin[0]))
    return np.stack([east, north], axis=1)


def _on_the_ground(views: Sequence[View], up: Array) -> NDArray[np.complex128]:
    """[N] camera positions seen from above: x + 1j y of a plane across up, so that a turn is a factor.

    The plane's axes are those of the world turned by the least that brings up to z.
    """
    centres = np.array([camera_centre(view.world_to_camera) for view in views])
    flat = centres @ rotation_between(up, np.array([0.0, 0.0, 1.0])).T
    return np.asarray(flat[:, 0] + 1j * flat[:, 1])


def _height(views: Sequence[View], altitudes: Mapping[str, float], up: Array, scale: float) -> Height | None:
    """The median over the photos of altitude less height over the origin; half of them may be far off."""
    known = [view for view in views if view.image in altitudes]
    if len(known) < MIN_PHOTOS:
        return None
    over_origin = scale * (camera_positions(known) @ up)
    told = np.array([altitudes[view.image] for view in known]) - over_origin
    middle = float(np.median(told))
    spread = MAD_TO_SIGMA * float(np.median(np.abs(told - middle)))
    return Height(middle, MEDIAN_TO_MEAN * spread / len(known) ** 0.5, len(known))


def _fit(ground: NDArray[np.complex128], east_north: Array) -> tuple[complex, complex]:
    """factor, shift: east + 1j north = factor * ground + shift, by least squares."""
    there = east_north[:, 0] + 1j * east_north[:, 1]
    here, mean = ground - ground.mean(), there.mean()
    factor = complex((np.conj(here) * (there - mean)).sum() / max(float((np.abs(here) ** 2).sum()), 1e-12))
    return factor, complex(mean - factor * ground.mean())


def _residuals(ground: NDArray[np.complex128], east_north: Array, factor: complex, shift: complex) -> Array:
    return np.asarray(np.abs(factor * ground + shift - (east_north[:, 0] + 1j * east_north[:, 1])))


def _ransac(ground: NDArray[np.complex128], east_north: Array) -> NDArray[np.bool_]:
    """[N] which positions agree with the similarity that most of them agree with. The same every time."""
    random, best = np.random.default_rng(0), np.zeros(len(ground), bool)
    for _ in range(TRIALS):
        pair = random.choice(len(ground), 2, replace=False)
        factor, shift = _fit(ground[pair], east_north[pair])
        agrees = _residuals(ground, east_north, factor, shift) < INLIER_M
        if agrees.sum() > best.sum():
            best = agrees
    for _ in range(3):
        if best.sum() < 3:
            break
        best = _residuals(ground, east_north, *_fit(ground[best], east_north[best])) < INLIER_M
    return best
