"""The report: everything metrics.json says, for people, on one page that loads nothing and runs nothing."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from runner.files import json_file
from runner.postprocess.floaters import CleanReport, Step
from runner.postprocess.upright import Orientation, Witness
from runner.report import documents
from runner.report.html import report_page, write_report
from runner.scene.frames import RefusedClip
from scenejobs.errors import Failure
from tests.hostile_names import NAMES
from tests.pages import Reader
from tests.results import FRAMES, POSES, RESULTS, RUN, TRAINING

CLEANING = CleanReport(
    20_500, 20_000, "held-out", 27.49, 27.5,
    (Step("transparent", 500, 0.05, 0.012, 0), Step("huge", 0, None, None, 3)),
)  # fmt: skip
UPRIGHT = Orientation(
    "high", "level horizons + ground plane", 1.25,
    (
        Witness("level horizons", (0, -1, 0), "roll 1.5 degrees rms"),
        Witness("ground plane", (0, -1, 0.02), "31% lie on it"),
    ),
    "", (0.0, -1.0, 0.0),
)  # fmt: skip
EXPORTS = {
    "ply": {"count": 20_000, "dropped": 0, "size_bytes": 4_960_000, "psnr_heldout": 27.5, "db_lost": 0.0},
    "spz": {"count": 19_998, "dropped": 2, "size_bytes": 612_345, "psnr_heldout": 27.12, "db_lost": 0.38},
}
HISTORY = tuple({"step": step, "seconds": step / 50, "psnr_heldout": 20 + step / 500} for step in (0, 1250, 2500, 5000))
DETAILS = {
    "stopped": "plan", "ssim_train": 0.95, "gap_db": 4.75, "settings": {"iterations": 5000, "cap": 20_000},
    "worst_views": [{"image": "a/000030.png", "psnr": 21.25, "ssim": 0.71}],
}  # fmt: skip
SPECIAL = [name for name in NAMES if set(name) & set("<>&'\"`{}$\\\u2028\u2029\x00") and len(name) < 300]
HOSTILE = [*SPECIAL, *NAMES[1::25]]


def metrics(**changes: Any) -> dict[str, Any]:
    training = replace(
        TRAINING, history=HISTORY, details=DETAILS, cleaning=asdict(CLEANING), orientation=UPRIGHT.to_json(), **changes
    )
    plain: dict[str, Any] = json_file.plain(
        documents.metrics(RUN, replace(RESULTS, training=training, exports=EXPORTS))
    )
    return plain


def page(
    numbers: dict[str, Any] | None = None, pictures: dict[str, str] | None = None, *, viewer: bool = False,
    **changes: Any,
) -> str:  # fmt: skip
    """changes: fields of Results. numbers: metrics.json, else of the usual result."""
    results = replace(RESULTS, **changes)
    return report_page(results, numbers or metrics(), "2026-11-23T12:00:00.000Z", pictures or {}, viewer=viewer)


def test_the_page_tells_what_the_documents_hold() -> None:
    told = Reader(page()).text
    for words in (
        "lobby", "2026-11-23T12:00:00.000Z", "preset laptop", "backend cpu",
        "27.5 dB", "0.900", "2 of 3", "20,000", "1 min 02 s",
        "a.mp4", "720 x 1280, 4.0 s, h264", "120", "2 of 2", "b.mov", "0 of 1", "no frame of it could be placed",
        "c.mp4", "refused: c.mp4 has 3 frames. film longer",
        "one image left out", "budget ran out",
        "exhaustive + incremental: 2 of 3", "4,000 points", "0.61 px", "weakest joint", "at least 0.1", "passed",
        "The worst held-out pictures", "a/000030.png", "21.25",
        "level horizons + ground plane", "1.2 degrees: confidence high", "roll 1.5 degrees rms", "31% lie on it",
        "500 of 20,500 Gaussians", "transparent", "+0.012 dB", "would cost too much",
        "PLY", "4.96 MB", ".spz", "0.61 MB", "27.12 dB", "0.38 dB", "19,998",
        "iterations", "5000", "pycolmap", "4.2.1", "poses", "lobby-1",
    ):  # fmt: skip
        assert words in told, words


def test_a_gate_that_fails_is_said_to_fail() -> None:
    weak = replace(POSES, health=replace(POSES.health, bridge=0.05))
    assert "failed" not in Reader(page()).text
    assert "0.050 at least 0.1 failed" in Reader(page(poses=weak)).text


def test_the_curve_goes_through_every_measurement_from_left_to_right() -> None:
    (line,) = re.findall(r'<polyline class="curve" points="([^"]+)"', page())
    points = [tuple(map(float, point.split(","))) for point in line.split()]
    assert len(points) == len(HISTORY)
    assert points == sorted(points)
    heights = [y for _, y in points]
    assert heights == sorted(heights, reverse=True), "better is higher, and y grows downwards"


def test_without_measurements_the_page_says_so_and_draws_no_curve() -> None:
    """The mock, and scenes too small to hold pictures out."""
    nothing = metrics(psnr_heldout=None, ssim_heldout=None, psnr_train=None)
    empty = {
        **nothing,
        "history": [],
        "mock": True,
        "cleaning": None,
        "orientation": None,
        "exports": {},
        "warnings": [],
    }
    empty |= {"mean_track_length": None, "mean_reprojection_error_px": None}
    nan = float("nan")
    unmeasured = replace(POSES, health=type(POSES.health)(nan, nan, nan, nan, nan, nan))
    source = page(empty, poses=unmeasured)
    told = Reader(source).text
    assert "This is a mock" in told
    assert "not measured" in told
    assert "nan" not in told.lower()
    assert "<svg" not in source


def test_unknown_up_is_told_with_its_reason() -> None:
    unknown = Orientation("unknown", "", None, (), "the witnesses disagree by 31 degrees or more")
    told = Reader(page({**metrics(), "orientation": json_file.plain(unknown.to_json())})).text
    assert "Upright: unknown, so nothing was turned (the witnesses disagree by 31 degrees or more)." in told


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    """No address of anywhere, no script, no handler; and a policy that forbids them should one come in."""
    source = page(pictures={"poster.jpg": "data:image/jpeg;base64,AAAA"}, viewer=True)
    read = Reader(source)
    assert not re.search(r"https?:|//[a-z]|@import|url\(|javascript:", source)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(read.elements)
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert [value for name, value in read.attributes if name == "href"] == ["viewer.html"]
    assert all((value or "").startswith("data:image/jpeg;base64,") for name, value in read.attributes if name == "src")
    (policy,) = [value for name, value in read.attributes if name == "content" and "default-src" in (value or "")]
    assert (policy or "").startswith("default-src 'none'")
    assert read.open == [], "an element is left open"


def test_no_name_adds_an_element_or_an_attribute() -> None:
    """Scene, clips, refused clips, pictures, warnings: whatever they are called, they are text."""
    plain = Reader(page())
    shape = (plain.elements, [name for name, _ in plain.attributes])
    assert len(HOSTILE) > 90
    for hostile in HOSTILE:
        clips = (replace(FRAMES.clips[0], name=hostile), FRAMES.clips[1])
        frames = tuple(replace(one, video=hostile) if one.video == "a.mp4" else one for one in FRAMES.frames)
        refused = (RefusedClip(hostile, Failure("validation", "TOO_SHORT", hostile, hostile)),)
        numbers = metrics()
        numbers["warnings"] = [hostile, hostile]
        numbers["training"]["worst_views"][0]["image"] = hostile
        poses = replace(POSES, attempts=(hostile,), rung=hostile)
        seen = replace(FRAMES, clips=clips, frames=frames, refused=refused)
        read = Reader(page(numbers, name=hostile, frames=seen, poses=poses))
        assert (read.elements, [name for name, _ in read.attributes]) == shape, hostile
        assert read.open == [], hostile


def test_no_character_of_a_name_hides_or_turns_the_line_around() -> None:
    source = page(name="evil\u202egpj.4pm\x1b[2J\u200b")
    assert not [char for char in source if not char.isprintable() and char != "\n"]
    assert "evil\\u202egpj.4pm\\x1b[2J\\u200b" in Reader(source).text


def test_the_pictures_of_the_result_are_in_the_page(tmp_path: Path) -> None:
    Image.new("RGB", (2000, 500), (200, 30, 30)).save(tmp_path / "comparison_worst.png")
    Image.new("RGB", (40, 20), (30, 200, 30)).save(tmp_path / "poster.jpg")
    (tmp_path / "viewer.html").write_text("")
    written = write_report(tmp_path, RESULTS, metrics(), "2026-11-23T12:00:00.000Z")
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert written.size_bytes == (tmp_path / "report.html").stat().st_size
    embedded = [
        Image.open(io.BytesIO(base64.b64decode(data)))
        for data in re.findall(r"data:image/jpeg;base64,([^\"]+)", source)
    ]
    assert [picture.size for picture in embedded] == [(40, 20), (1280, 320)]
    red, green, _ = embedded[1].getpixel((600, 100))
    assert red > 150 > green
    assert "The worst held-out picture" in Reader(source).text
    assert "middling quality" not in Reader(source).text


@pytest.mark.parametrize("seconds", [{}, {"validation": 0.0}])
def test_a_run_without_times_has_a_page(seconds: dict[str, float]) -> None:
    assert "Time" in Reader(page({**metrics(), "stage_seconds": seconds})).text


def test_scores_with_the_exposure_aside_stand_beside_the_raw_ones() -> None:
    details = {**DETAILS, "psnr_train_exposure_corrected": 31.75}
    training = replace(TRAINING, details=details, psnr_heldout_corrected=29.25)
    told = json_file.plain(documents.metrics(RUN, replace(RESULTS, training=training, exports=EXPORTS)))
    words = " ".join(Reader(page(told)).words)
    assert "29.25" in words
    assert "31.75" in words


def test_whose_poses_were_used_is_said_beside_the_way_that_found_them() -> None:
    poses = replace(POSES, why="poses of an earlier run (preset laptop, 72 frames) are used")
    words = " ".join(Reader(page(poses=poses)).words)
    assert "(preset laptop, 72 frames) are used." in words
    assert "(preset" not in " ".join(Reader(page()).words)
