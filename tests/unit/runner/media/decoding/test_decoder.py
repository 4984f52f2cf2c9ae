"""Limits hold, and a decoder that lies, dies or is not closed in gains nothing."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from runner.context import StageContext
from runner.media.decoding.decoder import Sandboxed
from runner.media.decoding.requests import survey_message
from runner.media.extract import extract_frames, extract_with
from runner.media.selection.measures import ClipSurvey, FrameMeasures
from runner.media.settings import FrameSettings, Limits, SandboxSettings
from runner.pipeline import settings as pipeline_settings
from runner.sandbox import lockdown
from runner.scene.frames import Clip, ClipInfo
from runner.scene.progress import SILENT
from scenejobs.errors import Code, ConfigurationError, InputError
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.settings.reader import read
from tests.decoders import crashing_on
from tests.videos import pan, write_video

LIMITS = Limits(min_long_side=64, min_short_side=48)

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
    ("variable", "value", "numbers"),
    [
        ("MAX_VIDEO_BYTES", "10", r"\b10\b"),
        ("MAX_VIDEO_PIXELS", "1000", r"\b1,000\b"),
        ("MAX_VIDEO_DURATION", "1", r"\b1\b"),
    ],
)
def test_each_limit_is_a_setting_that_refuses(tmp_path: Path, variable: str, value: str, numbers: str) -> None:
    clips = [Clip(name, write_video(tmp_path / name, pan(12, 8, 160, 96), fps=8)) for name in ("a.mp4", "b.mp4")]
    env = {"MIN_VIDEO_WIDTH": "64", "MIN_VIDEO_HEIGHT": "48", variable: value}
    settings = replace(pipeline_settings.resolve(read(PipelineSettings, env), "job").preset.frames, long_side=120)
    with pytest.raises(InputError, match=numbers) as caught:
        extract_frames(clips, StageContext(tmp_path, SILENT), settings)
    assert caught.value.code == Code.TOO_LARGE


def test_of_too_many_clips_as_many_as_are_allowed_are_used(tmp_path: Path) -> None:
    clips = [Clip(name, write_video(tmp_path / name, pan(30, 8, 160, 96), fps=10)) for name in ("a.mp4", "b.mp4")]
    settings = FrameSettings(budget=20, long_side=120, limits=replace(LIMITS, max_clips=1))
    found = extract_frames(clips, StageContext(tmp_path, SILENT), settings)
    assert [info.name for info in found.clips] == ["a.mp4"]
    ((name, failure),) = [(each.name, each.failure) for each in found.refused]
    assert (name, failure.code) == ("b.mp4", Code.TOO_LARGE)
    assert "2 videos; 1 of them are used (MAX_VIDEOS_PER_SCENE)" in failure.cause


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
    frames = tuple(FrameMeasures(i, i / 10, 5.0, i / 100) for i in range(12))
    line = msgspec.json.encode({"result": survey_message([ClipSurvey(TRUE_INFO, frames)])}) + b"\n"
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
        assert all(layer in refusal.cause for layer in lockdown.MINIMUM)
    else:
        assert "videos are decoded behind" in caplog.text


def test_off_is_a_process_with_limits_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = Clip("a.mp4", write_video(tmp_path / "a.mp4", pan(12, 8, 160, 96), fps=8))
    settings = FrameSettings(limits=LIMITS, sandbox=SandboxSettings(mode="off"))
    assert len(Sandboxed(settings).survey(clip, lambda _a, _b: None)[0].measures) == 12
    assert "videos are decoded behind: limits" in caplog.text
    assert "seccomp" not in caplog.text
