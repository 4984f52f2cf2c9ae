"""Settings, read once at the start from a mapping (the environment).

A wrong or missing variable stops the program there, and the message names every one of them.

Each group is a small frozen dataclass; a field carries the variable's name, its default and one line of explanation.
`docs/configuration.md` is checked against these tables by a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from scenejobs.settings.notices import TARGETS, NoticeSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.settings.reader import setting as _setting
from scenejobs.settings.storage import FolderSettings, MountSettings, StorageSettings
from scenejobs.settings.web import WebSettings

STALLED = "an upload in progress that has not grown for this long keeps its scene waiting no more; 0: none ever does"
CACHE_DAYS = "what is kept for further runs goes after this long"
FREE_GB = "free space asked for before a job starts"
GPU_MINUTES = "minutes of executions per day (UTC) after which no work is started; 0: no limit"


@dataclass(frozen=True)
class DispatchSettings:
    """When uploads become a job."""

    quiet_s: float = _setting(
        "QUIET_SECONDS", "seconds without an upload after which a scene is complete", 60.0, minimum=0
    )
    max_wait_s: float = _setting(
        "MAX_WAIT_SECONDS",
        "a scene that never gets quiet is sealed this long after its oldest upload",
        1800.0,
        minimum=0,
    )
    upload_stalled_s: float = _setting("UPLOAD_STALLED_SECS", STALLED, 600.0, minimum=0)
    prefix_depth: int = _setting("SCENE_PREFIX_DEPTH", "folder levels that name a scene", 1, minimum=1)
    max_parallel_jobs: int = _setting(
        "MAX_PARALLEL_JOBS",
        "executions at the same time; 0: none is started, for something else (KEDA) watches the queue",
        3,
        minimum=0,
    )
    max_gpu_minutes: float = _setting("MAX_GPU_MINUTES_PER_DAY", GPU_MINUTES, 0.0, minimum=0)
    job_disk_gb: float = _setting(
        "JOB_DISK_GB",
        "disk of an execution, GB: for uploads that need more (twice their size, and MIN_DISK_SPACE_GB) none is "
        "started; 0: not looked at",
        0.0,
        minimum=0,
    )
    min_free_gb: float = _setting("MIN_DISK_SPACE_GB", FREE_GB, 2.0, minimum=0)
    start_timeout_s: float = _setting(
        "START_TIMEOUT_SECS",
        "an execution in which no runner has begun by then, image pull included, is stopped and counts no more",
        1800.0,
        minimum=60,
    )
    fallback_after: int = _setting("FALLBACK_AFTER_STARTS", "failed starts before the fallback job", 3, minimum=1)
    requeue_after_s: float = _setting(
        "REQUEUE_AFTER_SECONDS",
        "sealed work that nobody holds and no message points at is sent again",
        600.0,
        minimum=1,
    )
    cache_days: float = _setting("CACHE_MAX_DAYS", CACHE_DAYS, 30.0, minimum=0)
    output_days: float = _setting(
        "OUTPUT_RETENTION_DAYS",
        "days after which results are removed, which the record then says; the sweep does it daily, watch mode every "
        "TIDY_INTERVAL_SECS, scenejobs tidy when it is called; 0: never",
        0.0,
        minimum=0,
    )
    sweep_schedule: str = _setting(
        "SWEEP_SCHEDULE", "when the sweep runs: seconds, minutes, hours, day, month, weekday", "0 */5 * * * *"
    )
    sweep_interval_s: float = _setting(
        "SWEEP_INTERVAL_SECONDS",
        "without a sweep for this long (a frozen timer), the next quiet-time check sweeps",
        900.0,
        minimum=1,
    )


@dataclass(frozen=True)
class ComputeSettings:
    """The Container Apps job that is started."""

    subscription_id: str = _setting("AZURE_SUBSCRIPTION_ID", "subscription of the job")
    resource_group: str = _setting("AZURE_RESOURCE_GROUP", "resource group of the job")
    job_name: str = _setting("RUNNER_JOB_NAME", "name of the Container Apps job")
    arm_endpoint: str = _setting(
        "ARM_ENDPOINT",
        "management endpoint, for sovereign clouds and the local jobs API",
        "https://management.azure.com",
    )
    client_id: str = _setting("AZURE_CLIENT_ID", "client id of the identity that may start the job", "")
    fallback_job_name: str = _setting("FALLBACK_JOB_NAME", "job for days on which that one gets no machine", "")
    fallback_resource_group: str = _setting("FALLBACK_RESOURCE_GROUP", "resource group of it; default: the same", "")


@dataclass(frozen=True)
class RunnerSettings:
    """How the runner behaves around the pipeline."""

    mode: Literal["queue", "batch", "serve", "watch"] = _setting(
        "RUN_MODE",
        "queue: drain the queue; batch: one prefix, no queue; serve: containers, watch: folders, until it is stopped",
        "queue",
    )
    batch_prefix: str = _setting("BATCH_INPUT_PREFIX", "batch mode: the scene to process", "")
    job_id: str = _setting(
        "BATCH_JOB_ID", "batch mode: id of the run, exactly as given, in names, logs and reports; default: made up", ""
    )
    upload_stalled_s: float = _setting("UPLOAD_STALLED_SECS", STALLED, 600.0, minimum=0)
    prefix_depth: int = _setting("SCENE_PREFIX_DEPTH", "folder levels that name a scene", 1, minimum=1)
    late_uploads: Literal["extend", "replace"] = _setting(
        "LATE_UPLOADS",
        "what comes after a scene was sealed: extend makes it anew of all it has; replace, of the new files alone",
        "extend",
    )
    notify_targets: str = _setting("NOTIFY_TARGETS", TARGETS, "")
    max_attempts: int = _setting("MAX_RETRIES", "attempts at a scene before it is dead-lettered", 3, minimum=1)
    max_preemptions: int = _setting(
        "MAX_PREEMPTIONS",
        "attempts that cost none because the runner was stopped, its settings were wrong or the uploads changed; "
        "further ones count",
        20,
        minimum=0,
    )
    retry_base_s: float = _setting(
        "RETRY_BASE_DELAY_SECS", "wait before the second attempt; doubles each time", 2.0, minimum=0
    )
    retry_max_s: float = _setting("RETRY_MAX_DELAY_SECS", "longest wait between attempts", 60.0, minimum=0)
    max_scene_runs: int = _setting(
        "MAX_SCENE_RUNS_PER_DAY",
        "attempts at one scene per day (UTC), over all its uploads; the next waits for the next day; 0: no limit",
        24,
        minimum=0,
    )
    max_gpu_minutes: float = _setting("MAX_GPU_MINUTES_PER_DAY", GPU_MINUTES, 0.0, minimum=0)
    is_fallback: bool = _setting("IS_FALLBACK_JOB", "this job is FALLBACK_JOB_NAME: its starts count apart", False)
    machine_profile: str = _setting(
        "MACHINE_PROFILE",
        "workload profile that an execution is billed as, for the cost in the report; default: it is not billed",
        "",
    )
    job_timeout_s: float = _setting("JOB_TIMEOUT_SECS", "longest deadline of one attempt", 3 * 3600.0, minimum=1)
    deadline_factor: float = _setting(
        "DEADLINE_FACTOR",
        "deadline of one attempt in times its preset plans, JOB_TIMEOUT_SECS at most; 0: always JOB_TIMEOUT_SECS",
        4.0,
        minimum=0,
    )
    replica_timeout_s: float = _setting(
        "REPLICA_TIMEOUT_SECS",
        "when the platform ends an execution; the runner stops by itself 120 s earlier; 0: it does not",
        0.0,
        minimum=0,
    )
    stall_timeout_s: float = _setting(
        "JOB_STALL_SECS", "an attempt that reports no progress for this long is ended", 1800.0, minimum=1
    )
    run_budget_s: float = _setting(
        "RUN_BUDGET_SECS", "an execution takes no further scene after this long", 3600.0, minimum=0
    )
    idle_polls: int = _setting("QUEUE_IDLE_POLLS", "empty looks at the queue before an execution ends", 3, minimum=1)
    idle_wait_s: float = _setting("QUEUE_IDLE_WAIT_SECS", "wait between empty looks", 5.0, minimum=0)
    workspace: str = _setting("TEMP_PATH", "folder for job workspaces; default: the system's temporary folder", "")
    checkpoint_s: float = _setting(
        "CHECKPOINT_INTERVAL_SECS",
        "saved work of a running job is at most about this old; another machine goes on from it; 0: none is saved",
        120.0,
        minimum=0,
    )
    cache_mb: int = _setting(
        "CACHE_MAX_MB",
        "what stages found is kept for further runs of the same scene, that much at most, megabytes; 0: none is",
        1024,
        minimum=0,
    )
    cache_days: float = _setting("CACHE_MAX_DAYS", CACHE_DAYS, 30.0, minimum=0)
    preflight: bool = _setting(
        "PREFLIGHT",
        "the first execution of a program runs all checks and keeps the result in state/preflight.json",
        False,
    )
    min_free_gb: float = _setting("MIN_DISK_SPACE_GB", FREE_GB, 2.0, minimum=0)


@dataclass(frozen=True)
class WatchSettings:
    """Watch mode: dispatcher and runner over folders, on one machine."""

    watcher: Literal["auto", "poll"] = _setting(
        "WATCHER_MODE", "both values mean polling, which works on every mount", "auto"
    )
    poll_s: float = _setting("POLL_INTERVAL_SECS", "seconds between two looks at the folders", 10.0, minimum=0.05)
    stable_s: float = _setting(
        "UPLOAD_STABILITY_TIMEOUT_SECS",
        "seconds without a change of any file after which a scene is complete; 0: QUIET_SECONDS",
        0.0,
        minimum=0,
    )
    stable_s_old: float = _setting(
        "STABILITY_TIMEOUT_SECS", "older name of UPLOAD_STABILITY_TIMEOUT_SECS, which goes first", 0.0, minimum=0
    )
    retention_days: float = _setting(
        "RETENTION_DAYS",
        "days after which processed and error, and the state of scenes that left nothing, are removed; 0: never",
        30.0,
        minimum=0,
    )
    tidy_s: float = _setting(
        "TIDY_INTERVAL_SECS", "seconds between two looks for what is old or left behind", 3600.0, minimum=0.05
    )
    stop_s: float = _setting(
        "STOP_GRACE_SECS", "longest wait, when told to stop, for the scene in work to be given back", 45.0, minimum=0
    )
    health: bool = _setting("HEALTH_CHECK_ENABLED", "answer /health, /health/live and /health/ready", True)
    health_port: int = _setting("HEALTH_CHECK_PORT", "port of the health answers", 8080, minimum=1)
    metrics_port: int = _setting("METRICS_PORT", "port of /metrics for Prometheus; 0: none", 9090, minimum=0)
    instance: str = _setting(
        "INSTANCE_NAME", "name of this one of several watches, in /health, metrics and log; default: the machine's", ""
    )
    listen: str = _setting(
        "LISTEN_ADDRESS", "address both listen on; 0.0.0.0 lets other machines ask, as containers need it", "127.0.0.1"
    )

    def wait_s(self, quiet_s: float) -> float:
        """Seconds without a change after which a scene in a folder is complete. quiet_s: QUIET_SECONDS."""
        return self.stable_s or self.stable_s_old or quiet_s


@dataclass(frozen=True)
class ServeSettings:
    """Serve mode: dispatcher and runner over blob containers, on one machine or several."""

    uploads_queue: str = _setting(
        "UPLOADS_QUEUE",
        "queue into which Event Grid puts uploads; default: the container is listed",
        "",
    )


@dataclass(frozen=True)
class LogSettings:
    """Logging."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _setting(
        "LOG_LEVEL",
        "least level that is logged; not set: WARNING in commands for people (scenejobs, function_app sweep), "
        "whose log is text; older words: warn is WARNING, trace is DEBUG",
        "INFO",
        also={"warn": "WARNING", "trace": "DEBUG"},
    )
    format: Literal["auto", "json", "text"] = _setting(
        "LOG_FORMAT", "json: one object per line; text; auto: text on a terminal", "auto"
    )


GROUPS: tuple[type, ...] = (
    StorageSettings, FolderSettings, DispatchSettings, ComputeSettings, RunnerSettings, WatchSettings, ServeSettings,
    PipelineSettings, NoticeSettings, LogSettings, MountSettings, WebSettings,
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of the configuration table."""

    group: str
    variable: str
    default: Any  # MISSING when required
    doc: str
    kind: str


def table() -> Iterator[Row]:
    """Every setting of every group, for the documentation and its test."""
    for group in GROUPS:
        hints = get_type_hints(group)
        for item in sorted(fields(group), key=lambda item: item.name not in group.__annotations__):  # its own first
            kind = hints[item.name]
            text = " | ".join(get_args(kind)) if get_origin(kind) is Literal else kind.__name__
            yield Row(group.__name__, item.metadata["variable"], item.default, item.metadata["doc"], text)
