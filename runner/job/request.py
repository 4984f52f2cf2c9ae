"""One job as a value, and how it and its end travel between the parent and the child process."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runner.cache.store import CacheSettings
from runner.scene.frames import Clip
from scenejobs.settings.groups import PipelineSettings

REQUEST_FILE = "request.json"  # in the workspace, parent -> child
RESULT_FILE = "result.json"  # written whole and last: its presence means success
FAILURE_FILE = "failure.json"  # why there is no result
STOP_LINE = b"stop\n"  # on the child's standard input


@dataclass(frozen=True)
class Job:
    """What `reconstruct` is to do."""

    clips: tuple[Clip, ...]
    workspace: Path  # for everything on the way; the same workspace again resumes
    out: Path  # for the results
    name: str  # stem of the result files
    job_id: str  # for manifest and reports
    settings: PipelineSettings
    save_s: float = 60.0  # between two saves of the training state in the workspace
    cache: CacheSettings | None = None  # of what earlier runs found; None: nothing is looked for or kept
    out_of_memory: str = ""  # the stage in which an earlier attempt ran out of memory: do it with less
    warnings: tuple[str, ...] = ()  # about the uploads, for the reports: what is known before any of them is opened

    def to_json(self) -> dict[str, Any]:
        return {
            "clips": [{"name": clip.name, "path": str(clip.path)} for clip in self.clips],
            "workspace": str(self.workspace),
            "out": str(self.out),
            "name": self.name,
            "job_id": self.job_id,
            "settings": {**asdict(self.settings), "lpips_weights": self._lpips_weights()},
            "save_s": self.save_s,
            "cache": self.cache and {**asdict(self.cache), "folder": str(self.cache.folder)},
            "out_of_memory": self.out_of_memory,
            "warnings": list(self.warnings),
        }

    def _lpips_weights(self) -> str:
        """The child works in another folder than the one that a relative path is meant from."""
        return os.path.abspath(self.settings.lpips_weights) if self.settings.lpips_weights else ""

    @staticmethod
    def from_json(value: dict[str, Any]) -> Job:
        cache = value["cache"]
        return Job(
            clips=tuple(Clip(clip["name"], Path(clip["path"])) for clip in value["clips"]),
            workspace=Path(value["workspace"]),
            out=Path(value["out"]),
            name=value["name"],
            job_id=value["job_id"],
            settings=PipelineSettings(**value["settings"]),
            save_s=value["save_s"],
            cache=CacheSettings(**{**cache, "folder": Path(cache["folder"])}) if cache else None,
            out_of_memory=value["out_of_memory"],
            warnings=tuple(value["warnings"]),
        )
