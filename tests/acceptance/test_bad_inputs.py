"""A hundred uploads that are broken, lie or attack: each gets its answer, and none reaches anything but its own folder.

The table is tests/bad_inputs.py; `python -m benchmarks.bad_inputs` measures time and memory of each.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.context import StageContext
from runner.job.request import Job
from runner.job.supervise import JobLimits, Supervision, run_job
from runner.media.extract import extract_frames
from runner.media.settings import FrameSettings
from runner.scene.frames import Clip
from runner.scene.progress import SILENT
from scenejobs.errors import Code, InputError
from scenejobs.settings.pipeline import PipelineSettings
from tests.bad_input_files import good
from tests.bad_inputs import ACCEPTED, ANYTHING, CASES, LIMITS, Case, write

SETTINGS = FrameSettings(budget=20, long_side=120, limits=LIMITS)


@pytest.fixture(scope="module")
def canary() -> Iterator[socket.socket]:
    """The server that playlists point to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture
def upload(tmp_path: Path, canary: socket.socket, request: pytest.FixtureRequest) -> Path:
    """The upload of the case, with a good video beside it that playlists point to."""
    (tmp_path / "neighbour.mp4").write_bytes(good())
    return write(request.param, tmp_path, canary.getsockname()[1])


def untouched(canary: socket.socket) -> bool:
    try:
        canary.accept()[0].close()
    except BlockingIOError:
        return True
    return False


@pytest.mark.parametrize("upload", CASES.values(), ids=CASES.keys(), indirect=True)
def test_every_upload_gets_its_answer(upload: Path, canary: socket.socket, tmp_path: Path) -> None:
    case: Case = CASES[upload.name]
    before = sorted(tmp_path.iterdir())
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    clip, refusal = Clip(f"cam1/{upload.name}", upload), None
    try:
        result = extract_frames([clip], StageContext(workspace, SILENT), SETTINGS)
    except InputError as error:
        refusal = error
    if refusal:
        assert case.expected in (refusal.code, ANYTHING), refusal
        assert case.says in refusal.cause
        assert clip.name in refusal.cause or refusal.code == Code.TOO_FEW_FRAMES
        assert refusal.advice
        assert list(workspace.rglob("*.png")) == []
    else:
        assert case.expected in (ACCEPTED, ANYTHING), result.clips
        (info,) = result.clips
        assert case.frames in (0, info.frame_count)
        assert case.size in ((0, 0), (info.width, info.height))
        assert case.says in " ".join(info.warnings)
        times = [frame.timestamp_s for frame in result.frames]
        assert times == sorted(set(times))
        pictures = {str(path.relative_to(workspace / "frames")) for path in (workspace / "frames").rglob("*.png")}
        assert pictures == {frame.image for frame in result.frames}
    assert untouched(canary), "a URL was opened"
    assert sorted(tmp_path.iterdir()) == sorted([*before, workspace]), "a file outside of the job's folder"
    assert {path.name for path in workspace.iterdir()} <= {"frames", "frames.json", "masks"}


THROUGH_THE_JOB = (
    "empty.mp4", "cut-50.mp4", "html.mp4", "zip.mp4", "sound-only.mp4", "bomb.mp4", "disguised-bomb.mp4",
    "lies-frame-size.mp4", "hls-url.mp4", "ffconcat-file.mp4", "unknown-codec.mp4", "one-frame.mp4", "black.mp4",
)  # fmt: skip


@pytest.mark.parametrize("upload", [CASES[name] for name in THROUGH_THE_JOB], ids=THROUGH_THE_JOB, indirect=True)
def test_the_answer_arrives_through_the_whole_job(upload: Path, canary: socket.socket, tmp_path: Path) -> None:
    """As the user meets it: runner, job process, decoder."""
    case: Case = CASES[upload.name]
    pipeline = PipelineSettings(backend="cpu", preset="smoke", min_long_side=64, min_short_side=48)
    clips = (Clip(upload.name, upload),)
    job = Job(clips, tmp_path / "workspace", tmp_path / "out", "lobby", "run-1", pipeline)
    log = tmp_path / "run.log"
    with pytest.raises(InputError) as caught:
        run_job(job, Supervision(log_file=log), JobLimits(deadline_s=300))
    assert (caught.value.code, caught.value.stage) == (case.expected, "frame_extraction")
    assert "videos are decoded behind: limits" in log.read_text()
    assert untouched(canary)


def test_there_are_sixty_kinds_and_more_with_one_known_answer() -> None:
    """The target of this project; random damage does not count."""
    assert sum(case.expected != ANYTHING for case in CASES.values()) >= 60
