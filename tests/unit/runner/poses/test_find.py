"""Camera poses: right ones for a known room, a clear refusal for a hopeless one, and no way to take the job down."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap
import pytest

from runner.poses.colmap import client as colmap_client
from runner.poses.find import find_poses
from runner.poses.settings import PoseSettings
from runner.scene.progress import SILENT, Progress
from scenejobs.errors import Code, InputError, Interrupted, ResourceError, RunnerError
from tests.synthetic import FOCAL, WIDTH, pose_errors, render, walk, write_frames

SETTINGS = PoseSettings(features=600, max_image_size=320, threads=1, min_points=200)


def errors_of(workspace: Path, poses) -> tuple[np.ndarray, np.ndarray, float]:
    """Position and pairwise rotation errors against the true poses, and the focal length in px."""
    model = pycolmap.Reconstruction(str(workspace / "sparse"))
    images = sorted(model.images.values(), key=lambda image: image.name)
    found = np.array([image.projection_center() for image in images])
    rotations = np.array([image.cam_from_world().rotation.matrix() for image in images])
    true = np.array([position for position, _ in poses])
    positions, angles = pose_errors(found, rotations, true, np.array([rotation for _, rotation in poses]))
    return positions, angles, next(iter(model.cameras.values())).mean_focal_length()


@pytest.mark.slow
@pytest.mark.parametrize("exhaustive_up_to", [150, 8])
def test_a_known_room_gets_its_poses_back(tmp_path, exhaustive_up_to):
    """By all pairs, and by neighbours with loops and thinned pairs when there are too many frames for that: positions
    within 1 % of the path's size (worst 2 %; a wrong model is off by 20 and more), rotations within 0.3 degrees, focal
    length within 2 %. The same call again does nothing."""
    poses = walk(12)
    frames = write_frames(tmp_path, {"a": [render(*pose) for pose in poses]})
    reports = []
    settings = replace(SETTINGS, exhaustive_up_to=exhaustive_up_to)
    report = find_poses(frames, tmp_path, settings, Progress(emit=reports.append))
    assert report.images_registered == 12
    assert report.unregistered == ()
    assert len(report.attempts) == 1
    assert report.rung.startswith("exhaustive" if exhaustive_up_to == 150 else "sequential")
    positions, angles, focal = errors_of(tmp_path, poses)
    assert np.median(positions) < 0.01
    assert positions.max() < 0.02
    assert np.median(angles) < 0.3
    assert focal == pytest.approx(FOCAL, rel=0.02)
    assert report.health.focal_ratio == pytest.approx(focal / WIDTH)
    fractions = [step.fraction for step in reports]
    assert fractions == sorted(fractions)
    assert not (tmp_path / "sfm").exists()
    assert find_poses(frames, tmp_path, settings, SILENT) == report


@pytest.mark.slow
def test_one_thread_gives_the_same_poses_to_the_last_bit(tmp_path):
    """With more threads the sums of a bundle adjustment are added in another order: the last digits may differ."""
    pictures = [render(*pose) for pose in walk(10)]
    reports = []
    for folder in ("one", "two"):
        frames = write_frames(tmp_path / folder, {"a": pictures})
        reports.append(find_poses(frames, tmp_path / folder, SETTINGS, SILENT))
    assert reports[0] == reports[1]


@pytest.mark.slow
def test_a_clip_from_another_place_is_left_out_with_a_warning(tmp_path):
    room = [render(*pose) for pose in walk(10)]
    elsewhere = [render(*pose, seed=7) for pose in walk(4)]
    frames = write_frames(tmp_path, {"room": room, "elsewhere": elsewhere})
    report = find_poses(frames, tmp_path, SETTINGS, SILENT)
    assert report.images_registered == 10
    assert all(name.startswith("elsewhere/") for name in report.unregistered)
    assert "elsewhere.mp4" in report.warnings[0]
    assert report.joined == ("room.mp4",)
    assert report.left_out == ("elsewhere.mp4 0.0-0.6 s (4 frames)",)


@pytest.mark.slow
def test_frames_without_features_are_refused_before_any_is_matched(tmp_path):
    """By clip and time, and with nothing left that looks like a result."""
    frames = write_frames(tmp_path, {"a": [np.full((240, 320, 3), 90 + i, np.uint8) for i in range(12)]})
    with pytest.raises(InputError) as caught:
        find_poses(frames, tmp_path, SETTINGS, SILENT)
    assert caught.value.code == Code.NO_DETAIL
    assert "12 of 12 frames" in caught.value.cause
    assert "a.mp4 0.0-2.2 s" in caught.value.cause
    assert not (tmp_path / "sparse.json").exists()


def child(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


@pytest.mark.parametrize(
    ("code", "error", "word"),
    [
        ("import os; os.abort()", RunnerError, Code.JOB_CRASHED),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", RunnerError, Code.JOB_CRASHED),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", ResourceError, Code.OUT_OF_MEMORY),
        ("raise MemoryError", ResourceError, Code.OUT_OF_MEMORY),
        ("raise OSError(28, 'No space left on device')", ResourceError, Code.DISK_FULL),
        ("raise SystemExit('told you so')", RunnerError, Code.BUG),
        ("pass", RunnerError, Code.BUG),  # ended well, but wrote no result
    ],
)
def test_every_death_of_the_child_is_an_error_of_ours(tmp_path, code, error, word):
    with pytest.raises(error) as caught:
        colmap_client.run({"action": "map"}, tmp_path, SILENT, limit_s=30, command=child(code))
    assert caught.value.code == word


def test_the_childs_last_words_are_kept(tmp_path):
    code = "import sys, os; sys.stderr.write('Check failed: x > 0'); sys.stderr.flush(); os.abort()"
    with pytest.raises(RunnerError, match=r"SIGABRT.*Check failed: x > 0"):
        colmap_client.run({"action": "map"}, tmp_path, SILENT, limit_s=30, command=child(code))


def test_a_child_that_hangs_or_is_no_longer_wanted_is_killed_at_once(tmp_path):
    sleep = child("import time; time.sleep(60)")
    start = time.monotonic()
    with pytest.raises(RunnerError) as caught:
        colmap_client.run({"action": "map"}, tmp_path, SILENT, limit_s=0.3, command=sleep)
    assert caught.value.code == Code.JOB_TIMED_OUT
    stopped = Progress(emit=lambda _: None, stop_requested=lambda: True)
    with pytest.raises(Interrupted):
        colmap_client.run({"action": "map"}, tmp_path, stopped, limit_s=30, command=sleep)
    assert time.monotonic() - start < 20


def test_looking_how_far_colmap_is_never_keeps_it_from_its_database(tmp_path):
    """COLMAP waits for no lock: with a reader that takes one, a hundred openings end in "database is locked"."""
    database = tmp_path / "database.db"
    code = (
        "import sys, pycolmap; pycolmap.logging.minloglevel = 3\n"
        "camera = pycolmap.Camera.create_from_model_name(1, 'PINHOLE', 100.0, 64, 48)\n"
        "for _ in range(300):\n"
        "    with pycolmap.Database.open(sys.argv[1]) as database:\n"
        "        database.write_camera(camera)"
    )
    seen = [0]
    with subprocess.Popen([*child(code), str(database)], stderr=subprocess.PIPE, text=True) as colmap:
        while colmap.poll() is None:
            seen.append(colmap_client.rows_seen(database, "cameras"))
        assert colmap.stderr is not None
        assert colmap.returncode == 0, colmap.stderr.read()
    assert max(seen[:-1]) > 0, "nothing was read while COLMAP wrote"
    assert colmap_client.rows_seen(database, "cameras") == 300
    assert colmap_client.rows_seen(tmp_path / "missing.db", "cameras") == 0


def test_no_credential_reaches_the_child(tmp_path, monkeypatch):
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "canary")
    code = (
        "import json, os, sys; request = json.load(open(sys.argv[1]));"
        "file = open(request['result'], 'w'); json.dump(dict(os.environ), file); file.close()"
    )
    environment = colmap_client.run({"action": "map"}, tmp_path, SILENT, limit_s=30, command=child(code))
    assert "canary" not in environment.values()


def test_the_child_ends_when_its_parent_dies():
    """The parent's death closes the pipe to the child, whatever the parent died of."""
    code = (
        "import threading, time; from runner.poses.colmap import process;"
        "threading.Thread(target=process._end_with_parent, daemon=True).start();"
        "print('up', flush=True); time.sleep(60)"
    )
    root = Path(__file__).resolve().parents[4]
    with subprocess.Popen([*child(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as orphan:
        assert orphan.stdout is not None
        assert orphan.stdin is not None
        assert orphan.stdout.readline() == b"up\n"
        orphan.stdin.close()
        try:
            assert orphan.wait(20) == 75
        finally:
            if orphan.poll() is None:
                orphan.send_signal(signal.SIGKILL)
