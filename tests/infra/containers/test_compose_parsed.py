"""compose.yaml as Compose itself reads it: every setting of `.env` and of the shell reaches the program.

Needs Docker Compose 2, as a plugin of `docker` or where `make images-real` puts it; no engine.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts.images_real import tools
from tests.infra.containers.test_compose import INSIDE, NOT_SETTINGS, OF_THE_MODE, PREPARING, ROOT, WATCHING

COMPOSE = tools.found_compose()
pytestmark = pytest.mark.skipif(COMPOSE is None, reason="there is no Docker Compose 2 (make images-real gets it)")


def parsed(tmp_path: Path, from_file: dict[str, str], from_shell: dict[str, str]) -> dict[str, Any]:
    """The services, of every profile."""
    assert COMPOSE
    file = tmp_path / "settings.env"
    file.write_text("".join(f"{name}={value}\n" for name, value in from_file.items()))
    command = [*COMPOSE, "--env-file", str(file), "--profile", "*", "config", "--format", "json"]
    env = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": os.environ["HOME"], **from_shell}  # a plugin may lie there
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    services: dict[str, Any] = json.loads(done.stdout)["services"]
    return services


def given(environment: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if value is not None}


def test_every_setting_of_the_mode_passes(tmp_path: Path) -> None:
    names = sorted(OF_THE_MODE - INSIDE)
    in_file = {name: f"from-the-file-{i}" for i, name in enumerate(names)}
    in_shell = {name: f"from-the-shell-{i}" for i, name in enumerate(names) if i % 2}
    services = parsed(tmp_path, in_file, in_shell)
    for service in (*WATCHING, *PREPARING):
        own = {"FORCE_CPU_BACKEND"} if service == "watch-cpu" else {"LOG_FORMAT"} if service in PREPARING else set()
        found = given(services[service]["environment"])
        assert {name: found.get(name) for name in names if name not in own} == {
            name: value for name, value in {**in_file, **in_shell}.items() if name not in own
        }


def test_without_any_the_program_gets_what_is_written_here_alone(tmp_path: Path) -> None:
    for service in WATCHING:
        found = given(parsed(tmp_path, {}, {})[service]["environment"])
        assert found.keys() - {"FORCE_CPU_BACKEND"} == INSIDE | {"MIN_DISK_SPACE_GB", "LOG_FORMAT"}


def test_the_variables_of_the_file_itself_change_what_they_say(tmp_path: Path) -> None:
    values = {
        "DATA_DIR": "/mnt/disk", "DATA_USER": "1000:1001", "IMAGE": "acr/gpu:1", "IMAGE_CPU": "acr/cpu:1",
        "CPU_LIMIT": "1.5",
        "HEALTH_PORT": "18080", "PROMETHEUS_PORT": "19090", "MEMORY_LIMIT": "12g", "MEMORY_RESERVATION": "3g",
    }  # fmt: skip
    assert values.keys() == NOT_SETTINGS
    services = parsed(tmp_path, values, {})
    for service, image in zip(WATCHING, ("acr/gpu:1", "acr/cpu:1"), strict=True):
        found = services[service]
        limits, reserved = (found["deploy"]["resources"][kind] for kind in ("limits", "reservations"))
        assert (found["image"], found["user"]) == (image, "1000:1001")
        assert (limits["cpus"], int(limits["memory"]), int(reserved["memory"])) == (1.5, 12 << 30, 3 << 30)
        assert {port["published"] for port in found["ports"]} == {"18080", "19090"}
        assert {port["host_ip"] for port in found["ports"]} == {"127.0.0.1"}
        assert found["volumes"][0]["source"] == "/mnt/disk"
    for service in PREPARING:
        assert services[service]["entrypoint"][-1] == "1000:1001"
