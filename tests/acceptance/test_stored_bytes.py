"""Uploads with false properties on the emulator, and a real runner: its memory, its attempts, what users find."""

from __future__ import annotations

import gzip
import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from scenejobs.ports import Containers, Queues
from scenejobs.settings.storage import StorageSettings
from scenejobs.state.record import Outcome
from tests.azurite_scene import ROOT, Scene, names
from tests.contract.strangers import put

pytestmark = [pytest.mark.azurite, pytest.mark.slow]
ADDRESS_SPACE = 4 << 30
PLAIN = b"\0\0\0\x18ftypmp42" + bytes(5000)


@pytest.fixture
def scene(storage: StorageSettings, containers: Containers, queues: Queues, tmp_path: Path) -> Scene:
    return Scene(storage, containers, queues, tmp_path)


def test_a_gzip_bomb_costs_its_scene_and_not_the_runner(scene: Scene) -> None:
    """3 MB that would be 3 GiB: it took 6 GiB where the credentials are, and with this limit lease and message too."""
    bomb = gzip.compress(bytes(64 << 20)) * 48
    put(scene.containers.input, "evil/a.mp4", bomb, content_encoding="gzip")
    put(scene.containers.input, "good/a.mp4", PLAIN, content_encoding="gzip")
    scene.queue("evil")
    scene.queue("good")

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))

    done = subprocess.run(
        [sys.executable, "-m", "runner"], cwd=ROOT, env=scene.env, capture_output=True, text=True, timeout=120,
        check=False, preexec_fn=limited,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert scene.queues.jobs.total() == 0
    good, evil = scene.record("good").ending, scene.record("evil").ending
    assert good is not None
    assert evil is not None
    assert (good.outcome, evil.outcome) == (Outcome.SUCCEEDED, Outcome.DEAD_LETTERED)
    reason = json.loads(scene.containers.error.read("evil/error.json")[0])
    assert (reason["code"], len(reason["attempts"])) == ("NOT_A_VIDEO", 1)
    assert "a.mp4" in reason["cause"]
    assert "packed (gzip)" in reason["cause"]
    assert "unpack it" in reason["advice"]
    assert scene.containers.error.read("evil/a.mp4")[0] == bomb
    assert scene.containers.processed.read("good/a.mp4")[0] == PLAIN


def test_a_false_md5_costs_one_attempt_and_says_so(scene: Scene) -> None:
    put(scene.containers.input, "lobby/a.mp4", PLAIN, content_md5="00" * 16)
    scene.queue()
    done = scene.run()
    assert done.returncode == 0, done.stderr
    reason = json.loads(scene.containers.error.read("lobby/error.json")[0])
    assert (reason["code"], len(reason["attempts"])) == ("WRONG_CHECKSUM", 1)
    assert "a.mp4" in reason["cause"]
    assert "Content-MD5" in reason["advice"]
    assert names(scene.containers.error) == ["lobby/a.mp4", "lobby/error.json", "lobby/run.log"]
    assert scene.queues.jobs.total() == 0


def test_of_several_the_one_with_the_false_md5_is_left_out_by_name(scene: Scene) -> None:
    put(scene.containers.input, "lobby/a.mp4", PLAIN, content_md5="00" * 16)
    put(scene.containers.input, "lobby/b.mp4", PLAIN + b"b")
    scene.queue()
    done = scene.run()
    assert done.returncode == 0, done.stderr
    manifest = json.loads(scene.containers.output.read("lobby/manifest.json")[0])
    assert [video["filename"] for video in manifest["videos"]] == ["b.mp4"]
    (refused,) = manifest["refused_videos"]
    assert (refused["filename"], refused["reason"]["code"]) == ("a.mp4", "WRONG_CHECKSUM")
    assert names(scene.containers.processed) == ["lobby/a.mp4", "lobby/b.mp4"]
