"""How watch and serve mode begin their log."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from runner.pipeline.config_file import ConfigFile
from scenejobs.logs.setup import configure
from scenejobs.settings import modes
from scenejobs.settings.groups import LogSettings


def begin_log(
    settings: LogSettings, instance: str, config: ConfigFile, env: Mapping[str, str], log: logging.Logger
) -> None:
    """Every line names the instance, where it has a name; then what was read from where, and what is not read."""
    named: dict[str, Any] = {"instance": instance} if instance else {}
    configure(settings, **named)
    config.tell(log)
    modes.warn(env, log)
    logging.getLogger("function_app.sweep").setLevel(logging.WARNING)  # a line at every look would hide the others
