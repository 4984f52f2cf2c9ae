"""How long a scene waits over folders, and how long an audit waits for its record."""

from __future__ import annotations

from datetime import timedelta

from scenejobs.commands.storage import open_from
from scenejobs.settings.groups import DispatchSettings, WatchSettings
from scenejobs.settings.waits import over_folders, patience
from watch.cli import dispatcher_settings


def test_over_folders_a_file_may_be_copied_for_as_long_as_it_takes() -> None:
    found = over_folders(DispatchSettings(max_wait_s=10.0), WatchSettings(stable_s=7.0))
    assert found.quiet_s == 7.0
    assert found.max_wait_s > 1e9
    assert over_folders(DispatchSettings(quiet_s=5.0), WatchSettings()).quiet_s == 5.0


def test_the_watch_and_the_commands_over_its_folders_wait_alike(tmp_path: object) -> None:
    env = {"DATA_PATH": str(tmp_path), "UPLOAD_STABILITY_TIMEOUT_SECS": "3"}
    _, of_commands = open_from(env)
    of_watch = dispatcher_settings(DispatchSettings(), WatchSettings(stable_s=3.0))
    assert (of_commands.quiet_s, of_commands.max_wait_s) == (of_watch.quiet_s, of_watch.max_wait_s)


def test_the_patience_of_an_audit_ends_over_folders_too() -> None:
    longest = timedelta(seconds=DispatchSettings().max_wait_s)
    assert longest < patience(over_folders(DispatchSettings(), WatchSettings())) < timedelta(days=1)
    assert patience(DispatchSettings(max_wait_s=7200.0)) - patience(DispatchSettings(max_wait_s=3600.0)) == timedelta(
        hours=1
    )
