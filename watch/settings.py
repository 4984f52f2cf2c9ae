"""Every setting that watch mode reads, read and checked at once: by the watch, and by `watch prepare` before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runner.pipeline import settings as pipeline_settings
from runner.worker import deadline
from scenejobs.adapters.folder import Places
from scenejobs.adapters.open import nowhere, places
from scenejobs.settings import modes, older, reader
from scenejobs.settings.groups import DispatchSettings, LogSettings, RunnerSettings, WatchSettings
from scenejobs.settings.notices import NoticeSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.settings.reader import Checks, read_all
from scenejobs.settings.storage import FolderSettings

GROUPS = (
    WatchSettings,
    FolderSettings,
    DispatchSettings,
    RunnerSettings,
    PipelineSettings,
    NoticeSettings,
    LogSettings,
)
EXAMPLE = "DATA_PATH=data video-splat watch makes ./data with the folders in it"
# a setting that would stop every worker stops this program at its start
CHECKS: Checks = {PipelineSettings: pipeline_settings.check, RunnerSettings: deadline.check}


@dataclass(frozen=True)
class Settings:
    """The groups of settings, and the folders they name."""

    watch: WatchSettings
    folders: FolderSettings
    dispatch: DispatchSettings
    runner: RunnerSettings
    pipeline: PipelineSettings
    notices: NoticeSettings
    logs: LogSettings

    @property
    def places(self) -> Places:
        return places(self.folders)


def read(env: Mapping[str, str]) -> Settings:
    """Raises ConfigurationError, which names all that is wrong."""
    refused = (*older.problems(env), *modes.problems({**env, "RUN_MODE": "watch"}))
    missing = [why] if (why := nowhere(reader.read(FolderSettings, env))) else []
    return Settings(
        *read_all(GROUPS, env, refused=refused, missing=missing, checks=CHECKS, advice=EXAMPLE if missing else "")
    )
