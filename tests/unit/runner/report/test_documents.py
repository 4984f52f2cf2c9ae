"""The documents beside a result: complete, strict JSON, and true to the values they were made from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runner.report import documents
from runner.report.html import report_page
from runner.scene.cameras import CameraIntrinsics
from runner.scene.frames import Clip, Frame, FrameSet
from scenejobs.errors import ConfigurationError, Failure, UnusedFile
from tests.results import FRAMES, INTRINSICS, NOON, RESULTS, RUN, manifest, view, written


def test_the_manifest_follows_its_schema(tmp_path: Path) -> None:
    import jsonschema

    schema = json.loads(documents.SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(written(manifest(), tmp_path), schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda m: m.pop("outputs"),
        lambda m: m.update(surprise=1),
        lambda m: m.update(schema_version=2),
        lambda m: m["outputs"][0].update(sha256="abc"),
        lambda m: m["videos"][0].update(resolution="720 x 1280"),
        lambda m: m["camera_intrinsics"].update(fx=0),
        lambda m: m["camera_intrinsics"].update(skew=0),
        lambda m: m.update(processing_timestamp="2026-11-23T12:00:00+01:00"),
    ],
)
def test_the_schema_refuses_a_spoilt_manifest(tmp_path: Path, spoil) -> None:
    import jsonschema

    schema = json.loads(documents.SCHEMA_FILE.read_text(encoding="utf-8"))
    document = written(manifest(), tmp_path)
    spoil(document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema, jsonschema.Draft202012Validator)


def test_the_manifest_says_of_each_photo_its_file_time_and_place(tmp_path: Path) -> None:
    import jsonschema

    photo = Frame("p/000000.png", "photos", 0, 0.0, 9.0, "near/IMG_1.heic", "2026-11-24T10:00:00", (48.1, 11.5))
    clip = replace(FRAMES.clips[0], name="photos", folder="p", focal_px=3000.0)
    document = manifest(FrameSet((clip,), (photo,)), publish_geo=True)
    (hidden,) = manifest(FrameSet((clip,), (photo,)))["videos"]
    assert hidden["frames"][0]["gps"] is None
    schema = json.loads(documents.SCHEMA_FILE.read_text(encoding="utf-8"))
    jsonschema.validate(written(document, tmp_path), schema, jsonschema.Draft202012Validator)
    (video,) = document["videos"]
    assert video["focal_px_stated"] == 3000.0
    assert video["frames"] == [
        {
            "frame_number": 0, "timestamp_offset": 0.0, "filename": "p/000000.png", "photo": "near/IMG_1.heic",
            "recording_timestamp": "2026-11-24T10:00:00", "gps": {"latitude": 48.1, "longitude": 11.5},
        }
    ]  # fmt: skip


def test_the_manifest_names_videos_frames_and_refusals() -> None:
    assert [video["gps"] for video in manifest()["videos"]] == [None, None]
    document = manifest(publish_geo=True)
    first, second = document["videos"]
    assert first["resolution"] == "720x1280"
    assert (first["orientation"], second["orientation"]) == ("portrait", "landscape")
    assert first["gps"] == {"latitude": 48.1, "longitude": 11.6}
    assert second["gps"] is None
    assert [frame["frame_number"] for frame in first["frames"]] == [0, 30]
    assert second["frames"] == [{"frame_number": 0, "timestamp_offset": 0.0, "filename": "b/000000.png"}]
    assert document["refused_videos"][0]["reason"]["cause"] == "c.mp4 has 3 frames"
    assert document["processing_timestamp"] == "2026-11-23T12:00:00.000Z"


def test_the_camera_with_most_frames_stands_for_the_scene() -> None:
    expected = {"model": "OPENCV", "fx": 990.0, "fy": 991.0, "cx": 360.0, "cy": 640.0,
                "k1": 0.1, "k2": 0.2, "p1": 0.3, "p2": 0.4}  # fmt: skip
    assert manifest()["camera_intrinsics"] == expected
    assert [camera["video"] for camera in manifest()["cameras"]] == ["b.mov", "a.mp4"]


def test_one_focal_length_fills_both() -> None:
    camera = INTRINSICS[0]
    assert (camera.fx, camera.fy, camera.cx, camera.k1, camera.k2) == (1000.0, 1000.0, 640.0, 0.02, 0.0)


@pytest.mark.parametrize(("model", "params"), [("THIN_PRISM_FISHEYE", [1.0] * 12), ("PINHOLE", [1.0])])
def test_a_camera_these_numbers_cannot_hold_is_an_error(model: str, params: list[float]) -> None:
    with pytest.raises(ConfigurationError, match=model):
        CameraIntrinsics.from_colmap("a.mp4", model, 1, 1, params)


def test_metrics_hold_what_the_contract_names(tmp_path: Path) -> None:
    exports = {"ply": {"count": 20_000, "dropped": 0, "psnr_loss_db": 0.0}}
    document = written(documents.metrics(RUN, replace(RESULTS, exports=exports)), tmp_path)
    expected = {
        "psnr_heldout": 27.5, "ssim_heldout": 0.9, "psnr_train": 29.0, "n_gaussians": 20_000, "images_total": 3,
        "images_registered": 2, "mean_reprojection_error_px": 0.61, "stage_seconds": {"training": 61.5},
        "rung": "exhaustive + incremental", "attempts": ["exhaustive + incremental: 2 of 3"], "exports": exports,
        "warnings": ["one image left out", "budget ran out"], "preset": "laptop", "backend": "cpu", "mock": False,
        "seeds": {"poses": 0, "training": 0}, "versions": {"pycolmap": "4.2.1"},
        "history": [{"step": 2500, "psnr": 26.0}],
    }  # fmt: skip
    assert {key: document[key] for key in expected} == expected
    assert document["health"]["bridge"] == 0.3


def test_cameras_are_matrices_by_image(tmp_path: Path) -> None:
    views = (view("a/000000.png", "train"), view("a/000030.png", "test"))
    document = written(documents.cameras(replace(RESULTS, views=views)), tmp_path)
    assert [entry["split"] for entry in document] == ["train", "test"]
    assert document[0]["K"] == [[500.0, 0.0, 320.0], [0.0, 501.0, 240.0], [0.0, 0.0, 1.0]]
    assert document[0]["world_to_camera"] == np.eye(4).tolist()
    assert (document[0]["video"], document[0]["timestamp_s"], document[0]["width"]) == ("a.mp4", 0.5, 640)


def test_views_give_one_pinhole_camera_per_clip() -> None:
    clips = [Clip("a.mp4", Path("a.mp4")), Clip("unused.mp4", Path("unused.mp4"))]
    (camera,) = documents.intrinsics_of([view("a/000000.png", "train"), view("a/000030.png", "test")], clips)
    assert camera == CameraIntrinsics("a.mp4", "PINHOLE", 640, 480, 500.0, 501.0, 320.0, 240.0)


def test_an_error_keeps_stage_code_cause_and_advice(tmp_path: Path) -> None:
    failure = Failure("colmap_reconstruction", "NO_OVERLAP", "a.mp4 and b.mov share nothing", "film the way between")
    document = written(
        documents.error("lobby-1", failure, attempts=2, failed_at=NOON, inputs=["a.mp4", "b.mov"]), tmp_path
    )
    assert Failure.from_json(document) == failure
    assert (document["attempts"], document["log"]) == (2, None)
    assert [(each["name"], each["used"]) for each in document["inputs"]] == [("a.mp4", False), ("b.mov", False)]


def test_the_copy_of_a_film_that_is_left_out_for_a_larger_one_is_shown_by_that_one() -> None:
    frame = FRAMES.frames[0]
    name, views = frame.video, (view(frame.image, "train"),)
    unused = (UnusedFile("b copy.mp4", "the same bytes as b.mp4", "b.mp4"), UnusedFile("b.mp4", "it shows", name))
    shown = documents.clips_shown(replace(RESULTS, views=views, frames=replace(FRAMES, unused=unused)))
    assert {"b copy.mp4", "b.mp4", name} <= set(shown)


def test_a_clip_and_a_photo_of_which_nothing_was_placed_are_named_as_not_used() -> None:
    photos = tuple(
        Frame(f"p/{n:06d}.png", "photos", n, float(n), 9.0, f"IMG_{n}.jpg", "2026-11-24T10:00:00") for n in range(2)
    )
    unchosen = replace(FRAMES.clips[1], name="d.mp4", folder="d")
    both = (*FRAMES.clips, replace(FRAMES.clips[0], name="photos", folder="p"), unchosen)
    frames = replace(FRAMES, clips=both, frames=(*FRAMES.frames, *photos))
    poses = replace(RESULTS.poses, unregistered=("b/000000.png", "a/000000.png", "p/000001.png"))
    results = replace(RESULTS, frames=frames, poses=poses)
    document = documents.metrics(RUN, results)
    reasons = {each["name"]: each["reason"] for each in document["unused"]}
    assert set(reasons) == {"c.mp4", "b.mov", "IMG_1.jpg", "d.mp4"}, "a.mp4 has one frame that was placed"
    assert reasons["b.mov"] == "none of its frames (1 were chosen) could be placed beside the others"
    assert "could not be placed" in reasons["IMG_1.jpg"]
    assert "--frames" in reasons["d.mp4"]
    page = report_page(results, json.loads(json.dumps(document)), "2026-11-23T12:00:00.000Z", {})
    assert "IMG_1.jpg" in page
    assert "no frame of it was registered" in page


def test_a_part_of_a_clip_that_was_placed_is_enough() -> None:
    part = replace(FRAMES.clips[1], name="a.mp4 (1280x720)", source="a.mp4")
    frames = replace(FRAMES, clips=(FRAMES.clips[0], part), frames=(
        FRAMES.frames[0], replace(FRAMES.frames[2], video=part.name)
    ))  # fmt: skip
    document = documents.metrics(RUN, replace(RESULTS, frames=frames))
    assert [each["name"] for each in document["unused"]] == ["c.mp4"]
