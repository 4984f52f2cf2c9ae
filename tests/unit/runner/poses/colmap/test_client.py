"""The client of the COLMAP process: every way it can end is a value or an error, and it never outlives the call."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.poses.colmap.client import rows_seen, run
from runner.poses.colmap.requests import ForgetMatches, Reused, Source, TakeOver
from runner.scene.progress import SILENT, Progress
from scenejobs.errors import Code, Interrupted, ResourceError, RunnerError

REQUEST = ForgetMatches(seed=0, database="database.db")
TAKE_OVER = TakeOver(
    seed=0, source=Source(database="a.db", images="frames", camera_model="SIMPLE_RADIAL"), passes=(), known="b.db",
    known_hashes={}, hashes={},
)  # fmt: skip


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
        run(REQUEST, tmp_path, SILENT, limit_s=30, command=child(code))
    assert caught.value.code == word


def test_the_childs_last_words_are_kept(tmp_path):
    code = "import sys, os; sys.stderr.write('Check failed: x > 0'); sys.stderr.flush(); os.abort()"
    with pytest.raises(RunnerError, match=r"SIGABRT.*Check failed: x > 0"):
        run(REQUEST, tmp_path, SILENT, limit_s=30, command=child(code))


def test_a_child_that_hangs_or_is_no_longer_wanted_is_killed_at_once(tmp_path):
    sleep = child("import time; time.sleep(60)")
    start = time.monotonic()
    with pytest.raises(RunnerError) as caught:
        run(REQUEST, tmp_path, SILENT, limit_s=0.3, command=sleep)
    assert caught.value.code == Code.JOB_TIMED_OUT
    stopped = Progress(emit=lambda _: None, stop_requested=lambda: True)
    with pytest.raises(Interrupted):
        run(REQUEST, tmp_path, stopped, limit_s=30, command=sleep)
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
            seen.append(rows_seen(database, "cameras"))
        assert colmap.stderr is not None
        assert colmap.returncode == 0, colmap.stderr.read()
    assert max(seen[:-1]) > 0, "nothing was read while COLMAP wrote"
    assert rows_seen(database, "cameras") == 300
    assert rows_seen(tmp_path / "missing.db", "cameras") == 0


def answering(data: bytes) -> tuple[str, ...]:
    """A process that ends well and leaves this answer, whatever it is asked."""
    return child(f"import json, sys; open(json.load(open(sys.argv[-1]))['result'], 'wb').write({data!r})")


@pytest.mark.parametrize(
    "data",
    [b'{"features": -1, "pairs": 2}', b'{"features": 1}', b'{"features": 1, "pairs": 2, "more": 3}', b"[" * 100_000,
     b'{"features": null, "pairs": 2}', b'{"features": 1e999, "pairs": 2}', b"\xff", b""],
    ids=["negative", "missing", "unknown", "deep", "not finite", "too large", "no text", "empty"],
)  # fmt: skip
def test_an_answer_that_cannot_be_is_an_error_of_ours(tmp_path, data):
    with pytest.raises(RunnerError) as caught:
        run(TAKE_OVER, tmp_path, SILENT, limit_s=30, command=answering(data))
    assert caught.value.code == Code.BUG


def test_an_answer_comes_back_in_its_type_and_progress_is_counted(tmp_path):
    seen = []
    code = (
        "import json, sys, time\n"
        "print('COLMAP says hello', flush=True); print('{\"placed\": 2}', flush=True)\n"
        "print('{\"placed\": -5}', flush=True); print('{\"placed\": 1}', flush=True)\n"
        "time.sleep(1)\n"
        "open(json.load(open(sys.argv[-1]))['result'], 'w').write('{\"features\": 3, \"pairs\": 4}')"
    )
    answer = run(TAKE_OVER, tmp_path, SILENT, limit_s=30, watch=seen.append, command=child(code))
    assert answer == Reused(features=3, pairs=4)
    assert max(seen) == 3


def test_no_credential_reaches_the_child(tmp_path, monkeypatch):
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "canary")
    code = (
        "import json, os, sys; order = json.load(open(sys.argv[-1]));"
        f"json.dump(dict(os.environ), open({str(tmp_path / 'environment.json')!r}, 'w'));"
        "open(order['result'], 'w').write('{}')"
    )
    run(REQUEST, tmp_path, SILENT, limit_s=30, command=child(code))
    assert "canary" not in json.loads((tmp_path / "environment.json").read_text()).values()


def test_the_child_ends_when_its_parent_dies():
    """The parent's death closes the pipe to the child, whatever the parent died of."""
    code = (
        "import threading, time; from runner.poses.colmap import process;"
        "threading.Thread(target=process._end_with_parent, daemon=True).start();"
        "print('up', flush=True); time.sleep(60)"
    )
    root = Path(__file__).resolve().parents[5]
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
