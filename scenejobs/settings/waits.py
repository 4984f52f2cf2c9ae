"""When a scene is complete in a folder, and how long an upload may be without a record before an audit tells of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from math import inf

from scenejobs.settings.groups import DispatchSettings, WatchSettings

NO_LONGEST_WAIT = inf


def over_folders(dispatch: DispatchSettings, watch: WatchSettings) -> DispatchSettings:
    """With the wait of watch mode, and no longest one: a file that is copied for an hour is not an upload yet."""
    return replace(dispatch, quiet_s=watch.wait_s(dispatch.quiet_s), max_wait_s=NO_LONGEST_WAIT)


def patience(settings: DispatchSettings) -> timedelta:
    """How long an upload may be without a record. Where there is no longest wait, as with the default one."""
    longest_s = DispatchSettings().max_wait_s if settings.max_wait_s == NO_LONGEST_WAIT else settings.max_wait_s
    return timedelta(seconds=longest_s + settings.requeue_after_s + 2 * settings.sweep_interval_s + settings.quiet_s)
