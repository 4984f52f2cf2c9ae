"""What comes back from a decoder is believed only where it can be true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from runner.media.decoding.answers import clip_surveys, photo_surveys
from runner.media.decoding.requests import survey_message
from runner.media.photo.grouping import PhotoSurvey
from runner.media.selection.measures import FrameMeasures
from runner.media.settings import Limits
from runner.scene.frames import Clip
from scenejobs.errors import Code, InputError

LIMITS = Limits(min_long_side=64, min_short_side=48)
CLIP = Clip("cam1/view1.mp4", Path("view1.mp4"))

PART = {
    "width": 160, "height": 96, "fps": 10.0, "duration_s": 1.2, "codec": "h264", "rotation_deg": 90,
    "recorded_at": "2024-05-01T10:00:00+00:00", "camera_model": "Apple iPhone 15", "gps": [48.1, 11.5],
    "focal_px": 900.0, "warnings": ["a\nb"],
}  # fmt: skip
REST = [120.0, 0.0, 0.0, 1.0]  # brightness, changes, isotropy
FRAMES = [[i, i / 10, 5.0, i / 100, *REST] for i in range(12)]


def part(**changes: Any) -> dict[str, Any]:
    return {**PART, "frames": FRAMES, **changes}


def answer(**changes: Any) -> dict[str, Any]:
    return {"type": "VideoSurvey", "parts": [part(**changes)]}


def test_a_true_answer_is_taken_under_our_names() -> None:
    (found,) = clip_surveys(answer(), CLIP, LIMITS)
    assert (found.info.name, found.info.folder, found.info.frame_count) == ("cam1/view1.mp4", "", 12)
    assert found.info.warnings == ("a\\nb",)
    assert found.measures[3] == FrameMeasures(3, 0.3, 5.0, 0.03, *REST)


def test_a_survey_comes_through_the_pipe_as_it_was() -> None:
    (found,) = clip_surveys(answer(warnings=[]), CLIP, LIMITS)
    line = msgspec.json.encode(survey_message([found]))
    assert clip_surveys(msgspec.json.decode(line), CLIP, LIMITS) == [found]


@pytest.mark.parametrize(
    "lie",
    [
        None,
        [],
        "text",
        {},
        {"parts": [PART]},
        {**answer(), "type": "Done"},
        {**answer(), "more": 1},
        {"parts": []},
        {"parts": [part(), part()]},
        {"parts": [part(width=160 + i) for i in range(5)]},
        answer(duration_s=1e300),
        answer(focal_px=1e300),
        answer(focal_px=1.0),
        answer(projection="equirectangular"),
        answer(frames=[]),
        answer(frames=FRAMES[:9]),
        answer(frames=FRAMES[::-1]),
        answer(frames=[[0, 0.0, 1.0, 0.0, *REST]] * 12),
        answer(frames=[[i, i / 10, 5.0, -i, *REST] for i in range(12)]),
        answer(frames=[[i, float("nan"), 5.0, 0.0, *REST] for i in range(12)]),
        answer(frames=[[i, i / 10, float("inf"), 0.0, *REST] for i in range(12)]),
        answer(frames=[[i, i / 10] for i in range(12)]),
        answer(frames=[row[:7] for row in FRAMES]),
        answer(frames=[[*row, 0.0] for row in FRAMES]),
        answer(frames=[[*row[:4], 256.0, 0.0, 0.0, 1.0] for row in FRAMES]),
        answer(frames=[[*row[:4], 120.0, 2.5, 0.0, 1.0] for row in FRAMES]),
        answer(frames=[[*row[:4], 120.0, 0.0, -0.1, 1.0] for row in FRAMES]),
        answer(frames=[[*row[:4], 120.0, 0.0, 0.0, 1.5] for row in FRAMES]),
        answer(frames=[[True, *row[1:]] for row in FRAMES]),
        answer(frames=[[str(i), i / 10, 5.0, 0.0, *REST] for i in range(12)]),
        answer(frames=[[i, i * 10_000.0, 5.0, 0.0, *REST] for i in range(12)]),
        answer(frames=[[i, i / 1e6, 5.0, 0.0, *REST] for i in range(20_001)]),
        answer(width=0),
        answer(width=-5),
        answer(width=1 << 40),
        answer(width=1_000_000, height=1_000_000),
        answer(width=True),
        answer(width="160"),
        answer(fps=None),
        answer(codec="../h264"),
        answer(recorded_at="<script>"),
        answer(gps=[1]),
        answer(recorded_at="2024-99"),
        answer(focal_px=0),
        answer(gps=[float("nan"), 0.0]),
        answer(warnings=[{}]),
        answer(warnings=7),
        answer(warnings=["x" * 301]),
        answer(warnings=["x"] * 21),
        answer(codec="h264\n"),
        answer(codec="x" * 31),
        answer(recorded_at="2024-05-01\n"),
        answer(rotation_deg=45),
        answer(rotation_deg=360),
        answer(gps=[91.0, 0.0]),
        answer(gps=[0.0, 181.0]),
        answer(gps=[1.0, 2.0, 3.0]),
        answer(camera_model="x" * 301),
        answer(fps=float("inf")),
        answer(name="../../etc"),
        answer(folder="../../etc"),
    ],
)  # fmt: skip
def test_what_cannot_be_true_refuses_the_clip(lie: Any) -> None:
    with pytest.raises(InputError, match=r"cam1/view1\.mp4 gave what cannot be") as caught:
        clip_surveys(lie, CLIP, LIMITS)
    assert caught.value.code == Code.UNSAFE_VIDEO


TRUE = {
    "type": "PhotoSeen",
    "width": 160, "height": 96, "codec": "jpeg", "recorded_at": "2026-11-24T10:00:00", "camera_model": "A",
    "lens": None, "focal_px": 100.0, "gps": [48.0, 11.0], "altitude_m": 519.0, "sharpness": 5.0,
    "small": [[1, 2], [3, 4]], "warnings": [], "turned_deg": 90,
}  # fmt: skip


@pytest.mark.parametrize(
    "lie",
    [
        None, [], "text", {}, {"type": "Done"}, {"type": "Refused"}, {"type": "Refused", "error": None},
        {"type": "Refused", "error": '{"kind": "BrokenPipeError"}'},
        {key: value for key, value in TRUE.items() if key != "type"},
        *({**TRUE, **change} for change in (
            {"width": 0}, {"width": 1 << 20, "height": 1 << 20}, {"codec": "../x"}, {"recorded_at": "yesterday"},
            {"focal_px": float("nan")}, {"focal_px": 0}, {"gps": [1]}, {"gps": [91, 0]}, {"sharpness": -1},
            {"altitude_m": 1e6}, {"altitude_m": float("nan")}, {"altitude_m": "high"},
            {"small": [[256]]}, {"small": [[1], [1, 2]]}, {"small": []}, {"small": [[]]}, {"small": [[True]]},
            {"small": [[1.5]]}, {"small": [[1] * 1000]}, {"small": [[1]] * 1000}, {"small": "x"},
            {"warnings": [{}]}, {"warnings": ["x"] * 21}, {"lens": 7}, {"lens": "x" * 301}, {"codec": "jpeg\n"},
            {"turned_deg": 45}, {"turned_deg": 360}, {"more": 1},
        )),
    ],
)  # fmt: skip
def test_what_a_decoder_cannot_have_seen_refuses_the_photo(lie):
    clips = [Clip("a.jpg", Path("a.jpg")), Clip("b.jpg", Path("b.jpg"))]
    refused, good = photo_surveys([lie, TRUE], clips, LIMITS)
    assert isinstance(refused, InputError)
    assert refused.code == Code.UNSAFE_VIDEO
    assert isinstance(good, PhotoSurvey)


@pytest.mark.parametrize("lie", [None, {}, [], [TRUE], [TRUE] * 3])
def test_an_answer_for_another_number_of_photos_refuses_them_all(lie):
    with pytest.raises(InputError) as caught:
        photo_surveys(lie, [Clip("a.jpg", Path("a.jpg")), Clip("b.jpg", Path("b.jpg"))], LIMITS)
    assert caught.value.code == Code.UNSAFE_VIDEO
