"""Settings, read once at the start from a mapping (the environment).

A wrong or missing variable stops the program there, and the message names every one of them.

Each group is a small frozen dataclass; a field carries the variable's name, its default and one line of explanation.
`docs/configuration.md` is checked against these tables by a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from scenejobs.settings.reader import read, read_all
from scenejobs.settings.reader import setting as _setting

__all__ = [
    "GROUPS", "ComputeSettings", "DispatchSettings", "FolderSettings", "LogSettings", "MediaLimits", "MountSettings",
    "PipelineSettings", "Row", "RunnerSettings", "StorageSettings", "WatchSettings", "read", "read_all", "table",
]  # fmt: skip


@dataclass(frozen=True)
class StorageSettings:
    """Where the blobs and queues are and who asks. `scenejobs.adapters.azure.credentials` chooses the credential."""

    account: str = _setting("AZURE_STORAGE_ACCOUNT", "name of the storage account", "")
    endpoint: str = _setting(
        "AZURE_STORAGE_ENDPOINT",
        "blob endpoint, for sovereign clouds; default: https://<account>.blob.core.windows.net",
        "",
    )
    queue_endpoint: str = _setting(
        "AZURE_STORAGE_QUEUE_ENDPOINT", "queue endpoint; default: from the blob endpoint", ""
    )
    connection_string: str = _setting(
        "AZURE_STORAGE_CONNECTION_STRING",
        "connection string: for the emulator only; a real account wants an identity",
        "",
    )
    connection_string_file: str = _setting(
        "AZURE_STORAGE_CONNECTION_STRING_FILE", "file that holds the connection string, as Docker secrets are", ""
    )
    sas_token: str = _setting("AZURE_STORAGE_SAS_TOKEN", "shared access signature; a leading ? is allowed", "")
    sas_token_file: str = _setting(
        "AZURE_STORAGE_SAS_TOKEN_FILE", "file that holds the shared access signature, as Docker secrets are", ""
    )
    use_managed_identity: bool = _setting("AZURE_USE_MANAGED_IDENTITY", "use the managed identity", False)
    client_id: str = _setting("AZURE_CLIENT_ID", "client id of the user-assigned identity or service principal", "")
    tenant_id: str = _setting("AZURE_TENANT_ID", "tenant of the service principal", "")
    client_secret: str = _setting("AZURE_CLIENT_SECRET", "secret of the service principal", "")
    client_secret_file: str = _setting(
        "AZURE_CLIENT_SECRET_FILE", "file that holds the secret of the service principal, as Docker secrets are", ""
    )
    federated_token_file: str = _setting("AZURE_FEDERATED_TOKEN_FILE", "token file of a workload identity", "")
    use_azure_ad: bool = _setting("AZURE_USE_AZURE_AD", "sign in with an identity even where a SAS token is set", False)
    input: str = _setting("AZURE_BLOB_CONTAINER_INPUT", "container the user uploads to", "input")
    output: str = _setting("AZURE_BLOB_CONTAINER_OUTPUT", "container of the results", "output")
    processed: str = _setting(
        "AZURE_BLOB_CONTAINER_PROCESSED", "container of inputs that were turned into a scene", "processed"
    )
    error: str = _setting(
        "AZURE_BLOB_CONTAINER_ERROR", "container of inputs that could not be, with the reason", "error"
    )
    state: str = _setting("AZURE_BLOB_CONTAINER_STATE", "container of records, batches and progress", "state")
    debounce_queue: str = _setting("DEBOUNCE_QUEUE", "queue of delayed quiet-time checks", "debounce")
    jobs_queue: str = _setting("JOBS_QUEUE", "queue of work; <name>-poison holds what nobody can act on", "jobs")


@dataclass(frozen=True)
class FolderSettings:
    """Folders in the place of containers. `scenejobs.adapters.open` chooses between the two."""

    data: str = _setting(
        "DATA_PATH",
        "folder with input, output, processed, error and state, in the place of a storage account; watch mode: /data",
        "",
    )
    input: str = _setting("INPUT_PATH", "folder the user copies to; default: <DATA_PATH>/input", "")
    output: str = _setting("OUTPUT_PATH", "folder of the results; default: <DATA_PATH>/output", "")
    processed: str = _setting(
        "PROCESSED_PATH", "folder of inputs that were turned into a scene; default: <DATA_PATH>/processed", ""
    )
    error: str = _setting("ERROR_PATH", "folder of inputs that could not be; default: <DATA_PATH>/error", "")
    state: str = _setting("STATE_PATH", "folder of records and queues; default: <DATA_PATH>/state", "")


STALLED = "an upload in progress that has not grown for this long keeps its scene waiting no more; 0: none ever does"
CACHE_DAYS = "what is kept for further runs goes after this long"
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

    mode: Literal["queue", "batch", "watch"] = _setting(
        "RUN_MODE", "queue: drain the queue; batch: one prefix, no queue; watch: folders, until it is stopped", "queue"
    )
    batch_prefix: str = _setting("BATCH_INPUT_PREFIX", "batch mode: the scene to process", "")
    job_id: str = _setting("BATCH_JOB_ID", "batch mode: id of the run in names and reports; default: made up", "")
    upload_stalled_s: float = _setting("UPLOAD_STALLED_SECS", STALLED, 600.0, minimum=0)
    prefix_depth: int = _setting("SCENE_PREFIX_DEPTH", "folder levels that name a scene", 1, minimum=1)
    late_uploads: Literal["extend", "replace"] = _setting(
        "LATE_UPLOADS",
        "what comes after a scene was sealed: extend makes it anew of all it has; replace, of the new files alone",
        "extend",
    )
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
    min_free_gb: float = _setting("MIN_DISK_SPACE_GB", "free space asked for before a job starts", 2.0, minimum=0)


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
    listen: str = _setting(
        "LISTEN_ADDRESS", "address both listen on; 0.0.0.0 lets other machines ask, as containers need it", "127.0.0.1"
    )


@dataclass(frozen=True)
class MediaLimits:
    """What a video or photo may be, and how many a scene may hold. Part of PipelineSettings."""

    min_long_side: int = _setting("MIN_VIDEO_WIDTH", "shortest allowed long side of a picture, pixels", 640, minimum=1)
    min_short_side: int = _setting(
        "MIN_VIDEO_HEIGHT", "shortest allowed short side of a picture, pixels", 480, minimum=1
    )
    min_frames: int = _setting("MIN_VIDEO_FRAMES", "fewest frames of a video", 10, minimum=1)
    min_duration_s: float = _setting("MIN_VIDEO_DURATION", "shortest video, seconds", 1.0, minimum=0)
    max_file_bytes: int = _setting(
        "MAX_VIDEO_BYTES", "largest video, bytes; looked at before it is downloaded", 8 * 1024**3, minimum=1
    )
    max_pixels: int = _setting("MAX_VIDEO_PIXELS", "largest picture of a video, width x height", 7680 * 4320, minimum=1)
    max_duration_s: float = _setting("MAX_VIDEO_DURATION", "longest video, seconds", 86_400.0, minimum=1)
    max_decoded_frames: int = _setting(
        "MAX_DECODED_FRAMES", "most frames of a video that are decoded; of a longer one some, spread over it", 20_000,
        minimum=1,
    )  # fmt: skip
    max_clips: int = _setting("MAX_VIDEOS_PER_SCENE", "most videos of a scene", 50, minimum=1)
    max_photo_bytes: int = _setting(
        "MAX_PHOTO_BYTES", "largest photo, bytes; looked at before it is downloaded", 512 * 1024**2, minimum=1
    )
    # the largest that phones take by default have 108 million
    max_photo_pixels: int = _setting("MAX_PHOTO_PIXELS", "largest photo, width x height", 120_000_000, minimum=1)
    max_photos: int = _setting("MAX_PHOTOS_PER_SCENE", "most photos of a scene", 1000, minimum=1)


@dataclass(frozen=True)
class PipelineSettings(MediaLimits):
    """What overrides the preset."""

    preset: str = _setting(
        "PRESET", "smoke, laptop, laptop-high, draft, standard or high; auto: by the machine", "auto"
    )
    backend: Literal["auto", "gsplat", "cpu", "mock"] = _setting(
        "BACKEND", "trainer: auto takes gsplat on a GPU, else cpu; mock marks every output as mock", "auto"
    )
    force_cpu: bool = _setting("FORCE_CPU_BACKEND", "never use a GPU", False)
    frame_count: int = _setting("FRAME_COUNT", "frames over all clips; 0: the preset's", 0, minimum=0)
    frame_rate: float = _setting("FRAME_RATE", "at most this many frames per second; 0: no limit", 0.0, minimum=0)
    features: int = _setting("COLMAP_MAX_NUM_FEATURES", "SIFT features per image; 0: the preset's", 0, minimum=0)
    poses_budget_s: float = _setting(
        "POSES_BUDGET_SECS",
        "no third or further way to find the poses is tried that would pass it; an attempt after one that ended for "
        "want of it has twice as much; 0: the preset's",
        0.0,
        minimum=0,
    )
    min_points: int = _setting(
        "MIN_RECONSTRUCTION_POINTS", "fewest 3D points of a usable reconstruction", 1000, minimum=0
    )
    sandbox: Literal["auto", "require", "off"] = _setting(
        "SANDBOX",
        "auto closes the decoder of videos in as far as the system can; require refuses to work where that is not "
        "enough; off leaves only limits",
        "auto",
    )
    decode_memory_gb: float = _setting(
        "DECODE_MEMORY_GB", "address space of the process that opens a video, GiB", 4.0, minimum=0.5
    )
    decode_timeout_s: float = _setting(
        "DECODE_TIMEOUT_SECS", "longest pass over one video; there are two", 1800.0, minimum=1
    )
    lpips_weights: str = _setting(
        "LPIPS_WEIGHTS", "folder with alexnet-owt-7be5be79.pth and alex.pth: LPIPS is measured too; none: it is not", ""
    )
    threads: int = _setting("THREADS", "cores used; 0: all", 0, minimum=0)
    seed: int = _setting("SEED", "seed of everything random", 0, minimum=0)


@dataclass(frozen=True)
class LogSettings:
    """Logging."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _setting("LOG_LEVEL", "least level that is logged", "INFO")
    format: Literal["auto", "json", "text"] = _setting(
        "LOG_FORMAT", "json: one object per line; text; auto: text on a terminal", "auto"
    )


@dataclass(frozen=True)
class MountSettings:
    """Containers as folders by blobfuse2 (scenejobs/commands/blobfuse_config.py)."""

    cache_mb: int = _setting(
        "BLOBFUSE_CACHE_SIZE_MB",
        "cache of a mount, megabytes: on disk; when streaming, in memory, 176 at least",
        1024,
        minimum=1,
    )
    files_s: int = _setting(
        "BLOBFUSE_FILE_CACHE_TIMEOUT_SECS", "a file is read from the cache for so long", 120, minimum=0
    )
    attributes_s: int = _setting(
        "BLOBFUSE_ATTR_CACHE_TIMEOUT_SECS", "names, sizes and times may be this old, seconds", 60, minimum=0
    )
    streaming: bool = _setting(
        "BLOBFUSE_ENABLE_STREAMING", "read block by block instead of caching whole files on disk", False
    )


GROUPS: tuple[type, ...] = (
    StorageSettings, FolderSettings, DispatchSettings, ComputeSettings, RunnerSettings, WatchSettings, PipelineSettings,
    LogSettings, MountSettings,
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
