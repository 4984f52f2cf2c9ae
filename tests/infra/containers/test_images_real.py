"""The pieces of `make images-real` that need no engine: what it says without one, its override file, its table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from scripts.images_real import __main__ as program
from scripts.images_real import build, composed, steps, tools
from tests.infra.containers.images import docker_context


def test_without_an_engine_it_says_so_and_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    env = {"PATH": str(tmp_path / "bin"), "PYTHONPATH": str(tools.ROOT), "DOCKER_HOST": f"unix://{tmp_path}/none"}
    command = [sys.executable, "-m", "scripts.images_real", "--work", str(tmp_path / "work")]
    done = subprocess.run(command, cwd=tools.ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("images-real is left out: ")


@pytest.mark.parametrize(
    ("clients", "chosen"),
    [
        ({"new": "28.2.2", "old": "20.10.24+dfsg1"}, "old"),  # the first is without its plugin
        ({"new": "28.2.2 buildx", "old": "20.10.24"}, "new"),
        ({"new": "28.2.2"}, None),
        ({}, None),
    ],
)
def test_the_client_is_one_that_builds(
    clients: dict[str, str], chosen: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, version in clients.items():
        (tmp_path / name).mkdir()
        number, _, plugin = version.partition(" ")
        (tmp_path / name / "docker").write_text(
            f'#!/bin/sh\n[ "$1" != version ] || echo {number}\n[ "$1" = "{plugin}" ]\n'
        )
        (tmp_path / name / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join(str(tmp_path / name) for name in ("none", *clients)))
    if chosen:
        assert tools.client() == str(tmp_path / chosen / "docker")
    else:
        with pytest.raises(tools.NoEngine, match="docker-buildx"):
            tools.client()


def test_a_part_that_is_none_is_refused() -> None:
    command = [sys.executable, "-m", "scripts.images_real", "biuld"]
    done = subprocess.run(command, cwd=tools.ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "no such part: biuld" in done.stderr) == (2, True)


def test_another_exit_code_than_the_expected_one_is_a_failure_with_what_was_printed(tmp_path: Path) -> None:
    kept = steps.Steps(tmp_path / "rows.json", "part")
    assert kept.run(["sh", "-c", "echo out; echo err >&2; exit 3"], code=3) == "out\nerr\n"
    with pytest.raises(steps.Failed, match=r"exit code 3, not 0\nwhy"):
        kept.run(["sh", "-c", "echo why; exit 3"])


def test_a_part_that_is_run_again_replaces_its_rows_and_no_others(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    for part, seen in (("watch", "one"), ("build", "two"), ("watch", "three")):
        steps.Steps(file, part).row("what", seen, 61.4)
    assert [(row.part, row.seen) for row in steps.read(file)] == [("build", "two"), ("watch", "three")]
    assert program.table(steps.read(file)).splitlines()[-2:] == [
        "| build | what | two | 61 |", "| watch | what | three | 61 |",
    ]  # fmt: skip


def test_the_copied_context_is_what_the_builder_gets_of_this_repository(tmp_path: Path) -> None:
    copied = build.copy_of_context(tmp_path)
    sent = docker_context(copied)
    assert (copied / "runner/image/Dockerfile.cpu").is_file()
    assert sent("runner/paths.py")
    assert not (copied / ".venv").exists()
    assert not (copied / ".git").exists()


def test_the_index_of_one_package_serves_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "INDEX_PORT", 0)
    (tmp_path / "torch-2.0-py3-none-any.whl").write_bytes(b"wheel")
    (tmp_path / "other-1.0-py3-none-any.whl").write_bytes(b"no")
    with build.index(None) as given:
        assert given == {}
    with build.index(tmp_path) as given:
        (url,) = given.values()
        with urllib.request.urlopen(f"{url}/torch/") as answer:
            listing = answer.read().decode()
        assert "torch-2.0-py3-none-any.whl" in listing
        assert "other" not in listing


@pytest.mark.skipif(tools.found_compose() is None, reason="there is no Docker Compose 2 (make images-real gets it)")
@pytest.mark.parametrize("bridge", [True, False])
def test_compose_takes_the_override_and_the_rest_is_as_the_file_says(
    bridge: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tools.found_compose()
    assert command
    monkeypatch.setattr(os, "environ", {name: os.environ[name] for name in ("PATH", "HOME")})  # a plugin may lie there
    kept = steps.Steps(tmp_path / "rows.json", "part")
    project = composed.Composed(command, kept, tmp_path, bridge, {"DATA_DIR": str(tmp_path / "data")})
    services = json.loads(project("config", "--format", "json"))["services"]
    watch = services["watch-cpu"]
    assert "build" not in watch
    assert (watch["image"], watch["read_only"], watch["cap_drop"]) == (build.CPU, True, ["ALL"])
    assert watch["depends_on"].keys() == {"prepare-cpu"}
    assert watch.get("network_mode") == (None if bridge else "host")
    published = {port["published"] for port in watch.get("ports", ())}
    assert published == ({str(composed.HEALTH), str(composed.METRICS)} if bridge else set())
    assert services["prepare-cpu"]["network_mode"] == "none"
    assert services["azurite"]["image"] == build.AZURITE
