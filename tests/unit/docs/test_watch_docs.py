"""docs/watch.md names what the code reads and does, and every setting of watch mode."""

from __future__ import annotations

import re
from pathlib import Path

from scenejobs.settings import groups
from scenejobs.state.record import Outcome
from watch import http_server, metrics
from watch.stable_folder import UNFINISHED
from watch.status import FinishedScene, WatchStatus

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/watch.md").read_text()
KNOWN = {row.variable for row in groups.table()}
OF_COMPOSE = {
    "DATA_DIR", "IMAGE", "IMAGE_CPU", "HEALTH_PORT", "PROMETHEUS_PORT", "CPU_LIMIT", "MEMORY_LIMIT",
    "MEMORY_RESERVATION", "DATA_USER",
}  # fmt: skip


def test_every_setting_of_watch_mode_is_explained() -> None:
    own = {row.variable for row in groups.table() if row.group in ("WatchSettings", "FolderSettings")}
    assert [name for name in sorted(own) if f"`{name}" not in TEXT] == []


def test_every_variable_it_names_is_read() -> None:
    named = {
        name for text in re.findall(r"`([^`\n]+)`", TEXT) for name in re.findall(r"^([A-Z]+_[A-Z0-9_]+)(?:=|$)", text)
    }
    assert named - KNOWN - OF_COMPOSE - {"AZURE_", "_READY"} == set()


def test_the_addresses_and_names_are_those_that_answer(tmp_path: Path) -> None:
    from scenejobs.adapters.folder import Places

    status = WatchStatus(tmp_path, Places.below(tmp_path), 0, instance="a")
    routes = {**http_server.health_routes(status, 10), **http_server.metrics_routes(status)}
    assert {path for _, path in re.findall(r"`:(\d+)(/[a-z/]+)`", TEXT)} == routes.keys()
    status.scene_finished(FinishedScene("a", "r1", Outcome.SUCCEEDED, psnr=20.0, loss=0.1))
    families = set(re.findall(r"^# TYPE (\S+)", metrics.text(status), re.MULTILINE))
    assert set(re.findall(r"video_splat_[a-z_]+", TEXT)) <= families
    body = http_server.health(status, 10).body
    row = next(line for line in TEXT.splitlines() if "`:8080/health` " in line)
    assert [key for key in re.findall(r"`([a-z_]+)`", row) if f'"{key}"' not in body] == []


def test_the_endings_of_unfinished_files_are_the_ones_that_count() -> None:
    assert {ending for ending in re.findall(r"`(\.[a-z]+)`", TEXT) if ending not in (".complete", ".env")} == UNFINISHED


def test_the_scripts_it_calls_are_there_and_know_their_options() -> None:
    calls = re.findall(r"(infra/\S+\.sh)([^\n#]*)", TEXT)
    assert len(calls) >= 4
    for script, arguments in calls:
        text = (ROOT / script).read_text()
        assert [option for option in re.findall(r"--[a-z-]+", arguments) if option not in text] == []
