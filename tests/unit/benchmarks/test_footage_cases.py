"""What the table of footage calls right can be wrong: each check fails on the outcome that it is there for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.footage_cases import bars, failures, files, formats, lenses, moving, overlays, reports, suspect, uploads
from benchmarks.footage_cases.case import Case, Run
from tests.wide_lenses import seen, truth, walk

TRUTH = dict(enumerate(truth(walk(lenses.FRAMES))))


def case(cases: tuple[Case, ...], name: str) -> Case:
    return next(one for one in cases if one.name == name)


def outcome(
    folder: Path, clip: str = "wide.mp4", cameras: Mapping[int, NDArray[np.float64]] = TRUTH, exit_code: int = 0,
    warnings: tuple[str, ...] = (), resolution: str = "848x480", total: int = lenses.FRAMES, **metrics: Any,
) -> Run:  # fmt: skip
    """As a run that gave a result leaves it. warnings: about the clip."""
    numbers = {"images_registered": len(cameras), "images_total": total, "warnings": [], "suspect": False, **metrics}
    manifest = {"videos": [{"filename": clip, "resolution": resolution, "warnings": list(warnings)}]}
    entries = [
        {"video": clip, "image": f"a/{number:06d}.png", "world_to_camera": pose.tolist()}
        for number, pose in cameras.items()
    ]
    for name, value in (("metrics", numbers), ("manifest", manifest), ("cameras", entries)):
        (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    return Run(exit_code, 1.0, folder, "")


def moved(share: float) -> dict[int, NDArray[np.float64]]:
    """The last cameras as a whole beside where they were: two parts that are joined at the wrong place."""
    found = {number: pose.copy() for number, pose in TRUTH.items()}
    for number in range(round(len(found) * (1 - share)), len(found)):
        found[number][:3, 3] += found[number][:3, :3] @ [3.0, 0.0, 0.0]
    return found


@pytest.mark.parametrize("name", ["fisheye-120", "fisheye-150", "fisheye-190"])
def test_cameras_through_a_fisheye(name: str, tmp_path: Path) -> None:
    right = case(lenses.CASES, name).right
    assert right(outcome(tmp_path)) == ""
    assert "off by" in right(outcome(tmp_path, cameras=moved(0.5)))
    assert "off by" in right(outcome(tmp_path, cameras=moved(0.2)))
    assert right(outcome(tmp_path, suspect=True)) == "doubtful"
    assert right(outcome(tmp_path, cameras={n: TRUTH[n] for n in range(20)})) == "20 of 40 placed"
    assert right(outcome(tmp_path, clip="other.mp4")) == "no cameras to compare"


def test_cameras_while_something_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cameras = [SimpleNamespace(world_to_camera=pose) for pose in TRUTH.values()]
    monkeypatch.setattr(moving, "filmed", lambda _: SimpleNamespace(cameras=cameras))
    right = case(moving.CASES, "moving-nobody").right
    assert right(outcome(tmp_path, "nobody.mp4")) == ""
    assert "off by" in right(outcome(tmp_path, "nobody.mp4", moved(0.5)))
    few = {number: TRUTH[number] for number in range(3)}
    assert right(outcome(tmp_path, "nobody.mp4", few, total=3)) == "no cameras to compare"


@pytest.fixture
def any_fox(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fox is not in the repository: its cameras are those of the walk."""
    monkeypatch.setattr(
        "benchmarks.footage_cases.reports.fox_truth",
        lambda _: {("wide.mp4", number): TRUTH[number] for number in TRUTH},
    )


@pytest.mark.usefixtures("any_fox")
@pytest.mark.parametrize("name", [one.name for one in overlays.CASES])
def test_an_overlay_is_told_of_its_clip(name: str, tmp_path: Path) -> None:
    right = case(overlays.CASES, name).right
    told = ("an overlay (date, logo, display or dark corners) is ignored: 4.0 % of the picture, top left",)
    assert right(outcome(tmp_path, warnings=told)) == ""
    assert right(outcome(tmp_path)) == "the overlay is not told"
    assert "off by" in right(outcome(tmp_path, warnings=told, cameras=moved(0.5)))
    assert right(Run(1, 1.0, tmp_path / "nothing", "")) == "no result"


@pytest.mark.parametrize(
    ("name", "size"), [("letterbox", "848x360"), ("windowbox", "728x412"), ("bars-change", "608x480")]
)
def test_bars_are_told_of_their_clip_and_cut_where_they_are(
    name: str, size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bars, "pictures", lambda *_: iter([np.zeros((480, 848, 3), np.uint8)]))
    true = {("wide.mp4", number): TRUTH[number] for number in TRUTH}
    monkeypatch.setattr("benchmarks.footage_cases.walk.walk_truth", lambda _: true)
    right = case(bars.CASES, name).right
    told = ("black bars were cut off: 60 px at the top",)
    assert right(outcome(tmp_path, warnings=told, resolution=size)) == ""
    assert right(outcome(tmp_path, resolution=size)) == "bars are not cut off"
    assert right(outcome(tmp_path, warnings=told, resolution="848x440")).startswith("cut to")
    assert "off by" in right(outcome(tmp_path, warnings=told, resolution=size, cameras=moved(0.5)))
    night = case(bars.CASES, "night").right
    assert night(outcome(tmp_path, warnings=told)) == "cropped"
    assert night(outcome(tmp_path)) == ""


def test_a_doubt_is_said_in_every_place(tmp_path: Path) -> None:
    run = outcome(tmp_path, suspect=True)
    manifest = {"suspect": True, "doubt": {"reasons": [suspect.REASON]}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    for page in ("report.html", "viewer.html"):
        (tmp_path / page).write_text(suspect.REASON, encoding="utf-8")
    said = Run(0, 1.0, run.out, "doubtful (POSES_SUSPECT): why")
    right = suspect.CASES[0].right
    assert right(said) == ""
    assert right(run) == "nothing in stderr"
    (tmp_path / "viewer.html").write_text("a scene", encoding="utf-8")
    assert right(said) == "nothing in viewer.html"


@pytest.mark.parametrize("one", failures.CASES, ids=lambda one: one.name)
def test_a_refusal_has_its_code_and_names_its_file(one: Case, tmp_path: Path) -> None:
    """A result, a crash, and a refusal of another kind are not what is asked for."""
    rescued = one.name == "short-budget"
    assert (one.right(outcome(tmp_path)) == "") == rescued
    assert one.right(Run(3, 1.0, tmp_path / "nothing", ""))
    (tmp_path / "error").mkdir()
    (tmp_path / "error" / "error.json").write_text(json.dumps({"code": "TOO_LARGE", "cause": "a", "advice": "b"}))
    assert one.right(Run(1, 1.0, tmp_path / "error", ""))


WHOLE = {  # frames, seconds, what is told
    **dict.fromkeys(("mkv-late", "webm-late", "mkv-long-sound", "wmv"), (315, 10.5, ())),
    **dict.fromkeys(("mpg", "raw-h264"), (315, 12.6, ())),
    **dict.fromkeys(
        ("mts", "combed"), (157, 6.28, ("it is interlaced: each picture is made of one of its two fields",))
    ),
    "two-streams": (
        315,
        10.5,
        ("it holds 2 video streams; only the one that moves is used: a larger one stands still",),
    ),
    "alpha": (315, 10.5, ("its transparent parts are shown on white",)),
    "hour-4k60": (6000, 3600.0, ("it is long: 6,000 of its 216,000 frames, spread over 3600 s, were looked at",)),
    "six-minutes": (1500, 360.0, ("it is long: 1,500 of its 21,600 frames, spread over 360 s, were looked at",)),
    "wide": (315, 10.51, ("it has 640x272 pixels only, less than 640x480: details are missing",)),
}


def film(folder: Path, frames: int, lasts_s: float, told: tuple[str, ...], **metrics: Any) -> Run:
    """As a run over one film leaves it."""
    run = outcome(folder, warnings=told, resolution="640x272", **metrics)
    manifest = run.manifest
    manifest["videos"][0] |= {"frame_count": frames, "duration_secs": lasts_s}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return run


@pytest.mark.parametrize("name", WHOLE)
def test_nothing_of_a_film_in_another_format_is_lost(name: str, tmp_path: Path) -> None:
    right = case((*formats.CASES, *files.CASES, *uploads.CASES), name).right
    frames, lasts_s, told = WHOLE[name]
    assert right(film(tmp_path, frames, lasts_s, told)) == ""
    assert right(film(tmp_path, frames // 6, lasts_s, told)).endswith("frames")
    assert right(film(tmp_path, 2 * 216_000, lasts_s, told)).endswith("frames")
    assert right(film(tmp_path, frames, 3 * lasts_s, told)).startswith("it lasts")
    assert right(film(tmp_path, frames, 0.5 * lasts_s, told)).startswith("it lasts")
    assert right(film(tmp_path, frames, lasts_s, told, total=2 * lenses.FRAMES)).endswith("placed")
    assert right(film(tmp_path, frames, lasts_s, told, suspect=True)) == "doubtful"
    assert right(Run(1, 1.0, tmp_path / "nothing", "")) == "no result"
    if told:
        run = film(tmp_path, frames, lasts_s, told)
        repeated = {**run.metrics, "warnings": [f"wide.mp4: {warning}" for warning in told]}  # as a run writes them
        (tmp_path / "metrics.json").write_text(json.dumps(repeated), encoding="utf-8")
        assert right(run) == ""
        assert "0 times" in right(film(tmp_path, frames, lasts_s, ()))
        assert "2 times" in right(film(tmp_path, frames, lasts_s, (*told, *told)))


@pytest.mark.parametrize("one", formats.CASES, ids=lambda one: one.name)
def test_every_format_has_a_check_of_its_own(one: Case, tmp_path: Path) -> None:
    """A result alone says nothing of what became of the file."""
    assert one.name in WHOLE or one.name == "dng-beside"
    assert one.right(film(tmp_path, 3, 0.1, ()))


@pytest.mark.parametrize(
    ("name", "left_out", "kept"),
    [
        ("dng-beside", {"a.dng": "a.dng is a raw photo of a camera, which has to be developed first"}, "photos"),
        ("encoded-again", {"small.mp4": "it shows the same as walk.mp4"}, "walk.mp4"),
        (
            "same-bytes",
            {"copy.mp4": "the same bytes as walk.mp4", "link.mp4": "the same file as walk.mp4"}, "walk.mp4",
        ),
        ("preview", {"GL010001.LRV": "the small preview of GX010001.MP4"}, "GX010001.MP4"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_used_is_named_with_its_reason(
    name: str, left_out: dict[str, str], kept: str, tmp_path: Path
) -> None:
    right = case((*formats.CASES, *files.CASES, *uploads.CASES), name).right
    unused = [{"name": each, "reason": reason} for each, reason in left_out.items()]
    assert right(outcome(tmp_path, kept, unused=unused)) == ""
    assert "is not left out" in right(outcome(tmp_path, kept, unused=unused[1:]))
    assert "nothing of it was placed" in right(
        outcome(tmp_path, kept, unused=[{**each, "reason": "nothing of it was placed"} for each in unused])
    )
    assert "is not in the result" in right(outcome(tmp_path, "other.mp4", unused=unused))
    assert right(outcome(tmp_path, kept, unused=unused, suspect=True)) == "doubtful"


def test_photos_are_all_used_and_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Live Photos the photos alone."""
    monkeypatch.setattr(uploads, "_photos", lambda: [Path("a.jpg"), Path("b.jpg")])
    moving_parts = [{"name": f"IMG_000{n}.MOV", "reason": f"{uploads.TOLD} IMG_000{n}.HEIC"} for n in range(2)]
    right = case(uploads.CASES, "live-photos").right
    assert right(outcome(tmp_path, total=2, unused=moving_parts, psnr_heldout=22.0)) == ""
    assert right(outcome(tmp_path, total=2, unused=moving_parts)) == "no held-out score"
    assert right(outcome(tmp_path, total=4, unused=moving_parts, psnr_heldout=22.0)) == "4 of 2 photos"
    assert "is not left out" in right(outcome(tmp_path, total=2, unused=moving_parts[1:], psnr_heldout=22.0))
    sizes = case(uploads.CASES, "many-sizes").right
    assert sizes(outcome(tmp_path, psnr_heldout=22.0)) == ""
    assert sizes(outcome(tmp_path)) == "no held-out score"
    assert sizes(Run(1, 1.0, tmp_path / "nothing", "")) == "no result"


def test_screenshots_are_cut_to_their_photos(tmp_path: Path) -> None:
    right = case(uploads.CASES, "gallery").right
    assert right(outcome(tmp_path)) == "it is not told what was cut"
    told = ("a.png: what all of these pictures have around the photo (the frame of an app) is cut off",)
    assert right(outcome(tmp_path, warnings=told)) == ""
    assert right(outcome(tmp_path, warnings=told, suspect=True)) == "doubtful"
    copy = {"name": "b.png", "reason": "it shows the same as a.png"}
    assert right(outcome(tmp_path, warnings=told, unused=[copy])) == "1 are called copies"
    assert right(Run(1, 1.0, tmp_path / "nothing", "")) == "no result"


def test_a_refusal_says_what_became_of_each_file(tmp_path: Path) -> None:
    right = case(uploads.CASES, "cut-off").right
    cut = "{} is damaged or cut off"
    inputs = [{"name": name, "used": name == "short.mp4", "reason": "" if name == "short.mp4" else cut.format(name)}
              for name in ("cut1.mp4", "short.mp4", "cut2.mp4")]  # fmt: skip
    cause = "2 of 3 files could not be used: cut1.mp4 and cut2.mp4 are damaged or cut off"

    def refusal(**changed: Any) -> Run:
        document = {"code": "TOO_FEW_FRAMES", "cause": cause, "advice": "b", "inputs": inputs, **changed}
        (tmp_path / "error.json").write_text(json.dumps(document))
        return Run(1, 1.0, tmp_path, "")

    assert right(refusal()) == ""
    assert right(refusal(inputs=[])).startswith("inputs: ")
    assert right(refusal(inputs=[{**each, "used": True} for each in inputs])).startswith("inputs: ")
    assert right(refusal(cause="10 different frames: film longer")).startswith("it does not say")
    assert right(refusal(code="BUG"))


@pytest.mark.parametrize(
    ("name", "says"), [("long-name", "it has 300 bytes"), ("five-frames", "--frames 5 is too few")]
)
def test_an_option_is_refused_as_an_option(name: str, says: str, tmp_path: Path) -> None:
    right = case(uploads.CASES, name).right
    assert right(Run(2, 1.0, tmp_path, says)) == ""
    assert right(Run(2, 1.0, tmp_path, "error: film longer"))
    assert right(Run(3, 1.0, tmp_path, says)) == "exit 3"


def test_two_cards_are_both_used(tmp_path: Path) -> None:
    """A refusal of another kind, and a result of one of them, passed."""
    right = case(reports.CASES, "two-cards").right
    assert right(Run(3, 1.0, tmp_path / "nothing", "Traceback")) == "no result"
    assert right(outcome(tmp_path)) == "1 of 2 clips are in the result"


def test_no_wall_of_the_room_of_wide_lenses_repeats() -> None:
    """A texture that came again after 3.4 m joined two halves of a film at the wrong place, with every gate passed and
    0.18 px of error. Half a wall is compared with itself, moved by 0.8 m and more."""
    v, u = np.mgrid[0:90, 0:480]
    place = np.stack([(u - 239.5) / 60, (v - 44.5) / 60, np.full(u.shape, 1.0)], axis=-1)
    rays = place / np.linalg.norm(place, axis=-1, keepdims=True)
    for side in (1, -1):  # of the two long walls
        facing = np.array([[side, 0, 0], [0, 0, -1], [0, side, 0]], np.float64)
        grey = seen((np.array([0.0, 2.0 * side, 1.5]), facing), rays).mean(axis=2)
        for shift in range(48, 240):
            assert np.corrcoef(grey[:, shift:].ravel(), grey[:, :-shift].ravel())[0, 1] < 0.5, shift


def test_a_training_that_the_clock_ended_is_told_with_the_score_it_spoiled(tmp_path: Path) -> None:
    training = {"stopped": "budget", "settings": {"iterations": 500}}
    hurried = outcome(tmp_path, psnr_heldout=10.6, steps=60, training=training).summary()
    assert hurried == "40 of 40 placed, 10.6 dB after 60 of 500 steps"
    whole = outcome(tmp_path, psnr_heldout=24.2, steps=500, training=training | {"stopped": "plan"}).summary()
    assert whole == "40 of 40 placed, 24.2 dB"
