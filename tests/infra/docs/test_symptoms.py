"""Symptoms of the older guide are quoted in docs/deployment.md as the programs print them: each is made here."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError

from runner.files.disk import require_space
from runner.poses.out_of_time import first_way_took_too_long
from runner.poses.settings import PoseSettings
from scenejobs.adapters.azure.errors import storage_error
from scenejobs.commands.blobfuse import fuse
from scenejobs.errors import Busy, Code, ResourceError, RunnerError
from scenejobs.state.incoming.sending import InProgress
from scenejobs.state.overview.waiting import Uploading, stalled_note
from tests.infra.scripts.scripted import ROOT

GUIDE = (ROOT / "docs/deployment.md").read_text()
SECTION = GUIDE[GUIDE.index("### Symptoms of the older guide") : GUIDE.index("### Codes")]


def because(symptom: str) -> str:
    (row,) = [line for line in SECTION.splitlines() if line.startswith("| ") and symptom in line.split("|")[1]]
    return row.split("|")[2]


def quoted(symptom: str) -> list[str]:
    return re.findall(r"`([^`]+)`", because(symptom))


def test_a_missing_helper_and_a_missing_device(tmp_path: Path) -> None:
    helper, device = fuse.doubts(str(tmp_path), user=10001, device=tmp_path / "fuse")
    for line, text in zip((helper, device), quoted("`fusermount: command not found`"), strict=False):
        assert line.startswith(text.removesuffix("/dev/fuse"))
    assert "--device /dev/fuse" in device
    assert fuse.doubts(str(tmp_path), user=0, device=Path(os.devnull)) == [], "root mounts without the helper"


def test_a_device_that_may_not_be_opened() -> None:
    def refused(path: Path, flags: int) -> int:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))

    (line,) = fuse.doubts(None, user=0, opening=refused)
    assert line.startswith(quoted("operation not permitted when mounting")[0])
    assert "--cap-add SYS_ADMIN" in line


def test_the_command_says_so_before_blobfuse_does_and_that_it_is_not_installed(tmp_path: Path) -> None:
    env = {
        "PATH": str(tmp_path),
        "AZURE_STORAGE_ACCOUNT": "shop",
        "AZURE_STORAGE_SAS_TOKEN": "sig=x",
        "TEMP_PATH": str(tmp_path),
    }
    mount = [sys.executable, "-m", "scenejobs", "blobfuse", "output", "--mount", str(tmp_path)]
    done = subprocess.run(mount, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (quoted("`fusermount: command not found`")[0] in done.stderr) == (os.getuid() != 0), done.stderr
    assert quoted("`blobfuse2: No such file or directory`")[0] in done.stderr
    assert done.returncode == 2


def test_an_image_on_another_processor() -> None:
    text = quoted("`blobfuse2: No such file or directory`")[1]
    assert text.replace("aarch64", "$(uname -m)") in (ROOT / "runner/image/Dockerfile.cpu").read_text()


def test_an_upload_whose_sender_gave_up() -> None:
    found = InProgress("lobby/a.mp4", 12_300_000, datetime(2026, 1, 1, tzinfo=UTC), listed=False)
    assert "lobby/a.mp4 stalled at 12.3 MB" in quoted("Slow blob upload/download")
    assert "lobby/a.mp4 stalled at 12.3 MB" in stalled_note(Uploading(stalled=(found,)))


def test_a_service_that_throttles() -> None:
    class Response:
        status_code, reason, headers = 503, "Server Busy", {"x-ms-error-code": "ServerBusy"}

        def text(self) -> str:
            return ""

    error = storage_error(HttpResponseError("ServerBusy: the server is busy", response=Response()), "reading input/a")
    assert isinstance(error, Busy)
    assert error.code == "STORAGE_FAILED"
    assert {"ServerBusy", "STORAGE_FAILED"} <= set(quoted("Concurrent operations throttled"))
    assert "ServerBusy" in str(error)


def test_poses_that_took_too_long() -> None:
    error = first_way_took_too_long(RunnerError("matching took longer than 900 s"), PoseSettings(budget_s=900))
    assert error.code == Code.POSES_TIMED_OUT
    text = quoted("COLMAP matching timeout")[0]
    assert str(error).startswith(text.removesuffix("..."))
    assert "raise POSES_BUDGET_SECS to 1800" in str(error)


def test_a_disk_that_is_too_small(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"GB of input x 2, .* in reserve") as caught:
        require_space(tmp_path, input_bytes=10**18, reserve_gb=1)
    assert caught.value.code in quoted("`No space left on device`")
    assert "with the sizes" in because("`No space left on device`")


def test_a_result_of_low_quality_is_quoted_as_status_tells_it() -> None:
    (text,) = [span for span in quoted("Reconstruction quality too low") if span.startswith("done, doubtful")]
    assert f"lobby: {text}" in (ROOT / "docs/operations.md").read_text(), "which tells it with its remedies"
