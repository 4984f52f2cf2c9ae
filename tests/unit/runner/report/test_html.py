"""The report: everything metrics.json says, for people, on one page that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from runner.files import json_file
from runner.poses.gates import gate_results
from runner.postprocess.floaters import CleanReport, Step
from runner.postprocess.upright import Orientation, Witness
from runner.report import documents
from runner.report.html import (
    COMPARISONS,
    FORMATS,
    GATES,
    SCRIPT,
    Picture,
    report_page,
    write_report,
)  # fmt: skip
from runner.scene.frames import ClipInfo, Frame, FrameSet, RefusedClip
from scenejobs.errors import Failure, UnusedFile
from tests.hostile_names import NAMES
from tests.pages import Reader
from tests.results import FRAMES, POSES, RESULTS, RUN, TRAINING, view

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
    usual = {"history": HISTORY, "details": DETAILS, "cleaning": asdict(CLEANING), "orientation": UPRIGHT.to_json()}
    training = replace(TRAINING, **{**usual, **changes})
    plain: dict[str, Any] = json_file.plain(
        documents.metrics(RUN, replace(RESULTS, training=training, exports=EXPORTS))
    )
    return plain


def page(
    numbers: dict[str, Any] | None = None, pictures: dict[str, Picture] | None = None, *, viewer: bool = False,
    **changes: Any,
) -> str:  # fmt: skip
    """changes: fields of Results. numbers: metrics.json, else of the usual result."""
    results = replace(RESULTS, **changes)
    return report_page(results, numbers or metrics(), "2026-11-23T12:00:00.000Z", pictures or {}, viewer=viewer)


def test_the_page_shows_what_the_documents_hold() -> None:
    read = Reader(page())
    for value in (
        "lobby", "23 November 2026, 12:00 UTC", "laptop", "cpu", "27.5 dB", "0.900", "2 of 3", "20,000", "1 min 02 s",
        "one image left out", "budget ran out", "exhaustive + incremental: 2 of 3", "4,000", "0.61 px",
        "level horizons + ground plane", "1.2 degrees: confidence high", "500 of 20,500",
    ):  # fmt: skip
        assert value in read.text, value
    assert read.row("a.mp4").texts == ["a.mp4", "720 x 1280, 4.0 s, h264", "120", "2", "2 of 2"]
    assert "good" in read.row("a.mp4").classes
    assert read.row("c.mp4").texts[0].endswith("c.mp4 has 3 frames. Film longer")
    assert read.row("a/000030.png").texts[1:] == ["21.25", "0.710"]
    assert read.row("level horizons").texts[1] == "roll 1.5 degrees rms"
    assert read.row("ground plane").texts[1] == "31% lie on it"
    assert read.row("transparent").texts[1:3] == ["500", "+0.012 dB"]
    assert read.row("huge").texts[1:3] == ["0", "–"]
    assert read.row("huge").texts[3], "why nothing was removed"
    assert read.row(FORMATS["ply"][0]).texts[1:] == ["4.96 MB", "20,000", "27.50 dB", "0.00 dB"]
    assert read.row(FORMATS["spz"][0]).texts[1:] == ["0.61 MB", "19,998", "27.12 dB", "0.38 dB"]
    assert read.row("training images").texts[1] == "29.00"
    assert read.row("iterations").texts[1] == "5000"
    assert read.row("pycolmap").texts[1] == "4.2.1"
    assert read.row("job").texts[1] == "lobby-1"


def test_a_clip_of_which_no_frame_was_registered_stands_out() -> None:
    row = Reader(page()).row("b.mov")
    assert row.texts[-1] == "0 of 1"
    assert {"note", "bad"} <= row.classes
    assert len(row.texts[0]) > len("b.mov"), "and says so"


def test_photos_have_no_duration_and_many_files_of_one_reason_are_one_row() -> None:
    photos = ClipInfo("photos", "photos", 300, 4000, 3000, 1.0, 300.0, "jpeg", 0)
    taken = Frame("photos/000000.png", "photos", 0, 0.0, 9.0, photo="IMG_0.jpg")
    unused = (
        *(UnusedFile(f"IMG_{number}.jpg", "only 40 pictures were chosen") for number in range(1, 261)),
        UnusedFile("copy.jpg", "it shows the same as IMG_0.jpg"),
    )
    frames = replace(FRAMES, clips=(*FRAMES.clips, photos), frames=(*FRAMES.frames, taken), unused=unused)
    read = Reader(page(frames=frames))
    assert read.row("photos").texts[1] == "4000 x 3000, jpeg"
    many = "260 files: IMG_1.jpg, IMG_2.jpg, IMG_3.jpg and 257 more"
    assert read.text.count("only 40 pictures were chosen") == 1
    assert many in read.text
    assert "copy.jpg" in read.text


def test_a_scene_of_photos_names_them_and_speaks_of_no_film() -> None:
    """`photos/000004.png` is no file that anybody has."""
    images = {f"photos/{number:06d}.png": f"IMG_{number}.jpg" for number in range(4)}
    photos = ClipInfo("photos", "photos", 4, 4000, 3000, 1.0, 4.0, "jpeg", 0)
    taken = tuple(
        Frame(image, "photos", number, float(number), 9.0, photo=name)
        for number, (image, name) in enumerate(images.items())
    )
    views = tuple(replace(view(image, "train"), video="photos", timestamp_s=float(k)) for k, image in enumerate(images))
    worst = {"image": "photos/000002.png", "psnr": 12.25, "ssim": 0.5}
    scores = [{"image": image, "psnr": 12.25 if image == worst["image"] else 25.0} for image in images]
    exposure = {"compensated": True, "why": "they are better", "scene": {"nearest_pictures": ["photos/000003.png"]}}
    details = {**DETAILS, "worst_views": [worst], "heldout_views": scores, "gap_db": 9.0, "exposure": exposure}
    made = page(
        metrics(details=details), frames=FrameSet(clips=(photos,), frames=taken), views=views,
        poses=replace(POSES, unregistered=()),
    )  # fmt: skip
    read = Reader(made)
    assert read.row("IMG_2.jpg").texts[1:] == ["12.25", "0.500"]
    assert "nearest in exposure to IMG_3.jpg ." in read.text
    assert "What to photograph next" in read.text
    assert "What IMG_2.jpg shows (12.2 dB): more photos of it" in read.text
    assert "photos/0000" not in read.text
    assert "photos at 0:0" not in made
    assert not re.search(r"film (it|that|there)|stretches of time", read.text)


def test_a_gate_that_fails_is_marked() -> None:
    link = GATES["bridge"]
    assert Reader(page()).row(link).texts[1:3] == ["0.300", "at least 0.1"]
    assert "good" in Reader(page()).row(link).classes
    health = replace(POSES.health, bridge=0.05)
    weak = Reader(page(poses=replace(POSES, health=health, gates=gate_results(health))))
    assert weak.row(link).texts[1:3] == ["0.050", "at least 0.1"]
    assert "bad" in weak.row(link).classes
    assert [name for name in GATES.values() if "bad" in weak.row(name).classes] == [link]


def test_every_gate_has_a_name_for_people() -> None:
    assert [gate.name for gate in POSES.gates] == list(GATES)


def test_the_curve_goes_through_every_measurement_from_left_to_right() -> None:
    (line,) = re.findall(r'<polyline class="curve" points="([^"]+)"', page())
    points = [tuple(map(float, point.split(","))) for point in line.split()]
    assert len(points) == len(HISTORY)
    assert points == sorted(points)
    heights = [y for _, y in points]
    assert heights == sorted(heights, reverse=True), "better is higher, and y grows downwards"


def test_without_measurements_the_page_shows_dashes_and_draws_no_curve() -> None:
    """The mock, and scenes too small to hold images out."""
    nothing = metrics(psnr_heldout=None, ssim_heldout=None, psnr_train=None)
    without = ("cleaning", "orientation", "mean_track_length", "mean_reprojection_error_px")
    empty = {**nothing, "history": [], "mock": True, "exports": {}, "warnings": [], **dict.fromkeys(without)}
    nan = float("nan")
    health = type(POSES.health)(nan, nan, nan, nan, nan, nan)
    source = page(empty, poses=replace(POSES, health=health, gates=gate_results(health)))
    read = Reader(source)
    assert ("class", "mock") in read.attributes
    assert ("class", "mock") not in Reader(page()).attributes
    for name in GATES.values():
        assert read.row(name).texts[1] == "–"
        assert not {"good", "bad"} & read.row(name).classes
    assert "nan" not in read.text.lower()
    assert "<svg" not in source


def test_unknown_up_is_reported_with_its_reason() -> None:
    unknown = Orientation("unknown", "", None, (), "the witnesses disagree by 31 degrees or more")
    text = Reader(page({**metrics(), "orientation": json_file.plain(unknown.to_json())})).text
    assert "(the witnesses disagree by 31 degrees or more)" in text


SUPPLIED = {
    "used": True, "adjusted": True, "lens_adjusted": False, "moved_deg": 0.314, "moved_percent": 0.52,
    "pictures_matched": 3, "pictures_in_file": 4, "source": "transforms.json", "why": "", "advice": "",
}  # fmt: skip


def test_what_became_of_supplied_poses_is_reported() -> None:
    adjusted = Reader(page(poses=replace(POSES, supplied=SUPPLIED))).text
    assert "3 of 4" in adjusted
    assert "0.31 degrees or 0.5 %" in adjusted
    kept = Reader(page(poses=replace(POSES, supplied={**SUPPLIED, "adjusted": False}))).text
    assert "3 of 4" in kept
    assert "degrees or" not in kept
    reason = {"used": False, "why": "they contradict the frames", "advice": "leave them out"}
    refused = Reader(page(poses=replace(POSES, supplied={**SUPPLIED, **reason}))).text
    assert "transforms.json were not used: they contradict the frames. Leave them out." in refused


def test_what_was_resumed_and_reused_is_reported() -> None:
    numbers = metrics()
    numbers |= {"resumed": {"found": ["frames", "sparse"], "times": 2, "at_steps": [1200, 2400]}}
    numbers |= {"reused": {"poses": 3, "matches of pairs": 1200}}
    text = Reader(page(numbers)).text
    for value in ("frames, sparse", "1,200, 2,400.", "poses (3), matches of pairs (1,200)"):
        assert value in text
    nothing = {"found": [], "times": 1, "at_steps": []}
    assert "nothing; training continued at steps: none." in Reader(page({**metrics(), "resumed": nothing})).text


def test_the_page_loads_nothing_and_runs_nothing_but_its_own_script() -> None:
    """No address of anywhere, no handler; and a policy that forbids all but that script should one come in."""
    source = page(pictures={"poster.jpg": Picture("data:image/jpeg;base64,AAAA", 4, 3)}, viewer=True)
    read = Reader(source)
    assert re.findall(r"<script>(.*?)</script>", source, re.DOTALL) == [SCRIPT]
    assert read.elements.count("script") == 1
    source = source.replace(SCRIPT, "")
    assert not re.search(r"https?:|//[a-z]|@import|url\(|javascript:", source)
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(read.elements)
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    links = [value for name, value in read.attributes if name == "href"]
    documents_of_it = ["viewer.html", "viewer.html", "metrics.json", "cameras.json", "manifest.json"]
    assert links == [*documents_of_it, "lobby.ply", "lobby.spz"]
    assert all((value or "").startswith("data:image/jpeg;base64,") for name, value in read.attributes if name == "src")
    (policy,) = [value for name, value in read.attributes if name == "content" and "default-src" in (value or "")]
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert (policy or "").startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}';" in (policy or "")
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
    assert [picture.size for picture in embedded] == [(40, 20), (1000, 500), (1000, 500)]  # poster, filmed, drawn
    red, green, _ = embedded[1].getpixel((600, 100))
    assert red > 150 > green
    text = Reader(source).text
    assert [file for file, title in COMPARISONS.items() if f"{title}:" in text] == ["comparison_worst.png"]


@pytest.mark.parametrize("seconds", [{}, {"validation": 0.0}])
def test_a_run_without_times_has_a_page(seconds: dict[str, float]) -> None:
    assert "Time" in Reader(page({**metrics(), "stage_seconds": seconds})).text


def test_scores_with_the_exposure_aside_stand_beside_the_raw_ones() -> None:
    details = {**DETAILS, "psnr_train_exposure_corrected": 31.75}
    read = Reader(page(metrics(details=details, psnr_heldout_corrected=29.25)))
    assert read.row("held-out images").texts[1:3] == ["27.50", "29.25"]
    assert read.row("training images").texts[1:3] == ["29.00", "31.75"]


def test_a_score_with_refined_held_out_cameras_is_called_no_held_out_score() -> None:
    told = Reader(page(metrics(psnr_heldout_refined=28.125))).text
    assert "28.12 dB where the camera of each held-out image is first moved to fit that same image" in told
    assert "no held-out score" in told
    assert "no held-out score" not in Reader(page(metrics())).text


def test_how_far_cameras_were_moved_is_said() -> None:
    moved = {"cameras": 43, "moved_deg": 0.154, "moved_percent": 0.4}
    told = Reader(page(metrics(details={**DETAILS, "pose_refinement": moved}))).text
    assert "The cameras of 43 training images were refined while training" in told
    assert "half of them turned by more than 0.15 degrees, and half moved by more than 0.40 % of the path" in told
    assert "were refined" not in Reader(page()).text


def test_what_became_of_exposures_is_said_with_the_reason() -> None:
    scene = {"nearest_pictures": ["a/000001.png", "a/000007.png"]}
    corrected = {"compensated": True, "why": "pictures are better", "scene": scene}
    told = Reader(page(metrics(details={**DETAILS, "exposure": corrected}))).text
    assert (
        "are corrected: pictures are better. The scene is nearest in exposure to a/000001.png, a/000007.png ." in told
    )
    left = {"compensated": False, "why": "pictures from one place agree in their exposure", "scene": None}
    told = Reader(page(metrics(details={**DETAILS, "exposure": left}))).text
    assert "are left as they are: pictures from one place agree in their exposure." in told
    assert "nearest in exposure" not in told


def test_whose_poses_were_used_is_said_beside_the_method_that_found_them() -> None:
    poses = replace(POSES, why="poses of an earlier run (preset laptop, 72 frames) are used")
    assert "(preset laptop, 72 frames) are used." in Reader(page(poses=poses)).text
    assert "(preset" not in Reader(page()).text


def test_scale_place_and_cost_are_told_or_said_to_be_unknown() -> None:
    text = Reader(page()).text
    assert "Scale: unknown" in text
    assert "Place on Earth: not told here" in text
    scale = {
        "metres_per_unit": 2.5, "error_percent": 3.2, "from": "GPS of photos", "photos": 20, "photos_with_position": 24,
        "residual_m": 2.9, "reason": "",
        "origin": {"latitude": 48.137154, "longitude": 11.576124, "height_m": 519.3, "height_error_m": 1.2},
    }  # fmt: skip
    billed = {"profile": "T4", "vcpu": 8.0, "gib": 56.0, "gpu": True, "usd": None, "usd_by_stage": None}
    estimate = {
        "stages_s": {"training": {"low": 60.0, "high": 240.0}}, "total_s": {"low": 60.0, "high": 240.0},
        "took_s": {"training": 90.0}, "from": "headers", "scenes_learned_from": 7, "billed": billed,
    }  # fmt: skip
    look = {"step": 300, "since_last_upload_s": 200.0}
    numbers = metrics() | {"orientation": {**metrics()["orientation"], "scale": scale}, "estimate": estimate}
    text = Reader(page(numbers | {"first_look": look})).text
    for told in (
        "one unit of the scene is 2.500 m", "within 3.2 %", "20 of 24 positions agree", "48.13715, 11.57612",
        "519 m high within 1.2 m",
        "1.0 to 4.0 min",
        "1.5 GPU minutes", "7 finished scenes", "What a second costs is not known here",
        "3 min 20 s after the last upload",
    ):  # fmt: skip
        assert told in text, told
    del scale["origin"]["height_m"], scale["origin"]["height_error_m"]  # of a version that knew none
    assert "m high" not in Reader(page(numbers)).text
    billed |= {"usd": 1.25, "usd_by_stage": {"training": 1.25}}
    assert "1.25 USD" in Reader(page(numbers)).text
    estimate["took_s"]["again"] = 30.0  # of a scene that was doubtful
    again = Reader(page(numbers))
    assert again.row("made again").texts[1:3] == ["not expected", "30.0 s"]
    assert again.row("all together").texts[2] == "2 min 00 s"


def test_the_page_about_filming_is_linked_where_its_address_is_known() -> None:
    numbers = metrics() | {"warnings": ["dark"]}
    assert "docs/filming.md" in page(numbers)
    linked = report_page(
        RESULTS, numbers, "2026-11-23T12:00:00.000Z", {}, filming_page='https://a.example/film?"<b>'
    )  # fmt: skip
    assert "docs/filming.md" not in linked
    assert 'href="https://a.example/film?&#34;&lt;b&gt;"' in linked
