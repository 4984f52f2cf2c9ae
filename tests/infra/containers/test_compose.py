"""compose.yaml: only settings that the code reads, nobody's root, and a health check that the code answers."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from local.azurite import ACCOUNT, KEY
from scenejobs.adapters.azure.credentials import access
from scenejobs.settings import groups
from scenejobs.settings.groups import WatchSettings
from scenejobs.settings.reader import read
from scenejobs.settings.storage import StorageSettings
from tests.deployment import KEPT, KNOWN, ROOT, USER, braces, check_environment, with_defaults
from watch import settings as watch_settings

TEXT = (ROOT / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(with_defaults(TEXT))
SERVICES: dict[str, Any] = COMPOSE["services"]
WATCHING = ["watch", "watch-cpu"]
PREPARING = ["prepare", "prepare-cpu"]
OURS = [*WATCHING, "cloud"]
NOT_SETTINGS = {  # of compose.yaml itself
    "DATA_DIR", "DATA_USER", "IMAGE", "IMAGE_CPU", "HEALTH_PORT", "PROMETHEUS_PORT", "CPU_LIMIT", "MEMORY_LIMIT",
    "MEMORY_RESERVATION",
}  # fmt: skip
INSIDE = {"RUN_MODE", "DATA_PATH", "TEMP_PATH", "LISTEN_ADDRESS", "HEALTH_CHECK_PORT", "METRICS_PORT"}
OF_THE_MODE = {
    row.variable for row in groups.table() if row.group in {group.__name__ for group in watch_settings.GROUPS}
}  # fmt: skip


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)([sm])", text).groups()  # type: ignore[union-attr]
    return float(number) * {"s": 1, "m": 60}[unit]


def set_here(name: str) -> dict[str, str]:
    """What the service sets itself; a name without a value is passed on."""
    return {name: value for name, value in SERVICES[name]["environment"].items() if value is not None}


@pytest.mark.parametrize("name", [*OURS, *PREPARING])
def test_a_service_sets_what_the_code_reads(name: str) -> None:
    check_environment(set_here(name))


@pytest.mark.parametrize("name", [*WATCHING, *PREPARING])
def test_every_setting_of_watch_mode_passes_from_the_shell_and_from_the_file(name: str) -> None:
    """Ten of them did, and the others of `.env` were dropped without a word."""
    environment = SERVICES[name]["environment"]
    assert environment.keys() == OF_THE_MODE, "`x-settings` in compose.yaml lists them"
    fixed = {setting for setting in set_here(name) if f"{setting}: ${{{setting}:-" not in TEXT}
    assert fixed - INSIDE <= {"FORCE_CPU_BACKEND", "LOG_FORMAT"}
    guide = (ROOT / "docs/watch.md").read_text()
    assert [setting for setting in INSIDE if f"`{setting}`" not in guide] == []


def test_what_the_shell_may_set_is_a_setting_or_named_in_the_guide() -> None:
    assert braces(TEXT).keys() - KNOWN == NOT_SETTINGS
    guide = (ROOT / "docs/watch.md").read_text()
    assert [name for name in NOT_SETTINGS if f"`{name}`" not in guide] == []


@pytest.mark.parametrize("name", OURS)
def test_a_service_has_no_rights_and_a_read_only_root(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] == f"{USER}:{USER}"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"}
    places = {volume.split(":")[1] for volume in service["volumes"]} | {item.split(":")[0] for item in service["tmpfs"]}
    assert {"/scratch", "/tmp"} <= places, "what is written to is mounted"
    assert service["environment"]["TEMP_PATH"] in places


@pytest.mark.parametrize("name", WATCHING)
def test_watch_mode_is_asked_how_it_is_and_given_time_to_stop(name: str) -> None:
    service, environment = SERVICES[name], SERVICES[name]["environment"]
    assert environment["RUN_MODE"] == "watch"
    assert environment.keys() >= KEPT
    assert service["healthcheck"]["test"] == ["CMD", "python", "-m", "watch", "health", "--if-watching"]
    assert seconds(service["stop_grace_period"]) > WatchSettings().stop_s + 10, "ending a job takes up to 10 s"
    assert environment["DATA_PATH"] in {volume.split(":")[1] for volume in service["volumes"]}
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", WATCHING)
def test_processors_memory_and_processes_are_limited_and_memory_is_reserved(name: str) -> None:
    resources = SERVICES[name]["deploy"]["resources"]
    assert resources["limits"].keys() == {"cpus", "memory", "pids"}
    assert float(resources["limits"]["cpus"]) == 0, "Docker refuses more than the machine has"
    assert re.fullmatch(r"\d+g", resources["reservations"]["memory"])


@pytest.mark.parametrize(("name", "watching"), list(zip(PREPARING, WATCHING, strict=True)))
def test_the_folders_are_made_ready_before_the_watch_by_little_more_than_nobody(name: str, watching: str) -> None:
    service, watch = SERVICES[name], SERVICES[watching]
    assert watch["depends_on"] == {name: {"condition": "service_completed_successfully"}}
    assert service["entrypoint"] == ["python", "-m", "watch", "prepare", "--user", watch["user"]]
    assert (service["cap_drop"], service["cap_add"]) == (["ALL"], ["CHOWN", "SETGID", "SETUID"])
    assert (service["network_mode"], service["read_only"], service["restart"]) == ("none", True, "no")
    assert service["security_opt"] == watch["security_opt"]
    same = ("image", "build", "volumes", "tmpfs")
    assert [service[key] for key in same] == [watch[key] for key in same]
    assert service.get("profiles") == watch.get("profiles")


def test_nothing_is_open_to_other_machines() -> None:
    for name, service in SERVICES.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name


def test_the_ports_are_those_that_the_settings_name() -> None:
    for name in WATCHING:
        environment = SERVICES[name]["environment"]
        assert environment["LISTEN_ADDRESS"] == "0.0.0.0", "else nothing outside the container is answered"
        inside = {port.rsplit(":", 1)[1] for port in SERVICES[name]["ports"]}
        assert inside == {environment["HEALTH_CHECK_PORT"], environment["METRICS_PORT"]}


def test_only_the_default_has_a_gpu_and_only_it_starts_by_default() -> None:
    (device,) = SERVICES["watch"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert [name for name, service in SERVICES.items() if "profiles" not in service] == ["prepare", "watch"]
    assert "devices" not in SERVICES["watch-cpu"]["deploy"]["resources"]["reservations"]
    assert [SERVICES[name]["build"]["target"] for name in OURS] == ["gpu", "cpu", "cloud"]


def test_the_cloud_reaches_the_emulator_beside_it() -> None:
    """With the emulator's public account; the same version as on a desk."""
    settings = read(StorageSettings, SERVICES["cloud"]["environment"])
    opened = access(settings)
    assert opened.blob_url == f"http://azurite:10000/{ACCOUNT}"
    assert opened.queue_url == f"http://azurite:10001/{ACCOUNT}"
    assert KEY in settings.connection_string
    locked = yaml.safe_load((ROOT / "local/azurite/package.json").read_text())["dependencies"]["azurite"]
    assert SERVICES["azurite"]["image"].rsplit(":", 1)[1] == locked


def test_every_image_that_is_built_is_a_stage_of_a_dockerfile_that_is_there() -> None:
    for name in OURS:
        build = SERVICES[name]["build"]
        text = (ROOT / build["context"] / build["dockerfile"]).read_text()
        assert re.search(rf"^FROM .* AS {build['target']}$", text, re.MULTILINE), name
