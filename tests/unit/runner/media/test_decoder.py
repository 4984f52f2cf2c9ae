"""What comes back from a decoder is believed only where it can be true, and limits hold. Decoders here lie."""

from __future__ import annotations

import json
import os
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from runner.context import StageContext
from runner.media import png_check
from runner.media.decoder import Sandboxed
from runner.media.decoder_answers import clip_surveys
from runner.media.decoder_requests import survey_message
from runner.media.extract import extract_frames, extract_with
from runner.media.measures import FrameMeasures
from runner.media.settings import FrameSettings, Limits, SandboxSettings
from runner.pipeline import settings as pipeline_settings
from runner.scene.frames import Clip, ClipInfo
from runner.scene.progress import SILENT
from scenejobs.errors import Code, ConfigurationError, InputError
from scenejobs.settings.groups import PipelineSettings
from scenejobs.settings.reader import read
from tests.decoders import crashing_on
from tests.videos import pan, write_video

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
        answer(frames=[[i, i * 1000.0, 5.0, 0.0, *REST] for i in range(12)]),
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


# ---- pictures -------------------------------------------------------------------------------------------------------


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (16, 9), **options: Any) -> Path:
    Image.new(mode, size).save(path, "PNG", **options)
    return path


def test_our_own_pictures_pass(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png", compress_level=1, compress_type=3)  # many IDAT chunks
    assert png_check.problem(tmp_path / "a.png", 400, 300, 1 << 20) == ""


def test_anything_else_is_named(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("a", "b")
    good = picture(tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(good[:-5])
    (tmp_path / "damaged.png").write_bytes(good[:45] + bytes([good[45] ^ 1]) + good[46:])
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "empty.png").touch()
    (tmp_path / "more.png").write_bytes(good + b"\0\0\0\0tail" + zlib.crc32(b"tail").to_bytes(4, "big"))
    (tmp_path / "long.png").write_bytes(good[:8] + b"\xff\xff\xff\xffIHDR" + good[16:])
    os.symlink(tmp_path / "good.png", tmp_path / "link.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    picture(tmp_path / "twice.png")
    os.link(tmp_path / "twice.png", tmp_path / "again.png")
    cases = {
        "cut": "cut off", "damaged": "damaged chunk", "text": "no PNG", "empty": "no PNG", "more": "more or less",
        "long": "cut off", "link": "cannot be opened", "pipe": "no plain file", "folder": "no plain file",
        "twice": "no plain file", "missing": "cannot be opened",
    }  # fmt: skip
    for name, complaint in cases.items():
        assert complaint in png_check.problem(tmp_path / f"{name}.png", 16, 9, 1 << 20), name
    for name, options in {
        "grey": {"mode": "L"}, "alpha": {"mode": "RGBA"}, "palette": {"mode": "P"}, "size": {"size": (9, 16)},
        "comment": {"pnginfo": text}, "profile": {"icc_profile": b"x" * 200}, "exif": {"exif": b"Exif\0\0x"},
    }.items():  # fmt: skip
        assert png_check.problem(picture(tmp_path / f"{name}.png", **options), 16, 9, 1 << 20) != "", name
    assert "bytes" in png_check.problem(tmp_path / "good.png", 16, 9, 10)


LIAR = """
import json, os, sys
request = json.load(sys.stdin)
pipe = int(sys.argv[1])
os.write(pipe, b'{"layers": []}\\n')
{attack}
os.write(pipe, b'{"result": {}}\\n')
"""
TRUE_INFO = ClipInfo("a", "a", 12, 160, 96, 10.0, 1.2, "h264", 0)


@pytest.mark.parametrize(
    "attack",
    [
        "",
        "open('000003.png', 'w').write('no picture')",
        "os.symlink('/etc/passwd', '000003.png')",
        "os.mkfifo('000003.png')",
        "os.mkdir('000003.png')",
    ],
)
def test_a_liar_puts_nothing_among_the_frames(tmp_path: Path, attack: str) -> None:
    """A decoder that is not even closed in: files that are no pictures of the right size go nowhere."""
    clip = Clip("view1.mp4", write_video(tmp_path / "a.mp4", pan(3, 8, 160, 96)))
    settings = FrameSettings(limits=LIMITS, sandbox=SandboxSettings(mode="off"))
    decoder = Sandboxed(settings, (sys.executable, "-c", LIAR.replace("{attack}", attack)))
    with pytest.raises(InputError) as caught:
        decoder.write(
            clip, TRUE_INFO, [FrameMeasures(3, 0.3, 1.0, 0.0)], tmp_path / "frames" / "a", lambda _a, _b: None
        )
    assert caught.value.code == Code.UNSAFE_VIDEO
    assert list((tmp_path / "frames").rglob("*.png")) == []
    assert not list((tmp_path / "frames").glob(".decoder*")), "its folder was left behind"


def test_the_words_of_a_liar_are_short_and_on_one_line(tmp_path: Path) -> None:
    clip = Clip("view1.mp4", write_video(tmp_path / "a.mp4", pan(3, 8, 160, 96)))
    failure = json.dumps({"failure": {"kind": "InputError", "code": "TOO_SMALL", "cause": "a\x1b[2J\n" * 1000}})
    program = LIAR.replace("{attack}", f"os.write(pipe, {failure.encode()!r} + b'\\n')")
    decoder = Sandboxed(FrameSettings(sandbox=SandboxSettings(mode="off")), (sys.executable, "-c", program))
    with pytest.raises(InputError) as caught:
        decoder.survey(clip, lambda _a, _b: None)
    assert len(caught.value.cause) <= 600
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


# ---- limits are settings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("MAX_VIDEO_BYTES", "10", "10 are allowed"),
        ("MAX_VIDEO_PIXELS", "1000", "1,000 are allowed"),
        ("MAX_VIDEO_DURATION", "1", "1 are allowed"),
        ("MAX_DECODED_FRAMES", "11", "longer than 11 frames"),
        ("MAX_VIDEOS_PER_SCENE", "1", "2 videos; 1 are allowed"),
    ],
)
def test_each_limit_is_a_setting_that_refuses(tmp_path: Path, variable: str, value: str, message: str) -> None:
    clips = [Clip(name, write_video(tmp_path / name, pan(12, 8, 160, 96), fps=8)) for name in ("a.mp4", "b.mp4")]
    env = {"MIN_VIDEO_WIDTH": "64", "MIN_VIDEO_HEIGHT": "48", variable: value}
    settings = replace(pipeline_settings.resolve(read(PipelineSettings, env), "job").preset.frames, long_side=120)
    with pytest.raises(InputError, match=message) as caught:
        extract_frames(clips, StageContext(tmp_path, SILENT), settings)
    assert caught.value.code == Code.TOO_LARGE


def test_the_clip_that_is_just_inside_the_limits_is_taken(tmp_path: Path) -> None:
    """The same clip and limits that fit exactly: the tests above fail for the limit and nothing else."""
    clip = Clip("a.mp4", write_video(tmp_path / "a.mp4", pan(12, 8, 160, 96), fps=8))
    size = clip.path.stat().st_size
    env = {
        "MIN_VIDEO_WIDTH": "64", "MIN_VIDEO_HEIGHT": "48", "MAX_VIDEO_BYTES": str(size), "MAX_VIDEO_PIXELS": "15360",
        "MAX_VIDEO_DURATION": "1.5", "MAX_DECODED_FRAMES": "12", "MAX_VIDEOS_PER_SCENE": "1",
    }  # fmt: skip
    settings = pipeline_settings.resolve(read(PipelineSettings, env), "job").preset.frames
    assert len(extract_frames([clip], StageContext(tmp_path, SILENT), settings).frames) == 12


def test_too_little_memory_refuses_the_video_wherever_it_runs_out(tmp_path: Path) -> None:
    """From too little for the first picture to almost enough: never a bug, never a failure that would be retried."""
    clip = Clip("a.mp4", write_video(tmp_path / "a.mp4", [np.zeros((2160, 3840, 3), np.uint8)] * 2))
    for megabytes in range(260, 330, 10):
        settings = FrameSettings(sandbox=SandboxSettings(memory_bytes=megabytes << 20))
        with pytest.raises(InputError) as caught:
            Sandboxed(settings).survey(clip, lambda _a, _b: None)
        assert caught.value.code in (Code.TOO_LARGE, Code.CORRUPT_VIDEO, Code.UNSAFE_VIDEO, Code.TOO_SHORT), megabytes


def test_a_portrait_video_at_the_limit_of_pixels_decodes(tmp_path: Path) -> None:
    """FFmpeg rounds the width of its buffers up to 64: 96x160 takes as many as 128x160."""
    path = write_video(tmp_path / "a.mp4", pan(12, 8, 96, 160), fps=8)
    limits = replace(LIMITS, max_pixels=96 * 160)
    assert len(Sandboxed(FrameSettings(limits=limits)).survey(Clip("a", path), lambda _a, _b: None)[0].measures) == 12


# ---- one bad clip, and a sandbox that is not closed -----------------------------------------------------------------


def test_a_clip_that_kills_its_decoder_is_left_out_and_the_scene_goes_on(tmp_path: Path) -> None:
    clips = [Clip(name, write_video(tmp_path / name, pan(30, 8, 160, 96), fps=10)) for name in ("bad.mp4", "good.mp4")]
    settings = FrameSettings(budget=20, long_side=120, limits=LIMITS)
    found = extract_with(Sandboxed(settings, crashing_on("bad.mp4")), clips, StageContext(tmp_path, SILENT), settings)
    assert [clip.name for clip in found.clips] == ["good.mp4"]
    (refused,) = found.refused
    assert (refused.name, refused.failure.code) == ("bad.mp4", Code.UNSAFE_VIDEO)
    assert "SIGABRT" in refused.failure.cause
    assert {frame.video for frame in found.frames} == {"good.mp4"}


@pytest.mark.parametrize(("mode", "refuses"), [("require", True), ("auto", False), ("off", False)])
def test_a_decoder_that_is_not_closed_in_is_used_only_where_that_was_allowed(
    tmp_path: Path, mode: str, refuses: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The decoder here says that it has no layer at all, and would answer."""
    clip = Clip("view1.mp4", write_video(tmp_path / "a.mp4", pan(3, 8, 160, 96)))
    line = json.dumps({"result": answer()}).encode() + b"\n"
    answers = LIAR.replace("{attack}", f"os.write(pipe, {line!r})")
    settings = FrameSettings(limits=LIMITS, sandbox=SandboxSettings(mode=mode))
    decoder = Sandboxed(settings, (sys.executable, "-c", answers))
    refusal = None
    try:
        decoder.survey(clip, lambda _a, _b: None)
    except ConfigurationError as error:
        refusal = error
    assert bool(refusal) is refuses
    if refusal:
        assert refusal.code == Code.NO_SANDBOX
        assert "lacks limits, no new privileges, landlock, seccomp" in refusal.cause
    else:
        assert "videos are decoded behind" in caplog.text


def test_off_is_a_process_with_limits_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = Clip("a.mp4", write_video(tmp_path / "a.mp4", pan(12, 8, 160, 96), fps=8))
    settings = FrameSettings(limits=LIMITS, sandbox=SandboxSettings(mode="off"))
    assert len(Sandboxed(settings).survey(clip, lambda _a, _b: None)[0].measures) == 12
    assert "videos are decoded behind: limits" in caplog.text
    assert "seccomp" not in caplog.text
