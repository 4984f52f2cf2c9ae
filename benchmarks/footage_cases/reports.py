"""Inputs rebuilt from public bug reports, which lie with the footage, and the clean footage they were made from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.footage_cases.case import Case, Run, footage, result, wrong_cameras

POSE_ERROR = 2.0  # per cent: clean footage has 0.4, wrong cameras have 39 to 89


def files(*names: str) -> Callable[[Path], Sequence[Path]]:
    """Of the footage, as they are."""
    return lambda _: [footage(name) for name in names]


def fox_truth(run: Run) -> Mapping[tuple[str, int], NDArray[np.float64]]:
    """The published cameras of the fox, for clips whose names end in view1, view2, view3."""
    poses = json.loads(footage("fox/reference/poses.json").read_text(encoding="utf-8"))["frames"]
    found = {}
    for video, index in run.cameras():
        if (key := f"{Path(video).stem[-5:]}/{index:06d}") in poses:
            found[video, index] = np.linalg.inv(np.vstack([poses[key], [0.0, 0.0, 0.0, 1.0]]))
    return found


def right_cameras(run: Run) -> str:
    """A result that nobody needs to doubt, with cameras that are where they were."""
    return result(run) or wrong_cameras(run, fox_truth(run), POSE_ERROR)


def with_all_clips(count: int) -> Callable[[Run], str]:
    """A result in which frames of so many clips were placed."""

    def right(run: Run) -> str:
        used = {video for video, _ in run.cameras()}
        return result(run) or ("" if len(used) == count else f"{len(used)} of {count} clips are in the result")

    return right


FOX = tuple(f"fox/view{number}.mp4" for number in (1, 2, 3))
CASES = (
    Case("fox", "0 as filmed", "three clips of an orbit", files(*FOX), right_cameras, truth=fox_truth),
    Case("sceaux", "0 as filmed", "11 photos", lambda _: sorted(footage("sceaux_photos").glob("*.jpg")), result),
    Case("banana", "0 as filmed", "16 photos", lambda _: sorted(footage("banana_photos").glob("*.jpg")), result),
    Case("mvhevc", "1 side data", "two views in one HEVC stream", files("reports/01_two_view_mvhevc.mov"), result),
    Case(
        "mvhevc-beside", "1 side data", "the same beside another clip",
        files("reports/01_two_view_mvhevc.mov", "walk/walk.mp4"), result,
    ),
    Case(
        "mjpeg-exif", "1 side data", "photos with EXIF as MJPEG in AVI",
        files("reports/02_photos_as_mjpeg_with_exif.avi"), result,
    ),
    Case(
        "stamp", "9 stamp", "a burned-in date, 5 % of the picture",
        files(*(f"reports/03_burned_in_stamp_view{number}.mp4" for number in (1, 2, 3))),
        right_cameras, truth=fox_truth,
    ),
    Case(
        "pillarbox", "10 black bars", "a portrait film in a landscape frame",
        files(*(f"reports/05_pillarbox_view{number}.mp4" for number in (1, 2, 3))), right_cameras, truth=fox_truth,
    ),
    Case("mkv-offset", "2 time", "MKV that starts at 60 s", files("reports/06_starts_at_60s.mkv"), result),
    Case(
        "two-cards", "3 same names", "two cards with the same folder and file names",
        lambda _: sorted(footage("reports/07_two_cards_same_names").rglob("*.MP4")),
        with_all_clips(2),
    ),
    *(
        Case(
            f"photo-{suffix}", "6 formats", f"16 photos and one as .{suffix}",
            lambda _, suffix=suffix: [  # type: ignore[misc]
                *sorted(footage("banana_photos").glob("*.jpg")), footage(f"reports/08_photo.{suffix}")
            ],
            result,
        )
        for suffix in ("webp", "jfif", "avif")
    ),
)  # fmt: skip
