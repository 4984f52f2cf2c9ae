"""Printed AprilTags in an undistorted image, in the COLMAP process: found by the library of their authors.

Family tag36h11, which OpenCV's ArUco module knows as DICT_APRILTAG_36h11. Olson, "AprilTag: A robust and flexible
visual fiducial system", ICRA 2011; Wang and Olson, "AprilTag 2: Efficient and robust fiducial detection", IROS 2016.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray
from pupil_apriltags import Detector

from runner.poses.colmap.requests import MarkerSeen

FAMILY = "tag36h11"
MOST_WRONG_BITS = 1  # of 36; codes of the family differ in 11
LEAST_MARGIN = 30.0  # mean difference of its bits from the threshold; what is no marker has a few
LEAST_SIDE_PX = 12.0  # smaller, and a corner that is off by a third of a pixel is 3 % of the side

_own = threading.local()  # a detector is of one thread


class _Detector(Detector):  # type: ignore[misc]  # the library has no types
    """The library's frees its families, then its detector, which reads them once more: memory of others by then."""

    def __del__(self) -> None:
        self.libc.apriltag_detector_clear_families.restype = None
        self.libc.apriltag_detector_clear_families(self.tag_detector_ptr)
        super().__del__()


def find_markers(
    pixels: NDArray[np.uint8], focal: tuple[float, float], centre: tuple[float, float]
) -> list[MarkerSeen]:
    """What is seen of each marker. pixels: [height, width, 3] sRGB of a pinhole camera; focal, centre: its pixels.

    A number that is seen twice in one image says nothing about either, so neither is told.
    """
    if not hasattr(_own, "detector"):
        _own.detector = _Detector(families=FAMILY, nthreads=1, quad_decimate=1.0)
    grey = np.ascontiguousarray(np.rint(pixels @ np.array([0.299, 0.587, 0.114])).astype(np.uint8))
    found = [each for each in _own.detector.detect(grey) if _is_sure(each)]
    numbers = [int(each.tag_id) for each in found]
    return [
        MarkerSeen(number, tuple((float(x), float(y)) for x, y in (each.corners - centre) / focal))  # type: ignore[arg-type]
        for number, each in sorted(zip(numbers, found, strict=True), key=lambda pair: pair[0])
        if numbers.count(number) == 1
    ]


def _is_sure(found: object) -> bool:
    """Whether a detection of the library is a marker, and large enough."""
    corners = np.asarray(found.corners)  # type: ignore[attr-defined]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
    right = found.hamming <= MOST_WRONG_BITS and found.decision_margin >= LEAST_MARGIN  # type: ignore[attr-defined]
    return bool(right and sides.min() >= LEAST_SIDE_PX)
